/* SPDX-License-Identifier: MIT */
#include "base/random.h"

#include <unistd.h>
#ifdef __APPLE__
#include <sys/random.h>
#endif

int fy_random(void *into, size_t size) {
  return getentropy(into, size);
}
