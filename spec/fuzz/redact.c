/* SPDX-License-Identifier: MIT */
/* Input: one or two secrets, each ended by a line feed, and a text that may
 * hold them. No long secret is left, in any of the plain spellings, and a
 * second run finds nothing. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rules/redact.h"

#define MUST(condition) ((condition) ? (void)0 : abort())

enum { LONG_ENOUGH = 8, MOST = 2 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* `secret` with every byte (or every second one) as "%XX"; 3 * size bytes. */
static size_t percent(struct fy_span secret, size_t every, char *out) {
  static const char hex[] = "0123456789abcDEF";
  size_t used = 0;
  size_t i;

  for (i = 0; i < secret.size; i++) {
    unsigned char byte = (unsigned char)secret.data[i];

    if (i % every) {
      out[used++] = secret.data[i];
    } else {
      out[used++] = '%';
      out[used++] = hex[byte >> 4];
      out[used++] = hex[byte & 15];
    }
  }
  return used;
}

static void check_gone(const char *text, size_t size, struct fy_span secret) {
  char *coded = malloc(3 * secret.size + 1);
  size_t every;

  MUST(!memmem(text, size, secret.data, secret.size));
  for (every = 1; every <= 2; every++) {
    MUST(!memmem(text, size, coded, percent(secret, every, coded)));
  }
  free(coded);
}

/* What is compared byte for byte, a mask beside it could stand for. */
static int is_checkable(struct fy_span secret) {
  return secret.size >= LONG_ENOUGH && !memchr(secret.data, '*', secret.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *text = (const char *)data;
  struct fy_span secrets[MOST];
  size_t count = 0;
  size_t checkable = 0;
  const char *end;
  char *copy;
  size_t once;
  size_t i;

  while (size && count < MOST && (end = memchr(text, '\n', size))) {
    secrets[count].data = text;
    secrets[count].size = (size_t)(end - text);
    checkable += is_checkable(secrets[count]);
    size -= secrets[count++].size + 1;
    text = end + 1;
  }
  copy = malloc(size + 1);
  memcpy(copy, text, size);
  once = fy_redact(copy, size, secrets, count);
  MUST(once <= size);
  for (i = 0; i < count; i++) {
    if (is_checkable(secrets[i])) {
      check_gone(copy, once, secrets[i]);
    }
  }
  if (checkable == count) {
    MUST(fy_redact(copy, once, secrets, count) == once);
  }
  free(copy);
  return 0;
}
