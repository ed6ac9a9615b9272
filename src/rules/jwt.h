/* SPDX-License-Identifier: MIT */
/* What a client may read of a JWT: its times. Nothing is verified, and
 * nothing hangs on it but when to renew. RFC 7519 4.1, RFC 7515 2. */
#ifndef FY_RULES_JWT_H
#define FY_RULES_JWT_H

#include <stddef.h>
#include <stdint.h>

#include "freddy.h"

/* NumericDate: seconds since 1970; -1: not there, or no sensible number. */
struct fy_jwt_times {
  double issued;  /* iat */
  double expires; /* exp */
};

/* FREDDY_OK, with the times of a token that is no JWT, or says nothing of
 * them, at -1; or FREDDY_ENOMEM. */
FREDDY_MUST_CHECK int fy_jwt_read(const char *token, size_t size,
                                  struct fy_jwt_times *times);

/* What is left of its life at `now` (seconds since 1970), or 0 or less when
 * it has run out: exp - now, but at most exp - iat where that is known, since
 * a clock that is behind must not lengthen it. NAN when exp is not known. */
double fy_jwt_left(const struct fy_jwt_times *times, double now);

#endif
