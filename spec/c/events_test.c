/* SPDX-License-Identifier: MIT */
/* Event streams: what arrives, in which order, how much of it waits, how long
 * it may stay away, and how it ends. */
#include "engine_util.h"
#include "net/call.h"

enum { MANY = 200 * 1000, LARGE = 3 * 1024 * 1024 };

static const char head[] =
    "HTTP/1.1 200 X\r\n"
    "Content-Type: Text/Event-Stream ;charset=utf-8\r\n"
    "Transfer-Encoding: chunked\r\n\r\n";
static const char bare_head[] =
    "HTTP/1.1 200 X\r\nConnection: close\r\n"
    "Content-Type: text/event-stream\r\n\r\n";

static int say(int fd, const char *text, size_t size) {
  char line[32];
  int n = snprintf(line, sizeof(line), "%zx\r\n", size);

  return loop_write(fd, line, (size_t)n) || loop_write(fd, text, size) ||
         loop_write(fd, "\r\n", 2);
}

static int say_text(int fd, const char *text) {
  return say(fd, text, strlen(text));
}

static int end(int fd) {
  return loop_write(fd, "0\r\n\r\n", 5) == 0;
}

static int nth(char *into, size_t room, int n) {
  return snprintf(into, room, "id: %d\ndata: event %d of many\n\n", n / 3, n);
}

static int send_many(struct loopback *server, int fd) {
  static _Thread_local char text[MANY / 10 * 48]; /* they may overlap */
  int n = 0;

  while (n < MANY) {
    size_t size = 0;

    for (int i = 0; i < MANY / 10; i++) {
      size += (size_t)nth(text + size, sizeof(text) - size, n++);
    }
    if (say(fd, text, size)) {
      return 0;
    }
    atomic_fetch_add(&server->written, (long)size);
  }
  return end(fd);
}

/* An event of LARGE bytes, then a small one. */
static int send_large(int fd) {
  static char text[LARGE];

  memset(text, 'x', sizeof(text));
  if (say_text(fd, "data: ") || say(fd, text, sizeof(text)) ||
      say_text(fd, "\n\ndata: small\n\n")) {
    return 0;
  }
  return end(fd);
}

/* Says nothing, again and again, until nobody listens. */
static int send_heartbeats(struct loopback *server, int fd) {
  struct timespec pause = {0, 5000000};

  say_text(fd, "data: first\n\n");
  while (say_text(fd, ": still there\n\n") == 0) {
    atomic_fetch_add(&server->written, 1);
    nanosleep(&pause, NULL);
  }
  return 0;
}

static int serve(struct loopback *server, int fd,
                 const struct loop_request *req, int nth_request) {
  const char *path = req->path;

  (void)nth_request;
  if (strcmp(path, "/json") == 0) {
    return loop_answer(fd, 200, "Content-Type: application/json\r\n",
                       "{\"a\":1}") == 0;
  }
  if (strcmp(path, "/html") == 0) {
    return loop_answer(fd, 200, "Content-Type: text/html\r\n", "<p>") == 0;
  }
  if (strcmp(path, "/untyped") == 0) {
    return loop_answer(fd, 200, "", "data: x\n\n") == 0;
  }
  if (strcmp(path, "/error") == 0) {
    return loop_answer(fd, 500, "Content-Type: text/event-stream\r\n",
                       "data: x\n\n") == 0;
  }
  if (strcmp(path, "/closed-between") == 0 ||
      strcmp(path, "/closed-within") == 0) {
    loop_write(fd, bare_head, sizeof(bare_head) - 1);
    loop_write(fd, "data: a\n\ndata: b\n", path[8] == 'b' ? 9 : 17);
    return 0;
  }
  loop_write(fd, head, sizeof(head) - 1);
  if (strcmp(path, "/many") == 0) {
    return send_many(server, fd);
  }
  if (strcmp(path, "/large") == 0) {
    return send_large(fd);
  }
  if (strcmp(path, "/heartbeats") == 0) {
    return send_heartbeats(server, fd);
  }
  if (strcmp(path, "/accept") == 0) {
    say_text(fd, "data: ");
    say_text(fd, strstr(req->head, "Accept:") ? strstr(req->head, "Accept:")
                                              : "none\r\n");
    say_text(fd, "\n\n");
    return end(fd);
  }
  if (strcmp(path, "/cut") == 0) {
    say_text(fd, "data: a\n\ndata: b\n\n");
    return 0;
  }
  say_text(fd, ": hello\n\nevent: greeting\ndata: one\ndata: two\nid: 7\n\n");
  say(fd, "data: a\0b\nretry: 250\n\nid\nda", 27);
  say_text(fd, "ta\n\ndata: no blank line behind it\n");
  return end(fd);
}

static void check_text(const char *text, size_t size, const char *wanted,
                       size_t wanted_size) {
  CHECK_INT(size, wanted_size);
  CHECK(text && memcmp(text, wanted, wanted_size + 1) == 0); /* its NUL too */
}

#define CHECK_FIELD(text, size, wanted) \
  check_text(text, size, wanted, sizeof(wanted) - 1)

/* The next event, from the call or from the inbox. */
static int take(struct rig *rig, freddy_call *call, int pull,
                freddy_event *event) {
  if (!pull) {
    return rig_event(rig->inbox, event) && event->type == FREDDY_EVENT;
  }
  while (!freddy_call_next(call, event)) {
    freddy_event word;

    if (freddy_call_done(call) || !rig_event(rig->inbox, &word)) {
      return 0;
    }
  }
  return 1;
}

static freddy_call *open_stream(struct rig *rig, const char *path, int pull) {
  freddy_request req = {.path = path, .events = 1, .pull = pull};
  freddy_call *call = rig_start(rig, &req);
  freddy_event event;

  CHECK(rig_event(rig->inbox, &event));
  CHECK_INT(event.type, FREDDY_HEAD);
  CHECK_INT(freddy_call_status(call), 200);
  return call;
}

static void test_fields(struct rig *rig) {
  for (int pull = 0; pull < 2; pull++) {
    freddy_call *call = open_stream(rig, "/fields", pull);
    freddy_event event;

    UNIT_CASE("pull %d", pull);
    CHECK(take(rig, call, pull, &event));
    CHECK_FIELD(event.name, event.name_size, "greeting");
    CHECK_FIELD(event.data, event.size, "one\ntwo");
    CHECK_FIELD(event.id, event.id_size, "7");
    CHECK_INT(event.retry, -1);
    CHECK(take(rig, call, pull, &event));
    CHECK_FIELD(event.name, event.name_size, "message");
    CHECK_FIELD(event.data, event.size, "a\0b");
    CHECK_FIELD(event.id, event.id_size, "7");
    CHECK_INT(event.retry, 250);
    CHECK(take(rig, call, pull, &event));
    CHECK_FIELD(event.data, event.size, "");
    CHECK_FIELD(event.id, event.id_size, "");
    CHECK(!take(rig, call, pull, &event));
    CHECK_TEXT(rig_kind(call), "ok");
    CHECK_INT(freddy_call_done(call), 1);
    freddy_call_free(call);
  }
  UNIT_CASE("%s", "");
}

/* Who asks is taken to wait: so the last one says that it is. */
static void test_more(struct rig *rig) {
  freddy_request req = {.path = "/fields", .events = 1, .pull = 1};
  freddy_call *call = rig_start(rig, &req);
  freddy_event event;

  rig_done(rig->inbox, call);
  for (int left = 2; left >= 0; left--) {
    CHECK(freddy_call_next(call, &event));
    CHECK_INT(event.more, left > 0);
  }
  CHECK(!freddy_call_next(call, &event));
  freddy_call_free(call);
}

static void check_nth(const freddy_event *event, int n, int *wrong) {
  char text[64], id[32];

  snprintf(text, sizeof(text), "event %d of many", n);
  snprintf(id, sizeof(id), "%d", n / 3);
  *wrong += strcmp(event->data, text) != 0 || strcmp(event->id, id) != 0;
}

static size_t undrained(freddy_call *call) {
  size_t size;

  pthread_mutex_lock(&call->inbox->lock);
  size = call->flow.undrained;
  pthread_mutex_unlock(&call->inbox->lock);
  return size;
}

/* However many come, no more than `buffer` of them wait (and what one read of
 * the socket has made of them); none is lost, and they stay in order. */
static void test_backpressure(struct rig *rig) {
  enum { BUFFER = 100 * 1000, STEP = 64 * 1024 };
  freddy_options options = {.api_key = "k", .buffer = BUFFER};
  freddy_client *client = rig_client(rig->server->port, &options);

  for (int pull = 0; pull < 2; pull++) {
    freddy_request req = {.path = "/many", .events = 1, .pull = pull};
    freddy_call *call;
    freddy_event event;
    size_t most = 0;
    int n = 0;
    int wrong = 0;

    UNIT_CASE("pull %d", pull);
    CHECK_INT(freddy_start(client, rig->inbox, &req, &call, NULL), FREDDY_OK);
    EVENTUALLY(undrained(call) >= BUFFER);
    CHECK(rig_event(rig->inbox, &event));
    CHECK_INT(event.type, FREDDY_HEAD);
    while (take(rig, call, pull, &event)) {
      check_nth(&event, n++, &wrong);
      most = undrained(call) > most ? undrained(call) : most;
    }
    CHECK_INT(n, MANY);
    CHECK_INT(wrong, 0);
    CHECK(most < BUFFER + STEP);
    CHECK_TEXT(rig_kind(call), "ok");
    freddy_call_free(call);
  }
  UNIT_CASE("%s", "");
  freddy_client_free(client);
}

/* An event that is larger than the buffer gets through, and so does what
 * follows; one over max_event does not. */
static void test_large_event(struct rig *rig) {
  freddy_options options = {.api_key = "k", .buffer = 1000};
  freddy_client *client = rig_client(rig->server->port, &options);
  freddy_request req = {.path = "/large", .events = 1, .pull = 1};
  freddy_call *call;
  freddy_event event;

  CHECK_INT(freddy_start(client, rig->inbox, &req, &call, NULL), FREDDY_OK);
  CHECK(take(rig, call, 1, &event));
  CHECK_INT(event.size, LARGE);
  CHECK(take(rig, call, 1, &event));
  CHECK_TEXT(event.data, "small");
  CHECK(!take(rig, call, 1, &event));
  CHECK_TEXT(rig_kind(call), "ok");
  freddy_call_free(call);
  freddy_client_free(client);
  options.max_event = LARGE - 1;
  client = rig_client(rig->server->port, &options);
  CHECK_INT(freddy_start(client, rig->inbox, &req, &call, NULL), FREDDY_OK);
  CHECK(!take(rig, call, 1, &event));
  CHECK_TEXT(rig_kind(call), "too_large");
  CHECK_TEXT(rig_reason(call), "event");
  freddy_call_free(call);
  freddy_client_free(client);
}

static void test_what_is_none(struct rig *rig) {
  static const struct {
    const char *path, *kind, *reason, *body;
  } rows[] = {
      {"/json", "protocol", "not_an_event_stream", "{\"a\":1}"},
      {"/html", "protocol", "not_an_event_stream", ""},
      {"/untyped", "protocol", "not_an_event_stream", ""},
      {"/error", "ok", "", "data: x\n\n"},
  };

  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    freddy_request req = {.path = rows[i].path, .events = 1};
    freddy_call *call = rig_start(rig, &req);
    freddy_event event;

    UNIT_CASE("%s", rows[i].path);
    CHECK(rig_event(rig->inbox, &event));
    CHECK_INT(event.type, FREDDY_DONE);
    CHECK_TEXT(rig_kind(call), rows[i].kind);
    CHECK_TEXT(rig_reason(call), rows[i].reason);
    CHECK_TEXT(freddy_call_body(call, NULL), rows[i].body);
    freddy_call_free(call);
  }
  UNIT_CASE("%s", "");
}

static void test_ends(struct rig *rig) {
  static const struct {
    const char *path, *kind;
    int events;
  } rows[] = {
      {"/cut", "cut", 2},
      {"/closed-between", "ok", 1},
      {"/closed-within", "cut", 1},
  };

  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    freddy_call *call = open_stream(rig, rows[i].path, 1);
    freddy_event event;
    int count = 0;

    UNIT_CASE("%s", rows[i].path);
    while (take(rig, call, 1, &event)) {
      count++;
    }
    CHECK_INT(count, rows[i].events);
    CHECK_TEXT(rig_kind(call), rows[i].kind);
    freddy_call_free(call);
  }
  UNIT_CASE("%s", "");
}

/* Comments keep the bytes flowing, not the events. */
static void test_silence(struct rig *rig) {
  for (int pull = 0; pull < 2; pull++) {
    freddy_request req = {.path = "/heartbeats",
                          .events = 1,
                          .pull = pull,
                          .timeout = {.event = 0.1, .stall = 10}};
    freddy_call *call = rig_start(rig, &req);
    freddy_event event;

    UNIT_CASE("pull %d", pull);
    CHECK(rig_event(rig->inbox, &event));
    CHECK_INT(event.type, FREDDY_HEAD);
    CHECK(take(rig, call, pull, &event));
    CHECK_TEXT(event.data, "first");
    CHECK(!take(rig, call, pull, &event));
    CHECK_TEXT(rig_kind(call), "timeout");
    CHECK_TEXT(rig_reason(call), "event");
    freddy_call_free(call);
  }
  UNIT_CASE("%s", "");
}

/* As long as an event waits to be taken, the silence behind it is nobody's;
 * from when it was taken it is. */
static void test_silence_of_the_taker(struct rig *rig) {
  freddy_request req = {.path = "/heartbeats",
                        .events = 1,
                        .pull = 1,
                        .timeout = {.event = 0.05, .stall = 10}};
  freddy_call *call = rig_start(rig, &req);
  freddy_call *timer;
  freddy_event event;

  EVENTUALLY(undrained(call) > 0);
  CHECK_INT(freddy_start_timer(rig->inbox, 0.3, NULL, &timer, NULL), 0);
  CHECK(rig_done(rig->inbox, timer));
  freddy_call_free(timer);
  CHECK_INT(freddy_call_done(call), 0);
  CHECK(take(rig, call, 1, &event));
  CHECK(!take(rig, call, 1, &event));
  CHECK_TEXT(rig_reason(call), "event");
  freddy_call_free(call);
}

/* What the host looks at stays when its call is freed. */
static void test_free_while_borrowed(struct rig *rig) {
  freddy_call *call = open_stream(rig, "/many", 0);
  freddy_event event;

  CHECK(rig_event(rig->inbox, &event));
  CHECK_INT(event.type, FREDDY_EVENT);
  freddy_call_free(call);
  CHECK_TEXT(event.data, "event 0 of many");
  CHECK_TEXT(event.id, "0");
  CHECK_INT(freddy_inbox_next(rig->inbox, &event), 0);
}

static void test_cancel(struct rig *rig) {
  freddy_call *call = open_stream(rig, "/many", 1);
  freddy_event event;

  CHECK(take(rig, call, 1, &event));
  freddy_call_cancel(call);
  rig_done(rig->inbox, call);
  CHECK_TEXT(rig_kind(call), "cancelled");
  freddy_call_free(call);
  EVENTUALLY(atomic_load(&rig->server->open) <= 2);
}

static void test_accept(struct rig *rig) {
  static const char *const headers[] = {"Accept", "a/b", NULL};
  freddy_request req = {.path = "/accept", .events = 1, .pull = 1};

  for (int own = 0; own < 2; own++) {
    freddy_call *call;
    freddy_event event;
    const char *wanted = own ? "Accept: a/b" : "Accept: text/event-stream";

    req.headers = own ? headers : NULL;
    call = rig_start(rig, &req);
    CHECK(take(rig, call, 1, &event));
    CHECK(strncmp(event.data, wanted, strlen(wanted)) == 0);
    freddy_call_free(call);
  }
}

static void test_misuse(struct rig *rig) {
  static const freddy_request rows[] = {
      {.path = "/", .events = 1, .method = "HEAD"},
      {.path = "/", .events = 1, .stream = 1},
      {.path = "/", .events = 1, .save_to = "/tmp/x"},
  };

  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    freddy_call *call;

    CHECK_INT(freddy_start(rig->client, rig->inbox, &rows[i], &call, NULL),
              FREDDY_EMISUSE);
  }
}

int main(void) {
  struct rig rig;

  rig_open(&rig, serve);
  test_fields(&rig);
  test_more(&rig);
  test_backpressure(&rig);
  test_large_event(&rig);
  test_what_is_none(&rig);
  test_ends(&rig);
  test_silence(&rig);
  test_silence_of_the_taker(&rig);
  test_free_while_borrowed(&rig);
  test_cancel(&rig);
  test_accept(&rig);
  test_misuse(&rig);
  rig_close(&rig);
  return unit_end();
}
