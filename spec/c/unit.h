/* SPDX-License-Identifier: MIT */
/* A tiny harness for the C units: every check is counted, a failed one
 * prints where and what, and unit_end prints the sum and gives the exit code.
 * For one translation unit and one thread. */
#ifndef FY_UNIT_H
#define FY_UNIT_H

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static long unit_passed;
static long unit_failed;
static char unit_case[160]; /* which row of a table is at hand */

/* Name the row of a table that is checked next; "" when there is none. */
#define UNIT_CASE(...) \
  ((void)snprintf(unit_case, sizeof(unit_case), __VA_ARGS__))

#define CHECK(condition) \
  ((void)unit_check(!!(condition), __FILE__, __LINE__, #condition))
#define CHECK_INT(got, want)                                           \
  ((void)unit_check_int((long long)(got), (long long)(want), __FILE__, \
                        __LINE__, #got))
/* NUL-terminated texts; NULL equals NULL only. */
#define CHECK_TEXT(got, want) \
  ((void)unit_check_text((got), (want), __FILE__, __LINE__, #got))
#define CHECK_BYTES(got, got_size, want, want_size)                         \
  ((void)unit_check_bytes((got), (got_size), (want), (want_size), __FILE__, \
                          __LINE__, #got))

static inline int unit_check(int good, const char *file, int line,
                             const char *what) {
  if (good) {
    unit_passed++;
    return 1;
  }
  unit_failed++;
  printf("%s:%d: %s%s%s: failed\n", file, line, unit_case,
         unit_case[0] ? ": " : "", what);
  return 0;
}

static inline int unit_check_int(long long got, long long want,
                                 const char *file, int line,
                                 const char *what) {
  if (unit_check(got == want, file, line, what)) {
    return 1;
  }
  printf("  got %lld, want %lld\n", got, want);
  return 0;
}

static inline void unit_print(const char *label, const char *text,
                              size_t size) {
  size_t i;

  printf("  %s ", label);
  if (!text) {
    printf("NULL\n");
    return;
  }
  putchar('"');
  for (i = 0; i < size && i < 400; i++) {
    if (isprint((unsigned char)text[i]) && text[i] != '\\') {
      putchar(text[i]);
    } else {
      printf("\\x%02x", (unsigned)(unsigned char)text[i]);
    }
  }
  printf("\"%s\n", i < size ? "..." : "");
}

static inline int unit_check_bytes(const char *got, size_t got_size,
                                   const char *want, size_t want_size,
                                   const char *file, int line,
                                   const char *what) {
  int good = got && want ? got_size == want_size &&
                               (!got_size || !memcmp(got, want, got_size))
                         : got == want;

  if (unit_check(good, file, line, what)) {
    return 1;
  }
  unit_print("got ", got, got_size);
  unit_print("want", want, want_size);
  return 0;
}

static inline int unit_check_text(const char *got, const char *want,
                                  const char *file, int line,
                                  const char *what) {
  return unit_check_bytes(got, got ? strlen(got) : 0, want,
                          want ? strlen(want) : 0, file, line, what);
}

/* The last line of a program's output, and what main returns. A program that
 * checked nothing failed. */
static inline int unit_end(void) {
  printf("%ld passed, %ld failed\n", unit_passed, unit_failed);
  return unit_failed || !unit_passed;
}

#endif
