/* SPDX-License-Identifier: MIT */
#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/secret.h"

enum { FIRST_ROOM = 128 };

void fy_buf_init(struct fy_buf *buf, size_t max) {
  buf->data = NULL;
  buf->size = 0;
  buf->room = 0;
  buf->max = max < SIZE_MAX ? max : SIZE_MAX - 1; /* leaves one for the NUL */
  buf->wipes = 0;
}

/* The room to ask for so that `need` bytes fit: doubled, so that many small
 * appends cost linear time, but never past the ceiling. */
static size_t room_for(const struct fy_buf *buf, size_t need) {
  size_t room = buf->room ? buf->room : FIRST_ROOM;

  while (room < need) {
    room = room <= SIZE_MAX / 2 ? room * 2 : SIZE_MAX;
  }
  return room <= buf->max ? room : buf->max + 1;
}

static void wipe_and_free(struct fy_buf *buf) {
  if (buf->wipes && buf->data) {
    fy_wipe(buf->data, buf->room);
  }
  fy_free(buf->data);
}

int fy_buf_reserve(struct fy_buf *buf, size_t size) {
  size_t need;
  size_t room;
  char *data;

  if (size > buf->max - buf->size) {
    return FREDDY_ETOO_LARGE;
  }
  need = buf->size + size + 1;
  if (need <= buf->room) {
    return FREDDY_OK;
  }
  room = room_for(buf, need);
  data = buf->wipes ? fy_malloc(room) : fy_realloc(buf->data, room);
  if (!data) {
    return FREDDY_ENOMEM;
  }
  if (buf->wipes && buf->data) {
    memcpy(data, buf->data, buf->size);
    wipe_and_free(buf);
  }
  data[buf->size] = '\0';
  buf->data = data;
  buf->room = room;
  return FREDDY_OK;
}

int fy_buf_add(struct fy_buf *buf, const void *data, size_t size) {
  int rc = fy_buf_reserve(buf, size);

  if (rc) {
    return rc;
  }
  if (size) {
    memcpy(buf->data + buf->size, data, size);
  }
  buf->size += size;
  buf->data[buf->size] = '\0';
  return FREDDY_OK;
}

int fy_buf_adds(struct fy_buf *buf, const char *text) {
  return fy_buf_add(buf, text, strlen(text));
}

/* Measures first: printing into what room there is would spoil the NUL when
 * the append fails. */
int fy_buf_addf(struct fy_buf *buf, const char *format, ...) {
  va_list args;
  int length;
  int rc;

  va_start(args, format);
  length = vsnprintf(NULL, 0, format, args);
  va_end(args);
  if (length < 0) { /* more than an int can count */
    return FREDDY_ETOO_LARGE;
  }
  rc = fy_buf_reserve(buf, (size_t)length);
  if (rc) {
    return rc;
  }
  va_start(args, format);
  vsnprintf(buf->data + buf->size, (size_t)length + 1, format, args);
  va_end(args);
  buf->size += (size_t)length;
  return FREDDY_OK;
}

static void make_empty(struct fy_buf *buf) {
  int wipes = buf->wipes;

  fy_buf_init(buf, buf->max);
  buf->wipes = wipes;
}

char *fy_buf_take(struct fy_buf *buf, size_t *size) {
  char *data = buf->data;

  if (size) {
    *size = buf->size;
  }
  make_empty(buf);
  return data;
}

void fy_buf_clear(struct fy_buf *buf) {
  wipe_and_free(buf);
  make_empty(buf);
}
