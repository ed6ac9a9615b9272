/* SPDX-License-Identifier: MIT */
/* Sending a call once more after an attempt that failed: rules/retry decides,
 * and the wait is a timer of the call. Engine thread. */
#ifndef FY_NET_REPEAT_H
#define FY_NET_REPEAT_H

#include "freddy.h"

struct freddy_call;

/* What only the attempt knew that is over. */
struct fy_attempt {
  int sent;  /* 1: a byte of its request may have left */
  int stale; /* 1: an old connection ended before a byte of an answer */
};

/* An attempt is over, its transfer gone: with `err`, or (FREDDY_OK) with the
 * answer that the call holds. 1 when the call goes on, and nothing is left of
 * that answer; or has been ended here, for want of memory. 0 when this is what
 * it ends with. */
int fy_repeat_try(struct freddy_call *call, const freddy_error *err,
                  const struct fy_attempt *attempt);

#endif
