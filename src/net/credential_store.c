/* SPDX-License-Identifier: MIT */
#include "net/credential_store.h"

#include <math.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "net/at_risk.h"
#include "net/client.h"
#include "net/credential.h"
#include "net/engine.h"
#include "net/listener.h"

/* The clockwork's own, and what a user does beside it. */
enum { OF_CLOCK, OF_USER };

double fy_store_wall_now(void) {
  struct timespec now;

  clock_gettime(CLOCK_REALTIME, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* --- Begin -------------------------------------------------------------- */

int fy_store_open(struct fy_credential *credential,
                  const struct fy_given *given, fy_time life) {
  const freddy_client *client = credential->via;
  struct fy_session_owner owner = {client->base_url,
                                   given->key ? "exchange" : "session"};

  if (!client->store) {
    return FREDDY_OK;
  }
  credential->store = fy_session_file_new(client->store, &owner, NULL);
  if (!credential->store) {
    return FREDDY_ENOMEM; /* the path was tried when the client was made */
  }
  credential->obtained_at = fy_store_wall_now();
  credential->expires_at =
      life == FY_NEVER || !life
          ? 0
          : credential->obtained_at + (double)life / (double)FY_SECOND;
  credential->given_since = fy_clock_now();
  credential->given_life = given->anew ? 0 : life;
  for (size_t i = 0; i < 2; i++) {
    credential->keep[i].credential = credential;
  }
  return FREDDY_OK;
}

int fy_store_has_given(struct fy_credential *credential,
                       struct fy_token_grant *grant) {
  grant->since = credential->given_since;
  grant->life = credential->given_life;
  grant->has_refresh = credential->first[1] != NULL;
  credential->given_life = 0;
  return grant->life != 0;
}

/* --- Asking ------------------------------------------------------------- */

/* On the I/O thread, or on ours where there is none. */
static void done(struct fy_session_job *job) {
  struct fy_keep *keep = (struct fy_keep *)job;
  struct fy_credential *credential = keep->credential;
  struct fy_engine *engine = fy_engine_running();

  if (keep == &credential->keep[OF_USER]) {
    fy_at_risk_drop(FY_RISK_STORED);
  }
  atomic_store(&keep->over, 1);
  if (engine && atomic_load(&credential->generation)) {
    fy_engine_post(engine, &credential->post, FY_CREDENTIAL_STORED);
  }
  fy_credential_unref(credential);
}

static void set_session(struct fy_credential *credential,
                        struct fy_kept_session *session) {
  fy_session_clear(session);
  pthread_mutex_lock(&credential->lock);
  session->access = fy_secret_ref(credential->access);
  session->refresh = fy_secret_ref(credential->refresh);
  pthread_mutex_unlock(&credential->lock);
  session->obtained_at = credential->obtained_at;
  session->expires_at = credential->expires_at;
}

static void begin(struct fy_keep *keep, const struct fy_token_step *step) {
  struct fy_credential *credential = keep->credential;

  keep->step = *step;
  keep->busy = 1;
  fy_credential_ref(credential);
  if (step->todo == FY_TOKEN_CLAIM) {
    fy_session_file_claim(credential->store, &keep->job, FY_CLAIM_TTL, done);
  } else {
    set_session(credential, &keep->job.session);
    fy_session_file_save(credential->store, &keep->job, 1, done);
  }
}

void fy_store_step(struct fy_credential *credential,
                   const struct fy_token_step *step) {
  struct fy_keep *keep = &credential->keep[OF_CLOCK];

  if (!credential->store) {
    return;
  }
  if (step->todo == FY_TOKEN_RELEASE) {
    fy_session_file_release(credential->store);
  } else if (step->todo != FY_TOKEN_CLAIM && step->todo != FY_TOKEN_SAVE) {
    return;
  } else if (keep->busy) {
    keep->next = *step;
  } else {
    begin(keep, step);
  }
}

void fy_store_expect(struct fy_credential *credential) {
  if (credential->store) {
    atomic_fetch_add(&credential->unsaved, 1);
    fy_at_risk_add(FY_RISK_STORED, credential->via->exit_wait);
  }
}

static void blame(struct fy_credential *credential, const freddy_error *why) {
  credential->why = *why;
  pthread_mutex_lock(&credential->lock);
  memcpy(credential->last_error, why->message, sizeof(why->message));
  pthread_mutex_unlock(&credential->lock);
}

/* Requests go on with what is in memory only. */
static void not_kept(struct fy_credential *credential,
                     const freddy_error *why) {
  freddy_error err = {.code = FREDDY_OK};

  pthread_mutex_lock(&credential->lock);
  memcpy(credential->last_error, why->message, sizeof(why->message));
  pthread_mutex_unlock(&credential->lock);
  fy_error_set(&err, FREDDY_EAUTH, "store_failed", "%s", why->message);
  fy_listeners_tell_failure(credential, &err);
}

static int is_over(struct fy_keep *keep) {
  return keep->busy && atomic_exchange(&keep->over, 0);
}

static void heed_user(struct fy_credential *credential) {
  struct fy_keep *user = &credential->keep[OF_USER];

  if (!is_over(user)) {
    return;
  }
  user->busy = 0;
  memset(&credential->unkept, 0, sizeof(credential->unkept));
  if (user->job.result == FY_SESSION_FAILED) {
    fy_error_set(&credential->unkept, FREDDY_EAUTH, "store_failed", "%s",
                 user->job.error.message);
    if (!credential->asked_for) {
      fy_listeners_tell_failure(credential, &credential->unkept);
    }
    blame(credential, &user->job.error);
  }
  fy_session_clear(&user->job.session);
  atomic_fetch_sub(&credential->unsaved, 1);
}

void fy_store_unexpect(struct fy_credential *credential) {
  fy_at_risk_drop(FY_RISK_STORED);
  atomic_fetch_sub(&credential->unsaved, 1);
}

static void by_user(struct fy_credential *credential, int clears) {
  struct fy_keep *keep = &credential->keep[OF_USER];

  if (!credential->store) {
    return;
  }
  heed_user(credential); /* it may have ended while no engine ran */
  if (keep->busy) {
    credential->clear_due |= clears;
    fy_store_unexpect(credential); /* what is under way counts, too */
    return;
  }
  keep->busy = 1;
  fy_credential_ref(credential);
  if (clears) {
    credential->asked_for = 1; /* it has no listener any more */
    fy_session_file_clear(credential->store, &keep->job, done);
  } else {
    set_session(credential, &keep->job.session);
    fy_session_file_save(credential->store, &keep->job, 0, done);
  }
}

void fy_store_save_given(struct fy_credential *credential) {
  by_user(credential, 0);
}

void fy_store_clear(struct fy_credential *credential) {
  by_user(credential, 1);
}

/* --- Hearing ------------------------------------------------------------ */

static void adopt(struct fy_credential *credential, const struct fy_keep *keep,
                  fy_time now) {
  const struct fy_kept_session *session = &keep->job.session;
  struct fy_grant grant = {session->access, session->refresh, NAN};
  struct fy_token_grant life;
  freddy_error err = {.code = FREDDY_OK};

  if (fy_credential_replace(credential, &grant) != FREDDY_OK) {
    fy_error_nomem(&err);
    blame(credential, &err);
    fy_token_not_claimed(&credential->token, keep->step.ticket, now);
    return;
  }
  credential->given_life = 0;
  credential->obtained_at = session->obtained_at;
  credential->expires_at = session->expires_at;
  fy_session_grant(session, fy_store_wall_now(), now, &life);
  credential->cause = "refresh"; /* by another process */
  credential->ends_at = fy_clock_add(life.since, life.life);
  credential->token.has_listener = fy_listeners_count(credential) > 0;
  fy_token_adopt(&credential->token, keep->step.ticket, now, &life);
}

/* The claim is ours, and so is what another one left to renew it with. */
static void go(struct fy_credential *credential, const struct fy_keep *keep,
               fy_time now) {
  struct fy_secret *refresh = keep->job.session.refresh;

  if (refresh) {
    fy_credential_set_refresh(credential, refresh);
    fy_token_can_refresh(&credential->token);
    credential->given_life = 0;
  }
  fy_token_claimed(&credential->token, keep->step.ticket, now, 0);
}

static void heed(struct fy_credential *credential, struct fy_keep *keep) {
  fy_time now = fy_clock_now();
  uint64_t ticket = keep->step.ticket;

  if (ticket != credential->token.ticket) {
    if (keep->job.result == FY_SESSION_GO) {
      fy_session_file_release(credential->store);
    }
    return;
  }
  switch (keep->job.result) {
  case FY_SESSION_GO:
    go(credential, keep, now);
    break;
  case FY_SESSION_WAIT:
    fy_token_claimed(&credential->token, ticket, now, keep->job.wait);
    break;
  case FY_SESSION_ADOPT:
    adopt(credential, keep, now);
    break;
  case FY_SESSION_ENDED:
    fy_credential_wipe(credential);
    fy_token_ended(&credential->token, ticket);
    break;
  case FY_SESSION_FAILED:
    if (keep->step.todo == FY_TOKEN_SAVE) {
      not_kept(credential, &keep->job.error);
      fy_token_saved(&credential->token, ticket, now);
    } else {
      blame(credential, &keep->job.error);
      fy_token_not_claimed(&credential->token, ticket, now);
    }
    break;
  default:
    fy_token_saved(&credential->token, ticket, now);
  }
}

int fy_store_is_busy(const struct fy_credential *credential) {
  return credential->keep[OF_USER].busy || credential->clear_due;
}

void fy_store_heed(struct fy_credential *credential) {
  struct fy_keep *clock = &credential->keep[OF_CLOCK];
  struct fy_token_step next = clock->next;

  heed_user(credential);
  if (credential->clear_due && !credential->keep[OF_USER].busy) {
    credential->clear_due = 0;
    fy_store_expect(credential);
    fy_store_clear(credential);
  }
  if (is_over(clock)) {
    clock->busy = 0;
    heed(credential, clock);
    fy_session_clear(&clock->job.session);
    clock->next.todo = FY_TOKEN_NOTHING;
    if (next.todo != FY_TOKEN_NOTHING &&
        next.ticket == credential->token.ticket) {
      begin(clock, &next);
    }
  }
  if (credential->engine) {
    fy_credential_run(credential);
  }
}

void fy_store_adopted(struct fy_credential *credential) {
  if (atomic_load(&credential->keep[OF_CLOCK].over) ||
      atomic_load(&credential->keep[OF_USER].over)) {
    fy_engine_post(credential->engine, &credential->post,
                   FY_CREDENTIAL_STORED);
  }
}

/* --- Exit --------------------------------------------------------------- */

void fy_store_publish(struct fy_credential *credential, int risky) {
  int how = !risky              ? FY_RISK_NONE
            : credential->store ? FY_RISK_STORED
                                : FY_RISK_TOLD;

  if (how == credential->counted) {
    return;
  }
  if (how != FY_RISK_NONE) {
    fy_at_risk_add(how, credential->via->exit_wait);
  }
  if (credential->counted != FY_RISK_NONE) {
    fy_at_risk_drop(credential->counted);
  }
  credential->counted = how;
}
