/* SPDX-License-Identifier: MIT */
/* The limiter by table: windows that answers tell of. */
#include "limiter_util.h"

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

static const struct {
  double retry_after;
  fy_time holds;
} refusals[] = {
    {1, FY_SECOND},        {60, 60 * FY_SECOND}, {71, 72 * FY_SECOND},
    {NAN, 72 * FY_SECOND}, {0, 72 * FY_SECOND},  {100, 100 * FY_SECOND},
};

static void test_retry_after_and_reset(void) {
  for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
    struct fy_limiter limiter = made(adaptive);
    struct fy_rate_facts facts = said(0, 72);

    UNIT_CASE("reset in 72 s, Retry-After: %g", refusals[i].retry_after);
    facts.refused = 1;
    facts.retry_after = refusals[i].retry_after;
    send(&limiter, 2, BEGIN);
    answer(&limiter, facts, BEGIN);
    answer(&limiter, facts, BEGIN);
    CHECK_INT(fy_limiter_hold(&limiter, BEGIN), refusals[i].holds);
    CHECK_INT(fy_limiter_next(&limiter, BEGIN), BEGIN + refusals[i].holds);
  }
}

/* One goes when it was told to, the others by what it hears. */
static void test_one_asks_after_a_refusal(void) {
  struct fy_limiter limiter = made(adaptive);
  struct fy_rate_facts facts = said(0, 72);
  fy_time at = BEGIN + S;

  UNIT_CASE("%s", "one asks after a refusal");
  facts.refused = 1;
  facts.retry_after = 1;
  send(&limiter, 1, BEGIN);
  answer(&limiter, facts, BEGIN);
  CHECK_INT(fy_limiter_room(&limiter, at), 1);
  send(&limiter, 1, at);
  CHECK_INT(fy_limiter_next(&limiter, at), FY_NEVER);
  CHECK_INT(fy_limiter_hold(&limiter, at), 0);
  answer(&limiter, said(NAN, NAN), at); /* which tells nothing: the next */
  CHECK_INT(fy_limiter_room(&limiter, at), 1);
  send(&limiter, 1, at);
  answer(&limiter, said(5, 71), at);
  CHECK_INT(fy_limiter_room(&limiter, at), 5);
  send(&limiter, 5, at);
  CHECK_INT(fy_limiter_next(&limiter, at), at + 71 * S);
  answer(&limiter, facts, at); /* and the end of the window is the end */
  CHECK_INT(fy_limiter_next(&limiter, at + S), FY_NEVER);
  CHECK_INT(fy_limiter_room(&limiter, at + 72 * S), 100);
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
  test_retry_after_and_reset();
  test_one_asks_after_a_refusal();
  test_tokens();
  test_slow_answers();
  test_absurd_resets();
  return unit_end();
}
