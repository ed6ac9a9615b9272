/* SPDX-License-Identifier: MIT */
/* Input: a base URL, a line feed, a path or a reference. What is split, joined
 * and split again keeps its origin, whatever stands in the path; and only a
 * reference that names another host leads there. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rules/url.h"

#define MUST(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_split(const struct fy_url *url, const char *text,
                        size_t size) {
  size_t i;

  MUST(url->port >= 1 && url->port <= 65535);
  MUST(url->host.size > 0);
  MUST(url->host.data > text);
  MUST(url->path.size == 0 || url->path.data[0] == '/');
  MUST(url->query.data + url->query.size <= text + size);
  MUST(!fy_url_is_loopback(url) || fy_url_is_literal(url));
  MUST(fy_url_same_origin(url, url));
  for (i = 0; i < url->host.size; i++) {
    MUST(!strchr("/?#@\\%[]", url->host.data[i]));
  }
}

static void check_join(const struct fy_url *base, const char *path,
                       size_t size) {
  struct fy_url again;
  struct fy_buf out;
  int rc;

  fy_buf_init(&out, 1 << 20);
  rc = fy_url_join(base, path, size, &out);
  MUST(rc == FREDDY_OK || rc == FREDDY_EMISUSE);
  if (rc == FREDDY_OK) {
    MUST(fy_url_split(out.data, out.size, &again, NULL) == FREDDY_OK);
    check_split(&again, out.data, out.size);
    MUST(fy_url_same_origin(base, &again));
    MUST(!memchr(out.data, '#', out.size));
  } else {
    MUST(out.size == 0);
  }
  fy_buf_clear(&out);
}

/* 1 when no segment of the path is "." or "..". */
static int is_dotless(struct fy_span path) {
  size_t start = 1;
  size_t i;

  for (i = 1; i <= path.size; i++) {
    if (i == path.size || path.data[i] == '/') {
      size_t size = i - start;

      if ((size == 1 && path.data[start] == '.') ||
          (size == 2 && memcmp(path.data + start, "..", 2) == 0)) {
        return 0;
      }
      start = i + 1;
    }
  }
  return 1;
}

static void check_resolve(const struct fy_url *base, const char *text,
                          size_t size) {
  freddy_error err = {.code = FREDDY_OK};
  struct fy_url again;
  struct fy_buf out;
  int stays = size < 2 || text[0] != '/' || text[1] != '/';
  int rc;

  fy_buf_init(&out, 1 << 20);
  rc = fy_url_resolve(base, text, size, &out, &err);
  MUST(rc == FREDDY_OK || (rc == FREDDY_EMISUSE && err.reason[0]));
  MUST(rc == FREDDY_OK || out.size == 0);
  stays = stays && !memchr(text, ':', size);
  MUST(rc == FREDDY_OK || !stays || strcmp(err.reason, "control") == 0);
  if (rc == FREDDY_OK) {
    MUST(fy_url_split(out.data, out.size, &again, NULL) == FREDDY_OK);
    check_split(&again, out.data, out.size);
    MUST(!memchr(out.data, '#', out.size));
    MUST(!stays || fy_url_same_origin(base, &again));
    MUST(again.path.size > 0);
    MUST(!size || text[0] == '?' || text[0] == '#' || is_dotless(again.path));
  }
  fy_buf_clear(&out);
}

static void check_encode(const char *text, size_t size) {
  static const char plain[] =
      "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._~%";
  struct fy_buf out;

  fy_buf_init(&out, 3 * size);
  MUST(fy_url_encode(text, size, &out) == FREDDY_OK);
  MUST(strspn(out.data, plain) == out.size);
  MUST(strcmp(out.data, ".") != 0 && strcmp(out.data, "..") != 0);
  fy_buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *text = (const char *)data;
  const char *end = size ? memchr(text, '\n', size) : NULL;
  size_t base_size = end ? (size_t)(end - text) : size;
  freddy_error err = {.code = FREDDY_OK};
  struct fy_url base;

  if (fy_url_split(text, base_size, &base, &err) == FREDDY_OK) {
    MUST(err.code == FREDDY_OK);
    check_split(&base, text, base_size);
    if (end) {
      check_join(&base, end + 1, size - base_size - 1);
      check_resolve(&base, end + 1, size - base_size - 1);
    }
  } else {
    MUST(err.code == FREDDY_EMISUSE && err.reason[0] && err.message[0]);
  }
  check_encode(text, size);
  return 0;
}
