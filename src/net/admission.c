/* SPDX-License-Identifier: MIT */
#include "net/admission.h"

#include <stddef.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"
#include "net/call.h"
#include "net/client.h"
#include "net/credential.h"
#include "net/engine.h"
#include "net/events.h"
#include "net/gates.h"
#include "net/outcome.h"
#include "net/rate.h"
#include "net/transfer.h"
#include "net/turns.h"
#include "rules/rate_headers.h"

/* The longest that a known limit holds a request back; and what the seconds
 * of its headers, rounded twice, may add to that. */
static const fy_time MAX_HOLD = 60 * FY_SECOND + 2 * FY_SECOND;

/* --- In line ------------------------------------------------------------ */

static void link_in(struct fy_lane *lane, struct freddy_call *call) {
  struct freddy_call *after = lane->last;

  while (after && after->place.number > call->place.number) {
    after = after->place.prev;
  }
  call->place.prev = after;
  call->place.next = after ? after->place.next : lane->first;
  if (call->place.next) {
    call->place.next->place.prev = call;
  } else {
    lane->last = call;
  }
  if (after) {
    after->place.next = call;
  } else {
    lane->first = call;
  }
  call->place.lane = lane;
  call->place.state = FY_PLACE_WAITS;
  if (lane->rate) {
    atomic_fetch_add(&lane->rate->waiting, 1);
  }
  atomic_fetch_add(&call->client->counts.waiting, 1);
}

static void link_out(struct freddy_call *call) {
  struct fy_lane *lane = call->place.lane;

  if (call->place.prev) {
    call->place.prev->place.next = call->place.next;
  } else {
    lane->first = call->place.next;
  }
  if (call->place.next) {
    call->place.next->place.prev = call->place.prev;
  } else {
    lane->last = call->place.prev;
  }
  call->place.state = FY_PLACE_NONE;
  if (lane->rate) {
    atomic_fetch_sub(&lane->rate->waiting, 1);
  }
  atomic_fetch_sub(&call->client->counts.waiting, 1);
}

static void fail(struct freddy_call *call, freddy_error *err) {
  err->sent = atomic_load(&call->sent);
  fy_outcome_deliver(call, err);
}

static int is_full(struct fy_rate *rate, fy_time now) {
  int64_t room = fy_rate_room(rate, now);

  return room >= 0 &&
         (int64_t)atomic_load(&rate->waiting) - room >= FY_MAX_QUEUE;
}

void fy_admission_enter(struct freddy_call *call, int cleared) {
  struct fy_engine *engine = call->engine;
  struct fy_place *place = &call->place;
  freddy_error err = {.code = FREDDY_OK};
  struct fy_gate *gate = fy_gate_of(&engine->admission, call->ask.target.url);
  struct fy_rate *rate = NULL;
  struct fy_lane *lane;

  fy_admission_leave(call);
  place->since = fy_clock_now();
  if (!call->ask.other_origin) {
    rate = fy_rate_of(call);
  }
  if (!place->number && rate && is_full(rate, place->since)) {
    fy_error_set(&err, FREDDY_EQUEUE_FULL, NULL,
                 "%d requests wait for the rate limit already",
                 (int)FY_MAX_QUEUE);
    fail(call, &err);
    return;
  }
  lane = gate && (rate || call->ask.other_origin)
             ? fy_lane_of(
                   gate, call->client,
                   call->ask.stream ? FY_GATE_STREAMS : FY_GATE_REQUESTS, rate)
             : NULL;
  if (!lane) {
    fy_error_nomem(&err);
    fail(call, &err);
    return;
  }
  place->cleared = cleared;
  place->run = engine->admission.runs;
  place->number = place->number ? place->number : ++engine->admission.numbers;
  link_in(lane, call);
  engine->admission.due = 1;
}

/* --- Out of it ---------------------------------------------------------- */

static void hear(struct freddy_call *call, const struct fy_rate_facts *facts) {
  struct fy_place *place = &call->place;
  fy_time now;

  if (!place->charged) {
    return;
  }
  now = fy_clock_now();
  place->charged = 0;
  call->engine->admission.due = 1;
  if (place->left) {
    fy_rate_heard(place->rate, place->mark, facts, now);
  } else {
    fy_rate_never_left(place->rate, place->mark, now);
  }
  fy_rate_unref(place->rate);
  place->rate = NULL;
}

static void charge(struct freddy_call *call) {
  call->place.charged = 1;
  call->place.left = 0;
  call->place.rate = fy_rate_ref(call->place.lane->rate);
  call->place.mark = fy_rate_sent(call->place.rate, fy_clock_now());
}

void fy_admission_leave(struct freddy_call *call) {
  struct fy_place *place = &call->place;

  hear(call, NULL);
  if (place->state == FY_PLACE_NONE) {
    return;
  }
  if (place->state == FY_PLACE_WAITS) {
    link_out(call);
  } else {
    place->lane->in_flight--;
    place->lane->gate->in_flight[place->lane->kind]--;
    atomic_fetch_sub(&call->client->counts.in_flight, 1);
  }
  place->state = FY_PLACE_NONE;
  call->engine->admission.due = 1;
}

void fy_admission_heard(struct freddy_call *call) {
  const struct fy_headers *headers = &call->answer.headers;
  struct fy_rate_facts facts;

  if (call->place.state != FY_PLACE_TAKEN) {
    return;
  }
  if (headers->http_version &&
      fy_gate_is_of(call->place.lane->gate, call->ask.target.url)) {
    call->place.lane->gate->http2 = headers->http_version == 20;
  }
  if (headers->complete) {
    fy_rate_facts_read(headers, (double)time(NULL), &facts);
  }
  hear(call, headers->complete ? &facts : NULL);
}

void fy_admission_goes_on(struct freddy_call *call) {
  if (call->place.state == FY_PLACE_TAKEN && !call->ask.other_origin) {
    charge(call);
  }
}

/* --- Whose turn it is --------------------------------------------------- */

/* Where there is not enough for all, the order of arrival goes over the
 * clients' turns. */
static struct fy_lane *oldest(struct fy_lane *lane, fy_time now) {
  struct fy_lane *found = lane;
  int64_t room = fy_rate_room(lane->rate, now);

  if (room < 0 || room >= (int64_t)atomic_load(&lane->rate->waiting)) {
    return lane;
  }
  for (struct fy_lane *at = lane->next; at != lane; at = at->next) {
    if (at->rate == lane->rate && at->first && fy_lane_has_place(at) &&
        at->first->place.number < found->first->place.number) {
      found = at;
    }
  }
  return found;
}

static uint32_t could_leave_of(const struct fy_lane *lane) {
  uint32_t most = fy_lane_places(lane) - lane->in_flight;
  uint32_t count = 0;

  for (const struct freddy_call *call = lane->first; call && count < most;
       call = call->place.next) {
    count++;
  }
  return count;
}

/* How many of the calls that wait for `rate` could leave with a permit. */
static uint32_t could_leave(const struct fy_admission *admission,
                            const struct fy_rate *rate) {
  uint32_t count = 0;

  for (struct fy_gate *gate = admission->gates; gate; gate = gate->next) {
    struct fy_lane *lane = gate->turn;

    if (lane) {
      do {
        if (lane->rate == rate && lane->first && fy_lane_has_place(lane)) {
          count += could_leave_of(lane);
        }
        lane = lane->next;
      } while (lane != gate->turn);
    }
  }
  return count;
}

/* The lane whose first call is to leave, or is held back for too long; or
 * NULL, and *wake moved to when there may be one. */
static struct fy_lane *pick(const struct fy_admission *admission,
                            struct fy_gate *gate, fy_time now, fy_time *wake) {
  struct fy_lane *lane = gate->turn;

  fy_gate_count_places(gate);
  do {
    if (lane->first && fy_rate_hold(lane->rate, now) > MAX_HOLD) {
      return lane;
    }
    if (lane->first && fy_lane_has_place(lane)) {
      fy_time at;

      if (fy_rate_wants(lane->rate, now)) {
        fy_rate_ask(lane->rate, lane->first->client,
                    could_leave(admission, lane->rate), now);
      }
      at = fy_rate_next(lane->rate, now);
      if (at <= now) {
        return oldest(lane, now);
      }
      *wake = at < *wake ? at : *wake;
    }
    lane = lane->next;
  } while (lane != gate->turn);
  return NULL;
}

static void hold_back(struct freddy_call *call, fy_time hold) {
  freddy_error err = {.code = FREDDY_OK};

  fy_error_set(&err, FREDDY_ERATE_LIMITED, "held_back",
               "not sent%s: the rate limit allows no request for %.0f s",
               atomic_load(&call->attempts) ? " again" : "",
               (double)hold / (double)FY_SECOND);
  err.retry_after = (double)hold / (double)FY_SECOND;
  if (!call->events || !call->events->turns ||
      !fy_turns_hold_back(call, call->events->turns, &err)) {
    fail(call, &err);
  }
}

/* 1 when it could not leave at once, but was passed over in one of `runs`. */
static int is_passed_over(const struct freddy_call *call, uint64_t runs) {
  return runs > call->place.run;
}

/* It is taken out of the line, but may come to stand in another one before it
 * is sent. */
static void note_wait(struct freddy_call *call, uint64_t runs, fy_time now) {
  if (is_passed_over(call, runs)) {
    call->place.has_waited = 1;
    call->place.waited += now - call->place.since;
  }
}

static void count_wait(struct freddy_call *call) {
  struct fy_place *place = &call->place;

  if (place->has_waited) {
    call->answer.stats.waited += (double)place->waited / (double)FY_SECOND;
    atomic_fetch_add(&call->client->counts.waits, 1);
    atomic_fetch_add(&call->client->counts.waited, (uint64_t)place->waited);
  }
  place->has_waited = 0;
  place->waited = 0;
}

static void let_go(struct fy_lane *lane, fy_time now) {
  struct freddy_call *call = lane->first;
  fy_time hold = fy_rate_hold(lane->rate, now);
  freddy_error err = {.code = FREDDY_OK};
  int fresh = call->place.fresh;
  uint64_t before = call->engine->admission.runs - 1;

  note_wait(call, before, now);
  link_out(call);
  if (hold > MAX_HOLD) {
    hold_back(call, hold);
    return;
  }
  /* What let it go may have run out since. */
  if ((!call->place.cleared || is_passed_over(call, before)) &&
      !fy_credential_admit(call)) {
    return;
  }
  count_wait(call);
  call->place.state = FY_PLACE_TAKEN;
  lane->in_flight++;
  lane->gate->in_flight[lane->kind]++;
  atomic_fetch_add(&call->client->counts.in_flight, 1);
  charge(call);
  call->place.fresh = 0;
  if (fy_transfer_start(call, fresh) != FREDDY_OK) {
    fy_error_nomem(&err);
    fail(call, &err);
  }
}

void fy_admission_run(struct fy_engine *engine) {
  struct fy_admission *admission = &engine->admission;
  fy_time wake = FY_NEVER;
  fy_time now;

  if (!admission->due) {
    return;
  }
  now = fy_clock_now();
  admission->due = 0;
  admission->runs++;
  for (struct fy_gate *gate = admission->gates; gate; gate = gate->next) {
    struct fy_lane *lane;

    while (gate->turn && (lane = pick(admission, gate, now, &wake))) {
      gate->turn = lane->next;
      let_go(lane, now);
    }
  }
  fy_timers_set(&engine->timers, &admission->timer, wake);
  fy_gates_sweep(admission, 0);
}

static void timer_fire(struct fy_timer *timer, fy_time now) {
  struct fy_admission *admission =
      (struct fy_admission *)((char *)timer -
                              offsetof(struct fy_admission, timer));

  (void)now;
  admission->due = 1;
}

/* --- Clients ------------------------------------------------------------ */

/* Take its waiting calls out of the lane, and put them before `list`. */
static struct freddy_call *empty(struct fy_lane *lane,
                                 struct freddy_call *list) {
  fy_time now = fy_clock_now();

  while (lane->last) {
    struct freddy_call *call = lane->last;

    note_wait(call, call->engine->admission.runs, now);
    link_out(call);
    call->place.next = list;
    list = call;
  }
  return list;
}

static struct freddy_call *take_waiting(struct fy_admission *admission,
                                        const struct freddy_client *client) {
  struct freddy_call *list = NULL;

  for (struct fy_gate *gate = admission->gates; gate; gate = gate->next) {
    struct fy_lane *lane = gate->turn;

    if (lane) {
      do {
        list = lane->client == client ? empty(lane, list) : list;
        lane = lane->next;
      } while (lane != gate->turn);
    }
  }
  return list;
}

void fy_admission_switch(struct fy_engine *engine,
                         const struct freddy_client *client) {
  struct freddy_call *call = take_waiting(&engine->admission, client);

  while (call) {
    struct freddy_call *next = call->place.next;

    fy_admission_enter(call, 0);
    call = next;
  }
}

void fy_admission_close(struct fy_engine *engine,
                        const struct freddy_client *client) {
  for (struct fy_gate *gate = engine->admission.gates; gate;
       gate = gate->next) {
    struct fy_lane *lane = gate->turn;

    if (lane) {
      do {
        lane->closed |= lane->client == client;
        lane = lane->next;
      } while (lane != gate->turn);
    }
  }
  engine->admission.due = 1;
}

void fy_admission_init(struct fy_engine *engine) {
  engine->admission.timer.fire = timer_fire;
}

void fy_admission_clear(struct fy_engine *engine) {
  fy_gates_sweep(&engine->admission, 1);
}
