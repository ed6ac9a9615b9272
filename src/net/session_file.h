/* SPDX-License-Identifier: MIT */
/* A session that is kept in a file, and shared by every process that uses the
 * same file: one of them renews it, the others take what it got.
 *
 * The file has mode 0600 and is replaced as a whole: written to a temporary
 * file beside it, synced, renamed, its folder synced. A file that others could
 * read or that is a link, another user's, another server's or damaged, is
 * refused and left as it is. What is there after kill -9 at any moment is the
 * old session or the new one; a temporary file that such a process left is
 * removed at the next save.
 *
 * Who renews is decided by a lock of the operating system on `path`.lock, an
 * empty-looking file that stays. It is freed when its holder dies, however it
 * dies, and tried, never waited for (net/session_lock.h). Such a lock cannot
 * be taken from a process that lives and hangs (SIGSTOP, a debugger, a paused
 * container). So each claim has a number of its own: who has seen the same one
 * for `ttl` begins the next, and the late holder finds that out when it saves:
 * it then overwrites nothing that has come meanwhile. Only a process that is
 * stopped within the microseconds in which the number is read or the file is
 * renamed holds up the others for as long as it is stopped; they are told
 * FY_SESSION_WAIT, or that a save failed.
 *
 * Jobs run on the I/O thread, in the order in which they were posted (where
 * there is no such thread, at once on the caller's). Each has one result. */
#ifndef FY_NET_SESSION_FILE_H
#define FY_NET_SESSION_FILE_H

#include "base/clock.h"
#include "freddy.h"
#include "net/io_thread.h"
#include "rules/session.h"

/* What a store's claim lasts. */
#define FY_CLAIM_TTL (30 * FY_SECOND)

struct fy_session_file;

enum fy_session_result {
  FY_SESSION_FAILED, /* any: `error` says why */
  FY_SESSION_NONE,   /* load: there is no session */
  FY_SESSION_FOUND,  /* load: `session`, whatever its age */
  FY_SESSION_GO,     /* claim: it is ours until released. `session`, unless it
                        is empty, has a newer refresh token than ours, which
                        is used up: renew by that one */
  FY_SESSION_WAIT,   /* claim: another one has it; ask again after `wait` */
  FY_SESSION_ADOPT,  /* claim, save: `session` is newer than what we know of;
                        nothing is claimed, nothing was saved */
  FY_SESSION_ENDED,  /* claim, save: another process logged out meanwhile;
                        nothing is claimed, nothing was saved */
  FY_SESSION_DONE    /* save, clear */
};

/* Lives inside what asks; not to be posted again before it is done. */
struct fy_session_job {
  struct fy_io_job io; /* the first; private, like all up to `done` */
  struct fy_session_file *file;
  void (*work)(struct fy_session_job *job);
  fy_time ttl;
  int renewed;

  /* The job is over and may be freed. On the thread that ran it: does nothing
   * but post. */
  void (*done)(struct fy_session_job *job);
  struct fy_kept_session
      session; /* given or got: whoever posted it clears it */
  enum fy_session_result result;
  fy_time wait;
  freddy_error error; /* FREDDY_EAUTH with reason store_...; names the path,
                         holds no secret; or FREDDY_ENOMEM */
};

/* A file at `path` (copied; a relative one counts from the present folder)
 * for the sessions of `owner` (copied). Reference count 1. Touches no disk and
 * opens nothing, so that it may be made before a fork. One for each
 * credential: it remembers what that one has seen. NULL and `err`:
 * FREDDY_EMISUSE (a path or an owner that cannot be), FREDDY_ENOMEM.
 * Any thread. */
struct fy_session_file *fy_session_file_new(
    const char *path, const struct fy_session_owner *owner, freddy_error *err);
/* NULL is fine. Any thread. The last one gives the claim back, on the I/O
 * thread; a job that is under way has a reference of its own. */
struct fy_session_file *fy_session_file_ref(struct fy_session_file *file);
void fy_session_file_unref(struct fy_session_file *file);

/* The absolute path. Borrowed. */
const char *fy_session_file_path(const struct fy_session_file *file);

/* What follows posts a job: `job` is zeroed but for `session` where it is an
 * argument, and lives until `done` (not NULL) has been called. One thread at a
 * time (the engine's); never touches the disk, but where there is no I/O
 * thread. */

/* FOUND, NONE or FAILED. Takes no lock: the file is always whole. */
void fy_session_file_load(struct fy_session_file *file,
                          struct fy_session_job *job,
                          void (*done)(struct fy_session_job *job));

/* GO, WAIT, ADOPT, ENDED or FAILED. What the file holds is read within the
 * lock and compared with what was last seen in it or saved to it: what differs
 * and is alive is adopted. A GO that nobody wants any more must be
 * released. One may claim again while one holds it: ADOPT and ENDED then give
 * it back, WAIT says that it ran out and another one has it.
 *
 * ttl  FY_CLAIM_TTL: the claim of a process that hangs runs out then */
void fy_session_file_claim(struct fy_session_file *file,
                           struct fy_session_job *job, fy_time ttl,
                           void (*done)(struct fy_session_job *job));

/* Save job->session (whose references stay the caller's). DONE: it is on the
 * disk, and kill -9 cannot take it away. FAILED: the file is what it was, in
 * all likelihood; the claim, if any, still stands.
 *
 * renewed  1: what a renewal brought, which was claimed for. ADOPT or ENDED
 *          when the claim ran out or was broken, and the file has something
 *          else by now. 0: what a log-in or the user gave: replaces what there
 *          is, gives back our claim and breaks that of whoever renews it. */
void fy_session_file_save(struct fy_session_file *file,
                          struct fy_session_job *job, int renewed,
                          void (*done)(struct fy_session_job *job));

/* Logged out: DONE, the file has no tokens any more and every process that
 * claims it hears FY_SESSION_ENDED; no claim is left. Or FAILED. No file: none
 * is made. */
void fy_session_file_clear(struct fy_session_file *file,
                           struct fy_session_job *job,
                           void (*done)(struct fy_session_job *job));

/* Give the claim back, if it is ours: after the result of a claim, without
 * one of its own. */
void fy_session_file_release(struct fy_session_file *file);

#endif
