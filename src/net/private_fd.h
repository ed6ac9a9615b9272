/* SPDX-License-Identifier: MIT */
/* A descriptor that no child of the process keeps. CLOEXEC is for those that
 * exec; a forked one that does not closes its copy here. That matters for
 * locks: they belong to the open file, and would outlive a killed holder for
 * as long as a child of it has a copy. What the parent has open and locked is
 * not touched by the closing of a copy. */
#ifndef FY_NET_PRIVATE_FD_H
#define FY_NET_PRIVATE_FD_H

#include <sys/types.h>

/* `fd` -1: none. */
struct fy_private_fd {
  int fd;
  int slot;
  unsigned epoch;
};

/* openat, with O_CLOEXEC, and never through a link, into a terminal or waiting
 * for the other end of a FIFO. 0, or -1 with errno; EMFILE as well when too
 * many are open, EAGAIN when forks got in the way (an O_EXCL file may then
 * have come to be). May wait for a fork that is under way, a second at most:
 * I/O thread. */
int fy_private_fd_open(struct fy_private_fd *fd, int folder, const char *name,
                       int flags, mode_t mode);

/* Give back every lock on it, and close. None is fine, and so is one that was
 * the parent's before a fork: that one is left alone. */
void fy_private_fd_close(struct fy_private_fd *fd);

/* 1 when it is open, and not the parent's. */
int fy_private_fd_is_ours(const struct fy_private_fd *fd);

/* Lock one byte (of the open file, not of the process: two descriptors of one
 * process exclude each other). 0; EAGAIN when another one has it; or errno.
 * Never waits. */
int fy_private_fd_lock(const struct fy_private_fd *fd, off_t byte);
void fy_private_fd_unlock(const struct fy_private_fd *fd, off_t byte);
/* Would it be had? 0, EAGAIN or errno. */
int fy_private_fd_probe(const struct fy_private_fd *fd, off_t byte);

/* Around fork(), in the parent; and in the child, instead of the second. */
void fy_private_fd_before_fork(void);
void fy_private_fd_after_fork(void);
void fy_private_fd_forget(void);

#endif
