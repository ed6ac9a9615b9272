/* SPDX-License-Identifier: MIT */
#include "net/body.h"

#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"
#include "net/read_file.h"

/* The size of all sources, or -1 when one is not known. */
static void add_up(struct fy_body *body) {
  body->size = 0;
  for (size_t i = 0; i < body->count; i++) {
    int64_t size = body->sources[i].size;

    if (size < 0 || size > INT64_MAX - body->size) {
      body->size = -1;
      return;
    }
    body->size += size;
  }
}

static int copy_text(struct fy_source *source, const char *data, size_t size,
                     freddy_error *err) {
  source->data = fy_strndup(data, size);
  return source->data ? FREDDY_OK : fy_error_nomem(err);
}

static int copy_part(struct fy_body *body, size_t i, const freddy_part *part,
                     freddy_error *err) {
  struct fy_source *source = &body->sources[i];

  source->kind = part->source;
  source->size = part->size < 0 ? -1 : part->size;
  switch (part->source) {
  case FREDDY_BYTES:
    if (part->size < 0 || (!part->data && part->size > 0)) {
      break;
    }
    return copy_text(source, part->data ? part->data : "", (size_t)part->size,
                     err);
  case FREDDY_FILE:
    if (!part->data || !*part->data) {
      break;
    }
    source->size = -1;
    body->files++;
    return copy_text(source, part->data, strlen(part->data), err);
  case FREDDY_READER:
    return FREDDY_OK;
  }
  return fy_error_set(err, FREDDY_EMISUSE, NULL,
                      "parts[%zu]: no bytes, no file and no reader", i);
}

static int copy_parts(struct fy_body *body, const freddy_part *parts,
                      size_t count, freddy_error *err) {
  int rc = FREDDY_OK;

  if (count > FY_MAX_SOURCES) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL,
                        "parts: more than %d of them", FY_MAX_SOURCES);
  }
  body->sources = fy_calloc(count ? count : 1, sizeof(*body->sources));
  if (!body->sources) {
    return fy_error_nomem(err);
  }
  body->count = count;
  for (size_t i = 0; i < count && rc == FREDDY_OK; i++) {
    rc = copy_part(body, i, &parts[i], err);
  }
  add_up(body);
  return rc;
}

int fy_body_copy(struct fy_body *body, const freddy_request *req,
                 freddy_error *err) {
  freddy_part one = {.source = FREDDY_BYTES};

  if ((req->body != NULL) + (req->body_reader != 0) + (req->parts != NULL) >
      1) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL,
                        "body, body_reader, parts: a request has one body");
  }
  if (req->parts) {
    return copy_parts(body, req->parts, req->part_count, err);
  }
  if (req->body) {
    one.data = req->body;
    one.size = (int64_t)req->body_size;
  } else if (req->body_reader) {
    one.source = FREDDY_READER;
    one.size = req->reader_size;
  } else {
    return FREDDY_OK;
  }
  return copy_parts(body, &one, 1, err);
}

void fy_body_clear(struct fy_body *body) {
  for (size_t i = 0; i < body->count; i++) {
    fy_free(body->sources[i].data);
  }
  fy_free(body->sources);
  memset(body, 0, sizeof(*body));
}

int fy_body_is_bytes(const struct fy_body *body) {
  return body->count == 1 && body->sources[0].kind == FREDDY_BYTES;
}

int fy_body_measure(struct fy_body *body, freddy_error *err) {
  for (size_t i = 0; i < body->count; i++) {
    struct fy_source *source = &body->sources[i];

    if (source->kind == FREDDY_FILE &&
        fy_read_file_size(source->data, &source->size, err) != FREDDY_OK) {
      return FREDDY_EBODY;
    }
  }
  add_up(body);
  return FREDDY_OK;
}
