/* SPDX-License-Identifier: MIT */
/* fork, exit and threads: where clients like this die. */
#include "child.h"

static int serve(struct loopback *server, int fd,
                 const struct loop_request *req, int nth) {
  char byte;

  (void)server;
  (void)nth;
  if (strcmp(req->path, "/silent") == 0) {
    return recv(fd, &byte, 1, 0) > 0;
  }
  return loop_answer(fd, 200, "", "hello") == 0;
}

static void use_client(struct rig *rig) {
  freddy_request req = {.path = "/hello"};
  freddy_call *call = rig_start(rig, &req);

  rig_done(rig->inbox, call);
  CHECK_INT(freddy_call_status(call), 200);
  freddy_call_free(call);
  freddy_inbox_free(rig->inbox);
  freddy_client_free(rig->client);
}

static void test_unused_client_is_adopted(struct rig *rig) {
  struct rig unused = *rig;

  unused.client = rig_client(rig->server->port, NULL);
  CHECK_INT(freddy_inbox_new(&unused.inbox, NULL), FREDDY_OK);
  CHECK_INT(in_child(use_client, &unused), 0);
  CHECK_INT(in_child(use_client, &unused), 0);
  use_client(&unused); /* and in the parent */
}

static freddy_call *parents_call;

static void use_used_things(struct rig *rig) {
  freddy_request req = {.path = "/hello"};
  freddy_error err = {.code = FREDDY_OK};
  freddy_call *call;
  freddy_event event;
  struct rig fresh = *rig;

  CHECK_INT(freddy_start(rig->client, rig->inbox, &req, &call, &err),
            FREDDY_EFORKED);
  CHECK(freddy_inbox_forked(rig->inbox));
  CHECK_INT(freddy_inbox_wait(rig->inbox, 10), 0);
  CHECK_INT(freddy_inbox_next(rig->inbox, &event), 0);
  CHECK_INT(freddy_inbox_fd(rig->inbox, NULL), -1);
  CHECK_TEXT(rig_kind(parents_call), "forked");
  CHECK(freddy_call_done(parents_call));
  freddy_call_cancel(parents_call);
  freddy_call_free(parents_call);
  freddy_client_close(rig->client);
  freddy_inbox_free(rig->inbox);
  freddy_client_free(rig->client);
  fresh.client = rig_client(rig->server->port, NULL);
  CHECK_INT(freddy_inbox_new(&fresh.inbox, NULL), FREDDY_OK);
  use_client(&fresh);
}

static void test_used_things_are_forked(struct rig *rig) {
  freddy_request req = {.path = "/silent"};

  parents_call = rig_start(rig, &req);
  for (int i = 0; i < 10; i++) {
    CHECK_INT(in_child(use_used_things, rig), 0);
  }
  /* The parent's call is as it was. */
  CHECK(!freddy_call_done(parents_call));
  freddy_call_cancel(parents_call);
  rig_done(rig->inbox, parents_call);
  freddy_call_free(parents_call);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static void *post_without_end(void *context) {
  struct rig *rig = context;
  freddy_request req = {.path = "/hello"};

  for (int i = 0; i < 3000; i++) {
    freddy_call *call = NULL;

    if (freddy_start(rig->client, rig->inbox, &req, &call, NULL) == 0) {
      freddy_call_free(call);
    }
  }
  return NULL;
}

static void use_fresh(struct rig *rig) {
  struct rig fresh = *rig;

  fresh.client = rig_client(rig->server->port, NULL);
  CHECK_INT(freddy_inbox_new(&fresh.inbox, NULL), FREDDY_OK);
  use_client(&fresh);
}

/* Forks while the queue's lock is being taken all the time. */
static void test_fork_under_load(struct rig *rig) {
  struct rig busy = *rig;
  pthread_t thread;

  busy.client = rig_client(rig->server->port, NULL);
  CHECK_INT(freddy_inbox_new(&busy.inbox, NULL), FREDDY_OK);
  pthread_create(&thread, NULL, post_without_end, &busy);
  for (int i = 0; i < 20; i++) {
    CHECK_INT(in_child(use_fresh, rig), 0);
  }
  pthread_join(thread, NULL);
  freddy_client_free(busy.client);
  freddy_inbox_free(busy.inbox);
}

#endif

#ifndef __SANITIZE_THREAD__
/* exit() with transfers in flight, nothing closed. */
static void exit_in_flight(struct rig *rig) {
  struct rig fresh = *rig;
  freddy_request req = {.path = "/silent"};

  fresh.client = rig_client(rig->server->port, NULL);
  CHECK_INT(freddy_inbox_new(&fresh.inbox, NULL), FREDDY_OK);
  for (int i = 0; i < 50; i++) {
    rig_start(&fresh, &req);
  }
  if (rig->server->port % 2) {
    sched_yield();
  }
  exit(7);
}

static void test_exit(struct rig *rig) {
  for (int i = 0; i < 30; i++) {
    CHECK_INT(in_child(exit_in_flight, rig), 7);
  }
}
#endif

static void test_shutdown_and_again(struct rig *rig) {
  freddy_request silent = {.path = "/silent"};
  freddy_request hello = {.path = "/hello"};

  for (int i = 0; i < 20; i++) {
    freddy_call *call = rig_start(rig, &silent);
    freddy_call *next;

    freddy_shutdown();
    rig_done(rig->inbox, call);
    CHECK_TEXT(rig_kind(call), "closed");
    next = rig_start(rig, &hello);
    rig_done(rig->inbox, next);
    CHECK_INT(freddy_call_status(next), 200);
    freddy_call_free(call);
    freddy_call_free(next);
  }
  freddy_shutdown();
  freddy_shutdown();
}

/* --- Threads ------------------------------------------------------------ */

static void *worker(void *context) {
  struct rig rig = *(struct rig *)context;
  freddy_request hello = {.path = "/hello"};
  freddy_request silent = {.path = "/silent"};
  long good = 0;

  if (freddy_inbox_new(&rig.inbox, NULL)) {
    return NULL;
  }
  for (int i = 0; i < 200; i++) {
    freddy_call *one = NULL;
    freddy_call *two = NULL;
    freddy_event event;

    if (freddy_start(rig.client, rig.inbox, &hello, &one, NULL) ||
        freddy_start(rig.client, rig.inbox, &silent, &two, NULL)) {
      break;
    }
    freddy_call_cancel(two);
    while (!freddy_call_done(one) && freddy_inbox_wait(rig.inbox, PATIENCE)) {
      freddy_inbox_next(rig.inbox, &event);
    }
    good += freddy_call_status(one) == 200;
    freddy_call_free(one);
    freddy_call_free(two);
  }
  freddy_inbox_free(rig.inbox);
  return (void *)good;
}

static void test_threads(struct rig *rig) {
  enum { THREADS = 6 };
  pthread_t threads[THREADS];

  for (int i = 0; i < THREADS; i++) {
    pthread_create(&threads[i], NULL, worker, rig);
  }
  for (int i = 0; i < THREADS; i++) {
    void *good = NULL;

    pthread_join(threads[i], &good);
    CHECK_INT((long)good, 200);
  }
}

int main(void) {
  struct rig rig;

  signal(SIGPIPE, SIG_IGN); /* the server's children write to closed ends */
  main_process = getpid();
  rig_open(&rig, serve);
  test_unused_client_is_adopted(&rig);
  test_used_things_are_forked(&rig);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  test_fork_under_load(&rig); /* the sanitizers' allocators do not fork */
#endif
#ifndef __SANITIZE_THREAD__
  test_exit(&rig); /* TSan's runtime may hang after such a fork by itself */
#endif
  test_threads(&rig);
  test_shutdown_and_again(&rig);
  rig_close(&rig);
  return unit_end();
}
