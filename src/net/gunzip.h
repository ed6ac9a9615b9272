/* SPDX-License-Identifier: MIT */
/* Decoding a gzip body as it comes. libcurl takes a truncated one for a
 * whole, which is why this is not left to it. RFC 1952. */
#ifndef FY_NET_GUNZIP_H
#define FY_NET_GUNZIP_H

#include <stddef.h>
#include <stdint.h>

#include "freddy.h"

struct fy_gunzip;

/* What a sink may answer, besides FREDDY_OK and a code that ends the decoding:
 * it took the piece, and has no room for another one now. */
enum { FY_GUNZIP_FULL = -1 };

/* Called with each piece of decoded output, at most 16 KiB. */
typedef int fy_gunzip_sink(void *context, const char *data, size_t size);

/* NULL when there is no memory. */
struct fy_gunzip *fy_gunzip_new(void);
void fy_gunzip_free(struct fy_gunzip *gunzip);

/* The output is kept in memory, and more than `limit` bytes of it are too
 * many. What grows suspiciously is measured before it is unpacked, so that a
 * few bytes cannot fill the memory up to the limit for nothing: its sink hears
 * of it late, and must not answer FY_GUNZIP_FULL. */
void fy_gunzip_limit(struct fy_gunzip *gunzip, uint64_t limit);

/* Decode `size` more bytes. FREDDY_OK; FREDDY_EPROTOCOL (reason bad_gzip) for
 * corrupt data or garbage after the end; FREDDY_ENOMEM; FREDDY_ETOO_LARGE with
 * `err` untouched: more than the limit; or the sink's code.
 * FY_GUNZIP_FULL: come again with what follows the first *used bytes, also
 * when that is nothing, for there may be output left. */
int fy_gunzip_feed(struct fy_gunzip *gunzip, const char *data, size_t size,
                   size_t *used, fy_gunzip_sink *sink, void *context,
                   freddy_error *err);

/* 1 when the whole member, its checksum included, was decoded. */
int fy_gunzip_complete(const struct fy_gunzip *gunzip);

#endif
