/* SPDX-License-Identifier: MIT */
#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef FY_TORTURE
#include <stdatomic.h>

static atomic_long mem_made;
static atomic_long mem_limit = -1;
static atomic_int mem_all_after;

void fy_mem_fail_after(long successes, int all_after) {
  atomic_store(&mem_all_after, all_after);
  atomic_store(&mem_limit, successes);
  atomic_store(&mem_made, 0);
}

long fy_mem_count(void) {
  return atomic_load(&mem_made);
}

int fy_mem_fails(void) {
  long made = atomic_fetch_add(&mem_made, 1);
  long limit = atomic_load(&mem_limit);

  if (limit < 0) {
    return 0;
  }
  return atomic_load(&mem_all_after) ? made >= limit : made == limit;
}
#endif

void *fy_malloc(size_t size) {
  if (fy_mem_fails()) {
    return NULL;
  }
  return malloc(size ? size : 1); /* malloc(0) may be NULL without failing */
}

void *fy_calloc(size_t count, size_t size) {
  if (size && count > SIZE_MAX / size) {
    return NULL;
  }
  if (fy_mem_fails()) {
    return NULL;
  }
  return count && size ? calloc(count, size) : calloc(1, 1);
}

void *fy_realloc(void *memory, size_t size) {
  if (fy_mem_fails()) {
    return NULL;
  }
  return realloc(memory, size ? size : 1); /* realloc(p, 0) would free */
}

char *fy_strndup(const char *text, size_t size) {
  char *copy;

  if (size == SIZE_MAX) {
    return NULL;
  }
  copy = fy_malloc(size + 1);
  if (!copy) {
    return NULL;
  }
  if (size) {
    memcpy(copy, text, size);
  }
  copy[size] = '\0';
  return copy;
}

void fy_free(void *memory) {
  free(memory);
}
