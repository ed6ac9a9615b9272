/* SPDX-License-Identifier: MIT */
/* Threads of the library's own. */
#ifndef FY_BASE_THREAD_H
#define FY_BASE_THREAD_H

#include <pthread.h>

/* Start a joinable thread that blocks every signal: they are the host's.
 * 0, or -1 when none can be had. */
int fy_thread_start(pthread_t *out, void *(*main)(void *), void *context);

/* Sleep for ever, or nearly: for a thread that has nothing left to do and
 * must not end. */
void fy_thread_sleep(void);

#endif
