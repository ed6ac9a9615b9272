/* SPDX-License-Identifier: MIT */
#include "base/base64.h"

static const char digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "abcdefghijklmnopqrstuvwxyz0123456789+/";

void fy_base64(const void *data, size_t size, char *out) {
  const unsigned char *in = data;

  for (size_t i = 0; i < size; i += 3) {
    size_t left = size - i;
    unsigned long bits = (unsigned long)in[i] << 16;

    bits |= left > 1 ? (unsigned long)in[i + 1] << 8 : 0;
    bits |= left > 2 ? (unsigned long)in[i + 2] : 0;
    *out++ = digits[bits >> 18 & 63];
    *out++ = digits[bits >> 12 & 63];
    *out++ = '=';
    *out++ = '=';
    if (left > 1) {
      out[-2] = digits[bits >> 6 & 63];
    }
    if (left > 2) {
      out[-1] = digits[bits & 63];
    }
  }
}
