/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "rules/header.h"
#include "rules/rate_headers.h"
#include "unit.h"

static const double NOW = 784111777; /* Sun, 06 Nov 1994 08:49:37 GMT */
static const double WALL = 1795000000;

static const struct {
  const char *text;
  double seconds; /* NAN: nothing of that kind */
} resets[] = {
    {"0", 0},
    {"60", 60},
    {"1.5", 1.5},
    {"99999999", 99999999},
    {"784111837", 60},
    {"784111777.25", 0.25},
    {"784111776", 0}, /* past */
    {"100000000", 0},
    {"Sun, 06 Nov 1994 08:50:00 GMT", 23},
    {"Sun, 06 Nov 1994 08:49:00 GMT", 0},
    {"1s", 1},
    {"6m0s", 360},
    {"1h2m3s", 3723},
    {"250ms", 0.25},
    {"1m0.5s", 60.5},
    {"1d", 86400},
    {"30, 30;w=60", 30},
    {"30 ;w=60", 30},
    {"99999999999999999999999999999999999", 1e35 - 1 - 784111777.0},
    {"", NAN},
    {"-1", NAN},
    {"+1", NAN},
    {"inf", NAN},
    {"nan", NAN},
    {"1e5", NAN},
    {"0x10", NAN},
    {"1.", NAN},
    {".5", NAN},
    {"5 s", NAN},
    {"5x", NAN},
    {"s", NAN},
    {"5m3", NAN},
    {"soon", NAN},
};

static int same(double a, double b) {
  return isnan(a) ? isnan(b) : fabs(a - b) <= fabs(b) * 1e-9 + 1e-6;
}

/* Every beginning of a text is read, and nothing behind it. */
static void check_cuts(const char *text) {
  for (size_t size = 0; size <= strlen(text); size++) {
    char *cut = malloc(size + 1);
    double value;

    memcpy(cut, text, size);
    cut[size] = '\0';
    value = fy_rate_reset(cut, NOW);
    CHECK(isnan(value) || value >= 0);
    free(cut);
  }
}

static void test_resets(void) {
  for (size_t i = 0; i < sizeof(resets) / sizeof(resets[0]); i++) {
    UNIT_CASE("reset: %s", resets[i].text);
    CHECK(same(fy_rate_reset(resets[i].text, NOW), resets[i].seconds));
    check_cuts(resets[i].text);
  }
  UNIT_CASE("%s", "no reset");
  CHECK(isnan(fy_rate_reset(NULL, NOW)));
}

static void read_answer(const char *text, struct fy_rate_facts *facts) {
  struct fy_headers headers;
  freddy_error err = {.code = FREDDY_OK};

  fy_headers_init(&headers, FY_MAX_HEADERS);
  while (*text) {
    size_t size = strcspn(text, "\n") + 1;

    CHECK_INT(fy_headers_line(&headers, text, size, &err), FREDDY_OK);
    text += size;
  }
  CHECK(headers.complete);
  fy_rate_facts_read(&headers, WALL, facts);
  CHECK(same(fy_rate_retry_after(&headers, WALL), facts->retry_after));
  fy_headers_clear(&headers);
}

#define DATE "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"

static const struct {
  const char *text;
  struct fy_rate_facts facts;
} answers[] = {
    {"HTTP/1.1 200 OK\r\n\r\n", {0, NAN, NAN, NAN, NAN, NAN, NAN}},
    {"HTTP/1.1 200 OK\r\n" DATE "X-RateLimit-Limit: 100\r\n"
     "X-RateLimit-Remaining: 7\r\nX-RateLimit-Reset: 784111807\r\n"
     "X-RateLimit-Retry-After: 0\r\n\r\n",
     {0, 100, 7, 30, NAN, NAN, NAN}},
    {"HTTP/1.1 200 OK\r\nx-ratelimit-limit-requests: 100\r\n"
     "x-ratelimit-remaining-requests: 7\r\n"
     "x-ratelimit-reset-requests: 6m0s\r\n"
     "x-ratelimit-limit-tokens: 9000\r\nx-ratelimit-remaining-tokens: 0\r\n"
     "x-ratelimit-reset-tokens: 250ms\r\n\r\n",
     {0, 100, 7, 360, 0, 0.25, NAN}},
    {"HTTP/1.1 200 OK\r\nx-ratelimit-limit-requests: 1\r\n"
     "x-ratelimit-remaining-requests: 1\r\nX-RateLimit-Limit: 2\r\n"
     "x-ratelimit-reset-requests: 5\r\nX-RateLimit-Remaining: 0\r\n\r\n",
     {0, 2, 0, 5, NAN, NAN, NAN}},
    /* Without a Date, by our own clock. */
    {"HTTP/1.1 429 No\r\nX-RateLimit-Remaining: 0\r\n"
     "X-RateLimit-Reset: 1795000020\r\nRetry-After: 20\r\n\r\n",
     {1, NAN, 0, 20, NAN, NAN, 20}},
    {"HTTP/1.1 503 No\r\n" DATE
     "Retry-After: Sun, 06 Nov 1994 08:49:47 GMT\r\n\r\n",
     {0, NAN, NAN, NAN, NAN, NAN, 10}},
    {"HTTP/1.1 429 No\r\nRetry-After: inf\r\n"
     "X-RateLimit-Retry-After: 3\r\n\r\n",
     {1, NAN, NAN, NAN, NAN, NAN, 3}},
    {"HTTP/1.1 429 No\r\nRetry-After: 0\r\n"
     "X-RateLimit-Retry-After: 3\r\n\r\n",
     {1, NAN, NAN, NAN, NAN, NAN, 0}},
    {"HTTP/1.1 429 No\r\nRetry-After:\r\nX-RateLimit-Remaining: -1\r\n"
     "X-RateLimit-Limit: many\r\nX-RateLimit-Reset:\r\n\r\n",
     {1, NAN, NAN, NAN, NAN, NAN, NAN}},
};

static void test_answers(void) {
  for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
    const struct fy_rate_facts *want = &answers[i].facts;
    struct fy_rate_facts got;

    UNIT_CASE("answer %zu", i);
    read_answer(answers[i].text, &got);
    CHECK_INT(got.refused, want->refused);
    CHECK(same(got.limit, want->limit));
    CHECK(same(got.remaining, want->remaining));
    CHECK(same(got.reset, want->reset));
    CHECK(same(got.tokens_remaining, want->tokens_remaining));
    CHECK(same(got.tokens_reset, want->tokens_reset));
    CHECK(same(got.retry_after, want->retry_after));
  }
}

int main(void) {
  test_resets();
  test_answers();
  return unit_end();
}
