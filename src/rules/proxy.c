/* SPDX-License-Identifier: MIT */
#include "rules/proxy.h"

#include <string.h>

#include "base/ascii.h"
#include "base/error.h"

static const struct scheme {
  const char *name;
  unsigned port;
} schemes[] = {
    [FY_PROXY_HTTP] = {"http", 80},
    [FY_PROXY_HTTPS] = {"https", 443},
    [FY_PROXY_SOCKS5] = {"socks5", 1080},
    [FY_PROXY_SOCKS5H] = {"socks5h", 1080},
};

enum { SCHEMES = sizeof(schemes) / sizeof(schemes[0]) };

const char *fy_proxy_scheme_name(enum fy_proxy_scheme scheme) {
  return schemes[scheme].name;
}

static int refuse(freddy_error *err, const char *reason, const char *message) {
  return fy_error_set(err, FREDDY_EMISUSE, reason, "%s", message);
}

/* The length of "scheme://" at the start, or 0. */
static size_t split_scheme(const char *text, size_t size,
                           enum fy_proxy_scheme *scheme) {
  for (int i = 0; i < SCHEMES; i++) {
    size_t length = strlen(schemes[i].name);
    size_t same = 0;

    if (size < length + 3 || memcmp(text + length, "://", 3) != 0) {
      continue;
    }
    while (same < length && fy_lower(text[same]) == schemes[i].name[same]) {
      same++;
    }
    if (same == length) {
      *scheme = (enum fy_proxy_scheme)i;
      return length + 3;
    }
  }
  return 0;
}

long fy_proxy_decode(struct fy_span encoded, char *out) {
  long size = 0;

  for (size_t i = 0; i < encoded.size; i++) {
    char c = encoded.data[i];

    if (c == '%') {
      int high = i + 2 < encoded.size ? fy_hex_value(encoded.data[i + 1]) : -1;
      int low = high < 0 ? -1 : fy_hex_value(encoded.data[i + 2]);

      if (low < 0) {
        return -1;
      }
      c = (char)(unsigned char)(high * 16 + low);
      i += 2;
    }
    if (fy_is_control(c)) {
      return -1;
    }
    out[size++] = c;
  }
  return size;
}

static const char *last_at(const char *text, size_t size) {
  while (size > 0 && text[size - 1] != '@') {
    size--;
  }
  return size > 0 ? text + size - 1 : NULL;
}

static int split_login(const char *text, size_t size, struct fy_proxy_url *out,
                       freddy_error *err) {
  const char *colon = memchr(text, ':', size);

  out->has_login = 1;
  out->user.data = text;
  out->user.size = colon ? (size_t)(colon - text) : size;
  out->password.data = colon ? colon + 1 : text + size;
  out->password.size = colon ? size - out->user.size - 1 : 0;
  if (!out->user.size) {
    return refuse(err, "login", "a proxy's password needs a user name");
  }
  return FREDDY_OK;
}

int fy_proxy_split(const char *text, size_t size, struct fy_proxy_url *out,
                   freddy_error *err) {
  size_t start;
  size_t end;
  const char *at;
  int rc = FREDDY_OK;

  memset(out, 0, sizeof(*out));
  start = split_scheme(text, size, &out->scheme);
  if (!start) {
    return refuse(err, "scheme", "not an http, https, socks5 or socks5h URL");
  }
  end = start;
  while (end < size && !(text[end] && strchr("/?#", text[end]))) {
    end++;
  }
  if (end < size && !(end + 1 == size && text[end] == '/')) {
    return refuse(err, "path", "a path cannot stand in it");
  }
  at = last_at(text + start, end - start);
  if (at) {
    rc = split_login(text + start, (size_t)(at - text) - start, out, err);
    start = (size_t)(at - text) + 1;
  }
  out->at.port = schemes[out->scheme].port;
  return rc ? rc
            : fy_url_split_authority(text + start, end - start, &out->at, err);
}
