/* SPDX-License-Identifier: MIT */
#include "net/session_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/random.h"

/* NAME.new-0123456789abcdef */
static const char TEMP_MARK[] = ".new-";
enum { TEMP_DIGITS = 16, TEMP_TRIES = 20 };

/* --- What is wrong ------------------------------------------------------ */

int fy_session_fail(freddy_error *err, const char *path, const char *reason,
                    const char *what) {
  return fy_error_set(err, FREDDY_EAUTH, reason, "the session file %.120s %s",
                      path, what);
}

/* There are two functions of this name. */
static const char *text_of(int number, char *room, size_t size) {
#ifdef __GLIBC__
  return strerror_r(number, room, size);
#else
  return strerror_r(number, room, size) == 0 ? room : "unknown error";
#endif
}

int fy_session_fail_errno(freddy_error *err, const char *path,
                          const char *what, int number) {
  int is_full = number == ENOSPC || number == EDQUOT;
  char room[64];

  return fy_error_set(err, FREDDY_EAUTH,
                      is_full ? "store_full" : "store_failed",
                      "the session file %.120s cannot be %s: %.60s", path,
                      what, text_of(number, room, sizeof(room)));
}

int fy_session_fail_lock(freddy_error *err, const char *path,
                         enum fy_lock_fault fault, int number) {
  switch (fault) {
  case FY_LOCK_BUSY:
    return fy_session_fail(err, path, "store_busy",
                           "is held up by another process");
  case FY_LOCK_NO_LOCKS:
    return fy_session_fail(err, path, "store_no_locks",
                           "is on a file system without locks");
  case FY_LOCK_NOT_A_FILE:
    return fy_session_fail(err, path, "store_not_a_file",
                           "has a .lock that is no regular file");
  case FY_LOCK_OWNER:
    return fy_session_fail(err, path, "store_owner",
                           "has a .lock that belongs to another user");
  case FY_LOCK_MODE:
    return fy_session_fail(err, path, "store_mode",
                           "has a .lock that others may open: chmod 600 it");
  default:
    return fy_session_fail_errno(err, path, "locked", number);
  }
}

static int fail_fault(const struct fy_session_disk *disk,
                      enum fy_session_fault fault, freddy_error *err) {
  switch (fault) {
  case FY_SESSION_GOOD:
    return FREDDY_OK;
  case FY_SESSION_NO_MEMORY:
    return fy_error_nomem(err);
  case FY_SESSION_NEWER:
    return fy_session_fail(err, disk->path, "store_version",
                           "was written by a newer version of freddy");
  case FY_SESSION_OTHER_SERVER:
    return fy_session_fail(err, disk->path, "store_other_server",
                           "holds the session of another server");
  case FY_SESSION_OTHER_KIND:
    return fy_session_fail(err, disk->path, "store_other_kind",
                           "holds a session of another kind");
  default:
    return fy_session_fail(err, disk->path, "store_corrupt",
                           "is damaged, or no session file");
  }
}

/* --- The folder --------------------------------------------------------- */

const char *fy_session_disk_name(const struct fy_session_disk *disk) {
  return strrchr(disk->path, '/') + 1;
}

int fy_session_disk_open(struct fy_session_disk *disk, const char *path,
                         const struct fy_session_owner *owner,
                         freddy_error *err) {
  char *folder;
  int number, rc;

  disk->path = path;
  disk->owner = owner;
  disk->folder.fd = disk->temp.fd = -1;
  disk->temp_name[0] = '\0';
  folder = fy_strndup(path, (size_t)(fy_session_disk_name(disk) - path));
  if (!folder) {
    errno = ENOMEM;
    return fy_error_nomem(err);
  }
  /* It ends in a slash, so that a link to a folder is fine. */
  rc = fy_private_fd_open(&disk->folder, AT_FDCWD, folder,
                          O_RDONLY | O_DIRECTORY, 0);
  number = errno;
  fy_free(folder);
  if (rc) {
    fy_session_fail_errno(err, path, "reached: its folder", number);
    errno = number;
  }
  return rc ? FREDDY_EAUTH : FREDDY_OK;
}

static void discard_temp(struct fy_session_disk *disk) {
  if (disk->temp_name[0]) {
    unlinkat(disk->folder.fd, disk->temp_name, 0);
    disk->temp_name[0] = '\0';
  }
  fy_private_fd_close(&disk->temp);
}

void fy_session_disk_close(struct fy_session_disk *disk) {
  discard_temp(disk);
  fy_private_fd_close(&disk->folder);
}

/* --- Reading ------------------------------------------------------------ */

static int judge(const struct fy_session_disk *disk, const struct stat *about,
                 freddy_error *err) {
  if (S_ISLNK(about->st_mode)) {
    return fy_session_fail(err, disk->path, "store_symlink",
                           "is a symbolic link");
  }
  if (!S_ISREG(about->st_mode)) {
    return fy_session_fail(err, disk->path, "store_not_a_file",
                           "is no regular file");
  }
  if (about->st_uid != geteuid()) {
    return fy_session_fail(err, disk->path, "store_owner",
                           "belongs to another user");
  }
  if (about->st_mode & 077) {
    return fy_session_fail(err, disk->path, "store_mode",
                           "may be opened by others: chmod 600 it, and log in "
                           "anew if they did");
  }
  return FREDDY_OK;
}

/* Up to `room` bytes. -1: errno. */
static ssize_t read_all(int fd, char *into, size_t room) {
  size_t size = 0;

  while (size < room) {
    ssize_t n = read(fd, into + size, room - size);

    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n < 0) {
      return -1;
    }
    if (n == 0) {
      break;
    }
    size += (size_t)n;
  }
  return (ssize_t)size;
}

/* The file is replaced, never changed: what was opened has one size. */
static int read_open(const struct fy_session_disk *disk, int fd,
                     struct fy_kept_session *session, int *is_there,
                     freddy_error *err) {
  struct stat about;
  size_t room;
  ssize_t size;
  char *text;
  int rc;

  if (fstat(fd, &about)) {
    return fy_session_fail_errno(err, disk->path, "read", errno);
  }
  rc = judge(disk, &about, err);
  if (rc != FREDDY_OK) {
    return rc;
  }
  if (about.st_size > (off_t)FY_MAX_SESSION) {
    return fail_fault(disk, FY_SESSION_CORRUPT, err);
  }
  room = (size_t)about.st_size;
  text = fy_malloc(room);
  if (!text) {
    return fy_error_nomem(err);
  }
  size = read_all(fd, text, room);
  if (size < 0) {
    rc = fy_session_fail_errno(err, disk->path, "read", errno);
  } else {
    *is_there = size > 0;
    rc = fail_fault(
        disk, fy_session_read(text, (size_t)size, disk->owner, session), err);
  }
  fy_wipe(text, room);
  fy_free(text);
  return rc;
}

/* Looked at before it is opened: opening a FIFO or a device does things. */
int fy_session_disk_read(const struct fy_session_disk *disk,
                         struct fy_kept_session *session, int *is_there,
                         freddy_error *err) {
  const char *name = fy_session_disk_name(disk);
  struct fy_private_fd file;
  struct stat about;
  int rc;

  memset(session, 0, sizeof(*session));
  *is_there = 0;
  if (fstatat(disk->folder.fd, name, &about, AT_SYMLINK_NOFOLLOW)) {
    return errno == ENOENT
               ? FREDDY_OK
               : fy_session_fail_errno(err, disk->path, "read", errno);
  }
  rc = judge(disk, &about, err);
  if (rc != FREDDY_OK) {
    return rc;
  }
  if (fy_private_fd_open(&file, disk->folder.fd, name, O_RDONLY, 0)) {
    if (errno == ENOENT) {
      return FREDDY_OK;
    }
    return errno == ELOOP
               ? fy_session_fail(err, disk->path, "store_symlink",
                                 "is a symbolic link")
               : fy_session_fail_errno(err, disk->path, "read", errno);
  }
  rc = read_open(disk, file.fd, session, is_there, err);
  fy_private_fd_close(&file);
  return rc;
}

/* --- Writing ------------------------------------------------------------ */

/* -1 and errno. */
static int next_temp_name(struct fy_session_disk *disk) {
  uint64_t number;
  int size;

  if (fy_random(&number, sizeof(number))) {
    return -1;
  }
  size = snprintf(disk->temp_name, sizeof(disk->temp_name), "%s%s%016" PRIx64,
                  fy_session_disk_name(disk), TEMP_MARK, number);
  if (size >= (int)sizeof(disk->temp_name)) {
    disk->temp_name[0] = '\0';
    errno = ENAMETOOLONG;
    return -1;
  }
  return 0;
}

static int has_name(const struct fy_session_disk *disk) {
  struct stat ours, there;

  return fstat(disk->temp.fd, &ours) == 0 &&
         fstatat(disk->folder.fd, disk->temp_name, &there,
                 AT_SYMLINK_NOFOLLOW) == 0 &&
         ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

/* Locked for as long as its writer lives, which is how a sweeper knows. One
 * may have been quicker than the lock: then there is another try. */
static int open_temp(struct fy_session_disk *disk) {
  int number = EAGAIN;

  for (int i = 0; i < TEMP_TRIES && number == EAGAIN; i++) {
    if (next_temp_name(disk)) {
      return -1;
    }
    if (fy_private_fd_open(&disk->temp, disk->folder.fd, disk->temp_name,
                           O_WRONLY | O_CREAT | O_EXCL, 0600)) {
      number = errno;
      if (number == EEXIST) {
        disk->temp_name[0] = '\0'; /* not ours */
        number = EAGAIN;
      }
    } else {
      number = fy_private_fd_lock(&disk->temp, 0);
      if (number == 0 && has_name(disk)) {
        return 0;
      }
      number = number ? number : EAGAIN;
    }
    discard_temp(disk);
  }
  errno = number;
  return -1;
}

static int write_all(int fd, const char *text, size_t size) {
  while (size) {
    ssize_t n = write(fd, text, size);

    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n <= 0) {
      errno = n < 0 ? errno : ENOSPC;
      return -1;
    }
    text += n;
    size -= (size_t)n;
  }
  return 0;
}

static int sync_fd(int fd) {
  int rc;

  do {
    rc = fsync(fd);
  } while (rc && errno == EINTR);
  return rc;
}

int fy_session_disk_write(struct fy_session_disk *disk,
                          const struct fy_kept_session *session,
                          freddy_error *err) {
  char *text;
  size_t size;
  int rc = fy_session_write(session, disk->owner, &text, &size);

  if (rc != FREDDY_OK) {
    return rc == FREDDY_ENOMEM
               ? fy_error_nomem(err)
               : fy_session_fail(err, disk->path, "store_failed",
                                 "cannot hold such a session");
  }
  /* An unusual umask may have taken the owner's own permission away. */
  if (open_temp(disk) || fchmod(disk->temp.fd, 0600) ||
      write_all(disk->temp.fd, text, size) || sync_fd(disk->temp.fd)) {
    rc = fy_session_fail_errno(err, disk->path, "written", errno);
    discard_temp(disk);
  }
  fy_session_text_free(text, size);
  return rc;
}

int fy_session_disk_has_temp(const struct fy_session_disk *disk) {
  return disk->temp_name[0] != '\0';
}

int fy_session_disk_rename(struct fy_session_disk *disk, freddy_error *err) {
  if (renameat(disk->folder.fd, disk->temp_name, disk->folder.fd,
               fy_session_disk_name(disk))) {
    return fy_session_fail_errno(err, disk->path, "replaced", errno);
  }
  disk->temp_name[0] = '\0';
  fy_private_fd_close(&disk->temp);
  return FREDDY_OK;
}

/* Some file systems sync no folders, and say so. */
int fy_session_disk_sync(struct fy_session_disk *disk, freddy_error *err) {
  return sync_fd(disk->folder.fd) && errno != EINVAL
             ? fy_session_fail_errno(err, disk->path, "synced", errno)
             : FREDDY_OK;
}

int fy_session_disk_remove(struct fy_session_disk *disk, freddy_error *err) {
  return unlinkat(disk->folder.fd, fy_session_disk_name(disk), 0)
             ? fy_session_fail_errno(err, disk->path, "removed", errno)
             : FREDDY_OK;
}

/* --- Sweeping ----------------------------------------------------------- */

static int is_temp_name(const struct fy_session_disk *disk,
                        const char *entry) {
  const char *name = fy_session_disk_name(disk);
  size_t size = strlen(name);
  size_t mark = sizeof(TEMP_MARK) - 1;

  if (strncmp(entry, name, size) != 0 ||
      strncmp(entry + size, TEMP_MARK, mark) != 0 ||
      strlen(entry + size + mark) != TEMP_DIGITS) {
    return 0;
  }
  for (entry += size + mark; *entry; entry++) {
    if (fy_hex_value(*entry) < 0) {
      return 0;
    }
  }
  return 1;
}

static void sweep_one(const struct fy_session_disk *disk, const char *entry) {
  struct fy_private_fd file;

  if (fy_private_fd_open(&file, disk->folder.fd, entry, O_WRONLY, 0)) {
    return;
  }
  if (fy_private_fd_lock(&file, 0) == 0) {
    unlinkat(disk->folder.fd, entry, 0);
  }
  fy_private_fd_close(&file);
}

void fy_session_disk_sweep(const struct fy_session_disk *disk) {
  int fd = openat(disk->folder.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *folder = fd < 0 ? NULL : fdopendir(fd);
  struct dirent *entry;
  int seen = 0;

  if (!folder) {
    if (fd >= 0) {
      close(fd);
    }
    return;
  }
  while (seen++ < FY_MAX_SWEEP && (entry = readdir(folder))) {
    if (is_temp_name(disk, entry->d_name)) {
      sweep_one(disk, entry->d_name);
    }
  }
  closedir(folder);
}
