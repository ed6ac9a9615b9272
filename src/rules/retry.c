/* SPDX-License-Identifier: MIT */
#include "rules/retry.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/ascii.h"
#include "base/limits.h"
#include "rules/http_date.h"
#include "rules/json.h"

enum { FIFTHS = 5, MOST_DOUBLINGS = 4, UNASKED_REPEATS = 1 };

static const fy_time FIRST_DELAY = FY_SECOND / 2;
static const fy_time LONGEST_DELAY = 8 * FY_SECOND;
static const double LONGEST_WAIT = 60; /* that a server can ask for */
static const double FAR_AWAY = 1e9;    /* seconds; more is as good as this */
static const size_t LARGEST_BODY = 64 * FY_KIB;

/* --- The budget --------------------------------------------------------- */

void fy_retry_budget_init(struct fy_retry_budget *budget) {
  budget->fifths = FY_RETRY_BUDGET * FIFTHS;
}

void fy_retry_budget_give(struct fy_retry_budget *budget) {
  if (budget->fifths < FY_RETRY_BUDGET * FIFTHS) {
    budget->fifths++;
  }
}

static int take(struct fy_retry_budget *budget) {
  if (budget->fifths < FIFTHS) {
    return 0;
  }
  budget->fifths -= FIFTHS;
  return 1;
}

/* --- The table ---------------------------------------------------------- */

enum whom { NOBODY, IDEMPOTENT, ANYBODY };

static enum whom by_failure(freddy_code failure, const char *reason) {
  switch (failure) {
  case FREDDY_ERESOLVE:
    return ANYBODY;
  case FREDDY_ECONNECT: /* a proxy that refuses goes on doing so */
    return !*reason || strcmp(reason, "proxy_unreachable") == 0 ? ANYBODY
                                                                : NOBODY;
  case FREDDY_ETLS:
    return strcmp(reason, "handshake_cut") == 0 ? ANYBODY : NOBODY;
  case FREDDY_EPROTOCOL: /* so a server may call a stream that it cuts */
    return strcmp(reason, "bad_http2") == 0 ? IDEMPOTENT : NOBODY;
  case FREDDY_ECUT:
    return IDEMPOTENT;
  case FREDDY_ETIMEOUT:
    return strcmp(reason, "connect") == 0      ? ANYBODY
           : strcmp(reason, "first_byte") == 0 ? IDEMPOTENT
           : strcmp(reason, "stall") == 0      ? IDEMPOTENT
                                               : NOBODY;
  default:
    return NOBODY;
  }
}

int fy_retry_is_passing(freddy_code failure, const char *reason) {
  return by_failure(failure, reason) != NOBODY;
}

int fy_retry_is_too_long(double retry_after) {
  return retry_after > LONGEST_WAIT;
}

static int is_unasked(const struct fy_retry *seen) {
  return seen->failure == FREDDY_OK && seen->status == 429 &&
         isnan(seen->retry_after);
}

static enum whom by_status(const struct fy_retry *seen) {
  switch (seen->status) {
  case 429:
    return seen->quota ||
                   (is_unasked(seen) && seen->unasked >= UNASKED_REPEATS)
               ? NOBODY
               : ANYBODY;
  case 408:
  case 500:
  case 502:
  case 503:
  case 504:
    return IDEMPOTENT;
  default:
    return NOBODY;
  }
}

/* RFC 9110 9.2.2, or because the user says so. */
static int is_idempotent(const struct fy_retry *seen) {
  static const char *const methods[] = {"GET",     "HEAD",  "PUT", "DELETE",
                                        "OPTIONS", "TRACE", NULL};

  for (const char *const *method = methods; *method; method++) {
    if (strcmp(seen->method, *method) == 0) {
      return 1;
    }
  }
  return seen->idempotent;
}

static int may_repeat(const struct fy_retry *seen) {
  enum whom whom = seen->failure == FREDDY_OK
                       ? by_status(seen)
                       : by_failure(seen->failure, seen->reason);

  if (seen->told || !seen->replayable) {
    return 0;
  }
  if (whom == ANYBODY && seen->failure != FREDDY_OK && seen->sent) {
    whom = IDEMPOTENT;
  } else if (whom == IDEMPOTENT && seen->failure != FREDDY_OK && !seen->sent) {
    whom = ANYBODY;
  }
  return whom == ANYBODY || (whom == IDEMPOTENT && is_idempotent(seen));
}

/* --- The delay ---------------------------------------------------------- */

fy_time fy_retry_backoff(int repeats, double random) {
  fy_time most = LONGEST_DELAY;

  if (repeats < MOST_DOUBLINGS) {
    most = FIRST_DELAY << repeats;
  }
  return (fy_time)((double)most * random);
}

/* What the server asks for, and the jitter behind it, or all whom it refused
 * in one moment would be back in one moment. */
static fy_time delay(const struct fy_retry *seen, double random) {
  fy_time backoff = fy_retry_backoff(seen->repeats, random);

  return isnan(seen->retry_after)
             ? backoff
             : fy_clock_add(fy_clock_from_seconds(seen->retry_after), backoff);
}

void fy_retry_decide(const struct fy_retry *seen,
                     struct fy_retry_budget *budget, double random,
                     struct fy_retry_step *step) {
  *step = (struct fy_retry_step){.todo = FY_RETRY_DELIVER};
  if (!may_repeat(seen)) {
    return;
  }
  if (seen->stale && !seen->freed && is_idempotent(seen)) {
    step->todo = FY_RETRY_NOW;
    return;
  }
  if (seen->repeats >= seen->retries ||
      fy_retry_is_too_long(seen->retry_after)) {
    return;
  }
  if (!take(budget)) {
    step->budget_empty = 1;
    return;
  }
  step->todo = FY_RETRY_AFTER;
  step->delay = delay(seen, random);
}

/* --- What a server says ------------------------------------------------- */

/* Digits, and perhaps a fraction, which the RFC has not but servers send. */
static double seconds_of(const char *at) {
  double seconds = 0, unit = 1;

  if (!fy_is_digit(*at)) {
    return NAN;
  }
  for (; fy_is_digit(*at); at++) {
    seconds = seconds < FAR_AWAY ? seconds * 10 + (*at - '0') : seconds;
  }
  if (*at == '.' && fy_is_digit(at[1])) {
    for (at++; fy_is_digit(*at); at++) {
      unit /= 10;
      seconds += (*at - '0') * unit;
    }
  }
  return *at ? NAN : seconds < FAR_AWAY ? seconds : FAR_AWAY;
}

double fy_retry_after(const char *text, const char *date, double wall) {
  double seconds, now;

  if (!text) {
    return NAN;
  }
  seconds = seconds_of(text);
  if (!isnan(seconds)) {
    return seconds;
  }
  now = fy_http_date(date, wall);
  seconds = fy_http_date(text, wall) - (isnan(now) ? wall : now);
  return seconds < 0 ? 0 : seconds > FAR_AWAY ? FAR_AWAY : seconds;
}

static int has_word(const char *text, size_t size, const char *word) {
  size_t length = strlen(word);
  size_t i, at;

  for (at = 0; at + length <= size; at++) {
    for (i = 0; i < length && fy_lower(text[at + i]) == word[i]; i++) {
    }
    if (i == length) {
      return 1;
    }
  }
  return 0;
}

static int speaks_of_quota(const char *text, size_t size) {
  return has_word(text, size, "quota") || has_word(text, size, "budget") ||
         has_word(text, size, "spending");
}

static const char *const code_names[] = {"code", "type", NULL};
static const char *const word_names[] = {"message", "system_message", "detail",
                                         "title",   "error",          NULL};

/* One of these fields, at one level. */
static int says_quota(const json_t *level, const char *const *names) {
  for (const char *const *name = names; *name; name++) {
    const json_t *text = json_object_get(level, *name);

    if (json_is_string(text) &&
        speaks_of_quota(json_string_value(text), json_string_length(text))) {
      return 1;
    }
  }
  return 0;
}

/* Digits are a status, and no code. */
static int has_code(const json_t *level) {
  const char *code = json_string_value(json_object_get(level, "code"));

  return code && code[strspn(code, "0123456789")];
}

static int is_quota(const json_t *answer, int words_count) {
  const json_t *detail = json_object_get(answer, "detail");
  const json_t *levels[] = {answer, json_object_get(answer, "error"), detail,
                            json_object_get(detail, "error")};
  int by_code = 0, by_words = 0, coded = 0;

  for (size_t i = 0; i < sizeof(levels) / sizeof(*levels); i++) {
    by_code |= says_quota(levels[i], code_names);
    by_words |= says_quota(levels[i], word_names);
    coded |= has_code(levels[i]);
  }
  return by_code || (words_count && !coded && by_words);
}

int fy_retry_is_quota(const char *body, size_t size, int words_count) {
  json_t *answer;
  int found;

  if (!size || size > LARGEST_BODY) {
    return 0;
  }
  answer = fy_json_parse(body, size, NULL);
  if (!json_is_object(answer)) {
    json_decref(answer);
    return words_count && speaks_of_quota(body, size);
  }
  found = is_quota(answer, words_count);
  json_decref(answer);
  return found;
}
