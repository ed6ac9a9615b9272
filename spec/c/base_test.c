/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/flag.h"
#include "base/give_back.h"
#include "base/limits.h"
#include "base/ip.h"
#include "base/mem.h"
#include "base/secret.h"
#include "unit.h"

static void test_mem(void) {
  char *memory = fy_malloc(0);
  char *copy;
  size_t i;

  CHECK(memory != NULL);
  memory = fy_realloc(memory, 0);
  CHECK(memory != NULL);
  fy_free(memory);
  fy_free(NULL);

  /* volatile: the compiler would warn that this is too large. */
  volatile size_t huge = SIZE_MAX / 2 + 1;
  CHECK(fy_calloc(huge, 2) == NULL);
  CHECK(fy_calloc(3, huge) == NULL);
  memory = fy_calloc(0, 8);
  CHECK(memory != NULL);
  fy_free(memory);
  memory = fy_calloc(16, 4);
  for (i = 0; i < 64; i++) {
    CHECK_INT(memory[i], 0);
  }
  fy_free(memory);

  copy = fy_strndup("ab\0cd", 5);
  CHECK_BYTES(copy, 6, "ab\0cd", 6);
  fy_free(copy);
  copy = fy_strndup(NULL, 0);
  CHECK_TEXT(copy, "");
  fy_free(copy);
  CHECK(fy_strndup("", SIZE_MAX) == NULL);
}

static void test_buf_appends(void) {
  struct fy_buf buf;
  size_t size = 99;
  char *data;

  fy_buf_init(&buf, 100);
  CHECK(fy_buf_take(&buf, &size) == NULL);
  CHECK_INT(size, 0);
  CHECK_INT(fy_buf_add(&buf, NULL, 0), FREDDY_OK);
  CHECK_TEXT(buf.data, "");
  CHECK_INT(fy_buf_adds(&buf, "one "), FREDDY_OK);
  CHECK_INT(fy_buf_add(&buf, "two\0", 4), FREDDY_OK);
  CHECK_INT(fy_buf_addf(&buf, "%d-%s", 3, "x"), FREDDY_OK);
  CHECK_BYTES(buf.data, buf.size + 1, "one two\0003-x", 12);
  data = fy_buf_take(&buf, &size);
  CHECK_INT(size, 11);
  CHECK(buf.data == NULL && buf.size == 0 && buf.room == 0);
  fy_free(data);
  CHECK_INT(fy_buf_adds(&buf, "again"), FREDDY_OK);
  CHECK_TEXT(buf.data, "again");
  fy_buf_clear(&buf);
  CHECK_INT(buf.max, 100);
  fy_buf_clear(&buf);
}

static void test_buf_ceiling(void) {
  struct fy_buf buf;
  size_t i;

  fy_buf_init(&buf, 8);
  CHECK_INT(fy_buf_adds(&buf, "12345678"), FREDDY_OK);
  CHECK_INT(fy_buf_add(&buf, "9", 1), FREDDY_ETOO_LARGE);
  CHECK_INT(fy_buf_addf(&buf, "%d", 9), FREDDY_ETOO_LARGE);
  CHECK_INT(fy_buf_reserve(&buf, SIZE_MAX), FREDDY_ETOO_LARGE);
  CHECK_INT(fy_buf_add(&buf, "", 0), FREDDY_OK);
  CHECK_TEXT(buf.data, "12345678");
  CHECK(buf.room <= 9);
  fy_buf_clear(&buf);

  fy_buf_init(&buf, 0);
  CHECK_INT(fy_buf_add(&buf, "x", 1), FREDDY_ETOO_LARGE);
  CHECK_INT(fy_buf_adds(&buf, ""), FREDDY_OK);
  fy_buf_clear(&buf);

  fy_buf_init(&buf, SIZE_MAX);
  for (i = 0; i < 1000; i++) {
    CHECK_INT(fy_buf_addf(&buf, "%zu,", i), FREDDY_OK);
  }
  CHECK_INT(buf.size, 3890);
  CHECK_INT(strlen(buf.data), 3890);
  CHECK_INT(fy_buf_reserve(&buf, SIZE_MAX - 3890), FREDDY_ETOO_LARGE);
  fy_buf_clear(&buf);
}

static void test_buf_reserve(void) {
  struct fy_buf buf;
  char *before;
  size_t i;

  fy_buf_init(&buf, 5000);
  CHECK_INT(fy_buf_reserve(&buf, 4000), FREDDY_OK);
  CHECK_TEXT(buf.data, "");
  before = buf.data;
  for (i = 0; i < 4000; i++) {
    CHECK_INT(fy_buf_add(&buf, "x", 1), FREDDY_OK);
  }
  CHECK(buf.data == before);
  fy_buf_clear(&buf);
}

static void test_error(void) {
  freddy_error err = {.code = FREDDY_OK};
  char longer[400];
  size_t i;

  CHECK_INT(fy_error_set(NULL, FREDDY_ECUT, "x", "%s", "y"), FREDDY_ECUT);
  CHECK_INT(fy_error_set(&err, FREDDY_ETLS, "why", "no %s\n%c", "way", 0x7F),
            FREDDY_ETLS);
  CHECK_INT(err.code, FREDDY_ETLS);
  CHECK_TEXT(err.reason, "why");
  CHECK_TEXT(err.message, "no way??");
  CHECK_INT(fy_error_set(&err, FREDDY_ECUT, NULL, "later"), FREDDY_ECUT);
  CHECK_INT(fy_error_nomem(&err), FREDDY_ENOMEM);
  CHECK_INT(err.code, FREDDY_ETLS);
  CHECK_TEXT(err.message, "no way??");

  memset(&err, 0, sizeof(err));
  CHECK_INT(fy_error_nomem(&err), FREDDY_ENOMEM);
  CHECK_TEXT(err.reason, "");
  CHECK_TEXT(err.message, "out of memory");

  /* The cut at every place in a text of 1, 2, 3 and 4 bytes a character. */
  for (i = 0; i < 12; i++) {
    static const char *const units[] = {"a", "\xC3\xA9", "\xE2\x82\xAC",
                                        "\xF0\x9F\x98\x80"};
    const char *unit = units[i % 4];
    size_t width = strlen(unit);
    size_t lead = i / 4;
    size_t size = lead;
    size_t want;

    memset(longer, '-', lead);
    while (size + width < sizeof(longer)) {
      memcpy(longer + size, unit, width);
      size += width;
    }
    longer[size] = '\0';
    memset(&err, 0, sizeof(err));
    UNIT_CASE("width %zu after %zu", width, lead);
    fy_error_set(&err, FREDDY_ETLS, "a reason that is too long by far", "%s",
                 longer);
    want = lead + (sizeof(err.message) - 1 - lead) / width * width;
    CHECK_BYTES(err.message, strlen(err.message), longer, want);
    CHECK_TEXT(err.reason, "a reason that is too lo");
  }
  UNIT_CASE("%s", "");
  memset(longer, 0x80, sizeof(longer) - 1); /* no UTF-8 at all */
  longer[sizeof(longer) - 1] = '\0';
  memset(&err, 0, sizeof(err));
  fy_error_set(&err, FREDDY_ETLS, NULL, "%s", longer);
  CHECK(strlen(err.message) >= sizeof(err.message) - 4);
}

static void test_error_names(void) {
  static const char *const names[] = {"ok",
                                      "misuse",
                                      "resolve",
                                      "connect",
                                      "tls",
                                      "timeout",
                                      "cut",
                                      "cancelled",
                                      "too_large",
                                      "protocol",
                                      "redirect",
                                      "auth",
                                      "body",
                                      "queue_full",
                                      "rate_limited",
                                      "closed",
                                      "forked",
                                      "memory",
                                      "missing_credentials"};
  size_t count = sizeof(names) / sizeof(names[0]);
  size_t i;

  for (i = 0; i < count; i++) {
    CHECK_TEXT(freddy_error_name((freddy_code)i), names[i]);
  }
  CHECK_TEXT(freddy_error_name((freddy_code)count), "unknown");
  CHECK_TEXT(freddy_error_name((freddy_code)-1), "unknown");
}

static void test_clock(void) {
  fy_time first = fy_clock_now();
  fy_time century = FY_SECOND * 86400 * 365 * 100;

  CHECK(first > 0);
  CHECK(fy_clock_now() >= first);
  CHECK_INT(fy_clock_from_seconds(0), 0);
  CHECK_INT(fy_clock_from_seconds(-0.0), 0);
  CHECK_INT(fy_clock_from_seconds(1.5), 1500 * FY_MILLISECOND);
  CHECK_INT(fy_clock_from_seconds(-1e-9), FY_NEVER);
  CHECK_INT(fy_clock_from_seconds(-1), FY_NEVER);
  CHECK_INT(fy_clock_from_seconds((double)NAN), FY_NEVER);
  CHECK_INT(fy_clock_from_seconds(1e300), century);
  CHECK_INT(fy_clock_from_seconds((double)INFINITY), century);
  CHECK_INT(fy_clock_from_seconds(-(double)INFINITY), FY_NEVER);
  CHECK(fy_clock_add(fy_clock_now(), century) < FY_NEVER);
  CHECK_INT(fy_clock_add(2, 3), 5);
  CHECK_INT(fy_clock_add(2, -3), -1);
  CHECK_INT(fy_clock_add(FY_NEVER, -3), FY_NEVER);
  CHECK_INT(fy_clock_add(-3, FY_NEVER), FY_NEVER);
  CHECK_INT(fy_clock_add(FY_NEVER - 1, 1), FY_NEVER);
  CHECK_INT(fy_clock_add(FY_NEVER - 1, FY_NEVER - 1), FY_NEVER);
  CHECK_INT(fy_clock_add(INT64_MIN, -1), INT64_MIN);
}

static void test_secret(void) {
  struct fy_secret *secret = fy_secret_new("Bearer ", "a\0b", 3);
  struct fy_secret *plain = fy_secret_new(NULL, NULL, 0);
  struct fy_secret *large;
  char *text = malloc(100000);

  CHECK_BYTES(fy_secret_text(secret), fy_secret_size(secret) + 1,
              "Bearer a\0b", 11);
  CHECK_BYTES(fy_secret_bare(secret), fy_secret_bare_size(secret), "a\0b", 3);
  CHECK_TEXT(fy_secret_text(plain), "");
  CHECK_INT(fy_secret_size(plain), 0);
  CHECK_INT(fy_secret_bare_size(plain), 0);
  CHECK(fy_secret_is_used(secret));
  CHECK(fy_secret_ref(secret) == secret);
  fy_secret_watch(secret);
  CHECK(fy_secret_is_used(secret));
  fy_secret_unref(secret);
  CHECK(!fy_secret_is_used(secret));
  fy_secret_unwatch(fy_secret_ref(secret));
  CHECK(fy_secret_is_used(secret));
  CHECK_BYTES(fy_secret_bare(secret), 3, "a\0b", 3);
  fy_secret_unref(secret);
  fy_secret_unref(plain);
  fy_secret_unref(NULL);
  CHECK(fy_secret_ref(NULL) == NULL);
  CHECK(fy_secret_new("x", "y", SIZE_MAX - 8) == NULL);

  memset(text, 'k', 100000);
  large = fy_secret_new("p", text, 100000);
  CHECK_BYTES(fy_secret_bare(large), fy_secret_bare_size(large), text, 100000);
  CHECK_INT(fy_secret_text(large)[100001], '\0');
  fy_secret_unref(large);
  free(text);
}

#ifdef __linux__
/* 1 when the mapping around `address` has the flag, as the kernel tells it. */
static int has_flag(const void *address, const char *flag) {
  FILE *file = fopen("/proc/self/smaps", "r");
  uintptr_t wanted = (uintptr_t)address;
  int inside = 0;
  int found = -1;
  char line[512];

  while (file && found < 0 && fgets(line, sizeof(line), file)) {
    char *end;
    uintptr_t from = (uintptr_t)strtoull(line, &end, 16);

    if (*end == '-') {
      uintptr_t to = (uintptr_t)strtoull(end + 1, &end, 16);

      if (*end == ' ') {
        inside = wanted >= from && wanted < to;
      }
    }
    if (inside && strncmp(line, "VmFlags:", 8) == 0) {
      found = strstr(line, flag) != NULL;
    }
  }
  if (file) {
    fclose(file);
  }
  return found;
}

static void test_secret_pages(void) {
  struct fy_secret *secret = fy_secret_new(NULL, "hidden", 6);
  const char *text = fy_secret_text(secret);
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  void *start = (void *)((uintptr_t)text / page * page);
  unsigned char in_core;
  int dump = has_flag(text, " dd");

  CHECK(dump != 0); /* -1: no smaps here */
  CHECK_INT(mincore(start, page, &in_core), 0);
  fy_secret_unref(secret);
  CHECK_INT(mincore(start, page, &in_core), -1); /* unmapped */
}

/* A forked child sees the text, and wiping it there leaves the parent's. */
static void test_secret_fork(void) {
  struct fy_secret *secret = fy_secret_new(NULL, "hidden", 6);
  int status = -1;
  pid_t child = fork();

  if (child == 0) {
    int good = strcmp(fy_secret_text(secret), "hidden") == 0;

    fy_secret_unref(secret);
    _exit(good ? 0 : 1);
  }
  CHECK(child > 0 && waitpid(child, &status, 0) == child);
  CHECK_INT(status, 0);
  CHECK_TEXT(fy_secret_text(secret), "hidden");
  fy_secret_unref(secret);
}
#endif

static void test_wipe(void) {
  char text[] = "0123456789";

  fy_wipe(text + 2, 3);
  CHECK_BYTES(text, 10, "01\0\0\00056789", 10);
  fy_wipe(text, 0);
  fy_wipe(NULL, 0);
  CHECK_INT(text[0], '0');
}

static void test_ip(void) {
  static const struct {
    const char *text;
    int first; /* -1: none */
  } fours[] = {{"127.0.0.1", 127}, {"0.0.0.0", 0},    {"255.255.255.255", 255},
               {"1.2.3.4", 1},     {"256.0.0.1", -1}, {"1.2.3", -1},
               {"1.2.3.4.5", -1},  {"1.2.3.4.", -1},  {"01.2.3.4", -1},
               {"1.2.3.00", -1},   {"1..3.4", -1},    {".1.2.3", -1},
               {"1.2.3.", -1},     {"", -1},          {"1.2.3.1000", -1},
               {"0x7f.0.0.1", -1}, {"1.2.3.4 ", -1},  {"-1.2.3.4", -1}};
  static const struct {
    const char *text;
    int last; /* -1: none */
  } sixes[] = {{"::1", 1},
               {"::", 0},
               {"0:0:0:0:0:0:0:1", 1},
               {"2001:DB8::ff", 255},
               {"::ffff:127.0.0.1", 1},
               {"1:2:3:4:5:6:7:8", 8},
               {"1:2:3:4:5:6:7", -1},
               {"1::2::3", -1},
               {":1", -1},
               {"", -1},
               {"fe80::1%eth0", -1},
               {"12345::", -1},
               {"127.0.0.1", -1},
               {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255:1", -1},
               {"::1 ", -1}};
  unsigned char bytes[16];
  size_t i;

  for (i = 0; i < sizeof(fours) / sizeof(fours[0]); i++) {
    UNIT_CASE("%s", fours[i].text);
    CHECK_INT(fy_ip4_parse(fours[i].text, strlen(fours[i].text), bytes),
              fours[i].first >= 0);
    CHECK(fours[i].first < 0 || bytes[0] == fours[i].first);
  }
  for (i = 0; i < sizeof(sixes) / sizeof(sixes[0]); i++) {
    UNIT_CASE("%s", sixes[i].text);
    CHECK_INT(fy_ip6_parse(sixes[i].text, strlen(sixes[i].text), bytes),
              sixes[i].last >= 0);
    CHECK(sixes[i].last < 0 || bytes[15] == sixes[i].last);
  }
  UNIT_CASE("%s", "");
  CHECK(!fy_ip6_parse("::1\0", 4, bytes));
  CHECK(fy_ip4_parse("1.2.3.45", 7, bytes) && bytes[3] == 4);
}

/* --- Flags -------------------------------------------------------------- */

enum { SLEEPERS = 3, ROUNDS = 2000 };

static struct fy_flag asked, answered;
static atomic_int awake;

static void *answer_rounds(void *unused) {
  (void)unused;
  for (int i = 0; i < ROUNDS; i++) {
    while (!fy_flag_wait(&asked, 60)) {
    }
    fy_flag_lower(&asked);
    fy_flag_raise(&answered);
    fy_flag_wake(&answered);
  }
  return NULL;
}

static void *sleep_once(void *unused) {
  (void)unused;
  atomic_fetch_add(&awake, fy_flag_wait(&asked, -1));
  return NULL;
}

static void test_flag_alone(void) {
  fy_time began = fy_clock_now();

  CHECK_INT(fy_flag_init(&asked), 0);
  CHECK(!fy_flag_is_up(&asked));
  CHECK_INT(fy_flag_wait(&asked, 0), 0);
  CHECK_INT(fy_flag_wait(&asked, 0.02), 0);
  CHECK(fy_clock_now() - began >= 20 * FY_MILLISECOND);
  fy_flag_raise(&asked);
  CHECK(fy_flag_is_up(&asked));
  CHECK_INT(fy_flag_wait(&asked, 0), 1);
  CHECK_INT(fy_flag_wait(&asked, (double)NAN), 1);
  fy_flag_lower(&asked);
  CHECK_INT(fy_flag_wait(&asked, 0), 0);
  fy_flag_clear(&asked);
}

/* No wake may be lost, however the two threads meet. */
static void test_flag_rounds(void) {
  pthread_t thread;
  int heard = 0;

  CHECK_INT(fy_flag_init(&asked) || fy_flag_init(&answered), 0);
  CHECK_INT(pthread_create(&thread, NULL, answer_rounds, NULL), 0);
  for (int i = 0; i < ROUNDS; i++) {
    fy_flag_raise(&asked);
    fy_flag_wake(&asked);
    heard += fy_flag_wait(&answered, 60);
    fy_flag_lower(&answered);
  }
  pthread_join(thread, NULL);
  CHECK_INT(heard, ROUNDS);
  fy_flag_clear(&asked);
  fy_flag_clear(&answered);
}

static void test_flag_wakes_all(void) {
  pthread_t threads[SLEEPERS];

  CHECK_INT(fy_flag_init(&asked), 0);
  for (int i = 0; i < SLEEPERS; i++) {
    CHECK_INT(pthread_create(&threads[i], NULL, sleep_once, NULL), 0);
  }
  fy_flag_wake(&asked); /* it is down: whoever looks sleeps on */
  fy_flag_raise(&asked);
  fy_flag_wake(&asked);
  for (int i = 0; i < SLEEPERS; i++) {
    pthread_join(threads[i], NULL);
  }
  CHECK_INT(atomic_load(&awake), SLEEPERS);
  fy_flag_clear(&asked);
}

/* --- Giving back -------------------------------------------------------- */

/* ASan shall see who uses what was freed: there nothing waits. */
#ifdef __SANITIZE_ADDRESS__
enum { WAITS = 0 };
#else
enum { WAITS = 1 };
#endif

enum { GIVERS = 3, PIECES = 3000 };

static atomic_int given;

static void *give_many(void *unused) {
  (void)unused;
  for (int i = 0; i < PIECES; i++) {
    size_t size = 16 + (size_t)i % 200;
    char *memory = fy_malloc(size);

    memset(memory, i & 127, size);
    fy_give_back(memory, size);
  }
  atomic_fetch_add(&given, 1);
  return NULL;
}

static void test_give_back_alone(void) {
  struct fy_buf buf;

  fy_give_back(NULL, 0);
  fy_give_back(fy_malloc(64), 64); /* nobody comes for it */
  CHECK_INT(fy_given_back(), 0);
  fy_take_back(1);
  fy_give_back(fy_malloc(64), 64);
  CHECK_INT(fy_given_back(), WAITS * 64);
  fy_give_back(fy_malloc(1), 1); /* no room for a link */
  fy_give_back(fy_malloc(FY_MAX_GIVEN_BACK + 1), FY_MAX_GIVEN_BACK + 1);
  fy_give_back(fy_malloc(FY_MAX_GIVEN_BACK), FY_MAX_GIVEN_BACK);
  CHECK_INT(fy_given_back(), WAITS * 64);
  fy_buf_init(&buf, 1000);
  fy_buf_give_back(&buf);
  buf.wipes = 1;
  CHECK_INT(fy_buf_adds(&buf, "something"), FREDDY_OK);
  fy_buf_give_back(&buf);
  CHECK(buf.data == NULL && buf.size == 0 && buf.room == 0 && buf.wipes);
  CHECK(WAITS ? fy_given_back() > 64 : fy_given_back() == 0);
  fy_take_back(0);
  CHECK_INT(fy_given_back(), 0);
  fy_give_back(fy_malloc(64), 64);
  CHECK_INT(fy_given_back(), 0);
}

static void test_give_back_by_many(void) {
  pthread_t threads[GIVERS];

  fy_take_back(1);
  for (int i = 0; i < GIVERS; i++) {
    CHECK_INT(pthread_create(&threads[i], NULL, give_many, NULL), 0);
  }
  while (atomic_load(&given) < GIVERS) {
    fy_take_back(1);
  }
  for (int i = 0; i < GIVERS; i++) {
    pthread_join(threads[i], NULL);
  }
  fy_take_back(0);
  fy_take_back(0);
  CHECK_INT(fy_given_back(), 0);
}

int main(void) {
  test_give_back_alone();
  test_give_back_by_many();
  test_flag_alone();
  test_flag_rounds();
  test_flag_wakes_all();
  test_mem();
  test_buf_appends();
  test_buf_ceiling();
  test_buf_reserve();
  test_error();
  test_error_names();
  test_clock();
  test_secret();
#ifdef __linux__
  test_secret_pages();
  test_secret_fork();
#endif
  test_wipe();
  test_ip();
  return unit_end();
}
