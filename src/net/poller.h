/* SPDX-License-Identifier: MIT */
/* Waiting for descriptors: epoll on Linux, poll elsewhere (or when
 * FY_FORCE_POLL is defined). One thread waits; any thread may wake it. */
#ifndef FY_NET_POLLER_H
#define FY_NET_POLLER_H

#include <signal.h>

#include "base/clock.h"

enum { FY_READABLE = 1, FY_WRITABLE = 2, FY_FAILED = 4 };

struct fy_poller;

struct fy_ready {
  int fd;
  int what; /* FY_READABLE | FY_WRITABLE | FY_FAILED */
};

/* A new poller, or NULL when there is no memory or descriptor. */
struct fy_poller *fy_poller_new(void);
void fy_poller_free(struct fy_poller *poller);

/* Watch `fd` for `what` (0: no more). Level-triggered. 0, or -1. */
int fy_poller_watch(struct fy_poller *poller, int fd, int what);

/* Wait until `timeout` (nanoseconds from now, FY_NEVER: for ever) has passed,
 * something is ready or the poller was woken. Fills at most `max` of `ready`
 * and returns how many. `asleep`: the signals that are blocked meanwhile;
 * NULL: as they are, and always so where signals cannot be let in. */
int fy_poller_wait(struct fy_poller *poller, fy_time timeout,
                   const sigset_t *asleep, struct fy_ready *ready, int max);
/* 1 where they can. */
int fy_poller_lets_signals_in(void);

/* Make the present or the next wait return at once. Any thread. */
void fy_poller_wake(struct fy_poller *poller);

#endif
