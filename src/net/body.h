/* SPDX-License-Identifier: MIT */
/* What a request sends: bytes, files and readers, one after the other. Copied
 * when the call starts; the sizes of files are found out on the I/O thread;
 * nothing changes after that. */
#ifndef FY_NET_BODY_H
#define FY_NET_BODY_H

#include <stddef.h>
#include <stdint.h>

#include "freddy.h"

struct fy_source {
  freddy_source kind;
  char *data;   /* the bytes, or a file's path; NULL: a reader */
  int64_t size; /* -1: unknown */
};

struct fy_body {
  struct fy_source *sources; /* NULL: no body */
  size_t count;
  size_t files;
  int64_t size; /* of all together; -1: unknown */
};

/* Copy what `req` sends. FREDDY_OK, FREDDY_EMISUSE or FREDDY_ENOMEM; the body
 * may be cleared after each. */
int fy_body_copy(struct fy_body *body, const freddy_request *req,
                 freddy_error *err);

/* Free; the body is none afterwards. */
void fy_body_clear(struct fy_body *body);

/* 1 when there is nothing but bytes in memory: then they stand in
 * sources[0]. */
int fy_body_is_bytes(const struct fy_body *body);

/* Find out how large its files are. Touches the disk. FREDDY_OK or
 * FREDDY_EBODY. */
int fy_body_measure(struct fy_body *body, freddy_error *err);

#endif
