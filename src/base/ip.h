/* SPDX-License-Identifier: MIT */
/* Addresses as text. */
#ifndef FY_BASE_IP_H
#define FY_BASE_IP_H

#include <stddef.h>

/* Canonical dotted quad only: four decimal numbers without leading zeros.
 * 1 and the bytes, or 0. */
int fy_ip4_parse(const char *text, size_t size, unsigned char out[4]);

/* Any form of RFC 4291 2.2, without brackets and zone. 1 and the bytes, or
 * 0. */
int fy_ip6_parse(const char *text, size_t size, unsigned char out[16]);

#endif
