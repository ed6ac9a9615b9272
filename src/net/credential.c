/* SPDX-License-Identifier: MIT */
#include "net/credential.h"

#include <math.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/random.h"
#include "net/client.h"
#include "net/engine.h"
#include "net/inbox.h"
#include "rules/jwt.h"

static const fy_time LINGER = 60 * FY_SECOND;

/* Every session of the process that a client may share. */
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct fy_credential *table;

void fy_credential_lock_table(void) {
  pthread_mutex_lock(&table_lock);
}

void fy_credential_unlock_table(void) {
  pthread_mutex_unlock(&table_lock);
}

/* --- References --------------------------------------------------------- */

struct fy_credential *fy_credential_ref(struct fy_credential *credential) {
  if (credential) {
    atomic_fetch_add(&credential->refs, 1);
  }
  return credential;
}

void fy_credential_unref(struct fy_credential *credential) {
  if (!credential || atomic_fetch_sub(&credential->refs, 1) != 1) {
    return;
  }
  fy_client_unref(credential->via);
  fy_inbox_unref(credential->nowhere);
  fy_session_file_unref(credential->store);
  fy_secret_unref(credential->key);
  fy_secret_unref(credential->first[0]);
  fy_secret_unref(credential->first[1]);
  fy_secret_unref(credential->access);
  fy_secret_unref(credential->refresh);
  fy_secrets_clear(&credential->replaced);
  pthread_mutex_destroy(&credential->lock);
  fy_free(credential);
}

/* The caller holds the table's lock. */
static void unlist(struct fy_credential *credential) {
  struct fy_credential **at = &table;

  while (*at && *at != credential) {
    at = &(*at)->next_listed;
  }
  if (*at) {
    *at = credential->next_listed;
    credential->listed = 0;
    fy_credential_unref(credential);
  }
}

/* --- Making one --------------------------------------------------------- */

static struct fy_secret *copy_secret(const char *prefix,
                                     const struct fy_secret *secret) {
  return fy_secret_new(prefix, fy_secret_text(secret), fy_secret_size(secret));
}

static int copy_secrets(struct fy_credential *credential,
                        const struct fy_given *session) {
  static const char line[] = "Authorization: Bearer ";
  int failed = 0;

  if (session->access) {
    credential->first[0] = copy_secret(NULL, session->access);
    credential->access = copy_secret(line, session->access);
    failed |= !credential->first[0] || !credential->access;
  }
  if (session->refresh) {
    credential->first[1] = copy_secret(NULL, session->refresh);
    credential->refresh = fy_secret_ref(credential->first[1]);
    failed |= !credential->first[1];
  }
  if (session->key) {
    credential->key = fy_secret_ref(session->key);
  }
  return failed ? FREDDY_ENOMEM : FREDDY_OK;
}

/* A token that was given has no sending moment: by this machine's clock,
 * until an answer tells better. FY_NEVER: unknown; 0: it has run out. */
static int given_life(struct fy_credential *credential,
                      const struct fy_given *session, fy_time *life) {
  struct fy_jwt_times times;
  double left = session->expires_in;

  *life = FY_NEVER;
  credential->given_expires = NAN;
  if (fy_jwt_read(fy_secret_text(session->access),
                  fy_secret_size(session->access), &times) != FREDDY_OK) {
    return FREDDY_ENOMEM;
  }
  if (!(left > 0)) {
    left = fy_jwt_left(&times, (double)time(NULL));
    credential->given_expires = times.expires >= 0 ? times.expires : NAN;
  }
  if (!isnan(left)) {
    *life = left > 0 ? fy_clock_from_seconds(left) : 0;
  }
  return FREDDY_OK;
}

static int wind_up(struct fy_credential *credential,
                   const struct fy_given *session) {
  int means = (session->refresh ? FY_BY_REFRESH : 0) |
              (session->key ? FY_BY_EXCHANGE : 0) |
              (session->provided ? FY_BY_PROVIDER : 0);
  fy_time life = 0;
  uint64_t seed = 0;

  if (fy_random(&seed, sizeof(seed))) {
    seed = (uint64_t)fy_clock_now();
  }
  if (session->access && given_life(credential, session, &life)) {
    return FREDDY_ENOMEM;
  }
  if (fy_store_open(credential, session, life) != FREDDY_OK) {
    return FREDDY_ENOMEM;
  }
  if (credential->store && !session->anew) {
    means |= FY_BY_STORE; /* what it has is newer than what is given */
    life = 0;
  }
  credential->renewable = means != 0;
  credential->provided = session->provided;
  fy_token_init(&credential->token, means, seed);
  credential->token.keep_warm = credential->via->keep_warm;
  credential->token.has_store = credential->store != NULL;
  credential->ends_at = life ? fy_clock_add(fy_clock_now(), life) : FY_NEVER;
  fy_token_give(&credential->token, fy_clock_now(), life, means);
  return FREDDY_OK;
}

static void post_ref(struct fy_post *post) {
  fy_credential_ref((struct fy_credential *)post);
}

static void post_unref(struct fy_post *post) {
  fy_credential_unref((struct fy_credential *)post);
}

static void keep_given(struct fy_engine *engine,
                       struct fy_credential *credential, unsigned wishes) {
  if (fy_credential_adopt(engine, credential) == FREDDY_OK) {
    credential->asked_for = (wishes & FY_CREDENTIAL_ASKED_FOR) != 0;
    fy_store_save_given(credential);
  } else {
    fy_store_unexpect(credential);
  }
}

static void post_handle(struct fy_engine *engine, struct fy_post *post,
                        unsigned wishes) {
  struct fy_credential *credential = (struct fy_credential *)post;

  if (wishes & FY_CREDENTIAL_REVOKE) {
    fy_credential_revoke_now(credential);
  }
  if (wishes & FY_CREDENTIAL_KEEP) {
    keep_given(engine, credential, wishes);
  }
  if (wishes & FY_CREDENTIAL_STORED) {
    fy_store_heed(credential);
  }
  if (wishes & FY_CREDENTIAL_ANNOUNCE) {
    fy_credential_announce_now(engine, credential);
  }
  if (wishes & FY_CREDENTIAL_HEARD && credential->engine) {
    fy_credential_heard(credential);
  }
  if (wishes & FY_CREDENTIAL_UNUSED && credential->engine) {
    fy_timers_set(&engine->timers, &credential->linger,
                  fy_clock_add(fy_clock_now(), LINGER));
  }
}

static const struct fy_post_type credential_type = {post_handle, post_ref,
                                                    post_unref};

static struct fy_credential *make(freddy_client *client,
                                  const struct fy_given *session) {
  static _Atomic uint64_t made;
  struct fy_credential *credential = fy_calloc(1, sizeof(*credential));

  if (!credential) {
    return NULL;
  }
  credential->serial = atomic_fetch_add(&made, 1) + 1;
  credential->post.type = &credential_type;
  atomic_store(&credential->refs, 1);
  pthread_mutex_init(&credential->lock, NULL);
  credential->via = fy_client_ref(client);
  credential->dies_at = FY_NEVER;
  credential->nowhere = fy_inbox_new(NULL);
  if (!credential->nowhere || copy_secrets(credential, session) != FREDDY_OK ||
      wind_up(credential, session) != FREDDY_OK) {
    fy_credential_unref(credential);
    return NULL;
  }
  fy_credential_publish(credential);
  return credential;
}

/* --- Sharing ------------------------------------------------------------ */

static int same(const struct fy_secret *a, const struct fy_secret *b) {
  return a && b ? fy_secret_equal(a, b) : a == b;
}

/* By the refresh token, as it was given or as it is now; an access token may
 * be an older one. Without, by the access token. */
static int is_that(struct fy_credential *credential, freddy_client *client,
                   const struct fy_given *session) {
  int found;

  if (fy_engine_is_foreign(credential->generation) || session->provided ||
      credential->provided || atomic_load(&credential->revoked) ||
      !same(credential->key, session->key) ||
      !fy_client_is_alike(credential->via, client)) {
    return 0;
  }
  found = same(credential->first[1], session->refresh) &&
          (session->refresh || same(credential->first[0], session->access));
  pthread_mutex_lock(&credential->lock);
  if (!found && session->refresh) {
    found = same(credential->refresh, session->refresh);
  }
  pthread_mutex_unlock(&credential->lock);
  return found;
}

static int is_spent(struct fy_credential *credential) {
  int spent;

  pthread_mutex_lock(&credential->lock);
  spent = credential->spent;
  pthread_mutex_unlock(&credential->lock);
  return spent;
}

/* The caller holds the table's lock. */
static struct fy_credential *find(freddy_client *client,
                                  const struct fy_given *session) {
  struct fy_credential *credential = table;

  while (credential && !is_that(credential, client, session)) {
    credential = credential->next_listed;
  }
  if (credential && session->anew && is_spent(credential)) {
    unlist(credential); /* who has it keeps it; nobody else finds it */
    return NULL;
  }
  return credential;
}

struct fy_credential *fy_credential_get(freddy_client *client,
                                        const struct fy_given *session) {
  struct fy_credential *credential;

  pthread_mutex_lock(&table_lock);
  credential = find(client, session);
  if (!credential) {
    credential = make(client, session);
    if (credential) {
      credential->listed = 1; /* the table has the first reference */
      credential->next_listed = table;
      table = credential;
    }
  }
  if (credential) {
    fy_credential_ref(credential);
    atomic_fetch_add(&credential->users, 1);
  }
  pthread_mutex_unlock(&table_lock);
  return credential;
}

struct fy_credential *fy_credential_again(struct fy_credential *credential,
                                          freddy_client *client) {
  struct fy_given session = {.access = credential->first[0],
                             .refresh = credential->first[1],
                             .key = credential->key,
                             .provided = credential->provided};

  return fy_credential_get(client, &session);
}

void fy_credential_leave(struct fy_credential *credential) {
  struct fy_engine *engine = fy_engine_running();

  if (!credential) {
    return;
  }
  pthread_mutex_lock(&table_lock);
  if (atomic_fetch_sub(&credential->users, 1) == 1) {
    if (engine && atomic_load(&credential->generation)) {
      fy_engine_post(engine, &credential->post, FY_CREDENTIAL_UNUSED);
    } else {
      unlist(credential);
    }
  }
  pthread_mutex_unlock(&table_lock);
  fy_credential_unref(credential);
}

int fy_credential_expire(struct fy_credential *credential) {
  int unused;

  pthread_mutex_lock(&table_lock);
  unused = atomic_load(&credential->users) == 0;
  if (unused) {
    unlist(credential);
  }
  pthread_mutex_unlock(&table_lock);
  return unused;
}

/* --- Its secrets -------------------------------------------------------- */

/* Calls in flight may carry it: the redactor goes on knowing it. */
static void retire(struct fy_credential *credential,
                   struct fy_secret **secret) {
  if (*secret && fy_secrets_reserve(&credential->replaced, 1) == FREDDY_OK) {
    fy_secrets_add(&credential->replaced, *secret);
  } else {
    fy_secret_unref(*secret);
  }
  *secret = NULL;
}

void fy_credential_wipe(struct fy_credential *credential) {
  pthread_mutex_lock(&credential->lock);
  retire(credential, &credential->access);
  retire(credential, &credential->refresh);
  fy_secrets_prune(&credential->replaced);
  pthread_mutex_unlock(&credential->lock);
}

void fy_credential_set_refresh(struct fy_credential *credential,
                               struct fy_secret *refresh) {
  pthread_mutex_lock(&credential->lock);
  retire(credential, &credential->refresh);
  credential->refresh = fy_secret_ref(refresh);
  pthread_mutex_unlock(&credential->lock);
}

void fy_credential_keep(struct fy_credential *credential, int asks) {
  struct fy_engine *engine = credential->store ? fy_engine_get(NULL) : NULL;

  if (engine) {
    fy_store_expect(credential);
    fy_engine_post(engine, &credential->post,
                   FY_CREDENTIAL_KEEP | (asks ? FY_CREDENTIAL_ASKED_FOR : 0));
  }
}

int fy_credential_replace(struct fy_credential *credential,
                          struct fy_grant *grant) {
  struct fy_secret *line =
      copy_secret("Authorization: Bearer ", grant->access);

  if (!line) {
    return FREDDY_ENOMEM;
  }
  pthread_mutex_lock(&credential->lock);
  retire(credential, &credential->access);
  credential->access = line;
  if (grant->refresh) {
    retire(credential, &credential->refresh);
    credential->refresh = fy_secret_ref(grant->refresh);
  }
  fy_secrets_prune(&credential->replaced);
  credential->last_error[0] = '\0';
  pthread_mutex_unlock(&credential->lock);
  return FREDDY_OK;
}

struct fy_secret *fy_credential_current(struct fy_credential *credential,
                                        uint64_t *generation) {
  struct fy_secret *line = NULL;

  pthread_mutex_lock(&credential->lock);
  if (credential->access && !atomic_load(&credential->revoked)) {
    line = fy_secret_ref(credential->access);
  }
  pthread_mutex_unlock(&credential->lock);
  *generation = credential->token.generation;
  return line;
}

/* Nobody finds it any more, and what it was made of is forgotten. */
static void forget_origin(struct fy_credential *credential) {
  pthread_mutex_lock(&table_lock);
  pthread_mutex_lock(&credential->lock);
  fy_secret_unref(credential->key);
  fy_secret_unref(credential->first[0]);
  fy_secret_unref(credential->first[1]);
  credential->key = credential->first[0] = credential->first[1] = NULL;
  pthread_mutex_unlock(&credential->lock);
  if (credential->listed) {
    unlist(credential);
  }
  pthread_mutex_unlock(&table_lock);
}

/* The caller holds a reference. */
void fy_credential_revoke(struct fy_credential *credential) {
  struct fy_engine *engine = fy_engine_running();

  atomic_store(&credential->revoked, 1);
  fy_store_expect(credential);
  fy_credential_tell_logout(credential);
  if (engine && !fy_engine_is_foreign(credential->generation)) {
    fy_engine_post(engine, &credential->post, FY_CREDENTIAL_REVOKE);
  } else {
    fy_store_clear(credential);
    fy_credential_wipe(credential);
    forget_origin(credential);
  }
}

void fy_credential_revoke_now(struct fy_credential *credential) {
  fy_token_revoke(&credential->token);
  fy_store_clear(credential);
  fy_credential_wipe(credential);
  forget_origin(credential);
  if (credential->engine) {
    fy_credential_run(credential);
  }
}

void fy_credential_each_secret(struct fy_credential *credential,
                               void (*add)(void *context,
                                           struct fy_secret *secret),
                               void *context) {
  pthread_mutex_lock(&credential->lock);
  if (credential->access) {
    add(context, credential->access);
  }
  if (credential->refresh) {
    add(context, credential->refresh);
  }
  if (credential->key) {
    add(context, credential->key);
  }
  for (size_t i = 0; i < credential->replaced.count; i++) {
    add(context, credential->replaced.list[i]);
  }
  pthread_mutex_unlock(&credential->lock);
}

void fy_credential_prune(struct fy_credential *credential) {
  if (credential) {
    pthread_mutex_lock(&credential->lock);
    fy_secrets_prune(&credential->replaced);
    pthread_mutex_unlock(&credential->lock);
  }
}

size_t fy_credential_secret_count(struct fy_credential *credential) {
  size_t count;

  pthread_mutex_lock(&credential->lock);
  count = credential->replaced.count + 3;
  pthread_mutex_unlock(&credential->lock);
  return count;
}

/* What was published, and what time has made of it since. */
static enum fy_token_state state_at(const struct fy_credential *credential,
                                    fy_time now) {
  enum fy_token_state state = credential->state;

  if (state != FY_TOKEN_FRESH && state != FY_TOKEN_STALE) {
    return state;
  }
  if (now >= credential->dies_at) {
    return FY_TOKEN_EXPIRED;
  }
  return now >= credential->stale_at ? FY_TOKEN_STALE : FY_TOKEN_FRESH;
}

void fy_credential_describe(struct fy_credential *credential,
                            freddy_session_status *status) {
  static const char *const names[] = {"empty",   "claiming", "fetching",
                                      "fresh",   "stale",    "refreshing",
                                      "expired", "failed",   "revoked"};
  fy_time now = fy_clock_now();
  const struct fy_secret *access;

  pthread_mutex_lock(&credential->lock);
  status->state = names[state_at(credential, now)];
  status->refreshing = credential->renewing;
  status->refreshes = atomic_load(&credential->renewals);
  status->saving = credential->keeping || atomic_load(&credential->unsaved);
  if (credential->dies_at != FY_NEVER && credential->access) {
    status->expires_in = credential->dies_at > now
                             ? (double)(credential->dies_at - now) / FY_SECOND
                             : 0;
  }
  access = credential->access;
  if (access && fy_secret_bare_size(access) >= FY_MIN_TAIL_SECRET) {
    memcpy(status->tail,
           fy_secret_bare(access) + fy_secret_bare_size(access) - 4, 5);
  }
  memcpy(status->last_error, credential->last_error,
         sizeof(status->last_error));
  pthread_mutex_unlock(&credential->lock);
}
