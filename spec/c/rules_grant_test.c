/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rules/grant.h"
#include "unit.h"

/* Claims {"iat":100,"exp":200}, {"exp":200}. */
#define JWT "eyJhbGciOiJIUzI1NiJ9.eyJpYXQiOjEwMCwiZXhwIjoyMDB9.sig"
#define JWT_EXP "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjIwMH0.sig"

static const struct {
  const char *name, *text;
  const char *access, *refresh;
  double life, date;
} good[] = {
    {"token", "{\"token\":\"a\"}", "a", NULL, NAN, NAN},
    {"access_token", "{\"access_token\":\"a\"}", "a", NULL, NAN, NAN},
    {"both", "{\"token\":\"b\",\"access_token\":\"a\"}", "a", NULL, NAN, NAN},
    {"null beside", "{\"access_token\":null,\"token\":\"a\"}", "a", NULL, NAN,
     NAN},
    {"refresh_token", "{\"token\":\"a\",\"refresh_token\":\"r\"}", "a", "r",
     NAN, NAN},
    {"refreshToken", "{\"token\":\"a\",\"refreshToken\":\"r\"}", "a", "r", NAN,
     NAN},
    {"an object",
     "{\"token\":\"a\",\"refreshToken\":{\"token\":\"r\",\"expiry\":\"x\"}}",
     "a", "r", NAN, NAN},
    {"an empty object", "{\"token\":\"a\",\"refresh_token\":{}}", "a", NULL,
     NAN, NAN},
    {"refresh null", "{\"token\":\"a\",\"refresh_token\":null}", "a", NULL,
     NAN, NAN},
    {"expires_in", "{\"token\":\"a\",\"expires_in\":3600}", "a", NULL, 3600,
     NAN},
    {"a fraction", "{\"token\":\"a\",\"expires_in\":1.5}", "a", NULL, 1.5,
     NAN},
    {"digits", "{\"token\":\"a\",\"expires_in\":\"86400\"}", "a", NULL, 86400,
     NAN},
    {"life null", "{\"token\":\"a\",\"expires_in\":null}", "a", NULL, NAN,
     NAN},
    {"for ever", "{\"token\":\"a\",\"expires_in\":1e300}", "a", NULL,
     3155760000.0, NAN},
    {"expires_in first", "{\"token\":\"" JWT "\",\"expires_in\":7}", JWT, NULL,
     7, 5000},
    {"exp - iat", "{\"token\":\"" JWT "\"}", JWT, NULL, 100, NAN},
    {"exp - iat, not exp - date", "{\"token\":\"" JWT "\"}", JWT, NULL, 100,
     150},
    {"exp - date", "{\"token\":\"" JWT_EXP "\"}", JWT_EXP, NULL, 50, 150},
    {"exp, and no date", "{\"token\":\"" JWT_EXP "\"}", JWT_EXP, NULL, NAN,
     NAN},
    {"bearer", "{\"token\":\"a\",\"token_type\":\"BeArEr\"}", "a", NULL, NAN,
     NAN},
    {"type null", "{\"token\":\"a\",\"token_type\":null}", "a", NULL, NAN,
     NAN},
    {"more", "{\"token\":\"a\",\"user\":{\"id\":\"u\"},\"x\":[1,\"y\"]}", "a",
     NULL, NAN, NAN},
};

static const struct {
  const char *name, *text, *reason;
  double date;
} bad[] = {
    {"nothing", "", "bad_json", NAN},
    {"half", "{\"token\":\"a", "bad_json", NAN},
    {"a page", "<html>", "bad_json", NAN},
    {"an array", "[1]", "not_an_object", NAN},
    {"a string", "\"a\"", "not_an_object", NAN},
    {"null", "null", "not_an_object", NAN},
    {"no token", "{}", "no_token", NAN},
    {"null token", "{\"token\":null}", "no_token", NAN},
    {"empty", "{\"token\":\"\"}", "bad_token", NAN},
    {"a number", "{\"token\":5}", "bad_token", NAN},
    {"a blank", "{\"token\":\"a b\"}", "bad_token", NAN},
    {"a line break", "{\"token\":\"a\\nb\"}", "bad_token", NAN},
    {"a NUL", "{\"token\":\"a\\u0000b\"}", "bad_token", NAN},
    {"not ASCII", "{\"token\":\"\\u00e4\"}", "bad_token", NAN},
    {"bad refresh", "{\"token\":\"a\",\"refresh_token\":\"\"}", "bad_token",
     NAN},
    {"bad refresh object", "{\"token\":\"a\",\"refresh_token\":{\"token\":7}}",
     "bad_token", NAN},
    {"a MAC", "{\"token\":\"a\",\"token_type\":\"mac\"}", "bad_type", NAN},
    {"type 5", "{\"token\":\"a\",\"token_type\":5}", "bad_type", NAN},
    {"life 0", "{\"token\":\"a\",\"expires_in\":0}", "bad_life", NAN},
    {"life -1", "{\"token\":\"a\",\"expires_in\":-1}", "bad_life", NAN},
    {"life x", "{\"token\":\"a\",\"expires_in\":\"x\"}", "bad_life", NAN},
    {"life empty", "{\"token\":\"a\",\"expires_in\":\"\"}", "bad_life", NAN},
    {"life -5", "{\"token\":\"a\",\"expires_in\":\"-5\"}", "bad_life", NAN},
    {"life true", "{\"token\":\"a\",\"expires_in\":true}", "bad_life", NAN},
    {"ran out", "{\"token\":\"" JWT_EXP "\"}", "ran_out", 200},
    {"ran out, whatever iat says", "{\"token\":\"" JWT "\"}", "ran_out", 201},
};

/* In memory of its own, so that a read past its end is seen. */
static int read_text(const char *text, double date, int must_have,
                     struct fy_grant *grant, freddy_error *err) {
  size_t size = strlen(text);
  char *copy = malloc(size + 1);
  int rc;

  memset(err, 0, sizeof(*err));
  memcpy(copy, text, size);
  rc = fy_grant_read(copy, size, date, must_have, grant, err);
  free(copy);
  return rc;
}

static const char *text_of(const struct fy_secret *secret) {
  return secret ? fy_secret_text(secret) : NULL;
}

static void check_good(void) {
  for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
    struct fy_grant grant;
    freddy_error err;

    UNIT_CASE("%s", good[i].name);
    CHECK_INT(read_text(good[i].text, good[i].date, 1, &grant, &err),
              FREDDY_OK);
    CHECK_TEXT(text_of(grant.access), good[i].access);
    CHECK_TEXT(text_of(grant.refresh), good[i].refresh);
    CHECK(grant.life == good[i].life ||
          (isnan(grant.life) && isnan(good[i].life)));
    fy_grant_clear(&grant);
    fy_grant_clear(&grant);
  }
}

static void check_bad(void) {
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    struct fy_grant grant;
    freddy_error err;

    UNIT_CASE("%s", bad[i].name);
    CHECK_INT(read_text(bad[i].text, bad[i].date, 1, &grant, &err),
              FREDDY_EPROTOCOL);
    CHECK_TEXT(err.reason, bad[i].reason);
    CHECK(grant.access == NULL && grant.refresh == NULL);
  }
  UNIT_CASE("%s", "");
}

static void check_challenge(void) {
  struct fy_grant grant;
  freddy_error err;

  CHECK_INT(read_text("{\"email_key\":\"k\"}", NAN, 0, &grant, &err),
            FREDDY_OK);
  CHECK(grant.access == NULL);
  CHECK_INT(read_text("{\"token\":\"\"}", NAN, 0, &grant, &err),
            FREDDY_EPROTOCOL);
}

int main(void) {
  check_good();
  check_bad();
  check_challenge();
  return unit_end();
}
