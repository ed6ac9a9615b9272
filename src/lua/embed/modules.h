/* SPDX-License-Identifier: MIT */
/* The Lua layer as data: tools/embed makes the file that defines it. */
#ifndef FY_LUA_EMBED_MODULES_H
#define FY_LUA_EMBED_MODULES_H

#include <stddef.h>

struct fy_module {
  const char *name;          /* "freddy.client"; NULL ends the list */
  const char *chunk;         /* what tracebacks call it */
  const unsigned char *text; /* the file as it is, no bytecode */
  size_t size;
};

extern const struct fy_module fy_modules[];

#endif
