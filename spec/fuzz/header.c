/* SPDX-License-Identifier: MIT */
/* Input: a header section as it came. Every outcome is one of the few that
 * are promised, and what was kept is what may be sent on. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rules/header.h"

#define MUST(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_kept(const struct fy_headers *headers) {
  size_t used = 0;
  const char *name;
  const char *value;
  size_t i;

  for (i = 0; fy_headers_at(headers, i, &name, &value); i++) {
    size_t length = strlen(value);

    MUST(fy_header_is_token(name, strlen(name)));
    MUST(!strpbrk(value, "\r\n"));
    MUST(!length || !strchr(" \t", value[0]));
    MUST(!length || !strchr(" \t", value[length - 1]));
    MUST(fy_headers_get(headers, name) != NULL);
    (void)fy_header_is_json(value);
    (void)fy_header_owner(name, strlen(name), value);
    used += strlen(name) + length + 2;
  }
  MUST(i == headers->count);
  MUST(used == headers->text.size);
  MUST(headers->length >= -1);
  MUST(!headers->complete || headers->status >= 200);
  MUST(!headers->trailers || headers->complete);
}

static void check_failure(int rc, const freddy_error *err) {
  MUST(rc == FREDDY_EPROTOCOL || rc == FREDDY_ETOO_LARGE);
  MUST((int)err->code == rc && err->reason[0] && err->message[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *text = (const char *)data;
  freddy_error err = {.code = FREDDY_OK};
  struct fy_headers headers;
  int rc = FREDDY_OK;

  fy_headers_init(&headers, 4096);
  while (size && rc == FREDDY_OK) {
    const char *end = memchr(text, '\n', size);
    size_t length = end ? (size_t)(end + 1 - text) : size;
    /* Memory of its own, so that a read past the line is seen. */
    char *line = malloc(length);

    memcpy(line, text, length);
    rc = fy_headers_line(&headers, line, length, &err);
    free(line);
    text += length;
    size -= length;
    if (rc == FREDDY_OK) {
      MUST(headers.total <= 4096);
      check_kept(&headers);
    }
  }
  if (rc != FREDDY_OK) {
    check_failure(rc, &err);
  }
  fy_headers_clear(&headers);
  return 0;
}
