/* SPDX-License-Identifier: MIT */
/* Events on their way to the host: packed one behind the other into chunks,
 * without a lock, then handed over together. */
#ifndef FY_NET_BATCH_H
#define FY_NET_BATCH_H

#include <stddef.h>

#include "freddy.h"
#include "rules/sse.h"
#include "rules/turn.h"

struct fy_chunk;

/* All zero is empty. */
struct fy_batch {
  struct fy_chunk *first, *last;
  size_t bytes; /* of the events, as they are packed */
  size_t id_at; /* where the last id stands in `last`; 0: nowhere */
  size_t id_size;
};

/* Pack an event; its bytes are copied. `turn` is what rules/turn says of it,
 * or NULL. `more` is how much input is left,
 * from which follows how much room is worth having. FREDDY_OK or
 * FREDDY_ENOMEM. */
int fy_batch_add(struct fy_batch *batch, const struct fy_sse_event *event,
                 const struct fy_turn_event *turn, size_t more);

/* Free what is in it; empty again. */
void fy_batch_clear(struct fy_batch *batch);

/* Fill `event` with the one that is packed at `at`, borrowed from there; how
 * many bytes it takes. */
size_t fy_batch_read(const struct fy_chunk *chunk, size_t at,
                     freddy_event *event);

/* Only how many. */
size_t fy_batch_size(const struct fy_chunk *chunk, size_t at);

#endif
