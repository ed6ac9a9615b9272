/* SPDX-License-Identifier: MIT */
#include "rules/token.h"

#include <string.h>

/* The phases of a renewal. */
enum {
  IDLE,
  CLAIM,      /* the store is asked */
  CLAIM_WAIT, /* somebody else renews: ask again at wake_at */
  FETCH,
  PAUSE, /* before the repeat, until wake_at */
  SAVE,
  TELL /* the host is told, and has until wake_at */
};

static const fy_time ASSUMED_LIFE = 3600 * FY_SECOND;
static const fy_time LONGEST_WINDOW = 3600 * FY_SECOND;
static const fy_time LONGEST_MARGIN = 10 * FY_SECOND;
static const fy_time REPEAT_AFTER = FY_SECOND / 2;
static const fy_time TELL_WITHIN = 5 * FY_SECOND;
static const fy_time LONGEST_BACKOFF = 60 * FY_SECOND;
static const fy_time LONGEST_RETRY_AFTER = 3600 * FY_SECOND;

/* xorshift64*, 0 <= x < 1. Spreads clients in time; keeps no secret. */
static double next_random(struct fy_token *token) {
  token->random ^= token->random >> 12;
  token->random ^= token->random << 25;
  token->random ^= token->random >> 27;
  return (double)((token->random * 0x2545F4914F6CDD1DULL) >> 11) *
         (1.0 / 9007199254740992.0);
}

static fy_time min_time(fy_time a, fy_time b) {
  return a < b ? a : b;
}

/* --- The life of a token ------------------------------------------------ */

/* The early window begins min(1 h, 20 % of the life) before the end, and up
 * to a tenth of itself earlier; min(10 s, 5 %) before the end it counts as
 * dead. */
static void set_life(struct fy_token *token, fy_time since, fy_time life) {
  fy_time window, margin, jitter, end;

  if (life == FY_NEVER) {
    life = ASSUMED_LIFE;
  }
  window = min_time(LONGEST_WINDOW, life / 5);
  margin = min_time(LONGEST_MARGIN, life / 20);
  jitter = (fy_time)((double)(window / 10) * next_random(token));
  end = fy_clock_add(since, life);
  token->has_token = 1;
  token->never_dies = 0;
  token->stale_at = end - window - jitter;
  token->dead_at = end - margin;
}

static int is_alive(const struct fy_token *token, fy_time now) {
  return token->has_token && (token->never_dies || now < token->dead_at);
}

static void kill_token(struct fy_token *token, fy_time now) {
  token->stale_at = min_time(token->stale_at, now);
  token->dead_at = min_time(token->dead_at, now);
  token->never_dies = 0;
}

/* --- Renewals ----------------------------------------------------------- */

static void enter(struct fy_token *token, int phase, fy_time wake_at) {
  token->phase = phase;
  token->begun = 0;
  token->wake_at = wake_at;
}

static void end_renewal(struct fy_token *token) {
  enter(token, IDLE, FY_NEVER);
  token->release_due |= token->claim_held;
  token->claim_held = 0;
}

static void begin_renewal(struct fy_token *token, enum fy_token_why why) {
  token->why = why;
  token->repeated = 0;
  token->ticket++;
  enter(token, token->has_store ? CLAIM : FETCH, FY_NEVER);
}

/* Whatever is under way is no longer wanted. */
static void drop_renewal(struct fy_token *token) {
  token->ticket++;
  end_renewal(token);
}

static enum fy_token_why why_now(const struct fy_token *token, fy_time now) {
  if (!token->has_token) {
    return FY_WHY_FIRST;
  }
  return is_alive(token, now) ? FY_WHY_EXPIRING : FY_WHY_EXPIRED;
}

/* Half fixed, half random: 1 s doubling to 60 s, or what the server said. */
static void back_off(struct fy_token *token, fy_time now, fy_time after) {
  int doublings = token->failures < 6 ? token->failures : 6;
  fy_time base = min_time(LONGEST_BACKOFF, FY_SECOND << doublings);
  fy_time delay =
      base / 2 + (fy_time)((double)(base / 2) * next_random(token));

  after = min_time(after, LONGEST_RETRY_AFTER);
  token->failures += token->failures < 1000;
  token->retry_at = fy_clock_add(now, after > delay ? after : delay);
}

static void give_up(struct fy_token *token, fy_time now, fy_time after) {
  back_off(token, now, after);
  end_renewal(token);
}

/* Once, and after looking into the store again: another process may have had
 * the answer that we missed. */
static void repeat(struct fy_token *token, fy_time now, fy_time delay) {
  token->repeated = 1;
  if (delay > 0) {
    enter(token, PAUSE, fy_clock_add(now, delay));
  } else {
    enter(token, token->has_store ? CLAIM : FETCH, FY_NEVER);
  }
}

static int best_means(const struct fy_token *token) {
  if (token->means & FY_BY_REFRESH) {
    return FY_BY_REFRESH;
  }
  return token->means & FY_BY_EXCHANGE ? FY_BY_EXCHANGE
                                       : token->means & FY_BY_PROVIDER;
}

static int is_current(const struct fy_token *token, uint64_t ticket,
                      int phase) {
  return token->ticket == ticket && token->phase == phase && token->begun;
}

/* --- From the user ------------------------------------------------------ */

void fy_token_init(struct fy_token *token, int means, uint64_t seed) {
  memset(token, 0, sizeof(*token));
  token->means = means;
  token->random = seed ? seed : 1;
  token->wake_at = FY_NEVER;
  for (int i = 0; i < 4; i++) {
    next_random(token); /* seeds that are alike soon differ */
  }
}

void fy_token_give(struct fy_token *token, fy_time now, fy_time life,
                   int means) {
  drop_renewal(token);
  token->generation++;
  token->means = means;
  token->revoked = token->refused = token->uncertain = 0;
  token->failures = 0;
  token->retry_at = 0;
  token->has_token = 0;
  token->given = life != 0;
  if (life != 0) {
    set_life(token, now, life);
    token->never_dies = means == 0;
  }
}

void fy_token_correct(struct fy_token *token, fy_time now, fy_time left) {
  if (token->given && token->has_token && !token->never_dies) {
    set_life(token, now, left > 0 ? left : 0);
  }
  token->given = 0;
}

void fy_token_revoke(struct fy_token *token) {
  drop_renewal(token);
  token->generation++;
  token->means = token->has_token = token->given = 0;
  token->revoked = 1;
}

/* --- From requests ------------------------------------------------------ */

/* Nothing left to renew a dead token with: by whose word? */
static enum fy_token_answer without_means(const struct fy_token *token) {
  return token->refused ? FY_TOKEN_OVER : FY_TOKEN_MISSING;
}

static int may_begin(const struct fy_token *token, fy_time now) {
  return token->phase == IDLE && token->means && now >= token->retry_at;
}

enum fy_token_answer fy_token_ask(struct fy_token *token, fy_time now,
                                  int waits) {
  if (token->revoked) {
    return FY_TOKEN_MISSING;
  }
  if (is_alive(token, now)) {
    if (!token->never_dies && now >= token->stale_at &&
        may_begin(token, now)) {
      begin_renewal(token, FY_WHY_EXPIRING);
    }
    return waits && (token->phase == SAVE || token->phase == TELL)
               ? FY_TOKEN_WAIT
               : FY_TOKEN_SEND;
  }
  if (token->phase != IDLE) {
    return FY_TOKEN_WAIT;
  }
  if (!token->means) {
    return without_means(token);
  }
  if (now < token->retry_at) {
    return FY_TOKEN_RENEWAL_FAILED;
  }
  begin_renewal(token, why_now(token, now));
  return FY_TOKEN_WAIT;
}

enum fy_token_answer fy_token_rejected(struct fy_token *token, fy_time now,
                                       uint64_t generation) {
  if (token->revoked) {
    return FY_TOKEN_MISSING;
  }
  if (generation != token->generation) {
    return fy_token_ask(token, now, 1);
  }
  if (!token->means && token->phase == IDLE) {
    if (token->refused) {
      kill_token(token, now);
      return FY_TOKEN_OVER;
    }
    return FY_TOKEN_DELIVER;
  }
  kill_token(token, now);
  if (token->phase != IDLE) {
    return FY_TOKEN_WAIT;
  }
  if (now < token->retry_at) {
    return FY_TOKEN_RENEWAL_FAILED;
  }
  begin_renewal(token, FY_WHY_REJECTED);
  return FY_TOKEN_WAIT;
}

enum fy_token_answer fy_token_renew(struct fy_token *token, fy_time now) {
  if (token->revoked || (!token->means && token->phase == IDLE)) {
    return without_means(token);
  }
  if (token->phase != IDLE) {
    return FY_TOKEN_WAIT;
  }
  if (now < token->retry_at) {
    return FY_TOKEN_RENEWAL_FAILED;
  }
  begin_renewal(token, why_now(token, now));
  return FY_TOKEN_WAIT;
}

/* --- To and from the owner ---------------------------------------------- */

void fy_token_step(struct fy_token *token, struct fy_token_step *step) {
  static const enum fy_token_todo todo[] = {
      FY_TOKEN_NOTHING, FY_TOKEN_CLAIM, FY_TOKEN_NOTHING, FY_TOKEN_FETCH,
      FY_TOKEN_NOTHING, FY_TOKEN_SAVE,  FY_TOKEN_TELL};

  memset(step, 0, sizeof(*step));
  step->ticket = token->ticket;
  step->why = token->why;
  if (token->release_due) {
    token->release_due = 0;
    step->todo = FY_TOKEN_RELEASE;
  } else if (!token->begun) {
    token->begun = 1;
    step->todo = todo[token->phase];
    step->means = token->phase == FETCH ? best_means(token) : 0;
  }
}

void fy_token_claimed(struct fy_token *token, uint64_t ticket, fy_time now,
                      fy_time wait) {
  if (!is_current(token, ticket, CLAIM)) {
    return;
  }
  if (wait > 0) {
    enter(token, CLAIM_WAIT, fy_clock_add(now, wait));
  } else {
    token->claim_held = 1;
    token->means &= ~FY_BY_STORE;
    if (token->means) {
      enter(token, FETCH, FY_NEVER);
    } else {
      end_renewal(token);
    }
  }
}

void fy_token_not_claimed(struct fy_token *token, uint64_t ticket,
                          fy_time now) {
  if (is_current(token, ticket, CLAIM)) {
    give_up(token, now, 0);
  }
}

void fy_token_can_refresh(struct fy_token *token) {
  token->means |= FY_BY_REFRESH;
  token->refused = 0;
}

void fy_token_ended(struct fy_token *token, uint64_t ticket) {
  if (is_current(token, ticket, CLAIM) || is_current(token, ticket, SAVE)) {
    token->generation++;
    token->means = token->has_token = token->given = token->refused = 0;
    end_renewal(token);
  }
}

void fy_token_look_again(struct fy_token *token, fy_time now) {
  if (token->has_store && !token->means && !token->revoked &&
      token->phase == IDLE && !is_alive(token, now)) {
    token->means = FY_BY_STORE;
  }
}

/* 1 when it is alive. */
static int take_over(struct fy_token *token, fy_time now,
                     const struct fy_token_grant *grant) {
  token->generation++;
  token->given = token->refused = token->uncertain = 0;
  if (grant->has_refresh) {
    token->means |= FY_BY_REFRESH;
  }
  set_life(token, grant->since, grant->life);
  if (!is_alive(token, now)) {
    return 0;
  }
  token->failures = 0;
  token->retry_at = 0;
  return 1;
}

static void tell(struct fy_token *token, fy_time now) {
  if (token->has_listener) {
    enter(token, TELL, fy_clock_add(now, TELL_WITHIN));
  } else {
    end_renewal(token);
  }
}

void fy_token_announce(struct fy_token *token, fy_time now) {
  if (token->phase == IDLE && token->has_token && !token->revoked) {
    token->ticket++;
    token->has_listener = 1;
    tell(token, now);
  }
}

void fy_token_fetched(struct fy_token *token, uint64_t ticket, fy_time now,
                      const struct fy_token_grant *grant) {
  if (!is_current(token, ticket, FETCH)) {
    return;
  }
  if (!take_over(token, now, grant)) {
    back_off(token, now, 0); /* or it would be fetched again at once, always */
  }
  if (token->has_store) {
    enter(token, SAVE, FY_NEVER);
  } else {
    tell(token, now);
  }
}

void fy_token_adopt(struct fy_token *token, uint64_t ticket, fy_time now,
                    const struct fy_token_grant *grant) {
  if (is_current(token, ticket, CLAIM) || is_current(token, ticket, SAVE)) {
    token->release_due |= token->claim_held;
    token->claim_held = 0;
    if (take_over(token, now, grant)) {
      tell(token, now);
    } else {
      enter(token, CLAIM, FY_NEVER); /* it died on its way */
    }
  }
}

void fy_token_not_fetched(struct fy_token *token, uint64_t ticket, fy_time now,
                          enum fy_token_failure failure, fy_time after) {
  int means = best_means(token);

  if (!is_current(token, ticket, FETCH)) {
    return;
  }
  token->uncertain |= failure == FY_TOKEN_LOST && means == FY_BY_REFRESH;
  if (failure == FY_TOKEN_REFUSED && means == FY_BY_REFRESH) {
    token->means &= ~FY_BY_REFRESH;
    token->repeated = 0;
    if (token->means) {
      enter(token, FETCH, FY_NEVER); /* fall back to the exchange */
    } else {
      token->refused = 1;
      end_renewal(token);
    }
  } else if ((failure == FY_TOKEN_BUSY || failure == FY_TOKEN_UNSENT) &&
             !token->repeated && after <= REPEAT_AFTER &&
             means != FY_BY_PROVIDER) {
    repeat(token, now, REPEAT_AFTER);
  } else if (failure == FY_TOKEN_LOST && !token->repeated &&
             !is_alive(token, now)) {
    repeat(token, now, 0);
  } else {
    give_up(token, now, after);
  }
}

void fy_token_saved(struct fy_token *token, uint64_t ticket, fy_time now) {
  if (is_current(token, ticket, SAVE)) {
    token->release_due |= token->claim_held;
    token->claim_held = 0;
    tell(token, now);
  }
}

void fy_token_told(struct fy_token *token, uint64_t ticket, fy_time now) {
  (void)now;
  if (is_current(token, ticket, TELL)) {
    end_renewal(token);
  }
}

void fy_token_interrupt(struct fy_token *token) {
  token->uncertain |= token->phase == FETCH && token->begun &&
                      best_means(token) == FY_BY_REFRESH;
  token->ticket++;
  if (token->phase == SAVE || (token->phase == TELL && !token->begun)) {
    token->begun = 0;
  } else {
    end_renewal(token);
  }
}

/* --- Time --------------------------------------------------------------- */

fy_time fy_token_due(const struct fy_token *token) {
  if (token->phase != IDLE) {
    return token->wake_at;
  }
  if (token->keep_warm && token->means && token->has_token &&
      !token->never_dies) {
    return token->stale_at > token->retry_at ? token->stale_at
                                             : token->retry_at;
  }
  return FY_NEVER;
}

void fy_token_wake(struct fy_token *token, fy_time now) {
  if (now < fy_token_due(token)) {
    return;
  }
  switch (token->phase) {
  case IDLE:
    begin_renewal(token, why_now(token, now));
    break;
  case CLAIM_WAIT:
    enter(token, CLAIM, FY_NEVER);
    break;
  case PAUSE:
    enter(token, FETCH, FY_NEVER);
    break;
  case TELL:
    end_renewal(token);
    break;
  default:
    break;
  }
}

/* --- For those who ask -------------------------------------------------- */

static enum fy_token_state idle_state(const struct fy_token *token,
                                      fy_time now) {
  if (is_alive(token, now)) {
    return token->never_dies || now < token->stale_at ? FY_TOKEN_FRESH
                                                      : FY_TOKEN_STALE;
  }
  if (now < token->retry_at) {
    return FY_TOKEN_FAILED;
  }
  return token->has_token || token->refused ? FY_TOKEN_EXPIRED
                                            : FY_TOKEN_EMPTY;
}

enum fy_token_state fy_token_state(const struct fy_token *token, fy_time now) {
  if (token->revoked) {
    return FY_TOKEN_REVOKED;
  }
  switch (token->phase) {
  case CLAIM:
  case CLAIM_WAIT:
    return FY_TOKEN_CLAIMING;
  case FETCH:
  case PAUSE:
    return token->has_token || best_means(token) == FY_BY_REFRESH
               ? FY_TOKEN_REFRESHING
               : FY_TOKEN_FETCHING;
  default:
    return idle_state(token, now);
  }
}

fy_time fy_token_left(const struct fy_token *token, fy_time now) {
  if (!is_alive(token, now)) {
    return 0;
  }
  return token->never_dies ? FY_NEVER : token->dead_at - now;
}

int fy_token_is_spent(const struct fy_token *token, fy_time now) {
  if (token->phase != IDLE || is_alive(token, now)) {
    return 0;
  }
  return token->refused ||
         (now < token->retry_at && !(token->means & FY_BY_REFRESH));
}

int fy_token_is_renewing(const struct fy_token *token) {
  return token->phase != IDLE;
}

int fy_token_is_settled(const struct fy_token *token) {
  return token->phase == SAVE || token->phase == TELL;
}

int fy_token_is_at_risk(const struct fy_token *token) {
  return (token->phase == FETCH && token->begun &&
          best_means(token) == FY_BY_REFRESH) ||
         token->phase == SAVE || (token->phase == TELL && !token->has_store);
}
