/* SPDX-License-Identifier: MIT */
#include "net/gunzip.h"

#include <string.h>
#include <zlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"

enum { GZIP_ONLY = 16 + MAX_WBITS };

/* From here on, what grows like this is measured before it is unpacked: JSON
 * seldom grows by more than 20. */
#define SUSPECT_SIZE (4 * FY_MIB)
enum { SUSPECT_GROWTH = 64, SLICE = 1024 };

struct fy_gunzip {
  z_stream stream;
  int complete;
  uint64_t in, made; /* what `stream` has read and written */
  uint64_t limit;    /* of `made`; 0: nothing is measured */
  int measuring;
  z_stream scout;     /* a copy of `stream` that runs ahead of it */
  uint64_t ahead;     /* what the scout has made, and thrown away */
  struct fy_buf held; /* what the scout has read, and `stream` not yet */
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
  gunzip->in = gunzip->made = gunzip->limit = gunzip->ahead = 0;
  gunzip->measuring = 0;
  fy_buf_init(&gunzip->held, FY_MAX_HELD + SLICE);
  if (inflateInit2(&gunzip->stream, GZIP_ONLY) != Z_OK) {
    fy_free(gunzip);
    return NULL;
  }
  return gunzip;
}

static void stop_measuring(struct fy_gunzip *gunzip) {
  if (gunzip->measuring) {
    inflateEnd(&gunzip->scout);
    gunzip->measuring = 0;
  }
  fy_buf_clear(&gunzip->held);
}

void fy_gunzip_free(struct fy_gunzip *gunzip) {
  if (!gunzip) {
    return;
  }
  stop_measuring(gunzip);
  inflateEnd(&gunzip->stream);
  fy_free(gunzip);
}

void fy_gunzip_limit(struct fy_gunzip *gunzip, uint64_t limit) {
  gunzip->limit = limit;
}

/* A gzip file may hold several members (RFC 1952 2.2): what follows a whole
 * one begins the next. */
static int next_member(struct fy_gunzip *gunzip) {
  gunzip->complete = 0;
  return inflateReset2(&gunzip->stream, GZIP_ONLY) == Z_OK;
}

/* FREDDY_OK, FREDDY_ENOMEM or FREDDY_EPROTOCOL for what inflate says. */
static int judge(int rc, freddy_error *err) {
  if (rc == Z_MEM_ERROR) {
    return fy_error_nomem(err);
  }
  if (rc != Z_OK && rc != Z_BUF_ERROR && rc != Z_STREAM_END) {
    return fy_error_set(err, FREDDY_EPROTOCOL, "bad_gzip",
                        "the answer's gzip data is corrupt");
  }
  return FREDDY_OK;
}

static void give_input(z_stream *stream, const char *data, size_t size) {
  stream->next_in = (z_const Bytef *)(uintptr_t)data;
  stream->avail_in = (uInt)size;
}

/* One step into `out`; how much it made. */
static size_t step(struct fy_gunzip *gunzip, z_stream *stream, int *rc) {
  stream->next_out = gunzip->out;
  stream->avail_out = sizeof(gunzip->out);
  *rc = inflate(stream, Z_NO_FLUSH);
  return sizeof(gunzip->out) - stream->avail_out;
}

static int unpack(struct fy_gunzip *gunzip, const char *data, size_t size,
                  size_t *used, fy_gunzip_sink *sink, void *context,
                  freddy_error *err) {
  z_stream *stream = &gunzip->stream;
  size_t made;
  int rc, zrc;

  give_input(stream, data, size);
  do {
    if (gunzip->complete && stream->avail_in && !next_member(gunzip)) {
      return fy_error_nomem(err);
    }
    made = step(gunzip, stream, &zrc);
    gunzip->complete = gunzip->complete || zrc == Z_STREAM_END;
    gunzip->made += made;
    rc = judge(zrc, err);
    if (rc == FREDDY_OK && made) {
      rc = sink(context, (const char *)gunzip->out, made);
    }
  } while (rc == FREDDY_OK && (stream->avail_in ||
                               (stream->avail_out == 0 && !gunzip->complete)));
  *used = size - stream->avail_in;
  gunzip->in += *used;
  return rc;
}

/* --- Measuring before unpacking ----------------------------------------- */

static int is_suspect(const struct fy_gunzip *gunzip) {
  return gunzip->limit && gunzip->made >= SUSPECT_SIZE &&
         gunzip->made / SUSPECT_GROWTH > gunzip->in && !gunzip->complete;
}

static int start_measuring(struct fy_gunzip *gunzip, freddy_error *err) {
  if (inflateCopy(&gunzip->scout, &gunzip->stream) != Z_OK) {
    return fy_error_nomem(err);
  }
  gunzip->measuring = 1;
  gunzip->ahead = 0;
  return FREDDY_OK;
}

/* Let the scout read it. Sets *ends when that was the member's end. */
static int measure(struct fy_gunzip *gunzip, const char *data, size_t size,
                   int *ends, freddy_error *err) {
  z_stream *scout = &gunzip->scout;
  int rc, zrc;

  give_input(scout, data, size);
  do {
    gunzip->ahead += step(gunzip, scout, &zrc);
    rc = judge(zrc, err);
    *ends = zrc == Z_STREAM_END;
    if (rc == FREDDY_OK && gunzip->made + gunzip->ahead > gunzip->limit) {
      rc = FREDDY_ETOO_LARGE;
    }
  } while (rc == FREDDY_OK && !*ends &&
           (scout->avail_in || scout->avail_out == 0));
  return rc;
}

static int measure_first(struct fy_gunzip *gunzip, const char *data,
                         size_t size, fy_gunzip_sink *sink, void *context,
                         freddy_error *err) {
  size_t used;
  int ends = 0;
  int rc = gunzip->measuring ? FREDDY_OK : start_measuring(gunzip, err);

  if (rc == FREDDY_OK && fy_buf_add(&gunzip->held, data, size)) {
    rc = fy_error_nomem(err);
  }
  if (rc == FREDDY_OK) {
    rc = measure(gunzip, data, size, &ends, err);
  }
  if (rc == FREDDY_OK && (ends || gunzip->held.size >= FY_MAX_HELD)) {
    rc = unpack(gunzip, gunzip->held.data, gunzip->held.size, &used, sink,
                context, err);
    stop_measuring(gunzip);
  }
  return rc;
}

/* In slices, so that none becomes much before it is looked at. */
static int feed_limited(struct fy_gunzip *gunzip, const char *data,
                        size_t size, size_t *used, fy_gunzip_sink *sink,
                        void *context, freddy_error *err) {
  int rc = FREDDY_OK;

  *used = 0;
  while (rc == FREDDY_OK && *used < size) {
    size_t slice = size - *used < SLICE ? size - *used : SLICE;
    size_t taken = slice;

    if (gunzip->measuring || is_suspect(gunzip)) {
      rc = measure_first(gunzip, data + *used, slice, sink, context, err);
    } else {
      rc = unpack(gunzip, data + *used, slice, &taken, sink, context, err);
    }
    *used += taken;
  }
  return rc;
}

int fy_gunzip_feed(struct fy_gunzip *gunzip, const char *data, size_t size,
                   size_t *used, fy_gunzip_sink *sink, void *context,
                   freddy_error *err) {
  return gunzip->limit
             ? feed_limited(gunzip, data, size, used, sink, context, err)
             : unpack(gunzip, data, size, used, sink, context, err);
}

int fy_gunzip_complete(const struct fy_gunzip *gunzip) {
  return gunzip->complete;
}
