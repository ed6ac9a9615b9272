/* SPDX-License-Identifier: MIT */
/* Events of a call that is pulled, many at a time: what they cost the host's
 * thread is what tables and strings cost. */
#include <string.h>

#include "lua/lua_core.h"

/* How much is moved into Lua at once: little enough that whoever stops
 * reading holds back the server, and not Lua's memory. */
enum { MAX_EVENTS = 64, MAX_BYTES = 64 * 1024 };

/* Upvalues of fill: the fields' names, and what most events are called. */
enum { EVENT = 1, DATA, ID, RETRY, MESSAGE, UPVALUES = MESSAGE };

/* Stack slots of fill. */
enum { CALL = 1, LIST, CLASS, LAST_ID };

static void push_name(lua_State *L, const freddy_event *event) {
  static const char message[] = "message";

  if (event->name_size == sizeof(message) - 1 &&
      memcmp(event->name, message, sizeof(message) - 1) == 0) {
    lua_pushvalue(L, lua_upvalueindex(MESSAGE));
  } else {
    lua_pushlstring(L, event->name, event->name_size);
  }
}

/* What only events of a turn have. */
static void push_class(lua_State *L, const freddy_event *event) {
  static const char *const names[] = {
      [FREDDY_NOTE] = "note",     [FREDDY_CONTENT] = "content",
      [FREDDY_QUIET] = "quiet",   [FREDDY_TERMINAL] = "terminal",
      [FREDDY_FAILURE] = "error",
  };

  lua_pushstring(L, names[event->turn_class]);
  lua_setfield(L, -2, "class");
  if (event->status) {
    lua_pushinteger(L, event->status);
    lua_setfield(L, -2, "status");
  }
  if (event->tool >= 0) {
    lua_pushinteger(L, event->tool + 1);
    lua_setfield(L, -2, "tool");
  }
  if (event->whole) {
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "whole");
  }
}

/* Whether slot LAST_ID has the event's id already: mostly it stays. */
static int has_last_id(lua_State *L, const freddy_event *event) {
  size_t size;
  const char *last = lua_tolstring(L, LAST_ID, &size);

  return last && size == event->id_size && memcmp(last, event->id, size) == 0;
}

static void push_event(lua_State *L, const freddy_event *event) {
  lua_createtable(L, 0, 4);
  lua_pushvalue(L, lua_upvalueindex(EVENT));
  push_name(L, event);
  lua_rawset(L, -3);
  lua_pushvalue(L, lua_upvalueindex(DATA));
  lua_pushlstring(L, event->data, event->size);
  lua_rawset(L, -3);
  if (event->id) {
    if (!has_last_id(L, event)) {
      lua_pushlstring(L, event->id, event->id_size);
      lua_replace(L, LAST_ID);
    }
    lua_pushvalue(L, lua_upvalueindex(ID));
    lua_pushvalue(L, LAST_ID);
    lua_rawset(L, -3);
  }
  if (event->retry >= 0) {
    lua_pushvalue(L, lua_upvalueindex(RETRY));
    fy_lua_pushint64(L, event->retry);
    lua_rawset(L, -3);
  }
  if (event->turn_class) {
    push_class(L, event);
  }
  lua_pushvalue(L, CLASS);
  lua_setmetatable(L, -2);
}

/* The next one is there; or, for the first, is to be told of: who has got some
 * does not wait yet. */
static int has_next(struct lcall *call, int count) {
  return call->pending || ((count == 0 || call->event.more) &&
                           freddy_call_next(call->handle, &call->event));
}

/* call, list, class: append what is there to the empty list, so that what a
 * raise interrupts has lost nothing. */
static int fill(lua_State *L) {
  struct lcall *call = lua_touserdata(L, CALL);
  size_t bytes = 0;
  int count = 0;

  lua_pushnil(L);
  while (count < MAX_EVENTS && bytes < MAX_BYTES && has_next(call, count)) {
    call->pending = 1;
    push_event(L, &call->event);
    lua_rawseti(L, LIST, ++count);
    call->pending = 0;
    bytes += call->event.size;
  }
  lua_rawgeti(L, LIST, 1);
  return 1;
}

/* The first event of those that are there now, all of which stand in the
 * table `list` then; or nil. Protected as l_call_take is. */
static int l_call_events(lua_State *L) {
  struct lcall *call =
      fy_class_check(L, 1, FY_CALL_MT, sizeof(struct lcall), &fy_call_mark);
  int rc;

  luaL_checktype(L, 2, LUA_TTABLE);
  luaL_checktype(L, 3, LUA_TTABLE);
  if (!call->handle || call->busy) {
    return fy_nil_return(L);
  }
  lua_settop(L, 3);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  call->busy = 1;
  rc = lua_pcall(L, 3, 1, 0);
  call->busy = 0;
  return rc ? lua_error(L) : 1;
}

void fy_events_open(lua_State *L) {
  static const char *const names[UPVALUES] = {"event", "data", "id", "retry",
                                              "message"};
  int i;

  for (i = 0; i < UPVALUES; i++) {
    lua_pushstring(L, names[i]);
  }
  lua_pushcclosure(L, fill, UPVALUES);
  lua_pushcclosure(L, l_call_events, 1);
  lua_setfield(L, -2, "events");
}
