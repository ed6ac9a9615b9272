/* SPDX-License-Identifier: MIT */
/* A token answer: what the endpoints for exchange, login, verify and refresh
 * send, in every form that was seen, and checked before it is believed. */
#ifndef FY_RULES_GRANT_H
#define FY_RULES_GRANT_H

#include <stddef.h>

#include "base/secret.h"
#include "freddy.h"

struct fy_grant {
  struct fy_secret *access; /* NULL: the answer has none */
  struct fy_secret *refresh;
  double life; /* seconds from the sending of the request; NAN: unknown */
};

/* Read one. Names: access_token or token; refresh_token or refreshToken, a
 * string or an object with `token`. The life is expires_in (a positive
 * number, or digits in a string), else the JWT's exp - iat, else its exp
 * minus `date` (the server's, seconds since 1970, NAN: unknown).
 *
 * FREDDY_OK. FREDDY_EPROTOCOL when it is not to be believed, with reason
 * bad_json, not_an_object, no_token, bad_token (empty, blanks, control
 * characters, too long), bad_type (a token_type other than bearer), bad_life,
 * ran_out. FREDDY_ENOMEM. `err` is zeroed, and not NULL. On failure nothing is
 * held. The message never quotes the answer. `must_have` 0: an answer without
 * a token is fine, too (a login that wants a code first). */
FREDDY_MUST_CHECK int fy_grant_read(const char *text, size_t size, double date,
                                    int must_have, struct fy_grant *grant,
                                    freddy_error *err);

/* Drop the secrets; may be repeated. */
void fy_grant_clear(struct fy_grant *grant);

#endif
