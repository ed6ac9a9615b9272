/* SPDX-License-Identifier: MIT */
#include "net/save_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

#if defined(__linux__) && defined(O_TMPFILE)
#define FY_HAVE_NAMELESS
#endif

enum { TEMP_NAME = 32, TRIES = 100, EXIT_WAIT_MS = 1000 };

/* Held wherever a name is made or taken away; replaced, not locked, in the
 * child of a fork. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fy_save_file *named;
static atomic_int exiting;

/* --- What went wrong ---------------------------------------------------- */

static int fail(const struct fy_save_file *file, const char *why,
                freddy_error *err) {
  return fy_error_set(err, FREDDY_EBODY, "save_failed", "cannot save: %s: %s",
                      why, file->path);
}

/* There are two functions of this name. */
static const char *text_of(int number, char *room, size_t size) {
#ifdef __GLIBC__
  return strerror_r(number, room, size);
#else
  return strerror_r(number, room, size) == 0 ? room : "unknown error";
#endif
}

static int fail_errno(const struct fy_save_file *file, int number,
                      freddy_error *err) {
  char room[128];

  return fail(file, text_of(number, room, sizeof(room)), err);
}

static int fail_exiting(const struct fy_save_file *file, freddy_error *err) {
  return fail(file, "the process exits", err);
}

/* --- Names -------------------------------------------------------------- */

/* The folder of `path`, with `more` bytes of room behind its slash. */
static char *folder_of(const char *path, size_t more) {
  size_t size = (size_t)(strrchr(path, '/') + 1 - path);
  char *folder = fy_malloc(size + more + 1);

  if (folder) {
    memcpy(folder, path, size);
    folder[size] = '\0';
  }
  return folder;
}

/* Another name in the folder at each try; the caller holds the lock. Nobody
 * need be unable to guess it: what is there already is never opened. */
static void next_name(char *temp, size_t folder_size) {
  static unsigned serial;

  snprintf(temp + folder_size, TEMP_NAME, ".freddy-%x-%x-%x",
           (unsigned)getpid(), (unsigned)fy_clock_now(), serial++);
}

static void enter(struct fy_save_file *file, char *temp) {
  file->temp = temp;
  file->next = named;
  named = file;
}

static void leave(struct fy_save_file *file) {
  struct fy_save_file **link = &named;

  while (*link && *link != file) {
    link = &(*link)->next;
  }
  if (*link) {
    *link = file->next;
  }
  fy_free(file->temp);
  file->temp = NULL;
}

/* --- Opening ------------------------------------------------------------ */

/* A link could lead anywhere, and a device that root replaced would be gone:
 * only a regular file is. 1 when there is one; 0: nothing as yet. */
static int look(const struct fy_save_file *file, mode_t *mode,
                freddy_error *err) {
  struct stat old;

  if (lstat(file->path, &old)) {
    if (errno != ENOENT) {
      fail_errno(file, errno, err);
    }
    return 0;
  }
  if (!S_ISREG(old.st_mode)) {
    fail(file, "not a regular file", err);
  }
  *mode = old.st_mode & 0777;
  return 1;
}

#ifdef FY_HAVE_NAMELESS
static void descriptor_path(int fd, char *path, size_t size) {
  snprintf(path, size, "/proc/self/fd/%d", fd);
}

/* -1 when it cannot be, or could not be given a name later. */
static int open_nameless(const char *folder) {
  char path[32];
  struct stat link;
  int fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);

  if (fd < 0) {
    return -1;
  }
  descriptor_path(fd, path, sizeof(path));
  if (lstat(path, &link)) {
    close(fd);
    return -1;
  }
  return fd;
}
#else
static int open_nameless(const char *folder) {
  (void)folder;
  return -1;
}
#endif

/* Nobody may read it before it has the permissions of what it replaces. */
static int open_named(struct fy_save_file *file, char *temp, mode_t mode,
                      freddy_error *err) {
  size_t folder_size = strlen(temp);
  int tries = 0;
  int rc = FREDDY_OK;

  pthread_mutex_lock(&lock);
  do {
    next_name(temp, folder_size);
    file->fd =
        exiting
            ? -1
            : open(temp, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW,
                   mode);
  } while (file->fd < 0 && !exiting && errno == EEXIST && ++tries < TRIES);
  if (file->fd >= 0) {
    enter(file, temp);
  } else {
    rc = exiting ? fail_exiting(file, err) : fail_errno(file, errno, err);
    fy_free(temp);
  }
  pthread_mutex_unlock(&lock);
  return rc;
}

int fy_save_file_open(struct fy_save_file *file, const char *path,
                      freddy_error *err) {
  freddy_error why = {.code = FREDDY_OK};
  mode_t mode = 0;
  char *temp;
  int replaces;

  memset(file, 0, sizeof(*file));
  file->path = path;
  file->fd = -1;
  replaces = look(file, &mode, &why);
  if (why.code != FREDDY_OK) {
    *err = why;
    return (int)why.code;
  }
  temp = folder_of(path, TEMP_NAME);
  if (!temp) {
    return fy_error_nomem(err);
  }
  file->fd = open_nameless(temp);
  if (file->fd < 0) {
    return open_named(file, temp, replaces ? 0600 : 0666, err);
  }
  fy_free(temp);
  return FREDDY_OK;
}

/* --- Writing ------------------------------------------------------------ */

int fy_save_file_write(struct fy_save_file *file, const char *data,
                       size_t size, freddy_error *err) {
  while (size) {
    ssize_t n = write(file->fd, data, size);

    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n <= 0) {
      return fail_errno(file, errno, err);
    }
    data += n;
    size -= (size_t)n;
  }
  return FREDDY_OK;
}

int fy_save_file_sync(struct fy_save_file *file, freddy_error *err) {
  freddy_error why = {.code = FREDDY_OK};
  mode_t mode = 0;
  int rc;

  if (look(file, &mode, &why) && why.code == FREDDY_OK &&
      fchmod(file->fd, mode)) {
    fail_errno(file, errno, &why);
  }
  if (why.code != FREDDY_OK) {
    *err = why;
    return (int)why.code;
  }
  do {
    rc = fsync(file->fd);
  } while (rc && errno == EINTR);
  return rc ? fail_errno(file, errno, err) : FREDDY_OK;
}

/* --- The end ------------------------------------------------------------ */

#ifdef FY_HAVE_NAMELESS
/* At once the right name, if nobody has it yet: a link cannot replace. Else
 * `temp`, which is taken over. The caller holds the lock. 0, or errno. */
static int link_nameless(struct fy_save_file *file, char *temp) {
  size_t folder_size = strlen(temp);
  const char *to = file->path;
  char from[32];
  int number = 0;
  int tries = 0;

  descriptor_path(file->fd, from, sizeof(from));
  while (linkat(AT_FDCWD, from, AT_FDCWD, to, AT_SYMLINK_FOLLOW)) {
    number = errno;
    if (number != EEXIST || tries++ == TRIES) {
      break;
    }
    number = 0;
    next_name(temp, folder_size);
    to = temp;
  }
  if (number == 0 && to == temp) {
    enter(file, temp);
  } else {
    fy_free(temp);
  }
  return number;
}
#else
static int link_nameless(struct fy_save_file *file, char *temp) {
  (void)file;
  fy_free(temp);
  return ENOTSUP;
}
#endif

/* 0, or errno. */
static int rename_named(struct fy_save_file *file) {
  if (rename(file->temp, file->path)) {
    return errno;
  }
  leave(file);
  return 0;
}

int fy_save_file_name(struct fy_save_file *file, freddy_error *err) {
  char *temp = file->temp ? NULL : folder_of(file->path, TEMP_NAME);
  int number = 0;
  int rc;

  if (!file->temp && !temp) {
    return fy_error_nomem(err);
  }
  pthread_mutex_lock(&lock);
  if (exiting) {
    fy_free(temp);
    rc = fail_exiting(file, err);
  } else {
    number = temp ? link_nameless(file, temp) : 0;
    if (number == 0 && file->temp) {
      number = rename_named(file);
    }
    rc = number ? fail_errno(file, number, err) : FREDDY_OK;
  }
  pthread_mutex_unlock(&lock);
  return rc;
}

void fy_save_file_close(struct fy_save_file *file) {
  if (file->fd < 0) {
    return;
  }
  pthread_mutex_lock(&lock);
  if (file->temp) {
    unlink(file->temp);
    leave(file);
  }
  pthread_mutex_unlock(&lock);
  close(file->fd);
  file->fd = -1;
}

void fy_save_file_exit(void) {
  const struct timespec pause = {0, 1000000};
  int tries = 0;

  atomic_store(&exiting, 1); /* no new name: who makes them lets the lock go */
  while (pthread_mutex_trylock(&lock)) {
    if (++tries > EXIT_WAIT_MS) {
      return;
    }
    nanosleep(&pause, NULL);
  }
  for (struct fy_save_file *file = named; file; file = file->next) {
    unlink(file->temp);
  }
  pthread_mutex_unlock(&lock);
}

void fy_save_file_forget(void) {
  pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;

  lock = fresh;
  named = NULL;
  atomic_store(&exiting, 0);
}
