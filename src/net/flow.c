/* SPDX-License-Identifier: MIT */
#include "net/flow.h"

#include <string.h>

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
  fy_free(flow->held);
  flow->first = flow->last = flow->held = NULL;
}

void fy_flow_move(struct fy_flow *flow, struct fy_flow *to) {
  *to = *flow;
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

/* --- The engine's side -------------------------------------------------- */

int fy_flow_is_full(struct freddy_call *call) {
  struct fy_flow *flow = &call->flow;
  int full;

  pthread_mutex_lock(&call->inbox->lock);
  full = !call->ended && flow->undrained >= flow->room;
  flow->paused = full;
  fy_inbox_unlock(call->inbox);
  return full;
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
  if (flow->last) {
    flow->last->next = last;
  } else {
    flow->first = last;
  }
  flow->last = last;
  return FREDDY_OK;
}

/* Whoever takes from the call itself hears of it only when he has to. */
static void tell(struct freddy_call *call) {
  struct fy_flow *flow = &call->flow;

  if (!flow->is_pulled) {
    fy_call_tell(call, FY_OUT_DATA);
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
      flow->undrained += size;
      flow->passed += size;
      tell(call);
    }
  }
  fy_inbox_unlock(call->inbox);
  return rc;
}

/* --- The host's side ---------------------------------------------------- */

void fy_flow_next(struct freddy_call *call, freddy_event *event,
                  struct fy_chunk **held, int *resume) {
  struct fy_flow *flow = &call->flow;
  struct fy_chunk *chunk = flow->first;

  flow->first = chunk->next;
  if (!flow->first) {
    flow->last = NULL;
    call->out &= ~(unsigned)FY_OUT_DATA;
  }
  flow->undrained -= chunk->size;
  if (flow->paused && !call->ended && flow->undrained <= flow->room / 2) {
    flow->paused = 0;
    *resume = 1;
  }
  *held = chunk;
  event->type = FREDDY_DATA;
  event->data = chunk->data;
  event->size = chunk->size;
}

int fy_flow_pull(struct freddy_call *call, freddy_event *event) {
  struct fy_flow *flow = &call->flow;
  int resume = 0;
  int found;

  memset(event, 0, sizeof(*event));
  event->call = call;
  event->user = call->user;
  pthread_mutex_lock(&call->inbox->lock);
  fy_free(flow->held);
  flow->held = NULL;
  found = flow->is_pulled && flow->first;
  if (found) {
    fy_flow_next(call, event, &flow->held, &resume);
  } else {
    flow->is_wanted = 1;
  }
  fy_inbox_unlock(call->inbox);
  if (resume) {
    fy_engine_post(call->engine, &call->post, FY_CALL_RESUME);
  }
  return found;
}
