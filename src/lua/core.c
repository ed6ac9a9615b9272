/* SPDX-License-Identifier: MIT */
/* `require "freddy.core"`: the module's functions, and what the files of the
 * binding share. lua/freddy/core.d.lua says what each does. */
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/random.h"
#include "freddy_lua.h"
#include "lua/interrupt.h"
#include "lua/json.h"
#include "lua/lua_core.h"
#include "rules/header.h"
#include "rules/no_proxy.h"
#include "rules/turn.h"
#include "rules/url.h"

#define BOX_MT "freddy.box"

/* --- Classes ------------------------------------------------------------ */

void fy_class_push(lua_State *L, const char *name, const luaL_Reg *methods,
                   const luaL_Reg *meta) {
  fy_lua_newmetatable(L, name);
  luaL_setfuncs(L, meta, 0);
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "__index");
  lua_remove(L, -2);
}

void *fy_class_check(lua_State *L, int index, const char *name, size_t size,
                     const char *mark) {
  const char **memory = lua_touserdata(L, index);

  if (memory && lua_rawlen(L, index) == size && *memory == mark) {
    return memory;
  }
  return luaL_checkudata(L, index, name);
}

/* --- Errors ------------------------------------------------------------- */

void fy_error_push(lua_State *L, const freddy_error *err) {
  lua_createtable(L, 0, 4);
  lua_pushstring(L, freddy_error_name(err->code));
  lua_setfield(L, -2, "kind");
  if (err->reason[0]) {
    lua_pushstring(L, err->reason);
    lua_setfield(L, -2, "reason");
  }
  lua_pushstring(L, err->message);
  lua_setfield(L, -2, "message");
  lua_pushboolean(L, err->sent);
  lua_setfield(L, -2, "sent");
  if (err->retry_after > 0) {
    lua_pushnumber(L, (lua_Number)err->retry_after);
    lua_setfield(L, -2, "retry_after");
  }
  if (err->cause) {
    lua_pushstring(L, err->cause);
    lua_setfield(L, -2, "cause");
  }
  if (err->uncertain) {
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "uncertain");
  }
}

int fy_nil_return(lua_State *L) {
  lua_pushnil(L);
  return 1;
}

void fy_cause_push(lua_State *L, const freddy_error *err, int status) {
  if (err->code != FREDDY_OK) {
    fy_error_push(L, err);
  } else {
    lua_createtable(L, 0, 6);
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "sent");
  }
  if (status) {
    lua_pushinteger(L, status);
    lua_setfield(L, -2, "status");
  }
}

int fy_error_return(lua_State *L, const freddy_error *err) {
  lua_pushnil(L);
  fy_error_push(L, err);
  return 2;
}

int fy_closed_return(lua_State *L, const char *what) {
  freddy_error err;

  memset(&err, 0, sizeof(err));
  fy_error_set(&err, FREDDY_ECLOSED, NULL, "%s is closed", what);
  return fy_error_return(L, &err);
}

/* --- Boxes -------------------------------------------------------------- */

static int l_box_gc(lua_State *L) {
  struct lbox *box = luaL_checkudata(L, 1, BOX_MT);
  void *memory = box->memory;

  box->memory = NULL;
  box->release(memory);
  return 0;
}

struct lbox *fy_box_push(lua_State *L, void (*release)(void *memory)) {
  struct lbox *box = lua_newuserdata(L, sizeof(*box));

  box->memory = NULL;
  box->release = release;
  luaL_setmetatable(L, BOX_MT);
  return box;
}

void fy_box_unpack(lua_State *L, struct lbox *box, size_t size) {
  void *memory = box->memory;

  lua_pushlstring(L, memory ? memory : "", size);
  box->memory = NULL;
  box->release(memory);
}

static void box_open(lua_State *L) {
  static const luaL_Reg methods[] = {{NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", l_box_gc}, {NULL, NULL}};

  fy_class_push(L, BOX_MT, methods, meta);
  lua_pop(L, 1);
}

/* --- Functions ---------------------------------------------------------- */

static const char *check_string(lua_State *L, int index, size_t *size) {
  luaL_checktype(L, index, LUA_TSTRING); /* a number is not converted */
  return lua_tolstring(L, index, size);
}

static int l_now(lua_State *L) {
  lua_pushnumber(L, (lua_Number)fy_clock_now() / (lua_Number)FY_SECOND);
  return 1;
}

static int l_random(lua_State *L) {
  static const char digits[] = "0123456789abcdef";
  lua_Integer count = luaL_checkinteger(L, 1);
  unsigned char bytes[FY_MAX_RANDOM];
  char text[2 * FY_MAX_RANDOM];
  int i;

  luaL_argcheck(L, count > 0 && count <= FY_MAX_RANDOM, 1, "1 to 32 expected");
  if (fy_random(bytes, (size_t)count)) {
    return luaL_error(L, "the system gives no random bytes");
  }
  for (i = 0; i < count; i++) {
    text[2 * i] = digits[bytes[i] >> 4];
    text[2 * i + 1] = digits[bytes[i] & 15];
  }
  lua_pushlstring(L, text, 2 * (size_t)count);
  return 1;
}

static int l_encode_uri(lua_State *L) {
  size_t size;
  const char *text = check_string(L, 1, &size);
  struct lbox *box = fy_box_push(L, fy_free);
  struct fy_buf buf;
  int rc;

  fy_buf_init(&buf, FY_MAX_URL);
  rc = fy_url_encode(text, size, &buf);
  box->memory = fy_buf_take(&buf, &size);
  if (rc) {
    return luaL_error(
        L, rc == FREDDY_ENOMEM ? "not enough memory" : "too long for a URL");
  }
  fy_box_unpack(L, box, box->memory ? size : 0);
  return 1;
}

static int l_event_status(lua_State *L) {
  size_t size;
  const char *json = check_string(L, 1, &size);

  lua_pushinteger(L, fy_turn_status(json, size));
  return 1;
}

static int l_is_token(lua_State *L) {
  size_t size;
  const char *text = check_string(L, 1, &size);

  lua_pushboolean(L, fy_header_is_token(text, size));
  return 1;
}

static int l_is_value(lua_State *L) {
  size_t size;
  const char *text = check_string(L, 1, &size);

  lua_pushboolean(L, fy_header_is_value(text, size));
  return 1;
}

static int l_is_no_proxy(lua_State *L) {
  size_t size;
  const char *list = check_string(L, 1, &size);

  lua_pushboolean(L, fy_no_proxy_is_valid(list, size));
  return 1;
}

static int l_header_owner(lua_State *L) {
  static const char *const owners[] = {"free", "credential", "ours"};
  size_t size, key_size;
  const char *name = check_string(L, 1, &size);
  const char *key_header = NULL;

  if (!lua_isnoneornil(L, 2)) {
    key_header = check_string(L, 2, &key_size);
    luaL_argcheck(L, strlen(key_header) == key_size, 2, "a NUL byte in it");
  }
  lua_pushstring(L, owners[fy_header_owner(name, size, key_header)]);
  return 1;
}

static const luaL_Reg functions[] = {{"now", l_now},
                                     {"random", l_random},
                                     {"json_encode", fy_l_json_encode},
                                     {"json_decode", fy_l_json_decode},
                                     {"json_array", fy_l_json_array},
                                     {"json_is_array", fy_l_json_is_array},
                                     {"encode_uri", l_encode_uri},
                                     {"event_status", l_event_status},
                                     {"is_token", l_is_token},
                                     {"is_value", l_is_value},
                                     {"is_no_proxy", l_is_no_proxy},
                                     {"header_owner", l_header_owner},
                                     {"inbox", fy_l_inbox_new},
                                     {"client", fy_l_client_new},
                                     {NULL, NULL}};

int luaopen_freddy_core(lua_State *L) {
  fy_interrupt_open(L);
  box_open(L);
  fy_client_open(L);
  fy_inbox_open(L);
  fy_call_open(L);
  fy_json_open(L);
  luaL_newlib(L, functions);
  lua_pushstring(L, freddy_version());
  lua_setfield(L, -2, "version");
  lua_pushlightuserdata(L, NULL);
  lua_setfield(L, -2, "null");
  lua_pushinteger(L, FY_INLINE_JSON);
  lua_setfield(L, -2, "inline_json");
  return 1;
}
