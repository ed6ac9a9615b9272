/* SPDX-License-Identifier: MIT */
#include "rules/jwt.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/secret.h"
#include "rules/json.h"

/* 9999-12-31: what lies behind is a mistake, or milliseconds. */
static const double LAST_DATE = 253402300799.0;

static int digit_of(char c) {
  static const char digits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const char *at = c ? strchr(digits, c) : NULL;

  return at ? (int)(at - digits) : -1;
}

/* base64url without padding (RFC 7515 2); the size, or -1. */
static long decode(const char *text, size_t size, char *out) {
  unsigned bits = 0;
  int count = 0;
  long used = 0;

  if (size % 4 == 1) {
    return -1;
  }
  for (size_t i = 0; i < size; i++) {
    int digit = digit_of(text[i]);

    if (digit < 0) {
      return -1;
    }
    bits = (bits << 6 | (unsigned)digit) & 0xFFFFu;
    count += 6;
    if (count >= 8) {
      count -= 8;
      out[used++] = (char)(bits >> count & 0xFFu);
    }
  }
  return used;
}

/* The middle one of three parts; size 0 when there are not three. */
static const char *claims_of(const char *token, size_t size, size_t *length) {
  const char *end = token + size;
  const char *first = memchr(token, '.', size);
  const char *second =
      first ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;

  *length = 0;
  if (!second || memchr(second + 1, '.', (size_t)(end - second - 1))) {
    return token;
  }
  *length = (size_t)(second - first - 1);
  return first + 1;
}

static double date_of(const json_t *claims, const char *name) {
  const json_t *value = json_object_get(claims, name);
  double seconds = json_is_number(value) ? json_number_value(value) : -1;

  return seconds >= 0 && seconds <= LAST_DATE ? seconds : -1;
}

int fy_jwt_read(const char *token, size_t size, struct fy_jwt_times *times) {
  freddy_error err = {.code = FREDDY_OK};
  size_t length;
  const char *text = claims_of(token, size, &length);
  json_t *claims;
  char *json;
  long used;

  times->issued = times->expires = -1;
  if (!length || length > FY_MAX_SECRET) {
    return FREDDY_OK;
  }
  json = fy_malloc(length);
  if (!json) {
    return FREDDY_ENOMEM;
  }
  used = decode(text, length, json);
  claims = used < 0 ? NULL : fy_json_parse(json, (size_t)used, &err);
  if (claims) {
    times->issued = date_of(claims, "iat");
    times->expires = date_of(claims, "exp");
    json_decref(claims);
  }
  fy_wipe(json, length);
  fy_free(json);
  return err.code == FREDDY_ENOMEM ? FREDDY_ENOMEM : FREDDY_OK;
}

double fy_jwt_left(const struct fy_jwt_times *times, double now) {
  double left, life;

  if (times->expires < 0) {
    return NAN;
  }
  left = times->expires - now;
  life = times->expires - times->issued;
  return times->issued >= 0 && life > 0 && life < left ? life : left;
}
