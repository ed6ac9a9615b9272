/* SPDX-License-Identifier: MIT */
#include "net/batch.h"

#include <string.h>

#include "base/mem.h"
#include "net/flow.h"

enum { CHUNK_ROOM = 16 * 1024 };

/* Behind it: type, data and, unless it stands in the chunk already, id, each
 * with a NUL. An id that many events share would otherwise make a few bytes of
 * input a thousand times as many. */
struct record {
  size_t size; /* in all, a multiple of its alignment */
  size_t name_size;
  size_t data_size;
  size_t id_at; /* from the chunk's start; 0: none was given yet */
  size_t id_size;
  int64_t retry;
  freddy_class class;
  int status;
  int tool;
  int whole;
};

/* What of a turn's event concerns the host. */
static freddy_class class_of(const struct fy_turn_event *turn) {
  static const freddy_class classes[] = {
      [FY_TURN_NOTE] = FREDDY_NOTE,     [FY_TURN_CONTENT] = FREDDY_CONTENT,
      [FY_TURN_QUIET] = FREDDY_QUIET,   [FY_TURN_TERMINAL] = FREDDY_TERMINAL,
      [FY_TURN_ERROR] = FREDDY_FAILURE,
  };

  return turn ? classes[turn->class] : FREDDY_NO_CLASS;
}

static int has_id(const struct fy_batch *batch,
                  const struct fy_sse_event *event) {
  return !event->id || (batch->id_at && batch->id_size == event->id_size &&
                        memcmp(batch->last->data + batch->id_at, event->id,
                               event->id_size) == 0);
}

static size_t size_of(const struct fy_sse_event *event, int with_id) {
  size_t size = sizeof(struct record) + event->event_size + 1 +
                event->data_size + 1 + (with_id ? event->id_size + 1 : 0);
  size_t step = sizeof(size_t);

  return (size + step - 1) / step * step;
}

static int add_chunk(struct fy_batch *batch, size_t room) {
  struct fy_chunk *chunk = fy_chunk_new("", 0, room);

  if (!chunk) {
    return FREDDY_ENOMEM;
  }
  if (batch->last) {
    batch->last->next = chunk;
  } else {
    batch->first = chunk;
  }
  batch->last = chunk;
  batch->id_at = 0;
  return FREDDY_OK;
}

static char *put(char *at, const char *text, size_t size) {
  memcpy(at, text, size);
  at[size] = '\0';
  return at + size + 1;
}

int fy_batch_add(struct fy_batch *batch, const struct fy_sse_event *event,
                 const struct fy_turn_event *turn, size_t more) {
  int with_id = !has_id(batch, event);
  size_t size = size_of(event, with_id);
  struct fy_chunk *chunk = batch->last;
  struct record *record;
  char *at;

  if (!chunk || chunk->room - chunk->size < size) {
    with_id = event->id != NULL;
    size = size_of(event, with_id);
    more = more < CHUNK_ROOM ? more : CHUNK_ROOM;
    if (add_chunk(batch, size + more) != FREDDY_OK) {
      return FREDDY_ENOMEM;
    }
    chunk = batch->last;
  }
  record = (struct record *)(void *)(chunk->data + chunk->size);
  record->size = size;
  record->name_size = event->event_size;
  record->data_size = event->data_size;
  record->id_size = event->id ? event->id_size : 0;
  record->retry = event->retry;
  record->class = class_of(turn);
  record->status = turn ? turn->status : 0;
  record->tool = turn ? turn->tool : -1;
  record->whole = turn && turn->whole;
  at = put((char *)(record + 1), event->event, event->event_size);
  at = put(at, event->data, event->data_size);
  if (with_id) {
    put(at, event->id, event->id_size);
    batch->id_at = (size_t)(at - chunk->data);
    batch->id_size = event->id_size;
  }
  record->id_at = event->id ? batch->id_at : 0;
  chunk->size += size;
  batch->bytes += size;
  return FREDDY_OK;
}

size_t fy_batch_size(const struct fy_chunk *chunk, size_t at) {
  return ((const struct record *)(const void *)(chunk->data + at))->size;
}

size_t fy_batch_read(const struct fy_chunk *chunk, size_t at,
                     freddy_event *event) {
  const struct record *record =
      (const struct record *)(const void *)(chunk->data + at);

  event->type = FREDDY_EVENT;
  event->name = (const char *)(record + 1);
  event->name_size = record->name_size;
  event->data = event->name + record->name_size + 1;
  event->size = record->data_size;
  event->id = record->id_at ? chunk->data + record->id_at : NULL;
  event->id_size = record->id_size;
  event->retry = record->retry;
  event->turn_class = record->class;
  event->status = record->status;
  event->tool = record->tool;
  event->whole = record->whole;
  return record->size;
}

void fy_batch_clear(struct fy_batch *batch) {
  struct fy_chunk *chunk = batch->first;

  while (chunk) {
    struct fy_chunk *next = chunk->next;

    fy_free(chunk);
    chunk = next;
  }
  memset(batch, 0, sizeof(*batch));
}
