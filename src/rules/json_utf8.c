/* SPDX-License-Identifier: MIT */
#include "rules/json_utf8.h"

#include <stdint.h>
#include <string.h>

/* What the second byte may be after a first one (RFC 3629 4). */
struct lead {
  unsigned char low, high;
  unsigned char length;
};

static struct lead lead_of(unsigned char first) {
  struct lead lead = {0x80, 0xbf, 0};

  if (first >= 0xc2 && first <= 0xdf) {
    lead.length = 2;
  } else if (first >= 0xe0 && first <= 0xef) {
    lead.length = 3;
    lead.low = first == 0xe0 ? 0xa0 : 0x80;  /* no overlong form */
    lead.high = first == 0xed ? 0x9f : 0xbf; /* no surrogates */
  } else if (first >= 0xf0 && first <= 0xf4) {
    lead.length = 4;
    lead.low = first == 0xf0 ? 0x90 : 0x80;
    lead.high = first == 0xf4 ? 0x8f : 0xbf; /* up to U+10FFFF */
  }
  return lead;
}

size_t fy_utf8_length(const char *text, size_t size) {
  const unsigned char *bytes = (const unsigned char *)text;
  struct lead lead;
  size_t i;

  if (!size) {
    return 0;
  }
  if (bytes[0] < 0x80) {
    return 1;
  }
  lead = lead_of(bytes[0]);
  if (!lead.length || lead.length > size || bytes[1] < lead.low ||
      bytes[1] > lead.high) {
    return 0;
  }
  for (i = 2; i < lead.length; i++) {
    if ((bytes[i] & 0xc0) != 0x80) {
      return 0;
    }
  }
  return lead.length;
}

#define EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

/* The high bit of each byte that is 0; a byte above one may have it, too. */
static uint64_t zeros(uint64_t bytes) {
  return (bytes - EACH_BYTE(1)) & ~bytes & EACH_BYTE(0x80);
}

/* Whether eight bytes at once are ASCII and need no escape. */
static int are_plain(const char *text) {
  uint64_t bytes;

  memcpy(&bytes, text, sizeof(bytes));
  return !((bytes & EACH_BYTE(0x80)) |
           ((bytes - EACH_BYTE(' ')) & EACH_BYTE(0x80)) |
           zeros(bytes ^ EACH_BYTE('"')) | zeros(bytes ^ EACH_BYTE('\\')));
}

size_t fy_utf8_plain(const char *text, size_t size) {
  size_t i = 0, length;
  unsigned char c;

  while (i < size) {
    if (size - i >= sizeof(uint64_t) && are_plain(text + i)) {
      i += sizeof(uint64_t);
      continue;
    }
    c = (unsigned char)text[i];
    if (c < ' ' || c == '"' || c == '\\') {
      break;
    }
    length = c < 0x80 ? 1 : fy_utf8_length(text + i, size - i);
    if (!length) {
      break;
    }
    i += length;
  }
  return i;
}
