/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "rules/url.h"
#include "unit.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* What a host is, beside its name. */
enum { NAME, LITERAL, LOOPBACK }; /* a loopback is a literal too */

struct good {
  const char *text;
  int https;
  const char *host;
  int six;
  unsigned port;
  const char *path;
  const char *query;
  int kind;
};

static const struct good goods[] = {
    {"https://api.example.com", 1, "api.example.com", 0, 443, "", "", NAME},
    {"https://api.example.com/", 1, "api.example.com", 0, 443, "/", "", NAME},
    {"HTTPS://API.Example.COM/V1", 1, "API.Example.COM", 0, 443, "/V1", "",
     NAME},
    {"http://h", 0, "h", 0, 80, "", "", NAME},
    {"hTTp://h:8080/a?b=c", 0, "h", 0, 8080, "/a", "b=c", NAME},
    {"https://h:1", 1, "h", 0, 1, "", "", NAME},
    {"https://h:65535/", 1, "h", 0, 65535, "/", "", NAME},
    {"https://h:0443/", 1, "h", 0, 443, "/", "", NAME},
    {"https://h:/x", 1, "h", 0, 443, "/x", "", NAME},
    {"https://h?q", 1, "h", 0, 443, "", "q", NAME},
    {"https://h/?", 1, "h", 0, 443, "/", "", NAME},
    {"https://h/?a?b", 1, "h", 0, 443, "/", "a?b", NAME},
    {"https://h#frag", 1, "h", 0, 443, "", "", NAME},
    {"https://h/a#b?c", 1, "h", 0, 443, "/a", "", NAME},
    {"https://h/a?b#c?d", 1, "h", 0, 443, "/a", "b", NAME},
    {"https://h#@evil.com/", 1, "h", 0, 443, "", "", NAME},
    {"https://h/@evil.com/", 1, "h", 0, 443, "/@evil.com/", "", NAME},
    {"https://h?@evil.com/", 1, "h", 0, 443, "", "@evil.com/", NAME},
    {"https://h//a//b", 1, "h", 0, 443, "//a//b", "", NAME},
    {"https://h/../x/./y", 1, "h", 0, 443, "/../x/./y", "", NAME},
    {"https://h/a%2Fb?c=%20", 1, "h", 0, 443, "/a%2Fb", "c=%20", NAME},
    {"https://h/a\\b", 1, "h", 0, 443, "/a\\b", "", NAME},
    {"https://h/\xC3\xA9?\xE2\x82\xAC", 1, "h", 0, 443, "/\xC3\xA9",
     "\xE2\x82\xAC", NAME},
    {"https://h.", 1, "h.", 0, 443, "", "", NAME},
    {"https://a_b-c.d", 1, "a_b-c.d", 0, 443, "", "", NAME},
    {"https://-h-", 1, "-h-", 0, 443, "", "", NAME},
    {"https://xn--bcher-kva.example", 1, "xn--bcher-kva.example", 0, 443, "",
     "", NAME},
    {"https://1e100.net", 1, "1e100.net", 0, 443, "", "", NAME},
    {"https://1.2.3.4.nip.io", 1, "1.2.3.4.nip.io", 0, 443, "", "", NAME},
    {"https://0x7g", 1, "0x7g", 0, 443, "", "", NAME},
    {"http://127.0.0.1.evil", 0, "127.0.0.1.evil", 0, 80, "", "", NAME},
    {"http://localhost.evil", 0, "localhost.evil", 0, 80, "", "", NAME},
    {"http://localhosts", 0, "localhosts", 0, 80, "", "", NAME},
    {"http://localhost.", 0, "localhost.", 0, 80, "", "", NAME},
    {"http://evil.localhost", 0, "evil.localhost", 0, 80, "", "", NAME},
    {"http://127.0.0.1", 0, "127.0.0.1", 0, 80, "", "", LOOPBACK},
    {"http://127.0.0.1:8080/x", 0, "127.0.0.1", 0, 8080, "/x", "", LOOPBACK},
    {"http://127.255.255.254", 0, "127.255.255.254", 0, 80, "", "", LOOPBACK},
    {"http://localhost", 0, "localhost", 0, 80, "", "", LOOPBACK},
    {"http://LocalHost:1/", 0, "LocalHost", 0, 1, "/", "", LOOPBACK},
    {"http://[::1]", 0, "::1", 1, 80, "", "", LOOPBACK},
    {"http://[::1]:8443/x?y", 0, "::1", 1, 8443, "/x", "y", LOOPBACK},
    {"http://[0:0:0:0:0:0:0:1]", 0, "0:0:0:0:0:0:0:1", 1, 80, "", "",
     LOOPBACK},
    {"http://[::0.0.0.1]", 0, "::0.0.0.1", 1, 80, "", "", LOOPBACK},
    {"http://128.0.0.1", 0, "128.0.0.1", 0, 80, "", "", LITERAL},
    {"http://0.0.0.0", 0, "0.0.0.0", 0, 80, "", "", LITERAL},
    {"https://10.1.2.3", 1, "10.1.2.3", 0, 443, "", "", LITERAL},
    {"https://[::]", 1, "::", 1, 443, "", "", LITERAL},
    {"https://[2001:DB8::ff]:9", 1, "2001:DB8::ff", 1, 9, "", "", LITERAL},
    {"http://[::ffff:127.0.0.1]", 0, "::ffff:127.0.0.1", 1, 80, "", "",
     LITERAL},
};

struct bad {
  const char *text;
  const char *reason;
};

static const struct bad bads[] = {
    {"", "scheme"},
    {"h", "scheme"},
    {"/v1", "scheme"},
    {"//h/", "scheme"},
    {"https", "scheme"},
    {"https:", "scheme"},
    {"https:/h", "scheme"},
    {"https:h", "scheme"},
    {"https:\\\\h", "scheme"},
    {"ftp://h", "scheme"},
    {"file:///etc/passwd", "scheme"},
    {"httpss://h", "scheme"},
    {"xhttps://h", "scheme"},
    {"javascript://h", "scheme"},
    {"https://", "host"},
    {"https:///x", "host"},
    {"https://?x", "host"},
    {"https://#x", "host"},
    {"https://:443", "host"},
    {"https://.", "host"},
    {"https://..", "host"},
    {"https://.h", "host"},
    {"https://a..b", "host"},
    {"https://h..", "host"},
    {"https://u@h", "userinfo"},
    {"https://u:p@h/", "userinfo"},
    {"https://@h", "userinfo"},
    {"https://h:80@evil.com", "userinfo"},
    {"https://good.com\\@evil.com", "userinfo"},
    {"https://good.com%40evil.com", "host"},
    {"https://h\\x", "host"},
    {"https://good.com\\.evil.com", "host"},
    {"https://h,i", "host"},
    {"https://h;i", "host"},
    {"https://h%2eevil", "host"},
    {"https://a*b", "host"},
    {"https://b\xC3\xBC"
     "cher.example",
     "host"},
    {"https://\xE2\x93\x94.com", "host"},
    {"https://h\xE3\x80\x82"
     "com",
     "host"},
    {"http://127.1", "host"},
    {"http://0x7f.1", "host"},
    {"http://0x7F000001", "host"},
    {"http://2130706433", "host"},
    {"http://0177.0.0.1", "host"},
    {"http://127.0.0.01", "host"},
    {"http://127.0.0.1.", "host"},
    {"http://127.0.0.256", "host"},
    {"http://1.2.3.4.5", "host"},
    {"http://foo.0x1", "host"},
    {"http://foo.0x", "host"},
    {"http://foo.1.", "host"},
    {"https://[", "host"},
    {"https://[]", "host"},
    {"https://[::1", "host"},
    {"https://::1/", "host"},
    {"https://[::1]x", "host"},
    {"https://[::1]]", "host"},
    {"https://[[::1]]", "host"},
    {"https://x[::1]", "host"},
    {"https://[::1%25eth0]", "host"},
    {"https://[fe80::1%eth0]", "host"},
    {"https://[v1.x]", "host"},
    {"https://[127.0.0.1]", "host"},
    {"https://[:::1]", "host"},
    {"https://[localhost]", "host"},
    {"https://h:0", "port"},
    {"https://h:00000", "port"},
    {"https://h:65536", "port"},
    {"https://h:4294967739", "port"}, /* 443 to 32 bits */
    {"https://h:99999999999999999999999", "port"},
    {"https://h:-1", "port"},
    {"https://h:+80", "port"},
    {"https://h:80x", "port"},
    {"https://h:0x50", "port"},
    {"https://h:80:80", "port"},
    {"https://h::", "port"},
    {"https://[::1]:", NULL}, /* an empty port is none */
    {"https://[::1]:x", "port"},
    {" https://h", "space"},
    {"https://h ", "space"},
    {"https://h h", "space"},
    {"https://h/a b", "space"},
    {"https://h:80 80", "space"},
    {"https://h/\t", "control"},
    {"https://h\r\n", "control"},
    {"https://h/\r\nX-Evil: 1", "control"},
    {"https://h/\x7F", "control"},
    {"https://h/\x01", "control"},
    {"\nhttps://h", "control"},
};

static void check_span(struct fy_span span, const char *want, int line) {
  unit_check_bytes(span.data, span.size, want, strlen(want), __FILE__, line,
                   "span");
}

static void test_good(void) {
  size_t i;

  for (i = 0; i < COUNT(goods); i++) {
    const struct good *good = &goods[i];
    freddy_error err = {.code = FREDDY_OK};
    struct fy_url url;

    UNIT_CASE("%s", good->text);
    CHECK_INT(fy_url_split(good->text, strlen(good->text), &url, &err),
              FREDDY_OK);
    CHECK_INT(err.code, FREDDY_OK);
    CHECK_INT(url.https, good->https);
    check_span(url.host, good->host, __LINE__);
    CHECK_INT(url.host_is_ipv6, good->six);
    CHECK_INT(url.port, good->port);
    check_span(url.path, good->path, __LINE__);
    check_span(url.query, good->query, __LINE__);
    CHECK_INT(fy_url_is_literal(&url), good->kind != NAME);
    CHECK_INT(fy_url_is_loopback(&url), good->kind == LOOPBACK);
    CHECK(fy_url_same_origin(&url, &url));
  }
}

static void test_bad(void) {
  struct fy_url url;
  size_t i;

  for (i = 0; i < COUNT(bads); i++) {
    freddy_error err = {.code = FREDDY_OK};
    size_t size = strlen(bads[i].text);
    int want = bads[i].reason ? FREDDY_EMISUSE : FREDDY_OK;

    UNIT_CASE("%s", bads[i].text);
    CHECK_INT(fy_url_split(bads[i].text, size, &url, &err), want);
    CHECK_INT(fy_url_split(bads[i].text, size, &url, NULL), want);
    CHECK_TEXT(err.reason, bads[i].reason ? bads[i].reason : "");
    CHECK_INT(err.message[0] != '\0', bads[i].reason != NULL);
  }
  UNIT_CASE("%s", "NUL");
  CHECK_INT(fy_url_split("https://h\0.evil", 15, &url, NULL), FREDDY_EMISUSE);
  CHECK_INT(fy_url_split("https://h/\0", 11, &url, NULL), FREDDY_EMISUSE);
  CHECK_INT(fy_url_split("\0", 1, &url, NULL), FREDDY_EMISUSE);
  UNIT_CASE("%s", "");
}

/* No message repeats the URL: it may hold a password. */
static void test_silence(void) {
  static const char *const texts[] = {"https://u:sesame@h", "sesame://h",
                                      "https://sesame,h", "https://h:sesame",
                                      "https://h/sesame x"};
  size_t i;

  for (i = 0; i < COUNT(texts); i++) {
    freddy_error err = {.code = FREDDY_OK};
    struct fy_url url;

    UNIT_CASE("%s", texts[i]);
    CHECK_INT(fy_url_split(texts[i], strlen(texts[i]), &url, &err),
              FREDDY_EMISUSE);
    CHECK(!strstr(err.message, "sesame"));
  }
  UNIT_CASE("%s", "");
}

static void test_long_names(void) {
  char text[400] = "https://";
  struct fy_url url;
  size_t i;

  memset(text + 8, 'a', 63);
  CHECK_INT(fy_url_split(text, 8 + 63, &url, NULL), FREDDY_OK);
  memset(text + 8, 'a', 64);
  CHECK_INT(fy_url_split(text, 8 + 64, &url, NULL), FREDDY_EMISUSE);
  memcpy(text + 8 + 64, ".b", 2);
  CHECK_INT(fy_url_split(text, 8 + 66, &url, NULL), FREDDY_EMISUSE);
  for (i = 0; i < 300; i++) {
    text[8 + i] = i % 2 ? '.' : 'a';
  }
  CHECK_INT(fy_url_split(text, 8 + 253, &url, NULL), FREDDY_OK);
  CHECK_INT(fy_url_split(text, 8 + 254, &url, NULL), FREDDY_OK); /* "...a." */
  CHECK_INT(fy_url_split(text, 8 + 255, &url, NULL), FREDDY_EMISUSE);
}

static void test_origin(void) {
  static const struct {
    const char *a;
    const char *b;
    int same;
  } rows[] = {
      {"https://h", "https://h:443/x?y#z", 1},
      {"https://H.Example", "HTTPS://h.eXAMPLE/", 1},
      {"http://h", "http://h:80", 1},
      {"http://[::1]", "http://[0:0::0001]/", 1},
      {"http://[2001:db8::A]", "http://[2001:DB8::a]", 1},
      {"https://h", "http://h", 0},
      {"https://h", "http://h:443", 0},
      {"https://h", "https://h:444", 0},
      {"https://h", "https://h.", 0},
      {"https://h", "https://hh", 0},
      {"https://h", "https://g", 0},
      {"https://h.evil", "https://h", 0},
      {"http://[::1]", "http://[::2]", 0},
      {"http://[::1]", "http://127.0.0.1", 0},
      {"http://localhost", "http://127.0.0.1", 0},
  };
  struct fy_url a;
  struct fy_url b;
  size_t i;

  for (i = 0; i < COUNT(rows); i++) {
    UNIT_CASE("%s and %s", rows[i].a, rows[i].b);
    CHECK_INT(fy_url_split(rows[i].a, strlen(rows[i].a), &a, NULL), 0);
    CHECK_INT(fy_url_split(rows[i].b, strlen(rows[i].b), &b, NULL), 0);
    CHECK_INT(fy_url_same_origin(&a, &b), rows[i].same);
    CHECK_INT(fy_url_same_origin(&b, &a), rows[i].same);
  }
  UNIT_CASE("%s", "");
}

static void test_join(void) {
  static const struct {
    const char *base;
    const char *path;
    const char *want; /* NULL: refused */
  } rows[] = {
      {"https://h", "/v1/models", "https://h/v1/models"},
      {"https://h/", "/v1", "https://h/v1"},
      {"https://h/api", "/v1", "https://h/api/v1"},
      {"https://h/api///", "/v1", "https://h/api/v1"},
      {"https://h/a%2F?q=1#f", "/v1", "https://h/a%2F/v1"},
      {"HTTPS://H:443", "/", "https://H/"},
      {"http://H:443", "/", "http://H:443/"},
      {"http://h:80", "/", "http://h/"},
      {"https://h:8443", "/x", "https://h:8443/x"},
      {"http://[::1]", "/x", "http://[::1]/x"},
      {"http://[::1]:81", "/x", "http://[::1]:81/x"},
      {"https://h", "/a?b=c&d=e", "https://h/a?b=c&d=e"},
      {"https://h", "/a?b?c", "https://h/a?b?c"},
      {"https://h", "/a b", "https://h/a%20b"},
      {"https://h", "/a#b", "https://h/a%23b"},
      {"https://h", "/%41%zz%4", "https://h/%41%25zz%254"},
      {"https://h", "/%", "https://h/%25"},
      {"https://h", "/\"<>\\^`{|}[]",
       "https://h/%22%3C%3E%5C%5E%60%7B%7C%7D%5B%5D"},
      {"https://h", "/-._~!$&'()*+,;=:@", "https://h/-._~!$&'()*+,;=:@"},
      {"https://h", "/\xC3\xA9\xFF", "https://h/%C3%A9%FF"},
      {"https://h", "//evil.com/x", "https://h//evil.com/x"},
      {"https://h", "/../x/.", "https://h/../x/."},
      {"https://h/a|b", "/x", "https://h/a%7Cb/x"},
      {"https://h", "/@evil.com", "https://h/@evil.com"},
      {"https://h", "v1", NULL},
      {"https://h", "", NULL},
      {"https://h", "?x", NULL},
      {"https://h", ".evil.com/", NULL},
      {"https://h", "@evil.com/", NULL},
      {"https://h", ":1@evil.com/", NULL},
      {"https://h", "/a\r\nX: y", NULL},
      {"https://h", "/a\x7F", NULL},
      {"https://h", "/a\t", NULL},
  };
  struct fy_buf out;
  struct fy_url url;
  size_t i;

  fy_buf_init(&out, 1000);
  for (i = 0; i < COUNT(rows); i++) {
    int want = rows[i].want ? FREDDY_OK : FREDDY_EMISUSE;

    UNIT_CASE("%s + %s", rows[i].base, rows[i].path);
    fy_buf_clear(&out);
    CHECK_INT(fy_buf_adds(&out, "kept "), FREDDY_OK);
    CHECK_INT(fy_url_split(rows[i].base, strlen(rows[i].base), &url, NULL), 0);
    CHECK_INT(fy_url_join(&url, rows[i].path, strlen(rows[i].path), &out),
              want);
    CHECK_TEXT(out.data + 5, rows[i].want ? rows[i].want : "");
  }
  UNIT_CASE("%s", "");
  CHECK_INT(fy_url_join(&url, "/a\0b", 4, &out), FREDDY_EMISUSE);
  fy_buf_clear(&out);
}

/* Whatever the ceiling, what does not fit leaves nothing behind. */
static void test_join_ceiling(void) {
  static const char base[] = "http://[::1]:81/a|b";
  static const char path[] = "/c d?e=\xC3\xA9";
  static const char want[] = "http://[::1]:81/a%7Cb/c%20d?e=%C3%A9";
  struct fy_url url;
  struct fy_buf out;
  size_t max;

  CHECK_INT(fy_url_split(base, strlen(base), &url, NULL), FREDDY_OK);
  for (max = 1; max < sizeof(want) - 1; max++) {
    UNIT_CASE("ceiling %zu", max);
    fy_buf_init(&out, max);
    CHECK_INT(fy_buf_add(&out, "", 0), FREDDY_OK);
    CHECK_INT(fy_url_join(&url, path, strlen(path), &out), FREDDY_ETOO_LARGE);
    CHECK_TEXT(out.data, "");
    CHECK_INT(out.size, 0);
    fy_buf_clear(&out);
  }
  fy_buf_init(&out, max);
  CHECK_INT(fy_url_join(&url, path, strlen(path), &out), FREDDY_OK);
  CHECK_TEXT(out.data, want);
  fy_buf_clear(&out);
  UNIT_CASE("%s", "");
}

static void test_encode(void) {
  static const struct {
    const char *text;
    const char *want;
  } rows[] = {
      {"", ""},
      {"abcXYZ019-._~", "abcXYZ019-._~"},
      {"a b", "a%20b"},
      {"../x", "..%2Fx"},
      {".", "%2E"},
      {"..", "%2E%2E"},
      {"...", "..."},
      {".a", ".a"},
      {"%41", "%2541"},
      {"?&=#+", "%3F%26%3D%23%2B"},
      {"\xE2\x82\xAC", "%E2%82%AC"},
      {"\r\n", "%0D%0A"},
      {"a:b@c", "a%3Ab%40c"},
  };
  struct fy_buf out;
  size_t i;

  for (i = 0; i < COUNT(rows); i++) {
    UNIT_CASE("%s", rows[i].text);
    fy_buf_init(&out, 100);
    CHECK_INT(fy_url_encode(rows[i].text, strlen(rows[i].text), &out), 0);
    CHECK_TEXT(out.data, rows[i].want);
    fy_buf_clear(&out);
  }
  UNIT_CASE("%s", "");
  fy_buf_init(&out, 5);
  CHECK_INT(fy_url_encode("\0", 1, &out), FREDDY_OK);
  CHECK_TEXT(out.data, "%00");
  CHECK_INT(fy_url_encode("a/", 2, &out), FREDDY_ETOO_LARGE);
  CHECK_TEXT(out.data, "%00");
  fy_buf_clear(&out);
}

int main(void) {
  test_good();
  test_bad();
  test_silence();
  test_long_names();
  test_origin();
  test_join();
  test_join_ceiling();
  test_encode();
  return unit_end();
}
