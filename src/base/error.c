/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/ascii.h"

const char *freddy_error_name(freddy_code code) {
  switch (code) {
  case FREDDY_OK:
    return "ok";
  case FREDDY_EMISUSE:
    return "misuse";
  case FREDDY_ERESOLVE:
    return "resolve";
  case FREDDY_ECONNECT:
    return "connect";
  case FREDDY_ETLS:
    return "tls";
  case FREDDY_ETIMEOUT:
    return "timeout";
  case FREDDY_ECUT:
    return "cut";
  case FREDDY_ECANCELLED:
    return "cancelled";
  case FREDDY_ETOO_LARGE:
    return "too_large";
  case FREDDY_EPROTOCOL:
    return "protocol";
  case FREDDY_EREDIRECT:
    return "redirect";
  case FREDDY_EAUTH:
    return "auth";
  case FREDDY_EBODY:
    return "body";
  case FREDDY_EQUEUE_FULL:
    return "queue_full";
  case FREDDY_ERATE_LIMITED:
    return "rate_limited";
  case FREDDY_ECLOSED:
    return "closed";
  case FREDDY_EFORKED:
    return "forked";
  case FREDDY_ENOMEM:
    return "memory";
  case FREDDY_EMISSING_CREDENTIALS:
    return "missing_credentials";
  }
  return "unknown";
}

/* Where to cut `text` of `size` bytes so that no UTF-8 sequence is broken:
 * before the last lead byte when less than its sequence follows. */
static size_t utf8_boundary(const char *text, size_t size) {
  size_t back = 0;
  size_t wanted;
  unsigned char lead;

  while (back < 3 && back < size &&
         ((unsigned char)text[size - 1 - back] & 0xC0) == 0x80) {
    back++;
  }
  if (back == size) {
    return size;
  }
  lead = (unsigned char)text[size - 1 - back];
  wanted = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
  return wanted > back + 1 ? size - 1 - back : size;
}

static void clean(char *text) {
  for (; *text; text++) {
    if (fy_is_control(*text)) {
      *text = '?';
    }
  }
}

int fy_error_set(freddy_error *err, freddy_code code, const char *reason,
                 const char *format, ...) {
  va_list args;
  int length;

  if (!err || err->code != FREDDY_OK) {
    return (int)code;
  }
  err->code = code;
  snprintf(err->reason, sizeof(err->reason), "%s", reason ? reason : "");
  va_start(args, format);
  length = vsnprintf(err->message, sizeof(err->message), format, args);
  va_end(args);
  if (length < 0) {
    err->message[0] = '\0';
  } else if ((size_t)length >= sizeof(err->message)) {
    err->message[utf8_boundary(err->message, sizeof(err->message) - 1)] = '\0';
  }
  clean(err->message);
  return (int)code;
}

int fy_error_nomem(freddy_error *err) {
  return fy_error_set(err, FREDDY_ENOMEM, NULL, "out of memory");
}
