/* SPDX-License-Identifier: MIT */
/* Event streams: HTML standard, 9.2.6 "Interpreting an event stream". Bytes
 * go in as they come, split anywhere; whole events come out, in order, one at
 * a time. No I/O, no clock. Bytes are passed on as they are: what is no UTF-8
 * is not repaired. */
#ifndef FY_RULES_SSE_H
#define FY_RULES_SSE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* One event. The texts are bytes and may hold NUL; after fy_sse_unpack there
 * is one behind each as well, after fy_sse_next there is none. */
struct fy_sse_event {
  const char *event; /* its type, "message" when its block named none */
  size_t event_size;
  const char *data; /* its data lines, joined by LF; NULL: no event */
  size_t data_size;
  const char *id; /* the last id that the stream gave, in this block or
                     before; NULL: none yet; "" after an empty one */
  size_t id_size;
  int own_id;    /* 1: it is this block that gave it */
  int64_t retry; /* milliseconds; -1: its block had no valid one */
};

/* A text that is borrowed from the input for as long as that will do. */
struct fy_sse_text {
  const char *at;
  size_t size;
  struct fy_buf own;
};

/* Private but for its size; see fy_sse_init. */
struct fy_sse {
  size_t max;
  /* the line at hand */
  int field;       /* which one, or that its name is still to come */
  int value_began; /* 1: past the one space that may follow the colon */
  int refused;     /* 1: a value that is to be ignored */
  char name[6];    /* the longest known has five */
  size_t name_size;
  size_t line; /* bytes of it so far */
  int after_cr;
  int mark; /* bytes of a byte order mark seen; -1: no longer looked for */
  /* the event at hand */
  int has_data;
  int dispatched; /* 1: it was handed out, the next call starts anew */
  struct fy_sse_text data, event;
  int64_t retry;
  /* ids: of the line at hand; of the stream */
  struct fy_buf id_line, id;
  size_t id_kept; /* bytes of an id that the event at hand brought */
  int has_id, own_id;
  int64_t number; /* of the retry line at hand */
};

/* Start a stream. `max` bounds a line (a comment too) and what is kept of one
 * event: type, data and id together; an id is held to FY_MAX_EVENT_ID besides.
 * Allocates nothing. Memory in use never exceeds twice `max` (while a buffer
 * grows) and a few KiB; what an event of over 64 KiB took is given back as
 * soon as it is past. */
void fy_sse_init(struct fy_sse *sse, size_t max);

/* Read on, to the end of the next event or of the input.
 *
 * bytes  moved past what was read. The rest is to be given again, before
 *        anything else; it may have moved in memory by then.
 * size   what is left of it.
 * event  filled, or its `data` is NULL: the input is used up. Its texts are
 *        borrowed, from the parser and from the input, until the next call.
 * err    optional.
 *
 * FREDDY_OK; FREDDY_ETOO_LARGE (reason event); FREDDY_ENOMEM. After a failure
 * only fy_sse_clear makes sense. Where the input was split changes neither
 * the events nor the outcome. At the end of a stream there is nothing to do:
 * an event without the blank line behind it is none (9.2.6). */
FREDDY_MUST_CHECK int fy_sse_next(struct fy_sse *sse, const char **bytes,
                                  size_t *size, struct fy_sse_event *event,
                                  freddy_error *err);

/* 1 when something of an event was read that was not handed out. */
int fy_sse_is_within(const struct fy_sse *sse);

/* Free; ready for another stream, with the same ceiling. */
void fy_sse_clear(struct fy_sse *sse);

/* An event as one piece of memory, for queues: how many bytes it takes; write
 * it there (aligned as a size_t is); and read it, borrowed from there, with a
 * NUL behind every text. */
size_t fy_sse_packed_size(const struct fy_sse_event *event);
void fy_sse_pack(const struct fy_sse_event *event, void *memory);
void fy_sse_unpack(const void *memory, struct fy_sse_event *event);

#endif
