/* SPDX-License-Identifier: MIT */
/* How many name look-ups may be under way: a resolver that hangs holds a
 * thread of libcurl's each, and nothing can stop it. Beyond the bound,
 * transfers wait. Engine thread only. */
#ifndef FY_NET_LOOKUPS_H
#define FY_NET_LOOKUPS_H

#include "base/clock.h"
#include "base/limits.h"

struct fy_transfer;

/* One host name that is being, or was lately, looked up. */
struct fy_host {
  struct fy_host *next;
  int lookups;        /* under way, parked ones included */
  int parked;         /* of them, those that nobody waits for any more */
  fy_time warm_until; /* libcurl knows the address until then */
  struct fy_transfer *first, *last; /* waiting for a look-up to end */
  char name[];
};

struct fy_lookups {
  struct fy_host *hosts;
  int lookups;
};

/* What a transfer keeps of it. */
struct fy_lookup {
  struct fy_host *host;
  struct fy_transfer *next;
  int holds;  /* 1: counted as one under way */
  int parked; /* 1: counted as one that nobody waits for */
  int waits;  /* 1: stands in the host's list */
};

/* 1: go on (a look-up is counted if one may be needed); 0: it waits in the
 * host's list; -1: no memory. */
int fy_lookups_enter(struct fy_lookups *lookups, struct fy_transfer *transfer,
                     const char *host, fy_time now);

/* The look-up has ended (`resolved`: with an address), or none was needed.
 * Calls fy_engine_ready for those that may go on. May be repeated. */
void fy_lookups_leave(struct fy_lookups *lookups, struct fy_transfer *transfer,
                      int resolved, fy_time now);

/* Nobody waits for the transfer's look-up any more. */
void fy_lookups_park(struct fy_transfer *transfer);

/* 1 when a look-up of the same name hangs without anyone waiting for it: a
 * connection that waits for that one would hang with it. */
int fy_lookups_is_haunted(const struct fy_transfer *transfer);

/* The transfer gives up waiting. */
void fy_lookups_forget(struct fy_lookups *lookups,
                       struct fy_transfer *transfer);

void fy_lookups_clear(struct fy_lookups *lookups);

#endif
