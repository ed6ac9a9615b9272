/* SPDX-License-Identifier: MIT */
/* Checks shared by the public entry points. */
#ifndef FY_CONFIG_H
#define FY_CONFIG_H

#include "base/buf.h"
#include "base/secret.h"
#include "freddy.h"
#include "rules/url.h"

/* FREDDY_OK, FREDDY_ECLOSED or FREDDY_EFORKED. */
int fy_config_open(const freddy_client *client, freddy_error *err);

/* Split `text`, the value of `what`, refusing plain http to anything but
 * loopback. FREDDY_OK or FREDDY_EMISUSE. */
int fy_config_url(const char *what, const char *text, struct fy_url *out,
                  freddy_error *err);

/* 1 when `text` can be a credential: printable ASCII without blanks, and not
 * too long. */
int fy_config_is_credential(const char *text, size_t size);

/* A new secret whose text is the whole header line. FREDDY_OK,
 * FREDDY_EMISUSE (empty, or not a header value) or FREDDY_ENOMEM. */
int fy_config_secret(freddy_credential kind, const char *key_header,
                     const char *text, size_t size, struct fy_secret **out,
                     freddy_error *err);

/* Append "Name: value\0" lines for the pairs of `headers` (name, value, ...,
 * NULL; or NULL), each checked, and count them. FREDDY_OK, FREDDY_EMISUSE or
 * FREDDY_ENOMEM. */
int fy_config_headers(const char *const *headers, const char *key_header,
                      struct fy_buf *out, size_t *count, freddy_error *err);

/* FREDDY_EMISUSE when a timeout is not a number. */
int fy_config_timeouts(const freddy_timeouts *timeouts, freddy_error *err);

/* A copy of `text`, or NULL for NULL; FREDDY_OK or FREDDY_ENOMEM. */
int fy_config_copy(const char *text, char **out, freddy_error *err);

#endif
