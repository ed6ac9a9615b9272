/* SPDX-License-Identifier: MIT */
/* Where requests wait until they may leave: for the client's rate limit, first
 * come, first served; and for one of the places that a host has, of which
 * clients take turns. What waits here has not been let go by its credential
 * yet, and takes nothing from anybody. Engine thread only. */
#ifndef FY_NET_ADMISSION_H
#define FY_NET_ADMISSION_H

#include <stdint.h>

#include "base/clock.h"
#include "net/timers.h"
#include "rules/limiter.h"

struct freddy_call;
struct freddy_client;
struct fy_engine;
struct fy_gate;
struct fy_lane;
struct fy_rate;

/* What a call has of it. */
struct fy_place {
  enum { FY_PLACE_NONE, FY_PLACE_WAITS, FY_PLACE_TAKEN } state;
  uint64_t number; /* by which it is its turn; 0: not in line yet */
  int cleared;     /* 1: its credential has let it go */
  int fresh;       /* 1: the next attempt is not for a pooled connection */
  int charged;     /* 1: counted by `rate`, and not heard of */
  int left;        /* 1: a byte of that attempt may have left */
  struct fy_limit_mark mark; /* when `rate` counted it */
  int has_waited; /* 1: it was passed over, before it came to stand here too */
  fy_time waited; /* for so long */
  fy_time since;  /* it stands here */
  uint64_t run;   /* how often fy_admission_run had run by then */
  struct fy_lane *lane;
  struct fy_rate *rate;
  struct freddy_call *prev, *next; /* in the lane */
};

struct fy_admission {
  struct fy_gate *gates;
  struct fy_timer timer;
  uint64_t numbers, runs;
  int due; /* 1: fy_admission_run has something to do */
};

/* Wait, and be sent when it is the call's turn, with what is its client's
 * credential then. One that was in line before, and comes to be sent again,
 * has the turn that it had. May end the call: FREDDY_EQUEUE_FULL.
 *
 * cleared  1: it has waited for its credential, and may be sent */
void fy_admission_enter(struct freddy_call *call, int cleared);

/* The call waits no longer, or has no attempt under way any more: what it held
 * is another's. May be repeated. */
void fy_admission_leave(struct freddy_call *call);

/* The head of an attempt's answer is there, or its end; and the call goes on
 * with another one at once, which keeps its place but counts. */
void fy_admission_heard(struct freddy_call *call);
void fy_admission_goes_on(struct freddy_call *call);

/* The client has another credential, or another limit: those of its calls that
 * wait go on by that. It was closed: none is left. */
void fy_admission_switch(struct fy_engine *engine,
                         const struct freddy_client *client);
void fy_admission_close(struct fy_engine *engine,
                        const struct freddy_client *client);

void fy_admission_init(struct fy_engine *engine);
/* Send those whose turn it is; in each turn of the engine. */
void fy_admission_run(struct fy_engine *engine);
void fy_admission_clear(struct fy_engine *engine);

#endif
