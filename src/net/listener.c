/* SPDX-License-Identifier: MIT */
#include "net/listener.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"
#include "net/call.h"
#include "net/client.h"
#include "net/credential.h"
#include "net/engine.h"
#include "net/permits.h"
#include "net/rate.h"
#include "rules/jwt.h"

/* Taken before any other lock. */
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct freddy_call *first;

void fy_listeners_lock(void) {
  pthread_mutex_lock(&list_lock);
}

void fy_listeners_unlock(void) {
  pthread_mutex_unlock(&list_lock);
}

/* --- What is told ------------------------------------------------------- */

void fy_told_clear(struct fy_told *told) {
  fy_secret_unref(told->access);
  fy_secret_unref(told->refresh);
  memset(told, 0, sizeof(*told));
}

static void told_copy(struct fy_told *out, const struct fy_told *told) {
  fy_told_clear(out);
  *out = *told;
  fy_secret_ref(out->access);
  fy_secret_ref(out->refresh);
}

static void to_tokens(const struct fy_told *told, freddy_tokens *tokens) {
  double left = 0;

  memset(tokens, 0, sizeof(*tokens));
  tokens->access_token = fy_secret_bare(told->access);
  tokens->refresh_token = told->refresh ? fy_secret_bare(told->refresh) : NULL;
  tokens->cause = told->cause;
  if (told->ends_at != FY_NEVER) {
    left = (double)(told->ends_at - fy_clock_now()) / FY_SECOND;
    tokens->expires_in = left > 0 ? left : 0;
    tokens->expires_at = (double)time(NULL) + left;
  }
}

/* --- The list ----------------------------------------------------------- */

int fy_listener_join(struct freddy_call *call, const freddy_listener *how) {
  struct fy_listener *listener = fy_calloc(1, sizeof(*listener));

  if (!listener) {
    return FREDDY_ENOMEM;
  }
  listener->hears = how->tokens;
  listener->provides = how->provides;
  listener->hears_failures = how->failures;
  listener->permits = how->permits;
  listener->listed = 1;
  call->listener = listener;
  pthread_mutex_lock(&list_lock);
  listener->next = first;
  if (first) {
    first->listener->prev = call;
  }
  first = call;
  pthread_mutex_unlock(&list_lock);
  return FREDDY_OK;
}

/* The caller holds the list's lock. */
static void unlist(struct freddy_call *call) {
  struct fy_listener *listener = call->listener;

  if (!listener->listed) {
    return;
  }
  listener->listed = 0;
  if (listener->prev) {
    listener->prev->listener->next = listener->next;
  } else {
    first = listener->next;
  }
  if (listener->next) {
    listener->next->listener->prev = listener->prev;
  }
}

/* Somebody has answered, or will not. `credential`, stolen, may be NULL. */
static void post_heard(struct fy_credential *credential) {
  struct fy_engine *engine = fy_engine_running();

  if (credential && engine) {
    fy_engine_post(engine, &credential->post, FY_CREDENTIAL_HEARD);
  }
  fy_credential_unref(credential);
}

static void drop_questions(struct freddy_call *call) {
  struct fy_listener *listener = call->listener;
  struct fy_credential *told_by, *asked_by;

  pthread_mutex_lock(&call->inbox->lock);
  told_by = listener->told_by;
  asked_by = listener->asked_by;
  listener->told_by = listener->asked_by = NULL;
  fy_told_clear(&listener->news);
  pthread_mutex_unlock(&call->inbox->lock);
  post_heard(told_by);
  post_heard(asked_by);
  fy_permits_drop(call);
}

void fy_listener_leave(struct freddy_call *call) {
  pthread_mutex_lock(&list_lock);
  unlist(call);
  pthread_mutex_unlock(&list_lock);
  drop_questions(call);
}

void fy_listener_free(struct fy_listener *listener) {
  if (!listener) {
    return;
  }
  fy_told_clear(&listener->news);
  fy_credential_unref(listener->told_by);
  fy_credential_unref(listener->asked_by);
  fy_rate_unref(listener->permits_for);
  fy_grant_clear(&listener->grant);
  fy_free(listener);
}

/* The first of a client, taken out of the list; a new reference. */
static struct freddy_call *take_of(const freddy_client *client) {
  struct freddy_call *call;

  pthread_mutex_lock(&list_lock);
  call = first;
  while (call && call->client != client) {
    call = call->listener->next;
  }
  if (call) {
    unlist(call);
    fy_call_ref(call);
  }
  pthread_mutex_unlock(&list_lock);
  return call;
}

void fy_listeners_each(void (*look)(struct freddy_call *call, void *context),
                       void *context) {
  pthread_mutex_lock(&list_lock);
  for (struct freddy_call *call = first; call; call = call->listener->next) {
    look(call, context);
  }
  pthread_mutex_unlock(&list_lock);
}

void fy_listeners_close(freddy_client *client) {
  freddy_error err = {.code = FREDDY_OK};
  struct freddy_call *call;

  fy_error_set(&err, FREDDY_ECLOSED, NULL, "the client was closed");
  while ((call = take_of(client))) {
    if (!fy_call_is_foreign(call)) {
      fy_call_end(call, &err, FY_NOTHING);
      drop_questions(call);
    }
    fy_call_unref(call);
  }
}

static int has_session(freddy_client *client,
                       const struct fy_credential *credential) {
  int has;

  pthread_mutex_lock(&client->lock);
  has = client->session == credential;
  pthread_mutex_unlock(&client->lock);
  return has;
}

/* The next in the list, from `call` on, that is there for `credential`. */
static struct freddy_call *seek(struct freddy_call *call,
                                const struct fy_credential *credential) {
  while (call &&
         (fy_call_is_foreign(call) || atomic_load(&call->client->closed) ||
          !has_session(call->client, credential))) {
    call = call->listener->next;
  }
  return call;
}

#define EACH_LISTENER(call, credential)                          \
  for (struct freddy_call *call = seek(first, credential); call; \
       call = seek(call->listener->next, credential))

/* --- From the engine ---------------------------------------------------- */

int fy_listeners_count(struct fy_credential *credential) {
  int count = 0;

  pthread_mutex_lock(&list_lock);
  EACH_LISTENER(call, credential) {
    count += call->listener->hears;
  }
  pthread_mutex_unlock(&list_lock);
  return count;
}

/* 1 when it was told. */
static int tell(struct freddy_call *call, struct fy_credential *credential,
                const struct fy_told *told, int asks) {
  struct fy_listener *listener = call->listener;
  struct fy_credential *old = NULL;
  int open;

  pthread_mutex_lock(&call->inbox->lock);
  open = listener->hears && !call->ended && !call->inbox->closed;
  if (open) {
    told_copy(&listener->news, told);
    listener->told_question = ++call->question;
    old = listener->told_by;
    listener->told_by = asks ? fy_credential_ref(credential) : NULL;
    call->out |= FY_OUT_TOKEN;
    fy_inbox_list(call->inbox, call);
  }
  fy_inbox_unlock(call->inbox);
  post_heard(old);
  return open;
}

int fy_listeners_tell(struct fy_credential *credential,
                      const struct fy_told *told, int asks) {
  int count = 0;

  pthread_mutex_lock(&list_lock);
  EACH_LISTENER(call, credential) {
    count += tell(call, credential, told, asks);
  }
  pthread_mutex_unlock(&list_lock);
  return count;
}

void fy_listeners_tell_failure(struct fy_credential *credential,
                               const freddy_error *failure) {
  pthread_mutex_lock(&list_lock);
  EACH_LISTENER(call, credential) {
    pthread_mutex_lock(&call->inbox->lock);
    if (call->listener->hears_failures && !call->ended &&
        !call->inbox->closed) {
      call->listener->not_kept = *failure;
      call->out |= FY_OUT_NOT_KEPT;
      fy_inbox_list(call->inbox, call);
    }
    fy_inbox_unlock(call->inbox);
  }
  pthread_mutex_unlock(&list_lock);
}

int fy_listeners_are_busy(struct fy_credential *credential) {
  int busy = 0;

  pthread_mutex_lock(&list_lock);
  for (struct freddy_call *call = first; call && !busy;
       call = call->listener->next) {
    if (!fy_call_is_foreign(call)) {
      pthread_mutex_lock(&call->inbox->lock);
      busy = call->listener->told_by == credential && !call->inbox->closed;
      pthread_mutex_unlock(&call->inbox->lock);
    }
  }
  pthread_mutex_unlock(&list_lock);
  return busy;
}

int fy_listeners_are_elsewhere(void) {
  int found = 0;

  pthread_mutex_lock(&list_lock);
  for (struct freddy_call *call = first; call && !found;
       call = call->listener->next) {
    struct freddy_inbox *inbox = call->inbox;

    if (call->listener->hears && !fy_call_is_foreign(call)) {
      pthread_mutex_lock(&inbox->lock);
      found = !inbox->closed && inbox->has_waited &&
              !pthread_equal(inbox->waiter, pthread_self());
      pthread_mutex_unlock(&inbox->lock);
    }
  }
  pthread_mutex_unlock(&list_lock);
  return found;
}

static int ask(struct freddy_call *call, struct fy_credential *credential,
               const char *why) {
  struct fy_listener *listener = call->listener;
  struct fy_credential *old = NULL;
  int open;

  pthread_mutex_lock(&call->inbox->lock);
  open = listener->provides && !call->ended && !call->inbox->closed;
  if (open) {
    old = listener->asked_by;
    listener->asked_by = fy_credential_ref(credential);
    listener->need_question = ++call->question;
    listener->why = why;
    listener->replied = 0;
    fy_grant_clear(&listener->grant);
    call->out |= FY_OUT_NEED_TOKEN;
    fy_inbox_list(call->inbox, call);
  }
  fy_inbox_unlock(call->inbox);
  fy_credential_unref(old);
  return open;
}

int fy_listeners_ask(struct fy_credential *credential, const char *why) {
  int asked = 0;

  pthread_mutex_lock(&list_lock);
  EACH_LISTENER(call, credential) {
    asked = asked || ask(call, credential, why);
  }
  pthread_mutex_unlock(&list_lock);
  return asked;
}

/* The one that was asked by `credential`; the caller holds the list's lock. */
static struct freddy_call *asked_of(const struct fy_credential *credential) {
  struct freddy_call *call = first;

  while (call && (fy_call_is_foreign(call) ||
                  call->listener->asked_by != credential)) {
    call = call->listener->next;
  }
  return call;
}

static int take_reply(struct fy_listener *listener, struct fy_grant *grant,
                      freddy_error *err) {
  if (!listener->replied) {
    return 0;
  }
  listener->replied = 0;
  *grant = listener->grant;
  memset(&listener->grant, 0, sizeof(listener->grant));
  if (grant->access) {
    return 1;
  }
  fy_error_set(err, FREDDY_EAUTH, "provider_failed", "%s", listener->failure);
  return -1;
}

int fy_listeners_take(struct fy_credential *credential, struct fy_grant *grant,
                      freddy_error *err) {
  struct fy_credential *old = NULL;
  struct freddy_call *call;
  int rc = -1;

  pthread_mutex_lock(&list_lock);
  call = asked_of(credential);
  if (!call) {
    fy_error_set(err, FREDDY_EAUTH, "provider_failed",
                 "the provider went away");
  } else {
    pthread_mutex_lock(&call->inbox->lock);
    rc = take_reply(call->listener, grant, err);
    if (rc) {
      old = call->listener->asked_by;
      call->listener->asked_by = NULL;
    }
    pthread_mutex_unlock(&call->inbox->lock);
  }
  pthread_mutex_unlock(&list_lock);
  fy_credential_unref(old);
  return rc;
}

void fy_listeners_unask(struct fy_credential *credential) {
  struct fy_credential *old = NULL;
  struct freddy_call *call;

  pthread_mutex_lock(&list_lock);
  call = asked_of(credential);
  if (call) {
    pthread_mutex_lock(&call->inbox->lock);
    old = call->listener->asked_by;
    call->listener->asked_by = NULL;
    call->listener->replied = 0;
    fy_grant_clear(&call->listener->grant);
    pthread_mutex_unlock(&call->inbox->lock);
  }
  pthread_mutex_unlock(&list_lock);
  fy_credential_unref(old);
}

/* --- From the host ------------------------------------------------------ */

void fy_listener_next_event(struct freddy_call *call, freddy_event *event) {
  struct fy_listener *listener = call->listener;
  struct freddy_inbox *inbox = call->inbox;

  if (call->out & FY_OUT_NOT_KEPT) {
    call->out &= ~(unsigned)FY_OUT_NOT_KEPT;
    inbox->failure = listener->not_kept;
    event->type = FREDDY_NOT_KEPT;
    event->failure = &inbox->failure;
    return;
  }
  if (call->out & FY_OUT_TOKEN) {
    call->out &= ~(unsigned)FY_OUT_TOKEN;
    inbox->told = listener->news;
    memset(&listener->news, 0, sizeof(listener->news));
    event->type = FREDDY_NEW_TOKENS;
    event->question = listener->told_question;
    if (inbox->told.access) {
      to_tokens(&inbox->told, &inbox->tokens);
      event->tokens = &inbox->tokens;
    }
    return;
  }
  if (call->out & FY_OUT_NEED_PERMITS) {
    fy_permits_next_event(call, event);
    return;
  }
  call->out &= ~(unsigned)FY_OUT_NEED_TOKEN;
  event->type = FREDDY_NEED_TOKEN;
  event->question = listener->need_question;
  event->why = listener->why;
}

static int is_token(const char *text) {
  size_t size = text ? strlen(text) : 0;

  for (size_t i = 0; i < size; i++) {
    if (text[i] <= ' ' || text[i] > '~') {
      return 0;
    }
  }
  return size > 0 && size <= FY_MAX_SECRET;
}

/* What it has left, by its own word where the host says nothing; NAN: not
 * known. */
static int life_of(const freddy_tokens *tokens, double *life) {
  struct fy_jwt_times times;
  const char *text = tokens->access_token;

  *life = tokens->expires_in;
  if (*life != 0) {
    return FREDDY_OK;
  }
  if (fy_jwt_read(text, strlen(text), &times) != FREDDY_OK) {
    return FREDDY_ENOMEM;
  }
  *life = fy_jwt_left(&times, (double)time(NULL));
  return FREDDY_OK;
}

/* FREDDY_OK with grant->access NULL and *failure: they are of no use. */
static int read_tokens(const freddy_tokens *tokens, struct fy_grant *grant,
                       const char **failure) {
  memset(grant, 0, sizeof(*grant));
  if (!tokens) {
    *failure = *failure ? *failure : "the provider gave no token";
    return FREDDY_OK;
  }
  if (!is_token(tokens->access_token) ||
      (tokens->refresh_token && !is_token(tokens->refresh_token))) {
    *failure = "the provider gave what is no token";
    return FREDDY_OK;
  }
  if (life_of(tokens, &grant->life) != FREDDY_OK) {
    return FREDDY_ENOMEM;
  }
  if (grant->life <= 0) {
    *failure = "the provider gave a token that has run out";
    return FREDDY_OK;
  }
  grant->access =
      fy_secret_new(NULL, tokens->access_token, strlen(tokens->access_token));
  if (tokens->refresh_token) {
    grant->refresh = fy_secret_new(NULL, tokens->refresh_token,
                                   strlen(tokens->refresh_token));
  }
  if (!grant->access || (tokens->refresh_token && !grant->refresh)) {
    fy_grant_clear(grant);
    return FREDDY_ENOMEM;
  }
  return FREDDY_OK;
}

static int answer_need(struct freddy_call *call, uint32_t question,
                       const freddy_tokens *tokens, const char *failure) {
  struct fy_listener *listener = call->listener;
  struct fy_credential *asker = NULL;
  freddy_error why = {.code = FREDDY_OK};
  struct fy_grant grant;
  int rc = read_tokens(tokens, &grant, &failure);

  if (rc != FREDDY_OK) {
    return rc;
  }
  fy_error_set(&why, FREDDY_EAUTH, NULL, "%s", failure ? failure : "");
  pthread_mutex_lock(&call->inbox->lock);
  if (listener->asked_by && !listener->replied &&
      listener->need_question == question) {
    asker = fy_credential_ref(listener->asked_by);
    listener->replied = 1;
    listener->grant = grant;
    memset(&grant, 0, sizeof(grant));
    memcpy(listener->failure, why.message, sizeof(listener->failure));
  }
  pthread_mutex_unlock(&call->inbox->lock);
  fy_grant_clear(&grant);
  post_heard(asker);
  return FREDDY_OK;
}

int fy_listener_answer(struct freddy_call *call, uint32_t question,
                       const freddy_tokens *tokens, const char *failure) {
  struct fy_listener *listener = call->listener;
  struct fy_credential *teller = NULL;
  int is_need;

  if (!listener) {
    return FREDDY_EMISUSE;
  }
  pthread_mutex_lock(&call->inbox->lock);
  is_need = question == listener->need_question;
  if (question == listener->told_question && !is_need) {
    teller = listener->told_by;
    listener->told_by = NULL;
  }
  pthread_mutex_unlock(&call->inbox->lock);
  post_heard(teller);
  return is_need ? answer_need(call, question, tokens, failure) : FREDDY_OK;
}
