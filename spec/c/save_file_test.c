/* SPDX-License-Identifier: MIT */
/* A file that comes to be at once or not at all: what stands in its folder
 * before, meanwhile and after, with a name meanwhile and without. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "folder.h"
#include "net/save_file.h"
#include "unit.h"

static int save(const char *path, const char *text) {
  struct fy_save_file file;
  freddy_error err = {.code = FREDDY_OK};
  int rc = fy_save_file_open(&file, path, &err);

  if (rc == FREDDY_OK) {
    rc = fy_save_file_write(&file, text, strlen(text), &err);
    if (rc == FREDDY_OK) {
      rc = fy_save_file_sync(&file, &err);
    }
    if (rc == FREDDY_OK) {
      rc = fy_save_file_name(&file, &err);
    }
    fy_save_file_close(&file);
  }
  CHECK_INT(rc, err.code);
  if (rc != FREDDY_OK) {
    CHECK_TEXT(err.reason, "save_failed");
    CHECK(strstr(err.message, path) != NULL);
  }
  return rc;
}

static mode_t mode_of(const char *path) {
  struct stat st;

  return lstat(path, &st) ? 0 : st.st_mode;
}

static void test_makes_and_replaces(const struct folder *folder) {
  char path[200];

  folder_path(folder, "a", path);
  umask(027);
  CHECK_INT(save(path, "first"), FREDDY_OK);
  CHECK_TEXT(folder_list(folder), "a ");
  CHECK_TEXT(folder_read(path), "first");
  CHECK_INT(mode_of(path), S_IFREG | 0640);
  chmod(path, 04604);
  CHECK_INT(save(path, "second, longer"), FREDDY_OK);
  CHECK_TEXT(folder_list(folder), "a ");
  CHECK_TEXT(folder_read(path), "second, longer");
  CHECK_INT(mode_of(path), S_IFREG | 0604);
  CHECK_INT(save(path, ""), FREDDY_OK);
  CHECK_TEXT(folder_read(path), "");
  unlink(path);
  umask(022);
}

static void test_nothing_until_named(const struct folder *folder) {
  struct fy_save_file file;
  freddy_error err = {.code = FREDDY_OK};
  char path[200];

  folder_path(folder, "a", path);
  CHECK_INT(fy_save_file_open(&file, path, &err), FREDDY_OK);
  CHECK_INT(fy_save_file_write(&file, "text", 4, &err), FREDDY_OK);
  if (nameless) {
    CHECK_TEXT(folder_list(folder), "");
  } else {
    CHECK(strncmp(folder_list(folder), ".freddy-", 8) == 0);
  }
  CHECK_INT(fcntl(file.fd, F_GETFD), FD_CLOEXEC);
  fy_save_file_close(&file);
  CHECK_TEXT(folder_list(folder), "");
  fy_save_file_close(&file); /* may be repeated */
}

/* Whoever may not read the old one may not read the new one either, at no
 * time. */
static void test_private_stays_private(const struct folder *folder) {
  struct fy_save_file file;
  freddy_error err = {.code = FREDDY_OK};
  struct stat st;
  char path[200];

  folder_path(folder, "a", path);
  CHECK_INT(save(path, "old"), FREDDY_OK);
  chmod(path, 0600);
  CHECK_INT(fy_save_file_open(&file, path, &err), FREDDY_OK);
  CHECK_INT(fstat(file.fd, &st), 0);
  CHECK(st.st_nlink == 0 || (st.st_mode & 0777) == 0600);
  fy_save_file_close(&file);
  CHECK_TEXT(folder_read(path), "old");
  unlink(path);
}

static void test_refuses(const struct folder *folder) {
  char path[200], other[200], target[200];

  folder_path(folder, "no/a", path);
  CHECK_INT(save(path, "x"), FREDDY_EBODY);
  folder_path(folder, "folder", path);
  mkdir(path, 0700);
  CHECK_INT(save(path, "x"), FREDDY_EBODY);
  folder_path(folder, "folder/", other);
  CHECK_INT(save(other, "x"), FREDDY_EBODY);
  rmdir(path);
  folder_path(folder, "target", target);
  CHECK_INT(save(target, "kept"), FREDDY_OK);
  folder_path(folder, "link", path);
  CHECK_INT(symlink(target, path), 0);
  CHECK_INT(save(path, "x"), FREDDY_EBODY);
  CHECK_TEXT(folder_read(target), "kept");
  CHECK(S_ISLNK(mode_of(path)));
  unlink(path);
  unlink(target);
  CHECK_INT(mkfifo(path, 0600), 0);
  CHECK_INT(save(path, "x"), FREDDY_EBODY);
  CHECK(S_ISFIFO(mode_of(path)));
  unlink(path);
  CHECK_INT(save("/dev/null", "x"), FREDDY_EBODY);
  CHECK(S_ISCHR(mode_of("/dev/null")));
  CHECK_TEXT(folder_list(folder), "");
}

/* What came into its place meanwhile is not replaced. */
static void test_changes_meanwhile(const struct folder *folder) {
  struct fy_save_file file;
  freddy_error err = {.code = FREDDY_OK};
  char path[200];

  folder_path(folder, "a", path);
  CHECK_INT(fy_save_file_open(&file, path, &err), FREDDY_OK);
  CHECK_INT(mkdir(path, 0700), 0);
  CHECK_INT(fy_save_file_sync(&file, &err), FREDDY_EBODY);
  err.code = FREDDY_OK;
  CHECK_INT(fy_save_file_name(&file, &err), FREDDY_EBODY);
  fy_save_file_close(&file);
  CHECK_TEXT(folder_list(folder), "a ");
  rmdir(path);
  CHECK_INT(fy_save_file_open(&file, path, &err), FREDDY_OK);
  err.code = FREDDY_OK;
  CHECK_INT(fy_save_file_write(&file, "mine", 4, &err), FREDDY_OK);
  CHECK_INT(save(path, "theirs"), FREDDY_OK);
  CHECK_INT(fy_save_file_sync(&file, &err), FREDDY_OK);
  CHECK_INT(fy_save_file_name(&file, &err), FREDDY_OK);
  fy_save_file_close(&file);
  CHECK_TEXT(folder_read(path), "mine");
  CHECK_TEXT(folder_list(folder), "a ");
  unlink(path);
}

/* As a full disk does: the write fails, after a part of it. */
static void test_no_room(const struct folder *folder) {
  struct rlimit was, small;
  char path[200];
  static char big[20000];

  memset(big, 'x', sizeof(big) - 1);
  folder_path(folder, "a", path);
  CHECK_INT(save(path, "old"), FREDDY_OK);
  getrlimit(RLIMIT_FSIZE, &was);
  small = was;
  small.rlim_cur = 10000;
  setrlimit(RLIMIT_FSIZE, &small);
  CHECK_INT(save(path, big), FREDDY_EBODY);
  setrlimit(RLIMIT_FSIZE, &was);
  CHECK_TEXT(folder_read(path), "old");
  CHECK_TEXT(folder_list(folder), "a ");
  unlink(path);
}

/* The last: what comes after the exit began makes no file. */
static void test_exit(const struct folder *folder) {
  struct fy_save_file file, named;
  freddy_error err = {.code = FREDDY_OK};
  char path[200], other[200];

  folder_path(folder, "a", path);
  folder_path(folder, "b", other);
  CHECK_INT(fy_save_file_open(&file, path, &err), FREDDY_OK);
  CHECK_INT(fy_save_file_open(&named, other, &err), FREDDY_OK);
  fy_save_file_exit();
  CHECK_TEXT(folder_list(folder), "");
  CHECK_INT(fy_save_file_sync(&file, &err), FREDDY_OK);
  CHECK_INT(fy_save_file_name(&file, &err), FREDDY_EBODY);
  CHECK_TEXT(folder_list(folder), "");
  fy_save_file_close(&file);
  fy_save_file_close(&named);
  CHECK(nameless || save(path, "x") == FREDDY_EBODY);
  CHECK_TEXT(folder_list(folder), "");
  fy_save_file_forget(); /* as in a child, for the tests that follow */
}

int main(void) {
  struct folder folder;

  signal(SIGXFSZ, SIG_IGN);
  folder_open(&folder);
  for (nameless = 0; nameless < 2; nameless++) {
    UNIT_CASE(nameless ? "nameless" : "named");
    test_makes_and_replaces(&folder);
    test_nothing_until_named(&folder);
    test_private_stays_private(&folder);
    test_refuses(&folder);
    test_changes_meanwhile(&folder);
    test_no_room(&folder);
    test_exit(&folder);
  }
  folder_close(&folder);
  return unit_end();
}
