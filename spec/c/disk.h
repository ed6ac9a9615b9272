/* SPDX-License-Identifier: MIT */
/* A disk under control: it stands still, or fails, at a step of what is
 * saved. Header-only: it replaces the functions of the program that includes
 * it. */
#ifndef FY_SPEC_DISK_H
#define FY_SPEC_DISK_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct {
  pthread_mutex_t lock;
  pthread_cond_t cond;
  int holds;   /* at which step it stands still */
  int waiting; /* 1: the I/O thread is there */
  int fails;   /* the step, with EIO */
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};

enum step { NONE, WRITE, SYNC, NAME };

/* 0: go on; -1: it failed. */
static int at_step(enum step step) {
  int rc;

  pthread_mutex_lock(&disk.lock);
  while (disk.holds == (int)step) {
    disk.waiting = 1;
    pthread_cond_wait(&disk.cond, &disk.lock);
  }
  disk.waiting = 0;
  rc = disk.fails == (int)step ? -1 : 0;
  pthread_mutex_unlock(&disk.lock);
  errno = rc ? EIO : errno;
  return rc;
}

static void set_disk(enum step holds, enum step fails) {
  pthread_mutex_lock(&disk.lock);
  disk.holds = (int)holds;
  disk.fails = (int)fails;
  disk.waiting = 0; /* it says so again */
  pthread_cond_broadcast(&disk.cond);
  pthread_mutex_unlock(&disk.lock);
}

static int is_waiting(void) {
  int waiting;

  pthread_mutex_lock(&disk.lock);
  waiting = disk.waiting;
  pthread_mutex_unlock(&disk.lock);
  return waiting;
}

ssize_t write(int fd, const void *data, size_t size) {
  struct stat st;

  if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && fd > 2 && at_step(WRITE)) {
    return -1;
  }
  return syscall(SYS_write, fd, data, size);
}

int fsync(int fd) {
  return at_step(SYNC) ? -1 : (int)syscall(SYS_fsync, fd);
}

/* The file that it makes is always there before. */
int rename(const char *from, const char *to) {
  return at_step(NAME)
             ? -1
             : (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
}

#endif
