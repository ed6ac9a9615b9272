/* SPDX-License-Identifier: MIT */
/* The engine does the I/O of the process. It owns libcurl's multi handle,
 * every transfer and every deadline; because one thread at a time does its
 * work, they need no locks. That is a thread of its own, or a host that waits
 * (net/lead.h): "engine thread", here and elsewhere, is the one that leads. It
 * is started at the first request and shared by all clients and Lua states. */
#ifndef FY_NET_ENGINE_H
#define FY_NET_ENGINE_H

#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>

#include "freddy.h"
#include "net/admission.h"
#include "net/lead.h"
#include "net/lookups.h"
#include "net/poller.h"
#include "net/post.h"
#include "net/sockets.h"
#include "net/timers.h"

struct fy_credential;
struct fy_rate;
struct fy_transfer;
struct fy_tunnel;

/* Why it stops: the process exits, or freddy_shutdown. */
enum { FY_STOP_EXIT = 1, FY_STOP_SHUTDOWN };

struct fy_engine {
  pthread_t thread;
  uint64_t generation;  /* of the process */
  pthread_mutex_t lock; /* the queue, `posts_wake`, `stopped` */
  pthread_cond_t stopped_cond;
  _Atomic(struct fy_post *) first; /* written under the lock */
  struct fy_post *last;
  atomic_int posts_wake; /* written under the lock; 1: nothing was posted
                            since, and who posts has to wake the poller */
  int stopped;
  struct fy_lead lead;

  atomic_int stopping; /* 0, or why */
  atomic_int in_curl;

  struct fy_poller *poller;
  fy_time now; /* when it came to what it is at: the bytes of a socket, say */
  struct fy_sockets sockets;
  CURLM *multi;
  CURLSH *share;
  struct fy_timers timers;
  struct fy_timer curl_timer;
  struct fy_lookups lookups;
  struct fy_credential *credentials; /* sessions that it runs */
  struct freddy_call *calls;         /* in flight, the newest first */
  struct fy_admission admission;     /* those who wait to be sent */
  struct fy_rate *rates;             /* the limiters */
  pthread_mutex_t rates_lock;        /* for who only looks at them */
  uint64_t salt;                     /* of what they are found by */
  struct fy_transfer *ready_first;   /* admitted, not yet in the multi */
  struct fy_transfer *ready_last;
  uint64_t opened_before;        /* what `opened` was at the last launch */
  struct fy_transfer *transfers; /* all, parked ones included */
  struct fy_tunnel *tunnels;     /* the sockets to proxies */
  size_t timer_demand;           /* timers that may be armed at once */
  CURL *pool[FY_MAX_POOL];
  uint64_t pool_for[FY_MAX_POOL]; /* the client whose options it has, or 0 */
  int pooled;

  _Atomic uint64_t requests, attempts, failures;
  _Atomic uint64_t opened; /* sockets, whatever became of them */
  _Atomic uint64_t connected, reused;
  _Atomic uint64_t bytes_sent, bytes_received;
  _Atomic uint32_t in_flight, parked, waiting;
};

/* Initialise libcurl and register the fork and exit handlers, once for the
 * process. FREDDY_OK or FREDDY_ENOMEM. */
int fy_engine_prepare(freddy_error *err);

/* One turn: it is `now`; sleep until something is to be done or `until` has
 * come, and do it. `asleep`: the signals that are blocked in that sleep; NULL:
 * as they are. Leader. */
void fy_engine_turn(struct fy_engine *engine, fy_time now, fy_time until,
                    const sigset_t *asleep);

/* Around all that the engine does in a turn: no fork happens within. */
void fy_process_hold_fork(void);
void fy_process_let_fork(void);

/* A number that fork() changes in the child; never 0. */
uint64_t fy_engine_generation(void);

/* 1 when what was used with engine `generation` (0: with none yet) belongs to
 * the process of which this one is a fork. */
int fy_engine_is_foreign(uint64_t generation);

/* This process's engine, started if need be; NULL, with `err`, when there
 * is none to be had. */
struct fy_engine *fy_engine_get(freddy_error *err);
/* The same, but NULL when none runs. */
struct fy_engine *fy_engine_running(void);

/* Wish something of `post`. Never blocks for long: the lock is held for a
 * few instructions only. Any thread. */
void fy_engine_post(struct fy_engine *engine, struct fy_post *post,
                    unsigned wishes);

/* Take a call in, or let go of it; the engine's reference goes with it.
 * FREDDY_OK or FREDDY_ENOMEM. Engine thread. */
int fy_engine_adopt_call(struct fy_engine *engine, struct freddy_call *call);
void fy_engine_release_call(struct fy_engine *engine,
                            struct freddy_call *call);

/* Hand an admitted transfer to libcurl as soon as the turn allows. */
void fy_engine_ready(struct fy_engine *engine, struct fy_transfer *transfer);
void fy_engine_unready(struct fy_engine *engine, struct fy_transfer *transfer);

/* End, with FREDDY_ECLOSED, the calls of `client`; or drop those that report
 * to `inbox`; both NULL: end all. Engine thread. */
void fy_engine_drop_calls(struct fy_engine *engine,
                          const freddy_client *client,
                          const freddy_inbox *inbox);

/* Stop and free this process's engine, joining it. */
void fy_engine_shutdown(void);

/* One engine with its thread; NULL when there is none to be had. */
struct fy_engine *fy_engine_create(void);
/* Tell it to stop; never waits. */
void fy_engine_stop(struct fy_engine *engine, int how);
/* Free a joined one; NULL is fine. */
void fy_engine_destroy(struct fy_engine *engine);

#endif
