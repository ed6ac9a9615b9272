/* SPDX-License-Identifier: MIT */
#include "net/repeat.h"

#include <math.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/random.h"
#include "net/call.h"
#include "net/client.h"
#include "net/engine.h"
#include "net/events.h"
#include "net/outcome.h"
#include "net/save.h"
#include "net/transfer.h"
#include "net/turns.h"
#include "rules/rate_headers.h"
#include "rules/retry.h"

/* 0 and up, below 1. */
static double random_fraction(void) {
  uint32_t bits = 0;

  if (fy_random(&bits, sizeof(bits))) {
    bits = UINT32_MAX / 2;
  }
  return (double)bits / ((double)UINT32_MAX + 1);
}

static void look(const struct freddy_call *call, const freddy_error *err,
                 const struct fy_attempt *attempt, struct fy_retry *seen) {
  const struct fy_answer *answer = &call->answer;
  int status = answer->headers.complete ? answer->headers.status : 0;

  *seen = (struct fy_retry){
      .method = call->ask.method,
      .idempotent = call->ask.idempotent,
      .replayable = fy_upload_can_replay(call),
      .retries = call->ask.retries,
      .repeats = call->repeats,
      .unasked = call->unasked,
      .freed = call->freed,
      .failure = err->code,
      .reason = err->reason,
      .sent = attempt->sent,
      .stale = attempt->stale,
      .told = call->streaming,
      .status = status,
      .retry_after =
          status ? fy_rate_retry_after(&answer->headers, (double)time(NULL))
                 : NAN};
  seen->quota = status == 429 && answer->body.data &&
                fy_retry_is_quota(answer->body.data, answer->body.size,
                                  isnan(seen->retry_after));
}

static void repeat_fire(struct fy_timer *timer, fy_time now) {
  (void)now;
  fy_dispatch_send(
      (struct freddy_call *)((char *)timer -
                             offsetof(struct freddy_call, repeat)));
}

/* Why it is sent once more: whatever text is in it, the host may see it. */
static void note(struct freddy_call *call, const freddy_error *err,
                 const struct fy_retry *seen,
                 const struct fy_retry_step *step) {
  char *text = call->last.error.message;

  call->last.attempt = atomic_load(&call->attempts);
  call->last.delay = (double)step->delay / (double)FY_SECOND;
  call->last.error = *err;
  call->last.status = seen->status;
  text[fy_client_redact(call->client, text, strlen(text))] = '\0';
}

static int go_on(struct freddy_call *call, const struct fy_retry *seen,
                 const struct fy_retry_step *step) {
  if (call->ask.tells_retries &&
      fy_call_tell_retry(call, &call->last) != FREDDY_OK) {
    return FREDDY_ENOMEM;
  }
  fy_outcome_drop_file(call);
  fy_call_forget_answer(call);
  call->repeats_next = 1;
  if (step->todo == FY_RETRY_NOW) {
    call->freed = call->place.fresh = 1;
    fy_dispatch_send(call);
    return FREDDY_OK;
  }
  call->repeats++;
  call->unasked += seen->failure == FREDDY_OK && seen->status == 429 &&
                   isnan(seen->retry_after);
  call->repeat.fire = repeat_fire;
  fy_timers_set(&call->engine->timers, &call->repeat,
                fy_clock_add(fy_clock_now(), step->delay));
  return FREDDY_OK;
}

/* One of the engine's own has rules of its own: rules/token. */
static int is_ours(const struct freddy_call *call) {
  return call->client && !call->renews && !call->ask.renewal;
}

static int is_success(const struct fy_headers *headers) {
  return headers->complete && headers->status >= 200 && headers->status <= 299;
}

int fy_repeat_try(struct freddy_call *call, const freddy_error *err,
                  const struct fy_attempt *attempt) {
  freddy_error nomem = {.code = FREDDY_OK};
  struct fy_retry seen;
  struct fy_retry_step step;

  if (!is_ours(call)) {
    return 0;
  }
  if (call->events && call->events->turns) {
    int done = fy_turns_try(call, call->events->turns, err);

    if (done >= 0) {
      return done;
    }
  }
  if (err->code == FREDDY_OK && is_success(&call->answer.headers)) {
    fy_retry_budget_give(&call->client->budget);
    return 0;
  }
  look(call, err, attempt, &seen);
  fy_retry_decide(&seen, &call->client->budget, random_fraction(), &step);
  if (step.todo == FY_RETRY_DELIVER) {
    call->answer.stats.retry_budget_empty = step.budget_empty;
    if (!isnan(seen.retry_after)) {
      call->answer.stats.retry_after = seen.retry_after;
    }
    return 0;
  }
  note(call, err, &seen, &step);
  if (go_on(call, &seen, &step) != FREDDY_OK) {
    fy_error_nomem(&nomem);
    nomem.sent = atomic_load(&call->sent);
    fy_outcome_deliver(call, &nomem);
  }
  return 1;
}
