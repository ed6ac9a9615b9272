/* SPDX-License-Identifier: MIT */
/* In the static library only: `require "freddy"` from memory. */
#include "freddy_lua.h"
#include "lua/embed/modules.h"
#include "lua/lua_compat.h"

/* What `require` calls: load the module that the upvalue counts to, and run
 * it with the same arguments. */
static int l_module_load(lua_State *L) {
  lua_Integer i = lua_tointeger(L, lua_upvalueindex(1));
  const struct fy_module *module = &fy_modules[i];
  int count = lua_gettop(L);

  if (luaL_loadbuffer(L, (const char *)module->text, module->size,
                      module->chunk)) {
    return lua_error(L);
  }
  lua_insert(L, 1);
  lua_call(L, count, 1);
  return 1;
}

/* Replace the table on top by its field `name`, which must be one too. */
static void descend(lua_State *L, const char *name) {
  if (lua_type(L, -1) == LUA_TTABLE) {
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
  }
}

int freddy_preload(lua_State *L) {
  lua_Integer i;

  luaL_checkstack(L, 4, "freddy_preload");
  lua_pushliteral(L, LUA_LOADED_TABLE);
  lua_rawget(L, LUA_REGISTRYINDEX);
  descend(L, "package");
  descend(L, "preload");
  if (lua_type(L, -1) != LUA_TTABLE) {
    return luaL_error(L, "freddy_preload: open the package library first");
  }
  lua_pushcfunction(L, luaopen_freddy_core);
  lua_setfield(L, -2, "freddy.core");
  for (i = 0; fy_modules[i].name; i++) {
    lua_pushinteger(L, i);
    lua_pushcclosure(L, l_module_load, 1);
    lua_setfield(L, -2, fy_modules[i].name);
  }
  lua_pop(L, 1);
  return 0;
}
