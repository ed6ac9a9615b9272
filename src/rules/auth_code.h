/* SPDX-License-Identifier: MIT */
/* What a 401 is about: a token, which may be renewed, or a key or an account,
 * where a renewal would not help. Freddy's error codes, in every shape of
 * body that was seen. */
#ifndef FY_RULES_AUTH_CODE_H
#define FY_RULES_AUTH_CODE_H

#include <stddef.h>

/* 1 unless the body's code is INVALID_API_KEY, API_KEY_*, INVALID_CREDENTIALS
 * or ACCOUNT_* (in any case, with "-" or blanks for "_"). A body without a
 * code, or that is no JSON, or is over 64 KiB, is about a token. */
int fy_auth_code_renews(const char *body, size_t size);

/* Why an auth server refused a key or a token, where the body's code is one
 * that is known: "invalid_api_key", "account_suspended"... Static, so that no
 * text of the server's gets anywhere. NULL: not known. */
const char *fy_auth_code_name(const char *body, size_t size);

#endif
