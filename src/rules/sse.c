/* SPDX-License-Identifier: MIT */
#include "rules/sse.h"

#include <string.h>

#include "base/ascii.h"
#include "base/error.h"
#include "base/limits.h"

/* What a line is about. UNKNOWN lines, comments among them, are counted and
 * otherwise dropped as they come. */
enum {
  FIELD_NAME,
  FIELD_UNKNOWN,
  FIELD_DATA,
  FIELD_EVENT,
  FIELD_ID,
  FIELD_RETRY
};

static const char byte_order_mark[] = {'\xEF', '\xBB', '\xBF'};

/* Exact in every number that Lua has. */
static const int64_t longest_retry = INT64_C(9007199254740991);

enum { ROOM_TO_KEEP = 64 * 1024 };

/* --- Texts -------------------------------------------------------------- */

static void text_reset(struct fy_sse_text *text) {
  text->at = NULL;
  text->size = 0;
  text->own.size = 0;
  if (text->own.room > ROOM_TO_KEEP) {
    fy_buf_clear(&text->own);
  }
}

/* The input is about to go: have what was borrowed of it. */
static int text_keep(struct fy_sse_text *text) {
  int rc;

  if (!text->size || text->at == text->own.data) {
    return FREDDY_OK;
  }
  rc = fy_buf_add(&text->own, text->at, text->size);
  text->at = text->own.data;
  return rc;
}

static int text_add(struct fy_sse_text *text, const char *bytes, size_t size) {
  int rc;

  if (!size) {
    return FREDDY_OK;
  }
  if (!text->size) {
    text->at = bytes;
    text->size = size;
    return FREDDY_OK;
  }
  rc = text_keep(text);
  if (!rc) {
    rc = fy_buf_add(&text->own, bytes, size);
  }
  text->at = text->own.data;
  text->size = text->own.size;
  return rc;
}

/* --- Lines -------------------------------------------------------------- */

static void begin_line(struct fy_sse *sse) {
  sse->field = FIELD_NAME;
  sse->value_began = 0;
  sse->refused = 0;
  sse->name_size = 0;
  sse->line = 0;
}

static void begin_event(struct fy_sse *sse) {
  text_reset(&sse->data);
  text_reset(&sse->event);
  sse->has_data = 0;
  sse->dispatched = 0;
  sse->retry = -1;
  sse->id_kept = 0;
  sse->own_id = 0;
}

static int name_is(const struct fy_sse *sse, const char *name) {
  return strlen(name) == sse->name_size &&
         memcmp(sse->name, name, sse->name_size) == 0;
}

/* The name of the line's field is whole: its value begins. */
static int begin_value(struct fy_sse *sse) {
  static const char line_feed[] = "\n";

  sse->field = FIELD_UNKNOWN;
  if (name_is(sse, "data")) {
    sse->field = FIELD_DATA;
    if (sse->has_data && !sse->data.size) { /* an empty first line */
      sse->data.at = line_feed;
      sse->data.size = 1;
    } else if (sse->has_data) {
      return text_add(&sse->data, line_feed, 1);
    }
    sse->has_data = 1;
  } else if (name_is(sse, "event")) {
    sse->field = FIELD_EVENT;
    text_reset(&sse->event); /* the last one counts */
  } else if (name_is(sse, "id")) {
    sse->field = FIELD_ID;
    sse->id_line.size = 0;
  } else if (name_is(sse, "retry")) {
    sse->field = FIELD_RETRY;
    sse->number = -1;
  }
  return FREDDY_OK;
}

/* Read of a field's name; where its value begins, or `size`. */
static size_t take_name(struct fy_sse *sse, const char *bytes, size_t size,
                        int *rc) {
  size_t i;

  for (i = 0; i < size; i++) {
    if (bytes[i] == ':') {
      *rc = begin_value(sse);
      return i + 1;
    }
    if (sse->name_size == sizeof(sse->name)) {
      sse->field = FIELD_UNKNOWN;
      return size;
    }
    sse->name[sse->name_size++] = bytes[i];
  }
  return size;
}

/* Only digits count; how many is not said, so that too large a number becomes
 * the largest. */
static void take_retry(struct fy_sse *sse, const char *bytes, size_t size) {
  size_t i;

  for (i = 0; i < size; i++) {
    int digit = bytes[i] - '0';

    if (!fy_is_digit(bytes[i])) {
      sse->refused = 1;
      return;
    }
    if (sse->number < 0) {
      sse->number = 0;
    }
    sse->number = sse->number > (longest_retry - digit) / 10
                      ? longest_retry
                      : sse->number * 10 + digit;
  }
}

static int take_id(struct fy_sse *sse, const char *bytes, size_t size) {
  if (memchr(bytes, '\0', size)) {
    sse->refused = 1;
  }
  return fy_buf_add(&sse->id_line, bytes, size);
}

/* What is kept of the event at hand, with a line's id that is not in force
 * yet. */
static size_t kept(const struct fy_sse *sse) {
  return sse->data.size + sse->event.size +
         (sse->field == FIELD_ID ? sse->id_line.size : sse->id_kept);
}

static int take_value(struct fy_sse *sse, const char *bytes, size_t size) {
  if (size && !sse->value_began) {
    sse->value_began = 1;
    if (bytes[0] == ' ') {
      bytes++;
      size--;
    }
  }
  if (!size) {
    return FREDDY_OK;
  }
  switch (sse->field) {
  case FIELD_DATA:
    return text_add(&sse->data, bytes, size);
  case FIELD_EVENT:
    return text_add(&sse->event, bytes, size);
  case FIELD_ID:
    return take_id(sse, bytes, size);
  case FIELD_RETRY:
    take_retry(sse, bytes, size);
    return FREDDY_OK;
  default:
    return FREDDY_OK;
  }
}

/* A piece of the line at hand, its end not among it. */
static int take_piece(struct fy_sse *sse, const char *bytes, size_t size) {
  int rc = FREDDY_OK;
  size_t used = 0;

  if (size > sse->max - sse->line) {
    return FREDDY_ETOO_LARGE;
  }
  sse->line += size;
  if (sse->field == FIELD_NAME) {
    used = take_name(sse, bytes, size, &rc);
  }
  if (!rc) {
    rc = take_value(sse, bytes + used, size - used);
  }
  return !rc && kept(sse) > sse->max ? FREDDY_ETOO_LARGE : rc;
}

static void end_id(struct fy_sse *sse) {
  struct fy_buf last = sse->id;

  if (!sse->refused) {
    sse->id = sse->id_line;
    sse->id_line = last;
    sse->has_id = sse->own_id = 1;
    sse->id_kept = sse->id.size;
  }
}

/* The line at hand is whole. */
static int end_line(struct fy_sse *sse) {
  int rc = FREDDY_OK;

  if (!sse->line) { /* blank: the event is whole */
    sse->dispatched = sse->has_data;
    if (!sse->has_data) {
      begin_event(sse);
    }
    return FREDDY_OK;
  }
  if (sse->field == FIELD_NAME) { /* no colon: an empty value */
    rc = begin_value(sse);
  }
  if (sse->field == FIELD_ID) {
    end_id(sse);
  } else if (sse->field == FIELD_RETRY && !sse->refused && sse->number >= 0) {
    sse->retry = sse->number;
  }
  begin_line(sse);
  return !rc && kept(sse) > sse->max ? FREDDY_ETOO_LARGE : rc;
}

/* --- Streams ------------------------------------------------------------ */

void fy_sse_init(struct fy_sse *sse, size_t max) {
  memset(sse, 0, sizeof(*sse));
  sse->max = max;
  fy_buf_init(&sse->data.own, max);
  fy_buf_init(&sse->event.own, max);
  fy_buf_init(&sse->id_line, FY_MAX_EVENT_ID);
  fy_buf_init(&sse->id, FY_MAX_EVENT_ID);
  begin_line(sse);
  begin_event(sse);
}

int fy_sse_is_within(const struct fy_sse *sse) {
  return !sse->dispatched && (sse->line || sse->has_data || sse->own_id ||
                              sse->event.size || sse->retry >= 0);
}

void fy_sse_clear(struct fy_sse *sse) {
  fy_buf_clear(&sse->data.own);
  fy_buf_clear(&sse->event.own);
  fy_buf_clear(&sse->id_line);
  fy_buf_clear(&sse->id);
  fy_sse_init(sse, sse->max);
}

/* Where the line ends, or `size`. In windows, so that a text full of one sort
 * of ends is not searched through for the other at each of them. */
static size_t line_end(const char *text, size_t size) {
  size_t at = 0;

  while (at < size) {
    size_t window = size - at < 512 ? size - at : 512;
    const char *feed = memchr(text + at, '\n', window);
    size_t before = feed ? (size_t)(feed - text) - at : window;
    const char *carriage = memchr(text + at, '\r', before);

    if (carriage) {
      return (size_t)(carriage - text);
    }
    if (feed) {
      return (size_t)(feed - text);
    }
    at += window;
  }
  return size;
}

/* One byte order mark at the very beginning is dropped (UTF-8 decode). What
 * only looked like one is text. */
static int skip_mark(struct fy_sse *sse, const char **bytes, size_t *size) {
  while (*size && sse->mark >= 0) {
    int seen = sse->mark;

    if (**bytes != byte_order_mark[seen]) {
      sse->mark = -1;
      return take_piece(sse, byte_order_mark, (size_t)seen);
    }
    (*bytes)++;
    (*size)--;
    sse->mark = seen + 1 < (int)sizeof(byte_order_mark) ? seen + 1 : -1;
  }
  return FREDDY_OK;
}

/* To the end of a line or of the input. */
static int read_line(struct fy_sse *sse, const char **bytes, size_t *size) {
  size_t end;
  int rc;

  if (sse->after_cr && **bytes == '\n') {
    (*bytes)++;
    (*size)--;
  }
  sse->after_cr = 0;
  end = line_end(*bytes, *size);
  rc = take_piece(sse, *bytes, end);
  if (!rc && end < *size) {
    sse->after_cr = (*bytes)[end++] == '\r';
    rc = end_line(sse);
  }
  *bytes += end;
  *size -= end;
  return rc;
}

static int failed(freddy_error *err, int rc) {
  return rc == FREDDY_ENOMEM
             ? fy_error_nomem(err)
             : fy_error_set(err, FREDDY_ETOO_LARGE, "event",
                            "a line or an event of the stream is too large");
}

static void show(const struct fy_sse *sse, struct fy_sse_event *event) {
  event->event = sse->event.size ? sse->event.at : "message";
  event->event_size = sse->event.size ? sse->event.size : strlen("message");
  event->data = sse->data.size ? sse->data.at : "";
  event->data_size = sse->data.size;
  event->id = sse->has_id ? (sse->id.size ? sse->id.data : "") : NULL;
  event->id_size = sse->id.size;
  event->own_id = sse->own_id;
  event->retry = sse->retry;
}

int fy_sse_next(struct fy_sse *sse, const char **bytes, size_t *size,
                struct fy_sse_event *event, freddy_error *err) {
  int rc;

  event->data = NULL;
  if (sse->dispatched) {
    begin_event(sse);
  }
  rc = skip_mark(sse, bytes, size);
  while (!rc && *size && !sse->dispatched) {
    rc = read_line(sse, bytes, size);
  }
  if (!rc && sse->dispatched) {
    show(sse, event);
    return FREDDY_OK;
  }
  if (!rc) {
    rc = text_keep(&sse->data);
  }
  if (!rc) {
    rc = text_keep(&sse->event);
  }
  return rc ? failed(err, rc) : FREDDY_OK;
}

/* --- Events in one piece ------------------------------------------------ */

struct packed {
  size_t event_size, data_size, id_size;
  int64_t retry;
  int has_id, own_id;
  char texts[]; /* each with a NUL behind it */
};

size_t fy_sse_packed_size(const struct fy_sse_event *event) {
  return sizeof(struct packed) + event->event_size + event->data_size +
         event->id_size + 3;
}

static char *put(char *to, const char *text, size_t size) {
  if (size) {
    memcpy(to, text, size);
  }
  to[size] = '\0';
  return to + size + 1;
}

void fy_sse_pack(const struct fy_sse_event *event, void *memory) {
  struct packed *packed = memory;
  char *to = packed->texts;

  packed->event_size = event->event_size;
  packed->data_size = event->data_size;
  packed->id_size = event->id_size;
  packed->retry = event->retry;
  packed->has_id = event->id != NULL;
  packed->own_id = event->own_id;
  to = put(to, event->event, event->event_size);
  to = put(to, event->data, event->data_size);
  put(to, event->id, event->id_size);
}

void fy_sse_unpack(const void *memory, struct fy_sse_event *event) {
  const struct packed *packed = memory;

  event->event = packed->texts;
  event->event_size = packed->event_size;
  event->data = event->event + packed->event_size + 1;
  event->data_size = packed->data_size;
  event->id = event->data + packed->data_size + 1;
  event->id_size = packed->id_size;
  if (!packed->has_id) {
    event->id = NULL;
  }
  event->own_id = packed->own_id;
  event->retry = packed->retry;
}
