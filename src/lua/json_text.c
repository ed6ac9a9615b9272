/* SPDX-License-Identifier: MIT */
/* JSON text straight to Lua values, with no document in between: what a
 * document costs is most of what a small text takes. */
#include <limits.h>
#include <string.h>

#include "base/limits.h"
#include "lua/json.h"
#include "rules/json_token.h"

/* A container, a key, a value, a metatable or what Lua pushes meanwhile. */
#define SLOTS_PER_LEVEL 4

/* What most objects and arrays have room for from the start. */
enum { USUAL_MEMBERS = 4, LEAST_ROOM = 256 };

struct reader {
  lua_State *L;
  struct fy_json_text text;
  int array_mt; /* its place on the stack */
  int room;     /* that of the memory for escaped strings; nil at first */
  size_t room_size;
};

static int push_value(struct reader *r, int depth);

static int push_string(struct reader *r) {
  struct fy_json_string string;
  size_t size;

  if (!fy_json_string(&r->text, &string)) {
    return 0;
  }
  if (!string.is_escaped) {
    lua_pushlstring(r->L, string.raw, string.size);
    return 1;
  }
  if (string.size > r->room_size) {
    r->room_size = string.size < LEAST_ROOM ? LEAST_ROOM : string.size;
    lua_newuserdata(r->L, r->room_size);
    lua_replace(r->L, r->room);
  }
  if (!fy_json_unescape(&string, lua_touserdata(r->L, r->room), &size)) {
    return 0;
  }
  lua_pushlstring(r->L, lua_touserdata(r->L, r->room), size);
  return 1;
}

/* A NUL in a key is refused, as it is in a document. */
static int push_key(struct reader *r) {
  size_t size;
  const char *key;

  if (fy_json_peek(&r->text) != '"' || !push_string(r)) {
    return 0;
  }
  key = lua_tolstring(r->L, -1, &size);
  return !memchr(key, '\0', size) && fy_json_take(&r->text, ':');
}

static int push_object(struct reader *r, int depth) {
  lua_State *L = r->L;

  if (fy_json_take(&r->text, '}')) {
    lua_newtable(L);
    return 1;
  }
  lua_createtable(L, 0, USUAL_MEMBERS);
  do {
    if (!push_key(r) || !push_value(r, depth)) {
      return 0;
    }
    lua_rawset(L, -3);
  } while (fy_json_take(&r->text, ','));
  return fy_json_take(&r->text, '}');
}

static int push_items(struct reader *r, int depth) {
  lua_State *L = r->L;
  int count = 0;

  if (fy_json_take(&r->text, ']')) {
    lua_newtable(L);
    return 1;
  }
  lua_createtable(L, USUAL_MEMBERS, 0);
  do {
    if (count == INT_MAX || !push_value(r, depth)) {
      return 0;
    }
    lua_rawseti(L, -2, ++count);
  } while (fy_json_take(&r->text, ','));
  return fy_json_take(&r->text, ']');
}

static int push_container(struct reader *r, char kind, int depth) {
  if (depth >= FY_MAX_JSON_DEPTH || !lua_checkstack(r->L, SLOTS_PER_LEVEL)) {
    return 0;
  }
  r->text.at++;
  if (kind == '{') {
    return push_object(r, depth + 1);
  }
  if (!push_items(r, depth + 1)) {
    return 0;
  }
  lua_pushvalue(r->L, r->array_mt);
  lua_setmetatable(r->L, -2);
  return 1;
}

static int push_number(struct reader *r) {
  struct fy_json_number number;

  if (!fy_json_number(&r->text, &number)) {
    return 0;
  }
  if (number.is_real) {
    fy_json_push_real(r->L, number.real);
  } else {
    fy_lua_pushint64(r->L, number.integer);
  }
  return 1;
}

static int push_word(struct reader *r, char first) {
  if (first == 'n') {
    lua_pushlightuserdata(r->L, NULL);
    return fy_json_word(&r->text, "null");
  }
  lua_pushboolean(r->L, first == 't');
  return fy_json_word(&r->text, first == 't' ? "true" : "false");
}

static int push_value(struct reader *r, int depth) {
  char first = fy_json_peek(&r->text);

  switch (first) {
  case '{':
  case '[':
    return push_container(r, first, depth);
  case '"':
    return push_string(r);
  case 't':
  case 'f':
  case 'n':
    return push_word(r, first);
  default:
    return push_number(r);
  }
}

int fy_json_push_usual(lua_State *L, const char *text, size_t size) {
  int top = lua_gettop(L);
  struct reader reader = {L, {text, text + size}, top + 1, top + 2, 0};

  luaL_checkstack(L, SLOTS_PER_LEVEL, "too many values");
  luaL_getmetatable(L, FY_JSON_ARRAY);
  lua_pushnil(L);
  if (!push_value(&reader, 0) || fy_json_peek(&reader.text) ||
      reader.text.at < reader.text.end) {
    lua_settop(L, top);
    return 0;
  }
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
  return 1;
}
