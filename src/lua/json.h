/* SPDX-License-Identifier: MIT */
/* JSON as native Lua values, over jansson. null is a light userdata NULL; an
 * array carries the array metatable, so that one that arrived is one when it
 * is sent back, empty or not. Process-wide settings of jansson are never
 * touched: the host may use it too. */
#ifndef FY_LUA_JSON_H
#define FY_LUA_JSON_H

#include "freddy.h"
#include "lua/lua_compat.h"

/* The array metatable's name and its key in the registry. */
#define FY_JSON_ARRAY "freddy.array"

/* Make the metatables of this Lua state. Before anything else of this
 * header, once for each state; a second time does no harm. */
void fy_json_open(lua_State *L);

/* json_encode(value) -> text | nil, message. `message` begins with the path
 * to what cannot be sent, then ": ", as in
 * `inputs[2].content: a function cannot be sent as JSON`; the path of the
 * root is empty. No metamethod is called. */
int fy_l_json_encode(lua_State *L);

/* json_decode(text) -> value | nil, message. The value is never nil. The
 * message names the position and never quotes the text. */
int fy_l_json_decode(lua_State *L);

/* json_array([table]) -> the table, marked as an array; a new one when none
 * is given. Raises for a table with a metatable of another kind. */
int fy_l_json_array(lua_State *L);

/* json_is_array(value) -> whether it carries an array mark, lua-cjson's
 * marks included. */
int fy_l_json_is_array(lua_State *L);

/* Parses a body off the host's thread; a failure is FREDDY_EPROTOCOL with
 * reason "bad_json", or FREDDY_ENOMEM. The document is for fy_json_push.
 * Bodies under FY_INLINE_JSON are left to fy_json_push_text. */
extern const freddy_decoder fy_json_decoder;

/* Push the Lua value of a decoder's document, which stays the caller's: it
 * must have an owner, since a lack of Lua memory raises.
 *
 * message  what is wrong, static; set on failure only.
 *
 * Returns 1 with one value pushed, or 0 with none. */
FREDDY_MUST_CHECK int fy_json_push(lua_State *L, const void *document,
                                   const char **message);

/* Parse `text` and push its Lua value, or nil and a message. Returns how many
 * values were pushed, 1 or 2. `text` must stay valid meanwhile. Raises only
 * for lack of Lua memory. */
FREDDY_MUST_CHECK int fy_json_push_text(lua_State *L, const char *text,
                                        size_t size);

/* --- Between the files of this noun ------------------------------------- */

/* The parts of fy_json_open: the metatables of what owns memory meanwhile. */
void fy_json_decode_open(lua_State *L);
void fy_json_encode_open(lua_State *L);

/* What marks an array. Pointers only to compare with; they live as long as
 * what fy_json_marks_find left on the stack. NULL: not there. */
struct fy_json_marks {
  const void *array;            /* our metatable */
  const void *cjson_array;      /* cjson.array_mt, a metatable */
  const void *cjson_when_empty; /* cjson.empty_array_mt, a metatable */
  const void *cjson_empty;      /* cjson.empty_array, a light userdata */
};

typedef enum fy_json_mark {
  FY_JSON_UNMARKED = 0,
  FY_JSON_MARKED,
  FY_JSON_MARKED_WHEN_EMPTY
} fy_json_mark;

/* Find the marks of this state, lua-cjson's if that was loaded (it is not
 * loaded for this). Leaves values on the stack that keep them alive. */
void fy_json_marks_find(lua_State *L, struct fy_json_marks *marks);

/* The mark of the table at `index`. Never raises. */
fy_json_mark fy_json_mark_of(lua_State *L, int index,
                             const struct fy_json_marks *marks);

#endif
