/* SPDX-License-Identifier: MIT */
/* JSON text to a jansson document. Knows no Lua; any thread. */
#ifndef FY_RULES_JSON_H
#define FY_RULES_JSON_H

#include <jansson.h>

#include "freddy.h"

/* Parse a whole text: one value, a byte order mark before it allowed, at most
 * FY_MAX_JSON_DEPTH deep; the last of equal keys wins; integers beyond 64
 * bits become reals.
 *
 * Returns a new reference (json_decref), or NULL with `err` (optional)
 * filled: FREDDY_EPROTOCOL, "bad_json" and a message that names the position
 * and never quotes the text, or FREDDY_ENOMEM. */
FREDDY_MUST_CHECK json_t *fy_json_parse(const char *text, size_t size,
                                        freddy_error *err);

/* Overwrite every string in it, since jansson frees its memory as it is: just
 * before it is released, by its only holder. NULL is fine. */
void fy_json_wipe(json_t *value);

#endif
