/* SPDX-License-Identifier: MIT */
/* Turns by the C API: events that are named and classed, the end, and how a
 * call goes on behind a break. */
#include "engine_util.h"

#define CREATED(thread)                                                  \
  "id: 1\ndata: {\"event\":\"response.created\",\"thread_id\":\"" thread \
  "\"}\n\n"
#define DELTA(id) \
  "id: " id       \
  "\ndata: {\"event\":\"response.content_delta\",\"delta\":\"x\"}\n\n"
#define DONE "data: [DONE]\n\n"

static int stream(int fd, const char *more, const char *text) {
  char head[200];
  int n = snprintf(head, sizeof(head),
                   "HTTP/1.1 200 X\r\nContent-Type: text/event-stream\r\n"
                   "%sConnection: close\r\n\r\n",
                   more);

  loop_write(fd, head, (size_t)n);
  loop_write(fd, text, strlen(text));
  return 0;
}

/* Until the other side closes. */
static int hold(int fd, const char *text) {
  char byte;

  stream(fd, "", text);
  while (recv(fd, &byte, 1, 0) > 0) {
  }
  return 0;
}

/* What a request must look like to be one for the rest. */
static int is_for_the_rest(const struct loop_request *req) {
  return strcmp(req->method, "GET") == 0 && req->body_size == 0 &&
         !strstr(req->head, "Content-Type:") &&
         strstr(req->head, "\r\nX-Mine: 1\r\n") &&
         strstr(req->head, "api-key: ");
}

static int serve_rest(int fd, const struct loop_request *req) {
  const char *path = req->path;

  if (!is_for_the_rest(req)) {
    return loop_answer(fd, 400, "", "no request for the rest") == 0;
  }
  if (strcmp(path, "/cut/a%2Fb/stream?last_event_id=2") == 0) {
    return stream(fd, "X-From: the rest\r\n", DELTA("2") DELTA("3"));
  }
  if (strcmp(path, "/cut/a%2Fb/stream?last_event_id=3") == 0) {
    return stream(fd, "X-From: the rest\r\n", DELTA("4") DONE);
  }
  if (strcmp(path, "/html/a/stream?last_event_id=1") == 0) {
    return loop_answer(fd, 200, "Content-Type: text/html\r\n", "<p>") == 0;
  }
  if (strcmp(path, "/limited/a/stream?last_event_id=1") == 0) {
    return loop_answer(fd, 429, "Retry-After: 120\r\n", "{}") == 0;
  }
  if (strcmp(path, "/busy/a/stream?last_event_id=1") == 0) {
    return loop_answer(fd, 503, "Retry-After: 120\r\n", "{}") == 0;
  }
  return loop_answer(
             fd,
             strcmp(path, "/gone/a/stream?last_event_id=1") == 0 ? 404 : 401,
             "", "no") == 0;
}

#define TOKENS "{\"access_token\":\"new\",\"refresh_token\":\"more\"}"
#define NOTE "id: 1\ndata: {\"event\":\"response.processing\"}\n\n"

#define REFUSAL                                              \
  "data: {\"event\":\"response.error\",\"error\":{\"code\":" \
  "\"TOKEN_EXPIRED\"}}\n\n"

/* So much that it cannot be held back; then, well behind it, the refusal. */
static int stream_long(int fd) {
  static char text[200000];

  memset(text, ' ', sizeof(text));
  memcpy(text, NOTE, sizeof(NOTE) - 3);
  memcpy(text + sizeof(text) / 2, "\n\n", 2);
  memcpy(text + sizeof(text) - sizeof(REFUSAL) - 1, "\n" REFUSAL,
         sizeof(REFUSAL) + 1);
  return stream(fd, "", text);
}

/* By a session: the token "old" is refused within the stream. */
static int serve_session(int fd, const struct loop_request *req) {
  const char *path = req->path;

  if (strcmp(path, "/v1/auth/refresh") == 0) {
    return loop_answer(fd, 200, "Content-Type: application/json\r\n",
                       TOKENS) == 0;
  }
  if (strcmp(path, "/session/noted") == 0) {
    return stream(fd, "", NOTE);
  }
  if (strcmp(path, "/session/large") == 0) {
    return stream(
        fd, "",
        NOTE
        ": a comment that is longer than an event may be, and so the end\n");
  }
  if (strcmp(path, "/session/begun") == 0) {
    return stream(fd, "", CREATED("a"));
  }
  if (strcmp(path, "/session/long") == 0) {
    return stream_long(fd);
  }
  return stream(fd, "",
                strstr(req->head, "Bearer old") ? REFUSAL : DELTA("2") DONE);
}

static int serve(struct loopback *server, int fd,
                 const struct loop_request *req, int nth) {
  const char *path = req->path;

  (void)server;
  (void)nth;
  if (strncmp(path, "/session", 8) == 0 || strncmp(path, "/v1", 3) == 0) {
    return serve_session(fd, req);
  }
  if (strstr(path, "/stream")) {
    return serve_rest(fd, req);
  }
  if (strcmp(path, "/json") == 0) {
    return loop_answer(fd, 200, "Content-Type: application/json\r\n",
                       "{\"response\":\"x\"}") == 0;
  }
  if (strcmp(path, "/all") == 0) {
    return stream(fd, "",
                  CREATED("a") DELTA("2")
                      "data: {\"event\":\"response.heartbeat\"}\n\n"
                      "data: {\"event\":\"response.block\",\"block\":{"
                      "\"type\":\"tool_call\",\"id\":\"c\"}}\n\n"
                      "event: response.completed\ndata: {}\n\n" DONE DELTA(
                          "9"));
  }
  if (strcmp(path, "/failed") == 0) {
    return stream(fd, "",
                  CREATED("a") "event: response.failed\ndata: {\"error\":{"
                               "\"code\":\"rate_limit\"}}\n\n");
  }
  if (strcmp(path, "/held") == 0) {
    return hold(fd, CREATED("a") "event: response.completed\ndata: {}\n\n");
  }
  if (strcmp(path, "/nameless") == 0) {
    return stream(fd, "", DELTA("1"));
  }
  if (strcmp(path, "/spent") == 0) {
    return stream(fd,
                  "X-From: the first\r\nX-RateLimit-Remaining: 0\r\n"
                  "X-RateLimit-Reset: 120\r\n",
                  CREATED("a"));
  }
  return stream(fd, "X-From: the first\r\n",
                strncmp(path, "/cut", 4) == 0
                    ? CREATED("a/b") DELTA("2") "id: 3\ndata: {\"event\":"
                    : CREATED("a"));
}

static freddy_call *ask(struct rig *rig, freddy_request *req) {
  static const char *const headers[] = {"Content-Type", "a/b", "X-Mine", "1",
                                        NULL};

  req->method = "POST";
  req->body = "{}";
  req->body_size = 2;
  req->headers = headers;
  req->events = req->turn = 1;
  return rig_start(rig, req);
}

/* The events as "name class;", then the head that is told at the end. */
static const char *trace(struct rig *rig, freddy_call *call) {
  static const char classes[] = "-ncqtf";
  static char text[1000];
  const char *from;
  freddy_event event;
  size_t at = 0;

  text[0] = '\0';
  while (rig_event(rig->inbox, &event) && event.type != FREDDY_DONE) {
    if (event.type == FREDDY_EVENT) {
      at += (size_t)snprintf(text + at, sizeof(text) - at, "%s %c", event.name,
                             classes[event.turn_class]);
      if (event.status) {
        at +=
            (size_t)snprintf(text + at, sizeof(text) - at, "%d", event.status);
      }
      at += (size_t)snprintf(text + at, sizeof(text) - at,
                             event.tool >= 0 ? "#%d;" : ";", event.tool);
    }
  }
  from = freddy_call_header_get(call, "x-from");
  snprintf(text + at, sizeof(text) - at, "%s", from ? from : "");
  return text;
}

static const char *cause(const freddy_call *call) {
  const freddy_error *err = freddy_call_error(call);

  return err && err->cause ? err->cause : "";
}

static void test_turns(struct rig *rig) {
  static const struct {
    freddy_request req;
    const char *trace, *kind, *cause;
    int requests;
  } rows[] = {
      {{.path = "/all"},
       "response.created n;response.content_delta c;response.heartbeat q;"
       "response.block c#0;response.completed t;",
       "ok",
       "",
       1},
      {{.path = "/failed"},
       "response.created n;response.failed f429;",
       "ok",
       "",
       1},
      {{.path = "/held"},
       "response.created n;response.completed t;",
       "ok",
       "",
       1},
      {{.path = "/cut?with=a&query=b"},
       "response.created n;response.content_delta c;"
       "response.content_delta c;response.content_delta c;the first",
       "ok",
       "",
       3},
      {{.path = "/cut", .retries = -1},
       "response.created n;response.content_delta c;the first",
       "cut",
       "off",
       1},
      {{.path = "/cut", .no_resume = 1},
       "response.created n;response.content_delta c;the first",
       "cut",
       "off",
       1},
      {{.path = "/gone"},
       "response.created n;the first",
       "cut",
       "not_found",
       2},
      {{.path = "/refused"},
       "response.created n;the first",
       "cut",
       "unauthorized",
       2},
      {{.path = "/html"}, "response.created n;the first", "cut", "refused", 2},
      {{.path = "/nameless"},
       "response.content_delta c;",
       "cut",
       "no_thread",
       1},
      {{.path = "/json"}, "", "ok", "", 1},
  };

  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    freddy_request req = rows[i].req;
    int before = atomic_load(&rig->server->requests);
    freddy_call *call;

    UNIT_CASE("%s", req.path);
    call = ask(rig, &req);
    CHECK_TEXT(trace(rig, call), rows[i].trace);
    CHECK_TEXT(rig_kind(call), rows[i].kind);
    CHECK_TEXT(cause(call), rows[i].cause);
    CHECK_INT(freddy_call_status(call), 200);
    CHECK(strstr(freddy_call_url(call), rows[i].req.path));
    CHECK_INT(atomic_load(&rig->server->requests) - before, rows[i].requests);
    freddy_call_free(call);
  }
  UNIT_CASE("%s", "");
}

/* A limit that holds too long ends it as cut: where limits are heeded, and
 * where each try has to learn of them. */
static void test_limited(struct rig *rig) {
  static const struct {
    const char *path, *key; /* who shares a key shares its limits */
    freddy_rate_mode mode;
    const char *cause;
    int requests;
  } rows[] = {
      {"/limited", "l1", FREDDY_RATE_ADAPTIVE, "rate_limited", 2},
      {"/limited", "l2", FREDDY_RATE_OFF, "rate_limited", 2},
      {"/busy", "l3", FREDDY_RATE_OFF, "refused", 2},
      {"/spent", "l4", FREDDY_RATE_ADAPTIVE, "rate_limited", 1},
  };

  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    freddy_options options = {.api_key = rows[i].key,
                              .rate_limit = {.mode = rows[i].mode}};
    freddy_request req = {.path = rows[i].path};
    int before = atomic_load(&rig->server->requests);
    struct rig own = *rig;
    freddy_call *call;

    UNIT_CASE("%s, limits %d", req.path, (int)rows[i].mode);
    own.client = rig_client(rig->server->port, &options);
    call = ask(&own, &req);
    CHECK_TEXT(trace(&own, call), "response.created n;the first");
    CHECK_TEXT(rig_kind(call), "cut");
    CHECK_TEXT(cause(call), rows[i].cause);
    CHECK_INT(atomic_load(&rig->server->requests) - before, rows[i].requests);
    freddy_call_free(call);
    freddy_client_free(own.client);
  }
  UNIT_CASE("%s", "");
}

/* The thread that the request names will do where no event tells one. */
static void test_thread(struct rig *rig) {
  freddy_request req = {.path = "/nameless", .thread = "a"};
  freddy_call *call = ask(rig, &req);

  CHECK_TEXT(trace(rig, call), "response.content_delta c;");
  CHECK_TEXT(cause(call), "unauthorized"); /* it was asked for, at least */
  freddy_call_free(call);
}

static void test_json(struct rig *rig) {
  freddy_request req = {.path = "/json"};
  freddy_call *call = ask(rig, &req);

  rig_done(rig->inbox, call);
  CHECK_TEXT(freddy_call_body(call, NULL), "{\"response\":\"x\"}");
  freddy_call_free(call);
}

/* What a session's stream is held back for, until it is no 401 for sure, is
 * told before it goes on; and one that goes on may be refused by an event. */
static void test_session(struct rig *rig) {
  static const struct {
    const char *path, *token, *trace, *kind;
    int requests;
  } rows[] = {
      {"/session/noted", "good",
       "response.processing n;response.content_delta c;", "ok", 2},
      {"/session/begun", "old", "response.created n;response.content_delta c;",
       "ok", 4},
      {"/session/long", "old", "response.processing n;response.error f401;",
       "ok", 1},
      {"/session/large", "good", "response.processing n;", "too_large", 1},
  };

  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    freddy_options options = {.token = rows[i].token,
                              .refresh_token = rows[i].path,
                              .max_event = i == 3 ? 60 : 0};
    freddy_request req = {.path = rows[i].path, .thread = "t"};
    int before = atomic_load(&rig->server->requests);
    struct rig own = *rig;
    freddy_call *call;

    UNIT_CASE("%s", req.path);
    own.client = rig_client(rig->server->port, &options);
    call = ask(&own, &req);
    CHECK_TEXT(trace(&own, call), rows[i].trace);
    CHECK_TEXT(rig_kind(call), rows[i].kind);
    CHECK_INT(atomic_load(&rig->server->requests) - before, rows[i].requests);
    freddy_call_free(call);
    freddy_client_free(own.client);
  }
  UNIT_CASE("%s", "");
}

/* While it waits to go on: ended by its host, its client, its total. */
static void test_ended_between(struct rig *rig) {
  for (int how = 0; how < 3; how++) {
    freddy_options options = {.api_key = "k"};
    freddy_client *client = rig_client(rig->server->port, &options);
    freddy_request req = {.method = "POST",
                          .path = "/cut",
                          .events = 1,
                          .turn = 1,
                          .timeout = {.total = how == 2 ? 0.05 : 0}};
    freddy_event event;
    freddy_call *call;

    UNIT_CASE("ended by %d", how);
    CHECK_INT(freddy_start(client, rig->inbox, &req, &call, NULL), FREDDY_OK);
    while (rig_event(rig->inbox, &event) && event.type != FREDDY_EVENT) {
    }
    if (how == 0) {
      freddy_call_cancel(call);
    } else if (how == 1) {
      freddy_client_close(client);
    }
    rig_done(rig->inbox, call);
    /* Without X-Mine it is no request for the rest, and refused. */
    CHECK(how != 0 || strcmp(rig_kind(call), "cancelled") == 0);
    CHECK(how != 1 || strcmp(rig_kind(call), "closed") == 0 ||
          strcmp(rig_kind(call), "cut") == 0);
    CHECK(how != 2 || strcmp(rig_kind(call), "timeout") == 0 ||
          strcmp(rig_kind(call), "cut") == 0);
    freddy_call_free(call);
    freddy_client_free(client);
  }
  UNIT_CASE("%s", "");
}

static void test_misuse(struct rig *rig) {
  freddy_request req = {.path = "/all", .turn = 1};
  freddy_error err = {.code = FREDDY_OK};
  freddy_call *call;

  CHECK_INT(freddy_start(rig->client, rig->inbox, &req, &call, &err),
            FREDDY_EMISUSE);
  CHECK_TEXT(err.message, "turn: only with events");
}

int main(void) {
  struct rig rig;

  rig_open(&rig, serve);
  test_turns(&rig);
  test_limited(&rig);
  test_thread(&rig);
  test_json(&rig);
  test_session(&rig);
  test_ended_between(&rig);
  test_misuse(&rig);
  rig_close(&rig);
  return unit_end();
}
