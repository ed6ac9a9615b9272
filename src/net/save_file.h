/* SPDX-License-Identifier: MIT */
/* A file that comes to be at once or not at all: written where nobody finds
 * it, and given its name when it is whole. Where the file system can do it
 * (O_TMPFILE) it has no name until then, so that not even SIGKILL leaves any
 * of it behind. Elsewhere it is a hidden file of the same folder, which the
 * end of the process removes. I/O thread only, but where it says otherwise. */
#ifndef FY_NET_SAVE_FILE_H
#define FY_NET_SAVE_FILE_H

#include <stddef.h>

#include "freddy.h"

struct fy_save_file {
  const char *path;          /* absolute; borrowed */
  int fd;                    /* -1: none */
  char *temp;                /* the name that it has meanwhile; NULL: none */
  struct fy_save_file *next; /* of those with a name */
};

/* Open one that will be `path`, a regular file or nothing as yet. FREDDY_OK;
 * FREDDY_EBODY (reason save_failed) or FREDDY_ENOMEM, and it need not be
 * closed. */
int fy_save_file_open(struct fy_save_file *file, const char *path,
                      freddy_error *err);

/* FREDDY_OK or FREDDY_EBODY. */
int fy_save_file_write(struct fy_save_file *file, const char *data,
                       size_t size, freddy_error *err);

/* Have the disk hold all of it, with the permissions of the file that it
 * replaces: FREDDY_OK or FREDDY_EBODY. Then give it its name: FREDDY_OK,
 * FREDDY_EBODY or FREDDY_ENOMEM. */
int fy_save_file_sync(struct fy_save_file *file, freddy_error *err);
int fy_save_file_name(struct fy_save_file *file, freddy_error *err);

/* Be done with it; unless it was given its name, nothing of it is left. */
void fy_save_file_close(struct fy_save_file *file);

/* The process exits: remove those that have another name, and let none be
 * made. One is made or named in no time, but on a file system that hangs:
 * that is waited for, a second at most. Any thread. */
void fy_save_file_exit(void);

/* In the child of a fork: they are the parent's. */
void fy_save_file_forget(void);

#endif
