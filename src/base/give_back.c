/* SPDX-License-Identifier: MIT */
#include "base/give_back.h"

#include <stdatomic.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/secret.h"

/* In what is put aside. It is all taken at once, so that no piece can come
 * back between a look at the first one and its replacement. */
struct piece {
  struct piece *next;
};

static _Atomic(struct piece *) first;
static atomic_size_t waiting; /* bytes */
static atomic_int is_taken;   /* 1: somebody comes for them */

/* ASan shall see who uses what was freed. */
static int may_wait(size_t size) {
#ifdef __SANITIZE_ADDRESS__
  (void)size;
  return 0;
#else
  return size >= sizeof(struct piece) && size <= FY_MAX_GIVEN_BACK &&
         atomic_load(&is_taken) &&
         atomic_load(&waiting) <= FY_MAX_GIVEN_BACK - size;
#endif
}

void fy_give_back(void *memory, size_t size) {
  struct piece *piece = memory;

  if (!piece || !may_wait(size)) {
    fy_free(memory);
    return;
  }
  atomic_fetch_add(&waiting, size);
  piece->next = atomic_load(&first);
  while (!atomic_compare_exchange_weak(&first, &piece->next, piece)) {
  }
}

void fy_buf_give_back(struct fy_buf *buf) {
  size_t size = buf->room;
  char *data = fy_buf_take(buf, NULL);

  if (buf->wipes && data) {
    fy_wipe(data, size);
  }
  fy_give_back(data, size);
}

void fy_take_back(int goes_on) {
  struct piece *piece;

  atomic_store(&is_taken, goes_on);
  if (!atomic_load(&first)) {
    return;
  }
  atomic_store(&waiting, 0);
  piece = atomic_exchange(&first, NULL);
  while (piece) {
    struct piece *next = piece->next;

    fy_free(piece);
    piece = next;
  }
}

size_t fy_given_back(void) {
  return atomic_load(&waiting);
}
