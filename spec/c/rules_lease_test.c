/* SPDX-License-Identifier: MIT */
/* Permits of a store by table: when they are good, when they run out. */
#include "rules/limiter.h"
#include "unit.h"

#define S FY_SECOND
#define MS FY_MILLISECOND

static const fy_time BEGIN = 1000000 * FY_SECOND;

/* Of a plan of 610 a minute: one in 100 ms. */
static const uint32_t PER_MINUTE = 610;
static const fy_time STEP = 100 * FY_MILLISECOND;

static struct fy_lease given(uint32_t count, fy_time wait, fy_time age) {
  struct fy_lease lease = {0};
  struct fy_permits permits = {count, wait, age, 7, 40};

  fy_lease_ask(&lease, BEGIN);
  fy_lease_give(&lease, &permits, PER_MINUTE, BEGIN);
  return lease;
}

static void test_unasked(void) {
  struct fy_lease lease = {0};

  UNIT_CASE("%s", "nothing is known");
  CHECK(fy_lease_wants(&lease, BEGIN));
  CHECK_INT(fy_lease_next(&lease, BEGIN), FY_NEVER);
  CHECK_INT(fy_lease_ready(&lease, BEGIN), 0);
  CHECK_INT(fy_lease_hold(&lease, BEGIN), 0);
  fy_lease_ask(&lease, BEGIN);
  CHECK(!fy_lease_wants(&lease, BEGIN));
  CHECK_INT(fy_lease_next(&lease, BEGIN), BEGIN + 2 * S);
  CHECK(!fy_lease_wants(&lease, BEGIN + 2 * S - 1));
  CHECK(fy_lease_wants(&lease, BEGIN + 2 * S)); /* of another host */
  CHECK_INT(fy_lease_next(&lease, BEGIN + 2 * S), FY_NEVER);
}

static const struct {
  const char *name;
  uint32_t count;
  fy_time wait, age;
  fy_time after; /* it is looked at */
  fy_time next;  /* from then; -1: never */
  int ready, wants;
} looks[] = {
    {"at once", 1, 0, 0, 0, 0, 1, 0},
    {"two that were due long ago", 2, -20 * S, 0, 0, 0, 2, 0},
    {"one is due, the other not yet", 2, 0, 0, 0, 0, 1, 0},
    {"not due yet", 2, 50 * MS, 0, 0, 50 * MS, 0, 0},
    {"due by now", 1, 50 * MS, 0, 50 * MS, 0, 1, 0},
    {"both are due by now", 2, 50 * MS, 0, 150 * MS, 0, 2, 0},
    {"good for a second", 1, 0, 0, S, 0, 1, 0},
    {"and no longer", 1, 0, 0, S + 1, -1, 0, 1},
    {"the first has run out", 2, 0, 0, S + 1, 0, 1, 0},
    {"both have", 2, 0, 0, S + 100 * MS + 1, -1, 0, 1},
    {"what the store took counts", 1, 0, 600 * MS, 400 * MS, 0, 1, 0},
    {"and more of it is too much", 1, 0, 600 * MS, 401 * MS, -1, 0, 1},
    {"it comes too late", 3, -S, S + 1, 0, -1, 0, 1},
    {"none", 0, 400 * MS, 0, 0, 400 * MS, 0, 0},
    {"none, until now", 0, 400 * MS, 0, 400 * MS, -1, 0, 1},
    {"none, and in no hurry", 0, 0, 0, 0, MS, 0, 0},
};

static void test_looks(void) {
  for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
    struct fy_lease lease = given(looks[i].count, looks[i].wait, looks[i].age);
    fy_time at = BEGIN + looks[i].after;

    UNIT_CASE("%s", looks[i].name);
    CHECK_INT(fy_lease_next(&lease, at),
              looks[i].next < 0 ? FY_NEVER : at + looks[i].next);
    CHECK_INT(fy_lease_ready(&lease, at), looks[i].ready);
    CHECK_INT(fy_lease_wants(&lease, at), looks[i].wants);
    CHECK_INT(fy_lease_hold(&lease, at),
              looks[i].count                           ? 0
              : looks[i].after || looks[i].wait < STEP ? 0
                                                       : looks[i].wait);
  }
}

static void test_spent(void) {
  struct fy_lease lease = given(3, -STEP, 0);

  UNIT_CASE("%s", "one after the other");
  fy_lease_spend(&lease, BEGIN);
  fy_lease_spend(&lease, BEGIN);
  CHECK_INT(fy_lease_ready(&lease, BEGIN), 0);
  CHECK_INT(fy_lease_next(&lease, BEGIN), BEGIN + STEP);
  CHECK(!fy_lease_wants(&lease, BEGIN));
  fy_lease_spend(&lease, BEGIN + STEP);
  CHECK(fy_lease_wants(&lease, BEGIN + STEP));
  CHECK_INT(lease.debt, 0);
}

static void test_debt(void) {
  struct fy_lease lease = {0};
  struct fy_permits permits = {3, -S, 0, 0, 0};

  UNIT_CASE("%s", "who leaves without one is paid for later");
  fy_lease_spend(&lease, BEGIN);
  fy_lease_spend(&lease, BEGIN);
  CHECK_INT(lease.debt, 2);
  fy_lease_give(&lease, &permits, PER_MINUTE, BEGIN);
  CHECK_INT(lease.debt, 0);
  CHECK_INT(fy_lease_ready(&lease, BEGIN), 1);
}

static void test_day(void) {
  struct fy_lease lease = given(0, 7200 * S, 0);

  UNIT_CASE("%s", "a day's limit holds back");
  CHECK_INT(fy_lease_hold(&lease, BEGIN + S), 7199 * S);
  CHECK_INT(fy_lease_next(&lease, BEGIN), BEGIN + 7200 * S);
  CHECK(!fy_lease_wants(&lease, BEGIN));
  lease = given(0, INT64_MAX, 0);
  CHECK_INT(fy_lease_hold(&lease, BEGIN), 25 * 3600 * S);
}

static void test_alone(void) {
  struct fy_limit_plan plan = {FY_LIMIT_PLAN, 60, 63, 0};
  struct fy_permits permits = {1, 0, 0, 2, 9};
  struct fy_limiter limiter;

  UNIT_CASE("%s", "without the store");
  fy_limiter_init(&limiter, &plan, BEGIN);
  limiter.store = 5;
  CHECK(fy_limiter_is_shared(&limiter));
  CHECK(fy_limiter_wants(&limiter, BEGIN));
  CHECK_INT(fy_limiter_room(&limiter, BEGIN), 0);
  CHECK_INT(fy_limiter_shared_room(&limiter, BEGIN), 3);
  fy_lease_ask(&limiter.lease, BEGIN);
  fy_lease_lose(&limiter.lease, BEGIN);
  CHECK(!fy_limiter_is_shared(&limiter));
  CHECK(!fy_limiter_wants(&limiter, BEGIN));
  CHECK_INT(fy_limiter_room(&limiter, BEGIN), 3);
  for (int i = 0; i < 3; i++) {
    CHECK_INT(fy_limiter_next(&limiter, BEGIN), BEGIN);
    fy_limiter_sent(&limiter, BEGIN);
  }
  CHECK_INT(fy_limiter_next(&limiter, BEGIN), BEGIN + S);
  CHECK_INT(fy_limiter_hold(&limiter, BEGIN), 0);
  CHECK_INT(fy_limiter_today(&limiter, BEGIN), 3);
  CHECK(fy_limiter_wants(&limiter, BEGIN + 5 * S));
  fy_lease_give(&limiter.lease, &permits, 60, BEGIN + 5 * S);
  CHECK(fy_limiter_is_shared(&limiter));
  CHECK_INT(fy_limiter_room(&limiter, BEGIN + 5 * S), 1);
  CHECK_INT(fy_limiter_today(&limiter, BEGIN + 5 * S), 9);
  CHECK_INT(fy_limiter_shared_room(&limiter, BEGIN + 5 * S), 3);
}

/* What it has of the old plan is of no use for the new one. */
static void test_change(void) {
  struct fy_limit_plan slow = {FY_LIMIT_PLAN, 60, 63, 0};
  struct fy_limit_plan fast = {FY_LIMIT_PLAN, 600, 630, 0};
  struct fy_permits permits = {2, -9 * S, 0, 2, 9};
  struct fy_limiter limiter;

  UNIT_CASE("%s", "another plan");
  fy_limiter_init(&limiter, &slow, BEGIN);
  limiter.store = 5;
  fy_lease_give(&limiter.lease, &permits, 60, BEGIN);
  CHECK_INT(fy_limiter_room(&limiter, BEGIN), 2);
  fy_limiter_change(&limiter, &fast, BEGIN);
  CHECK(fy_limiter_is_shared(&limiter));
  CHECK(fy_limiter_wants(&limiter, BEGIN));
  CHECK_INT(fy_limiter_room(&limiter, BEGIN), 0);
}

int main(void) {
  test_unasked();
  test_looks();
  test_spent();
  test_debt();
  test_day();
  test_alone();
  test_change();
  return unit_end();
}
