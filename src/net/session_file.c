/* SPDX-License-Identifier: MIT */
#include "net/session_file.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/random.h"
#include "net/session_disk.h"
#include "net/session_lock.h"

/* How long the others' microseconds are borne with: a claim comes again by
 * itself, a new token must be saved. */
static const fy_time CLAIM_PATIENCE = 5 * FY_MILLISECOND;
static const fy_time SAVE_PATIENCE = 5 * FY_SECOND;

/* When to ask again: for a claim, for a way in. */
static const fy_time CLAIM_AGAIN = 100 * FY_MILLISECOND;
static const fy_time ENTER_AGAIN = 10 * FY_MILLISECOND;

static const char LOCK_MARK[] = ".lock";

struct fy_session_file {
  struct fy_io_job io; /* the first; release, and the end */
  atomic_uint refs;
  atomic_int release_posted;

  /* The I/O thread's. */
  struct fy_session_lock lock;
  struct fy_kept_session seen; /* what we know to be, or to have been, in it */

  struct fy_session_owner owner;
  const char *lock_name;
  char *path;
};

static double wall_now(void) {
  struct timespec now;

  clock_gettime(CLOCK_REALTIME, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* `base` to two and a half times `base`. */
static fy_time spread(fy_time base) {
  uint16_t number = 32768;

  if (fy_random(&number, sizeof(number))) {
    number = 32768;
  }
  return base + base * 3 / 2 * number / 65536;
}

/* --- Its life ----------------------------------------------------------- */

static int is_path(const char *path) {
  const char *name = path ? strrchr(path, '/') : NULL;
  size_t size = path ? strlen(path) : 0;

  name = name ? name + 1 : path;
  for (size_t i = 0; i < size; i++) {
    if (fy_is_control(path[i])) {
      return 0;
    }
  }
  return size > 0 && size < FY_MAX_PATH && *name && strcmp(name, ".") != 0 &&
         strcmp(name, "..") != 0;
}

/* Absolute, and with the lock's mark behind a second copy of it: one piece of
 * memory for both. */
static int set_path(struct fy_session_file *file, const char *path,
                    freddy_error *err) {
  char here[FY_MAX_PATH] = "";
  size_t ahead, size = strlen(path);
  char *name;

  if (*path != '/') {
    if (!getcwd(here, sizeof(here) - 1)) {
      return fy_error_set(err, FREDDY_EMISUSE, NULL,
                          "the present folder has no path");
    }
    ahead = strlen(here);
    if (ahead == 0 || here[ahead - 1] != '/') {
      here[ahead] = '/';
    }
  }
  ahead = strlen(here);
  file->path = fy_malloc(2 * (ahead + size + 1) + sizeof(LOCK_MARK));
  if (!file->path) {
    return fy_error_nomem(err);
  }
  memcpy(file->path, here, ahead);
  memcpy(file->path + ahead, path, size + 1);
  name = file->path + ahead + size + 1;
  file->lock_name = name;
  path = strrchr(file->path, '/') + 1;
  size = strlen(path);
  memcpy(name, path, size);
  memcpy(name + size, LOCK_MARK, sizeof(LOCK_MARK));
  return FREDDY_OK;
}

static int set_owner(struct fy_session_file *file,
                     const struct fy_session_owner *owner, freddy_error *err) {
  const struct fy_kept_session none = {NULL, NULL, 0, 0};
  char *text;
  size_t size;
  int rc = fy_session_write(&none, owner, &text, &size);

  if (rc == FREDDY_EMISUSE) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL,
                        "no session can be kept of such a server");
  }
  if (rc == FREDDY_OK) {
    fy_session_text_free(text, size);
    file->owner.server = fy_strndup(owner->server, strlen(owner->server));
    file->owner.kind = fy_strndup(owner->kind, strlen(owner->kind));
  }
  return file->owner.server && file->owner.kind ? FREDDY_OK
                                                : fy_error_nomem(err);
}

static void free_file(struct fy_session_file *file) {
  fy_session_lock_drop(&file->lock);
  fy_session_clear(&file->seen);
  fy_free((char *)(uintptr_t)file->owner.server);
  fy_free((char *)(uintptr_t)file->owner.kind);
  fy_free(file->path);
  fy_free(file);
}

struct fy_session_file *fy_session_file_new(
    const char *path, const struct fy_session_owner *owner,
    freddy_error *err) {
  struct fy_session_file *file;

  if (!is_path(path)) {
    fy_error_set(err, FREDDY_EMISUSE, NULL,
                 "the path of a session file must name a file");
    return NULL;
  }
  file = fy_calloc(1, sizeof(*file));
  if (!file) {
    fy_error_nomem(err);
    return NULL;
  }
  atomic_init(&file->refs, 1);
  fy_session_lock_init(&file->lock);
  if (set_path(file, path, err) || set_owner(file, owner, err)) {
    free_file(file);
    return NULL;
  }
  return file;
}

struct fy_session_file *fy_session_file_ref(struct fy_session_file *file) {
  if (file) {
    atomic_fetch_add_explicit(&file->refs, 1, memory_order_relaxed);
  }
  return file;
}

static void run_free(struct fy_io_job *job) {
  free_file((struct fy_session_file *)job);
}

/* Closing a file on a disk far away may take its time. */
void fy_session_file_unref(struct fy_session_file *file) {
  if (!file ||
      atomic_fetch_sub_explicit(&file->refs, 1, memory_order_acq_rel) > 1) {
    return;
  }
  file->io.run = run_free;
  if (!fy_private_fd_is_ours(&file->lock.file) || fy_io_post(&file->io)) {
    free_file(file);
  }
}

const char *fy_session_file_path(const struct fy_session_file *file) {
  return file->path;
}

/* --- Jobs --------------------------------------------------------------- */

static void run_job(struct fy_io_job *io) {
  struct fy_session_job *job = (struct fy_session_job *)io;
  struct fy_session_file *file = job->file;

  job->work(job);
  job->done(job);
  fy_session_file_unref(file);
}

static void post(struct fy_session_file *file, struct fy_session_job *job,
                 void (*work)(struct fy_session_job *job),
                 void (*done)(struct fy_session_job *job)) {
  job->file = fy_session_file_ref(file);
  job->work = work;
  job->done = done;
  job->io.run = run_job;
  job->result = FY_SESSION_FAILED;
  job->wait = 0;
  memset(&job->error, 0, sizeof(job->error));
  if (fy_io_post(&job->io)) {
    run_job(&job->io);
  }
}

static void end(struct fy_session_job *job, enum fy_session_result result) {
  job->result = result;
}

static void ask_again(struct fy_session_job *job, fy_time after) {
  job->wait = spread(after);
  job->result = FY_SESSION_WAIT;
}

/* The file has something that we have not seen yet. */
static void adopt(struct fy_session_job *job,
                  const struct fy_kept_session *there) {
  fy_session_set(&job->session, there);
  fy_session_set(&job->file->seen, there);
  fy_session_lock_release(&job->file->lock);
  end(job, FY_SESSION_ADOPT);
}

static void tell_ended(struct fy_session_job *job) {
  fy_session_clear(&job->session);
  fy_session_clear(&job->file->seen);
  fy_session_lock_release(&job->file->lock);
  end(job, FY_SESSION_ENDED);
}

/* --- Loading ------------------------------------------------------------ */

static void work_load(struct fy_session_job *job) {
  struct fy_session_file *file = job->file;
  struct fy_session_disk disk;
  int is_there;

  fy_session_clear(&job->session);
  if (fy_session_disk_open(&disk, file->path, &file->owner, &job->error) ||
      fy_session_disk_read(&disk, &job->session, &is_there, &job->error)) {
    end(job, FY_SESSION_FAILED);
  } else {
    fy_session_set(&file->seen, &job->session);
    end(job, fy_session_is_empty(&job->session) ? FY_SESSION_NONE
                                                : FY_SESSION_FOUND);
  }
  fy_session_disk_close(&disk);
}

void fy_session_file_load(struct fy_session_file *file,
                          struct fy_session_job *job,
                          void (*done)(struct fy_session_job *job)) {
  post(file, job, work_load, done);
}

/* --- Claiming ----------------------------------------------------------- */

static void take_claim(struct fy_session_job *job,
                       const struct fy_kept_session *there, int is_news) {
  struct fy_session_file *file = job->file;
  enum fy_lock_fault fault =
      fy_session_lock_claim(&file->lock, fy_clock_now(), job->ttl);

  if (fault == FY_LOCK_BUSY) {
    ask_again(job, CLAIM_AGAIN);
    return;
  }
  if (fault) {
    fy_session_fail_lock(&job->error, file->path, fault, errno);
    return;
  }
  if (is_news && there->refresh) {
    fy_session_set(&job->session, there);
  }
  fy_session_set(&file->seen, there);
  end(job, FY_SESSION_GO);
}

static void claim_inside(struct fy_session_job *job,
                         const struct fy_session_disk *disk) {
  struct fy_session_file *file = job->file;
  struct fy_kept_session there;
  int is_there, is_news;

  if (fy_session_disk_read(disk, &there, &is_there, &job->error)) {
    return;
  }
  is_news = !fy_session_is_same(&there, &file->seen);
  if (is_news && is_there && fy_session_is_empty(&there)) {
    tell_ended(job);
  } else if (is_news && fy_session_is_alive(&there, wall_now())) {
    adopt(job, &there);
  } else {
    take_claim(job, &there, is_news);
  }
  fy_session_clear(&there);
}

static void work_claim(struct fy_session_job *job) {
  struct fy_session_file *file = job->file;
  struct fy_session_disk disk;
  enum fy_lock_fault fault;

  fy_session_clear(&job->session);
  if (fy_session_disk_open(&disk, file->path, &file->owner, &job->error) ==
      FREDDY_OK) {
    fault = fy_session_lock_enter(&file->lock, disk.folder.fd, file->lock_name,
                                  CLAIM_PATIENCE);
    if (fault == FY_LOCK_BUSY) {
      ask_again(job, ENTER_AGAIN);
    } else if (fault) {
      fy_session_fail_lock(&job->error, file->path, fault, errno);
    } else {
      claim_inside(job, &disk);
      fy_session_lock_leave(&file->lock);
    }
  }
  fy_session_disk_close(&disk);
}

void fy_session_file_claim(struct fy_session_file *file,
                           struct fy_session_job *job, fy_time ttl,
                           void (*done)(struct fy_session_job *job)) {
  job->ttl = ttl;
  post(file, job, work_claim, done);
}

/* --- Saving ------------------------------------------------------------- */

/* Inside: 1 when the file is to be replaced. */
static int may_replace(struct fy_session_job *job,
                       const struct fy_session_disk *disk) {
  struct fy_session_file *file = job->file;
  struct fy_kept_session there;
  int is_there, replace = 1;

  if (fy_session_disk_read(disk, &there, &is_there, &job->error)) {
    return 0;
  }
  if (!job->renewed) {
    if (fy_session_lock_break(&file->lock)) {
      fy_session_fail_lock(&job->error, file->path, FY_LOCK_ERRNO, errno);
      replace = 0;
    }
  } else if (!file->lock.claim && !fy_session_is_same(&there, &file->seen)) {
    /* We were late, and another one was not. */
    if (fy_session_is_empty(&there)) {
      tell_ended(job);
    } else {
      adopt(job, &there);
    }
    replace = 0;
  }
  fy_session_clear(&there);
  return replace;
}

static int enter_to_save(struct fy_session_job *job,
                         const struct fy_session_disk *disk) {
  struct fy_session_file *file = job->file;
  enum fy_lock_fault fault = fy_session_lock_enter(
      &file->lock, disk->folder.fd, file->lock_name, SAVE_PATIENCE);

  return fault ? fy_session_fail_lock(&job->error, file->path, fault, errno)
               : FREDDY_OK;
}

static void replace(struct fy_session_job *job, struct fy_session_disk *disk) {
  struct fy_session_file *file = job->file;

  if (fy_session_disk_rename(disk, &job->error) == FREDDY_OK) {
    fy_session_set(&file->seen, &job->session);
    end(job, FY_SESSION_DONE);
  }
}

/* Behind the lock: no more than the renaming is done within. */
static void make_lasting(struct fy_session_job *job,
                         struct fy_session_disk *disk) {
  if (fy_session_disk_sync(disk, &job->error)) {
    end(job, FY_SESSION_FAILED);
  }
  fy_session_disk_sweep(disk);
}

static void work_save(struct fy_session_job *job) {
  struct fy_session_file *file = job->file;
  struct fy_session_disk disk;

  if (fy_session_disk_open(&disk, file->path, &file->owner, &job->error) ==
          FREDDY_OK &&
      fy_session_disk_write(&disk, &job->session, &job->error) == FREDDY_OK &&
      enter_to_save(job, &disk) == FREDDY_OK) {
    if (may_replace(job, &disk)) {
      replace(job, &disk);
    }
    fy_session_lock_leave(&file->lock);
    if (job->result == FY_SESSION_DONE) {
      make_lasting(job, &disk);
    }
  }
  fy_session_disk_close(&disk);
}

void fy_session_file_save(struct fy_session_file *file,
                          struct fy_session_job *job, int renewed,
                          void (*done)(struct fy_session_job *job)) {
  job->renewed = renewed;
  post(file, job, work_save, done);
}

/* --- Clearing ----------------------------------------------------------- */

/* The text that says so needs room on the disk, and the lock somebody who is
 * not stopped: the tokens go without either. */
static void clear_tokens(struct fy_session_job *job,
                         struct fy_session_disk *disk) {
  struct fy_kept_session there;
  int is_there;

  if (fy_session_disk_read(disk, &there, &is_there, &job->error)) {
    return;
  }
  fy_session_clear(&there);
  if (!is_there ||
      (fy_session_disk_has_temp(disk) &&
       fy_session_disk_rename(disk, NULL) == FREDDY_OK) ||
      fy_session_disk_remove(disk, &job->error) == FREDDY_OK) {
    end(job, FY_SESSION_DONE);
  }
}

static void clear_locked(struct fy_session_job *job,
                         struct fy_session_disk *disk) {
  struct fy_session_file *file = job->file;
  enum fy_lock_fault fault = fy_session_lock_enter(
      &file->lock, disk->folder.fd, file->lock_name, SAVE_PATIENCE);
  int number = errno;

  if (fault == FY_LOCK_GOOD && fy_session_lock_break(&file->lock)) {
    fault = FY_LOCK_ERRNO;
    number = errno;
  }
  clear_tokens(job, disk);
  if (job->result == FY_SESSION_DONE && fault) {
    /* Whoever renews it would save it again. */
    fy_session_fail_lock(&job->error, file->path, fault, number);
    end(job, FY_SESSION_FAILED);
  }
  fy_session_lock_leave(&file->lock);
}

static void work_clear(struct fy_session_job *job) {
  struct fy_session_file *file = job->file;
  struct fy_session_disk disk;
  int is_there;

  fy_session_clear(&job->session);
  if (fy_session_disk_open(&disk, file->path, &file->owner, &job->error)) {
    end(job, errno == ENOENT ? FY_SESSION_DONE : FY_SESSION_FAILED);
  } else if (fy_session_disk_read(&disk, &job->session, &is_there,
                                  &job->error) == FREDDY_OK) {
    fy_session_clear(&job->session);
    if (is_there) {
      (void)fy_session_disk_write(&disk, &job->session, NULL);
    }
    clear_locked(job, &disk);
    if (job->result == FY_SESSION_DONE && is_there) {
      make_lasting(job, &disk);
    }
  }
  if (job->result == FY_SESSION_DONE) {
    fy_session_clear(&file->seen);
  }
  fy_session_disk_close(&disk);
}

void fy_session_file_clear(struct fy_session_file *file,
                           struct fy_session_job *job,
                           void (*done)(struct fy_session_job *job)) {
  post(file, job, work_clear, done);
}

/* --- Releasing ---------------------------------------------------------- */

static void run_release(struct fy_io_job *io) {
  struct fy_session_file *file = (struct fy_session_file *)io;

  atomic_store(&file->release_posted, 0);
  fy_session_lock_drop(&file->lock);
  fy_session_file_unref(file);
}

void fy_session_file_release(struct fy_session_file *file) {
  if (atomic_exchange(&file->release_posted, 1)) {
    return;
  }
  fy_session_file_ref(file);
  file->io.run = run_release;
  if (fy_io_post(&file->io)) {
    run_release(&file->io);
  }
}
