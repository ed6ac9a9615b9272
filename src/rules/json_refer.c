/* SPDX-License-Identifier: MIT */
#include "rules/json_refer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "rules/json.h"
#include "rules/json_utf8.h"

/* A reference is a NUL, offset + length in hexadecimal digits, a NUL. So a
 * text with NULs of its own can have none. */
#define NUL "\\u0000"

/* A reference stands for no less than it takes at most: no copy is longer than
 * its text. */
enum {
  HEX_DIGITS = 2 * sizeof(size_t),
  REFERENCE = 2 * (sizeof(NUL) - 1) + 2 * HEX_DIGITS + sizeof("+"),
  LONG = 64
};
_Static_assert((int)REFERENCE <= (int)LONG, "a copy would grow");

/* A text in which references stand for long pieces. */
struct copy {
  const char *text;
  size_t size;
  size_t done; /* how much of the text is in it */
  char *data;  /* NULL until there is a reference */
  size_t used;
  int failed; /* no memory, or the text has NULs */
};

static int has_nuls(const char *text, size_t size) {
  static const char nul[] = NUL;
  const char *end = text + size;

  while ((text = memchr(text, '\\', (size_t)(end - text))) != NULL) {
    if ((size_t)(end - text) >= sizeof(nul) - 1 &&
        memcmp(text, nul, sizeof(nul) - 1) == 0) {
      return 1;
    }
    text++;
  }
  return 0;
}

static void begin(struct copy *copy) {
  copy->data = has_nuls(copy->text, copy->size) ? NULL : fy_malloc(copy->size);
  copy->failed = !copy->data;
}

static void add(struct copy *copy, const char *data, size_t size) {
  memcpy(copy->data + copy->used, data, size);
  copy->used += size;
}

static void refer(struct copy *copy, size_t at, size_t length) {
  char reference[REFERENCE];
  int size;

  if (!copy->data && !copy->failed) {
    begin(copy);
  }
  if (copy->failed) {
    return;
  }
  size = snprintf(reference, sizeof(reference), NUL "%zx+%zx" NUL, at, length);
  add(copy, copy->text + copy->done, at - copy->done);
  add(copy, reference, (size_t)size);
  copy->done = at + length;
}

/* From behind the opening quote to before the closing one. What stands between
 * its escapes is plain, or it is no JSON. */
static void refer_string(struct copy *copy, size_t at, size_t end) {
  const char *text = copy->text, *escape;
  size_t stop, plain;

  while (at < end && !copy->failed) {
    escape = memchr(text + at, '\\', end - at);
    stop = escape ? (size_t)(escape - text) : end;
    plain = stop - at >= LONG ? fy_utf8_plain(text + at, stop - at) : 0;
    if (plain >= LONG) {
      refer(copy, at, plain);
    }
    at = stop + (escape && escape[1] == 'u' ? sizeof(NUL) - 1 : 2);
  }
}

static int is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static int is_key(const char *text, size_t size, size_t end) {
  while (end < size && is_blank(text[end])) {
    end++;
  }
  return end < size && text[end] == ':';
}

static void make_copy(struct copy *copy) {
  const char *text = copy->text, *quote;
  size_t size = copy->size, at = 0, end;

  while (at < size && !copy->failed) {
    quote = memchr(text + at, '"', size - at);
    if (!quote) {
      break;
    }
    at = (size_t)(quote - text) + 1;
    end = fy_json_skip_string(text, size, at);
    if (end - at > LONG && !is_key(text, size, end)) {
      refer_string(copy, at, end - 1);
    }
    at = end;
  }
  if (copy->data) {
    add(copy, text + copy->done, size - copy->done);
  }
}

static json_t *parse_copy(const char *text, size_t size,
                          struct fy_json_scan scan) {
  struct copy copy = {.text = text, .size = size};
  json_t *document = NULL;

  make_copy(&copy);
  if (copy.data) {
    document = fy_json_parse_scanned(copy.data, copy.used, scan, NULL);
    fy_free(copy.data);
  }
  return document;
}

json_t *fy_json_parse_referring(const char *text, size_t size, int *refers,
                                freddy_error *err) {
  struct fy_json_scan scan = fy_json_scan(text, size);
  json_t *document = NULL;

  if (scan.longest >= LONG && scan.too_deep_at == size) {
    document = parse_copy(text, size, scan);
  }
  *refers = document != NULL;
  /* What is wrong with it, and where, is told by the text itself. */
  return document ? document : fy_json_parse_scanned(text, size, scan, err);
}

int fy_json_next_piece(struct fy_json_piece *left, const char *text,
                       struct fy_json_piece *piece) {
  const char *end;
  char *digits;

  if (!left->size) {
    return 0;
  }
  if (*left->data) {
    end = memchr(left->data, '\0', left->size);
    piece->data = left->data;
    piece->size = end ? (size_t)(end - left->data) : left->size;
    end = left->data + piece->size;
  } else {
    piece->data = text + strtoull(left->data + 1, &digits, 16);
    piece->size = strtoull(digits + 1, &digits, 16);
    end = digits + 1;
  }
  left->size -= (size_t)(end - left->data);
  left->data = end;
  return 1;
}
