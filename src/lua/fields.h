/* SPDX-License-Identifier: MIT */
/* Reading the option tables that Lua hands to the binding. The Lua layer has
 * checked them already; here a value of the wrong type raises and names its
 * field. What a C string cannot carry, an embedded NUL, is refused through
 * `err` as misuse, never cut. */
#ifndef FY_LUA_FIELDS_H
#define FY_LUA_FIELDS_H

#include "freddy.h"
#include "lua/lua_compat.h"

/* Room on the Lua stack for all that the readers of one table push. */
#define FY_FIELDS_STACK 40

/* A string, or NULL when the field is nil (or holds a NUL: `err` is filled
 * then). Pushes the value, which keeps the string alive. */
const char *fy_field_text(lua_State *L, int table, const char *name,
                          freddy_error *err);

/* The same for a string that may hold any byte. */
const char *fy_field_bytes(lua_State *L, int table, const char *name,
                           size_t *size);

/* A count of bytes, `absent` when the field is nil. Pushes nothing. */
int64_t fy_field_count(lua_State *L, int table, const char *name,
                       int64_t absent);

/* A whole number that an int can hold; nil is 0. Pushes nothing. */
int fy_field_int(lua_State *L, int table, const char *name);

/* Truth; nil is false. Pushes nothing. */
int fy_field_flag(lua_State *L, int table, const char *name);

/* A number of seconds; nil is 0. Pushes nothing. */
double fy_field_seconds(lua_State *L, int table, const char *name);

/* The table `timeout` of `table`, in seconds; 0 for what is nil. Pushes
 * nothing. */
void fy_field_timeouts(lua_State *L, int table, freddy_timeouts *timeouts);

/* A flat array { kind, value, kind, value, ... }: "bytes" and a string,
 * "file" and a path, "reader" and its size, -1 when that is not known. NULL
 * when the field is nil (or a path holds a NUL: `err` is filled then). Pushes
 * two values, which must stay until the parts have been used; the strings
 * live as long as the Lua table does not change. */
const freddy_part *fy_field_parts(lua_State *L, int table, const char *name,
                                  size_t *count, freddy_error *err);

/* A flat array { name, value, name, value, ... }. */
struct fy_pairs {
  const char *name;
  int is_list; /* 1: no pairs but single strings, which errors never quote */
  int table;   /* stack index of the array; 0: the field is nil */
  size_t count;
  const char **items;
};

/* Make room for the array in field `name`. Pushes two values, which must
 * stay until the array has been used. */
void fy_pairs_init(lua_State *L, int table, const char *name,
                   struct fy_pairs *pairs);

/* The same for a flat array of strings. */
void fy_list_init(lua_State *L, int table, const char *name,
                  struct fy_pairs *list);

/* The array as C wants it, ended by NULL, or NULL when there is none (or a
 * string holds a NUL: `err` is filled then). The strings live as long as the
 * Lua table does not change. Allocates nothing, so that no finalizer can run
 * and change it before the array is used. */
const char *const *fy_pairs_fill(lua_State *L, struct fy_pairs *pairs,
                                 freddy_error *err);

#endif
