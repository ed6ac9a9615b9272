/* SPDX-License-Identifier: MIT */
/* The public entry points: clients and the process. */
#include "net/client.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"
#include "config.h"
#include "net/credential.h"
#include "net/engine.h"
#include "net/listener.h"
#include "net/rate.h"
#include "rules/header.h"

static const char DEFAULT_BASE_URL[] = "https://api.freddy.aitronos.com";
static const char DEFAULT_REFRESH_PATH[] = "/v1/auth/refresh";
static const char DEFAULT_TOKEN_PATH[] = "/v1/auth/token";
static const char DEFAULT_KEY_HEADER[] = "api-key";
static const char DEFAULT_USER_AGENT[] = "freddy/" FREDDY_VERSION;

enum { MAX_KEY_HEADER = 256 };

const char *freddy_version(void) {
  return FREDDY_VERSION;
}

void freddy_free(void *memory) {
  fy_free(memory);
}

/* --- Making a client ---------------------------------------------------- */

static int set_base_url(struct freddy_client *client, const char *text,
                        freddy_error *err) {
  int rc =
      fy_config_copy(text ? text : DEFAULT_BASE_URL, &client->base_url, err);

  if (rc == FREDDY_OK) {
    rc = fy_config_url("base_url", client->base_url, &client->base, err);
  }
  if (rc == FREDDY_OK && client->base.query.size) {
    rc = fy_error_set(err, FREDDY_EMISUSE, NULL,
                      "base_url: a query cannot stand here");
  }
  return rc;
}

static int set_key_header(struct freddy_client *client, const char *name,
                          freddy_error *err) {
  size_t size;

  name = name ? name : DEFAULT_KEY_HEADER;
  size = strlen(name);
  if (!fy_header_is_token(name, size) || size > MAX_KEY_HEADER ||
      fy_header_owner(name, size, NULL) == FY_HEADER_OURS) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL,
                        "key_header: not a header that can carry a key");
  }
  return fy_config_copy(name, &client->key_header, err);
}

static int set_user_agent(struct freddy_client *client, const char *text,
                          freddy_error *err) {
  text = text ? text : DEFAULT_USER_AGENT;
  if (!fy_header_is_value(text, strlen(text))) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL,
                        "user_agent: has control characters or blanks at its "
                        "ends");
  }
  return fy_config_copy(text, &client->user_agent, err);
}

static int set_proxy(struct freddy_client *client, const freddy_options *opts,
                     freddy_error *err) {
  if (!opts->proxy) {
    return opts->no_proxy ? fy_error_set(err, FREDDY_EMISUSE, NULL,
                                         "no_proxy: there is no proxy")
                          : FREDDY_OK;
  }
  return fy_proxy_new(opts->proxy, opts->no_proxy, &client->proxy, err);
}

static int set_headers(struct freddy_client *client,
                       const char *const *headers, freddy_error *err) {
  struct fy_buf lines;
  int rc;

  fy_buf_init(&lines, FY_MAX_REQUEST_HEADERS);
  rc = fy_config_headers(headers, client->key_header, &lines,
                         &client->header_count, err);
  if (rc == FREDDY_OK) {
    client->headers = fy_buf_take(&lines, NULL);
  }
  fy_buf_clear(&lines);
  return rc;
}

static int copy_path(const char *what, const char *path, const char *otherwise,
                     char **out, freddy_error *err) {
  path = path ? path : otherwise;
  if (path[0] != '/' || !fy_header_is_value(path, strlen(path))) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL,
                        "%s: a path begins with \"/\"", what);
  }
  return fy_config_copy(path, out, err);
}

static int set_auth(struct freddy_client *client, const freddy_options *opts,
                    freddy_error *err) {
  int rc = copy_path("auth_paths.refresh", opts->refresh_path,
                     DEFAULT_REFRESH_PATH, &client->refresh_path, err);

  client->exchanges = opts->exchange;
  client->keep_warm = opts->keep_warm;
  client->exit_wait = opts->exit_wait;
  if (opts->expires_in < 0 || isnan(opts->expires_in)) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL,
                        "expires_in: not a number of seconds");
  }
  return rc == FREDDY_OK
             ? copy_path("auth_paths.token", opts->token_path,
                         DEFAULT_TOKEN_PATH, &client->token_path, err)
             : rc;
}

/* The absolute path: a relative one starts where the client was made. */
static int set_store(struct freddy_client *client, const freddy_options *opts,
                     freddy_error *err) {
  struct fy_session_owner owner = {client->base_url, "session"};
  struct fy_session_file *file;
  int rc;

  if (!opts->store) {
    return FREDDY_OK;
  }
  if (opts->api_key && !opts->exchange) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL,
                        "store: an API key is no session to be kept");
  }
  file = fy_session_file_new(opts->store, &owner, err);
  if (!file) {
    return err ? (int)err->code : FREDDY_EMISUSE;
  }
  rc = fy_config_copy(fy_session_file_path(file), &client->store, err);
  fy_session_file_unref(file);
  return rc;
}

static int make_secret(const char *what, const char *text,
                       struct fy_secret **out, freddy_error *err) {
  if (!text) {
    return FREDDY_OK;
  }
  if (!fy_config_is_credential(text, strlen(text))) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL,
                        "%s: is empty, too long, or has characters that no "
                        "credential has",
                        what);
  }
  *out = fy_secret_new(NULL, text, strlen(text));
  return *out ? FREDDY_OK : fy_error_nomem(err);
}

/* `key` is its whole line, or NULL; borrowed like the rest. `anew`: see
 * struct fy_given. */
static int set_session(struct freddy_client *client, const char *access,
                       const char *refresh, struct fy_secret *key,
                       double expires_in, int anew, freddy_error *err) {
  struct fy_secret *secrets[2] = {NULL, NULL};
  struct fy_given session = {
      .key = key, .expires_in = expires_in, .anew = anew};
  struct fy_credential *credential = NULL;
  int rc = make_secret("token", access, &secrets[0], err);

  if (rc == FREDDY_OK) {
    rc = make_secret("refresh_token", refresh, &secrets[1], err);
  }
  if (rc == FREDDY_OK) {
    session.access = secrets[0];
    session.refresh = secrets[1];
    credential = fy_credential_get(client, &session);
    rc = credential ? FREDDY_OK : fy_error_nomem(err);
  }
  if (rc == FREDDY_OK) {
    fy_credential_ref(credential);
    rc = fy_client_set_session(client, credential);
    if (rc != FREDDY_OK) {
      rc = fy_error_nomem(err);
    } else if (anew) {
      fy_credential_keep(credential, 0);
    }
    fy_credential_unref(credential);
  }
  fy_secret_unref(secrets[0]);
  fy_secret_unref(secrets[1]);
  return rc;
}

/* Made after everything else: what it is shared by hangs on all settings. */
static int set_first_session(struct freddy_client *client,
                             const freddy_options *opts, freddy_error *err) {
  struct fy_secret *key = NULL;
  int rc = FREDDY_OK;

  if ((opts->api_key != NULL) != (opts->exchange != 0)) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL,
                        opts->exchange ? "exchange: there is no api_key"
                                       : "api_key and refresh_token: a client "
                                         "has one credential");
  }
  if (opts->exchange) {
    rc = fy_config_secret(FREDDY_API_KEY, client->key_header, opts->api_key,
                          strlen(opts->api_key), &key, err);
  }
  if (rc == FREDDY_OK) {
    rc = set_session(client, opts->token, opts->refresh_token, key,
                     opts->expires_in, 0, err);
  }
  fy_secret_unref(key);
  return rc;
}

static int set_provider(struct freddy_client *client,
                        const freddy_options *opts, freddy_error *err) {
  struct fy_given session = {.provided = 1};
  struct fy_credential *credential;

  if (opts->api_key || opts->token || opts->refresh_token || opts->exchange ||
      opts->store) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL,
                        "provider: a client has one credential");
  }
  credential = fy_credential_get(client, &session);
  return credential && fy_client_set_session(client, credential) == FREDDY_OK
             ? FREDDY_OK
             : fy_error_nomem(err);
}

static int set_credential(struct freddy_client *client,
                          const freddy_options *opts, freddy_error *err) {
  freddy_credential kind = opts->api_key ? FREDDY_API_KEY : FREDDY_TOKEN;
  const char *text = opts->api_key ? opts->api_key : opts->token;
  int rc;

  if (opts->provider) {
    return set_provider(client, opts, err);
  }
  if (opts->refresh_token || opts->exchange || opts->store) {
    return set_first_session(client, opts, err);
  }
  if (opts->api_key && opts->token) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL,
                        "api_key and token: a client has one credential");
  }
  if (!text) {
    return FREDDY_OK;
  }
  rc = fy_config_secret(kind, client->key_header, text, strlen(text),
                        &client->secret, err);
  if (rc == FREDDY_OK) {
    client->kind = kind;
  }
  return rc;
}

int freddy_client_new(const freddy_options *opts, freddy_client **out,
                      freddy_error *err) {
  static const freddy_options defaults;
  struct freddy_client *client;
  int rc;

  *out = NULL;
  opts = opts ? opts : &defaults;
  rc = fy_engine_prepare(err);
  if (rc != FREDDY_OK) {
    return rc;
  }
  client = fy_client_new();
  if (!client) {
    return fy_error_nomem(err);
  }
  client->timeout = opts->timeout;
  client->http1 = opts->http1;
  client->max_body = opts->max_body ? opts->max_body : FY_MAX_BODY;
  client->retries = opts->retries;
  client->buffer = opts->buffer ? opts->buffer : FY_MAX_BUFFER;
  client->max_event = opts->max_event ? opts->max_event : FY_MAX_EVENT;
  client->max_in_flight = opts->max_in_flight;
  client->plan_store = fy_rate_store(opts->plan_store);
  if ((rc = fy_rate_plan(&opts->rate_limit, &client->plan, err)) ==
          FREDDY_OK &&
      (rc = set_base_url(client, opts->base_url, err)) == FREDDY_OK &&
      (rc = set_key_header(client, opts->key_header, err)) == FREDDY_OK &&
      (rc = set_user_agent(client, opts->user_agent, err)) == FREDDY_OK &&
      (rc = set_proxy(client, opts, err)) == FREDDY_OK &&
      (rc = fy_tls_set(&client->tls, opts, err)) == FREDDY_OK &&
      (rc = set_headers(client, opts->headers, err)) == FREDDY_OK &&
      (rc = fy_config_timeouts(&opts->timeout, err)) == FREDDY_OK &&
      (rc = set_auth(client, opts, err)) == FREDDY_OK &&
      (rc = set_store(client, opts, err)) == FREDDY_OK &&
      (rc = set_credential(client, opts, err)) == FREDDY_OK) {
    *out = client;
  } else {
    fy_client_unref(client);
  }
  return rc;
}

/* --- Its life ----------------------------------------------------------- */

void freddy_client_close(freddy_client *client) {
  struct fy_engine *engine = fy_engine_running();

  if (!client || atomic_exchange(&client->closed, 1) ||
      fy_engine_is_foreign(client->generation)) {
    return;
  }
  fy_listeners_close(client);
  fy_client_leave_session(client);
  if (engine && atomic_load(&client->generation)) {
    fy_engine_post(engine, &client->post, FY_CLIENT_CLOSE);
  }
}

void freddy_client_free(freddy_client *client) {
  if (!client) {
    return;
  }
  freddy_client_close(client);
  if (!fy_engine_is_foreign(client->generation)) {
    fy_client_unref(client);
  }
}

int freddy_client_set_session(freddy_client *client, const char *access,
                              const char *refresh, double expires_in,
                              freddy_error *err) {
  int rc = fy_config_open(client, err);

  if (rc != FREDDY_OK) {
    return rc;
  }
  if (!access && !refresh) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL,
                        "access and refresh: there is neither");
  }
  if (!refresh) {
    return freddy_client_set_credential(client, FREDDY_TOKEN, access,
                                        strlen(access), err);
  }
  return set_session(client, access, refresh, NULL, expires_in, 1, err);
}

int freddy_client_set_credential(freddy_client *client, freddy_credential kind,
                                 const char *secret, size_t size,
                                 freddy_error *err) {
  struct fy_secret *made = NULL;
  int rc = fy_config_open(client, err);

  if (rc != FREDDY_OK) {
    return rc;
  }
  if (kind == FREDDY_SESSION || kind == FREDDY_PROVIDER) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL,
                        "kind: key, token or none is what can be set");
  }
  if (kind != FREDDY_NONE) {
    rc = fy_config_secret(kind == FREDDY_API_KEY ? kind : FREDDY_TOKEN,
                          client->key_header, secret, size, &made, err);
  }
  if (rc == FREDDY_OK && kind == FREDDY_API_KEY && client->exchanges) {
    rc = set_session(client, NULL, NULL, made, 0, 1, err);
    fy_secret_unref(made);
    return rc;
  }
  if (rc == FREDDY_OK &&
      fy_client_set_secret(client, kind, made) != FREDDY_OK) {
    rc = fy_error_nomem(err);
  }
  return rc;
}

freddy_credential freddy_client_credential(freddy_client *client, char *tail) {
  freddy_credential kind;
  struct fy_secret *secret;
  size_t size;

  if (tail) {
    tail[0] = '\0';
  }
  if (fy_engine_is_foreign(client->generation)) {
    return FREDDY_NONE;
  }
  kind = fy_client_kind(client, &secret);
  if (secret && tail) {
    size = fy_secret_bare_size(secret);
    if (size >= FY_MIN_TAIL_SECRET) {
      memcpy(tail, fy_secret_bare(secret) + size - 4, 5);
    }
  }
  fy_secret_unref(secret);
  return kind;
}

void freddy_client_forget(freddy_client *client) {
  struct fy_credential *session;

  if (fy_engine_is_foreign(client->generation)) {
    return;
  }
  session = fy_client_session(client);
  if (session) {
    fy_credential_revoke(session);
    fy_credential_unref(session);
  }
  (void)fy_client_set_secret(client, FREDDY_NONE, NULL);
}

void freddy_client_status(freddy_client *client,
                          freddy_session_status *status) {
  struct fy_credential *session;

  memset(status, 0, sizeof(*status));
  status->expires_in = -1;
  status->state = "empty";
  status->kind = freddy_client_credential(client, status->tail);
  session = status->kind != FREDDY_NONE ? fy_client_session(client) : NULL;
  if (session) {
    fy_credential_describe(session, status);
    fy_credential_unref(session);
  } else if (status->kind != FREDDY_NONE) {
    status->state = "fresh";
  }
}

int freddy_client_set_rate_limit(freddy_client *client,
                                 const freddy_rate_limit *limit,
                                 freddy_error *err) {
  struct fy_limit_plan plan;
  int rc = fy_config_open(client, err);

  if (rc == FREDDY_OK) {
    rc = fy_rate_plan(limit, &plan, err);
  }
  if (rc == FREDDY_OK) {
    fy_rate_set_plan(client, &plan);
  }
  return rc;
}

void freddy_client_rate(freddy_client *client, freddy_rate *rate) {
  memset(rate, 0, sizeof(*rate));
  if (!fy_engine_is_foreign(client->generation)) {
    fy_rate_describe(client, rate);
  }
}

void freddy_client_stats_get(freddy_client *client,
                             freddy_client_stats *stats) {
  struct fy_counts *counts = &client->counts;

  stats->requests = atomic_load(&counts->requests);
  stats->failures = atomic_load(&counts->failures);
  stats->attempts = atomic_load(&counts->attempts);
  stats->retries = atomic_load(&counts->retries);
  stats->refreshes = fy_engine_is_foreign(client->generation)
                         ? 0 /* its lock may be held by a thread not here */
                         : fy_client_renewals(client);
  stats->waits = atomic_load(&counts->waits);
  stats->waited = (double)atomic_load(&counts->waited) / (double)FY_SECOND;
  stats->bytes_sent = atomic_load(&counts->bytes_sent);
  stats->bytes_received = atomic_load(&counts->bytes_received);
  stats->connections_opened = atomic_load(&counts->opened);
  stats->connections_reused = atomic_load(&counts->reused);
  stats->waiting = atomic_load(&counts->waiting);
  stats->in_flight = atomic_load(&counts->in_flight);
}

int freddy_client_redact(freddy_client *client, const char *text, size_t size,
                         char **out, size_t *out_size) {
  *out = fy_strndup(text, size);
  if (!*out) {
    return FREDDY_ENOMEM;
  }
  if (fy_engine_is_foreign(client->generation)) {
    fy_wipe(*out, size); /* the lock may be held by a thread not here */
    size = 0;
  } else {
    size = fy_client_redact(client, *out, size);
  }
  (*out)[size] = '\0';
  if (out_size) {
    *out_size = size;
  }
  return FREDDY_OK;
}

/* --- The process -------------------------------------------------------- */

void freddy_engine_stats_get(freddy_engine_stats *stats) {
  struct fy_engine *engine = fy_engine_running();

  memset(stats, 0, sizeof(*stats));
  if (!engine) {
    return;
  }
  stats->requests = atomic_load(&engine->requests);
  stats->attempts = atomic_load(&engine->attempts);
  stats->failures = atomic_load(&engine->failures);
  stats->connections_opened = atomic_load(&engine->connected);
  stats->connections_reused = atomic_load(&engine->reused);
  stats->bytes_sent = atomic_load(&engine->bytes_sent);
  stats->bytes_received = atomic_load(&engine->bytes_received);
  stats->in_flight = atomic_load(&engine->in_flight);
  stats->parked_lookups = atomic_load(&engine->parked);
  stats->waiting = atomic_load(&engine->waiting);
}

void freddy_shutdown(void) {
  fy_engine_shutdown();
}
