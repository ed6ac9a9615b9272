/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/limits.h"
#include "rules/sse.h"
#include "sse_bodies.h"
#include "unit.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void add(struct fy_buf *out, const char *text, size_t size) {
  CHECK_INT(fy_buf_add(out, text, size), FREDDY_OK);
}

/* By way of one piece of memory, as a queue has it. */
static void print(struct fy_buf *out, const struct fy_sse_event *event) {
  void *memory = malloc(fy_sse_packed_size(event));
  struct fy_sse_event read;

  fy_sse_pack(event, memory);
  fy_sse_unpack(memory, &read);
  CHECK(!read.event[read.event_size] && !read.data[read.data_size]);
  CHECK(!read.id || !read.id[read.id_size]);
  CHECK(!read.id == !event->id);
  CHECK_INT(read.own_id, event->own_id);
  add(out, read.event, read.event_size);
  add(out, "|", 1);
  add(out, read.data, read.data_size);
  if (read.id) {
    add(out, "|id=", 4);
    add(out, read.id, read.id_size);
  }
  if (read.retry >= 0) {
    CHECK_INT(fy_buf_addf(out, "|retry=%lld", (long long)read.retry),
              FREDDY_OK);
  }
  add(out, ";", 1);
  free(memory);
}

/* Memory of its own, so that a sanitizer sees a byte too many, and one that
 * is looked at too late. */
static char *copy(const char *bytes, size_t size) {
  char *own = malloc(size ? size : 1);

  memcpy(own, bytes, size);
  return own;
}

/* A piece of the input; the rest of it moves after each event. */
static int feed(struct fy_sse *sse, const char *bytes, size_t size,
                struct fy_buf *out) {
  freddy_error err = {.code = FREDDY_OK};
  struct fy_sse_event event = {.data = ""};
  int rc = FREDDY_OK;

  while (rc == FREDDY_OK && event.data) {
    char *own = copy(bytes, size);
    const char *at = own;
    size_t left = size;

    rc = fy_sse_next(sse, &at, &left, &event, &err);
    if (rc) {
      CHECK_INT(err.code, rc);
      CHECK_TEXT(err.reason, "event");
      add(out, "!", 1);
    } else if (event.data) {
      print(out, &event);
    } else {
      CHECK_INT(left, 0);
    }
    bytes += size - left;
    size = left;
    free(own);
  }
  return rc;
}

static void expect(const struct sse_body *row, const struct fy_buf *out) {
  CHECK_BYTES(out->data ? out->data : "", out->size, row->events,
              row->events_size);
}

/* In pieces of `step` bytes, but for the first one. */
static void run(const struct sse_body *row, size_t first, size_t step) {
  struct fy_sse sse;
  struct fy_buf out;
  size_t at = 0;
  int rc = FREDDY_OK;

  fy_buf_init(&out, FY_MIB);
  fy_sse_init(&sse, row->max ? row->max : FY_MIB);
  while (rc == FREDDY_OK && at < row->body_size) {
    size_t size = at ? step : first;

    size = size < row->body_size - at ? size : row->body_size - at;
    rc = feed(&sse, row->body + at, size, &out);
    at += size;
  }
  CHECK(rc == FREDDY_OK || rc == FREDDY_ETOO_LARGE);
  expect(row, &out);
  fy_buf_clear(&out);
  fy_sse_clear(&sse);
}

static void test_bodies(void) {
  size_t i, split;

  CHECK(COUNT(sse_bodies) >= 80);
  for (i = 0; i < COUNT(sse_bodies); i++) {
    const struct sse_body *row = &sse_bodies[i];

    UNIT_CASE("body %zu, whole", i);
    run(row, row->body_size, 1);
    UNIT_CASE("body %zu, byte by byte", i);
    run(row, 1, 1);
    for (split = 1; split < row->body_size; split++) {
      UNIT_CASE("body %zu, split at %zu", i, split);
      run(row, split, row->body_size);
    }
  }
  UNIT_CASE("%s", "");
}

/* One after another through the same parser: nothing of a stream is left for
 * the next, wherever it ended. */
static void test_again(void) {
  struct fy_sse sse;
  size_t i, cut;

  fy_sse_init(&sse, FY_MIB);
  for (i = 0; i < COUNT(sse_bodies); i++) {
    const struct sse_body *row = &sse_bodies[i];

    if (row->max) {
      continue;
    }
    UNIT_CASE("body %zu, again", i);
    for (cut = 0; cut <= row->body_size; cut++) {
      struct fy_buf out;

      fy_buf_init(&out, FY_MIB);
      CHECK_INT(feed(&sse, row->body, cut, &out), FREDDY_OK);
      fy_sse_clear(&sse);
      fy_buf_clear(&out);
      CHECK_INT(feed(&sse, row->body, row->body_size, &out), FREDDY_OK);
      expect(row, &out);
      fy_buf_clear(&out);
      fy_sse_clear(&sse);
    }
  }
  UNIT_CASE("%s", "");
}

/* An event is there as soon as its blank line is, whatever ends it: nobody
 * waits for what comes next. */
static void test_prompt(void) {
  static const char *const ends[] = {"\n\n", "\r\r", "\r\n\r"};
  size_t i;

  for (i = 0; i < COUNT(ends); i++) {
    struct fy_sse sse;
    struct fy_buf out;

    UNIT_CASE("end %zu", i);
    fy_buf_init(&out, FY_MIB);
    fy_sse_init(&sse, FY_MIB);
    CHECK_INT(feed(&sse, "data: a", 7, &out), FREDDY_OK);
    CHECK_INT(feed(&sse, ends[i], strlen(ends[i]), &out), FREDDY_OK);
    CHECK_TEXT(out.data, "message|a;");
    fy_buf_clear(&out);
    fy_sse_clear(&sse);
  }
  UNIT_CASE("%s", "");
}

/* An id stays, but is its own block's only once. */
static void test_own_id(void) {
  static const char body[] =
      "data\n\nid: 1\n\ndata\n\nid: 2\ndata\n\ndata\n\nid\ndata\n\n"
      "id: \0\ndata\n\n";
  static const int own[] = {0, 0, 1, 0, 1, 0};
  const char *at = body;
  size_t left = sizeof(body) - 1;
  struct fy_sse_event event;
  struct fy_sse sse;
  size_t i;

  fy_sse_init(&sse, FY_MIB);
  for (i = 0; i < COUNT(own); i++) {
    CHECK_INT(fy_sse_next(&sse, &at, &left, &event, NULL), FREDDY_OK);
    CHECK(event.data != NULL);
    CHECK_INT(event.own_id, own[i]);
  }
  fy_sse_clear(&sse);
}

/* What is whole within the input is not copied. */
static void test_borrowed(void) {
  static const char body[] = "event: x\ndata: abc\n\ndata: d\n\n";
  const char *at = body;
  size_t left = sizeof(body) - 1;
  struct fy_sse_event event;
  struct fy_sse sse;

  fy_sse_init(&sse, FY_MIB);
  CHECK_INT(fy_sse_next(&sse, &at, &left, &event, NULL), FREDDY_OK);
  CHECK(event.event == body + 7 && event.data == body + 15);
  CHECK_INT(fy_sse_next(&sse, &at, &left, &event, NULL), FREDDY_OK);
  CHECK(event.data == body + 26);
  CHECK(!sse.data.own.data && !sse.event.own.data);
  CHECK_INT(fy_sse_next(&sse, &at, &left, &event, NULL), FREDDY_OK);
  CHECK(!event.data && !left);
  fy_sse_clear(&sse);
}

/* A large event is whole, takes no more memory than it is large, and leaves
 * none behind; an endless line or comment takes none at all. */
static void test_large(void) {
  enum { PIECE = 10000, PIECES = 1000 };
  static char piece[PIECE];
  struct fy_sse_event event;
  struct fy_sse sse;
  struct fy_buf out;
  const char *at;
  size_t left;
  int rc = FREDDY_OK;
  int i;

  memset(piece, 'x', PIECE);
  fy_buf_init(&out, FY_MIB);
  fy_sse_init(&sse, PIECE * PIECES + 6);
  CHECK_INT(feed(&sse, "data: ", 6, &out), FREDDY_OK);
  for (i = 0; i < PIECES; i++) {
    CHECK_INT(feed(&sse, piece, PIECE, &out), FREDDY_OK);
  }
  CHECK(sse.data.own.room <= PIECE * PIECES + 7);
  at = "\n\n";
  left = 2;
  CHECK_INT(fy_sse_next(&sse, &at, &left, &event, NULL), FREDDY_OK);
  CHECK_INT(event.data_size, PIECE * PIECES);
  CHECK_INT(feed(&sse, ":", 1, &out), FREDDY_OK);
  CHECK_INT(sse.data.own.room, 0);
  for (i = 0; rc == FREDDY_OK && i < PIECES + 1; i++) {
    at = piece;
    left = PIECE;
    rc = fy_sse_next(&sse, &at, &left, &event, NULL);
  }
  CHECK_INT(rc, FREDDY_ETOO_LARGE);
  CHECK_INT(sse.data.own.room + sse.event.own.room, 0);
  fy_buf_clear(&out);
  fy_sse_clear(&sse);
}

/* An id is copied with each event, so it has a ceiling of its own. */
static void test_long_id(void) {
  static char id[FY_MAX_EVENT_ID + 2];
  struct fy_sse sse;
  struct fy_buf out;

  memset(id, '7', sizeof(id));
  id[FY_MAX_EVENT_ID] = '\n';
  fy_buf_init(&out, FY_MIB);
  fy_sse_init(&sse, FY_MAX_EVENT);
  CHECK_INT(feed(&sse, "id:", 3, &out), FREDDY_OK);
  CHECK_INT(feed(&sse, id, FY_MAX_EVENT_ID + 1, &out), FREDDY_OK);
  CHECK_INT(feed(&sse, "data: a\n\n", 9, &out), FREDDY_OK);
  CHECK_INT(out.size, FY_MAX_EVENT_ID + strlen("message|a|id=;"));
  fy_buf_clear(&out);
  id[FY_MAX_EVENT_ID] = '7';
  CHECK_INT(feed(&sse, "id:", 3, &out), FREDDY_OK);
  CHECK_INT(feed(&sse, id, FY_MAX_EVENT_ID + 1, &out), FREDDY_ETOO_LARGE);
  fy_buf_clear(&out);
  fy_sse_clear(&sse);
}

int main(void) {
  test_bodies();
  test_again();
  test_prompt();
  test_own_id();
  test_borrowed();
  test_large();
  test_long_id();
  return unit_end();
}
