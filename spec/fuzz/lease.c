/* SPDX-License-Identifier: MIT */
/* Input: pieces of eight bytes, each a step in time and what happens then: the
 * store is asked, answers anything, or cannot be reached, or requests leave.
 * Whatever it says, none leaves without a permit that is good, every permit is
 * used once, and who waits knows until when, or that somebody is asked. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rules/limiter.h"

#define MUST(condition) ((condition) ? (void)0 : abort())

enum { PIECE = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct fy_limit_plan plan = {FY_LIMIT_PLAN, 600, 630, 50};

struct seen {
  struct fy_limiter limiter;
  fy_time now;
  int64_t given, spent;
};

/* Also far beyond what any store can mean. */
static fy_time any_time(const uint8_t *data) {
  int16_t number = (int16_t)(data[0] | data[1] << 8);

  return number == INT16_MAX   ? INT64_MAX
         : number == INT16_MIN ? INT64_MIN
                               : number * FY_MILLISECOND * 10;
}

static void answer(struct seen *seen, const uint8_t *data) {
  struct fy_permits permits = {data[0] & 31, any_time(data + 1),
                               any_time(data + 3), data[5], data[5]};

  seen->given += permits.granted;
  fy_lease_give(&seen->limiter.lease, &permits, plan.per_minute, seen->now);
}

static void leave(struct seen *seen) {
  struct fy_lease *lease = &seen->limiter.lease;
  int shared = fy_limiter_is_shared(&seen->limiter);

  if (fy_limiter_next(&seen->limiter, seen->now) > seen->now) {
    return;
  }
  if (shared) {
    fy_time due = lease->at > lease->since ? lease->at : lease->since;

    MUST(lease->left > 0 && due <= seen->now);
    MUST(seen->now - due + lease->age <= FY_LEASE_LATE);
    MUST(fy_limiter_room(&seen->limiter, seen->now) > 0);
    seen->spent++;
  }
  fy_limiter_sent(&seen->limiter, seen->now);
  MUST(lease->debt == 0);
}

static void check(struct seen *seen) {
  struct fy_limiter *limiter = &seen->limiter;
  fy_time next = fy_limiter_next(limiter, seen->now);
  int64_t room = fy_limiter_room(limiter, seen->now);

  MUST(next >= seen->now && (next == seen->now) == (room > 0));
  MUST(seen->spent <= seen->given);
  MUST(fy_limiter_hold(limiter, seen->now) >= 0);
  MUST(fy_limiter_shared_room(limiter, seen->now) >= 0);
  if (next == FY_NEVER) {
    MUST(fy_limiter_wants(limiter, seen->now));
  }
}

static void step(struct seen *seen, const uint8_t *data) {
  struct fy_lease *lease = &seen->limiter.lease;

  seen->now += (data[1] | data[2] << 8) * FY_MILLISECOND;
  switch (data[0] & 7) {
  case 0:
    if (fy_limiter_wants(&seen->limiter, seen->now)) {
      fy_lease_ask(lease, seen->now);
    }
    break;
  case 1:
    answer(seen, data + 2);
    break;
  case 2:
    fy_lease_lose(lease, seen->now);
    break;
  default:
    leave(seen);
  }
  check(seen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct seen seen = {.now = 1000 * FY_SECOND};

  fy_limiter_init(&seen.limiter, &plan, seen.now);
  seen.limiter.store = 1;
  for (; size >= PIECE; data += PIECE, size -= PIECE) {
    step(&seen, data);
  }
  return 0;
}
