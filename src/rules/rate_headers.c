/* SPDX-License-Identifier: MIT */
#include "rules/rate_headers.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/ascii.h"
#include "rules/header.h"
#include "rules/http_date.h"
#include "rules/retry.h"

static const double OLDEST_MOMENT = 1e8; /* less is no moment: 1973 */

/* Digits, with or without a fraction; *text moves behind them. NAN: none. */
static double read_number(const char **text) {
  const char *at = *text;
  double value = 0;
  double digit = 1;

  if (!fy_is_digit(*at)) {
    return NAN;
  }
  for (; fy_is_digit(*at); at++) {
    value = value * 10 + (*at - '0');
  }
  if (*at == '.' && fy_is_digit(at[1])) {
    for (at++; fy_is_digit(*at); at++) {
      digit /= 10;
      value += digit * (*at - '0');
    }
  }
  *text = at;
  return value;
}

/* The first of a list ("100, 100;w=60"). */
static double read_count(const char *text) {
  double value;

  if (!text) {
    return NAN;
  }
  value = read_number(&text);
  text += strspn(text, " \t");
  return *text == '\0' || *text == ',' || *text == ';' ? value : NAN;
}

static double read_unit(const char **text) {
  static const struct {
    const char *name;
    double seconds;
  } units[] = {{"ms", 0.001}, {"h", 3600}, {"m", 60}, {"s", 1}, {"d", 86400}};

  for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
    size_t size = strlen(units[i].name);

    if (strncmp(*text, units[i].name, size) == 0) {
      *text += size;
      return units[i].seconds;
    }
  }
  return NAN;
}

static double read_duration(const char *text) {
  double all = 0;

  do {
    double value = read_number(&text);

    all += value * read_unit(&text);
  } while (*text && !isnan(all));
  return all;
}

double fy_rate_reset(const char *text, double now) {
  double value;

  if (!text) {
    return NAN;
  }
  value = read_count(text);
  if (isnan(value)) {
    double date = fy_http_date(text, now);

    value = isnan(date) ? read_duration(text) : date - now;
  } else if (value >= OLDEST_MOMENT) {
    value -= now;
  }
  return value < 0 ? 0 : value;
}

enum field {
  DATE,
  RETRY_AFTER,
  LIMIT,
  REMAINING,
  RESET,
  RATE_RETRY_AFTER,
  LIMIT_REQUESTS,
  REMAINING_REQUESTS,
  RESET_REQUESTS,
  REMAINING_TOKENS,
  RESET_TOKENS,
  FIELDS
};

static const struct {
  const char *name;
  size_t size;
} fields[] = {
#define NAMED(text) \
  { text, sizeof(text) - 1 }
    [DATE] = NAMED("date"),
    [RETRY_AFTER] = NAMED("retry-after"),
    [LIMIT] = NAMED("x-ratelimit-limit"),
    [REMAINING] = NAMED("x-ratelimit-remaining"),
    [RESET] = NAMED("x-ratelimit-reset"),
    [RATE_RETRY_AFTER] = NAMED("x-ratelimit-retry-after"),
    [LIMIT_REQUESTS] = NAMED("x-ratelimit-limit-requests"),
    [REMAINING_REQUESTS] = NAMED("x-ratelimit-remaining-requests"),
    [RESET_REQUESTS] = NAMED("x-ratelimit-reset-requests"),
    [REMAINING_TOKENS] = NAMED("x-ratelimit-remaining-tokens"),
    [RESET_TOKENS] = NAMED("x-ratelimit-reset-tokens"),
#undef NAMED
};

static enum field field_of(const char *name, size_t size) {
  enum field which = 0;

  while (which < FIELDS &&
         (size != fields[which].size ||
          !fy_header_name_is(name, size, fields[which].name))) {
    which++;
  }
  return which;
}

/* The first value of each. Every answer is read so: once through it. */
static void gather(const struct fy_headers *headers, const char **values) {
  const char *at = headers->text.data;

  for (size_t i = 0; i < headers->count; i++) {
    size_t size = strlen(at);
    enum field which = field_of(at, size);

    at += size + 1;
    if (which < FIELDS && !values[which]) {
      values[which] = at;
    }
    at += strlen(at) + 1;
  }
}

static const char *either(const char *first, const char *second) {
  return first ? first : second;
}

/* X-RateLimit-Retry-After is there in answers that ask for nothing, too. */
static double read_retry_after(const char *first, const char *second,
                               const char *date, double wall) {
  double wait = fy_retry_after(first, date, wall);

  if (!isnan(wait)) {
    return wait;
  }
  wait = fy_retry_after(second, date, wall);
  return wait > 0 ? wait : NAN;
}

double fy_rate_retry_after(const struct fy_headers *headers, double wall) {
  return read_retry_after(
      fy_headers_get(headers, fields[RETRY_AFTER].name),
      fy_headers_get(headers, fields[RATE_RETRY_AFTER].name),
      fy_headers_get(headers, fields[DATE].name), wall);
}

void fy_rate_facts_read(const struct fy_headers *headers, double wall,
                        struct fy_rate_facts *facts) {
  const char *values[FIELDS] = {NULL};
  const char *reset, *tokens_reset;
  double now = wall;

  gather(headers, values);
  reset = either(values[RESET], values[RESET_REQUESTS]);
  tokens_reset = values[RESET_TOKENS];
  if (reset || tokens_reset) {
    now = fy_http_date(values[DATE], wall);
    now = isnan(now) ? wall : now;
  }
  facts->refused = headers->status == 429;
  facts->limit = read_count(either(values[LIMIT], values[LIMIT_REQUESTS]));
  facts->remaining =
      read_count(either(values[REMAINING], values[REMAINING_REQUESTS]));
  facts->reset = fy_rate_reset(reset, now);
  facts->tokens_remaining = read_count(values[REMAINING_TOKENS]);
  facts->tokens_reset = fy_rate_reset(tokens_reset, now);
  facts->retry_after = read_retry_after(
      values[RETRY_AFTER], values[RATE_RETRY_AFTER], values[DATE], wall);
}
