/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/redact.h"
#include "unit.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

enum { MAX_SECRETS = 4 };

/* Redact a copy in memory of exactly its size, so that a sanitizer sees a
 * byte too many, and compare. */
static void check(const char *text, size_t size, const struct fy_span *secrets,
                  size_t count, const char *want, size_t want_size) {
  char *copy = malloc(size ? size : 1);
  size_t got;

  if (size) {
    memcpy(copy, text, size);
  }
  got = fy_redact(copy, size, secrets, count);
  CHECK(got <= size);
  CHECK_BYTES(copy, got, want, want_size);
  free(copy);
}

static struct fy_span span(const char *text) {
  struct fy_span made = {text, strlen(text)};

  return made;
}

struct row {
  const char *secrets[MAX_SECRETS];
  const char *text;
  const char *want;
};

#define KEY "sk-abc/def+=\"\\x"

static const struct row rows[] = {
    {{"abcdefgh"}, "", ""},
    {{"abcdefgh"}, "abcdefgh", "***"},
    {{"abcdefgh"}, "xabcdefghx", "x***x"},
    {{"abcdefgh"}, "abcdefghabcdefgh", "******"},
    {{"abcdefgh"}, "abcdabcdefgh", "abcd***"},
    {{"abcdefgh"}, "ABCDEFGH", "ABCDEFGH"},
    {{"abcdefgh"}, "abcdefg", "abcdefg"},
    {{"abcdefgh"}, "abcdefgxh", "abcdefgxh"},
    {{"abcdefgh"}, "%61b%63defg%68", "***"},
    {{"abcdefgh"}, "%61%62%63%64%65%66%67%68!", "***!"},
    {{"abcdefgh"}, "\\u0061bcdefg\\u0068", "***"},
    {{"abcdefgh"}, "\\u0061%62cdefgh", "***"},
    {{"abcdefgh"}, "%6abcdefgh", "%6***"},
    {{"abcdefgh"}, "%abcdefgh", "%***"},
    {{"abcdefgh"}, "\\abcdefgh", "\\***"},
    {{"abcdefgh"}, "\\uabcdefgh", "\\u***"},
    {{"abcdefgh"}, "a%", "a%"},
    {{"abcdefgh"}, "%", "%"},
    {{"abcdefgh"}, "\\", "\\"},
    {{"abcdefgh"}, "\\u006", "\\u006"},
    {{""}, "nothing", "nothing"},
    {{"", "abcdefgh"}, "an abcdefgh", "an ***"},
    /* a secret of every special character, as others write it */
    {{KEY}, KEY, "***"},
    {{KEY}, "{\"k\":\"sk-abc/def+=\\\"\\\\x\"}", "{\"k\":\"***\"}"},
    {{KEY}, "{\"k\":\"sk-abc\\/def+=\\\"\\\\x\"}", "{\"k\":\"***\"}"},
    {{KEY}, "?k=sk-abc%2Fdef%2B%3D%22%5Cx&", "?k=***&"},
    {{KEY}, "?k=sk-abc%2fdef%2b%3d%22%5cx&", "?k=***&"},
    {{KEY}, "\\u0073k-abc\\u002fdef\\u002B=\\u0022\\u005cx", "***"},
    {{"a\b\f\n\r\tzz"}, "a\\b\\f\\n\\r\\tzz.", "***."},
    /* a secret that itself looks like an escape */
    {{"a%41bcdef"}, "a%41bcdef", "***"},
    {{"a%41bcdef"}, "a%2541bcdef", "***"},
    {{"a%41bcdef"}, "aAbcdef--", "aAbcdef--"},
    {{"a%25%25bc"}, "a%25%25bc", "***"},
    {{"a%25%25bc"}, "a%2525%2525bc", "***"},
    {{"a%25%25bc"}, "a%25%2525bc", "***"},
    {{"a%25%25bc"}, "a%%25bc---", "a%%25bc---"},
    {{"a\\u0041bc"}, "a\\u0041bc", "***"},
    {{"a\\u0041bc"}, "a\\\\u0041bc", "***"},
    {{"\\\\\\\\\\\\\\\\"}, "\\\\\\\\\\\\\\\\.", "***."},
    {{"\\\\\\\\\\\\\\\\"},
     "\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\.", /* each twice: one secret */
     "***."},
    {{"abcdefg\\"}, "abcdefg\\\\.", "***."},
    /* beyond ASCII */
    {{"\xC3\xA9t\xC3\xA9-\xE2\x82\xAC\xF0\x9F\x98\x80"},
     "\xC3\xA9t\xC3\xA9-\xE2\x82\xAC\xF0\x9F\x98\x80",
     "***"},
    {{"\xC3\xA9t\xC3\xA9-\xE2\x82\xAC\xF0\x9F\x98\x80"},
     "\\u00e9t\\u00E9-\\u20aC\\ud83d\\uDE00!",
     "***!"},
    {{"\xC3\xA9t\xC3\xA9-\xE2\x82\xAC\xF0\x9F\x98\x80"},
     "%C3%a9t\xC3%A9-\xE2%82\xAC\\ud83d\\ude00!",
     "***!"},
    {{"\xF0\x9F\x98\x80--------"},
     "\\ud83d\\u0041--------",
     "\\ud83d\\u0041--------"},
    {{"12345678\xE2\x82\xAC"}, "12345678\\u20a", "***"},
    /* the text ends within the secret */
    {{"abcdefghijkl"}, "x abcdefgh", "x ***"},
    {{"abcdefghijkl"}, "x abcdefghijk", "x ***"},
    {{"abcdefghijkl"}, "x abcdefgh.", "x abcdefgh."},
    {{"abcdefghijkl"}, "x abcdefg", "x abcdefg"},
    {{"abcdefghijkl"}, "x abcdefgh%6", "x ***"},
    {{"abcdefghijkl"}, "x abcdefgh%", "x ***"},
    {{"abcdefghijkl"}, "x abcdefgh\\u00", "x ***"},
    {{"abcdefgh\xF0\x9F\x98\x80"}, "x abcdefgh\\ud83d", "x ***"},
    {{"abcdefgh\xF0\x9F\x98\x80"}, "x abcdefgh\\ud83d\\ude0", "x ***"},
    {{"abcdefghijkl"}, "x abcdefgh%x", "x abcdefgh%x"},
    {{"abcdefghijkl"}, "x abcdefgh\\u***", "x abcdefgh\\u***"},
    {{"abcdefgh\xF0\x9F\x98\x80"},
     "x abcdefgh\\ud83d\\n",
     "x abcdefgh\\ud83d\\n"},
    /* several */
    {{"abcdefgh", "abcdefghijkl"}, "abcdefghijkl.", "***."},
    {{"abcdefghijkl", "abcdefgh"}, "abcdefghijkl.", "***."},
    {{"abcdefghijkl", "abcdefgh"}, "abcdefghij.", "***ij."},
    {{"abcdefgh", "efghijkl"}, "abcdefghijkl.", "***."},
    {{"abcdefgh", "ijklmnop"}, "abcdefghijklmnop", "******"},
    {{"abcdefghijkl", "cdefghij"}, "abcdefghijkl.", "***."},
    {{"aaaaaaaa"}, "aaaaaaaaaaaa.", "***."},
    /* short ones */
    {{"1234"}, "1234", "***"},
    {{"1234"}, "code 1234.", "code ***."},
    {{"1234"}, "{\"code\":\"1234\"}", "{\"code\":\"***\"}"},
    {{"1234"}, "{\"code\":1234,", "{\"code\":***,"},
    {{"1234"}, "[1234]", "[***]"},
    {{"1234"}, "1234 1234", "*** ***"},
    {{"1234"}, "1234-1234", "***-***"},
    {{"1234"}, "12345", "12345"},
    {{"1234"}, "01234", "01234"},
    {{"1234"}, "x1234", "x1234"},
    {{"1234"}, "1234x", "1234x"},
    {{"1234"}, "12341234", "12341234"},
    {{"1234"}, "%31234", "***"},
    {{"1234"}, "\\u00312\\u00334", "***"},
    {{"1234"}, "\\n1234\\n", "\\n***\\n"},
    {{"1234"}, "x\\t1234", "x\\t***"},
    {{"1234"}, "\\u000a1234\\u000a", "\\u000a***\\u000a"},
    {{"1234"}, "code%3A1234", "code%3A***"},
    {{"1234"}, "code%411234", "code%411234"},
    {{"1234"}, "\\u00411234", "\\u00411234"},
    {{"1234"}, "n1234", "n1234"},
    {{"1234"},
     "\xC3\xA9"
     "1234\xC3\xA9",
     "\xC3\xA9***\xC3\xA9"},
    {{"7"}, "7", "*"},
    {{"7"}, "7 77 7", "* 77 *"},
    {{"7"}, "%37", "***"},
    {{"42"}, "42,a42", "**,a42"},
    {{"1234567"}, "1234567.12345678", "***.12345678"},
    {{"1234", "abcdefgh"}, "1234abcdefgh", "******"},
    {{"1234", "abcdefgh"}, "abcdefgh1234", "******"},
    {{"1234", "abcdefgh"}, "abcdefgh1234x", "***1234x"},
    {{"1234"},
     "1234 x\\n1234 y\\u000a1234 z%0a1234",
     "*** x\\n*** y\\u000a*** z%0a***"},
};

static void test_rows(void) {
  size_t i;

  for (i = 0; i < COUNT(rows); i++) {
    struct fy_span secrets[MAX_SECRETS];
    size_t count = 0;

    while (count < MAX_SECRETS && rows[i].secrets[count]) {
      secrets[count] = span(rows[i].secrets[count]);
      count++;
    }
    UNIT_CASE("%s in %s", rows[i].secrets[0], rows[i].text);
    check(rows[i].text, strlen(rows[i].text), secrets, count, rows[i].want,
          strlen(rows[i].want));
  }
  UNIT_CASE("%s", "");
  check("abcdefgh", 8, NULL, 0, "abcdefgh", 8);
  CHECK_INT(fy_redact(NULL, 0, NULL, 0), 0);
}

/* --- Every position with every encoding --------------------------------- */

enum style {
  PLAIN,
  PERCENT_LOW,
  PERCENT_HIGH,
  JSON_SHORT, /* the two-character escape where there is one */
  UNICODE_LOW,
  UNICODE_HIGH,
  STYLES
};

static size_t encode_unicode(char *out, unsigned long point, int high) {
  const char *format = high ? "\\u%04lX" : "\\u%04lx";

  if (point >= 0x10000) {
    size_t size = encode_unicode(out, 0xD7C0 + (point >> 10), high);

    return size + encode_unicode(out + size, 0xDC00 + (point & 0x3FF), high);
  }
  return (size_t)snprintf(out, 13, format, point);
}

/* Append one character (`width` bytes of valid UTF-8) in a style. */
static size_t encode(char *out, const char *text, size_t width,
                     enum style style) {
  static const char specials[] = "\"\\/\b\f\n\r\t";
  static const char letters[] = "\"\\/bfnrt";
  const unsigned char *bytes = (const unsigned char *)text;
  const char *special = width == 1 ? strchr(specials, text[0]) : NULL;
  unsigned long point = width == 1 ? bytes[0] : bytes[0] & (0xFFU >> width);
  size_t size = 0;
  size_t i;

  switch (style) {
  case PERCENT_LOW:
  case PERCENT_HIGH:
    for (i = 0; i < width; i++) {
      size += (size_t)snprintf(out + size, 4,
                               style == PERCENT_LOW ? "%%%02x" : "%%%02X",
                               (unsigned)bytes[i]);
    }
    return size;
  case JSON_SHORT:
    if (special && *special) {
      out[0] = '\\';
      out[1] = letters[special - specials];
      return 2;
    }
    break;
  case UNICODE_LOW:
  case UNICODE_HIGH:
    for (i = 1; i < width; i++) {
      point = point << 6 | (bytes[i] & 0x3F);
    }
    return encode_unicode(out, point, style == UNICODE_HIGH);
  case PLAIN:
  case STYLES:
    break;
  }
  memcpy(out, text, width);
  return width;
}

static size_t width_of(char lead) {
  unsigned char byte = (unsigned char)lead;

  return byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
}

/* Encode `secret`, its character number i in the style that pick(i) gives.
 * Returns the size. */
static size_t encode_all(char *out, const char *secret,
                         enum style (*pick)(size_t, size_t), size_t seed) {
  size_t size = 0;
  size_t i;

  for (i = 0; *secret; i++) {
    size_t width = width_of(*secret);

    size += encode(out + size, secret, width, pick(i, seed));
    secret += width;
  }
  return size;
}

static enum style pick_same(size_t index, size_t seed) {
  (void)index;
  return (enum style)(seed % STYLES);
}

static enum style pick_mixed(size_t index, size_t seed) {
  unsigned long mixed = (unsigned long)(seed * 2654435761U + index * 40503U);

  mixed ^= mixed >> 7;
  mixed *= 2246822519U;
  return (enum style)((mixed >> 11) % STYLES);
}

static const char *const hard_secrets[] = {
    "sk-live-0123456789",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.a_b-c",
    "a/b+c=d\"e\\f",
    "%25%41%2525\\u0041\\\\\\n",
    "p\xC3\xA4ss\xE2\x82\xACw\xF0\x9F\x98\x80rd",
    "line\r\n\ttab\b\f",
    "\\\\\\\\\\\\\\\\",
    "%%%%%%%%",
    "aaaaaaab",
};

static void test_every_position(void) {
  static const char frame[] = "{\"a\": \"-\\n%20\xC3\xA9.\"}";
  char text[1000];
  char want[1000];
  size_t s;
  size_t at;
  size_t seed;

  for (s = 0; s < COUNT(hard_secrets); s++) {
    struct fy_span secret = span(hard_secrets[s]);

    for (seed = 0; seed < STYLES + 40; seed++) {
      for (at = 0; at < sizeof(frame); at++) {
        size_t rest = sizeof(frame) - 1 - at;
        size_t size = at;

        if ((at && strchr("\\%2", frame[at - 1])) ||
            (frame[at] && strchr("\\%", frame[at]))) {
          continue; /* an escape of the frame would become part of it */
        }
        memcpy(text, frame, at);
        size += encode_all(text + at, hard_secrets[s],
                           seed < STYLES ? pick_same : pick_mixed, seed);
        memcpy(text + size, frame + at, rest);
        memcpy(want, frame, at);
        memcpy(want + at, "***", 3);
        memcpy(want + at + 3, frame + at, rest);
        UNIT_CASE("secret %zu, seed %zu, at %zu", s, seed, at);
        check(text, size + rest, &secret, 1, want, at + 3 + rest);
      }
    }
  }
  UNIT_CASE("%s", "");
}

/* A text cut within the secret keeps less than 8 bytes of it. */
static void test_every_cut(void) {
  static const char secret_text[] =
      "sk/\xE2\x82\xAC-0123456789\xF0\x9F\x98\x80";
  struct fy_span secret = span(secret_text);
  char text[1000];
  char copy[1000];
  size_t seed;
  size_t cut;

  for (seed = 0; seed < STYLES + 40; seed++) {
    size_t size = encode_all(text, secret_text,
                             seed < STYLES ? pick_same : pick_mixed, seed);
    size_t most = encode_all(copy, "sk/\xE2\x82\xAC-0",
                             seed < STYLES ? pick_same : pick_mixed, seed);

    for (cut = most; cut <= size; cut++) {
      UNIT_CASE("seed %zu, cut at %zu", seed, cut);
      check(text, cut, &secret, 1, "***", 3);
    }
  }
  UNIT_CASE("%s", "");
}

/* More spellings at once than are kept: the ones that others write, with no
 * and with every character escaped, are still seen. */
static void test_backslashes(void) {
  enum { COUNT_OF = 60 };
  char plain[COUNT_OF + 1];
  char escaped[2 * COUNT_OF + 1];
  struct fy_span secret = {plain, sizeof(plain)};

  memset(plain, '\\', COUNT_OF);
  plain[COUNT_OF] = 'x';
  memset(escaped, '\\', sizeof(escaped) - 1);
  escaped[2 * COUNT_OF] = 'x';
  check(plain, sizeof(plain), &secret, 1, "***", 3);
  check(escaped, sizeof(escaped), &secret, 1, "***", 3);
}

/* Long texts, many matches: the result is right and nothing is quadratic (a
 * quadratic one would not end in this program's time). */
static void test_long(void) {
  struct fy_span secrets[2];
  size_t units = 20000;
  char *text = malloc(units * 10);
  size_t size;
  size_t i;

  secrets[0] = span("abcdefgh");
  secrets[1] = span("\\\\\\\\\\\\\\\\x");
  for (i = 0; i < units; i++) {
    memcpy(text + i * 10, "-abcdefgh\n", 10);
  }
  size = fy_redact(text, units * 10, secrets, 2);
  CHECK_INT(size, units * 5);
  for (i = 0; i < units && memcmp(text + i * 5, "-***\n", 5) == 0; i++) {
  }
  CHECK_INT(i, units);
  memset(text, '\\', units * 10);
  text[units * 10 - 1] = 'y';
  CHECK_INT(fy_redact(text, units * 10, secrets, 2), units * 10);
  free(text);
}

int main(void) {
  test_rows();
  test_every_position();
  test_every_cut();
  test_backslashes();
  test_long();
  return unit_end();
}
