/* SPDX-License-Identifier: MIT */
/* fork and exit around hosts that take the engine's turns while they wait. */
#include <dlfcn.h>
#include <signal.h>

#include "child.h"
#include "lead_util.h"

#ifndef __SANITIZE_THREAD__
/* A thread that is sent SIGUSR1. */
static struct {
  pthread_t main;
  atomic_int waits; /* it is in freddy_inbox_wait */
  int locks;        /* so many later it is sent the signal; 0: not at one */
} here;
#endif

/* --- fork --------------------------------------------------------------- */

/* A child is a process like any other: it may lead its own engine. */
static void use_fresh(struct rig *rig) {
  struct rig fresh = rig_fresh(rig);

  rig_lead(&fresh);
  rig_get(&fresh, "/hello");
  rig_drop(&fresh);
}

static void test_fork_while_another_leads(struct rig *rig) {
  struct host host;

  host_open(&host, rig);
  for (int i = 0; i < 10; i++) {
    int waits;

    host_lead(&host);
    waits = atomic_load(&host.waits);
    CHECK_INT(in_child(use_fresh, rig), 0);
    CHECK_INT(atomic_load(&host.waits), waits);
    host_goes_on(&host);
    rig_get(rig, "/hello"); /* and this one, too */
  }
  host_close(&host);
}

static freddy_call *parents_call;

static void use_used_and_fresh(struct rig *rig) {
  freddy_request hello = {.path = "/hello"};
  freddy_call *call = NULL;

  CHECK_INT(freddy_start(rig->client, rig->inbox, &hello, &call, NULL),
            FREDDY_EFORKED);
  CHECK(freddy_inbox_forked(rig->inbox));
  CHECK_INT(freddy_inbox_wait(rig->inbox, 10), 0);
  CHECK_TEXT(rig_kind(parents_call), "forked");
  use_fresh(rig);
  CHECK_INT(freddy_inbox_wait(rig->inbox, 10), 0);
}

/* Nobody leads at that moment. */
static void test_fork_after_a_wait(struct rig *rig) {
  freddy_request silent = {.path = "/silent"};

  parents_call = rig_start(rig, &silent);
  for (int i = 0; i < 10; i++) {
    rig_lead(rig);
    CHECK_INT(in_child(use_used_and_fresh, rig), 0);
    rig_get(rig, "/hello");
  }
  CHECK(!freddy_call_done(parents_call));
  freddy_call_cancel(parents_call);
  rig_done(rig->inbox, parents_call);
  freddy_call_free(parents_call);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
/* The sanitizers' allocators do not fork. */
static volatile pid_t handlers_child;

static void fork_now(int sig) {
  (void)sig;
  handlers_child = fork();
}

/* Once it leads, if it does, and then it gets its answer. */
static void *signal_once(void *context) {
  const char *path = context;
  int wanted = strcmp(path, "/gate") == 0 ? 2 : 1;
  time_t until = time(NULL) + 2;

  while (lead_is(here.main) < wanted && time(NULL) < until) {
    sched_yield();
  }
  if (lead_is(here.main) >= wanted) {
    pthread_kill(here.main, SIGUSR1);
    until = time(NULL) + PATIENCE;
    while (handlers_child == -1 && time(NULL) < until) {
      sched_yield();
    }
  }
  atomic_store(&desk->released, 1);
  return NULL;
}

/* The child comes out of a wait that is none any more. */
static void be_the_child(struct rig *rig, int waited) {
  unit_failed = 0;
  CHECK_INT(waited, 0);
  CHECK(freddy_inbox_forked(rig->inbox));
  use_fresh(rig);
  fflush(stdout);
  _exit(unit_failed ? 1 : 0);
}

/* 1 when it was forked in a wait that it led. */
static int fork_in_a_handler(struct rig *rig, char *path) {
  freddy_request req = {.path = path};
  freddy_call *call;
  pthread_t thread;
  int waited;

  rig_lead(rig);
  fflush(stdout);
  handlers_child = -1;
  atomic_store(&desk->released, 0);
  call = rig_start(rig, &req);
  pthread_create(&thread, NULL, signal_once, path);
  waited = freddy_inbox_wait(rig->inbox, PATIENCE);
  if (handlers_child == 0) {
    be_the_child(rig, waited);
  }
  pthread_join(thread, NULL);
  CHECK_INT(waited, 1);
  rig_done(rig->inbox, call);
  CHECK_INT(freddy_call_status(call), 200);
  freddy_call_free(call);
  return handlers_child > 0;
}

/* While it sleeps; while there is work without end. */
static void test_fork_in_a_handler(struct rig *rig, char *path) {
  struct sigaction action = {.sa_handler = fork_now};
  int forks = 0;

  here.main = pthread_self();
  sigemptyset(&action.sa_mask);
  sigaction(SIGUSR1, &action, NULL);
  for (int i = 0; fy_poller_lets_signals_in() && i < 10; i++) {
    if (fork_in_a_handler(rig, path)) {
      forks++;
      CHECK_INT(end_of(handlers_child), 0);
    }
  }
  CHECK(!fy_poller_lets_signals_in() || forks > 0);
}
#endif

/* --- exit --------------------------------------------------------------- */

#ifndef __SANITIZE_THREAD__ /* its runtime may hang after such a fork */
static void start_some(struct rig *rig) {
  freddy_request silent = {.path = "/silent"};

  for (int i = 0; i < 4; i++) {
    rig_start(rig, &silent);
  }
}

static void exit_while_another_leads(struct rig *rig) {
  struct rig fresh = rig_fresh(rig);
  struct host host;

  host_open(&host, &fresh);
  host_lead(&host);
  exit(unit_failed ? 1 : 7);
}

static void exit_with_requests_of_both(struct rig *rig) {
  struct rig fresh = rig_fresh(rig);
  struct host host;

  host_open(&host, &fresh);
  host_lead(&host);
  start_some(&fresh);
  exit(unit_failed ? 1 : 7);
}

static void exit_after_a_wait(struct rig *rig) {
  struct rig fresh = rig_fresh(rig);

  rig_lead(&fresh);
  start_some(&fresh);
  rig_lead(&fresh);
  exit(unit_failed ? 1 : 7);
}

static void exit_after_a_start(struct rig *rig) {
  struct rig fresh = rig_fresh(rig);

  rig_lead(&fresh);
  start_some(&fresh);
  exit(unit_failed ? 1 : 7);
}

static void leave(int sig) {
  (void)sig;
  if (pthread_equal(pthread_self(), here.main) && atomic_load(&here.waits)) {
    exit(unit_failed ? 1 : 7);
  }
}

static void expect_signal(void) {
  struct sigaction action = {.sa_handler = leave};

  here.main = pthread_self();
  sigemptyset(&action.sa_mask);
  sigaction(SIGUSR1, &action, NULL);
}

static void *signal_sleeper(void *context) {
  (void)context;
  for (;;) {
    if (atomic_load(&here.waits) &&
        (!fy_poller_lets_signals_in() || lead_sleeps(here.main))) {
      pthread_kill(here.main, SIGUSR1);
    }
    sched_yield();
  }
  return NULL;
}

static void exit_in_a_handler(struct rig *rig) {
  struct rig fresh = rig_fresh(rig);
  time_t until = time(NULL) + PATIENCE;
  pthread_t thread;

  expect_signal();
  start_some(&fresh);
  rig_lead(&fresh);
  pthread_create(&thread, NULL, signal_sleeper, NULL);
  /* Often: the engine's thread may have been there before. */
  while (time(NULL) < until) {
    rig_lead(&fresh);
    atomic_store(&here.waits, 1);
    freddy_inbox_wait(fresh.inbox, 0.1);
    atomic_store(&here.waits, 0);
  }
  _exit(8);
}

static void *signal_soon(void *context) {
  const struct timespec pause = {0, *(long *)context};

  for (;;) {
    nanosleep(&pause, NULL);
    pthread_kill(here.main, SIGUSR1);
  }
  return NULL;
}

static long soon; /* nanoseconds */

/* Wherever in a wait it is. */
static void exit_at_any_time(struct rig *rig) {
  struct rig fresh = rig_fresh(rig);
  time_t until = time(NULL) + PATIENCE;
  pthread_t thread;

  expect_signal();
  start_some(&fresh);
  rig_lead(&fresh);
  pthread_create(&thread, NULL, signal_soon, &soon);
  atomic_store(&here.waits, 1);
  while (time(NULL) < until) {
    freddy_inbox_wait(fresh.inbox, 0.000001);
  }
  _exit(8);
}

/* In the place of libc's: the signal comes as soon as the nth lock is held
 * that is taken in a wait. */
int pthread_mutex_lock(pthread_mutex_t *mutex) {
  static int (*_Atomic real)(pthread_mutex_t *);
  int rc;

  if (!atomic_load(&real)) {
    atomic_store(&real, (int (*)(pthread_mutex_t *))dlsym(
                            RTLD_NEXT, "pthread_mutex_lock"));
  }
  rc = atomic_load(&real)(mutex);
  if (atomic_load(&here.waits) && pthread_equal(pthread_self(), here.main) &&
      here.locks && --here.locks == 0) {
    pthread_kill(here.main, SIGUSR1);
  }
  return rc;
}

static int nth;

static void exit_at_a_lock(struct rig *rig) {
  struct rig fresh = rig_fresh(rig);
  time_t until = time(NULL) + PATIENCE;

  expect_signal();
  start_some(&fresh);
  rig_lead(&fresh);
  here.locks = nth;
  atomic_store(&here.waits, 1);
  while (time(NULL) < until) {
    freddy_inbox_wait(fresh.inbox, 0.000001);
  }
  _exit(8);
}

static void test_exit(struct rig *rig) {
  for (int i = 0; i < 20; i++) {
    CHECK_INT(in_child(exit_while_another_leads, rig), 7);
    CHECK_INT(in_child(exit_with_requests_of_both, rig), 7);
    CHECK_INT(in_child(exit_after_a_wait, rig), 7);
    CHECK_INT(in_child(exit_after_a_start, rig), 7);
    CHECK_INT(in_child(exit_in_a_handler, rig), 7);
  }
  for (soon = 0; soon < 100 * 1000; soon += 3000) {
    CHECK_INT(in_child(exit_at_any_time, rig), 7);
  }
  for (nth = 1; nth <= 20; nth++) {
    UNIT_CASE("lock %d", nth);
    CHECK_INT(in_child(exit_at_a_lock, rig), 7);
  }
}
#endif

int main(void) {
  struct rig rig;

  signal(SIGPIPE, SIG_IGN); /* the server's children write to closed ends */
  main_process = getpid();
  desk_open(&rig);
  test_fork_while_another_leads(&rig);
  test_fork_after_a_wait(&rig);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  test_fork_in_a_handler(&rig, (char[]){"/gate"});
  test_fork_in_a_handler(&rig, (char[]){"/flood"});
#endif
#ifndef __SANITIZE_THREAD__
  test_exit(&rig);
#endif
  rig_close(&rig);
  return unit_end();
}
