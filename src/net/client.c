/* SPDX-License-Identifier: MIT */
#include "net/client.h"

#include <string.h>

#include "base/mem.h"
#include "net/call.h"
#include "net/credential.h"
#include "net/engine.h"
#include "net/rate.h"
#include "rules/redact.h"

static void post_ref(struct fy_post *post) {
  fy_client_ref((struct freddy_client *)post);
}

static void post_unref(struct fy_post *post) {
  fy_client_unref((struct freddy_client *)post);
}

static void post_handle(struct fy_engine *engine, struct fy_post *post,
                        unsigned wishes) {
  struct freddy_client *client = (struct freddy_client *)post;

  if (wishes & FY_CLIENT_SWITCH) {
    fy_credential_switch(engine, client);
    fy_admission_switch(engine, client);
    fy_client_prune(client); /* its old session may have been wiped */
  }
  if (wishes & FY_CLIENT_CLOSE) {
    fy_engine_drop_calls(engine, client, NULL);
    fy_admission_close(engine, client);
  }
}

static const struct fy_post_type client_type = {post_handle, post_ref,
                                                post_unref};

struct freddy_client *fy_client_new(void) {
  static _Atomic uint64_t made;
  struct freddy_client *client = fy_calloc(1, sizeof(*client));

  if (!client) {
    return NULL;
  }
  client->post.type = &client_type;
  fy_retry_budget_init(&client->budget);
  client->serial = atomic_fetch_add(&made, 1) + 1;
  atomic_store(&client->refs, 1);
  pthread_mutex_init(&client->lock, NULL);
  return client;
}

struct freddy_client *fy_client_ref(struct freddy_client *client) {
  atomic_fetch_add(&client->refs, 1);
  return client;
}

void fy_client_unref(struct freddy_client *client) {
  if (!client || atomic_fetch_sub(&client->refs, 1) != 1) {
    return;
  }
  fy_secrets_clear(&client->others);
  fy_secret_unref(client->secret);
  fy_credential_leave(client->session);
  fy_rate_unref(client->rate);
  fy_free(client->refresh_path);
  fy_free(client->token_path);
  fy_free(client->store);
  fy_free(client->base_url);
  fy_free(client->key_header);
  fy_free(client->user_agent);
  fy_tls_clear(&client->tls);
  fy_proxy_free(client->proxy);
  fy_free(client->headers);
  pthread_mutex_destroy(&client->lock);
  fy_free(client);
}

freddy_credential fy_client_kind(struct freddy_client *client,
                                 struct fy_secret **secret) {
  freddy_credential kind;

  pthread_mutex_lock(&client->lock);
  kind = client->kind;
  if (secret) {
    *secret = client->secret ? fy_secret_ref(client->secret) : NULL;
  }
  pthread_mutex_unlock(&client->lock);
  return kind;
}

/* --- Sessions ----------------------------------------------------------- */

/* Both callers have the lock. */
static uint64_t renewals(const struct freddy_client *client) {
  return client->session ? atomic_load(&client->session->renewals) : 0;
}

static void put_session(struct freddy_client *client,
                        struct fy_credential *session) {
  client->renewed += renewals(client) - client->renewed_before;
  client->session = session;
  client->renewed_before = renewals(client);
}

uint64_t fy_client_renewals(struct freddy_client *client) {
  uint64_t count;

  pthread_mutex_lock(&client->lock);
  count = client->renewed + renewals(client) - client->renewed_before;
  pthread_mutex_unlock(&client->lock);
  return count;
}

struct fy_credential *fy_client_session(struct freddy_client *client) {
  struct fy_credential *session, *again, *old = NULL;

  pthread_mutex_lock(&client->lock);
  session = client->session;
  if (session && fy_engine_is_foreign(session->generation)) {
    again = fy_credential_again(session, client);
    if (again) {
      old = client->session; /* never freed: its locks may be held */
      put_session(client, again);
    }
    session = again;
  }
  fy_credential_ref(session);
  pthread_mutex_unlock(&client->lock);
  (void)old;
  return session;
}

static void note_secret(void *context, struct fy_secret *secret) {
  struct freddy_client *client = context;

  if (fy_secrets_reserve(&client->others, 1) == FREDDY_OK) {
    fy_secrets_add(&client->others, fy_secret_ref(secret));
  }
}

/* Calls in flight may carry what is replaced now: the redactor goes on knowing
 * it. The caller holds the lock. FREDDY_OK or FREDDY_ENOMEM. */
static int retire(struct freddy_client *client) {
  size_t count =
      client->session ? fy_credential_secret_count(client->session) : 0;

  if (fy_secrets_reserve(&client->others, count + 1) != FREDDY_OK) {
    return FREDDY_ENOMEM;
  }
  if (client->secret) {
    fy_secrets_add(&client->others, client->secret);
    client->secret = NULL;
  }
  if (client->session) {
    fy_credential_each_secret(client->session, note_secret, client);
  }
  return FREDDY_OK;
}

/* Calls that have not been sent yet take the new one. */
static void tell_switched(struct freddy_client *client) {
  struct fy_engine *engine = fy_engine_running();

  if (engine && atomic_load(&client->generation)) {
    fy_engine_post(engine, &client->post, FY_CLIENT_SWITCH);
  }
}

/* The caller holds the lock. */
static void swap_session(struct freddy_client *client,
                         struct fy_credential **session) {
  struct fy_credential *old = client->session;

  put_session(client, *session);
  *session = old;
}

int fy_client_set_session(struct freddy_client *client,
                          struct fy_credential *session) {
  int rc;

  pthread_mutex_lock(&client->lock);
  rc = retire(client);
  if (rc == FREDDY_OK) {
    client->kind = session->provided    ? FREDDY_PROVIDER
                   : session->renewable ? FREDDY_SESSION
                                        : FREDDY_TOKEN;
    fy_secrets_prune(&client->others);
    swap_session(client, &session);
  }
  pthread_mutex_unlock(&client->lock);
  fy_credential_leave(session);
  tell_switched(client);
  return rc;
}

void fy_client_leave_session(struct freddy_client *client) {
  struct fy_credential *session = NULL;

  pthread_mutex_lock(&client->lock);
  swap_session(client, &session);
  pthread_mutex_unlock(&client->lock);
  fy_credential_leave(session);
}

static int same_text(const char *a, const char *b) {
  return a && b ? strcmp(a, b) == 0 : a == b;
}

static int same_secret(const struct fy_secret *a, const struct fy_secret *b) {
  return a && b ? fy_secret_equal(a, b) : a == b;
}

static int same_tls(const struct fy_tls *a, const struct fy_tls *b) {
  return same_text(a->ca_file, b->ca_file) &&
         same_text(a->ca_blob, b->ca_blob) &&
         same_text(a->cert_file, b->cert_file) &&
         same_text(a->cert_blob, b->cert_blob) &&
         same_text(a->key_file, b->key_file) &&
         same_secret(a->key_blob, b->key_blob);
}

static int same_proxy(const struct fy_proxy *a, const struct fy_proxy *b) {
  if (!a || !b) {
    return a == b;
  }
  return same_text(a->url, b->url) && same_text(a->bypass, b->bypass) &&
         same_secret(a->user, b->user) &&
         same_secret(a->password, b->password);
}

int fy_client_is_alike(const struct freddy_client *a,
                       const struct freddy_client *b) {
  return fy_url_same_origin(&a->base, &b->base) &&
         a->base.path.size == b->base.path.size &&
         memcmp(a->base.path.data, b->base.path.data, a->base.path.size) ==
             0 &&
         same_text(a->key_header, b->key_header) &&
         same_text(a->refresh_path, b->refresh_path) &&
         same_text(a->token_path, b->token_path) &&
         same_text(a->store, b->store) && same_tls(&a->tls, &b->tls) &&
         same_proxy(a->proxy, b->proxy);
}

/* --- Secrets ------------------------------------------------------------ */

int fy_client_set_secret(struct freddy_client *client, freddy_credential kind,
                         struct fy_secret *secret) {
  struct fy_credential *session = NULL;
  int rc;

  pthread_mutex_lock(&client->lock);
  rc = retire(client);
  if (rc == FREDDY_OK) {
    client->secret = secret;
    client->kind = kind;
    fy_secrets_prune(&client->others);
    swap_session(client, &session);
  } else {
    fy_secret_unref(secret);
  }
  pthread_mutex_unlock(&client->lock);
  fy_credential_leave(session);
  tell_switched(client);
  return rc;
}

void fy_client_prune(struct freddy_client *client) {
  pthread_mutex_lock(&client->lock);
  fy_secrets_prune(&client->others);
  pthread_mutex_unlock(&client->lock);
}

/* The one that is known already with this text, or NULL. */
static struct fy_secret *find_same(struct freddy_client *client,
                                   const struct fy_secret *secret) {
  if (client->secret && fy_secret_equal(client->secret, secret)) {
    return client->secret;
  }
  return fy_secrets_find(&client->others, secret);
}

int fy_client_note_secret(struct freddy_client *client,
                          struct fy_secret **secret) {
  struct fy_secret *known;
  int rc = FREDDY_OK;

  pthread_mutex_lock(&client->lock);
  known = find_same(client, *secret);
  if (known) {
    fy_secret_unref(*secret);
    *secret = fy_secret_ref(known);
  } else {
    rc = fy_secrets_reserve(&client->others, 1);
    if (rc == FREDDY_OK) {
      fy_secrets_add(&client->others, fy_secret_ref(*secret));
    }
  }
  pthread_mutex_unlock(&client->lock);
  return rc;
}

struct masks {
  struct fy_secret **secrets;
  struct fy_span *spans;
  size_t count, room;
};

static int masks_allocate(struct masks *masks, size_t count) {
  masks->count = 0;
  masks->room = count;
  masks->secrets = fy_calloc(count + 1, sizeof(struct fy_secret *));
  masks->spans = fy_calloc(count + 1, sizeof(*masks->spans));
  return masks->secrets && masks->spans ? FREDDY_OK : FREDDY_ENOMEM;
}

static void masks_add(struct masks *masks, struct fy_secret *secret) {
  masks->secrets[masks->count] = fy_secret_ref(secret);
  masks->spans[masks->count].data = fy_secret_bare(secret);
  masks->spans[masks->count].size = fy_secret_bare_size(secret);
  masks->count++;
}

/* The password, and user and password as Basic has them. */
static void masks_add_proxy(struct masks *masks,
                            const struct fy_proxy *proxy) {
  if (proxy && proxy->basic) {
    masks_add(masks, proxy->password);
    masks_add(masks, proxy->basic);
  }
}

static void masks_hear(void *context, struct fy_secret *secret) {
  struct masks *masks = context;

  if (masks->count < masks->room) { /* it may have grown since it counted */
    masks_add(masks, secret);
  }
}

static int masks_open(struct masks *masks, struct freddy_client *client) {
  size_t shared;
  int rc;

  pthread_mutex_lock(&client->lock);
  shared = client->session ? fy_credential_secret_count(client->session) : 0;
  rc = masks_allocate(masks, client->others.count + 4 + 2 * shared);
  if (rc == FREDDY_OK) {
    masks_add_proxy(masks, client->proxy);
    if (client->session) {
      fy_credential_each_secret(client->session, masks_hear, masks);
    }
    if (client->secret) {
      masks_add(masks, client->secret);
    }
    for (size_t i = 0; i < client->others.count; i++) {
      masks_add(masks, client->others.list[i]);
    }
  }
  pthread_mutex_unlock(&client->lock);
  return rc;
}

static void masks_close(struct masks *masks) {
  for (size_t i = 0; i < masks->count; i++) {
    fy_secret_unref(masks->secrets[i]);
  }
  fy_free(masks->secrets);
  fy_free(masks->spans);
}

size_t fy_client_secret_count(struct freddy_client *client) {
  size_t count;

  pthread_mutex_lock(&client->lock);
  count = client->others.count + (client->secret != NULL) +
          (client->session ? fy_credential_secret_count(client->session) : 0) +
          (client->proxy && client->proxy->basic ? 2 : 0);
  pthread_mutex_unlock(&client->lock);
  return count;
}

/* A masked text is shorter, and its rest would hold what was masked. */
static size_t mask(const struct masks *masks, char *text, size_t size) {
  size_t masked = fy_redact(text, size, masks->spans, masks->count);

  fy_wipe(text + masked, size - masked);
  return masked;
}

size_t fy_client_redact(struct freddy_client *client, char *text,
                        size_t size) {
  struct masks masks;

  if (masks_open(&masks, client) == FREDDY_OK) {
    size = mask(&masks, text, size);
  } else {
    fy_wipe(text, size); /* rather nothing than a secret */
    size = 0;
  }
  masks_close(&masks);
  return size;
}

/* The fields stand as "name\0value\0" one behind the other: masked ones get
 * shorter, and what follows moves up. */
static void redact_headers(struct fy_headers *headers,
                           const struct masks *masks) {
  char *from = headers->text.data;
  char *to = from;

  for (size_t i = 0; i < 2 * headers->count; i++) {
    size_t size = strlen(from);
    size_t masked = mask(masks, from, size);

    memmove(to, from, masked);
    to[masked] = '\0';
    to += masked + 1;
    from += size + 1;
  }
  fy_wipe(to, (size_t)(from - to));
  headers->text.size = (size_t)(to - headers->text.data);
}

static void redact_body(struct fy_buf *body, const struct masks *masks) {
  body->size = mask(masks, body->data, body->size);
  body->data[body->size] = '\0';
}

/* Where a server led the call to; what was asked for is not its doing. */
static void redact_url(struct freddy_call *call, const struct masks *masks) {
  char *url = call->ask.target.url;

  if (url != call->url) {
    url[mask(masks, url, strlen(url))] = '\0';
  }
}

int fy_client_redact_call(struct freddy_client *client,
                          struct freddy_call *call) {
  struct fy_answer *answer = &call->answer;
  struct masks masks;
  int rc = masks_open(&masks, client);

  if (rc != FREDDY_OK) {
    fy_headers_clear(&answer->headers);
    fy_buf_clear(&answer->body);
    if (call->ask.target.url != call->url) {
      fy_target_clear(&call->ask.target);
    }
  } else if (masks.count) {
    if (answer->headers.count) {
      redact_headers(&answer->headers, &masks);
    }
    if (answer->body.size) {
      redact_body(&answer->body, &masks);
    }
    redact_url(call, &masks);
  }
  masks_close(&masks);
  return rc;
}
