/* SPDX-License-Identifier: MIT */
/* Base64 with padding (RFC 4648 4). */
#ifndef FY_BASE_BASE64_H
#define FY_BASE_BASE64_H

#include <stddef.h>

/* How many characters `size` bytes become, without a NUL. */
#define FY_BASE64_SIZE(size) (((size) + 2) / 3 * 4)

/* Write exactly FY_BASE64_SIZE(size) characters to `out`, and no NUL. */
void fy_base64(const void *data, size_t size, char *out);

#endif
