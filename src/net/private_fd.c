/* SPDX-License-Identifier: MIT */
#include "net/private_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"

/* Locks of an open file (Linux 3.15; the next POSIX). Where there are none,
 * those of a process: two engines of one process do not see each other's. */
#ifdef F_OFD_SETLK
enum { SET_LOCK = F_OFD_SETLK, GET_LOCK = F_OFD_GETLK };
#else
enum { SET_LOCK = F_SETLK, GET_LOCK = F_GETLK };
#endif

enum { TRIES = 1000 }; /* of a millisecond each */

/* What a child has to close, plus 1; 0: free. No lock: it might be held for
 * ever in the child. */
static atomic_int slots[FY_MAX_PRIVATE_FDS];
static atomic_uint forks; /* odd: one is under way */
static atomic_uint epoch; /* another one in each child */

static int take_slot(int fd) {
  for (int i = 0; i < FY_MAX_PRIVATE_FDS; i++) {
    int nobody = 0;

    if (atomic_compare_exchange_strong(&slots[i], &nobody, fd + 1)) {
      return i;
    }
  }
  return -1;
}

/* Free its slot before its number: the number may be a stranger's at once. A
 * child that is forked between the two keeps a copy without any lock. */
static void let_go(int fd, int slot) {
  int number = errno;

  if (slot >= 0) {
    atomic_store(&slots[slot], 0);
  }
  close(fd);
  errno = number;
}

static void pause_a_little(void) {
  const struct timespec pause = {0, 1000000};

  nanosleep(&pause, NULL);
}

/* 1 when it is settled, errno included. A child that was forked between the
 * opening and the taking of the slot has a copy that it does not know of: then
 * the file is opened anew, before anything is locked. */
static int try_open(struct fy_private_fd *out, int folder, const char *name,
                    int flags, mode_t mode) {
  unsigned before = atomic_load(&forks);
  int fd, slot;

  if (before % 2) {
    return 0;
  }
  fd = openat(folder, name,
              flags | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, mode);
  if (fd < 0) {
    return 1;
  }
  slot = take_slot(fd);
  if (slot < 0) {
    errno = EMFILE;
  } else if (atomic_load(&forks) != before) {
    errno = EAGAIN;
  } else {
    out->fd = fd;
    out->slot = slot;
    out->epoch = atomic_load(&epoch);
    return 1;
  }
  let_go(fd, slot);
  return slot < 0 || flags & O_EXCL;
}

int fy_private_fd_open(struct fy_private_fd *fd, int folder, const char *name,
                       int flags, mode_t mode) {
  fd->fd = -1;
  for (int i = 0; i < TRIES; i++) {
    if (try_open(fd, folder, name, flags, mode)) {
      return fd->fd < 0 ? -1 : 0;
    }
    pause_a_little();
  }
  errno = EAGAIN;
  return -1;
}

int fy_private_fd_is_ours(const struct fy_private_fd *fd) {
  return fd->fd >= 0 && fd->epoch == atomic_load(&epoch);
}

void fy_private_fd_close(struct fy_private_fd *fd) {
  struct flock all;

  if (fy_private_fd_is_ours(fd)) {
    memset(&all, 0, sizeof(all));
    all.l_type = F_UNLCK;
    all.l_whence = SEEK_SET;
    fcntl(fd->fd, SET_LOCK, &all);
    let_go(fd->fd, fd->slot);
  }
  fd->fd = -1;
}

static int change_lock(int fd, int how, short type, off_t byte) {
  struct flock range;

  memset(&range, 0, sizeof(range));
  range.l_type = type;
  range.l_whence = SEEK_SET;
  range.l_start = byte;
  range.l_len = 1;
  if (fcntl(fd, how, &range)) {
    return errno == EACCES ? EAGAIN : errno;
  }
  return how == GET_LOCK && range.l_type != F_UNLCK ? EAGAIN : 0;
}

int fy_private_fd_lock(const struct fy_private_fd *fd, off_t byte) {
  return change_lock(fd->fd, SET_LOCK, F_WRLCK, byte);
}

void fy_private_fd_unlock(const struct fy_private_fd *fd, off_t byte) {
  change_lock(fd->fd, SET_LOCK, F_UNLCK, byte);
}

int fy_private_fd_probe(const struct fy_private_fd *fd, off_t byte) {
  return change_lock(fd->fd, GET_LOCK, F_WRLCK, byte);
}

void fy_private_fd_before_fork(void) {
  atomic_fetch_add(&forks, 1);
}

void fy_private_fd_after_fork(void) {
  atomic_fetch_add(&forks, 1);
}

void fy_private_fd_forget(void) {
  for (int i = 0; i < FY_MAX_PRIVATE_FDS; i++) {
    int fd = atomic_exchange(&slots[i], 0) - 1;

    if (fd >= 0) {
      close(fd);
    }
  }
  atomic_fetch_add(&epoch, 1);
  atomic_fetch_add(&forks, 1);
}
