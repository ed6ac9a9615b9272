/* SPDX-License-Identifier: MIT */
#include "net/flow.h"

#include <string.h>

#include "base/give_back.h"
#include "base/mem.h"
#include "net/call.h"
#include "net/engine.h"

enum { CHUNK_ROOM = 16 * 1024 };

static void free_chunks(struct fy_chunk *chunk) {
  while (chunk) {
    struct fy_chunk *next = chunk->next;

    fy_free(chunk);
    chunk = next;
  }
}

void fy_flow_clear(struct fy_flow *flow) {
  free_chunks(flow->first);
  fy_chunk_give_back(flow->held);
  flow->first = flow->last = flow->held = NULL;
}

void fy_flow_move(struct fy_flow *flow, struct fy_flow *to) {
  *to = (struct fy_flow){
      .first = flow->first, .last = flow->last, .held = flow->held};
  flow->first = flow->last = flow->held = NULL;
  flow->undrained = 0;
}

struct fy_chunk *fy_chunk_new(const char *data, size_t size, size_t room) {
  struct fy_chunk *chunk = fy_malloc(sizeof(*chunk) + room);

  if (!chunk) {
    return NULL;
  }
  chunk->next = NULL;
  chunk->size = size;
  chunk->room = room;
  memcpy(chunk->data, data, size);
  return chunk;
}

void fy_chunk_give_back(struct fy_chunk *chunk) {
  if (chunk) {
    fy_give_back(chunk, sizeof(*chunk) + chunk->room);
  }
}

/* --- The engine's side -------------------------------------------------- */

static size_t undrained(const struct fy_flow *flow) {
  return atomic_load_explicit(&flow->undrained, memory_order_relaxed);
}

/* The caller has the lock: nobody else changes it meanwhile. */
static void add_undrained(struct fy_flow *flow, size_t size) {
  atomic_store_explicit(&flow->undrained, undrained(flow) + size,
                        memory_order_relaxed);
}

static void take_undrained(struct fy_flow *flow, size_t size) {
  atomic_store_explicit(&flow->undrained, undrained(flow) - size,
                        memory_order_relaxed);
}

/* What waits beyond the first whole event: one may be larger than all the
 * room. */
static size_t waiting(const struct fy_flow *flow) {
  return flow->is_events && flow->first
             ? undrained(flow) - fy_batch_size(flow->first, flow->at)
             : undrained(flow);
}

/* Others only take from it: where it seems to have room without the lock, it
 * has. */
int fy_flow_is_full(struct freddy_call *call) {
  struct fy_flow *flow = &call->flow;
  int full;

  if (!atomic_load_explicit(&flow->paused, memory_order_relaxed) &&
      undrained(flow) < flow->room) {
    return 0;
  }
  pthread_mutex_lock(&call->inbox->lock);
  full = !call->ended && waiting(flow) >= flow->room;
  flow->paused = full;
  fy_inbox_unlock(call->inbox);
  return full;
}

static void link_chunks(struct fy_flow *flow, struct fy_chunk *first,
                        struct fy_chunk *last) {
  if (flow->last) {
    flow->last->next = first;
  } else {
    flow->first = first;
  }
  flow->last = last;
}

static int append(struct fy_flow *flow, const char *data, size_t size) {
  struct fy_chunk *last = flow->last;

  if (last && last->room - last->size >= size) {
    memcpy(last->data + last->size, data, size);
    last->size += size;
    return FREDDY_OK;
  }
  last = fy_chunk_new(data, size, size > CHUNK_ROOM ? size : CHUNK_ROOM);
  if (!last) {
    return FREDDY_ENOMEM;
  }
  link_chunks(flow, last, last);
  return FREDDY_OK;
}

/* Whoever takes from the call itself hears of it only when he has to. */
static void tell(struct freddy_call *call) {
  struct fy_flow *flow = &call->flow;

  if (!flow->is_pulled) {
    fy_call_tell(call, FY_OUT_DATA); /* or events */
  } else if (flow->is_wanted) {
    flow->is_wanted = 0;
    fy_call_tell(call, FY_OUT_READY);
  }
}

int fy_flow_put(struct freddy_call *call, const char *data, size_t size) {
  struct fy_flow *flow = &call->flow;
  int rc = FREDDY_OK;

  if (size == 0) {
    return FREDDY_OK;
  }
  pthread_mutex_lock(&call->inbox->lock);
  if (!call->ended) {
    rc = append(flow, data, size);
    if (rc == FREDDY_OK) {
      add_undrained(flow, size);
      tell(call);
    }
  }
  fy_inbox_unlock(call->inbox);
  return rc;
}

void fy_flow_put_batch(struct freddy_call *call, struct fy_batch *batch) {
  struct fy_flow *flow = &call->flow;
  int taken;

  pthread_mutex_lock(&call->inbox->lock);
  taken = !call->ended;
  if (taken) {
    link_chunks(flow, batch->first, batch->last);
    add_undrained(flow, batch->bytes);
    tell(call);
  }
  fy_inbox_unlock(call->inbox);
  if (!taken) {
    free_chunks(batch->first);
  }
}

fy_time fy_flow_waited_since(struct freddy_call *call, fy_time now) {
  struct fy_flow *flow = &call->flow;
  fy_time since;

  pthread_mutex_lock(&call->inbox->lock);
  since = flow->first || !flow->is_wanted ? now : flow->waited_since;
  fy_inbox_unlock(call->inbox);
  return since;
}

/* --- The host's side ---------------------------------------------------- */

struct fy_chunk *fy_flow_pop(struct fy_flow *flow) {
  struct fy_chunk *chunk = flow->first;

  flow->first = chunk->next;
  if (!flow->first) {
    flow->last = NULL;
  }
  flow->at = 0;
  return chunk;
}

static void next_event(struct fy_flow *flow, freddy_event *event,
                       struct fy_chunk **held) {
  size_t size = fy_batch_read(flow->first, flow->at, event);

  flow->has_said |= event->turn_class != FREDDY_QUIET;
  flow->at += size;
  take_undrained(flow, size);
  if (flow->at == flow->first->size) {
    *held = fy_flow_pop(flow);
  }
}

static void next_data(struct fy_flow *flow, freddy_event *event,
                      struct fy_chunk **held) {
  struct fy_chunk *chunk = fy_flow_pop(flow);

  take_undrained(flow, chunk->size);
  event->type = FREDDY_DATA;
  event->data = chunk->data;
  event->size = chunk->size;
  *held = chunk;
}

/* Who got nothing but heartbeats has waited all the time. */
static void wait_from_now(struct fy_flow *flow) {
  if (flow->has_said || !flow->waited_since) {
    flow->waited_since = fy_clock_now();
    flow->has_said = 0;
  }
}

void fy_flow_next(struct freddy_call *call, freddy_event *event,
                  struct fy_chunk **held, int *resume) {
  struct fy_flow *flow = &call->flow;

  if (flow->is_events) {
    next_event(flow, event, held);
  } else {
    next_data(flow, event, held);
  }
  if (!flow->first) {
    call->out &= ~(unsigned)FY_OUT_DATA;
    if (!flow->is_pulled) {
      wait_from_now(flow);
    }
  }
  if (flow->paused && !call->ended && waiting(flow) <= flow->room / 2) {
    flow->paused = 0;
    *resume = 1;
  }
}

int fy_flow_pull(struct freddy_call *call, freddy_event *event) {
  struct fy_flow *flow = &call->flow;
  int resume = 0;
  int found;

  memset(event, 0, sizeof(*event));
  event->call = call;
  event->user = call->user;
  pthread_mutex_lock(&call->inbox->lock);
  fy_chunk_give_back(flow->held);
  flow->held = NULL;
  found = flow->is_pulled && flow->first;
  if (found) {
    fy_flow_next(call, event, &flow->held, &resume);
    event->more = flow->first != NULL;
  } else if (!flow->is_wanted) {
    flow->is_wanted = 1;
    wait_from_now(flow);
  }
  fy_inbox_unlock(call->inbox);
  if (resume) {
    fy_engine_post(call->engine, &call->post, FY_CALL_RESUME);
  }
  return found;
}
