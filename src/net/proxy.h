/* SPDX-License-Identifier: MIT */
/* The proxy of a client, its credentials included. Immutable; it belongs to
 * one client. */
#ifndef FY_NET_PROXY_H
#define FY_NET_PROXY_H

#include "base/secret.h"
#include "freddy.h"
#include "rules/proxy.h"

struct fy_proxy {
  enum fy_proxy_scheme scheme;
  char *url;    /* without credentials */
  char *host;   /* lower case, without brackets */
  char *bypass; /* the list no_proxy, or NULL */
  unsigned port;
  int literal; /* 1: its host is never looked up */
  /* All NULL without credentials; never part of a text that leaves. */
  struct fy_secret *user, *password;
  struct fy_secret *basic; /* the whole line Proxy-Authorization */
};

/* A new proxy from its URL and the list `no_proxy` (NULL: empty). FREDDY_OK,
 * FREDDY_EMISUSE or FREDDY_ENOMEM. */
int fy_proxy_new(const char *url, const char *bypass, struct fy_proxy **out,
                 freddy_error *err);
/* NULL is fine. */
void fy_proxy_free(struct fy_proxy *proxy);

/* 1 when it speaks HTTP, 0 when SOCKS. */
int fy_proxy_is_http(const struct fy_proxy *proxy);

/* 1 when requests to `url` go through it; `proxy` may be NULL. */
int fy_proxy_serves(const struct fy_proxy *proxy, const struct fy_url *url);

#endif
