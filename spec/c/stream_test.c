/* SPDX-License-Identifier: MIT */
/* Streamed answers and bodies that are asked for: order, backpressure,
 * fairness, and the questions that only the host can answer. */
#include <zlib.h>

#include "engine_util.h"
#include "net/call.h"

enum { BIG = 48 * 1024 * 1024 }; /* more than the kernel may hold */

static unsigned char nth_byte(size_t n) {
  return (unsigned char)(n * 31 + n / 251);
}

static int send_big(struct loopback *server, int fd) {
  char block[8192];
  char head[128];
  int n = snprintf(head, sizeof(head),
                   "HTTP/1.1 200 X\r\nContent-Length: %d\r\n\r\n", BIG);

  if (loop_write(fd, head, (size_t)n)) {
    return 0;
  }
  for (size_t at = 0; at < BIG; at += sizeof(block)) {
    for (size_t i = 0; i < sizeof(block); i++) {
      block[i] = (char)nth_byte(at + i);
    }
    if (loop_write(fd, block, sizeof(block))) {
      return 0;
    }
    atomic_fetch_add(&server->written, (long)sizeof(block));
  }
  return 1;
}

/* BIG bytes of long runs, in some ten KiB. */
static struct {
  unsigned char data[256 * 1024];
  size_t size;
} packed;

static unsigned char run_byte(size_t n) {
  return (unsigned char)(n / 5000);
}

static void pack(void) {
  static unsigned char plain[BIG];
  z_stream stream = {.next_out = packed.data,
                     .avail_out = sizeof(packed.data)};

  for (size_t i = 0; i < BIG; i++) {
    plain[i] = run_byte(i);
  }
  stream.next_in = plain;
  stream.avail_in = BIG;
  deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
  CHECK_INT(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.size = stream.total_out;
  deflateEnd(&stream);
}

/* Whole, but for the last `less` bytes, in the pieces of one chunk each. */
static int send_packed(int fd, size_t less, size_t piece) {
  size_t whole = packed.size - less;
  char head[160];
  int n = snprintf(head, sizeof(head),
                   "HTTP/1.1 200 X\r\nContent-Encoding: gzip\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n");

  if (loop_write(fd, head, (size_t)n)) {
    return 0;
  }
  for (size_t at = 0; at < whole; at += piece) {
    size_t size = whole - at < piece ? whole - at : piece;

    n = snprintf(head, sizeof(head), "%zx\r\n", size);
    if (loop_write(fd, head, (size_t)n) ||
        loop_write(fd, packed.data + at, size) || loop_write(fd, "\r\n", 2)) {
      return 0;
    }
  }
  return loop_write(fd, "0\r\n\r\n", 5) == 0;
}

static int serve(struct loopback *server, int fd,
                 const struct loop_request *req, int nth) {
  char text[128];

  (void)nth;
  if (strcmp(req->path, "/big") == 0) {
    return send_big(server, fd);
  }
  if (strcmp(req->path, "/drip") == 0) {
    loop_write(fd, "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n", 46);
    for (int i = 0; i < 20; i++) {
      loop_write(fd, "3\r\nabc\r\n", 8);
    }
    return loop_write(fd, "0\r\nTrailer: x\r\n\r\n", 17) == 0;
  }
  if (strcmp(req->path, "/packed") == 0) {
    return send_packed(fd, 0, sizeof(packed.data));
  }
  if (strcmp(req->path, "/packed-in-pieces") == 0) {
    return send_packed(fd, 0, 1000);
  }
  if (strcmp(req->path, "/packed-and-cut") == 0) {
    return send_packed(fd, 1, sizeof(packed.data));
  }
  if (strcmp(req->path, "/error") == 0) {
    return loop_answer(fd, 500, "", "it broke") == 0;
  }
  snprintf(text, sizeof(text), "%s %zu %d", req->method, req->body_size,
           strstr(req->head, "chunked") != NULL);
  return loop_answer(fd, 200, "", text) == 0;
}

static void test_order_and_bytes(struct rig *rig) {
  freddy_request req = {.path = "/big", .stream = 1};
  freddy_call *call = rig_start(rig, &req);
  freddy_event event;
  size_t got = 0;
  size_t wrong = 0;

  CHECK(rig_event(rig->inbox, &event));
  CHECK_INT(event.type, FREDDY_HEAD);
  CHECK_INT(freddy_call_status(call), 200);
  CHECK(!freddy_call_done(call));
  while (rig_event(rig->inbox, &event) && event.type == FREDDY_DATA) {
    for (size_t i = 0; i < event.size; i++) {
      wrong += (unsigned char)event.data[i] != nth_byte(got + i);
    }
    got += event.size;
  }
  CHECK_INT(event.type, FREDDY_DONE);
  CHECK_TEXT(rig_kind(call), "ok");
  CHECK_INT(got, BIG);
  CHECK_INT(wrong, 0);
  freddy_call_free(call);
}

/* Waits until the server has not got rid of a byte for a while: the engine
 * reads no more, and the kernel's buffers are full. */
static long settle(struct loopback *server) {
  struct timespec pause = {0, 50000000};
  long before = -1;

  while (before != atomic_load(&server->written)) {
    before = atomic_load(&server->written);
    nanosleep(&pause, NULL);
  }
  return before;
}

static int has_ended(freddy_call *call) {
  int ended;

  pthread_mutex_lock(&call->inbox->lock);
  ended = call->ended;
  pthread_mutex_unlock(&call->inbox->lock);
  return ended;
}

static void test_backpressure(struct rig *rig) {
  freddy_options options = {.api_key = "k", .buffer = 256 * 1024};
  freddy_client *client = rig_client(rig->server->port, &options);
  freddy_request req = {.path = "/big", .stream = 1};
  freddy_request quick = {.path = "/echo"};
  freddy_call *call, *other;
  freddy_event event;
  size_t got = 0;
  int before = 0;

  atomic_store(&rig->server->written, 0);
  CHECK_INT(freddy_start(client, rig->inbox, &req, &call, NULL), FREDDY_OK);
  /* Half of it at most is in our buffer and the kernel's (some MB). */
  CHECK(settle(rig->server) < BIG / 2 + BIG / 4);
  /* Nobody else is held up, neither by the pause nor by what waits. */
  other = rig_start(rig, &quick);
  EVENTUALLY(has_ended(other));
  while (rig_event(rig->inbox, &event) && event.call != other) {
    got += event.size;
    before++;
  }
  CHECK_INT(freddy_call_status(other), 200);
  CHECK(before <= 1);
  while (rig_event(rig->inbox, &event) && event.type != FREDDY_DONE) {
    got += event.size;
  }
  CHECK_INT(got, BIG);
  CHECK_TEXT(rig_kind(call), "ok");
  freddy_call_free(other);
  freddy_call_free(call);
  freddy_client_free(client);
}

static size_t undrained(freddy_call *call) {
  size_t size;

  pthread_mutex_lock(&call->inbox->lock);
  size = call->flow.undrained;
  pthread_mutex_unlock(&call->inbox->lock);
  return size;
}

/* What is packed small may become a thousand times as much: no more of it
 * is unpacked than there is room for, and none is lost at the end. */
static void test_backpressure_of_gzip(struct rig *rig) {
  static const char *const paths[] = {"/packed", "/packed-in-pieces",
                                      "/packed-and-cut"};
  enum { BUFFER = 100 * 1000, STEP = 16 * 1024 };
  freddy_options options = {.api_key = "k", .buffer = BUFFER};
  freddy_client *client = rig_client(rig->server->port, &options);

  for (size_t i = 0; i < 3; i++) {
    freddy_request req = {.path = paths[i], .stream = 1};
    freddy_call *call;
    freddy_event event;
    freddy_stats stats;
    size_t got = 0;
    size_t wrong = 0;
    size_t most = 0;

    UNIT_CASE("%s", paths[i]);
    CHECK_INT(freddy_start(client, rig->inbox, &req, &call, NULL), FREDDY_OK);
    EVENTUALLY(undrained(call) >= BUFFER);
    while (rig_event(rig->inbox, &event) && event.type != FREDDY_DONE) {
      for (size_t n = 0; n < event.size; n++) {
        wrong += (unsigned char)event.data[n] != run_byte(got + n);
      }
      got += event.size;
      most = undrained(call) > most ? undrained(call) : most;
    }
    CHECK_INT(got, BIG);
    CHECK_INT(wrong, 0);
    CHECK(most < BUFFER + STEP);
    CHECK_TEXT(rig_kind(call), i == 2 ? "cut" : "ok");
    freddy_call_stats(call, &stats);
    CHECK_INT(stats.received, packed.size - (i == 2));
    freddy_call_free(call);
  }
  UNIT_CASE("%s", "");
  freddy_client_free(client);
}

static unsigned in_flight(void) {
  freddy_engine_stats stats;

  freddy_engine_stats_get(&stats);
  return stats.in_flight;
}

/* With a busy stream undrained, another call's single event comes second. */
static void test_fairness(struct rig *rig) {
  freddy_request big = {.path = "/big", .stream = 1};
  freddy_request quick = {.path = "/echo"};
  freddy_call *stream = rig_start(rig, &big);
  freddy_call *other;
  freddy_event event;
  int turn = 0;

  settle(rig->server);
  other = rig_start(rig, &quick);
  /* Nothing is drained meanwhile, so this reads the engine's own state. */
  EVENTUALLY(in_flight() == 1);
  while (rig_event(rig->inbox, &event) && event.call != other) {
    turn++;
  }
  CHECK(turn <= 2);
  freddy_call_free(stream);
  freddy_call_free(other);
}

static void test_small_pieces(struct rig *rig) {
  freddy_request req = {.path = "/drip", .stream = 1};
  freddy_call *call = rig_start(rig, &req);
  freddy_event event;
  size_t got = 0;

  while (rig_event(rig->inbox, &event) && event.type != FREDDY_DONE) {
    got += event.size;
  }
  CHECK_INT(got, 60);
  CHECK(freddy_call_header_get(call, "trailer") == NULL);
  freddy_call_free(call);
}

/* What is pulled stays in its call: the inbox has one word about it, however
 * much has come, and no more until the taker has found nothing. */
static void test_pull(struct rig *rig) {
  freddy_request req = {.path = "/big", .stream = 1, .pull = 1};
  freddy_request quick = {.path = "/echo"};
  freddy_call *call = rig_start(rig, &req);
  freddy_call *other;
  freddy_event event;
  size_t got = 0;
  size_t wrong = 0;
  int words = 0;
  int dry = 0;

  CHECK(rig_event(rig->inbox, &event));
  CHECK_INT(event.type, FREDDY_HEAD);
  EVENTUALLY(undrained(call) >= 1024 * 1024);
  CHECK(rig_event(rig->inbox, &event));
  CHECK_INT(event.type, FREDDY_READY);
  other = rig_start(rig, &quick);
  CHECK_INT(freddy_call_next(other, &event), 0);
  rig_done(rig->inbox, other); /* the very next event */
  freddy_call_free(other);
  while (!freddy_call_done(call)) {
    while (freddy_call_next(call, &event)) {
      CHECK_INT(event.type, FREDDY_DATA);
      CHECK(event.call == call);
      for (size_t i = 0; i < event.size; i++) {
        wrong += (unsigned char)event.data[i] != nth_byte(got + i);
      }
      got += event.size;
    }
    dry++;
    CHECK(rig_event(rig->inbox, &event));
    words += event.type == FREDDY_READY;
  }
  CHECK(words <= dry);
  CHECK_INT(got, BIG);
  CHECK_INT(wrong, 0);
  CHECK_TEXT(rig_kind(call), "ok");
  freddy_call_free(call);
}

/* The end may be known before all is taken. */
static void test_pull_after_done(struct rig *rig) {
  freddy_request req = {.path = "/drip", .stream = 1, .pull = 1};
  freddy_call *call = rig_start(rig, &req);
  freddy_event event;
  size_t got = 0;

  while (rig_event(rig->inbox, &event) && event.type != FREDDY_DONE) {
    CHECK(event.type == FREDDY_HEAD || event.type == FREDDY_READY);
  }
  while (freddy_call_next(call, &event)) {
    got += event.size;
  }
  CHECK_INT(got, 60);
  CHECK_TEXT(rig_kind(call), "ok");
  freddy_call_free(call);
}

static void test_limit_of_its_own(struct rig *rig) {
  static const char *const paths[] = {"/big", "/drip", "/packed"};

  for (size_t i = 0; i < 3; i++) {
    freddy_request req = {.path = paths[i], .stream = 1, .max_body = 59};
    freddy_call *call = rig_start(rig, &req);
    freddy_event event;
    size_t got = 0;

    UNIT_CASE("%s", paths[i]);
    while (rig_event(rig->inbox, &event) && event.type != FREDDY_DONE) {
      got += event.size;
    }
    CHECK(got <= 59);
    CHECK_TEXT(rig_kind(call), "too_large");
    CHECK_TEXT(rig_reason(call), "body");
    freddy_call_free(call);
  }
  UNIT_CASE("%s", "");
}

/* An answer that is no success is an ordinary answer, with its body. */
static void test_error_is_not_streamed(struct rig *rig) {
  freddy_request req = {.path = "/error", .stream = 1};
  freddy_call *call = rig_start(rig, &req);
  freddy_event event;

  CHECK(rig_event(rig->inbox, &event));
  CHECK_INT(event.type, FREDDY_DONE);
  CHECK_INT(freddy_call_status(call), 500);
  CHECK_TEXT(freddy_call_body(call, NULL), "it broke");
  freddy_call_free(call);
}

static void test_free_while_paused(struct rig *rig) {
  freddy_request req = {.path = "/big", .stream = 1};
  freddy_call *call = rig_start(rig, &req);
  freddy_event event;

  settle(rig->server);
  CHECK(rig_event(rig->inbox, &event));
  freddy_call_free(call);
  CHECK_INT(freddy_inbox_next(rig->inbox, &event), 0);
  call = rig_start(rig, &req);
  settle(rig->server);
  freddy_call_cancel(call);
  rig_done(rig->inbox, call);
  CHECK_TEXT(rig_kind(call), "cancelled");
  freddy_call_free(call);
  EVENTUALLY(atomic_load(&rig->server->open) <= 2);
}

/* --- Bodies that are asked for ------------------------------------------ */

struct reader_row {
  int64_t size;
  size_t gives; /* bytes in all */
  int fails;
  const char *kind, *body;
};

static size_t give(freddy_event *event, const struct reader_row *row,
                   size_t given) {
  static char block[65536 + 1];
  size_t left = row->gives - given;
  size_t size = left < event->wanted ? left : event->wanted;

  if (row->fails && given) {
    CHECK_INT(freddy_call_answer(event->call, event->question, NULL, 0), 0);
    return 0;
  }
  CHECK_INT(freddy_call_answer(event->call, event->question, block,
                               event->wanted + 1),
            FREDDY_EMISUSE);
  CHECK_INT(freddy_call_answer(event->call, event->question + 1, block, 1),
            FREDDY_OK); /* not asked: dropped */
  CHECK_INT(freddy_call_answer(event->call, event->question, block, size),
            FREDDY_OK);
  return size;
}

static void test_readers(struct rig *rig) {
  static const struct reader_row rows[] = {
      {200000, 200000, 0, "ok", "POST 200000 0"},
      {-1, 200000, 0, "ok", "POST 200000 1"},
      {0, 0, 0, "ok", "POST 0 0"},
      {-1, 0, 0, "ok", "POST 0 1"},
      {200000, 100, 0, "body", ""},
      {100, 200, 0, "body", ""},
      {-1, 200000, 1, "body", ""},
  };

  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    freddy_request req = {.method = "POST",
                          .path = "/upload",
                          .body_reader = 1,
                          .reader_size = rows[i].size};
    freddy_call *call = rig_start(rig, &req);
    freddy_event event;
    size_t given = 0;

    UNIT_CASE("reader %zu", i);
    while (rig_event(rig->inbox, &event) && event.type == FREDDY_NEED_BODY) {
      given += give(&event, &rows[i], given);
    }
    CHECK_INT(event.type, FREDDY_DONE);
    CHECK_TEXT(rig_kind(call), rows[i].kind);
    CHECK_TEXT(freddy_call_body(call, NULL), rows[i].body);
    freddy_call_free(call);
  }
  UNIT_CASE("%s", "");
}

static void test_unanswered_question(struct rig *rig) {
  freddy_request req = {.method = "POST",
                        .path = "/upload",
                        .body_reader = 1,
                        .reader_size = -1,
                        .timeout = {.total = 0.1}};
  freddy_call *call = rig_start(rig, &req);
  freddy_event event;

  CHECK(rig_event(rig->inbox, &event));
  CHECK_INT(event.type, FREDDY_NEED_BODY);
  rig_done(rig->inbox, call);
  CHECK_TEXT(rig_reason(call), "total");
  CHECK_INT(freddy_call_answer(call, event.question, "late", 4), FREDDY_OK);
  freddy_call_free(call);
}

static void test_progress(struct rig *rig) {
  freddy_request req = {.path = "/big", .progress = 1};
  freddy_call *call = rig_start(rig, &req);
  freddy_event event;
  int64_t last = 0;
  int seen = 0;
  int stepped_back = 0;

  while (rig_event(rig->inbox, &event) && event.type == FREDDY_PROGRESS) {
    stepped_back += event.received < last;
    last = event.received;
    seen += event.received > 0;
  }
  CHECK(seen > 0);
  CHECK_INT(stepped_back, 0);
  CHECK_TEXT(rig_kind(call), "ok");
  freddy_call_free(call);
}

int main(void) {
  struct rig rig;

  pack();
  rig_open(&rig, serve);
  test_order_and_bytes(&rig);
  test_backpressure(&rig);
  test_backpressure_of_gzip(&rig);
  test_fairness(&rig);
  test_small_pieces(&rig);
  test_pull(&rig);
  test_pull_after_done(&rig);
  test_limit_of_its_own(&rig);
  test_error_is_not_streamed(&rig);
  test_free_while_paused(&rig);
  test_readers(&rig);
  test_unanswered_question(&rig);
  test_progress(&rig);
  rig_close(&rig);
  return unit_end();
}
