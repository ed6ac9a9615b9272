/* SPDX-License-Identifier: MIT */
/* Time that never steps back and counts time asleep where the system has
 * such a clock (CLOCK_BOOTTIME). */
#ifndef FY_BASE_CLOCK_H
#define FY_BASE_CLOCK_H

#include <stdint.h>

/* Nanoseconds. */
typedef int64_t fy_time;

#define FY_NEVER INT64_MAX
#define FY_MILLISECOND ((fy_time)1000000)
#define FY_SECOND ((fy_time)1000000000)

/* Now; only differences mean anything. */
fy_time fy_clock_now(void);

/* Seconds to fy_time: negative and NaN become FY_NEVER, and what does not
 * fit is held at 100 years. */
fy_time fy_clock_from_seconds(double seconds);

/* a + b, FY_NEVER when either is; held at the ends of the range. */
fy_time fy_clock_add(fy_time a, fy_time b);

#endif
