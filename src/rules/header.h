/* SPDX-License-Identifier: MIT */
/* Header fields: what may be sent, and an answer's header section, read line
 * by line. RFC 9110 5, RFC 9112 2-6. */
#ifndef FY_RULES_HEADER_H
#define FY_RULES_HEADER_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* 1 when `text` is a token (RFC 9110 5.6.2): a header name or a method. */
int fy_header_is_token(const char *text, size_t size);

/* 1 when `text` may be a header value: no control character but tab, no
 * blank at either end. Bytes from 0x80 on are allowed (obs-text). */
int fy_header_is_value(const char *text, size_t size);

/* Whose a header of a request is: CREDENTIAL for names that carry one and so
 * are never set by hand (Authorization, Proxy-Authorization, api-key,
 * X-API-Key and `key_header`, which may be NULL); OURS for those that frame
 * the message (Content-Length, Transfer-Encoding, Connection, Host, Expect,
 * TE, Trailer, Upgrade, Keep-Alive, Accept-Encoding); FREE for all others. */
enum fy_header_owner { FY_HEADER_FREE, FY_HEADER_CREDENTIAL, FY_HEADER_OURS };
enum fy_header_owner fy_header_owner(const char *name, size_t size,
                                     const char *key_header);

/* ASCII case-insensitive equality with a NUL-terminated name. */
int fy_header_name_is(const char *name, size_t size, const char *other);

/* 1 when the media type is JSON: application/json, text/json, or any type
 * with the suffix +json (RFC 6839 3.1); parameters are ignored. NULL: 0. */
int fy_header_is_json(const char *content_type);

/* 1 when the media type is text/event-stream; parameters are ignored. NULL:
 * 0. */
int fy_header_is_event_stream(const char *content_type);

/* The header section of an answer. Feed it every line as it came, the end of
 * line included: status lines, 1xx and CONNECT blocks, the final block, then
 * trailers. */
struct fy_headers {
  struct fy_buf text; /* "name\0value\0" of the final block, in order */
  size_t count;
  size_t total;     /* bytes of all lines, 1xx included */
  int status;       /* of the block at hand; 0 before any */
  int http_version; /* 10, 11, 20; 0 before any */
  int complete;     /* 1: blank line of the final block was seen */
  int trailers;     /* 1: what comes now are trailers; dropped, counted */
  /* Known once `complete`: */
  int64_t length;        /* Content-Length; -1 when there is none */
  int chunked;           /* 1: Transfer-Encoding's last coding is chunked */
  int gzip;              /* 1: Content-Encoding is gzip or x-gzip */
  int encoded_otherwise; /* 1: some other Content-Encoding, or several */
  /* Private: */
  size_t last; /* where the latest field begins in `text` */
  size_t max;  /* ceiling on `total` */
};

/* `max` is the ceiling on all lines together. A single one is held to
 * FY_MAX_HEADER_LINE, and their number to FY_MAX_HEADER_FIELDS. */
void fy_headers_init(struct fy_headers *headers, size_t max);

/* FREDDY_OK; FREDDY_ETOO_LARGE (reason header); FREDDY_EPROTOCOL (reason
 * bad_length: two Content-Lengths that differ or one that is no number, also
 * as a list "5, 5" unless all are equal; bad_header: a line without a colon,
 * a name that is no token, NUL or a bare CR in a value; bad_status;
 * bad_upgrade: 101); FREDDY_ENOMEM. A status line always starts anew (after
 * 1xx, a CONNECT's answer, a redirect hop), except among trailers. obs-fold
 * lines are joined with one space, but one that continues a field on which
 * the framing hangs is a bad_header: libcurl would read it otherwise. After
 * a failure only fy_headers_clear makes sense. */
FREDDY_MUST_CHECK int fy_headers_line(struct fy_headers *headers,
                                      const char *line, size_t size,
                                      freddy_error *err);

/* Field `index` of the final block in order of arrival, or 0 past the end.
 * Both texts are borrowed until the next line is fed. */
int fy_headers_at(const struct fy_headers *headers, size_t index,
                  const char **name, const char **value);
/* The first value of `name`, or NULL. */
const char *fy_headers_get(const struct fy_headers *headers, const char *name);

/* Make `copy`, which holds nothing yet, as `headers` is. FREDDY_OK or
 * FREDDY_ENOMEM: then it holds nothing, and may be cleared all the same. */
FREDDY_MUST_CHECK int fy_headers_copy(struct fy_headers *copy,
                                      const struct fy_headers *headers);

/* Free; ready for another answer, with the same ceiling. */
void fy_headers_clear(struct fy_headers *headers);

#endif
