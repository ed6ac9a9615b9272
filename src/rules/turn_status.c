/* SPDX-License-Identifier: MIT */
/* As which HTTP status an error event would have come. */
#include <string.h>

#include "base/ascii.h"
#include "rules/member.h"
#include "rules/turn.h"

enum { LONGEST_CODE = 64 };

/* By a code, in lower case with "_" between its words: the first row that
 * fits. "x" is the whole code, "x*" its beginning, "*x" its end, "*x*" any
 * part of it. */
static const struct {
  const char *pattern;
  int status;
} codes[] = {
    {"*_not_found", 404},
    {"not_found*", 404},
    {"*_already_exists", 409},
    {"*conflict*", 409},
    {"invalid_api_key", 401},
    {"invalid_credentials", 401},
    {"invalid_token", 401},
    {"expired_token", 401},
    {"api_key_*", 401},
    {"*rate_limit*", 429},
    {"too_many_requests", 429},
    {"*quota*", 429},
    {"*budget*", 429},
    {"*spending*", 429},
    {"*limit_exceeded", 429},
    {"token_*", 401},
    {"*authentication*", 401},
    {"unauthenticated", 401},
    {"unauthorized*", 401},
    {"not_authenticated", 401},
    {"*access_denied*", 403},
    {"*permission*", 403},
    {"forbidden*", 403},
    {"*authorization*", 403},
    {"account_*", 403},
    {"domain_not_registered", 403},
    {"registration_restricted", 403},
    {"operation_not_allowed", 403},
    {"no_organization_membership", 403},
    {"ambiguous_organization", 403},
    {"cannot_*", 403},
    {"bad_request", 400},
    {"*validation*", 422},
    {"invalid_*", 422},
    {"*unavailable*", 503},
    {"*overloaded*", 503},
    {"*timeout*", 504},
    {"*timed_out*", 504},
};

static int fits(const char *code, const char *pattern) {
  size_t size = strlen(pattern), length = strlen(code);
  int open_start = pattern[0] == '*', open_end = pattern[size - 1] == '*';
  const char *word = pattern + open_start;
  size_t i;

  size -= (size_t)(open_start + open_end);
  if (length < size) {
    return 0;
  }
  for (i = 0; i <= length - size; i++) {
    if (strncmp(code + i, word, size) == 0 && (open_start || i == 0) &&
        (open_end || i == length - size)) {
      return 1;
    }
  }
  return 0;
}

static int by_word(const struct fy_member *member) {
  char code[LONGEST_CODE];
  long size = fy_member_text(member, code, sizeof(code));
  size_t i;
  long k;

  for (k = 0; k < size; k++) {
    code[k] = code[k] == '-' || code[k] == ' ' ? '_' : fy_lower(code[k]);
  }
  for (i = 0; size > 0 && i < sizeof(codes) / sizeof(codes[0]); i++) {
    if (fits(code, codes[i].pattern)) {
      return codes[i].status;
    }
  }
  return 0;
}

static int by_number(const struct fy_member *member) {
  int64_t number = fy_member_number(member);

  return number >= 400 && number <= 599 ? (int)number : 0;
}

/* 0: it tells nothing. */
static int status_of(struct fy_span json, struct fy_span *inner) {
  struct fy_member members[] = {{.name = "status"},      {.name = "code"},
                                {.name = "status_code"}, {.name = "type"},
                                {.name = "error_type"},  {.name = "error"}};
  int status;

  fy_members_find(json.data, json.size, members, 6);
  status = by_number(&members[0]);
  status = status ? status : by_number(&members[2]);
  status = status ? status : by_number(&members[1]);
  status = status ? status : by_word(&members[1]);
  status = status ? status : by_word(&members[3]);
  status = status ? status : by_word(&members[4]);
  if (inner) {
    *inner = members[5].kind == '{' ? members[5].value
                                    : (struct fy_span){.data = "", .size = 0};
  }
  return status;
}

int fy_turn_status(const char *json, size_t size) {
  struct fy_span outer = {.data = json, .size = size}, inner;
  int status = status_of(outer, &inner);
  int inner_status = status_of(inner, NULL);

  if (inner_status) {
    return inner_status;
  }
  return status ? status : 500;
}
