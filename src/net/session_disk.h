/* SPDX-License-Identifier: MIT */
/* The file of a session on the disk: refused unless it is ours alone, read,
 * and replaced as a whole. I/O thread. */
#ifndef FY_NET_SESSION_DISK_H
#define FY_NET_SESSION_DISK_H

#include "freddy.h"
#include "net/private_fd.h"
#include "net/session_lock.h"
#include "rules/session.h"

enum { FY_SESSION_NAME = 256 };

struct fy_session_disk {
  const char *path; /* absolute; borrowed, like `owner` */
  const struct fy_session_owner *owner;
  struct fy_private_fd folder;
  struct fy_private_fd temp;
  char temp_name[FY_SESSION_NAME];
};

/* Set `err`, whose message begins with "the session file PATH". FREDDY_EAUTH.
 */
int fy_session_fail(freddy_error *err, const char *path, const char *reason,
                    const char *what);
/* For errno `number`; `what` says what could not be done. */
int fy_session_fail_errno(freddy_error *err, const char *path,
                          const char *what, int number);
/* For what is wrong with the lock. */
int fy_session_fail_lock(freddy_error *err, const char *path,
                         enum fy_lock_fault fault, int number);

/* Open the folder. FREDDY_OK, or FREDDY_EAUTH (errno stays). */
int fy_session_disk_open(struct fy_session_disk *disk, const char *path,
                         const struct fy_session_owner *owner,
                         freddy_error *err);
/* Close it; a temporary file is gone then. */
void fy_session_disk_close(struct fy_session_disk *disk);

/* The last part of the path. Borrowed. */
const char *fy_session_disk_name(const struct fy_session_disk *disk);

/* Read: FREDDY_OK, `session` (fy_session_clear), and into `is_there` 1 when
 * there is a file with anything in it; FREDDY_EAUTH; FREDDY_ENOMEM. */
int fy_session_disk_read(const struct fy_session_disk *disk,
                         struct fy_kept_session *session, int *is_there,
                         freddy_error *err);

/* Write a temporary file and have the disk hold it; then give it its name;
 * then have the disk hold that. Each FREDDY_OK, FREDDY_EAUTH or
 * FREDDY_ENOMEM. */
int fy_session_disk_write(struct fy_session_disk *disk,
                          const struct fy_kept_session *session,
                          freddy_error *err);
int fy_session_disk_has_temp(const struct fy_session_disk *disk);
int fy_session_disk_rename(struct fy_session_disk *disk, freddy_error *err);
int fy_session_disk_sync(struct fy_session_disk *disk, freddy_error *err);

/* Remove the file. FREDDY_OK or FREDDY_EAUTH. */
int fy_session_disk_remove(struct fy_session_disk *disk, freddy_error *err);

/* Remove temporary files whose writer has died. */
void fy_session_disk_sweep(const struct fy_session_disk *disk);

#endif
