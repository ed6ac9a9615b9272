/* SPDX-License-Identifier: MIT */
#include "rules/json.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/secret.h"

#define PARSE_FLAGS (JSON_DECODE_ANY | JSON_ALLOW_NUL)

/* What an integer beyond 64 bits gets appended, to be read as a real. */
static const char as_real[] = {'e', '0'};

static int is_digit(char c) {
  return c >= '0' && c <= '9';
}

static int is_in_real(char c) {
  return is_digit(c) || c == '.' || c == 'e' || c == 'E' || c == '+' ||
         c == '-';
}

/* The next quote is looked for again only once it has turned out to be
 * escaped. */
static size_t skip_string(const char *text, size_t size, size_t at,
                          size_t *longest) {
  const char *quote = NULL, *escape;
  size_t stop;

  while (at < size) {
    if (!quote || quote < text + at) {
      quote = memchr(text + at, '"', size - at);
    }
    if (!quote) {
      return size;
    }
    escape = memchr(text + at, '\\', (size_t)(quote - text) - at);
    stop = (size_t)((escape ? escape : quote) - text);
    *longest = stop - at > *longest ? stop - at : *longest;
    if (!escape) {
      return stop + 1;
    }
    at = stop + 2;
  }
  return size;
}

size_t fy_json_skip_string(const char *text, size_t size, size_t at) {
  size_t longest = 0;

  return skip_string(text, size, at, &longest);
}

/* Jansson has a ceiling of its own, far higher, and its trees are freed by
 * recursion: so ours comes before the parser. */
struct fy_json_scan fy_json_scan(const char *text, size_t size) {
  struct fy_json_scan scan = {size, 0};
  size_t at = 0;
  int depth = 0;

  while (at < size) {
    switch (text[at++]) {
    case '"':
      at = skip_string(text, size, at, &scan.longest);
      break;
    case '[':
    case '{':
      if (++depth > FY_MAX_JSON_DEPTH) {
        scan.too_deep_at = at - 1;
        return scan;
      }
      break;
    case ']':
    case '}':
      depth--;
      break;
    default:
      break;
    }
  }
  return scan;
}

static int is_beyond_64_bits(const char *digits, size_t count, int negative) {
  const char *most = negative ? "9223372036854775808" : "9223372036854775807";

  return count > 19 || (count == 19 && memcmp(digits, most, 19) > 0);
}

/* The end of the first integer literal at or after `at` that has no room in
 * 64 bits, or 0 when there is none. */
static size_t big_integer_end(const char *text, size_t size, size_t at) {
  size_t start;

  while (at < size) {
    if (text[at] == '"') {
      at = fy_json_skip_string(text, size, at + 1);
      continue;
    }
    if (!is_digit(text[at])) {
      at++;
      continue;
    }
    start = at;
    while (at < size && is_digit(text[at])) {
      at++;
    }
    if (at < size && is_in_real(text[at])) {
      while (at < size && is_in_real(text[at])) {
        at++;
      }
    } else if (is_beyond_64_bits(text + start, at - start,
                                 start && text[start - 1] == '-')) {
      return at;
    }
  }
  return 0;
}

/* A copy of the text in which integers beyond 64 bits are reals; NULL when
 * there are none (`size` is 0 then), or no memory. The caller frees it. */
static char *reals_for_big_integers(const char *text, size_t *size) {
  size_t at = 0, from = 0, count = 0, used = 0;
  char *copy;

  while ((at = big_integer_end(text, *size, at)) != 0) {
    count++;
  }
  if (!count) {
    *size = 0;
    return NULL;
  }
  copy = fy_malloc(*size + count * sizeof(as_real));
  if (!copy) {
    return NULL;
  }
  while ((at = big_integer_end(text, *size, from)) != 0) {
    memcpy(copy + used, text + from, at - from);
    used += at - from;
    memcpy(copy + used, as_real, sizeof(as_real));
    used += sizeof(as_real);
    from = at;
  }
  memcpy(copy + used, text + from, *size - from);
  *size += count * sizeof(as_real);
  return copy;
}

/* Where `position` of the copy is in the text that it was made of. */
static size_t position_in_text(const char *text, size_t size, const char *copy,
                               size_t position) {
  size_t in_text = 0, in_copy = 0;

  while (in_copy < position && in_text < size) {
    if (text[in_text] == copy[in_copy]) {
      in_text++;
      in_copy++;
    } else {
      in_copy += sizeof(as_real);
    }
  }
  return in_text;
}

/* Jansson's own messages quote the text, which may hold a secret. */
static const char *describe(enum json_error_code code) {
  switch (code) {
  case json_error_premature_end_of_input:
    return "it ends too early";
  case json_error_end_of_input_expected:
    return "more text follows the value";
  case json_error_invalid_utf8:
    return "it is not UTF-8";
  case json_error_null_byte_in_key:
    return "a key with a NUL is not supported";
  case json_error_numeric_overflow:
    return "a number is too large";
  case json_error_stack_overflow:
    return "it is nested deeper than 128 levels";
  default:
    return "syntax error";
  }
}

static int bad_json(freddy_error *err, size_t position, const char *what) {
  return fy_error_set(err, FREDDY_EPROTOCOL, "bad_json",
                      "invalid JSON at byte %zu: %s", position, what);
}

/* Parse a text that jansson refused for a number that is too large.
 * `failure` stays as it was when no integer is to blame. */
static json_t *parse_with_reals(const char *text, size_t size,
                                json_error_t *failure) {
  size_t copy_size = size;
  char *copy = reals_for_big_integers(text, &copy_size);
  json_t *document;

  if (!copy) {
    if (copy_size) {
      failure->text[0] = '\0';
    }
    return NULL;
  }
  document = json_loadb(copy, copy_size, PARSE_FLAGS, failure);
  if (!document) {
    failure->position =
        (int)position_in_text(text, size, copy, (size_t)failure->position);
  }
  fy_free(copy);
  return document;
}

static json_t *load(const char *text, size_t size, freddy_error *err) {
  static const char mark[] = {'\xEF', '\xBB', '\xBF'};
  json_error_t failure = {0};
  json_t *document;
  size_t skipped = 0;

  if (size >= sizeof(mark) && memcmp(text, mark, sizeof(mark)) == 0) {
    skipped = sizeof(mark); /* RFC 8259 8.1: may be ignored */
  }
  text += skipped;
  size -= skipped;
  errno = 0;
  document = json_loadb(text, size, PARSE_FLAGS, &failure);
  if (!document && json_error_code(&failure) == json_error_numeric_overflow) {
    document = parse_with_reals(text, size, &failure);
  }
  if (!document && (errno == ENOMEM || !failure.text[0])) {
    /* Jansson has no text for this, or calls it a syntax error. */
    fy_error_nomem(err);
  } else if (!document) {
    bad_json(err, skipped + (size_t)failure.position,
             describe(json_error_code(&failure)));
  }
  return document;
}

json_t *fy_json_parse_scanned(const char *text, size_t size,
                              struct fy_json_scan scan, freddy_error *err) {
  if (scan.too_deep_at < size) {
    bad_json(err, scan.too_deep_at, describe(json_error_stack_overflow));
    return NULL;
  }
  return load(text, size, err);
}

json_t *fy_json_parse(const char *text, size_t size, freddy_error *err) {
  return fy_json_parse_scanned(text, size, fy_json_scan(text, size), err);
}

void fy_json_wipe(json_t *value) {
  const char *key;
  json_t *member;
  size_t i;

  if (json_is_string(value)) {
    fy_wipe((char *)(uintptr_t)json_string_value(value),
            json_string_length(value));
  } else if (json_is_object(value)) {
    json_object_foreach(value, key, member) {
      fy_json_wipe(member);
    }
  } else if (json_is_array(value)) {
    json_array_foreach(value, i, member) {
      fy_json_wipe(member);
    }
  }
}
