/* SPDX-License-Identifier: MIT */
#include "rules/header.h"

#include <string.h>

#include "base/ascii.h"
#include "base/error.h"
#include "base/limits.h"

static int is_blank(char c) {
  return c == ' ' || c == '\t';
}

/* tchar, RFC 9110 5.6.2. "-" is the one that names have. */
static int is_token_char(char c) {
  return fy_is_alnum(c) || c == '-' || (c && strchr("!#$%&'*+.^_`|~", c));
}

int fy_header_is_token(const char *text, size_t size) {
  size_t i;

  for (i = 0; i < size; i++) {
    if (!is_token_char(text[i])) {
      return 0;
    }
  }
  return size > 0;
}

int fy_header_is_value(const char *text, size_t size) {
  size_t i;

  for (i = 0; i < size; i++) {
    if (fy_is_control(text[i]) && text[i] != '\t') {
      return 0;
    }
  }
  return !size || (!is_blank(text[0]) && !is_blank(text[size - 1]));
}

int fy_header_name_is(const char *name, size_t size, const char *other) {
  size_t i;

  for (i = 0; i < size && other[i]; i++) {
    if (fy_lower(name[i]) != fy_lower(other[i])) {
      return 0;
    }
  }
  return i == size && !other[i];
}

static int is_any(const char *name, size_t size, const char *const *names) {
  for (; *names; names++) {
    if (fy_header_name_is(name, size, *names)) {
      return 1;
    }
  }
  return 0;
}

enum fy_header_owner fy_header_owner(const char *name, size_t size,
                                     const char *key_header) {
  static const char *const credentials[] = {
      "authorization", "proxy-authorization", "api-key", "x-api-key", NULL};
  static const char *const framing[] = {"content-length",
                                        "transfer-encoding",
                                        "connection",
                                        "host",
                                        "expect",
                                        "te",
                                        "trailer",
                                        "upgrade",
                                        "keep-alive",
                                        "accept-encoding",
                                        NULL};

  if (is_any(name, size, credentials) ||
      (key_header && fy_header_name_is(name, size, key_header))) {
    return FY_HEADER_CREDENTIAL;
  }
  return is_any(name, size, framing) ? FY_HEADER_OURS : FY_HEADER_FREE;
}

/* Drop the blanks at both ends (OWS, RFC 9110 5.6.3). */
static void trim(const char **text, size_t *size) {
  while (*size && is_blank((*text)[0])) {
    (*text)++;
    (*size)--;
  }
  while (*size && is_blank((*text)[*size - 1])) {
    (*size)--;
  }
}

int fy_header_is_json(const char *content_type) {
  const char *type = content_type;
  const char *slash;
  size_t size;
  size_t rest;

  if (!type) {
    return 0;
  }
  size = strcspn(type, ";");
  trim(&type, &size);
  slash = memchr(type, '/', size);
  if (!slash) {
    return 0;
  }
  if (fy_header_name_is(type, size, "application/json") ||
      fy_header_name_is(type, size, "text/json")) {
    return 1;
  }
  rest = size - (size_t)(slash + 1 - type);
  return fy_header_is_token(type, (size_t)(slash - type)) &&
         fy_header_is_token(slash + 1, rest) && rest > 5 &&
         fy_header_name_is(type + size - 5, 5, "+json");
}

int fy_header_is_event_stream(const char *content_type) {
  const char *type = content_type;
  size_t size;

  if (!type) {
    return 0;
  }
  size = strcspn(type, ";");
  trim(&type, &size);
  return fy_header_name_is(type, size, "text/event-stream");
}

/* --- An answer's header section ----------------------------------------- */

/* What belongs to one block, as it is before its first line. */
static void begin_block(struct fy_headers *headers) {
  headers->text.size = 0;
  headers->count = 0;
  headers->last = 0;
  headers->status = 0;
  headers->http_version = 0;
  headers->complete = 0;
  headers->trailers = 0;
  headers->length = -1;
  headers->chunked = 0;
  headers->gzip = 0;
  headers->encoded_otherwise = 0;
}

void fy_headers_init(struct fy_headers *headers, size_t max) {
  /* Twice: in "name\0value\0" the shortest line, "a:", takes one byte more.
   * What really holds is `max` on the lines. */
  fy_buf_init(&headers->text, max <= SIZE_MAX / 2 ? 2 * max : SIZE_MAX);
  headers->text.wipes = 1; /* servers repeat secrets */
  headers->total = 0;
  headers->max = max;
  begin_block(headers);
}

void fy_headers_clear(struct fy_headers *headers) {
  fy_buf_clear(&headers->text);
  headers->total = 0;
  begin_block(headers);
}

int fy_headers_copy(struct fy_headers *copy,
                    const struct fy_headers *headers) {
  *copy = *headers;
  fy_buf_init(&copy->text, headers->text.max);
  copy->text.wipes = 1;
  return headers->text.size
             ? fy_buf_add(&copy->text, headers->text.data, headers->text.size)
             : FREDDY_OK;
}

static int broken(freddy_error *err, const char *reason, const char *what) {
  return fy_error_set(err, FREDDY_EPROTOCOL, reason, "the answer has %s",
                      what);
}

static int too_large(freddy_error *err, const char *what) {
  return fy_error_set(err, FREDDY_ETOO_LARGE, "header", "%s", what);
}

static int add_failed(freddy_error *err, int rc) {
  return rc == FREDDY_ENOMEM
             ? fy_error_nomem(err)
             : too_large(err, "the answer's header section is too large");
}

/* 10, 11, 20, 30, or 0; `size` becomes what it took of the text. */
static int version_of(const char *text, size_t *size) {
  static const struct {
    const char *text;
    int version;
  } known[] = {{"HTTP/1.1 ", 11}, {"HTTP/1.0 ", 10}, {"HTTP/2 ", 20},
               {"HTTP/2.0 ", 20}, {"HTTP/3 ", 30},   {"HTTP/3.0 ", 30}};
  size_t i;

  for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
    size_t length = strlen(known[i].text);

    if (*size >= length && memcmp(text, known[i].text, length) == 0) {
      *size = length;
      return known[i].version;
    }
  }
  return 0;
}

/* status-line, RFC 9112 4. The reason phrase may be missing, with the space
 * before it. */
static int status_line(struct fy_headers *headers, const char *line,
                       size_t size, freddy_error *err) {
  size_t at = size;
  int version = version_of(line, &at);
  const char *code = line + at;

  if (headers->trailers) {
    return broken(err, "bad_header", "a status line among its trailers");
  }
  if (!version || size - at < 3 || code[0] < '1' || code[0] > '9' ||
      !fy_is_digit(code[1]) || !fy_is_digit(code[2]) ||
      (size - at > 3 && code[3] != ' ') || memchr(line, '\0', size) ||
      memchr(line, '\r', size)) {
    return broken(err, "bad_status", "a status line that is not HTTP");
  }
  begin_block(headers);
  headers->http_version = version;
  headers->status =
      (code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0');
  if (headers->status == 101) {
    return broken(err, "bad_upgrade", "status 101, which nobody asked for");
  }
  return FREDDY_OK;
}

/* Names whose value decides where the body ends and how it is decoded. */
static int is_framing(const char *name) {
  static const char *const names[] = {"content-length", "transfer-encoding",
                                      "content-encoding", NULL};

  return is_any(name, strlen(name), names);
}

/* obs-fold, RFC 9112 5.2: one more piece of the latest field's value. */
static int fold_line(struct fy_headers *headers, const char *line, size_t size,
                     freddy_error *err) {
  struct fy_buf *text = &headers->text;
  int rc;

  if (!headers->count || is_framing(text->data + headers->last)) {
    return broken(err, "bad_header", "a folded line where none may be");
  }
  trim(&line, &size);
  if (!size) {
    return FREDDY_OK;
  }
  rc = fy_buf_reserve(text, size + 1);
  if (rc) {
    return add_failed(err, rc);
  }
  if (text->data[text->size - 2]) { /* the value so far is not empty */
    text->data[text->size - 1] = ' ';
  } else {
    text->size--;
  }
  rc = fy_buf_add(text, line, size);
  if (!rc) {
    rc = fy_buf_add(text, "", 1);
  }
  return rc ? add_failed(err, rc) : FREDDY_OK;
}

/* With its NUL; there is room for it. */
static void add_part(struct fy_buf *text, const char *part, size_t size) {
  memcpy(text->data + text->size, part, size);
  text->size += size + 1;
  text->data[text->size - 1] = '\0';
  text->data[text->size] = '\0';
}

static int field_line(struct fy_headers *headers, const char *line,
                      size_t size, freddy_error *err) {
  struct fy_buf *text = &headers->text;
  const char *colon = memchr(line, ':', size);
  size_t name = colon ? (size_t)(colon - line) : 0;
  const char *value;
  size_t rest;
  int rc;

  if (!colon) {
    return broken(err, "bad_header", "a header line without a colon");
  }
  if (!fy_header_is_token(line, name)) {
    return broken(err, "bad_header", "a header whose name is no token");
  }
  if (headers->count == FY_MAX_HEADER_FIELDS) {
    return too_large(err, "the answer has too many headers");
  }
  value = colon + 1;
  rest = size - name - 1;
  trim(&value, &rest);
  rc = fy_buf_reserve(text, name + rest + 2);
  if (rc) {
    return add_failed(err, rc);
  }
  headers->last = text->size;
  headers->count++;
  add_part(text, line, name);
  add_part(text, value, rest);
  return FREDDY_OK;
}

/* The next element of a comma-separated list, or 0 at its end. */
static int next_element(const char **list, const char **element,
                        size_t *size) {
  if (!*list) {
    return 0;
  }
  *element = *list;
  *size = strcspn(*list, ",");
  *list = (*list)[*size] ? *list + *size + 1 : NULL;
  trim(element, size);
  return 1;
}

/* A Content-Length (1*DIGIT, RFC 9110 8.6), or -1. */
static int64_t number_of(const char *text, size_t size) {
  int64_t number = 0;
  size_t i;

  for (i = 0; i < size; i++) {
    int digit = text[i] - '0';

    if (!fy_is_digit(text[i]) || number > (INT64_MAX - digit) / 10) {
      return -1;
    }
    number = number * 10 + digit;
  }
  return size ? number : -1;
}

static int see_length(struct fy_headers *headers, const char *list,
                      freddy_error *err) {
  const char *element;
  size_t size;

  while (next_element(&list, &element, &size)) {
    int64_t length = number_of(element, size);

    if (length < 0) {
      return broken(err, "bad_length", "a Content-Length that is no number");
    }
    if (headers->length >= 0 && headers->length != length) {
      return broken(err, "bad_length", "two Content-Lengths that differ");
    }
    headers->length = length;
  }
  return FREDDY_OK;
}

static void see_transfer_coding(struct fy_headers *headers, const char *list) {
  const char *element;
  size_t size;

  while (next_element(&list, &element, &size)) {
    if (size) {
      headers->chunked = fy_header_name_is(element, size, "chunked");
    }
  }
}

static void see_content_coding(struct fy_headers *headers, const char *list) {
  const char *element;
  size_t size;

  while (next_element(&list, &element, &size)) {
    if (!size || fy_header_name_is(element, size, "identity")) {
      continue;
    }
    if (!headers->gzip && (fy_header_name_is(element, size, "gzip") ||
                           fy_header_name_is(element, size, "x-gzip"))) {
      headers->gzip = 1;
    } else {
      headers->encoded_otherwise = 1;
    }
  }
}

/* The block is whole: what do its fields say about the body? Read only now,
 * since a list may be spread over several fields. */
static int see_framing(struct fy_headers *headers, freddy_error *err) {
  const char *name = headers->text.data;
  int rc = FREDDY_OK;
  size_t i;

  for (i = 0; i < headers->count && !rc; i++) {
    size_t size = strlen(name);
    const char *value = name + size + 1;

    if (fy_header_name_is(name, size, "content-length")) {
      rc = see_length(headers, value, err);
    } else if (fy_header_name_is(name, size, "transfer-encoding")) {
      see_transfer_coding(headers, value);
    } else if (fy_header_name_is(name, size, "content-encoding")) {
      see_content_coding(headers, value);
    }
    name = value + strlen(value) + 1;
  }
  return rc;
}

static int blank_line(struct fy_headers *headers, freddy_error *err) {
  int rc;

  if (headers->status < 200) { /* 1xx: the real answer is still to come */
    begin_block(headers);
    return FREDDY_OK;
  }
  rc = see_framing(headers, err);
  headers->complete = rc == FREDDY_OK;
  return rc;
}

static int take_line(struct fy_headers *headers, const char *line, size_t size,
                     freddy_error *err) {
  if (size && line[size - 1] == '\n') {
    size--;
    if (size && line[size - 1] == '\r') {
      size--;
    }
  }
  if (size >= 5 && memcmp(line, "HTTP/", 5) == 0) {
    return status_line(headers, line, size, err);
  }
  if (headers->complete) {
    headers->trailers = 1;
    return FREDDY_OK;
  }
  if (!headers->status) {
    return broken(err, "bad_status", "no status line: it is not HTTP");
  }
  if (!size) {
    return blank_line(headers, err);
  }
  if (memchr(line, '\0', size) || memchr(line, '\r', size) ||
      memchr(line, '\n', size)) {
    return broken(err, "bad_header", "a NUL or a line break within a header");
  }
  if (is_blank(line[0])) {
    return fold_line(headers, line, size, err);
  }
  return field_line(headers, line, size, err);
}

int fy_headers_line(struct fy_headers *headers, const char *line, size_t size,
                    freddy_error *err) {
  if (size > FY_MAX_HEADER_LINE) {
    return too_large(err, "a header line of the answer is too long");
  }
  if (size > headers->max - headers->total) {
    return too_large(err, "the answer's header section is too large");
  }
  headers->total += size;
  return take_line(headers, line, size, err);
}

int fy_headers_at(const struct fy_headers *headers, size_t index,
                  const char **name, const char **value) {
  const char *at = headers->text.data;

  if (index >= headers->count) {
    return 0;
  }
  for (index *= 2; index; index--) { /* a name and a value for each */
    at += strlen(at) + 1;
  }
  *name = at;
  *value = at + strlen(at) + 1;
  return 1;
}

const char *fy_headers_get(const struct fy_headers *headers,
                           const char *name) {
  const char *at = headers->text.data;
  size_t wanted = strlen(name);
  size_t i;

  for (i = 0; i < headers->count; i++) {
    size_t size = strlen(at);

    if (size == wanted && fy_header_name_is(at, size, name)) {
      return at + size + 1;
    }
    at += size + 1;
    at += strlen(at) + 1;
  }
  return NULL;
}
