/* SPDX-License-Identifier: MIT */
#include "net/lookups.h"

#include <string.h>

#include "base/mem.h"
#include "net/engine.h"
#include "net/transfer.h"

/* libcurl keeps an address for 60 s (FY_DNS_CACHE_SECONDS); we count on it
 * for half of that. */
static const fy_time WARM = 30 * FY_SECOND;

static struct fy_host *host_find(struct fy_lookups *lookups,
                                 const char *name) {
  struct fy_host *host = lookups->hosts;

  while (host && strcmp(host->name, name) != 0) {
    host = host->next;
  }
  return host;
}

static void host_drop_idle(struct fy_lookups *lookups, fy_time now) {
  struct fy_host **link = &lookups->hosts;

  while (*link) {
    struct fy_host *host = *link;

    if (host->lookups == 0 && !host->first && host->warm_until <= now) {
      *link = host->next;
      fy_free(host);
    } else {
      link = &host->next;
    }
  }
}

static struct fy_host *host_get(struct fy_lookups *lookups, const char *name,
                                fy_time now) {
  struct fy_host *host = host_find(lookups, name);
  size_t size = strlen(name) + 1;

  if (host) {
    return host;
  }
  host_drop_idle(lookups, now);
  host = fy_malloc(sizeof(*host) + size);
  if (!host) {
    return NULL;
  }
  memset(host, 0, sizeof(*host));
  memcpy(host->name, name, size);
  host->next = lookups->hosts;
  lookups->hosts = host;
  return host;
}

/* Count one more look-up, if the bounds allow it. */
static int try_hold(struct fy_lookups *lookups, struct fy_host *host,
                    struct fy_transfer *transfer) {
  if (host->lookups >= FY_MAX_LOOKUPS_PER_HOST ||
      lookups->lookups >= FY_MAX_LOOKUPS) {
    return 0;
  }
  host->lookups++;
  lookups->lookups++;
  transfer->lookup.holds = 1;
  return 1;
}

int fy_lookups_enter(struct fy_lookups *lookups, struct fy_transfer *transfer,
                     const char *name, fy_time now) {
  struct fy_host *host = host_get(lookups, name, now);

  if (!host) {
    return -1;
  }
  if (host->warm_until > now) {
    return 1;
  }
  transfer->lookup.host = host;
  if (!host->first && try_hold(lookups, host, transfer)) {
    return 1;
  }
  transfer->lookup.waits = 1;
  transfer->lookup.next = NULL;
  if (host->last) {
    host->last->lookup.next = transfer;
  } else {
    host->first = transfer;
  }
  host->last = transfer;
  return 0;
}

static struct fy_transfer *pop_waiting(struct fy_host *host) {
  struct fy_transfer *transfer = host->first;

  host->first = transfer->lookup.next;
  if (!host->first) {
    host->last = NULL;
  }
  transfer->lookup.waits = 0;
  return transfer;
}

static void let_go(struct fy_lookups *lookups, struct fy_host *host,
                   fy_time now) {
  struct fy_transfer *transfer;

  while (host->first) {
    if (host->warm_until <= now && !try_hold(lookups, host, host->first)) {
      return;
    }
    transfer = pop_waiting(host);
    fy_engine_ready(transfer->engine, transfer);
  }
}

void fy_lookups_leave(struct fy_lookups *lookups, struct fy_transfer *transfer,
                      int resolved, fy_time now) {
  struct fy_lookup *lookup = &transfer->lookup;

  if (!lookup->holds) {
    return;
  }
  lookup->host->parked -= lookup->parked;
  lookup->holds = lookup->parked = 0;
  lookup->host->lookups--;
  lookups->lookups--;
  if (resolved) {
    lookup->host->warm_until = now + WARM;
  }
  /* This host's first; then whoever the bound on all was holding up. */
  let_go(lookups, lookup->host, now);
  for (struct fy_host *host = lookups->hosts; host; host = host->next) {
    let_go(lookups, host, now);
  }
}

void fy_lookups_park(struct fy_transfer *transfer) {
  struct fy_lookup *lookup = &transfer->lookup;

  if (lookup->holds && !lookup->parked) {
    lookup->parked = 1;
    lookup->host->parked++;
  }
}

int fy_lookups_is_haunted(const struct fy_transfer *transfer) {
  return transfer->lookup.host && transfer->lookup.host->parked > 0;
}

void fy_lookups_forget(struct fy_lookups *lookups,
                       struct fy_transfer *transfer) {
  struct fy_transfer *before = NULL;
  struct fy_transfer *at;
  struct fy_host *host = transfer->lookup.host;

  (void)lookups;
  if (!transfer->lookup.waits) {
    return;
  }
  for (at = host->first; at != transfer; at = at->lookup.next) {
    before = at;
  }
  if (before) {
    before->lookup.next = transfer->lookup.next;
  } else {
    host->first = transfer->lookup.next;
  }
  if (host->last == transfer) {
    host->last = before;
  }
  transfer->lookup.waits = 0;
}

void fy_lookups_clear(struct fy_lookups *lookups) {
  while (lookups->hosts) {
    struct fy_host *next = lookups->hosts->next;

    fy_free(lookups->hosts);
    lookups->hosts = next;
  }
  lookups->lookups = 0;
}
