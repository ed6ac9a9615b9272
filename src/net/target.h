/* SPDX-License-Identifier: MIT */
/* Where an attempt goes: all that follows from a URL. */
#ifndef FY_NET_TARGET_H
#define FY_NET_TARGET_H

#include <stddef.h>

#include "freddy.h"
#include "rules/url.h"

struct fy_target {
  char *url;  /* absolute, ready to be sent */
  char *host; /* lower case; what is looked up: mostly the proxy's, where
                 there is one */
  int https;
  int literal;     /* 1: no look-up needed */
  int localhost;   /* 1: pinned to loopback */
  int by_proxy;    /* 1: goes through the client's proxy */
  int late_lookup; /* 1: the name is looked up once the proxy is reached */
  unsigned port;
};

/* Fill a zeroed `target` with `path` (which may hold a query) under the
 * client's base URL. FREDDY_OK, FREDDY_ETOO_LARGE, FREDDY_ENOMEM. The caller
 * clears the target, whatever came out. */
FREDDY_MUST_CHECK int fy_target_under(struct fy_target *target,
                                      const struct freddy_client *client,
                                      const char *path, size_t size);

/* The same for a full URL, split already. */
FREDDY_MUST_CHECK int fy_target_at(struct fy_target *target,
                                   const struct freddy_client *client,
                                   const struct fy_url *url);

/* Free what it owns; all zero afterwards. */
void fy_target_clear(struct fy_target *target);

#endif
