/* SPDX-License-Identifier: MIT */
/* The event stream that is a call's answer: what its bytes say, how long it
 * may say nothing, and whether its end is one. Engine thread only. */
#ifndef FY_NET_EVENTS_H
#define FY_NET_EVENTS_H

#include "base/clock.h"
#include "freddy.h"
#include "net/batch.h"
#include "net/timers.h"
#include "rules/sse.h"

struct fy_transfer;
struct fy_turns;

struct fy_events {
  struct freddy_call *call;
  struct fy_sse sse;
  struct fy_timer timer;  /* timeout.event */
  fy_time last;           /* when an event came that says something */
  struct fy_turns *turns; /* NULL: they are not those of a turn */
  struct fy_batch batch;  /* not handed over yet */
};

/* For a call that asks for events; NULL when there is no memory. */
struct fy_events *fy_events_new(struct freddy_call *call, size_t max_event);
void fy_events_free(struct fy_events *events);

/* 1 when the answer, whose head is there, is an event stream. */
int fy_events_fits(const struct freddy_call *call);

/* What to say of another one. */
int fy_events_refuse(const struct freddy_call *call, freddy_error *err);

/* The head of one has come: it goes to the host, and from here on events are
 * waited for. FREDDY_OK or FREDDY_ENOMEM. */
int fy_events_begin(struct fy_events *events);

/* The request is sent once more: what was a 401 never came. */
void fy_events_forget(struct fy_events *events);

/* Hand over what is held back. FREDDY_OK or FREDDY_ENOMEM. */
int fy_events_show(struct fy_events *events);

/* 1 when it has said all there is to say, whatever comes. */
int fy_events_is_over(const struct fy_events *events);

/* 1 when what it said is a 401. */
int fy_events_is_refusal(const struct fy_events *events);

/* More of the decoded body. The events in it go to the host. FREDDY_OK;
 * FREDDY_ETOO_LARGE with reason event; FREDDY_ENOMEM. */
int fy_events_put(struct fy_events *events, const char *data, size_t size,
                  freddy_error *err);

/* The answer has ended, `err` says how; what that means for the events. */
void fy_events_end(struct fy_events *events,
                   const struct fy_transfer *transfer, freddy_error *err);

#endif
