/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/error.h"
#include "lua/fields.h"
#include "lua/json.h"
#include "lua/lua_core.h"

enum { USUAL_HEADERS = 8 };

const char fy_call_mark = 0;

static struct lcall *check_call(lua_State *L) {
  return fy_class_check(L, 1, FY_CALL_MT, sizeof(struct lcall), &fy_call_mark);
}

struct lcall *fy_call_push(lua_State *L, int owner) {
  struct lcall *call = lua_newuserdata(L, sizeof(*call));

  call->handle = NULL; /* freed, and already safe for __gc */
  call->busy = call->pending = 0;
  call->class = NULL;
  luaL_setmetatable(L, FY_CALL_MT);
  call->class = &fy_call_mark;
  if (owner) {
    fy_lua_getuservalue(L, owner);
    fy_lua_setuservalue(L, -2);
  }
  return call;
}

/* --- The answer --------------------------------------------------------- */

static void set_number(lua_State *L, const char *name, double value) {
  lua_pushnumber(L, (lua_Number)value);
  lua_setfield(L, -2, name);
}

static void set_count(lua_State *L, const char *name, int64_t value) {
  fy_lua_pushint64(L, value);
  lua_setfield(L, -2, name);
}

static void set_flag(lua_State *L, const char *name) {
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, name);
}

static void push_headers(lua_State *L, const freddy_call *handle) {
  const char *name, *value;
  size_t i;

  lua_createtable(L, 2 * USUAL_HEADERS, 0); /* growing it costs more */
  for (i = 0; freddy_call_header(handle, i, &name, &value); i++) {
    /* lua_pushstring would look in its cache first, and spoil it. */
    lua_pushlstring(L, name, strlen(name));
    lua_rawseti(L, -2, (int)(2 * i + 1));
    lua_pushlstring(L, value, strlen(value));
    lua_rawseti(L, -2, (int)(2 * i + 2));
  }
}

static void push_head(lua_State *L, const freddy_call *handle) {
  lua_createtable(L, 0, 9);
  set_count(L, "status", freddy_call_status(handle));
  push_headers(L, handle);
  lua_setfield(L, -2, "headers");
  lua_pushstring(L, freddy_call_url(handle));
  lua_setfield(L, -2, "url");
}

static void push_timing(lua_State *L, const freddy_stats *stats) {
  lua_createtable(L, 0, 6);
  set_number(L, "waited", stats->waited);
  set_number(L, "dns", stats->dns);
  set_number(L, "connect", stats->connect);
  set_number(L, "tls", stats->tls);
  set_number(L, "first_byte", stats->first_byte);
  set_number(L, "total", stats->total);
}

static void push_response(lua_State *L, const freddy_call *handle) {
  freddy_stats stats;
  const char *body;
  size_t size = 0;

  freddy_call_stats(handle, &stats);
  push_head(L, handle);
  body = freddy_call_body(handle, &size);
  lua_pushlstring(L, body, size);
  lua_setfield(L, -2, "body");
  push_timing(L, &stats);
  lua_setfield(L, -2, "timing");
  set_count(L, "attempts", stats.attempts);
  set_count(L, "http_version", stats.http_version);
  set_count(L, "sent", stats.sent);
  set_count(L, "received", stats.received);
  if (stats.saved) {
    set_count(L, "saved", stats.saved);
  }
  if (stats.retry_after >= 0) {
    set_number(L, "retry_after", stats.retry_after);
  }
  if (stats.retry_budget_empty) {
    set_flag(L, "retry_budget_empty");
  }
  if (stats.unreplayed) {
    set_flag(L, "unreplayed");
  }
  if (stats.body_cut) {
    set_flag(L, "body_cut");
  }
  lua_pushboolean(L, stats.reused);
  lua_setfield(L, -2, "reused");
}

/* Into the error on the stack's top: how often it was tried, and why that was
 * not enough. */
static void add_attempts(lua_State *L, const freddy_call *handle) {
  const freddy_error *last;
  freddy_stats stats;
  int status = 0;

  freddy_call_stats(handle, &stats);
  if (stats.attempts) {
    set_count(L, "attempts", stats.attempts);
  }
  if (stats.retry_budget_empty) {
    set_flag(L, "retry_budget_empty");
  }
  last = freddy_call_last(handle, &status);
  if (last) {
    fy_cause_push(L, last, status);
    lua_setfield(L, -2, "last");
  }
}

/* `busy` keeps a finalizer that runs while the answer is copied from freeing
 * it: l_call_free then leaves that to __gc. A raise leaves it set, which
 * costs no more than that. */
static int l_call_result(lua_State *L) {
  struct lcall *call = check_call(L);
  const freddy_error *err;
  int results = 1;

  if (!call->handle || !freddy_call_done(call->handle)) {
    return fy_nil_return(L);
  }
  call->busy = 1;
  err = freddy_call_error(call->handle);
  if (err) {
    results = fy_error_return(L, err);
    add_attempts(L, call->handle);
  } else {
    push_response(L, call->handle);
  }
  if (err && freddy_call_status(call->handle)) {
    push_response(L, call->handle);
    results = 3;
  }
  call->busy = 0;
  return results;
}

/* What is known after "head": a response without body and statistics. */
static int l_call_head(lua_State *L) {
  struct lcall *call = check_call(L);
  freddy_stats stats;

  if (!call->handle || !freddy_call_status(call->handle)) {
    return fy_nil_return(L);
  }
  call->busy = 1;
  freddy_call_stats(call->handle, &stats);
  push_head(L, call->handle);
  set_count(L, "attempts", stats.attempts);
  set_count(L, "http_version", stats.http_version);
  call->busy = 0;
  return 1;
}

/* --- Pieces ------------------------------------------------------------- */

static int push_piece(lua_State *L) {
  const struct lcall *call = lua_touserdata(L, 1);

  lua_pushlstring(L, call->event.data, call->event.size);
  return 1;
}

/* Protected, for the same reasons as in an inbox: an allocation may fail, and
 * then nothing is lost; or a finalizer frees this very call. */
static int push_guarded(lua_State *L, struct lcall *call) {
  int rc;

  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  call->busy = 1;
  rc = lua_pcall(L, 1, 1, 0);
  call->busy = 0;
  if (rc) {
    return lua_error(L);
  }
  call->pending = 0;
  return 1;
}

static int l_call_take(lua_State *L) {
  struct lcall *call = check_call(L);

  if (!call->handle || call->busy ||
      (!call->pending && !freddy_call_next(call->handle, &call->event))) {
    return fy_nil_return(L);
  }
  call->pending = 1;
  return push_guarded(L, call);
}

static int l_call_data(lua_State *L) {
  struct lcall *call = check_call(L);
  freddy_error err;
  const void *document;
  const char *body, *message;
  size_t size;
  int results;

  if (!call->handle || !freddy_call_done(call->handle)) {
    return fy_nil_return(L);
  }
  memset(&err, 0, sizeof(err));
  message = err.message;
  call->busy = 1;
  document = freddy_call_document(call->handle, &err);
  if (document) {
    results = fy_json_push(L, document, &message);
  } else if (err.code) {
    results = 0;
  } else {
    body = freddy_call_body(call->handle, &size);
    results = fy_json_push_text(L, body, size);
  }
  call->busy = 0;
  if (!results) {
    lua_pushnil(L);
    lua_pushstring(L, message);
    results = 2;
  }
  return results;
}

/* --- What a call can be told -------------------------------------------- */

static int l_call_done(lua_State *L) {
  struct lcall *call = check_call(L);

  if (!call->handle) {
    return fy_nil_return(L);
  }
  lua_pushboolean(L, freddy_call_done(call->handle));
  return 1;
}

static int l_call_cancel(lua_State *L) {
  struct lcall *call = check_call(L);

  if (call->handle) {
    freddy_call_cancel(call->handle);
  }
  return 0;
}

static int l_call_tried(lua_State *L) {
  struct lcall *call = check_call(L);
  freddy_stats stats;

  if (!call->handle) {
    return fy_nil_return(L);
  }
  freddy_call_stats(call->handle, &stats);
  fy_lua_pushint64(L, stats.attempts);
  lua_pushboolean(L, freddy_call_sent(call->handle));
  return 2;
}

/* nil: the reader failed; "": the end of the body. */
static int l_call_answer(lua_State *L) {
  struct lcall *call = check_call(L);
  lua_Integer question = luaL_checkinteger(L, 2);
  const char *data = NULL;
  size_t size = 0;
  int code;
  freddy_error err;

  if (!lua_isnoneornil(L, 3)) {
    luaL_checktype(L, 3, LUA_TSTRING);
    data = lua_tolstring(L, 3, &size);
  }
  if (!call->handle) {
    return fy_closed_return(L, "the call");
  }
  code = freddy_call_answer(call->handle, (uint32_t)question, data, size);
  if (code) {
    memset(&err, 0, sizeof(err));
    fy_error_set(&err, (freddy_code)code, NULL,
                 code == FREDDY_ENOMEM
                     ? "out of memory"
                     : "the reader gave more than was asked");
    return fy_error_return(L, &err);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* question, { access_token =, refresh_token =, expires_in = }?, failure? */
static int l_call_answer_token(lua_State *L) {
  struct lcall *call = check_call(L);
  lua_Integer question = luaL_checkinteger(L, 2);
  const char *failure = luaL_optstring(L, 4, NULL);
  int given = lua_istable(L, 3);
  freddy_tokens tokens;
  freddy_error err;
  int code;

  memset(&tokens, 0, sizeof(tokens));
  memset(&err, 0, sizeof(err));
  if (given) {
    tokens.access_token = fy_field_text(L, 3, "access_token", &err);
    tokens.refresh_token = fy_field_text(L, 3, "refresh_token", &err);
    tokens.expires_in = fy_field_seconds(L, 3, "expires_in");
  }
  if (err.code) { /* a NUL byte */
    tokens.access_token = NULL;
  }
  if (!call->handle) {
    return fy_closed_return(L, "the call");
  }
  code = freddy_call_answer_token(call->handle, (uint32_t)question,
                                  given ? &tokens : NULL, failure);
  if (code) {
    fy_error_set(&err, (freddy_code)code, NULL, "the answer was not taken");
    return fy_error_return(L, &err);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* question, { granted =, wait =, room =, today = }?, age */
static int l_call_answer_permits(lua_State *L) {
  struct lcall *call = check_call(L);
  lua_Integer question = luaL_checkinteger(L, 2);
  int given = lua_istable(L, 3);
  freddy_permits permits;

  memset(&permits, 0, sizeof(permits));
  if (given) {
    permits.granted = (uint32_t)fy_field_count(L, 3, "granted", 0);
    permits.room = (uint32_t)fy_field_count(L, 3, "room", 0);
    permits.today = (uint32_t)fy_field_count(L, 3, "today", 0);
    lua_getfield(L, 3, "wait");
    permits.wait = lua_tonumber(L, -1);
    permits.age = luaL_optnumber(L, 4, 0);
  }
  if (!call->handle) {
    return fy_closed_return(L, "the call");
  }
  if (freddy_call_answer_permits(call->handle, (uint32_t)question,
                                 given ? &permits : NULL)) {
    return fy_nil_return(L);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* --- Ends --------------------------------------------------------------- */

static void call_free(struct lcall *call) {
  freddy_call *handle = call->handle;

  call->handle = NULL; /* mark first: may be called twice */
  freddy_call_free(handle);
}

static int l_call_gc(lua_State *L) {
  struct lcall *call = check_call(L);

  call->class = NULL;
  call_free(call);
  return 0;
}

static int l_call_free(lua_State *L) {
  struct lcall *call = check_call(L);

  if (call->busy) {
    return l_call_cancel(L);
  }
  call_free(call);
  return 0;
}

static int l_call_tostring(lua_State *L) {
  struct lcall *call = check_call(L);
  const char *text = FY_CALL_MT ": waiting";

  if (!call->handle) {
    text = FY_CALL_MT ": freed";
  } else if (freddy_call_done(call->handle)) {
    text = FY_CALL_MT ": done";
  }
  lua_pushstring(L, text);
  return 1;
}

static const luaL_Reg methods[] = {{"cancel", l_call_cancel},
                                   {"free", l_call_free},
                                   {"done", l_call_done},
                                   {"tried", l_call_tried},
                                   {"answer", l_call_answer},
                                   {"result", l_call_result},
                                   {"head", l_call_head},
                                   {"data", l_call_data},
                                   {"answer_token", l_call_answer_token},
                                   {"answer_permits", l_call_answer_permits},
                                   {NULL, NULL}};

static const luaL_Reg meta[] = {{"__gc", l_call_gc},
                                {"__close", l_call_free},
                                {"__tostring", l_call_tostring},
                                {NULL, NULL}};

void fy_call_open(lua_State *L) {
  fy_class_push(L, FY_CALL_MT, methods, meta);
  lua_pushcfunction(L, push_piece);
  lua_pushcclosure(L, l_call_take, 1);
  lua_setfield(L, -2, "take");
  fy_events_open(L);
  lua_pop(L, 1);
}
