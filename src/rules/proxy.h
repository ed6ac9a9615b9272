/* SPDX-License-Identifier: MIT */
/* The URL of a proxy: split, and its credentials decoded. Pure. */
#ifndef FY_RULES_PROXY_H
#define FY_RULES_PROXY_H

#include <stddef.h>

#include "freddy.h"
#include "rules/url.h"

enum fy_proxy_scheme {
  FY_PROXY_HTTP,
  FY_PROXY_HTTPS,  /* TLS to the proxy as well */
  FY_PROXY_SOCKS5, /* the server's name is looked up here */
  FY_PROXY_SOCKS5H /* and here by the proxy */
};

struct fy_proxy_url {
  enum fy_proxy_scheme scheme;
  int has_login;
  struct fy_span user, password; /* still percent-encoded */
  struct fy_url at; /* of which only host, host_is_ipv6 and port are set */
};

/* "http", "https", "socks5" or "socks5h". Static. */
const char *fy_proxy_scheme_name(enum fy_proxy_scheme scheme);

/* Split "scheme://[user[:password]@]host[:port][/]"; without a port it is the
 * scheme's own: 80, 443, 1080. FREDDY_OK, or FREDDY_EMISUSE with a reason in
 * `err` (optional): "scheme", "login", "host", "port", "path"; the message
 * holds nothing of the text. The views are into `text`; on failure `out`
 * means nothing. */
int fy_proxy_split(const char *text, size_t size, struct fy_proxy_url *out,
                   freddy_error *err);

/* Percent-decode a user name or a password into `out`, which has room for
 * `encoded.size` bytes; the size, or -1 for a '%' without two digits, and for
 * a control character (RFC 7617 2). */
long fy_proxy_decode(struct fy_span encoded, char *out);

#endif
