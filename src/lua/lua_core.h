/* SPDX-License-Identifier: MIT */
/* What the files of the binding share: the userdata that own what freddy.h
 * hands out, and how errors become tables.
 *
 * Every function here reads and checks its arguments first, then makes the
 * userdata that will own the result, then acquires it: at each step a raise
 * leaves nothing without an owner. Handles are read last, since a finalizer
 * that runs during an allocation may close what they stand for. */
#ifndef FY_LUA_CORE_H
#define FY_LUA_CORE_H

#include "freddy.h"
#include "lua/lua_compat.h"

#define FY_CLIENT_MT "freddy.client"
#define FY_INBOX_MT "freddy.inbox"
#define FY_CALL_MT "freddy.call"

/* In all three a NULL handle means freed, or never acquired, and `class` is
 * what fy_class_check looks for, or NULL. */
struct lclient {
  const char *class;
  freddy_client *handle;
  int closed;
};

struct linbox {
  const char *class;
  freddy_inbox *handle;
  freddy_event event; /* the one at hand */
  int pending;        /* 1: Lua had no memory for it; it is given again */
  int draining;       /* 1: its bytes are being copied */
  int closing;        /* 1: to be freed as soon as that is over */
};

struct lcall {
  const char *class;
  freddy_call *handle;
  int busy;           /* 1: what the handle lends is being copied */
  freddy_event event; /* the piece at hand */
  int pending;        /* 1: Lua had no memory for it; it is given again */
};

/* Register a class: `methods` behind __index, `meta` beside it. Pushes the
 * table of methods. */
void fy_class_push(lua_State *L, const char *name, const luaL_Reg *methods,
                   const luaL_Reg *meta);

/* The address of a class's own byte, first in its userdata from the moment
 * that their metatable is set until __gc: then fy_class_check needs not ask
 * the registry, which costs more than most methods. */
extern const char fy_client_mark, fy_inbox_mark, fy_call_mark;

/* As luaL_checkudata, for userdata of `size` bytes that begin with `mark`. */
void *fy_class_check(lua_State *L, int index, const char *name, size_t size,
                     const char *mark);

void fy_client_open(lua_State *L);
void fy_inbox_open(lua_State *L);
void fy_call_open(lua_State *L);
/* Set the method `events` in the table of a call's methods, on top. */
void fy_events_open(lua_State *L);

int fy_l_client_new(lua_State *L);
/* The handle of the client at index 1; NULL: it is freed. */
freddy_client *fy_client_handle(lua_State *L);
/* Methods of a client that are in a file of their own, and what they have of
 * its options. Pushes what `opts` borrows. */
void fy_rate_read(lua_State *L, int table, freddy_options *opts,
                  freddy_error *err);
int fy_l_client_rate(lua_State *L);
int fy_l_client_set_rate_limit(lua_State *L);
int fy_l_client_stats(lua_State *L);
int fy_l_inbox_new(lua_State *L);

/* Push a call that is not started yet; `owner` is the stack index of the
 * client that has to outlive it, or 0. */
struct lcall *fy_call_push(lua_State *L, int owner);

/* Push { kind =, reason =, message =, sent = }. */
void fy_error_push(lua_State *L, const freddy_error *err);

/* Push why something is repeated: the error, or (code FREDDY_OK) only
 * { status =, sent = true }. */
void fy_cause_push(lua_State *L, const freddy_error *err, int status);

/* Push nil; returns 1. What methods answer on what is freed. */
int fy_nil_return(lua_State *L);

/* Push nil and the error; returns 2. */
int fy_error_return(lua_State *L, const freddy_error *err);

/* The same with kind "closed", for what has to say why. */
int fy_closed_return(lua_State *L, const char *what);

/* Memory of C's that must not leak when a push raises. */
struct lbox {
  void *memory;
  void (*release)(void *memory);
};

/* Push an empty box, which owns whatever is put into it. */
struct lbox *fy_box_push(lua_State *L, void (*release)(void *memory));
/* Push the box's `size` bytes as a string and empty it. */
void fy_box_unpack(lua_State *L, struct lbox *box, size_t size);

#endif
