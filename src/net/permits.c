/* SPDX-License-Identifier: MIT */
#include "net/permits.h"

#include <math.h>
#include <string.h>

#include "net/call.h"
#include "net/client.h"
#include "net/listener.h"
#include "net/rate.h"

/* More than any day has, and than any store can mean. */
static const double LONGEST = 90000;

/* --- Who is asked ------------------------------------------------------- */

struct choice {
  const freddy_client *client;
  const struct fy_rate *rate;
  struct freddy_call *own, *other; /* of the client, or of one like it */
  int busy;                        /* 1: one is being asked */
};

static int has_rate(freddy_client *client, const struct fy_rate *rate) {
  int has;

  pthread_mutex_lock(&client->lock);
  has = client->rate == rate;
  pthread_mutex_unlock(&client->lock);
  return has;
}

static void look_at(struct freddy_call *call, void *context) {
  struct choice *choice = context;
  int open, busy;

  if (!call->listener->permits || fy_call_is_foreign(call)) {
    return;
  }
  pthread_mutex_lock(&call->inbox->lock);
  open = !call->ended && !call->inbox->closed;
  busy = open && call->listener->permits_for == choice->rate;
  pthread_mutex_unlock(&call->inbox->lock);
  choice->busy |= busy;
  if (!open || busy) {
    return;
  }
  if (call->client == choice->client && !choice->own) {
    choice->own = fy_call_ref(call);
  } else if (!choice->other && has_rate(call->client, choice->rate)) {
    choice->other = fy_call_ref(call);
  }
}

/* 1 when it was asked. */
static int ask(struct freddy_call *call, struct fy_rate *rate,
               const freddy_ask_permits *wanted) {
  struct fy_listener *listener = call->listener;
  struct fy_rate *old = NULL;
  int open;

  pthread_mutex_lock(&call->inbox->lock);
  open = !call->ended && !call->inbox->closed;
  if (open) {
    old = listener->permits_for;
    listener->permits_for = fy_rate_ref(rate);
    listener->permits_question = ++call->question;
    listener->wanted = *wanted;
    call->out |= FY_OUT_NEED_PERMITS;
    fy_inbox_list(call->inbox, call);
  }
  fy_inbox_unlock(call->inbox);
  if (old) {
    fy_rate_unanswered(old);
    fy_rate_unref(old);
  }
  return open;
}

int fy_permits_ask(freddy_client *client, struct fy_rate *rate,
                   const struct fy_limit_plan *plan, uint32_t count) {
  freddy_ask_permits wanted = {count, plan->per_minute, plan->burst,
                               plan->per_day};
  struct choice choice = {.client = client, .rate = rate};
  int asked;

  fy_listeners_each(look_at, &choice);
  asked = (choice.own && ask(choice.own, rate, &wanted)) ||
          (choice.other && ask(choice.other, rate, &wanted));
  if (choice.own) {
    fy_call_unref(choice.own);
  }
  if (choice.other) {
    fy_call_unref(choice.other);
  }
  return asked || choice.busy;
}

/* Its asker, the reference with it, when this question is open; else NULL. */
static struct fy_rate *take_asker(struct freddy_call *call,
                                  const uint32_t *question) {
  struct fy_listener *listener = call->listener;
  struct fy_rate *rate = NULL;

  pthread_mutex_lock(&call->inbox->lock);
  if (!question || *question == listener->permits_question) {
    rate = listener->permits_for;
    listener->permits_for = NULL;
  }
  pthread_mutex_unlock(&call->inbox->lock);
  return rate;
}

void fy_permits_drop(struct freddy_call *call) {
  struct fy_rate *rate = take_asker(call, NULL);

  if (rate) {
    fy_rate_unanswered(rate);
    fy_rate_unref(rate);
  }
}

static void cut(struct freddy_call *call, void *context) {
  if (call->inbox == context) {
    fy_permits_drop(call);
  }
}

void fy_permits_cut(freddy_inbox *inbox) {
  fy_listeners_each(cut, inbox);
}

/* --- The host ----------------------------------------------------------- */

void fy_permits_next_event(struct freddy_call *call, freddy_event *event) {
  call->out &= ~(unsigned)FY_OUT_NEED_PERMITS;
  event->type = FREDDY_NEED_PERMITS;
  event->question = call->listener->permits_question;
  call->inbox->ask_permits = call->listener->wanted;
  event->permits = &call->inbox->ask_permits;
}

static fy_time duration(double seconds) {
  if (isnan(seconds)) {
    return 0;
  }
  seconds = seconds > LONGEST ? LONGEST : seconds;
  seconds = seconds < -LONGEST ? -LONGEST : seconds;
  return (fy_time)(seconds * (double)FY_SECOND);
}

int fy_permits_answer(struct freddy_call *call, uint32_t question,
                      const freddy_permits *permits) {
  struct fy_permits given;
  struct fy_rate *rate;

  if (!call->listener) {
    return FREDDY_EMISUSE;
  }
  rate = take_asker(call, &question);
  if (!rate) {
    return FREDDY_OK;
  }
  if (permits) {
    given = (struct fy_permits){.granted = permits->granted,
                                .wait = duration(permits->wait),
                                .age = duration(permits->age),
                                .room = permits->room,
                                .today = permits->today};
  }
  fy_rate_answer(rate, permits ? &given : NULL);
  fy_rate_unref(rate);
  return FREDDY_OK;
}
