/* SPDX-License-Identifier: MIT */
/* The body of one attempt on its way: takes from the sources of a body, in
 * order, what libcurl's read callback wants. Engine thread only. */
#ifndef FY_NET_UPLOAD_H
#define FY_NET_UPLOAD_H

#include <stddef.h>
#include <stdint.h>

#include "freddy.h"

struct fy_chunk;
struct fy_read_file;

struct fy_upload {
  struct freddy_call *call;
  size_t at;              /* the source at hand */
  int64_t taken;          /* bytes that it has given */
  int64_t given;          /* bytes of the body given to libcurl */
  struct fy_chunk *chunk; /* of a file or a reader, not yet all given */
  size_t offset;
  int held;  /* the chunk is a reader's last: it has to say so first */
  int ended; /* the reader has said so */
  struct fy_read_file *file;
};

/* Find out, on the I/O thread, what the body of `call` takes. 1 when it can be
 * sent at once; else 0, and FY_CALL_MEASURED is wished of it later. */
int fy_upload_prepare(struct freddy_call *call);

/* 1 when the body of `call`, if it has one, can be sent once more: no reader
 * was asked. */
int fy_upload_can_replay(const struct freddy_call *call);

/* Begin anew. No allocation. */
void fy_upload_init(struct fy_upload *upload, struct freddy_call *call);

/* Let go of what is left. */
void fy_upload_clear(struct fy_upload *upload);

enum { FY_UPLOAD_FAILED = -1, FY_UPLOAD_WAIT, FY_UPLOAD_GIVEN };

/* Up to `room` bytes. FY_UPLOAD_GIVEN with *size (0: the body is whole);
 * FY_UPLOAD_WAIT when there is nothing yet, and FY_CALL_ANSWER is wished of
 * the call once there is; FY_UPLOAD_FAILED with `err`. */
int fy_upload_read(struct fy_upload *upload, char *into, size_t room,
                   size_t *size, freddy_error *err);

#endif
