/* SPDX-License-Identifier: MIT */
/* Bytes that nobody can guess, from the operating system. */
#ifndef FY_BASE_RANDOM_H
#define FY_BASE_RANDOM_H

#include <stddef.h>

#include "freddy.h"

enum { FY_MAX_RANDOM = 32 }; /* more is never needed at once */

/* Fill `into` with `size` bytes. 0, or -1 when there are none to be had. */
FREDDY_MUST_CHECK int fy_random(void *into, size_t size);

#endif
