/* SPDX-License-Identifier: MIT */
#include "lua/fields.h"

#include <limits.h>
#include <string.h>

#include "base/error.h"

static int wrong_type(lua_State *L, const char *name, const char *wanted,
                      int index) {
  return luaL_error(L, "%s: %s expected, got %s", name, wanted,
                    luaL_typename(L, index));
}

static int has_nul(const char *text, size_t size) {
  return memchr(text, '\0', size) != NULL;
}

const char *fy_field_bytes(lua_State *L, int table, const char *name,
                           size_t *size) {
  *size = 0;
  lua_getfield(L, table, name);
  if (lua_isnil(L, -1)) {
    return NULL;
  }
  if (lua_type(L, -1) != LUA_TSTRING) {
    wrong_type(L, name, "string", -1);
  }
  return lua_tolstring(L, -1, size);
}

const char *fy_field_text(lua_State *L, int table, const char *name,
                          freddy_error *err) {
  size_t size;
  const char *text = fy_field_bytes(L, table, name, &size);

  if (text && has_nul(text, size)) {
    fy_error_set(err, FREDDY_EMISUSE, NULL, "%s contains a NUL byte", name);
    return NULL;
  }
  return text;
}

int64_t fy_field_count(lua_State *L, int table, const char *name,
                       int64_t absent) {
  int64_t count = absent;

  if (fy_lua_getfield(L, table, name) != LUA_TNIL &&
      (!fy_lua_toint64(L, -1, &count) || count < 0)) {
    luaL_error(L, "%s: a whole number, not negative, expected", name);
  }
  lua_pop(L, 1);
  return count;
}

int fy_field_int(lua_State *L, int table, const char *name) {
  int64_t number = 0;

  if (fy_lua_getfield(L, table, name) != LUA_TNIL &&
      (!fy_lua_toint64(L, -1, &number) || number < INT_MIN ||
       number > INT_MAX)) {
    luaL_error(L, "%s: a whole number expected", name);
  }
  lua_pop(L, 1);
  return (int)number;
}

int fy_field_flag(lua_State *L, int table, const char *name) {
  int flag;

  lua_getfield(L, table, name);
  if (!lua_isnil(L, -1) && !lua_isboolean(L, -1)) {
    wrong_type(L, name, "boolean", -1);
  }
  flag = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return flag;
}

double fy_field_seconds(lua_State *L, int table, const char *name) {
  double number = 0;

  lua_getfield(L, table, name);
  if (!lua_isnil(L, -1)) {
    if (lua_type(L, -1) != LUA_TNUMBER) {
      wrong_type(L, name, "number", -1);
    }
    number = (double)lua_tonumber(L, -1);
  }
  lua_pop(L, 1);
  return number;
}

void fy_field_timeouts(lua_State *L, int table, freddy_timeouts *timeouts) {
  int inner;

  lua_getfield(L, table, "timeout");
  if (!lua_isnil(L, -1)) {
    if (!lua_istable(L, -1)) {
      wrong_type(L, "timeout", "table", -1);
    }
    inner = lua_gettop(L);
    timeouts->connect = fy_field_seconds(L, inner, "connect");
    timeouts->first_byte = fy_field_seconds(L, inner, "first_byte");
    timeouts->stall = fy_field_seconds(L, inner, "stall");
    timeouts->event = fy_field_seconds(L, inner, "event");
    timeouts->total = fy_field_seconds(L, inner, "total");
    timeouts->auth = fy_field_seconds(L, inner, "auth");
  }
  lua_pop(L, 1);
}

/* Reads kind and value from the top of the stack. */
static void read_part(lua_State *L, const char *name, freddy_part *part,
                      freddy_error *err) {
  static const char *const kinds[] = {"bytes", "file", "reader"};
  const char *kind = lua_tostring(L, -2);
  size_t size = 0;
  int i;

  for (i = 0; i < 3 && (!kind || strcmp(kind, kinds[i]) != 0); i++) {
  }
  part->source = (freddy_source)i;
  part->data = NULL;
  if (i < FREDDY_READER && lua_type(L, -1) == LUA_TSTRING) {
    part->data = lua_tolstring(L, -1, &size);
    part->size = (int64_t)size;
  } else if (i != FREDDY_READER || !fy_lua_toint64(L, -1, &part->size)) {
    luaL_error(L, "%s: kinds and values in turn expected", name);
  }
  if (part->source == FREDDY_FILE && has_nul(part->data, size)) {
    fy_error_set(err, FREDDY_EMISUSE, NULL, "%s contains a NUL byte", name);
  }
}

const freddy_part *fy_field_parts(lua_State *L, int table, const char *name,
                                  size_t *count, freddy_error *err) {
  freddy_part *parts;
  int array;
  size_t i;

  *count = 0;
  lua_getfield(L, table, name);
  if (lua_isnil(L, -1)) {
    lua_pushnil(L);
    return NULL;
  }
  if (!lua_istable(L, -1)) {
    wrong_type(L, name, "table", -1);
  }
  array = lua_gettop(L);
  *count = lua_rawlen(L, -1) / 2;
  parts = lua_newuserdata(L, (*count + 1) * sizeof(*parts));
  for (i = 0; i < *count; i++) {
    lua_rawgeti(L, array, (int)(2 * i + 1));
    lua_rawgeti(L, array, (int)(2 * i + 2));
    read_part(L, name, &parts[i], err);
    lua_pop(L, 2);
  }
  return parts;
}

void fy_list_init(lua_State *L, int table, const char *name,
                  struct fy_pairs *list) {
  memset(list, 0, sizeof(*list));
  list->name = name;
  list->is_list = 1;
  lua_getfield(L, table, name);
  if (lua_isnil(L, -1)) {
    lua_pushnil(L);
    return;
  }
  if (!lua_istable(L, -1)) {
    wrong_type(L, name, "table", -1);
  }
  list->table = lua_gettop(L);
  list->count = lua_rawlen(L, -1);
  list->items = lua_newuserdata(L, (list->count + 1) * sizeof(*list->items));
}

void fy_pairs_init(lua_State *L, int table, const char *name,
                   struct fy_pairs *pairs) {
  fy_list_init(L, table, name, pairs);
  pairs->is_list = 0;
  if (pairs->count % 2) {
    luaL_error(L, "%s: names and values in turn expected", name);
  }
}

static void refuse_nul(const struct fy_pairs *pairs, size_t at,
                       freddy_error *err) {
  if (pairs->is_list) {
    fy_error_set(err, FREDDY_EMISUSE, NULL, "%s: one contains a NUL byte",
                 pairs->name);
  } else {
    fy_error_set(err, FREDDY_EMISUSE, NULL,
                 at % 2 ? "the value of header %s contains a NUL byte"
                        : "the header name %s contains a NUL byte",
                 pairs->items[at - at % 2]);
  }
}

const char *const *fy_pairs_fill(lua_State *L, struct fy_pairs *pairs,
                                 freddy_error *err) {
  size_t i, size;

  if (!pairs->table) {
    return NULL;
  }
  for (i = 0; i < pairs->count; i++) {
    lua_rawgeti(L, pairs->table, (int)i + 1);
    if (lua_type(L, -1) != LUA_TSTRING) {
      wrong_type(L, pairs->name, "string", -1);
    }
    pairs->items[i] = lua_tolstring(L, -1, &size);
    lua_pop(L, 1);
    if (has_nul(pairs->items[i], size)) {
      refuse_nul(pairs, i, err);
      return NULL;
    }
  }
  pairs->items[pairs->count] = NULL;
  return pairs->items;
}
