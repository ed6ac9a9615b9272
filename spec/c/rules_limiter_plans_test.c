/* SPDX-License-Identifier: MIT */
/* The limiter by table: plans and days, and one after the other. */
#include "limiter_util.h"

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

static void test_today(void) {
  static const struct fy_limit_plan *modes[] = {&adaptive, &off};
  fy_time hour = 3600 * S;
  fy_time begin = BEGIN / hour * hour;

  for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
    struct fy_limiter limiter = made(*modes[i]);

    UNIT_CASE("what left today, mode %d", modes[i]->mode);
    send(&limiter, 3, BEGIN);
    send(&limiter, 2, begin + 20 * hour);
    CHECK_INT(fy_limiter_today(&limiter, begin + 20 * hour), 5);
    CHECK_INT(fy_limiter_today(&limiter, begin + 26 * hour), 2);
    CHECK_INT(fy_limiter_today(&limiter, begin + 60 * hour), 0);
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

int main(void) {
  test_names();
  test_buckets();
  test_vast_bucket();
  test_change_of_plan();
  test_plan_after_none();
  test_today();
  test_plan_taken_up_again();
  test_window_taken_up_again();
  test_smaller_bucket();
  test_day();
  return unit_end();
}
