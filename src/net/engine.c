/* SPDX-License-Identifier: MIT */
#include "net/engine.h"

#include <stddef.h>

#include "base/error.h"
#include "base/give_back.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/thread.h"
#include "net/call.h"
#include "net/cloexec.h"
#include "net/credential.h"
#include "net/easy.h"
#include "net/events.h"
#include "net/inbox.h"
#include "net/rate.h"
#include "net/reuse.h"
#include "net/transfer.h"
#include "net/tunnel.h"

#if LIBCURL_VERSION_NUM >= 0x075700 && !defined(FY_FORCE_OLD_CURL)
#define FY_HAVE_QUICK_EXIT
#endif

enum {
  OWN_TIMERS = 2,      /* libcurl's, and that of who waits to be sent */
  TIMERS_PER_CALL = 4, /* total; connect and bytes, or the next attempt;
                          events */
  POSTS_PER_TURN = 256,
  EVENTS_PER_TURN = 64
};

/* --- Calls in flight ---------------------------------------------------- */

int fy_engine_adopt_call(struct fy_engine *engine, struct freddy_call *call) {
  if (fy_timers_reserve(&engine->timers,
                        engine->timer_demand + TIMERS_PER_CALL) != FREDDY_OK) {
    return FREDDY_ENOMEM;
  }
  engine->timer_demand += TIMERS_PER_CALL;
  fy_lead_adopt(engine, call, 1);
  fy_call_ref(call);
  call->in_flight = 1;
  call->prev = NULL;
  call->next_in_flight = engine->calls;
  if (engine->calls) {
    engine->calls->prev = call;
  }
  engine->calls = call;
  return FREDDY_OK;
}

void fy_engine_release_call(struct fy_engine *engine,
                            struct freddy_call *call) {
  fy_admission_leave(call);
  fy_timers_unset(&engine->timers, &call->total);
  fy_timers_unset(&engine->timers, &call->repeat);
  if (call->events) {
    fy_timers_unset(&engine->timers, &call->events->timer);
  }
  engine->timer_demand -= TIMERS_PER_CALL;
  fy_lead_adopt(engine, call, -1);
  call->in_flight = 0;
  if (call->prev) {
    call->prev->next_in_flight = call->next_in_flight;
  } else {
    engine->calls = call->next_in_flight;
  }
  if (call->next_in_flight) {
    call->next_in_flight->prev = call->prev;
  }
  atomic_fetch_sub(&engine->in_flight, 1);
}

void fy_engine_drop_calls(struct fy_engine *engine,
                          const freddy_client *client,
                          const freddy_inbox *inbox) {
  struct freddy_call *call = engine->calls;
  freddy_error err = {.code = FREDDY_OK};

  fy_error_set(&err, FREDDY_ECLOSED, NULL, "the client was closed");
  while (call) {
    struct freddy_call *next = call->next_in_flight;

    if ((!client || (call->client == client && !call->renews)) &&
        (!inbox || call->inbox == inbox)) {
      err.sent = atomic_load(&call->sent);
      fy_call_stop(call, &err);
    }
    call = next;
  }
}

/* --- Transfers that may start ------------------------------------------- */

void fy_engine_ready(struct fy_engine *engine, struct fy_transfer *transfer) {
  transfer->is_ready = 1;
  transfer->next_ready = NULL;
  if (engine->ready_last) {
    engine->ready_last->next_ready = transfer;
  } else {
    engine->ready_first = transfer;
  }
  engine->ready_last = transfer;
}

void fy_engine_unready(struct fy_engine *engine,
                       struct fy_transfer *transfer) {
  struct fy_transfer *before = NULL;
  struct fy_transfer *at = engine->ready_first;

  while (at != transfer) {
    before = at;
    at = at->next_ready;
  }
  if (before) {
    before->next_ready = transfer->next_ready;
  } else {
    engine->ready_first = transfer->next_ready;
  }
  if (engine->ready_last == transfer) {
    engine->ready_last = before;
  }
  transfer->is_ready = 0;
}

/* Few at a time: fifty TLS handshakes in one turn would hold everyone. More
 * while all find a connection: each turn costs, and wakes the host. */
static void launch_ready(struct fy_engine *engine) {
  uint64_t opened = atomic_load(&engine->opened);
  int most = opened == engine->opened_before && opened ? FY_MAX_STARTS_PER_TURN
                                                       : FY_MAX_OPENS_PER_TURN;

  engine->opened_before = opened;
  for (int i = 0; i < most && engine->ready_first; i++) {
    struct fy_transfer *transfer = engine->ready_first;

    fy_engine_unready(engine, transfer);
    fy_transfer_launch(transfer);
  }
}

/* --- libcurl ------------------------------------------------------------ */

static struct fy_transfer *transfer_of(CURL *easy) {
  char *transfer = NULL;

  curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
  return (struct fy_transfer *)(void *)transfer;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *context,
                     void *socket_context) {
  struct fy_engine *engine = context;
  struct fy_transfer *transfer = transfer_of(easy);
  int wanted = 0;

  (void)socket_context;
  if (what == CURL_POLL_IN || what == CURL_POLL_INOUT) {
    wanted |= FY_READABLE;
  }
  if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT) {
    wanted |= FY_WRITABLE;
  }
  if (!wanted) {
    fy_reuse_rest(transfer, &engine->sockets, fd);
    return 0;
  }
  if (!fy_sockets_has(&engine->sockets, fd)) {
    fy_cloexec_watched(fd); /* one that libcurl made for itself */
  }
  if (fy_sockets_watch(&engine->sockets, fd, wanted) && transfer) {
    fy_transfer_doom(transfer);
  }
  return 0;
}

static int on_timeout(CURLM *multi, long ms, void *context) {
  struct fy_engine *engine = context;

  (void)multi;
  fy_timers_set(
      &engine->timers, &engine->curl_timer,
      ms < 0 ? FY_NEVER : fy_clock_add(fy_clock_now(), ms * FY_MILLISECOND));
  return 0;
}

static void curl_timer_fire(struct fy_timer *timer, fy_time now) {
  struct fy_engine *engine =
      (struct fy_engine *)((char *)timer -
                           offsetof(struct fy_engine, curl_timer));
  int running;

  (void)now;
  engine->now = fy_clock_now();
  curl_multi_socket_action(engine->multi, CURL_SOCKET_TIMEOUT, 0, &running);
}

static void serve_socket(struct fy_engine *engine,
                         const struct fy_ready *ready) {
  int mask = (ready->what & FY_READABLE ? CURL_CSELECT_IN : 0) |
             (ready->what & FY_WRITABLE ? CURL_CSELECT_OUT : 0) |
             (ready->what & FY_FAILED ? CURL_CSELECT_ERR : 0);
  int running;

  curl_multi_socket_action(engine->multi, ready->fd, mask, &running);
}

/* The idle ones first: libcurl may choose one of them in any call. */
static void serve_sockets(struct fy_engine *engine, struct fy_ready *ready,
                          int count) {
  int left = 0;

  for (int i = 0; i < count; i++) {
    if (!fy_sockets_retire(&engine->sockets, ready[i].fd)) {
      ready[left++] = ready[i];
    }
  }
  for (int i = 0; i < left; i++) {
    if (i) {
      engine->now = fy_clock_now();
    }
    serve_socket(engine, &ready[i]);
  }
}

static void finish_transfers(struct fy_engine *engine) {
  int left;
  CURLMsg *message = curl_multi_info_read(engine->multi, &left);

  if (!message) {
    return;
  }
  fy_inbox_hold_wakes();
  do {
    if (message->msg == CURLMSG_DONE) {
      CURLcode code = message->data.result;

      fy_transfer_finish(transfer_of(message->easy_handle), code);
    }
  } while ((message = curl_multi_info_read(engine->multi, &left)));
  fy_inbox_let_wakes();
}

/* --- The queue ---------------------------------------------------------- */

void fy_engine_post(struct fy_engine *engine, struct fy_post *post,
                    unsigned wishes) {
  int wake = 0;

  pthread_mutex_lock(&engine->lock);
  post->wishes |= wishes;
  if (!post->queued) {
    post->type->ref(post);
    post->queued = 1;
    post->next = NULL;
    if (engine->last) {
      engine->last->next = post;
    } else {
      engine->first = post;
    }
    engine->last = post;
    wake = engine->posts_wake;
    engine->posts_wake = 0;
    fy_lead_call(engine, 0);
  }
  pthread_mutex_unlock(&engine->lock);
  if (wake) {
    fy_poller_wake(engine->poller);
  }
}

static struct fy_post *take_post(struct fy_engine *engine, unsigned *wishes) {
  struct fy_post *post;

  if (!engine->first) {
    return NULL;
  }
  pthread_mutex_lock(&engine->lock);
  post = engine->first;
  if (post) {
    engine->first = post->next;
    if (!engine->first) {
      engine->last = NULL;
    }
    post->queued = 0;
    *wishes = post->wishes;
    post->wishes = 0;
  }
  pthread_mutex_unlock(&engine->lock);
  return post;
}

static void serve_posts(struct fy_engine *engine, int most) {
  struct fy_post *post;
  unsigned wishes;

  for (int i = 0; i < most && (post = take_post(engine, &wishes)); i++) {
    engine->now = fy_clock_now();
    post->type->handle(engine, post, wishes);
    post->type->unref(post);
  }
}

/* --- The loop ----------------------------------------------------------- */

/* How long to sleep; 0 when there is work left. From here until it wakes,
 * who posts has to wake it. */
static fy_time go_to_sleep(struct fy_engine *engine, fy_time now,
                           fy_time until) {
  fy_time next = fy_timers_next(&engine->timers);
  fy_time due = next < until ? next : until;
  fy_time timeout = due == FY_NEVER ? FY_NEVER : due > now ? due - now : 0;

  if (engine->ready_first || engine->admission.due) {
    timeout = 0;
  }
  if (atomic_load_explicit(&engine->posts_wake, memory_order_acquire)) {
    return timeout;
  }
  pthread_mutex_lock(&engine->lock);
  if (engine->first || atomic_load(&engine->stopping)) {
    timeout = 0;
  }
  engine->posts_wake = timeout != 0;
  pthread_mutex_unlock(&engine->lock);
  return timeout;
}

void fy_engine_turn(struct fy_engine *engine, fy_time now, fy_time until,
                    const sigset_t *asleep) {
  struct fy_ready ready[EVENTS_PER_TURN];
  fy_time timeout = go_to_sleep(engine, now, until);
  int count =
      fy_poller_wait(engine->poller, timeout, asleep, ready, EVENTS_PER_TURN);

  /* What comes due while this turn works may have its bytes in the kernel
   * already: it gets one more look. */
  now = engine->now = fy_clock_now();
  if (engine->generation != fy_engine_generation()) {
    return; /* a signal handler has forked, and this is the child */
  }
  fy_process_hold_fork();
  fy_take_back(1);
  atomic_store(&engine->in_curl, 1);
  if (!atomic_load(&engine->stopping)) {
    serve_sockets(engine, ready, count);
    serve_posts(engine, POSTS_PER_TURN);
    fy_admission_run(engine);
    launch_ready(engine);
    fy_timers_run(&engine->timers, now);
  }
  /* Once it stops, callbacks refuse: what fails by that did not fail. */
  if (!atomic_load(&engine->stopping)) {
    finish_transfers(engine);
  }
  atomic_store(&engine->in_curl, 0);
  fy_process_let_fork();
}

/* 1 when a look-up that hangs need not be joined (libcurl from 7.87 on).
 * Where it has to be, its handle is left behind instead, and with it the
 * multi handle: a leak, where the alternative is to hang. */
static int may_free_parked(const struct fy_transfer *parked) {
#ifdef FY_HAVE_QUICK_EXIT
  return curl_easy_setopt(parked->easy, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK;
#else
  (void)parked;
  return 0;
#endif
}

static void wait_for_post(struct fy_engine *engine) {
  struct fy_ready unused[EVENTS_PER_TURN];
  int wait;

  pthread_mutex_lock(&engine->lock);
  wait = !engine->first;
  engine->posts_wake = wait;
  pthread_mutex_unlock(&engine->lock);
  if (wait) {
    fy_poller_wait(engine->poller, FY_NEVER, NULL, unused, EVENTS_PER_TURN);
  }
}

/* For freddy_shutdown: everything ends, and nothing of ours is left. A call
 * whose file is getting its name ends with that. */
static void close_down(struct fy_engine *engine) {
  for (;;) {
    serve_posts(engine, FY_MAX_WAITING * 2);
    fy_engine_drop_calls(engine, NULL, NULL);
    if (!engine->calls) {
      break;
    }
    wait_for_post(engine);
  }
  fy_credential_orphan_all(engine);
  while (engine->transfers && may_free_parked(engine->transfers)) {
    fy_transfer_finish(engine->transfers, CURLE_ABORTED_BY_CALLBACK);
  }
  fy_easy_drop_pool(engine);
}

static void *engine_main(void *context) {
  struct fy_engine *engine = context;
  int forever;

  while (!atomic_load(&engine->stopping)) {
    fy_engine_turn(engine, fy_clock_now(), FY_NEVER, NULL);
    fy_lead_step_aside(engine);
  }
  forever = atomic_load(&engine->stopping) == FY_STOP_EXIT;
  if (!forever) {
    fy_process_hold_fork();
    close_down(engine);
    fy_take_back(0);
    fy_process_let_fork();
  }
  pthread_mutex_lock(&engine->lock);
  engine->stopped = 1;
  pthread_cond_signal(&engine->stopped_cond);
  pthread_mutex_unlock(&engine->lock);
  while (forever) {
    fy_thread_sleep(); /* its end would run destructors during the exit */
  }
  return NULL;
}

/* --- Birth and death ---------------------------------------------------- */

static int init_curl(struct fy_engine *engine) {
  engine->multi = curl_multi_init();
  engine->share = curl_share_init();
  if (!engine->multi || !engine->share) {
    return -1;
  }
  fy_cloexec_wakeup(engine->multi);
  curl_share_setopt(engine->share, CURLSHOPT_SHARE,
                    CURL_LOCK_DATA_SSL_SESSION);
  curl_multi_setopt(engine->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(engine->multi, CURLMOPT_SOCKETDATA, engine);
  curl_multi_setopt(engine->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
  curl_multi_setopt(engine->multi, CURLMOPT_TIMERDATA, engine);
  curl_multi_setopt(engine->multi, CURLMOPT_MAXCONNECTS,
                    (long)FY_MAX_CONNECTIONS);
  return 0;
}

/* What the I/O thread posted when nobody served it any more. */
static void drop_posts(struct fy_engine *engine) {
  struct fy_post *post;
  unsigned wishes;

  while ((post = take_post(engine, &wishes))) {
    post->type->unref(post);
  }
}

void fy_engine_destroy(struct fy_engine *engine) {
  if (!engine) {
    return;
  }
  drop_posts(engine);
  fy_admission_clear(engine);
  fy_rate_clear(engine);
  if (!engine->transfers) {
    curl_multi_cleanup(engine->multi);
    curl_share_cleanup(engine->share);
    fy_lookups_clear(&engine->lookups);
  }
  fy_tunnel_clear(engine);
  fy_sockets_clear(&engine->sockets);
  fy_poller_free(engine->poller);
  fy_timers_clear(&engine->timers);
  fy_lead_clear(&engine->lead);
  pthread_cond_destroy(&engine->stopped_cond);
  pthread_mutex_destroy(&engine->rates_lock);
  pthread_mutex_destroy(&engine->lock);
  fy_free(engine);
}

struct fy_engine *fy_engine_create(void) {
  struct fy_engine *engine = fy_calloc(1, sizeof(*engine));

  if (!engine || fy_lead_init(&engine->lead)) {
    fy_free(engine);
    return NULL;
  }
  pthread_mutex_init(&engine->lock, NULL);
  pthread_mutex_init(&engine->rates_lock, NULL);
  pthread_cond_init(&engine->stopped_cond, NULL);
  engine->generation = fy_engine_generation();
  engine->curl_timer.fire = curl_timer_fire;
  engine->timer_demand = OWN_TIMERS;
  fy_admission_init(engine);
  if (fy_random(&engine->salt, sizeof(engine->salt))) {
    engine->salt = (uint64_t)fy_clock_now(); /* it only makes it better */
  }
  engine->poller = fy_poller_new();
  fy_sockets_init(&engine->sockets, engine->poller);
  if (!engine->poller || init_curl(engine) ||
      fy_timers_reserve(&engine->timers, engine->timer_demand) ||
      fy_thread_start(&engine->thread, engine_main, engine)) {
    fy_engine_destroy(engine);
    return NULL;
  }
  return engine;
}

void fy_engine_stop(struct fy_engine *engine, int how) {
  pthread_mutex_lock(&engine->lock);
  atomic_store(&engine->stopping, how);
  engine->posts_wake = 0;
  fy_lead_call(engine, 1);
  pthread_mutex_unlock(&engine->lock);
  fy_poller_wake(engine->poller);
}
