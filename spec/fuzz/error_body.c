/* SPDX-License-Identifier: MIT */
/* Input: a byte that picks the status, one that picks the content type, then
 * the body of an error answer. Whatever it is, the error is made of bounded
 * lines. The parser is Lua: each of its lines counts as covered code. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { COUNTERS = 4096 };

/* libFuzzer looks at every array in this section. */
__attribute__((section("__libfuzzer_extra_counters"),
               used)) static uint8_t counters[COUNTERS];

static lua_State *state;
static int check = LUA_NOREF;

int luaopen_freddy_core(lua_State *L);
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void count_line(lua_State *L, lua_Debug *frame) {
  lua_getinfo(L, "Sl", frame);
  counters[((uintptr_t)frame->source / 8 + (uintptr_t)frame->currentline) %
           COUNTERS]++;
}

static void fail(lua_State *L) {
  fprintf(stderr, "%s\n", lua_tostring(L, -1));
  abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  lua_State *L = luaL_newstate();

  (void)argc;
  (void)argv;
  luaL_openlibs(L);
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, luaopen_freddy_core);
  lua_setfield(L, -2, "freddy.core");
  lua_pushliteral(L, "lua/?.lua");
  lua_setfield(L, -3, "path");
  lua_pop(L, 2);
  if (luaL_dofile(L, "spec/fuzz/error_body.lua")) {
    fail(L);
  }
  check = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_sethook(L, count_line, LUA_MASKLINE, 0);
  state = L;
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const int statuses[] = {400, 401, 403, 404, 409, 418,
                                 422, 429, 500, 503, 302, 199};

  if (size < 2) {
    return 0;
  }
  lua_rawgeti(state, LUA_REGISTRYINDEX, check);
  lua_pushinteger(state, statuses[data[0] % 12]);
  lua_pushinteger(state, data[1] % 4 + 1);
  lua_pushlstring(state, (const char *)data + 2, size - 2);
  if (lua_pcall(state, 3, 0, 0)) {
    fail(state);
  }
  return 0;
}
