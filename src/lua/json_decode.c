/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <math.h>
#include <string.h>

#include <jansson.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"
#include "lua/json.h"
#include "rules/json.h"
#include "rules/json_refer.h"

#define DOCUMENT_MT "freddy.json_document"

/* What one level of nesting needs: a container, a key, a value, a metatable
 * or what Lua itself pushes for a moment. */
#define SLOTS_PER_LEVEL 4

struct builder {
  lua_State *L;
  int array_mt;     /* its place on the stack: no look-up for each array */
  const char *text; /* what the document's strings refer to, or NULL */
  const char *message;
};

static int push_value(struct builder *b, const json_t *value, int depth);

static int push_array(struct builder *b, const json_t *array, int depth) {
  lua_State *L = b->L;
  size_t size = json_array_size(array);
  size_t i;

  if (size >= INT_MAX) {
    b->message = "the JSON has too many values for Lua";
    return 0;
  }
  lua_createtable(L, (int)size, 0);
  for (i = 0; i < size; i++) {
    if (!push_value(b, json_array_get(array, i), depth)) {
      return 0;
    }
    lua_rawseti(L, -2, (int)i + 1);
  }
  lua_pushvalue(L, b->array_mt);
  lua_setmetatable(L, -2);
  return 1;
}

static int push_object(struct builder *b, json_t *object, int depth) {
  lua_State *L = b->L;
  size_t size = json_object_size(object);
  void *at;

  if (size >= INT_MAX) {
    b->message = "the JSON has too many values for Lua";
    return 0;
  }
  lua_createtable(L, 0, (int)size);
  for (at = json_object_iter(object); at;
       at = json_object_iter_next(object, at)) {
    lua_pushstring(L, json_object_iter_key(at));
    if (!push_value(b, json_object_iter_value(at), depth)) {
      return 0;
    }
    lua_rawset(L, -3);
  }
  return 1;
}

static int push_container(struct builder *b, const json_t *value, int depth) {
  if (depth >= FY_MAX_JSON_DEPTH || !lua_checkstack(b->L, SLOTS_PER_LEVEL)) {
    b->message = "the JSON is nested too deep for Lua";
    return 0;
  }
  if (json_is_array(value)) {
    return push_array(b, value, depth + 1);
  }
  return push_object(b, (json_t *)value, depth + 1);
}

/* 1.0 and 1e2 are integers where Lua has them. Not so -0.0, whose sign would
 * be lost, and -2^63: integers below it are rounded to that real, and must not
 * come as an integer that they are not. */
static void push_real(lua_State *L, double number) {
#if FY_LUA_INTEGERS
  int64_t integer;

  if (fy_lua_number_int64(number, &integer) && integer != INT64_MIN &&
      (integer || !signbit(number))) {
    lua_pushinteger(L, (lua_Integer)integer);
    return;
  }
#endif
  lua_pushnumber(L, number);
}

/* Never inlined: on most Luas the buffer has 8 KB, which each level of nesting
 * would have on its stack. */
__attribute__((noinline)) static int push_pieces(struct builder *b,
                                                 struct fy_json_piece left) {
  lua_State *L = b->L;
  struct fy_json_piece piece;
  luaL_Buffer buffer;

  if (!lua_checkstack(L, LUA_MINSTACK)) {
    b->message = "the JSON is nested too deep for Lua";
    return 0;
  }
  luaL_buffinit(L, &buffer);
  while (fy_json_next_piece(&left, b->text, &piece)) {
    luaL_addlstring(&buffer, piece.data, piece.size);
  }
  luaL_pushresult(&buffer);
  return 1;
}

static int push_string(struct builder *b, const json_t *value) {
  struct fy_json_piece all = {json_string_value(value),
                              json_string_length(value)};
  struct fy_json_piece left = all, piece = all;

  if (b->text && fy_json_next_piece(&left, b->text, &piece) && left.size) {
    return push_pieces(b, all);
  }
  lua_pushlstring(b->L, piece.data, piece.size);
  return 1;
}

static int push_value(struct builder *b, const json_t *value, int depth) {
  lua_State *L = b->L;

  switch (json_typeof(value)) {
  case JSON_OBJECT:
  case JSON_ARRAY:
    return push_container(b, value, depth);
  case JSON_STRING:
    return push_string(b, value);
  case JSON_INTEGER:
    fy_lua_pushint64(L, json_integer_value(value));
    return 1;
  case JSON_REAL:
    push_real(L, json_real_value(value));
    return 1;
  case JSON_TRUE:
  case JSON_FALSE:
    lua_pushboolean(L, json_is_true(value));
    return 1;
  default:
    lua_pushlightuserdata(L, NULL);
    return 1;
  }
}

/* Push the value of a document whose strings refer to `text`, if to any. */
static int push(lua_State *L, const json_t *document, const char *text,
                const char **message) {
  int top = lua_gettop(L);
  struct builder builder = {L, top + 1, text, NULL};

  luaL_checkstack(L, SLOTS_PER_LEVEL, "too many values");
  luaL_getmetatable(L, FY_JSON_ARRAY);
  if (!push_value(&builder, document, 0)) {
    lua_settop(L, top);
    *message = builder.message;
    return 0;
  }
  lua_remove(L, top + 1);
  return 1;
}

/* --- Text --------------------------------------------------------------- */

/* Owns a document while tables are made of it, which may raise. */
struct document {
  json_t *json;
};

static int l_document_gc(lua_State *L) {
  struct document *document = luaL_checkudata(L, 1, DOCUMENT_MT);
  json_t *json = document->json;

  document->json = NULL;
  json_decref(json);
  return 0;
}

void fy_json_decode_open(lua_State *L) {
  fy_lua_newmetatable(L, DOCUMENT_MT);
  lua_pushcfunction(L, l_document_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}

/* Push an owner that owns nothing yet. */
static struct document *push_owner(lua_State *L) {
  struct document *document = lua_newuserdata(L, sizeof(*document));

  document->json = NULL;
  luaL_setmetatable(L, DOCUMENT_MT);
  return document;
}

int fy_json_push_text(lua_State *L, const char *text, size_t size) {
  freddy_error err = {0};
  struct document *document;
  const char *message = err.message;
  int results = 1, refers;

  luaL_checkstack(L, SLOTS_PER_LEVEL, "too many values");
  document = push_owner(L);
  document->json = fy_json_parse_referring(text, size, &refers, &err);
  if (!document->json ||
      !push(L, document->json, refers ? text : NULL, &message)) {
    lua_pushnil(L);
    lua_pushstring(L, message);
    results = 2;
  }
  json_decref(document->json);
  document->json = NULL;
  lua_remove(L, -1 - results);
  return results;
}

int fy_l_json_decode(lua_State *L) {
  size_t size;
  const char *text;

  luaL_checktype(L, 1, LUA_TSTRING);
  text = lua_tolstring(L, 1, &size);
  return fy_json_push_text(L, text, size);
}

/* --- Off the host's thread ----------------------------------------------- */

/* A document with a copy of the text that its strings refer to, if to any. */
struct parsed {
  json_t *json;
  const char *text;
};

static void *decode(const char *body, size_t size, freddy_error *err) {
  int refers;
  json_t *json = fy_json_parse_referring(body, size, &refers, err);
  struct parsed *parsed =
      json ? fy_malloc(sizeof(*parsed) + (refers ? size : 0)) : NULL;

  if (json && !parsed) {
    json_decref(json);
    fy_error_nomem(err);
  } else if (parsed) {
    parsed->json = json;
    parsed->text = refers ? memcpy(parsed + 1, body, size) : NULL;
  }
  return parsed;
}

static void release(void *document) {
  struct parsed *parsed = document;

  json_decref(parsed->json);
  fy_free(parsed);
}

int fy_json_push(lua_State *L, const void *document, const char **message) {
  const struct parsed *parsed = document;

  return push(L, parsed->json, parsed->text, message);
}

const freddy_decoder fy_json_decoder = {decode, release, FY_INLINE_JSON};
