/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "json_same.h"
#include "unit.h"

#define X16 "0123456789abcdef"
#define X64 X16 X16 X16 X16
#define X128 X64 X64
/* Two, three and four bytes. */
#define WIDE "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"
#define WIDE72 WIDE WIDE WIDE WIDE WIDE WIDE WIDE WIDE
#define EIGHT(text) text text text text text text text text
#define OPEN127 EIGHT("[[[[[[[[[[[[[[[") "[[[[[[["
#define CLOSE127 EIGHT("]]]]]]]]]]]]]]]") "]]]]]]]"

static const struct {
  const char *name, *text;
  int refers;
} texts[] = {
    {"a text", "\"" X64 "\"", 1},
    {"a text of wide characters", "\"" WIDE72 "\"", 1},
    {"behind a byte order mark", "\xef\xbb\xbf[\"" X128 "\"]", 1},
    {"one byte less", "\"" X16 X16 X16 "0123456789abcde\"", 0},
    {"in an array", "[1,\"a\",\"" X128 "\",\"" X64 "\",\"b\"]", 1},
    {"in an object", "{\"a\":\"" X64 "\",\"b\":\"" X128 "\"}", 1},
    {"between escapes", "\"\\n" X64 "\\u20ac" X128 "\\\"\"", 1},
    {"an escape behind a quote", "\"" X64 "\\\\\"", 1},
    {"one of two parts is short", "\"" X64 "\\nshort\\t" X64 "\"", 1},
    {"a pair of surrogates beside", "\"" X64 "\\ud83d\\ude00" X64 "\"", 1},
    {"a half of one", "\"" X64 "\\ud83d" X64 "\"", 0},
    {"a key", "{\"" X64 "\":1}", 0},
    {"a key and its value", "{\"" X64 "\":\"" X64 "\"}", 1},
    {"a key and a blank", "{\"" X64 "\" :\"" X64 "\"}", 1},
    {"a key and all blanks", "{\"" X64 "\" \t\r\n:\"" X64 "\"}", 1},
    {"twice the same key", "{\"a\":\"" X64 "\",\"a\":\"" X128 "\"}", 1},
    {"twice the same long key",
     "{\"" X64 "\":\"" X64 "\",\"" X64 "\":\"" X128 "\"}", 1},
    {"nested deep", "[\"" X64 "\"," OPEN127 CLOSE127 "]", 1},
    {"nested too deep", "[\"" X64 "\",[" OPEN127 CLOSE127 "]]", 0},
    {"a NUL in it", "[\"" X64 "\\u0000\"]", 0},
    {"a NUL elsewhere", "[\"\\u0000\",\"" X64 "\"]", 0},
    {"what looks like a NUL", "[\"\\\\u0000\",\"" X64 "\"]", 0},
    {"another control character", "[\"\\u0001\",\"" X64 "\"]", 1},
    {"what looks like a reference", "[\"0+40\",\"" X64 "\"]", 1},
    {"a big integer beside", "[12345678901234567890,\"" X64 "\"]", 1},
    {"digits in it", "[\"12345678901234567890" X64 "\",1e2]", 1},
    {"a number too large", "[\"" X64 "\",1e400]", 0},
    {"never closed", "[\"" X64, 0},
    {"an escape at the end", "[\"" X64 "\\", 0},
    {"a raw line feed", "[\"" X64 "\n\"]", 0},
    {"not UTF-8", "[\"" X64 "\xff" X64 "\"]", 0},
    {"a cut character", "[\"" X64 "\xe2\x82\"]", 0},
    {"no such escape", "[\"" X64 "\\x" X64 "\"]", 0},
    {"more behind", "[\"" X64 "\"]]", 0},
    {"nothing", "", 0},
};

static void check_table(void) {
  int refers;

  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    UNIT_CASE("%s", texts[i].name);
    CHECK(same_json(texts[i].text, strlen(texts[i].text), &refers, NULL));
    CHECK_INT(refers, texts[i].refers);
  }
}

/* Jansson does not get to see it. */
static void check_kept_away(void) {
  int refers;
  json_t *document =
      fy_json_parse_referring("\"" X128 "\"", 130, &refers, NULL);

  UNIT_CASE("kept away");
  CHECK(refers && json_string_length(document) < 20);
  json_decref(document);
}

/* Every cut of each text, and every byte of each replaced. */
static void check_changed(void) {
  static const char others[] = {'"', '\\', '\n', '\0', '\x80',
                                'u', ':',  '[',  '}'};
  char text[512];
  size_t size, at, i, other;

  for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    size = strlen(texts[i].text);
    for (at = 0; at < size; at++) {
      UNIT_CASE("%s, byte %zu", texts[i].name, at);
      CHECK(same_json(texts[i].text, at, NULL, NULL));
      memcpy(text, texts[i].text, size);
      for (other = 0; other < sizeof(others); other++) {
        text[at] = others[other];
        CHECK(same_json(text, size, NULL, NULL));
      }
    }
  }
}

/* An escape, and a wide character, at every place of a string. */
static void check_places(void) {
  static const char *const what[] = {
      "\\n",          "\\u00e9",         "\\\\", "\\\"", "\xc3\xa9",
      "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
  char text[512];
  int size, refers, is_json;

  for (size_t i = 0; i < sizeof(what) / sizeof(what[0]); i++) {
    for (int at = 0; at <= 144; at++) {
      UNIT_CASE("%s at %d", what[i], at);
      size = snprintf(text, sizeof(text), "{\"a\":\"%.*s%s%s\"}", at, X128 X16,
                      what[i], &(X128 X16)[at]);
      CHECK(same_json(text, (size_t)size, &refers, &is_json));
      CHECK(refers && is_json);
    }
  }
}

int main(void) {
  check_table();
  check_kept_away();
  check_changed();
  check_places();
  return unit_end();
}
