/* SPDX-License-Identifier: MIT */
#include "net/read_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"
#include "net/call.h"
#include "net/engine.h"

/* Whose it is: the engine's (IDLE), the I/O thread's (BUSY), or the I/O
 * thread's to free when it is through (CLOSED). */
enum { IDLE, BUSY, CLOSED };

struct fy_read_file {
  struct fy_io_job job;
  atomic_int state;
  struct freddy_call *call;
  int64_t size;
  int64_t read;
  int fd; /* -1: not open yet */
  int ended;
  struct fy_chunk *chunk;
  freddy_error error;
  char path[]; /* the call may let go of its own */
};

/* --- The disk ----------------------------------------------------------- */

static int fail(freddy_error *err, const char *path, const char *how) {
  return fy_error_set(err, FREDDY_EBODY, "file_failed", "the file %.120s %s",
                      path, how);
}

static int fail_errno(freddy_error *err, const char *path) {
  return fy_error_set(err, FREDDY_EBODY, "file_failed",
                      "the file %.120s cannot be read: %s", path,
                      strerror(errno));
}

/* Opened so that a FIFO does not hold the thread up. The descriptor, or -1
 * with `err`. */
static int open_file(const char *path, int64_t *size, freddy_error *err) {
  struct stat about;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

  if (fd < 0) {
    fail_errno(err, path);
    return -1;
  }
  if (fstat(fd, &about)) {
    fail_errno(err, path);
  } else if (!S_ISREG(about.st_mode)) {
    fail(err, path,
         S_ISDIR(about.st_mode) ? "is a folder" : "is no regular file");
  } else {
    *size = (int64_t)about.st_size;
    return fd;
  }
  close(fd);
  return -1;
}

int fy_read_file_size(const char *path, int64_t *size, freddy_error *err) {
  int fd = open_file(path, size, err);

  if (fd < 0) {
    return FREDDY_EBODY;
  }
  close(fd);
  return FREDDY_OK;
}

/* Up to `room` bytes; fewer at the end of the file only. -1: errno. */
static ssize_t read_some(int fd, char *into, size_t room) {
  size_t size = 0;

  while (size < room) {
    ssize_t got = read(fd, into + size, room - size);

    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return -1;
    }
    if (got == 0) {
      break;
    }
    size += (size_t)got;
  }
  return (ssize_t)size;
}

/* What was promised to the server must still hold when the last byte is
 * about to go. */
static int check_end(struct fy_read_file *file) {
  char one;

  if (file->read < file->size) {
    return FREDDY_OK;
  }
  file->ended = 1;
  return read_some(file->fd, &one, 1) > 0
             ? fail(&file->error, file->path, "grew while it was sent")
             : FREDDY_OK;
}

static int read_piece(struct fy_read_file *file) {
  int64_t left = file->size - file->read;
  size_t room = left < (int64_t)FY_MAX_READ ? (size_t)left : FY_MAX_READ;
  ssize_t got;

  file->chunk = fy_malloc(sizeof(*file->chunk) + room);
  if (!file->chunk) {
    return fy_error_nomem(&file->error);
  }
  file->chunk->next = NULL;
  file->chunk->room = room;
  got = read_some(file->fd, file->chunk->data, room);
  if (got < 0) {
    return fail_errno(&file->error, file->path);
  }
  if ((size_t)got < room) {
    return fail(&file->error, file->path, "shrank while it was sent");
  }
  file->chunk->size = room;
  file->read += (int64_t)room;
  return check_end(file);
}

static void work(struct fy_read_file *file) {
  int64_t size = 0;

  if (file->fd < 0) {
    file->fd = open_file(file->path, &size, &file->error);
    if (file->fd < 0) {
      return;
    }
    if (size != file->size) {
      fail(&file->error, file->path, "changed its size");
      return;
    }
  }
  if (file->size == 0) {
    check_end(file);
  } else {
    read_piece(file);
  }
}

/* --- Its thread --------------------------------------------------------- */

static void free_file(struct fy_read_file *file) {
  if (file->fd >= 0) {
    close(file->fd);
  }
  fy_free(file->chunk);
  fy_call_unref(file->call);
  fy_free(file);
}

static void run_close(struct fy_io_job *job) {
  free_file((struct fy_read_file *)job);
}

static void run_read(struct fy_io_job *job) {
  struct fy_read_file *file = (struct fy_read_file *)job;
  struct freddy_call *call = fy_call_ref(file->call);
  int busy = BUSY;

  if (atomic_load(&file->state) == BUSY) {
    work(file);
  }
  if (atomic_compare_exchange_strong(&file->state, &busy, IDLE)) {
    fy_engine_post(call->engine, &call->post, FY_CALL_ANSWER);
  } else {
    free_file(file);
  }
  fy_call_unref(call);
}

static void read_ahead(struct fy_read_file *file) {
  file->job.run = run_read;
  atomic_store(&file->state, BUSY);
  if (fy_io_post(&file->job)) {
    run_read(&file->job);
  }
}

struct fy_read_file *fy_read_file_open(const char *path, int64_t size,
                                       struct freddy_call *call) {
  size_t length = strlen(path) + 1;
  struct fy_read_file *file = fy_calloc(1, sizeof(*file) + length);

  if (!file) {
    return NULL;
  }
  file->call = fy_call_ref(call);
  memcpy(file->path, path, length);
  file->size = size;
  file->fd = -1;
  read_ahead(file);
  return file;
}

int fy_read_file_take(struct fy_read_file *file, struct fy_chunk **chunk,
                      freddy_error *err) {
  *chunk = NULL;
  if (atomic_load(&file->state) != IDLE) {
    return 0;
  }
  if (file->error.code != FREDDY_OK) {
    *err = file->error;
    return -1;
  }
  *chunk = file->chunk;
  file->chunk = NULL;
  if (!file->ended) {
    read_ahead(file);
  }
  return 1;
}

void fy_read_file_close(struct fy_read_file *file) {
  if (!file || atomic_exchange(&file->state, CLOSED) == BUSY) {
    return;
  }
  file->job.run = run_close;
  if (fy_io_post(&file->job)) {
    run_close(&file->job);
  }
}
