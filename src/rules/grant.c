/* SPDX-License-Identifier: MIT */
#include "rules/grant.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/ascii.h"
#include "base/error.h"
#include "base/limits.h"
#include "rules/json.h"
#include "rules/jwt.h"

/* A hundred years: what is longer is no life but a mistake. */
static const double LONGEST_LIFE = 3155760000.0;

static int refuse(freddy_error *err, const char *reason, const char *what) {
  return fy_error_set(err, FREDDY_EPROTOCOL, reason, "the token answer %s",
                      what);
}

/* The first of two names that stands for something. */
static const json_t *either(const json_t *object, const char *one,
                            const char *other) {
  const json_t *value = json_object_get(object, one);

  return value && !json_is_null(value) ? value
                                       : json_object_get(object, other);
}

static int is_token(const json_t *value) {
  const char *text = json_string_value(value);
  size_t size = json_string_length(value);

  for (size_t i = 0; i < size; i++) {
    if (text[i] <= ' ' || text[i] > '~') {
      return 0;
    }
  }
  return text && size > 0 && size <= FY_MAX_SECRET;
}

static int keep(const json_t *value, struct fy_secret **out,
                freddy_error *err) {
  if (!is_token(value)) {
    return refuse(err, "bad_token", "has a token that no server sends");
  }
  *out =
      fy_secret_new(NULL, json_string_value(value), json_string_length(value));
  return *out ? FREDDY_OK : fy_error_nomem(err);
}

static int read_tokens(const json_t *answer, int must_have,
                       struct fy_grant *grant, freddy_error *err) {
  const json_t *access = either(answer, "access_token", "token");
  const json_t *refresh = either(answer, "refresh_token", "refreshToken");
  int rc;

  if (!access || json_is_null(access)) {
    return must_have ? refuse(err, "no_token", "has no access token")
                     : FREDDY_OK;
  }
  rc = keep(access, &grant->access, err);
  if (rc != FREDDY_OK) {
    return rc;
  }
  if (json_is_object(refresh)) {
    refresh = json_object_get(refresh, "token");
  }
  return refresh && !json_is_null(refresh)
             ? keep(refresh, &grant->refresh, err)
             : FREDDY_OK;
}

static int is_bearer(const json_t *type) {
  static const char bearer[] = "bearer";
  const char *text = json_string_value(type);

  if (!text || json_string_length(type) != sizeof(bearer) - 1) {
    return 0;
  }
  for (size_t i = 0; i < sizeof(bearer) - 1; i++) {
    if (fy_lower(text[i]) != bearer[i]) {
      return 0;
    }
  }
  return 1;
}

/* NAN: no number that could be a life. */
static double number_of(const json_t *value) {
  const char *text = json_string_value(value);
  double number = 0;

  if (json_is_number(value)) {
    return json_number_value(value);
  }
  if (!text || !*text || strlen(text) != json_string_length(value)) {
    return NAN;
  }
  for (; *text; text++) {
    if (!fy_is_digit(*text)) {
      return NAN;
    }
    number = number * 10 + (*text - '0');
  }
  return number;
}

/* exp - iat, else exp - date; NAN: unknown. What had run out when it was sent
 * has no life, whatever iat says. */
static double life_of(const struct fy_jwt_times *times, double date) {
  if (times->expires < 0) {
    return NAN;
  }
  if (times->issued < 0 || times->expires <= date) {
    return times->expires - date;
  }
  return times->expires - times->issued;
}

static int read_life(const json_t *answer, double date, struct fy_grant *grant,
                     freddy_error *err) {
  const json_t *given = json_object_get(answer, "expires_in");
  struct fy_jwt_times times;

  if (given && !json_is_null(given)) {
    grant->life = number_of(given);
    if (!(grant->life > 0)) {
      return refuse(err, "bad_life", "has a lifetime that is none");
    }
  } else if (fy_jwt_read(fy_secret_text(grant->access),
                         fy_secret_size(grant->access), &times)) {
    return fy_error_nomem(err);
  } else {
    grant->life = life_of(&times, date);
  }
  if (grant->life <= 0) {
    return refuse(err, "ran_out", "has a token that has run out");
  }
  if (grant->life > LONGEST_LIFE) {
    grant->life = LONGEST_LIFE;
  }
  return FREDDY_OK;
}

static int read_answer(const json_t *answer, double date, int must_have,
                       struct fy_grant *grant, freddy_error *err) {
  const json_t *type = json_object_get(answer, "token_type");
  int rc;

  if (!json_is_object(answer)) {
    return refuse(err, "not_an_object", "is not a JSON object");
  }
  rc = read_tokens(answer, must_have, grant, err);
  if (rc != FREDDY_OK || !grant->access) {
    return rc;
  }
  if (type && !json_is_null(type) && !is_bearer(type)) {
    return refuse(err, "bad_type", "has a token_type other than bearer");
  }
  return read_life(answer, date, grant, err);
}

int fy_grant_read(const char *text, size_t size, double date, int must_have,
                  struct fy_grant *grant, freddy_error *err) {
  json_t *answer;
  int rc;

  memset(grant, 0, sizeof(*grant));
  grant->life = NAN;
  answer = fy_json_parse(text, size, err);
  if (!answer) {
    return (int)err->code;
  }
  rc = read_answer(answer, date, must_have, grant, err);
  fy_json_wipe(answer);
  json_decref(answer);
  if (rc != FREDDY_OK) {
    fy_grant_clear(grant);
  }
  return rc;
}

void fy_grant_clear(struct fy_grant *grant) {
  fy_secret_unref(grant->access);
  fy_secret_unref(grant->refresh);
  grant->access = grant->refresh = NULL;
}
