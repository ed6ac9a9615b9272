/* SPDX-License-Identifier: MIT */
/* Memory runs out while gzip is read: each allocation fails in turn. */
#include "base/limits.h"
#include "base/mem.h"
#include "gzip_make.h"
#include "net/gunzip.h"
#include "unit.h"

static int sink(void *context, const char *data, size_t size) {
  (void)data;
  *(size_t *)context += size;
  return FREDDY_OK;
}

static int task(const unsigned char *data, size_t size, size_t *made) {
  struct fy_gunzip *gunzip = fy_gunzip_new();
  freddy_error err = {.code = FREDDY_OK};
  size_t used;
  int rc = gunzip ? FREDDY_OK : FREDDY_ENOMEM;

  *made = 0;
  if (gunzip) {
    fy_gunzip_limit(gunzip, 64 * FY_MIB);
    rc = fy_gunzip_feed(gunzip, (const char *)data, size, &used, sink, made,
                        &err);
    CHECK_INT(err.code, rc);
  }
  fy_gunzip_free(gunzip);
  return rc;
}

int main(void) {
  unsigned char *plain = calloc(1, 8 * FY_MIB);
  size_t size, made;
  unsigned char *data = gzip_make(plain, 8 * FY_MIB, &size);
  long after = 0;
  int rc;

  do {
    UNIT_CASE("allocation %ld", after);
    fy_mem_fail_after(after++, 0);
    rc = task(data, size, &made);
    fy_mem_fail_after(-1, 0);
    CHECK(rc == FREDDY_OK ? made == 8 * FY_MIB : rc == FREDDY_ENOMEM);
  } while (rc != FREDDY_OK && after < 100);
  CHECK_INT(rc, FREDDY_OK);
  CHECK(after > 4);
  free(data);
  free(plain);
  return unit_end();
}
