/* SPDX-License-Identifier: MIT */
#include "net/inbox.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "net/call.h"
#include "net/engine.h"
#include "net/flow.h"

#ifdef __linux__
#include <sys/eventfd.h>
#endif

static void post_ref(struct fy_post *post) {
  fy_inbox_ref((struct freddy_inbox *)post);
}

static void post_unref(struct fy_post *post) {
  fy_inbox_unref((struct freddy_inbox *)post);
}

/* The host is gone: so are the calls that would report to it. */
static void post_handle(struct fy_engine *engine, struct fy_post *post,
                        unsigned wishes) {
  (void)wishes;
  fy_engine_drop_calls(engine, NULL, (struct freddy_inbox *)post);
}

static const struct fy_post_type inbox_type = {post_handle, post_ref,
                                               post_unref};

struct freddy_inbox *fy_inbox_new(freddy_error *err) {
  struct freddy_inbox *inbox = fy_calloc(1, sizeof(*inbox));

  if (!inbox) {
    fy_error_nomem(err);
    return NULL;
  }
  if (fy_flag_init(&inbox->flag)) {
    fy_free(inbox);
    fy_error_nomem(err);
    return NULL;
  }
  pthread_mutex_init(&inbox->lock, NULL);
  inbox->post.type = &inbox_type;
  atomic_store(&inbox->refs, 1);
  inbox->fd = inbox->fd_write = -1;
  fy_bell_init(&inbox->bell);
  return inbox;
}

struct freddy_inbox *fy_inbox_ref(struct freddy_inbox *inbox) {
  atomic_fetch_add(&inbox->refs, 1);
  return inbox;
}

void fy_inbox_unref(struct freddy_inbox *inbox) {
  if (!inbox || atomic_fetch_sub(&inbox->refs, 1) != 1) {
    return;
  }
  if (inbox->fd >= 0) {
    close(inbox->fd);
  }
  if (inbox->fd_write >= 0 && inbox->fd_write != inbox->fd) {
    close(inbox->fd_write);
  }
  fy_bell_close(&inbox->bell);
  fy_chunk_give_back(inbox->held);
  fy_free(inbox->held_cause);
  fy_told_clear(&inbox->told);
  fy_flag_clear(&inbox->flag);
  pthread_mutex_destroy(&inbox->lock);
  fy_free(inbox);
}

static void fd_signal(struct freddy_inbox *inbox) {
  uint64_t one = 1;

  if (inbox->fd_write < 0 || inbox->fd_signalled) {
    return;
  }
  inbox->fd_signalled = 1;
  while (write(inbox->fd_write, &one, sizeof(one)) < 0 && errno == EINTR) {
  }
}

static void fd_quiet(struct freddy_inbox *inbox) {
  uint64_t value;

  if (!inbox->fd_signalled) {
    return;
  }
  inbox->fd_signalled = 0;
  while (read(inbox->fd, &value, sizeof(value)) < 0 && errno == EINTR) {
  }
}

/* Who leads the engine and lists this himself looks by himself. */
static void tell_waiter(struct freddy_inbox *inbox,
                        const struct freddy_call *call) {
  if (atomic_load(&inbox->waiters) > 0) {
    inbox->wake = 1;
    if (call->engine) {
      atomic_store(&call->engine->lead.told, inbox);
    }
  } else {
    inbox->wake =
        inbox->bell.armed ||
        (inbox->led && !pthread_equal(inbox->waiter, pthread_self()));
  }
}

void fy_inbox_list(struct freddy_inbox *inbox, struct freddy_call *call) {
  if (call->listed || inbox->closed || call->abandoned) {
    return;
  }
  call->listed = 1;
  call->next_listed = NULL;
  if (inbox->last) {
    inbox->last->next_listed = call;
    inbox->last = call;
    return;
  }
  inbox->first = inbox->last = call;
  fy_flag_raise(&inbox->flag);
  tell_waiter(inbox, call);
  fd_signal(inbox);
}

/* Whom the engine has to wake, by next_to_wake; each is referenced. Not a
 * thread-local: that of a loaded module is more than some tools can follow. */
static struct {
  atomic_int held;
  _Atomic pthread_t holder;
  struct freddy_inbox *first; /* the holder's */
} wakes;

static int holds_wakes(void) {
  return atomic_load(&wakes.held) &&
         pthread_equal(atomic_load(&wakes.holder), pthread_self());
}

/* The caller holds the lock. */
static void ring(struct freddy_inbox *inbox) {
  fy_bell_ring(&inbox->bell);
  if (inbox->led && !pthread_equal(inbox->waiter, pthread_self())) {
    fy_poller_wake(inbox->led->poller);
  }
}

void fy_inbox_unlock(struct freddy_inbox *inbox) {
  int wake = inbox->wake;

  inbox->wake = 0;
  if (wake && holds_wakes()) {
    wake = 0;
    if (!inbox->to_wake) {
      inbox->to_wake = 1;
      inbox->next_to_wake = wakes.first;
      wakes.first = fy_inbox_ref(inbox);
    }
  }
  if (wake) {
    ring(inbox);
  }
  pthread_mutex_unlock(&inbox->lock);
  if (wake) {
    fy_flag_wake(&inbox->flag);
  }
}

void fy_inbox_hold_wakes(void) {
  atomic_store(&wakes.holder, pthread_self());
  atomic_store(&wakes.held, 1);
}

void fy_inbox_let_wakes(void) {
  atomic_store(&wakes.held, 0);
  while (wakes.first) {
    struct freddy_inbox *inbox = wakes.first;

    wakes.first = inbox->next_to_wake;
    inbox->to_wake = 0;
    pthread_mutex_lock(&inbox->lock);
    ring(inbox);
    pthread_mutex_unlock(&inbox->lock);
    fy_flag_wake(&inbox->flag);
    fy_inbox_unref(inbox);
  }
}

static void became_empty(struct freddy_inbox *inbox) {
  if (!inbox->first) {
    inbox->last = NULL;
    fy_flag_lower(&inbox->flag);
    fd_quiet(inbox);
  }
}

void fy_inbox_unlist(struct freddy_inbox *inbox, struct freddy_call *call) {
  struct freddy_call **link = &inbox->first;
  struct freddy_call *before = NULL;

  if (!call->listed) {
    return;
  }
  while (*link != call) {
    before = *link;
    link = &before->next_listed;
  }
  *link = call->next_listed;
  if (inbox->last == call) {
    inbox->last = before;
  }
  call->listed = 0;
  became_empty(inbox);
}

void fy_inbox_cut(struct freddy_inbox *inbox) {
  pthread_mutex_lock(&inbox->lock);
  inbox->closed = 1;
  while (inbox->first) {
    fy_inbox_unlist(inbox, inbox->first);
  }
  fy_bell_close(&inbox->bell);
  pthread_mutex_unlock(&inbox->lock);
}

void fy_inbox_led_no_more(struct freddy_inbox *inbox) {
  pthread_mutex_lock(&inbox->lock);
  inbox->led = NULL;
  pthread_mutex_unlock(&inbox->lock);
}

/* 1 when there is nothing to wait for, or nothing left to wait with; else 0,
 * and whoever lists something wakes this thread: where it may lead `engine`,
 * or, NULL, in its sleep. */
static int look(struct freddy_inbox *inbox, struct fy_engine *engine) {
  int done;

  pthread_mutex_lock(&inbox->lock);
  inbox->has_waited = 1;
  inbox->waiter = pthread_self();
  inbox->led = engine;
  done = inbox->first || inbox->closed;
  if (!done && !engine) {
    atomic_fetch_add(&inbox->waiters, 1);
  }
  pthread_mutex_unlock(&inbox->lock);
  return done;
}

static double seconds_to(fy_time until) {
  fy_time now = fy_clock_now();

  return until == FY_NEVER ? -1
         : until > now     ? (double)(until - now) / (double)FY_SECOND
                           : 0;
}

static int wait_for(struct freddy_inbox *inbox, double seconds) {
  fy_time now = fy_clock_now();
  fy_time until = fy_clock_add(now, fy_clock_from_seconds(seconds));
  struct fy_engine *engine = fy_engine_running();

  if (engine && atomic_load(&inbox->generation) && !look(inbox, engine)) {
    if (fy_lead_wait(engine, inbox, now, until)) {
      return 1;
    } else if (fy_engine_is_foreign(inbox->generation)) {
      return 0; /* a signal handler has forked meanwhile */
    }
  }
  if (!look(inbox, NULL)) {
    fy_flag_wait(&inbox->flag, seconds_to(until));
    atomic_fetch_sub(&inbox->waiters, 1);
  }
  return fy_flag_is_up(&inbox->flag);
}

/* A thread that is cancelled in there would take with it what others need. */
int fy_inbox_wait(struct freddy_inbox *inbox, double seconds) {
#ifndef __ANDROID__ /* which has no pthread_cancel */
  int before, unused;

  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
#endif
  int is_ready = wait_for(inbox, seconds);

#ifndef __ANDROID__
  pthread_setcancelstate(before, &unused);
#endif
  return is_ready;
}

static int open_fds(int *readable, int *writable) {
#ifdef __linux__
  *readable = *writable = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return *readable < 0 ? -1 : 0;
#else
  int ends[2];

  if (pipe(ends)) {
    return -1;
  }
  for (int i = 0; i < 2; i++) {
    fcntl(ends[i], F_SETFD, FD_CLOEXEC);
    fcntl(ends[i], F_SETFL, O_NONBLOCK);
  }
  *readable = ends[0];
  *writable = ends[1];
  return 0;
#endif
}

int fy_inbox_fd(struct freddy_inbox *inbox, freddy_error *err) {
  int fd;

  pthread_mutex_lock(&inbox->lock);
  if (inbox->fd < 0) {
    if (open_fds(&inbox->fd, &inbox->fd_write)) {
      inbox->fd = inbox->fd_write = -1;
      fy_error_set(err, FREDDY_ENOMEM, NULL,
                   "no descriptor can be had for the inbox");
    } else if (inbox->first) {
      fd_signal(inbox);
    }
  }
  fd = inbox->fd;
  pthread_mutex_unlock(&inbox->lock);
  return fd;
}

int fy_inbox_bell_open(struct freddy_inbox *inbox, int *port, char *secret,
                       freddy_error *err) {
  int rc;

  pthread_mutex_lock(&inbox->lock);
  rc = fy_bell_open(&inbox->bell, port, err);
  memcpy(secret, inbox->bell.secret, sizeof(inbox->bell.secret));
  pthread_mutex_unlock(&inbox->lock);
  return rc;
}

int fy_inbox_bell_answer(struct freddy_inbox *inbox) {
  int answered;

  pthread_mutex_lock(&inbox->lock);
  answered = fy_bell_answer(&inbox->bell);
  pthread_mutex_unlock(&inbox->lock);
  return answered;
}

int fy_inbox_bell_arm(struct freddy_inbox *inbox) {
  int armed;

  pthread_mutex_lock(&inbox->lock);
  armed = inbox->bell.armed = !inbox->first && inbox->bell.socket >= 0;
  pthread_mutex_unlock(&inbox->lock);
  return armed;
}

void fy_inbox_bell_close(struct freddy_inbox *inbox) {
  pthread_mutex_lock(&inbox->lock);
  fy_bell_close(&inbox->bell);
  pthread_mutex_unlock(&inbox->lock);
}

/* What the last event told of is the host's no longer. */
static void let_go_of_held(struct freddy_inbox *inbox) {
  inbox->lender = NULL;
  if (inbox->held) {
    fy_chunk_give_back(inbox->held);
    inbox->held = NULL;
  }
  if (inbox->held_cause) {
    fy_free(inbox->held_cause);
    inbox->held_cause = NULL;
  }
  if (inbox->told.access || inbox->told.refresh) {
    fy_told_clear(&inbox->told);
  }
}

int fy_inbox_next(struct freddy_inbox *inbox, freddy_event *event) {
  struct freddy_call *call;
  struct fy_engine *engine = NULL;
  int resume = 0;

  pthread_mutex_lock(&inbox->lock);
  let_go_of_held(inbox);
  call = inbox->first;
  if (call) {
    inbox->first = call->next_listed;
    call->listed = 0;
    fy_call_next_event(call, event, &resume);
    if (call->out) {
      /* To the end of the list, without telling anyone: someone drains. */
      call->listed = 1;
      call->next_listed = NULL;
      if (inbox->first) {
        inbox->last->next_listed = call;
      } else {
        inbox->first = call;
      }
      inbox->last = call;
    }
    became_empty(inbox);
    engine = call->engine;
  }
  pthread_mutex_unlock(&inbox->lock);
  if (resume) {
    fy_engine_post(engine, &call->post, FY_CALL_RESUME);
  }
  return call != NULL;
}
