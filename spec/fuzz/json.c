/* SPDX-License-Identifier: MIT */
/* Input: a JSON text. Where the way without a document makes a value of it,
 * the way with one makes the same. */
#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "lua/json.h"
#include "rules/json.h"

static lua_State *state;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void differ(const char *what) {
  fprintf(stderr, "the values differ: %s\n", what);
  abort();
}

static void check_same(lua_State *L, int a, int b);

/* All that is in the table at `a` is in that at `b`; both indices absolute. */
static int check_members(lua_State *L, int a, int b) {
  int count = 0;

  lua_pushnil(L);
  while (lua_next(L, a)) {
    lua_pushvalue(L, -2);
    lua_rawget(L, b);
    check_same(L, lua_gettop(L) - 1, lua_gettop(L));
    lua_pop(L, 2);
    count++;
  }
  return count;
}

static int has_mark(lua_State *L, int index) {
  int has = lua_getmetatable(L, index);

  lua_pop(L, has);
  return has;
}

static void check_same(lua_State *L, int a, int b) {
  luaL_checkstack(L, 8, "too deep");
  if (lua_type(L, a) != lua_type(L, b)) {
    differ("types");
  } else if (lua_type(L, a) != LUA_TTABLE) {
    if (!lua_rawequal(L, a, b)) {
      differ("values");
    }
#if FY_LUA_INTEGERS
    if (lua_isinteger(L, a) != lua_isinteger(L, b)) {
      differ("kinds of number");
    }
#endif
  } else if (has_mark(L, a) != has_mark(L, b)) {
    differ("marks");
  } else if (check_members(L, a, b) != check_members(L, b, a)) {
    differ("members");
  }
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc;
  (void)argv;
  state = luaL_newstate();
  fy_json_open(state);
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *message = "";
  json_t *document;

  lua_settop(state, 0);
  if (!fy_json_push_usual(state, (const char *)data, size)) {
    return lua_gettop(state) == 0 ? 0 : (differ("the stack"), 0);
  }
  document = fy_json_parse((const char *)data, size, NULL);
  if (!document || !fy_json_push(state, document, &message)) {
    differ(document ? message : "no document");
  }
  json_decref(document);
  check_same(state, 1, 2);
  return 0;
}
