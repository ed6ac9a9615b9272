/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "rules/header.h"
#include "unit.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define OK "HTTP/1.1 200 OK\r\n"

static void test_tokens(void) {
  static const struct {
    const char *text;
    int token;
    int value;
  } rows[] = {
      {"", 0, 1},        {"GET", 1, 1},
      {"X-Y_z.9", 1, 1}, {"!#$%&'*+-.^_`|~", 1, 1},
      {"a b", 0, 1},     {"a:", 0, 1},
      {"a\tb", 0, 1},    {" a", 0, 0},
      {"a ", 0, 0},      {"\ta", 0, 0},
      {"a\t", 0, 0},     {"a\rb", 0, 0},
      {"a\nb", 0, 0},    {"a\x7F", 0, 0},
      {"a\x01", 0, 0},   {"\xC3\xA9", 0, 1},
      {"a\xFFz", 0, 1},  {"\"q\"", 0, 1},
      {"a,b", 0, 1},     {"(a)", 0, 1},
      {"a/b", 0, 1},     {"a=b;c", 0, 1},
      {"[x]", 0, 1},     {"{}", 0, 1},
      {"<a@b>", 0, 1},   {"a\\b", 0, 1},
      {" ", 0, 0},       {"\t", 0, 0},
  };
  size_t i;

  for (i = 0; i < COUNT(rows); i++) {
    size_t size = strlen(rows[i].text);

    UNIT_CASE("%s", rows[i].text);
    CHECK_INT(fy_header_is_token(rows[i].text, size), rows[i].token);
    CHECK_INT(fy_header_is_value(rows[i].text, size), rows[i].value);
  }
  UNIT_CASE("%s", "");
  CHECK(!fy_header_is_token("a\0", 2));
  CHECK(!fy_header_is_value("a\0b", 3));
}

static void test_names(void) {
  static const struct {
    const char *name;
    int owner;
  } rows[] = {
      {"Authorization", FY_HEADER_CREDENTIAL},
      {"AUTHORIZATION", FY_HEADER_CREDENTIAL},
      {"proxy-authorization", FY_HEADER_CREDENTIAL},
      {"API-Key", FY_HEADER_CREDENTIAL},
      {"x-api-key", FY_HEADER_CREDENTIAL},
      {"X-Mine", FY_HEADER_CREDENTIAL},
      {"Content-Length", FY_HEADER_OURS},
      {"transfer-encoding", FY_HEADER_OURS},
      {"Connection", FY_HEADER_OURS},
      {"HOST", FY_HEADER_OURS},
      {"expect", FY_HEADER_OURS},
      {"te", FY_HEADER_OURS},
      {"Trailer", FY_HEADER_OURS},
      {"Upgrade", FY_HEADER_OURS},
      {"Keep-Alive", FY_HEADER_OURS},
      {"accept-encoding", FY_HEADER_OURS},
      {"Accept", FY_HEADER_FREE},
      {"Content-Type", FY_HEADER_FREE},
      {"X-Authorization", FY_HEADER_FREE},
      {"Authorizatio", FY_HEADER_FREE},
      {"Authorization2", FY_HEADER_FREE},
      {"api_key", FY_HEADER_FREE},
      {"", FY_HEADER_FREE},
  };
  size_t i;

  for (i = 0; i < COUNT(rows); i++) {
    UNIT_CASE("%s", rows[i].name);
    CHECK_INT(fy_header_owner(rows[i].name, strlen(rows[i].name), "x-mine"),
              rows[i].owner);
  }
  UNIT_CASE("%s", "");
  CHECK_INT(fy_header_owner("X-Mine", 6, NULL), FY_HEADER_FREE);
  CHECK_INT(fy_header_owner("Hostess", 4, NULL), FY_HEADER_OURS);
  CHECK(fy_header_name_is("ETag", 4, "etag"));
  CHECK(!fy_header_name_is("ETag", 4, "etags"));
  CHECK(!fy_header_name_is("ETag", 4, "eta"));
  CHECK(!fy_header_name_is("a[", 2, "a{")); /* not letters */
  CHECK(!fy_header_name_is("a\0", 2, "a"));
  CHECK(fy_header_name_is("", 0, ""));
}

static void test_json(void) {
  static const struct {
    const char *type;
    int json;
  } rows[] = {
      {"application/json", 1},
      {"Application/JSON; charset=utf-8", 1},
      {"  application/json ;x", 1},
      {"text/json", 1},
      {"application/problem+json", 1},
      {"application/vnd.api+JSON; v=1", 1},
      {"image/x+json", 1},
      {"", 0},
      {"json", 0},
      {"+json", 0},
      {"application/+json", 0},
      {"application/jsonx", 0},
      {"application/json-seq", 0},
      {"application/x-ndjson", 0},
      {"application/xjson", 0},
      {"text/event-stream", 0},
      {"text/plain; application/json", 0},
      {"text/plain;+json", 0},
      {"a b/c+json", 0},
      {"a/b/c+json", 0},
      {"/x+json", 0},
      {"application /json", 0},
  };
  size_t i;

  for (i = 0; i < COUNT(rows); i++) {
    UNIT_CASE("%s", rows[i].type);
    CHECK_INT(fy_header_is_json(rows[i].type), rows[i].json);
  }
  UNIT_CASE("%s", "");
  CHECK_INT(fy_header_is_json(NULL), 0);
}

/* Feed a text line by line, as libcurl does; each from memory of its own, so
 * that a sanitizer sees a byte too many. `rest` gets what was not taken. */
static int feed(struct fy_headers *headers, const char *text, size_t size,
                freddy_error *err, size_t *rest) {
  int rc = FREDDY_OK;

  while (size && rc == FREDDY_OK) {
    const char *end = memchr(text, '\n', size);
    size_t length = end ? (size_t)(end + 1 - text) : size;
    char *line = malloc(length);

    memcpy(line, text, length);
    rc = fy_headers_line(headers, line, length, err);
    free(line);
    text += length;
    size -= length;
  }
  *rest = size;
  return rc;
}

/* The fields of the block as "name=value;..." in `out`. */
static const char *fields(const struct fy_headers *headers, char *out,
                          size_t room) {
  const char *name;
  const char *value;
  size_t at = 0;
  size_t i;

  out[0] = '\0';
  for (i = 0; fy_headers_at(headers, i, &name, &value) && at < room; i++) {
    at += (size_t)snprintf(out + at, room - at, "%s=%s;", name, value);
  }
  CHECK_INT(i, headers->count);
  return out;
}

struct good {
  const char *text;
  int status;
  int version;
  const char *fields;
  long long length;
  const char *flags; /* c chunked, g gzip, o otherwise, t trailers */
};

static const struct good goods[] = {
    {OK "\r\n", 200, 11, "", -1, ""},
    {"HTTP/1.0 404 Not Found\r\n\r\n", 404, 10, "", -1, ""},
    {"HTTP/2 200 \r\nx: y\r\n\r\n", 200, 20, "x=y;", -1, ""},
    {"HTTP/3 200 \r\n\r\n", 200, 30, "", -1, ""},
    {"HTTP/1.1 204\r\n\r\n", 204, 11, "", -1, ""},
    {"HTTP/1.1 299 \xC3\xA9\r\n\r\n", 299, 11, "", -1, ""},
    {"HTTP/1.1 999 odd\r\n\r\n", 999, 11, "", -1, ""},
    {"HTTP/1.1 200 OK\nA: b\n\n", 200, 11, "A=b;", -1, ""},
    {OK "A:b\r\nB: \r\nC:\r\n\r\n", 200, 11, "A=b;B=;C=;", -1, ""},
    {OK "A: \t b c \t\r\na:2\r\nA:3\r\n\r\n", 200, 11, "A=b c;a=2;A=3;", -1,
     ""},
    {OK "A: b:c\r\nD: \x01\xFF\r\n\r\n", 200, 11, "A=b:c;D=\x01\xFF;", -1, ""},
    {OK "A: b\r\n c\r\n\t d \r\n\r\n", 200, 11, "A=b c d;", -1, ""},
    {OK "A:\r\n  b\r\n \r\nE: f\r\n\r\n", 200, 11, "A=b;E=f;", -1, ""},
    {OK "A: b\r\n \t\r\n\r\n", 200, 11, "A=b;", -1, ""},
    {OK "Content-Length: 0\r\n\r\n", 200, 11, "Content-Length=0;", 0, ""},
    {OK "content-length:12\r\n\r\n", 200, 11, "content-length=12;", 12, ""},
    {OK "Content-Length: 5, 5 ,05\r\n\r\n", 200, 11,
     "Content-Length=5, 5 ,05;", 5, ""},
    {OK "Content-Length: 5\r\nA: b\r\nCONTENT-LENGTH: 5\r\n\r\n", 200, 11,
     "Content-Length=5;A=b;CONTENT-LENGTH=5;", 5, ""},
    {OK "Content-Length: 9223372036854775807\r\n\r\n", 200, 11,
     "Content-Length=9223372036854775807;", 9223372036854775807LL, ""},
    {OK "Content-Length2: x\r\n\r\n", 200, 11, "Content-Length2=x;", -1, ""},
    {OK "Transfer-Encoding: Chunked\r\n\r\n", 200, 11,
     "Transfer-Encoding=Chunked;", -1, "c"},
    {OK "Transfer-Encoding: gzip,chunked\r\nContent-Length: 5\r\n\r\n", 200,
     11, "Transfer-Encoding=gzip,chunked;Content-Length=5;", 5, "c"},
    {OK "Transfer-Encoding: chunked, gzip\r\n\r\n", 200, 11,
     "Transfer-Encoding=chunked, gzip;", -1, ""},
    {OK "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked ,\r\n\r\n", 200,
     11, "Transfer-Encoding=gzip;Transfer-Encoding=chunked ,;", -1, "c"},
    {OK "Content-Encoding: gzip\r\n\r\n", 200, 11, "Content-Encoding=gzip;",
     -1, "g"},
    {OK "Content-Encoding: X-GZIP, identity\r\n\r\n", 200, 11,
     "Content-Encoding=X-GZIP, identity;", -1, "g"},
    {OK "Content-Encoding: identity\r\n\r\n", 200, 11,
     "Content-Encoding=identity;", -1, ""},
    {OK "Content-Encoding: br\r\n\r\n", 200, 11, "Content-Encoding=br;", -1,
     "o"},
    {OK "Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n\r\n", 200, 11,
     "Content-Encoding=gzip;Content-Encoding=gzip;", -1, "go"},
    {"HTTP/1.1 100 Continue\r\n\r\n" OK "A: b\r\n\r\n", 200, 11, "A=b;", -1,
     ""},
    {"HTTP/1.1 103 Early Hints\r\nLink: x\r\nContent-Length: 5x\r\n\r\n"
     "HTTP/1.1 102 \r\n\r\n" OK "A: b\r\n\r\n",
     200, 11, "A=b;", -1, ""},
    {"HTTP/1.1 200 Connection established\r\nContent-Length: 7\r\n"
     "Via: p\r\n\r\nHTTP/2 404 \r\na: b\r\n\r\n",
     404, 20, "a=b;", -1, ""},
    {"HTTP/1.1 301 Moved\r\nLocation: /x\r\n" OK "A: b\r\n\r\n", 200, 11,
     "A=b;", -1, ""},
    {OK "A: b\r\n\r\nX-Sum: 1\r\nContent-Length: x\r\n\r\n", 200, 11, "A=b;",
     -1, "t"},
    {OK "A: b\r\n\r\nno colon\r\n", 200, 11, "A=b;", -1, "t"},
};

static void check_good(const struct good *good,
                       const struct fy_headers *headers) {
  char text[1000];

  CHECK_INT(headers->status, good->status);
  CHECK_INT(headers->http_version, good->version);
  CHECK_INT(headers->length, good->length);
  CHECK_INT(headers->total, strlen(good->text));
  CHECK_TEXT(fields(headers, text, sizeof(text)), good->fields);
  CHECK_INT(headers->chunked, !!strchr(good->flags, 'c'));
  CHECK_INT(headers->gzip, !!strchr(good->flags, 'g'));
  CHECK_INT(headers->encoded_otherwise, !!strchr(good->flags, 'o'));
  CHECK_INT(headers->trailers, !!strchr(good->flags, 't'));
  CHECK_INT(headers->complete, 1);
}

static void test_good(void) {
  size_t i;

  for (i = 0; i < COUNT(goods); i++) {
    freddy_error err = {.code = FREDDY_OK};
    struct fy_headers headers;
    size_t rest;
    int again;

    UNIT_CASE("%s", goods[i].text);
    fy_headers_init(&headers, FY_MAX_HEADERS);
    for (again = 0; again < 2; again++) { /* cleared, it is like new */
      CHECK_INT(
          feed(&headers, goods[i].text, strlen(goods[i].text), &err, &rest),
          FREDDY_OK);
      CHECK_INT(err.code, FREDDY_OK);
      CHECK_TEXT(err.message, "");
      check_good(&goods[i], &headers);
      fy_headers_clear(&headers);
    }
  }
  UNIT_CASE("%s", "");
}

struct bad {
  const char *text;
  size_t size; /* 0: strlen */
  const char *reason;
};

static const struct bad bads[] = {
    {"\r\n", 0, "bad_status"},
    {"A: b\r\n", 0, "bad_status"},
    {"HTTP\r\n", 0, "bad_status"},
    {"HTTP/\r\n", 0, "bad_status"},
    {"HTTP/1.1\r\n", 0, "bad_status"},
    {"HTTP/1.1 \r\n", 0, "bad_status"},
    {"HTTP/1.1 20\r\n", 0, "bad_status"},
    {"HTTP/1.1 20x\r\n", 0, "bad_status"},
    {"HTTP/1.1 2000\r\n", 0, "bad_status"},
    {"HTTP/1.1 200OK\r\n", 0, "bad_status"},
    {"HTTP/1.1 099 x\r\n", 0, "bad_status"},
    {"HTTP/1.1 -20 x\r\n", 0, "bad_status"},
    {"HTTP/1.1  200 x\r\n", 0, "bad_status"},
    {"HTTP/1.1\t200 x\r\n", 0, "bad_status"},
    {"HTTP/1.2 200 x\r\n", 0, "bad_status"},
    {"HTTP/0.9 200 x\r\n", 0, "bad_status"},
    {"HTTP/11 200 x\r\n", 0, "bad_status"},
    {"HTTP/1.10 200 x\r\n", 0, "bad_status"},
    {"http/1.1 200 x\r\n", 0, "bad_status"},
    {"ICY 200 OK\r\n", 0, "bad_status"},
    {"SSH-2.0-x\r\n", 0, "bad_status"},
    {"HTTP/1.1 200 a\0b\r\n", 18, "bad_status"},
    {"HTTP/1.1 200 a\rb\r\n", 0, "bad_status"},
    {"HTTP/1.1 200 OK\r\r\n", 0, "bad_status"},
    {OK "HTTP/1.1 2 x\r\n", 0, "bad_status"},
    {"HTTP/1.1 100 x\r\n\r\nA: b\r\n", 0, "bad_status"},
    {"HTTP/1.1 101 Switching Protocols\r\n", 0, "bad_upgrade"},
    {"HTTP/1.1 100 x\r\n\r\nHTTP/1.1 101 x\r\n", 0, "bad_upgrade"},
    {OK "A b\r\n", 0, "bad_header"},
    {OK "A\r\n", 0, "bad_header"},
    {OK ": b\r\n", 0, "bad_header"},
    {OK "A : b\r\n", 0, "bad_header"},
    {OK "A\t: b\r\n", 0, "bad_header"},
    {OK "A B: c\r\n", 0, "bad_header"},
    {OK "\xC3\xA9: c\r\n", 0, "bad_header"},
    {OK "(A): c\r\n", 0, "bad_header"},
    {OK "A: b\0c\r\n", 24, "bad_header"},
    {OK "A\0: c\r\n", 24, "bad_header"},
    {OK "A: b\rc\r\n", 0, "bad_header"},
    {OK "A: b\r\r\n", 0, "bad_header"},
    {OK "\r\r\n", 0, "bad_header"},
    {OK "\r", 0, "bad_header"},
    {OK " A: b\r\n", 0, "bad_header"},
    {OK "\tA: b\r\n", 0, "bad_header"},
    {OK "A: b\r\n c\rd\r\n", 0, "bad_header"},
    {OK "A: b\r\n c\0d\r\n", 28, "bad_header"},
    {OK "Content-Length:\r\n 5\r\n", 0, "bad_header"},
    {OK "Transfer-Encoding:\r\n chunked\r\n", 0, "bad_header"},
    {OK "Content-Encoding:\r\n gzip\r\n", 0, "bad_header"},
    {OK "\r\nX: y\r\n" OK, 0, "bad_header"},
    {OK "Content-Length: 5x\r\n\r\n", 0, "bad_length"},
    {OK "Content-Length: x\r\n\r\n", 0, "bad_length"},
    {OK "Content-Length:\r\n\r\n", 0, "bad_length"},
    {OK "Content-Length: -5\r\n\r\n", 0, "bad_length"},
    {OK "Content-Length: +5\r\n\r\n", 0, "bad_length"},
    {OK "Content-Length: 0x5\r\n\r\n", 0, "bad_length"},
    {OK "Content-Length: 5 5\r\n\r\n", 0, "bad_length"},
    {OK "Content-Length: 5.0\r\n\r\n", 0, "bad_length"},
    {OK "Content-Length: 5,\r\n\r\n", 0, "bad_length"},
    {OK "Content-Length: ,5\r\n\r\n", 0, "bad_length"},
    {OK "Content-Length: 5, 6\r\n\r\n", 0, "bad_length"},
    {OK "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 0, "bad_length"},
    {OK "Content-Length: 5\r\nContent-Length:\r\n\r\n", 0, "bad_length"},
    {OK "Content-Length: 9223372036854775808\r\n\r\n", 0, "bad_length"},
    {OK "Content-Length: 99999999999999999999999\r\n\r\n", 0, "bad_length"},
};

/* Each is refused at its last line, and not before. */
static void test_bad(void) {
  size_t i;

  for (i = 0; i < COUNT(bads); i++) {
    size_t size = bads[i].size ? bads[i].size : strlen(bads[i].text);
    freddy_error err = {.code = FREDDY_OK};
    struct fy_headers headers;
    size_t rest;

    UNIT_CASE("%zu: %s", i, bads[i].text);
    fy_headers_init(&headers, FY_MAX_HEADERS);
    CHECK_INT(feed(&headers, bads[i].text, size, &err, &rest),
              FREDDY_EPROTOCOL);
    CHECK_INT(rest, 0);
    CHECK_INT(err.code, FREDDY_EPROTOCOL);
    CHECK_TEXT(err.reason, bads[i].reason);
    CHECK(err.message[0]);
    fy_headers_clear(&headers);
    CHECK_INT(feed(&headers, bads[i].text, size, NULL, &rest),
              FREDDY_EPROTOCOL);
    fy_headers_clear(&headers);
  }
  UNIT_CASE("%s", "");
}

/* An answer that ends after any of its bytes is never complete: that is what
 * tells "cut" from whole. Lines without their end are fed as well. */
static void test_every_cut(void) {
  static const char text[] =
      "HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n"
      "HTTP/1.1 200 OK\r\nContent-Length: 15\r\nA: b\r\n c\r\n\r\n";
  size_t cut;
  size_t rest;

  for (cut = 0; cut < sizeof(text) - 1; cut++) {
    struct fy_headers headers;

    UNIT_CASE("cut at %zu", cut);
    fy_headers_init(&headers, FY_MAX_HEADERS);
    (void)feed(&headers, text, cut, NULL, &rest);
    CHECK_INT(headers.complete, 0);
    fy_headers_clear(&headers);
  }
  UNIT_CASE("%s", "");
}

/* Each line fed twice, or left out, or both: a whole answer with exactly what
 * it was fed, or a protocol failure, or not complete. */
static void test_every_line(void) {
  static const char *const lines[] = {
      "HTTP/1.1 100 Continue\r\n",  "\r\n",       OK,
      "Content-Length: 5\r\n",      "A: one\r\n", " two\r\n",
      "Content-Encoding: gzip\r\n", "\r\n",
  };
  size_t repeat;
  size_t drop;
  size_t i;

  for (repeat = 0; repeat <= COUNT(lines); repeat++) {
    for (drop = 0; drop <= COUNT(lines); drop++) {
      struct fy_headers headers;
      int rc = FREDDY_OK;

      UNIT_CASE("twice %zu, without %zu", repeat, drop);
      fy_headers_init(&headers, FY_MAX_HEADERS);
      for (i = 0; i < COUNT(lines) && rc == FREDDY_OK; i++) {
        int times = (i == repeat) + (i != drop);

        while (times-- > 0 && rc == FREDDY_OK) {
          rc = fy_headers_line(&headers, lines[i], strlen(lines[i]), NULL);
        }
      }
      CHECK(rc == FREDDY_OK || rc == FREDDY_EPROTOCOL);
      if (rc == FREDDY_OK && headers.complete) {
        CHECK_INT(headers.status, 200);
        CHECK_INT(headers.count, (drop != 3) + (drop != 4) + (drop != 6) +
                                     (repeat == 3) + (repeat == 4) +
                                     (repeat == 6));
      }
      fy_headers_clear(&headers);
    }
  }
  UNIT_CASE("%s", "");
}

static void test_get(void) {
  static const char text[] = OK "Empty:\r\nA: 1\r\nab: 2\r\na: 3\r\n\r\n";
  struct fy_headers headers;
  const char *name = "untouched";
  const char *value = "untouched";
  size_t rest;

  fy_headers_init(&headers, FY_MAX_HEADERS);
  CHECK(fy_headers_get(&headers, "a") == NULL);
  CHECK_INT(fy_headers_at(&headers, 0, &name, &value), 0);
  CHECK_INT(feed(&headers, text, strlen(text), NULL, &rest), FREDDY_OK);
  CHECK_TEXT(fy_headers_get(&headers, "A"), "1");
  CHECK_TEXT(fy_headers_get(&headers, "AB"), "2");
  CHECK_TEXT(fy_headers_get(&headers, "empty"), "");
  CHECK(fy_headers_get(&headers, "1") == NULL); /* a value is no name */
  CHECK(fy_headers_get(&headers, "") == NULL);
  CHECK_INT(fy_headers_at(&headers, 4, &name, &value), 0);
  CHECK_INT(fy_headers_at(&headers, (size_t)-1, &name, &value), 0);
  CHECK_TEXT(name, "untouched");
  CHECK_TEXT(value, "untouched");
  CHECK_INT(fy_headers_at(&headers, 3, &name, &value), 1);
  CHECK_TEXT(name, "a");
  CHECK_TEXT(value, "3");
  fy_headers_clear(&headers);
}

static void expect_too_large(struct fy_headers *headers, const char *line,
                             size_t size) {
  freddy_error err = {.code = FREDDY_OK};

  CHECK_INT(fy_headers_line(headers, line, size, &err), FREDDY_ETOO_LARGE);
  CHECK_INT(err.code, FREDDY_ETOO_LARGE);
  CHECK_TEXT(err.reason, "header");
  fy_headers_clear(headers);
}

static void test_ceilings(void) {
  size_t size = FY_MAX_HEADER_LINE;
  char *line = malloc(size + 1);
  struct fy_headers headers;
  size_t i;

  memset(line, 'x', size + 1);
  memcpy(line, "A:", 2);
  fy_headers_init(&headers, FY_MAX_HEADERS);
  CHECK_INT(fy_headers_line(&headers, OK, strlen(OK), NULL), FREDDY_OK);
  CHECK_INT(fy_headers_line(&headers, line, size, NULL), FREDDY_OK);
  expect_too_large(&headers, line, size + 1);

  CHECK_INT(fy_headers_line(&headers, OK, strlen(OK), NULL), FREDDY_OK);
  for (i = 0; i < 3; i++) {
    CHECK_INT(fy_headers_line(&headers, line, size, NULL), FREDDY_OK);
  }
  expect_too_large(&headers, line, size);

  CHECK_INT(fy_headers_line(&headers, OK, strlen(OK), NULL), FREDDY_OK);
  for (i = 0; i < FY_MAX_HEADER_FIELDS; i++) {
    CHECK_INT(fy_headers_line(&headers, "a:b\r\n", 5, NULL), FREDDY_OK);
  }
  expect_too_large(&headers, "a:b\r\n", 5);
  free(line);
}

/* 1xx answers without end, a CONNECT's, trailers: all count as one. */
static void test_endless(void) {
  static const char *const rounds[] = {"HTTP/1.1 100 Continue\r\n\r\n",
                                       "HTTP/1.1 200 OK\r\n\r\n", "A: b\r\n"};
  freddy_error err = {.code = FREDDY_OK};
  size_t i;

  for (i = 0; i < COUNT(rounds); i++) {
    struct fy_headers headers;
    size_t total = 0;
    size_t rest;
    int rc;

    UNIT_CASE("%s", rounds[i]);
    memset(&err, 0, sizeof(err));
    fy_headers_init(&headers, 1000);
    rc = feed(&headers, OK "\r\n", strlen(OK "\r\n"), &err, &rest);
    while (rc == FREDDY_OK && total < 2000) {
      rc = feed(&headers, rounds[i], strlen(rounds[i]), &err, &rest);
      total += strlen(rounds[i]);
    }
    CHECK_INT(rc, FREDDY_ETOO_LARGE);
    CHECK_TEXT(err.reason, "header");
    CHECK(headers.total <= 1000);
    CHECK(total > 900);
    fy_headers_clear(&headers);
  }
  UNIT_CASE("%s", "");
}

int main(void) {
  test_tokens();
  test_names();
  test_json();
  test_good();
  test_bad();
  test_every_cut();
  test_every_line();
  test_get();
  test_ceilings();
  test_endless();
  return unit_end();
}
