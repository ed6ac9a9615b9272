/* SPDX-License-Identifier: MIT */
/* Ctrl-C inside coroutines. The `lua` program answers SIGINT with a debug
 * hook that raises "interrupted!", but it can set it on the main thread only,
 * and PUC Lua keeps one hook per thread: while a coroutine waits for an
 * answer, it would never run. So whoever waits looks at the main thread's
 * hook and carries it over. LuaJIT has one hook for all its threads. */
#ifndef FY_LUA_INTERRUPT_H
#define FY_LUA_INTERRUPT_H

#include "lua/lua_compat.h"

/* Remember which thread is the main one, if this is it. Needed by 5.1 alone,
 * which has no other way to find it. May raise. */
void fy_interrupt_open(lua_State *L);

/* The main thread's hook, to be compared after the wait. */
lua_Hook fy_interrupt_look(lua_State *L);

/* If an interrupt stands on the main thread, move it to the running
 * coroutine, where it fires on return to Lua. An interrupt is a hook that a C
 * function set and that either came while we waited (`before` is what
 * fy_interrupt_look said), so asynchronously, or stops at once, whatever
 * happens next, as those of signal handlers do; that one may also have come
 * while Lua code ran. Hooks of debug.sethook are never touched. May raise. */
void fy_interrupt_carry(lua_State *L, lua_Hook before);

#endif
