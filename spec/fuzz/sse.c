/* SPDX-License-Identifier: MIT */
/* Input: a byte for the ceiling, a byte for the size of pieces, and the body
 * of an event stream. Whole, byte by byte and in pieces it gives the same
 * events and the same outcome; and those that a slow reading of the standard
 * gives, line by line. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "rules/sse.h"

#define MUST(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was given, in one text. */
struct log {
  struct fy_buf text;
  int rc;
};

static void add(struct log *log, const char *bytes, size_t size) {
  uint32_t length = (uint32_t)size;

  MUST(!fy_buf_add(&log->text, &length, sizeof(length)));
  MUST(!fy_buf_add(&log->text, bytes, size));
}

static void add_event(struct log *log, const struct fy_sse_event *event) {
  add(log, event->event, event->event_size);
  add(log, event->data, event->data_size);
  add(log, event->id ? "+" : "-", 1);
  add(log, event->id, event->id_size);
  add(log, (const char *)&event->retry, sizeof(event->retry));
}

static void start(struct log *log) {
  fy_buf_init(&log->text, 64 * FY_MIB);
  log->rc = FREDDY_OK;
}

/* --- The parser, in pieces ---------------------------------------------- */

static void take(struct fy_sse *sse, const char *bytes, size_t size,
                 struct log *log, size_t max) {
  struct fy_sse_event event = {.data = ""};
  freddy_error err = {.code = FREDDY_OK};
  char *own = malloc(size ? size : 1);
  const char *at = own;
  size_t left = size;

  memcpy(own, bytes, size);
  while (!log->rc && event.data) {
    log->rc = fy_sse_next(sse, &at, &left, &event, &err);
    MUST(left <= size && at == own + size - left);
    if (!log->rc && event.data) {
      void *memory = malloc(fy_sse_packed_size(&event));

      fy_sse_pack(&event, memory);
      fy_sse_unpack(memory, &event);
      MUST(event.event_size + event.data_size <= max + strlen("message"));
      add_event(log, &event);
      free(memory);
    }
  }
  MUST(log->rc ? (int)err.code == log->rc : !left);
  MUST(sse->data.own.room + sse->event.own.room <= 2 * max + 256);
  free(own);
}

static void parse(const char *body, size_t size, size_t piece, size_t max,
                  struct log *log) {
  struct fy_sse sse;
  size_t at;

  start(log);
  fy_sse_init(&sse, max);
  for (at = 0; at < size && !log->rc; at += piece) {
    take(&sse, body + at, size - at < piece ? size - at : piece, log, max);
  }
  fy_sse_clear(&sse);
}

/* --- The standard, read slowly ------------------------------------------ */

struct slow {
  char *data, *event, *id;
  size_t data_size, event_size, id_size;
  int has_data, has_id, brought_id;
  int64_t retry;
};

static void set(char **to, size_t *to_size, const char *text, size_t size) {
  char *copy = malloc(size ? size : 1);

  if (size) {
    memcpy(copy, text, size);
  }
  free(*to);
  *to = copy;
  *to_size = size;
}

static int64_t digits(const char *text, size_t size) {
  double number = 0;
  size_t i;

  for (i = 0; i < size; i++) {
    if (text[i] < '0' || text[i] > '9') {
      return -1;
    }
    number = number * 10 + (text[i] - '0');
  }
  return !size                         ? -1
         : number > 9007199254740991.0 ? INT64_C(9007199254740991)
                                       : (int64_t)number;
}

static int is(const char *name, size_t size, const char *other) {
  return size == strlen(other) && !memcmp(name, other, size);
}

/* 1 when the ceiling is hit. */
static int field(struct slow *slow, const char *name, size_t name_size,
                 const char *value, size_t size, size_t max) {
  size_t ids = slow->brought_id ? slow->id_size : 0;

  if (is(name, name_size, "data")) {
    char *joined = malloc(slow->data_size + size + 1);
    size_t used = slow->data_size;

    if (used) {
      memcpy(joined, slow->data, used);
    }
    if (slow->has_data) {
      joined[used++] = '\n';
    }
    if (size) {
      memcpy(joined + used, value, size);
    }
    set(&slow->data, &slow->data_size, joined, used + size);
    free(joined);
    slow->has_data = 1;
  } else if (is(name, name_size, "event")) {
    set(&slow->event, &slow->event_size, value, size);
  } else if (is(name, name_size, "id")) {
    ids = size;
    if (size > FY_MAX_EVENT_ID) {
      return 1;
    }
    if (!size || !memchr(value, '\0', size)) {
      set(&slow->id, &slow->id_size, value, size);
      slow->has_id = slow->brought_id = 1;
    }
  } else if (is(name, name_size, "retry") && digits(value, size) >= 0) {
    slow->retry = digits(value, size);
  }
  return slow->data_size + slow->event_size + ids > max;
}

static int line(struct slow *slow, const char *text, size_t size, size_t max,
                int whole, struct log *log) {
  const char *colon = size ? memchr(text, ':', size) : NULL;
  size_t name = colon ? (size_t)(colon - text) : size;
  size_t value = colon ? name + 1 : size;

  if (size > max) {
    return 1;
  }
  if (size) {
    value += value < size && text[value] == ' ';
    /* A name without a colon may yet get longer. */
    return (whole || colon) &&
           field(slow, text, name, text + value, size - value, max);
  }
  if (whole && slow->has_data) {
    struct fy_sse_event event = {
        .event = slow->event_size ? slow->event : "message",
        .event_size = slow->event_size ? slow->event_size : 7,
        .data = slow->data,
        .data_size = slow->data_size,
        .id = slow->has_id ? slow->id : NULL,
        .id_size = slow->id_size,
        .retry = slow->retry};

    add_event(log, &event);
  }
  if (whole) {
    slow->data_size = slow->event_size = 0;
    slow->has_data = slow->brought_id = 0;
    slow->retry = -1;
  }
  return 0;
}

static void read_slowly(const char *body, size_t size, size_t max,
                        struct log *log) {
  struct slow slow = {.retry = -1};
  size_t at = 0;

  start(log);
  if (size >= 3 && !memcmp(body, "\xEF\xBB\xBF", 3)) {
    at = 3;
  } else if (size && size < 3 && !memcmp(body, "\xEF\xBB\xBF", size)) {
    at = size; /* still a half of one */
  }
  while (at < size && !log->rc) {
    size_t end = at;

    while (end < size && body[end] != '\n' && body[end] != '\r') {
      end++;
    }
    if (line(&slow, body + at, end - at, max, end < size, log)) {
      log->rc = FREDDY_ETOO_LARGE;
    }
    at = end + 1;
    at += at < size && body[end] == '\r' && body[at] == '\n';
  }
  free(slow.data);
  free(slow.event);
  free(slow.id);
}

static void same(const struct log *a, const struct log *b) {
  MUST(a->rc == b->rc);
  MUST(a->text.size == b->text.size);
  MUST(!a->text.size || !memcmp(a->text.data, b->text.data, a->text.size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *body = (const char *)data + 2;
  struct log whole, pieces, slow;
  size_t max, piece;

  if (size < 2) {
    return 0;
  }
  size -= 2;
  max = data[0] & 0x80 ? FY_MIB : (size_t)data[0] + 1;
  piece = (size_t)data[1] + 1;
  read_slowly(body, size, max, &slow);
  parse(body, size, size + 1, max, &whole);
  same(&whole, &slow);
  parse(body, size, 1, max, &pieces);
  same(&whole, &pieces);
  fy_buf_clear(&pieces.text);
  parse(body, size, piece, max, &pieces);
  same(&whole, &pieces);
  fy_buf_clear(&pieces.text);
  fy_buf_clear(&whole.text);
  fy_buf_clear(&slow.text);
  return 0;
}
