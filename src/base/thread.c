/* SPDX-License-Identifier: MIT */
#include "base/thread.h"

#include <signal.h>
#include <unistd.h>

int fy_thread_start(pthread_t *out, void *(*main)(void *), void *context) {
  sigset_t all, before;
  int rc;

  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  rc = pthread_create(out, NULL, main, context);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return rc ? -1 : 0;
}

void fy_thread_sleep(void) {
  pause();
}
