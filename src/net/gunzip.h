/* SPDX-License-Identifier: MIT */
/* Decoding a gzip body as it comes. libcurl takes a truncated one for a
 * whole, which is why this is not left to it. RFC 1952. */
#ifndef FY_NET_GUNZIP_H
#define FY_NET_GUNZIP_H

#include <stddef.h>

#include "freddy.h"

struct fy_gunzip;

/* Called with each piece of decoded output; a code other than FREDDY_OK ends
 * the decoding with it. */
typedef int fy_gunzip_sink(void *context, const char *data, size_t size);

/* NULL when there is no memory. */
struct fy_gunzip *fy_gunzip_new(void);
void fy_gunzip_free(struct fy_gunzip *gunzip);

/* Decode `size` more bytes. FREDDY_OK; FREDDY_EPROTOCOL (reason bad_gzip) for
 * corrupt data or garbage after the end; FREDDY_ENOMEM; or the sink's code. */
int fy_gunzip_feed(struct fy_gunzip *gunzip, const char *data, size_t size,
                   fy_gunzip_sink *sink, void *context, freddy_error *err);

/* 1 when the whole member, its checksum included, was decoded. */
int fy_gunzip_complete(const struct fy_gunzip *gunzip);

#endif
