/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "rules/auth_code.h"
#include "unit.h"

static const struct {
  const char *body;
  int renews;
} rows[] = {
    {"", 1},
    {"<html>", 1},
    {"[]", 1},
    {"\"API_KEY_PAUSED\"", 1},
    {"{}", 1},
    {"{\"error\":{\"code\":\"TOKEN_EXPIRED\"}}", 1},
    {"{\"error\":{\"code\":\"AUTHENTICATION_REQUIRED\"}}", 1},
    {"{\"error\":{\"code\":\"INVALID_API_KEY\"}}", 0},
    {"{\"error\":{\"code\":\"INVALID_API_KEYS\"}}", 1},
    {"{\"error\":{\"code\":\"invalid-api-key\"}}", 0},
    {"{\"error\":{\"code\":\"API_KEY_PAUSED\"}}", 0},
    {"{\"error\":{\"code\":\"API_KEY_\"}}", 0},
    {"{\"error\":{\"code\":\"API_KEY\"}}", 1},
    {"{\"error\":{\"code\":\"INVALID_CREDENTIALS\"}}", 0},
    {"{\"error\":{\"code\":\"invalid credentials\"}}", 0},
    {"{\"error\":{\"code\":\"ACCOUNT_SUSPENDED\"}}", 0},
    {"{\"error\":{\"code\":\"\"}}", 1},
    {"{\"error\":{\"code\":401}}", 1},
    {"{\"error\":\"API_KEY_PAUSED\"}", 1},
    {"{\"error\":\"x\",\"code\":\"API_KEY_PAUSED\"}", 0},
    {"{\"code\":\"ACCOUNT_LOCKED\"}", 0},
    {"{\"detail\":{\"code\":\"ACCOUNT_LOCKED\"}}", 0},
    {"{\"detail\":{\"error\":{\"code\":\"ACCOUNT_LOCKED\"}}}", 0},
    {"{\"detail\":\"ACCOUNT_LOCKED\"}", 1},
    {"{\"error\":{\"code\":\"ACCOUNT_LOCKED\"", 1},
};

static const struct {
  const char *body, *name; /* NULL: none that is known */
} names[] = {
    {"", NULL},
    {"<html>", NULL},
    {"{\"code\":\"SOMETHING\"}", NULL},
    {"{\"code\":\"invalid-api-key\"}", "invalid_api_key"},
    {"{\"code\":\"INVALID_API_KEYS\"}", NULL},
    {"{\"error\":{\"code\":\"API_KEY_PAUSED\"}}", "api_key_paused"},
    {"{\"error\":{\"code\":\"AUTHENTICATION_REQUIRED\"}}",
     "missing_authentication"},
    {"{\"detail\":{\"code\":\"Account Suspended\"}}", "account_suspended"},
    {"{\"code\":\"TOKEN_EXPIRED\"}", "token_expired"},
};

static void known_names(void) {
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
    const char *name = fy_auth_code_name(names[i].body, strlen(names[i].body));

    UNIT_CASE("%s", names[i].body);
    CHECK(!name == !names[i].name);
    CHECK_TEXT(name ? name : "", names[i].name ? names[i].name : "");
  }
}

int main(void) {
  known_names();
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    size_t size = strlen(rows[i].body);
    char *body = malloc(size + 1);

    UNIT_CASE("%s", rows[i].body);
    memcpy(body, rows[i].body, size);
    CHECK_INT(fy_auth_code_renews(body, size), rows[i].renews);
    free(body);
  }
  return unit_end();
}
