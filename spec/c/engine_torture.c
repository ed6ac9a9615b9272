/* SPDX-License-Identifier: MIT */
/* Every allocation of ours fails in turn, from the making of a client to the
 * end of its call, on the host's thread and the engine's alike. A call always
 * ends, with what it should or for want of memory, and nothing leaks (the
 * flavour is built with ASan). */
#include "base/mem.h"
#include "engine_util.h"
#include "folder.h"

static struct folder folder;
static char saved[200];

/* gzip of "hello, hello, hello, hello" (RFC 1952). */
static const unsigned char gzipped[] = {
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0xff,
    0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0xd7, 0x51, 0xc8, 0xc0, 0xa4,
    0x00, 0x55, 0xa3, 0x82, 0x77, 0x1a, 0x00, 0x00, 0x00};

/* 503 to whom asks for the first time, by its key; then the right answer. */
static int serve_busy(int fd, const struct loop_request *req) {
  static char last[64];
  const char *key = strstr(req->head, "Idempotency-Key: ");
  char now[64] = "";

  if (key) {
    snprintf(now, sizeof(now), "%.36s", key + strlen("Idempotency-Key: "));
  }
  if (strcmp(now, last) == 0) {
    return loop_answer(fd, 200, "", "in the end") == 0;
  }
  memcpy(last, now, sizeof(now));
  return loop_answer(fd, 503, "Retry-After: 0\r\n", "busy") == 0;
}

static const char stream_head[] =
    "Content-Type: text/event-stream\r\nX-Key: unit-key-0123456789abcdef\r\n";
#define BEGUN \
  "id: 1\ndata: {\"event\":\"response.created\",\"thread_id\":\"t\"}\n\n"
#define DELTA \
  "id: 2\ndata: {\"event\":\"response.content_delta\",\"delta\":\"x\"}\n\n"
#define REST                                                        \
  DELTA                                                             \
  "id: 3\ndata: {\"event\":\"response.block\",\"block\":{\"type\":" \
  "\"tool_call\",\"id\":\"a\"}}\n\ndata: [DONE]\n\n"
#define LATE "id: 3\ndata: {\"event\":\"response.completed\"}\n\n"
static const char refused[] =
    "data: {\"event\":\"response.processing\"}\n\n"
    "data: {\"event\":\"response.error\",\"code\":\"TOKEN_EXPIRED\"}\n\n";

/* 1 when the host has had the first events of "/turn/late", or its end. */
static atomic_int may_end;

/* The last event comes in a read of its own. */
static int serve_late(int fd) {
  char head[300];
  int n = snprintf(head, sizeof(head),
                   "HTTP/1.1 200 X\r\n%sContent-Length: %zu\r\n\r\n",
                   stream_head, strlen(BEGUN DELTA LATE));

  if (loop_write(fd, head, (size_t)n) ||
      loop_write(fd, BEGUN DELTA, strlen(BEGUN DELTA))) {
    return 0;
  }
  EVENTUALLY(atomic_load(&may_end));
  return loop_write(fd, LATE, strlen(LATE)) == 0;
}

/* The question of a turn, or the rest of its answer. */
static int serve_turn(int fd, const struct loop_request *req) {
  const char *text = BEGUN;

  if (strcmp(req->path, "/turn/late") == 0) {
    return serve_late(fd);
  }
  if (strcmp(req->path, "/turn/t/stream?last_event_id=1") == 0) {
    text = REST;
  } else if (strcmp(req->path, "/session") == 0 &&
             !strstr(req->head, "Authorization: Bearer new\r\n")) {
    text = refused;
  } else if (strcmp(req->path, "/session") == 0) {
    text = BEGUN REST;
  }
  return loop_answer(fd, 200, stream_head, text) == 0;
}

static int serve(struct loopback *server, int fd,
                 const struct loop_request *req, int nth) {
  static char big[100000];
  const char *path = strrchr(req->path, '/'); /* a proxy gets a full URL */
  char text[256];

  (void)nth;
  path = path ? path : "";
  if (strncmp(req->path, "/turn", 5) == 0 ||
      (strcmp(path, "/session") == 0 && strcmp(req->method, "POST") == 0)) {
    return serve_turn(fd, req);
  }
  if (strcmp(path, "/token") == 0 || strcmp(path, "/refresh") == 0) {
    return loop_answer(fd, 200, "",
                       "{\"token\":\"new\",\"refresh_token\":\"next\","
                       "\"expires_in\":3600}") == 0;
  }
  if (strcmp(path, "/session") == 0) {
    return strstr(req->head, "Authorization: Bearer new\r\n")
               ? loop_answer(fd, 200, "", "right") == 0
               : loop_answer(fd, 401, "", "{\"code\":\"TOKEN_EXPIRED\"}") == 0;
  }
  if (strcmp(path, "/busy") == 0) {
    return serve_busy(fd, req);
  }
  if (strcmp(path, "/big") == 0) {
    memset(big, 'x', sizeof(big) - 1);
    return loop_answer(fd, 200, "Content-Type: application/json\r\n", big) ==
           0;
  }
  if (strcmp(path, "/events") == 0) {
    return loop_answer(fd, 200, "Content-Type: text/event-stream\r\n",
                       "id: 1\nevent: a\ndata: 1\n\n"
                       "data: 2\ndata: 3\n\nid: 4\ndata: 5\n\n") == 0;
  }
  if (strcmp(path, "/gzip") == 0) {
    int n = snprintf(text, sizeof(text),
                     "HTTP/1.1 200 X\r\nContent-Encoding: gzip\r\n"
                     "Content-Length: %zu\r\n\r\n",
                     sizeof(gzipped));

    return loop_write(fd, text, (size_t)n) == 0 &&
           loop_write(fd, gzipped, sizeof(gzipped)) == 0;
  }
  if (strncmp(req->path, "/to/", 4) == 0) {
    snprintf(text, sizeof(text), "Location: %s\r\n", req->path + 7);
    return loop_answer(fd, (int)strtol(req->path + 4, NULL, 10), text,
                       "moved") == 0;
  }
  if (strcmp(path, "/away") == 0) {
    snprintf(text, sizeof(text), "Location: http://localhost:%u/hello\r\n",
             server->port);
    return loop_answer(fd, 302, text, "") == 0;
  }
  if (strcmp(path, "/denied") == 0) {
    return loop_answer(fd, 401, "X-Key: unit-key-0123456789abcdef\r\n",
                       "unit-key-0123456789abcdef") == 0;
  }
  snprintf(text, sizeof(text), "%s %zu", req->method, req->body_size);
  return loop_answer(fd, 200, "", text) == 0;
}

static void *decode(const char *body, size_t size, freddy_error *err) {
  char *copy = fy_strndup(body, size);

  if (!copy && err) {
    err->code = FREDDY_ENOMEM;
  }
  return copy;
}

static const freddy_decoder decoder = {decode, fy_free, 1000};

static char path[] = "/tmp/freddy-torture-XXXXXX";

static const freddy_part parts[] = {
    {FREDDY_BYTES, "1234", 4},
    {FREDDY_FILE, path, 0},
    {FREDDY_READER, NULL, 5},
    {FREDDY_BYTES, "6", 1},
};
static const freddy_part no_file[] = {{FREDDY_FILE, "/none/such", 0}};

static void make_file(void) {
  static const char text[70000];
  int fd = mkstemp(path);

  CHECK(fd >= 0 && write(fd, text, sizeof(text)) == sizeof(text));
  close(fd);
}

static const struct scenario {
  const char *name;
  freddy_request req;
  int status;
  const char *body; /* or the file; NULL: not looked at */
} scenarios[] = {
    {"get", {.path = "/hello"}, 200, "GET 0"},
    {"post",
     {.method = "POST", .path = "/p", .body = "abc", .body_size = 3},
     200,
     "POST 3"},
    {"headers",
     {.path = "/h",
      .headers = (const char *const[]){"A", "b", "C", "", NULL},
      .api_key = "another-key-0123456789abc"},
     200,
     "GET 0"},
    {"gzip", {.path = "/gzip"}, 200, "hello, hello, hello, hello"},
    {"denied", {.path = "/denied"}, 401, "***"},
    {"stream", {.path = "/big", .stream = 1}, 200, ""},
    {"events", {.path = "/events", .events = 1}, 200, ""},
    {"events pulled", {.path = "/events", .events = 1, .pull = 1}, 200, ""},
    {"reader",
     {.method = "PUT", .path = "/r", .body_reader = 1, .reader_size = 5},
     200,
     "PUT 5"},
    {"parts",
     {.method = "PUT", .path = "/r", .parts = parts, .part_count = 4},
     200,
     "PUT 70010"},
    {"no file",
     {.method = "PUT", .path = "/r", .parts = no_file, .part_count = 1},
     0,
     NULL},
    {"proxy get", {.path = "/hello"}, 200, "GET 0"},
    {"proxy denied", {.path = "/denied"}, 401, "***"},
    {"redirect",
     {.method = "POST",
      .path = "/to/307/to/302/away",
      .headers = (const char *const[]){"Cookie", "b", "Accept", "c", NULL},
      .body = "abc",
      .body_size = 3},
     200,
     "GET 0"},
    {"refused", {.path = "/to/302ftp:x"}, 302, "moved"},
    {"exchange", {.path = "/session"}, 200, "right"},
    {"refresh", {.path = "/session"}, 200, "right"},
    {"renew by 401", {.path = "/session"}, 200, "right"},
    {"renew in turn",
     {.method = "POST", .path = "/session", .events = 1, .turn = 1},
     200,
     ""},
    {"turn",
     {.method = "POST",
      .path = "/turn",
      .headers = (const char *const[]){"Content-Type", "a/b", NULL},
      .body = "abc",
      .body_size = 3,
      .events = 1,
      .turn = 1,
      .thread = "u"},
     200,
     ""},
    {"turn that ends late",
     {.method = "POST",
      .path = "/turn/late",
      .body = "abc",
      .body_size = 3,
      .events = 1,
      .turn = 1,
      .no_resume = 1},
     200,
     ""},
    {"repeat",
     {.method = "POST",
      .path = "/busy",
      .body = "abc",
      .body_size = 3,
      .idempotent = 1,
      .retry_events = 1},
     200,
     "in the end"},
    {"decode", {.path = "/big", .decoder = &decoder}, 200, NULL},
    {"save", {.path = "/hello", .save_to = saved}, 200, "GET 0"},
    {"save named", {.path = "/hello", .save_to = saved}, 200, "GET 0"},
    {"save gzip",
     {.path = "/gzip", .save_to = saved},
     200,
     "hello, hello, hello, hello"},
    {"save denied", {.path = "/denied", .save_to = saved}, 401, "***"},
};

/* Five bytes, then the end, which the last question is for. */
static void answer(const freddy_event *event) {
  if (freddy_call_answer(event->call, event->question, "12345",
                         event->wanted == 5 ? 5 : 0)) {
    freddy_call_cancel(event->call); /* no memory even for that */
  }
}

/* 1: ended well; 0: ended for want of memory. */
static int outcome(const struct scenario *row, const freddy_call *call) {
  const freddy_error *err = freddy_call_error(call);
  freddy_error late = {.code = FREDDY_OK};

  if (err && row->status == 0 && err->code == FREDDY_EBODY) {
    return 1;
  }
  if (err && err->code != FREDDY_EREDIRECT) {
    CHECK(err->code == FREDDY_ENOMEM || err->code == FREDDY_ECANCELLED);
    return 0;
  }
  CHECK_INT(err != NULL, row->status == 302);
  CHECK_INT(freddy_call_status(call), row->status);
  if (row->body) {
    CHECK_TEXT(row->req.save_to && row->status == 200
                   ? folder_read(saved)
                   : freddy_call_body(call, NULL),
               row->body);
  }
  if (row->req.decoder && !freddy_call_document(call, &late)) {
    CHECK_INT(late.code, FREDDY_ENOMEM);
    return 0;
  }
  return 1;
}

static int run(const struct scenario *row, freddy_client *client,
               freddy_inbox *inbox) {
  freddy_call *call = NULL;
  freddy_event event = {0};
  freddy_event pulled;
  int events = 0;
  int good;

  atomic_store(&may_end, 0);
  if (freddy_start(client, inbox, &row->req, &call, NULL)) {
    CHECK(call == NULL);
    return 0;
  }
  while (rig_event(inbox, &event) && event.type != FREDDY_DONE) {
    if (event.type == FREDDY_NEED_BODY) {
      answer(&event);
    }
    events += event.type == FREDDY_EVENT;
    atomic_store(&may_end, events == 2);
  }
  atomic_store(&may_end, 1);
  CHECK_INT(event.type, FREDDY_DONE);
  while (freddy_call_next(call, &pulled)) {
    events++;
  }
  good = outcome(row, call);
  CHECK(good && row->req.events ? events == 3 : events <= 3);
  if (row->req.save_to) {
    CHECK_INT(unlink(saved), good && row->status == 200 ? 0 : -1);
  }
  freddy_call_free(call);
  return good;
}

/* Another session each time: what one attempt left is not the next one's. */
static void set_credential(const struct scenario *row,
                           freddy_options *options) {
  static char text[40];
  static int serial;

  snprintf(text, sizeof(text), "refresh-%d", ++serial);
  if (strcmp(row->name, "exchange") == 0) {
    options->api_key = text;
    options->exchange = 1;
  } else if (strcmp(row->req.path, "/session") == 0) {
    options->api_key = NULL;
    options->refresh_token = text;
    options->token = row->name[2] == 'n' ? "old" : NULL;
    options->expires_in = options->token ? 3600 : 0;
  }
}

static int attempt(const struct scenario *row, unsigned port) {
  freddy_options options = {.api_key = "unit-key-0123456789abcdef"};
  freddy_client *client = NULL;
  freddy_inbox *inbox = NULL;
  char proxy[64], url[64];
  int good = 0;

  set_credential(row, &options);
  snprintf(url, sizeof(url), "http://127.0.0.1:%u", port);
  options.base_url = url;
  snprintf(proxy, sizeof(proxy), "http://user:pass%%20word@localhost:%u",
           port);
  if (strncmp(row->name, "proxy", 5) == 0) { /* that wants a password */
    options.proxy = proxy;
    options.no_proxy = "example.com";
    options.ca_blob = options.client_cert = options.client_key =
        "-----BEGIN NOTHING-----";
  }
  if (freddy_client_new(&options, &client, NULL) == FREDDY_OK &&
      freddy_inbox_new(&inbox, NULL) == FREDDY_OK) {
    good = run(row, client, inbox);
  }
  freddy_client_free(client);
  freddy_inbox_free(inbox);
  EVENTUALLY(folder_list(&folder)[0] == '\0');
  return good;
}

static void torture(const struct scenario *row, unsigned port, int all_after) {
  int good = 0;

  nameless = strstr(row->name, "named") == NULL;
  for (long n = 0; !good && n < 1000; n++) {
    UNIT_CASE("%s, allocation %ld%s", row->name, n,
              all_after ? " and all after" : "");
    fy_mem_fail_after(n, all_after);
    good = attempt(row, port);
    fy_mem_fail_after(-1, 0);
    if (n % 8 == 0) {
      freddy_shutdown(); /* so that the engine's making is tortured too */
    }
  }
  CHECK(good);
  CHECK(attempt(row, port)); /* and it works as before */
  UNIT_CASE("%s", "");
}

int main(void) {
  struct rig rig;

  make_file();
  rig_open(&rig, serve);
  folder_open(&folder);
  folder_path(&folder, "a", saved);
  for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
    torture(&scenarios[i], rig.server->port, 0);
    torture(&scenarios[i], rig.server->port, 1);
  }
  folder_close(&folder);
  rig_close(&rig);
  unlink(path);
  return unit_end();
}
