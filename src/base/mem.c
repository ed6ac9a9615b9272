/* SPDX-License-Identifier: MIT */
#include "base/mem.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef FY_TORTURE
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

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

/* Ahead of each piece, so that all can be looked into. */
struct piece {
  size_t nth; /* in the table */
  size_t size;
  void *pages; /* what it stands for, where that is elsewhere */
  int is_freed;
  _Alignas(max_align_t) char data[];
};

enum { MOST_PIECES = 1 << 20 };

/* In a mapping, which the leak checker does not look into. */
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct piece **table;
static size_t piece_count;
static int keeps;

static struct piece *piece_of(void *memory) {
  return (struct piece *)((char *)memory - offsetof(struct piece, data));
}

static void *piece_new(size_t size, void *pages) {
  struct piece *piece = calloc(1, sizeof(*piece) + (pages ? 0 : size));

  if (!piece) {
    return NULL;
  }
  piece->size = size;
  piece->pages = pages;
  pthread_mutex_lock(&table_lock);
  if (!table) {
    table = mmap(NULL, MOST_PIECES * sizeof(struct piece *),
                 PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  }
  if (table == MAP_FAILED || piece_count == MOST_PIECES) {
    abort();
  }
  piece->nth = piece_count;
  table[piece_count++] = piece;
  pthread_mutex_unlock(&table_lock);
  return piece->data;
}

/* The caller holds the lock. */
static void piece_drop(struct piece *piece) {
  struct piece *last = table[--piece_count];

  last->nth = piece->nth;
  table[piece->nth] = last;
  free(piece);
}

static void *mem_new(size_t size) {
  return piece_new(size, NULL);
}

static void mem_free(void *memory) {
  if (memory) {
    pthread_mutex_lock(&table_lock);
    piece_of(memory)->is_freed = 1;
    if (!keeps) {
      piece_drop(piece_of(memory));
    }
    pthread_mutex_unlock(&table_lock);
  }
}

static void *mem_resize(void *memory, size_t size) {
  size_t old = memory ? piece_of(memory)->size : 0;
  void *resized = mem_new(size);

  if (resized && memory) {
    memcpy(resized, memory, old < size ? old : size);
    mem_free(memory);
  }
  return resized;
}

void fy_mem_keep(int keep) {
  pthread_mutex_lock(&table_lock);
  keeps = keep;
  for (size_t i = piece_count; i > 0 && !keep; i--) {
    if (table[i - 1]->is_freed) {
      piece_drop(table[i - 1]);
    }
  }
  pthread_mutex_unlock(&table_lock);
}

static int holds(const char *data, size_t room, const void *bytes,
                 size_t size) {
  for (size_t i = 0; i + size <= room; i++) {
    if (memcmp(data + i, bytes, size) == 0) {
      return 1;
    }
  }
  return 0;
}

int fy_mem_find(const void *bytes, size_t size) {
  int found = 0;

  pthread_mutex_lock(&table_lock);
  for (size_t i = 0; i < piece_count; i++) {
    struct piece *piece = table[i];

    found += holds(piece->pages ? piece->pages : piece->data, piece->size,
                   bytes, size);
  }
  pthread_mutex_unlock(&table_lock);
  return found;
}

void fy_mem_add_pages(void *pages, size_t size) {
  piece_new(size, pages);
}

void fy_mem_drop_pages(void *pages) {
  pthread_mutex_lock(&table_lock);
  for (size_t i = 0; i < piece_count; i++) {
    if (table[i]->pages == pages) {
      piece_drop(table[i]);
      break;
    }
  }
  pthread_mutex_unlock(&table_lock);
}
#else
#define mem_new malloc
#define mem_resize realloc
#define mem_free free
#endif

static void *mem_zeros(size_t size) {
#ifdef FY_TORTURE
  return mem_new(size);
#else
  return size ? calloc(1, size) : calloc(1, 1);
#endif
}

void *fy_malloc(size_t size) {
  if (fy_mem_fails()) {
    return NULL;
  }
  return mem_new(size ? size : 1); /* malloc(0) may be NULL without failing */
}

void *fy_calloc(size_t count, size_t size) {
  if (size && count > SIZE_MAX / size) {
    return NULL;
  }
  if (fy_mem_fails()) {
    return NULL;
  }
  return mem_zeros(count * size);
}

void *fy_realloc(void *memory, size_t size) {
  if (fy_mem_fails()) {
    return NULL;
  }
  return mem_resize(memory, size ? size : 1); /* realloc(p, 0) would free */
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
  mem_free(memory);
}
