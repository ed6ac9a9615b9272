/* SPDX-License-Identifier: MIT */
#include "net/gates.h"

#include <stddef.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "net/call.h"
#include "net/client.h"
#include "net/rate.h"

/* Lanes kept at a host, though nothing is in them: they are used again. */
enum { MAX_IDLE = 8 };

static size_t origin_size(const char *url) {
  const char *host = strstr(url, "://");

  return host ? (size_t)(host - url) + 3 + strcspn(host + 3, "/?#")
              : strlen(url);
}

int fy_gate_is_of(const struct fy_gate *gate, const char *url) {
  return origin_size(url) == gate->size &&
         memcmp(url, gate->origin, gate->size) == 0;
}

struct fy_gate *fy_gate_of(struct fy_admission *admission, const char *url) {
  size_t size = origin_size(url);
  struct fy_gate *gate = admission->gates;

  while (gate && !fy_gate_is_of(gate, url)) {
    gate = gate->next;
  }
  if (!gate && (gate = fy_calloc(1, sizeof(*gate) + size))) {
    gate->size = size;
    memcpy(gate->origin, url, size);
    gate->next = admission->gates;
    admission->gates = gate;
  }
  return gate;
}

struct fy_lane *fy_lane_of(struct fy_gate *gate,
                           const struct freddy_client *client, int kind,
                           struct fy_rate *rate) {
  struct fy_lane *lane = gate->turn;

  if (lane) {
    do {
      if (lane->client == client && lane->kind == kind && lane->rate == rate &&
          !lane->closed) {
        return lane;
      }
      lane = lane->next;
    } while (lane != gate->turn);
  }
  lane = fy_calloc(1, sizeof(*lane));
  if (!lane) {
    return NULL;
  }
  lane->gate = gate;
  lane->client = client;
  lane->kind = kind;
  lane->rate = fy_rate_ref(rate);
  if (gate->turn) { /* the last of the ring */
    lane->next = gate->turn;
    lane->prev = gate->turn->prev;
    lane->prev->next = lane->next->prev = lane;
  } else {
    gate->turn = lane->prev = lane->next = lane;
  }
  return lane;
}

static void lane_free(struct fy_lane *lane) {
  struct fy_gate *gate = lane->gate;

  if (lane->next == lane) {
    gate->turn = NULL;
  } else {
    lane->prev->next = lane->next;
    lane->next->prev = lane->prev;
    gate->turn = gate->turn == lane ? lane->next : gate->turn;
  }
  fy_rate_unref(lane->rate);
  fy_free(lane);
}

/* Lanes of clients that are gone, of limits that are past, and of many. */
static void sweep_gate(struct fy_gate *gate, int all) {
  struct fy_lane *lane = gate->turn;
  int count = 0;

  if (lane) {
    do {
      count++;
      lane = lane->next;
    } while (lane != gate->turn);
  }
  while (count--) {
    struct fy_lane *next = lane->next;

    if (all || (!lane->first && !lane->in_flight &&
                (lane->closed || count >= MAX_IDLE ||
                 lane->rate != lane->client->rate))) {
      lane_free(lane);
    }
    lane = next;
  }
}

void fy_gates_sweep(struct fy_admission *admission, int all) {
  struct fy_gate **link = &admission->gates;

  while (*link) {
    struct fy_gate *gate = *link;

    sweep_gate(gate, all);
    if (gate->turn) {
      link = &gate->next;
    } else {
      *link = gate->next;
      fy_free(gate);
    }
  }
}

/* --- Places ------------------------------------------------------------- */

uint32_t fy_lane_places(const struct fy_lane *lane) {
  const struct freddy_client *client = lane->client;

  if (lane->kind == FY_GATE_STREAMS) {
    return client->max_in_flight > FY_MAX_STREAMS ? client->max_in_flight
                                                  : FY_MAX_STREAMS;
  }
  if (client->max_in_flight) {
    return client->max_in_flight;
  }
  return lane->gate->http2 && !client->http1 ? FY_MAX_STREAMS
                                             : FY_MAX_IN_FLIGHT;
}

void fy_gate_count_places(struct fy_gate *gate) {
  struct fy_lane *lane = gate->turn;

  gate->places[FY_GATE_REQUESTS] = gate->places[FY_GATE_STREAMS] =
      FY_MAX_IN_FLIGHT;
  do {
    if (!lane->closed && (lane->first || lane->in_flight) &&
        fy_lane_places(lane) > gate->places[lane->kind]) {
      gate->places[lane->kind] = fy_lane_places(lane);
    }
    lane = lane->next;
  } while (lane != gate->turn);
}

int fy_lane_has_place(const struct fy_lane *lane) {
  uint32_t own = fy_lane_places(lane);
  uint32_t all = lane->gate->places[lane->kind];
  uint32_t taken = 0;
  const struct fy_lane *other = lane;

  if (lane->gate->in_flight[lane->kind] >= all) {
    return 0;
  }
  if (own == all) {
    return 1;
  }
  do {
    if (other->client == lane->client && other->kind == lane->kind) {
      taken += other->in_flight;
    }
    other = other->next;
  } while (other != lane);
  return taken < own;
}
