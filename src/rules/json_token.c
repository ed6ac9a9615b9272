/* SPDX-License-Identifier: MIT */
#include "rules/json_token.h"

#include <float.h>
#include <string.h>

#include "rules/utf8.h"

/* 2^53 and 10^22 are exact as doubles, and so is one rounding of both. */
#define MAX_EXACT 9007199254740992LL
enum { MAX_DIGITS = 18, MAX_POWER = 22, MAX_EXPONENT_DIGITS = 4 };

char fy_json_peek(struct fy_json_text *text) {
  while (text->at < text->end && (*text->at == ' ' || *text->at == '\n' ||
                                  *text->at == '\r' || *text->at == '\t')) {
    text->at++;
  }
  return text->at < text->end ? *text->at : '\0';
}

int fy_json_take(struct fy_json_text *text, char wanted) {
  if (fy_json_peek(text) != wanted) {
    return 0;
  }
  text->at++;
  return 1;
}

int fy_json_word(struct fy_json_text *text, const char *word) {
  size_t size = strlen(word);

  if ((size_t)(text->end - text->at) < size ||
      memcmp(text->at, word, size) != 0) {
    return 0;
  }
  text->at += size;
  return 1;
}

/* --- Numbers ------------------------------------------------------------ */

static int digit_at(const struct fy_json_text *text) {
  return text->at < text->end && *text->at >= '0' && *text->at <= '9';
}

static int skip(struct fy_json_text *text, char a, char b) {
  if (text->at < text->end && (*text->at == a || *text->at == b)) {
    text->at++;
    return 1;
  }
  return 0;
}

/* Append the digits in place to `value`; how many. 0, too, where there are
 * more than `most`. */
static int digits(struct fy_json_text *text, int64_t *value, int most) {
  int count = 0;

  for (; count < most && digit_at(text); count++) {
    *value = *value * 10 + (*text->at++ - '0');
  }
  return digit_at(text) ? 0 : count;
}

/* Takes what follows "e". */
static int exponent(struct fy_json_text *text, int *power) {
  int64_t value = 0;
  int is_negative = text->at < text->end && *text->at == '-';

  (void)skip(text, '+', '-');
  if (!digits(text, &value, MAX_EXPONENT_DIGITS)) {
    return 0;
  }
  *power = is_negative ? -(int)value : (int)value;
  return 1;
}

static int real_of(int64_t mantissa, int power, double *real) {
  static const double powers[MAX_POWER + 1] = {
      1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
      1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

  if (FLT_EVAL_METHOD != 0 || mantissa > MAX_EXACT || power > MAX_POWER ||
      power < -MAX_POWER) {
    return 0;
  }
  *real = power < 0 ? (double)mantissa / powers[-power]
                    : (double)mantissa * powers[power];
  return 1;
}

int fy_json_number(struct fy_json_text *text, struct fy_json_number *number) {
  int64_t value = 0;
  int negative = skip(text, '-', '-');
  int starts_with_zero = text->at < text->end && *text->at == '0';
  int before = digits(text, &value, MAX_DIGITS);
  int behind = 0, power = 0;

  if (!before || (starts_with_zero && before > 1)) {
    return 0;
  }
  number->is_real = 0;
  if (skip(text, '.', '.')) {
    number->is_real = 1;
    behind = digits(text, &value, MAX_DIGITS - before);
    if (!behind) {
      return 0;
    }
  }
  if (skip(text, 'e', 'E')) {
    number->is_real = 1;
    if (!exponent(text, &power)) {
      return 0;
    }
  }
  number->integer = negative ? -value : value;
  if (!number->is_real) {
    return 1;
  }
  if (!real_of(value, power - behind, &number->real)) {
    return 0;
  }
  number->real = negative ? -number->real : number->real;
  return 1;
}

/* --- Strings ------------------------------------------------------------ */

int fy_json_string(struct fy_json_text *text, struct fy_json_string *string) {
  const char *at = text->at + 1;

  string->raw = at;
  string->is_escaped = 0;
  for (;;) {
    at += fy_utf8_plain(at, (size_t)(text->end - at));
    if (text->end - at < 1 || (*at != '"' && text->end - at < 2)) {
      return 0;
    }
    if (*at == '"') {
      break;
    }
    if (*at != '\\') {
      return 0;
    }
    string->is_escaped = 1;
    at += 2;
  }
  string->size = (size_t)(at - string->raw);
  text->at = at + 1;
  return 1;
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits behind "\u"; -1: there are not as many. */
static long code_unit(struct fy_json_text *text) {
  long unit = 0;
  int i;

  if (text->end - text->at < 4) {
    return -1;
  }
  for (i = 0; i < 4; i++) {
    int digit = hex_digit(*text->at++);

    if (digit < 0) {
      return -1;
    }
    unit = unit * 16 + digit;
  }
  return unit;
}

/* A character, of two units where the first is a surrogate; -1 for none. */
static long code_point(struct fy_json_text *text) {
  long unit = code_unit(text), low;

  if (unit < 0xd800 || unit > 0xdfff) {
    return unit;
  }
  if (unit > 0xdbff || !fy_json_word(text, "\\u")) {
    return -1;
  }
  low = code_unit(text);
  return low >= 0xdc00 && low <= 0xdfff
             ? 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
             : -1;
}

static size_t put_utf8(char *out, long c) {
  static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
  size_t size = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

  for (size_t i = size - 1; i > 0; i--) {
    out[i] = (char)(0x80 | (c & 0x3f));
    c >>= 6;
  }
  out[0] = (char)(leads[size] | c);
  return size;
}

/* What follows a backslash. How many bytes it is; 0: refused. */
static size_t unescape_one(struct fy_json_text *text, char *out) {
  static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
  const char *found;
  long c;

  if (text->at == text->end) {
    return 0;
  }
  if (skip(text, 'u', 'u')) {
    c = code_point(text);
    return c < 0 ? 0 : put_utf8(out, c);
  }
  found = memchr(letters, *text->at++, sizeof(letters) - 1);
  if (found) {
    *out = meant[found - letters];
  }
  return found != NULL;
}

int fy_json_unescape(const struct fy_json_string *string, char *room,
                     size_t *used) {
  struct fy_json_text text = {string->raw, string->raw + string->size};

  *used = 0;
  while (text.at < text.end) {
    size_t run = fy_utf8_plain(text.at, (size_t)(text.end - text.at));
    size_t one;

    memcpy(room + *used, text.at, run);
    *used += run;
    text.at += run;
    if (text.at == text.end) {
      break;
    }
    text.at++; /* the backslash: fy_json_string has let nothing else pass */
    one = unescape_one(&text, room + *used);
    if (!one) {
      return 0;
    }
    *used += one;
  }
  return 1;
}
