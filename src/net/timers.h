/* SPDX-License-Identifier: MIT */
/* The engine's deadlines: one binary heap of timers that live inside what
 * they time. Engine thread only. */
#ifndef FY_NET_TIMERS_H
#define FY_NET_TIMERS_H

#include <stddef.h>

#include "base/clock.h"

struct fy_timer {
  fy_time due;
  size_t place; /* 1-based index in the heap; 0: not armed */
  void (*fire)(struct fy_timer *timer, fy_time now);
};

struct fy_timers {
  struct fy_timer **heap;
  size_t count;
  size_t room;
};

/* Make room for `count` timers in all, so that arming them cannot fail.
 * FREDDY_OK or FREDDY_ENOMEM. */
int fy_timers_reserve(struct fy_timers *timers, size_t count);

/* Arm, or move, a timer; FY_NEVER disarms it. Room must have been
 * reserved. */
void fy_timers_set(struct fy_timers *timers, struct fy_timer *timer,
                   fy_time due);
void fy_timers_unset(struct fy_timers *timers, struct fy_timer *timer);

/* When the first one is due, or FY_NEVER. */
fy_time fy_timers_next(const struct fy_timers *timers);

/* Fire all that are due at `now`, each disarmed before it fires. */
void fy_timers_run(struct fy_timers *timers, fy_time now);

void fy_timers_clear(struct fy_timers *timers);

#endif
