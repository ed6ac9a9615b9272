/* SPDX-License-Identifier: MIT */
#include "net/gunzip.h"

#include <string.h>
#include <zlib.h>

#include "base/error.h"
#include "base/mem.h"

enum { GZIP_ONLY = 16 + MAX_WBITS };

struct fy_gunzip {
  z_stream stream;
  int complete;
  unsigned char out[16 * 1024];
};

static voidpf z_alloc(voidpf opaque, uInt count, uInt size) {
  (void)opaque;
  return fy_calloc(count, size);
}

static void z_release(voidpf opaque, voidpf memory) {
  (void)opaque;
  fy_free(memory);
}

struct fy_gunzip *fy_gunzip_new(void) {
  struct fy_gunzip *gunzip = fy_malloc(sizeof(*gunzip));

  if (!gunzip) {
    return NULL;
  }
  memset(&gunzip->stream, 0, sizeof(gunzip->stream));
  gunzip->stream.zalloc = z_alloc;
  gunzip->stream.zfree = z_release;
  gunzip->complete = 0;
  if (inflateInit2(&gunzip->stream, GZIP_ONLY) != Z_OK) {
    fy_free(gunzip);
    return NULL;
  }
  return gunzip;
}

void fy_gunzip_free(struct fy_gunzip *gunzip) {
  if (!gunzip) {
    return;
  }
  inflateEnd(&gunzip->stream);
  fy_free(gunzip);
}

/* A gzip file may hold several members (RFC 1952 2.2): what follows a whole
 * one begins the next. */
static int next_member(struct fy_gunzip *gunzip) {
  gunzip->complete = 0;
  return inflateReset2(&gunzip->stream, GZIP_ONLY) == Z_OK;
}

static int inflate_step(struct fy_gunzip *gunzip, freddy_error *err) {
  int rc = inflate(&gunzip->stream, Z_NO_FLUSH);

  if (rc == Z_STREAM_END) {
    gunzip->complete = 1;
    return FREDDY_OK;
  }
  if (rc == Z_MEM_ERROR) {
    return fy_error_nomem(err);
  }
  if (rc != Z_OK && rc != Z_BUF_ERROR) {
    return fy_error_set(err, FREDDY_EPROTOCOL, "bad_gzip",
                        "the answer's gzip data is corrupt");
  }
  return FREDDY_OK;
}

int fy_gunzip_feed(struct fy_gunzip *gunzip, const char *data, size_t size,
                   size_t *used, fy_gunzip_sink *sink, void *context,
                   freddy_error *err) {
  z_stream *stream = &gunzip->stream;
  size_t made;
  int rc;

  stream->next_in = (z_const Bytef *)(uintptr_t)data;
  stream->avail_in = (uInt)size;
  do {
    if (gunzip->complete && stream->avail_in && !next_member(gunzip)) {
      return fy_error_nomem(err);
    }
    stream->next_out = gunzip->out;
    stream->avail_out = sizeof(gunzip->out);
    rc = inflate_step(gunzip, err);
    made = sizeof(gunzip->out) - stream->avail_out;
    if (rc == FREDDY_OK && made) {
      rc = sink(context, (const char *)gunzip->out, made);
    }
  } while (rc == FREDDY_OK && (stream->avail_in ||
                               (stream->avail_out == 0 && !gunzip->complete)));
  *used = size - stream->avail_in;
  return rc;
}

int fy_gunzip_complete(const struct fy_gunzip *gunzip) {
  return gunzip->complete;
}
