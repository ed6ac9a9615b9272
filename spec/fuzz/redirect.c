/* SPDX-License-Identifier: MIT */
/* Input: a byte for the status, one for the method, one for flags and hops,
 * then the URL at hand, a line feed, and the header lines of the answer. What
 * is followed may be: never from https to http, never a body to another
 * origin, never a sixth time; and what is not says why. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "rules/redirect.h"

#define MUST(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As they come from the wire; 0 when they are no header section. */
static int read_answer(struct fy_headers *answer, int status, const char *text,
                       size_t size) {
  char line[] = "HTTP/1.1 302 X\r\n";
  int rc;

  line[11] = (char)('0' + status % 10);
  fy_headers_init(answer, FY_MAX_HEADERS);
  rc = fy_headers_line(answer, line, strlen(line), NULL);
  while (rc == FREDDY_OK && size) {
    const char *end = memchr(text, '\n', size);
    size_t length = end ? (size_t)(end - text) + 1 : size;

    if (length <= 2 && (text[0] == '\n' || text[0] == '\r')) {
      break;
    }
    rc = fy_headers_line(answer, text, length, NULL);
    text += length;
    size -= length;
  }
  return rc == FREDDY_OK &&
         fy_headers_line(answer, "\r\n", 2, NULL) == FREDDY_OK &&
         answer->complete;
}

static void check_followed(const struct fy_redirect *seen,
                           const struct fy_step *step) {
  struct fy_url url;
  int keeps = seen->has_body && !step->drops_body;
  int same;

  MUST(fy_url_split(step->text.data, step->text.size, &url, NULL) ==
       FREDDY_OK);
  same = fy_url_same_origin(seen->from, &url);
  MUST(step->leaves == !same);
  MUST(url.https || !seen->from->https);
  MUST(url.https || fy_url_is_loopback(&url));
  MUST(seen->hops < FY_MAX_REDIRECTS);
  MUST(!step->to_get || step->drops_body);
  MUST(same || !keeps);
  MUST(same || step->to_get ||
       (strcmp(seen->method, "POST") != 0 &&
        strcmp(seen->method, "DELETE") != 0));
  MUST(!keeps || !seen->body_spent);
  MUST(same || !fy_redirect_keeps(step, "Cookie", 6));
  MUST(same || !fy_redirect_keeps(step, "api-key", 7));
  MUST(!step->drops_body || !fy_redirect_keeps(step, "Content-Type", 12));
  MUST(!memchr(step->text.data, '\n', step->text.size));
  MUST(!memchr(step->text.data, '@',
               (size_t)(url.path.data - step->text.data)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const int statuses[] = {301, 302, 303, 307, 308};
  static const char *const methods[] = {"GET",    "HEAD",  "POST", "PUT",
                                        "DELETE", "PATCH", "X"};
  const char *text = size > 3 ? (const char *)data + 3 : NULL;
  const char *end = text ? memchr(text, '\n', size - 3) : NULL;
  freddy_error err = {.code = FREDDY_OK};
  struct fy_redirect seen = {.answer = NULL};
  struct fy_headers answer;
  struct fy_step step;
  struct fy_url from;

  if (!end ||
      fy_url_split(text, (size_t)(end - text), &from, NULL) != FREDDY_OK) {
    return 0;
  }
  seen.from = &from;
  seen.method = methods[data[1] % 7];
  seen.has_body = data[2] & 1;
  seen.body_spent = data[2] >> 1 & 1;
  seen.hops = data[2] >> 2 & 7;
  if (read_answer(&answer, statuses[data[0] % 5], end + 1,
                  size - (size_t)(end + 1 - (const char *)data))) {
    int rc;

    seen.answer = &answer;
    rc = fy_redirect_follow(&seen, &step, &err);
    MUST(rc == FREDDY_OK || (rc == FREDDY_EREDIRECT && (int)err.code == rc &&
                             err.reason[0] && err.message[0]));
    if (rc == FREDDY_OK) {
      check_followed(&seen, &step);
    }
    fy_buf_clear(&step.text);
  }
  fy_headers_clear(&answer);
  return 0;
}
