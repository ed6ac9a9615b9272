/* SPDX-License-Identifier: MIT */
/* A session file and several processes: they share it, die, are stopped and
 * fork. Processes are this program, started anew with the name of a part. */
#include "session_util.h"

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
  arm(nth, -SIGKILL);
  nth = save(a, 2) == FY_SESSION_DONE ? 0 : 4;
  fy_session_file_unref(a);
  return nth;
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

/* Stops at the nth thing that it does on the disk while it saves what a
 * renewal brought (from 100 on: what a log-in did; from 200 on: claims). */
static int part_stop(const char *path, int nth) {
  struct fy_session_file *a = open_file(path);
  enum op op = nth > 200 ? CLAIM : nth > 100 ? LOGIN : SAVE;
  enum fy_session_result result;

  if (run(a, LOAD) != FY_SESSION_FOUND ||
      (op == SAVE && run(a, CLAIM) != FY_SESSION_GO)) {
    return 30;
  }
  arm(nth % 100, -SIGSTOP);
  result = op == CLAIM ? run(a, CLAIM) : put(a, op, 2, 1000);
  fy_session_file_unref(a);
  return (int)result;
}

/* One that is stopped while it saves holds up nobody, and when it goes on it
 * overwrites nothing with something older, and misses nothing that was swept
 * away beneath it. */
static void check_stopped(int nth, enum fy_session_result result, int last) {
  struct fy_session_file *a = open_file(session_path);
  int status;
  pid_t pid;

  UNIT_CASE("stopped at step %d", nth);
  CHECK_INT(login(a, 1), FY_SESSION_DONE);
  pid = start("stop", session_path, nth);
  CHECK_INT(waitpid(pid, &status, WUNTRACED), pid);
  CHECK(WIFSTOPPED(status));
  if (nth < 100) {
    take_over(a);
  } else {
    CHECK_INT(run(a, CLAIM), FY_SESSION_GO);
  }
  CHECK_INT(save(a, 3), FY_SESSION_DONE);
  CHECK_INT(kill(pid, SIGCONT), 0);
  CHECK_INT(end_of(pid), result);
  CHECK_INT(run(a, LOAD), FY_SESSION_FOUND);
  CHECK_INT(number_of(&got), last);
  CHECK_INT(count_files(), 2);
  fy_session_file_unref(a);
  remove_all();
  UNIT_CASE("%s", "");
}

/* Between its look at the file and its claim: nobody else decides now. */
static void test_stopped_within(void) {
  struct fy_session_file *a = open_file(session_path);
  int status;
  pid_t pid;

  CHECK_INT(login(a, 1), FY_SESSION_DONE);
  pid = start("stop", session_path, 203);
  CHECK_INT(waitpid(pid, &status, WUNTRACED), pid);
  CHECK(WIFSTOPPED(status));
  CHECK_INT(run(a, CLAIM), FY_SESSION_WAIT);
  CHECK(asked_to_wait > 0 && asked_to_wait < FY_SECOND / 20);
  CHECK_INT(run(a, LOAD), FY_SESSION_FOUND);
  CHECK_INT(kill(pid, SIGCONT), 0);
  CHECK_INT(end_of(pid), FY_SESSION_GO);
  CHECK_INT(run(a, CLAIM), FY_SESSION_GO);
  fy_session_file_unref(a);
  remove_all();
}

static void test_stopped_while_saving(void) {
  /* 1 the folder, 2 the temporary file, 3 written, 4 synced; 5 and 6 are
   * inside the lock */
  for (int nth = 1; nth <= 4; nth++) {
    check_stopped(nth, FY_SESSION_ADOPT, 3);
    check_stopped(100 + nth, FY_SESSION_DONE, 2);
  }
  check_stopped(7, FY_SESSION_DONE, 3); /* renamed */
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

/* Holds the claim and has a child that has not exec'ed, which says both on its
 * output once it has come out of the fork; then waits to be killed. The child
 * ends when the pipe does. */
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
    (void)!write(STDOUT_FILENO, "!", 1);
    (void)!read(STDIN_FILENO, &byte, 1);
    _exit(0);
  }
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

/* A child that no handler knows of has a copy of the lock's descriptor: what
 * is given back is given back all the same. */
static void test_secret_child(void) {
  struct fy_session_file *a = open_file(session_path);
  struct fy_session_file *b = open_file(session_path);
  int gate[2], status;
  char byte;
  long pid;

  CHECK_INT(pipe(gate), 0);
  CHECK_INT(run(a, CLAIM), FY_SESSION_GO);
  fflush(stdout);
  pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); /* fork, and no more */
  if (pid == 0) {
    syscall(SYS_close, gate[1]);
    syscall(SYS_read, gate[0], &byte, 1);
    syscall(SYS_exit_group, 0);
  }
  CHECK_INT(run(b, CLAIM), FY_SESSION_WAIT);
  fy_session_file_release(a);
  CHECK_INT(run(b, CLAIM), FY_SESSION_GO);
  fy_session_file_unref(a);
  fy_session_file_unref(b);
  close(gate[0]);
  close(gate[1]);
  CHECK_INT(waitpid((pid_t)pid, &status, 0), pid);
  remove_all();
}

/* --- All of it ---------------------------------------------------------- */

static int run_part(const char *part, const char *path, int number) {
  int status = strcmp(part, "die") == 0     ? part_die(path, number)
               : strcmp(part, "stop") == 0  ? part_stop(path, number)
               : strcmp(part, "share") == 0 ? part_share(path, number)
                                            : part_parent(path, number);

  fy_session_clear(&got);
  fy_io_shutdown();
  return status;
}

int main(int argc, char **argv) {
  if (readlink("/proc/self/exe", program, sizeof(program) - 1) < 0) {
    perror("/proc/self/exe");
    return 2;
  }
  if (argc == 4) {
    return run_part(argv[1], argv[2], (int)strtol(argv[3], NULL, 10));
  }
  rig_open();
  test_killed_while_saving();
  test_stopped_while_saving();
  test_stopped_within();
  test_fifty_processes();
  test_child_of_a_holder();
  test_secret_child();
  rig_close();
  return unit_end();
}
