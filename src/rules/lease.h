/* SPDX-License-Identifier: MIT */
/* The permits that a process has for a plan which it shares with others: they
 * are had from a store, a few at a time, and run out where they are not used.
 * Pure: the clock is a parameter. */
#ifndef FY_RULES_LEASE_H
#define FY_RULES_LEASE_H

#include <stdint.h>

#include "base/clock.h"

/* A permit is good for so long from when it may be used on. The store's bucket
 * is filled in a minute and this (lua/freddy/bucket.lua), so that in no minute
 * more can leave than the plan says, however late each of them is used. */
#define FY_LEASE_LATE FY_SECOND

/* All zero: nothing in hand, nobody asked. */
struct fy_lease {
  uint32_t left;  /* permits in hand */
  uint32_t debt;  /* requests that left without one */
  fy_time since;  /* when they were given, */
  fy_time age;    /* and how long before that the store was asked */
  fy_time at;     /* when the next of them may be used, also before `since` */
  fy_time step;   /* from one to the next */
  fy_time ask_at; /* the store is not asked before */
  int asked;      /* 1: it is being asked, */
  fy_time asked_at; /* since then */
  int alone;        /* 1: it could not be reached */

  fy_time told_at; /* what the store told of the plan; 0: nothing yet */
  int64_t room, today;
};

/* What the store answered. */
struct fy_permits {
  uint32_t granted;
  fy_time wait;  /* until the first of them may be used, less than 0 too; or,
                    of none, until it is worth asking again */
  fy_time age;   /* since the store was asked */
  int64_t room;  /* how many more it would have given */
  int64_t today; /* of all, in the last 24 hours */
};

/* When the next request may leave, or another host is to be asked: `now`, or
 * later; FY_NEVER: that is not known before the store is asked. */
fy_time fy_lease_next(struct fy_lease *lease, fy_time now);

/* 1 when the store is to be asked, if somebody waits: also when no answer has
 * come for long, since a host may be busy with other things. */
int fy_lease_wants(struct fy_lease *lease, fy_time now);

void fy_lease_ask(struct fy_lease *lease, fy_time now);

/* How many may leave at once with what is in hand. */
int64_t fy_lease_ready(struct fy_lease *lease, fy_time now);

/* How long the store holds back everything, for the day's limit; 0: it does
 * not. */
fy_time fy_lease_hold(const struct fy_lease *lease, fy_time now);

/* One leaves, whether it may or not. */
void fy_lease_spend(struct fy_lease *lease, fy_time now);

/* The store has answered; a bucket is filled by `per_minute`. */
void fy_lease_give(struct fy_lease *lease, const struct fy_permits *permits,
                   uint32_t per_minute, fy_time now);

/* It cannot be reached. It is asked again after a while. */
void fy_lease_lose(struct fy_lease *lease, fy_time now);

#endif
