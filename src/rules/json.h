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

/* --- Between the files of this noun ------------------------------------- */

/* What a look at a text tells, which may be anything. */
struct fy_json_scan {
  size_t too_deep_at; /* where it nests too deep, or its size */
  size_t longest;     /* stretch of a string without an escape before that */
};
struct fy_json_scan fy_json_scan(const char *text, size_t size);

/* fy_json_parse, for a text that has been looked at. */
FREDDY_MUST_CHECK json_t *fy_json_parse_scanned(const char *text, size_t size,
                                                struct fy_json_scan scan,
                                                freddy_error *err);

/* Where a string ends: from behind its opening quote to behind the closing
 * one, or to the end of the text, which may be anything. */
size_t fy_json_skip_string(const char *text, size_t size, size_t at);

#endif
