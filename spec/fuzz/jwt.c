/* SPDX-License-Identifier: MIT */
/* Input: a token as it is; and, read once more, the claims of one. What is
 * read of both is -1 or a date, and the claims of a well-formed token are read
 * as their JSON says. */
#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rules/json.h"
#include "rules/jwt.h"

#define MUST(condition) ((condition) ? (void)0 : abort())

static const double LAST = 253402300799.0;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_times(const struct fy_jwt_times *times) {
  static const double now[] = {0, 1700000000.0, 253402300799.0};

  MUST(times->issued == -1 || (times->issued >= 0 && times->issued <= LAST));
  MUST(times->expires == -1 ||
       (times->expires >= 0 && times->expires <= LAST));
  for (size_t i = 0; i < sizeof(now) / sizeof(now[0]); i++) {
    double left = fy_jwt_left(times, now[i]);

    MUST(isnan(left) == (times->expires == -1));
    if (!isnan(left)) {
      MUST(left <= times->expires - now[i]);
      MUST(times->issued < 0 || times->issued >= times->expires ||
           left <= times->expires - times->issued);
    }
  }
}

static size_t encode(const uint8_t *data, size_t size, char *out) {
  static const char digits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  size_t used = 0;
  unsigned bits = 0;
  int count = 0;

  for (size_t i = 0; i < size; i++) {
    bits = (bits << 8 | data[i]) & 0xFFFFu;
    for (count += 8; count >= 6; count -= 6) {
      out[used++] = digits[bits >> (count - 6) & 63u];
    }
  }
  if (count) {
    out[used++] = digits[bits << (6 - count) & 63u];
  }
  return used;
}

static double claim(const json_t *claims, const char *name) {
  const json_t *value = json_object_get(claims, name);

  return json_is_number(value) ? json_number_value(value) : -1;
}

static void check_date(double read, double said) {
  MUST(read == (said >= 0 && said <= LAST ? said : -1));
}

/* {}.CLAIMS.x */
static void check_claims(const uint8_t *data, size_t size) {
  char *token = malloc(2 * size + 16);
  size_t used = 4;
  json_t *claims = fy_json_parse((const char *)data, size, NULL);
  struct fy_jwt_times times;

  memcpy(token, "e30.", 4);
  used += encode(data, size, token + used);
  memcpy(token + used, ".x", 2);
  MUST(fy_jwt_read(token, used + 2, &times) == FREDDY_OK);
  check_times(&times);
  check_date(times.issued, claim(claims, "iat"));
  check_date(times.expires, claim(claims, "exp"));
  json_decref(claims);
  free(token);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fy_jwt_times times;

  MUST(fy_jwt_read((const char *)data, size, &times) == FREDDY_OK);
  check_times(&times);
  check_claims(data, size);
  return 0;
}
