/* SPDX-License-Identifier: MIT */
/* Who takes the engine's turns (leader and followers). Mostly its own thread.
 * But a host that waits in an inbox has nothing else to do, and the two
 * wake-ups of a request cost more than the request. So where all calls in
 * flight are that host's own, the engine's thread steps aside as soon as it
 * has woken the host, which takes the turns of its next waits itself. The
 * engine's thread stands by, and leads again when for a moment nobody has,
 * or when somebody else wants something.
 *
 * A turn must not keep a host for longer than it meant to wait: it does not
 * lead while a connection is being opened (a TLS handshake takes tens of
 * milliseconds), and the longest of what is left is a read of libcurl's. Nor
 * does it where many requests are in flight: two threads get more done then
 * than the wake-ups cost.
 *
 * In its turns signals are blocked, as they are in the engine's thread; they
 * come in while it sleeps. */
#ifndef FY_NET_LEAD_H
#define FY_NET_LEAD_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/clock.h"

struct freddy_call;
struct freddy_inbox;
struct fy_engine;

enum fy_leader { FY_LED_BY_ENGINE, FY_LED_BY_HOST, FY_LED_BY_NOBODY };

struct fy_lead {
  /* By the engine's lock. */
  enum fy_leader by;
  pthread_cond_t cond; /* the engine's thread stands by */
  int is_called;       /* and has to lead again; 2: unless the host does */
  int is_deaf;         /* or looks no more whether it has to */
  pthread_t host;      /* the last one that led, or was let to */
  unsigned turns;      /* how often one has led */
  int streams_only;    /* and had no other calls then */
  const void *wish;    /* the inbox that was waited in last */
  pthread_t wisher;    /* by whom */

  const void *_Atomic told; /* the inbox whose waiter was woken last, unless
                               somebody has gone to sleep since */

  /* Set for good. */
  sigset_t all;     /* signals: blocked while a host works */
  int raises_pipes; /* 1: that work may raise SIGPIPE */

  /* The leader's. */
  int connecting; /* connections that are being opened */
  int adopted;    /* calls in flight */
  int requests;   /* those of them that are no event streams */
};

/* 0, or -1 when there is no memory. */
int fy_lead_init(struct fy_lead *lead);
void fy_lead_clear(struct fy_lead *lead);

/* After a turn of the engine's thread: if a host was woken that may lead,
 * stand by until this thread has to. */
void fy_lead_step_aside(struct fy_engine *engine);

/* The engine's thread has to lead; `whoever`: 0 when something was posted, by
 * the host that led last perhaps, which is mostly about to lead again. The
 * caller holds the engine's lock. */
void fy_lead_call(struct fy_engine *engine, int whoever);

/* This thread is to end the process, perhaps in a signal handler: it leads no
 * more. */
void fy_lead_abdicate(struct fy_engine *engine);

/* `call` is (1) or is no more (-1) in flight. Leader. */
void fy_lead_adopt(struct fy_engine *engine, struct freddy_call *call,
                   int change);

/* It is `now`. Take turns until something is in `inbox`, `until` is less than
 * a moment away, or the engine's thread has to go on; not one where that
 * leads. 1 when it has, and something is in `inbox`. */
int fy_lead_wait(struct fy_engine *engine, struct freddy_inbox *inbox,
                 fy_time now, fy_time until);

#endif
