/* SPDX-License-Identifier: MIT */
/* Lua values straight to JSON text (RFC 8259): faster than by way of a
 * document, and where an error is found the path to it is at hand. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/limits.h"
#include "lua/json.h"
#include "rules/json_utf8.h"

#define WRITER_MT "freddy.json_writer"

/* What one level of nesting needs: a key, a value, a metatable, a message. */
#define SLOTS_PER_LEVEL 6

/* Owns the text while it grows, since what reads Lua may raise. */
struct writer {
  struct fy_buf text;
  struct fy_json_marks marks;
};

/* The way from the root to a value; lives in the frames of the recursion. */
struct step {
  const struct step *up;
  const char *key; /* NULL: `index` counts */
  size_t size;
  size_t index;
};

static int write_value(lua_State *L, struct writer *w, const struct step *at,
                       int depth);

/* --- What goes wrong ---------------------------------------------------- */

struct path {
  char text[240];
  size_t used;
  int cut;
};

static void path_add(struct path *path, const char *text, size_t size) {
  if (path->cut || size > sizeof(path->text) - 4 - path->used) {
    path->cut = 1;
    return;
  }
  memcpy(path->text + path->used, text, size);
  path->used += size;
}

static int is_name(const char *key, size_t size) {
  size_t i;

  for (i = 0; i < size; i++) {
    char c = key[i];

    if (!(c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
          (i && c >= '0' && c <= '9'))) {
      return 0;
    }
  }
  return size > 0;
}

/* As `.key`, or as `["key"]` where it is no name; one line in any case. */
static void path_add_key(struct path *path, const char *key, size_t size) {
  size_t i;

  if (is_name(key, size)) {
    path_add(path, ".", path->used ? 1 : 0);
    path_add(path, key, size);
    return;
  }
  path_add(path, "[\"", 2);
  for (i = 0; i < size;) {
    size_t length = fy_utf8_length(key + i, size - i);
    int shown = length && (unsigned char)key[i] >= ' ' && key[i] != 0x7f;

    path_add(path, shown ? key + i : "?", shown ? length : 1);
    i += length ? length : 1;
  }
  path_add(path, "\"]", 2);
}

static void path_add_step(struct path *path, const struct step *at) {
  char index[32];

  if (!at) {
    return;
  }
  path_add_step(path, at->up);
  if (at->key) {
    path_add_key(path, at->key, at->size);
  } else {
    path_add(path, index,
             (size_t)snprintf(index, sizeof(index), "[%zu]", at->index));
  }
}

/* Push the message and return 0, which every caller passes on. */
static int refuse(lua_State *L, const struct step *at, const char *what) {
  struct path path = {{0}, 0, 0};

  path_add_step(&path, at);
  if (path.cut) {
    memcpy(path.text + path.used, "...", 3); /* path_add kept its place */
    path.used += 3;
  }
  path.text[path.used] = '\0';
  lua_pushfstring(L, "%s: %s", path.text, what);
  return 0;
}

static int refuse_type(lua_State *L, const struct step *at) {
  const char *name =
      lua_islightuserdata(L, -1) ? "light userdata" : luaL_typename(L, -1);

  return refuse(L, at,
                lua_pushfstring(L, "a %s cannot be sent as JSON", name));
}

/* The first index without a value in the table at the top. */
static size_t first_hole(lua_State *L) {
  size_t index = 1;

  while (fy_lua_rawgeti(L, -1, (int)index) != LUA_TNIL) {
    lua_pop(L, 1);
    index++;
  }
  lua_pop(L, 1);
  return index;
}

/* Why the table at the top is neither a sequence nor an object. Looks at all
 * keys, so that the answer does not hang on their order. */
static int refuse_keys(lua_State *L, const struct step *at, int marked) {
  const char *odd = NULL;
  int strings = 0, indices = 0;
  int64_t index;
  char hole[80];

  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    if (lua_type(L, -2) == LUA_TSTRING) {
      strings = 1;
    } else if (fy_lua_toint64(L, -2, &index) && index > 0) {
      indices = 1;
    } else {
      odd = luaL_typename(L, -2);
    }
  }
  if (odd && strcmp(odd, "number") != 0) {
    return refuse(
        L, at,
        lua_pushfstring(L, "a table with a %s as key cannot be sent as JSON",
                        odd));
  }
  if (odd) {
    return refuse(L, at,
                  "a table with number keys other than 1 to n cannot be "
                  "sent as JSON");
  }
  if (strings && marked) {
    return refuse(L, at, "an array with string keys cannot be sent as JSON");
  }
  if (strings && indices) {
    return refuse(L, at,
                  "a table with both string and number keys cannot be sent "
                  "as JSON");
  }
  snprintf(hole, sizeof(hole),
           "an array with a hole at [%zu] cannot be sent as JSON",
           first_hole(L));
  return refuse(L, at, hole);
}

/* --- Text --------------------------------------------------------------- */

static int make_room(lua_State *L, struct writer *w, const struct step *at,
                     size_t size) {
  int rc;

  if (size < w->text.room - w->text.size) {
    return 1;
  }
  rc = fy_buf_reserve(&w->text, size);
  if (rc == FREDDY_OK) {
    return 1;
  }
  return refuse(L, at,
                rc == FREDDY_ENOMEM ? "not enough memory"
                                    : "the JSON text is too large");
}

static int put(lua_State *L, struct writer *w, const struct step *at,
               const char *data, size_t size) {
  if (!make_room(L, w, at, size)) {
    return 0;
  }
  memcpy(w->text.data + w->text.size, data, size);
  w->text.size += size;
  return 1;
}

static int put_char(lua_State *L, struct writer *w, const struct step *at,
                    char c) {
  if (!make_room(L, w, at, 1)) {
    return 0;
  }
  w->text.data[w->text.size++] = c;
  return 1;
}

/* One of the characters that RFC 8259 7 wants escaped. */
static int put_escape(lua_State *L, struct writer *w, const struct step *at,
                      unsigned char c) {
  static const char hex[] = "0123456789abcdef";
  static const char shorts[] = "\"\"\\\\\bb\ff\nn\rr\tt";
  char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
  size_t i;

  for (i = 0; i < sizeof(shorts) - 1; i += 2) {
    if ((unsigned char)shorts[i] == c) {
      escape[1] = shorts[i + 1];
      return put(L, w, at, escape, 2);
    }
  }
  return put(L, w, at, escape, sizeof(escape));
}

/* `what` is the noun of the message for a text that is not UTF-8. */
static int write_string(lua_State *L, struct writer *w, const struct step *at,
                        const char *text, size_t size, const char *what) {
  size_t i = 0, run;

  if (!put_char(L, w, at, '"')) {
    return 0;
  }
  for (;;) {
    run = fy_utf8_plain(text + i, size - i);
    if (run && !put(L, w, at, text + i, run)) {
      return 0;
    }
    i += run;
    if (i == size) {
      return put_char(L, w, at, '"');
    }
    if ((unsigned char)text[i] >= 0x80) {
      return refuse(L, at, what);
    }
    if (!put_escape(L, w, at, (unsigned char)text[i++])) {
      return 0;
    }
  }
}

/* --- Numbers ------------------------------------------------------------ */

static int write_int64(lua_State *L, struct writer *w, const struct step *at,
                       int64_t value) {
  char digits[24];
  size_t i = sizeof(digits);
  uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

  do {
    digits[--i] = (char)('0' + rest % 10);
    rest /= 10;
  } while (rest);
  if (value < 0) {
    digits[--i] = '-';
  }
  return put(L, w, at, digits + i, sizeof(digits) - i);
}

/* The host's locale may have another decimal point, of several bytes even:
 * what belongs to no number becomes one '.'. */
static size_t fix_decimal_point(char *text, size_t size) {
  size_t from, to = 0;

  for (from = 0; from < size; from++) {
    if (strchr("0123456789+-e", text[from])) {
      text[to++] = text[from];
    } else if (!to || text[to - 1] != '.') {
      text[to++] = '.';
    }
  }
  return to;
}

/* The fewest of 15 to 17 digits that give the same number again. */
static int write_real(lua_State *L, struct writer *w, const struct step *at,
                      double number) {
  char text[40];
  size_t size;
  int digits = 14;

  do {
    digits++;
    size = (size_t)snprintf(text, sizeof(text), "%.*g", digits, number);
  } while (digits < 17 && strtod(text, NULL) != number);
  return put(L, w, at, text, fix_decimal_point(text, size));
}

static int write_number(lua_State *L, struct writer *w,
                        const struct step *at) {
  lua_Number number;

  if (lua_isinteger(L, -1)) {
    return write_int64(L, w, at, (int64_t)lua_tointeger(L, -1));
  }
  number = lua_tonumber(L, -1);
  if (isnan(number)) {
    return refuse(L, at, "NaN cannot be sent as JSON");
  }
  if (isinf(number)) {
    return refuse(L, at, "an infinite number cannot be sent as JSON");
  }
  if (number == 0 && signbit(number)) {
    return put(L, w, at, "-0.0", 4);
  }
  if (fabs(number) <= FY_LUA_MAX_EXACT && number == floor(number)) {
    return write_int64(L, w, at, (int64_t)number);
  }
#if !FY_LUA_INTEGERS
  if (fabs(number) > FY_LUA_MAX_EXACT) {
    return refuse(L, at, "an integer beyond 2^53 is not exact in this Lua");
  }
#endif
  return write_real(L, w, at, number);
}

/* --- Tables ------------------------------------------------------------- */

/* Whether the table at the top has as many keys as its sequence. */
static int has_keys(lua_State *L, size_t expected) {
  size_t count = 0;

  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    if (++count > expected) {
      lua_pop(L, 2);
      return 0;
    }
  }
  return count == expected;
}

static int write_array(lua_State *L, struct writer *w, const struct step *at,
                       int depth, int marked) {
  struct step item = {at, NULL, 0, 0};
  size_t size = lua_rawlen(L, -1);

  if (!has_keys(L, size)) {
    return refuse_keys(L, at, marked);
  }
  for (item.index = 1; item.index <= size; item.index++) {
    if (!put_char(L, w, at, item.index == 1 ? '[' : ',')) {
      return 0;
    }
    if (fy_lua_rawgeti(L, -1, (int)item.index) == LUA_TNIL) {
      lua_pop(L, 1);
      return refuse_keys(L, at, marked);
    }
    if (!write_value(L, w, &item, depth)) {
      return 0;
    }
    lua_pop(L, 1);
  }
  return size ? put_char(L, w, at, ']') : put(L, w, at, "[]", 2);
}

static int write_object(lua_State *L, struct writer *w, const struct step *at,
                        int depth, int mark) {
  struct step field = {at, "", 0, 0};
  int empty = 1;

  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) {
      lua_pop(L, 2);
      return refuse_keys(L, at, 0);
    }
    field.key = lua_tolstring(L, -2, &field.size);
    if (!put_char(L, w, at, empty ? '{' : ',') ||
        !write_string(L, w, &field, field.key, field.size,
                      "a key that is not UTF-8 cannot be sent as JSON") ||
        !put_char(L, w, at, ':') || !write_value(L, w, &field, depth)) {
      return 0;
    }
    empty = 0;
  }
  if (!empty) {
    return put_char(L, w, at, '}');
  }
  return put(L, w, at, mark == FY_JSON_MARKED_WHEN_EMPTY ? "[]" : "{}", 2);
}

static int write_table(lua_State *L, struct writer *w, const struct step *at,
                       int depth) {
  fy_json_mark mark;

  if (depth >= FY_MAX_JSON_DEPTH) {
    return refuse(L, at,
                  "tables nested deeper than 128 levels, or within "
                  "themselves, cannot be sent as JSON");
  }
  if (!lua_checkstack(L, SLOTS_PER_LEVEL)) {
    return refuse(L, at, "not enough memory");
  }
  mark = fy_json_mark_of(L, -1, &w->marks);
  if (mark == FY_JSON_MARKED || lua_rawlen(L, -1) > 0) {
    return write_array(L, w, at, depth + 1, mark == FY_JSON_MARKED);
  }
  return write_object(L, w, at, depth + 1, mark);
}

/* --- Values ------------------------------------------------------------- */

/* Write the value at the top and leave it there. 1, or 0 with a message
 * pushed: then what stands below it on the stack is of no account. */
static int write_value(lua_State *L, struct writer *w, const struct step *at,
                       int depth) {
  const char *text;
  const void *pointer;
  size_t size;

  switch (lua_type(L, -1)) {
  case LUA_TNIL:
    return put(L, w, at, "null", 4);
  case LUA_TBOOLEAN:
    return lua_toboolean(L, -1) ? put(L, w, at, "true", 4)
                                : put(L, w, at, "false", 5);
  case LUA_TNUMBER:
    return write_number(L, w, at);
  case LUA_TSTRING:
    text = lua_tolstring(L, -1, &size);
    return write_string(L, w, at, text, size,
                        "a string that is not UTF-8 cannot be sent as JSON");
  case LUA_TTABLE:
    return write_table(L, w, at, depth);
  case LUA_TLIGHTUSERDATA:
    pointer = lua_touserdata(L, -1);
    if (!pointer) {
      return put(L, w, at, "null", 4);
    }
    if (pointer == w->marks.cjson_empty) {
      return put(L, w, at, "[]", 2);
    }
    return refuse_type(L, at);
  default:
    return refuse_type(L, at);
  }
}

static int l_writer_gc(lua_State *L) {
  struct writer *w = luaL_checkudata(L, 1, WRITER_MT);

  fy_buf_clear(&w->text);
  return 0;
}

void fy_json_encode_open(lua_State *L) {
  fy_lua_newmetatable(L, WRITER_MT);
  lua_pushcfunction(L, l_writer_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}

int fy_l_json_encode(lua_State *L) {
  struct writer *w;
  int written;

  luaL_checkany(L, 1);
  lua_settop(L, 1);
  w = lua_newuserdata(L, sizeof(*w));
  fy_buf_init(&w->text, FY_MAX_JSON);
  luaL_setmetatable(L, WRITER_MT);
  fy_json_marks_find(L, &w->marks);
  lua_pushvalue(L, 1);
  written = write_value(L, w, NULL, 0);
  if (written) {
    lua_pushlstring(L, w->text.data, w->text.size);
  } else {
    lua_pushnil(L);
    lua_insert(L, -2);
  }
  fy_buf_clear(&w->text);
  return written ? 1 : 2;
}
