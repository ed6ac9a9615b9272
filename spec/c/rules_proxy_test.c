/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "rules/no_proxy.h"
#include "rules/proxy.h"
#include "unit.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* --- The URL of a proxy ------------------------------------------------- */

static const struct good {
  const char *text;
  enum fy_proxy_scheme scheme;
  const char *host;
  unsigned port;
  const char *user, *password; /* decoded; NULL: none given */
} goods[] = {
    {"http://proxy", FY_PROXY_HTTP, "proxy", 80, NULL, NULL},
    {"http://proxy/", FY_PROXY_HTTP, "proxy", 80, NULL, NULL},
    {"HTTPS://Proxy.Example", FY_PROXY_HTTPS, "Proxy.Example", 443, NULL,
     NULL},
    {"socks5://127.0.0.1", FY_PROXY_SOCKS5, "127.0.0.1", 1080, NULL, NULL},
    {"Socks5H://h:9", FY_PROXY_SOCKS5H, "h", 9, NULL, NULL},
    {"http://[2001:db8::1]:3128", FY_PROXY_HTTP, "2001:db8::1", 3128, NULL,
     NULL},
    {"http://u@h", FY_PROXY_HTTP, "h", 80, "u", ""},
    {"http://u:@h", FY_PROXY_HTTP, "h", 80, "u", ""},
    {"http://u:p@h:1/", FY_PROXY_HTTP, "h", 1, "u", "p"},
    {"http://u:p:q@h", FY_PROXY_HTTP, "h", 80, "u", "p:q"},
    {"http://u:p@q@h", FY_PROXY_HTTP, "h", 80, "u", "p@q"},
    {"http://a%3ab:%40%2F%25%20@h", FY_PROXY_HTTP, "h", 80, "a:b", "@/% "},
    {"http://%C3%BC:%e2%82%ac@h", FY_PROXY_HTTP, "h", 80, "\xC3\xBC",
     "\xE2\x82\xAC"},
    {"socks5h://u:p@[::1]:1", FY_PROXY_SOCKS5H, "::1", 1, "u", "p"},
};

static void check_decoded(int given, struct fy_span encoded,
                          const char *want) {
  char room[64];
  long size = fy_proxy_decode(encoded, room);

  CHECK_INT(given, want != NULL);
  if (want) {
    CHECK_BYTES(room, size < 0 ? 0 : (size_t)size, want, strlen(want));
  }
}

static void test_goods(void) {
  for (size_t i = 0; i < COUNT(goods); i++) {
    const struct good *row = &goods[i];
    freddy_error err = {.code = FREDDY_OK};
    struct fy_proxy_url url;

    UNIT_CASE("%s", row->text);
    CHECK_INT(fy_proxy_split(row->text, strlen(row->text), &url, &err),
              FREDDY_OK);
    CHECK_INT(err.code, FREDDY_OK);
    CHECK_INT(url.scheme, row->scheme);
    CHECK_BYTES(url.at.host.data, url.at.host.size, row->host,
                strlen(row->host));
    CHECK_INT(url.at.port, row->port);
    check_decoded(url.has_login, url.user, row->user);
    check_decoded(url.has_login, url.password, row->password);
  }
}

static const struct bad {
  const char *text;
  const char *reason;
} bads[] = {
    {"", "scheme"},
    {"proxy:3128", "scheme"},
    {"ftp://h", "scheme"},
    {"socks4://h", "scheme"},
    {"socks://h", "scheme"},
    {"http:/h", "scheme"},
    {"http//h", "scheme"},
    {" http://h", "scheme"},
    {"http://", "host"},
    {"http://@h", "login"},
    {"http://:pw@h", "login"},
    {"http://u:pw@", "host"},
    {"http://u:pw@/", "host"},
    {"http://u:pw@h:0", "port"},
    {"http://u:pw@h:99999", "port"},
    {"http://u:pw@h:x", "port"},
    {"http://u:pw@h/path", "path"},
    {"http://u:pw@h?q", "path"},
    {"http://u:pw@h#f", "path"},
    {"http://u:p/w@h", "path"},
    {"http://u:pw@h b", "space"},
    {"http://u:pw@h\n", "control"},
    {"http://u:pw@h,g", "host"},
    {"http://u:pw@0x7f.1", "host"},
    {"http://u:pw@[::1", "host"},
    {"http://u:pw@::1", "host"},
};

static void test_bads(void) {
  static const char *const logins[] = {"%",  "%4",   "%zz", "a%00", "%0a",
                                       "\n", "\x7f", "%7F", "%%20"};

  for (size_t i = 0; i < COUNT(bads); i++) {
    freddy_error err = {.code = FREDDY_OK};
    struct fy_proxy_url url;

    UNIT_CASE("%s", bads[i].text);
    CHECK_INT(fy_proxy_split(bads[i].text, strlen(bads[i].text), &url, &err),
              FREDDY_EMISUSE);
    CHECK_TEXT(err.reason, bads[i].reason);
    CHECK(!strstr(err.message, "pw"));
    CHECK_INT(fy_proxy_split(bads[i].text, strlen(bads[i].text), &url, NULL),
              FREDDY_EMISUSE);
  }
  for (size_t i = 0; i < COUNT(logins); i++) {
    struct fy_span encoded = {logins[i], strlen(logins[i])};
    char room[64];

    UNIT_CASE("login %zu", i);
    CHECK_INT(fy_proxy_decode(encoded, room), -1);
  }
}

/* --- no_proxy ----------------------------------------------------------- */

static const struct bypass {
  const char *list;
  const char *url;
  int has;
} bypasses[] = {
    {"", "https://example.com", 0},
    {" ,, ", "https://example.com", 0},
    {"*", "https://example.com", 1},
    {"*", "https://[::1]:1", 1},
    {"x,*", "https://192.0.2.1", 1},
    /* names */
    {"example.com", "https://example.com", 1},
    {"EXAMPLE.com", "https://Example.COM:8443", 1},
    {"example.com", "https://example.com.", 1},
    {"example.com.", "https://example.com", 1},
    {"example.com", "https://api.example.com", 1},
    {"example.com", "https://a.b.example.com", 1},
    {"example.com", "https://notexample.com", 0},
    {"example.com", "https://example.com.evil", 0},
    {"example.com", "https://com", 0},
    {".example.com", "https://example.com", 1},
    {".example.com", "https://api.example.com", 1},
    {".example.com", "https://notexample.com", 0},
    {"*.example.com", "https://api.example.com", 1},
    {"*.example.com", "https://xexample.com", 0},
    {"com", "https://example.com", 1},
    {"localhost", "https://localhost", 1},
    {"localhost", "https://127.0.0.1", 0},
    {"a.test,b.test", "https://b.test", 1},
    {"a.test b.test", "https://b.test", 1},
    {" a.test , b.test\t", "https://b.test", 1},
    {"a.test,b.test", "https://c.test", 0},
    {"a_b.test", "https://a_b.test", 1},
    /* ports */
    {"example.com:443", "https://example.com", 1},
    {"example.com:443", "https://example.com:8443", 0},
    {"example.com:8443", "https://api.example.com:8443", 1},
    {".example.com:443", "https://api.example.com", 1},
    {"127.0.0.1:80", "http://127.0.0.1", 1},
    {"127.0.0.1:80", "http://127.0.0.1:8080", 0},
    {"[::1]:80", "http://[::1]", 1},
    {"[::1]:80", "http://[::1]:81", 0},
    /* addresses */
    {"192.0.2.1", "https://192.0.2.1", 1},
    {"192.0.2.1", "https://192.0.2.11", 0},
    {"192.0.2.1", "https://a.192.0.2.1.test", 0},
    {"2001:db8::1", "https://[2001:db8::1]", 1},
    {"[2001:db8::1]", "https://[2001:DB8:0::1]", 1},
    {"2001:db8::1", "https://[2001:db8::2]", 0},
    {"::ffff:192.0.2.1", "https://192.0.2.1", 1},
    {"192.0.2.1", "https://[::ffff:192.0.2.1]", 1},
    {"192.0.2.1", "https://[::192.0.2.1]", 0},
    /* ranges */
    {"10.0.0.0/8", "https://10.255.0.1", 1},
    {"10.0.0.0/8", "https://11.0.0.1", 0},
    {"10.1.2.3/8", "https://10.9.9.9", 1},
    {"192.0.2.128/25", "https://192.0.2.127", 0},
    {"192.0.2.128/25", "https://192.0.2.128", 1},
    {"192.0.2.4/31", "https://192.0.2.5", 1},
    {"192.0.2.4/31", "https://192.0.2.6", 0},
    {"192.0.2.4/32", "https://192.0.2.4", 1},
    {"192.0.2.4/32", "https://192.0.2.5", 0},
    {"0.0.0.0/0", "https://203.0.113.9", 1},
    {"0.0.0.0/0", "https://[2001:db8::1]", 0},
    {"0.0.0.0/0", "https://example.com", 0},
    {"::/0", "https://[2001:db8::1]", 1},
    {"::/0", "https://192.0.2.1", 0},
    {"fd00::/8", "https://[fdff::1]", 1},
    {"fd00::/8", "https://[fc00::1]", 0},
    {"2001:db8::/33", "https://[2001:db8:7fff::1]", 1},
    {"2001:db8::/33", "https://[2001:db8:8000::1]", 0},
    {"::1/128", "https://[::1]", 1},
    {"::ffff:10.0.0.0/104", "https://10.1.1.1", 1},
    {"::ffff:10.0.0.0/104", "https://11.1.1.1", 0},
    {"10.0.0.0/8", "https://[::ffff:10.1.1.1]", 1},
    {"10.0.0.0/8", "https://10.test", 0},
    {"10.0.0.0/8", "https://h10.0.0.1.test", 0},
    /* what cannot be understood names nothing, and hides nothing */
    {"10.0.0.0/33,example.com", "https://10.0.0.1", 0},
    {"10.0.0.0/33,example.com", "https://example.com", 1},
    {"example.com:", "https://example.com", 0},
};

static void test_bypasses(void) {
  for (size_t i = 0; i < COUNT(bypasses); i++) {
    const struct bypass *row = &bypasses[i];
    struct fy_url url;

    UNIT_CASE("%s: %s", row->list, row->url);
    CHECK_INT(fy_url_split(row->url, strlen(row->url), &url, NULL), FREDDY_OK);
    CHECK_INT(fy_no_proxy_has(row->list, strlen(row->list), &url), row->has);
  }
}

static void test_validity(void) {
  static const char *const good[] = {
      "",    " , ",  "*",       "a",       "a.",        ".a",
      "*.a", "a:1",  "a:65535", "1.2.3.4", "1.2.3.4:5", "1.2.3.4/0",
      "::",  "[::]", "[::]:1",  "::/128",  "a,b c\t*"};
  static const char *const bad[] = {".",           "..a",
                                    "a..b",        "*a",
                                    "a*",          "*.",
                                    "a:",          "a:0",
                                    "a:65536",     "a:x",
                                    "a:1:2",       "[::1",
                                    "::1]",        "[::1]x",
                                    "[::1]:",      "[1.2.3.4]",
                                    "[a]",         "[]",
                                    "1.2.3.4/",    "1.2.3.4/33",
                                    "::/129",      "a/8",
                                    "1.2.3.4/8:1", "[::]/0",
                                    "1.2.3.4/-1",  "a/b",
                                    "http://a",    "a;b",
                                    "\xC3\xBC",    "a\n",
                                    "a,b,:",       "a@b",
                                    "1.2.3.4/8/8", "1.2.3.4/123456"};

  for (size_t i = 0; i < COUNT(good); i++) {
    UNIT_CASE("%s", good[i]);
    CHECK(fy_no_proxy_is_valid(good[i], strlen(good[i])));
  }
  for (size_t i = 0; i < COUNT(bad); i++) {
    UNIT_CASE("%s", bad[i]);
    CHECK(!fy_no_proxy_is_valid(bad[i], strlen(bad[i])));
  }
  CHECK(!fy_no_proxy_is_valid("a\0", 2));
}

/* --- Base64 ------------------------------------------------------------- */

/* RFC 4648 10, and the bytes that need the last digits. */
static void test_base64(void) {
  static const char *const rows[][2] = {
      {"", ""},
      {"f", "Zg=="},
      {"fo", "Zm8="},
      {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="},
      {"fooba", "Zm9vYmE="},
      {"foobar", "Zm9vYmFy"},
      {"\xff\xfe\xfb", "//77"},
      {"Aladdin:open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}};

  for (size_t i = 0; i < COUNT(rows); i++) {
    size_t size = strlen(rows[i][0]);
    size_t length = FY_BASE64_SIZE(size);
    char *out = malloc(length + 1); /* so that ASan sees its end */

    UNIT_CASE("%s", rows[i][1]);
    fy_base64(rows[i][0], size, out);
    CHECK_BYTES(out, length, rows[i][1], strlen(rows[i][1]));
    free(out);
  }
}

int main(void) {
  test_goods();
  test_bads();
  test_bypasses();
  test_validity();
  test_base64();
  return unit_end();
}
