/* SPDX-License-Identifier: MIT */
/* What a streamed call gives, piece by piece: in order, and no more of it at
 * once than there is room for. All under the lock of the call's inbox. */
#ifndef FY_NET_FLOW_H
#define FY_NET_FLOW_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "freddy.h"
#include "net/batch.h"

struct fy_chunk {
  struct fy_chunk *next;
  size_t size;
  size_t room;
  char data[];
};

struct fy_flow {
  struct fy_chunk *first, *last;
  struct fy_chunk *held;   /* what the taker of a pulled call looks at */
  size_t at;               /* of the first, where the next event stands */
  atomic_size_t undrained; /* written under the lock, as `paused` */
  size_t room;             /* undrained bytes from which on it is full */
  int is_events;           /* 1: of packed events; 0: of bytes */
  int is_pulled;           /* 1: taken by freddy_call_next */
  int is_wanted;        /* pulled: nothing was there, and word is to be sent */
  atomic_int paused;    /* the transfer waits for room */
  uint64_t passed;      /* bytes in all; the engine's, without the lock */
  int has_said;         /* 1: what was taken since then said something */
  fy_time waited_since; /* when its taker found nothing, or took the last */
};

/* A chunk of `room` bytes, the first `size` being `data`; NULL when there is
 * no memory. fy_free. */
struct fy_chunk *fy_chunk_new(const char *data, size_t size, size_t room);

/* The host is done with it. NULL does nothing. */
void fy_chunk_give_back(struct fy_chunk *chunk);

/* 1 when there is no room: the transfer has to pause. Engine thread. */
int fy_flow_is_full(struct freddy_call *call);

/* Add a piece of the body. FREDDY_OK or FREDDY_ENOMEM. Engine thread. */
int fy_flow_put(struct freddy_call *call, const char *data, size_t size);

/* Hand over packed events: `batch` is stolen. Engine thread. */
void fy_flow_put_batch(struct freddy_call *call, struct fy_batch *batch);

/* Since when the host waits for something to come; `now` when it does not. */
fy_time fy_flow_waited_since(struct freddy_call *call, fy_time now);

/* Fill `event` with the oldest piece, or event, of which there is one. The
 * caller has the lock. Where that empties its chunk, *held keeps it from here
 * on; else it stays the first. *resume becomes 1 when a paused transfer has
 * room again. */
void fy_flow_next(struct freddy_call *call, freddy_event *event,
                  struct fy_chunk **held, int *resume);

/* Take the first chunk out of it. The caller has the lock. */
struct fy_chunk *fy_flow_pop(struct fy_flow *flow);

/* The same for a call that is pulled: 1, or 0 when there is none, and
 * FREDDY_READY will tell when there is. Any thread. */
int fy_flow_pull(struct freddy_call *call, freddy_event *event);

/* Take all that is there out of `flow`. The caller has the lock. */
void fy_flow_move(struct fy_flow *flow, struct fy_flow *to);
void fy_flow_clear(struct fy_flow *flow);

#endif
