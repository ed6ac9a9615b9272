/* SPDX-License-Identifier: MIT */
/* Before a fork under a sanitizer whose runtime does not look after its locks
 * (libasan up to GCC 13): a child would find them held for ever by a thread
 * that was in malloc at that moment, and hang there. */
#ifndef FY_SPEC_QUIET_H
#define FY_SPEC_QUIET_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* 'S' when the thread waits for something. */
static inline char quiet_state(const char *thread) {
  char path[64];
  char line[256] = "";
  const char *end;
  FILE *file;

  snprintf(path, sizeof(path), "/proc/self/task/%.20s/stat", thread);
  file = fopen(path, "r");
  if (!file) {
    return 'S'; /* it has ended */
  }
  end = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
  fclose(file);
  return end && end[1] ? end[2] : '?';
}

static inline int quiet_is(void) {
  DIR *threads = opendir("/proc/self/task");
  struct dirent *thread;
  int quiet = 1;

  while (threads && (thread = readdir(threads))) {
    if (thread->d_name[0] != '.' &&
        strtol(thread->d_name, NULL, 10) != getpid()) {
      quiet = quiet && quiet_state(thread->d_name) == 'S';
    }
  }
  if (threads) {
    closedir(threads);
  }
  return quiet;
}

/* Wait until all other threads wait; 20 s at most. Main thread only. */
static inline void quiet_wait(void) {
  const struct timespec pause = {0, 1000000};

  for (int i = 0; i < 20000 && !quiet_is(); i++) {
    nanosleep(&pause, NULL);
  }
}
#else
static inline void quiet_wait(void) {
}
#endif

#endif
