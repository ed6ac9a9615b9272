/* SPDX-License-Identifier: MIT */
#include "net/events.h"

#include <stddef.h>

#include "base/error.h"
#include "base/mem.h"
#include "net/batch.h"
#include "net/call.h"
#include "net/engine.h"
#include "net/transfer.h"

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

void fy_events_begin(struct fy_events *events) {
  fy_sse_clear(&events->sse);
  events->last = fy_clock_now();
  fy_timers_set(&events->call->engine->timers, &events->timer,
                fy_clock_add(events->last, limit_of(events)));
}

/* --- Events ------------------------------------------------------------- */

int fy_events_put(struct fy_events *events, const char *data, size_t size,
                  freddy_error *err) {
  struct fy_batch batch = {.bytes = 0};
  struct fy_sse_event event;
  int rc;

  for (;;) {
    rc = fy_sse_next(&events->sse, &data, &size, &event, err);
    if (rc != FREDDY_OK || !event.data) {
      break;
    }
    rc = fy_batch_add(&batch, &event, size);
    if (rc != FREDDY_OK) {
      break;
    }
  }
  if (batch.first) {
    events->last = fy_clock_now();
    fy_flow_put_batch(events->call, &batch);
  }
  return rc;
}

/* --- End ---------------------------------------------------------------- */

/* 1 when nothing but the connection's close says where the body ends. */
static int ends_by_close(const struct fy_headers *headers) {
  return headers->http_version < 20 && headers->length < 0 &&
         !headers->chunked;
}

void fy_events_end(struct fy_events *events,
                   const struct fy_transfer *transfer, freddy_error *err) {
  const struct freddy_call *call = events->call;
  const struct fy_headers *headers = &call->answer.headers;

  (void)transfer;
  if (err->code != FREDDY_OK || headers->status < 200 ||
      headers->status > 299) {
    return;
  }
  if (!call->streaming) {
    fy_events_refuse(call, err);
  } else if (ends_by_close(headers) && fy_sse_is_within(&events->sse)) {
    fy_error_set(err, FREDDY_ECUT, NULL,
                 "the connection was closed within an event");
  }
  err->sent = err->code != FREDDY_OK;
}
