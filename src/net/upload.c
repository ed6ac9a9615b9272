/* SPDX-License-Identifier: MIT */
#include "net/upload.h"

#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"
#include "net/call.h"
#include "net/engine.h"
#include "net/read_file.h"

/* What a source answers: a piece, and nothing more. */
enum { ENDED = FY_UPLOAD_GIVEN + 1 };

/* --- Before it starts --------------------------------------------------- */

static void run_measure(struct fy_io_job *job) {
  struct freddy_call *call =
      (struct freddy_call *)((char *)job -
                             offsetof(struct freddy_call, measure));

  fy_body_measure(&call->ask.body, &call->unmeasured);
  fy_engine_post(call->engine, &call->post, FY_CALL_MEASURED);
  fy_call_unref(call);
}

int fy_upload_prepare(struct freddy_call *call) {
  if (call->ask.body.files == 0) {
    return 1;
  }
  fy_call_ref(call);
  call->measure.run = run_measure;
  if (fy_io_post(&call->measure)) {
    run_measure(&call->measure);
  }
  return 0;
}

int fy_upload_can_replay(const struct freddy_call *call) {
  return !call->reader_asked || !call->ask.body.sources;
}

/* --- Readers ------------------------------------------------------------ */

static int fail_reader(freddy_error *err, const char *how) {
  fy_error_set(err, FREDDY_EBODY, "reader_failed", "the body's reader %s",
               how);
  return FY_UPLOAD_FAILED;
}

static int end_reader(struct fy_upload *upload, int64_t size,
                      freddy_error *err) {
  if (size >= 0 && upload->taken != size) {
    fy_error_set(err, FREDDY_EBODY, "reader_failed",
                 "the body's reader ended after %" PRId64 " of its %" PRId64
                 " bytes",
                 upload->taken, size);
    return FY_UPLOAD_FAILED;
  }
  upload->ended = 1;
  if (upload->held) {
    upload->held = 0;
    return FY_UPLOAD_GIVEN;
  }
  return ENDED;
}

/* One byte more than there may be is asked for at the end, so that a reader
 * that has more shows it. */
static void ask(struct fy_upload *upload, int64_t size) {
  int64_t left = size < 0 ? INT64_MAX : size - upload->taken;
  size_t wanted = left < (int64_t)FY_MAX_READ ? (size_t)left : FY_MAX_READ;

  upload->call->reader_asked = 1;
  fy_call_ask(upload->call, upload->at, wanted ? wanted : 1);
}

static int next_of_reader(struct fy_upload *upload, int64_t size,
                          freddy_error *err) {
  struct fy_chunk *chunk;

  if (upload->ended) {
    return ENDED;
  }
  switch (fy_call_take_reply(upload->call, &chunk)) {
  case 0:
    ask(upload, size);
    return FY_UPLOAD_WAIT;
  case 1:
    break;
  default:
    return fail_reader(err, "failed");
  }
  if (!chunk) {
    return end_reader(upload, size, err);
  }
  upload->taken += (int64_t)chunk->size;
  if (upload->held || (size >= 0 && upload->taken > size)) {
    fy_free(chunk);
    return fail_reader(err, "ran past its size");
  }
  upload->chunk = chunk;
  upload->held = upload->taken == size;
  ask(upload, size);
  return upload->held ? FY_UPLOAD_WAIT : FY_UPLOAD_GIVEN;
}

/* --- Files -------------------------------------------------------------- */

static int next_of_file(struct fy_upload *upload,
                        const struct fy_source *source, freddy_error *err) {
  if (!upload->file) {
    upload->file = fy_read_file_open(source->data, source->size, upload->call);
    if (!upload->file) {
      fy_error_nomem(err);
      return FY_UPLOAD_FAILED;
    }
  }
  switch (fy_read_file_take(upload->file, &upload->chunk, err)) {
  case 0:
    return FY_UPLOAD_WAIT;
  case 1:
    return upload->chunk ? FY_UPLOAD_GIVEN : ENDED;
  default:
    return FY_UPLOAD_FAILED;
  }
}

/* --- All of them -------------------------------------------------------- */

static size_t give(struct fy_upload *upload, const char *data, size_t size,
                   char *into, size_t room) {
  if (size > room) {
    size = room;
  }
  memcpy(into, data, size);
  upload->given += (int64_t)size;
  return size;
}

static int give_bytes(struct fy_upload *upload, const struct fy_source *source,
                      char *into, size_t room, size_t *size) {
  *size = give(upload, source->data + upload->taken,
               (size_t)(source->size - upload->taken), into, room);
  upload->taken += (int64_t)*size;
  return *size ? FY_UPLOAD_GIVEN : ENDED;
}

static int give_chunk(struct fy_upload *upload, const struct fy_source *source,
                      char *into, size_t room, size_t *size,
                      freddy_error *err) {
  struct fy_chunk *chunk;
  int rc;

  if (!upload->chunk || upload->held) {
    rc = source->kind == FREDDY_FILE
             ? next_of_file(upload, source, err)
             : next_of_reader(upload, source->size, err);
    if (rc != FY_UPLOAD_GIVEN) {
      return rc;
    }
  }
  chunk = upload->chunk;
  *size = give(upload, chunk->data + upload->offset,
               chunk->size - upload->offset, into, room);
  upload->offset += *size;
  if (upload->offset == chunk->size) {
    fy_free(chunk);
    upload->chunk = NULL;
    upload->offset = 0;
  }
  return FY_UPLOAD_GIVEN;
}

static void next_source(struct fy_upload *upload) {
  fy_read_file_close(upload->file);
  upload->file = NULL;
  upload->at++;
  upload->taken = 0;
  upload->ended = 0;
}

int fy_upload_read(struct fy_upload *upload, char *into, size_t room,
                   size_t *size, freddy_error *err) {
  const struct fy_body *body = &upload->call->ask.body;

  *size = 0;
  while (*size < room && upload->at < body->count) {
    const struct fy_source *source = &body->sources[upload->at];
    size_t some = 0;
    int rc =
        source->kind == FREDDY_BYTES
            ? give_bytes(upload, source, into + *size, room - *size, &some)
            : give_chunk(upload, source, into + *size, room - *size, &some,
                         err);

    *size += some;
    if (rc == ENDED) {
      next_source(upload);
    } else if (rc == FY_UPLOAD_WAIT) {
      return *size ? FY_UPLOAD_GIVEN : rc;
    } else if (rc == FY_UPLOAD_FAILED) {
      return rc;
    }
  }
  return FY_UPLOAD_GIVEN;
}

void fy_upload_init(struct fy_upload *upload, struct freddy_call *call) {
  memset(upload, 0, sizeof(*upload));
  upload->call = call;
}

void fy_upload_clear(struct fy_upload *upload) {
  fy_read_file_close(upload->file);
  fy_free(upload->chunk);
  upload->file = NULL;
  upload->chunk = NULL;
}
