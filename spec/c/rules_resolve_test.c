/* SPDX-License-Identifier: MIT */
/* What a reference means against a URL (fy_url_resolve). */
#include <stdio.h>
#include <string.h>

#include "rules/url.h"
#include "unit.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* RFC 3986 5.4 whole, but for schemes that are not ours; a target without
 * path gets "/", and a fragment is left out. */
static void test_resolve(void) {
  static const char usual[] = "http://a/b/c/d;p?q";
  static const struct {
    const char *base; /* NULL: the RFC's */
    const char *text;
    const char *want; /* NULL: refused, with `reason` */
    const char *reason;
  } rows[] = {
      {NULL, "g:h", NULL, "scheme"},
      {NULL, "g", "http://a/b/c/g", NULL},
      {NULL, "./g", "http://a/b/c/g", NULL},
      {NULL, "g/", "http://a/b/c/g/", NULL},
      {NULL, "/g", "http://a/g", NULL},
      {NULL, "//g", "http://g/", NULL},
      {NULL, "?y", "http://a/b/c/d;p?y", NULL},
      {NULL, "g?y", "http://a/b/c/g?y", NULL},
      {NULL, "#s", "http://a/b/c/d;p?q", NULL},
      {NULL, "g#s", "http://a/b/c/g", NULL},
      {NULL, "g?y#s", "http://a/b/c/g?y", NULL},
      {NULL, ";x", "http://a/b/c/;x", NULL},
      {NULL, "g;x", "http://a/b/c/g;x", NULL},
      {NULL, "g;x?y#s", "http://a/b/c/g;x?y", NULL},
      {NULL, "", "http://a/b/c/d;p?q", NULL},
      {NULL, ".", "http://a/b/c/", NULL},
      {NULL, "./", "http://a/b/c/", NULL},
      {NULL, "..", "http://a/b/", NULL},
      {NULL, "../", "http://a/b/", NULL},
      {NULL, "../g", "http://a/b/g", NULL},
      {NULL, "../..", "http://a/", NULL},
      {NULL, "../../", "http://a/", NULL},
      {NULL, "../../g", "http://a/g", NULL},
      /* 5.4.2, the abnormal ones */
      {NULL, "../../../g", "http://a/g", NULL},
      {NULL, "../../../../g", "http://a/g", NULL},
      {NULL, "/./g", "http://a/g", NULL},
      {NULL, "/../g", "http://a/g", NULL},
      {NULL, "g.", "http://a/b/c/g.", NULL},
      {NULL, ".g", "http://a/b/c/.g", NULL},
      {NULL, "g..", "http://a/b/c/g..", NULL},
      {NULL, "..g", "http://a/b/c/..g", NULL},
      {NULL, "./../g", "http://a/b/g", NULL},
      {NULL, "./g/.", "http://a/b/c/g/", NULL},
      {NULL, "g/./h", "http://a/b/c/g/h", NULL},
      {NULL, "g/../h", "http://a/b/c/h", NULL},
      {NULL, "g;x=1/./y", "http://a/b/c/g;x=1/y", NULL},
      {NULL, "g;x=1/../y", "http://a/b/c/y", NULL},
      {NULL, "g?y/./x", "http://a/b/c/g?y/./x", NULL},
      {NULL, "g?y/../x", "http://a/b/c/g?y/../x", NULL},
      {NULL, "g#s/./x", "http://a/b/c/g", NULL},
      {NULL, "g#s/../x", "http://a/b/c/g", NULL},
      {NULL, "http:g", NULL, "scheme"}, /* strict parsers: another URL */
      /* what the RFC has no row for */
      {NULL, "?", "http://a/b/c/d;p?", NULL},
      {NULL, "#", "http://a/b/c/d;p?q", NULL},
      {NULL, "?#s", "http://a/b/c/d;p?", NULL},
      {NULL, "//g?y", "http://g/?y", NULL},
      {NULL, "https://G:443/./x/../y", "https://G/y", NULL},
      {NULL, "HTTPS://g", "https://g/", NULL},
      {NULL, "//g:80/", "http://g/", NULL},
      {NULL, "//g:443/", "http://g:443/", NULL},
      {NULL, "//[::1]:1/x", "http://[::1]:1/x", NULL},
      {NULL, "/a//b/../c", "http://a/a//c", NULL},
      {NULL, "/a/..//evil.test/", "http://a//evil.test/", NULL},
      {NULL, "..//evil.test/", "http://a/b//evil.test/", NULL},
      {NULL, "/..", "http://a/", NULL},
      {NULL, "/.", "http://a/", NULL},
      {NULL, "/%2e%2e/g", "http://a/%2e%2e/g", NULL},
      {NULL, "./g:h", "http://a/b/c/g:h", NULL},
      {NULL, "1:h", "http://a/b/c/1:h", NULL},
      {NULL, "g/h:i", "http://a/b/c/g/h:i", NULL},
      {NULL, "g?h:i", "http://a/b/c/g?h:i", NULL},
      {NULL, "a b?c d", "http://a/b/c/a%20b?c%20d", NULL},
      {NULL, "/\\evil.test/", "http://a/%5Cevil.test/", NULL},
      {NULL, "\\\\evil.test/", "http://a/b/c/%5C%5Cevil.test/", NULL},
      {NULL, "/\xC3\xA9?\xE2\x82\xAC", "http://a/%C3%A9?%E2%82%AC", NULL},
      {NULL, "/%zz%41", "http://a/%25zz%41", NULL},
      {NULL, "@evil.test/", "http://a/b/c/@evil.test/", NULL},
      {NULL, ".evil.test/", "http://a/b/c/.evil.test/", NULL},
      {NULL, "//u@g/", NULL, "userinfo"},
      {NULL, "https://a@g/", NULL, "userinfo"},
      {NULL, "https://good.test\\@g/", NULL, "userinfo"},
      {NULL, "https://good.test\\g/", NULL, "host"},
      {NULL, "///g", NULL, "host"},
      {NULL, "//", NULL, "host"},
      {NULL, "// g/", NULL, "host"},
      {NULL, "//g\\h", NULL, "host"},
      {NULL, "//0x7f.1/", NULL, "host"},
      {NULL, "//g:0/", NULL, "port"},
      {NULL, "//g:x/", NULL, "port"},
      {NULL, "https:\\\\g", NULL, "scheme"},
      {NULL, "javascript:alert(1)", NULL, "scheme"},
      {NULL, "data:,x", NULL, "scheme"},
      {NULL, "file:///etc/passwd", NULL, "scheme"},
      {NULL, "ftp://g/", NULL, "scheme"},
      {NULL, "/a\tb", NULL, "control"},
      {NULL, "\x01//g", NULL, "control"},
      {NULL, "/a\x7F", NULL, "control"},
      {NULL, "/a#\r\nX: y", NULL, "control"},
      {"https://h", "g", "https://h/g", NULL},
      {"https://h", "", "https://h/", NULL},
      {"https://h", "?q", "https://h/?q", NULL},
      {"https://h?q", "#s", "https://h/?q", NULL},
      {"https://h:8443/x", "//g", "https://g/", NULL},
      {"https://h:8443/x", "/y", "https://h:8443/y", NULL},
      {"https://h/../x/./y?q", "?r", "https://h/../x/./y?r", NULL},
      {"https://h/a/./../b/c", "d", "https://h/b/d", NULL},
      {"https://[2001:db8::1]:9/a", "b", "https://[2001:db8::1]:9/b", NULL},
  };
  struct fy_buf out;
  struct fy_url url;
  size_t i;

  fy_buf_init(&out, 1000);
  for (i = 0; i < COUNT(rows); i++) {
    const char *base = rows[i].base ? rows[i].base : usual;
    const char *text = rows[i].text;
    freddy_error err = {.code = FREDDY_OK};

    UNIT_CASE("%s -> %s", base, text);
    fy_buf_clear(&out);
    CHECK_INT(fy_buf_adds(&out, "kept "), FREDDY_OK);
    CHECK_INT(fy_url_split(base, strlen(base), &url, NULL), FREDDY_OK);
    CHECK_INT(fy_url_resolve(&url, text, strlen(text), &out, &err),
              rows[i].want ? FREDDY_OK : FREDDY_EMISUSE);
    CHECK_TEXT(out.data + 5, rows[i].want ? rows[i].want : "");
    CHECK_TEXT(err.reason, rows[i].reason ? rows[i].reason : "");
  }
  UNIT_CASE("%s", "");
  CHECK_INT(fy_url_resolve(&url, "/a\0b", 4, &out, NULL), FREDDY_EMISUSE);
  CHECK_INT(fy_url_resolve(&url, "\0", 1, &out, NULL), FREDDY_EMISUSE);
  fy_buf_clear(&out);
}

/* Whatever the ceiling, what does not fit leaves nothing behind. */
static void test_resolve_ceiling(void) {
  static const char base[] = "http://[::1]:81/a|b/c";
  static const char want[] = "http://[::1]:81/a%7Cb/d%20e?f";
  struct fy_url url;
  struct fy_buf out;
  size_t max;

  CHECK_INT(fy_url_split(base, strlen(base), &url, NULL), FREDDY_OK);
  for (max = 1; max < sizeof(want) - 1; max++) {
    UNIT_CASE("ceiling %zu", max);
    fy_buf_init(&out, max);
    CHECK_INT(fy_buf_add(&out, "", 0), FREDDY_OK);
    CHECK_INT(fy_url_resolve(&url, "d e?f", 5, &out, NULL), FREDDY_ETOO_LARGE);
    CHECK_TEXT(out.data, "");
    CHECK_INT(out.size, 0);
    fy_buf_clear(&out);
  }
  fy_buf_init(&out, max);
  CHECK_INT(fy_url_resolve(&url, "d e?f", 5, &out, NULL), FREDDY_OK);
  CHECK_TEXT(out.data, want);
  fy_buf_clear(&out);
  UNIT_CASE("%s", "");
}

int main(void) {
  test_resolve();
  test_resolve_ceiling();
  return unit_end();
}
