/* SPDX-License-Identifier: MIT */
/* What the engine does with a call: begin, go on, end. */
#include <stddef.h>

#include "base/error.h"
#include "net/call.h"
#include "net/client.h"
#include "net/credential.h"
#include "net/engine.h"
#include "net/outcome.h"
#include "net/renewal.h"
#include "net/save.h"
#include "net/transfer.h"

static void total_fire(struct fy_timer *timer, fy_time now) {
  struct freddy_call *call =
      (struct freddy_call *)((char *)timer -
                             offsetof(struct freddy_call, total));
  freddy_error err = {.code = FREDDY_OK};

  (void)now;
  if (call->client) {
    fy_error_set(&err, FREDDY_ETIMEOUT, "total", "not done within %g s",
                 (double)call->ask.total / (double)FY_SECOND);
    err.sent = atomic_load(&call->sent);
  }
  if (call->transfer) {
    fy_transfer_distrust(call->transfer);
  }
  fy_call_stop(call, &err);
}

void fy_dispatch_send(struct freddy_call *call) {
  fy_admission_enter(call, 0);
}

static void begin(struct fy_engine *engine, struct freddy_call *call) {
  freddy_error err = {.code = FREDDY_OK};

  call->total.fire = total_fire;
  if (fy_engine_adopt_call(engine, call) != FREDDY_OK) {
    fy_error_nomem(&err);
    fy_call_end(call, &err, FY_NOTHING);
    atomic_fetch_sub(&engine->in_flight, 1);
    return;
  }
  fy_timers_set(&engine->timers, &call->total,
                fy_clock_add(call->started, call->ask.total));
  if (!call->client) {
    return;
  }
  atomic_fetch_add(&engine->requests, !call->ask.renewal);
  FY_COUNT(call, requests, 1);
  if (atomic_load(&call->client->closed)) {
    fy_error_set(&err, FREDDY_ECLOSED, NULL, "the client was closed");
    fy_outcome_deliver(call, &err); /* it was closed while this started */
    return;
  }
  if (call->ask.renewal) {
    fy_renewal_start(call);
  } else if (fy_upload_prepare(call)) {
    fy_dispatch_send(call);
  }
}

/* The I/O thread knows what the body takes. */
static void go_on(struct freddy_call *call) {
  if (call->unmeasured.code != FREDDY_OK) {
    fy_outcome_deliver(call, &call->unmeasured);
  } else {
    fy_dispatch_send(call);
  }
}

/* The file has its name, or cannot have it. */
static void saved(struct freddy_call *call) {
  freddy_error err = {.code = FREDDY_OK};

  if (!call->in_flight || !call->save || !fy_save_outcome(call->save, &err)) {
    return;
  }
  err.sent = err.code != FREDDY_OK && atomic_load(&call->sent);
  if (call->transfer) {
    fy_transfer_abort(call->transfer);
  }
  fy_outcome_deliver(call, &err);
}

int fy_dispatch_own(struct fy_engine *engine, struct freddy_call *call) {
  call->total.fire = total_fire;
  if (fy_engine_adopt_call(engine, call) != FREDDY_OK) {
    return FREDDY_ENOMEM;
  }
  atomic_fetch_add(&engine->in_flight, 1);
  if (fy_transfer_start(call, 0) != FREDDY_OK) {
    fy_engine_release_call(engine, call);
    fy_call_unref(call);
    return FREDDY_ENOMEM;
  }
  fy_timers_set(&engine->timers, &call->total,
                fy_clock_add(call->started, call->ask.total));
  return FREDDY_OK;
}

void fy_call_handle(struct fy_engine *engine, struct fy_post *post,
                    unsigned wishes) {
  struct freddy_call *call = (struct freddy_call *)post;
  freddy_error cancelled = {.code = FREDDY_OK};

  if (wishes & FY_CALL_SAVED) {
    saved(call);
  }
  if (wishes & FY_CALL_CANCEL) {
    if (call->in_flight) {
      fy_error_set(&cancelled, FREDDY_ECANCELLED, NULL, "cancelled");
      fy_call_stop(call, &cancelled);
    } else if (wishes & FY_CALL_START) {
      atomic_fetch_sub(&engine->in_flight, 1); /* it never began */
    }
    return;
  }
  if (wishes & FY_CALL_START) {
    begin(engine, call);
  }
  if (wishes & FY_CALL_MEASURED && call->in_flight) {
    go_on(call);
  }
  if (wishes & (FY_CALL_RESUME | FY_CALL_ANSWER) && call->transfer) {
    fy_transfer_resume(call->transfer);
  }
}

void fy_call_stop(struct freddy_call *call, const freddy_error *error) {
  freddy_error why = *error; /* it may be the transfer's */

  if (!fy_call_may_stop(call)) {
    return; /* FY_CALL_SAVED is on its way */
  }
  if (call->transfer) {
    fy_transfer_abort(call->transfer);
  }
  fy_credential_forget(call);
  fy_outcome_deliver(call, &why);
}
