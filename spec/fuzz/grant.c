/* SPDX-License-Identifier: MIT */
/* Input: a token answer. What is believed can be sent and has a life; what is
 * not holds nothing, and says why in words of ours. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "rules/grant.h"

#define MUST(condition) ((condition) ? (void)0 : abort())

static const double LONGEST = 3155760000.0;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_token(const struct fy_secret *secret) {
  const char *text = fy_secret_text(secret);
  size_t size = fy_secret_size(secret);

  MUST(size > 0 && size <= FY_MAX_SECRET && strlen(text) == size);
  for (size_t i = 0; i < size; i++) {
    MUST(text[i] > ' ' && text[i] <= '~');
  }
}

static int is_reason(const char *reason) {
  static const char *const reasons[] = {
      "bad_json", "not_an_object", "no_token", "bad_token",
      "bad_type", "bad_life",      "ran_out"};

  for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
    if (strcmp(reason, reasons[i]) == 0) {
      return 1;
    }
  }
  return 0;
}

static int read_one(const char *text, size_t size, double date,
                    int must_have) {
  freddy_error err = {.code = FREDDY_OK};
  struct fy_grant grant;
  int rc = fy_grant_read(text, size, date, must_have, &grant, &err);

  if (rc != FREDDY_OK) {
    MUST(rc == FREDDY_EPROTOCOL && err.code == FREDDY_EPROTOCOL);
    MUST(is_reason(err.reason) && err.message[0]);
    MUST(strncmp(err.message, "the token answer ", 17) == 0 ||
         strncmp(err.message, "invalid JSON at byte ", 21) == 0);
    MUST(!grant.access && !grant.refresh);
    return 0;
  }
  MUST(err.code == FREDDY_OK);
  MUST(grant.access || (!must_have && !grant.refresh && isnan(grant.life)));
  if (grant.access) {
    check_token(grant.access);
  }
  if (grant.refresh) {
    check_token(grant.refresh);
  }
  MUST(isnan(grant.life) || (grant.life > 0 && grant.life <= LONGEST));
  fy_grant_clear(&grant);
  fy_grant_clear(&grant);
  return 1;
}

/* A date can only take away: a token that has run out by it. And what is
 * believed where there must be a token is where there may be one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *text = (const char *)data;
  int believed = read_one(text, size, NAN, 1);
  int by_date = read_one(text, size, 1700000000.0, 1);

  MUST(believed || !by_date);
  MUST(read_one(text, size, NAN, 0) || !believed);
  return 0;
}
