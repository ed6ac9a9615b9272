/* SPDX-License-Identifier: MIT */
/* The session file: what it holds, who may renew it, what is refused, and
 * what is left when the disk fails. */
#include "session_util.h"

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

/* What a power cut at any moment needs: the disk has the text before the file
 * has its name, and the name before the save is over. */
static void test_order(void) {
  struct fy_session_file *a = open_file(session_path);
  const char *written, *synced, *renamed;

  CHECK_INT(login(a, 1), FY_SESSION_DONE);
  CHECK_INT(run(a, CLAIM), FY_SESSION_GO);
  arm(1000, 0);
  CHECK_INT(save(a, 2), FY_SESSION_DONE);
  written = strchr(did, 'w');
  synced = written ? strchr(written, 's') : NULL;
  renamed = synced ? strchr(synced, 'r') : NULL;
  CHECK(renamed && strchr(renamed, 's') != NULL);
  CHECK_INT(strspn(did, "owsru"), strlen(did));
  arm(0, 0);
  fy_session_file_unref(a);
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
    return chown(session_path, geteuid() + 1, (gid_t)-1) == 0;
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
int main(void) {
  rig_open();
  test_life();
  test_empty_file();
  test_claims();
  test_dead_news();
  test_logout();
  test_login();
  test_hanging_holder();
  test_lock_removed();
  test_order();
  test_refusals();
  test_bad_lock();
  test_folders();
  test_paths();
  test_long_name();
  test_faults();
  rig_close();
  return unit_end();
}
