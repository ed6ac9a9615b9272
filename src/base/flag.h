/* SPDX-License-Identifier: MIT */
/* A flag that threads can sleep on until it is up. To raise it wakes nobody:
 * that is a call of its own, to be made once no lock is held. On Linux a
 * futex: a condition variable would hand its lock to the one it wakes, which
 * costs that thread a system call more. */
#ifndef FY_BASE_FLAG_H
#define FY_BASE_FLAG_H

#include <stdatomic.h>

#if defined(__linux__) && defined(__LP64__) && !defined(FY_FORCE_POLL)
#define FY_HAVE_FUTEX
#else
#include <pthread.h>
#endif

struct fy_flag {
  atomic_int is_up;
#ifndef FY_HAVE_FUTEX
  pthread_mutex_t lock;
  pthread_cond_t cond;
#endif
};

/* Down at first. 0, or -1 when the system has no room for it. */
int fy_flag_init(struct fy_flag *flag);
void fy_flag_clear(struct fy_flag *flag);

/* Any thread; the first two wake nobody. */
void fy_flag_raise(struct fy_flag *flag);
void fy_flag_lower(struct fy_flag *flag);
int fy_flag_is_up(const struct fy_flag *flag);

/* Let all who sleep look at the flag. */
void fy_flag_wake(struct fy_flag *flag);

/* Sleep until the flag is up, for `seconds` at most; for ever when they are
 * negative, NaN or a billion. 1 when it is up. */
int fy_flag_wait(struct fy_flag *flag, double seconds);

#endif
