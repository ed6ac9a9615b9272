/* SPDX-License-Identifier: MIT */
#include "rules/lease.h"

static const fy_time MINUTE = 60 * FY_SECOND;
static const fy_time RETRY = 5 * FY_SECOND;
static const fy_time PATIENCE = 2 * FY_SECOND;
/* No store is asked more often, whatever it says. */
static const fy_time LEAST = FY_MILLISECOND;
/* A day's limit ends with an hour. */
static const fy_time MOST = 25 * 3600 * FY_SECOND;

static fy_time later(fy_time a, fy_time b) {
  return a > b ? a : b;
}

static fy_time within(fy_time value, fy_time least, fy_time most) {
  return value < least ? least : value > most ? most : value;
}

static void use_one(struct fy_lease *lease) {
  lease->left--;
  lease->at += lease->step;
}

static fy_time good_from(const struct fy_lease *lease) {
  return later(lease->at, lease->since);
}

static void drop_stale(struct fy_lease *lease, fy_time now) {
  while (lease->left && now - good_from(lease) + lease->age > FY_LEASE_LATE) {
    use_one(lease);
  }
}

fy_time fy_lease_next(struct fy_lease *lease, fy_time now) {
  fy_time at;

  drop_stale(lease, now);
  if (lease->left) {
    return later(good_from(lease), now);
  }
  at = lease->asked ? lease->asked_at + PATIENCE : lease->ask_at;
  return at > now ? at : FY_NEVER;
}

int fy_lease_wants(struct fy_lease *lease, fy_time now) {
  drop_stale(lease, now);
  return !lease->left && lease->ask_at <= now &&
         (!lease->asked || now - lease->asked_at >= PATIENCE);
}

void fy_lease_ask(struct fy_lease *lease, fy_time now) {
  lease->asked = 1;
  lease->asked_at = now;
}

int64_t fy_lease_ready(struct fy_lease *lease, fy_time now) {
  int64_t due;

  drop_stale(lease, now);
  if (!lease->left || good_from(lease) > now) {
    return 0;
  }
  due = (now - lease->at) / lease->step + 1;
  return due < lease->left ? due : lease->left;
}

/* The bucket never asks for more than one step. */
fy_time fy_lease_hold(const struct fy_lease *lease, fy_time now) {
  fy_time left = lease->ask_at - now;

  return !lease->alone && left > lease->step ? left : 0;
}

void fy_lease_spend(struct fy_lease *lease, fy_time now) {
  drop_stale(lease, now);
  if (lease->left && good_from(lease) <= now) {
    use_one(lease);
  } else if (lease->debt < UINT32_MAX) {
    lease->debt++;
  }
}

void fy_lease_give(struct fy_lease *lease, const struct fy_permits *permits,
                   uint32_t per_minute, fy_time now) {
  fy_time wait = within(permits->wait, -MOST, MOST);

  lease->asked = lease->alone = 0;
  lease->step = (MINUTE + FY_LEASE_LATE + per_minute - 1) / per_minute;
  lease->left = permits->granted;
  lease->since = now;
  lease->age = within(permits->age, 0, MOST);
  lease->at = now + wait;
  lease->ask_at = permits->granted ? 0 : now + later(wait, LEAST);
  lease->told_at = now;
  lease->room = permits->room;
  lease->today = permits->today;
  while (lease->left && lease->debt) {
    use_one(lease);
    lease->debt--;
  }
}

void fy_lease_lose(struct fy_lease *lease, fy_time now) {
  lease->asked = lease->left = 0;
  lease->alone = 1;
  lease->ask_at = now + RETRY;
}
