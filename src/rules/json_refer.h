/* SPDX-License-Identifier: MIT */
/* Long texts in a JSON document, by reference. Jansson takes some ten
 * nanoseconds for every byte of a string; most of a language model's answer is
 * text, and most of that stands in the JSON as it is. For whoever has the text
 * as long as the document. Knows no Lua; any thread. */
#ifndef FY_RULES_JSON_REFER_H
#define FY_RULES_JSON_REFER_H

#include <jansson.h>

#include "freddy.h"

/* Parse as fy_json_parse does, with the same results and the same errors, but
 * leave long pieces of strings where they are. Where `refers` was set the
 * strings of the document are to be had by fy_json_next_piece alone; its keys
 * are whole.
 *
 * text    must stay as it is for as long as strings of the document are read.
 * refers  set to 1 or 0; 0 when it fails.
 *
 * Returns a new reference (json_decref), or NULL with `err` (optional). */
FREDDY_MUST_CHECK json_t *fy_json_parse_referring(const char *text,
                                                  size_t size, int *refers,
                                                  freddy_error *err);

/* A part of a string; not terminated. */
struct fy_json_piece {
  const char *data;
  size_t size;
};

/* Take the first piece off what is left of a string of a document that
 * refers to `text`. Returns 0 when nothing is left. */
FREDDY_MUST_CHECK int fy_json_next_piece(struct fy_json_piece *left,
                                         const char *text,
                                         struct fy_json_piece *piece);

#endif
