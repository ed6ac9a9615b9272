/* SPDX-License-Identifier: MIT */
/* Memory runs out while a session file is used: each allocation fails in
 * turn, alone and with all that follow. Only the right result or FREDDY_ENOMEM
 * is accepted, and the file is always the old or the new one, and alone. */
#include <dirent.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/session_file.h"
#include "unit.h"

enum { MOST = 1000 };

static const struct fy_session_owner owner = {"https://api.test", "session"};
static char home[60], path[80];
static sem_t over;
static struct fy_kept_session old, new;

static void done(struct fy_session_job *job) {
  (void)job;
  sem_post(&over);
}

static void wait_over(void) {
  while (sem_wait(&over)) {
  }
}

/* `result`, or FAILED for lack of memory. */
static int judge(struct fy_session_job *job, enum fy_session_result result) {
  wait_over();
  if (job->result == FY_SESSION_FAILED) {
    CHECK_INT(job->error.code, FREDDY_ENOMEM);
    return (int)job->error.code;
  }
  CHECK_INT(job->result, result);
  return FREDDY_OK;
}

static int save(struct fy_session_file *file,
                const struct fy_kept_session *what, int renewed) {
  struct fy_session_job job;
  int rc;

  memset(&job, 0, sizeof(job));
  fy_session_set(&job.session, what);
  fy_session_file_save(file, &job, renewed, done);
  rc = judge(&job, FY_SESSION_DONE);
  fy_session_clear(&job.session);
  return rc;
}

static int claim(struct fy_session_file *file) {
  struct fy_session_job job;

  memset(&job, 0, sizeof(job));
  fy_session_file_claim(file, &job, FY_CLAIM_TTL, done);
  return judge(&job, FY_SESSION_GO);
}

static int load(struct fy_session_file *file, struct fy_kept_session *into) {
  struct fy_session_job job;
  int rc;

  memset(&job, 0, sizeof(job));
  fy_session_file_load(file, &job, done);
  rc = judge(&job, FY_SESSION_FOUND);
  fy_session_set(into, &job.session);
  fy_session_clear(&job.session);
  return rc;
}

static int clear(struct fy_session_file *file) {
  struct fy_session_job job;

  memset(&job, 0, sizeof(job));
  fy_session_file_clear(file, &job, done);
  return judge(&job, FY_SESSION_DONE);
}

static struct fy_session_file *open_file(void) {
  freddy_error err = {.code = FREDDY_OK};
  struct fy_session_file *file = fy_session_file_new(path, &owner, &err);

  CHECK_INT(err.code, file ? FREDDY_OK : FREDDY_ENOMEM);
  return file;
}

static int task_renew(void) {
  struct fy_session_file *file = open_file();
  struct fy_kept_session there = {NULL, NULL, 0, 0};
  int rc = file ? load(file, &there) : FREDDY_ENOMEM;

  if (rc == FREDDY_OK) {
    CHECK(fy_session_is_same(&there, &old));
    rc = claim(file);
  }
  if (rc == FREDDY_OK) {
    rc = save(file, &new, 1);
    fy_session_file_release(file);
  }
  fy_session_file_unref(file);
  fy_session_clear(&there);
  return rc;
}

static int task_clear(void) {
  struct fy_session_file *file = open_file();
  int rc = file ? clear(file) : FREDDY_ENOMEM;

  fy_session_file_unref(file);
  return rc;
}

static int count_files(void) {
  DIR *folder = opendir(home);
  struct dirent *entry;
  int count = 0;

  while ((entry = readdir(folder))) {
    count += entry->d_name[0] != '.';
  }
  closedir(folder);
  return count;
}

/* Before each run the file holds the old session; the memory is there. */
static void prepare(void) {
  struct fy_session_file *file = open_file();

  CHECK_INT(save(file, &old, 0), FREDDY_OK);
  fy_session_file_unref(file);
}

static void check_after(int rc, int is_clear) {
  struct fy_session_file *file = open_file();
  struct fy_kept_session there = {NULL, NULL, 0, 0};

  /* Where the text of a logout has no room, no file must do. */
  CHECK(count_files() == 2 || (is_clear && count_files() == 1));
  if (!is_clear) {
    CHECK_INT(load(file, &there), FREDDY_OK);
    CHECK(fy_session_is_same(&there, &new) ||
          (rc == FREDDY_ENOMEM && fy_session_is_same(&there, &old)));
    CHECK_INT(claim(file), FREDDY_OK); /* nobody has kept it */
  }
  fy_session_file_unref(file);
  fy_session_clear(&there);
}

static const struct {
  const char *name;
  int (*run)(void);
  long least; /* allocations that the task makes at the least */
} tasks[] = {{"renew", task_renew, 10}, {"clear", task_clear, 6}};

static void torture(size_t task, int all_after) {
  long successes = -1;
  int rc = FREDDY_ENOMEM;

  while (rc == FREDDY_ENOMEM && successes < MOST) {
    successes++;
    UNIT_CASE("%s after %ld", tasks[task].name, successes);
    prepare();
    fy_io_shutdown(); /* what is left of it has its memory, too */
    fy_mem_fail_after(successes, all_after);
    rc = tasks[task].run();
    CHECK(rc == FREDDY_OK || rc == FREDDY_ENOMEM);
    fy_mem_fail_after(-1, 0);
    check_after(rc, tasks[task].run == task_clear);
  }
  CHECK_INT(rc, FREDDY_OK);
  CHECK(successes >= tasks[task].least);
}

int main(void) {
  snprintf(home, sizeof(home), "/tmp/freddy-unit-XXXXXX");
  if (!mkdtemp(home) || sem_init(&over, 0, 0)) {
    perror(home);
    return 2;
  }
  snprintf(path, sizeof(path), "%s/s", home);
  old.access = fy_secret_new(NULL, "old", 3);
  old.refresh = fy_secret_new(NULL, "r", 1);
  old.obtained_at = 1000;
  old.expires_at = 2000;
  fy_session_set(&new, &old);
  fy_secret_unref(new.access);
  new.access = fy_secret_new(NULL, "new", 3);
  for (size_t i = 0; i < sizeof(tasks) / sizeof(tasks[0]); i++) {
    torture(i, 0);
    torture(i, 1);
  }
  fy_io_shutdown();
  fy_session_clear(&old);
  fy_session_clear(&new);
  unlink(path);
  snprintf(path, sizeof(path), "%s/s.lock", home);
  unlink(path);
  CHECK_INT(rmdir(home), 0);
  return unit_end();
}
