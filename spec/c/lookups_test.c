/* SPDX-License-Identifier: MIT */
/* A resolver that hangs: nothing may wait for it but its own calls. */
#include <errno.h>

#include "stuck_resolver.h"

static freddy_call *start_slow(struct rig *rig, const char *host,
                               double connect) {
  char url[128];
  freddy_request req = {.path = url, .timeout = {.connect = connect}};

  snprintf(url, sizeof(url), "https://%s:1/", host);
  return rig_start(rig, &req);
}

static void test_unknown_name(struct rig *rig) {
  freddy_call *call = start_slow(rig, "nobody.test", 0);

  rig_done(rig->inbox, call);
  CHECK_TEXT(rig_kind(call), "resolve");
  CHECK_INT(freddy_call_error(call)->sent, 0);
  freddy_call_free(call);
}

static void test_cancel_is_at_once(struct rig *rig) {
  freddy_event event;

  set_release(0);
  for (int i = 0; i < 1000; i++) {
    freddy_call *call = start_slow(rig, "slow.test", 0);

    if (i < 4) {
      EVENTUALLY(read_int(&hanging) == i + 1);
    }
    freddy_call_cancel(call);
    CHECK(freddy_inbox_next(rig->inbox, &event));
    CHECK_TEXT(rig_kind(call), "cancelled");
    freddy_call_free(call);
  }
  check_others_go_on(rig);
  EVENTUALLY(parked() == 4);
  CHECK_INT(read_int(&worst), 4); /* per host name */
}

/* libcurl calls its progress callback during a look-up, where there is a body
 * or progress: breaking off in there would join the resolver. */
static void test_parking_with_a_body(struct rig *rig) {
  freddy_request rows[] = {
      {.method = "POST", .body = "x", .body_size = 1},
      {.method = "POST", .body_reader = 1, .reader_size = -1},
      {.progress = 1},
  };

  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    char url[64];
    freddy_call *call;

    snprintf(url, sizeof(url), "https://slow-body%zu.test:1/", i);
    rows[i].path = url;
    call = rig_start(rig, &rows[i]);
    EVENTUALLY(read_int(&hanging) == 5 + (int)i);
    freddy_call_cancel(call);
    freddy_call_free(call);
    /* Twice libcurl's own second, in which it would look at the progress. */
    for (int turn = 0; turn < 250; turn++) {
      freddy_call *timer;

      CHECK_INT(freddy_start_timer(rig->inbox, 0.01, NULL, &timer, NULL), 0);
      rig_done(rig->inbox, timer);
      freddy_call_free(timer);
    }
    check_others_go_on(rig);
    CHECK_INT(read_int(&hanging), 5 + (int)i);
  }
}

static void test_bound_on_all(struct rig *rig) {
  freddy_call *calls[40];
  char host[64];

  for (int i = 0; i < 40; i++) {
    snprintf(host, sizeof(host), "slow%d.test", i);
    calls[i] = start_slow(rig, host, 0);
  }
  EVENTUALLY(read_int(&hanging) == 16);
  check_others_go_on(rig);
  CHECK_INT(read_int(&worst), 16);
  for (int i = 0; i < 40; i++) {
    freddy_call_free(calls[i]);
  }
  check_others_go_on(rig);
  CHECK_INT(read_int(&worst), 16);
  EVENTUALLY(parked() == 16);
}

static void test_waiting_spends_connect_time(struct rig *rig) {
  freddy_call *call = start_slow(rig, "slow.test", 0.05);
  freddy_stats stats;

  rig_done(rig->inbox, call);
  CHECK_TEXT(rig_kind(call), "timeout");
  CHECK_TEXT(rig_reason(call), "connect");
  freddy_call_stats(call, &stats);
  CHECK_INT(stats.attempts, 3); /* with the client's two repeats */
  freddy_call_free(call);
}

/* One that has waited in vain was an attempt: what it failed of is told. */
static void test_waiting_is_an_attempt(struct rig *rig) {
  freddy_request req = {.path = "https://slow.test:1/",
                        .retries = 50,
                        .timeout = {.connect = 0.05, .total = 1}};
  freddy_call *call = rig_start(rig, &req);
  const freddy_error *last;
  freddy_stats stats;

  rig_done(rig->inbox, call);
  CHECK_TEXT(rig_reason(call), "total");
  last = freddy_call_last(call, NULL);
  CHECK(last && last->code == FREDDY_ETIMEOUT);
  freddy_call_stats(call, &stats);
  CHECK(stats.attempts >= 1);
  freddy_call_free(call);
}

/* What a redirect leads to is no attempt, and its repeat is one. */
static void test_waiting_behind_a_redirect(struct rig *rig) {
  freddy_request req = {
      .path = "/away", .retries = 1, .timeout = {.connect = 0.05}};
  freddy_call *call = rig_start(rig, &req);
  freddy_stats stats;

  rig_done(rig->inbox, call);
  CHECK_TEXT(rig_reason(call), "connect");
  freddy_call_stats(call, &stats);
  CHECK_INT(stats.attempts, 2);
  freddy_call_free(call);
}

static void test_release(void) {
  set_release(1);
  EVENTUALLY(parked() == 0);
  CHECK_INT(read_int(&hanging), 0);
}

/* A burst to a fresh name asks for it at most four times. */
static void test_burst_shares_the_lookup(struct rig *rig) {
  freddy_call *calls[50];
  freddy_event event;

  set_release(1);
  for (int i = 0; i < 50; i++) {
    calls[i] = start_slow(rig, "slow-burst.test", 0);
  }
  for (int i = 0; i < 50; i++) {
    CHECK(rig_event(rig->inbox, &event)); /* refused: nobody on port 1 */
    CHECK_TEXT(rig_kind(event.call), "connect");
  }
  CHECK(read_int(&answered) >= 1 && read_int(&answered) <= 4);
  for (int i = 0; i < 50; i++) {
    freddy_call_free(calls[i]);
  }
}

#ifndef FY_FORCE_OLD_CURL
/* freddy_shutdown does not wait for the name server either. */
static void test_shutdown(struct rig *rig) {
  freddy_call *call;

  set_release(0);
  call = start_slow(rig, "slow-end.test", 0);
  EVENTUALLY(read_int(&hanging) == 1);
  freddy_shutdown();
  rig_done(rig->inbox, call);
  CHECK_TEXT(rig_kind(call), "closed");
  CHECK_INT(read_int(&hanging), 1);
  freddy_call_free(call);
  check_others_go_on(rig);
  set_release(1);
  EVENTUALLY(read_int(&hanging) == 0);
}
#endif

int main(void) {
  struct rig rig;

  rig_open(&rig, serve);
  test_unknown_name(&rig);
  test_cancel_is_at_once(&rig);
  test_parking_with_a_body(&rig);
  test_bound_on_all(&rig);
  test_waiting_spends_connect_time(&rig);
  test_waiting_is_an_attempt(&rig);
  test_waiting_behind_a_redirect(&rig);
  test_release();
  test_burst_shares_the_lookup(&rig);
#ifndef FY_FORCE_OLD_CURL
  test_shutdown(&rig); /* leaves a leak behind where libcurl is old */
#endif
  rig_close(&rig);
  return unit_end();
}
