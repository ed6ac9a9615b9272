/* SPDX-License-Identifier: MIT */
/* The engine through its public API: the whole life of a call, every way it
 * can end, and who may close what under it. */
#include "engine_util.h"

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static int serve(struct loopback *server, int fd,
                 const struct loop_request *req, int nth) {
  char text[256];

  if (strcmp(req->path, "/echo") == 0) {
    snprintf(text, sizeof(text), "%s %zu %.100s", req->method, req->body_size,
             req->body);
    return loop_answer(fd, 200, "", text) == 0;
  }
  if (strcmp(req->path, "/key") == 0) {
    const char *key = strstr(req->head, "api-key: ");

    snprintf(text, sizeof(text), "X-Echo: %.25s\r\n", key ? key + 9 : "-");
    return loop_answer(fd, 401, text, key ? key : "none") == 0;
  }
  if (strcmp(req->path, "/silent") == 0) {
    char byte;

    return recv(fd, &byte, 1, 0) > 0; /* until the client goes away */
  }
  if (strcmp(req->path, "/half") == 0) {
    loop_write(fd, "HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\nhalf", 41);
    return 0;
  }
  if (strcmp(req->path, "/stall") == 0) {
    char byte;

    loop_write(fd, "HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\nhalf", 41);
    return recv(fd, &byte, 1, 0) > 0;
  }
  if (strcmp(req->path, "/second-dies") == 0 && nth > 1) {
    return 0;
  }
  if (strcmp(req->path, "/gated") == 0) {
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
  }
  (void)server;
  return loop_answer(fd, 200, "Content-Type: text/plain\r\n", "hello") == 0;
}

static void test_get(struct rig *rig) {
  freddy_request req = {.path = "/hello", .user = rig};
  freddy_call *call = rig_start(rig, &req);
  freddy_stats stats;
  freddy_event event;
  size_t size;

  CHECK(rig_event(rig->inbox, &event));
  CHECK_INT(event.type, FREDDY_DONE);
  CHECK(event.call == call && event.user == rig);
  CHECK_INT(freddy_inbox_ready(rig->inbox), 0);
  CHECK_INT(freddy_inbox_next(rig->inbox, &event), 0);
  CHECK(freddy_call_done(call));
  CHECK_TEXT(rig_kind(call), "ok");
  CHECK_INT(freddy_call_status(call), 200);
  CHECK_TEXT(freddy_call_body(call, &size), "hello");
  CHECK_INT(size, 5);
  CHECK_TEXT(freddy_call_header_get(call, "CONTENT-type"), "text/plain");
  freddy_call_stats(call, &stats);
  CHECK_INT(stats.attempts, 1);
  CHECK_INT(stats.http_version, 11);
  CHECK_INT(stats.received, 5);
  CHECK(stats.total > 0);
  freddy_call_cancel(call); /* too late: changes nothing */
  CHECK_TEXT(rig_kind(call), "ok");
  freddy_call_free(call);
}

static void test_methods(struct rig *rig) {
  static const struct {
    const char *method, *body, *want;
  } rows[] = {
      {"GET", NULL, "GET 0 "},         {"POST", "x=1", "POST 3 x=1"},
      {"POST", NULL, "POST 0 "},       {"POST", "", "POST 0 "},
      {"PUT", "abc", "PUT 3 abc"},     {"PATCH", "{}", "PATCH 2 {}"},
      {"DELETE", NULL, "DELETE 0 "},   {"DELETE", "d", "DELETE 1 d"},
      {"OPTIONS", NULL, "OPTIONS 0 "}, {"PROPFIND", "p", "PROPFIND 1 p"},
  };

  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    freddy_request req = {
        .method = rows[i].method,
        .path = "/echo",
        .body = rows[i].body,
        .body_size = rows[i].body ? strlen(rows[i].body) : 0};
    freddy_call *call = rig_start(rig, &req);

    UNIT_CASE("%s", rows[i].want);
    rig_done(rig->inbox, call);
    CHECK_TEXT(freddy_call_body(call, NULL), rows[i].want);
    freddy_call_free(call);
  }
  UNIT_CASE("%s", "");
}

static void test_reuse(struct rig *rig) {
  freddy_request req = {.path = "/hello"};
  int before;
  freddy_stats stats = {0};

  for (int i = 0; i < 20; i++) {
    freddy_call *call = rig_start(rig, &req);

    rig_done(rig->inbox, call);
    freddy_call_stats(call, &stats);
    freddy_call_free(call);
    if (i == 0) {
      before = atomic_load(&rig->server->connections);
    }
  }
  CHECK_INT(atomic_load(&rig->server->connections), before);
  CHECK_INT(stats.reused, 1);
}

static void test_missing_credentials(struct rig *rig) {
  freddy_options none = {0};
  freddy_client *client = rig_client(rig->server->port, &none);
  freddy_request req = {.path = "/hello"};
  freddy_error err = {.code = FREDDY_OK};
  freddy_call *call;

  CHECK_INT(freddy_start(client, rig->inbox, &req, &call, &err),
            FREDDY_EMISSING_CREDENTIALS);
  CHECK(call == NULL);
  req.auth = FREDDY_AUTH_OFF;
  CHECK_INT(freddy_start(client, rig->inbox, &req, &call, NULL), FREDDY_OK);
  rig_done(rig->inbox, call);
  CHECK_INT(freddy_call_status(call), 200);
  freddy_call_free(call);
  freddy_client_free(client);
}

static void test_redaction(struct rig *rig) {
  freddy_request req = {.path = "/key"};
  freddy_call *call = rig_start(rig, &req);
  char *text;

  rig_done(rig->inbox, call);
  CHECK_INT(freddy_call_status(call), 401);
  CHECK(strstr(freddy_call_body(call, NULL), "api-key: ***") != NULL);
  CHECK_TEXT(freddy_call_header_get(call, "x-echo"), "***");
  freddy_call_free(call);
  req.api_key = "another-key-0123456789abc";
  call = rig_start(rig, &req);
  rig_done(rig->inbox, call);
  CHECK(strstr(freddy_call_body(call, NULL), "another") == NULL);
  CHECK(strstr(freddy_call_body(call, NULL), "api-key: ***") != NULL);
  CHECK_INT(freddy_client_redact(rig->client, "a another-key-0123456789abc b",
                                 29, &text, NULL),
            FREDDY_OK);
  CHECK_TEXT(text, "a *** b");
  freddy_free(text);
  freddy_call_free(call);
}

static void test_credential_switch(struct rig *rig) {
  freddy_request req = {.path = "/key"};
  freddy_call *call;
  char tail[5];

  CHECK_INT(freddy_client_credential(rig->client, tail), FREDDY_API_KEY);
  CHECK_TEXT(tail, "cdef");
  CHECK_INT(
      freddy_client_set_credential(rig->client, FREDDY_TOKEN, "a b", 3, NULL),
      FREDDY_EMISUSE);
  CHECK_INT(
      freddy_client_set_credential(rig->client, FREDDY_TOKEN, "tok", 3, NULL),
      FREDDY_OK);
  call = rig_start(rig, &req);
  rig_done(rig->inbox, call);
  CHECK_TEXT(freddy_call_body(call, NULL), "none"); /* no key was sent */
  freddy_call_free(call);
  CHECK_INT(freddy_client_credential(rig->client, tail), FREDDY_TOKEN);
  CHECK_TEXT(tail, "");
  CHECK_INT(
      freddy_client_set_credential(rig->client, FREDDY_API_KEY,
                                   "unit-key-0123456789abcdef", 25, NULL),
      FREDDY_OK);
}

static void test_cancel(struct rig *rig) {
  freddy_request req = {.path = "/silent"};
  freddy_event event;
  int seen = atomic_load(&rig->server->requests);

  for (int i = 0; i < 50; i++) {
    freddy_call *call = rig_start(rig, &req);

    if (i % 2) {
      EVENTUALLY(atomic_load(&rig->server->requests) > seen);
    }
    seen = atomic_load(&rig->server->requests);
    freddy_call_cancel(call);
    freddy_call_cancel(call);
    CHECK(freddy_inbox_next(rig->inbox, &event)); /* at once */
    CHECK_INT(event.type, FREDDY_DONE);
    CHECK_TEXT(rig_kind(call), "cancelled");
    CHECK_INT(freddy_inbox_next(rig->inbox, &event), 0);
    freddy_call_free(call);
  }
  EVENTUALLY(atomic_load(&rig->server->open) <= 1); /* their connections end */
}

static void test_cut(struct rig *rig) {
  freddy_request req = {.path = "/half"};
  freddy_call *call = rig_start(rig, &req);

  rig_done(rig->inbox, call);
  CHECK_TEXT(rig_kind(call), "cut");
  CHECK_INT(freddy_call_error(call)->sent, 1);
  CHECK_INT(freddy_call_status(call), 200);
  freddy_call_free(call);
}

static void check_timeout(struct rig *rig, const char *path,
                          freddy_timeouts timeout, const char *reason) {
  freddy_request req = {.path = path, .timeout = timeout};
  freddy_call *call = rig_start(rig, &req);

  UNIT_CASE("%s", reason);
  rig_done(rig->inbox, call);
  CHECK_TEXT(rig_kind(call), "timeout");
  CHECK_TEXT(rig_reason(call), reason);
  freddy_call_free(call);
  UNIT_CASE("%s", "");
}

static void test_timeouts(struct rig *rig) {
  check_timeout(rig, "/silent", (freddy_timeouts){.first_byte = 0.05},
                "first_byte");
  check_timeout(rig, "/stall", (freddy_timeouts){.stall = 0.05}, "stall");
  check_timeout(rig, "/silent", (freddy_timeouts){.total = 0.05}, "total");
}

/* The kernel accepts, nobody ever reads: TLS gets no answer. */
static void test_connect_timeout(struct rig *rig) {
  unsigned port;
  int fd = loop_listen(&port);
  char url[64];
  freddy_request req = {.path = url, .timeout = {.connect = 0.1}};
  freddy_call *calls[20];

  snprintf(url, sizeof(url), "https://127.0.0.1:%u/", port);
  for (int i = 0; i < 20; i++) {
    calls[i] = rig_start(rig, &req);
  }
  for (int i = 0; i < 20; i++) {
    freddy_event event;

    CHECK(rig_event(rig->inbox, &event));
    CHECK_TEXT(rig_kind(event.call), "timeout");
    CHECK_TEXT(rig_reason(event.call), "connect");
    CHECK_INT(freddy_call_error(event.call)->sent, 0);
  }
  for (int i = 0; i < 20; i++) {
    freddy_call_free(calls[i]);
  }
  close(fd);
}

static void test_refused(struct rig *rig) {
  unsigned port;
  int fd = loop_listen(&port);
  char url[64];
  freddy_request req = {.path = url};
  freddy_call *call;

  close(fd);
  snprintf(url, sizeof(url), "http://127.0.0.1:%u/", port);
  call = rig_start(rig, &req);
  rig_done(rig->inbox, call);
  CHECK_TEXT(rig_kind(call), "connect");
  freddy_call_free(call);
}

/* libcurl would repeat a request by itself when a reused connection dies: a
 * GET may be, once, a POST is never seen twice. */
static void test_reused_connection_dies(struct rig *rig) {
  freddy_request get = {.path = "/second-dies"};
  freddy_request post = {
      .method = "POST", .path = "/second-dies", .body = "b", .body_size = 1};
  freddy_stats stats;
  freddy_call *call;
  int posts;

  freddy_shutdown(); /* no pooled connection */
  for (int i = 1; i <= 2; i++) {
    call = rig_start(rig, &get);
    rig_done(rig->inbox, call);
    CHECK_TEXT(rig_kind(call), "ok");
    freddy_call_stats(call, &stats);
    CHECK_INT(stats.attempts, i);
    freddy_call_free(call);
  }
  posts = atomic_load(&rig->server->posts);
  call = rig_start(rig, &post);
  rig_done(rig->inbox, call);
  CHECK_TEXT(rig_kind(call), "cut");
  CHECK_INT(freddy_call_error(call)->sent, 1);
  CHECK_INT(atomic_load(&rig->server->posts) - posts, 1);
  freddy_call_free(call);
}

static void test_client_close(struct rig *rig) {
  freddy_client *client = rig_client(rig->server->port, NULL);
  freddy_request req = {.path = "/silent"};
  freddy_request timer_like = {.path = "/hello"};
  freddy_error err = {.code = FREDDY_OK};
  freddy_call *calls[10];
  freddy_call *none;

  for (int i = 0; i < 10; i++) {
    CHECK_INT(freddy_start(client, rig->inbox, &req, &calls[i], NULL), 0);
  }
  freddy_client_close(client);
  freddy_client_close(client);
  CHECK_INT(freddy_start(client, rig->inbox, &timer_like, &none, &err),
            FREDDY_ECLOSED);
  for (int i = 0; i < 10; i++) {
    freddy_event event;

    CHECK(rig_event(rig->inbox, &event));
    CHECK_TEXT(rig_kind(event.call), "closed");
  }
  for (int i = 0; i < 10; i++) {
    freddy_call_free(calls[i]);
  }
  freddy_client_free(client);
}

/* Whoever goes first: the call, the inbox or the client. */
static void test_free_in_any_order(struct rig *rig) {
  freddy_request req = {.path = "/silent"};

  for (int order = 0; order < 6; order++) {
    freddy_client *client = rig_client(rig->server->port, NULL);
    freddy_inbox *inbox = NULL;
    freddy_call *call = NULL;

    CHECK_INT(freddy_inbox_new(&inbox, NULL), FREDDY_OK);
    CHECK_INT(freddy_start(client, inbox, &req, &call, NULL), FREDDY_OK);
    for (int step = 0; step < 3; step++) {
      switch ((order % 2 ? 3 - step : step) + order / 2) {
      case 0:
      case 3:
        freddy_call_free(call);
        call = NULL;
        break;
      case 1:
      case 4:
        freddy_inbox_free(inbox);
        inbox = NULL;
        break;
      default:
        freddy_client_free(client);
        client = NULL;
      }
    }
    freddy_call_free(call);
    freddy_inbox_free(inbox);
    freddy_client_free(client);
  }
  EVENTUALLY(atomic_load(&rig->server->open) <= 1);
}

/* A client closed by one thread while another starts calls on it. */
static void *close_it(void *context) {
  freddy_client_close(context);
  return NULL;
}

static void test_close_while_starting(struct rig *rig) {
  freddy_request req = {.path = "/silent"};

  for (int i = 0; i < 200; i++) {
    freddy_client *client = rig_client(rig->server->port, NULL);
    freddy_call *call = NULL;
    pthread_t thread;

    pthread_create(&thread, NULL, close_it, client);
    if (freddy_start(client, rig->inbox, &req, &call, NULL) == FREDDY_OK) {
      rig_done(rig->inbox, call);
      CHECK_TEXT(rig_kind(call), "closed");
    }
    pthread_join(thread, NULL);
    freddy_call_free(call);
    freddy_client_free(client);
  }
}

static void test_proxy_options(void) {
  static const char *const bad[] = {"127.0.0.1:80",
                                    "ftp://h:1",
                                    "http://",
                                    "http://h:99999",
                                    "http://u%0a:pw@h:1",
                                    "http://u:%zzpw@h:1",
                                    "http://u%3a:pw@h:1",
                                    "http://:pw@h:1",
                                    "http://h b",
                                    "http://bob:pw@proxy:99999"};

  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    freddy_options options = {.api_key = "k", .proxy = bad[i]};
    freddy_error err = {.code = FREDDY_OK};
    freddy_client *client;

    UNIT_CASE("%s", bad[i]);
    CHECK_INT(freddy_client_new(&options, &client, &err), FREDDY_EMISUSE);
    CHECK(strstr(err.message, "pw") == NULL);
  }
  UNIT_CASE("%s", "");
}

static void test_timer_of_no_time(struct rig *rig) {
  freddy_call *call;

  CHECK_INT(freddy_start_timer(rig->inbox, -1, NULL, &call, NULL), FREDDY_OK);
  rig_done(rig->inbox, call);
  CHECK_TEXT(rig_kind(call), "ok");
  freddy_call_free(call);
}

static void test_timer(struct rig *rig) {
  freddy_call *slow, *quick;
  freddy_event event;

  CHECK_INT(freddy_start_timer(rig->inbox, 3600, NULL, &slow, NULL), 0);
  CHECK_INT(freddy_start_timer(rig->inbox, 0.01, NULL, &quick, NULL), 0);
  CHECK(rig_event(rig->inbox, &event));
  CHECK(event.call == quick);
  CHECK(freddy_call_error(quick) == NULL);
  CHECK_INT(freddy_call_status(quick), 0);
  freddy_call_cancel(slow);
  rig_done(rig->inbox, slow);
  CHECK_TEXT(rig_kind(slow), "cancelled");
  freddy_call_free(slow);
  freddy_call_free(quick);
}

static void test_many_at_once(struct rig *rig) {
  enum { MANY = 300 };
  static freddy_call *calls[MANY];
  freddy_request req = {.path = "/gated"};
  freddy_engine_stats stats;
  int good = 0;

  pthread_mutex_lock(&gate);
  for (int i = 0; i < MANY; i++) {
    calls[i] = rig_start(rig, &req);
  }
  freddy_engine_stats_get(&stats);
  CHECK_INT(stats.in_flight, MANY);
  pthread_mutex_unlock(&gate);
  for (int i = 0; i < MANY; i++) {
    freddy_event event;

    CHECK(rig_event(rig->inbox, &event));
    good += freddy_call_status(event.call) == 200;
  }
  CHECK_INT(good, MANY);
  for (int i = 0; i < MANY; i++) {
    freddy_call_free(calls[i]);
  }
  freddy_engine_stats_get(&stats);
  CHECK_INT(stats.in_flight, 0);
}

static void test_misuse(struct rig *rig) {
  const freddy_request rows[] = {
      {.path = NULL},
      {.path = ""},
      {.path = "models"},
      {.path = "ftp://127.0.0.1/"},
      {.path = "http://example.test/"},
      {.path = "/a\nb"},
      {.path = "/x", .method = "GE T"},
      {.path = "/x", .method = "CONNECT"},
      {.path = "/x", .api_key = "a\nb"},
      {.path = "/x", .api_key = ""},
      {.path = "/x", .headers = (const char *const[]){"a b", "c", NULL}},
      {.path = "/x", .headers = (const char *const[]){"a", "c\r\nd: e", NULL}},
      {.path = "/x",
       .headers = (const char *const[]){"Authorization", "c", NULL}},
      {.path = "/x",
       .headers = (const char *const[]){"Content-Length", "1", NULL}},
      {.path = "/x", .body = "a", .body_size = 1, .body_reader = 1},
      {.path = "/x", .method = "HEAD", .body = "a", .body_size = 1},
  };
  int before = atomic_load(&rig->server->requests);

  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    freddy_error err = {.code = FREDDY_OK};
    freddy_call *call;

    UNIT_CASE("row %zu", i);
    CHECK_INT(freddy_start(rig->client, rig->inbox, &rows[i], &call, &err),
              FREDDY_EMISUSE);
    CHECK(call == NULL && err.message[0]);
  }
  UNIT_CASE("%s", "");
  CHECK_INT(atomic_load(&rig->server->requests), before);
}

int main(void) {
  struct rig rig;

  rig_open(&rig, serve);
  test_get(&rig);
  test_methods(&rig);
  test_reuse(&rig);
  test_missing_credentials(&rig);
  test_redaction(&rig);
  test_credential_switch(&rig);
  test_cancel(&rig);
  test_cut(&rig);
  test_timeouts(&rig);
  test_connect_timeout(&rig);
  test_refused(&rig);
  test_reused_connection_dies(&rig);
  test_client_close(&rig);
  test_free_in_any_order(&rig);
  test_close_while_starting(&rig);
  test_proxy_options();
  test_timer(&rig);
  test_timer_of_no_time(&rig);
  test_many_at_once(&rig);
  test_misuse(&rig);
  rig_close(&rig);
  return unit_end();
}
