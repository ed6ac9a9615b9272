/* SPDX-License-Identifier: MIT */
#include "base/flag.h"

#include <stddef.h>
#include <time.h>

#ifdef FY_HAVE_FUTEX
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#ifdef __APPLE__
#define WAIT_CLOCK CLOCK_REALTIME
#else
#define WAIT_CLOCK CLOCK_MONOTONIC
#endif

void fy_flag_raise(struct fy_flag *flag) {
  atomic_store(&flag->is_up, 1);
}

void fy_flag_lower(struct fy_flag *flag) {
  atomic_store(&flag->is_up, 0);
}

int fy_flag_is_up(const struct fy_flag *flag) {
  return atomic_load_explicit(&flag->is_up, memory_order_acquire);
}

static struct timespec time_in(double seconds) {
  struct timespec until;

  clock_gettime(WAIT_CLOCK, &until);
  until.tv_sec += (time_t)seconds;
  until.tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
  if (until.tv_nsec >= 1000000000L) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000L;
  }
  return until;
}

#ifdef FY_HAVE_FUTEX

int fy_flag_init(struct fy_flag *flag) {
  atomic_init(&flag->is_up, 0);
  return 0;
}

void fy_flag_clear(struct fy_flag *flag) {
  (void)flag;
}

static long futex(struct fy_flag *flag, int what, unsigned value,
                  const struct timespec *until) {
  return syscall(SYS_futex, &flag->is_up, what | FUTEX_PRIVATE_FLAG, value,
                 until, NULL, FUTEX_BITSET_MATCH_ANY);
}

void fy_flag_wake(struct fy_flag *flag) {
  futex(flag, FUTEX_WAKE, INT_MAX, NULL);
}

/* 0 when it may be up now: it changed, or a signal came between. */
static int sleep_until(struct fy_flag *flag, const struct timespec *until) {
  return futex(flag, FUTEX_WAIT_BITSET, 0, until) && errno != EAGAIN &&
         errno != EINTR;
}

static void begin(struct fy_flag *flag) {
  (void)flag;
}

static void end(struct fy_flag *flag) {
  (void)flag;
}

#else

int fy_flag_init(struct fy_flag *flag) {
  pthread_condattr_t attr;
  int rc = pthread_condattr_init(&attr);

  if (rc) {
    return -1;
  }
#ifndef __APPLE__
  pthread_condattr_setclock(&attr, WAIT_CLOCK);
#endif
  rc = pthread_cond_init(&flag->cond, &attr);
  pthread_condattr_destroy(&attr);
  if (rc) {
    return -1;
  }
  pthread_mutex_init(&flag->lock, NULL);
  atomic_init(&flag->is_up, 0);
  return 0;
}

void fy_flag_clear(struct fy_flag *flag) {
  pthread_cond_destroy(&flag->cond);
  pthread_mutex_destroy(&flag->lock);
}

/* Through the lock: who has seen the flag down is asleep by then. */
void fy_flag_wake(struct fy_flag *flag) {
  pthread_mutex_lock(&flag->lock);
  pthread_mutex_unlock(&flag->lock);
  pthread_cond_broadcast(&flag->cond);
}

static int sleep_until(struct fy_flag *flag, const struct timespec *until) {
  return until ? pthread_cond_timedwait(&flag->cond, &flag->lock, until)
               : pthread_cond_wait(&flag->cond, &flag->lock);
}

static void begin(struct fy_flag *flag) {
  pthread_mutex_lock(&flag->lock);
}

static void end(struct fy_flag *flag) {
  pthread_mutex_unlock(&flag->lock);
}

#endif

int fy_flag_wait(struct fy_flag *flag, double seconds) {
  int is_timed = seconds >= 0 && seconds < 1e9;
  struct timespec until;
  int up;

  if (is_timed) {
    until = time_in(seconds);
  }
  begin(flag);
  while (!fy_flag_is_up(flag) &&
         !sleep_until(flag, is_timed ? &until : NULL)) {
  }
  up = fy_flag_is_up(flag);
  end(flag);
  return up;
}
