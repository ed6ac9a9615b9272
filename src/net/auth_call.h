/* SPDX-License-Identifier: MIT */
/* The requests of a session itself: refresh and exchange. They are calls like
 * any other, but nobody's: what becomes of them is told to the session. Engine
 * thread. */
#ifndef FY_NET_AUTH_CALL_H
#define FY_NET_AUTH_CALL_H

#include <stdint.h>

#include "freddy.h"

struct freddy_call;
struct fy_credential;
struct fy_secret;

/* {"refresh_token": "..."} with the one that it has now; {} when it has none,
 * or `credential` is NULL. A new reference; NULL when there is no memory. */
struct fy_secret *fy_auth_call_body(struct fy_credential *credential);

/* Start one by `means` (FY_BY_REFRESH or FY_BY_EXCHANGE). FREDDY_OK, and then
 * fy_credential_got or fy_credential_got_nothing follows; or FREDDY_ENOMEM. */
int fy_auth_call_start(struct fy_credential *credential, int means,
                       uint64_t ticket);

/* One has ended: its answer stands in `call`, unless `err` holds an error. */
void fy_auth_call_end(struct freddy_call *call, const freddy_error *err);

#endif
