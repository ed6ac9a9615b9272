/* SPDX-License-Identifier: MIT */
/* LD_PRELOAD: file systems that do not know O_TMPFILE, as some do not. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>

int open(const char *path, int flags, ...) {
  union {
    void *symbol;
    int (*call)(const char *, int, ...);
  } next = {dlsym(RTLD_NEXT, "open")};
  va_list args;
  mode_t mode;

  if ((flags & O_TMPFILE) == O_TMPFILE) {
    errno = EOPNOTSUPP;
    return -1;
  }
  va_start(args, flags);
  mode = va_arg(args, mode_t);
  va_end(args);
  return next.call(path, flags, mode);
}
