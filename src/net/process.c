/* SPDX-License-Identifier: MIT */
/* The process's one engine: made at the first request, forgotten by the
 * child of a fork, stopped at exit. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/error.h"
#include "net/at_risk.h"
#include "net/credential.h"
#include "net/engine.h"
#include "net/io_thread.h"
#include "net/listener.h"
#include "net/private_fd.h"
#include "net/save_file.h"

static pthread_mutex_t home = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(struct fy_engine *) current;
static _Atomic uint64_t generation = 1;
static int curl_is_ready, fork_is_watched, exit_is_watched;
static atomic_int exiting;

uint64_t fy_engine_generation(void) {
  return atomic_load(&generation);
}

int fy_engine_is_foreign(uint64_t used) {
  return used && used != fy_engine_generation();
}

void fy_process_hold_fork(void) {
  pthread_mutex_lock(&turn);
}

void fy_process_let_fork(void) {
  pthread_mutex_unlock(&turn);
}

/* A fork between two turns only: within one, the engine may hold locks of
 * libcurl (curl_easy_init has a process-wide one) or OpenSSL, and the child
 * would find them held for ever. */
static void before_fork(void) {
  pthread_mutex_lock(&home);
  pthread_mutex_lock(&turn);
  fy_private_fd_before_fork();
  fy_listeners_lock();
  fy_credential_lock_table();
}

static void after_fork_in_parent(void) {
  fy_credential_unlock_table();
  fy_listeners_unlock();
  fy_private_fd_after_fork();
  pthread_mutex_unlock(&turn);
  pthread_mutex_unlock(&home);
}

/* Nothing of the parent's engine is locked, freed or closed: its threads are
 * not here, and its own locks may be held by the host's. But copies of
 * descriptors that keep files locked do not stay. */
static void after_fork_in_child(void) {
  atomic_store(&current, NULL);
  atomic_fetch_add(&generation, 1);
  fy_io_forget();
  fy_private_fd_forget();
  fy_save_file_forget();
  fy_at_risk_forget();
  fy_credential_unlock_table();
  fy_listeners_unlock();
  pthread_mutex_unlock(&turn);
  pthread_mutex_unlock(&home);
}

static void add_ms(struct timespec *at, long ms) {
  at->tv_sec += ms / 1000;
  at->tv_nsec += ms % 1000 * 1000000L;
  if (at->tv_nsec >= 1000000000L) {
    at->tv_sec++;
    at->tv_nsec -= 1000000000L;
  }
}

/* The caller holds the engine's lock. */
static void wait_stopped(struct fy_engine *engine, long ms) {
  struct timespec until;

  clock_gettime(CLOCK_REALTIME, &until);
  add_ms(&until, ms);
  while (!engine->stopped &&
         pthread_cond_timedwait(&engine->stopped_cond, &engine->lock,
                                &until) != ETIMEDOUT) {
  }
}

/* Runs before OpenSSL takes itself down, since it was registered after
 * OpenSSL's own handler. A thread that is inside libcurl now may be inside
 * OpenSSL: it is given a second to come out. */
static void stop_at_exit(void) {
  struct fy_engine *engine = atomic_load(&current);

  atomic_store(&exiting, 1);
  if (!engine) {
    return;
  }
  fy_lead_abdicate(engine);
  fy_at_risk_wait();
  fy_engine_stop(engine, FY_STOP_EXIT);
  pthread_mutex_lock(&engine->lock);
  wait_stopped(engine, 50);
  if (!engine->stopped && atomic_load(&engine->in_curl)) {
    wait_stopped(engine, 1000);
  }
  pthread_mutex_unlock(&engine->lock);
  fy_save_file_exit();
  atomic_store(&current, NULL); /* nobody may join it any more */
}

int fy_engine_prepare(freddy_error *err) {
  int rc = FREDDY_OK;

  pthread_mutex_lock(&home);
  curl_is_ready =
      curl_is_ready || curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  fork_is_watched =
      fork_is_watched || pthread_atfork(before_fork, after_fork_in_parent,
                                        after_fork_in_child) == 0;
  exit_is_watched =
      exit_is_watched || (curl_is_ready && atexit(stop_at_exit) == 0);
  if (!curl_is_ready || !fork_is_watched || !exit_is_watched) {
    rc = fy_error_nomem(err);
  }
  pthread_mutex_unlock(&home);
  return rc;
}

struct fy_engine *fy_engine_running(void) {
  return atomic_load(&current);
}

struct fy_engine *fy_engine_get(freddy_error *err) {
  struct fy_engine *engine = atomic_load(&current);

  if (engine) {
    return engine;
  }
  if (atomic_load(&exiting)) {
    fy_error_set(err, FREDDY_ECLOSED, NULL, "the process is exiting");
    return NULL;
  }
  pthread_mutex_lock(&home);
  engine = atomic_load(&current);
  if (!engine) {
    engine = fy_engine_create();
    atomic_store(&current, engine);
  }
  pthread_mutex_unlock(&home);
  if (!engine) {
    fy_error_nomem(err);
  }
  return engine;
}

void fy_engine_shutdown(void) {
  struct fy_engine *engine;

  pthread_mutex_lock(&home);
  engine = atomic_load(&current);
  atomic_store(&current, NULL);
  pthread_mutex_unlock(&home);
  if (engine) {
    fy_engine_stop(engine, FY_STOP_SHUTDOWN);
    pthread_join(engine->thread, NULL);
  }
  fy_io_shutdown();
  fy_engine_destroy(engine);
}
