/* SPDX-License-Identifier: MIT */
#include "rules/url.h"

#include <string.h>

#include "base/ascii.h"
#include "base/error.h"
#include "base/ip.h"

enum {
  PORT_HTTP = 80,
  PORT_HTTPS = 443,
  MAX_PORT = 65535,
  MAX_HOST = 253, /* RFC 1035 2.3.4, without the trailing dot */
  MAX_LABEL = 63
};

/* RFC 3986 2.3 */
static int is_unreserved(char c) {
  return fy_is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

static int same_text(struct fy_span a, struct fy_span b) {
  size_t i;

  if (a.size != b.size) {
    return 0;
  }
  for (i = 0; i < a.size; i++) {
    if (fy_lower(a.data[i]) != fy_lower(b.data[i])) {
      return 0;
    }
  }
  return 1;
}

static int span_is(struct fy_span span, const char *text) {
  struct fy_span other = {text, strlen(text)};

  return same_text(span, other);
}

static size_t find_any(const char *text, size_t size, const char *any) {
  size_t i;

  for (i = 0; i < size; i++) {
    if (text[i] && strchr(any, text[i])) {
      return i;
    }
  }
  return size;
}

static int refuse(freddy_error *err, const char *reason, const char *message) {
  return fy_error_set(err, FREDDY_EMISUSE, reason, "%s", message);
}

static int ipv4(struct fy_span host, unsigned char out[4]) {
  return fy_ip4_parse(host.data, host.size, out);
}

static int ipv6(struct fy_span host, unsigned char out[16]) {
  return fy_ip6_parse(host.data, host.size, out);
}

/* Digits, or 0x and hex: resolvers and other parsers may read a host whose
 * last label is one as an IPv4 address, each in its own way. */
static int is_number(const char *label, size_t size) {
  size_t i;

  if (size >= 2 && label[0] == '0' && fy_lower(label[1]) == 'x') {
    for (i = 2; i < size && fy_hex_value(label[i]) >= 0; i++) {
    }
    return i == size;
  }
  for (i = 0; i < size && fy_is_digit(label[i]); i++) {
  }
  return size && i == size;
}

static int name_is_good(struct fy_span host) {
  unsigned char quad[4];
  size_t end = host.size;
  size_t label = 0;
  size_t i;

  if (end && host.data[end - 1] == '.') { /* the root's, RFC 1034 3.1 */
    end--;
  }
  if (!end || end > MAX_HOST) {
    return 0;
  }
  for (i = 0; i < end; i++) {
    char c = host.data[i];

    if (c == '.') {
      if (i == label || i - label > MAX_LABEL) {
        return 0;
      }
      label = i + 1;
    } else if (!fy_is_alnum(c) && c != '-' && c != '_') {
      return 0;
    }
  }
  if (end == label || end - label > MAX_LABEL) {
    return 0;
  }
  return !is_number(host.data + label, end - label) || ipv4(host, quad);
}

static int split_port(struct fy_span text, struct fy_url *out,
                      freddy_error *err) {
  unsigned port = 0;
  size_t i;

  if (!text.size) { /* "host:" is "host", RFC 3986 3.2.3 */
    return FREDDY_OK;
  }
  for (i = 0; i < text.size; i++) {
    if (!fy_is_digit(text.data[i])) {
      return refuse(err, "port", "the port of a URL must be a number");
    }
    port = port * 10 + (unsigned)(text.data[i] - '0');
    if (port > MAX_PORT) {
      break;
    }
  }
  if (!port || port > MAX_PORT) {
    return refuse(err, "port", "the port of a URL must be 1 to 65535");
  }
  out->port = port;
  return FREDDY_OK;
}

static int split_authority(struct fy_span text, struct fy_url *out,
                           freddy_error *err) {
  struct fy_span port = {text.data + text.size, 0};
  unsigned char address[16];
  size_t end;

  if (memchr(text.data, '@', text.size)) {
    return refuse(err, "userinfo",
                  "a URL must not hold a user name or a password");
  }
  out->host_is_ipv6 = text.size && text.data[0] == '[';
  end = find_any(text.data, text.size, out->host_is_ipv6 ? "]" : ":");
  out->host.data = text.data + out->host_is_ipv6;
  out->host.size = end - (size_t)out->host_is_ipv6;
  if (out->host_is_ipv6) {
    if (end == text.size || !ipv6(out->host, address)) {
      return refuse(err, "host", "the URL's host is no IPv6 address");
    }
    end++; /* the bracket */
  } else if (!name_is_good(out->host)) {
    return refuse(err, "host", "the URL's host is not a valid name");
  }
  if (end < text.size) {
    if (text.data[end] != ':') {
      return refuse(err, "host", "the URL's host is not a valid name");
    }
    port.data = text.data + end + 1;
    port.size = text.size - end - 1;
  }
  return split_port(port, out, err);
}

static int check_controls(const char *text, size_t size, freddy_error *err) {
  size_t i;

  for (i = 0; i < size; i++) {
    if (fy_is_control(text[i])) {
      return refuse(err, "control", "a URL must not hold control characters");
    }
  }
  return FREDDY_OK;
}

static int check_bytes(const char *text, size_t size, freddy_error *err) {
  int rc = check_controls(text, size, err);

  if (rc == FREDDY_OK && memchr(text, ' ', size)) {
    return refuse(err, "space", "a URL must not hold spaces");
  }
  return rc;
}

int fy_url_split_authority(const char *text, size_t size, struct fy_url *out,
                           freddy_error *err) {
  struct fy_span authority = {text, size};
  int rc = check_bytes(text, size, err);

  return rc ? rc : split_authority(authority, out, err);
}

/* The length of "https://" or "http://" at the start, or 0. */
static size_t scheme_size(const char *text, size_t size, int *https) {
  struct fy_span start = {text, 8};

  *https = size >= 8 && span_is(start, "https://");
  if (*https) {
    return 8;
  }
  start.size = 7;
  return size >= 7 && span_is(start, "http://") ? 7 : 0;
}

static int no_scheme(freddy_error *err) {
  return refuse(err, "scheme", "a URL must begin with https:// (or http://)");
}

/* Path and query: what begins at `at`. A fragment is left out. */
static void split_path(const char *text, size_t size, size_t at,
                       struct fy_url *out) {
  out->path.data = text + at;
  out->path.size = find_any(text + at, size - at, "?#");
  at += out->path.size;
  out->query.data = text + at;
  out->query.size = 0;
  if (at < size && text[at] == '?') {
    out->query.data = text + at + 1;
    out->query.size = find_any(text + at + 1, size - at - 1, "#");
  }
}

/* The authority, which begins at `at`, and what follows; the scheme is
 * known. */
static int split_from(const char *text, size_t size, size_t at,
                      struct fy_url *out, freddy_error *err) {
  struct fy_span authority;
  size_t end = at + find_any(text + at, size - at, "/?#");
  int rc;

  authority.data = text + at;
  authority.size = end - at;
  out->port = out->https ? PORT_HTTPS : PORT_HTTP;
  rc = split_authority(authority, out, err);
  if (rc == FREDDY_OK) {
    split_path(text, size, end, out);
  }
  return rc;
}

int fy_url_split(const char *text, size_t size, struct fy_url *out,
                 freddy_error *err) {
  size_t at;
  int rc;

  memset(out, 0, sizeof(*out));
  rc = check_bytes(text, size, err);
  if (rc) {
    return rc;
  }
  at = scheme_size(text, size, &out->https);
  return at ? split_from(text, size, at, out, err) : no_scheme(err);
}

int fy_url_same_origin(const struct fy_url *a, const struct fy_url *b) {
  unsigned char left[16];
  unsigned char right[16];

  if (a->https != b->https || a->port != b->port ||
      a->host_is_ipv6 != b->host_is_ipv6) {
    return 0;
  }
  if (a->host_is_ipv6) { /* "::1" and "0:0::1" are one host */
    return ipv6(a->host, left) && ipv6(b->host, right) &&
           memcmp(left, right, sizeof(left)) == 0;
  }
  return same_text(a->host, b->host);
}

int fy_url_is_loopback(const struct fy_url *url) {
  static const unsigned char loopback[16] = {[15] = 1};
  unsigned char bytes[16];

  if (url->host_is_ipv6) {
    return ipv6(url->host, bytes) &&
           memcmp(bytes, loopback, sizeof(loopback)) == 0;
  }
  return (ipv4(url->host, bytes) && bytes[0] == 127) ||
         span_is(url->host, "localhost");
}

int fy_url_is_literal(const struct fy_url *url) {
  unsigned char bytes[4];

  return url->host_is_ipv6 || ipv4(url->host, bytes) ||
         span_is(url->host, "localhost");
}

static int add_percent(struct fy_buf *out, char c) {
  static const char hex[] = "0123456789ABCDEF";
  unsigned char byte = (unsigned char)c;
  char text[3] = {'%', hex[byte >> 4], hex[byte & 15]};

  return fy_buf_add(out, text, sizeof(text));
}

/* pchar, "/" and "?" (RFC 3986 3.3, 3.4), or "%XX" that is there already. */
static int stays(const char *text, size_t size, size_t at) {
  char c = text[at];

  if (c == '%') {
    return size - at > 2 && fy_hex_value(text[at + 1]) >= 0 &&
           fy_hex_value(text[at + 2]) >= 0;
  }
  return is_unreserved(c) || (c && strchr("!$&'()*+,;=:@/?", c));
}

static int add_path(struct fy_buf *out, const char *text, size_t size) {
  size_t start = 0;
  int rc = FREDDY_OK;
  size_t i;

  for (i = 0; i < size && !rc; i++) {
    if (fy_is_control(text[i])) {
      return FREDDY_EMISUSE;
    }
    if (stays(text, size, i)) {
      continue;
    }
    rc = fy_buf_add(out, text + start, i - start);
    if (!rc) {
      rc = add_percent(out, text[i]);
    }
    start = i + 1;
  }
  return rc ? rc : fy_buf_add(out, text + start, size - start);
}

static int add_port(struct fy_buf *out, unsigned port) {
  char text[sizeof(":65535")];
  size_t at = sizeof(text);

  do {
    text[--at] = (char)('0' + port % 10);
    port /= 10;
  } while (port);
  text[--at] = ':';
  return fy_buf_add(out, text + at, sizeof(text) - at);
}

/* For each request: without printf, which costs more than all the rest. */
static int add_origin(struct fy_buf *out, const struct fy_url *url) {
  int six = url->host_is_ipv6;
  unsigned usual = url->https ? PORT_HTTPS : PORT_HTTP;
  int rc;

  rc = fy_buf_adds(out, url->https ? "https://" : "http://");
  if (!rc && six) {
    rc = fy_buf_adds(out, "[");
  }
  if (!rc) {
    rc = fy_buf_add(out, url->host.data, url->host.size);
  }
  if (!rc && six) {
    rc = fy_buf_adds(out, "]");
  }
  return !rc && url->port != usual ? add_port(out, url->port) : rc;
}

/* Undo what was appended since `size`, so that a failure leaves no half. */
static int keep(struct fy_buf *out, size_t size, int rc) {
  if (rc && out->data) {
    out->size = size;
    out->data[size] = '\0';
  }
  return rc;
}

int fy_url_join(const struct fy_url *base, const char *path, size_t size,
                struct fy_buf *out) {
  size_t before = out->size;
  size_t front = base->path.size;
  int rc;

  if (!size || path[0] != '/') {
    return FREDDY_EMISUSE;
  }
  while (front && base->path.data[front - 1] == '/') {
    front--;
  }
  rc = add_origin(out, base);
  if (!rc) {
    rc = add_path(out, base->path.data, front);
  }
  if (!rc) {
    rc = add_path(out, path, size);
  }
  return keep(out, before, rc);
}

/* --- References, RFC 3986 5.2 ------------------------------------------- */

/* 1 for "scheme:" at the start, RFC 3986 3.1. */
static int has_scheme(const char *text, size_t size) {
  size_t i = 0;

  if (!size || !fy_is_alnum(text[0]) || fy_is_digit(text[0])) {
    return 0;
  }
  while (i < size && (fy_is_alnum(text[i]) || text[i] == '+' ||
                      text[i] == '-' || text[i] == '.')) {
    i++;
  }
  return i < size && text[i] == ':';
}

static void drop_segment(struct fy_buf *out, size_t root) {
  size_t size = out->size;

  while (size > root && out->data[--size] != '/') {
  }
  out->size = size;
  out->data[size] = '\0';
}

/* Append a path that begins with "/" without its dot segments, 5.2.4. */
static int add_dotless(struct fy_buf *out, const char *path, size_t size) {
  size_t root = out->size;
  size_t at = 0;
  int rc = FREDDY_OK;

  while (at < size && !rc) {
    size_t length = find_any(path + at + 1, size - at - 1, "/");
    struct fy_span segment = {path + at + 1, length};
    int up = span_is(segment, "..");

    if (up) {
      drop_segment(out, root);
    }
    if (!up && !span_is(segment, ".")) {
      rc = add_path(out, path + at, length + 1);
    } else if (at + 1 + length == size) {
      rc = fy_buf_adds(out, "/");
    }
    at += 1 + length;
  }
  return rc;
}

/* A relative path stands in the place of the base's last segment, 5.2.3. */
static int add_merged(struct fy_buf *out, struct fy_span base,
                      struct fy_span path) {
  struct fy_buf merged;
  int rc;

  while (base.size && base.data[base.size - 1] != '/') {
    base.size--;
  }
  fy_buf_init(&merged, out->max);
  rc = base.size ? fy_buf_add(&merged, base.data, base.size)
                 : fy_buf_adds(&merged, "/");
  if (!rc) {
    rc = fy_buf_add(&merged, path.data, path.size);
  }
  if (!rc) {
    rc = add_dotless(out, merged.data, merged.size);
  }
  fy_buf_clear(&merged);
  return rc;
}

/* What `text` has of its own; 1 in `relative` when the rest is the base's. */
static int split_reference(const struct fy_url *base, const char *text,
                           size_t size, struct fy_url *to, int *relative,
                           freddy_error *err) {
  size_t at = scheme_size(text, size, &to->https);

  if (!at) {
    *to = *base;
    if (has_scheme(text, size)) {
      return no_scheme(err);
    }
    at = size >= 2 && text[0] == '/' && text[1] == '/' ? 2 : 0;
  }
  *relative = at == 0;
  if (at) {
    return split_from(text, size, at, to, err);
  }
  split_path(text, size, 0, to);
  return FREDDY_OK;
}

static int add_resolved(struct fy_buf *out, struct fy_span base,
                        struct fy_span path) {
  if (!path.size) {
    return base.size ? add_path(out, base.data, base.size)
                     : fy_buf_adds(out, "/");
  }
  return path.data[0] == '/' ? add_dotless(out, path.data, path.size)
                             : add_merged(out, base, path);
}

int fy_url_resolve(const struct fy_url *base, const char *text, size_t size,
                   struct fy_buf *out, freddy_error *err) {
  static const struct fy_span none = {"", 0};
  size_t before = out->size;
  struct fy_url to;
  int relative;
  int asks; /* a query that is there may be empty */
  int rc = check_controls(text, size, err);

  if (rc == FREDDY_OK) {
    size = find_any(text, size, "#");
    rc = split_reference(base, text, size, &to, &relative, err);
  }
  if (rc) {
    return rc;
  }
  asks = memchr(text, '?', size) != NULL;
  if (relative && !to.path.size && !asks) {
    to.query = base->query;
    asks = to.query.size > 0;
  }
  rc = add_origin(out, &to);
  if (!rc) {
    rc = add_resolved(out, relative ? base->path : none, to.path);
  }
  if (!rc && asks) {
    rc = fy_buf_adds(out, "?");
  }
  if (!rc && asks) {
    rc = add_path(out, to.query.data, to.query.size);
  }
  return keep(out, before, rc);
}

int fy_url_encode(const char *text, size_t size, struct fy_buf *out) {
  size_t before = out->size;
  size_t start = 0;
  int dots;
  int rc = FREDDY_OK;
  size_t i;

  dots = (size == 1 && text[0] == '.') ||
         (size == 2 && text[0] == '.' && text[1] == '.');
  for (i = 0; i < size && !rc; i++) {
    if (!dots && is_unreserved(text[i])) {
      continue;
    }
    rc = fy_buf_add(out, text + start, i - start);
    if (!rc) {
      rc = add_percent(out, text[i]);
    }
    start = i + 1;
  }
  if (!rc) {
    rc = fy_buf_add(out, text + start, size - start);
  }
  return keep(out, before, rc);
}
