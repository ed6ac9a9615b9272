/* SPDX-License-Identifier: MIT */
/* A simulator drives the token clockwork with random schedules: requests,
 * answers that are slow, lost, refused or garbage, rotation, stores, users
 * that log out and in, machines that sleep, engines that end. After every
 * event it checks what must never break. A failure prints its seed; FY_SEED=N
 * runs that one. */
#include <stdint.h>
#include <stdlib.h>

#include "rules/token.h"
#include "unit.h"

enum { SEEDS = 4000, STEPS = 400, MAX_EVENTS = 64, MAX_WAITERS = 64 };

enum event_kind { CLAIMED, FETCHED, SAVED, TOLD };

struct event {
  fy_time at;
  enum event_kind kind;
  uint64_t ticket;
  int outcome; /* -1: a token; else a fy_token_failure */
  int means;
  fy_time sent;
};

struct world {
  struct fy_token token;
  uint64_t seed, random;
  fy_time now;
  struct event events[MAX_EVENTS];
  int event_count;
  fy_time waiters[MAX_WAITERS]; /* the deadline of each */
  int waiter_count;
  fy_time true_end;    /* when the server stops taking the current token */
  fy_time life;        /* of the tokens that the server hands out */
  fy_time quiet_until; /* after a failed renewal nobody is called before */
  int trouble;         /* percent of the fetches that go wrong */
  int rotates;
  uint64_t rejected; /* the generation that got the last 401 */
  int flying;        /* fetches whose answer is still wanted */
  int over;          /* told that it is over: nobody is called any more */
  int broken;
};

static uint64_t roll(struct world *w) {
  w->random ^= w->random >> 12;
  w->random ^= w->random << 25;
  w->random ^= w->random >> 27;
  return w->random * 0x2545F4914F6CDD1DULL >> 16;
}

static int chance(struct world *w, int percent) {
  return (int)(roll(w) % 100) < percent;
}

static fy_time up_to(struct world *w, fy_time most) {
  return (fy_time)(roll(w) % (uint64_t)most) + 1;
}

static void must(struct world *w, int condition, const char *what) {
  if (!condition && !w->broken) {
    w->broken = 1;
    printf("seed %llu at %.3f s: %s\n", (unsigned long long)w->seed,
           (double)w->now / (double)FY_SECOND, what);
  }
}

static void schedule(struct world *w, struct event event) {
  must(w, w->event_count < MAX_EVENTS, "too many events");
  if (w->event_count < MAX_EVENTS) {
    w->events[w->event_count++] = event;
  }
}

static void begin_fetch(struct world *w, const struct fy_token_step *step) {
  struct event event = {.kind = FETCHED,
                        .ticket = step->ticket,
                        .outcome = -1,
                        .means = step->means,
                        .sent = w->now};

  must(w, !w->over, "called the server after it was over");
  must(w, w->flying == 0, "two fetches at once");
  must(w, w->now >= w->quiet_until, "called the server during the back-off");
  must(w, step->means != 0, "a fetch by no means");
  w->flying++;
  if (chance(w, w->trouble)) {
    event.outcome = (int)(roll(w) % 5);
  }
  event.at = w->now + up_to(w, chance(w, 10) ? 30 * FY_SECOND : FY_SECOND);
  schedule(w, event);
}

static void serve_steps(struct world *w) {
  struct fy_token_step step;

  for (;;) {
    struct event event = {.at = w->now + up_to(w, FY_SECOND / 10)};

    fy_token_step(&w->token, &step);
    event.ticket = step.ticket;
    switch (step.todo) {
    case FY_TOKEN_NOTHING:
      return;
    case FY_TOKEN_CLAIM:
      event.kind = CLAIMED;
      schedule(w, event);
      break;
    case FY_TOKEN_FETCH:
      begin_fetch(w, &step);
      break;
    case FY_TOKEN_SAVE:
      event.kind = SAVED;
      schedule(w, event);
      break;
    case FY_TOKEN_TELL:
      event.kind = TOLD;
      event.at += chance(w, 10) ? 10 * FY_SECOND : 0;
      schedule(w, event);
      break;
    case FY_TOKEN_RELEASE:
      break;
    }
  }
}

static void check_answer(struct world *w, enum fy_token_answer answer) {
  if (answer == FY_TOKEN_SEND) {
    must(w, w->now < w->true_end, "a dead token was sent");
    must(w, w->token.generation != w->rejected, "sent what was rejected");
  } else if (answer == FY_TOKEN_OVER) {
    w->over = 1;
  } else if (answer == FY_TOKEN_RENEWAL_FAILED) {
    must(w, w->token.retry_at > w->now, "refused without a reason to wait");
  }
}

/* All that wait ask again, whatever happened. */
static void ask_again(struct world *w) {
  int kept = 0;

  for (int i = 0; i < w->waiter_count; i++) {
    enum fy_token_answer answer = fy_token_ask(&w->token, w->now, 1);

    check_answer(w, answer);
    if (answer == FY_TOKEN_WAIT && w->waiters[i] > w->now) {
      w->waiters[kept++] = w->waiters[i];
    }
  }
  w->waiter_count = kept;
  serve_steps(w);
  must(w, kept == 0 || fy_token_is_renewing(&w->token),
       "a waiter is forgotten");
}

static struct fy_token_grant grant_now(struct world *w, fy_time since) {
  struct fy_token_grant grant = {since, w->life, w->rotates};

  return grant;
}

/* One that is dead on arrival must not be fetched again at once. */
static void check_life(struct world *w) {
  if (!fy_token_left(&w->token, w->now)) {
    must(w, w->token.retry_at >= w->now + FY_SECOND / 2, "no back-off");
    w->quiet_until = w->token.retry_at;
  }
}

static void arrive_fetch(struct world *w, const struct event *event) {
  struct fy_token_grant grant = grant_now(w, event->sent);
  uint64_t before = w->token.generation;
  int wanted = event->ticket == w->token.ticket;

  w->flying -= wanted;
  if (event->outcome < 0) {
    fy_token_fetched(&w->token, event->ticket, w->now, &grant);
    must(w, wanted == (w->token.generation != before),
         "an old answer counted, or a new one did not");
    if (wanted) {
      w->true_end = event->sent + w->life;
      check_life(w);
    }
    return;
  }
  fy_token_not_fetched(&w->token, event->ticket, w->now,
                       (enum fy_token_failure)event->outcome, 0);
  must(w, w->token.generation == before, "a failure changed the token");
  if (wanted && !fy_token_is_renewing(&w->token) && !w->token.refused) {
    must(w, w->token.retry_at >= w->now + FY_SECOND / 2, "no back-off");
    w->quiet_until = w->token.retry_at;
  }
}

static void arrive(struct world *w, const struct event *event) {
  struct fy_token_grant grant = grant_now(w, w->now);

  switch (event->kind) {
  case CLAIMED:
    if (chance(w, 20) && event->ticket == w->token.ticket) {
      w->true_end = w->now + w->life;
      w->quiet_until = 0;
      fy_token_adopt(&w->token, event->ticket, w->now, &grant);
    } else {
      fy_token_claimed(&w->token, event->ticket, w->now,
                       chance(w, 30) ? up_to(w, FY_SECOND) : 0);
    }
    break;
  case FETCHED:
    arrive_fetch(w, event);
    break;
  case SAVED:
    fy_token_saved(&w->token, event->ticket, w->now);
    break;
  case TOLD:
    fy_token_told(&w->token, event->ticket, w->now);
    break;
  }
}

static void give(struct world *w) {
  int means = FY_BY_REFRESH | (chance(w, 30) ? FY_BY_EXCHANGE : 0);
  fy_time life = chance(w, 70) ? w->life : 0;

  w->over = w->flying = 0; /* what flies is no longer wanted */
  w->quiet_until = 0;
  w->true_end = w->now + life;
  fy_token_give(&w->token, w->now, life, means);
}

static void log_out(struct world *w) {
  w->flying = 0;
  fy_token_revoke(&w->token);
  must(w, fy_token_ask(&w->token, w->now, 0) == FY_TOKEN_MISSING,
       "sent after the logout");
}

static void request(struct world *w) {
  enum fy_token_answer answer = fy_token_ask(&w->token, w->now, 0);

  check_answer(w, answer);
  if (answer == FY_TOKEN_WAIT && w->waiter_count < MAX_WAITERS) {
    w->waiters[w->waiter_count++] = w->now + up_to(w, 60 * FY_SECOND);
  } else if (answer == FY_TOKEN_SEND && chance(w, 5)) {
    uint64_t sent = w->token.generation - (uint64_t)chance(w, 20);

    w->rejected = sent;
    answer = fy_token_rejected(&w->token, w->now, sent);
    check_answer(w, answer);
    if (answer == FY_TOKEN_WAIT && w->waiter_count < MAX_WAITERS) {
      w->waiters[w->waiter_count++] = w->now + up_to(w, 60 * FY_SECOND);
    }
  }
}

static void do_something(struct world *w) {
  int what = (int)(roll(w) % 100);

  if (what < 94) {
    request(w);
  } else if (what < 96) {
    give(w);
  } else if (what < 97) {
    log_out(w);
  } else if (what < 98 && chance(w, 50)) {
    w->flying = 0;
    fy_token_interrupt(&w->token);
  } else if (what < 98) {
    w->now += up_to(w, 2 * w->life); /* asleep, on a clock that counts it */
  } else {
    fy_token_renew(&w->token, w->now);
  }
}

/* The next event, or -1 when a request or the clockwork comes first. */
static int next_event(const struct world *w) {
  int first = -1;

  for (int i = 0; i < w->event_count; i++) {
    if (first < 0 || w->events[i].at < w->events[first].at) {
      first = i;
    }
  }
  return first;
}

static void step(struct world *w) {
  fy_time request_at = w->now + up_to(w, w->life / 8 + FY_MILLISECOND);
  fy_time due = fy_token_due(&w->token);
  int first = next_event(w);
  fy_time event_at = first < 0 ? FY_NEVER : w->events[first].at;

  if (event_at <= request_at && event_at <= due) {
    struct event event = w->events[first];

    w->now = event.at > w->now ? event.at : w->now; /* it slept */
    w->events[first] = w->events[--w->event_count];
    arrive(w, &event);
  } else if (due <= request_at) {
    w->now = due > w->now ? due : w->now;
    fy_token_wake(&w->token, w->now);
  } else {
    w->now = request_at;
    do_something(w);
  }
  serve_steps(w);
  ask_again(w);
}

/* The server recovers and nobody interferes: everyone gets an answer. */
static void settle_down(struct world *w) {
  w->trouble = 0;
  for (int i = 0; i < 200 && w->waiter_count; i++) {
    int first = next_event(w);
    fy_time due = fy_token_due(&w->token);

    if (first >= 0 && w->events[first].at <= due) {
      struct event event = w->events[first];

      w->now = event.at > w->now ? event.at : w->now; /* it slept */
      w->events[first] = w->events[--w->event_count];
      arrive(w, &event);
    } else if (due != FY_NEVER) {
      w->now = due > w->now ? due : w->now;
      fy_token_wake(&w->token, w->now);
    }
    serve_steps(w);
    ask_again(w);
  }
  must(w, w->waiter_count == 0, "someone waits for ever");
}

static int run_seed(uint64_t seed) {
  static const fy_time lives[] = {1, 10, 60, 3600, 86400, 315360000};
  struct world w;

  memset(&w, 0, sizeof(w));
  w.seed = seed;
  w.random = seed * 2654435761U + 1;
  w.now = 1000 * FY_SECOND;
  w.rejected = UINT64_MAX;
  w.life = lives[roll(&w) % 6] * FY_SECOND;
  w.trouble = (int)(roll(&w) % 4) * 25;
  w.rotates = chance(&w, 50);
  fy_token_init(&w.token, chance(&w, 50) ? FY_BY_REFRESH : FY_BY_EXCHANGE,
                seed + 7);
  w.token.has_store = chance(&w, 40);
  w.token.has_listener = chance(&w, 40);
  w.token.keep_warm = chance(&w, 30);
  for (int i = 0; i < STEPS && !w.broken; i++) {
    step(&w);
  }
  settle_down(&w);
  return !w.broken;
}

int main(void) {
  const char *one = getenv("FY_SEED");

  if (one) {
    CHECK(run_seed(strtoull(one, NULL, 10)));
    return unit_end();
  }
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    CHECK(run_seed(seed));
  }
  return unit_end();
}
