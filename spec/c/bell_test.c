/* SPDX-License-Identifier: MIT */
/* The bell of an inbox: who may connect, and when it rings. */
#include <poll.h>

#include "engine_util.h"

static int serve(struct loopback *server, int fd,
                 const struct loop_request *req, int nth) {
  (void)server;
  (void)req;
  (void)nth;
  return loop_answer(fd, 200, "", "hello") == 0;
}

static int dial(int port) {
  struct sockaddr_in name = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd >= 0 && connect(fd, (struct sockaddr *)&name, sizeof(name))) {
    close(fd);
    return -1;
  }
  return fd;
}

static void say(int fd, const char *text) {
  CHECK_INT(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static int is_readable(int fd, int seconds) {
  struct pollfd one = {.fd = fd, .events = POLLIN};

  return poll(&one, 1, seconds * 1000) == 1;
}

/* What comes next: a byte, 0 at the end; -1 when nothing comes. */
static int hear(int fd) {
  char byte;

  if (!is_readable(fd, PATIENCE)) {
    return -1;
  }
  return recv(fd, &byte, 1, 0) == 1 ? byte : 0;
}

/* Open the bell, and be who it waits for. */
static int answered(struct rig *rig) {
  char secret[FREDDY_BELL_SECRET + 1];
  int port = 0;
  int fd;

  CHECK_INT(freddy_inbox_bell_open(rig->inbox, &port, secret, NULL),
            FREDDY_OK);
  CHECK_INT(strlen(secret), FREDDY_BELL_SECRET);
  CHECK_INT(freddy_inbox_bell_answer(rig->inbox), 0);
  fd = dial(port);
  CHECK(fd >= 0);
  say(fd, secret);
  EVENTUALLY(freddy_inbox_bell_answer(rig->inbox) == 1);
  CHECK_INT(freddy_inbox_bell_answer(rig->inbox), 1);
  CHECK_INT(dial(port), -1); /* nothing listens any more */
  return fd;
}

static void test_it_rings_once_for_each_time_it_is_armed(struct rig *rig) {
  freddy_request req = {.path = "/"};
  int fd = answered(rig);
  freddy_call *calls[3];
  freddy_event event;

  for (int round = 0; round < 3; round++) {
    CHECK_INT(freddy_inbox_bell_arm(rig->inbox), 1);
    CHECK(!is_readable(fd, 0));
    for (int i = 0; i < 3; i++) {
      calls[i] = rig_start(rig, &req);
    }
    CHECK_INT(hear(fd), '!');
    CHECK_INT(freddy_inbox_bell_arm(rig->inbox), 0); /* events wait */
    for (int done = 0; done < 3; done += event.type == FREDDY_DONE) {
      CHECK(rig_event(rig->inbox, &event));
    }
    for (int i = 0; i < 3; i++) {
      freddy_call_free(calls[i]);
    }
    CHECK(!is_readable(fd, 0)); /* not armed: not rung */
  }
  close(fd);
}

static void test_it_opens_to_nobody_else(struct rig *rig) {
  char secret[FREDDY_BELL_SECRET + 1];
  char wrong[FREDDY_BELL_SECRET + 1];
  int strangers[20];
  int port = 0;
  int fd;

  CHECK_INT(freddy_inbox_bell_open(rig->inbox, &port, secret, NULL),
            FREDDY_OK);
  memcpy(wrong, secret, sizeof(wrong));
  wrong[FREDDY_BELL_SECRET - 1] ^= 1;
  for (int i = 0; i < 20; i++) {
    strangers[i] = dial(port);
    CHECK(strangers[i] >= 0);
    if (i % 4 == 1) {
      say(strangers[i], wrong);
    } else if (i % 4 == 2) {
      say(strangers[i], "GET / HTTP/1.1\r\n\r\n");
    } else if (i % 4 == 3) {
      shutdown(strangers[i], SHUT_WR);
    }
    CHECK_INT(freddy_inbox_bell_answer(rig->inbox), 0);
  }
  CHECK_INT(freddy_inbox_bell_arm(rig->inbox), 0);
  fd = dial(port);
  say(fd, secret);
  EVENTUALLY(freddy_inbox_bell_answer(rig->inbox) == 1);
  for (int i = 0; i < 20; i++) {
    CHECK_INT(hear(strangers[i]), 0);
    close(strangers[i]);
  }
  CHECK_INT(freddy_inbox_bell_arm(rig->inbox), 1);
  close(fd);
}

static void test_it_can_be_closed_and_opened_again(struct rig *rig) {
  int first = answered(rig);
  int second = answered(rig);

  CHECK_INT(hear(first), 0);
  CHECK_INT(freddy_inbox_bell_arm(rig->inbox), 1);
  freddy_inbox_bell_close(rig->inbox);
  freddy_inbox_bell_close(rig->inbox);
  CHECK_INT(hear(second), 0);
  CHECK_INT(freddy_inbox_bell_answer(rig->inbox), 0);
  CHECK_INT(freddy_inbox_bell_arm(rig->inbox), 0);
  close(first);
  close(second);
}

static void test_a_listener_that_is_gone_does_no_harm(struct rig *rig) {
  freddy_request req = {.path = "/"};
  int fd = answered(rig);
  freddy_call *call;

  close(fd);
  for (int i = 0; i < 3; i++) {
    CHECK_INT(freddy_inbox_bell_arm(rig->inbox), 1);
    call = rig_start(rig, &req);
    rig_done(rig->inbox, call);
    CHECK_TEXT(rig_kind(call), "ok");
    freddy_call_free(call);
  }
}

static void test_it_ends_with_its_inbox(struct rig *rig) {
  freddy_request req = {.path = "/"};
  struct rig other = *rig;
  freddy_call *call;
  int fd;

  CHECK_INT(freddy_inbox_new(&other.inbox, NULL), FREDDY_OK);
  fd = answered(&other);
  CHECK_INT(freddy_inbox_bell_arm(other.inbox), 1);
  call = rig_start(&other, &req);
  freddy_inbox_free(other.inbox);
  EVENTUALLY(is_readable(fd, 0));
  while (hear(fd) > 0) { /* it may have rung before */
  }
  freddy_call_free(call);
  close(fd);
}

int main(void) {
  struct rig rig;

  rig_open(&rig, serve);
  test_it_rings_once_for_each_time_it_is_armed(&rig);
  test_it_opens_to_nobody_else(&rig);
  test_it_can_be_closed_and_opened_again(&rig);
  test_a_listener_that_is_gone_does_no_harm(&rig);
  test_it_ends_with_its_inbox(&rig);
  rig_close(&rig);
  return unit_end();
}
