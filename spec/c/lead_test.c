/* SPDX-License-Identifier: MIT */
/* Hosts that take the engine's turns while they wait: what they and the
 * others get, and that a wait is still only a wait. */
#include <signal.h>
#include <sys/syscall.h>

#include "lead_util.h"
#include "net/inbox.h"

/* --- In one thread ------------------------------------------------------ */

static void test_one_after_another(struct rig *rig) {
  int lets_in = fy_poller_lets_signals_in();
  unsigned turns;

  for (int i = 0; i < 200; i++) {
    rig_get(rig, "/hello");
  }
  turns = lead_turns();
  CHECK(!lets_in == !turns);
  for (int i = 0; i < 20; i++) {
    EVENTUALLY(lead_by() == FY_LED_BY_ENGINE); /* it has not waited for us */
    rig_lead(rig);
  }
  CHECK(lead_turns() >= turns + (lets_in ? 20 : 0));
}

static void test_wait_has_its_time(struct rig *rig) {
  freddy_request silent = {.path = "/silent"};
  freddy_call *call = rig_start(rig, &silent);

  for (int i = 0; i < 20; i++) {
    fy_time until;

    rig_lead(rig);
    until = fy_clock_now() + 5 * FY_MILLISECOND;
    CHECK_INT(freddy_inbox_wait(rig->inbox, 0.005), 0);
    CHECK(fy_clock_now() >= until);
    CHECK_INT(freddy_inbox_wait(rig->inbox, 0), 0);
  }
  freddy_call_cancel(call);
  rig_done(rig->inbox, call);
  CHECK_TEXT(rig_kind(call), "cancelled");
  freddy_call_free(call);
}

static void test_timer(struct rig *rig) {
  for (int i = 0; i < 20; i++) {
    freddy_call *call = NULL;

    rig_lead(rig);
    CHECK_INT(freddy_start_timer(rig->inbox, 0.003, NULL, &call, NULL), 0);
    rig_done(rig->inbox, call);
    CHECK_TEXT(rig_kind(call), "ok");
    freddy_call_free(call);
  }
}

/* The host that led waits no more, and nobody wakes the engine. */
static void test_host_does_not_come_back(struct rig *rig) {
  freddy_request gate = {.path = "/gate"};
  freddy_request silent = {.path = "/silent", .timeout.total = 0.03};
  freddy_event event;

  for (int i = 0; i < 20; i++) {
    freddy_call *call;

    atomic_store(&desk->released, 0);
    call = rig_start(rig, i % 2 ? &silent : &gate);
    rig_lead(rig);
    atomic_store(&desk->released, 1);
    EVENTUALLY(freddy_inbox_ready(rig->inbox) || freddy_call_done(call));
    while (freddy_inbox_next(rig->inbox, &event)) {
      CHECK(event.call == call);
    }
    CHECK(freddy_call_done(call));
    CHECK_TEXT(rig_kind(call), i % 2 ? "timeout" : "ok");
    freddy_call_free(call);
  }
}

static void test_start_without_a_wait(struct rig *rig) {
  freddy_request hello = {.path = "/hello"};
  freddy_event event;

  for (int i = 0; i < 50; i++) {
    freddy_call *call;

    rig_lead(rig);
    call = rig_start(rig, &hello);
    EVENTUALLY(freddy_inbox_ready(rig->inbox));
    CHECK_INT(freddy_inbox_next(rig->inbox, &event), 1);
    CHECK(event.call == call && event.type == FREDDY_DONE);
    CHECK_INT(freddy_call_status(call), 200);
    freddy_call_free(call);
  }
}

static void test_new_connections(struct rig *rig) {
  int before = atomic_load(&rig->server->connections);

  /* A few may be open from before. */
  for (int i = 0; i < 50; i++) {
    rig_lead(rig);
    rig_get(rig, "/last");
    rig_get(rig, "/hello");
  }
  CHECK(atomic_load(&rig->server->connections) > before + 40);
}

/* Too many for one thread: those that were in flight before, the engine's
 * thread leads for. */
static void test_many(struct rig *rig) {
  enum { MANY = 12 };
  freddy_request gate = {.path = "/gate"};
  freddy_call *calls[MANY];
  freddy_event event;
  unsigned turns;
  int asked, done = 0;

  rig_lead(rig);
  asked = atomic_load(&rig->server->requests) + MANY;
  atomic_store(&desk->released, 0);
  for (int i = 0; i < MANY; i++) {
    calls[i] = rig_start(rig, &gate);
  }
  EVENTUALLY(atomic_load(&rig->server->requests) == asked);
  turns = lead_turns();
  for (int i = 0; i < 10; i++) {
    CHECK_INT(freddy_inbox_wait(rig->inbox, 0.002), 0);
  }
  CHECK_INT(lead_turns(), turns);
  atomic_store(&desk->released, 1);
  while (done < MANY && rig_event(rig->inbox, &event)) {
    done += event.type == FREDDY_DONE;
  }
  for (int i = 0; i < MANY; i++) {
    CHECK_INT(freddy_call_status(calls[i]), 200);
    freddy_call_free(calls[i]);
  }
  rig_lead(rig);
}

static void test_inbox_is_freed(struct rig *rig) {
  freddy_request silent = {.path = "/silent"};
  freddy_engine_stats stats;

  for (int i = 0; i < 20; i++) {
    struct rig fresh = rig_fresh(rig);
    freddy_call *call = rig_start(&fresh, &silent);

    rig_lead(&fresh);
    freddy_call_free(call);
    freddy_inbox_free(fresh.inbox);
    EVENTUALLY((freddy_engine_stats_get(&stats), stats.in_flight == 0));
    freddy_client_free(fresh.client);
  }
}

static void test_shutdown(struct rig *rig) {
  freddy_request silent = {.path = "/silent"};

  for (int i = 0; i < 20; i++) {
    freddy_call *call;

    rig_lead(rig);
    call = rig_start(rig, &silent);
    if (i % 2) {
      rig_lead(rig);
    }
    freddy_shutdown();
    rig_done(rig->inbox, call);
    CHECK_TEXT(rig_kind(call), "closed");
    freddy_call_free(call);
  }
  rig_lead(rig);
}

/* --- Signals ------------------------------------------------------------ */

static void check_mask(const sigset_t *want) {
  sigset_t got;

  pthread_sigmask(SIG_SETMASK, NULL, &got);
  for (int sig = 1; sig < NSIG; sig++) {
    UNIT_CASE("signal %d", sig);
    CHECK_INT(sigismember(&got, sig), sigismember(want, sig));
  }
  UNIT_CASE("%s", "");
}

static int is_pending(int sig) {
  sigset_t pending;

  sigpending(&pending);
  return sigismember(&pending, sig);
}

static void test_mask(struct rig *rig) {
  sigset_t mask, before;

  sigemptyset(&mask);
  sigaddset(&mask, SIGUSR2);
  sigaddset(&mask, SIGCHLD);
  for (int i = 0; i < 3; i++) {
    pthread_sigmask(SIG_SETMASK, i == 1 ? &mask : NULL, &before);
    rig_lead(rig);
    if (i == 1) {
      check_mask(&mask);
      pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    check_mask(&before);
    CHECK(!is_pending(SIGPIPE));
  }
}

static struct {
  atomic_int count;
  atomic_int elsewhere; /* handled, but not in this thread: */
  _Atomic pthread_t thread;
} caught;

static void catch (int sig) {
  (void)sig;
  if (!pthread_equal(pthread_self(), atomic_load(&caught.thread))) {
    atomic_fetch_add(&caught.elsewhere, 1);
  }
  atomic_fetch_add(&caught.count, 1);
}

static void expect_signals(pthread_t thread) {
  struct sigaction action = {.sa_handler = catch};

  sigemptyset(&action.sa_mask);
  sigaction(SIGUSR1, &action, NULL);
  atomic_store(&caught.count, 0);
  atomic_store(&caught.elsewhere, 0);
  atomic_store(&caught.thread, thread);
}

static void test_signal_comes_in(struct rig *rig) {
  struct host host;

  host_open(&host, rig);
  expect_signals(host.thread);
  for (int i = 1; i <= 20; i++) {
    int waits;

    host_lead(&host);
    waits = atomic_load(&host.waits);
    pthread_kill(host.thread, SIGUSR1);
    EVENTUALLY(atomic_load(&caught.count) == i);
    CHECK_INT(atomic_load(&host.waits), waits);
    if (fy_poller_lets_signals_in()) {
      EVENTUALLY(lead_sleeps(host.thread)); /* its wait has not ended */
    }
    CHECK_INT(atomic_load(&host.waits), waits);
    host_tick(&host);
  }
  CHECK_INT(atomic_load(&caught.elsewhere), 0);
  host_close(&host);
}

struct storm {
  pthread_t to;
  atomic_int over;
};

static void *storm_main(void *context) {
  struct storm *storm = context;

  while (!atomic_load(&storm->over)) {
    pthread_kill(storm->to, SIGUSR1);
    sched_yield();
  }
  return NULL;
}

static void test_signals_at_any_time(struct rig *rig) {
  struct storm storm = {.to = pthread_self()};
  sigset_t before;
  pthread_t thread;

  pthread_sigmask(SIG_SETMASK, NULL, &before);
  expect_signals(storm.to);
  pthread_create(&thread, NULL, storm_main, &storm);
  for (int i = 0; i < 100; i++) {
    rig_get(rig, "/hello");
  }
  rig_lead(rig);
  atomic_store(&storm.over, 1);
  pthread_join(thread, NULL);
  check_mask(&before);
  CHECK(atomic_load(&caught.count) > 0);
  CHECK_INT(atomic_load(&caught.elsewhere), 0);
}

/* --- A peer that is gone ------------------------------------------------ */

static void test_reset(struct rig *rig) {
  freddy_request reset = {.path = "/reset", .retries = -1};

  for (int i = 0; i < 20; i++) {
    freddy_call *call;

    rig_lead(rig);
    call = rig_start(rig, &reset);
    rig_done(rig->inbox, call);
    CHECK_TEXT(rig_kind(call), "cut");
    CHECK(!is_pending(SIGPIPE));
    freddy_call_free(call);
  }
}

#ifndef __SANITIZE_THREAD__
static struct {
  _Atomic pthread_t thread;
  atomic_int armed;
} broken;

/* In the place of libc's: once, as a TLS library does that says nothing of
 * MSG_NOSIGNAL. */
ssize_t send(int fd, const void *data, size_t size, int flags) {
  int one = 1;

  if (pthread_equal(pthread_self(), atomic_load(&broken.thread)) &&
      atomic_compare_exchange_strong(&broken.armed, &one, 0)) {
    pthread_kill(pthread_self(), SIGPIPE);
    errno = EPIPE;
    return -1;
  }
  return syscall(SYS_sendto, fd, data, size, flags, NULL, 0);
}

/* A POST that this thread sends itself, and cannot. */
static void send_in_vain(struct rig *rig) {
  freddy_request post = {.method = "POST", .path = "/hello", .retries = -1};
  time_t until = time(NULL) + PATIENCE;
  int failed;

  atomic_store(&broken.thread, pthread_self());
  do {
    freddy_call *call;

    rig_lead(rig);
    atomic_store(&broken.armed, 1);
    call = rig_start(rig, &post);
    rig_done(rig->inbox, call);
    failed = !atomic_exchange(&broken.armed, 0);
    CHECK_TEXT(rig_kind(call), failed ? "cut" : "ok");
    freddy_call_free(call);
  } while (!failed && time(NULL) < until);
  CHECK(failed);
}

/* As with a libcurl that may raise it. */
static void test_broken_pipe(struct rig *rig) {
  sigset_t pipe;

  fy_engine_running()->lead.raises_pipes = 1;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  for (int i = 0; fy_poller_lets_signals_in() && i < 5; i++) {
    send_in_vain(rig); /* and lives */
    CHECK(!is_pending(SIGPIPE));
    pthread_sigmask(SIG_BLOCK, &pipe, NULL);
    send_in_vain(rig);
    CHECK(!is_pending(SIGPIPE));
    /* The host's own stays. */
    pthread_kill(pthread_self(), SIGPIPE);
    rig_lead(rig);
    CHECK(is_pending(SIGPIPE));
    while (is_pending(SIGPIPE)) {
      sigwaitinfo(&pipe, NULL);
    }
    pthread_sigmask(SIG_UNBLOCK, &pipe, NULL);
  }
}
#endif

/* --- Several threads ---------------------------------------------------- */

static void test_others_meanwhile(struct rig *rig) {
  struct host host;

  host_open(&host, rig);
  for (int i = 0; i < 20; i++) {
    int waits;

    host_lead(&host);
    waits = atomic_load(&host.waits);
    for (int j = 0; j < 5; j++) {
      rig_get(rig, "/hello");
    }
    CHECK_INT(atomic_load(&host.waits), waits);
    host_goes_on(&host);
  }
  host_close(&host);
}

/* The engine's thread has stepped aside, but the host is asleep, for whom it
 * did: what comes then is late. What the host has to do for that happens
 * behind this lock; and its flag is up until it has taken what is there. */
static int nobody_leads(const freddy_inbox *inbox) {
  struct fy_engine *engine = fy_engine_running();
  int nobody;

  pthread_mutex_lock(&engine->lock);
  nobody = engine->lead.by == FY_LED_BY_NOBODY && !engine->lead.is_called &&
           !freddy_inbox_ready(inbox) && atomic_load(&inbox->waiters) > 0;
  pthread_mutex_unlock(&engine->lock);
  return nobody;
}

static int tick_and_look(struct host *host) {
  int ticks = atomic_fetch_add(&desk->ticks, 1) + 1;
  time_t until = time(NULL) + PATIENCE;
  int nobody = 0;

  while (atomic_load(&host->ticks) < ticks && time(NULL) < until) {
    nobody += nobody_leads(host->rig.inbox);
  }
  CHECK_INT(atomic_load(&host->ticks), ticks);
  return nobody;
}

static void test_someone_leads(struct rig *rig) {
  struct host host;
  int nobody = 0;

  host_open(&host, rig);
  host_tick(&host);
  for (int i = 0; i < 100; i++) {
    rig_get(rig, "/hello"); /* the engine's thread leads again */
    for (int j = 0; j < 5; j++) {
      nobody += tick_and_look(&host);
    }
  }
  CHECK_INT(nobody, 0);
  host_close(&host);
}

static int set_token(freddy_client *client) {
  static const char token[] = "another-token-0123456789";

  return freddy_client_set_credential(client, FREDDY_TOKEN, token,
                                      sizeof(token) - 1, NULL);
}

/* Whatever another thread may do to a client that a host waits with. */
static void test_client_in_other_hands(struct rig *rig) {
  for (int i = 0; i < 20; i++) {
    struct rig fresh = rig_fresh(rig);
    struct host host;
    int waits;

    host_open(&host, &fresh);
    host_lead(&host);
    waits = atomic_load(&host.waits);
    CHECK_INT(set_token(fresh.client), FREDDY_OK);
    CHECK_INT(atomic_load(&host.waits), waits);
    host_lead(&host);
    if (i % 2) {
      freddy_client_close(fresh.client);
      host_join(&host, "closed");
      freddy_client_free(fresh.client);
    } else {
      freddy_client_free(fresh.client);
      host_join(&host, "closed");
    }
    freddy_inbox_free(fresh.inbox);
  }
}

static void *gets_main(void *context) {
  struct rig rig = *(struct rig *)context;
  freddy_request hello = {.path = "/hello"};
  long good = 0;

  if (freddy_inbox_new(&rig.inbox, NULL)) {
    return NULL;
  }
  for (int i = 0; i < 200; i++) {
    freddy_call *call = NULL;
    freddy_event event;

    if (freddy_start(rig.client, rig.inbox, &hello, &call, NULL)) {
      break;
    }
    while (!freddy_call_done(call) && freddy_inbox_wait(rig.inbox, PATIENCE)) {
      freddy_inbox_next(rig.inbox, &event);
    }
    good += freddy_call_status(call) == 200;
    freddy_call_free(call);
    if (i % 10 == 0) {
      sched_yield();
    }
  }
  freddy_inbox_free(rig.inbox);
  return (void *)good;
}

/* Each leads when the others have a pause, and goes when it is through. */
static void test_in_turns(struct rig *rig) {
  for (int count = 1; count <= 4; count++) {
    pthread_t threads[4];

    for (int i = 0; i < count; i++) {
      pthread_create(&threads[i], NULL, gets_main, rig);
    }
    for (int i = 0; i < count; i++) {
      void *good = NULL;

      pthread_join(threads[i], &good);
      CHECK_INT((long)good, 200);
    }
    rig_get(rig, "/hello");
  }
}

struct handed {
  struct rig *rig;
  freddy_call *call;
};

static void *finish_main(void *context) {
  struct handed *handed = context;
  freddy_event event;
  long good = 0;

  while (!good && freddy_inbox_wait(handed->rig->inbox, PATIENCE) &&
         freddy_inbox_next(handed->rig->inbox, &event)) {
    good = event.call == handed->call && event.type == FREDDY_DONE;
  }
  return (void *)good;
}

/* An inbox that one thread has waited in, and another does from then on. */
static void test_inbox_changes_hands(struct rig *rig) {
  freddy_request hello = {.path = "/hello"};

  for (int i = 0; i < 20; i++) {
    struct handed handed = {.rig = rig};
    pthread_t thread;
    void *good = NULL;

    rig_lead(rig);
    handed.call = rig_start(rig, &hello);
    pthread_create(&thread, NULL, finish_main, &handed);
    pthread_join(thread, &good);
    CHECK_INT((long)good, 1);
    freddy_call_free(handed.call);
  }
}

/* It ends when the wait has, and the engine goes on without it. */
static void test_thread_is_cancelled(struct rig *rig) {
  for (int i = 0; i < 20; i++) {
    struct host host;
    void *ended = NULL;

    host_open(&host, rig);
    host_lead(&host);
    pthread_cancel(host.thread);
    rig_get(rig, "/hello");
    atomic_fetch_add(&desk->ticks, 1);
    pthread_join(host.thread, &ended);
    CHECK(ended == PTHREAD_CANCELED);
    rig_lead(rig);
  }
}

int main(void) {
  struct rig rig;

  desk_open(&rig);
  test_one_after_another(&rig);
  test_wait_has_its_time(&rig);
  test_timer(&rig);
  test_host_does_not_come_back(&rig);
  test_start_without_a_wait(&rig);
  test_new_connections(&rig);
  test_many(&rig);
  test_inbox_is_freed(&rig);
  test_shutdown(&rig);
  test_mask(&rig);
  test_signal_comes_in(&rig);
  test_signals_at_any_time(&rig);
  test_reset(&rig);
#ifndef __SANITIZE_THREAD__
  test_broken_pipe(&rig); /* TSan wants its own send */
#endif
  test_someone_leads(&rig);
  test_others_meanwhile(&rig);
  test_client_in_other_hands(&rig);
  test_in_turns(&rig);
  test_inbox_changes_hands(&rig);
  test_thread_is_cancelled(&rig);
  rig_close(&rig);
  return unit_end();
}
