/* SPDX-License-Identifier: MIT */
/* A redirect that is followed: the call goes on with another request. Engine
 * thread. */
#ifndef FY_NET_HOP_H
#define FY_NET_HOP_H

#include "freddy.h"

struct freddy_call;

/* The call's answer is a redirect, complete. FREDDY_OK: call->ask is now what
 * is to be sent, the answer is gone, and the caller starts a transfer.
 * FREDDY_EREDIRECT (`err` says why) or FREDDY_ENOMEM: nothing has changed,
 * and the answer is what the call ends with.
 *
 * body_spent  1: the body cannot be sent again (fy_upload_can_replay). */
int fy_hop(struct freddy_call *call, int body_spent, freddy_error *err);

/* Change the request into a GET of `url`, without a body and what belongs to
 * one, by the same credential. FREDDY_OK or FREDDY_ENOMEM, then it is as it
 * was. */
int fy_hop_to(struct freddy_call *call, const char *url, size_t size);

#endif
