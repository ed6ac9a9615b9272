/* SPDX-License-Identifier: MIT */
/* Input: six bytes of a plan, then pairs of bytes: what happens, and how much
 * of it. Whatever that is, no more leave than the plan lets, in any minute and
 * in any day; time does not run backwards; and what answers tell holds nobody
 * for longer than a day. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "rules/limiter.h"

#define MUST(condition) ((condition) ? (void)0 : abort())

enum { HEAD = 6, MOST = 4096 };

static const fy_time MINUTE = 60 * FY_SECOND;
static const fy_time DAY = 86400 * FY_SECOND;

struct run {
  struct fy_limiter limiter;
  fy_time now;
  fy_time left[MOST]; /* when each left */
  struct fy_limit_mark marks[MOST];
  size_t sent, heard;
  size_t minute, day; /* of these, the first that the last 60 s, 24 h have */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count_since(const struct run *run, size_t *first, fy_time from) {
  while (*first < run->sent && run->left[*first] <= from) {
    ++*first;
  }
  return run->sent - *first;
}

static void check_plan(struct run *run) {
  const struct fy_limit_plan *plan = &run->limiter.plan;
  uint32_t most =
      plan->burst > plan->per_minute ? plan->burst : plan->per_minute;

  if (plan->mode == FY_LIMIT_PLAN) {
    MUST(count_since(run, &run->minute, run->now - MINUTE) <= most);
    MUST(!plan->per_day ||
         count_since(run, &run->day, run->now - DAY) <= plan->per_day);
  }
}

static void try_to_leave(struct run *run) {
  struct fy_limiter *limiter = &run->limiter;
  fy_time next = fy_limiter_next(limiter, run->now);

  MUST(next >= run->now);
  MUST(next != FY_NEVER || run->heard < run->sent);
  MUST(fy_limiter_hold(limiter, run->now) <= DAY + MINUTE * 60);
  if (next == run->now && run->sent < MOST) {
    run->left[run->sent] = run->now;
    run->marks[run->sent++] = fy_limiter_sent(limiter, run->now);
    check_plan(run);
  } else if (next != FY_NEVER) {
    run->now = next; /* then it may, or another has to be heard of */
  }
}

static void hear(struct run *run, uint8_t what) {
  struct fy_rate_facts facts = {what > 250, NAN, NAN, NAN, NAN, NAN, NAN};

  if (run->heard == run->sent) {
    return;
  }
  facts.limit = what & 1 ? what : NAN;
  facts.remaining = what & 2 ? what >> 4 : NAN;
  facts.reset = what & 4 ? what * 3 : NAN;
  facts.retry_after = what & 8 ? what * 2 : NAN;
  fy_limiter_heard(&run->limiter, run->marks[run->heard++],
                   what ? &facts : NULL, run->now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct run run;
  struct fy_limit_plan plan;

  if (size < HEAD) {
    return 0;
  }
  plan = (struct fy_limit_plan){
      .mode = data[0] % 3,
      .per_minute = 1 + data[1],
      .per_day = data[4] * 16 + data[5],
  };
  plan.burst = plan.per_minute + data[2] % 64;
  run.sent = run.heard = run.minute = run.day = 0;
  run.now = (1 + (fy_time)data[3]) * FY_SECOND * 997;
  fy_limiter_init(&run.limiter, &plan, run.now);
  for (data += HEAD, size -= HEAD; size >= 2; data += 2, size -= 2) {
    switch (data[0] % 8) {
    case 0:
      run.now += data[1] * FY_SECOND;
      break;
    case 1:
      run.now += data[1] * FY_SECOND / 256;
      break;
    case 2:
      hear(&run, data[1]);
      break;
    default:
      for (int i = data[1] % 32; i >= 0; i--) {
        try_to_leave(&run);
      }
    }
    MUST(fy_limiter_room(&run.limiter, run.now) >= -1);
  }
  return 0;
}
