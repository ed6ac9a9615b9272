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

int fy_auth_code_renews(const char *body, size_t size) {
  static const char *const words[] = {"invalid_api_key", "api_key_",
                                      "invalid_credentials", "account_"};
  json_t *answer = NULL;
  int renews = 1;

  if (size && size <= LARGEST_BODY) {
    answer = fy_json_parse(body, size, NULL);
  }
  for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
    renews = renews && !speaks_of(code_of(answer), words[i]);
  }
  json_decref(answer);
  return renews;
}
