/* SPDX-License-Identifier: MIT */
#include "net/lead.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "net/call.h"
#include "net/engine.h"
#include "net/inbox.h"

/* For how long nobody may lead, and the more while a host always came back:
 * what is due then is late by that. */
#define PATIENCE (2 * FY_MILLISECOND)
#define MOST_PATIENCE (8 * FY_MILLISECOND)

/* So many requests of a host are worth a thread of their own. */
enum { MANY = 8 };

#ifdef __APPLE__
#define COND_CLOCK CLOCK_REALTIME
#else
#define COND_CLOCK CLOCK_MONOTONIC
#endif

int fy_lead_init(struct fy_lead *lead) {
  pthread_condattr_t attr;
  int rc = pthread_condattr_init(&attr);

  if (rc) {
    return -1;
  }
#ifndef __APPLE__
  pthread_condattr_setclock(&attr, COND_CLOCK);
#endif
  rc = pthread_cond_init(&lead->cond, &attr);
  pthread_condattr_destroy(&attr);
  return rc ? -1 : 0;
}

void fy_lead_clear(struct fy_lead *lead) {
  pthread_cond_destroy(&lead->cond);
}

/* Whether the host of `inbox` may; its own calls only, or none. `inbox` is
 * looked into only where a call keeps it alive. */
static int may_lead(const struct fy_engine *engine, const void *inbox) {
  return fy_poller_lets_signals_in() && engine->lead.connecting == 0 &&
         engine->lead.requests < MANY &&
         (!engine->calls ||
          (engine->calls->inbox == inbox &&
           engine->calls->inbox->adopted == engine->lead.adopted));
}

void fy_lead_adopt(struct fy_engine *engine, struct freddy_call *call,
                   int change) {
  engine->lead.adopted += change;
  engine->lead.requests += call->events ? 0 : change;
  call->inbox->adopted += change;
}

/* --- The engine's thread ------------------------------------------------ */

static void doze(struct fy_engine *engine, fy_time patience) {
  struct timespec until;

  clock_gettime(COND_CLOCK, &until);
  until.tv_nsec += (long)patience;
  if (until.tv_nsec >= 1000000000L) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000L;
  }
  pthread_cond_timedwait(&engine->lead.cond, &engine->lock, &until);
}

/* The caller holds the lock, as in fy_lead_call. */
static void stand_by(struct fy_engine *engine) {
  struct fy_lead *lead = &engine->lead;
  fy_time patience = PATIENCE;
  unsigned seen = lead->turns - 1;

  while (lead->by != FY_LED_BY_NOBODY || !lead->is_called) {
    enum fy_leader by = lead->by;
    unsigned turns = lead->turns;

    if (by == FY_LED_BY_HOST && turns == seen) {
      lead->is_deaf = 1;
      pthread_cond_wait(&lead->cond, &engine->lock);
      lead->is_deaf = 0;
    } else {
      doze(engine, patience);
      if (lead->turns != turns) {
        patience = patience < MOST_PATIENCE ? 2 * patience : patience;
      } else if (by == FY_LED_BY_NOBODY) {
        break;
      }
    }
    seen = turns;
  }
  lead->by = FY_LED_BY_ENGINE;
  lead->is_called = 0;
}

void fy_lead_step_aside(struct fy_engine *engine) {
  struct fy_lead *lead = &engine->lead;
  const void *told = atomic_exchange(&lead->told, NULL);

  if (!told || !may_lead(engine, told)) {
    return;
  }
  pthread_mutex_lock(&engine->lock);
  if (lead->wish == told && !atomic_load(&engine->stopping)) {
    lead->wish = NULL;
    lead->by = FY_LED_BY_NOBODY;
    engine->sleeping = 0;
    stand_by(engine);
  }
  pthread_mutex_unlock(&engine->lock);
}

void fy_lead_call(struct fy_engine *engine, int by_anyone) {
  struct fy_lead *lead = &engine->lead;

  if (by_anyone || (lead->by == FY_LED_BY_NOBODY &&
                    !pthread_equal(lead->host, pthread_self()))) {
    lead->is_called = 1;
    pthread_cond_signal(&lead->cond);
  }
}

/* --- A host ------------------------------------------------------------- */

static int take(struct fy_engine *engine, const struct freddy_inbox *inbox) {
  struct fy_lead *lead = &engine->lead;
  int taken = 0;

  pthread_mutex_lock(&engine->lock);
  if (lead->by == FY_LED_BY_NOBODY && !atomic_load(&engine->stopping)) {
    taken = may_lead(engine, inbox);
    if (taken) {
      lead->by = FY_LED_BY_HOST;
      lead->host = pthread_self();
      lead->turns++;
    } else {
      fy_lead_call(engine, 1);
    }
  } else {
    lead->wish = inbox;
  }
  pthread_mutex_unlock(&engine->lock);
  return taken;
}

static void leave(struct fy_engine *engine, int goes_on) {
  struct fy_lead *lead = &engine->lead;

  pthread_mutex_lock(&engine->lock);
  lead->by = FY_LED_BY_NOBODY;
  engine->sleeping = 0;
  if (goes_on || lead->is_called) {
    fy_lead_call(engine, 1);
  } else if (lead->is_deaf) {
    pthread_cond_signal(&lead->cond);
  }
  pthread_mutex_unlock(&engine->lock);
}

struct signals {
  sigset_t before;
  sigset_t asleep; /* blocked while it sleeps */
  int cancel_state;
};

/* Nor may pthread_cancel end a thread that leads. */
static void hold_signals(struct signals *signals) {
  sigset_t all;

  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &signals->cancel_state);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &signals->before);
  signals->asleep = signals->before;
  sigaddset(&signals->asleep, SIGPIPE);
}

/* OpenSSL writes without MSG_NOSIGNAL: a SIGPIPE of ours goes no further. */
static void let_signals(const struct signals *signals) {
  static const struct timespec at_once = {0, 0};
  sigset_t pipe;

  if (!sigismember(&signals->before, SIGPIPE)) {
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    while (sigtimedwait(&pipe, NULL, &at_once) < 0 && errno == EINTR) {
    }
  }
  pthread_sigmask(SIG_SETMASK, &signals->before, NULL);
  pthread_setcancelstate(signals->cancel_state, NULL);
}

void fy_lead_wait(struct fy_engine *engine, struct freddy_inbox *inbox,
                  fy_time until) {
  struct signals signals;
  int may;

  if (!take(engine, inbox)) {
    return;
  }
  hold_signals(&signals);
  fy_inbox_led(inbox, engine);
  while ((may = may_lead(engine, inbox)) && !fy_flag_is_up(&inbox->flag) &&
         !atomic_load(&engine->stopping) && fy_clock_now() < until) {
    fy_engine_turn(engine, until, &signals.asleep);
  }
  fy_inbox_led(inbox, NULL);
  let_signals(&signals);
  leave(engine, !may || !fy_flag_is_up(&inbox->flag));
}
