/* SPDX-License-Identifier: MIT */
#include "net/renewal.h"

#include "base/error.h"
#include "net/call.h"
#include "net/client.h"
#include "net/credential.h"
#include "net/engine.h"
#include "net/outcome.h"

/* A token that is being handed out is new enough: who asks for another may be
 * the one that it is handed to. */
static enum fy_token_answer begin(struct freddy_call *call) {
  struct fy_token *token = &call->session->token;

  call->token_generation = token->generation;
  if (call->ask.renewal != FY_RENEW_NOW) {
    return fy_renewal_ask(call);
  }
  return fy_token_is_settled(token) ? FY_TOKEN_SEND
                                    : fy_token_renew(token, fy_clock_now());
}

enum fy_token_answer fy_renewal_ask(const struct freddy_call *call) {
  const struct fy_token *token = &call->session->token;

  if (fy_token_is_renewing(token) ||
      (call->ask.renewal == FY_RENEW_FORGET && !token->revoked)) {
    return FY_TOKEN_WAIT;
  }
  if (call->ask.renewal != FY_RENEW_NOW) {
    return fy_store_is_busy(call->session) ? FY_TOKEN_WAIT : FY_TOKEN_SEND;
  }
  if (token->revoked) {
    return FY_TOKEN_MISSING;
  }
  if (token->generation != call->token_generation) {
    return FY_TOKEN_SEND;
  }
  return token->means ? FY_TOKEN_RENEWAL_FAILED : FY_TOKEN_OVER;
}

void fy_renewal_end(struct freddy_call *call) {
  freddy_error err = {.code = FREDDY_OK};

  if (call->ask.renewal != FY_RENEW_NOW) {
    err = call->session->unkept;
  }
  fy_outcome_deliver(call, &err);
}

static void end(struct freddy_call *call, enum fy_token_answer answer) {
  if (answer == FY_TOKEN_WAIT) {
    fy_credential_wait(call);
  } else if (answer == FY_TOKEN_SEND) {
    fy_renewal_end(call);
  } else {
    fy_credential_fail(call, answer);
  }
}

void fy_renewal_start(struct freddy_call *call) {
  struct fy_credential *credential = call->session;
  freddy_error err = {.code = FREDDY_OK};

  if (call->ask.renewal != FY_RENEW_FORGET) {
    call->session = credential = fy_client_session(call->client);
  }
  if (!credential) {
    if (call->ask.renewal == FY_RENEW_NOW) {
      fy_error_set(&err, FREDDY_EAUTH, "no_session",
                   "the client has no session");
    }
    fy_outcome_deliver(call, &err);
    return;
  }
  if (fy_credential_adopt(call->engine, credential) != FREDDY_OK) {
    fy_error_nomem(&err);
    fy_outcome_deliver(call, &err);
    return;
  }
  fy_timers_unset(&call->engine->timers, &credential->linger);
  end(call, begin(call));
  fy_credential_run(credential);
}
