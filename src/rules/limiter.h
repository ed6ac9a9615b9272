/* SPDX-License-Identifier: MIT */
/* When the next request may leave. By a plan, or by what the answers tell of
 * the server's own limits. Decides only; who waits, and in which order, is
 * net/admission.h. Pure: the clock is a parameter. */
#ifndef FY_RULES_LIMITER_H
#define FY_RULES_LIMITER_H

#include <stdint.h>

#include "base/clock.h"
#include "rules/lease.h"
#include "rules/rate_headers.h"

enum fy_limit_mode {
  FY_LIMIT_ADAPTIVE = 0,
  FY_LIMIT_PLAN,
  FY_LIMIT_OFF /* what answers tell is noted, not heeded */
};

/* Counts of requests; what is not looked at is 0. */
struct fy_limit_plan {
  enum fy_limit_mode mode;
  uint32_t per_minute; /* sustained; 1 and up */
  uint32_t burst;      /* the most in any 60 s; per_minute and up */
  uint32_t per_day;    /* the most in any 24 hours; 0: no such limit */
};

enum {
  FY_LIMIT_SLOTS = 25,   /* hours of which the last 24 are part */
  FY_LIMIT_SECONDS = 128 /* what is in flight for longer, the server counted */
};

/* When a request left. */
struct fy_limit_mark {
  uint32_t window;
  int64_t second;
};

/* A bucket that holds burst - per_minute, at least one, and is filled evenly:
 * so at most `burst` leave in any 60 seconds. Kept as the moment from which on
 * it is full. */
struct fy_limiter {
  struct fy_limit_plan plan;
  uint64_t store; /* that shares a plan; 0: it is this process's own */
  fy_time full_at;
  uint32_t hours[FY_LIMIT_SLOTS]; /* sent, by hour */
  int64_t hour;                   /* the latest of them */
  uint32_t today;                 /* their sum */
  struct fy_lease lease;          /* of a plan that is shared */

  /* Of the server's window, as the last answers told it. */
  double limit;       /* NAN: not told */
  double least;       /* that any answer said remain; NAN: none did */
  fy_time resets_at;  /* FY_NEVER: not told */
  uint32_t window;    /* which one it is */
  fy_time held_until; /* by Retry-After; 0: it does not hold */
  fy_time ask_from;   /* before its end one at a time may ask; 0: none may */
  uint32_t in_flight; /* sent, and not heard of */
  uint32_t seconds[FY_LIMIT_SECONDS]; /* the same by the second it was sent */
  uint32_t sent[FY_LIMIT_SECONDS];    /* heard of or not */
  int64_t second;                     /* the latest of them */
  int64_t told; /* the second in which the latest that told was sent */
};

/* The plan of a name, "standard" or "premium" (API facts, auth.md 5): 1, or 0
 * when there is none of that name. */
int fy_limit_plan_named(const char *name, struct fy_limit_plan *plan);

void fy_limiter_init(struct fy_limiter *limiter,
                     const struct fy_limit_plan *plan, fy_time now);

/* Go on by another plan. What was sent stays counted: by the bucket, or, where
 * there was none, by what left in the last minute. */
void fy_limiter_change(struct fy_limiter *limiter,
                       const struct fy_limit_plan *plan, fy_time now);

/* Who went by `other`, for the same server and credential, goes on by this
 * one: both may have counted the same, so the worse of them holds. */
void fy_limiter_merge(struct fy_limiter *limiter,
                      const struct fy_limiter *other, fy_time now);

/* When the next request may leave: `now`, or later. FY_NEVER: not before one
 * that is in flight has been heard of. */
fy_time fy_limiter_next(struct fy_limiter *limiter, fy_time now);

/* How long a known limit, a day's or the server's, holds back everything; 0:
 * not at all. The bucket is none: it lets one after the other go. */
fy_time fy_limiter_hold(struct fy_limiter *limiter, fy_time now);

/* One leaves, whether it may or not. */
struct fy_limit_mark fy_limiter_sent(struct fy_limiter *limiter, fy_time now);

/* What was heard of one that had left at `mark`: an answer, or that none comes
 * (`facts` NULL). */
void fy_limiter_heard(struct fy_limiter *limiter, struct fy_limit_mark mark,
                      const struct fy_rate_facts *facts, fy_time now);

/* One that was taken for sent at `mark` never left: no server counted it. The
 * bucket does not get it back; it fills in any case. */
void fy_limiter_never_left(struct fy_limiter *limiter,
                           struct fy_limit_mark mark, fy_time now);

/* How many the server would still take in this window; NAN: not known. */
double fy_limiter_left(const struct fy_limiter *limiter);

/* How many may leave at once; -1: as many as one likes. */
int64_t fy_limiter_room(struct fy_limiter *limiter, fy_time now);

/* 1 when others share the plan, and the store says who may leave. Where it
 * cannot be reached, this process goes on alone. */
int fy_limiter_is_shared(const struct fy_limiter *limiter);

/* 1 when the store is to be asked, if somebody waits. */
int fy_limiter_wants(struct fy_limiter *limiter, fy_time now);

/* How many the store would let leave by what it told last, reckoned on; and
 * how many have left in 24 hours. Before it told anything, this process is all
 * that there is. */
int64_t fy_limiter_shared_room(struct fy_limiter *limiter, fy_time now);
uint32_t fy_limiter_today(struct fy_limiter *limiter, fy_time now);

#endif
