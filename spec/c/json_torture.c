/* SPDX-License-Identifier: MIT */
/* JSON without memory: every allocation fails in turn, of Lua, of our own
 * and of jansson, alone and with all that follow, over decode and encode.
 * Only the right result or a lack of memory is accepted; the leak checker
 * judges the rest. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <lua.h>
#include <lauxlib.h>

#include "base/mem.h"
#include "lua/json.h"
#include "unit.h"

#define TEXT_WITH(big)                                               \
  "{\"models\":[{\"id\":\"gpt-4o\",\"n\":[1,2.5,true,null]},[],{}]," \
  "\"big\":" big ",\"text\":\"a\\u0000b\\n\",\"half\":0.5}"

/* Beyond 64 bits: parsed twice. Only Luas with integers may send it back. */
#define BIG_TEXT TEXT_WITH("12345678901234567890")
/* No token over 15 bytes: jansson's lexer asserts when its buffer for one
 * cannot grow. */
#define SMALL_TEXT TEXT_WITH("1")

/* Kept away from jansson but for the ends. */
#define LONG_PIECE                   \
  "0123456789abcdef0123456789abcdef" \
  "0123456789abcdef0123456789abcdef"
#define LONG_TEXT "[\"" LONG_PIECE "\",\"" LONG_PIECE "\\n" LONG_PIECE "\"]"

enum source { OF_LUA, OF_OURS, OF_JANSSON, SOURCES };

/* Fails allocation number `limit`, and the later ones when `all_after`. */
struct failing {
  long made;
  long limit; /* negative: none fails */
  int all_after;
};

static struct failing failing_lua = {0, -1, 0};
static struct failing failing_jansson = {0, -1, 0};

static int fails(struct failing *failing) {
  long made = failing->made++;

  return failing->limit >= 0 && (failing->all_after ? made >= failing->limit
                                                    : made == failing->limit);
}

static void *lua_memory(void *context, void *memory, size_t old_size,
                        size_t size) {
  (void)context;
  if (size == 0) {
    free(memory);
    return NULL;
  }
  /* Lua counts on shrinking a block. */
  if ((!memory || size > old_size) && fails(&failing_lua)) {
    return NULL;
  }
  return realloc(memory, size);
}

static void *jansson_memory(size_t size) {
  if (fails(&failing_jansson)) {
    errno = ENOMEM; /* as malloc does (POSIX) */
    return NULL;
  }
  return malloc(size);
}

static void fail_from(enum source source, long limit, int all_after) {
  struct failing failing = {0, limit, all_after};

  if (source == OF_LUA) {
    failing_lua = failing;
  } else if (source == OF_JANSSON) {
    failing_jansson = failing;
  } else {
    fy_mem_fail_after(limit, all_after);
  }
}

static const char *text_for(enum source source, int sent_back) {
  if (source == OF_JANSSON || (sent_back && !FY_LUA_INTEGERS)) {
    return SMALL_TEXT;
  }
  return BIG_TEXT;
}

/* Decode and encode again. Leaves a text, or nil and a message. */
static int l_scenario(lua_State *L) {
  lua_settop(L, 1);
  lua_pushcfunction(L, fy_l_json_decode);
  lua_pushvalue(L, 1);
  lua_call(L, 1, 2);
  if (lua_isnil(L, -2)) {
    return 2;
  }
  lua_pop(L, 1);
  lua_pushcfunction(L, fy_l_json_encode);
  lua_insert(L, -2);
  lua_call(L, 1, 2);
  if (lua_isnil(L, -2)) {
    return 2;
  }
  lua_pop(L, 1);
  return 1;
}

static int l_push(lua_State *L) {
  const char *message = NULL;

  if (!fy_json_push(L, lua_touserdata(L, 1), &message)) {
    return luaL_error(L, "%s", message);
  }
  return 0;
}

static int is_about_memory(const char *message) {
  return message && strstr(message, "memory");
}

/* 1 when it went through, 0 for want of memory, -1 for anything else. */
static int run_scenario(lua_State *L, const char *first, const char *second) {
  int result = -1;

  if (lua_pcall(L, 1, LUA_MULTRET, 0) != LUA_OK) {
    result = is_about_memory(lua_tostring(L, -1)) ? 0 : -1;
  } else if (lua_isnil(L, 1)) {
    result = is_about_memory(lua_tostring(L, 2)) ? 0 : -1;
  } else if (lua_isstring(L, 1) && strstr(lua_tostring(L, 1), first) &&
             strstr(lua_tostring(L, 1), second)) {
    result = 1;
  }
  return result;
}

static int run_on(lua_State *L, const char *text, const char *first,
                  const char *second, enum source source, long n,
                  int all_after) {
  int result;

  lua_settop(L, 0);
  lua_gc(L, LUA_GCCOLLECT, 0);
  lua_pushcfunction(L, l_scenario);
  lua_pushstring(L, text);
  fail_from(source, n, all_after);
  result = run_scenario(L, first, second);
  fail_from(source, -1, 0);
  if (result < 0) {
    printf("source %d, allocation %ld: %s\n", (int)source, n,
           lua_tostring(L, -1));
  }
  return result;
}

static int run_text(lua_State *L, enum source source, long n, int all_after) {
  return run_on(L, text_for(source, 1), "gpt-4o", "a\\u0000b\\n", source, n,
                all_after);
}

static int run_long(lua_State *L, enum source source, long n, int all_after) {
  return run_on(L, LONG_TEXT, LONG_PIECE "\",\"", LONG_PIECE "\\n" LONG_PIECE,
                source, n, all_after);
}

static int decode_and_push(lua_State *L, const char *text, enum source source,
                           long n, int all_after) {
  freddy_error err = {0};
  void *document;
  int result = 0;

  lua_settop(L, 0);
  lua_gc(L, LUA_GCCOLLECT, 0);
  lua_pushcfunction(L, l_push);
  fail_from(source, n, all_after);
  document = fy_json_decoder.decode(text, strlen(text), &err);
  if (document) {
    lua_pushlightuserdata(L, document);
    result = lua_pcall(L, 1, 0, 0) == LUA_OK        ? 1
             : is_about_memory(lua_tostring(L, -1)) ? 0
                                                    : -1;
    fy_json_decoder.release(document);
  } else if (err.code != FREDDY_ENOMEM) {
    result = -1;
  }
  fail_from(source, -1, 0);
  if (result < 0) {
    printf("source %d, allocation %ld: %s\n", (int)source, n, err.message);
  }
  return result;
}

static int run_document(lua_State *L, enum source source, long n,
                        int all_after) {
  return decode_and_push(L, text_for(source, 0), source, n, all_after);
}

static int run_long_document(lua_State *L, enum source source, long n,
                             int all_after) {
  return decode_and_push(L, LONG_TEXT, source, n, all_after);
}

typedef int run_function(lua_State *L, enum source source, long n,
                         int all_after);

/* Let one more allocation succeed each time until it goes through. */
static void torture(run_function *run, lua_State *L, enum source source,
                    int all_after, const char *name) {
  long n = 0, failed = 0;
  int result;

  UNIT_CASE("%s%s", name, all_after ? ", and all that follow" : "");
  do {
    result = run(L, source, n++, all_after);
    failed += result == 0;
  } while (result == 0 && n < 10000);
  CHECK_INT(result, 1);
  if (all_after) {
    CHECK(failed > 0); /* or nothing was tested */
  } else if (source == OF_LUA) {
    /* Lua collects and tries again, so that one failure may go unseen. */
    for (; n < 400; n++) {
      CHECK(run(L, source, n, 0) >= 0);
    }
  }
}

static int l_open(lua_State *L) {
  fy_json_open(L);
  return 0;
}

/* A state whose opening runs out of memory can be opened again. */
static void torture_open(void) {
  long n;
  int opened = 0;
  lua_State *L;

  for (n = 0; !opened && n < 10000; n++) {
    UNIT_CASE("open, allocation %ld", n);
    L = lua_newstate(lua_memory, NULL);
    lua_pushcfunction(L, l_open); /* 5.1 allocates for it */
    fail_from(OF_LUA, n, 1);
    opened = lua_pcall(L, 0, 0, 0) == LUA_OK;
    fail_from(OF_LUA, -1, 0);
    fy_json_open(L);
    CHECK_INT(run_text(L, OF_OURS, -1, 0), 1);
    lua_close(L);
  }
  CHECK(opened && n > 1);
}

int main(void) {
  static const char *const names[SOURCES] = {"lua", "ours", "jansson"};
  int source, all_after, own_lua;
  lua_State *L;

  json_set_alloc_funcs(jansson_memory, free);
  L = lua_newstate(lua_memory, NULL);
  own_lua = L != NULL; /* some LuaJIT insist on their own allocator */
  L = own_lua ? L : luaL_newstate();
  fy_json_open(L);
  for (source = own_lua ? OF_LUA : OF_OURS; source < SOURCES; source++) {
    for (all_after = 0; all_after < 2; all_after++) {
      torture(run_text, L, (enum source)source, all_after, names[source]);
      torture(run_document, L, (enum source)source, all_after, names[source]);
      if (source != OF_JANSSON) {
        torture(run_long, L, (enum source)source, all_after, names[source]);
        torture(run_long_document, L, (enum source)source, all_after,
                names[source]);
      }
    }
  }
  lua_close(L);
  if (own_lua) {
    torture_open();
  }
  return unit_end();
}
