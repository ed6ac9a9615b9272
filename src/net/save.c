/* SPDX-License-Identifier: MIT */
#include "net/save.h"

#include <pthread.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"
#include "net/call.h"
#include "net/engine.h"
#include "net/io_thread.h"
#include "net/save_file.h"

enum { PIECE_ROOM = 64 * 1024 };

/* What waits to be written. */
struct piece {
  struct piece *next;
  size_t size;
  size_t room;
  char data[];
};

enum wish { GO_ON, FINISH, DROP };

struct fy_save {
  struct fy_io_job job;
  struct freddy_call *call;

  /* the I/O thread's */
  struct fy_save_file file;
  int opened;
  int over; /* it has its name, or failed */

  pthread_mutex_t lock; /* what follows */
  struct piece *first, *last;
  size_t unwritten;
  int paused; /* the transfer waits for room */
  int posted; /* the job waits, or runs */
  enum wish wish;
  int has_outcome;
  freddy_error error;
};

static void free_pieces(struct piece *piece) {
  while (piece) {
    struct piece *next = piece->next;

    fy_free(piece);
    piece = next;
  }
}

/* Neither thread has any business with it any more. */
static void destroy(struct fy_save *save) {
  free_pieces(save->first);
  if (save->opened) {
    fy_save_file_close(&save->file);
  }
  pthread_mutex_destroy(&save->lock);
  fy_call_unref(save->call);
  fy_free(save);
}

/* --- On the I/O thread -------------------------------------------------- */

static void tell(struct fy_save *save, const freddy_error *err) {
  save->over = 1;
  pthread_mutex_lock(&save->lock);
  save->has_outcome = 1;
  save->error = *err;
  pthread_mutex_unlock(&save->lock);
  fy_engine_post(save->call->engine, &save->call->post, FY_CALL_SAVED);
}

static void count_written(struct fy_save *save, size_t size) {
  int resume;

  pthread_mutex_lock(&save->lock);
  save->unwritten -= size;
  resume = save->paused && save->unwritten <= save->call->ask.buffer / 2;
  if (resume) {
    save->paused = 0;
  }
  pthread_mutex_unlock(&save->lock);
  if (resume) {
    fy_engine_post(save->call->engine, &save->call->post, FY_CALL_RESUME);
  }
}

static int open_file(struct fy_save *save, freddy_error *err) {
  int rc = FREDDY_OK;

  if (!save->opened) {
    rc = fy_save_file_open(&save->file, save->call->ask.save_to, err);
    save->opened = rc == FREDDY_OK;
  }
  return rc;
}

static int write_pieces(struct fy_save *save, struct piece *pieces,
                        freddy_error *err) {
  int rc = FREDDY_OK;

  for (struct piece *piece = pieces; rc == FREDDY_OK && piece;
       piece = piece->next) {
    rc = fy_save_file_write(&save->file, piece->data, piece->size, err);
    if (rc == FREDDY_OK) {
      count_written(save, piece->size);
    }
  }
  return rc;
}

/* Who cancels before the file has its name gets no file; then it is too late
 * to cancel. */
static int give_name(struct fy_save *save, freddy_error *err) {
  int rc = fy_save_file_sync(&save->file, err);

  if (rc == FREDDY_OK && !fy_call_commit(save->call)) {
    rc = fy_error_set(err, FREDDY_ECANCELLED, NULL, "cancelled");
  }
  return rc == FREDDY_OK ? fy_save_file_name(&save->file, err) : rc;
}

static void work(struct fy_save *save, struct piece *pieces, enum wish wish) {
  freddy_error err = {.code = FREDDY_OK};
  int rc;

  if (!save->over) {
    rc = open_file(save, &err);
    if (rc == FREDDY_OK) {
      rc = write_pieces(save, pieces, &err);
    }
    if (rc == FREDDY_OK && wish == FINISH) {
      rc = give_name(save, &err);
    }
    if (rc != FREDDY_OK || wish == FINISH) {
      tell(save, &err);
    }
  }
  free_pieces(pieces);
}

static enum wish take(struct fy_save *save, struct piece **pieces) {
  enum wish wish;

  pthread_mutex_lock(&save->lock);
  wish = save->wish;
  *pieces = save->first;
  save->first = save->last = NULL;
  pthread_mutex_unlock(&save->lock);
  return wish;
}

/* 1 when more has come meanwhile. */
static int is_wanted(struct fy_save *save, enum wish done) {
  int wanted;

  pthread_mutex_lock(&save->lock);
  wanted = save->first || save->wish != done;
  save->posted = wanted;
  pthread_mutex_unlock(&save->lock);
  return wanted;
}

/* What others want of the I/O thread comes between two turns of this. */
static void run(struct fy_io_job *job) {
  struct fy_save *save = (struct fy_save *)job; /* its first member */
  struct piece *pieces;
  enum wish wish;

  do {
    wish = take(save, &pieces);
    if (wish == DROP) {
      free_pieces(pieces);
      destroy(save);
      return;
    }
    work(save, pieces, wish);
  } while (is_wanted(save, wish) && fy_io_post(&save->job));
}

/* --- On the engine's ---------------------------------------------------- */

/* FREDDY_OK, or FREDDY_ENOMEM: there is no thread. */
static int post(struct fy_save *save) {
  int rc = FREDDY_OK;

  if (fy_io_post(&save->job)) {
    rc = FREDDY_ENOMEM;
    pthread_mutex_lock(&save->lock);
    save->posted = 0;
    pthread_mutex_unlock(&save->lock);
  }
  return rc;
}

struct fy_save *fy_save_new(struct freddy_call *call) {
  struct fy_save *save = fy_calloc(1, sizeof(*save));

  if (!save) {
    return NULL;
  }
  pthread_mutex_init(&save->lock, NULL);
  save->job.run = run;
  save->call = fy_call_ref(call);
  save->posted = 1;
  if (post(save)) {
    destroy(save);
    return NULL;
  }
  return save;
}

int fy_save_is_full(struct fy_save *save) {
  int full;

  pthread_mutex_lock(&save->lock);
  full = !save->has_outcome && save->unwritten >= save->call->ask.buffer;
  save->paused = full;
  pthread_mutex_unlock(&save->lock);
  return full;
}

static struct piece *piece_new(size_t size) {
  size_t room = size > PIECE_ROOM ? size : PIECE_ROOM;
  struct piece *piece = fy_malloc(sizeof(*piece) + room);

  if (piece) {
    piece->next = NULL;
    piece->size = 0;
    piece->room = room;
  }
  return piece;
}

/* The caller holds the lock. */
static int append(struct fy_save *save, const char *data, size_t size) {
  struct piece *piece = save->last;

  if (!piece || piece->room - piece->size < size) {
    piece = piece_new(size);
    if (!piece) {
      return FREDDY_ENOMEM;
    }
    if (save->last) {
      save->last->next = piece;
    } else {
      save->first = piece;
    }
    save->last = piece;
  }
  memcpy(piece->data + piece->size, data, size);
  piece->size += size;
  save->unwritten += size;
  return FREDDY_OK;
}

int fy_save_put(struct fy_save *save, const char *data, size_t size,
                freddy_error *err) {
  int must_post = 0;
  int rc;

  if (size == 0) {
    return FREDDY_OK;
  }
  pthread_mutex_lock(&save->lock);
  if (save->has_outcome) {
    *err = save->error;
    rc = (int)err->code;
  } else {
    rc = append(save, data, size);
    must_post = rc == FREDDY_OK && !save->posted;
    save->posted |= must_post;
  }
  pthread_mutex_unlock(&save->lock);
  return must_post ? post(save) : rc;
}

/* 1 when it has to be posted. */
static int set_wish(struct fy_save *save, enum wish wish) {
  int must_post;

  pthread_mutex_lock(&save->lock);
  save->wish = wish;
  must_post = !save->posted;
  save->posted = 1;
  pthread_mutex_unlock(&save->lock);
  return must_post;
}

void fy_save_finish(struct fy_save *save) {
  freddy_error err = {.code = FREDDY_OK};

  if (set_wish(save, FINISH) && post(save)) {
    fy_error_nomem(&err);
    tell(save, &err);
  }
}

int fy_save_outcome(struct fy_save *save, freddy_error *err) {
  int has_outcome;

  pthread_mutex_lock(&save->lock);
  has_outcome = save->has_outcome;
  *err = save->error;
  pthread_mutex_unlock(&save->lock);
  return has_outcome;
}

/* Where there is no thread there never was one, and no file. */
void fy_save_drop(struct fy_save *save) {
  if (save && set_wish(save, DROP) && post(save)) {
    destroy(save);
  }
}
