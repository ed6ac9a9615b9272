/* SPDX-License-Identifier: MIT */
/* Gzip data for the tests of its reader. */
#ifndef FY_SPEC_GZIP_MAKE_H
#define FY_SPEC_GZIP_MAKE_H

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* `size` bytes as one member; to be freed. */
static inline unsigned char *gzip_make(const unsigned char *data, size_t size,
                                       size_t *made) {
  size_t room = size / 100 + size + 1000;
  unsigned char *out = malloc(room);
  z_stream stream;

  memset(&stream, 0, sizeof(stream));
  deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  stream.next_in = (z_const Bytef *)(size_t)data;
  stream.avail_in = (uInt)size;
  stream.next_out = out;
  stream.avail_out = (uInt)room;
  deflate(&stream, Z_FINISH);
  *made = stream.total_out;
  deflateEnd(&stream);
  return out;
}

#endif
