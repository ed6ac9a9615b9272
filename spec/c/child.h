/* SPDX-License-Identifier: MIT */
/* Forked children: how they end, with a bound. */
#ifndef FY_SPEC_CHILD_H
#define FY_SPEC_CHILD_H

#include <signal.h>
#include <sys/wait.h>

#include "engine_util.h"
#include "quiet.h"

static pid_t main_process; /* set first */

/* A forked child, and one that exits in flight, forgets on purpose: leaks
 * are looked for in the parent only. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void) {
  return getpid() != main_process;
}

const char *__tsan_default_options(void);
const char *__tsan_default_options(void) {
  return "die_after_fork=0";
}

/* The exit code of a child; 1000 + the signal, if one killed it; 2000 when it
 * had to be killed for hanging. */
static inline int end_of(pid_t pid) {
  time_t until = time(NULL) + PATIENCE;
  int status = 0;

  while (waitpid(pid, &status, WNOHANG) == 0) {
    struct timespec pause = {0, 1000000};

    if (time(NULL) > until) {
      kill(pid, SIGKILL);
      waitpid(pid, &status, 0);
      return 2000;
    }
    nanosleep(&pause, NULL);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* That of one that runs `body`. */
static inline int in_child(void (*body)(struct rig *), struct rig *rig) {
  pid_t pid;

  fflush(stdout);
  quiet_wait();
  pid = fork();
  if (pid == 0) {
    unit_failed = 0;
    body(rig);
    fflush(stdout);
    _exit(unit_failed ? 1 : 0);
  }
  return end_of(pid);
}

#endif
