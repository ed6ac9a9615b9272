/* SPDX-License-Identifier: MIT */
/* The token clockwork, rule by rule. Its times are seconds here. */
#include <string.h>

#include "rules/token.h"
#include "unit.h"

static const fy_time HOUR = 3600 * FY_SECOND;
static const fy_time START = 1000 * FY_SECOND;

static struct fy_token token;
static struct fy_token_step step_taken;
static fy_time now;

static enum fy_token_todo step(void) {
  fy_token_step(&token, &step_taken);
  return step_taken.todo;
}

static void make(int means) {
  now = START;
  fy_token_init(&token, means, 42);
}

/* One that was given, with `life` left. */
static void give(fy_time life, int means) {
  make(0);
  fy_token_give(&token, now, life, means);
  while (step() != FY_TOKEN_NOTHING) {
  }
}

static void fetched(fy_time life, int has_refresh) {
  struct fy_token_grant grant = {now, life, has_refresh};

  fy_token_fetched(&token, step_taken.ticket, now, &grant);
}

static void fails(enum fy_token_failure failure) {
  fy_token_not_fetched(&token, step_taken.ticket, now, failure, 0);
}

static enum fy_token_answer ask(void) {
  return fy_token_ask(&token, now, 0);
}

static void expect_fetch(int means, enum fy_token_why why) {
  CHECK_INT(step(), FY_TOKEN_FETCH);
  CHECK_INT(step_taken.means, means);
  CHECK_INT(step_taken.why, why);
  CHECK_INT(step(), FY_TOKEN_NOTHING);
}

/* --- Windows ------------------------------------------------------------ */

static void check_window(fy_time life, fy_time window, fy_time margin) {
  fy_time earliest = START + life - window - window / 10;

  for (uint64_t seed = 1; seed < 50; seed++) {
    now = START;
    fy_token_init(&token, 0, seed);
    fy_token_give(&token, now, life, FY_BY_REFRESH);
    CHECK_INT(fy_token_state(&token, earliest - 1), FY_TOKEN_FRESH);
    CHECK_INT(fy_token_state(&token, START + life - window), FY_TOKEN_STALE);
    CHECK_INT(fy_token_left(&token, START), life - margin);
    CHECK_INT(fy_token_left(&token, START + life - margin), 0);
    CHECK_INT(fy_token_left(&token, START + life - margin - 1), 1);
  }
}

static void check_windows(void) {
  check_window(FY_SECOND, FY_SECOND / 5, FY_SECOND / 20);
  check_window(10 * FY_SECOND, 2 * FY_SECOND, FY_SECOND / 2);
  check_window(HOUR, HOUR / 5, 10 * FY_SECOND);
  check_window(24 * HOUR, HOUR, 10 * FY_SECOND);
  check_window(87600 * HOUR, HOUR, 10 * FY_SECOND);
  give(FY_NEVER, FY_BY_REFRESH); /* unknown: an hour is assumed */
  CHECK_INT(fy_token_left(&token, now), HOUR - 10 * FY_SECOND);
}

static void windows_differ(void) {
  fy_time first = 0;
  int differ = 0;

  for (uint64_t seed = 1; seed < 20; seed++) {
    fy_token_init(&token, 0, seed);
    token.keep_warm = 1;
    fy_token_give(&token, START, HOUR, FY_BY_REFRESH);
    differ |= first && fy_token_due(&token) != first;
    first = fy_token_due(&token);
  }
  CHECK(differ);
}

/* --- The first token ---------------------------------------------------- */

static void first_one(void) {
  uint64_t before;

  make(FY_BY_EXCHANGE);
  CHECK_INT(fy_token_state(&token, now), FY_TOKEN_EMPTY);
  CHECK_INT(ask(), FY_TOKEN_WAIT);
  expect_fetch(FY_BY_EXCHANGE, FY_WHY_FIRST);
  CHECK_INT(fy_token_state(&token, now), FY_TOKEN_FETCHING);
  CHECK_INT(ask(), FY_TOKEN_WAIT); /* a thousand wait for one */
  CHECK_INT(step(), FY_TOKEN_NOTHING);
  before = token.generation;
  fetched(HOUR, 1);
  CHECK(token.generation > before);
  CHECK_INT(fy_token_state(&token, now), FY_TOKEN_FRESH);
  CHECK_INT(ask(), FY_TOKEN_SEND);
  /* A refresh token came with it, so that is what renews it. */
  now += HOUR;
  CHECK_INT(ask(), FY_TOKEN_WAIT);
  expect_fetch(FY_BY_REFRESH, FY_WHY_EXPIRED);
  CHECK_INT(fy_token_state(&token, now), FY_TOKEN_REFRESHING);
}

static void refresh_token_alone(void) {
  give(0, FY_BY_REFRESH);
  CHECK_INT(ask(), FY_TOKEN_WAIT);
  expect_fetch(FY_BY_REFRESH, FY_WHY_FIRST);
  fetched(HOUR, 0); /* not rotated: the old one stays */
  now += HOUR;
  ask();
  expect_fetch(FY_BY_REFRESH, FY_WHY_EXPIRED);
}

static void nothing_at_all(void) {
  make(0);
  CHECK_INT(ask(), FY_TOKEN_MISSING);
  CHECK_INT(step(), FY_TOKEN_NOTHING);
  CHECK_INT(fy_token_renew(&token, now), FY_TOKEN_MISSING);
}

/* A bare token is sent for ever: the server is its judge. */
static void bare_token(void) {
  give(FY_SECOND, 0);
  now += 1000 * HOUR;
  CHECK_INT(ask(), FY_TOKEN_SEND);
  CHECK_INT(fy_token_rejected(&token, now, token.generation),
            FY_TOKEN_DELIVER);
  CHECK_INT(ask(), FY_TOKEN_SEND);
  CHECK_INT(step(), FY_TOKEN_NOTHING);
}

/* --- Early refresh ------------------------------------------------------ */

static void enter_window(int means) {
  give(HOUR, means);
  now += HOUR - HOUR / 5;
}

static void early(void) {
  enter_window(FY_BY_REFRESH);
  CHECK_INT(ask(), FY_TOKEN_SEND); /* the one that starts it, too */
  expect_fetch(FY_BY_REFRESH, FY_WHY_EXPIRING);
  CHECK_INT(ask(), FY_TOKEN_SEND);
  CHECK_INT(step(), FY_TOKEN_NOTHING);
  fetched(HOUR, 1);
  CHECK_INT(fy_token_state(&token, now), FY_TOKEN_FRESH);
}

static void early_never_by_itself(void) {
  enter_window(FY_BY_REFRESH);
  CHECK_INT(fy_token_due(&token), FY_NEVER);
  fy_token_wake(&token, now);
  CHECK_INT(step(), FY_TOKEN_NOTHING);
  token.keep_warm = 1;
  CHECK(fy_token_due(&token) <= now);
  fy_token_wake(&token, now);
  expect_fetch(FY_BY_REFRESH, FY_WHY_EXPIRING);
}

static void early_fails(void) {
  fy_time delay = FY_SECOND / 2;

  enter_window(FY_BY_REFRESH);
  for (int i = 0; i < 12; i++) {
    fy_time longest = (FY_SECOND << (i < 6 ? i : 6)) < 60 * FY_SECOND
                          ? FY_SECOND << (i < 6 ? i : 6)
                          : 60 * FY_SECOND;

    UNIT_CASE("failure %d", i + 1);
    CHECK_INT(ask(), FY_TOKEN_SEND);
    CHECK_INT(step(), FY_TOKEN_FETCH);
    fails(FY_TOKEN_GARBAGE);
    CHECK(token.retry_at - now >= longest / 2);
    CHECK(token.retry_at - now <= longest);
    delay = token.retry_at - now;
    now += delay - 1;
    CHECK_INT(ask(), FY_TOKEN_SEND);
    CHECK_INT(step(), FY_TOKEN_NOTHING);
    now += 1;
  }
  UNIT_CASE("%s", "");
  ask();
  step();
  fetched(HOUR, 0);
  CHECK_INT(token.retry_at, 0); /* a success forgets */
}

/* The living token is served to its end, and nobody is called again. */
static void early_refused(void) {
  enter_window(FY_BY_REFRESH);
  ask();
  step();
  fails(FY_TOKEN_REFUSED);
  CHECK_INT(ask(), FY_TOKEN_SEND);
  CHECK_INT(step(), FY_TOKEN_NOTHING);
  now += HOUR;
  CHECK_INT(ask(), FY_TOKEN_OVER);
  CHECK_INT(fy_token_state(&token, now), FY_TOKEN_EXPIRED);
  CHECK_INT(step(), FY_TOKEN_NOTHING);
  CHECK_INT(token.uncertain, 0);
}

/* --- Expired ------------------------------------------------------------ */

static void expire(int means) {
  give(HOUR, means);
  now += HOUR;
  CHECK_INT(ask(), FY_TOKEN_WAIT);
  CHECK_INT(step(), FY_TOKEN_FETCH);
}

static void refused(void) {
  expire(FY_BY_REFRESH);
  fails(FY_TOKEN_REFUSED);
  CHECK_INT(ask(), FY_TOKEN_OVER);
  now += 1000 * HOUR;
  CHECK_INT(ask(), FY_TOKEN_OVER);
  CHECK_INT(fy_token_renew(&token, now), FY_TOKEN_OVER);
  CHECK_INT(step(), FY_TOKEN_NOTHING);
  fy_token_give(&token, now, HOUR, FY_BY_REFRESH); /* new credentials end it */
  CHECK_INT(ask(), FY_TOKEN_SEND);
}

static void refused_with_a_key(void) {
  expire(FY_BY_REFRESH | FY_BY_EXCHANGE);
  CHECK_INT(step_taken.means, FY_BY_REFRESH);
  fails(FY_TOKEN_REFUSED);
  CHECK_INT(ask(), FY_TOKEN_WAIT);
  CHECK_INT(step(), FY_TOKEN_FETCH);
  CHECK_INT(step_taken.means, FY_BY_EXCHANGE);
  fetched(HOUR, 0);
  CHECK_INT(ask(), FY_TOKEN_SEND);
  now += HOUR;
  ask();
  expect_fetch(FY_BY_EXCHANGE, FY_WHY_EXPIRED);
  fails(FY_TOKEN_REFUSED); /* a key is asked for again, after the back-off */
  CHECK_INT(ask(), FY_TOKEN_RENEWAL_FAILED);
  CHECK_INT(fy_token_state(&token, now), FY_TOKEN_FAILED);
  now = token.retry_at;
  CHECK_INT(ask(), FY_TOKEN_WAIT);
}

/* Once, after half a second, when nothing was sent or the server is busy. */
static void repeated(enum fy_token_failure failure) {
  expire(FY_BY_REFRESH);
  fails(failure);
  CHECK_INT(step(), FY_TOKEN_NOTHING);
  CHECK_INT(fy_token_due(&token), now + FY_SECOND / 2);
  CHECK_INT(ask(), FY_TOKEN_WAIT);
  now = fy_token_due(&token);
  fy_token_wake(&token, now);
  CHECK_INT(step(), FY_TOKEN_FETCH);
  fails(failure);
  CHECK_INT(step(), FY_TOKEN_NOTHING);
  CHECK_INT(ask(), FY_TOKEN_RENEWAL_FAILED);
  CHECK(token.retry_at > now);
}

static void busy_for_long(void) {
  expire(FY_BY_REFRESH);
  fy_token_not_fetched(&token, step_taken.ticket, now, FY_TOKEN_BUSY,
                       30 * FY_SECOND);
  CHECK_INT(ask(), FY_TOKEN_RENEWAL_FAILED);
  CHECK_INT(token.retry_at, now + 30 * FY_SECOND);
}

static void garbage(void) {
  expire(FY_BY_REFRESH);
  fails(FY_TOKEN_GARBAGE);
  CHECK_INT(ask(), FY_TOKEN_RENEWAL_FAILED);
  CHECK_INT(token.uncertain, 0);
}

/* The answer is lost: dead, once at once, and a refusal then is uncertain;
 * alive, with the back-off. */
static void lost(void) {
  expire(FY_BY_REFRESH);
  fails(FY_TOKEN_LOST);
  CHECK_INT(step(), FY_TOKEN_FETCH);
  fails(FY_TOKEN_REFUSED);
  CHECK_INT(ask(), FY_TOKEN_OVER);
  CHECK_INT(token.uncertain, 1);

  expire(FY_BY_REFRESH);
  fails(FY_TOKEN_LOST);
  CHECK_INT(step(), FY_TOKEN_FETCH);
  fails(FY_TOKEN_LOST);
  CHECK_INT(ask(), FY_TOKEN_RENEWAL_FAILED);

  enter_window(FY_BY_REFRESH);
  ask();
  step();
  fails(FY_TOKEN_LOST);
  CHECK_INT(step(), FY_TOKEN_NOTHING);
  CHECK_INT(ask(), FY_TOKEN_SEND);
  CHECK(token.retry_at > now);
  now = token.retry_at;
  ask();
  step();
  fetched(HOUR, 1);
  CHECK_INT(token.uncertain, 0);
}

static void provider_fails(void) {
  make(FY_BY_PROVIDER);
  ask();
  expect_fetch(FY_BY_PROVIDER, FY_WHY_FIRST);
  fails(FY_TOKEN_GARBAGE);
  CHECK_INT(ask(), FY_TOKEN_RENEWAL_FAILED);
  now = token.retry_at;
  ask();
  expect_fetch(FY_BY_PROVIDER, FY_WHY_FIRST);
}

/* Dead on arrival: kept, and not asked for again at once. */
static void dead_on_arrival(void) {
  expire(FY_BY_REFRESH);
  now += 10 * FY_SECOND;
  {
    struct fy_token_grant grant = {now - 10 * FY_SECOND, FY_SECOND, 1};

    fy_token_fetched(&token, step_taken.ticket, now, &grant);
  }
  CHECK_INT(ask(), FY_TOKEN_RENEWAL_FAILED);
  CHECK_INT(step(), FY_TOKEN_NOTHING);
}

/* --- 401 ---------------------------------------------------------------- */

static void rejected(void) {
  uint64_t old;

  give(HOUR, FY_BY_REFRESH);
  old = token.generation;
  CHECK_INT(fy_token_rejected(&token, now, old), FY_TOKEN_WAIT);
  expect_fetch(FY_BY_REFRESH, FY_WHY_REJECTED);
  CHECK_INT(fy_token_rejected(&token, now, old), FY_TOKEN_WAIT);
  CHECK_INT(ask(), FY_TOKEN_WAIT); /* a rejected one is not sent again */
  fetched(HOUR, 0);
  CHECK_INT(ask(), FY_TOKEN_SEND);
  /* Another one has come meanwhile: no second renewal. */
  CHECK_INT(fy_token_rejected(&token, now, old), FY_TOKEN_SEND);
  CHECK_INT(step(), FY_TOKEN_NOTHING);
}

static void rejected_in_back_off(void) {
  give(HOUR, FY_BY_REFRESH);
  fy_token_rejected(&token, now, token.generation);
  step();
  fails(FY_TOKEN_GARBAGE);
  CHECK_INT(ask(), FY_TOKEN_RENEWAL_FAILED);
  CHECK_INT(fy_token_rejected(&token, now, token.generation),
            FY_TOKEN_RENEWAL_FAILED);
}

static void rejected_after_a_refusal(void) {
  enter_window(FY_BY_REFRESH);
  ask();
  step();
  fails(FY_TOKEN_REFUSED);
  CHECK_INT(fy_token_rejected(&token, now, token.generation), FY_TOKEN_OVER);
  CHECK_INT(ask(), FY_TOKEN_OVER);
}

/* --- Nothing old overwrites anything new -------------------------------- */

static void old_answers(void) {
  struct fy_token_grant grant = {START, HOUR, 1};
  uint64_t ticket, generation;

  expire(FY_BY_REFRESH);
  ticket = step_taken.ticket;
  fy_token_give(&token, now, HOUR, FY_BY_REFRESH);
  generation = token.generation;
  fy_token_fetched(&token, ticket, now, &grant);
  fy_token_not_fetched(&token, ticket, now, FY_TOKEN_REFUSED, 0);
  CHECK_INT(token.generation, generation);
  CHECK_INT(ask(), FY_TOKEN_SEND);

  expire(FY_BY_REFRESH);
  ticket = step_taken.ticket;
  fy_token_revoke(&token);
  fy_token_fetched(&token, ticket, now, &grant);
  CHECK_INT(ask(), FY_TOKEN_MISSING);
  CHECK_INT(fy_token_state(&token, now), FY_TOKEN_REVOKED);
  CHECK_INT(fy_token_rejected(&token, now, token.generation),
            FY_TOKEN_MISSING);

  /* A result for another phase than the one at hand. */
  expire(FY_BY_REFRESH);
  generation = token.generation;
  fy_token_adopt(&token, step_taken.ticket, now, &grant);
  fy_token_claimed(&token, step_taken.ticket, now, 0);
  fy_token_saved(&token, step_taken.ticket, now);
  fy_token_told(&token, step_taken.ticket, now);
  CHECK_INT(token.generation, generation);
  CHECK(fy_token_is_renewing(&token));
}

/* --- The store ---------------------------------------------------------- */

static void with_store(void) {
  make(FY_BY_REFRESH);
  token.has_store = 1;
  token.has_listener = 1;
  CHECK_INT(ask(), FY_TOKEN_WAIT);
}

static void store_goes(void) {
  with_store();
  CHECK_INT(step(), FY_TOKEN_CLAIM);
  CHECK_INT(fy_token_state(&token, now), FY_TOKEN_CLAIMING);
  fy_token_claimed(&token, step_taken.ticket, now, 0);
  CHECK_INT(step(), FY_TOKEN_FETCH);
  CHECK(fy_token_is_at_risk(&token));
  fetched(HOUR, 1);
  CHECK_INT(ask(), FY_TOKEN_SEND); /* may be sent before it is kept */
  CHECK_INT(fy_token_ask(&token, now, 1), FY_TOKEN_WAIT);
  CHECK_INT(step(), FY_TOKEN_SAVE);
  CHECK(fy_token_is_at_risk(&token));
  fy_token_saved(&token, step_taken.ticket, now);
  CHECK_INT(step(), FY_TOKEN_RELEASE);
  CHECK_INT(step(), FY_TOKEN_TELL);
  CHECK_INT(fy_token_ask(&token, now, 1), FY_TOKEN_WAIT);
  fy_token_told(&token, step_taken.ticket, now);
  CHECK_INT(fy_token_ask(&token, now, 1), FY_TOKEN_SEND);
  CHECK(!fy_token_is_at_risk(&token));
  CHECK_INT(step(), FY_TOKEN_NOTHING);
}

static void store_waits(void) {
  with_store();
  step();
  fy_token_claimed(&token, step_taken.ticket, now, FY_SECOND);
  CHECK_INT(step(), FY_TOKEN_NOTHING);
  CHECK_INT(fy_token_due(&token), now + FY_SECOND);
  fy_token_wake(&token, now); /* too early */
  CHECK_INT(step(), FY_TOKEN_NOTHING);
  now += FY_SECOND;
  fy_token_wake(&token, now);
  CHECK_INT(step(), FY_TOKEN_CLAIM);
}

static void store_has_a_newer_one(void) {
  struct fy_token_grant grant = {START, HOUR, 1};

  with_store();
  step();
  fy_token_adopt(&token, step_taken.ticket, now, &grant);
  CHECK_INT(ask(), FY_TOKEN_SEND);
  CHECK_INT(fy_token_ask(&token, now, 1), FY_TOKEN_WAIT);
  CHECK_INT(step(), FY_TOKEN_TELL); /* no claim was taken */
  CHECK(!fy_token_is_at_risk(&token));
  fy_token_told(&token, step_taken.ticket, now);
  CHECK_INT(fy_token_ask(&token, now, 1), FY_TOKEN_SEND);
  CHECK_INT(step(), FY_TOKEN_NOTHING);

  with_store(); /* found when ours was to be saved */
  step();
  fy_token_claimed(&token, step_taken.ticket, now, 0);
  step();
  fetched(HOUR, 1);
  CHECK_INT(step(), FY_TOKEN_SAVE);
  fy_token_adopt(&token, step_taken.ticket, now, &grant);
  CHECK_INT(step(), FY_TOKEN_RELEASE);
  CHECK_INT(step(), FY_TOKEN_TELL);
}

/* One that died on its way from there: it is asked again, and what came with
 * it is used. Nobody hears of a failure, for there was none. */
static void store_had_a_newer_one(void) {
  struct fy_token_grant grant = {START - HOUR, HOUR, 1};

  with_store();
  step();
  fy_token_adopt(&token, step_taken.ticket, now, &grant);
  CHECK_INT(fy_token_ask(&token, now, 1), FY_TOKEN_WAIT);
  CHECK_INT(step(), FY_TOKEN_CLAIM);
  fy_token_claimed(&token, step_taken.ticket, now, 0);
  CHECK_INT(step(), FY_TOKEN_FETCH);
  CHECK_INT(step_taken.means, FY_BY_REFRESH);
  fetched(HOUR, 1);
  CHECK_INT(ask(), FY_TOKEN_SEND);
}

/* A lost answer: another process may know more. */
static void store_after_a_loss(void) {
  with_store();
  step();
  fy_token_claimed(&token, step_taken.ticket, now, 0);
  step();
  fails(FY_TOKEN_LOST);
  CHECK_INT(step(), FY_TOKEN_CLAIM);
  fy_token_claimed(&token, step_taken.ticket, now, 0);
  CHECK_INT(step(), FY_TOKEN_FETCH);
  fails(FY_TOKEN_GARBAGE);
  CHECK_INT(step(), FY_TOKEN_RELEASE);
}

static void released_by_a_logout(void) {
  with_store();
  step();
  fy_token_claimed(&token, step_taken.ticket, now, 0);
  step();
  fy_token_revoke(&token);
  CHECK_INT(step(), FY_TOKEN_RELEASE);
  CHECK_INT(step(), FY_TOKEN_NOTHING);
}

static void host_does_not_listen(void) {
  make(FY_BY_REFRESH);
  token.has_listener = 1;
  ask();
  step();
  fetched(HOUR, 1);
  CHECK_INT(step(), FY_TOKEN_TELL);
  CHECK_INT(fy_token_due(&token), now + 5 * FY_SECOND);
  now += 5 * FY_SECOND;
  fy_token_wake(&token, now);
  CHECK_INT(fy_token_ask(&token, now, 1), FY_TOKEN_SEND);
}

/* --- Clocks ------------------------------------------------------------- */

static void asleep(void) {
  give(HOUR, FY_BY_REFRESH);
  CHECK_INT(ask(), FY_TOKEN_SEND);
  now += 2 * HOUR; /* on a clock that counted it */
  CHECK_INT(ask(), FY_TOKEN_WAIT);
  expect_fetch(FY_BY_REFRESH, FY_WHY_EXPIRED);

  give(HOUR, FY_BY_REFRESH); /* on one that did not the server tells */
  CHECK_INT(ask(), FY_TOKEN_SEND);
  CHECK_INT(fy_token_rejected(&token, now, token.generation), FY_TOKEN_WAIT);
  expect_fetch(FY_BY_REFRESH, FY_WHY_REJECTED);

  give(HOUR, FY_BY_REFRESH);
  now -= 2 * HOUR; /* one that steps back */
  CHECK_INT(ask(), FY_TOKEN_SEND);
  CHECK_INT(step(), FY_TOKEN_NOTHING);
}

/* --- Its owner ends ----------------------------------------------------- */

/* In the middle of what a request began: there is no result, and whoever
 * asks next begins anew. */
static void check_begun_anew(int uncertain) {
  struct fy_token_grant grant = {now, HOUR, 1};
  uint64_t old = step_taken.ticket;

  fy_token_interrupt(&token);
  CHECK(!fy_token_is_renewing(&token));
  CHECK(!fy_token_is_at_risk(&token));
  CHECK_INT(fy_token_due(&token), FY_NEVER);
  fy_token_claimed(&token, old, now, 0); /* of the past, all of them */
  fy_token_fetched(&token, old, now, &grant);
  CHECK(!fy_token_is_renewing(&token));
  CHECK_INT(token.uncertain, uncertain);
  CHECK_INT(ask(), FY_TOKEN_WAIT);
}

static void interrupted(void) {
  give(0, FY_BY_REFRESH);
  ask();
  expect_fetch(FY_BY_REFRESH, FY_WHY_FIRST);
  check_begun_anew(1); /* it may have been sent */
  expect_fetch(FY_BY_REFRESH, FY_WHY_FIRST);

  give(0, FY_BY_EXCHANGE);
  ask();
  step();
  fails(FY_TOKEN_BUSY); /* a pause before the repeat */
  check_begun_anew(0);

  give(0, FY_BY_REFRESH);
  token.has_store = 1;
  ask();
  CHECK_INT(step(), FY_TOKEN_CLAIM);
  check_begun_anew(0);
  CHECK_INT(step(), FY_TOKEN_CLAIM);
  fy_token_claimed(&token, step_taken.ticket, now, 0);
  CHECK_INT(step(), FY_TOKEN_FETCH);
  fy_token_interrupt(&token);
  CHECK_INT(step(), FY_TOKEN_RELEASE); /* for others, at once */
  CHECK_INT(step(), FY_TOKEN_NOTHING);
}

/* What had come is not fetched again, but kept and told by the next one. */
static void interrupted_late(void) {
  give(0, FY_BY_REFRESH);
  token.has_store = token.has_listener = 1;
  ask();
  step();
  fy_token_claimed(&token, step_taken.ticket, now, 0);
  step();
  fetched(HOUR, 1);
  CHECK_INT(step(), FY_TOKEN_SAVE);
  fy_token_interrupt(&token);
  CHECK(fy_token_is_at_risk(&token));
  fy_token_saved(&token, step_taken.ticket, now); /* nobody heard of that */
  CHECK_INT(step(), FY_TOKEN_SAVE);
  fy_token_saved(&token, step_taken.ticket, now);
  CHECK_INT(step(), FY_TOKEN_RELEASE);
  fy_token_interrupt(&token);
  CHECK_INT(step(), FY_TOKEN_TELL);
  fy_token_interrupt(&token); /* those who listen have it in their inbox */
  CHECK(!fy_token_is_renewing(&token));
  CHECK_INT(ask(), FY_TOKEN_SEND);
}

static void corrected(void) {
  give(2 * HOUR, FY_BY_REFRESH);
  fy_token_correct(&token, now, HOUR); /* the wall clock was an hour off */
  CHECK_INT(fy_token_left(&token, now), HOUR - 10 * FY_SECOND);
  fy_token_correct(&token, now, 5 * HOUR); /* once only */
  CHECK_INT(fy_token_left(&token, now), HOUR - 10 * FY_SECOND);

  give(2 * HOUR, FY_BY_REFRESH);
  fy_token_correct(&token, now, -HOUR);
  CHECK_INT(ask(), FY_TOKEN_WAIT);

  expire(FY_BY_REFRESH);
  fetched(HOUR, 0);
  fy_token_correct(&token, now, 1); /* not a given one any more */
  CHECK_INT(ask(), FY_TOKEN_SEND);
}

static void renewed_by_hand(void) {
  give(HOUR, FY_BY_REFRESH);
  CHECK_INT(fy_token_renew(&token, now), FY_TOKEN_WAIT);
  expect_fetch(FY_BY_REFRESH, FY_WHY_EXPIRING);
  CHECK_INT(fy_token_renew(&token, now), FY_TOKEN_WAIT); /* joins it */
  fails(FY_TOKEN_GARBAGE);
  CHECK_INT(fy_token_renew(&token, now), FY_TOKEN_RENEWAL_FAILED);
}

/* A token of 10 s under steady load for 60 s. */
static void steady_load(void) {
  int fetches = 1, waits = 0;

  give(0, FY_BY_REFRESH);
  ask();
  step();
  fetched(10 * FY_SECOND, 1);
  for (int i = 0; i < 6000; i++) {
    now += FY_SECOND / 100;
    waits += ask() != FY_TOKEN_SEND;
    if (step() == FY_TOKEN_FETCH) {
      fetches++;
      now += FY_SECOND / 20;
      fetched(10 * FY_SECOND, 1);
    }
  }
  CHECK_INT(waits, 0);
  CHECK(fetches >= 7 && fetches <= 9);
}

int main(void) {
  check_windows();
  windows_differ();
  first_one();
  refresh_token_alone();
  nothing_at_all();
  bare_token();
  early();
  early_never_by_itself();
  early_fails();
  early_refused();
  refused();
  refused_with_a_key();
  repeated(FY_TOKEN_BUSY);
  repeated(FY_TOKEN_UNSENT);
  busy_for_long();
  garbage();
  lost();
  provider_fails();
  dead_on_arrival();
  rejected();
  rejected_in_back_off();
  rejected_after_a_refusal();
  old_answers();
  store_goes();
  store_waits();
  store_has_a_newer_one();
  store_had_a_newer_one();
  store_after_a_loss();
  released_by_a_logout();
  host_does_not_listen();
  asleep();
  interrupted();
  interrupted_late();
  corrected();
  renewed_by_hand();
  steady_load();
  return unit_end();
}
