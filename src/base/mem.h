/* SPDX-License-Identifier: MIT */
/* The one door to the heap, so that tests can make any allocation fail. */
#ifndef FY_BASE_MEM_H
#define FY_BASE_MEM_H

#include <stddef.h>

/* malloc, calloc (overflow checked), realloc and free. NULL when there is no
 * memory; a size of 0 gives memory of its own too. A failed fy_realloc leaves
 * the old memory as it was. */
void *fy_malloc(size_t size);
void *fy_calloc(size_t count, size_t size);
void *fy_realloc(void *memory, size_t size);
void fy_free(void *memory);

/* A copy of exactly `size` bytes (embedded NULs are copied too) with a NUL
 * added: fy_free. NULL when there is no memory. */
char *fy_strndup(const char *text, size_t size);

#ifdef FY_TORTURE
/* Let `successes` more allocations succeed, then fail one (and, when
 * `all_after`, every later one). Negative: never fail. Atomic. */
void fy_mem_fail_after(long successes, int all_after);
/* How many allocations were made since the last fy_mem_fail_after. */
long fy_mem_count(void);
/* 1 when the allocation that is about to be made must fail. For memory that
 * does not come from the heap; it counts as an allocation. */
int fy_mem_fails(void);

/* From now on keep what is freed, as it is, so that fy_mem_find looks into it
 * too; 0: let go of all that. */
void fy_mem_keep(int keep);
/* In how many pieces of our memory, live or kept, these bytes stand. */
int fy_mem_find(const void *bytes, size_t size);
/* Memory that does not come from the heap, for fy_mem_find; and before it is
 * given back. */
void fy_mem_add_pages(void *pages, size_t size);
void fy_mem_drop_pages(void *pages);
#else
#define fy_mem_fails() 0
#define fy_mem_add_pages(pages, size) ((void)0)
#define fy_mem_drop_pages(pages) ((void)0)
#endif

#endif
