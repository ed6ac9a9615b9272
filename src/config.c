/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"
#include "net/client.h"
#include "net/engine.h"
#include "rules/header.h"

int fy_config_open(const freddy_client *client, freddy_error *err) {
  if (fy_engine_is_foreign(client->generation)) {
    return fy_error_set(err, FREDDY_EFORKED, NULL,
                        "the client belongs to another process");
  }
  if (atomic_load(&client->closed)) {
    return fy_error_set(err, FREDDY_ECLOSED, NULL, "the client is closed");
  }
  return FREDDY_OK;
}

int fy_config_url(const char *what, const char *text, struct fy_url *out,
                  freddy_error *err) {
  freddy_error why = {.code = FREDDY_OK};

  if (fy_url_split(text, strlen(text), out, &why) != FREDDY_OK) {
    return fy_error_set(err, FREDDY_EMISUSE, why.reason, "%s: %s", what,
                        why.message);
  }
  if (!out->https && !fy_url_is_loopback(out)) {
    return fy_error_set(err, FREDDY_EMISUSE, "insecure",
                        "%s: plain http is for loopback addresses only; use "
                        "https",
                        what);
  }
  return FREDDY_OK;
}

/* A credential is printable ASCII without blanks: what keys and JWTs are
 * made of, and what no server can read in two ways. */
int fy_config_is_credential(const char *text, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (text[i] <= ' ' || text[i] > '~') {
      return 0;
    }
  }
  return size > 0 && size <= FY_MAX_SECRET;
}

int fy_config_secret(freddy_credential kind, const char *key_header,
                     const char *text, size_t size, struct fy_secret **out,
                     freddy_error *err) {
  const char *what = kind == FREDDY_API_KEY ? "api_key" : "token";
  char prefix[300];
  size_t length;

  if (size == 0) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL, "%s is empty", what);
  }
  if (!fy_config_is_credential(text, size)) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL,
                        "%s has characters that no credential has, or is too "
                        "long",
                        what);
  }
  if (kind == FREDDY_TOKEN) {
    memcpy(prefix, "Authorization: Bearer ", 23);
  } else {
    length = strlen(key_header);
    memcpy(prefix, key_header, length);
    memcpy(prefix + length, ": ", 3);
  }
  *out = fy_secret_new(prefix, text, size);
  return *out ? FREDDY_OK : fy_error_nomem(err);
}

static int check_header(const char *name, const char *value,
                        const char *key_header, freddy_error *err) {
  if (!fy_header_is_token(name, strlen(name))) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL,
                        "headers: a name is not a token (RFC 9110 5.6.2)");
  }
  if (!fy_header_is_value(value, strlen(value))) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL,
                        "headers: the value of %.60s has control characters "
                        "or blanks at its ends",
                        name);
  }
  switch (fy_header_owner(name, strlen(name), key_header)) {
  case FY_HEADER_CREDENTIAL:
    return fy_error_set(err, FREDDY_EMISUSE, NULL,
                        "headers: %.60s carries a credential; use the "
                        "credential options",
                        name);
  case FY_HEADER_OURS:
    return fy_error_set(err, FREDDY_EMISUSE, NULL,
                        "headers: %.60s is set by freddy itself", name);
  default:
    return FREDDY_OK;
  }
}

int fy_config_headers(const char *const *headers, const char *key_header,
                      struct fy_buf *out, size_t *count, freddy_error *err) {
  for (size_t i = 0; headers && headers[i]; i += 2) {
    const char *name = headers[i];
    const char *value = headers[i + 1];
    int rc;

    if (!value) {
      return fy_error_set(err, FREDDY_EMISUSE, NULL,
                          "headers: %.60s has no value", name);
    }
    rc = check_header(name, value, key_header, err);
    if (rc != FREDDY_OK) {
      return rc;
    }
    /* "Name;" is how libcurl is told to send a header without a value. */
    rc = *value ? fy_buf_addf(out, "%s: %s", name, value)
                : fy_buf_addf(out, "%s;", name);
    if (rc == FREDDY_OK) {
      rc = fy_buf_add(out, "", 1);
    }
    if (rc == FREDDY_ETOO_LARGE) {
      return fy_error_set(err, FREDDY_EMISUSE, NULL,
                          "headers: more than %zu bytes in all", out->max);
    }
    if (rc != FREDDY_OK) {
      return fy_error_nomem(err);
    }
    (*count)++;
  }
  return FREDDY_OK;
}

int fy_config_timeouts(const freddy_timeouts *timeouts, freddy_error *err) {
  if (isnan(timeouts->connect) || isnan(timeouts->first_byte) ||
      isnan(timeouts->stall) || isnan(timeouts->event) ||
      isnan(timeouts->total) || isnan(timeouts->auth)) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL,
                        "timeout: not a number of seconds");
  }
  return FREDDY_OK;
}

int fy_config_copy(const char *text, char **out, freddy_error *err) {
  if (!text) {
    return FREDDY_OK;
  }
  *out = fy_strndup(text, strlen(text));
  return *out ? FREDDY_OK : fy_error_nomem(err);
}
