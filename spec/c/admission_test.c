/* SPDX-License-Identifier: MIT */
/* Requests that wait to be sent, through freddy.h: limits, places, what is
 * told of them, and ends in between. */
#include <pthread.h>

#include "engine_util.h"

enum { QUEUE = 1000, THREADS = 4 };

static atomic_int held; /* 1: answers wait */
static atomic_int busy; /* answers of 503 left */

/* To another origin. */
static int lead(const struct loopback *server, int fd, const char *to) {
  char text[100];

  snprintf(text, sizeof(text), "Location: http://localhost:%u%s\r\n",
           server->port, to);
  return loop_answer(fd, 307, text, "") == 0;
}

/* An answer that asks for two seconds, and says no more. */
static int stall(int fd) {
  static const char head[] =
      "HTTP/1.1 503 X\r\nContent-Length: 9\r\nRetry-After: 2\r\n\r\n";
  char byte;

  loop_write(fd, head, sizeof(head) - 1);
  return recv(fd, &byte, 1, 0) > 0;
}

static int serve(struct loopback *server, int fd,
                 const struct loop_request *req, int nth) {
  (void)nth;
  if (strcmp(req->path, "/away") == 0) {
    return lead(server, fd, "/window");
  }
  if (strcmp(req->path, "/busy") == 0 && atomic_fetch_sub(&busy, 1) > 0) {
    return loop_answer(fd, 503, "", "") == 0;
  }
  if (strcmp(req->path, "/nowhere") == 0) {
    return loop_answer(fd, 302, "", "") == 0;
  }
  if (strcmp(req->path, "/stall") == 0) {
    return stall(fd);
  }
  while (atomic_load(&held) && strcmp(req->path, "/held") == 0) {
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  }
  if (strcmp(req->path, "/window") == 0) {
    return loop_answer(fd, 200,
                       "X-RateLimit-Limit: 7\r\nX-RateLimit-Remaining: 0\r\n"
                       "X-RateLimit-Reset: 3000\r\n",
                       "last") == 0;
  }
  return loop_answer(fd, 200, "", "right") == 0;
}

static const freddy_rate_limit slow = {FREDDY_RATE_PLAN, NULL, 1, 1, 0};
static const freddy_rate_limit fast = {FREDDY_RATE_PLAN, NULL, 6000000, 0, 0};

/* A client of the rig's server with a limiter of its own, and the rig with
 * that instead. */
static struct rig with_limit(const struct rig *rig, const char *key,
                             const freddy_rate_limit *limit) {
  freddy_options options = {.api_key = key, .retries = -1};
  struct rig own = *rig;

  options.rate_limit = *limit;
  own.client = rig_client(rig->server->port, &options);
  return own;
}

static freddy_call *start(struct rig *rig, const char *path) {
  freddy_request req = {.path = path};

  return rig_start(rig, &req);
}

/* In whatever order they end. */
static void end(struct rig *rig, freddy_call *call, const char *kind) {
  while (!freddy_call_done(call)) {
    freddy_event event;

    if (!rig_event(rig->inbox, &event)) {
      CHECK(!"no FREDDY_DONE came");
      break;
    }
  }
  CHECK_TEXT(rig_kind(call), kind);
  freddy_call_free(call);
}

static uint32_t waiting(freddy_client *client) {
  freddy_client_stats stats;

  freddy_client_stats_get(client, &stats);
  return stats.waiting;
}

static void test_before_anything(struct rig *rig) {
  freddy_rate_limit premium = {FREDDY_RATE_PLAN, "premium", 0, 0, 0};
  struct rig own = with_limit(rig, "before", &premium);
  freddy_client_stats stats;
  freddy_rate rate;

  freddy_client_rate(own.client, &rate);
  CHECK_INT(rate.mode, FREDDY_RATE_PLAN);
  CHECK_INT(rate.per_minute, 1000);
  CHECK_INT(rate.room, 200);
  CHECK(rate.next == 0 && rate.limit == -1 && rate.resets_in == -1);
  freddy_client_rate(rig->client, &rate);
  CHECK_INT(rate.mode, FREDDY_RATE_ADAPTIVE);
  CHECK_INT(rate.room, -1);
  freddy_client_stats_get(own.client, &stats);
  CHECK_INT(stats.requests + stats.attempts + stats.waits, 0);
  freddy_client_free(own.client);
}

static void test_misuse(struct rig *rig) {
  static const freddy_rate_limit wrong[] = {
      {FREDDY_RATE_PLAN, NULL, 0, 0, 0},
      {FREDDY_RATE_PLAN, NULL, 10, 9, 0},
      {FREDDY_RATE_PLAN, "gold", 0, 0, 0},
  };
  freddy_rate rate;

  for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
    freddy_options options = {.api_key = "key"};
    freddy_client *client = NULL;
    freddy_error err = {.code = FREDDY_OK};

    options.rate_limit = wrong[i];
    CHECK_INT(freddy_client_new(&options, &client, &err), FREDDY_EMISUSE);
    CHECK(client == NULL);
    CHECK_INT(freddy_client_set_rate_limit(rig->client, &wrong[i], NULL),
              FREDDY_EMISUSE);
  }
  freddy_client_rate(rig->client, &rate);
  CHECK_INT(rate.mode, FREDDY_RATE_ADAPTIVE);
}

static void test_queue(struct rig *rig) {
  struct rig own = with_limit(rig, "queue", &slow);
  static freddy_call *calls[QUEUE + 1];
  freddy_call *refused;

  end(&own, start(&own, "/"), "ok");
  for (int i = 0; i < QUEUE; i++) {
    calls[i] = start(&own, "/");
  }
  refused = start(&own, "/");
  rig_done(own.inbox, refused);
  CHECK_TEXT(rig_kind(refused), "queue_full");
  CHECK_INT(freddy_call_error(refused)->sent, 0);
  freddy_call_free(refused);
  CHECK_INT(waiting(own.client), QUEUE);
  freddy_call_cancel(calls[500]); /* makes room for one */
  EVENTUALLY(waiting(own.client) == QUEUE - 1);
  calls[QUEUE] = start(&own, "/");
  CHECK_INT(freddy_client_set_rate_limit(own.client, &fast, NULL), FREDDY_OK);
  for (int i = 0; i <= QUEUE; i++) {
    end(&own, calls[i], i == 500 ? "cancelled" : "ok");
  }
  CHECK_INT(waiting(own.client), 0);
  freddy_client_free(own.client);
}

static void test_held_back(struct rig *rig) {
  static const freddy_rate_limit adaptive = {FREDDY_RATE_ADAPTIVE, NULL, 0, 0,
                                             0};
  struct rig own = with_limit(rig, "held", &adaptive);
  freddy_call *call;
  freddy_rate rate;

  end(&own, start(&own, "/window"), "ok");
  freddy_client_rate(own.client, &rate);
  CHECK(rate.limit == 7 && rate.remaining == 0);
  CHECK(rate.resets_in > 2900 && rate.resets_in <= 3000);
  call = start(&own, "/");
  rig_done(own.inbox, call);
  CHECK_TEXT(rig_kind(call), "rate_limited");
  CHECK_TEXT(rig_reason(call), "held_back");
  CHECK(freddy_call_error(call)->retry_after > 2900);
  CHECK_INT(freddy_call_error(call)->sent, 0);
  freddy_call_free(call);
  freddy_client_free(own.client);
}

static void test_closed_in_line(struct rig *rig) {
  struct rig own = with_limit(rig, "closed", &slow);
  freddy_call *calls[3];

  end(&own, start(&own, "/"), "ok");
  for (int i = 0; i < 3; i++) {
    calls[i] = start(&own, "/");
  }
  EVENTUALLY(waiting(own.client) == 3);
  freddy_client_close(own.client);
  for (int i = 0; i < 3; i++) {
    end(&own, calls[i], "closed");
  }
  CHECK_INT(freddy_client_set_rate_limit(own.client, &fast, NULL),
            FREDDY_ECLOSED);
  freddy_client_free(own.client);
}

/* A client for every request is held by the limiter that they share. */
static void test_made_anew(struct rig *rig) {
  struct rig own = with_limit(rig, "anew", &slow);
  freddy_call *call;

  end(&own, start(&own, "/"), "ok");
  freddy_client_free(own.client);
  own = with_limit(rig, "anew", &slow);
  call = start(&own, "/");
  EVENTUALLY(waiting(own.client) == 1);
  freddy_client_free(own.client);
  end(&own, call, "closed");
}

static void test_shutdown_in_line(struct rig *rig) {
  struct rig own = with_limit(rig, "shutdown", &slow);
  freddy_call *call;

  end(&own, start(&own, "/"), "ok");
  call = start(&own, "/");
  EVENTUALLY(waiting(own.client) == 1);
  freddy_shutdown();
  end(&own, call, "closed");
  CHECK_INT(waiting(own.client), 0);
  end(&own, start(&own, "/"), "ok"); /* another engine knows nothing */
  freddy_client_free(own.client);
}

static void test_places(struct rig *rig) {
  freddy_options options = {.api_key = "places", .max_in_flight = 2};
  struct rig own = *rig;
  freddy_call *calls[5];
  freddy_client_stats stats;

  own.client = rig_client(rig->server->port, &options);
  atomic_store(&held, 1);
  for (int i = 0; i < 5; i++) {
    calls[i] = start(&own, "/held");
  }
  EVENTUALLY(waiting(own.client) == 3);
  freddy_client_stats_get(own.client, &stats);
  CHECK_INT(stats.in_flight, 2);
  freddy_call_cancel(calls[0]);
  EVENTUALLY(waiting(own.client) == 2);
  atomic_store(&held, 0);
  for (int i = 0; i < 5; i++) {
    end(&own, calls[i], i ? "ok" : "cancelled");
  }
  freddy_client_stats_get(own.client, &stats);
  CHECK_INT(stats.in_flight + stats.waiting, 0);
  CHECK_INT(stats.requests, 5);
  CHECK_INT(stats.waits, 3);
  CHECK(stats.waited > 0);
  freddy_client_free(own.client);
}

/* One that waits to be sent again has no place. */
static void test_place_between(struct rig *rig) {
  freddy_options options = {
      .api_key = "between", .max_in_flight = 1, .timeout = {.stall = 0.05}};
  struct rig own = *rig;
  freddy_client_stats stats;
  freddy_call *stalled;

  own.client = rig_client(rig->server->port, &options);
  stalled = start(&own, "/stall");
  do {
    freddy_client_stats_get(own.client, &stats);
  } while (!stats.attempts || stats.in_flight);
  CHECK_INT(stats.retries, 0); /* not yet */
  end(&own, start(&own, "/"), "ok");
  freddy_client_stats_get(own.client, &stats);
  CHECK_INT(stats.attempts, 2 + stats.retries);
  freddy_call_cancel(stalled);
  end(&own, stalled, "cancelled");
  freddy_client_free(own.client);
}

/* A call has waited before all of its attempts. */
static void test_waited(struct rig *rig) {
  freddy_options options = {.api_key = "waited", .max_in_flight = 1};
  struct rig own = *rig;
  freddy_call *first, *call;
  freddy_stats stats;

  own.client = rig_client(rig->server->port, &options);
  atomic_store(&held, 1);
  atomic_store(&busy, 1);
  first = start(&own, "/held");
  call = start(&own, "/busy");
  EVENTUALLY(waiting(own.client) == 1);
  nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
  atomic_store(&held, 0);
  rig_done(own.inbox, call);
  freddy_call_stats(call, &stats);
  CHECK_INT(stats.attempts, 2);
  CHECK(stats.waited > 0.01);
  freddy_call_free(first);
  freddy_call_free(call);
  freddy_client_free(own.client);
}

/* What another server tells of its limit is not about this one; nor is what is
 * sent there, or is not sent at all. */
static void test_led_away(struct rig *rig) {
  static const freddy_rate_limit both[] = {
      {FREDDY_RATE_ADAPTIVE, NULL, 0, 0, 0},
      {FREDDY_RATE_PLAN, NULL, 1, 4, 0}};

  for (size_t i = 0; i < 2; i++) {
    struct rig own = with_limit(rig, "away", &both[i]);
    freddy_rate rate;

    end(&own, start(&own, "/away"), "ok");
    end(&own, start(&own, "/nowhere"), "redirect");
    freddy_client_rate(own.client, &rate);
    CHECK(rate.limit == -1);
    CHECK_INT(rate.room, i ? 1 : -1);
    CHECK_INT(rate.in_flight, 0);
    freddy_client_free(own.client);
  }
}

/* --- Many threads ------------------------------------------------------- */

struct party {
  pthread_t thread;
  struct rig rig;
};

/* Requests, while the limit changes and others look. */
static void *party_main(void *context) {
  struct party *party = context;
  struct rig *own = &party->rig;

  for (int round = 0; round < 30; round++) {
    freddy_call *calls[8];
    freddy_rate rate;
    freddy_client_stats stats;

    for (int i = 0; i < 8; i++) {
      freddy_request req = {.path = "/"};

      calls[i] = NULL;
      if (freddy_start(own->client, own->inbox, &req, &calls[i], NULL)) {
        return NULL; /* the count tells */
      }
    }
    freddy_client_rate(own->client, &rate);
    freddy_client_set_rate_limit(own->client, round & 1 ? &slow : &fast, NULL);
    freddy_client_stats_get(own->client, &stats);
    freddy_client_set_rate_limit(own->client, &fast, NULL);
    for (int i = 0; i < 8; i++) {
      freddy_event event;

      while (calls[i] && !freddy_call_done(calls[i]) &&
             freddy_inbox_wait(own->inbox, PATIENCE) &&
             freddy_inbox_next(own->inbox, &event)) {
      }
      freddy_call_free(calls[i]);
    }
  }
  return NULL;
}

static void test_threads(struct rig *rig) {
  struct rig shared = with_limit(rig, "threads", &fast);
  struct party parties[THREADS];
  freddy_client_stats stats;

  for (int i = 0; i < THREADS; i++) {
    parties[i].rig = shared;
    CHECK_INT(freddy_inbox_new(&parties[i].rig.inbox, NULL), FREDDY_OK);
    pthread_create(&parties[i].thread, NULL, party_main, &parties[i]);
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(parties[i].thread, NULL);
    freddy_inbox_free(parties[i].rig.inbox);
  }
  freddy_client_stats_get(shared.client, &stats);
  CHECK_INT(stats.requests, THREADS * 30 * 8);
  EVENTUALLY(waiting(shared.client) == 0);
  freddy_client_free(shared.client);
}

int main(void) {
  struct rig rig;

  rig_open(&rig, serve);
  test_before_anything(&rig);
  test_misuse(&rig);
  test_queue(&rig);
  test_held_back(&rig);
  test_closed_in_line(&rig);
  test_made_anew(&rig);
  test_shutdown_in_line(&rig);
  test_places(&rig);
  test_place_between(&rig);
  test_waited(&rig);
  test_led_away(&rig);
  test_threads(&rig);
  rig_close(&rig);
  return unit_end();
}
