/* SPDX-License-Identifier: MIT */
/* The engine runs the clockwork of a session. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "net/auth_call.h"
#include "net/call.h"
#include "net/client.h"
#include "net/credential.h"
#include "net/engine.h"
#include "net/listener.h"
#include "net/outcome.h"
#include "net/renewal.h"
#include "net/transfer.h"
#include "net/upload.h"
#include "rules/auth_code.h"

enum { TIMERS = 3 };

/* --- Whose it is -------------------------------------------------------- */

static void timer_fire(struct fy_timer *timer, fy_time now) {
  struct fy_credential *credential =
      (struct fy_credential *)((char *)timer -
                               offsetof(struct fy_credential, timer));

  fy_token_wake(&credential->token, now);
  fy_credential_run(credential);
}

/* Nothing that it has begun will have a result. */
static void interrupt(struct fy_credential *credential) {
  struct fy_token_step step;

  fy_token_interrupt(&credential->token);
  if (!fy_token_is_renewing(&credential->token)) {
    fy_token_step(&credential->token, &step);
    fy_store_step(credential, &step); /* gives a claim back */
  }
  fy_credential_unask_host(credential);
  fy_credential_publish(credential);
}

static void orphan(struct fy_credential *credential) {
  struct fy_engine *engine = credential->engine;

  interrupt(credential);
  fy_timers_unset(&engine->timers, &credential->timer);
  fy_timers_unset(&engine->timers, &credential->linger);
  fy_timers_unset(&engine->timers, &credential->patience);
  engine->timer_demand -= TIMERS;
  if (credential->prev) {
    credential->prev->next = credential->next;
  } else {
    engine->credentials = credential->next;
  }
  if (credential->next) {
    credential->next->prev = credential->prev;
  }
  credential->engine = NULL;
  fy_store_publish(credential, 0);
  fy_credential_unref(credential);
}

static void linger_fire(struct fy_timer *timer, fy_time now) {
  struct fy_credential *credential =
      (struct fy_credential *)((char *)timer -
                               offsetof(struct fy_credential, linger));

  if (fy_token_is_renewing(&credential->token)) {
    fy_timers_set(&credential->engine->timers, timer,
                  fy_clock_add(now, FY_SECOND)); /* what comes is to be kept */
  } else if (fy_credential_expire(credential)) {
    orphan(credential);
  }
}

int fy_credential_adopt(struct fy_engine *engine,
                        struct fy_credential *credential) {
  if (credential->engine) {
    return FREDDY_OK;
  }
  if (fy_timers_reserve(&engine->timers, engine->timer_demand + TIMERS) !=
      FREDDY_OK) {
    return FREDDY_ENOMEM;
  }
  engine->timer_demand += TIMERS;
  atomic_store(&credential->generation, fy_engine_generation());
  credential->engine = engine;
  credential->timer.fire = timer_fire;
  credential->linger.fire = linger_fire;
  credential->patience.fire = fy_credential_patience_fire;
  credential->prev = NULL;
  credential->next = engine->credentials;
  if (engine->credentials) {
    engine->credentials->prev = credential;
  }
  engine->credentials = fy_credential_ref(credential);
  fy_store_adopted(credential);
  return FREDDY_OK;
}

void fy_credential_orphan_all(struct fy_engine *engine) {
  while (engine->credentials) {
    (void)fy_credential_expire(engine->credentials); /* if nobody has it */
    orphan(engine->credentials);
  }
}

/* --- Those who wait ----------------------------------------------------- */

void fy_credential_wait(struct freddy_call *call) {
  struct fy_credential *credential = call->session;

  call->waits = 1;
  call->next_waiting = NULL;
  call->prev_waiting = credential->last_waiting;
  if (credential->last_waiting) {
    credential->last_waiting->next_waiting = call;
  } else {
    credential->first_waiting = call;
  }
  credential->last_waiting = call;
}

void fy_credential_forget(struct freddy_call *call) {
  struct fy_credential *credential = call->session;

  if (!call->waits) {
    return;
  }
  call->waits = 0;
  if (call->prev_waiting) {
    call->prev_waiting->next_waiting = call->next_waiting;
  } else {
    credential->first_waiting = call->next_waiting;
  }
  if (call->next_waiting) {
    call->next_waiting->prev_waiting = call->prev_waiting;
  } else {
    credential->last_waiting = call->prev_waiting;
  }
}

int fy_credential_is_switched(const struct freddy_call *call) {
  struct fy_credential *session = fy_client_session(call->client);
  freddy_credential kind = fy_client_kind(call->client, NULL);
  int switched = session ? session != call->session
                         : kind == FREDDY_API_KEY || kind == FREDDY_TOKEN;

  fy_credential_unref(session);
  return switched && call->ask.send_credential && !call->ask.key &&
         !call->ask.renewal && !call->ask.sends_refresh;
}

void fy_credential_fail(struct freddy_call *call,
                        enum fy_token_answer answer) {
  struct fy_credential *credential = call->session;
  const struct fy_token *token = &credential->token;
  freddy_error err = {.code = FREDDY_OK};
  fy_time now = fy_clock_now();

  if (fy_credential_is_switched(call)) {
    fy_dispatch_send(call); /* what it had failed, but that is the past */
    return;
  }
  if (answer == FY_TOKEN_OVER) {
    fy_error_set(&err, FREDDY_EAUTH, "session_expired",
                 "the session is over: %s", credential->why.message);
    err.uncertain = token->uncertain;
  } else if (answer == FY_TOKEN_RENEWAL_FAILED &&
             credential->why.code == FREDDY_ENOMEM) {
    fy_error_nomem(&err);
  } else if (answer == FY_TOKEN_RENEWAL_FAILED) {
    fy_error_set(&err, FREDDY_EAUTH,
                 strcmp(credential->why.reason, "provider_failed") == 0
                     ? "provider_failed"
                     : "refresh_failed",
                 "the token could not be renewed: %s",
                 credential->why.message);
    err.retry_after = token->retry_at > now
                          ? (double)(token->retry_at - now) / FY_SECOND
                          : 0;
  } else if (call->ask.renewal) {
    fy_error_set(&err, FREDDY_EAUTH, "no_session",
                 "the client has nothing to renew a token with");
  } else {
    fy_error_set(&err, FREDDY_EMISSING_CREDENTIALS, NULL,
                 "the client has no credential any more");
  }
  if (err.code == FREDDY_EAUTH) {
    err.cause = credential->why.cause;
  }
  err.sent = atomic_load(&call->sent);
  fy_outcome_deliver(call, &err);
}

static void go_on(struct freddy_call *call, enum fy_token_answer answer) {
  if (answer != FY_TOKEN_SEND) {
    fy_credential_fail(call, answer);
  } else if (call->ask.renewal) {
    fy_renewal_end(call);
  } else {
    fy_admission_enter(call, 1);
  }
}

static void ask_again(struct fy_credential *credential) {
  struct freddy_call *call = credential->first_waiting;
  fy_time now = fy_clock_now();

  while (call) {
    struct freddy_call *next = call->next_waiting;
    enum fy_token_answer answer =
        call->ask.renewal ? fy_renewal_ask(call)
                          : fy_token_ask(&credential->token, now, 1);

    if (answer != FY_TOKEN_WAIT) {
      fy_credential_forget(call);
      go_on(call, answer);
    }
    call = next;
  }
}

/* --- The clockwork ------------------------------------------------------ */

void fy_credential_publish(struct fy_credential *credential) {
  fy_time now = fy_clock_now();
  fy_time left = fy_token_left(&credential->token, now);

  pthread_mutex_lock(&credential->lock);
  credential->state = fy_token_state(&credential->token, now);
  credential->renewing = fy_token_is_renewing(&credential->token);
  credential->keeping =
      credential->store && fy_token_is_at_risk(&credential->token);
  credential->spent = fy_token_is_spent(&credential->token, now);
  credential->dies_at = fy_clock_add(now, left);
  credential->stale_at =
      left == FY_NEVER ? FY_NEVER : credential->token.stale_at;
  pthread_mutex_unlock(&credential->lock);
  fy_store_publish(credential, fy_token_is_at_risk(&credential->token));
}

static void fetch(struct fy_credential *credential,
                  const struct fy_token_step *step) {
  freddy_error err = {.code = FREDDY_OK};

  credential->cause = step->means == FY_BY_EXCHANGE ? "exchange" : "refresh";
  if (fy_auth_call_start(credential, step->means, step->ticket) == FREDDY_OK) {
    return;
  }
  fy_error_nomem(&err);
  credential->why = err;
  fy_token_not_fetched(&credential->token, step->ticket, fy_clock_now(),
                       FY_TOKEN_GARBAGE, 0);
}

static void do_step(struct fy_credential *credential,
                    const struct fy_token_step *step) {
  struct fy_token_grant given;

  if (step->todo == FY_TOKEN_TELL) {
    fy_credential_tell_host(credential, step);
  } else if (step->todo != FY_TOKEN_FETCH) {
    fy_store_step(credential, step);
  } else if (fy_store_has_given(credential, &given)) {
    credential->token.has_listener = 0; /* who gave it knows it */
    fy_token_fetched(&credential->token, step->ticket, fy_clock_now(), &given);
  } else if (step->means == FY_BY_PROVIDER) {
    fy_credential_ask_host(credential, step);
  } else {
    fetch(credential, step);
  }
}

void fy_credential_run(struct fy_credential *credential) {
  struct fy_token_step step;

  fy_credential_ref(credential);
  do {
    ask_again(credential); /* may begin a renewal */
    fy_token_step(&credential->token, &step);
    do_step(credential, &step);
  } while (step.todo != FY_TOKEN_NOTHING);
  if (credential->engine) {
    fy_timers_set(&credential->engine->timers, &credential->timer,
                  fy_token_due(&credential->token));
  }
  fy_credential_publish(credential);
  fy_credential_unref(credential);
}

/* Its times, as another process is to know them. */
static void note_times(struct fy_credential *credential,
                       const struct fy_token_grant *life) {
  double age = (double)(fy_clock_now() - life->since) / (double)FY_SECOND;

  pthread_mutex_lock(&credential->lock);
  credential->renewals++;
  pthread_mutex_unlock(&credential->lock);
  credential->obtained_at = fy_store_wall_now() - age;
  credential->expires_at =
      life->life == FY_NEVER
          ? 0
          : credential->obtained_at + (double)life->life / (double)FY_SECOND;
}

/* One that has run out on its way: who waits for it hears why. */
static void check_life(struct fy_credential *credential) {
  freddy_error err = {.code = FREDDY_OK};

  if (!fy_token_left(&credential->token, fy_clock_now())) {
    fy_error_set(&err, FREDDY_EAUTH, NULL,
                 "the new token had run out when it came");
    credential->why = err;
  }
}

void fy_credential_got(struct fy_credential *credential, uint64_t ticket,
                       fy_time since, struct fy_grant *grant) {
  struct fy_token_grant life = {
      since,
      isnan(grant->life) ? FY_NEVER : fy_clock_from_seconds(grant->life),
      grant->refresh != NULL};
  freddy_error err = {.code = FREDDY_OK};

  if (ticket != credential->token.ticket) {
    fy_grant_clear(grant); /* nothing old overwrites anything new */
    return;
  }
  if (fy_credential_replace(credential, grant) == FREDDY_OK) {
    note_times(credential, &life);
    credential->ends_at = fy_clock_add(since, life.life);
    credential->token.has_listener = fy_listeners_count(credential) > 0;
    fy_token_fetched(&credential->token, ticket, fy_clock_now(), &life);
    check_life(credential);
  } else {
    fy_error_nomem(&err);
    credential->why = err;
    fy_token_not_fetched(&credential->token, ticket, fy_clock_now(),
                         FY_TOKEN_LOST, 0);
  }
  fy_grant_clear(grant);
  fy_credential_run(credential);
}

void fy_credential_got_nothing(struct fy_credential *credential,
                               uint64_t ticket, enum fy_token_failure failure,
                               fy_time after, const freddy_error *why) {
  if (ticket != credential->token.ticket) {
    return;
  }
  credential->why = *why;
  pthread_mutex_lock(&credential->lock);
  memcpy(credential->last_error, why->message, sizeof(why->message));
  pthread_mutex_unlock(&credential->lock);
  fy_token_not_fetched(&credential->token, ticket, fy_clock_now(), failure,
                       after);
  fy_credential_run(credential);
}

/* --- Requests ----------------------------------------------------------- */

int fy_credential_admit(struct freddy_call *call) {
  struct fy_credential *credential;
  enum fy_token_answer answer;
  freddy_error err = {.code = FREDDY_OK};

  if (!call->ask.send_credential || call->ask.key) {
    return 1;
  }
  fy_credential_unref(call->session);
  call->session = credential = fy_client_session(call->client);
  if (!credential) {
    return 1;
  }
  if (fy_credential_adopt(call->engine, credential) != FREDDY_OK) {
    fy_error_nomem(&err);
    fy_outcome_deliver(call, &err);
    return 0;
  }
  fy_timers_unset(&call->engine->timers, &credential->linger);
  fy_token_look_again(&credential->token, fy_clock_now());
  answer = fy_token_ask(&credential->token, fy_clock_now(), 0);
  if (answer == FY_TOKEN_WAIT) {
    fy_credential_wait(call);
  } else if (answer != FY_TOKEN_SEND) {
    fy_credential_fail(call, answer);
  }
  fy_credential_run(credential);
  return answer == FY_TOKEN_SEND;
}

/* Its next request is another one; those of `next_waiting` are not heard of
 * meanwhile by anybody else. */
void fy_credential_switch(struct fy_engine *engine,
                          const freddy_client *client) {
  struct freddy_call *call, *first = NULL;
  struct freddy_call **last = &first;

  for (call = engine->calls; call; call = call->next_in_flight) {
    if (call->client == client && call->waits &&
        fy_credential_is_switched(call)) {
      fy_credential_forget(call);
      call->next_waiting = NULL;
      *last = call;
      last = &call->next_waiting;
    }
  }
  while (first) {
    call = first;
    first = call->next_waiting;
    fy_dispatch_send(call);
  }
}

static int is_ours(const struct freddy_call *call) {
  const struct fy_buf *body = &call->answer.body;

  return call->session && call->ask.send_credential && !call->ask.key &&
         !call->replayed && !call->streaming &&
         fy_auth_code_renews(body->data ? body->data : "", body->size);
}

/* Its credential was replaced while it flew: the new one is tried. */
static int replay_switched(struct freddy_call *call) {
  if (!fy_upload_can_replay(call)) {
    return 0;
  }
  call->replayed = 1;
  fy_call_forget_answer(call);
  fy_dispatch_send(call);
  return 1;
}

int fy_credential_rejected(struct freddy_call *call) {
  struct fy_credential *credential = call->session;
  enum fy_token_answer answer;

  if (!is_ours(call)) {
    return 0;
  }
  if (fy_credential_is_switched(call)) {
    return replay_switched(call);
  }
  answer = fy_token_rejected(&credential->token, fy_clock_now(),
                             call->token_generation);
  if (answer == FY_TOKEN_DELIVER || !fy_upload_can_replay(call)) {
    call->answer.stats.unreplayed = answer != FY_TOKEN_DELIVER;
    fy_credential_run(credential); /* the next request has a new one */
    return 0;
  }
  call->replayed = 1;
  fy_call_forget_answer(call);
  if (answer == FY_TOKEN_WAIT) {
    fy_credential_wait(call);
  } else {
    go_on(call, answer);
  }
  fy_credential_run(credential);
  return 1;
}

void fy_credential_heed_date(struct fy_credential *credential, double date) {
  double left = credential->given_expires - date;

  if (credential->token.given && !isnan(left)) {
    fy_token_correct(&credential->token, fy_clock_now(),
                     left > 0 ? fy_clock_from_seconds(left) : 0);
    fy_credential_run(credential);
  }
}
