/* SPDX-License-Identifier: MIT */
/* Whether a document that refers to its text is what jansson alone makes of
 * that text. */
#ifndef FY_JSON_SAME_H
#define FY_JSON_SAME_H

#include <stdlib.h>
#include <string.h>

#include "rules/json.h"
#include "rules/json_refer.h"

static inline int same_string(const json_t *got, const char *text,
                              const json_t *want) {
  struct fy_json_piece left = {json_string_value(got),
                               json_string_length(got)};
  struct fy_json_piece rest = {json_string_value(want),
                               json_string_length(want)};
  struct fy_json_piece piece;

  while (fy_json_next_piece(&left, text, &piece)) {
    if (!piece.size || piece.size > rest.size ||
        memcmp(piece.data, rest.data, piece.size) != 0) {
      return 0;
    }
    rest.data += piece.size;
    rest.size -= piece.size;
  }
  return rest.size == 0;
}

static inline int same_value(json_t *got, const char *text, json_t *want) {
  void *at, *other;
  size_t i;

  if (json_typeof(got) != json_typeof(want)) {
    return 0;
  }
  if (json_is_string(want)) {
    return same_string(got, text, want);
  }
  if (json_is_array(want)) {
    for (i = 0; i < json_array_size(want); i++) {
      if (i >= json_array_size(got) ||
          !same_value(json_array_get(got, i), text, json_array_get(want, i))) {
        return 0;
      }
    }
    return json_array_size(got) == json_array_size(want);
  }
  if (json_is_object(want)) {
    at = json_object_iter(got);
    other = json_object_iter(want);
    for (; at && other; at = json_object_iter_next(got, at)) {
      if (strcmp(json_object_iter_key(at), json_object_iter_key(other)) != 0 ||
          !same_value(json_object_iter_value(at), text,
                      json_object_iter_value(other))) {
        return 0;
      }
      other = json_object_iter_next(want, other);
    }
    return !at && !other;
  }
  return json_equal(got, want);
}

/* Parse it in both ways. `refers` and whether it `is_json` are optional. What
 * is read beyond its end is for the sanitizer to see. */
static inline int same_json(const char *given, size_t size, int *refers,
                            int *is_json) {
  freddy_error got_error = {0}, want_error = {0};
  char *text = memcpy(malloc(size + !size), given, size);
  int referred;
  json_t *got = fy_json_parse_referring(text, size, &referred, &got_error);
  json_t *want = fy_json_parse(text, size, &want_error);
  int same;

  if (got && want) {
    same = referred ? same_value(got, text, want) : json_equal(got, want);
  } else {
    same = !got && !want && !referred && got_error.code == want_error.code &&
           strcmp(got_error.message, want_error.message) == 0;
  }
  if (refers) {
    *refers = referred;
  }
  if (is_json) {
    *is_json = want != NULL;
  }
  json_decref(got);
  json_decref(want);
  free(text);
  return same;
}

#endif
