/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "lua/json.h"

/* Push a field of the table at `index`, without metamethods; its address, or
 * NULL when it is not of `type`. */
static const void *push_field(lua_State *L, int index, const char *name,
                              int type) {
  lua_pushstring(L, name);
  lua_rawget(L, index);
  return lua_type(L, -1) == type ? lua_topointer(L, -1) : NULL;
}

static void find_cjson(lua_State *L, int loaded, const char *name,
                       struct fy_json_marks *marks) {
  int module;

  if (!push_field(L, loaded, name, LUA_TTABLE)) {
    return;
  }
  module = lua_gettop(L);
  marks->cjson_array = push_field(L, module, "array_mt", LUA_TTABLE);
  marks->cjson_when_empty =
      push_field(L, module, "empty_array_mt", LUA_TTABLE);
  push_field(L, module, "empty_array", LUA_TLIGHTUSERDATA);
  marks->cjson_empty = lua_touserdata(L, -1); /* NULL for other types */
}

void fy_json_marks_find(lua_State *L, struct fy_json_marks *marks) {
  int loaded;

  luaL_checkstack(L, 12, "too many values");
  memset(marks, 0, sizeof(*marks));
  luaL_getmetatable(L, FY_JSON_ARRAY);
  marks->array = lua_topointer(L, -1);
  if (fy_lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE) != LUA_TTABLE) {
    return;
  }
  loaded = lua_gettop(L);
  find_cjson(L, loaded, "cjson", marks);
  if (!marks->cjson_array) {
    find_cjson(L, loaded, "cjson.safe", marks);
  }
}

fy_json_mark fy_json_mark_of(lua_State *L, int index,
                             const struct fy_json_marks *marks) {
  const void *metatable;

  if (!lua_getmetatable(L, index)) {
    return FY_JSON_UNMARKED;
  }
  metatable = lua_topointer(L, -1);
  lua_pop(L, 1);
  if (metatable == marks->array || metatable == marks->cjson_array) {
    return FY_JSON_MARKED;
  }
  return metatable == marks->cjson_when_empty ? FY_JSON_MARKED_WHEN_EMPTY
                                              : FY_JSON_UNMARKED;
}

static int table_is_empty(lua_State *L, int index) {
  lua_pushnil(L);
  if (!lua_next(L, index)) {
    return 1;
  }
  lua_pop(L, 2);
  return 0;
}

int fy_l_json_is_array(lua_State *L) {
  struct fy_json_marks marks;
  fy_json_mark mark;
  int is_array = 0;

  luaL_checkany(L, 1);
  fy_json_marks_find(L, &marks);
  if (lua_islightuserdata(L, 1)) {
    is_array = marks.cjson_empty && lua_touserdata(L, 1) == marks.cjson_empty;
  } else if (lua_istable(L, 1)) {
    mark = fy_json_mark_of(L, 1, &marks);
    is_array = mark == FY_JSON_MARKED ||
               (mark == FY_JSON_MARKED_WHEN_EMPTY && table_is_empty(L, 1));
  }
  lua_pushboolean(L, is_array);
  return 1;
}

int fy_l_json_array(lua_State *L) {
  struct fy_json_marks marks;
  fy_json_mark mark;

  if (lua_isnoneornil(L, 1)) {
    lua_settop(L, 0);
    lua_newtable(L);
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  fy_json_marks_find(L, &marks);
  mark = fy_json_mark_of(L, 1, &marks);
  if (mark == FY_JSON_UNMARKED && lua_getmetatable(L, 1)) {
    return luaL_argerror(L, 1, "the table has a metatable of its own");
  }
  if (mark != FY_JSON_MARKED) {
    luaL_getmetatable(L, FY_JSON_ARRAY);
    lua_setmetatable(L, 1);
  }
  lua_settop(L, 1);
  return 1;
}

void fy_json_open(lua_State *L) {
  fy_lua_newmetatable(L, FY_JSON_ARRAY);
  lua_pop(L, 1);
  fy_json_decode_open(L);
  fy_json_encode_open(L);
}
