/* SPDX-License-Identifier: MIT */
#include "net/turns.h"

#include <math.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/random.h"
#include "net/call.h"
#include "net/client.h"
#include "net/engine.h"
#include "net/events.h"
#include "net/hop.h"
#include "net/outcome.h"
#include "rules/rate_headers.h"
#include "rules/retry.h"

/* --- Begin and end ------------------------------------------------------ */

static int start_turn(struct fy_turns *turns) {
  return fy_turn_init(&turns->turn, turns->thread,
                      turns->thread ? strlen(turns->thread) : 0);
}

struct fy_turns *fy_turns_new(const char *thread, int resumes) {
  struct fy_turns *turns = fy_calloc(1, sizeof(*turns));

  if (!turns) {
    return NULL;
  }
  turns->resumes = resumes;
  turns->thread = thread ? fy_strndup(thread, strlen(thread)) : NULL;
  if ((thread && !turns->thread) || start_turn(turns) != FREDDY_OK) {
    fy_turns_free(turns);
    return NULL;
  }
  return turns;
}

void fy_turns_free(struct fy_turns *turns) {
  if (turns) {
    fy_turn_clear(&turns->turn);
    fy_free(turns->thread);
    fy_free(turns);
  }
}

void fy_shown_free(struct fy_shown *shown) {
  if (shown) {
    fy_headers_clear(&shown->headers);
    fy_free(shown->url);
    fy_free(shown);
  }
}

/* --- A stream ----------------------------------------------------------- */

/* The host gets a head of its own: the call's will be another's. */
int fy_turns_show(struct freddy_call *call, struct fy_turns *turns) {
  struct fy_shown *shown;

  if (turns->told) {
    return FREDDY_OK;
  }
  shown = fy_calloc(1, sizeof(*shown));
  if (!shown) {
    return FREDDY_ENOMEM;
  }
  shown->url = fy_strndup(call->ask.target.url, strlen(call->ask.target.url));
  if (fy_headers_copy(&shown->headers, &call->answer.headers) != FREDDY_OK ||
      !shown->url) {
    fy_shown_free(shown);
    return FREDDY_ENOMEM;
  }
  call->shown = shown;
  turns->told = 1;
  fy_call_tell_head(call);
  return FREDDY_OK;
}

int fy_turns_holds(const struct freddy_call *call,
                   const struct fy_turns *turns) {
  return (turns->refused || (!turns->told && !turns->turn.begun)) &&
         call->session && !call->replayed && call->ask.send_credential;
}

int fy_turns_begin(struct freddy_call *call, struct fy_turns *turns) {
  turns->begun = 1;
  if (turns->refused) { /* the POST was sent once more */
    fy_turn_clear(&turns->turn);
    if (start_turn(turns) != FREDDY_OK) {
      return FREDDY_ENOMEM;
    }
  }
  turns->refused = 0;
  return fy_turns_holds(call, turns) ? FREDDY_OK : fy_turns_show(call, turns);
}

void fy_turns_refuse(struct fy_turns *turns) {
  turns->refused = turns->resuming || !turns->told;
}

void fy_turns_forget(struct fy_turns *turns) {
  if (turns->refused && turns->resuming) {
    fy_turn_resume(&turns->turn);
    turns->refused = 0;
  }
}

int fy_turns_is_over(const struct fy_turns *turns) {
  const struct fy_turn *turn = &turns->turn;

  return turn->done || turn->terminal || turn->failed;
}

/* A server whose own source broke off resets the stream like that. */
static int is_reset(const freddy_error *err) {
  return strcmp(err->reason, "bad_http2") == 0;
}

void fy_turns_end(const struct fy_turns *turns, int is_stream,
                  freddy_error *err) {
  if (err->code == FREDDY_ENOMEM) {
    return; /* its last event may be what there was no memory for */
  }
  if (is_stream && fy_turns_is_over(turns)) {
    *err = (freddy_error){.code = FREDDY_OK};
  } else if (is_reset(err)) {
    err->code = FREDDY_ECUT;
    err->reason[0] = '\0';
  } else if (is_stream && err->code == FREDDY_OK) {
    fy_error_set(err, FREDDY_ECUT, NULL,
                 "the stream ended before the answer did");
    err->sent = 1;
  }
}

/* --- On another connection ---------------------------------------------- */

/* What the answer's Retry-After asks for; NAN: nothing. */
static double asked_by(const struct fy_headers *headers) {
  return headers->complete ? fy_rate_retry_after(headers, (double)time(NULL))
                           : NAN;
}

static fy_time backoff(const struct freddy_call *call,
                       const struct fy_turns *turns) {
  double asked = asked_by(&call->answer.headers);
  uint32_t bits = 0;
  fy_time delay, after;

  if (fy_random(&bits, sizeof(bits))) {
    bits = UINT32_MAX / 2;
  }
  delay = fy_retry_backoff(turns->turn.tries,
                           (double)bits / ((double)UINT32_MAX + 1));
  if (!(asked > 0) || fy_retry_is_too_long(asked)) {
    return delay; /* too long: of a stream's head, which refuses nothing */
  }
  after = fy_clock_from_seconds(asked);
  return after > delay ? after : delay;
}

/* The request becomes one for the rest of the answer. */
static int lead(struct freddy_call *call, const struct fy_turns *turns) {
  const char *from = call->shown->url; /* where redirects led to */
  struct fy_buf url;
  int rc;

  fy_buf_init(&url, FY_MAX_URL);
  rc = fy_turn_resume_path(&turns->turn, from, strcspn(from, "?#"), &url);
  if (rc == FREDDY_OK) {
    rc = fy_hop_to(call, url.data, url.size);
  }
  fy_buf_clear(&url);
  return rc;
}

static void resume_fire(struct fy_timer *timer, fy_time now) {
  struct freddy_call *call =
      (struct freddy_call *)((char *)timer -
                             offsetof(struct freddy_call, repeat));
  struct fy_turns *turns = call->events->turns;

  (void)now;
  turns->resuming = 1;
  fy_turn_resume(&turns->turn);
  fy_dispatch_send(call);
}

static int end_with(struct freddy_call *call, const freddy_error *err) {
  freddy_error own = *err;

  own.sent = 1;
  fy_outcome_deliver(call, &own);
  return 1;
}

static int starve(struct freddy_call *call) {
  freddy_error nomem = {.code = FREDDY_OK};

  fy_error_nomem(&nomem);
  return end_with(call, &nomem);
}

static int go_on(struct freddy_call *call, struct fy_turns *turns,
                 const freddy_error *err) {
  fy_time due = fy_clock_add(fy_clock_now(), backoff(call, turns));
  int rc = fy_events_show(call->events);

  if (rc == FREDDY_OK) {
    rc = lead(call, turns);
  }
  if (rc != FREDDY_OK) {
    return starve(call);
  }
  if (turns->cut.code == FREDDY_OK) {
    turns->cut = *err;
  }
  fy_call_forget_answer(call);
  call->replayed = 0;
  call->hops = 0;
  call->repeat.fire = resume_fire;
  fy_timers_set(&call->engine->timers, &call->repeat, due);
  return 1;
}

/* It stays as it broke off; why it cannot go on is told beside that. */
static int give_up(struct freddy_call *call, struct fy_turns *turns,
                   const freddy_error *err, const char *why) {
  if (fy_events_show(call->events) != FREDDY_OK) {
    return starve(call);
  }
  if (turns->cut.code == FREDDY_OK) {
    turns->cut = *err;
  }
  turns->cut.cause = why;
  return end_with(call, &turns->cut);
}

/* Why an answer that refuses to go on is the last one; NULL: it is not. */
static const char *refusal(const struct fy_headers *headers) {
  int status = headers->status;

  if (fy_turn_may_try_again(status)) {
    return !fy_retry_is_too_long(asked_by(headers)) ? NULL
           : status == 429                          ? "rate_limited"
                                                    : "refused";
  }
  return status == 404   ? "not_found"
         : status == 401 ? "unauthorized"
                         : "refused";
}

/* A try to go on that brought no stream. */
static int try_failed(struct freddy_call *call, struct fy_turns *turns,
                      const freddy_error *err) {
  const char *why;

  if (err->code == FREDDY_ENOMEM) {
    return 0;
  }
  if (err->code == FREDDY_OK) {
    why = refusal(&call->answer.headers);
  } else {
    why = fy_retry_is_passing(err->code, err->reason) ? NULL : "refused";
  }
  if (why) {
    return give_up(call, turns, err, why);
  }
  return fy_turn_end(&turns->turn, &why) == FY_TURN_RESUME
             ? go_on(call, turns, err)
             : give_up(call, turns, err, why);
}

int fy_turns_hold_back(struct freddy_call *call, struct fy_turns *turns,
                       const freddy_error *err) {
  return turns->resuming && give_up(call, turns, err, "rate_limited");
}

int fy_turns_try(struct freddy_call *call, struct fy_turns *turns,
                 const freddy_error *err) {
  const char *why;

  if (!turns->begun) {
    return -1;
  }
  if (!call->streaming) {
    return turns->resuming ? try_failed(call, turns, err) : -1;
  }
  if (err->code != FREDDY_ECUT) { /* what was held back is shown, too */
    return fy_events_show(call->events) != FREDDY_OK ? starve(call)
           : err->code == FREDDY_OK                  ? -1
                                                     : 0;
  }
  if (!turns->resumes) {
    return give_up(call, turns, err, "off");
  }
  return fy_turn_end(&turns->turn, &why) == FY_TURN_RESUME
             ? go_on(call, turns, err)
             : give_up(call, turns, err, why);
}
