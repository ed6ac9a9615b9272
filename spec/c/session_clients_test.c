/* SPDX-License-Identifier: MIT */
/* Many processes with one session file, against a server that rotates: they
 * come one after another, together, and are killed at any moment. Processes
 * are this program, started anew with the name of a part. FY_TEST_SCALE is how
 * many of them there are, in percent of the usual. */
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "engine_util.h"

enum { SCRIPTS = 200, PROCESSES = 50, KILLS = 200, BREAKS = 60, ALIVE = 8 };
enum { MOST_TOKENS = 20000 };

/* What a process ends with. */
enum { WELL, SESSION_OVER = 10, FAILED = 11 };

static int scaled(int usual) {
  const char *text = getenv("FY_TEST_SCALE");
  int percent = text && *text ? (int)strtol(text, NULL, 10) : 100;
  int count = usual * percent / 100;

  return count > 2 ? count : 2;
}

/* --- The server --------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* what follows */
static unsigned char used[MOST_TOKENS]; /* refresh tokens, by number */
static int newest;                      /* of all tokens */
static int lenient; /* 1: one that was used is granted once more */
static int refused, refreshing, most_at_once, grants;
static int granted_to;  /* the process that had the last one */
static int kills_due;   /* so many that are granted something are killed */
static int killed;      /* the last one of them */
static int answered_ok; /* requests */
static unsigned noise = 12345;

static _Atomic(int) life_ms;
static atomic_int stop; /* processes that ask are told to end */

static int dice(int sides) {
  noise = noise * 1103515245U + 12345U;
  return (int)(noise >> 16) % sides;
}

static int number_in(const char *text, const char *before) {
  const char *at = strstr(text, before);

  return at ? (int)strtol(at + strlen(before), NULL, 10) : -1;
}

/* The new token's number, or 0; *victim is to be killed, after *us. */
static int grant(const struct loop_request *req, pid_t *victim, int *us) {
  int given = number_in(req->body, "\"refresh-");
  int pid = number_in(req->head, "User-Agent: pid-");
  int number = 0;

  pthread_mutex_lock(&lock);
  if (given >= 0 && given <= newest && (!used[given] || lenient) &&
      newest + 1 < MOST_TOKENS) {
    used[given] = 1;
    number = ++newest;
    granted_to = pid;
    grants++;
    if (kills_due > 0) {
      kills_due--;
      *us = dice(8000);
      *victim = killed = pid;
    }
  } else {
    refused++;
  }
  pthread_mutex_unlock(&lock);
  return number;
}

static void count_refreshing(int change) {
  pthread_mutex_lock(&lock);
  refreshing += change;
  most_at_once = refreshing > most_at_once ? refreshing : most_at_once;
  pthread_mutex_unlock(&lock);
}

static void nap_us(long us) {
  struct timespec nap = {us / 1000000, us % 1000000 * 1000};

  nanosleep(&nap, NULL);
}

static int renew(int fd, const struct loop_request *req) {
  char body[200];
  pid_t victim = 0;
  int us = 0, rc, number;

  count_refreshing(1);
  number = grant(req, &victim, &us);
  snprintf(body, sizeof(body),
           "{\"access_token\":\"access-%d\",\"refresh_token\":\"refresh-%d\","
           "\"expires_in\":%.3f}",
           number, number, atomic_load(&life_ms) / 1000.0);
  if (victim > 0 && us < 2000) { /* before it has an answer */
    kill(victim, SIGKILL);
    victim = 0;
  }
  count_refreshing(-1);
  rc = number ? loop_answer(fd, 200, "", body)
              : loop_answer(fd, 401, "", "{\"error\":{\"code\":\"X\"}}");
  if (victim > 0) {
    nap_us(us - 2000);
    kill(victim, SIGKILL);
  }
  return rc == 0;
}

static int serve(struct loopback *server, int fd,
                 const struct loop_request *req, int nth) {
  (void)server;
  (void)nth;
  if (strcmp(req->path, "/v1/auth/refresh") == 0) {
    return renew(fd, req);
  }
  pthread_mutex_lock(&lock);
  answered_ok++;
  pthread_mutex_unlock(&lock);
  return loop_answer(fd, 200, "", atomic_load(&stop) ? "stop" : "go on") == 0;
}

static struct loopback server;

/* --- Processes ---------------------------------------------------------- */

static char program[300], home[100], path[200];

static pid_t start(const char *part) {
  char port[20];
  pid_t pid;

  snprintf(port, sizeof(port), "%u", server.port);
  fflush(stdout);
  pid = fork();
  if (pid == 0) {
    execl(program, program, part, path, port, (char *)NULL);
    _exit(127);
  }
  return pid;
}

static int request(freddy_client *client, freddy_inbox *inbox) {
  freddy_request req = {.path = "/"};
  freddy_call *call = NULL;
  freddy_event event;
  const char *body;
  size_t size = 0;
  int code = -1;

  if (freddy_start(client, inbox, &req, &call, NULL)) {
    return FAILED;
  }
  while (!freddy_call_done(call)) {
    freddy_inbox_wait(inbox, 60);
    freddy_inbox_next(inbox, &event);
  }
  if (freddy_call_error(call)) {
    const freddy_error *err = freddy_call_error(call);

    code = strcmp(err->reason, "session_expired") == 0 ? SESSION_OVER : FAILED;
    if (code == FAILED) {
      printf("%s (%s): %s\n", freddy_error_name(err->code), err->reason,
             err->message);
    }
  } else {
    body = freddy_call_body(call, &size);
    code = size == 4 && memcmp(body, "stop", 4) == 0 ? WELL : -1;
  }
  freddy_call_free(call);
  return code;
}

/* One request, or one after the other until the server says stop. It ends as
 * programs do, without a shutdown. */
static int run_part(const char *part, unsigned port) {
  freddy_options opts = {.store = path, .user_agent = home};
  static freddy_client *client; /* not given back, nor are they leaks */
  static freddy_inbox *inbox;
  int code;

  prctl(PR_SET_PDEATHSIG, SIGKILL);
  snprintf(home, sizeof(home), "pid-%d", (int)getpid());
  client = rig_client(port, &opts);
  if (freddy_inbox_new(&inbox, NULL)) {
    return FAILED;
  }
  do {
    code = request(client, inbox);
    nap_us(code < 0 ? 2000 : 0);
  } while (code < 0 && strcmp(part, "many") == 0);
  return code < 0 ? WELL : code;
}

/* The exit code; 1000 + the signal; 2000: it hangs. */
static int end_of(pid_t pid) {
  time_t until = time(NULL) + 6 * PATIENCE;
  int status;

  while (waitpid(pid, &status, WNOHANG) == 0) {
    if (time(NULL) > until) {
      kill(pid, SIGKILL);
      waitpid(pid, &status, 0);
      return 2000;
    }
    nap_us(500);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* --- The file ----------------------------------------------------------- */

/* Tokens of this number, which have `left` of `life` seconds. */
static void write_file(int number, double life, double left) {
  struct timespec now;
  char aside[300];
  double end;
  FILE *file;

  clock_gettime(CLOCK_REALTIME, &now);
  end = (double)now.tv_sec + (double)now.tv_nsec * 1e-9 + left;
  snprintf(aside, sizeof(aside), "%s.aside", path);
  file = fopen(aside, "w");
  fprintf(file,
          "{\"freddy_session\": 1,\n \"server\": \"http://127.0.0.1:%u\",\n"
          " \"kind\": \"session\",\n \"access_token\": \"access-%d\",\n"
          " \"refresh_token\": \"refresh-%d\",\n \"obtained_at\": %.3f,\n"
          " \"expires_at\": %.3f}\n",
          server.port, number, number, end - life, end);
  fclose(file);
  chmod(aside, 0600);
  rename(aside, path);
}

/* The number of the refresh token that it has. */
static int kept(void) {
  char text[2000] = "";
  FILE *file = fopen(path, "r");
  size_t size = file ? fread(text, 1, sizeof(text) - 1, file) : 0;

  if (file) {
    fclose(file);
  }
  text[size] = '\0';
  return number_in(text, "\"refresh-");
}

static void begin(int is_lenient, int life) {
  pthread_mutex_lock(&lock);
  lenient = is_lenient;
  refused = most_at_once = grants = answered_ok = kills_due = 0;
  pthread_mutex_unlock(&lock);
  atomic_store(&life_ms, life);
  atomic_store(&stop, 0);
}

/* A log-in: a token that was never used. */
static int log_in(double life, double left) {
  int number;

  pthread_mutex_lock(&lock);
  number = ++newest;
  pthread_mutex_unlock(&lock);
  write_file(number, life, left);
  return number;
}

static int read_locked(const int *number) {
  int value;

  pthread_mutex_lock(&lock);
  value = *number;
  pthread_mutex_unlock(&lock);
  return value;
}

/* --- One after another -------------------------------------------------- */

/* Each finds the token in its early window, and is gone after one request. A
 * renewal that was granted is in the file then. */
static void scripts_of_one_request(void) {
  int count = scaled(SCRIPTS), renewed = 0;

  begin(0, 3600000);
  log_in(3600, 300);
  for (int i = 0; i < count; i++) {
    int before = read_locked(&newest);

    CHECK_INT(end_of(start("one")), WELL);
    CHECK_INT(kept(), read_locked(&newest));
    renewed += read_locked(&newest) != before;
    write_file(kept(), 3600, 300);
  }
  CHECK_INT(read_locked(&answered_ok), count);
  CHECK_INT(read_locked(&refused), 0);
  CHECK(renewed > 0);
  printf("%d scripts, %d of which renewed\n", count, renewed);
}

/* --- Together ----------------------------------------------------------- */

enum { LIFE = 2000, WINDOWS = 3 }; /* of a token, ms */

static void many_at_once(void) {
  int count = scaled(PROCESSES), granted;
  pid_t pids[PROCESSES];
  struct timespec from, to;
  double seconds;

  begin(0, LIFE);
  log_in(1, 0);
  clock_gettime(CLOCK_MONOTONIC, &from);
  for (int i = 0; i < count; i++) {
    pids[i] = start("many");
  }
  EVENTUALLY(read_locked(&grants) > WINDOWS);
  atomic_store(&stop, 1);
  for (int i = 0; i < count; i++) {
    CHECK_INT(end_of(pids[i]), WELL);
  }
  clock_gettime(CLOCK_MONOTONIC, &to);
  seconds = (double)(to.tv_sec - from.tv_sec) +
            (double)(to.tv_nsec - from.tv_nsec) * 1e-9;
  granted = read_locked(&grants);
  CHECK_INT(read_locked(&refused), 0);
  CHECK_INT(read_locked(&most_at_once), 1);
  /* A window begins 20 to 22 % of the life before its end. */
  CHECK(granted <= 1 + (int)(seconds / (0.78 * LIFE / 1000)) + 1);
  CHECK_INT(kept(), read_locked(&newest));
  printf("%d processes: %d requests, %d renewals in %.1f s\n", count,
         read_locked(&answered_ok), granted, seconds);
}

/* --- Killed ------------------------------------------------------------- */

static void wait_for_kill(void) {
  pthread_mutex_lock(&lock);
  kills_due = 1;
  pthread_mutex_unlock(&lock);
  EVENTUALLY(read_locked(&kills_due) == 0);
}

/* Wherever the kills fall, a server that grants what was used before loses
 * nobody: every second one falls just when something was granted. */
static void killed_at_random(void) {
  int count = scaled(KILLS), ended_well = 0;
  pid_t pids[ALIVE];

  begin(1, 100);
  log_in(1, 0);
  for (int i = 0; i < ALIVE; i++) {
    pids[i] = start("many");
  }
  for (int i = 0; i < count; i++) {
    int one = dice(ALIVE);

    if (i % 2) {
      wait_for_kill();
      for (one = 0; one < ALIVE && pids[one] != read_locked(&killed); one++) {
      }
      CHECK(one < ALIVE);
    } else {
      nap_us(dice(20000));
      kill(pids[one], SIGKILL);
    }
    CHECK_INT(end_of(pids[one]), 1000 + SIGKILL);
    pids[one] = start("many");
  }
  atomic_store(&stop, 1);
  for (int i = 0; i < ALIVE; i++) {
    ended_well += end_of(pids[i]) == WELL;
  }
  CHECK_INT(ended_well, ALIVE);
  CHECK_INT(end_of(start("one")), WELL);
  CHECK_INT(read_locked(&refused), 0);
  printf("%d kills, %d renewals\n", count, read_locked(&grants));
}

enum { SHARERS = 3 };

/* Kill one of them: at any moment, or just when it was granted something. */
static int kill_one(const pid_t *pids, int at_grant) {
  if (at_grant) {
    wait_for_kill();
    return read_locked(&killed);
  }
  EVENTUALLY(kept() == read_locked(&newest));
  nap_us(dice(100000));
  kill(pids[0], SIGKILL);
  return pids[0];
}

/* How many of the others hear that the session is over. */
static int end_others(const pid_t *pids, int victim) {
  int over = 0;

  for (int i = 0; i < SHARERS; i++) {
    if (pids[i] == victim) {
      CHECK_INT(end_of(pids[i]), 1000 + SIGKILL);
    }
  }
  nap_us(dice(100000)); /* who is left goes on */
  atomic_store(&stop, 1);
  for (int i = 0; i < SHARERS; i++) {
    if (pids[i] != victim) {
      int code = end_of(pids[i]);

      CHECK(code == WELL || code == SESSION_OVER);
      over += code == SESSION_OVER;
    }
  }
  return over;
}

/* A strict server: only who is killed between a refresh and its rename takes
 * the session along, and then nobody is asked again and again. 1: it did. */
static int check_break(int at_grant) {
  int victim, over, is_lost, refusals = read_locked(&refused);
  pid_t pids[SHARERS];

  atomic_store(&stop, 0);
  log_in(1, 0);
  for (int i = 0; i < SHARERS; i++) {
    pids[i] = start("many");
  }
  victim = kill_one(pids, at_grant);
  over = end_others(pids, victim);
  is_lost = kept() != read_locked(&newest);
  if (is_lost) {
    CHECK_INT(read_locked(&granted_to), victim);
    CHECK_INT(end_of(start("many")), SESSION_OVER);
    CHECK(read_locked(&refused) - refusals <= SHARERS);
  } else {
    CHECK_INT(over, 0);
    CHECK_INT(read_locked(&refused), refusals);
    CHECK_INT(end_of(start("one")), WELL);
  }
  return is_lost;
}

static void killed_strictly(void) {
  int count = scaled(BREAKS), over = 0;

  begin(0, 100);
  for (int i = 0; i < count; i++) {
    UNIT_CASE("break %d", i);
    over += check_break(i % 2);
  }
  UNIT_CASE("%s", "");
  printf("%d kills at a strict server, %d of which ended the session\n", count,
         over);
}

int main(int argc, char **argv) {
  if (readlink("/proc/self/exe", program, sizeof(program) - 1) < 0) {
    perror("/proc/self/exe");
    return 2;
  }
  if (argc == 4) {
    snprintf(path, sizeof(path), "%s", argv[2]);
    return run_part(argv[1], (unsigned)strtoul(argv[3], NULL, 10));
  }
  snprintf(home, sizeof(home), "/tmp/freddy-unit-XXXXXX");
  if (!mkdtemp(home)) {
    perror("mkdtemp");
    return 2;
  }
  snprintf(path, sizeof(path), "%s/session", home);
  loop_start(&server, serve);
  scripts_of_one_request();
  many_at_once();
  killed_at_random();
  killed_strictly();
  loop_stop(&server);
  snprintf(program, sizeof(program), "rm -r %s", home);
  CHECK_INT(system(program), 0);
  return unit_end();
}
