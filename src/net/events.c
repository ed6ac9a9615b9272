/* SPDX-License-Identifier: MIT */
#include "net/events.h"

#include <curl/curl.h>
#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"
#include "net/batch.h"
#include "net/call.h"
#include "net/engine.h"
#include "net/flow.h"
#include "net/transfer.h"
#include "net/turns.h"

/* --- Silence ------------------------------------------------------------ */

static fy_time limit_of(const struct fy_events *events) {
  return events->call->ask.event;
}

/* Time counts from when somebody waits: what was delivered and is not taken
 * is no silence. */
static void silence_fire(struct fy_timer *timer, fy_time now) {
  struct fy_events *events =
      (struct fy_events *)((char *)timer - offsetof(struct fy_events, timer));
  struct freddy_call *call = events->call;
  fy_time from = fy_flow_waited_since(call, now);
  fy_time due;
  freddy_error err = {.code = FREDDY_OK};

  due = fy_clock_add(from > events->last ? from : events->last,
                     limit_of(events));
  if (due > now) {
    fy_timers_set(&call->engine->timers, timer, due);
    return;
  }
  fy_error_set(&err, FREDDY_ETIMEOUT, "event",
               "no event that says something within %g s",
               (double)limit_of(events) / (double)FY_SECOND);
  err.sent = 1;
  fy_call_stop(call, &err);
}

/* --- Begin -------------------------------------------------------------- */

struct fy_events *fy_events_new(struct freddy_call *call, size_t max_event) {
  struct fy_events *events = fy_calloc(1, sizeof(*events));

  if (events) {
    events->call = call;
    events->timer.fire = silence_fire;
    fy_sse_init(&events->sse, max_event);
  }
  return events;
}

void fy_events_free(struct fy_events *events) {
  if (events) {
    fy_sse_clear(&events->sse);
    fy_batch_clear(&events->batch);
    fy_turns_free(events->turns);
    fy_free(events);
  }
}

int fy_events_fits(const struct freddy_call *call) {
  const struct fy_headers *headers = &call->answer.headers;

  return fy_header_is_event_stream(fy_headers_get(headers, "content-type"));
}

int fy_events_refuse(const struct freddy_call *call, freddy_error *err) {
  const char *type = fy_headers_get(&call->answer.headers, "content-type");

  return fy_error_set(err, FREDDY_EPROTOCOL, "not_an_event_stream",
                      "the answer is %s, no event stream",
                      type ? type : "of no content type");
}

int fy_events_begin(struct fy_events *events) {
  struct freddy_call *call = events->call;

  fy_sse_clear(&events->sse);
  fy_batch_clear(&events->batch);
  events->last = fy_clock_now();
  fy_timers_set(&events->call->engine->timers, &events->timer,
                fy_clock_add(events->last, limit_of(events)));
  if (events->turns) {
    return fy_turns_begin(call, events->turns);
  }
  fy_call_tell_head(call);
  return FREDDY_OK;
}

void fy_events_forget(struct fy_events *events) {
  /* Without a connection nothing can come. */
  fy_timers_unset(&events->call->engine->timers, &events->timer);
  if (fy_events_is_refusal(events)) {
    fy_batch_clear(&events->batch);
    fy_turns_forget(events->turns);
  }
}

int fy_events_is_over(const struct fy_events *events) {
  return events->turns && fy_turns_is_over(events->turns);
}

int fy_events_is_refusal(const struct fy_events *events) {
  return events->turns && events->turns->refused;
}

/* --- Events ------------------------------------------------------------- */

/* Much of it is not held back: then what comes is an answer; unless it is a
 * refusal. */
static const size_t LONGEST_HOLD = 64 * FY_KIB;

static int is_held(const struct fy_events *events) {
  return events->turns &&
         (events->turns->refused || events->batch.bytes < LONGEST_HOLD) &&
         fy_turns_holds(events->call, events->turns);
}

static void hand_over(struct fy_events *events) {
  if (events->batch.first) {
    fy_flow_put_batch(events->call, &events->batch);
    memset(&events->batch, 0, sizeof(events->batch));
  }
}

int fy_events_show(struct fy_events *events) {
  if (events->turns &&
      fy_turns_show(events->call, events->turns) != FREDDY_OK) {
    return FREDDY_ENOMEM;
  }
  hand_over(events);
  return FREDDY_OK;
}

/* An event of a turn. */
static int take_turn(struct fy_events *events,
                     const struct fy_sse_event *event, size_t more) {
  struct fy_turns *turns = events->turns;
  int was_over = fy_turns_is_over(turns);
  struct fy_sse_event named = *event;
  struct fy_turn_event seen;

  if (fy_turn_take(&turns->turn, event, &seen) != FREDDY_OK) {
    return FREDDY_ENOMEM;
  }
  named.event = seen.name.data;
  named.event_size = seen.name.size;
  if (seen.step == FY_TURN_REFUSE) {
    fy_turns_refuse(turns);
  }
  if (!was_over && fy_turns_is_over(turns)) {
    fy_transfer_linger(events->call->transfer);
  }
  if (seen.class != FY_TURN_QUIET) {
    events->last = events->call->engine->now;
  }
  return seen.step == FY_TURN_SKIP || seen.step == FY_TURN_DONE
             ? FREDDY_OK
             : fy_batch_add(&events->batch, &named, &seen, more);
}

static int take_plain(struct fy_events *events,
                      const struct fy_sse_event *event, size_t more) {
  events->last = events->call->engine->now;
  return fy_batch_add(&events->batch, event, NULL, more);
}

int fy_events_put(struct fy_events *events, const char *data, size_t size,
                  freddy_error *err) {
  struct fy_sse_event event;
  int rc;

  for (;;) {
    rc = fy_sse_next(&events->sse, &data, &size, &event, err);
    if (rc != FREDDY_OK || !event.data) {
      break;
    }
    rc = events->turns ? take_turn(events, &event, size)
                       : take_plain(events, &event, size);
    if (rc != FREDDY_OK) {
      break;
    }
  }
  if (!is_held(events) && fy_events_show(events) != FREDDY_OK) {
    return FREDDY_ENOMEM;
  }
  return rc;
}

/* --- End ---------------------------------------------------------------- */

/* 1 when an end that was none would look the same: where nothing but the
 * connection's close says that the body has ended, and over HTTP/2 before
 * libcurl 8.14.1, which takes RST_STREAM with NO_ERROR for an end. */
static int may_be_broken(const struct fy_headers *headers) {
  if (headers->length >= 0) {
    return 0;
  }
  return headers->http_version < 20
             ? !headers->chunked
             : curl_version_info(CURLVERSION_NOW)->version_num < 0x080e01;
}

void fy_events_end(struct fy_events *events,
                   const struct fy_transfer *transfer, freddy_error *err) {
  const struct freddy_call *call = events->call;
  const struct fy_headers *headers = &call->answer.headers;

  (void)transfer;
  if (events->turns) {
    fy_turns_end(events->turns, call->streaming, err);
    return; /* what is JSON is an answer, and what is none was refused */
  }
  if (err->code != FREDDY_OK || headers->status < 200 ||
      headers->status > 299) {
    return;
  }
  if (!call->streaming) {
    fy_events_refuse(call, err);
  } else if (may_be_broken(headers) && fy_sse_is_within(&events->sse)) {
    fy_error_set(err, FREDDY_ECUT, NULL, "the answer ended within an event");
  }
  err->sent = err->code != FREDDY_OK;
}
