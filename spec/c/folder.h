/* SPDX-License-Identifier: MIT */
/* A folder for the files of a unit, on a file system that knows O_TMPFILE or
 * one that does not. Header-only: each unit is one program. */
#ifndef FY_SPEC_FOLDER_H
#define FY_SPEC_FOLDER_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int nameless = 1; /* it knows O_TMPFILE */

/* In the place of libc's. */
int open(const char *path, int flags, ...) {
  va_list args;
  mode_t mode;

  va_start(args, flags);
  mode = va_arg(args, mode_t);
  va_end(args);
  if (!nameless && (flags & O_TMPFILE) == O_TMPFILE) {
    errno = EOPNOTSUPP;
    return -1;
  }
  return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

struct folder {
  char path[64];
};

static inline void folder_open(struct folder *folder) {
  snprintf(folder->path, sizeof(folder->path), "/tmp/freddy-unit-XXXXXX");
  if (!mkdtemp(folder->path)) {
    perror("mkdtemp");
    exit(2);
  }
}

/* The unit has to have emptied it. */
static inline void folder_close(struct folder *folder) {
  if (rmdir(folder->path)) {
    perror(folder->path);
    exit(2);
  }
}

static inline void folder_path(const struct folder *folder, const char *name,
                               char path[200]) {
  snprintf(path, 200, "%s/%s", folder->path, name);
}

/* The names in it, hidden ones too, a blank behind each; static. */
static inline const char *folder_list(const struct folder *folder) {
  static char names[2000];
  DIR *dir = opendir(folder->path);
  struct dirent *entry;

  names[0] = '\0';
  while (dir && (entry = readdir(dir))) {
    size_t used = strlen(names);

    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
      snprintf(names + used, sizeof(names) - used, "%s ", entry->d_name);
    }
  }
  if (dir) {
    closedir(dir);
  }
  return names;
}

/* What a small file holds; NULL when there is none; static. */
static inline const char *folder_read(const char *path) {
  static char text[4000];
  FILE *file = fopen(path, "rb");
  size_t size;

  if (!file) {
    return NULL;
  }
  size = fread(text, 1, sizeof(text) - 1, file);
  fclose(file);
  text[size] = '\0';
  return text;
}

#endif
