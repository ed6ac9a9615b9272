/* SPDX-License-Identifier: MIT */
/* Answers that are saved, on a disk that takes its time and on one that
 * fails: how much is in memory meanwhile, and what stands in the folder
 * whenever and however the call ends. */
#include <stdlib.h>
#include <sys/wait.h>
#include <zlib.h>

#include "disk.h"
#include "engine_util.h"
#include "folder.h"
#include "quiet.h"

enum { BIG = 12 * 1024 * 1024, BUFFER = 256 * 1024 };

/* --- The server --------------------------------------------------------- */

static unsigned char nth_byte(size_t n) {
  return (unsigned char)(n / 3000 + n % 3);
}

static struct {
  unsigned char plain[BIG];
  unsigned char packed[256 * 1024];
  size_t packed_size;
} big;

static void make_big(void) {
  z_stream stream = {.next_out = big.packed, .avail_out = sizeof(big.packed)};

  for (size_t i = 0; i < BIG; i++) {
    big.plain[i] = nth_byte(i);
  }
  stream.next_in = big.plain;
  stream.avail_in = BIG;
  deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
  CHECK_INT(deflate(&stream, Z_FINISH), Z_STREAM_END);
  big.packed_size = stream.total_out;
  deflateEnd(&stream);
}

static int send_all(struct loopback *server, int fd, const char *headers,
                    const unsigned char *data, size_t size) {
  char head[200];
  int n = snprintf(head, sizeof(head),
                   "HTTP/1.1 200 X\r\nContent-Length: %zu\r\n%s\r\n", size,
                   headers);

  if (loop_write(fd, head, (size_t)n)) {
    return 0;
  }
  for (size_t at = 0; at < size; at += 8192) {
    size_t piece = size - at < 8192 ? size - at : 8192;

    if (loop_write(fd, data + at, piece)) {
      return 0;
    }
    atomic_fetch_add(&server->written, (long)piece);
  }
  return 1;
}

/* More headers than are looked through for secrets on the engine's thread. */
static int send_long(int fd) {
  static const char start[] = "HTTP/1.1 200 X\r\nContent-Length: 5\r\n";
  char line[8192];
  int n = snprintf(line, sizeof(line), "X-Long: %8000d\r\n", 1);

  loop_write(fd, start, sizeof(start) - 1);
  for (int i = 0; i < 20; i++) {
    loop_write(fd, line, (size_t)n);
  }
  return loop_write(fd, "\r\nhello", 7) == 0;
}

static int serve(struct loopback *server, int fd,
                 const struct loop_request *req, int nth) {
  static const char half[] =
      "HTTP/1.1 200 X\r\nContent-Length: 10\r\n\r\nhalf";
  char byte;

  (void)nth;
  if (strcmp(req->path, "/big") == 0) {
    return send_all(server, fd, "", big.plain, BIG);
  }
  if (strcmp(req->path, "/packed") == 0) {
    return send_all(server, fd, "Content-Encoding: gzip\r\n", big.packed,
                    big.packed_size);
  }
  if (strcmp(req->path, "/half") == 0) {
    loop_write(fd, half, sizeof(half) - 1);
    return loop_byte(fd, &byte) == 0;
  }
  if (strcmp(req->path, "/error") == 0) {
    return loop_answer(fd, 500, "", "it broke") == 0;
  }
  if (strcmp(req->path, "/long") == 0) {
    return send_long(fd);
  }
  if (strcmp(req->path, "/empty") == 0) {
    return loop_write(fd, "HTTP/1.1 204 X\r\n\r\n", 18) == 0;
  }
  return loop_answer(fd, 200, "", "hello") == 0;
}

/* --- What every test needs ---------------------------------------------- */

struct place {
  struct rig rig;
  struct folder folder;
  char path[200];
};

static void put_old(const struct place *place) {
  FILE *file = fopen(place->path, "wb");

  fputs("old", file);
  fclose(file);
}

static freddy_call *start(struct place *place, const char *path,
                          double total) {
  freddy_request req = {.path = path,
                        .save_to = place->path,
                        .timeout = {.total = total, .stall = 0.2}};

  return rig_start(&place->rig, &req);
}

/* The rest of the work on a file that was let go of is done later. */
static int holds_old_only(const struct place *place) {
  return strcmp(folder_list(&place->folder), "a ") == 0 &&
         strcmp(folder_read(place->path), "old") == 0;
}

static void check_big(const struct place *place) {
  static unsigned char got[BIG + 1];
  FILE *file = fopen(place->path, "rb");

  CHECK(file != NULL);
  if (file) {
    CHECK_INT(fread(got, 1, sizeof(got), file), BIG);
    CHECK(memcmp(got, big.plain, BIG) == 0);
    fclose(file);
  }
  CHECK_TEXT(folder_list(&place->folder), "a ");
}

/* --- The tests ---------------------------------------------------------- */

static void test_outcome(struct place *place) {
  freddy_stats stats;
  freddy_call *call;
  size_t size = 1;

  put_old(place);
  call = start(place, "/hello", 0);
  rig_done(place->rig.inbox, call);
  CHECK_TEXT(rig_kind(call), "ok");
  CHECK_INT(freddy_call_status(call), 200);
  CHECK_TEXT(freddy_call_body(call, &size), "");
  CHECK_INT(size, 0);
  CHECK_TEXT(folder_read(place->path), "hello");
  freddy_call_stats(call, &stats);
  CHECK_INT(stats.saved, 5);
  freddy_call_free(call);

  call = start(place, "/error", 0);
  rig_done(place->rig.inbox, call);
  CHECK_TEXT(rig_kind(call), "ok"); /* an answer as any other */
  CHECK_INT(freddy_call_status(call), 500);
  CHECK_TEXT(freddy_call_body(call, NULL), "it broke");
  CHECK_TEXT(folder_read(place->path), "hello");
  freddy_call_stats(call, &stats);
  CHECK_INT(stats.saved, 0);
  freddy_call_free(call);

  call = start(place, "/empty", 0);
  rig_done(place->rig.inbox, call);
  CHECK_TEXT(rig_kind(call), "ok");
  CHECK_TEXT(folder_read(place->path), "");
  freddy_call_free(call);
  CHECK_TEXT(folder_list(&place->folder), "a ");
}

static void test_relative_path(struct place *place) {
  char before[200];
  freddy_request req = {.path = "/hello", .save_to = "a"};
  freddy_call *call;

  CHECK(getcwd(before, sizeof(before)) != NULL);
  CHECK_INT(chdir(place->folder.path), 0);
  set_disk(WRITE, NONE);
  call = rig_start(&place->rig, &req);
  CHECK_INT(chdir(before), 0); /* the call began elsewhere */
  set_disk(NONE, NONE);
  rig_done(place->rig.inbox, call);
  CHECK_TEXT(rig_kind(call), "ok");
  CHECK_TEXT(folder_read(place->path), "hello");
  freddy_call_free(call);
}

static void test_misuse(struct place *place) {
  static char longest[5000];
  const freddy_request wrong[] = {
      {.path = "/", .save_to = ""},
      {.path = "/", .save_to = "a", .stream = 1},
      {.path = "/", .save_to = "a", .method = "HEAD"},
      {.path = "/", .save_to = longest},
  };

  memset(longest, 'x', sizeof(longest) - 1);
  for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
    freddy_error err = {.code = FREDDY_OK};
    freddy_call *call = NULL;

    UNIT_CASE("misuse %zu", i);
    CHECK_INT(freddy_start(place->rig.client, place->rig.inbox, &wrong[i],
                           &call, &err),
              i == 3 ? FREDDY_EBODY : FREDDY_EMISUSE);
    CHECK(call == NULL);
  }
  UNIT_CASE("%s", "");
}

static long settle(struct loopback *server) {
  struct timespec pause = {0, 50000000};
  long before = -1;

  while (before != atomic_load(&server->written)) {
    before = atomic_load(&server->written);
    nanosleep(&pause, NULL);
  }
  return before;
}

/* The transfer stands still, for longer than a stall may be, and goes on. */
static void test_slow_disk(struct place *place) {
  struct timespec pause = {0, 300000000};
  freddy_call *call;

  put_old(place);
  atomic_store(&place->rig.server->written, 0);
  set_disk(WRITE, NONE);
  call = start(place, "/big", 0);
  EVENTUALLY(is_waiting());
  CHECK(settle(place->rig.server) < BIG - BIG / 4);
  nanosleep(&pause, NULL);
  CHECK(!freddy_inbox_ready(place->rig.inbox));
  CHECK_TEXT(folder_read(place->path), "old");
  set_disk(NONE, NONE);
  rig_done(place->rig.inbox, call);
  CHECK_TEXT(rig_kind(call), "ok");
  check_big(place);
  freddy_call_free(call);
}

static long resident_kib(void) {
  char line[200];
  FILE *file = fopen("/proc/self/status", "r");
  long kib = 0;

  while (file && fgets(line, sizeof(line), file)) {
    if (strncmp(line, "VmRSS:", 6) == 0) {
      kib = strtol(line + 6, NULL, 10);
    }
  }
  if (file) {
    fclose(file);
  }
  return kib;
}

/* What is packed small does not fill the memory while the disk is slow. */
static void test_slow_disk_and_gzip(struct place *place) {
  freddy_call *call;
  long before = resident_kib();

  set_disk(WRITE, NONE);
  call = start(place, "/packed", 0);
  EVENTUALLY(is_waiting());
  settle(place->rig.server);
  CHECK(resident_kib() - before < BIG / 2 / 1024);
  set_disk(NONE, NONE);
  rig_done(place->rig.inbox, call);
  CHECK_TEXT(rig_kind(call), "ok");
  check_big(place);
  freddy_call_free(call);
}

static void test_failing_disk(struct place *place) {
  static const char *const paths[] = {"/hello", "/big", "/packed"};

  put_old(place);
  for (enum step step = WRITE; step <= NAME; step++) {
    for (int i = 0; i < 3; i++) {
      freddy_call *call;

      UNIT_CASE("failing at step %d, %s", (int)step, paths[i]);
      set_disk(NONE, step);
      call = start(place, paths[i], 0);
      rig_done(place->rig.inbox, call);
      CHECK_TEXT(rig_kind(call), "body");
      CHECK_TEXT(rig_reason(call), "save_failed");
      CHECK_INT(freddy_call_error(call)->sent, 1);
      CHECK_INT(freddy_call_status(call), 200);
      freddy_call_free(call);
      EVENTUALLY(holds_old_only(place));
    }
  }
  UNIT_CASE("%s", "");
  set_disk(NONE, NONE);
}

static void cancel(struct place *place, freddy_call *call) {
  (void)place;
  freddy_call_cancel(call);
}

static void time_out(struct place *place, freddy_call *call) {
  (void)place;
  (void)call; /* by itself */
}

static void close_client(struct place *place, freddy_call *call) {
  (void)call;
  freddy_client_free(place->rig.client);
  place->rig.client = rig_client(place->rig.server->port, NULL);
}

static const struct {
  const char *kind;
  void (*end)(struct place *place, freddy_call *call);
} ends[] = {
    {"cancelled", cancel}, {"timeout", time_out}, {"closed", close_client}};

/* A call that stands in `step`; a loaded machine may let it run out of time
 * before, and then it gets more. */
static freddy_call *start_until(struct place *place, enum step step,
                                const char *path, double *total) {
  freddy_call *call;

  set_disk(step, NONE);
  for (;;) {
    call = start(place, path, *total);
    EVENTUALLY(is_waiting() || freddy_inbox_ready(place->rig.inbox));
    if (is_waiting()) {
      return call;
    }
    rig_done(place->rig.inbox, call);
    CHECK_TEXT(rig_reason(call), "total");
    freddy_call_free(call);
    EVENTUALLY(holds_old_only(place));
    *total *= 2;
  }
}

/* However it ends, in whichever step: the old file, and nothing else. Once it
 * gets its name it is too late: it has the new one, and says so. */
static void end_at(struct place *place, enum step step, const char *path,
                   int i) {
  double total = ends[i].end == time_out ? 0.1 : 0;
  struct timespec pause = {0, 0};
  freddy_call *call;

  UNIT_CASE("%s at step %d, %s", ends[i].kind, (int)step, path);
  put_old(place);
  call = start_until(place, step, path, &total);
  ends[i].end(place, call);
  if (step == NAME) {
    pause.tv_sec = (time_t)total;
    pause.tv_nsec = (long)((total - (double)pause.tv_sec) * 1e9);
    nanosleep(&pause, NULL);
    CHECK(!freddy_inbox_ready(place->rig.inbox));
    set_disk(NONE, NONE);
  }
  rig_done(place->rig.inbox, call);
  CHECK_TEXT(rig_kind(call), step == NAME ? "ok" : ends[i].kind);
  set_disk(NONE, NONE);
  freddy_call_free(call);
  if (step == NAME) {
    CHECK_TEXT(folder_read(place->path), "hello");
    CHECK_TEXT(folder_list(&place->folder), "a ");
  } else {
    EVENTUALLY(holds_old_only(place));
  }
  UNIT_CASE("%s", "");
}

static void test_ends(struct place *place) {
  for (int i = 0; i < 3; i++) {
    end_at(place, WRITE, "/half", i);
    end_at(place, WRITE, "/big", i);
    end_at(place, WRITE, "/packed", i);
    end_at(place, SYNC, "/hello", i);
    end_at(place, NAME, "/hello", i);
  }
}

static int is_idle(void) {
  freddy_engine_stats stats;

  freddy_engine_stats_get(&stats);
  return stats.in_flight == 0;
}

/* The engine ended it while its file was not yet named: it stays without a
 * name, although the host is told only after the disk has gone on. */
static void test_end_is_told_later(struct place *place) {
  freddy_call *call;

  put_old(place);
  set_disk(SYNC, NONE);
  call = start(place, "/long", 0);
  EVENTUALLY(is_waiting());
  close_client(place, call);
  EVENTUALLY(is_idle());
  set_disk(NONE, NONE);
  rig_done(place->rig.inbox, call);
  CHECK_TEXT(rig_kind(call), "closed");
  EVENTUALLY(holds_old_only(place));
  freddy_call_free(call);
}

/* The host is not interested any more. */
static void test_freed(struct place *place) {
  for (enum step step = WRITE; step <= NAME; step++) {
    freddy_call *call;

    put_old(place);
    set_disk(step, NONE);
    call = start(place, "/hello", 0);
    EVENTUALLY(is_waiting());
    freddy_call_free(call);
    set_disk(NONE, NONE);
    EVENTUALLY(strcmp(folder_list(&place->folder), "a ") == 0);
  }
}

static void *let_go(void *unused) {
  struct timespec pause = {0, 30000000};

  (void)unused;
  nanosleep(&pause, NULL);
  set_disk(NONE, NONE);
  return NULL;
}

static void test_shutdown(struct place *place) {
  for (enum step step = WRITE; step <= NAME; step++) {
    freddy_call *call;
    pthread_t thread;

    UNIT_CASE("shutdown at step %d", (int)step);
    put_old(place);
    set_disk(step, NONE);
    call = start(place, "/hello", 0);
    EVENTUALLY(is_waiting());
    pthread_create(&thread, NULL, let_go, NULL);
    freddy_shutdown();
    pthread_join(thread, NULL);
    rig_done(place->rig.inbox, call);
    CHECK_TEXT(rig_kind(call), step == NAME ? "ok" : "closed");
    CHECK_TEXT(folder_read(place->path), step == NAME ? "hello" : "old");
    CHECK_TEXT(folder_list(&place->folder), "a ");
    freddy_call_free(call);
  }
  UNIT_CASE("%s", "");
}

static pid_t main_process;

/* Leaks are looked for in the parent only: a child forgets on purpose. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void) {
  return getpid() != main_process;
}

const char *__tsan_default_options(void);
const char *__tsan_default_options(void) {
  return "die_after_fork=0";
}

static void exit_with_an_engine(struct place *place, freddy_call *call) {
  struct place mine = *place;

  freddy_call_free(call);
  mine.rig.client = rig_client(place->rig.server->port, NULL);
  CHECK_INT(freddy_inbox_new(&mine.rig.inbox, NULL), FREDDY_OK);
  call = rig_start(&mine.rig, &(freddy_request){.path = "/hello"});
  rig_done(mine.rig.inbox, call);
  exit(unit_failed > 0);
}

/* A child that exits has no business with its parent's files. */
static void test_fork(struct place *place) {
  freddy_call *call;
  int status = -1;
  size_t size;
  pid_t pid;

  put_old(place);
  set_disk(WRITE, NONE);
  call = start(place, "/big", 0);
  EVENTUALLY(is_waiting());
  size = strlen(folder_list(&place->folder));
  quiet_wait();
  pid = fork();
  if (pid == 0) {
    exit_with_an_engine(place, call);
  }
  CHECK_INT(waitpid(pid, &status, 0), pid);
  CHECK_INT(status, 0);
  CHECK_INT(strlen(folder_list(&place->folder)), (long)size);
  set_disk(NONE, NONE);
  rig_done(place->rig.inbox, call);
  CHECK_TEXT(rig_kind(call), "ok");
  check_big(place);
  freddy_call_free(call);
}

/* What is left when a process exits in each step; in a child of its own. */
static void exit_at(struct place *place, enum step step) {
  struct place mine = *place;
  int status = -1;
  pid_t pid;

  UNIT_CASE("exit at step %d", (int)step);
  quiet_wait();
  pid = fork();
  if (pid == 0) {
    mine.rig.client = rig_client(place->rig.server->port, NULL);
    CHECK_INT(freddy_inbox_new(&mine.rig.inbox, NULL), FREDDY_OK);
    set_disk(step, NONE);
    start(&mine, "/big", 0);
    EVENTUALLY(is_waiting());
    exit(unit_failed > 0);
  }
  CHECK_INT(waitpid(pid, &status, 0), pid);
  CHECK_INT(status, 0);
  CHECK_TEXT(folder_list(&place->folder), "a ");
  CHECK_TEXT(folder_read(place->path), "old");
  UNIT_CASE("%s", "");
}

static void test_all(struct place *place) {
  test_outcome(place);
  test_relative_path(place);
  test_misuse(place);
  test_slow_disk(place);
  test_slow_disk_and_gzip(place);
  test_failing_disk(place);
  test_ends(place);
  test_end_is_told_later(place);
  test_freed(place);
  test_shutdown(place);
  test_fork(place);
  put_old(place);
  exit_at(place, WRITE);
  exit_at(place, SYNC);
}

int main(void) {
  static struct place place;

  main_process = getpid();
  make_big();
  rig_open(&place.rig, serve);
  folder_open(&place.folder);
  folder_path(&place.folder, "a", place.path);
  for (nameless = 0; nameless < 2; nameless++) {
    test_all(&place);
  }
  unlink(place.path);
  folder_close(&place.folder);
  rig_close(&place.rig);
  return unit_end();
}
