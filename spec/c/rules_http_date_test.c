/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rules/http_date.h"
#include "unit.h"

static const double NOW = 1795000000; /* 2026 */

static const struct {
  const char *text;
  double seconds; /* NAN: no date */
} rows[] = {
    {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
    {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
    {"Sun Nov  6 08:49:37 1994", 784111777},
    {"Sun Nov 16 08:49:37 1994", 784975777},
    {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
    {"Thu, 29 Feb 2024 23:59:60 GMT", 1709251200},
    {"Tue, 29 Feb 2000 00:00:00 GMT", 951782400},
    {"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799.0},
    {"Fri, 31 Dec 1969 23:59:59 GMT", -1},
    {"Monday, 01-Jan-76 00:00:00 GMT", 3345062400.0},
    {"Monday, 01-Jan-77 00:00:00 GMT", 220924800},
    {"Mon, 29 Feb 1900 00:00:00 GMT", NAN},
    {"Sun, 31 Nov 1994 08:49:37 GMT", NAN},
    {"Sun, 00 Nov 1994 08:49:37 GMT", NAN},
    {"Sun, 06 Nov 1994 24:00:00 GMT", NAN},
    {"Sun, 06 Nov 1994 08:60:00 GMT", NAN},
    {"Sun, 06 Nov 0000 08:49:37 GMT", NAN},
    {"Sun, 6 Nov 1994 08:49:37 GMT", NAN},
    {"Sun, 06 Nov 1994 08:49:37 UTC", NAN},
    {"Sun, 06 Nov 1994 08:49:37 GMT ", NAN},
    {"Sun, 06 Nov 1994 08:49:37", NAN},
    {"sun, 06 nov 1994 08:49:37 gmt", NAN},
    {"06 Nov 1994 08:49:37 GMT", NAN},
    {"1994-11-06T08:49:37Z", NAN},
    {"784111777", NAN},
    {"", NAN},
};

static int same(double a, double b) {
  return isnan(a) ? isnan(b) : a == b;
}

/* Every beginning of a date is no date, and is read no further. */
static void check_cuts(const char *text) {
  for (size_t size = 0; size < strlen(text); size++) {
    char *cut = malloc(size + 1);

    memcpy(cut, text, size);
    cut[size] = '\0';
    CHECK(isnan(fy_http_date(cut, NOW)));
    free(cut);
  }
}

int main(void) {
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    UNIT_CASE("%s", rows[i].text);
    CHECK(same(fy_http_date(rows[i].text, NOW), rows[i].seconds));
  }
  for (size_t i = 0; i < 3; i++) {
    UNIT_CASE("%s", rows[i].text);
    check_cuts(rows[i].text);
  }
  UNIT_CASE("%s", "");
  CHECK(isnan(fy_http_date(NULL, NOW)));
  return unit_end();
}
