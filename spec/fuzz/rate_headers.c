/* SPDX-License-Identifier: MIT */
/* Input: the header section of an answer; and, read once more, a reset alone.
 * Whatever it tells, it is a count or a time that is not negative, or nothing;
 * and no limiter is held back by it for longer than a day, nor for ever. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "rules/header.h"
#include "rules/limiter.h"
#include "rules/rate_headers.h"

#define MUST(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(double value) {
  MUST(isnan(value) || value >= 0);
}

static void check_limiter(const struct fy_rate_facts *facts) {
  static const struct fy_limit_plan adaptive = {FY_LIMIT_ADAPTIVE, 0, 0, 0};
  const fy_time now = 1000000 * FY_SECOND;
  const fy_time day = 86400 * FY_SECOND;
  struct fy_limiter limiter;
  fy_time next;

  fy_limiter_init(&limiter, &adaptive, now);
  fy_limiter_heard(&limiter, fy_limiter_sent(&limiter, now), facts, now);
  next = fy_limiter_next(&limiter, now);
  MUST(next >= now && next <= now + day);
  MUST(fy_limiter_hold(&limiter, now) <= day);
  MUST(fy_limiter_room(&limiter, now) >= -1);
  MUST(fy_limiter_next(&limiter, now + day) == now + day);
}

static void check_answer(const uint8_t *data, size_t size) {
  struct fy_headers headers;
  struct fy_rate_facts facts;

  fy_headers_init(&headers, FY_MAX_HEADERS);
  while (size > 0) {
    const uint8_t *end = memchr(data, '\n', size);
    size_t line = end ? (size_t)(end - data) + 1 : size;

    if (fy_headers_line(&headers, (const char *)data, line, NULL)) {
      break;
    }
    data += line;
    size -= line;
  }
  fy_rate_facts_read(&headers, 1795000000, &facts);
  check(facts.limit);
  check(facts.remaining);
  check(facts.reset);
  check(facts.tokens_remaining);
  check(facts.tokens_reset);
  check(facts.retry_after);
  check_limiter(&facts);
  fy_headers_clear(&headers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = malloc(size + 1);

  memcpy(text, data, size);
  text[size] = '\0';
  check(fy_rate_reset(text, 1795000000));
  free(text);
  check_answer(data, size);
  return 0;
}
