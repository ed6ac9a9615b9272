/* SPDX-License-Identifier: MIT */
/* Session files for C units: a folder, jobs that are waited for, and a disk
 * that fails, or on which the process dies, at a step of one's choice.
 * Header-only: each unit is one program. */
#ifndef FY_SPEC_SESSION_UTIL_H
#define FY_SPEC_SESSION_UTIL_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "net/engine.h"
#include "net/session_file.h"
#include "unit.h"

enum { PATIENCE = 60, PATH = 300 };

static const struct fy_session_owner owner = {"https://api.test", "session"};

/* --- The disk fails, or the process dies -------------------------------- */

/* At the step of this number: 0 none. How: an errno, or - a signal. */
static atomic_int fail_at, fail_how, steps;
static char did[100]; /* a letter for each step */

static inline int step(char letter) {
  int at = atomic_load(&fail_at);
  int nth = at ? atomic_fetch_add(&steps, 1) + 1 : 0;

  if (nth > 0 && nth < (int)sizeof(did)) {
    did[nth - 1] = letter;
  }
  if (at == 0 || nth != at) {
    return 0;
  }
  if (atomic_load(&fail_how) < 0) {
    raise(-atomic_load(&fail_how));
    return 0;
  }
  errno = atomic_load(&fail_how);
  return -1;
}

static inline void arm(int at, int how) {
  memset(did, 0, sizeof(did));
  atomic_store(&steps, 0);
  atomic_store(&fail_how, how);
  atomic_store(&fail_at, at);
}

/* In the place of libc's. */
int openat(int folder, const char *path, int flags, ...) {
  va_list args;
  mode_t mode;

  va_start(args, flags);
  mode = va_arg(args, mode_t);
  va_end(args);
  return step('o') ? -1 : (int)syscall(SYS_openat, folder, path, flags, mode);
}

/* Half of it is written before it fails. */
ssize_t write(int fd, const void *data, size_t size) {
  if (step('w')) {
    syscall(SYS_write, fd, data, size / 2);
    return -1;
  }
  return (ssize_t)syscall(SYS_write, fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
  return step('n') ? -1 : (ssize_t)syscall(SYS_pwrite64, fd, data, size, at);
}

int fsync(int fd) {
  return step('s') ? -1 : (int)syscall(SYS_fsync, fd);
}

int renameat(int from, const char *old, int to, const char *new) {
  return step('r') ? -1 : (int)syscall(SYS_renameat2, from, old, to, new, 0);
}

int unlinkat(int folder, const char *path, int flags) {
  return step('u') ? -1 : (int)syscall(SYS_unlinkat, folder, path, flags);
}

/* --- Jobs, waited for --------------------------------------------------- */

struct waiter {
  struct fy_session_job job; /* the first */
  pthread_mutex_t lock;
  pthread_cond_t cond;
  int over;
};

static inline void done(struct fy_session_job *job) {
  struct waiter *waiter = (struct waiter *)job;

  pthread_mutex_lock(&waiter->lock);
  waiter->over = 1;
  pthread_cond_signal(&waiter->cond);
  pthread_mutex_unlock(&waiter->lock);
}

enum op { LOAD, CLAIM, SAVE, LOGIN, CLEAR };

/* What the last one brought; static. */
static struct fy_kept_session got;
static freddy_error failure;
static fy_time asked_to_wait;

static inline enum fy_session_result run_ttl(
    struct fy_session_file *file, enum op op,
    const struct fy_kept_session *session, fy_time ttl) {
  struct waiter waiter = {.lock = PTHREAD_MUTEX_INITIALIZER,
                          .cond = PTHREAD_COND_INITIALIZER};

  if (session) {
    fy_session_set(&waiter.job.session, session);
  }
  switch (op) {
  case LOAD:
    fy_session_file_load(file, &waiter.job, done);
    break;
  case CLAIM:
    fy_session_file_claim(file, &waiter.job, ttl, done);
    break;
  case SAVE:
  case LOGIN:
    fy_session_file_save(file, &waiter.job, op == SAVE, done);
    break;
  default:
    fy_session_file_clear(file, &waiter.job, done);
  }
  pthread_mutex_lock(&waiter.lock);
  while (!waiter.over) {
    pthread_cond_wait(&waiter.cond, &waiter.lock);
  }
  pthread_mutex_unlock(&waiter.lock);
  fy_session_set(&got, &waiter.job.session);
  fy_session_clear(&waiter.job.session);
  failure = waiter.job.error;
  asked_to_wait = waiter.job.wait;
  return waiter.job.result;
}

static inline enum fy_session_result run(struct fy_session_file *file,
                                         enum op op) {
  return run_ttl(file, op, NULL, FY_CLAIM_TTL);
}

/* A session of its own for each number; `left` seconds to live. */
static inline void make_session(struct fy_kept_session *session, int number,
                                int left) {
  char text[64];

  memset(session, 0, sizeof(*session));
  snprintf(text, sizeof(text), "secret-access-%d", number);
  session->access = fy_secret_new(NULL, text, strlen(text));
  snprintf(text, sizeof(text), "secret-refresh-%d", number);
  session->refresh = fy_secret_new(NULL, text, strlen(text));
  session->obtained_at = (double)time(NULL) - 1000;
  session->expires_at = (double)time(NULL) + left;
}

static inline enum fy_session_result put(struct fy_session_file *file,
                                         enum op op, int number, int left) {
  struct fy_kept_session session;
  enum fy_session_result result;

  make_session(&session, number, left);
  result = run_ttl(file, op, &session, 0);
  fy_session_clear(&session);
  return result;
}

/* What a renewal brought. */
static inline enum fy_session_result save(struct fy_session_file *file,
                                          int number) {
  return put(file, SAVE, number, 1000);
}

static inline enum fy_session_result login(struct fy_session_file *file,
                                           int number) {
  return put(file, LOGIN, number, 1000);
}

/* The number of what was got; 0: nothing; -1: what is none. */
static inline int number_of(const struct fy_kept_session *session) {
  struct fy_kept_session like;
  const char *digits;
  int number, is_same;

  if (fy_session_is_empty(session)) {
    return 0;
  }
  digits = session->access ? strrchr(fy_secret_text(session->access), '-') : 0;
  number = digits ? (int)strtol(digits + 1, NULL, 10) : -1;
  make_session(&like, number, 0);
  is_same = fy_session_is_same(session, &like);
  fy_session_clear(&like);
  return is_same ? number : -1;
}

static inline struct fy_session_file *open_file(const char *path) {
  freddy_error err = {.code = FREDDY_OK};
  struct fy_session_file *file = fy_session_file_new(path, &owner, &err);

  if (!file) {
    printf("%s\n", err.message);
    exit(2);
  }
  return file;
}

/* --- The folder --------------------------------------------------------- */

static char home[100], session_path[PATH], lock_path[PATH + 10];

static inline void remove_all(void) {
  DIR *folder = opendir(home);
  struct dirent *entry;

  while ((entry = readdir(folder))) {
    if (entry->d_name[0] != '.') {
      unlinkat(dirfd(folder), entry->d_name, 0);
      unlinkat(dirfd(folder), entry->d_name, AT_REMOVEDIR);
    }
  }
  closedir(folder);
}

/* How many names there are. */
static inline int count_files(void) {
  DIR *folder = opendir(home);
  struct dirent *entry;
  int count = 0;

  while ((entry = readdir(folder))) {
    count += entry->d_name[0] != '.';
  }
  closedir(folder);
  return count;
}

static inline void put_file(const char *path, const char *text, mode_t mode) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

  CHECK(fd >= 0);
  CHECK_INT(write(fd, text, strlen(text)), strlen(text));
  fchmod(fd, mode);
  close(fd);
}

/* What a small file holds; static; "" when there is none. */
static inline const char *read_file(const char *path) {
  static char text[4000];
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  ssize_t size = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

  if (fd >= 0) {
    close(fd);
  }
  text[size > 0 ? size : 0] = '\0';
  return text;
}

/* Claim until it is had: another one has been seen to hang for `ttl`. */
static inline void take_over(struct fy_session_file *a) {
  time_t until = time(NULL) + PATIENCE;
  enum fy_session_result result;
  int waits = 0;

  do {
    result = run_ttl(a, CLAIM, NULL, 5 * FY_MILLISECOND);
    waits += result == FY_SESSION_WAIT;
  } while (result != FY_SESSION_GO && time(NULL) < until);
  CHECK(waits > 0);
  CHECK_INT(run(a, CLAIM), FY_SESSION_GO);
}

static inline void rig_open(void) {
  snprintf(home, sizeof(home), "/tmp/freddy-unit-XXXXXX");
  if (!mkdtemp(home)) {
    perror("mkdtemp");
    exit(2);
  }
  snprintf(session_path, sizeof(session_path), "%s/session.json", home);
  snprintf(lock_path, sizeof(lock_path), "%s.lock", session_path);
}

static inline void rig_close(void) {
  CHECK_INT(rmdir(home), 0);
  fy_session_clear(&got);
  fy_io_shutdown();
}

#endif
