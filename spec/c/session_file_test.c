/* SPDX-License-Identifier: MIT */
/* The session file: what it holds, who may renew it, what is refused, and
 * what is left when its user dies. Processes are this program, started anew
 * with the name of a part. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "net/engine.h"
#include "net/session_file.h"
#include "unit.h"

enum { PATIENCE = 60, PATH = 300 };

static const struct fy_session_owner owner = {"https://api.test", "session"};

/* --- The disk fails, or the process dies -------------------------------- */

/* At the step of this number: 0 none. */
static atomic_int fail_at, fail_how, steps; /* how: an errno; 0: kill -9 */

static int step(void) {
  int at = atomic_load(&fail_at);

  if (at == 0 || atomic_fetch_add(&steps, 1) + 1 != at) {
    return 0;
  }
  if (atomic_load(&fail_how) == 0) {
    raise(SIGKILL);
  }
  errno = atomic_load(&fail_how);
  return -1;
}

static void arm(int at, int how) {
  atomic_store(&steps, 0);
  atomic_store(&fail_how, how);
  atomic_store(&fail_at, at);
}

/* In the place of libc's. */
int openat(int folder, const char *path, int flags, ...) {
  va_list args;
  mode_t mode;

  va_start(args, flags);
  mode = va_arg(args, mode_t);
  va_end(args);
  return step() ? -1 : (int)syscall(SYS_openat, folder, path, flags, mode);
}

/* Half of it is written before it fails. */
ssize_t write(int fd, const void *data, size_t size) {
  if (step()) {
    syscall(SYS_write, fd, data, size / 2);
    return -1;
  }
  return (ssize_t)syscall(SYS_write, fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
  return step() ? -1 : (ssize_t)syscall(SYS_pwrite64, fd, data, size, at);
}

int fsync(int fd) {
  return step() ? -1 : (int)syscall(SYS_fsync, fd);
}

int renameat(int from, const char *old, int to, const char *new) {
  return step() ? -1 : (int)syscall(SYS_renameat2, from, old, to, new, 0);
}

int unlinkat(int folder, const char *path, int flags) {
  return step() ? -1 : (int)syscall(SYS_unlinkat, folder, path, flags);
}

/* --- Jobs, waited for --------------------------------------------------- */

struct waiter {
  struct fy_session_job job; /* the first */
  pthread_mutex_t lock;
  pthread_cond_t cond;
  int over;
};

static void done(struct fy_session_job *job) {
  struct waiter *waiter = (struct waiter *)job;

  pthread_mutex_lock(&waiter->lock);
  waiter->over = 1;
  pthread_cond_signal(&waiter->cond);
  pthread_mutex_unlock(&waiter->lock);
}

enum op { LOAD, CLAIM, SAVE, LOGIN, CLEAR };

/* What the last one brought; static. */
static struct fy_session got;
static freddy_error failure;
static fy_time asked_to_wait;

static enum fy_session_result run_ttl(struct fy_session_file *file, enum op op,
                                      const struct fy_session *session,
                                      fy_time ttl) {
  struct waiter waiter = {.lock = PTHREAD_MUTEX_INITIALIZER,
                          .cond = PTHREAD_COND_INITIALIZER};

  if (session) {
    fy_session_set(&waiter.job.session, session);
  }
  switch (op) {
  case LOAD:
    fy_session_file_load(file, &waiter.job, done);
    break;
  case CLAIM:
    fy_session_file_claim(file, &waiter.job, ttl, done);
    break;
  case SAVE:
  case LOGIN:
    fy_session_file_save(file, &waiter.job, op == SAVE, done);
    break;
  default:
    fy_session_file_clear(file, &waiter.job, done);
  }
  pthread_mutex_lock(&waiter.lock);
  while (!waiter.over) {
    pthread_cond_wait(&waiter.cond, &waiter.lock);
  }
  pthread_mutex_unlock(&waiter.lock);
  fy_session_set(&got, &waiter.job.session);
  fy_session_clear(&waiter.job.session);
  failure = waiter.job.error;
  asked_to_wait = waiter.job.wait;
  return waiter.job.result;
}

static enum fy_session_result run(struct fy_session_file *file, enum op op) {
  return run_ttl(file, op, NULL, FY_CLAIM_TTL);
}

/* A session of its own for each number; `left` seconds to live. */
static void make_session(struct fy_session *session, int number, int left) {
  char text[64];

  memset(session, 0, sizeof(*session));
  snprintf(text, sizeof(text), "secret-access-%d", number);
  session->access = fy_secret_new(NULL, text, strlen(text));
  snprintf(text, sizeof(text), "secret-refresh-%d", number);
  session->refresh = fy_secret_new(NULL, text, strlen(text));
  session->obtained_at = (double)time(NULL) - 1000;
  session->expires_at = (double)time(NULL) + left;
}

static enum fy_session_result put(struct fy_session_file *file, enum op op,
                                  int number, int left) {
  struct fy_session session;
  enum fy_session_result result;

  make_session(&session, number, left);
  result = run_ttl(file, op, &session, 0);
  fy_session_clear(&session);
  return result;
}

/* What a renewal brought. */
static enum fy_session_result save(struct fy_session_file *file, int number) {
  return put(file, SAVE, number, 1000);
}

static enum fy_session_result login(struct fy_session_file *file, int number) {
  return put(file, LOGIN, number, 1000);
}

/* The number of what was got; 0: nothing; -1: what is none. */
static int number_of(const struct fy_session *session) {
  struct fy_session like;
  const char *digits;
  int number, is_same;

  if (fy_session_is_empty(session)) {
    return 0;
  }
  digits = session->access ? strrchr(fy_secret_text(session->access), '-') : 0;
  number = digits ? (int)strtol(digits + 1, NULL, 10) : -1;
  make_session(&like, number, 0);
  is_same = fy_session_is_same(session, &like);
  fy_session_clear(&like);
  return is_same ? number : -1;
}

static struct fy_session_file *open_file(const char *path) {
  freddy_error err = {.code = FREDDY_OK};
  struct fy_session_file *file = fy_session_file_new(path, &owner, &err);

  if (!file) {
    printf("%s\n", err.message);
    exit(2);
  }
  return file;
}

/* --- The folder --------------------------------------------------------- */

static char home[100], session_path[PATH], lock_path[PATH + 10];

static void remove_all(void) {
  DIR *folder = opendir(home);
  struct dirent *entry;

  while ((entry = readdir(folder))) {
    if (entry->d_name[0] != '.') {
      unlinkat(dirfd(folder), entry->d_name, 0);
      unlinkat(dirfd(folder), entry->d_name, AT_REMOVEDIR);
    }
  }
  closedir(folder);
}

/* How many names there are. */
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

static void put_file(const char *path, const char *text, mode_t mode) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

  CHECK(fd >= 0);
  CHECK_INT(write(fd, text, strlen(text)), strlen(text));
  fchmod(fd, mode);
  close(fd);
}

/* What a small file holds; static; "" when there is none. */
static const char *read_file(const char *path) {
  static char text[4000];
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  ssize_t size = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

  if (fd >= 0) {
    close(fd);
  }
  text[size > 0 ? size : 0] = '\0';
  return text;
}

/* --- What it is for ----------------------------------------------------- */

static void test_life(void) {
  struct fy_session_file *a = open_file(session_path);
  struct fy_session_file *b = open_file(session_path);
  struct stat about;

  CHECK_TEXT(fy_session_file_path(a), session_path);
  CHECK_INT(run(a, LOAD), FY_SESSION_NONE);
  CHECK_INT(count_files(), 0);
  CHECK_INT(login(a, 1), FY_SESSION_DONE);
  CHECK_INT(stat(session_path, &about), 0);
  CHECK_INT(about.st_mode & 07777, 0600);
  CHECK_INT(stat(lock_path, &about), 0);
  CHECK_INT(about.st_mode & 07777, 0600);
  CHECK_INT(count_files(), 2);
  CHECK_INT(run(b, LOAD), FY_SESSION_FOUND);
  CHECK_INT(number_of(&got), 1);
  CHECK(got.expires_at - got.obtained_at == 2000);
  CHECK_INT(run(b, CLEAR), FY_SESSION_DONE);
  CHECK_INT(run(a, LOAD), FY_SESSION_NONE);
  CHECK(!strstr(read_file(session_path), "secret"));
  CHECK_INT(login(a, 2), FY_SESSION_DONE);
  CHECK_INT(run(b, LOAD), FY_SESSION_FOUND);
  CHECK_INT(number_of(&got), 2);
  fy_session_file_unref(a);
  fy_session_file_unref(b);
  remove_all();
}

static void test_empty_file(void) {
  struct fy_session_file *a = open_file(session_path);

  put_file(session_path, "", 0600); /* as mktemp makes it */
  CHECK_INT(run(a, LOAD), FY_SESSION_NONE);
  CHECK_INT(run(a, CLAIM), FY_SESSION_GO);
  CHECK_INT(login(a, 1), FY_SESSION_DONE);
  fy_session_file_unref(a);
  a = open_file(session_path);
  CHECK_INT(run(a, CLEAR), FY_SESSION_DONE);
  fy_session_file_unref(a);
  remove_all();
  a = open_file(session_path);
  CHECK_INT(run(a, CLEAR), FY_SESSION_DONE); /* none there */
  CHECK_INT(access(session_path, F_OK), -1);
  fy_session_file_unref(a);
  remove_all();
}

static void test_claims(void) {
  struct fy_session_file *a = open_file(session_path);
  struct fy_session_file *b = open_file(session_path);

  CHECK_INT(login(a, 1), FY_SESSION_DONE);
  CHECK_INT(run(b, LOAD), FY_SESSION_FOUND);
  CHECK_INT(run(a, CLAIM), FY_SESSION_GO);
  CHECK_INT(number_of(&got), 0);
  CHECK_INT(run(b, CLAIM), FY_SESSION_WAIT);
  CHECK(asked_to_wait >= FY_SECOND / 10 && asked_to_wait <= FY_SECOND / 4);
  CHECK_INT(run(a, CLAIM), FY_SESSION_GO); /* still */
  CHECK_INT(run(b, CLAIM), FY_SESSION_WAIT);
  CHECK_INT(save(a, 2), FY_SESSION_DONE);
  CHECK_INT(run(b, CLAIM), FY_SESSION_ADOPT); /* sooner than the release */
  CHECK_INT(number_of(&got), 2);
  CHECK_INT(run(b, CLAIM), FY_SESSION_WAIT);
  fy_session_file_release(a);
  fy_session_file_release(a);
  CHECK_INT(run(b, CLAIM), FY_SESSION_GO);
  CHECK_INT(run(a, CLAIM), FY_SESSION_WAIT);
  fy_session_file_unref(b); /* gives it back */
  CHECK_INT(run(a, CLAIM), FY_SESSION_GO);
  fy_session_file_unref(a);
  remove_all();
}

/* The file has another refresh token, but its access token is dead: that is
 * what is to be renewed by. */
static void test_dead_news(void) {
  struct fy_session_file *a = open_file(session_path);
  struct fy_session_file *b = open_file(session_path);

  CHECK_INT(login(a, 1), FY_SESSION_DONE);
  CHECK_INT(run(b, LOAD), FY_SESSION_FOUND);
  CHECK_INT(put(a, LOGIN, 2, -10), FY_SESSION_DONE);
  CHECK_INT(run(a, CLAIM), FY_SESSION_GO);
  CHECK_INT(number_of(&got), 0);
  CHECK_INT(run(b, CLAIM), FY_SESSION_WAIT);
  fy_session_file_release(a);
  CHECK_INT(run(b, CLAIM), FY_SESSION_GO);
  CHECK_INT(number_of(&got), 2);
  CHECK_INT(save(b, 3), FY_SESSION_DONE);
  fy_session_file_release(b);
  CHECK_INT(run(a, CLAIM), FY_SESSION_ADOPT);
  CHECK_INT(number_of(&got), 3);
  fy_session_file_unref(a);
  fy_session_file_unref(b);
  remove_all();
}

static void test_logout(void) {
  struct fy_session_file *a = open_file(session_path);
  struct fy_session_file *b = open_file(session_path);

  CHECK_INT(login(a, 1), FY_SESSION_DONE);
  CHECK_INT(run(b, LOAD), FY_SESSION_FOUND);
  CHECK_INT(run(a, CLEAR), FY_SESSION_DONE);
  CHECK_INT(run(b, CLAIM), FY_SESSION_ENDED);
  CHECK_INT(run(b, CLAIM), FY_SESSION_GO); /* told once, and nothing held */
  CHECK_INT(save(b, 2), FY_SESSION_DONE);
  CHECK_INT(run(a, CLEAR), FY_SESSION_DONE); /* within its renewal */
  CHECK_INT(save(b, 3), FY_SESSION_ENDED);
  CHECK_INT(run(a, LOAD), FY_SESSION_NONE);
  CHECK_INT(run(a, CLAIM), FY_SESSION_GO);
  fy_session_file_unref(a);
  fy_session_file_unref(b);
  remove_all();
}

/* A log-in is newer than a renewal that was begun before. */
static void test_login(void) {
  struct fy_session_file *a = open_file(session_path);
  struct fy_session_file *b = open_file(session_path);

  CHECK_INT(login(a, 1), FY_SESSION_DONE);
  CHECK_INT(run(b, LOAD), FY_SESSION_FOUND);
  CHECK_INT(run(b, CLAIM), FY_SESSION_GO);
  CHECK_INT(login(a, 2), FY_SESSION_DONE);
  CHECK_INT(run(a, CLAIM), FY_SESSION_GO); /* b's was broken */
  fy_session_file_release(a);
  CHECK_INT(save(b, 3), FY_SESSION_ADOPT);
  CHECK_INT(number_of(&got), 2);
  CHECK_INT(run(a, LOAD), FY_SESSION_FOUND);
  CHECK_INT(number_of(&got), 2);
  fy_session_file_unref(a);
  fy_session_file_unref(b);
  remove_all();
}

/* Claim until it is had: b has been seen to hang for `ttl`. */
static void take_over(struct fy_session_file *a) {
  time_t until = time(NULL) + PATIENCE;
  int waits = 0;

  while (run_ttl(a, CLAIM, NULL, 5 * FY_MILLISECOND) == FY_SESSION_WAIT &&
         time(NULL) < until) {
    waits++;
  }
  CHECK(waits > 0);
  CHECK_INT(run(a, CLAIM), FY_SESSION_GO);
}

static void test_hanging_holder(void) {
  struct fy_session_file *a = open_file(session_path);
  struct fy_session_file *b = open_file(session_path);

  CHECK_INT(login(a, 1), FY_SESSION_DONE);
  CHECK_INT(run(b, LOAD), FY_SESSION_FOUND);
  CHECK_INT(run(b, CLAIM), FY_SESSION_GO);
  take_over(a);
  CHECK_INT(run(b, CLAIM), FY_SESSION_WAIT); /* it has lost its own */
  /* The late one has something better than what is there: all take it. */
  CHECK_INT(save(b, 2), FY_SESSION_DONE);
  CHECK_INT(run(a, CLAIM), FY_SESSION_ADOPT);
  CHECK_INT(number_of(&got), 2);

  CHECK_INT(run(b, CLAIM), FY_SESSION_GO);
  take_over(a);
  CHECK_INT(save(a, 3), FY_SESSION_DONE);
  CHECK_INT(save(b, 4), FY_SESSION_ADOPT); /* too late */
  CHECK_INT(number_of(&got), 3);
  CHECK_INT(run(b, LOAD), FY_SESSION_FOUND);
  CHECK_INT(number_of(&got), 3);
  fy_session_file_unref(a);
  fy_session_file_unref(b);
  remove_all();
}

static void test_lock_removed(void) {
  struct fy_session_file *a = open_file(session_path);
  struct fy_session_file *b = open_file(session_path);

  CHECK_INT(login(a, 1), FY_SESSION_DONE);
  CHECK_INT(run(b, LOAD), FY_SESSION_FOUND);
  CHECK_INT(run(a, CLAIM), FY_SESSION_GO);
  CHECK_INT(unlink(lock_path), 0);
  CHECK_INT(run(b, CLAIM), FY_SESSION_GO);
  CHECK_INT(save(b, 2), FY_SESSION_DONE);
  CHECK_INT(save(a, 3), FY_SESSION_ADOPT);
  CHECK_INT(number_of(&got), 2);
  CHECK_INT(run(a, CLAIM), FY_SESSION_WAIT); /* b's, in the new one */
  put_file(lock_path, "no number at all", 0600);
  fy_session_file_release(b);
  CHECK_INT(run(a, CLAIM), FY_SESSION_GO);
  fy_session_file_unref(a);
  fy_session_file_unref(b);
  remove_all();
}

/* --- What is refused ---------------------------------------------------- */

#define OWNED(rest)                                        \
  "{\"freddy_session\":1,\"server\":\"https://api.test\"," \
  "\"kind\":\"session\"" rest "}"
#define WITH_TOKEN(more)                                               \
  OWNED(                                                               \
      ",\"access_token\":\"secret-access-9\",\"obtained_at\":1000000," \
      "\"expires_at\":9000000000" more)

static const struct {
  const char *name, *text, *reason;
  int mode; /* of the file; 0: something else, which is made by name */
} refused[] = {
    {"a link", WITH_TOKEN(""), "store_symlink", 0},
    {"a link to nothing", "", "store_symlink", 0},
    {"a folder", "", "store_not_a_file", 0},
    {"a FIFO", "", "store_not_a_file", 0},
    {"another user's", WITH_TOKEN(""), "store_owner", 0},
    {"too large", "", "store_corrupt", 0},
    {"the group may read it", WITH_TOKEN(""), "store_mode", 0640},
    {"others may write it", WITH_TOKEN(""), "store_mode", 0602},
    {"others may run it", WITH_TOKEN(""), "store_mode", 0601},
    {"a text", "secret notes, and nobody's session", "store_corrupt", 0600},
    {"half of it", "{\"freddy_session\":1,\"access_token\":\"secret-acc",
     "store_corrupt", 0600},
    {"a newer one", "{\"freddy_session\":2,\"token\":\"secret-9\"}",
     "store_version", 0600},
    {"another server's",
     "{\"freddy_session\":1,\"server\":\"https://api.test.\",\"kind\":"
     "\"session\",\"refresh_token\":\"secret-9\"}",
     "store_other_server", 0600},
    {"another kind",
     "{\"freddy_session\":1,\"server\":\"https://api.test\","
     "\"kind\":\"exchange\",\"refresh_token\":\"secret-9\"}",
     "store_other_kind", 0600},
};

enum { REFUSED = sizeof(refused) / sizeof(refused[0]) };

static void check_refused(enum op op, const char *reason) {
  struct fy_session_file *a = open_file(session_path);

  CHECK_INT(op == SAVE || op == LOGIN ? put(a, op, 1, 1000) : run(a, op),
            FY_SESSION_FAILED);
  CHECK_INT(failure.code, FREDDY_EAUTH);
  CHECK_TEXT(failure.reason, reason);
  CHECK(strstr(failure.message, session_path) != NULL);
  CHECK(!strstr(failure.message, "secret"));
  fy_session_file_unref(a);
}

/* 0 when this user cannot make such a thing. */
static int make_refused(int nth, const char *elsewhere) {
  const char *name = refused[nth].name;
  int fd;

  if (refused[nth].mode) {
    put_file(session_path, refused[nth].text, (mode_t)refused[nth].mode);
  } else if (strcmp(name, "a folder") == 0) {
    return mkdir(session_path, 0700) == 0;
  } else if (strcmp(name, "a FIFO") == 0) {
    return mkfifo(session_path, 0600) == 0;
  } else if (strcmp(name, "another user's") == 0) {
    put_file(session_path, refused[nth].text, 0600);
    return chown(session_path, 65534, 65534) == 0;
  } else if (strcmp(name, "too large") == 0) {
    put_file(session_path, "{", 0600);
    CHECK_INT(truncate(session_path, 1 << 20), 0);
  } else {
    if (refused[nth].text[0]) {
      put_file(elsewhere, refused[nth].text, 0600);
    }
    fd = symlink(elsewhere, session_path);
    return fd == 0;
  }
  return 1;
}

static void test_refusals(void) {
  static const enum op ops[] = {LOAD, CLAIM, SAVE, LOGIN, CLEAR};
  char elsewhere[PATH];

  snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", home);
  for (int i = 0; i < REFUSED; i++) {
    char before[200];
    struct stat old, now;

    UNIT_CASE("%s", refused[i].name);
    if (!make_refused(i, elsewhere)) {
      CHECK(geteuid() != 0);
      remove_all();
      continue;
    }
    snprintf(before, sizeof(before), "%.199s", read_file(session_path));
    CHECK_INT(lstat(session_path, &old), 0);
    for (size_t op = 0; op < sizeof(ops) / sizeof(ops[0]); op++) {
      check_refused(ops[op], refused[i].reason);
    }
    CHECK_INT(lstat(session_path, &now), 0);
    CHECK_INT(now.st_ino, old.st_ino);
    CHECK_INT(strncmp(read_file(session_path), before, strlen(before)), 0);
    remove_all();
  }
  UNIT_CASE("%s", "");
}

static void test_bad_lock(void) {
  struct fy_session_file *a = open_file(session_path);

  CHECK_INT(login(a, 1), FY_SESSION_DONE);
  fy_session_file_unref(a);
  unlink(lock_path);
  CHECK_INT(symlink(session_path, lock_path), 0);
  check_refused(CLAIM, "store_not_a_file");
  check_refused(LOGIN, "store_not_a_file");
  unlink(lock_path);
  put_file(lock_path, "", 0644);
  check_refused(CLAIM, "store_mode");
  check_refused(LOGIN, "store_mode");
  unlink(lock_path);
  CHECK_INT(mkdir(lock_path, 0700), 0);
  check_refused(CLAIM, "store_not_a_file");
  /* The tokens go all the same. */
  check_refused(CLEAR, "store_not_a_file");
  CHECK(!strstr(read_file(session_path), "secret"));
  remove_all();
}

/* How far its folder is to be had. */
static void test_folders(void) {
  char folder[PATH + 10], path[PATH + 40];
  struct fy_session_file *a;

  snprintf(folder, sizeof(folder), "%s/none", home);
  snprintf(path, sizeof(path), "%s/s", folder);
  a = open_file(path);
  CHECK_INT(run(a, LOAD), FY_SESSION_FAILED);
  CHECK_TEXT(failure.reason, "store_failed");
  CHECK(strstr(failure.message, "No such file") != NULL);
  CHECK_INT(login(a, 1), FY_SESSION_FAILED);
  CHECK_INT(run(a, CLEAR), FY_SESSION_DONE); /* there is nothing to clear */
  put_file(folder, "", 0600);
  CHECK_INT(run(a, CLAIM), FY_SESSION_FAILED);
  CHECK(strstr(failure.message, "Not a directory") != NULL);
  CHECK_INT(run(a, CLEAR), FY_SESSION_FAILED);
  unlink(folder);
  CHECK_INT(mkdir(folder, 0), 0);
  CHECK_INT(run(a, LOAD),
            geteuid() == 0 ? FY_SESSION_NONE : FY_SESSION_FAILED);
  CHECK_INT(rmdir(folder), 0);
  CHECK_INT(symlink(home, folder), 0); /* a link to a folder is fine */
  CHECK_INT(login(a, 1), FY_SESSION_DONE);
  fy_session_file_unref(a);
  remove_all();
}

static void test_paths(void) {
  static const char *const bad[] = {
      "", "/", "x/", ".", "..", "/tmp/..", "/tmp/.", "a\nb",
  };
  static const struct fy_session_owner strange = {"https://\xC3\xA4", "x"};
  freddy_error err = {.code = FREDDY_OK};
  struct fy_session_file *file;
  char here[PATH], long_path[5000];

  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    UNIT_CASE("path \"%s\"", bad[i]);
    memset(&err, 0, sizeof(err));
    CHECK(!fy_session_file_new(bad[i], &owner, &err));
    CHECK_INT(err.code, FREDDY_EMISUSE);
  }
  UNIT_CASE("%s", "");
  memset(long_path, 'a', sizeof(long_path));
  long_path[sizeof(long_path) - 1] = '\0';
  CHECK(!fy_session_file_new(long_path, &owner, NULL));
  CHECK(!fy_session_file_new("s", &strange, NULL));
  CHECK(getcwd(here, sizeof(here)) != NULL);
  CHECK_INT(chdir(home), 0);
  file = open_file("session.json");
  CHECK_INT(chdir("/"), 0);
  CHECK_INT(login(file, 1), FY_SESSION_DONE);
  CHECK_INT(access(session_path, F_OK), 0);
  fy_session_file_unref(file);
  file = open_file("s");
  CHECK_TEXT(fy_session_file_path(file), "/s");
  fy_session_file_unref(file);
  CHECK_INT(chdir(here), 0);
  remove_all();
}

/* A name that leaves no room for that of the temporary file. */
static void test_long_name(void) {
  struct fy_session_file *a;
  char path[PATH + 260];

  snprintf(path, sizeof(path), "%s/%0240d", home, 0);
  a = open_file(path);
  CHECK_INT(login(a, 1), FY_SESSION_FAILED);
  CHECK_TEXT(failure.reason, "store_failed");
  fy_session_file_unref(a);
  remove_all();
}

/* --- The disk fails ----------------------------------------------------- */

/* Fail the nth thing that is done on the disk: the error is told, the file is
 * the old one or (when only its folder could not be synced) the new one, and
 * nothing else is left. The last n: nothing fails. */
static int save_with_fault(enum op op, int nth) {
  struct fy_session_file *a = open_file(session_path);
  struct fy_session_file *b = open_file(session_path);
  enum fy_session_result result;
  int is_over;

  CHECK_INT(login(a, 1), FY_SESSION_DONE);
  if (op == SAVE) {
    CHECK_INT(run(a, CLAIM), FY_SESSION_GO);
  }
  arm(nth, ENOSPC);
  result = op == CLEAR ? run(a, CLEAR) : put(a, op, 2, 1000);
  is_over = atomic_load(&steps) < nth;
  arm(0, 0);
  CHECK(result == FY_SESSION_FAILED || result == FY_SESSION_DONE);
  CHECK(!is_over || result == FY_SESSION_DONE);
  if (result == FY_SESSION_FAILED) {
    CHECK_TEXT(failure.reason, "store_full");
  }
  if (op != CLEAR) {
    CHECK_INT(run(b, LOAD), FY_SESSION_FOUND);
    CHECK(number_of(&got) == 2 ||
          (number_of(&got) == 1 && result == FY_SESSION_FAILED));
    /* The old one is not taken for news by who has the new one. */
    CHECK_INT(run(a, CLAIM), FY_SESSION_GO);
    CHECK_INT(number_of(&got), 0);
    CHECK_INT(save(a, 3), FY_SESSION_DONE); /* and again: it goes well */
  } else if (result == FY_SESSION_DONE) {
    CHECK(!strstr(read_file(session_path), "secret"));
  } else {
    CHECK_INT(run(a, CLEAR), FY_SESSION_DONE);
  }
  CHECK(count_files() <= 2);
  fy_session_file_unref(a);
  fy_session_file_unref(b);
  remove_all();
  return is_over;
}

static void test_faults(void) {
  static const enum op ops[] = {SAVE, LOGIN, CLEAR};

  for (size_t op = 0; op < sizeof(ops) / sizeof(ops[0]); op++) {
    int nth = 1;

    do {
      UNIT_CASE("op %d, step %d fails", (int)ops[op], nth);
    } while (!save_with_fault(ops[op], nth++) && nth < 100);
    CHECK(nth > 8 && nth < 100);
  }
  UNIT_CASE("%s", "");
}

/* --- Processes ---------------------------------------------------------- */

static char program[PATH];

/* This program anew, with these arguments. */
static pid_t start(const char *part, const char *path, int number) {
  char text[20];
  pid_t pid;

  snprintf(text, sizeof(text), "%d", number);
  fflush(stdout);
  pid = fork();
  if (pid == 0) {
    execl(program, program, part, path, text, (char *)NULL);
    _exit(127);
  }
  return pid;
}

/* The exit code, or 1000 + the signal; 2000 when it hangs. */
static int end_of(pid_t pid) {
  time_t until = time(NULL) + PATIENCE;
  int status;

  while (waitpid(pid, &status, WNOHANG) == 0) {
    struct timespec pause = {0, 500000};

    if (time(NULL) > until) {
      kill(pid, SIGKILL);
      waitpid(pid, &status, 0);
      return 2000;
    }
    nanosleep(&pause, NULL);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* Dies at the nth thing that it does on the disk while it saves. */
static int part_die(const char *path, int nth) {
  struct fy_session_file *a = open_file(path);

  if (run(a, LOAD) != FY_SESSION_FOUND || run(a, CLAIM) != FY_SESSION_GO) {
    return 3;
  }
  arm(nth, 0);
  return save(a, 2) == FY_SESSION_DONE ? 0 : 4;
}

static void test_killed_while_saving(void) {
  int nth = 1, status = 0, olds = 0, news = 0, left = 0;

  do {
    struct fy_session_file *a = open_file(session_path);

    UNIT_CASE("killed at step %d", nth);
    CHECK_INT(login(a, 1), FY_SESSION_DONE);
    status = end_of(start("die", session_path, nth));
    CHECK(status == 0 || status == 1000 + SIGKILL);
    left += count_files() > 2;
    CHECK_INT(run(a, LOAD), FY_SESSION_FOUND);
    CHECK(number_of(&got) == 1 || number_of(&got) == 2);
    CHECK(status != 0 || number_of(&got) == 2);
    olds += number_of(&got) == 1;
    news += number_of(&got) == 2;
    CHECK_INT(run(a, CLAIM), FY_SESSION_GO); /* its lock died with it */
    CHECK_INT(save(a, 3), FY_SESSION_DONE);
    CHECK_INT(count_files(), 2); /* and what it had begun is gone */
    fy_session_file_unref(a);
    remove_all();
  } while (status != 0 && nth++ < 100);
  UNIT_CASE("%s", "");
  CHECK(nth < 100);
  CHECK(olds > 3 && news > 1 && left > 1); /* it died at each kind of place */
}

/* A server with a refresh token that can be used once. */
struct server {
  atomic_int current; /* number of the token that is good */
  atomic_int refused, at_once, most_at_once;
  atomic_int wanted; /* the token that every process wants to see */
};

static struct server *map_server(const char *path) {
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  void *memory;

  if (fd < 0 || ftruncate(fd, sizeof(struct server))) {
    exit(5);
  }
  memory = mmap(NULL, sizeof(struct server), PROT_READ | PROT_WRITE,
                MAP_SHARED, fd, 0);
  close(fd);
  if (memory == MAP_FAILED) {
    exit(5);
  }
  return memory;
}

static int refresh_at(struct server *server, int token) {
  int at_once = atomic_fetch_add(&server->at_once, 1) + 1;
  int most = atomic_load(&server->most_at_once);

  while (at_once > most && !atomic_compare_exchange_weak(&server->most_at_once,
                                                         &most, at_once)) {
  }
  if (!atomic_compare_exchange_strong(&server->current, &token, token + 1)) {
    atomic_fetch_add(&server->refused, 1);
  }
  atomic_fetch_sub(&server->at_once, 1);
  return token + 1;
}

/* Renew or adopt until we have the token that is wanted; `number` picks who
 * dies on the way, holding the claim, and is replaced. */
static int part_share(const char *path, int number) {
  struct fy_session_file *file = open_file(path);
  time_t until = time(NULL) + PATIENCE;
  char server_path[PATH + 10];
  struct server *server;
  int mine;

  snprintf(server_path, sizeof(server_path), "%s.server", path);
  server = map_server(server_path);
  if (run(file, LOAD) != FY_SESSION_FOUND) {
    return 3;
  }
  mine = number_of(&got);
  while (mine < atomic_load(&server->wanted) && time(NULL) < until) {
    switch (run(file, CLAIM)) {
    case FY_SESSION_GO:
      if (number == 1) {
        raise(SIGKILL);
      }
      mine = refresh_at(server, mine);
      if (save(file, mine) != FY_SESSION_DONE) {
        return 4;
      }
      if (number == 2) {
        raise(SIGKILL);
      }
      fy_session_file_release(file);
      break;
    case FY_SESSION_ADOPT:
      mine = number_of(&got);
      break;
    case FY_SESSION_WAIT: {
      struct timespec pause = {0, (long)(asked_to_wait / 50)};

      nanosleep(&pause, NULL);
      break;
    }
    default:
      return 6;
    }
  }
  fy_session_file_unref(file);
  return mine < atomic_load(&server->wanted) ? 7 : 0;
}

enum { PROCESSES = 50, ROUNDS = 3 };

/* Fifty processes whose token has run out, some of which die with the claim
 * in their hands: the server is asked once in each round, never twice at the
 * same time, and nobody is left out. */
static void test_fifty_processes(void) {
  struct fy_session_file *file = open_file(session_path);
  char server_path[PATH + 10];
  struct server *server;
  pid_t pids[PROCESSES];

  snprintf(server_path, sizeof(server_path), "%s.server", session_path);
  server = map_server(server_path);
  atomic_store(&server->current, 1);
  CHECK_INT(login(file, 1), FY_SESSION_DONE);
  for (int round = 0; round < ROUNDS; round++) {
    atomic_store(&server->wanted, 2 + round);
    for (int i = 0; i < PROCESSES; i++) {
      pids[i] = start("share", session_path, i % 10);
    }
    for (int i = 0; i < PROCESSES; i++) {
      int status = end_of(pids[i]);

      CHECK(status == 0 || (status == 1000 + SIGKILL && i % 10 <= 2));
    }
    CHECK_INT(atomic_load(&server->current), 2 + round);
  }
  CHECK_INT(atomic_load(&server->refused), 0);
  CHECK_INT(atomic_load(&server->most_at_once), 1);
  CHECK_INT(run(file, LOAD), FY_SESSION_FOUND);
  CHECK_INT(number_of(&got), 1 + ROUNDS);
  fy_session_file_unref(file);
  munmap(server, sizeof(*server));
  remove_all();
}

/* --- fork --------------------------------------------------------------- */

/* Holds the claim and has a child that has not exec'ed; says both on its
 * output, then waits to be killed. The child ends when the pipe does. */
static int part_parent(const char *path, int number) {
  struct fy_session_file *file = open_file(path);
  char byte;
  int gate[2];

  (void)number;
  if (fy_engine_prepare(NULL) || run(file, LOAD) != FY_SESSION_FOUND ||
      run(file, CLAIM) != FY_SESSION_GO || pipe(gate)) {
    return 3;
  }
  if (fork() == 0) {
    fy_session_file_unref(file); /* the parent's: it does not feel that */
    close(gate[1]);
    (void)!read(STDIN_FILENO, &byte, 1);
    _exit(0);
  }
  (void)!write(STDOUT_FILENO, "!", 1);
  close(gate[1]);
  for (;;) {
    pause();
  }
}

/* The child of a killed holder lives on: the lock does not. */
static void test_child_of_a_holder(void) {
  struct fy_session_file *file = open_file(session_path);
  int in[2], out[2];
  char byte;
  pid_t pid;

  CHECK_INT(login(file, 1), FY_SESSION_DONE);
  fy_session_file_unref(file);
  file = open_file(session_path);
  CHECK_INT(pipe(in), 0);
  CHECK_INT(pipe(out), 0);
  fflush(stdout);
  pid = fork();
  if (pid == 0) {
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    close(in[1]);
    close(out[0]);
    execl(program, program, "parent", session_path, "0", (char *)NULL);
    _exit(127);
  }
  close(in[0]);
  close(out[1]);
  CHECK_INT(run(file, LOAD), FY_SESSION_FOUND);
  CHECK_INT(read(out[0], &byte, 1), 1); /* claimed and forked */
  CHECK_INT(run(file, CLAIM), FY_SESSION_WAIT);
  kill(pid, SIGKILL);
  CHECK_INT(end_of(pid), 1000 + SIGKILL);
  CHECK_INT(run(file, CLAIM), FY_SESSION_GO);
  close(in[1]);
  CHECK_INT(read(out[0], &byte, 1), 0); /* the child has ended */
  close(out[0]);
  fy_session_file_unref(file);
  remove_all();
}

/* --- All of it ---------------------------------------------------------- */

static int run_part(const char *part, const char *path, int number) {
  int status = strcmp(part, "die") == 0     ? part_die(path, number)
               : strcmp(part, "share") == 0 ? part_share(path, number)
                                            : part_parent(path, number);

  fy_session_clear(&got);
  fy_io_shutdown();
  return status;
}

int main(int argc, char **argv) {
  ssize_t size = readlink("/proc/self/exe", program, sizeof(program) - 1);

  if (argc == 4) {
    return run_part(argv[1], argv[2], (int)strtol(argv[3], NULL, 10));
  }
  snprintf(home, sizeof(home), "/tmp/freddy-unit-XXXXXX");
  if (size < 0 || !mkdtemp(home)) {
    perror("mkdtemp");
    return 2;
  }
  snprintf(session_path, sizeof(session_path), "%s/session.json", home);
  snprintf(lock_path, sizeof(lock_path), "%s.lock", session_path);
  test_life();
  test_empty_file();
  test_claims();
  test_dead_news();
  test_logout();
  test_login();
  test_hanging_holder();
  test_lock_removed();
  test_refusals();
  test_bad_lock();
  test_folders();
  test_paths();
  test_long_name();
  test_faults();
  test_killed_while_saving();
  test_fifty_processes();
  test_child_of_a_holder();
  CHECK_INT(rmdir(home), 0);
  fy_session_clear(&got);
  fy_io_shutdown();
  return unit_end();
}
