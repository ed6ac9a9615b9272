/* SPDX-License-Identifier: MIT */
/* Input: the URL of a proxy, a line feed, the list no_proxy, a line feed, the
 * URL of a server. What is refused is refused with a reason; a list that
 * names everything and a list of what it can be taken apart to agree. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rules/no_proxy.h"
#include "rules/proxy.h"

#define MUST(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_login(struct fy_span encoded) {
  char *room = malloc(encoded.size + 1);
  long size = fy_proxy_decode(encoded, room);

  MUST(size >= -1 && size <= (long)encoded.size);
  for (long i = 0; i < size; i++) {
    MUST((unsigned char)room[i] >= 0x20 && room[i] != 0x7f);
  }
  free(room);
}

static void check_proxy(const char *text, size_t size) {
  freddy_error err = {.code = FREDDY_OK};
  struct fy_proxy_url url;

  if (fy_proxy_split(text, size, &url, &err) != FREDDY_OK) {
    MUST(err.code == FREDDY_EMISUSE && err.reason[0] && err.message[0]);
    return;
  }
  MUST(err.code == FREDDY_OK);
  MUST(url.at.port >= 1 && url.at.port <= 65535);
  MUST(url.at.host.size > 0 && url.at.host.data > text);
  MUST(url.at.host.data + url.at.host.size <= text + size);
  MUST(!memchr(url.at.host.data, '@', url.at.host.size));
  MUST(!url.has_login || url.user.size > 0);
  check_login(url.user);
  check_login(url.password);
}

/* The list holds the server exactly when one of its entries does. */
static void check_list(const char *list, size_t size,
                       const struct fy_url *url) {
  int whole = fy_no_proxy_has(list, size, url);
  int one = 0;
  size_t start = 0;

  for (size_t i = 0; i <= size; i++) {
    if (i == size || strchr(", \t", list[i] ? list[i] : 'x')) {
      one |= fy_no_proxy_has(list + start, i - start, url);
      start = i + 1;
    }
  }
  MUST(whole == one);
}

static const char *next_line(const char *text, const char *end) {
  const char *line =
      text < end ? memchr(text, '\n', (size_t)(end - text)) : NULL;

  return line ? line : end;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *text = (const char *)data;
  const char *end = text + size;
  const char *list = next_line(text, end);
  const char *list_end;
  struct fy_url url;

  check_proxy(text, (size_t)(list - text));
  if (list == end) {
    return 0;
  }
  list++;
  list_end = next_line(list, end);
  (void)fy_no_proxy_is_valid(list, (size_t)(list_end - list));
  if (list_end < end &&
      fy_url_split(list_end + 1, (size_t)(end - list_end - 1), &url, NULL) ==
          FREDDY_OK) {
    check_list(list, (size_t)(list_end - list), &url);
    MUST(fy_no_proxy_has("*", 1, &url));
    MUST(!fy_no_proxy_has("", 0, &url));
    /* A host is in the list that is itself. */
    MUST(fy_no_proxy_has(url.host.data, url.host.size, &url));
  }
  return 0;
}
