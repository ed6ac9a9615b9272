/* SPDX-License-Identifier: MIT */
/* What the units of the limiter share: limiters, and what answers say. */
#ifndef FY_LIMITER_UTIL_H
#define FY_LIMITER_UTIL_H

#include <math.h>

#include "rules/limiter.h"
#include "unit.h"

#define S FY_SECOND

static const fy_time BEGIN = 1000000 * FY_SECOND;

static const struct fy_limit_plan adaptive = {FY_LIMIT_ADAPTIVE, 0, 0, 0};
static const struct fy_limit_plan off = {FY_LIMIT_OFF, 0, 0, 0};

static inline struct fy_limiter made(struct fy_limit_plan plan) {
  struct fy_limiter limiter;

  fy_limiter_init(&limiter, &plan, BEGIN);
  return limiter;
}

static inline struct fy_rate_facts said(double remaining, double reset) {
  struct fy_rate_facts facts = {0, 100, remaining, reset, NAN, NAN, NAN};

  return facts;
}

static inline struct fy_rate_facts refused(double retry_after) {
  struct fy_rate_facts facts = {1, NAN, NAN, NAN, NAN, NAN, retry_after};

  return facts;
}

static struct fy_limit_mark last; /* of what was sent */

/* Send `count` that may all leave at `now`. */
static inline void send(struct fy_limiter *limiter, int count, fy_time now) {
  for (int i = 0; i < count; i++) {
    CHECK(fy_limiter_next(limiter, now) <= now);
    last = fy_limiter_sent(limiter, now);
  }
}

static inline struct fy_limit_mark mark_of(const struct fy_limiter *limiter) {
  return (struct fy_limit_mark){limiter->window, limiter->second};
}

static inline void answer(struct fy_limiter *limiter,
                          struct fy_rate_facts facts, fy_time now) {
  fy_limiter_heard(limiter, last, &facts, now);
}

#endif
