/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <time.h>

/* Held here so that adding it to any time since boot cannot pass INT64_MAX. */
#define LONGEST (FY_SECOND * 86400 * 365 * 100)

fy_time fy_clock_now(void) {
  struct timespec now = {0, 0};

#ifdef CLOCK_BOOTTIME
  if (clock_gettime(CLOCK_BOOTTIME, &now) == 0) {
    return (fy_time)now.tv_sec * FY_SECOND + (fy_time)now.tv_nsec;
  }
#endif
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (fy_time)now.tv_sec * FY_SECOND + (fy_time)now.tv_nsec;
}

fy_time fy_clock_from_seconds(double seconds) {
  if (!(seconds >= 0)) { /* NaN too */
    return FY_NEVER;
  }
  if (seconds >= (double)LONGEST / (double)FY_SECOND) {
    return LONGEST;
  }
  return (fy_time)(seconds * (double)FY_SECOND);
}

fy_time fy_clock_add(fy_time a, fy_time b) {
  if (a == FY_NEVER || b == FY_NEVER) {
    return FY_NEVER;
  }
  if (b > 0 && a > FY_NEVER - b) {
    return FY_NEVER;
  }
  if (b < 0 && a < INT64_MIN - b) {
    return INT64_MIN;
  }
  return a + b;
}
