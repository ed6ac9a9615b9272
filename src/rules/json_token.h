/* SPDX-License-Identifier: MIT */
/* The words of a JSON text (RFC 8259), one at a time and without a document:
 * for who makes something else of them. What it takes, fy_json_parse takes
 * with the same value; what is rare or wrong it refuses without a reason, for
 * fy_json_parse to read from the start. Nothing here allocates. */
#ifndef FY_RULES_JSON_TOKEN_H
#define FY_RULES_JSON_TOKEN_H

#include <stddef.h>
#include <stdint.h>

#include "freddy.h"

/* A text and the place in it; the text stays the caller's. */
struct fy_json_text {
  const char *at, *end;
};

/* Skip white space. Returns the character that follows, in place, or '\0' at
 * the end (and for a NUL, which begins no value). */
FREDDY_MUST_CHECK char fy_json_peek(struct fy_json_text *text);

/* Skip white space, and `wanted` if it follows. Returns whether it did. */
FREDDY_MUST_CHECK int fy_json_take(struct fy_json_text *text, char wanted);

/* Skip the letters of `word`, which is in place. Returns whether it is. */
FREDDY_MUST_CHECK int fy_json_word(struct fy_json_text *text,
                                   const char *word);

struct fy_json_number {
  int is_real;
  int64_t integer; /* unless is_real */
  double real;
};

/* Take the number in place. Refused: one of more than 18 digits, and a real
 * that is not exact by one multiplication or division of doubles. */
FREDDY_MUST_CHECK int fy_json_number(struct fy_json_text *text,
                                     struct fy_json_number *number);

struct fy_json_string {
  const char *raw; /* in the text, between the quotes */
  size_t size;     /* of raw */
  int is_escaped;  /* raw is not what it says: see fy_json_unescape */
};

/* Take the string in place, its quotes included. */
FREDDY_MUST_CHECK int fy_json_string(struct fy_json_text *text,
                                     struct fy_json_string *string);

/* Write what an escaped string says to `room`, which has string->size bytes.
 * Returns 1, and how many it took in `used`; 0: refused. */
FREDDY_MUST_CHECK int fy_json_unescape(const struct fy_json_string *string,
                                       char *room, size_t *used);

#endif
