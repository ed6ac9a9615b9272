/* SPDX-License-Identifier: MIT */
/* freddy for a program that has Lua inside: link libfreddy-lua.a and
 * libfreddy.a, built for the same Lua as the program, then
 *
 *     lua_pushcfunction(L, freddy_preload);
 *     lua_pcall(L, 0, 0, 0);
 *
 * and `require "freddy"` works in that state without any file. libcurl,
 * jansson and zlib stay shared libraries. docs/embedding.md has the rest. */
#ifndef FREDDY_LUA_H
#define FREDDY_LUA_H

#include "freddy.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lua_State;

/* Put freddy into `package.preload`: the core and every module of its Lua
 * layer, whose text is part of the library. Nothing is loaded before a script
 * requires it, nothing is read and no thread is started. May be called again;
 * `package.preload` may be changed afterwards. A lua_CFunction, and a plain
 * function as well; it leaves the stack as it was.
 *
 * L  a state in which Lua's package library is open; borrowed. When freddy is
 *    required, it wants Lua's base, coroutine, math, string and table
 *    libraries. `debug` lets errors name the caller's line, os lets freddy.new
 *    read the environment, io shows errors that nobody handles.
 *
 * Returns 0, the number of its results. Raises, as Lua does, when the package
 * library is not open or memory runs out: call it protected. */
FREDDY_API int freddy_preload(struct lua_State *L);

/* `require "freddy.core"`: what freddy_preload puts under that name, for a
 * program that keeps the Lua files elsewhere. A lua_CFunction; pushes the
 * module's table and returns 1. */
FREDDY_API int luaopen_freddy_core(struct lua_State *L);

#ifdef __cplusplus
}
#endif

#endif
