/* SPDX-License-Identifier: MIT */
/* Filling a freddy_error. */
#ifndef FY_BASE_ERROR_H
#define FY_BASE_ERROR_H

#include "freddy.h"

/* Fill `err` (which may be NULL) and return `code`. The first error wins: an
 * `err` that holds one already stays as it is. `reason` may be NULL. Control
 * characters in the message become '?'; a message that is too long is cut
 * at a UTF-8 boundary. */
int fy_error_set(freddy_error *err, freddy_code code, const char *reason,
                 const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* fy_error_set with FREDDY_ENOMEM and the standard text. */
int fy_error_nomem(freddy_error *err);

#endif
