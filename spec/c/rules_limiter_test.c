/* SPDX-License-Identifier: MIT */
/* The limiter by table: plans, days, and windows that answers tell of. */
#include <math.h>

#include "rules/limiter.h"
#include "unit.h"

#define S FY_SECOND

static const fy_time BEGIN = 1000000 * FY_SECOND;

static const struct fy_limit_plan adaptive = {FY_LIMIT_ADAPTIVE, 0, 0, 0};
static const struct fy_limit_plan off = {FY_LIMIT_OFF, 0, 0, 0};

static struct fy_limiter made(struct fy_limit_plan plan) {
  struct fy_limiter limiter;

  fy_limiter_init(&limiter, &plan, BEGIN);
  return limiter;
}

static struct fy_rate_facts said(double remaining, double reset) {
  struct fy_rate_facts facts = {0, 100, remaining, reset, NAN, NAN, NAN};

  return facts;
}

static struct fy_rate_facts refused(double retry_after) {
  struct fy_rate_facts facts = {1, NAN, NAN, NAN, NAN, NAN, retry_after};

  return facts;
}

static struct fy_limit_mark last; /* of what was sent */

/* Send `count` that may all leave at `now`. */
static void send(struct fy_limiter *limiter, int count, fy_time now) {
  for (int i = 0; i < count; i++) {
    CHECK(fy_limiter_next(limiter, now) <= now);
    last = fy_limiter_sent(limiter, now);
  }
}

static struct fy_limit_mark mark_of(const struct fy_limiter *limiter) {
  return (struct fy_limit_mark){limiter->window, limiter->second};
}

static void answer(struct fy_limiter *limiter, struct fy_rate_facts facts,
                   fy_time now) {
  fy_limiter_heard(limiter, last, &facts, now);
}

/* --- Plans -------------------------------------------------------------- */

static void test_names(void) {
  struct fy_limit_plan plan;

  UNIT_CASE("%s", "names");
  CHECK(fy_limit_plan_named("standard", &plan));
  CHECK_INT(plan.mode, FY_LIMIT_PLAN);
  CHECK_INT(plan.per_minute, 100);
  CHECK_INT(plan.burst, 120);
  CHECK_INT(plan.per_day, 10000);
  CHECK(fy_limit_plan_named("premium", &plan));
  CHECK_INT(plan.per_minute, 1000);
  CHECK_INT(plan.burst, 1200);
  CHECK_INT(plan.per_day, 100000);
  CHECK(!fy_limit_plan_named("Standard", &plan));
  CHECK(!fy_limit_plan_named("", &plan));
}

static const struct {
  uint32_t per_minute, burst;
  int at_once;  /* so many leave at the start */
  fy_time step; /* then one each */
} buckets[] = {
    {100, 120, 20, 600 * FY_MILLISECOND},
    {100, 100, 1, 600 * FY_MILLISECOND},
    {100, 101, 1, 600 * FY_MILLISECOND},
    {1000, 1200, 200, 60000000},
    {1, 1, 1, 60 * FY_SECOND},
    {1, 60, 59, 60 * FY_SECOND},
    {7, 9, 2, 8571428572},
    {4000000000u, 4000000001u, 1, 15},
};

static void test_buckets(void) {
  for (size_t i = 0; i < sizeof(buckets) / sizeof(buckets[0]); i++) {
    struct fy_limit_plan plan = {FY_LIMIT_PLAN, buckets[i].per_minute,
                                 buckets[i].burst, 0};
    struct fy_limiter limiter = made(plan);
    fy_time at = BEGIN;

    UNIT_CASE("%u, %u", plan.per_minute, plan.burst);
    CHECK_INT(fy_limiter_room(&limiter, at), buckets[i].at_once);
    send(&limiter, buckets[i].at_once, at);
    CHECK_INT(fy_limiter_room(&limiter, at), 0);
    for (int n = 0; n < 3; n++) {
      CHECK_INT(fy_limiter_next(&limiter, at), at + buckets[i].step);
      CHECK_INT(fy_limiter_hold(&limiter, at), 0);
      at += buckets[i].step;
      CHECK_INT(fy_limiter_room(&limiter, at), 1);
      send(&limiter, 1, at);
    }
    at += 200 * 60 * S; /* it fills up to its brim, not further */
    CHECK_INT(fy_limiter_room(&limiter, at), buckets[i].at_once);
  }
}

/* As much as an option can say: more than the clock can count. */
static void test_vast_bucket(void) {
  static const struct fy_limit_plan vast = {FY_LIMIT_PLAN, 1, UINT32_MAX, 0};
  struct fy_limiter limiter = made(vast);

  UNIT_CASE("%s", "a vast bucket");
  send(&limiter, 100, BEGIN);
  CHECK(fy_limiter_room(&limiter, BEGIN) > 5000000);
  fy_limiter_change(&limiter, &vast, BEGIN);
  CHECK(fy_limiter_room(&limiter, BEGIN) > 5000000);
}

static void test_change_of_plan(void) {
  struct fy_limit_plan slow = {FY_LIMIT_PLAN, 60, 70, 0};
  struct fy_limit_plan fast = {FY_LIMIT_PLAN, 600, 610, 0};
  struct fy_limiter limiter = made(slow);

  UNIT_CASE("%s", "another plan");
  send(&limiter, 10, BEGIN);
  CHECK_INT(fy_limiter_next(&limiter, BEGIN), BEGIN + S);
  fy_limiter_change(&limiter, &fast, BEGIN);
  CHECK_INT(fy_limiter_next(&limiter, BEGIN), BEGIN + S / 10);
  fy_limiter_change(&limiter, &off, BEGIN);
  CHECK_INT(fy_limiter_next(&limiter, BEGIN), BEGIN);
  CHECK_INT(fy_limiter_room(&limiter, BEGIN), -1);
  fy_limiter_change(&limiter, &slow, BEGIN + S);
  CHECK_INT(fy_limiter_room(&limiter, BEGIN + S), 0);
  CHECK_INT(limiter.today, 10);
}

/* Without a plan it is what left in the last minute that counts. */
static void test_plan_after_none(void) {
  static const struct {
    int sent;
    fy_time after;
    int room;
  } rows[] = {{0, 0, 10},
              {4, 0, 6},
              {4, 59 * FY_SECOND, 6},
              {30, 0, 0},
              {30, FY_SECOND, 0},
              {4, 62 * FY_SECOND, 10},
              {30, 200 * FY_SECOND, 10}};
  struct fy_limit_plan plan = {FY_LIMIT_PLAN, 60, 70, 0};

  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    for (int is_off = 0; is_off < 2; is_off++) {
      struct fy_limiter limiter = made(is_off ? off : adaptive);
      fy_time at = BEGIN + rows[i].after;

      UNIT_CASE("a plan after %s, %d sent %d s ago", is_off ? "off" : "none",
                rows[i].sent, (int)(rows[i].after / S));
      send(&limiter, rows[i].sent, BEGIN);
      fy_limiter_change(&limiter, &plan, at);
      CHECK_INT(fy_limiter_room(&limiter, at), rows[i].room);
    }
  }
}

static void test_plan_taken_up_again(void) {
  struct fy_limit_plan small = {FY_LIMIT_PLAN, 60, 70, 9};
  struct fy_limit_plan large = {FY_LIMIT_PLAN, 60, 90, 0};
  struct fy_limiter limiter = made(small);
  struct fy_limiter other;
  fy_time at = BEGIN + 5 * S;

  UNIT_CASE("%s", "a plan that is taken up again");
  send(&limiter, 2, BEGIN);
  other = limiter;
  fy_limiter_change(&other, &large, BEGIN);
  send(&other, 5, at);
  fy_limiter_merge(&limiter, &other, at);
  CHECK_INT(limiter.today, 7);
  CHECK_INT(fy_limiter_room(&limiter, at), 2); /* of the day */
  fy_limiter_merge(&limiter, &other, at);      /* as often as one likes */
  CHECK_INT(limiter.today, 7);
  send(&other, 20, at);
  fy_limiter_merge(&limiter, &other, at);
  CHECK_INT(limiter.today, 27);
  CHECK_INT(fy_limiter_room(&limiter, at), 0);
  CHECK(fy_limiter_hold(&limiter, at) > 3600 * S);
}

static void test_window_taken_up_again(void) {
  struct fy_limiter limiter = made(adaptive);
  struct fy_limiter other;
  fy_time at = BEGIN + 5 * S;

  UNIT_CASE("%s", "a window that is taken up again");
  send(&limiter, 2, BEGIN);
  answer(&limiter, said(90, 60), BEGIN);
  other = limiter;
  fy_limiter_change(&other, &off, BEGIN);
  send(&other, 1, at);
  answer(&other, said(3, 55), at);
  fy_limiter_merge(&limiter, &other, at);
  CHECK_INT(fy_limiter_room(&limiter, at), 3);
  CHECK_INT(limiter.resets_at, BEGIN + 60 * S);
  answer(&other, refused(300), at);
  fy_limiter_merge(&limiter, &other, at);
  CHECK_INT(fy_limiter_hold(&limiter, at), 300 * S);
}

static void test_smaller_bucket(void) {
  struct fy_limit_plan large = {FY_LIMIT_PLAN, 60, 1060, 0};
  struct fy_limit_plan small = {FY_LIMIT_PLAN, 60, 62, 0};
  struct fy_limiter limiter = made(large);

  UNIT_CASE("%s", "a smaller bucket is empty, not in debt");
  send(&limiter, 900, BEGIN);
  fy_limiter_change(&limiter, &small, BEGIN);
  CHECK_INT(fy_limiter_next(&limiter, BEGIN), BEGIN + S);
}

static void test_day(void) {
  struct fy_limit_plan plan = {FY_LIMIT_PLAN, 1000000, 2000000, 50};
  struct fy_limiter limiter = made(plan);
  fy_time hour = 3600 * S;
  fy_time at = (BEGIN / hour + 1) * hour;
  fy_time free_at = at + 25 * hour;

  UNIT_CASE("%s", "a day");
  send(&limiter, 30, at);
  send(&limiter, 20, at + 5 * hour + 1);
  CHECK_INT(fy_limiter_next(&limiter, at + 6 * hour), free_at);
  CHECK_INT(fy_limiter_hold(&limiter, at + 6 * hour), 19 * hour);
  CHECK_INT(fy_limiter_room(&limiter, at + 6 * hour), 0);
  CHECK_INT(fy_limiter_next(&limiter, free_at), free_at);
  CHECK_INT(fy_limiter_room(&limiter, free_at), 30);
  send(&limiter, 30, free_at);
  CHECK_INT(fy_limiter_next(&limiter, free_at), at + 30 * hour);
  /* After a year nothing is left of it. */
  CHECK_INT(fy_limiter_room(&limiter, free_at + 9000 * hour), 50);
}

/* --- What answers tell -------------------------------------------------- */

static void test_nothing_told(void) {
  struct fy_limiter limiter = made(adaptive);

  UNIT_CASE("%s", "nothing told");
  send(&limiter, 500, BEGIN);
  CHECK_INT(fy_limiter_room(&limiter, BEGIN), -1);
  answer(&limiter, said(NAN, NAN), BEGIN);
  send(&limiter, 500, BEGIN);
  fy_limiter_heard(&limiter, last, NULL, BEGIN);
  send(&limiter, 500, BEGIN);
}

static void test_window(void) {
  struct fy_limiter limiter = made(adaptive);

  UNIT_CASE("%s", "a window");
  send(&limiter, 1, BEGIN);
  answer(&limiter, said(99, 60), BEGIN + S);
  CHECK_INT(fy_limiter_room(&limiter, BEGIN + S), 99);
  send(&limiter, 99, BEGIN + S);
  CHECK_INT(fy_limiter_next(&limiter, BEGIN + S), BEGIN + 61 * S);
  CHECK_INT(fy_limiter_hold(&limiter, BEGIN + S), 60 * S);
  for (int left = 98; left >= 0; left--) {
    answer(&limiter, said(left, 58), BEGIN + 3 * S);
  }
  CHECK_INT(fy_limiter_next(&limiter, BEGIN + 3 * S), BEGIN + 61 * S);
  /* The next one: the limit is known. */
  CHECK_INT(fy_limiter_room(&limiter, BEGIN + 61 * S), 100);
  send(&limiter, 100, BEGIN + 61 * S);
  CHECK_INT(fy_limiter_next(&limiter, BEGIN + 61 * S), FY_NEVER);
  CHECK_INT(fy_limiter_hold(&limiter, BEGIN + 61 * S), 0);
}

static void test_answers_out_of_order(void) {
  struct fy_limiter limiter = made(adaptive);

  UNIT_CASE("%s", "those in flight may not be counted yet");
  send(&limiter, 5, BEGIN);
  answer(&limiter, said(9, 60), BEGIN);
  CHECK_INT(fy_limiter_room(&limiter, BEGIN), 5);
  answer(&limiter, said(7, 60), BEGIN);
  CHECK_INT(fy_limiter_room(&limiter, BEGIN), 4);
  answer(&limiter, said(8, 60), BEGIN);
  CHECK_INT(fy_limiter_room(&limiter, BEGIN), 5);
  /* Of one nobody heard: it may have been counted. */
  fy_limiter_heard(&limiter, last, NULL, BEGIN);
  CHECK_INT(fy_limiter_room(&limiter, BEGIN), 5);
  answer(&limiter, said(6, 60), BEGIN);
  CHECK_INT(fy_limiter_room(&limiter, BEGIN), 6);
}

static void test_answer_of_the_last_window(void) {
  struct fy_limiter limiter = made(adaptive);
  struct fy_rate_facts late = said(0, 0.5);
  struct fy_limit_mark first = mark_of(&limiter);

  UNIT_CASE("%s", "an answer of the window before");
  send(&limiter, 3, BEGIN);
  answer(&limiter, said(99, 10), BEGIN);
  answer(&limiter, said(98, 10), BEGIN);
  send(&limiter, 50, BEGIN + 11 * S);
  for (int left = 99; left > 49; left--) {
    answer(&limiter, said(left, 60), BEGIN + 12 * S);
  }
  CHECK_INT(fy_limiter_room(&limiter, BEGIN + 12 * S), 50);
  fy_limiter_heard(&limiter, first, &late, BEGIN + 12 * S);
  CHECK_INT(fy_limiter_room(&limiter, BEGIN + 12 * S), 50);
  CHECK_INT(fy_limiter_room(&limiter, BEGIN + 13 * S), 50);
}

static void test_others_use_it_up(void) {
  struct fy_limiter limiter = made(adaptive);

  UNIT_CASE("%s", "others with the same key");
  send(&limiter, 1, BEGIN);
  answer(&limiter, said(50, 60), BEGIN);
  send(&limiter, 1, BEGIN);
  answer(&limiter, said(0, 59), BEGIN + S);
  CHECK_INT(fy_limiter_next(&limiter, BEGIN + S), BEGIN + 60 * S);
}

static void test_no_reset_told(void) {
  struct fy_limiter limiter = made(adaptive);

  UNIT_CASE("%s", "nothing left, nobody says until when: one asks");
  send(&limiter, 1, BEGIN);
  answer(&limiter, said(0, NAN), BEGIN);
  send(&limiter, 1, BEGIN);
  CHECK_INT(fy_limiter_next(&limiter, BEGIN), FY_NEVER);
  answer(&limiter, said(10, NAN), BEGIN);
  CHECK_INT(fy_limiter_room(&limiter, BEGIN), 10);
}

static void test_rounding(void) {
  struct fy_limiter limiter = made(adaptive);

  UNIT_CASE("%s", "the latest of the roundings of one moment");
  send(&limiter, 4, BEGIN);
  answer(&limiter, said(3, 11), BEGIN);
  answer(&limiter, said(2, 10), BEGIN + S / 10);
  answer(&limiter, said(1, 11), BEGIN + S / 5);
  CHECK_INT(fy_limiter_next(&limiter, BEGIN + S), BEGIN + 112 * S / 10);
  answer(&limiter, said(0, 10), BEGIN + S / 2); /* none else is in flight */
  CHECK_INT(fy_limiter_next(&limiter, BEGIN + S), BEGIN + 105 * S / 10);
}

static void test_new_window_before_ours_ends(void) {
  struct fy_limiter limiter = made(adaptive);
  struct fy_limit_mark first;

  UNIT_CASE("%s", "the server's next window began already");
  send(&limiter, 3, BEGIN);
  first = last;
  answer(&limiter, said(4, 10), BEGIN);
  send(&limiter, 2, BEGIN + 8 * S);
  answer(&limiter, said(99, 60), BEGIN + 9 * S);
  CHECK_INT(fy_limiter_room(&limiter, BEGIN + 9 * S), 98);
  CHECK_INT(limiter.window, 1);
  fy_limiter_heard(&limiter, first, NULL, BEGIN + 9 * S);
  CHECK_INT(fy_limiter_room(&limiter, BEGIN + 9 * S), 98);
}

/* It tells what was right when it left, ten seconds ago. */
static void test_slow_answer_that_is_old(void) {
  struct fy_limiter limiter = made(adaptive);

  UNIT_CASE("%s", "a slow answer, older than what is known");
  send(&limiter, 3, BEGIN);
  answer(&limiter, said(1, 60), BEGIN);
  answer(&limiter, said(3, 60), BEGIN + 10 * S);
  CHECK_INT(fy_limiter_next(&limiter, BEGIN + 10 * S), BEGIN + 60 * S);
  CHECK_INT(limiter.window, 0);
}

/* Each request moves the moment when it is full. */
static void test_bucket_of_the_server(void) {
  struct fy_limiter limiter = made(adaptive);

  UNIT_CASE("%s", "a bucket of the server's");
  send(&limiter, 4, BEGIN);
  answer(&limiter, said(3, 10), BEGIN);
  answer(&limiter, said(1, 12), BEGIN);
  answer(&limiter, said(2, 11), BEGIN);
  CHECK_INT(fy_limiter_room(&limiter, BEGIN), 0);
  CHECK_INT(fy_limiter_next(&limiter, BEGIN), BEGIN + 12 * S);
}

/* No server counted it. The bucket does not get it back: what comes in
 * meanwhile would leave on top of that. */
static void test_never_left(void) {
  struct fy_limit_plan plan = {FY_LIMIT_PLAN, 60, 63, 3};
  struct fy_limiter limiter = made(adaptive);

  UNIT_CASE("%s", "what never left");
  send(&limiter, 1, BEGIN);
  answer(&limiter, said(3, 600), BEGIN);
  for (int n = 0; n < 5; n++) {
    send(&limiter, 1, BEGIN + n * S);
    fy_limiter_never_left(&limiter, last, BEGIN + n * S);
  }
  CHECK_INT(fy_limiter_room(&limiter, BEGIN + 5 * S), 3);
  CHECK_INT(limiter.in_flight, 0);
  CHECK_INT(limiter.today, 1);
  limiter = made(plan);
  for (int n = 0; n < 5; n++) {
    send(&limiter, 1, BEGIN + n * S);
    fy_limiter_never_left(&limiter, last, BEGIN + n * S);
  }
  CHECK_INT(fy_limiter_room(&limiter, BEGIN + 4 * S), 2);
  CHECK_INT(fy_limiter_hold(&limiter, BEGIN + 4 * S), 0);
  CHECK_INT(limiter.today, 0);
  send(&limiter, 2, BEGIN + 10 * S); /* two days old, it counts no more */
  fy_limiter_room(&limiter, BEGIN + 48 * 3600 * S);
  fy_limiter_never_left(&limiter, last, BEGIN + 48 * 3600 * S);
  CHECK_INT(limiter.today, 0);
}

static const struct {
  double retry_after;
  fy_time holds;
} waits[] = {
    {5, 5 * FY_SECOND},
    {0.25, FY_SECOND / 4},
    {86400, 86400 * FY_SECOND},
    {86401, 0}, /* longer than any limit of the API: not believed */
    {1e35, 0},
    {INFINITY, 0},
    {NAN, 0},
    {0, 0},
};

static void test_retry_after(void) {
  for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
    struct fy_limiter limiter = made(adaptive);
    struct fy_limiter deaf = made(off);

    UNIT_CASE("Retry-After: %g", waits[i].retry_after);
    send(&limiter, 1, BEGIN);
    answer(&limiter, refused(waits[i].retry_after), BEGIN);
    CHECK_INT(fy_limiter_hold(&limiter, BEGIN), waits[i].holds);
    CHECK_INT(fy_limiter_next(&limiter, BEGIN), BEGIN + waits[i].holds);
    send(&deaf, 1, BEGIN);
    answer(&deaf, refused(waits[i].retry_after), BEGIN);
    CHECK_INT(fy_limiter_next(&deaf, BEGIN), BEGIN);
    CHECK_INT(fy_limiter_hold(&deaf, BEGIN), 0);
  }
}

/* A Retry-After of a good answer is about that answer (a 202, RFC 9110), not
 * about limits; a shorter one does not end a longer one. */
static void test_retry_after_elsewhere(void) {
  struct fy_limiter limiter = made(adaptive);
  struct fy_rate_facts good = said(50, 60);

  UNIT_CASE("%s", "Retry-After of a good answer");
  good.retry_after = 30;
  send(&limiter, 4, BEGIN);
  answer(&limiter, good, BEGIN);
  CHECK_INT(fy_limiter_next(&limiter, BEGIN), BEGIN);
  good.remaining = 0;
  answer(&limiter, good, BEGIN);
  CHECK_INT(fy_limiter_next(&limiter, BEGIN), BEGIN + 60 * S);
  answer(&limiter, refused(70), BEGIN);
  answer(&limiter, refused(7), BEGIN);
  CHECK_INT(fy_limiter_hold(&limiter, BEGIN), 70 * S);
}

static void test_tokens(void) {
  struct fy_limiter limiter = made(adaptive);
  struct fy_rate_facts facts = said(50, 60);

  UNIT_CASE("%s", "no tokens left");
  facts.tokens_remaining = 1;
  facts.tokens_reset = 9;
  send(&limiter, 2, BEGIN);
  answer(&limiter, facts, BEGIN);
  CHECK_INT(fy_limiter_next(&limiter, BEGIN), BEGIN);
  facts.tokens_remaining = 0;
  answer(&limiter, facts, BEGIN);
  CHECK_INT(fy_limiter_next(&limiter, BEGIN), BEGIN + 9 * S);
}

/* What takes long to be answered was counted long ago. */
static void test_slow_answers(void) {
  struct fy_limiter limiter = made(adaptive);
  struct fy_limit_mark first = mark_of(&limiter);

  UNIT_CASE("%s", "slow answers");
  send(&limiter, 51, BEGIN);
  CHECK_INT(limiter.in_flight, 51);
  send(&limiter, 1, BEGIN + 10 * S);
  answer(&limiter, said(48, 50), BEGIN + 11 * S);
  CHECK_INT(fy_limiter_room(&limiter, BEGIN + 11 * S), 48);
  send(&limiter, 48, BEGIN + 11 * S);
  CHECK_INT(fy_limiter_next(&limiter, BEGIN + 12 * S), BEGIN + 61 * S);
  /* In the next window none of them counts any more, answered or not. */
  CHECK_INT(fy_limiter_room(&limiter, BEGIN + 61 * S), 100);
  fy_limiter_heard(&limiter, first, NULL, BEGIN + 62 * S);
  CHECK_INT(fy_limiter_room(&limiter, BEGIN + 62 * S), 100);
  CHECK_INT(limiter.in_flight, 98);
  for (int i = 0; i < 50; i++) { /* longer than seconds are kept */
    fy_limiter_heard(&limiter, first, NULL, BEGIN + 300 * S);
  }
  CHECK_INT(limiter.in_flight, 48);
  CHECK_INT(fy_limiter_room(&limiter, BEGIN + 300 * S), 100);
}

static void test_absurd_resets(void) {
  static const double resets[] = {86401, 1e35, INFINITY, NAN};

  for (size_t i = 0; i < sizeof(resets) / sizeof(resets[0]); i++) {
    struct fy_limiter limiter = made(adaptive);

    UNIT_CASE("reset in %g s", resets[i]);
    send(&limiter, 1, BEGIN);
    answer(&limiter, said(0, resets[i]), BEGIN);
    CHECK_INT(fy_limiter_hold(&limiter, BEGIN), 0);
    CHECK_INT(fy_limiter_next(&limiter, BEGIN), BEGIN);
  }
}

int main(void) {
  test_names();
  test_buckets();
  test_vast_bucket();
  test_change_of_plan();
  test_plan_after_none();
  test_plan_taken_up_again();
  test_window_taken_up_again();
  test_smaller_bucket();
  test_day();
  test_nothing_told();
  test_window();
  test_answers_out_of_order();
  test_answer_of_the_last_window();
  test_others_use_it_up();
  test_no_reset_told();
  test_rounding();
  test_new_window_before_ours_ends();
  test_slow_answer_that_is_old();
  test_bucket_of_the_server();
  test_never_left();
  test_retry_after();
  test_retry_after_elsewhere();
  test_tokens();
  test_slow_answers();
  test_absurd_resets();
  return unit_end();
}
