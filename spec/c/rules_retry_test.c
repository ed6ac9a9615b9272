/* SPDX-License-Identifier: MIT */
/* The table of design: method, status or failure, phase, idempotent. */
#include "rules/retry.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#include "unit.h"

static const double HALF = 0.5;

static const struct fy_retry get = {.method = "GET",
                                    .replayable = 1,
                                    .retries = 2,
                                    .reason = "",
                                    .sent = 1,
                                    .retry_after = NAN};

static struct fy_retry_step decide(const struct fy_retry *seen) {
  struct fy_retry_budget budget;
  struct fy_retry_step step;

  fy_retry_budget_init(&budget);
  fy_retry_decide(seen, &budget, HALF, &step);
  return step;
}

/* --- Who is sent again -------------------------------------------------- */

enum whom { NOBODY, IDEMPOTENT, ANYBODY };

static const struct {
  const char *what;
  freddy_code failure;
  const char *reason;
  int sent;
  int status;
  enum whom whom;
} happened[] = {
    /* before any byte was sent */
    {"no address", FREDDY_ERESOLVE, "", 0, 0, ANYBODY},
    {"no address of the proxy", FREDDY_ERESOLVE, "proxy", 0, 0, ANYBODY},
    {"refused", FREDDY_ECONNECT, "", 0, 0, ANYBODY},
    {"proxy refused", FREDDY_ECONNECT, "proxy_unreachable", 0, 0, ANYBODY},
    {"proxy says no", FREDDY_ECONNECT, "proxy", 0, 0, NOBODY},
    {"proxy wants more", FREDDY_ECONNECT, "proxy_auth", 0, 0, NOBODY},
    {"too slow", FREDDY_ETIMEOUT, "connect", 0, 0, ANYBODY},
    {"certificate", FREDDY_ETLS, "expired", 0, 0, NOBODY},
    {"handshake", FREDDY_ETLS, "", 0, 0, NOBODY},
    {"no handshake", FREDDY_ETLS, "handshake_cut", 0, 0, ANYBODY},
    {"a file of the body", FREDDY_EBODY, "file_failed", 0, 0, NOBODY},
    /* it was sent, and nothing came */
    {"closed", FREDDY_ECUT, "", 1, 0, IDEMPOTENT},
    {"silent", FREDDY_ETIMEOUT, "first_byte", 1, 0, IDEMPOTENT},
    {"the reader", FREDDY_EBODY, "reader_failed", 1, 0, NOBODY},
    {"certificate wanted", FREDDY_ETLS, "client_cert_refused", 1, 0, NOBODY},
    /* after the headers, and mid-answer */
    {"cut after a head", FREDDY_ECUT, "", 1, 200, IDEMPOTENT},
    {"cut in an error", FREDDY_ECUT, "", 1, 400, IDEMPOTENT},
    {"stalled", FREDDY_ETIMEOUT, "stall", 1, 200, IDEMPOTENT},
    {"no event", FREDDY_ETIMEOUT, "event", 1, 200, NOBODY},
    {"no HTTP", FREDDY_EPROTOCOL, "bad_chunk", 1, 200, NOBODY},
    {"an HTTP/2 stream", FREDDY_EPROTOCOL, "bad_http2", 1, 200, IDEMPOTENT},
    {"too large", FREDDY_ETOO_LARGE, "body", 1, 200, NOBODY},
    {"not saved", FREDDY_EBODY, "save_failed", 1, 200, NOBODY},
    {"a redirect", FREDDY_EREDIRECT, "too_many", 1, 302, NOBODY},
    /* whenever */
    {"total", FREDDY_ETIMEOUT, "total", 0, 0, NOBODY},
    {"total, sent", FREDDY_ETIMEOUT, "total", 1, 0, NOBODY},
    {"cancelled", FREDDY_ECANCELLED, "", 1, 0, NOBODY},
    {"closed client", FREDDY_ECLOSED, "", 1, 0, NOBODY},
    {"memory", FREDDY_ENOMEM, "", 0, 0, NOBODY},
    {"auth", FREDDY_EAUTH, "refresh_failed", 0, 0, NOBODY},
    {"held back", FREDDY_ERATE_LIMITED, "held_back", 0, 0, NOBODY},
    /* the answer is whole */
    {"200", FREDDY_OK, "", 1, 200, NOBODY},
    {"204", FREDDY_OK, "", 1, 204, NOBODY},
    {"304", FREDDY_OK, "", 1, 304, NOBODY},
    {"400", FREDDY_OK, "", 1, 400, NOBODY},
    {"401", FREDDY_OK, "", 1, 401, NOBODY},
    {"403", FREDDY_OK, "", 1, 403, NOBODY},
    {"404", FREDDY_OK, "", 1, 404, NOBODY},
    {"408", FREDDY_OK, "", 1, 408, IDEMPOTENT},
    {"409", FREDDY_OK, "", 1, 409, NOBODY},
    {"422", FREDDY_OK, "", 1, 422, NOBODY},
    {"425", FREDDY_OK, "", 1, 425, NOBODY},
    {"429", FREDDY_OK, "", 1, 429, ANYBODY},
    {"500", FREDDY_OK, "", 1, 500, IDEMPOTENT},
    {"501", FREDDY_OK, "", 1, 501, NOBODY},
    {"502", FREDDY_OK, "", 1, 502, IDEMPOTENT},
    {"503", FREDDY_OK, "", 1, 503, IDEMPOTENT},
    {"504", FREDDY_OK, "", 1, 504, IDEMPOTENT},
    {"505", FREDDY_OK, "", 1, 505, NOBODY},
    {"no status", FREDDY_OK, "", 1, 0, NOBODY},
};

static const struct {
  const char *name;
  int idempotent;
} methods[] = {{"GET", 1},     {"HEAD", 1},  {"PUT", 1},  {"DELETE", 1},
               {"OPTIONS", 1}, {"TRACE", 1}, {"POST", 0}, {"PATCH", 0},
               {"get", 0},     {"QUERY", 0}, {"GETS", 0}};

static void one(size_t row, size_t method, int flags) {
  struct fy_retry seen = get;
  int idempotent = flags & 1;
  int replayable = !(flags & 2);
  int told = flags & 4 ? 1 : 0;
  int whom = happened[row].whom;
  int wanted =
      replayable && !told &&
      (whom == ANYBODY ||
       (whom == IDEMPOTENT && (idempotent || methods[method].idempotent)));

  UNIT_CASE("%s, %s, flags %d", happened[row].what, methods[method].name,
            flags);
  seen.method = methods[method].name;
  seen.idempotent = idempotent;
  seen.replayable = replayable;
  seen.told = told;
  seen.failure = happened[row].failure;
  seen.reason = happened[row].reason;
  seen.sent = happened[row].sent;
  seen.status = happened[row].status;
  CHECK_INT(decide(&seen).todo, wanted ? FY_RETRY_AFTER : FY_RETRY_DELIVER);
  CHECK_INT(decide(&seen).budget_empty, 0);
  seen.retries = 0;
  CHECK_INT(decide(&seen).todo, FY_RETRY_DELIVER);
}

static void test_table(void) {
  for (size_t row = 0; row < sizeof(happened) / sizeof(*happened); row++) {
    for (size_t at = 0; at < sizeof(methods) / sizeof(*methods); at++) {
      for (int flags = 0; flags < 8; flags++) {
        one(row, at, flags);
      }
    }
  }
  UNIT_CASE("%s", "");
}

/* What was sent may have arrived, however the failure is called. */
static void test_sent(void) {
  struct fy_retry seen = get;

  seen.method = "POST";
  seen.failure = FREDDY_ECONNECT;
  CHECK_INT(decide(&seen).todo, FY_RETRY_DELIVER);
  seen.sent = 0;
  CHECK_INT(decide(&seen).todo, FY_RETRY_AFTER);
  seen.failure = FREDDY_ECUT;
  CHECK_INT(decide(&seen).todo, FY_RETRY_AFTER);
}

/* --- For free ----------------------------------------------------------- */

static void test_free(void) {
  struct fy_retry_budget empty = {.fifths = 4};
  struct fy_retry seen = get;
  struct fy_retry_step step;

  seen.failure = FREDDY_ECUT;
  seen.stale = 1;
  seen.retries = 0;
  fy_retry_decide(&seen, &empty, HALF, &step);
  CHECK_INT(step.todo, FY_RETRY_NOW);
  CHECK_INT(step.delay, 0);
  CHECK_INT(empty.fifths, 4);
  seen.method = "POST";
  CHECK_INT(decide(&seen).todo, FY_RETRY_DELIVER);
  seen.idempotent = 1;
  CHECK_INT(decide(&seen).todo, FY_RETRY_NOW);
  seen.replayable = 0;
  CHECK_INT(decide(&seen).todo, FY_RETRY_DELIVER);
  seen.replayable = 1;
  seen.freed = 1; /* once */
  CHECK_INT(decide(&seen).todo, FY_RETRY_DELIVER);
  seen.retries = 1;
  CHECK_INT(decide(&seen).todo, FY_RETRY_AFTER);
}

/* --- 429 ---------------------------------------------------------------- */

static void test_429(void) {
  struct fy_retry seen = get;

  seen.method = "POST";
  seen.status = 429;
  seen.retries = 9;
  CHECK_INT(decide(&seen).todo, FY_RETRY_AFTER);
  seen.repeats = seen.unasked = 1; /* once without Retry-After */
  CHECK_INT(decide(&seen).todo, FY_RETRY_DELIVER);
  seen.retry_after = 1;
  CHECK_INT(decide(&seen).todo, FY_RETRY_AFTER);
  seen.quota = 1;
  CHECK_INT(decide(&seen).todo, FY_RETRY_DELIVER);
  seen.status = 503; /* that is no 429, whatever it says */
  seen.idempotent = 1;
  CHECK_INT(decide(&seen).todo, FY_RETRY_AFTER);
}

static const struct {
  const char *body;
  int is_quota;
} bodies[] = {
    {"", 0},
    {"slow down", 0},
    {"monthly QUOTA is used up", 1},
    {"quot", 0},
    {"{}", 0},
    {"[]", 0},
    {"null", 0},
    {"\"over budget\"", 1},
    {"{\"error\":{\"code\":\"RATE_LIMIT_EXCEEDED\"}}", 0},
    {"{\"error\":{\"code\":\"SPENDING_LIMIT_EXCEEDED\"}}", 1},
    {"{\"error\":{\"code\":\"insufficient_quota\"}}", 1},
    {"{\"error\":{\"code\":429,\"message\":\"Budget exhausted\"}}", 1},
    {"{\"error\":{\"type\":\"quota_error\"}}", 1},
    {"{\"error\":{\"system_message\":\"org Spending cap\"}}", 1},
    {"{\"error\":\"quota exceeded\"}", 1},
    {"{\"message\":\"quota exceeded\"}", 1},
    {"{\"title\":\"Quota\"}", 1},
    {"{\"detail\":\"quota exceeded\"}", 1},
    {"{\"detail\":{\"code\":\"OVER_BUDGET\"}}", 1},
    {"{\"detail\":{\"error\":{\"code\":\"OVER_BUDGET\"}}}", 1},
    {"{\"error\":{\"details\":{\"quota\":5}}}", 0},
    {"{\"error\":{\"code\":[\"quota\"]}}", 0},
    {"{\"error\":{\"code\":\"quot\\u0000a\"}}", 0},
    {"{\"error\":{\"code\":\"x\\u0000quota\"}}", 1},
    {"{\"error\":{\"code\":\"QUOTA", 1}, /* no JSON: its text */
    /* A code decides. */
    {"{\"error\":{\"code\":\"RATE_LIMIT_EXCEEDED\","
     "\"message\":\"your quota of 100 per minute\"}}",
     0},
    {"{\"error\":\"quota\",\"code\":\"SLOW_DOWN\"}", 0},
    {"{\"code\":\"429\",\"message\":\"quota\"}", 1},
    {"{\"code\":\"E1\",\"type\":\"insufficient_quota\"}", 1},
};

/* Where the server says when to come back. */
static void test_quota_with_a_wait(void) {
  static const char code[] = "{\"error\":{\"code\":\"QUOTA_EXCEEDED\"}}";
  static const char words[] = "{\"detail\":\"quota exceeded\"}";

  CHECK_INT(fy_retry_is_quota(code, strlen(code), 0), 1);
  CHECK_INT(fy_retry_is_quota(words, strlen(words), 0), 0);
  CHECK_INT(fy_retry_is_quota("quota", 5, 0), 0);
}

static void test_quota(void) {
  static char large[64 * 1024 + 8];

  for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
    UNIT_CASE("%s", bodies[i].body);
    CHECK_INT(fy_retry_is_quota(bodies[i].body, strlen(bodies[i].body), 1),
              bodies[i].is_quota);
  }
  UNIT_CASE("%s", "");
  memset(large, ' ', sizeof(large));
  memcpy(large, "quota", 5);
  CHECK_INT(fy_retry_is_quota(large, 64 * 1024, 1), 1);
  CHECK_INT(fy_retry_is_quota(large, 64 * 1024 + 1, 1), 0);
}

/* --- Delays ------------------------------------------------------------- */

static void test_backoff(void) {
  static const struct {
    int repeats;
    fy_time most;
  } rows[] = {{0, FY_SECOND / 2},    {1, FY_SECOND},
              {2, 2 * FY_SECOND},    {3, 4 * FY_SECOND},
              {4, 8 * FY_SECOND},    {5, 8 * FY_SECOND},
              {31, 8 * FY_SECOND},   {64, 8 * FY_SECOND},
              {1100, 8 * FY_SECOND}, {INT_MAX, 8 * FY_SECOND}};

  for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
    UNIT_CASE("%d", rows[i].repeats);
    CHECK_INT(fy_retry_backoff(rows[i].repeats, 0), 0);
    CHECK_INT(fy_retry_backoff(rows[i].repeats, HALF), rows[i].most / 2);
    CHECK(fy_retry_backoff(rows[i].repeats, 1 - 1e-9) < rows[i].most);
    CHECK(fy_retry_backoff(rows[i].repeats, 1 - 1e-9) >
          rows[i].most - FY_MILLISECOND);
  }
  UNIT_CASE("%s", "");
}

static void test_delay(void) {
  struct fy_retry seen = get;

  seen.status = 503;
  CHECK_INT(decide(&seen).delay, FY_SECOND / 4);
  seen.retry_after = 0;
  CHECK_INT(decide(&seen).delay, FY_SECOND / 4);
  seen.retry_after = 7;
  CHECK_INT(decide(&seen).delay, 7 * FY_SECOND + FY_SECOND / 4);
  seen.retry_after = 60;
  CHECK_INT(decide(&seen).delay, 60 * FY_SECOND + FY_SECOND / 4);
  seen.retry_after = 60.5;
  CHECK_INT(decide(&seen).todo, FY_RETRY_DELIVER);
  seen.retry_after = 1e9;
  CHECK_INT(decide(&seen).todo, FY_RETRY_DELIVER);
  CHECK_INT(decide(&seen).budget_empty, 0);
  seen.retry_after = NAN;
  seen.retries = INT_MAX;
  seen.repeats = 1100;
  CHECK_INT(decide(&seen).delay, 4 * FY_SECOND);
  seen.repeats = INT_MAX;
  CHECK_INT(decide(&seen).todo, FY_RETRY_DELIVER);
}

#define DATE "Fri, 27 Nov 2026 12:00:00 GMT"
static const double WALL = 1795780800; /* DATE, and our clock is right */

static const struct {
  const char *text, *date;
  double skew; /* of our clock */
  double seconds;
} asked[] = {
    {NULL, NULL, 0, NAN},
    {"", NULL, 0, NAN},
    {"0", NULL, 0, 0},
    {"1", NULL, 0, 1},
    {"007", NULL, 0, 7},
    {"120", NULL, 0, 120},
    {"1.5", NULL, 0, 1.5},
    {"1.", NULL, 0, NAN},
    {".5", NULL, 0, NAN},
    {"1.5.5", NULL, 0, NAN},
    {"+1", NULL, 0, NAN},
    {"-1", NULL, 0, NAN},
    {"1s", NULL, 0, NAN},
    {"1, 2", NULL, 0, NAN},
    {"1e3", NULL, 0, NAN},
    {"0x10", NULL, 0, NAN},
    {" 1", NULL, 0, NAN},
    {"inf", NULL, 0, NAN},
    {"nan", NULL, 0, NAN},
    {"soon", NULL, 0, NAN},
    {"99999999999999999999999999999999999", NULL, 0, 1e9}, /* 35 digits */
    {"999999999999999.9999999999999999999999999998", NULL, 0, 1e9},
    /* dates, by our clock */
    {DATE, NULL, 0, 0},
    {"Fri, 27 Nov 2026 12:00:10 GMT", NULL, 0, 10},
    {"Fri, 27 Nov 2026 11:59:00 GMT", NULL, 0, 0},
    {"Thu, 01 Jan 1970 00:00:00 GMT", NULL, 0, 0},
    {"Fri, 31 Dec 9999 23:59:59 GMT", NULL, 0, 1e9},
    {"Friday, 27-Nov-26 12:00:30 GMT", NULL, 0, 30},
    {"Fri Nov 27 12:00:30 2026", NULL, 0, 30},
    {"Fri, 32 Nov 2026 12:00:00 GMT", NULL, 0, NAN},
    {"Fri, 27 Nov 2026 12:00:10", NULL, 0, NAN},
    {"2026-11-27T12:00:10Z", NULL, 0, NAN},
    /* by the server's, whatever ours says */
    {"Fri, 27 Nov 2026 12:00:10 GMT", DATE, 3600, 10},
    {"Fri, 27 Nov 2026 12:00:10 GMT", DATE, -1e8, 10},
    {"Fri, 27 Nov 2026 11:00:10 GMT", DATE, -3600, 0},
    {"Fri, 27 Nov 2026 12:00:10 GMT", "yesterday", 4, 6},
    {"5", DATE, 3600, 5},
};

static void test_retry_after(void) {
  for (size_t i = 0; i < sizeof(asked) / sizeof(*asked); i++) {
    double seconds =
        fy_retry_after(asked[i].text, asked[i].date, WALL + asked[i].skew);

    UNIT_CASE("%s by %s", asked[i].text ? asked[i].text : "none",
              asked[i].date ? asked[i].date : "our clock");
    if (isnan(asked[i].seconds)) {
      CHECK(isnan(seconds));
    } else {
      CHECK_INT(seconds * 1000, asked[i].seconds * 1000);
    }
  }
  UNIT_CASE("%s", "");
}

/* --- The budget --------------------------------------------------------- */

static void test_budget(void) {
  struct fy_retry_budget budget;
  struct fy_retry_step step;
  struct fy_retry seen = get;
  int repeats = 0;

  seen.status = 503;
  fy_retry_budget_init(&budget);
  fy_retry_budget_give(&budget); /* never more than at the start */
  for (int i = 0; i < 1000; i++) {
    fy_retry_decide(&seen, &budget, HALF, &step);
    repeats += step.todo == FY_RETRY_AFTER;
    CHECK_INT(step.budget_empty, step.todo != FY_RETRY_AFTER);
  }
  CHECK_INT(repeats, 50);
  seen.retries = 0; /* that would have been delivered anyway */
  fy_retry_decide(&seen, &budget, HALF, &step);
  CHECK_INT(step.budget_empty, 0);
  seen.retries = 2;
  for (int i = 0; i < 4; i++) {
    fy_retry_budget_give(&budget);
    fy_retry_decide(&seen, &budget, HALF, &step);
    CHECK_INT(step.budget_empty, 1);
  }
  fy_retry_budget_give(&budget); /* the fifth success */
  fy_retry_decide(&seen, &budget, HALF, &step);
  CHECK_INT(step.todo, FY_RETRY_AFTER);
}

static void test_passing(void) {
  CHECK(fy_retry_is_passing(FREDDY_ECUT, ""));
  CHECK(fy_retry_is_passing(FREDDY_ETLS, "handshake_cut"));
  CHECK(!fy_retry_is_passing(FREDDY_ETLS, "expired"));
  CHECK(fy_retry_is_passing(FREDDY_ECONNECT, ""));
  CHECK(!fy_retry_is_passing(FREDDY_ECONNECT, "proxy_auth"));
  CHECK(!fy_retry_is_passing(FREDDY_ENOMEM, ""));
  CHECK(fy_retry_is_too_long(61) && !fy_retry_is_too_long(60));
}

int main(void) {
  test_passing();
  test_table();
  test_sent();
  test_free();
  test_429();
  test_quota();
  test_quota_with_a_wait();
  test_backoff();
  test_delay();
  test_retry_after();
  test_budget();
  return unit_end();
}
