/* SPDX-License-Identifier: MIT */
/* The reader of gzip: the same output however the input is split, measured
 * first or not; and what is too large is known before it is unpacked. */
#include "base/limits.h"
#include "gzip_make.h"
#include "net/gunzip.h"
#include "unit.h"

enum { WHOLE = 1 << 30 };

struct seen {
  size_t size;
  uLong crc;
};

static int sink(void *context, const char *data, size_t size) {
  struct seen *seen = context;

  seen->size += size;
  seen->crc = crc32(seen->crc, (const Bytef *)data, (uInt)size);
  return FREDDY_OK;
}

/* Feed it in pieces; the code, and what came out. */
static int feed(const unsigned char *data, size_t size, size_t piece,
                uint64_t limit, struct seen *seen, int *complete,
                freddy_error *err) {
  struct fy_gunzip *gunzip = fy_gunzip_new();
  size_t at = 0;
  int rc = FREDDY_OK;
  int all_used = 1;

  memset(seen, 0, sizeof(*seen));
  memset(err, 0, sizeof(*err));
  if (limit) {
    fy_gunzip_limit(gunzip, limit);
  }
  while (rc == FREDDY_OK && at < size) {
    size_t step = size - at < piece ? size - at : piece;
    size_t used = 0;

    rc = fy_gunzip_feed(gunzip, (const char *)data + at, step, &used, sink,
                        seen, err);
    all_used = all_used && (rc == FREDDY_OK ? used == step : used <= step);
    at += step;
  }
  CHECK(all_used);
  *complete = fy_gunzip_complete(gunzip);
  fy_gunzip_free(gunzip);
  return rc;
}

static const size_t pieces[] = {1, 7, 1000, 1024, 16384, WHOLE, 0};

/* Whole input gives whole output, and one byte too many of limit refuses. */
static void check_right(const char *name, const unsigned char *plain,
                        size_t size, const unsigned char *data,
                        size_t data_size) {
  uLong crc = crc32(0, plain, (uInt)size);
  struct seen seen;
  freddy_error err;
  int complete;

  for (const size_t *piece = data_size < 100000 ? pieces : pieces + 2; *piece;
       piece++) {
    for (int limited = 0; limited <= 1; limited++) {
      UNIT_CASE("%s by %zu, limited %d", name, *piece, limited);
      CHECK_INT(feed(data, data_size, *piece, limited ? size : 0, &seen,
                     &complete, &err),
                FREDDY_OK);
      CHECK_INT(seen.size, size);
      CHECK(seen.crc == crc);
      CHECK_INT(complete, 1);
    }
  }
}

static unsigned char *zeros_and_noise(size_t size, size_t noise) {
  unsigned char *plain = calloc(1, size);
  unsigned random = 1;

  for (size_t i = size - noise; i < size; i++) {
    random = random * 1103515245u + 12345u;
    plain[i] = (unsigned char)(random >> 16);
  }
  return plain;
}

static void test_splits(void) {
  static const struct {
    const char *name;
    size_t size, noise;
  } rows[] = {{"small", 1000, 100},
              {"under suspicion", 4 * FY_MIB, 0},
              {"zeros", 9 * FY_MIB, 0},
              {"zeros, then noise", 8 * FY_MIB, FY_MIB / 4},
              {"zeros, then much noise", 8 * FY_MIB, 2 * FY_MIB},
              {NULL, 0, 0}};

  for (int i = 0; rows[i].name; i++) {
    unsigned char *plain = zeros_and_noise(rows[i].size, rows[i].noise);
    size_t size;
    unsigned char *data = gzip_make(plain, rows[i].size, &size);

    check_right(rows[i].name, plain, rows[i].size, data, size);
    free(data);
    free(plain);
  }
}

static void test_members(void) {
  unsigned char *plain = zeros_and_noise(5 * FY_MIB, 1000);
  unsigned char *both = calloc(1, 10 * FY_MIB);
  size_t size;
  unsigned char *one = gzip_make(plain, 5 * FY_MIB, &size);
  unsigned char *data = malloc(2 * size);

  memcpy(both, plain, 5 * FY_MIB);
  memcpy(both + 5 * FY_MIB, plain, 5 * FY_MIB);
  memcpy(data, one, size);
  memcpy(data + size, one, size);
  check_right("two members", both, 10 * FY_MIB, data, 2 * size);
  free(data);
  free(one);
  free(both);
  free(plain);
}

/* Too large is known after little of it was unpacked. */
static void test_bomb(void) {
  unsigned char *plain = calloc(1, 80 * FY_MIB);
  size_t size;
  unsigned char *data = gzip_make(plain, 80 * FY_MIB, &size);
  struct seen seen;
  freddy_error err;
  int complete;

  for (const size_t *piece = pieces + 1; *piece; piece++) {
    UNIT_CASE("a bomb by %zu", *piece);
    CHECK_INT(feed(data, size, *piece, 64 * FY_MIB, &seen, &complete, &err),
              FREDDY_ETOO_LARGE);
    CHECK(seen.size <= 6 * FY_MIB);
    CHECK_INT(err.code, FREDDY_OK);
    CHECK_INT(complete, 0);
  }
  free(data);
  free(plain);
}

/* What is wrong is found while it is measured, too; and what is missing. */
static void test_broken(void) {
  unsigned char *plain = calloc(1, 9 * FY_MIB);
  size_t size;
  unsigned char *data = gzip_make(plain, 9 * FY_MIB, &size);
  struct seen seen;
  freddy_error err;
  int complete;

  for (const size_t *piece = pieces + 1; *piece; piece++) {
    UNIT_CASE("cut, by %zu", *piece);
    CHECK_INT(
        feed(data, size - 9, *piece, 64 * FY_MIB, &seen, &complete, &err),
        FREDDY_OK);
    CHECK_INT(complete, 0);
    data[size - 8] ^= 1; /* of the checksum */
    UNIT_CASE("a wrong sum, by %zu", *piece);
    CHECK_INT(feed(data, size, *piece, 64 * FY_MIB, &seen, &complete, &err),
              FREDDY_EPROTOCOL);
    CHECK_TEXT(err.reason, "bad_gzip");
    CHECK_INT(complete, 0);
    data[size - 8] ^= 1;
  }
  free(data);
  free(plain);
}

int main(void) {
  test_splits();
  test_members();
  test_bomb();
  test_broken();
  return unit_end();
}
