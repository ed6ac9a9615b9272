/* SPDX-License-Identifier: MIT */
#include "net/lead.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "net/call.h"
#include "net/engine.h"
#include "net/inbox.h"

/* For how long nobody may lead, the more while a host always came back, and
 * at the most twice that: by so much is late what is due then. With nothing
 * but event streams those are their events, for a host that went away: what it
 * starts meanwhile calls the engine's thread at once. */
#define PATIENCE (2 * FY_MILLISECOND)
#define MOST_PATIENCE (16 * FY_MILLISECOND)
#define STREAM_PATIENCE (64 * FY_MILLISECOND)

/* The poller's grain: a host that meant to wait for less is not to lead. */
#define MOMENT FY_MILLISECOND

/* How long signals may have to wait. */
#define PEEK (10 * FY_MILLISECOND)

/* So many requests of a host are worth a thread of their own. */
enum { MANY = 8 };

/* How the engine's thread is called by the host itself that led last. */
enum { UNLESS_IT_LEADS = 2 };

#ifdef __APPLE__
#define COND_CLOCK CLOCK_REALTIME
#else
#define COND_CLOCK CLOCK_MONOTONIC
#endif

/* libcurl sends with MSG_NOSIGNAL, and since 7.88 OpenSSL sends through
 * libcurl. Of other TLS libraries nothing is known. */
static int may_raise_pipes(void) {
  static const char openssl[] = "OpenSSL/";
  const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);

  return curl->version_num < 0x075800 || curl->ares || !curl->ssl_version ||
         strncmp(curl->ssl_version, openssl, sizeof(openssl) - 1) != 0;
}

int fy_lead_init(struct fy_lead *lead) {
  pthread_condattr_t attr;
  int rc = pthread_condattr_init(&attr);

  sigfillset(&lead->all);
  lead->raises_pipes = may_raise_pipes();
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

static fy_time more_patience(const struct fy_lead *lead, fy_time patience) {
  fy_time most = lead->streams_only ? STREAM_PATIENCE : MOST_PATIENCE;

  return 2 * patience < most ? 2 * patience : most;
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
        patience = more_patience(lead, patience);
      } else if (by == FY_LED_BY_NOBODY) {
        break;
      }
    }
    seen = turns;
  }
  lead->by = FY_LED_BY_ENGINE;
  lead->is_called = 0;
}

/* Only for one that was woken after it last went to sleep: another would not
 * come. */
void fy_lead_step_aside(struct fy_engine *engine) {
  struct fy_lead *lead = &engine->lead;
  const void *told;

  if (!atomic_load(&lead->told)) {
    return;
  }
  pthread_mutex_lock(&engine->lock);
  told = atomic_exchange(&lead->told, NULL);
  if (told && lead->wish == told && !engine->first &&
      !atomic_load(&engine->stopping) && may_lead(engine, told)) {
    lead->wish = NULL;
    lead->host = lead->wisher;
    lead->by = FY_LED_BY_NOBODY;
    lead->streams_only = 0;
    engine->posts_wake = 0;
    stand_by(engine);
  }
  pthread_mutex_unlock(&engine->lock);
}

void fy_lead_call(struct fy_engine *engine, int whoever) {
  struct fy_lead *lead = &engine->lead;

  int nobody = lead->by == FY_LED_BY_NOBODY;
  int by_host = nobody && pthread_equal(lead->host, pthread_self());

  if (whoever || (nobody && !by_host)) {
    lead->is_called = 1;
  } else if (by_host && lead->streams_only && !lead->is_called) {
    lead->is_called = UNLESS_IT_LEADS;
  } else {
    return;
  }
  pthread_cond_signal(&lead->cond);
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
      if (lead->is_called == UNLESS_IT_LEADS) {
        lead->is_called = 0;
      }
      engine->posts_wake = !engine->first;
    } else {
      fy_lead_call(engine, 1);
    }
  } else {
    lead->wish = inbox;
    lead->wisher = pthread_self();
    atomic_store(&lead->told, NULL);
  }
  pthread_mutex_unlock(&engine->lock);
  return taken;
}

static void leave(struct fy_engine *engine, int goes_on) {
  struct fy_lead *lead = &engine->lead;

  pthread_mutex_lock(&engine->lock);
  lead->by = FY_LED_BY_NOBODY;
  lead->streams_only = lead->adopted && !lead->requests;
  engine->posts_wake = 0;
  if (goes_on || lead->is_called || engine->first) {
    fy_lead_call(engine, 1);
  } else if (lead->is_deaf) {
    pthread_cond_signal(&lead->cond);
  }
  pthread_mutex_unlock(&engine->lock);
}

void fy_lead_abdicate(struct fy_engine *engine) {
  struct fy_lead *lead = &engine->lead;

  pthread_mutex_lock(&engine->lock);
  if (lead->by == FY_LED_BY_HOST &&
      pthread_equal(lead->host, pthread_self())) {
    lead->by = FY_LED_BY_NOBODY;
    fy_lead_call(engine, 1);
  }
  pthread_mutex_unlock(&engine->lock);
}

/* --- Signals ------------------------------------------------------------ */

struct signals {
  sigset_t before;
  sigset_t asleep; /* blocked while it sleeps */
  int may_be_ours; /* a SIGPIPE that is pending afterwards */
};

/* Before the engine's lock is taken: a handler that calls exit takes it. */
static void hold_signals(const struct fy_lead *lead, struct signals *signals) {
  sigset_t pending;

  pthread_sigmask(SIG_SETMASK, &lead->all, &signals->before);
  signals->asleep = signals->before;
  signals->may_be_ours = lead->raises_pipes;
  if (lead->raises_pipes) {
    sigaddset(&signals->asleep, SIGPIPE);
    signals->may_be_ours = sigismember(&signals->before, SIGPIPE) != 1 ||
                           sigpending(&pending) != 0 ||
                           sigismember(&pending, SIGPIPE) != 1;
  }
}

/* While one socket after the other is ready, the poller lets none in. */
static void peek_at_signals(const struct fy_lead *lead,
                            const struct signals *signals) {
  pthread_sigmask(SIG_SETMASK, &signals->asleep, NULL);
  pthread_sigmask(SIG_SETMASK, &lead->all, NULL);
}

/* Where there is no sigtimedwait, no host leads. */
static void swallow_pipe(void) {
#ifdef __linux__
  static const struct timespec at_once = {0, 0};
  sigset_t pipe;

  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  while (sigtimedwait(&pipe, NULL, &at_once) < 0 && errno == EINTR) {
  }
#endif
}

/* A SIGPIPE of ours goes no further. */
static void let_signals(const struct signals *signals) {
  if (signals->may_be_ours) {
    swallow_pipe();
  }
  pthread_sigmask(SIG_SETMASK, &signals->before, NULL);
}

/* --- Its turns ---------------------------------------------------------- */

/* 1 when the engine's thread has to go on. */
static int take_turns(struct fy_engine *engine,
                      const struct freddy_inbox *inbox, fy_time now,
                      fy_time until, const struct signals *signals) {
  fy_time peeked = now;
  int may;

  while ((may = may_lead(engine, inbox)) && !fy_flag_is_up(&inbox->flag) &&
         !atomic_load(&engine->stopping) && now < until) {
    fy_engine_turn(engine, now, until, &signals->asleep);
    if (engine->now - peeked > PEEK) {
      peek_at_signals(&engine->lead, signals);
      peeked = engine->now;
    }
    if (fy_engine_is_foreign(inbox->generation)) {
      return 0; /* a handler has forked, in a turn's sleep or in that peek */
    }
    if (!fy_flag_is_up(&inbox->flag)) {
      now = fy_clock_now();
    }
  }
  return !may || !fy_flag_is_up(&inbox->flag);
}

int fy_lead_wait(struct fy_engine *engine, struct freddy_inbox *inbox,
                 fy_time now, fy_time until) {
  struct signals signals;
  int goes_on;
  int is_ready = 0;

  hold_signals(&engine->lead, &signals);
  if (take(engine, inbox)) {
    goes_on =
        take_turns(engine, inbox, now, fy_clock_add(until, -MOMENT), &signals);
    if (!fy_engine_is_foreign(inbox->generation)) {
      fy_inbox_led_no_more(inbox);
      leave(engine, goes_on);
      is_ready = fy_flag_is_up(&inbox->flag);
    }
  } else {
    signals.may_be_ours = 0;
  }
  let_signals(&signals);
  return is_ready;
}
