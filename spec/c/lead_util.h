/* SPDX-License-Identifier: MIT */
/* A host that waits and takes the engine's turns meanwhile: how to make a
 * thread one, and how to see that it is. */
#ifndef FY_SPEC_LEAD_UTIL_H
#define FY_SPEC_LEAD_UTIL_H

#include <poll.h>
#include <sys/mman.h>

#include "engine_util.h"
#include "net/engine.h"

/* --- Who leads ---------------------------------------------------------- */

static inline enum fy_leader lead_by(void) {
  struct fy_engine *engine = fy_engine_running();
  enum fy_leader by;

  pthread_mutex_lock(&engine->lock);
  by = engine->lead.by;
  pthread_mutex_unlock(&engine->lock);
  return by;
}

static inline unsigned lead_turns(void) {
  struct fy_engine *engine = fy_engine_running();
  unsigned turns = 0;

  if (engine) {
    pthread_mutex_lock(&engine->lock);
    turns = engine->lead.turns;
    pthread_mutex_unlock(&engine->lock);
  }
  return turns;
}

/* 0 unless `thread` leads; 2 when it sleeps in its turn, else 1. */
static inline int lead_is(pthread_t thread) {
  struct fy_engine *engine = fy_engine_running();
  int is;

  if (!engine) {
    return 0; /* the process exits */
  }
  pthread_mutex_lock(&engine->lock);
  is = engine->lead.by == FY_LED_BY_HOST &&
               pthread_equal(engine->lead.host, thread)
           ? 1 + (engine->posts_wake != 0)
           : 0;
  pthread_mutex_unlock(&engine->lock);
  return is;
}

static inline int lead_sleeps(pthread_t thread) {
  return lead_is(thread) == 2;
}

/* --- The server --------------------------------------------------------- */

/* What a test asks of its server; forked children ask the same one. */
struct desk {
  atomic_int ticks;    /* events that /ticks has to have sent */
  atomic_int end;      /* and then it ends */
  atomic_int released; /* /gate answers, /flood ends */
};

static struct desk *desk;

/* The client has closed, or sent more; a moment is waited for it. */
static inline int desk_gone(int fd) {
  struct pollfd at = {.fd = fd, .events = POLLIN};

  return poll(&at, 1, 1) > 0;
}

static inline int desk_ticks(int fd) {
  static const char head[] =
      "HTTP/1.1 200 X\r\nContent-Type: text/event-stream\r\n\r\n";

  if (loop_write(fd, head, sizeof(head) - 1)) {
    return 0;
  }
  for (int sent = 0; !desk_gone(fd);) {
    if (sent < atomic_load(&desk->ticks)) {
      sent++;
      loop_write(fd, "data: tick\n\n", 12);
    } else if (atomic_load(&desk->end)) {
      break;
    }
  }
  return 0;
}

/* Much to read and little to keep, until it is released: who reads it has no
 * time to sleep. */
static inline int desk_flood(int fd) {
  static const char head[] =
      "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n";
  static const char chunk[] = "1\r\n.\r\n";
  char block[1000 * (sizeof(chunk) - 1)];

  for (size_t i = 0; i < sizeof(block); i++) {
    block[i] = chunk[i % (sizeof(chunk) - 1)];
  }
  loop_write(fd, head, sizeof(head) - 1);
  while (!atomic_load(&desk->released)) {
    if (loop_write(fd, block, sizeof(block))) {
      return 0;
    }
  }
  return loop_write(fd, "0\r\n\r\n", 5) == 0;
}

static inline int desk_reset(int fd) {
  static const char half[] = "HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\nhalf";
  struct linger linger = {.l_onoff = 1, .l_linger = 0};

  loop_write(fd, half, sizeof(half) - 1);
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
  return 0;
}

static inline int desk_serve(struct loopback *server, int fd,
                             const struct loop_request *req, int nth) {
  char byte;

  (void)server;
  (void)nth;
  if (strcmp(req->path, "/silent") == 0) {
    return recv(fd, &byte, 1, 0) > 0;
  }
  if (strcmp(req->path, "/ticks") == 0) {
    return desk_ticks(fd);
  }
  if (strcmp(req->path, "/flood") == 0) {
    return desk_flood(fd);
  }
  if (strcmp(req->path, "/reset") == 0) {
    return desk_reset(fd);
  }
  if (strcmp(req->path, "/gate") == 0) {
    while (!atomic_load(&desk->released)) {
      if (desk_gone(fd)) {
        return 0;
      }
    }
  }
  return loop_answer(fd, 200, "", "hello") == 0 &&
         strcmp(req->path, "/last") != 0; /* closes without a word */
}

static inline void desk_open(struct rig *rig) {
  desk = mmap(NULL, sizeof(*desk), PROT_READ | PROT_WRITE,
              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (desk == MAP_FAILED) {
    perror("mmap");
    exit(2);
  }
  rig_open(rig, desk_serve);
}

/* --- Requests ----------------------------------------------------------- */

static inline void rig_get(struct rig *rig, const char *path) {
  freddy_request req = {.path = path};
  freddy_call *call = rig_start(rig, &req);

  rig_done(rig->inbox, call);
  CHECK_TEXT(rig_kind(call), "ok");
  CHECK_INT(freddy_call_status(call), 200);
  freddy_call_free(call);
}

/* Requests until this thread has led once more. The last wait is one that it
 * has led, all of it or a part. */
static inline void rig_lead(struct rig *rig) {
  time_t until = time(NULL) + PATIENCE;
  unsigned before = lead_turns();

  do {
    rig_get(rig, "/hello");
  } while (fy_poller_lets_signals_in() && lead_turns() == before &&
           time(NULL) < until);
  CHECK(!fy_poller_lets_signals_in() || lead_turns() != before);
}

/* A rig of its own on the same server. */
static inline struct rig rig_fresh(const struct rig *rig) {
  struct rig fresh = *rig;

  fresh.client = rig_client(rig->server->port, NULL);
  CHECK_INT(freddy_inbox_new(&fresh.inbox, NULL), FREDDY_OK);
  return fresh;
}

static inline void rig_drop(struct rig *rig) {
  freddy_inbox_free(rig->inbox);
  freddy_client_free(rig->client);
}

/* --- A thread that waits ------------------------------------------------ */

/* It checks nothing itself: the harness is for one thread. */
struct host {
  struct rig rig; /* an inbox of its own */
  pthread_t thread;
  freddy_call *call;
  atomic_int ticks; /* events that it was given */
  atomic_int waits; /* that have ended */
  char kind[32];    /* how its call did; "" while it has not ended */
};

static inline void host_take(struct host *host) {
  freddy_event event;

  while (freddy_inbox_next(host->rig.inbox, &event)) {
    if (event.type == FREDDY_EVENT) {
      atomic_fetch_add(&host->ticks, 1);
    } else if (event.type == FREDDY_DONE) {
      snprintf(host->kind, sizeof(host->kind), "%s", rig_kind(host->call));
    }
  }
}

/* Also when the thread is cancelled. */
static inline void host_leave(void *context) {
  struct host *host = context;

  freddy_call_free(host->call);
  freddy_inbox_free(host->rig.inbox);
}

static inline void host_wait(struct host *host) {
  freddy_request req = {.path = "/ticks", .events = 1, .retries = -1};

  if (freddy_start(host->rig.client, host->rig.inbox, &req, &host->call,
                   NULL)) {
    return;
  }
  while (!host->kind[0] && freddy_inbox_wait(host->rig.inbox, PATIENCE)) {
    atomic_fetch_add(&host->waits, 1);
    pthread_testcancel();
    host_take(host);
  }
}

static inline void *host_main(void *context) {
  if (freddy_inbox_new(&((struct host *)context)->rig.inbox, NULL) == 0) {
    pthread_cleanup_push(host_leave, context);
    host_wait(context);
    pthread_cleanup_pop(1);
  }
  return context;
}

static inline void host_open(struct host *host, const struct rig *rig) {
  memset(host, 0, sizeof(*host));
  host->rig = *rig;
  host->rig.inbox = NULL;
  atomic_store(&desk->ticks, 0);
  atomic_store(&desk->end, 0);
  pthread_create(&host->thread, NULL, host_main, host);
}

/* One event more, which it takes. */
static inline void host_tick(struct host *host) {
  int ticks = atomic_fetch_add(&desk->ticks, 1) + 1;

  EVENTUALLY(atomic_load(&host->ticks) == ticks);
}

/* Events until it waits and leads meanwhile. The engine's thread steps aside
 * for a moment only, which may be over before the host is back. */
static inline void host_lead(struct host *host) {
  const struct timespec pause = {0, 1000000};
  time_t until = time(NULL) + PATIENCE;

  do {
    host_tick(host);
    for (int i = 0;
         i < 20 && fy_poller_lets_signals_in() && !lead_sleeps(host->thread);
         i++) {
      nanosleep(&pause, NULL);
    }
  } while (fy_poller_lets_signals_in() && !lead_sleeps(host->thread) &&
           time(NULL) < until);
  CHECK(!fy_poller_lets_signals_in() || lead_sleeps(host->thread));
}

/* It waits on, and is not called away from it but by an event. */
static inline void host_goes_on(struct host *host) {
  int waits = atomic_load(&host->waits);

  host_tick(host);
  CHECK(atomic_load(&host->waits) > waits);
}

static inline void host_join(struct host *host, const char *kind) {
  void *ended = NULL;

  pthread_join(host->thread, &ended);
  CHECK(ended == host);
  CHECK_TEXT(host->kind, kind);
}

static inline void host_close(struct host *host) {
  atomic_store(&desk->end, 1);
  host_join(host, "ok");
}

#endif
