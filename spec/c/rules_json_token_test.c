/* SPDX-License-Identifier: MIT */
/* What is taken is what fy_json_parse makes of it; what is refused may be
 * right all the same. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rules/json.h"
#include "rules/json_token.h"
#include "rules/utf8.h"
#include "unit.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

enum { REFUSED = 0, TAKEN = 1 };

/* In memory of its own size, for the sanitizers to see its ends. */
static char *copy_of(const char *bytes, size_t size) {
  char *copy = malloc(size ? size : 1);

  if (!copy) {
    abort();
  }
  memcpy(copy, bytes, size);
  return copy;
}

/* --- Characters --------------------------------------------------------- */

static void test_plain(void) {
  static const struct {
    const char *text;
    size_t size, plain;
  } rows[] = {
      {"\"", 1, 0},       {"\\", 1, 0},       {"\x1f", 1, 0},
      {"\0", 1, 0},       {"\xc3\xa9", 2, 2}, {"\xc3", 1, 0},
      {"\x80", 1, 0},     {"\xff", 1, 0},     {"\xed\xa0\x80", 3, 0},
      {"\x7f", 1, 1},     {" ", 1, 1},        {"\xf0\x9f\x98\x80", 4, 4},
      {"!#[]~", 5, 5},    {"\xc0\x80", 2, 0}, {"\xf4\x90\x80\x80", 4, 0},
      {"\xe2\x82", 2, 0},
  };
  char text[64];

  for (size_t i = 0; i < COUNT(rows); i++) {
    for (size_t before = 0; before < 20; before++) {
      size_t size = before + rows[i].size;
      char *copy;

      UNIT_CASE("row %d behind %d", (int)i, (int)before);
      memset(text, 'a', sizeof(text));
      memcpy(text + before, rows[i].text, rows[i].size);
      copy = copy_of(text, size);
      CHECK_INT(fy_utf8_plain(copy, size), before + rows[i].plain);
      CHECK_INT(fy_utf8_plain(text, sizeof(text)),
                rows[i].plain == rows[i].size ? sizeof(text)
                                              : before + rows[i].plain);
      free(copy);
    }
  }
}

/* --- Numbers ------------------------------------------------------------ */

static const struct {
  const char *text;
  int taken;
  size_t size; /* of the number, when there is more */
} numbers[] = {
    {"0", TAKEN, 1},
    {"-0", TAKEN, 2},
    {"-0.0", TAKEN, 4},
    {"0.0", TAKEN, 3},
    {"7", TAKEN, 1},
    {"-12", TAKEN, 3},
    {"10", TAKEN, 2},
    {"999999999999999999", TAKEN, 18},
    {"-999999999999999999", TAKEN, 19},
    {"9999999999999999999", REFUSED, 0},
    {"1000000000000000000", REFUSED, 0},
    {"900719925474099.2", TAKEN, 17},
    {"900719925474099.3", REFUSED, 0},
    {"0.1", TAKEN, 3},
    {"2.5e1", TAKEN, 5},
    {"1E+3", TAKEN, 4},
    {"1e-22", TAKEN, 5},
    {"1e22", TAKEN, 4},
    {"1e23", REFUSED, 0},
    {"1e-23", REFUSED, 0},
    {"123.456e-19", TAKEN, 11},
    {"123.456e-20", REFUSED, 0},
    {"1e0005", TAKEN, 6},
    {"1e00005", REFUSED, 0},
    {"1e400", REFUSED, 0},
    {"0.123456789012345678", REFUSED, 0},
    {"1234567890.123456", TAKEN, 17},
    {"3.14159265358979", TAKEN, 16},
    {"01", REFUSED, 0},
    {"-01", REFUSED, 0},
    {"-", REFUSED, 0},
    {"--1", REFUSED, 0},
    {"+1", REFUSED, 0},
    {".5", REFUSED, 0},
    {"1.", REFUSED, 0},
    {"1.e5", REFUSED, 0},
    {"1e", REFUSED, 0},
    {"1e+", REFUSED, 0},
    {"1e+-5", REFUSED, 0},
    {"", REFUSED, 0},
    {"x", REFUSED, 0},
    {"NaN", REFUSED, 0},
    {"0x10", TAKEN, 1},
    {"1,2", TAKEN, 1},
    {"1.5]", TAKEN, 3},
};

static void check_number(const char *bytes, size_t size, size_t taken,
                         const struct fy_json_number *number) {
  json_t *want = fy_json_parse(bytes, taken, NULL);

  CHECK(taken <= size);
  CHECK(want && json_is_real(want) == number->is_real);
  if (number->is_real) {
    double real = json_real_value(want);

    CHECK(memcmp(&real, &number->real, sizeof(real)) == 0);
  } else {
    CHECK_INT(number->integer, json_integer_value(want));
  }
  json_decref(want);
}

static void test_numbers(void) {
  for (size_t i = 0; i < COUNT(numbers); i++) {
    const char *whole = numbers[i].text;

    for (size_t size = 0; size <= strlen(whole); size++) {
      char *copy = copy_of(whole, size);
      struct fy_json_text text = {copy, copy + size};
      struct fy_json_number number;
      int taken = fy_json_number(&text, &number);

      UNIT_CASE("%.*s", (int)size, whole);
      if (taken) {
        check_number(copy, size, (size_t)(text.at - copy), &number);
      }
      if (size == strlen(whole)) {
        CHECK_INT(taken, numbers[i].taken);
        CHECK(!taken || (size_t)(text.at - copy) == numbers[i].size);
      }
      free(copy);
    }
  }
}

/* --- Strings ------------------------------------------------------------ */

static const struct {
  const char *text; /* with its quotes */
  size_t size;
  int taken;
  const char *meant; /* unless it is the text */
  size_t meant_size;
} strings[] = {
    {"\"\"", 2, TAKEN, NULL, 0},
    {"\"plain text, long enough\"", 25, TAKEN, NULL, 0},
    {"\"\xc3\xa9\"", 4, TAKEN, NULL, 0},
    {"\"\x7f\"", 3, TAKEN, NULL, 0},
    {"\"a\\nb\"", 6, TAKEN, "a\nb", 3},
    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", 18, TAKEN, "\"\\/\b\f\n\r\t", 8},
    {"\"\\u00e9\\u20AC\"", 14, TAKEN, "\xc3\xa9\xe2\x82\xac", 5},
    {"\"\\ud83d\\ude00!\"", 15, TAKEN, "\xf0\x9f\x98\x80!", 5},
    {"\"\\u0000\"", 8, TAKEN, "\0", 1},
    {"\"\\u007f\\u0080\\u07ff\\u0800\\uffff\"", 32, TAKEN,
     "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf", 11},
    {"\"\\udbff\\udfff\\ud800\\udc00\"", 26, TAKEN,
     "\xf4\x8f\xbf\xbf\xf0\x90\x80\x80", 8},
    {"\"\\ud83d\"", 8, REFUSED, NULL, 0},
    {"\"\\ud83dx\"", 9, REFUSED, NULL, 0},
    {"\"\\ud83d\\n\"", 10, REFUSED, NULL, 0},
    {"\"\\ud83d\\ud83d\"", 14, REFUSED, NULL, 0},
    {"\"\\ude00\"", 8, REFUSED, NULL, 0},
    {"\"\\u12\"", 6, REFUSED, NULL, 0},
    {"\"\\u12g4\"", 8, REFUSED, NULL, 0},
    {"\"\\uD83D\\u\"", 10, REFUSED, NULL, 0},
    {"\"\\x\"", 4, REFUSED, NULL, 0},
    {"\"\\", 2, REFUSED, NULL, 0},
    {"\"\\\"", 3, REFUSED, NULL, 0},
    {"\"\\\0\"", 4, REFUSED, NULL, 0},
    {"\"\n\"", 3, REFUSED, NULL, 0},
    {"\"\0\"", 3, REFUSED, NULL, 0},
    {"\"\xff\"", 3, REFUSED, NULL, 0},
    {"\"\\\xff\"", 4, REFUSED, NULL, 0},
    {"\"\xc3\"", 3, REFUSED, NULL, 0},
};

static void test_string(size_t row, size_t size) {
  char *copy = copy_of(strings[row].text, size);
  struct fy_json_text text = {copy, copy + size};
  struct fy_json_string string;
  int taken = fy_json_string(&text, &string);
  const char *meant = strings[row].meant;
  size_t used = 0;

  UNIT_CASE("string %d, %d bytes", (int)row, (int)size);
  if (taken && string.is_escaped) {
    char *room = copy_of(string.raw, string.size);

    taken = fy_json_unescape(&string, room, &used);
    CHECK(used <= string.size);
    if (taken && meant && size == strings[row].size) {
      CHECK_BYTES(room, used, meant, strings[row].meant_size);
    }
    free(room);
  } else if (taken) {
    CHECK_BYTES(string.raw, string.size, strings[row].text + 1, size - 2);
    CHECK(!meant);
  }
  CHECK_INT(taken, size == strings[row].size && strings[row].taken);
  CHECK(!taken || text.at == text.end);
  free(copy);
}

static void test_strings(void) {
  for (size_t i = 0; i < COUNT(strings); i++) {
    for (size_t size = 1; size <= strings[i].size; size++) {
      test_string(i, size);
    }
  }
}

static void test_words(void) {
  static const char all[] = " \t\r\n, true";
  struct fy_json_text text = {all, all + sizeof(all) - 1};

  UNIT_CASE("%s", "words");
  CHECK_INT(fy_json_take(&text, '}'), 0);
  CHECK_INT(fy_json_take(&text, ','), 1);
  CHECK_INT(fy_json_peek(&text), 't');
  CHECK_INT(fy_json_word(&text, "trues"), 0);
  CHECK_INT(fy_json_word(&text, "null"), 0);
  CHECK_INT(fy_json_word(&text, "true"), 1);
  CHECK_INT(fy_json_peek(&text), '\0');
  CHECK(text.at == text.end);
}

int main(void) {
  test_plain();
  test_numbers();
  test_strings();
  test_words();
  return unit_end();
}
