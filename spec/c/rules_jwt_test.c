/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rules/jwt.h"
#include "unit.h"

/* {"alg":"HS256"} */
#define HEAD "eyJhbGciOiJIUzI1NiJ9."

static const struct {
  const char *name, *token;
  double issued, expires;
} rows[] = {
    {"both", HEAD "eyJpYXQiOjEwMCwiZXhwIjoyMDB9.sig", 100, 200},
    {"exp only", HEAD "eyJleHAiOjIwMH0.sig", -1, 200},
    {"a fraction", HEAD "eyJleHAiOjIwMC41fQ.sig", -1, 200.5},
    {"neither", HEAD "e30.sig", -1, -1},
    {"no object", HEAD "WzFd.sig", -1, -1},
    {"a string", HEAD "eyJleHAiOiIyMDAifQ.sig", -1, -1},
    {"negative", HEAD "eyJleHAiOi0xfQ.sig", -1, -1},
    {"far beyond", HEAD "eyJleHAiOjFlMzAwfQ.sig", -1, -1},
    {"no JSON", HEAD "e3s.sig", -1, -1},
    {"no signature", HEAD "eyJleHAiOjIwMH0.", -1, 200},
    {"two parts", HEAD "eyJleHAiOjIwMH0", -1, -1},
    {"four parts", HEAD "eyJleHAiOjIwMH0.a.b", -1, -1},
    {"plain base64 characters", HEAD "eyJ+/w.sig", -1, -1},
    {"padding", HEAD "eyJleHAiOjIwMH0=.sig", -1, -1},
    {"one digit too many", HEAD "eyJleHAiOjIwMH0AA.sig", -1, -1},
    {"an API key", "oak_live_0123456789abcdef", -1, -1},
    {"dots", "..", -1, -1},
    {"empty", "", -1, -1},
};

static void check_rows(void) {
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    size_t size = strlen(rows[i].token);
    /* Memory of its own, so that a read past its end is seen. */
    char *text = malloc(size + 1);
    struct fy_jwt_times times;

    UNIT_CASE("%s", rows[i].name);
    memcpy(text, rows[i].token, size);
    CHECK_INT(fy_jwt_read(text, size, &times), FREDDY_OK);
    CHECK(times.issued == rows[i].issued);
    CHECK(times.expires == rows[i].expires);
    free(text);
  }
  UNIT_CASE("%s", "");
}

static void check_left(void) {
  struct fy_jwt_times both = {100, 200};
  struct fy_jwt_times bare = {-1, 200};
  struct fy_jwt_times odd = {300, 200};
  struct fy_jwt_times none = {-1, -1};

  CHECK(fy_jwt_left(&both, 150) == 50);
  CHECK(fy_jwt_left(&both, 250) == -50);
  CHECK(fy_jwt_left(&both, -3500) == 100); /* a clock an hour behind */
  CHECK(fy_jwt_left(&bare, 50) == 150);
  CHECK(fy_jwt_left(&odd, 150) == 50);
  CHECK(isnan(fy_jwt_left(&none, 150)));
}

int main(void) {
  check_rows();
  check_left();
  return unit_end();
}
