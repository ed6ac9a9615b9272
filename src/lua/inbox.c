/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/error.h"
#include "lua/interrupt.h"
#include "lua/json.h"
#include "lua/lua_core.h"

/* The longest that C keeps the host from running its hooks. */
#define SLICE 0.05

const char fy_inbox_mark = 0;

static struct linbox *check_inbox(lua_State *L) {
  return fy_class_check(L, 1, FY_INBOX_MT, sizeof(struct linbox),
                        &fy_inbox_mark);
}

int fy_l_inbox_new(lua_State *L) {
  struct linbox *inbox = lua_newuserdata(L, sizeof(*inbox));
  freddy_error err;

  memset(inbox, 0, sizeof(*inbox));
  memset(&err, 0, sizeof(err));
  luaL_setmetatable(L, FY_INBOX_MT);
  inbox->class = &fy_inbox_mark;
  fy_interrupt_open(L);
  if (freddy_inbox_new(&inbox->handle, &err)) {
    return fy_error_return(L, &err);
  }
  return 1;
}

/* --- Waiting ------------------------------------------------------------ */

static int l_inbox_wait(lua_State *L) {
  struct linbox *inbox = check_inbox(L);
  double seconds = luaL_checknumber(L, 2);
  lua_Hook before;
  int ready;

  if (!inbox->handle) {
    return fy_nil_return(L);
  }
  if (!(seconds >= 0 && seconds < SLICE)) { /* NaN too */
    seconds = SLICE;
  }
  before = fy_interrupt_look(L);
  ready = inbox->pending || freddy_inbox_wait(inbox->handle, seconds);
  fy_interrupt_carry(L, before);
  lua_pushboolean(L, ready);
  return 1;
}

static int l_inbox_ready(lua_State *L) {
  struct linbox *inbox = check_inbox(L);

  if (!inbox->handle) {
    return fy_nil_return(L);
  }
  lua_pushboolean(L, inbox->pending || freddy_inbox_ready(inbox->handle));
  return 1;
}

static int l_inbox_fd(lua_State *L) {
  struct linbox *inbox = check_inbox(L);
  freddy_error err;
  int fd;

  if (!inbox->handle) {
    return fy_nil_return(L);
  }
  memset(&err, 0, sizeof(err));
  fd = freddy_inbox_fd(inbox->handle, &err);
  if (fd < 0) {
    return fy_error_return(L, &err);
  }
  lua_pushinteger(L, fd);
  return 1;
}

static int l_inbox_bell(lua_State *L) {
  struct linbox *inbox = check_inbox(L);
  char secret[FREDDY_BELL_SECRET + 1];
  freddy_error err;
  int port;

  if (!inbox->handle) {
    return fy_nil_return(L);
  }
  memset(&err, 0, sizeof(err));
  if (freddy_inbox_bell_open(inbox->handle, &port, secret, &err)) {
    return fy_error_return(L, &err);
  }
  lua_pushinteger(L, port);
  lua_pushstring(L, secret);
  return 2;
}

static int l_inbox_answer(lua_State *L) {
  struct linbox *inbox = check_inbox(L);

  lua_pushboolean(L, inbox->handle && freddy_inbox_bell_answer(inbox->handle));
  return 1;
}

static int l_inbox_arm(lua_State *L) {
  struct linbox *inbox = check_inbox(L);

  lua_pushboolean(L, inbox->handle && !inbox->pending &&
                         freddy_inbox_bell_arm(inbox->handle));
  return 1;
}

static int l_inbox_hang_up(lua_State *L) {
  struct linbox *inbox = check_inbox(L);

  if (inbox->handle) {
    freddy_inbox_bell_close(inbox->handle);
  }
  return 0;
}

static int l_inbox_forked(lua_State *L) {
  struct linbox *inbox = check_inbox(L);

  if (!inbox->handle) {
    return fy_nil_return(L);
  }
  lua_pushboolean(L, freddy_inbox_forked(inbox->handle));
  return 1;
}

static void *check_id(lua_State *L, int index) {
  lua_Integer id = luaL_checkinteger(L, index);

  luaL_argcheck(L, id > 0, index, "a positive id expected");
  return (void *)(intptr_t)id;
}

static int l_inbox_timer(lua_State *L) {
  struct linbox *inbox = check_inbox(L);
  void *id = check_id(L, 2);
  double seconds = luaL_checknumber(L, 3);
  struct lcall *call;
  freddy_error err;

  memset(&err, 0, sizeof(err));
  call = fy_call_push(L, 0);
  if (!inbox->handle) {
    return fy_closed_return(L, "the inbox");
  }
  if (freddy_start_timer(inbox->handle, seconds, id, &call->handle, &err)) {
    return fy_error_return(L, &err);
  }
  return 1;
}

static int l_inbox_decode(lua_State *L) {
  struct linbox *inbox = check_inbox(L);
  void *id = check_id(L, 2);
  size_t size;
  const char *text;
  struct lcall *call;
  freddy_error err;

  luaL_checktype(L, 3, LUA_TSTRING);
  text = lua_tolstring(L, 3, &size);
  memset(&err, 0, sizeof(err));
  call = fy_call_push(L, 0);
  if (!inbox->handle) {
    return fy_closed_return(L, "the inbox");
  }
  if (freddy_decode(inbox->handle, &fy_json_decoder, text, size, id,
                    &call->handle, &err)) {
    return fy_error_return(L, &err);
  }
  return 1;
}

/* --- Events ------------------------------------------------------------- */

static void inbox_free(struct linbox *inbox) {
  freddy_inbox *handle = inbox->handle;

  inbox->handle = NULL; /* mark first: may be called twice */
  inbox->pending = 0;
  freddy_inbox_free(handle);
}

static int push_bytes(lua_State *L) {
  const struct linbox *inbox = lua_touserdata(L, 1);

  lua_pushlstring(L, inbox->event.data, inbox->event.size);
  return 1;
}

static void set_number(lua_State *L, const char *name, double number) {
  if (number != 0) {
    lua_pushnumber(L, (lua_Number)number);
    lua_setfield(L, -2, name);
  }
}

static int push_tokens(lua_State *L) {
  const struct linbox *inbox = lua_touserdata(L, 1);
  const freddy_tokens *tokens = inbox->event.tokens;

  if (!tokens) {
    lua_pushnil(L);
    return 1;
  }
  lua_createtable(L, 0, 5);
  lua_pushstring(L, tokens->access_token);
  lua_setfield(L, -2, "access_token");
  if (tokens->refresh_token) {
    lua_pushstring(L, tokens->refresh_token);
    lua_setfield(L, -2, "refresh_token");
  }
  set_number(L, "expires_in", tokens->expires_in);
  set_number(L, "expires_at", tokens->expires_at);
  lua_pushstring(L, tokens->cause);
  lua_setfield(L, -2, "cause");
  return 1;
}

/* { kind =, reason =, message =, sent =, status = } */
static int push_cause(lua_State *L) {
  const struct linbox *inbox = lua_touserdata(L, 1);
  const freddy_event *event = &inbox->event;

  fy_cause_push(L, event->cause, event->status);
  return 1;
}

static int push_failure(lua_State *L) {
  const struct linbox *inbox = lua_touserdata(L, 1);

  fy_error_push(L, inbox->event.failure);
  return 1;
}

static void set_count(lua_State *L, const char *name, uint32_t count) {
  fy_lua_pushint64(L, count);
  lua_setfield(L, -2, name);
}

/* { count =, per_minute =, burst =, per_day = } */
static int push_ask(lua_State *L) {
  const struct linbox *inbox = lua_touserdata(L, 1);
  const freddy_ask_permits *ask = inbox->event.permits;

  lua_createtable(L, 0, 4);
  set_count(L, "count", ask->count);
  set_count(L, "per_minute", ask->per_minute);
  set_count(L, "burst", ask->burst);
  set_count(L, "per_day", ask->per_day);
  return 1;
}

/* By the function at upvalue `pusher`. An allocation may fail, and then the
 * inbox must be usable again; or it may run a finalizer that asks this very
 * inbox for the next event, or closes it, while the bytes are being read. */
static int push_guarded(lua_State *L, struct linbox *inbox, int pusher,
                        int results) {
  int rc;

  lua_pushvalue(L, lua_upvalueindex(pusher));
  lua_pushvalue(L, 1);
  inbox->draining = 1;
  rc = lua_pcall(L, 1, 1, 0);
  inbox->draining = 0;
  if (inbox->closing) {
    inbox_free(inbox);
  }
  return rc ? lua_error(L) : results;
}

static void push_total(lua_State *L, int64_t total) {
  if (total < 0) {
    lua_pushnil(L);
  } else {
    fy_lua_pushint64(L, total);
  }
}

static int push_progress(lua_State *L, const freddy_event *event) {
  fy_lua_pushint64(L, event->sent);
  push_total(L, event->send_total);
  fy_lua_pushint64(L, event->received);
  push_total(L, event->receive_total);
  return 6;
}

/* The names of the events are upvalues 1 to FREDDY_DONE, so that naming one
 * that has left the inbox does not allocate; then push_bytes, push_tokens,
 * push_cause, push_failure, push_ask. */
static int push_event(lua_State *L, struct linbox *inbox) {
  const freddy_event *event = &inbox->event;

  lua_pushinteger(L, (lua_Integer)(intptr_t)event->user);
  lua_pushvalue(L, lua_upvalueindex(event->type));
  switch (event->type) {
  case FREDDY_DATA:
    return push_guarded(L, inbox, FREDDY_DONE + 1, 3);
  case FREDDY_PROGRESS:
    return push_progress(L, event);
  case FREDDY_RETRY:
    lua_pushinteger(L, event->attempt);
    lua_pushnumber(L, (lua_Number)event->delay);
    return push_guarded(L, inbox, FREDDY_DONE + 3, 5);
  case FREDDY_NEED_BODY:
    fy_lua_pushint64(L, event->question);
    fy_lua_pushint64(L, (int64_t)event->wanted);
    lua_pushinteger(L, (lua_Integer)event->part + 1);
    return 5;
  case FREDDY_NEW_TOKENS:
    fy_lua_pushint64(L, event->question);
    return push_guarded(L, inbox, FREDDY_DONE + 2, 4);
  case FREDDY_NEED_TOKEN:
    fy_lua_pushint64(L, event->question);
    lua_pushstring(L, event->why);
    return 4;
  case FREDDY_NOT_KEPT:
    return push_guarded(L, inbox, FREDDY_DONE + 4, 3);
  case FREDDY_NEED_PERMITS:
    fy_lua_pushint64(L, event->question);
    return push_guarded(L, inbox, FREDDY_DONE + 5, 4);
  case FREDDY_HEAD:
  case FREDDY_EVENT: /* always pulled */
  case FREDDY_READY:
  case FREDDY_DONE:
    break;
  }
  return 2;
}

static int l_inbox_next(lua_State *L) {
  struct linbox *inbox = check_inbox(L);
  int results;

  if (!inbox->handle || inbox->draining ||
      (!inbox->pending && !freddy_inbox_next(inbox->handle, &inbox->event))) {
    return fy_nil_return(L);
  }
  inbox->pending = 1; /* until Lua has it: a raise must not lose it */
  results = push_event(L, inbox);
  inbox->pending = 0;
  return results;
}

/* --- Ends --------------------------------------------------------------- */

static int l_inbox_close(lua_State *L) {
  struct linbox *inbox = check_inbox(L);

  if (inbox->draining) {
    inbox->closing = 1;
  } else {
    inbox_free(inbox);
  }
  return 0;
}

static int l_inbox_gc(lua_State *L) {
  check_inbox(L)->class = NULL;
  return l_inbox_close(L);
}

static int l_inbox_tostring(lua_State *L) {
  lua_pushstring(L, check_inbox(L)->handle ? FY_INBOX_MT ": open"
                                           : FY_INBOX_MT ": closed");
  return 1;
}

static const luaL_Reg methods[] = {
    {"wait", l_inbox_wait},       {"ready", l_inbox_ready},
    {"fd", l_inbox_fd},           {"bell", l_inbox_bell},
    {"answer", l_inbox_answer},   {"arm", l_inbox_arm},
    {"hang_up", l_inbox_hang_up}, {"forked", l_inbox_forked},
    {"timer", l_inbox_timer},     {"decode", l_inbox_decode},
    {"close", l_inbox_close},     {NULL, NULL}};

static const luaL_Reg meta[] = {{"__gc", l_inbox_gc},
                                {"__close", l_inbox_close},
                                {"__tostring", l_inbox_tostring},
                                {NULL, NULL}};

void fy_inbox_open(lua_State *L) {
  static const char *const names[] = {
      "head",  "data",       "event",    "progress",     "retry", "need_body",
      "token", "need_token", "not_kept", "need_permits", "ready", "done"};
  int i;

  fy_class_push(L, FY_INBOX_MT, methods, meta);
  for (i = 0; i < FREDDY_DONE; i++) {
    lua_pushstring(L, names[i]);
  }
  lua_pushcfunction(L, push_bytes);
  lua_pushcfunction(L, push_tokens);
  lua_pushcfunction(L, push_cause);
  lua_pushcfunction(L, push_failure);
  lua_pushcfunction(L, push_ask);
  lua_pushcclosure(L, l_inbox_next, FREDDY_DONE + 5);
  lua_setfield(L, -2, "next");
  lua_pop(L, 1);
}
