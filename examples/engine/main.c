/* SPDX-License-Identifier: MIT */
/* A game's loop with Lua and freddy linked into it.
 *
 *   FREDDY_API_KEY=... engine examples/engine/game.lua
 *
 * The script returns a table with `update`, which is called once in every
 * frame until it returns false. freddy comes from memory: no path of Lua's
 * has to lead to it. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>

#include "freddy.h"
#include "freddy_lua.h"

#define STEP (1.0 / 60) /* seconds of one frame */
#define MAX_FRAMES 3600

static double now(void) {
  struct timespec time;

  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* What is left of the frame: your engine waits for the display here. */
static void wait_until(double moment) {
  double left = moment - now();
  struct timespec time;

  if (left > 0 && left < 1) {
    time.tv_sec = 0;
    time.tv_nsec = (long)(left * 1e9);
    nanosleep(&time, NULL);
  }
}

static int fail(lua_State *L, const char *what) {
  const char *text = lua_tostring(L, -1);

  fprintf(stderr, "%s: %s\n", what, text ? text : "(no message)");
  return EXIT_FAILURE;
}

/* Leaves the script's table on the stack. */
static int load(lua_State *L, const char *script) {
  luaL_openlibs(L);
  lua_pushcfunction(L, freddy_preload);
  if (lua_pcall(L, 0, 0, 0) || luaL_loadfile(L, script) ||
      lua_pcall(L, 0, 1, 0)) {
    return fail(L, script);
  }
  if (!lua_istable(L, -1)) {
    lua_pushliteral(L, "it returned no table");
    return fail(L, script);
  }
  return EXIT_SUCCESS;
}

static int play(lua_State *L) {
  double next = now(), began, longest = 0;
  int frame, more = 1;

  for (frame = 0; more && frame < MAX_FRAMES; frame++) {
    began = now();
    lua_getfield(L, -1, "update");
    lua_pushnumber(L, STEP);
    if (lua_pcall(L, 1, 2, 0)) {
      return fail(L, "update");
    }
    more = lua_toboolean(L, -2);
    if (!lua_isnil(L, -1)) {
      return fail(L, "game");
    }
    lua_pop(L, 2);
    longest = now() - began > longest ? now() - began : longest;
    next += STEP; /* and here it draws */
    wait_until(next);
  }
  printf("%d frames, the longest update took %.1f ms\n", frame,
         longest * 1000);
  return more ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv) {
  lua_State *L = luaL_newstate();
  int status;

  if (!L || argc != 2) {
    fprintf(stderr, "usage: engine SCRIPT\n");
    return EXIT_FAILURE;
  }
  status = load(L, argv[1]);
  if (status == EXIT_SUCCESS) {
    status = play(L);
  }
  lua_close(L);
  freddy_shutdown();
  return status;
}
