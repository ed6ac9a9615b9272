/* SPDX-License-Identifier: MIT */
/* The hosts that requests go to, the lanes in which calls wait at them, and
 * the places that there are. Engine thread only. */
#ifndef FY_NET_GATES_H
#define FY_NET_GATES_H

#include <stddef.h>
#include <stdint.h>

struct freddy_call;
struct freddy_client;
struct fy_admission;
struct fy_rate;

enum { FY_GATE_REQUESTS, FY_GATE_STREAMS, FY_GATE_KINDS };

/* Calls of one client to one host that wait for the same: in order. */
struct fy_lane {
  struct fy_lane *prev, *next; /* a ring, around which the turn goes */
  struct fy_gate *gate;
  const struct freddy_client *client; /* not looked into once closed */
  int closed;
  int kind;
  struct fy_rate *rate;
  struct freddy_call *first, *last;
  uint32_t in_flight;
};

/* A host: scheme, name and port. */
struct fy_gate {
  struct fy_gate *next;
  struct fy_lane *turn; /* whose it is; NULL: there is none */
  uint32_t in_flight[FY_GATE_KINDS];
  uint32_t places[FY_GATE_KINDS]; /* as the client has who may take most */
  int http2;                      /* 1: by the last answer */
  size_t size;
  char origin[];
};

/* The gate of a URL's host, and in it the lane of a client; made when there
 * is none. Both are the admission's. NULL: no memory. */
struct fy_gate *fy_gate_of(struct fy_admission *admission, const char *url);
struct fy_lane *fy_lane_of(struct fy_gate *gate,
                           const struct freddy_client *client, int kind,
                           struct fy_rate *rate);

/* 1 when the URL is one of the gate's host. */
int fy_gate_is_of(const struct fy_gate *gate, const char *url);

/* Free what is not used any more, or all. */
void fy_gates_sweep(struct fy_admission *admission, int all);

/* How many places the lane's client may take. A host has as many as the one
 * who may take most of them: count them before it is asked who has one. */
uint32_t fy_lane_places(const struct fy_lane *lane);
void fy_gate_count_places(struct fy_gate *gate);

/* 1 when one more may leave: what a client asks for is its own; the host's
 * places are everyone's. */
int fy_lane_has_place(const struct fy_lane *lane);

#endif
