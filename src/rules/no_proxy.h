/* SPDX-License-Identifier: MIT */
/* Which servers are reached without the proxy: the list that `no_proxy`
 * holds. Pure; nothing is looked up.
 *
 * Entries are separated by commas or blanks:
 *   *                      every server
 *   example.com            that host, and every host under it
 *   .example.com           the same, as is *.example.com
 *   192.0.2.1, 2001:db8::1 an address, compared by value
 *   10.0.0.0/8, fd00::/8   a range of addresses
 * and each but "*" and a range may end in ":port"; an IPv6 address stands in
 * brackets then. Names are compared without regard to case and to the dot of
 * the root. Only a server that is named by its address is compared with
 * addresses. */
#ifndef FY_RULES_NO_PROXY_H
#define FY_RULES_NO_PROXY_H

#include <stddef.h>

#include "rules/url.h"

/* 1 when every entry of the list is one of these. */
int fy_no_proxy_is_valid(const char *list, size_t size);

/* 1 when `list` names the host and port of `url`. Entries that are none of
 * these name nothing. */
int fy_no_proxy_has(const char *list, size_t size, const struct fy_url *url);

#endif
