/* SPDX-License-Identifier: MIT */
#include "rules/limiter.h"

#include <math.h>
#include <string.h>

static const fy_time MINUTE = 60 * FY_SECOND;
static const fy_time HOUR = 3600 * FY_SECOND;
/* The longest limit that the API has is a day's. What claims more is wrong,
 * and would silence a client for good. */
static const double LONGEST = 86400;
/* Resets are told in whole seconds, against a Date in whole seconds. */
static const fy_time ROUNDING = 2 * FY_SECOND;

int fy_limit_plan_named(const char *name, struct fy_limit_plan *plan) {
  static const struct {
    const char *name;
    struct fy_limit_plan plan;
  } plans[] = {{"standard", {FY_LIMIT_PLAN, 100, 120, 10000}},
               {"premium", {FY_LIMIT_PLAN, 1000, 1200, 100000}}};

  for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
    if (strcmp(name, plans[i].name) == 0) {
      *plan = plans[i].plan;
      return 1;
    }
  }
  return 0;
}

/* --- The bucket --------------------------------------------------------- */

/* Rounded up: rather one nanosecond late than one request too many. */
static fy_time interval(const struct fy_limit_plan *plan) {
  return (MINUTE + plan->per_minute - 1) / plan->per_minute;
}

/* No more than what it takes ten years to fill. */
static int64_t capacity(const struct fy_limit_plan *plan) {
  int64_t most = 3650 * 24 * HOUR / interval(plan);
  int64_t size = plan->burst > plan->per_minute
                     ? (int64_t)(plan->burst - plan->per_minute)
                     : 1;

  return size < most ? size : most;
}

static fy_time bucket_next(const struct fy_limiter *limiter, fy_time now) {
  fy_time span = interval(&limiter->plan) * (capacity(&limiter->plan) - 1);
  fy_time at = limiter->full_at - span;

  return at > now ? at : now;
}

static int64_t bucket_room(const struct fy_limiter *limiter, fy_time now) {
  fy_time missing = limiter->full_at > now ? limiter->full_at - now : 0;
  fy_time step = interval(&limiter->plan);

  return capacity(&limiter->plan) - (missing + step - 1) / step;
}

/* --- The day ------------------------------------------------------------ */

static void turn_hours(struct fy_limiter *limiter, fy_time now) {
  int64_t hour = now / HOUR;

  if (hour - limiter->hour >= FY_LIMIT_SLOTS) {
    memset(limiter->hours, 0, sizeof(limiter->hours));
    limiter->today = 0;
    limiter->hour = hour;
  }
  while (limiter->hour < hour) {
    uint32_t *slot = &limiter->hours[++limiter->hour % FY_LIMIT_SLOTS];

    limiter->today -= *slot;
    *slot = 0;
  }
}

/* When the oldest hour in which something was sent leaves the last 24. */
static fy_time day_next(struct fy_limiter *limiter, fy_time now) {
  turn_hours(limiter, now);
  if (!limiter->plan.per_day || limiter->today < limiter->plan.per_day) {
    return now;
  }
  for (int64_t hour = limiter->hour - FY_LIMIT_SLOTS + 1;; hour++) {
    if (hour >= 0 && limiter->hours[hour % FY_LIMIT_SLOTS]) {
      return (hour + FY_LIMIT_SLOTS) * HOUR;
    }
  }
}

/* --- The server's window ------------------------------------------------ */

/* 1 when one that was sent in `second` may not be counted in what was told: it
 * left not long before the latest that told, or after. An answer may take a
 * minute to be made; to be counted takes as long as to arrive. */
static int may_be_uncounted(const struct fy_limiter *limiter, int64_t second) {
  return second >= limiter->told - 1;
}

static uint32_t uncounted(const struct fy_limiter *limiter) {
  int64_t first = limiter->second - FY_LIMIT_SECONDS + 1;
  uint32_t count = 0;

  first = limiter->told - 1 > first ? limiter->told - 1 : first;
  for (int64_t second = first < 0 ? 0 : first; second <= limiter->second;
       second++) {
    count += limiter->seconds[second % FY_LIMIT_SECONDS];
  }
  return count;
}

/* Answers come in any order; the least that one of them said remains counts
 * all that were answered. */
double fy_limiter_left(const struct fy_limiter *limiter) {
  return limiter->least - uncounted(limiter);
}

static void turn_seconds(struct fy_limiter *limiter, fy_time now) {
  int64_t second = now / FY_SECOND;

  if (second - limiter->second >= FY_LIMIT_SECONDS) {
    memset(limiter->seconds, 0, sizeof(limiter->seconds));
    memset(limiter->sent, 0, sizeof(limiter->sent));
    limiter->second = second;
  }
  while (limiter->second < second) {
    limiter->seconds[++limiter->second % FY_LIMIT_SECONDS] = 0;
    limiter->sent[limiter->second % FY_LIMIT_SECONDS] = 0;
  }
}

/* The next window: its limit is the last one's, if that is known. */
static void turn_window(struct fy_limiter *limiter, fy_time now) {
  if (now >= limiter->resets_at) {
    limiter->window++;
    limiter->told = limiter->resets_at / FY_SECOND;
    limiter->resets_at = FY_NEVER;
    limiter->least = limiter->limit;
    limiter->ask_from = 0;
  }
}

static fy_time window_next(struct fy_limiter *limiter, fy_time now) {
  double left;

  turn_window(limiter, now);
  left = fy_limiter_left(limiter);
  if (isnan(left) || left >= 1) {
    return now;
  }
  if (limiter->resets_at != FY_NEVER && !limiter->ask_from) {
    return limiter->resets_at;
  }
  /* Nobody knows until when, or it is worth asking: one goes. */
  return uncounted(limiter)        ? FY_NEVER
         : limiter->ask_from > now ? limiter->ask_from
                                   : now;
}

static fy_time later(fy_time a, fy_time b) {
  return a > b ? a : b;
}

static int is_wait(double seconds) {
  return seconds > 0 && seconds <= LONGEST; /* and no NAN */
}

static void hold(struct fy_limiter *limiter, double seconds, fy_time now) {
  if (is_wait(seconds)) {
    limiter->held_until =
        later(limiter->held_until, now + fy_clock_from_seconds(seconds));
  }
}

/* A refusal that says when to come again knows better than a reset, which may
 * be when a bucket is full. What is more than a minute is no such advice. */
static void note_refusal(struct fy_limiter *limiter, double seconds,
                         fy_time now) {
  fy_time at;

  hold(limiter, seconds, now);
  if (!is_wait(seconds) || fy_clock_from_seconds(seconds) > MINUTE) {
    return;
  }
  at = now + fy_clock_from_seconds(seconds);
  if (limiter->least < 1 && limiter->resets_at != FY_NEVER &&
      limiter->resets_at - at > ROUNDING) {
    limiter->ask_from = at;
  }
}

/* A reset may be a window's end, rounded anew by each answer; or the moment
 * when a bucket is full again, which each request moves. Of what requests that
 * left in any order are told, the latest is right in both. Where one that left
 * after all that told something is told of more than was left, and of another
 * end, there is a new window. */
static void note_window(struct fy_limiter *limiter, int64_t second,
                        const struct fy_rate_facts *facts, fy_time now) {
  fy_time before = limiter->resets_at;
  fy_time at = FY_NEVER;
  int is_more = facts->remaining > limiter->least;
  int is_new = isnan(limiter->least);

  if (limiter->ask_from && second >= limiter->ask_from / FY_SECOND) {
    limiter->ask_from = 0; /* it is the one who asked */
    is_new = 1;
  }
  if (facts->reset >= 0 && facts->reset <= LONGEST) {
    at = now + (fy_time)(facts->reset * (double)FY_SECOND);
  }
  if (at == FY_NEVER) {
    is_new |= limiter->in_flight == 0;
  } else if (before != FY_NEVER && at - before > ROUNDING && is_more) {
    if (second <= limiter->told) {
      return; /* it may be older than what is known */
    }
    is_new = 1;
    limiter->window++;
  }
  if (before == FY_NEVER || limiter->in_flight == 0 || at > before) {
    limiter->resets_at = at;
  }
  if (is_new || !is_more) {
    limiter->least = facts->remaining;
  }
  if (second > limiter->told) {
    limiter->told = second;
  }
  limiter->limit = facts->limit;
}

/* --- All of it ---------------------------------------------------------- */

void fy_limiter_init(struct fy_limiter *limiter,
                     const struct fy_limit_plan *plan, fy_time now) {
  memset(limiter, 0, sizeof(*limiter));
  limiter->plan = *plan;
  limiter->full_at = now;
  limiter->hour = now / HOUR;
  limiter->second = limiter->told = now / FY_SECOND;
  limiter->limit = limiter->least = NAN;
  limiter->resets_at = FY_NEVER;
}

/* What the bucket lacks; where there is none, what one would lack at most. */
static int64_t missing(struct fy_limiter *limiter, fy_time now) {
  int64_t count = 0;

  if (limiter->plan.mode == FY_LIMIT_PLAN) {
    return capacity(&limiter->plan) - bucket_room(limiter, now);
  }
  turn_seconds(limiter, now);
  for (int64_t back = 0; back <= MINUTE / FY_SECOND; back++) {
    if (back <= limiter->second) {
      count += limiter->sent[(limiter->second - back) % FY_LIMIT_SECONDS];
    }
  }
  return count;
}

static fy_time full_without(const struct fy_limit_plan *plan, int64_t count,
                            fy_time now) {
  return now +
         (count < capacity(plan) ? count : capacity(plan)) * interval(plan);
}

void fy_limiter_change(struct fy_limiter *limiter,
                       const struct fy_limit_plan *plan, fy_time now) {
  int64_t count = missing(limiter, now);

  memset(&limiter->lease, 0, sizeof(limiter->lease));
  limiter->plan = *plan;
  if (plan->mode == FY_LIMIT_PLAN) {
    limiter->full_at = full_without(plan, count, now);
  }
}

static void merge_counts(struct fy_limiter *limiter, struct fy_limiter *other,
                         fy_time now) {
  turn_hours(limiter, now);
  turn_hours(other, now);
  limiter->today = 0;
  for (int i = 0; i < FY_LIMIT_SLOTS; i++) {
    if (other->hours[i] > limiter->hours[i]) {
      limiter->hours[i] = other->hours[i];
    }
    limiter->today += limiter->hours[i];
  }
  turn_seconds(limiter, now);
  turn_seconds(other, now);
  for (int i = 0; i < FY_LIMIT_SECONDS; i++) {
    if (other->sent[i] > limiter->sent[i]) {
      limiter->sent[i] = other->sent[i];
    }
  }
}

void fy_limiter_merge(struct fy_limiter *limiter,
                      const struct fy_limiter *other, fy_time now) {
  struct fy_limiter former = *other;
  fy_time full_at;

  merge_counts(limiter, &former, now);
  if (limiter->plan.mode == FY_LIMIT_PLAN) {
    full_at = full_without(&limiter->plan, missing(&former, now), now);
    limiter->full_at = later(limiter->full_at, full_at);
  }
  limiter->held_until = later(limiter->held_until, former.held_until);
  if (!isnan(former.least) &&
      (isnan(limiter->least) || former.told > limiter->told)) {
    limiter->ask_from = former.ask_from;
    limiter->window++; /* what is under way was counted by the former */
    limiter->limit = former.limit;
    limiter->least = former.least;
    limiter->resets_at = former.resets_at;
    limiter->told = former.told;
  }
}

fy_time fy_limiter_next(struct fy_limiter *limiter, fy_time now) {
  if (fy_limiter_is_shared(limiter)) {
    return fy_lease_next(&limiter->lease, now);
  }
  switch (limiter->plan.mode) {
  case FY_LIMIT_PLAN:
    return later(bucket_next(limiter, now), day_next(limiter, now));
  case FY_LIMIT_ADAPTIVE:
    return later(limiter->held_until, window_next(limiter, now));
  default:
    return now;
  }
}

fy_time fy_limiter_hold(struct fy_limiter *limiter, fy_time now) {
  fy_time at = now;

  if (fy_limiter_is_shared(limiter)) {
    return fy_lease_hold(&limiter->lease, now);
  }
  if (limiter->plan.mode == FY_LIMIT_PLAN) {
    at = day_next(limiter, now);
  } else if (limiter->plan.mode == FY_LIMIT_ADAPTIVE) {
    at = later(limiter->held_until, window_next(limiter, now));
  }
  return at == FY_NEVER || at < now ? 0 : at - now;
}

struct fy_limit_mark fy_limiter_sent(struct fy_limiter *limiter, fy_time now) {
  turn_hours(limiter, now);
  turn_seconds(limiter, now);
  turn_window(limiter, now);
  limiter->hours[limiter->hour % FY_LIMIT_SLOTS]++;
  limiter->today++;
  limiter->seconds[limiter->second % FY_LIMIT_SECONDS]++;
  limiter->sent[limiter->second % FY_LIMIT_SECONDS]++;
  limiter->in_flight++;
  if (limiter->plan.mode == FY_LIMIT_PLAN) {
    limiter->full_at = later(limiter->full_at, now) + interval(&limiter->plan);
  }
  if (fy_limiter_is_shared(limiter)) {
    fy_lease_spend(&limiter->lease, now);
  }
  return (struct fy_limit_mark){limiter->window, limiter->second};
}

static void land(struct fy_limiter *limiter, int64_t second, fy_time now) {
  uint32_t *slot = &limiter->seconds[second % FY_LIMIT_SECONDS];

  turn_seconds(limiter, now);
  if (limiter->second - second < FY_LIMIT_SECONDS && *slot) {
    --*slot;
  }
  if (limiter->in_flight) {
    limiter->in_flight--;
  }
}

/* One whose answer tells nothing may have been counted after all that did; so
 * may one of the window before. */
void fy_limiter_heard(struct fy_limiter *limiter, struct fy_limit_mark mark,
                      const struct fy_rate_facts *facts, fy_time now) {
  land(limiter, mark.second, now);
  turn_window(limiter, now);
  if (facts && !isnan(facts->remaining) && mark.window == limiter->window) {
    note_window(limiter, mark.second, facts, now);
  } else if (may_be_uncounted(limiter, mark.second)) {
    limiter->least--;
  }
  if (facts && facts->tokens_remaining < 1) {
    hold(limiter, facts->tokens_reset, now);
  }
  if (facts && facts->refused) {
    note_refusal(limiter, facts->retry_after, now);
  } else if (facts && facts->remaining < 1) {
    hold(limiter, facts->retry_after, now);
  }
}

void fy_limiter_never_left(struct fy_limiter *limiter,
                           struct fy_limit_mark mark, fy_time now) {
  int64_t hour = mark.second * FY_SECOND / HOUR;
  uint32_t *slot = &limiter->hours[hour % FY_LIMIT_SLOTS];
  uint32_t *sent = &limiter->sent[mark.second % FY_LIMIT_SECONDS];

  land(limiter, mark.second, now);
  turn_hours(limiter, now);
  if (limiter->second - mark.second < FY_LIMIT_SECONDS && *sent) {
    --*sent;
  }
  if (limiter->hour - hour < FY_LIMIT_SLOTS && *slot) {
    --*slot;
    limiter->today--;
  }
}

int64_t fy_limiter_room(struct fy_limiter *limiter, fy_time now) {
  double left;

  if (fy_limiter_is_shared(limiter)) {
    return fy_lease_ready(&limiter->lease, now);
  }
  if (fy_limiter_next(limiter, now) > now) {
    return 0;
  }
  if (limiter->plan.mode == FY_LIMIT_PLAN) {
    int64_t room = bucket_room(limiter, now);
    int64_t day = (int64_t)limiter->plan.per_day - limiter->today;

    return limiter->plan.per_day && day < room ? day : room;
  }
  left =
      limiter->plan.mode == FY_LIMIT_ADAPTIVE ? fy_limiter_left(limiter) : NAN;
  if (isnan(left) || left > 1e15) {
    return -1;
  }
  return left < 1 ? 1 : (int64_t)left; /* one may go and ask */
}

/* --- A plan that is shared ---------------------------------------------- */

int fy_limiter_is_shared(const struct fy_limiter *limiter) {
  return limiter->plan.mode == FY_LIMIT_PLAN && limiter->store &&
         !limiter->lease.alone;
}

int fy_limiter_wants(struct fy_limiter *limiter, fy_time now) {
  return limiter->plan.mode == FY_LIMIT_PLAN && limiter->store &&
         fy_lease_wants(&limiter->lease, now);
}

int64_t fy_limiter_shared_room(struct fy_limiter *limiter, fy_time now) {
  const struct fy_lease *lease = &limiter->lease;
  int64_t most = capacity(&limiter->plan);
  int64_t day = limiter->plan.per_day ? (int64_t)limiter->plan.per_day -
                                            fy_limiter_today(limiter, now)
                                      : most;
  int64_t room = most;

  if (lease->ask_at > now) {
    return 0;
  }
  if (lease->told_at) {
    room = lease->room + lease->left + (now - lease->told_at) / lease->step;
  }
  room = room < most ? room : most;
  return room < day ? room : day < 0 ? 0 : day;
}

uint32_t fy_limiter_today(struct fy_limiter *limiter, fy_time now) {
  const struct fy_lease *lease = &limiter->lease;

  turn_hours(limiter, now);
  return fy_limiter_is_shared(limiter) && lease->told_at
             ? (uint32_t)lease->today
             : limiter->today;
}
