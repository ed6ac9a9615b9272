/* SPDX-License-Identifier: MIT */
/* What <ctype.h> does, without the locale and for any char. */
#ifndef FY_BASE_ASCII_H
#define FY_BASE_ASCII_H

static inline int fy_is_digit(char c) {
  return c >= '0' && c <= '9';
}

static inline char fy_lower(char c) {
  return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static inline int fy_is_alnum(char c) {
  char small = fy_lower(c);

  return fy_is_digit(c) || (small >= 'a' && small <= 'z');
}

static inline int fy_is_control(char c) {
  return (unsigned char)c < 0x20 || c == 0x7F;
}

/* The value of a hex digit, or -1. */
static inline int fy_hex_value(char c) {
  char small = fy_lower(c);

  if (fy_is_digit(c)) {
    return c - '0';
  }
  return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

#endif
