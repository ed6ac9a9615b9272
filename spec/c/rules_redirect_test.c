/* SPDX-License-Identifier: MIT */
/* Which redirects are followed, by what request, and what goes along. */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "rules/redirect.h"
#include "unit.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* A head of an answer; `lines` are separated by "\n". */
static void read_head(struct fy_headers *answer, int status,
                      const char *lines) {
  char line[200];
  freddy_error err = {.code = FREDDY_OK};

  fy_headers_init(answer, FY_MAX_HEADERS);
  snprintf(line, sizeof(line), "HTTP/1.1 %d X\r\n", status);
  CHECK_INT(fy_headers_line(answer, line, strlen(line), &err), FREDDY_OK);
  while (*lines) {
    size_t size = strcspn(lines, "\n");

    CHECK_INT(fy_headers_line(answer, lines, size, &err), FREDDY_OK);
    lines += size + (lines[size] == '\n');
  }
  CHECK_INT(fy_headers_line(answer, "\r\n", 2, &err), FREDDY_OK);
  CHECK(answer->complete);
}

static int follow(struct fy_redirect *seen, int status, const char *from,
                  const char *lines, struct fy_step *step, freddy_error *err) {
  struct fy_headers answer;
  struct fy_url url;
  int rc;

  read_head(&answer, status, lines);
  CHECK_INT(fy_url_split(from, strlen(from), &url, NULL), FREDDY_OK);
  seen->answer = &answer;
  seen->from = &url;
  rc = fy_redirect_follow(seen, step, err);
  fy_headers_clear(&answer);
  return rc;
}

static void test_statuses(void) {
  int status;

  for (status = 100; status < 600; status++) {
    int want = status == 301 || status == 302 || status == 303 ||
               status == 307 || status == 308;

    UNIT_CASE("%d", status);
    CHECK_INT(fy_redirect_is(status), want);
  }
  UNIT_CASE("%s", "");
}

/* The Fetch standard's table, and what it leaves to others: within an
 * origin, everything goes on. */
static void test_methods(void) {
  static const struct {
    const char *method;
    const char *statuses; /* of 1 2 3 7 8, those that make it a GET */
    const char *drops;    /* and those that drop a body */
  } rows[] = {
      {"GET", "", "3"},      {"HEAD", "", "3"},      {"POST", "123", "123"},
      {"PUT", "3", "3"},     {"PATCH", "3", "3"},    {"DELETE", "3", "3"},
      {"OPTIONS", "3", "3"}, {"PROPFIND", "3", "3"}, {"post", "3", "3"},
      {"POSTS", "3", "3"},
  };
  static const char digits[] = "12378";
  size_t i;
  size_t k;

  for (i = 0; i < COUNT(rows); i++) {
    for (k = 0; k < 2 * (sizeof(digits) - 1); k++) {
      char digit = digits[k / 2];
      struct fy_redirect seen = {.method = rows[i].method,
                                 .has_body = k % 2 == 1};
      struct fy_step step;

      UNIT_CASE("30%c %s, body %d", digit, rows[i].method, seen.has_body);
      CHECK_INT(follow(&seen, 300 + digit - '0', "https://h/a", "Location: b",
                       &step, NULL),
                FREDDY_OK);
      CHECK_TEXT(step.text.data, "https://h/b");
      CHECK_INT(step.to_get, strchr(rows[i].statuses, digit) != NULL);
      CHECK_INT(step.drops_body, strchr(rows[i].drops, digit) != NULL);
      CHECK_INT(step.leaves, 0);
      fy_buf_clear(&step.text);
    }
  }
  UNIT_CASE("%s", "");
}

/* GET, from https://h/a/b unless said otherwise. */
static void test_locations(void) {
  static const struct {
    const char *from;
    const char *lines;
    const char *want; /* "=": the same origin, else another; NULL: refused */
    const char *reason;
  } rows[] = {
      {NULL, "Location: /x", "=https://h/x", ""},
      {NULL, "LOCATION:x?y#z", "=https://h/a/x?y", ""},
      {NULL, "location: https://H:443/x", "=https://H/x", ""},
      {NULL, "Location: //h/x", "=https://h/x", ""},
      {NULL, "Location: https://h./x", " https://h./x", ""},
      {NULL, "Location: https://h:444/x", " https://h:444/x", ""},
      {NULL, "Location: //g", " https://g/", ""},
      {NULL, "Location: https://h.evil.test/", " https://h.evil.test/", ""},
      {NULL, "Location: https://127.0.0.1/", " https://127.0.0.1/", ""},
      {NULL, "Location: /\\g/x", "=https://h/%5Cg/x", ""},
      {NULL, "Location: /@g/", "=https://h/@g/", ""},
      {NULL, "Location: /%2e%2e/%0d%0aX:y", "=https://h/%2e%2e/%0d%0aX:y", ""},
      {NULL, "Location: .g", "=https://h/a/.g", ""},
      {NULL, "Location: ?", "=https://h/a/b?", ""},
      {NULL, "Location: #x", "=https://h/a/b", ""},
      {NULL, "Location: /x\nLocation: /x", "=https://h/x", ""},
      {"http://127.0.0.1:1/", "Location: http://127.0.0.1:1/x",
       "=http://127.0.0.1:1/x", ""},
      {"http://127.0.0.1:1/", "Location: http://127.0.0.1:2/",
       " http://127.0.0.1:2/", ""},
      {"http://127.0.0.1:1/", "Location: http://localhost:1/",
       " http://localhost:1/", ""},
      {"http://127.0.0.1:1/", "Location: http://[::1]:1/", " http://[::1]:1/",
       ""},
      {"http://[::1]:1/", "Location: http://[0:0::1]:1/",
       "=http://[0:0::1]:1/", ""},
      {"http://127.0.0.1:443/", "Location: https://127.0.0.1/",
       " https://127.0.0.1/", ""},
      {"http://127.0.0.1/", "Location: https://g/", " https://g/", ""},
      {NULL, "", NULL, "no_location"},
      {NULL, "Locations: /x", NULL, "no_location"},
      {NULL, "Content-Location: /x", NULL, "no_location"},
      {NULL, "Location:", NULL, "no_location"},
      {NULL, "Location: \t ", NULL, "no_location"},
      {NULL, "Location: /x\nLocation: /y", NULL, "bad_location"},
      {NULL, "Location: /x\nLocation:", NULL, "bad_location"},
      {NULL, "Location: ftp://h/", NULL, "bad_location"},
      {NULL, "Location: javascript:alert(1)", NULL, "bad_location"},
      {NULL, "Location: https:/x", NULL, "bad_location"},
      {NULL, "Location: h:443/x", NULL, "bad_location"},
      {NULL, "Location: https://u@h/", NULL, "bad_location"},
      {NULL, "Location: https://h@g/", NULL, "bad_location"},
      {NULL, "Location: https://h:443@g/", NULL, "bad_location"},
      {NULL, "Location: //u:p@h/", NULL, "bad_location"},
      {NULL, "Location: https://h\\@g/", NULL, "bad_location"},
      {NULL, "Location: https://h%2eg/", NULL, "bad_location"},
      {NULL, "Location: https://h%40g/", NULL, "bad_location"},
      {NULL, "Location: https://\xE2\x93\x97/", NULL, "bad_location"},
      {NULL, "Location: https:///x", NULL, "bad_location"},
      {NULL, "Location: ///x", NULL, "bad_location"},
      {NULL, "Location: https://0x7f.1/", NULL, "bad_location"},
      {NULL, "Location: https://2130706433/", NULL, "bad_location"},
      {NULL, "Location: https://[::1%25lo]/", NULL, "bad_location"},
      {NULL, "Location: https://h:0/", NULL, "bad_location"},
      {NULL, "Location: /x\ty", NULL, "bad_location"},
      {NULL, "Location: /x\x01", NULL, "bad_location"},
      {NULL, "Location: http://h/a/b", NULL, "insecure"},
      {NULL, "Location: http://127.0.0.1/", NULL, "insecure"},
      {NULL, "Location: http://localhost/", NULL, "insecure"},
      {"http://127.0.0.1:1/", "Location: http://h/", NULL, "insecure"},
      {"http://127.0.0.1:1/", "Location: http://localhost./", NULL,
       "insecure"},
      {"http://127.0.0.1:1/", "Location: http://[::ffff:127.0.0.1]/", NULL,
       "insecure"},
      {"http://127.0.0.1:1/", "Location: http://0.0.0.0:1/", NULL, "insecure"},
  };
  size_t i;

  for (i = 0; i < COUNT(rows); i++) {
    const char *from = rows[i].from ? rows[i].from : "https://h/a/b";
    const char *want = rows[i].want;
    freddy_error err = {.code = FREDDY_OK};
    struct fy_redirect seen = {.method = "GET"};
    struct fy_step step;

    UNIT_CASE("%s, %s", from, rows[i].lines);
    CHECK_INT(follow(&seen, 302, from, rows[i].lines, &step, &err),
              want ? FREDDY_OK : FREDDY_EREDIRECT);
    CHECK_TEXT(err.reason, rows[i].reason);
    if (want) {
      CHECK_TEXT(step.text.data, want + 1);
      CHECK_INT(step.leaves, want[0] != '=');
    } else {
      CHECK(err.message[0]);
    }
    fy_buf_clear(&step.text);
  }
  UNIT_CASE("%s", "");
}

/* To https://g/: what may be asked of it, and what it never gets. */
static void test_leaving(void) {
  static const struct {
    int status;
    const char *method;
    int has_body;
    const char *reason;
  } rows[] = {
      {302, "GET", 0, ""},
      {307, "GET", 0, ""},
      {308, "HEAD", 0, ""},
      {301, "OPTIONS", 0, ""},
      {302, "GET", 1, "cross_origin_body"},
      {303, "GET", 1, ""},
      {301, "POST", 1, ""},
      {302, "POST", 0, ""},
      {303, "POST", 1, ""},
      {303, "DELETE", 0, ""},
      {303, "PUT", 1, ""},
      {307, "POST", 1, "cross_origin_body"},
      {308, "POST", 0, "cross_origin_body"},
      {301, "PUT", 1, "cross_origin_body"},
      {302, "PATCH", 1, "cross_origin_body"},
      {307, "DELETE", 0, "cross_origin_body"},
      {302, "get", 0, "cross_origin_body"}, /* who knows what that does */
  };
  size_t i;

  for (i = 0; i < COUNT(rows); i++) {
    freddy_error err = {.code = FREDDY_OK};
    struct fy_redirect seen = {.method = rows[i].method,
                               .has_body = rows[i].has_body};
    struct fy_step step;

    UNIT_CASE("%d %s, body %d", rows[i].status, rows[i].method,
              rows[i].has_body);
    CHECK_INT(follow(&seen, rows[i].status, "https://h/", "Location: //g",
                     &step, &err),
              rows[i].reason[0] ? FREDDY_EREDIRECT : FREDDY_OK);
    CHECK_TEXT(err.reason, rows[i].reason);
    CHECK_INT(step.leaves, 1);
    fy_buf_clear(&step.text);
  }
  UNIT_CASE("%s", "");
}

static void test_bounds(void) {
  static char lines[FY_MAX_HEADER_LINE];
  freddy_error err = {.code = FREDDY_OK};
  struct fy_redirect seen = {.method = "GET"};
  struct fy_step step;

  for (seen.hops = 0; seen.hops < 8; seen.hops++) {
    UNIT_CASE("after %d", seen.hops);
    CHECK_INT(follow(&seen, 302, "https://h/", "Location: /x", &step, &err),
              seen.hops < 5 ? FREDDY_OK : FREDDY_EREDIRECT);
    CHECK_TEXT(err.reason, seen.hops < 5 ? "" : "too_many");
    fy_buf_clear(&step.text);
  }
  UNIT_CASE("%s", "a long Location");
  memset(lines, ' ', sizeof(lines) - 1);
  memcpy(lines, "Location: /", 11);
  memset(lines + 30000, 'x', 10); /* each blank takes three bytes */
  memset(&err, 0, sizeof(err));
  seen.hops = 0;
  lines[30010] = '\0';
  CHECK_INT(follow(&seen, 302, "https://h/", lines, &step, &err),
            FREDDY_EREDIRECT);
  CHECK_TEXT(err.reason, "bad_location");
  fy_buf_clear(&step.text);
  UNIT_CASE("%s", "");
}

/* A reader was read from: what needs the body again is refused. */
static void test_spent(void) {
  static const struct {
    int status;
    const char *reason;
  } rows[] = {{301, ""},
              {302, ""},
              {303, ""},
              {307, "body_spent"},
              {308, "body_spent"}};
  size_t i;

  for (i = 0; i < COUNT(rows); i++) {
    freddy_error err = {.code = FREDDY_OK};
    struct fy_redirect seen = {
        .method = "POST", .has_body = 1, .body_spent = 1};
    struct fy_step step;

    UNIT_CASE("%d", rows[i].status);
    CHECK_INT(follow(&seen, rows[i].status, "https://h/", "Location: /x",
                     &step, &err),
              rows[i].reason[0] ? FREDDY_EREDIRECT : FREDDY_OK);
    CHECK_TEXT(err.reason, rows[i].reason);
    fy_buf_clear(&step.text);
  }
  UNIT_CASE("%s", "");
}

/* No message repeats a Location: it may hold a password. */
static void test_silence(void) {
  static const char *const lines[] = {
      "Location: https://u:sesame@h/", "Location: sesame://h",
      "Location: http://sesame.test/", "Location: https://h:sesame/",
      "Location: /sesame\nLocation: /open"};
  size_t i;

  for (i = 0; i < COUNT(lines); i++) {
    freddy_error err = {.code = FREDDY_OK};
    struct fy_redirect seen = {.method = "GET"};
    struct fy_step step;

    UNIT_CASE("%s", lines[i]);
    CHECK_INT(follow(&seen, 302, "https://h/", lines[i], &step, &err),
              FREDDY_EREDIRECT);
    CHECK(!strstr(err.message, "sesame"));
    fy_buf_clear(&step.text);
  }
  UNIT_CASE("%s", "");
}

static void test_headers(void) {
  static const struct {
    const char *name;
    int without_body, elsewhere;
  } rows[] = {
      {"Accept", 1, 1},
      {"ACCEPT-LANGUAGE", 1, 1},
      {"Range", 1, 1},
      {"If-None-Match", 1, 1},
      {"User-Agent", 1, 1},
      {"Cookie", 1, 0},
      {"cookie2", 1, 0},
      {"Authorization", 1, 0},
      {"api-key", 1, 0},
      {"X-API-Key", 1, 0},
      {"X-Auth-Token", 1, 0},
      {"Referer", 1, 0},
      {"Origin", 1, 0},
      {"From", 1, 0},
      {"X-Organization-Id", 1, 0},
      {"Accept-X", 1, 0},
      {"Idempotency-Key", 1, 0},
      {"Content-Type", 0, 1},
      {"content-encoding", 0, 1},
      {"Content-Language", 0, 1},
      {"Content-MD5", 0, 0},
      {"Digest", 0, 0},
      {"Content", 1, 0},
      {"", 1, 0},
  };
  struct fy_step within = {.leaves = 0};
  struct fy_step without_body = {.drops_body = 1};
  struct fy_step elsewhere = {.leaves = 1};
  struct fy_step both = {.leaves = 1, .drops_body = 1};
  size_t i;

  for (i = 0; i < COUNT(rows); i++) {
    const char *name = rows[i].name;
    size_t size = strlen(name);

    UNIT_CASE("%s", name);
    CHECK_INT(fy_redirect_keeps(&within, name, size), 1);
    CHECK_INT(fy_redirect_keeps(&without_body, name, size),
              rows[i].without_body);
    CHECK_INT(fy_redirect_keeps(&elsewhere, name, size), rows[i].elsewhere);
    CHECK_INT(fy_redirect_keeps(&both, name, size),
              rows[i].without_body && rows[i].elsewhere);
  }
  UNIT_CASE("%s", "");
}

int main(void) {
  test_statuses();
  test_methods();
  test_locations();
  test_leaving();
  test_bounds();
  test_spent();
  test_silence();
  test_headers();
  return unit_end();
}
