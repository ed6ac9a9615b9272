/* SPDX-License-Identifier: MIT */
/* Redirects on the engine: what a caller in C sees of them, readers, streams,
 * and what may end a call between two hops. */
#include "engine_util.h"

static const char KEY[] = "unit-key-0123456789abcdef";

/* /to/STATUS/rest leads to /rest; /early the same, before the body is read
 * (which the server has done by then, but for a reader that waits). */
static int redirect(int fd, const char *path, const char *body) {
  char headers[400];
  int status = (int)strtol(path, NULL, 10);
  const char *rest = strchr(path, '/');

  snprintf(headers, sizeof(headers), "Location: %s\r\nX-Hop: 1\r\n",
           rest ? rest : "");
  return loop_answer(fd, status, headers, body) == 0;
}

static int echo(int fd, const struct loop_request *req) {
  const char *key = strstr(req->head, "api-key: ");
  char text[400];

  snprintf(text, sizeof(text), "%s %s %zu %s", req->method, req->path,
           req->body_size, key ? "key" : "-");
  return loop_answer(fd, 200, "", text) == 0;
}

static int serve(struct loopback *server, int fd,
                 const struct loop_request *req, int nth) {
  (void)nth;
  if (strncmp(req->path, "/to/", 4) == 0) {
    return redirect(fd, req->path + 4, "moved");
  }
  if (strcmp(req->path, "/away") == 0) {
    char text[100];

    snprintf(text, sizeof(text), "Location: http://localhost:%u/echo\r\n",
             server->port);
    return loop_answer(fd, 302, text, "") == 0;
  }
  if (strcmp(req->path, "/tell") == 0) {
    char text[100];

    snprintf(text, sizeof(text), "Location: /denied?key=%s\r\n", KEY);
    return loop_answer(fd, 302, text, "") == 0;
  }
  if (strncmp(req->path, "/denied", 7) == 0) {
    return loop_answer(fd, 401, "", "no") == 0;
  }
  if (strcmp(req->path, "/silent") == 0) {
    char byte;

    return recv(fd, &byte, 1, 0) > 0; /* until the client goes away */
  }
  return echo(fd, req);
}

static freddy_call *done(struct rig *rig, const freddy_request *req) {
  freddy_call *call = rig_start(rig, req);

  rig_done(rig->inbox, call);
  return call;
}

static int ends_with(const char *text, const char *end) {
  size_t size = strlen(text);

  return size >= strlen(end) && strcmp(text + size - strlen(end), end) == 0;
}

static void test_answer(struct rig *rig) {
  freddy_request req = {.path = "/to/302/to/307/echo?x=1"};
  freddy_call *call = done(rig, &req);
  freddy_stats stats;

  CHECK_TEXT(rig_kind(call), "ok");
  CHECK_INT(freddy_call_status(call), 200);
  CHECK_TEXT(freddy_call_body(call, NULL), "GET /echo?x=1 0 key");
  CHECK(freddy_call_header_get(call, "Location") == NULL);
  CHECK(freddy_call_header_get(call, "X-Hop") == NULL);
  CHECK(ends_with(freddy_call_url(call), "/echo?x=1"));
  freddy_call_stats(call, &stats);
  CHECK_INT(stats.attempts, 1);
  CHECK_INT(stats.reused, 1);
  CHECK_INT(stats.received, 19);
  freddy_call_free(call);
}

static void test_refused(struct rig *rig) {
  freddy_request req = {.path =
                            "/to/302/to/302/to/302/to/302/to/302/to/302/x"};
  freddy_call *call = done(rig, &req);
  const freddy_error *err = freddy_call_error(call);

  CHECK_TEXT(rig_kind(call), "redirect");
  CHECK_TEXT(rig_reason(call), "too_many");
  CHECK_INT(err && err->sent, 1);
  CHECK_INT(freddy_call_status(call), 302);
  CHECK_TEXT(freddy_call_header_get(call, "location"), "/x");
  CHECK_TEXT(freddy_call_body(call, NULL), "moved");
  CHECK(ends_with(freddy_call_url(call), "/to/302/x"));
  freddy_call_free(call);
}

/* What was asked for may be read at any time, whatever the engine does. */
static void test_url_in_flight(struct rig *rig) {
  freddy_request req = {.path = "/to/302/to/302/to/302/silent"};
  int before = atomic_load(&rig->server->requests);
  freddy_call *call = rig_start(rig, &req);

  EVENTUALLY(ends_with(freddy_call_url(call), req.path) &&
             atomic_load(&rig->server->requests) >= before + 4);
  freddy_call_cancel(call);
  rig_done(rig->inbox, call);
  CHECK_TEXT(rig_kind(call), "cancelled");
  CHECK(ends_with(freddy_call_url(call), req.path));
  freddy_call_free(call);
}

static void test_credential(struct rig *rig) {
  freddy_request req = {.path = "/away"};
  freddy_call *call = done(rig, &req);

  CHECK_TEXT(freddy_call_body(call, NULL), "GET /echo 0 -");
  freddy_call_free(call);
  req.auth = FREDDY_AUTH_ALWAYS;
  req.api_key = "another-key-0123456789";
  call = done(rig, &req);
  CHECK_TEXT(freddy_call_body(call, NULL), "GET /echo 0 -");
  freddy_call_free(call);
  req.path = "/to/308/echo";
  call = done(rig, &req);
  CHECK_TEXT(freddy_call_body(call, NULL), "GET /echo 0 key");
  freddy_call_free(call);
}

/* A server may write a key into the URL of what then fails. */
static void test_masked_url(struct rig *rig) {
  freddy_request req = {.path = "/tell"};
  freddy_call *call = done(rig, &req);

  CHECK_INT(freddy_call_status(call), 401);
  CHECK(ends_with(freddy_call_url(call), "/denied?key=***"));
  freddy_call_free(call);
}

/* Of a stream nothing is told before the answer at the end. */
static void test_stream(struct rig *rig) {
  freddy_request req = {
      .path = "/to/302/to/302/echo", .stream = 1, .progress = 1};
  freddy_call *call = rig_start(rig, &req);
  freddy_event event;
  int heads = 0;
  size_t size = 0;

  while (rig_event(rig->inbox, &event) && event.type != FREDDY_DONE) {
    if (event.type == FREDDY_HEAD) {
      heads++;
      CHECK_INT(freddy_call_status(call), 200);
      CHECK(ends_with(freddy_call_url(call), "/echo"));
      CHECK(!ends_with(freddy_call_url(call), req.path));
    } else if (event.type == FREDDY_DATA) {
      CHECK(memcmp(event.data, "GET /echo 0 key", event.size) == 0);
      size += event.size;
    } else {
      CHECK_INT(event.type, FREDDY_PROGRESS);
      CHECK(event.receive_total == -1 || event.receive_total == 15);
    }
  }
  CHECK_INT(heads, 1);
  CHECK_INT(size, 15);
  CHECK_TEXT(rig_kind(call), "ok");
  freddy_call_free(call);
}

/* Five bytes, then the end, which the last question is for. */
static void give_body(freddy_call *call, const freddy_event *event) {
  CHECK_INT(freddy_call_answer(call, event->question, "12345",
                               event->wanted == 5 ? 5 : 0),
            FREDDY_OK);
}

/* The reader's five bytes are gone: only what drops them can go on. */
static void test_reader(struct rig *rig) {
  static const struct {
    const char *path;
    const char *body;
    const char *reason;
  } rows[] = {
      {"/to/303/echo", "GET /echo 0 key", ""},
      {"/to/302/echo", "GET /echo 0 key", ""},
      {"/to/307/echo", "moved", "body_spent"},
      {"/to/308/echo", "moved", "body_spent"},
  };

  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    freddy_request req = {.method = "POST",
                          .path = rows[i].path,
                          .body_reader = 1,
                          .reader_size = 5};
    freddy_call *call = rig_start(rig, &req);
    freddy_event event;

    UNIT_CASE("%s", rows[i].path);
    while (rig_event(rig->inbox, &event) && event.type != FREDDY_DONE) {
      CHECK_INT(event.type, FREDDY_NEED_BODY);
      give_body(call, &event);
    }
    CHECK_TEXT(rig_reason(call), rows[i].reason);
    CHECK_TEXT(freddy_call_body(call, NULL), rows[i].body);
    freddy_call_free(call);
  }
  UNIT_CASE("%s", "");
}

/* A server that answers the head of the first request with a redirect, and
 * the second one whole. */
struct early {
  int fd;
  unsigned port;
  const char *status;
  char head[8192];
  atomic_int asked;      /* the host has the question: the first answer */
  atomic_int came_again; /* the second request is here */
  atomic_int looked;     /* and its answer may go */
};

static void *early_main(void *context) {
  struct early *early = context;
  int fd = accept(early->fd, NULL, NULL);
  char text[200];
  size_t used = 0;
  int n;

  do {
    n = loop_line(fd, early->head + used, sizeof(early->head) - used);
    used += n > 0 ? (size_t)n : 0;
  } while (n > 2);
  while (!atomic_load(&early->asked)) {
    sched_yield();
  }
  n = snprintf(text, sizeof(text),
               "HTTP/1.1 %s X\r\nLocation: /echo\r\nContent-Length: 0\r\n\r\n",
               early->status);
  loop_write(fd, text, (size_t)n);
  while (recv(fd, text, sizeof(text), 0) > 0) {
  }
  close(fd);
  fd = accept(early->fd, NULL, NULL);
  if (fd >= 0) {
    struct loop_request *req = calloc(1, sizeof(*req));

    if (loop_read(fd, req) == 0) {
      atomic_store(&early->came_again, 1);
      while (!atomic_load(&early->looked)) {
        sched_yield();
      }
      echo(fd, req);
    }
    free(req);
    close(fd);
  }
  return NULL;
}

/* The reader was asked: 303 does not want its answer any more, and 307 cannot
 * have it. */
static void test_reader_asked_early(const char *status, const char *reason) {
  static struct early early;
  struct rig rig;
  pthread_t thread;
  freddy_request req = {
      .method = "POST", .path = "/x", .body_reader = 1, .reader_size = 5};
  freddy_call *call;
  freddy_event event = {0};
  uint32_t question;

  UNIT_CASE("%s", status);
  early.status = status;
  atomic_store(&early.asked, 0);
  atomic_store(&early.looked, 1);
  early.fd = loop_listen(&early.port);
  pthread_create(&thread, NULL, early_main, &early);
  rig.client = rig_client(early.port, NULL);
  CHECK_INT(freddy_inbox_new(&rig.inbox, NULL), FREDDY_OK);
  call = rig_start(&rig, &req);
  CHECK(rig_event(rig.inbox, &event));
  CHECK_INT(event.type, FREDDY_NEED_BODY);
  question = event.question;
  atomic_store(&early.asked, 1);
  CHECK(rig_event(rig.inbox, &event));
  CHECK_INT(event.type, FREDDY_DONE);
  CHECK_TEXT(rig_reason(call), reason);
  CHECK_TEXT(freddy_call_body(call, NULL), *reason ? "" : "GET /echo 0 key");
  CHECK_INT(freddy_call_answer(call, question, "12345", 5), FREDDY_OK);
  freddy_call_free(call);
  freddy_client_free(rig.client);
  freddy_inbox_free(rig.inbox);
  shutdown(early.fd, SHUT_RDWR);
  pthread_join(thread, NULL);
  close(early.fd);
  UNIT_CASE("%s", "");
}

/* Nobody has seen the question yet: nobody ever does. */
static void test_question_withdrawn(void) {
  static struct early early = {.status = "303"};
  struct rig rig;
  pthread_t thread;
  freddy_request req = {
      .method = "POST", .path = "/x", .body_reader = 1, .reader_size = 5};
  freddy_call *call;
  freddy_event event = {0};

  early.fd = loop_listen(&early.port);
  pthread_create(&thread, NULL, early_main, &early);
  rig.client = rig_client(early.port, NULL);
  CHECK_INT(freddy_inbox_new(&rig.inbox, NULL), FREDDY_OK);
  call = rig_start(&rig, &req);
  CHECK(freddy_inbox_wait(rig.inbox, PATIENCE));
  atomic_store(&early.asked, 1);
  EVENTUALLY(atomic_load(&early.came_again));
  CHECK(!freddy_inbox_ready(rig.inbox));
  atomic_store(&early.looked, 1);
  pthread_join(thread, NULL);
  CHECK(rig_event(rig.inbox, &event));
  CHECK_INT(event.type, FREDDY_DONE);
  CHECK_TEXT(freddy_call_body(call, NULL), "GET /echo 0 key");
  freddy_call_free(call);
  freddy_client_free(rig.client);
  freddy_inbox_free(rig.inbox);
  close(early.fd);
}

static void test_closed_between(struct rig *rig) {
  freddy_client *client = rig_client(rig->server->port, NULL);
  struct rig own = {rig->server, client, rig->inbox};
  freddy_request req = {.path = "/to/302/silent"};
  int before = atomic_load(&rig->server->requests);
  freddy_call *call = rig_start(&own, &req);

  EVENTUALLY(atomic_load(&rig->server->requests) >= before + 2);
  freddy_client_close(client);
  rig_done(rig->inbox, call);
  CHECK_TEXT(rig_kind(call), "closed");
  freddy_client_free(client);
  CHECK(ends_with(freddy_call_url(call), "/silent"));
  freddy_call_free(call);
}

/* Cancelled and freed at any moment of many hops. */
static void test_storm(struct rig *rig) {
  freddy_request req = {
      .method = "POST",
      .path = "/to/307/to/302/to/302/to/302/to/302/echo",
      .body = "abc",
      .body_size = 3,
      .headers = (const char *const[]){"Cookie", "a=b", "X-A", "b", NULL}};

  for (int i = 0; i < 200; i++) {
    freddy_call *calls[4];

    for (int k = 0; k < 4; k++) {
      calls[k] = rig_start(rig, &req);
    }
    rig_done(rig->inbox, calls[i % 4]);
    for (int k = 0; k < 4; k++) {
      CHECK(freddy_call_url(calls[k])[0] == 'h');
      freddy_call_free(calls[k]);
    }
  }
}

int main(void) {
  struct rig rig;

  rig_open(&rig, serve);
  test_answer(&rig);
  test_refused(&rig);
  test_url_in_flight(&rig);
  test_credential(&rig);
  test_masked_url(&rig);
  test_stream(&rig);
  test_reader(&rig);
  test_reader_asked_early("307", "body_spent");
  test_reader_asked_early("303", "");
  test_question_withdrawn();
  test_closed_between(&rig);
  test_storm(&rig);
  rig_close(&rig);
  return unit_end();
}
