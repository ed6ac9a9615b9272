/* SPDX-License-Identifier: MIT */
/* Permits of a plan that is shared by a store, of which only the host knows:
 * it is asked for them as it is for tokens (net/listener.h), one question at a
 * time for each plan. */
#ifndef FY_NET_PERMITS_H
#define FY_NET_PERMITS_H

#include <stdint.h>

#include "freddy.h"
#include "rules/limiter.h"

struct freddy_call;
struct fy_rate;

/* Ask the client's host; the answer goes to `rate`. 0: nobody is there to be
 * asked. Engine thread. */
int fy_permits_ask(freddy_client *client, struct fy_rate *rate,
                   const struct fy_limit_plan *plan, uint32_t count);

/* The listener answers no more. Any thread. */
void fy_permits_drop(struct freddy_call *call);

/* So do those that report to it: it is closed. */
void fy_permits_cut(freddy_inbox *inbox);

/* The host's side; the caller of the first holds the inbox's lock. */
void fy_permits_next_event(struct freddy_call *call, freddy_event *event);
int fy_permits_answer(struct freddy_call *call, uint32_t question,
                      const freddy_permits *permits);

#endif
