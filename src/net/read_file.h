/* SPDX-License-Identifier: MIT */
/* A file that is sent. It is opened, read and closed on the I/O thread, and
 * one piece ahead of who takes them. */
#ifndef FY_NET_READ_FILE_H
#define FY_NET_READ_FILE_H

#include <stdint.h>

#include "freddy.h"

struct fy_chunk;
struct fy_read_file;

/* How large `path` is; it must be a regular file that can be read. FREDDY_OK,
 * or FREDDY_EBODY with reason file_failed. Touches the disk: I/O thread. */
int fy_read_file_size(const char *path, int64_t *size, freddy_error *err);

/* Begin to read `path`, which must have `size` bytes, for `call`: each time
 * that there is something to take, FY_CALL_ANSWER is wished of it. NULL when
 * there is no memory. Engine thread, like the rest. */
struct fy_read_file *fy_read_file_open(const char *path, int64_t size,
                                       struct freddy_call *call);

/* Take the next piece: 1 and the chunk (owned by the caller; NULL at the
 * end), 0 when it is not there yet, -1 when the file cannot be read, with
 * `err`. Never touches the disk. */
int fy_read_file_take(struct fy_read_file *file, struct fy_chunk **chunk,
                      freddy_error *err);

/* Have it closed, and let go of the call; NULL is fine. */
void fy_read_file_close(struct fy_read_file *file);

#endif
