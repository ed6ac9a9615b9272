/* SPDX-License-Identifier: MIT */
#include "lua/interrupt.h"

/* What every signal handler of lua.c asks for (5.4 adds the line). */
#define AT_ONCE (LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT)

#ifdef LUA_RIDX_MAINTHREAD

void fy_interrupt_open(lua_State *L) {
  (void)L;
}

static lua_State *main_push(lua_State *L) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  return lua_tothread(L, -1);
}

#else

static const char main_key = 0;

void fy_interrupt_open(lua_State *L) {
  lua_pushlightuserdata(L, (void *)&main_key);
  if (lua_pushthread(L)) {
    lua_rawset(L, LUA_REGISTRYINDEX);
  } else {
    lua_pop(L, 2);
  }
}

static lua_State *main_push(lua_State *L) {
  lua_pushlightuserdata(L, (void *)&main_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  return lua_tothread(L, -1); /* NULL: loaded by a coroutine */
}

#endif

lua_Hook fy_interrupt_look(lua_State *L) {
  lua_State *main = main_push(L);

  lua_pop(L, 1);
  return main ? lua_gethook(main) : NULL;
}

/* 1 when the hook of the thread at `index` is a C function's: only
 * debug.gethook can tell, since debug.sethook sets a C function too. */
static int is_external(lua_State *L, int index) {
  int top = lua_gettop(L);
  int external = 1; /* no debug library, no hooks of its own */

  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "debug");
  if (lua_istable(L, -1)) {
    lua_getfield(L, -1, "gethook");
    lua_pushvalue(L, index);
    external = lua_pcall(L, 1, 1, 0) == 0 && lua_type(L, -1) == LUA_TSTRING;
  }
  lua_settop(L, top);
  return external;
}

void fy_interrupt_carry(lua_State *L, lua_Hook before) {
  lua_State *main = main_push(L);
  lua_Hook hook = main ? lua_gethook(main) : NULL;
  int mask = hook ? lua_gethookmask(main) : 0;
  int count = hook ? lua_gethookcount(main) : 0;

  if (mask && main != L && hook != lua_gethook(L) &&
      (hook != before || ((mask & AT_ONCE) == AT_ONCE && count == 1)) &&
      is_external(L, lua_gettop(L))) {
    lua_sethook(L, hook, mask, count);
    lua_sethook(main, NULL, 0, 0);
  }
  lua_pop(L, 1);
}
