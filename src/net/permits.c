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

int fy_permits_ask(freddy_client *client, struct fy_rate *rate,
                   const struct fy_limit_plan *plan, uint32_t count) {
  struct freddy_call *call = fy_listeners_with_permits(client, rate);
  struct fy_listener *listener;
  struct fy_rate *old = NULL;
  int open;

  if (!call) {
    return 0;
  }
  listener = call->listener;
  pthread_mutex_lock(&call->inbox->lock);
  open = !call->ended && !call->inbox->closed;
  if (open) {
    old = listener->permits_for;
    listener->permits_for = fy_rate_ref(rate);
    listener->permits_question = ++call->question;
    listener->wanted = (freddy_ask_permits){count, plan->per_minute,
                                            plan->burst, plan->per_day};
    call->out |= FY_OUT_NEED_PERMITS;
    fy_inbox_list(call->inbox, call);
  }
  fy_inbox_unlock(call->inbox);
  if (old) {
    fy_rate_unanswered(old);
    fy_rate_unref(old);
  }
  fy_call_unref(call);
  return open;
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
