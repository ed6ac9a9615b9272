/* SPDX-License-Identifier: MIT */
/* Calls that send nothing of their own: they wait for the renewal of a
 * session, or ask for one. Engine thread. */
#ifndef FY_NET_RENEWAL_H
#define FY_NET_RENEWAL_H

#include "rules/token.h"

struct freddy_call;

/* Begin one (ask.renewal). It may have ended when this returns. */
void fy_renewal_start(struct freddy_call *call);

/* May it end? FY_TOKEN_SEND: by fy_renewal_end. */
enum fy_token_answer fy_renewal_ask(const struct freddy_call *call);
void fy_renewal_end(struct freddy_call *call);

#endif
