/* SPDX-License-Identifier: MIT */
/* What differs between Lua 5.1, 5.2, 5.3, 5.4 and LuaJIT 2.1, in one place.
 * Functions that a version lacks get their standard name; what differs in
 * more than the name is a function fy_lua_* of our own. */
#ifndef FY_LUA_LUA_COMPAT_H
#define FY_LUA_LUA_COMPAT_H

#include <stdint.h>

#include <lua.h>
#include <lauxlib.h>

#define FY_LUA_INLINE static inline __attribute__((unused))

/* Lua has integers of 64 bits beside its floats. */
#define FY_LUA_INTEGERS (LUA_VERSION_NUM >= 503)

/* Numbers up to this magnitude are exact as integers in a double. */
#define FY_LUA_MAX_EXACT 9007199254740992.0 /* 2^53 */

/* Where `package.loaded` stands in the registry. */
#ifndef LUA_LOADED_TABLE
#define LUA_LOADED_TABLE "_LOADED"
#endif

/* --- 5.1 without what LuaJIT took over from 5.2 ------------------------- */

#ifndef LUA_OK
#define LUA_OK 0

#define luaL_newlib(L, list)                                           \
  (lua_createtable(L, 0, (int)(sizeof(list) / sizeof((list)[0])) - 1), \
   luaL_setfuncs(L, list, 0))

FY_LUA_INLINE void luaL_setfuncs(lua_State *L, const luaL_Reg *list,
                                 int upvalues) {
  int i;

  luaL_checkstack(L, upvalues + 1, "too many upvalues");
  for (; list->name; list++) {
    for (i = 0; i < upvalues; i++) {
      lua_pushvalue(L, -upvalues);
    }
    lua_pushcclosure(L, list->func, upvalues);
    lua_setfield(L, -(upvalues + 2), list->name);
  }
  lua_pop(L, upvalues);
}

FY_LUA_INLINE void luaL_setmetatable(lua_State *L, const char *name) {
  luaL_getmetatable(L, name);
  lua_setmetatable(L, -2);
}

FY_LUA_INLINE void *luaL_testudata(lua_State *L, int index, const char *name) {
  void *memory = lua_touserdata(L, index);

  if (!memory || !lua_getmetatable(L, index)) {
    return NULL;
  }
  luaL_getmetatable(L, name);
  if (!lua_rawequal(L, -1, -2)) {
    memory = NULL;
  }
  lua_pop(L, 2);
  return memory;
}
#endif

/* --- 5.1 and LuaJIT ----------------------------------------------------- */

#if LUA_VERSION_NUM < 502
#define lua_rawlen lua_objlen

FY_LUA_INLINE int lua_absindex(lua_State *L, int index) {
  return index > 0 || index <= LUA_REGISTRYINDEX ? index
                                                 : lua_gettop(L) + index + 1;
}
#endif

/* --- Before 5.3 --------------------------------------------------------- */

#if LUA_VERSION_NUM < 503
FY_LUA_INLINE int lua_isinteger(lua_State *L, int index) {
  (void)L;
  (void)index;
  return 0;
}

FY_LUA_INLINE int lua_geti(lua_State *L, int index, lua_Integer key) {
  index = lua_absindex(L, index);
  lua_pushinteger(L, key);
  lua_gettable(L, index);
  return lua_type(L, -1);
}
#endif

/* --- All versions ------------------------------------------------------- */

/* lua_getfield and lua_rawgeti that answer the type on every version. */
FY_LUA_INLINE int fy_lua_getfield(lua_State *L, int index, const char *name) {
  lua_getfield(L, index, name);
  return lua_type(L, -1);
}

FY_LUA_INLINE int fy_lua_rawgeti(lua_State *L, int index, int key) {
  lua_rawgeti(L, index, key);
  return lua_type(L, -1);
}

/* luaL_newmetatable with `__name`, which 5.1 and 5.2 do not set. Set each
 * time, so that a table that a lack of memory left half made gets it. */
FY_LUA_INLINE int fy_lua_newmetatable(lua_State *L, const char *name) {
  int created = luaL_newmetatable(L, name);

  lua_pushstring(L, name);
  lua_setfield(L, -2, "__name");
  return created;
}

/* Push an integer: exact on 5.3+; elsewhere the nearest double, which is
 * exact up to FY_LUA_MAX_EXACT. Never raises. */
FY_LUA_INLINE void fy_lua_pushint64(lua_State *L, int64_t value) {
#if FY_LUA_INTEGERS
  lua_pushinteger(L, (lua_Integer)value);
#else
  lua_pushnumber(L, (lua_Number)value);
#endif
}

/* The integer that `number` is. 1, or 0 when it has a fraction or does not
 * fit (NaN and the infinities included). */
FY_LUA_INLINE int fy_lua_number_int64(lua_Number number, int64_t *value) {
  if (!(number >= -9223372036854775808.0 && number < 9223372036854775808.0)) {
    return 0;
  }
  *value = (int64_t)number;
  return (lua_Number)*value == number;
}

/* The integer at `index`, from a number only (no string is converted). 1, or
 * 0 when there is no number or it is no integer of 64 bits. */
FY_LUA_INLINE int fy_lua_toint64(lua_State *L, int index, int64_t *value) {
  if (lua_type(L, index) != LUA_TNUMBER) {
    return 0;
  }
  if (lua_isinteger(L, index)) {
    *value = (int64_t)lua_tointeger(L, index);
    return 1;
  }
  return fy_lua_number_int64(lua_tonumber(L, index), value);
}

/* The one user value of a userdata, which must be a table for the sake of
 * 5.1 and 5.2. set pops it; get pushes it (5.1: the globals when none was
 * set; 5.2 and up: nil). */
FY_LUA_INLINE void fy_lua_setuservalue(lua_State *L, int index) {
#if LUA_VERSION_NUM >= 504
  lua_setiuservalue(L, index, 1);
#elif LUA_VERSION_NUM >= 502
  lua_setuservalue(L, index);
#else
  lua_setfenv(L, index);
#endif
}

FY_LUA_INLINE void fy_lua_getuservalue(lua_State *L, int index) {
#if LUA_VERSION_NUM >= 504
  lua_getiuservalue(L, index, 1);
#elif LUA_VERSION_NUM >= 502
  lua_getuservalue(L, index);
#else
  lua_getfenv(L, index);
#endif
}

#endif
