/* SPDX-License-Identifier: MIT */
#include "net/proxy.h"

#include <string.h>

#include "base/ascii.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"
#include "rules/no_proxy.h"

static const char BASIC[] = "Proxy-Authorization: Basic ";

enum { MAX_SOCKS_LOGIN = 255 }; /* RFC 1929 2 */

void fy_proxy_free(struct fy_proxy *proxy) {
  if (!proxy) {
    return;
  }
  fy_free(proxy->url);
  fy_free(proxy->host);
  fy_free(proxy->bypass);
  fy_secret_unref(proxy->user);
  fy_secret_unref(proxy->password);
  fy_secret_unref(proxy->basic);
  fy_free(proxy);
}

int fy_proxy_is_http(const struct fy_proxy *proxy) {
  return proxy->scheme == FY_PROXY_HTTP || proxy->scheme == FY_PROXY_HTTPS;
}

int fy_proxy_serves(const struct fy_proxy *proxy, const struct fy_url *url) {
  return proxy &&
         !(proxy->bypass &&
           fy_no_proxy_has(proxy->bypass, strlen(proxy->bypass), url));
}

/* --- Credentials -------------------------------------------------------- */

/* user:password as Basic has it (RFC 7617 2), in `room` of twice that and
 * more, which is wiped by the caller. */
static int set_basic(struct fy_proxy *proxy, char *room) {
  size_t user = fy_secret_size(proxy->user);
  size_t size = user + 1 + fy_secret_size(proxy->password);

  memcpy(room, fy_secret_text(proxy->user), user);
  room[user] = ':';
  memcpy(room + user + 1, fy_secret_text(proxy->password), size - user - 1);
  fy_base64(room, size, room + size);
  proxy->basic = fy_secret_new(BASIC, room + size, FY_BASE64_SIZE(size));
  return proxy->basic ? FREDDY_OK : FREDDY_ENOMEM;
}

static int set_secret(struct fy_span encoded, char *room,
                      struct fy_secret **out, freddy_error *err) {
  long size = fy_proxy_decode(encoded, room);

  if (size < 0) {
    return fy_error_set(err, FREDDY_EMISUSE, "login",
                        "proxy: its user name or password has a control "
                        "character, or a %% without two hex digits");
  }
  *out = fy_secret_new(NULL, room, (size_t)size);
  return *out ? FREDDY_OK : fy_error_nomem(err);
}

static int check_login(const struct fy_proxy *proxy, freddy_error *err) {
  if (fy_proxy_is_http(proxy)) {
    if (strchr(fy_secret_text(proxy->user), ':')) {
      return fy_error_set(err, FREDDY_EMISUSE, "login",
                          "proxy: its user name has a colon, which HTTP "
                          "cannot send");
    }
  } else if (fy_secret_size(proxy->user) > MAX_SOCKS_LOGIN ||
             fy_secret_size(proxy->password) > MAX_SOCKS_LOGIN) {
    return fy_error_set(err, FREDDY_EMISUSE, "login",
                        "proxy: its user name or password is longer than "
                        "SOCKS5 can send");
  }
  return FREDDY_OK;
}

static int set_login(struct fy_proxy *proxy, const struct fy_proxy_url *url,
                     freddy_error *err) {
  size_t most = url->user.size + 1 + url->password.size;
  size_t size = most + FY_BASE64_SIZE(most);
  char *room = fy_malloc(size);
  int rc;

  if (!room) {
    return fy_error_nomem(err);
  }
  rc = set_secret(url->user, room, &proxy->user, err);
  if (rc == FREDDY_OK) {
    rc = set_secret(url->password, room, &proxy->password, err);
  }
  if (rc == FREDDY_OK) {
    rc = check_login(proxy, err);
  }
  if (rc == FREDDY_OK && set_basic(proxy, room) != FREDDY_OK) {
    rc = fy_error_nomem(err);
  }
  fy_wipe(room, size);
  fy_free(room);
  return rc;
}

/* --- Where it is -------------------------------------------------------- */

static int set_place(struct fy_proxy *proxy, const struct fy_proxy_url *url,
                     freddy_error *err) {
  int six = url->at.host_is_ipv6;
  struct fy_buf text;
  int rc;

  proxy->scheme = url->scheme;
  proxy->port = url->at.port;
  proxy->literal = fy_url_is_literal(&url->at);
  proxy->host = fy_strndup(url->at.host.data, url->at.host.size);
  if (!proxy->host) {
    return fy_error_nomem(err);
  }
  for (char *at = proxy->host; *at; at++) {
    *at = fy_lower(*at);
  }
  fy_buf_init(&text, FY_MAX_URL);
  rc = fy_buf_addf(&text, "%s://%s%s%s:%u", fy_proxy_scheme_name(url->scheme),
                   six ? "[" : "", proxy->host, six ? "]" : "", url->at.port);
  proxy->url = fy_buf_take(&text, NULL);
  return rc == FREDDY_OK ? rc : fy_error_nomem(err);
}

static int set_bypass(struct fy_proxy *proxy, const char *list,
                      freddy_error *err) {
  if (!list) {
    return FREDDY_OK;
  }
  if (!fy_no_proxy_is_valid(list, strlen(list))) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL,
                        "no_proxy: an entry is no host, domain, address or "
                        "range of addresses");
  }
  proxy->bypass = fy_strndup(list, strlen(list));
  return proxy->bypass ? FREDDY_OK : fy_error_nomem(err);
}

int fy_proxy_new(const char *url, const char *bypass, struct fy_proxy **out,
                 freddy_error *err) {
  freddy_error why = {.code = FREDDY_OK};
  struct fy_proxy_url parts;
  struct fy_proxy *proxy;
  int rc;

  *out = NULL;
  if (strlen(url) > FY_MAX_URL / 2) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL, "proxy: too long");
  }
  if (fy_proxy_split(url, strlen(url), &parts, &why) != FREDDY_OK) {
    return fy_error_set(err, FREDDY_EMISUSE, why.reason, "proxy: %s",
                        why.message);
  }
  proxy = fy_calloc(1, sizeof(*proxy));
  if (!proxy) {
    return fy_error_nomem(err);
  }
  rc = set_place(proxy, &parts, err);
  if (rc == FREDDY_OK && parts.has_login) {
    rc = set_login(proxy, &parts, err);
  }
  if (rc == FREDDY_OK) {
    rc = set_bypass(proxy, bypass, err);
  }
  if (rc == FREDDY_OK) {
    *out = proxy;
  } else {
    fy_proxy_free(proxy);
  }
  return rc;
}
