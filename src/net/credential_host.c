/* SPDX-License-Identifier: MIT */
/* What a session asks of the host: tokens, where it provides them, and to take
 * over new ones before anyone goes on with them. */
#include <stddef.h>

#include "base/error.h"
#include "net/client.h"
#include "net/credential.h"
#include "net/engine.h"
#include "net/listener.h"

static const double DEFAULT_PATIENCE = 30;

/* --- Telling ------------------------------------------------------------ */

static int tell(struct fy_credential *credential) {
  struct fy_told told = {.ends_at = credential->ends_at,
                         .cause = credential->cause};
  int count;

  pthread_mutex_lock(&credential->lock);
  told.access = fy_secret_ref(credential->access);
  told.refresh = fy_secret_ref(credential->refresh);
  pthread_mutex_unlock(&credential->lock);
  count = told.access ? fy_listeners_tell(credential, &told, 1) : 0;
  fy_told_clear(&told);
  return count;
}

void fy_credential_tell_host(struct fy_credential *credential,
                             const struct fy_token_step *step) {
  credential->tell_ticket = step->ticket;
  if (!tell(credential)) {
    credential->tell_ticket = 0;
    fy_token_told(&credential->token, step->ticket, fy_clock_now());
  }
}

void fy_credential_tell_logout(struct fy_credential *credential) {
  static const struct fy_told nothing = {.access = NULL};

  fy_listeners_tell(credential, &nothing, 0);
}

void fy_credential_announce(struct fy_credential *credential,
                            const char *cause) {
  struct fy_engine *engine = fy_engine_running();

  if (engine && fy_listeners_count(credential)) {
    atomic_store(&credential->announced, cause);
    fy_engine_post(engine, &credential->post, FY_CREDENTIAL_ANNOUNCE);
  }
}

void fy_credential_announce_now(struct fy_engine *engine,
                                struct fy_credential *credential) {
  if (fy_credential_adopt(engine, credential) == FREDDY_OK) {
    credential->cause = atomic_load(&credential->announced);
    fy_token_announce(&credential->token, fy_clock_now());
    fy_credential_run(credential);
  }
}

/* --- Asking ------------------------------------------------------------- */

static void give_up(struct fy_credential *credential, uint64_t ticket,
                    const char *why) {
  freddy_error err = {.code = FREDDY_OK};

  fy_error_set(&err, FREDDY_EAUTH, "provider_failed", "%s", why);
  fy_credential_got_nothing(credential, ticket, FY_TOKEN_GARBAGE, 0, &err);
}

void fy_credential_ask_host(struct fy_credential *credential,
                            const struct fy_token_step *step) {
  static const char *const names[] = {"first", "expiring", "expired",
                                      "rejected"};
  double seconds = credential->via->timeout.auth;

  credential->cause = "provider";
  credential->ask_ticket = step->ticket;
  credential->asked_at = fy_clock_now();
  if (fy_listeners_ask(credential, names[step->why])) {
    seconds = seconds != 0 ? seconds : DEFAULT_PATIENCE;
    fy_timers_set(
        &credential->engine->timers, &credential->patience,
        fy_clock_add(credential->asked_at, fy_clock_from_seconds(seconds)));
  } else {
    credential->ask_ticket = 0;
    give_up(credential, step->ticket, "nobody is there to provide a token");
  }
}

void fy_credential_unask_host(struct fy_credential *credential) {
  if (credential->ask_ticket) {
    fy_listeners_unask(credential);
  }
  credential->ask_ticket = credential->tell_ticket = 0;
}

void fy_credential_patience_fire(struct fy_timer *timer, fy_time now) {
  struct fy_credential *credential =
      (struct fy_credential *)((char *)timer -
                               offsetof(struct fy_credential, patience));
  uint64_t ticket = credential->ask_ticket;

  (void)now;
  credential->ask_ticket = 0;
  fy_listeners_unask(credential);
  give_up(credential, ticket, "the provider did not answer in time");
}

/* --- Hearing ------------------------------------------------------------ */

static void take_answer(struct fy_credential *credential) {
  uint64_t ticket = credential->ask_ticket;
  struct fy_grant grant;
  freddy_error why = {.code = FREDDY_OK};
  int rc = fy_listeners_take(credential, &grant, &why);

  if (!rc) {
    return;
  }
  credential->ask_ticket = 0;
  fy_timers_unset(&credential->engine->timers, &credential->patience);
  if (rc > 0) {
    fy_credential_got(credential, ticket, credential->asked_at, &grant);
  } else {
    fy_credential_got_nothing(credential, ticket, FY_TOKEN_GARBAGE, 0, &why);
  }
}

void fy_credential_heard(struct fy_credential *credential) {
  uint64_t ticket = credential->tell_ticket;

  if (credential->ask_ticket) {
    take_answer(credential);
  }
  if (ticket && !fy_listeners_are_busy(credential)) {
    credential->tell_ticket = 0;
    fy_token_told(&credential->token, ticket, fy_clock_now());
    fy_credential_run(credential);
  }
}
