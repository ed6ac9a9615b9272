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

static const char *either(const struct fy_headers *headers, const char *first,
                          const char *second) {
  const char *value = fy_headers_get(headers, first);

  return value ? value : fy_headers_get(headers, second);
}

/* X-RateLimit-Retry-After is there in good answers, too, as 0. */
static double read_retry_after(const struct fy_headers *headers, double wall) {
  const char *date = fy_headers_get(headers, "date");
  double wait =
      fy_retry_after(fy_headers_get(headers, "retry-after"), date, wall);

  return isnan(wait) ? fy_retry_after(
                           fy_headers_get(headers, "x-ratelimit-retry-after"),
                           date, wall)
                     : wait;
}

void fy_rate_facts_read(const struct fy_headers *headers, double wall,
                        struct fy_rate_facts *facts) {
  double now = fy_http_date(fy_headers_get(headers, "date"), wall);

  now = isnan(now) ? wall : now;
  facts->refused = headers->status == 429;
  facts->limit = read_count(
      either(headers, "x-ratelimit-limit", "x-ratelimit-limit-requests"));
  facts->remaining = read_count(either(headers, "x-ratelimit-remaining",
                                       "x-ratelimit-remaining-requests"));
  facts->reset = fy_rate_reset(
      either(headers, "x-ratelimit-reset", "x-ratelimit-reset-requests"), now);
  facts->tokens_remaining =
      read_count(fy_headers_get(headers, "x-ratelimit-remaining-tokens"));
  facts->tokens_reset =
      fy_rate_reset(fy_headers_get(headers, "x-ratelimit-reset-tokens"), now);
  facts->retry_after = read_retry_after(headers, wall);
}
