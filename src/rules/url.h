/* SPDX-License-Identifier: MIT */
/* URLs as this client needs them: split, compared by origin, joined. No
 * I/O, no allocation but into the buffer given. RFC 3986, RFC 9110 4. */
#ifndef FY_RULES_URL_H
#define FY_RULES_URL_H

#include <stddef.h>

#include "base/buf.h"

/* A view into the text that was split: nothing is copied. */
struct fy_span {
  const char *data;
  size_t size;
};

struct fy_url {
  int https;            /* 1: https, 0: http */
  struct fy_span host;  /* without brackets; case as given */
  int host_is_ipv6;     /* 1: was in brackets */
  unsigned port;        /* the scheme's default when none was given */
  struct fy_span path;  /* begins with "/" or is empty; no query */
  struct fy_span query; /* without "?"; empty when none */
};

/* Split an absolute http(s) URL. FREDDY_OK, or FREDDY_EMISUSE with a reason
 * in `err` (optional): "scheme", "userinfo", "host", "port", "control",
 * "space". A fragment is left out. Hosts hold letters, digits, '-', '.', '_'
 * only (or an IPv6 literal, without zone); anything else is refused, and so
 * are empty labels and a last label that is a number, unless the whole is a
 * canonical dotted quad: "0x7f.1" is an address to some and a name to others.
 * The views are into `text`; on failure `out` means nothing. */
int fy_url_split(const char *text, size_t size, struct fy_url *out,
                 freddy_error *err);

/* The same for "host[:port]" alone: sets the host and, where one is given,
 * the port of `out`. */
int fy_url_split_authority(const char *text, size_t size, struct fy_url *out,
                           freddy_error *err);

/* 1 when both have the same scheme, host (case ignored; IPv6 addresses by
 * value) and port. */
int fy_url_same_origin(const struct fy_url *a, const struct fy_url *b);

/* 1 for 127.0.0.0/8, ::1 and localhost. Only canonical dotted-quad counts as
 * IPv4 (no "127.1", no hex, no octal): resolvers disagree on the rest. */
int fy_url_is_loopback(const struct fy_url *url);

/* 1 when the host is an IPv4 or IPv6 literal or localhost, so that it is
 * never looked up. */
int fy_url_is_literal(const struct fy_url *url);

/* Append the absolute URL of `path` (which begins with "/", and may hold a
 * query) under `base`, whose own path stays in front of it without its
 * trailing slashes; its query is left out. Characters that RFC 3986 does not
 * allow in a path or query are percent-encoded; "%XX" that is there already
 * is kept. Dot segments are kept as they are: it is the caller who encodes
 * ids. FREDDY_OK; FREDDY_EMISUSE (no "/" first, or a control character), or
 * fy_buf_add's failures: then nothing was appended. */
FREDDY_MUST_CHECK int fy_url_join(const struct fy_url *base, const char *path,
                                  size_t size, struct fy_buf *out);

/* Append the absolute URL that the reference `text` means where `base` is the
 * URL at hand (RFC 3986 5.2): "//host/x", "/x", "x", "../x", "?x" and "" are
 * references as well as a whole URL. A fragment is left out, dot segments are
 * removed, "%2e" is none; what may not stand in a path or query is percent-
 * encoded as by fy_url_join, blanks and backslashes too. FREDDY_OK;
 * FREDDY_EMISUSE with a reason in `err` (optional) as for fy_url_split, but
 * "space"; or fy_buf_add's failures: then nothing was appended. */
FREDDY_MUST_CHECK int fy_url_resolve(const struct fy_url *base,
                                     const char *text, size_t size,
                                     struct fy_buf *out, freddy_error *err);

/* Append `text` percent-encoded for use as one path segment or one query
 * name or value: everything but unreserved characters (RFC 3986 2.3); and
 * a segment that is "." or ".." becomes %2E or %2E%2E. FREDDY_OK, or
 * fy_buf_add's failures: then nothing was appended. */
FREDDY_MUST_CHECK int fy_url_encode(const char *text, size_t size,
                                    struct fy_buf *out);

#endif
