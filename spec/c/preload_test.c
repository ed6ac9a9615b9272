/* SPDX-License-Identifier: MIT */
/* freddy_preload: a state that finds freddy in memory and nowhere else. */
#include <stdio.h>
#include <stdlib.h>

#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>

#include "freddy_lua.h"
#include "lua/embed/modules.h"
#include "unit.h"

/* Run `text` as game.lua: NULL, or the error as long as the state lives. */
static const char *run(lua_State *L, const char *text) {
  if (luaL_loadbuffer(L, text, strlen(text), "@game.lua") ||
      lua_pcall(L, 0, 0, 0)) {
    return lua_tostring(L, -1);
  }
  return NULL;
}

static lua_State *state_new(void) {
  lua_State *L = luaL_newstate();

  luaL_openlibs(L);
  CHECK_TEXT(run(L, "package.path, package.cpath = '', ''"), NULL);
  return L;
}

static void test_needs_package(void) {
  lua_State *L = luaL_newstate();

  lua_pushcfunction(L, freddy_preload);
  CHECK(lua_pcall(L, 0, 0, 0) != 0);
  CHECK_TEXT(lua_tostring(L, -1),
             "freddy_preload: open the package library first");
  lua_close(L);
}

/* What only a host can load names what is missing of that host. */
static const char *wants(const char *module) {
  static const char *const rows[][2] = {
      {"freddy.host.copas", "'copas'"}, {"freddy.host.cqueues", "'cqueues'"},
      {"freddy.host.luv", "'luv'"},     {"freddy.host.nginx", "nginx"},
      {"freddy.nginx_pump", "ngx"},
  };

  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    if (strcmp(rows[i][0], module) == 0) {
      return rows[i][1];
    }
  }
  return NULL;
}

static void check_loads(lua_State *L, const char *module) {
  const char *missing = wants(module);
  int failed;

  lua_getglobal(L, "require");
  lua_pushstring(L, module);
  failed = lua_pcall(L, 1, 1, 0);
  if (missing) {
    CHECK(failed && strstr(lua_tostring(L, -1), missing));
  } else {
    CHECK(!failed && lua_istable(L, -1));
  }
  lua_settop(L, 0);
}

static void test_every_module(void) {
  lua_State *L = state_new();
  int i;

  CHECK(run(L, "require 'freddy'") != NULL);
  lua_settop(L, 0);
  lua_pushliteral(L, "below");
  CHECK_INT(freddy_preload(L), 0);
  CHECK_INT(freddy_preload(L), 0);
  CHECK_INT(lua_gettop(L), 1);
  CHECK_TEXT(run(L,
                 "for name in pairs(package.loaded) do\n"
                 "  assert(not name:find 'freddy', name)\n"
                 "end"),
             NULL);
  for (i = 0; fy_modules[i].name; i++) {
    UNIT_CASE("%s", fy_modules[i].name);
    check_loads(L, fy_modules[i].name);
  }
  CHECK(i > 10);
  UNIT_CASE("%s", "");
  CHECK_TEXT(run(L,
                 "local freddy, core = require 'freddy', require "
                 "'freddy.core'\n"
                 "assert(freddy.version == core.version)\n"
                 "assert(freddy.new { auth = 'none' }):close()"),
             NULL);
  lua_close(L);
}

static void test_positions(void) {
  lua_State *L = state_new();
  const char *text;

  freddy_preload(L);
  text = run(L,
             "local freddy = require 'freddy'\n"
             "freddy.use 'loop'\n"
             "freddy.new { auth = 'none' }:get '/v1/models'\n");
  CHECK(text &&
        strncmp(text, "game.lua:3: client:get: this call would", 39) == 0);
  if (text && strncmp(text, "game.lua:3: ", 12) != 0) {
    printf("  got %s\n", text);
  }
  lua_close(L);
}

static void test_host_has_the_last_word(void) {
  lua_State *L = state_new();

  freddy_preload(L);
  CHECK_TEXT(run(L,
                 "package.preload['freddy.json'] = function(name)\n"
                 "  return { encode = name, decode = name }\n"
                 "end\n"
                 "assert(require 'freddy'.json.encode == 'freddy.json')"),
             NULL);
  lua_close(L);
}

/* The data is what the files hold now. */
static void test_text(void) {
  static char text[1 << 20];
  char path[80];
  size_t size;
  FILE *file;
  int i;

  for (i = 0; fy_modules[i].name; i++) {
    UNIT_CASE("%s", fy_modules[i].chunk);
    CHECK(fy_modules[i].chunk[0] == '=');
    snprintf(path, sizeof(path), "lua/%s", fy_modules[i].chunk + 1);
    file = fopen(path, "rb");
    CHECK(file != NULL);
    if (file) {
      size = fread(text, 1, sizeof(text), file);
      CHECK_BYTES((const char *)fy_modules[i].text, fy_modules[i].size, text,
                  size);
      fclose(file);
    }
  }
}

int main(void) {
  test_needs_package();
  test_every_module();
  test_positions();
  test_host_has_the_last_word();
  test_text();
  return unit_end();
}
