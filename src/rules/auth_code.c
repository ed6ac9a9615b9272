/* SPDX-License-Identifier: MIT */
#include "rules/auth_code.h"

#include <jansson.h>
#include <string.h>

#include "base/ascii.h"
#include "base/limits.h"
#include "rules/json.h"

static const size_t LARGEST_BODY = 64 * FY_KIB;

/* {"error": {"code"}}, {"code"}, {"detail": {"code"}}, and the first of these
 * within "detail". */
static const char *code_of(const json_t *answer) {
  const json_t *detail = json_object_get(answer, "detail");
  const json_t *places[] = {
      json_object_get(json_object_get(answer, "error"), "code"),
      json_object_get(answer, "code"),
      json_object_get(json_object_get(detail, "error"), "code"),
      json_object_get(detail, "code")};

  for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
    if (json_is_string(places[i])) {
      return json_string_value(places[i]);
    }
  }
  return "";
}

static char plain(char c) {
  return c == '-' || c == ' ' ? '_' : fy_lower(c);
}

/* 1 when `code` is `word`, or begins with it where that ends in "_". */
static int speaks_of(const char *code, const char *word) {
  size_t size = strlen(word);

  for (size_t i = 0; i < size; i++) {
    if (plain(code[i]) != word[i]) {
      return 0;
    }
  }
  return word[size - 1] == '_' || !code[size];
}

static json_t *parse(const char *body, size_t size) {
  return size && size <= LARGEST_BODY ? fy_json_parse(body, size, NULL) : NULL;
}

const char *fy_auth_code_name(const char *body, size_t size) {
  static const char *const names[] = {"invalid_api_key",
                                      "api_key_expired",
                                      "api_key_paused",
                                      "api_key_deactivated",
                                      "authentication_required",
                                      "missing_authentication",
                                      "insufficient_permissions",
                                      "account_suspended",
                                      "token_expired",
                                      "token_invalid"};
  json_t *answer = parse(body, size);
  const char *found = NULL;

  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !found; i++) {
    found = speaks_of(code_of(answer), names[i]) ? names[i] : NULL;
  }
  json_decref(answer);
  return found && strcmp(found, "authentication_required") == 0
             ? "missing_authentication"
             : found;
}

int fy_auth_code_renews(const char *body, size_t size) {
  static const char *const words[] = {"invalid_api_key", "api_key_",
                                      "invalid_credentials", "account_"};
  json_t *answer = parse(body, size);
  int renews = 1;

  for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
    renews = renews && !speaks_of(code_of(answer), words[i]);
  }
  json_decref(answer);
  return renews;
}
