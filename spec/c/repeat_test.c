/* SPDX-License-Identifier: MIT */
/* Calls that are sent once more, through freddy.h: events, causes, statistics
 * and ends in between. */
#include "engine_util.h"

static const char KEY[] = "unit-key-0123456789abcdef";

static atomic_int busy; /* answers of 503 left */

static int serve(struct loopback *server, int fd,
                 const struct loop_request *req, int nth) {
  (void)server;
  (void)nth;
  if (strcmp(req->path, "/ok") == 0 || atomic_fetch_sub(&busy, 1) <= 0) {
    return loop_answer(fd, 200, "", "right") == 0;
  }
  if (strcmp(req->path, "/close") == 0) {
    return 0;
  }
  return loop_answer(fd, 503,
                     strcmp(req->path, "/long") == 0 ? "Retry-After: 50\r\n"
                     : strcmp(req->path, "/far") == 0
                         ? "Retry-After: 99999999999999999999\r\n"
                         : "X-First: 1\r\n",
                     "not now") == 0;
}

static void next_is(struct rig *rig, freddy_event_type type,
                    freddy_event *event) {
  CHECK(rig_event(rig->inbox, event));
  CHECK_INT(event->type, type);
}

static void test_events(struct rig *rig) {
  freddy_request req = {.path = "/busy", .retry_events = 1};
  freddy_call *call;
  freddy_event event;
  freddy_stats stats;
  int status = 0;

  atomic_store(&busy, 2);
  call = rig_start(rig, &req);
  for (int i = 1; i <= 2; i++) {
    next_is(rig, FREDDY_RETRY, &event);
    CHECK(event.call == call);
    CHECK_INT(event.attempt, i);
    CHECK(event.delay >= 0 && event.delay <= 0.5 * i);
    CHECK_INT(event.cause->code, FREDDY_OK);
    CHECK_INT(event.status, 503);
    CHECK(freddy_call_last(call, NULL) == NULL);
  }
  next_is(rig, FREDDY_DONE, &event);
  CHECK_TEXT(freddy_call_body(call, NULL), "right");
  CHECK(freddy_call_header_get(call, "x-first") == NULL);
  freddy_call_stats(call, &stats);
  CHECK_INT(stats.attempts, 3);
  CHECK(stats.retry_after == -1);
  CHECK_INT(freddy_call_last(call, &status)->code, FREDDY_OK);
  CHECK_INT(status, 503);
  freddy_call_free(call);
}

/* What nobody drained is there all the same, in order. */
static void test_undrained(struct rig *rig) {
  freddy_request req = {.path = "/busy", .retry_events = 1};
  freddy_call *call;
  freddy_event event;
  int heard = 0;

  atomic_store(&busy, 2);
  call = rig_start(rig, &req);
  EVENTUALLY(atomic_load(&busy) < 0);
  while (rig_event(rig->inbox, &event) && event.type == FREDDY_RETRY) {
    CHECK_INT(event.attempt, ++heard);
  }
  CHECK_INT(heard, 2);
  freddy_call_free(call);
  atomic_store(&busy, 2); /* and who is forgotten with them leaks nothing */
  call = rig_start(rig, &req);
  EVENTUALLY(freddy_inbox_ready(rig->inbox));
  freddy_call_free(call);
}

static void test_silent(struct rig *rig) {
  freddy_request req = {.path = "/busy"};
  freddy_call *call;
  freddy_event event;

  atomic_store(&busy, 1);
  call = rig_start(rig, &req);
  next_is(rig, FREDDY_DONE, &event);
  CHECK_INT(freddy_call_status(call), 200);
  freddy_call_free(call);
}

static void test_retry_after(struct rig *rig) {
  freddy_request req = {.path = "/far"};
  freddy_call *call;
  freddy_stats stats;

  atomic_store(&busy, 1);
  call = rig_start(rig, &req);
  rig_done(rig->inbox, call);
  CHECK_INT(freddy_call_status(call), 503);
  CHECK_TEXT(freddy_call_body(call, NULL), "not now");
  freddy_call_stats(call, &stats);
  CHECK_INT(stats.attempts, 1);
  CHECK(stats.retry_after == 1e9);
  CHECK_INT(stats.retry_budget_empty, 0);
  freddy_call_free(call);
}

/* Nothing of it stays behind: no call, no connection, no event. */
static void test_ends(struct rig *rig) {
  freddy_request req = {.path = "/long", .retry_events = 1};
  freddy_engine_stats stats;
  freddy_client *client = rig_client(rig->server->port, NULL);
  struct rig other = {rig->server, client, rig->inbox};
  freddy_call *call;
  freddy_event event;

  for (int how = 0; how < 4; how++) {
    UNIT_CASE("%d", how);
    atomic_store(&busy, 1);
    req.timeout.total = how == 3 ? 0.2 : 0;
    call = rig_start(&other, &req);
    next_is(rig, FREDDY_RETRY, &event);
    CHECK(event.delay >= 50 && event.delay <= 50.5);
    if (how == 0) {
      freddy_call_cancel(call);
    } else if (how == 1) {
      freddy_client_close(client);
      freddy_client_free(client);
      other.client = client = rig_client(rig->server->port, NULL);
    }
    if (how != 2) { /* 2: it is only forgotten */
      next_is(rig, FREDDY_DONE, &event);
      CHECK_TEXT(rig_kind(call), how == 0   ? "cancelled"
                                 : how == 1 ? "closed"
                                            : "timeout");
      CHECK(how != 3 || freddy_call_last(call, NULL));
    }
    freddy_call_free(call);
    EVENTUALLY((freddy_engine_stats_get(&stats), stats.in_flight == 0));
    CHECK_INT(freddy_inbox_ready(rig->inbox), 0);
  }
  UNIT_CASE("%s", "");
  freddy_client_free(client);
}

/* Many wait, and all go when the process does. */
static void test_shutdown(struct rig *rig) {
  freddy_request req = {.path = "/long"};
  freddy_engine_stats stats;
  freddy_call *calls[40];
  int done = 0;
  freddy_event event;

  atomic_store(&busy, 40);
  for (int i = 0; i < 40; i++) {
    calls[i] = rig_start(rig, &req);
  }
  EVENTUALLY(atomic_load(&busy) <= 0);
  freddy_shutdown();
  while (freddy_inbox_next(rig->inbox, &event)) {
    CHECK_TEXT(rig_kind(event.call), "closed");
    done++;
  }
  CHECK_INT(done, 40);
  for (int i = 0; i < 40; i++) {
    freddy_call_free(calls[i]);
  }
  freddy_engine_stats_get(&stats);
  CHECK_INT(stats.in_flight, 0);
}

/* The budget is the client's: another one has its own. */
static void test_budget(struct rig *rig) {
  freddy_options options = {.api_key = KEY, .retries = 1000};
  freddy_request req = {.path = "/busy"};
  struct rig spender = {rig->server, rig_client(rig->server->port, &options),
                        rig->inbox};
  freddy_call *calls[60];
  freddy_stats stats;
  int attempts = 0, empty = 0;

  atomic_store(&busy, 1000000);
  for (int i = 0; i < 60; i++) {
    calls[i] = rig_start(&spender, &req);
  }
  for (int i = 0; i < 60; i++) {
    if (!freddy_call_done(calls[i])) {
      rig_done(rig->inbox, calls[i]);
    }
  }
  for (int i = 0; i < 60; i++) {
    CHECK_INT(freddy_call_status(calls[i]), 503);
    freddy_call_stats(calls[i], &stats);
    attempts += stats.attempts;
    empty += stats.retry_budget_empty;
    freddy_call_free(calls[i]);
  }
  CHECK_INT(attempts, 60 + 50);
  CHECK_INT(empty, 60);
  freddy_client_free(spender.client);
  atomic_store(&busy, 1);
  calls[0] = rig_start(rig, &req);
  rig_done(rig->inbox, calls[0]);
  CHECK_INT(freddy_call_status(calls[0]), 200);
  freddy_call_free(calls[0]);
}

/* A closed connection: the cause is a failure, and a secret is masked. */
static void test_cause(struct rig *rig) {
  freddy_options options = {.api_key = KEY};
  struct rig other = {rig->server, NULL, rig->inbox};
  freddy_request req = {.path = "/close", .retry_events = 1};
  freddy_call *call;
  freddy_event event;

  freddy_shutdown(); /* with it every idle connection */
  other.client = rig_client(rig->server->port, &options);
  atomic_store(&busy, 1);
  call = rig_start(&other, &req);
  next_is(rig, FREDDY_RETRY, &event);
  CHECK_INT(event.cause->code, FREDDY_ECUT);
  CHECK_INT(event.cause->sent, 1);
  CHECK(event.cause->message[0]);
  CHECK_INT(event.status, 0);
  next_is(rig, FREDDY_DONE, &event);
  CHECK_TEXT(freddy_call_body(call, NULL), "right");
  freddy_call_free(call);
  freddy_client_free(other.client);
}

/* The answer of a call whose texts are secret is wiped, not moved. */
static void test_guarded(struct rig *rig) {
  static const char *const secrets[] = {"a-password-of-mine", NULL};
  freddy_request req = {.method = "POST",
                        .path = "/busy",
                        .body = "{\"password\":\"a-password-of-mine\"}",
                        .body_size = 33,
                        .secrets = secrets,
                        .idempotent = 1};
  freddy_call *call;

  atomic_store(&busy, 2);
  call = rig_start(rig, &req);
  rig_done(rig->inbox, call);
  CHECK_TEXT(freddy_call_body(call, NULL), "right");
  freddy_call_free(call);
}

int main(void) {
  struct rig rig;

  rig_open(&rig, serve);
  test_events(&rig);
  test_undrained(&rig);
  test_silent(&rig);
  test_retry_after(&rig);
  test_ends(&rig);
  test_budget(&rig);
  test_cause(&rig);
  test_guarded(&rig);
  test_shutdown(&rig);
  rig_close(&rig);
  return unit_end();
}
