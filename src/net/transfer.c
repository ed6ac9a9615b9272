/* SPDX-License-Identifier: MIT */
#include "net/transfer.h"

#include <stddef.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/mem.h"
#include "net/call.h"
#include "net/client.h"
#include "net/credential.h"
#include "net/easy.h"
#include "net/engine.h"
#include "net/events.h"
#include "net/gunzip.h"
#include "net/hop.h"
#include "net/outcome.h"
#include "net/repeat.h"
#include "net/reuse.h"
#include "net/save.h"
#include "net/tunnel.h"
#include "net/verdict.h"
#include "rules/http_date.h"

#define TRANSFER_OF(timer, member)                                     \
  ((struct fy_transfer *)((char *)(timer)-offsetof(struct fy_transfer, \
                                                   member)))

/* How long the rest of a body that nobody needs is waited for, so that its
 * connection can be used again: a new one costs less than that. */
static const fy_time DRAIN = FY_SECOND / 2;

/* --- Deadlines ---------------------------------------------------------- */

static void time_out(struct fy_transfer *transfer, const char *reason,
                     fy_time limit) {
  struct freddy_call *call = transfer->call;
  struct fy_attempt attempt = {.stale = 0};
  freddy_error err = {.code = FREDDY_OK};

  fy_error_set(&err, FREDDY_ETIMEOUT, reason, "no %s within %g s",
               strcmp(reason, "connect") == 0 ? "connection"
               : strcmp(reason, "stall") == 0 ? "further byte of the answer"
                                              : "answer",
               (double)limit / (double)FY_SECOND);
  err.sent = atomic_load(&call->sent);
  attempt.sent = transfer->sends > 0;
  fy_transfer_abort(transfer);
  fy_admission_leave(call);
  fy_outcome_drop_file(call);
  if (!fy_repeat_try(call, &err, &attempt)) {
    fy_call_stop(call, &err);
  }
}

static void connect_fire(struct fy_timer *timer, fy_time now) {
  struct fy_transfer *transfer = TRANSFER_OF(timer, connect_timer);

  (void)now;
  time_out(transfer, "connect", transfer->call->ask.connect);
}

static fy_time byte_limit(const struct fy_transfer *transfer) {
  return transfer->answered ? transfer->call->ask.stall
                            : transfer->call->ask.first_byte;
}

static void arm_byte_timer(struct fy_transfer *transfer) {
  fy_timers_set(&transfer->engine->timers, &transfer->byte_timer,
                fy_clock_add(transfer->last_byte, byte_limit(transfer)));
}

static int is_over(const struct freddy_call *call) {
  return call->streaming && call->events && fy_events_is_over(call->events);
}

static void byte_fire(struct fy_timer *timer, fy_time now) {
  struct fy_transfer *transfer = TRANSFER_OF(timer, byte_timer);

  if (transfer->error.code != FREDDY_OK) {
    transfer->error.sent = atomic_load(&transfer->call->sent);
    fy_call_stop(transfer->call, &transfer->error);
    return;
  }
  if (transfer->redirected || is_over(transfer->call)) {
    fy_transfer_finish(transfer, CURLE_OPERATION_TIMEDOUT);
    return;
  }
  /* Time that our own consumer takes does not count. */
  if (transfer->receiving_paused || transfer->sending_paused) {
    transfer->last_byte = now;
  }
  if (fy_clock_add(transfer->last_byte, byte_limit(transfer)) > now) {
    arm_byte_timer(transfer);
    return;
  }
  fy_transfer_distrust(transfer);
  if (fy_verdict_is_refusal(transfer)) {
    fy_transfer_finish(transfer, CURLE_OPERATION_TIMEDOUT);
  } else {
    time_out(transfer, transfer->answered ? "stall" : "first_byte",
             byte_limit(transfer));
  }
}

void fy_transfer_distrust(struct fy_transfer *transfer) {
  if (transfer->sends) {
    curl_easy_setopt(transfer->easy, CURLOPT_FORBID_REUSE, 1L);
  }
}

void fy_transfer_doom(struct fy_transfer *transfer) {
  if (transfer->call) {
    fy_error_nomem(&transfer->error);
    fy_timers_set(&transfer->engine->timers, &transfer->byte_timer, 0);
  }
}

void fy_transfer_connects(struct fy_transfer *transfer) {
  transfer->engine->lead.connecting += !transfer->connecting;
  transfer->connecting = 1;
}

static void connects_no_more(struct fy_transfer *transfer) {
  transfer->engine->lead.connecting -= transfer->connecting;
  transfer->connecting = 0;
}

void fy_transfer_connected(struct fy_transfer *transfer) {
  connects_no_more(transfer);
  fy_timers_unset(&transfer->engine->timers, &transfer->connect_timer);
  transfer->last_byte = fy_clock_now();
  arm_byte_timer(transfer);
}

void fy_transfer_sent_some(struct fy_transfer *transfer) {
  transfer->last_byte = fy_clock_now();
}

void fy_transfer_got_some(struct fy_transfer *transfer) {
  transfer->last_byte = transfer->engine->now;
  if (!transfer->answered) {
    transfer->answered = 1;
    arm_byte_timer(transfer);
  }
}

void fy_transfer_is_redirected(struct fy_transfer *transfer) {
  transfer->redirected = 1;
  fy_transfer_linger(transfer);
}

void fy_transfer_linger(struct fy_transfer *transfer) {
  fy_timers_set(&transfer->engine->timers, &transfer->byte_timer,
                fy_clock_add(fy_clock_now(), DRAIN));
}

/* --- Begin and end ------------------------------------------------------ */

static void transfer_free(struct fy_transfer *transfer) {
  struct fy_engine *engine = transfer->engine;

  connects_no_more(transfer);
  fy_timers_unset(&engine->timers, &transfer->connect_timer);
  fy_timers_unset(&engine->timers, &transfer->byte_timer);
  fy_lookups_forget(&engine->lookups, transfer);
  fy_lookups_leave(&engine->lookups, transfer, 0, fy_clock_now());
  if (transfer->easy) {
    fy_easy_give(transfer);
  }
  fy_easy_clear(transfer);
  fy_tunnel_forget(transfer);
  fy_gunzip_free(transfer->gunzip);
  fy_upload_clear(&transfer->upload);
  if (transfer->prev) {
    transfer->prev->next = transfer->next;
  } else {
    engine->transfers = transfer->next;
  }
  if (transfer->next) {
    transfer->next->prev = transfer->prev;
  }
  fy_free(transfer);
}

/* From here on, whatever it waits for: it may end before it is launched. What
 * a redirect leads to is the same attempt. */
static void count_attempt(struct freddy_call *call) {
  atomic_fetch_add(&call->attempts, !call->led);
  call->led = 0;
  atomic_fetch_add(&call->engine->attempts, 1);
  FY_COUNT(call, attempts, 1);
  FY_COUNT(call, retries, call->repeats_next);
  call->repeats_next = 0;
}

int fy_transfer_start(struct freddy_call *call, int fresh) {
  struct fy_engine *engine = call->engine;
  struct fy_transfer *transfer = fy_calloc(1, sizeof(*transfer));
  fy_time now = fy_clock_now();

  if (!transfer) {
    return FREDDY_ENOMEM;
  }
  transfer->engine = engine;
  transfer->call = call;
  transfer->fresh = fresh;
  transfer->reused = -1;
  transfer->connect_timer.fire = connect_fire;
  transfer->byte_timer.fire = byte_fire;
  transfer->next = engine->transfers;
  if (engine->transfers) {
    engine->transfers->prev = transfer;
  }
  engine->transfers = transfer;
  call->transfer = transfer;
  fy_timers_set(&engine->timers, &transfer->connect_timer,
                fy_clock_add(now, call->ask.connect));
  switch (call->ask.target.literal
              ? 1
              : fy_lookups_enter(&engine->lookups, transfer,
                                 call->ask.target.host, now)) {
  case 1:
    fy_engine_ready(engine, transfer);
    count_attempt(call);
    return FREDDY_OK;
  case 0:
    count_attempt(call);
    return FREDDY_OK;
  default:
    call->transfer = NULL;
    transfer_free(transfer);
    return FREDDY_ENOMEM;
  }
}

/* The attempt could not even begin. */
static void fail_launch(struct fy_transfer *transfer) {
  struct freddy_call *call = transfer->call;
  freddy_error err = transfer->error;

  if (err.code == FREDDY_OK) {
    fy_error_nomem(&err);
  }
  err.sent = atomic_load(&call->sent);
  call->transfer = NULL;
  transfer_free(transfer);
  if (err.code == FREDDY_EMISSING_CREDENTIALS &&
      fy_credential_is_switched(call)) {
    atomic_fetch_sub(&call->attempts, 1);
    fy_dispatch_send(call);
    return;
  }
  fy_outcome_deliver(call, &err);
}

void fy_transfer_launch(struct fy_transfer *transfer) {
  struct fy_engine *engine = transfer->engine;

  if (fy_easy_take(transfer) != FREDDY_OK ||
      fy_easy_setup(transfer) != FREDDY_OK ||
      curl_multi_add_handle(engine->multi, transfer->easy) != CURLM_OK) {
    fail_launch(transfer);
  }
}

static int in_multi(const struct fy_transfer *transfer) {
  return transfer->easy && !transfer->is_ready && !transfer->lookup.waits;
}

/* Removing the handle now would join its resolver's thread, and with it the
 * engine would stand still for as long as the name server does. */
static void park(struct fy_transfer *transfer) {
  fy_timers_unset(&transfer->engine->timers, &transfer->connect_timer);
  fy_timers_unset(&transfer->engine->timers, &transfer->byte_timer);
  fy_easy_lift_limit(transfer); /* it ends when its look-up does */
  fy_lookups_park(transfer);
  fy_tunnel_break(transfer);
  transfer->call = NULL;
  atomic_fetch_add(&transfer->engine->parked, 1);
}

static void count_connection(struct fy_transfer *transfer) {
  long opened = 0;

  curl_easy_getinfo(transfer->easy, CURLINFO_NUM_CONNECTS, &opened);
  if (transfer->sends && opened == 0) {
    atomic_fetch_add(&transfer->engine->reused, 1);
    FY_COUNT(transfer->call, reused, 1);
  }
}

void fy_transfer_abort(struct fy_transfer *transfer) {
  struct fy_engine *engine = transfer->engine;
  struct freddy_call *call = transfer->call;

  call->transfer = NULL;
  if (in_multi(transfer) && transfer->resolving) {
    park(transfer);
    return;
  }
  if (transfer->is_ready) {
    fy_engine_unready(engine, transfer);
  }
  if (in_multi(transfer)) {
    fy_outcome_measure(call, transfer);
    count_connection(transfer);
    curl_multi_remove_handle(engine->multi, transfer->easy);
  }
  transfer_free(transfer);
}

/* The connection was an old one, and ended before it was noticed that it
 * does: libcurl's own repeat knows less of HTTP/2. */
static int was_stale(const struct fy_transfer *transfer, CURLcode code) {
  long opened = 0;

  if (transfer->error.code != FREDDY_OK || !transfer->sends) {
    return 0;
  }
  curl_easy_getinfo(transfer->easy, CURLINFO_NUM_CONNECTS, &opened);
  return opened == 0 && (code == CURLE_PARTIAL_FILE || code == CURLE_HTTP2 ||
                         code == CURLE_GOT_NOTHING ||
                         code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR);
}

static void look_back(const struct fy_transfer *transfer, CURLcode code,
                      struct fy_attempt *attempt) {
  attempt->sent = transfer->sends > 0;
  /* `resent`: libcurl itself would have repeated it. */
  attempt->stale = (transfer->resent || was_stale(transfer, code)) &&
                   !transfer->fresh && !transfer->answered;
}

/* Go on where the answer leads to; how its body ended does not matter. */
static int follow(struct freddy_call *call, int body_spent,
                  freddy_error *err) {
  if (err->code == FREDDY_ENOMEM) {
    return FREDDY_ENOMEM;
  }
  *err = (freddy_error){.code = FREDDY_OK};
  if (fy_hop(call, body_spent, err) == FREDDY_OK) {
    if (fy_transfer_start(call, 0) == FREDDY_OK) {
      fy_admission_goes_on(call);
    } else {
      fy_error_nomem(err);
    }
  }
  err->sent = 1;
  return err->code;
}

/* 1 when a stream was a 401 before it was anything else. */
static int is_refusal(struct freddy_call *call) {
  if (!call->streaming || !call->events ||
      !fy_events_is_refusal(call->events)) {
    return 0;
  }
  call->streaming = 0;
  return 1;
}

/* What the answer tells of the session that it was asked with. 1 when it is
 * not what the call ends with. */
static int heed_session(struct freddy_call *call) {
  const struct fy_headers *headers = &call->answer.headers;
  int was_streaming = call->streaming;

  if (!call->session) {
    return 0;
  }
  fy_credential_heed_date(
      call->session,
      fy_http_date(fy_headers_get(headers, "date"), (double)time(NULL)));
  if (headers->status != 401 && !is_refusal(call)) {
    return 0;
  }
  if (fy_credential_rejected(call)) {
    return 1;
  }
  call->streaming = was_streaming;
  return 0;
}

void fy_transfer_finish(struct fy_transfer *transfer, CURLcode code) {
  struct freddy_call *call = transfer->call;
  freddy_error err = {.code = FREDDY_OK};
  struct fy_attempt attempt;
  int redirected, body_spent, misfit;

  curl_multi_remove_handle(transfer->engine->multi, transfer->easy);
  transfer->ended_well = code == CURLE_OK;
  if (!call) {
    atomic_fetch_sub(&transfer->engine->parked, 1);
    transfer_free(transfer);
    return;
  }
  if (transfer->strange && (code == CURLE_UNSUPPORTED_PROTOCOL ||
                            code == CURLE_WEIRD_SERVER_REPLY)) {
    fy_reuse_refuse_stranger(transfer);
  }
  fy_verdict(transfer, code, &err);
  if (call->events && !transfer->redirected) {
    fy_events_end(call->events, transfer, &err);
  }
  fy_outcome_measure(call, transfer);
  count_connection(transfer);
  if (err.code != FREDDY_OK) {
    fy_outcome_drop_file(call);
  }
  misfit = transfer->misfit;
  look_back(transfer, code, &attempt);
  if (!misfit) {
    fy_admission_heard(call);
  }
  redirected = transfer->redirected;
  body_spent = !fy_upload_can_replay(call);
  call->transfer = NULL;
  transfer_free(transfer);
  if (misfit) { /* nothing was tried yet */
    atomic_fetch_sub(&call->attempts, 1);
  }
  if (redirected && follow(call, body_spent, &err) == FREDDY_OK) {
    return;
  }
  if (misfit && fy_transfer_start(call, 1) == FREDDY_OK) {
    return;
  }
  fy_admission_leave(call);
  if (err.code == FREDDY_OK && heed_session(call)) {
    return;
  }
  if (fy_repeat_try(call, &err, &attempt)) {
    return;
  }
  if (call->save && err.code == FREDDY_OK) {
    fy_save_finish(call->save); /* FY_CALL_SAVED ends it */
    return;
  }
  fy_outcome_deliver(call, &err);
}

int64_t fy_transfer_sent(const struct fy_transfer *transfer, int64_t by_curl) {
  return transfer->upload.call ? transfer->upload.given : by_curl;
}

void fy_transfer_resume(struct fy_transfer *transfer) {
  CURLcode code;

  if (!in_multi(transfer) ||
      (!transfer->receiving_paused && !transfer->sending_paused)) {
    return;
  }
  transfer->receiving_paused = transfer->sending_paused = 0;
  transfer->last_byte = fy_clock_now();
  /* What libcurl kept is delivered in there; when our callback fails, nothing
   * else ends the transfer. Without a connection it has ended meanwhile, and
   * how is among the multi handle's messages. */
  code = curl_easy_pause(transfer->easy, CURLPAUSE_CONT);
  if (code != CURLE_OK && code != CURLE_BAD_FUNCTION_ARGUMENT) {
    fy_error_set(&transfer->error, FREDDY_ECUT, NULL,
                 "the transfer could not go on after a pause");
    fy_timers_set(&transfer->engine->timers, &transfer->byte_timer, 0);
  }
}
