/* SPDX-License-Identifier: MIT */
/* What the engine has to know of a client: where to, with which credential
 * and by which rules. All but the credential is immutable. */
#ifndef FY_NET_CLIENT_H
#define FY_NET_CLIENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/secret.h"
#include "freddy.h"
#include "net/post.h"
#include "net/counts.h"
#include "net/proxy.h"
#include "net/secrets.h"
#include "net/tls.h"
#include "rules/retry.h"
#include "rules/limiter.h"
#include "rules/url.h"

struct freddy_call;
struct fy_credential;
struct fy_rate;

struct freddy_client {
  struct fy_post post;
  uint64_t serial; /* no other client of the process has it; not 0 */
  atomic_int refs;
  _Atomic uint64_t generation; /* of the first request; 0: none yet */
  atomic_int closed;

  char *base_url;
  struct fy_url base; /* views into base_url */
  char *key_header;
  char *user_agent;
  struct fy_tls tls;
  struct fy_proxy *proxy; /* NULL: none */
  char *headers;          /* "Name: value\0" lines */
  size_t header_count;
  freddy_timeouts timeout;
  int http1;
  size_t max_body;
  size_t buffer;
  int retries;                   /* as freddy_options has it */
  struct fy_retry_budget budget; /* the engine's */
  size_t max_event;
  uint32_t max_in_flight; /* 0: the default */
  struct fy_counts counts;

  char *refresh_path, *token_path; /* under base_url */
  int exchanges; /* an API key is for tokens, never sent to the API itself */
  int keep_warm;
  char *store;         /* the path of a session file; NULL: none */
  uint64_t plan_store; /* of whose name it is made; 0: none */
  double exit_wait;    /* as freddy_options has it */

  pthread_mutex_t lock; /* what follows */
  freddy_credential kind;
  struct fy_secret *secret; /* the whole header line; NULL with a session */
  struct fy_credential *session;
  uint64_t renewed; /* by its sessions before, while they were its own */
  uint64_t renewed_before; /* by this one, before it was */
  struct fy_limit_plan plan;
  struct fy_rate *rate; /* the last one used; NULL: none yet */
  /* Secrets that were replaced, or given for one request, while calls that
   * carry them live: what the redactor has to know beside `secret`. */
  struct fy_secrets others;
};

/* What can be wished of a client. */
enum { FY_CLIENT_CLOSE = 1, FY_CLIENT_SWITCH = 2 };

/* A client with nothing set; NULL when there is no memory. */
struct freddy_client *fy_client_new(void);
struct freddy_client *fy_client_ref(struct freddy_client *client);
void fy_client_unref(struct freddy_client *client);

/* What kind of credential there is, and (unless `secret` is NULL) a new
 * reference to it, NULL for none. */
freddy_credential fy_client_kind(struct freddy_client *client,
                                 struct fy_secret **secret);

/* Replace the credential; `secret` is stolen. FREDDY_OK or FREDDY_ENOMEM,
 * and then nothing has changed. */
int fy_client_set_secret(struct freddy_client *client, freddy_credential kind,
                         struct fy_secret *secret);

/* Its session, a new reference; NULL: none. One of another process is made
 * anew for this one. */
struct fy_credential *fy_client_session(struct freddy_client *client);

/* How often its sessions were renewed while they were its own. */
uint64_t fy_client_renewals(struct freddy_client *client);

/* Have a session instead of what there was; `session` is stolen. FREDDY_OK or
 * FREDDY_ENOMEM, and then nothing has changed. */
int fy_client_set_session(struct freddy_client *client,
                          struct fy_credential *session);

/* Give it back, when the client ends. */
void fy_client_leave_session(struct freddy_client *client);

/* 1 when both would renew a token at the same place and in the same way. */
int fy_client_is_alike(const struct freddy_client *a,
                       const struct freddy_client *b);

/* Let the redactor know a secret of one request. One that it knows already
 * takes its place in *secret. FREDDY_OK or FREDDY_ENOMEM. */
int fy_client_note_secret(struct freddy_client *client,
                          struct fy_secret **secret);

/* How many secrets the redactor has to look for. */
size_t fy_client_secret_count(struct freddy_client *client);

/* Mask every known secret in `text`, in place, and wipe what that leaves
 * behind; the new size. */
size_t fy_client_redact(struct freddy_client *client, char *text, size_t size);

/* A call has ended, or a session: forget what nobody uses any more. */
void fy_client_prune(struct freddy_client *client);

/* Mask them in all that can be reached from a failed call. FREDDY_OK; or
 * FREDDY_ENOMEM, and then the answer is gone: rather nothing than a
 * secret. */
int fy_client_redact_call(struct freddy_client *client,
                          struct freddy_call *call);

#endif
