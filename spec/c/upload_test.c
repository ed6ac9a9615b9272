/* SPDX-License-Identifier: MIT */
/* Bodies that have several sources: their order and bytes, what is sent
 * again, and calls that end while a file is being read. */
#include "base/limits.h"
#include "engine_util.h"

enum { FILE_SIZE = 300000 };

static char path[] = "/tmp/freddy-upload-XXXXXX";

/* Answers what came; a second request on a connection to /second-dies gets
 * none. */
static int serve(struct loopback *server, int fd,
                 const struct loop_request *req, int nth) {
  char text[300];

  (void)server;
  if (strcmp(req->path, "/second-dies") == 0 && nth > 1) {
    return 0;
  }
  if (strcmp(req->path, "/body") == 0) {
    return loop_answer(fd, 200, "", req->body) == 0;
  }
  snprintf(text, sizeof(text), "%s %zu %d", req->method, req->body_size,
           strcasestr(req->head, "transfer-encoding: chunked") != NULL);
  return loop_answer(fd, 200, "", text) == 0;
}

static void make_file(void) {
  static char text[FILE_SIZE];
  int fd = mkstemp(path);

  memset(text, 'f', sizeof(text));
  CHECK(fd >= 0 && write(fd, text, sizeof(text)) == sizeof(text));
  close(fd);
}

/* Answer every question with its part's number, once. */
static int answer_all(struct rig *rig, const freddy_call *call) {
  freddy_event event;
  size_t last = 99;
  int questions = 0;

  while (rig_event(rig->inbox, &event) && event.type != FREDDY_DONE) {
    char digit = (char)('0' + event.part);

    CHECK_INT(event.type, FREDDY_NEED_BODY);
    CHECK_INT(freddy_call_answer(event.call, event.question, &digit,
                                 event.part != last),
              FREDDY_OK);
    last = event.part;
    questions++;
  }
  CHECK(event.call == call);
  return questions;
}

static void test_order(struct rig *rig) {
  static const freddy_part parts[] = {
      {FREDDY_BYTES, "", 0},     {FREDDY_READER, NULL, -1},
      {FREDDY_READER, NULL, 1},  {FREDDY_BYTES, "ab\0c", 4},
      {FREDDY_READER, NULL, -1}, {FREDDY_BYTES, NULL, 0},
      {FREDDY_BYTES, "d", 1}};
  freddy_request req = {
      .method = "POST", .path = "/x", .parts = parts, .part_count = 7};
  freddy_call *call = rig_start(rig, &req);

  CHECK_INT(answer_all(rig, call), 6); /* each once more, for its end */
  CHECK_TEXT(freddy_call_body(call, NULL), "POST 8 1");
  freddy_call_free(call);

  req.path = "/body";
  req.parts = parts + 4;
  req.part_count = 3;
  call = rig_start(rig, &req);
  answer_all(rig, call);
  CHECK_TEXT(freddy_call_body(call, NULL), "0d");
  freddy_call_free(call);
}

/* The reply may come at any moment of the engine's asking. */
static void test_many_questions(struct rig *rig) {
  enum { PIECES = 4000 };
  freddy_request req = {
      .method = "POST", .path = "/x", .body_reader = 1, .reader_size = -1};
  freddy_call *call = rig_start(rig, &req);
  freddy_event event;
  char wanted[32];
  int given = 0;

  while (rig_event(rig->inbox, &event) && event.type == FREDDY_NEED_BODY) {
    int more = given < PIECES;

    given += more;
    CHECK_INT(
        freddy_call_answer(call, event.question, "abcdefg", more ? 7 : 0),
        FREDDY_OK);
  }
  snprintf(wanted, sizeof(wanted), "POST %d 1", 7 * PIECES);
  CHECK_TEXT(freddy_call_body(call, NULL), wanted);
  freddy_call_free(call);
}

struct size_row {
  const char *name;
  freddy_part parts[3];
  size_t count;
  const char *answer;
};

static void test_sizes(struct rig *rig) {
  static const struct size_row rows[] = {
      {"none", {{FREDDY_BYTES, NULL, 0}}, 0, "PUT 0 0"},
      {"a file", {{FREDDY_FILE, path, 0}}, 1, "PUT 300000 0"},
      {"a file twice",
       {{FREDDY_FILE, path, 7},
        {FREDDY_BYTES, "x", 1},
        {FREDDY_FILE, path, -1}},
       3,
       "PUT 600001 0"},
      {"a file and a reader of known size",
       {{FREDDY_FILE, path, 0}, {FREDDY_READER, NULL, 1}},
       2,
       "PUT 300001 0"},
      {"a file and a reader",
       {{FREDDY_FILE, path, 0}, {FREDDY_READER, NULL, -1}},
       2,
       "PUT 300001 1"},
      {"a missing file", {{FREDDY_FILE, "/sys/kernel/none", 0}}, 1, ""},
      {"a folder", {{FREDDY_FILE, "/", 0}}, 1, ""},
  };

  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    freddy_request req = {.method = "PUT",
                          .path = "/x",
                          .parts = rows[i].parts,
                          .part_count = rows[i].count};
    freddy_call *call = rig_start(rig, &req);
    int fails = !rows[i].answer[0];

    UNIT_CASE("%s", rows[i].name);
    answer_all(rig, call);
    CHECK_TEXT(rig_kind(call), fails ? "body" : "ok");
    CHECK_TEXT(rig_reason(call), fails ? "file_failed" : "");
    CHECK_TEXT(freddy_call_body(call, NULL), rows[i].answer);
    freddy_call_free(call);
  }
  UNIT_CASE("%s", "");
}

static void test_misuse(struct rig *rig) {
  static const freddy_part good[] = {{FREDDY_BYTES, "a", 1}};
  static const freddy_part bad[][1] = {{{FREDDY_BYTES, NULL, 1}},
                                       {{FREDDY_BYTES, "a", -1}},
                                       {{FREDDY_FILE, NULL, 0}},
                                       {{FREDDY_FILE, "", 0}},
                                       {{(freddy_source)9, "a", 1}}};
  static freddy_part many[FY_MAX_SOURCES + 1];
  freddy_request rows[] = {
      {.path = "/x", .body = "a", .body_size = 1, .parts = good},
      {.path = "/x", .body_reader = 1, .parts = good, .part_count = 1},
      {.path = "/x", .parts = many, .part_count = FY_MAX_SOURCES + 1},
      {.path = "/x", .method = "HEAD", .parts = good, .part_count = 1},
      {.path = "/x", .part_count = 1},
      {.path = "/x", .part_count = 1},
      {.path = "/x", .part_count = 1},
      {.path = "/x", .part_count = 1},
      {.path = "/x", .part_count = 1},
  };

  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    freddy_call *call = NULL;
    freddy_error err = {.code = FREDDY_OK};

    UNIT_CASE("misuse %zu", i);
    rows[i].parts = i >= 4 ? bad[i - 4] : rows[i].parts;
    CHECK_INT(freddy_start(rig->client, rig->inbox, &rows[i], &call, &err),
              FREDDY_EMISUSE);
    CHECK(call == NULL && err.message[0]);
  }
  UNIT_CASE("%s", "");
}

/* A connection that dies in use: what can be read again is sent again. */
static void test_replay(struct rig *rig) {
  static const freddy_part file[] = {{FREDDY_FILE, path, 0}};
  static const freddy_part reader[] = {{FREDDY_READER, NULL, 1}};
  freddy_request req = {
      .method = "PUT", .path = "/second-dies", .parts = file, .part_count = 1};

  for (int i = 0; i < 2; i++) {
    freddy_call *call = rig_start(rig, &req);
    freddy_stats stats;

    answer_all(rig, call);
    freddy_call_stats(call, &stats);
    CHECK_TEXT(freddy_call_body(call, NULL), "PUT 300000 0");
    CHECK(i == 0 || stats.attempts == 2);
    CHECK_INT(stats.sent, FILE_SIZE);
    freddy_call_free(call);
  }
  req.parts = reader;
  for (int i = 0; i < 2; i++) {
    freddy_call *call = rig_start(rig, &req);

    answer_all(rig, call);
    if (strcmp(rig_kind(call), "cut") == 0) {
      freddy_call_free(call);
      return; /* the connection of before: once, and not again */
    }
    freddy_call_free(call);
  }
  CHECK(!"a reader was asked twice");
}

static void test_progress(struct rig *rig) {
  static const freddy_part parts[] = {{FREDDY_FILE, path, 0},
                                      {FREDDY_BYTES, "x", 1}};
  freddy_request req = {.method = "PUT",
                        .path = "/x",
                        .parts = parts,
                        .part_count = 2,
                        .progress = 1};
  freddy_call *call = rig_start(rig, &req);
  freddy_event event, last = {0};

  while (rig_event(rig->inbox, &event) && event.type == FREDDY_PROGRESS) {
    CHECK(event.sent >= last.sent && event.received >= last.received);
    CHECK_INT(event.send_total, FILE_SIZE + 1);
    last = event;
  }
  CHECK_INT(last.sent, FILE_SIZE + 1);
  CHECK_INT(last.received, 12);
  CHECK_INT(last.receive_total, 12);
  freddy_call_free(call);
}

/* In every phase, also while the I/O thread is at work. */
static void test_ends(struct rig *rig) {
  static const freddy_part parts[] = {{FREDDY_FILE, path, 0},
                                      {FREDDY_FILE, path, 0},
                                      {FREDDY_READER, NULL, -1}};
  freddy_request req = {
      .method = "PUT", .path = "/x", .parts = parts, .part_count = 3};

  for (int i = 0; i < 60; i++) {
    freddy_call *call = rig_start(rig, &req);
    struct timespec pause = {0, 50000L * i};

    nanosleep(&pause, NULL);
    if (i % 2) {
      freddy_call_cancel(call);
    }
    freddy_call_free(call);
  }
  /* And when all of it goes down with one in each phase. */
  for (int i = 0; i < 20; i++) {
    struct rig other = {.server = rig->server};
    freddy_call *call[3];

    other.client = rig_client(rig->server->port, NULL);
    CHECK_INT(freddy_inbox_new(&other.inbox, NULL), FREDDY_OK);
    for (int j = 0; j < 3; j++) {
      struct timespec pause = {0, 30000L * i};

      call[j] = rig_start(&other, &req);
      nanosleep(&pause, NULL);
    }
    freddy_shutdown();
    for (int j = 0; j < 3; j++) {
      freddy_call_free(call[j]);
    }
    freddy_client_free(other.client);
    freddy_inbox_free(other.inbox);
  }
}

int main(void) {
  struct rig rig;

  make_file();
  rig_open(&rig, serve);
  test_order(&rig);
  test_many_questions(&rig);
  test_sizes(&rig);
  test_misuse(&rig);
  test_replay(&rig);
  test_progress(&rig);
  test_ends(&rig);
  rig_close(&rig);
  unlink(path);
  return unit_end();
}
