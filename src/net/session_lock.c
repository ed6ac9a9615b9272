/* SPDX-License-Identifier: MIT */
#include "net/session_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/ascii.h"

enum { DIGITS = 16, INSIDE = 0, CLAIMS = 1 };

/* Numbers stay below, so that there is a byte for each. */
static const int64_t MOST = INT64_C(1) << 60;

/* Between two looks, no more than this counts: who was asleep saw nothing. */
static const fy_time LONGEST_LOOK = FY_SECOND;

void fy_session_lock_init(struct fy_session_lock *lock) {
  memset(lock, 0, sizeof(*lock));
  lock->file.fd = -1;
}

void fy_session_lock_drop(struct fy_session_lock *lock) {
  fy_private_fd_close(&lock->file);
  lock->claim = 0;
}

static void pause_a_little(void) {
  const struct timespec pause = {0, 1000000};

  nanosleep(&pause, NULL);
}

/* --- Going in ----------------------------------------------------------- */

static enum fy_lock_fault judge(const struct stat *about) {
  if (!S_ISREG(about->st_mode)) {
    return FY_LOCK_NOT_A_FILE;
  }
  if (about->st_uid != geteuid()) {
    return FY_LOCK_OWNER;
  }
  return about->st_mode & 077 ? FY_LOCK_MODE : FY_LOCK_GOOD;
}

/* Looked at before it is opened, since opening may do things. */
static enum fy_lock_fault open_file(struct fy_session_lock *lock, int folder,
                                    const char *name) {
  enum fy_lock_fault fault;
  struct stat about;

  if (fstatat(folder, name, &about, AT_SYMLINK_NOFOLLOW) == 0) {
    fault = judge(&about);
    if (fault) {
      return fault;
    }
  }
  if (fy_private_fd_open(&lock->file, folder, name, O_RDWR | O_CREAT, 0600)) {
    return errno == ELOOP ? FY_LOCK_NOT_A_FILE : FY_LOCK_ERRNO;
  }
  if (fstat(lock->file.fd, &about)) {
    return FY_LOCK_ERRNO;
  }
  return judge(&about);
}

/* 0 when somebody removed or replaced the file: others lock another one. */
static int is_in_place(const struct fy_session_lock *lock, int folder,
                       const char *name) {
  struct stat ours, there;

  return fstat(lock->file.fd, &ours) == 0 &&
         fstatat(folder, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
         ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

/* Whatever else is in it counts as 0: nobody's claim. */
static int64_t read_number(const struct fy_session_lock *lock) {
  char text[DIGITS];
  int64_t number = 0;

  if (pread(lock->file.fd, text, DIGITS, 0) != DIGITS) {
    return 0;
  }
  for (int i = 0; i < DIGITS; i++) {
    int digit = fy_hex_value(text[i]);

    if (digit < 0 || number >= MOST / 16) {
      return 0;
    }
    number = number * 16 + digit;
  }
  return number;
}

/* BUSY as well when the file is another one by now. */
static enum fy_lock_fault try_enter(struct fy_session_lock *lock, int folder,
                                    const char *name) {
  enum fy_lock_fault fault;
  int rc;

  if (lock->file.fd < 0) {
    fault = open_file(lock, folder, name);
    if (fault) {
      fy_session_lock_drop(lock);
      return fault;
    }
  }
  rc = fy_private_fd_lock(&lock->file, INSIDE);
  if (rc == 0 && is_in_place(lock, folder, name)) {
    return FY_LOCK_GOOD;
  }
  if (rc != EAGAIN) {
    fy_session_lock_drop(lock);
  }
  errno = rc;
  if (rc == ENOLCK || rc == ENOSYS || rc == EOPNOTSUPP || rc == EINVAL) {
    return FY_LOCK_NO_LOCKS;
  }
  return rc == 0 || rc == EAGAIN ? FY_LOCK_BUSY : FY_LOCK_ERRNO;
}

enum fy_lock_fault fy_session_lock_enter(struct fy_session_lock *lock,
                                         int folder, const char *name,
                                         fy_time patience) {
  fy_time until = fy_clock_add(fy_clock_now(), patience);
  enum fy_lock_fault fault;

  while ((fault = try_enter(lock, folder, name)) == FY_LOCK_BUSY &&
         fy_clock_now() < until) {
    pause_a_little();
  }
  if (fault) {
    if (!lock->claim) {
      fy_private_fd_close(&lock->file);
    }
    return fault;
  }
  lock->number = read_number(lock);
  if (lock->claim && lock->claim != lock->number) {
    fy_session_lock_release(lock);
  }
  return FY_LOCK_GOOD;
}

void fy_session_lock_leave(struct fy_session_lock *lock) {
  if (lock->claim) {
    fy_private_fd_unlock(&lock->file, INSIDE);
  } else {
    fy_private_fd_close(&lock->file);
  }
}

/* --- Claims ------------------------------------------------------------- */

static int write_number(struct fy_session_lock *lock, int64_t number) {
  char text[DIGITS + 2];
  ssize_t size;

  snprintf(text, sizeof(text), "%016" PRIx64 "\n", number);
  size = pwrite(lock->file.fd, text, DIGITS + 1, 0);
  if (size != DIGITS + 1) {
    errno = size < 0 ? errno : ENOSPC;
    return -1;
  }
  lock->number = number;
  return 0;
}

static int64_t next_number(const struct fy_session_lock *lock) {
  return lock->number + 1 < MOST / 16 ? lock->number + 1 : 1;
}

/* 1 when the claim that stands has been seen to stand for `ttl`. */
static int is_overdue(struct fy_session_lock *lock, fy_time now, fy_time ttl) {
  if (lock->watched == lock->number) {
    fy_time since = now - lock->watched_at;

    lock->watched_for += since < LONGEST_LOOK ? since : LONGEST_LOOK;
  } else {
    lock->watched = lock->number;
    lock->watched_for = 0;
  }
  lock->watched_at = now;
  return lock->watched_for >= ttl;
}

enum fy_lock_fault fy_session_lock_claim(struct fy_session_lock *lock,
                                         fy_time now, fy_time ttl) {
  int64_t number = next_number(lock);
  int rc = 0;

  if (!lock->claim) {
    rc = fy_private_fd_probe(&lock->file, CLAIMS + lock->number);
    if (rc == EAGAIN && !is_overdue(lock, now, ttl)) {
      return FY_LOCK_BUSY;
    }
  }
  if (rc == 0 || rc == EAGAIN) {
    rc = fy_private_fd_lock(&lock->file, CLAIMS + number);
  }
  if (rc == 0 && write_number(lock, number)) {
    rc = errno;
    fy_private_fd_unlock(&lock->file, CLAIMS + number);
  }
  if (rc) {
    errno = rc;
    return rc == EAGAIN ? FY_LOCK_BUSY : FY_LOCK_ERRNO;
  }
  fy_session_lock_release(lock);
  lock->claim = number;
  return FY_LOCK_GOOD;
}

int fy_session_lock_break(struct fy_session_lock *lock) {
  if (write_number(lock, next_number(lock))) {
    return -1;
  }
  fy_session_lock_release(lock);
  return 0;
}

void fy_session_lock_release(struct fy_session_lock *lock) {
  if (lock->claim) {
    fy_private_fd_unlock(&lock->file, CLAIMS + lock->claim);
    lock->claim = 0;
  }
}
