/* SPDX-License-Identifier: MIT */
/* The public entry points: starting a call. Everything is checked and copied
 * here, on the caller's thread; the engine only carries it out. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/random.h"
#include "config.h"
#include "net/call.h"
#include "net/client.h"
#include "net/engine.h"
#include "net/events.h"
#include "net/turns.h"
#include "rules/header.h"

static const double DEFAULT_CONNECT = 10;
static const double DEFAULT_FIRST_BYTE = 120;
static const double DEFAULT_STALL = 90;
static const double DEFAULT_EVENT = 300;
static const double DEFAULT_TOTAL = 600;
static const int DEFAULT_RETRIES = 2;

/* --- Where to ----------------------------------------------------------- */

static int check_path(const char *path, freddy_error *err) {
  if (!path || !*path) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL, "path: missing");
  }
  for (const char *at = path; *at; at++) {
    if ((unsigned char)*at < 0x20 || *at == 0x7f) {
      return fy_error_set(err, FREDDY_EMISUSE, NULL,
                          "path: control character");
    }
  }
  return FREDDY_OK;
}

static int set_target(struct fy_ask *ask, const struct freddy_client *client,
                      const freddy_request *req, freddy_error *err) {
  struct fy_url url = client->base;
  int other_origin = 0;
  int rc = check_path(req->path, err);

  if (rc != FREDDY_OK) {
    return rc;
  }
  if (req->path[0] == '/') {
    rc = fy_target_under(&ask->target, client, req->path, strlen(req->path));
  } else {
    rc = fy_config_url("path", req->path, &url, err);
    if (rc != FREDDY_OK) {
      return rc;
    }
    other_origin = !fy_url_same_origin(&url, &client->base);
    rc = fy_target_at(&ask->target, client, &url);
  }
  ask->other_origin = other_origin;
  ask->shows_cert = !other_origin || req->auth == FREDDY_AUTH_ALWAYS;
  ask->send_credential = req->auth == FREDDY_AUTH_ALWAYS ||
                         (req->auth == FREDDY_AUTH_DEFAULT && !other_origin);
  if (rc == FREDDY_ETOO_LARGE) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL,
                        "path: longer than %zu bytes", FY_MAX_URL);
  }
  return rc == FREDDY_OK ? rc : fy_error_nomem(err);
}

/* --- What to send ------------------------------------------------------- */

static int set_method(struct fy_ask *ask, const char *method,
                      freddy_error *err) {
  method = method ? method : "GET";
  if (!fy_header_is_token(method, strlen(method)) ||
      strcmp(method, "CONNECT") == 0) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL,
                        "method: not a method that can be sent");
  }
  return fy_config_copy(method, &ask->method, err);
}

/* 1 when the line's name is one of those in a list, `step` apart. */
static int is_one_of(const char *line, const char *const *names, int step) {
  size_t size = strcspn(line, ":;");

  for (; names && *names; names += step) {
    if (fy_header_name_is(line, size, *names)) {
      return 1;
    }
  }
  return 0;
}

/* Names of W3C Trace Context: they tell one request from others, and tell
 * that to nobody but the client's own server, unless a request has them. */
static int stays_here(const char *line) {
  static const char *const names[] = {"traceparent", "tracestate", "baggage",
                                      NULL};

  return is_one_of(line, names, 1);
}

static int add_client_headers(struct fy_ask *ask, struct fy_buf *lines,
                              const struct freddy_client *client,
                              const freddy_request *req) {
  const char *line = client->headers;

  for (size_t i = 0; i < client->header_count; i++) {
    size_t size = strlen(line) + 1;

    if (!is_one_of(line, req->headers, 2) &&
        !(ask->other_origin && stays_here(line))) {
      if (fy_buf_add(lines, line, size) != FREDDY_OK) {
        return FREDDY_ENOMEM;
      }
      ask->header_count++;
    }
    line += size;
  }
  return FREDDY_OK;
}

static int has_key(const struct fy_ask *ask, const char *line) {
  for (size_t i = 0; i < ask->header_count; i++) {
    if (fy_header_name_is(line, strcspn(line, ":;"), "Idempotency-Key")) {
      return 1;
    }
    line += strlen(line) + 1;
  }
  return 0;
}

/* A random UUID (RFC 9562 5.4): the same for whatever is sent of the call,
 * since it is one of its headers. */
static int add_key(struct fy_ask *ask, struct fy_buf *lines,
                   freddy_error *err) {
  unsigned char id[16];
  int rc;

  if (lines->data && has_key(ask, lines->data)) {
    return FREDDY_OK;
  }
  if (fy_random(id, sizeof(id))) {
    return fy_error_set(err, FREDDY_ENOMEM, NULL,
                        "the system has no random bytes");
  }
  id[6] = (unsigned char)((id[6] & 0x0f) | 0x40);
  id[8] = (unsigned char)((id[8] & 0x3f) | 0x80);
  rc = fy_buf_adds(lines, "Idempotency-Key: ");
  for (int i = 0; i < 16 && rc == FREDDY_OK; i++) {
    int dash = i == 4 || i == 6 || i == 8 || i == 10;

    rc = fy_buf_addf(lines, "%s%02x", dash ? "-" : "", id[i]);
  }
  if (rc == FREDDY_OK) {
    rc = fy_buf_add(lines, "", 1);
  }
  ask->header_count++;
  return rc == FREDDY_OK ? rc : fy_error_nomem(err);
}

static int set_headers(struct fy_ask *ask, const struct freddy_client *client,
                       const freddy_request *req, freddy_error *err) {
  struct fy_buf lines;
  int rc;

  fy_buf_init(&lines, 2 * FY_MAX_REQUEST_HEADERS);
  rc = add_client_headers(ask, &lines, client, req);
  if (rc != FREDDY_OK) {
    fy_error_nomem(err);
  } else {
    rc = fy_config_headers(req->headers, client->key_header, &lines,
                           &ask->header_count, err);
  }
  if (rc == FREDDY_OK && req->idempotent) {
    rc = add_key(ask, &lines, err);
  }
  if (rc == FREDDY_OK) {
    ask->headers = fy_buf_take(&lines, NULL);
  }
  fy_buf_clear(&lines);
  return rc;
}

/* What is secret in a body is kept as credentials are, the whole with it. */
static int set_secret_body(struct fy_ask *ask, struct freddy_client *client,
                           const freddy_request *req, freddy_error *err) {
  const char *const *text = req->secrets;
  struct fy_secret *secret;

  if (!req->body || req->body_reader || req->parts) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL,
                        "secrets: they want a body of bytes");
  }
  ask->is_guarded = 1;
  ask->secret_body = fy_secret_new(NULL, req->body, req->body_size);
  if (!ask->secret_body) {
    return fy_error_nomem(err);
  }
  for (size_t i = 0; text[i]; i++) {
    if (i == FY_MAX_CALL_SECRETS) {
      return fy_error_set(err, FREDDY_EMISUSE, NULL, "secrets: too many");
    }
    secret = fy_secret_new(NULL, text[i], strlen(text[i]));
    if (!secret || fy_client_note_secret(client, &secret) != FREDDY_OK) {
      fy_secret_unref(secret);
      return fy_error_nomem(err);
    }
    ask->secrets[i] = secret;
  }
  return FREDDY_OK;
}

static int set_body(struct fy_ask *ask, struct freddy_client *client,
                    const freddy_request *req, freddy_error *err) {
  int rc;

  ask->sends_refresh = req->refresh_token;
  if (req->refresh_token && (req->body || req->body_reader || req->parts)) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL,
                        "refresh_token: the body is made of it");
  }
  if (req->secrets) {
    return set_secret_body(ask, client, req, err);
  }
  rc = fy_body_copy(&ask->body, req, err);

  if (rc == FREDDY_OK && ask->body.sources &&
      strcmp(ask->method, "HEAD") == 0) {
    rc =
        fy_error_set(err, FREDDY_EMISUSE, NULL, "body: HEAD cannot carry one");
  }
  return rc;
}

static int set_credential(struct fy_ask *ask, struct freddy_client *client,
                          const freddy_request *req, freddy_error *err) {
  int rc;

  if (!ask->send_credential) {
    return FREDDY_OK;
  }
  if (!req->api_key) {
    if (fy_client_kind(client, NULL) == FREDDY_NONE) {
      return fy_error_set(err, FREDDY_EMISSING_CREDENTIALS, NULL,
                          "the client has no credential");
    }
    return FREDDY_OK;
  }
  rc = fy_config_secret(FREDDY_API_KEY, client->key_header, req->api_key,
                        strlen(req->api_key), &ask->key, err);
  if (rc == FREDDY_OK &&
      fy_client_note_secret(client, &ask->key) != FREDDY_OK) {
    rc = fy_error_nomem(err);
  }
  return rc;
}

/* --- Where the answer goes to ---------------------------------------------
 */

static int fail_save_to(const char *why, freddy_error *err) {
  return fy_error_set(err, FREDDY_EBODY, "save_failed", "cannot save: %s",
                      why);
}

/* `path` below the working folder of this moment. */
static int set_absolute(struct fy_ask *ask, const char *path,
                        freddy_error *err) {
  char folder[FY_MAX_PATH];
  struct fy_buf absolute;
  int rc;

  if (!getcwd(folder, sizeof(folder))) {
    return fail_save_to(errno == ERANGE ? "the working folder's path is too "
                                          "long"
                                        : "there is no working folder",
                        err);
  }
  fy_buf_init(&absolute, 2 * FY_MAX_PATH);
  rc = fy_buf_addf(&absolute, "%s/%s", folder, path);
  ask->save_to = fy_buf_take(&absolute, NULL);
  return rc == FREDDY_OK ? rc : fy_error_nomem(err);
}

static int set_save_to(struct fy_ask *ask, const freddy_request *req,
                       freddy_error *err) {
  const char *path = req->save_to;

  if (!path) {
    return FREDDY_OK;
  }
  if (!*path) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL, "save_to: an empty path");
  }
  if (ask->stream) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL,
                        "save_to and stream: an answer goes one way");
  }
  if (strcmp(ask->method, "HEAD") == 0) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL,
                        "save_to: the answer to HEAD has no body");
  }
  if (strlen(path) >= FY_MAX_PATH) {
    return fail_save_to("the path is too long", err);
  }
  return *path == '/' ? fy_config_copy(path, &ask->save_to, err)
                      : set_absolute(ask, path, err);
}

/* --- How long, how much ------------------------------------------------- */

static fy_time pick_time(double request, double client, double otherwise) {
  return fy_clock_from_seconds(request != 0  ? request
                               : client != 0 ? client
                                             : otherwise);
}

static int pick_retries(int request, int client) {
  int retries = request != 0  ? request
                : client != 0 ? client
                              : DEFAULT_RETRIES;

  return retries > 0 ? retries : 0;
}

static int set_limits(struct fy_ask *ask, const struct freddy_client *client,
                      const freddy_request *req, freddy_error *err) {
  const freddy_timeouts *asked = &req->timeout;
  const freddy_timeouts *usual = &client->timeout;
  /* A stream lasts as long as it lasts, unless this request says otherwise. */
  double total = req->stream || req->events ? -1 : usual->total;

  ask->connect = pick_time(asked->connect, usual->connect, DEFAULT_CONNECT);
  ask->first_byte =
      pick_time(asked->first_byte, usual->first_byte, DEFAULT_FIRST_BYTE);
  ask->stall = pick_time(asked->stall, usual->stall, DEFAULT_STALL);
  ask->event = pick_time(asked->event, usual->event, DEFAULT_EVENT);
  ask->total = pick_time(asked->total, total, DEFAULT_TOTAL);
  ask->max_body = req->max_body ? req->max_body : client->max_body;
  ask->pass_max = req->max_body ? req->max_body : UINT64_MAX;
  ask->buffer = client->buffer;
  ask->stays = req->no_redirects;
  if (req->secrets && ask->max_body > FY_MAX_TOKEN_ANSWER) {
    ask->max_body = FY_MAX_TOKEN_ANSWER;
  }
  ask->stream = req->stream || req->events;
  ask->http1 = req->http1;
  ask->progress = req->progress;
  ask->retries = pick_retries(req->retries, client->retries);
  ask->idempotent = req->idempotent;
  ask->tells_retries = req->retry_events;
  ask->decoder = req->decoder;
  return fy_config_timeouts(asked, err);
}

static int fill_ask(struct fy_ask *ask, struct freddy_client *client,
                    const freddy_request *req, freddy_error *err) {
  int rc;

  if ((rc = set_method(ask, req->method, err)) == FREDDY_OK &&
      (rc = set_target(ask, client, req, err)) == FREDDY_OK &&
      (rc = set_headers(ask, client, req, err)) == FREDDY_OK &&
      (rc = set_limits(ask, client, req, err)) == FREDDY_OK &&
      (rc = set_save_to(ask, req, err)) == FREDDY_OK &&
      (rc = set_body(ask, client, req, err)) == FREDDY_OK) {
    rc = set_credential(ask, client, req, err);
  }
  return rc;
}

/* What is to be streamed, and how it is taken. */
static int set_flow(struct freddy_call *call, const freddy_request *req,
                    freddy_error *err) {
  struct fy_flow *flow = &call->flow;

  flow->room = call->ask.buffer;
  flow->is_pulled = req->pull;
  if (req->turn && !req->events) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL, "turn: only with events");
  }
  if (!req->events) {
    return FREDDY_OK;
  }
  if (req->stream || strcmp(call->ask.method, "HEAD") == 0) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL, "events: not with %s",
                        req->stream ? "stream" : "HEAD");
  }
  flow->is_events = 1;
  call->events = fy_events_new(call, call->client->max_event);
  if (!call->events) {
    return fy_error_nomem(err);
  }
  if (req->turn) {
    call->events->turns =
        fy_turns_new(req->thread, !req->no_resume && call->ask.retries > 0);
  }
  return !req->turn || call->events->turns ? FREDDY_OK : fy_error_nomem(err);
}

/* --- Starting ----------------------------------------------------------- */

static int check_owner(const struct freddy_client *client,
                       const struct freddy_inbox *inbox, freddy_error *err) {
  if ((client && fy_engine_is_foreign(client->generation)) ||
      fy_engine_is_foreign(inbox->generation)) {
    return fy_error_set(err, FREDDY_EFORKED, NULL,
                        "the client belongs to another process; make one "
                        "after the fork");
  }
  if (client && atomic_load(&client->closed)) {
    return fy_error_set(err, FREDDY_ECLOSED, NULL, "the client is closed");
  }
  return FREDDY_OK;
}

static int take_place(struct fy_engine *engine, freddy_error *err) {
  if (atomic_fetch_add(&engine->in_flight, 1) < FY_MAX_WAITING) {
    return FREDDY_OK;
  }
  atomic_fetch_sub(&engine->in_flight, 1);
  return fy_error_set(err, FREDDY_EQUEUE_FULL, NULL,
                      "%d calls are in flight already", FY_MAX_WAITING);
}

/* One that may hold tokens is not moved while it grows. */
static int set_answer(struct freddy_call *call, freddy_error *err) {
  struct fy_buf *body = &call->answer.body;

  fy_buf_init(body, call->ask.max_body);
  body->wipes = 1; /* servers repeat secrets, in errors above all */
  return call->ask.is_guarded && fy_buf_reserve(body, call->ask.max_body)
             ? fy_error_nomem(err)
             : FREDDY_OK;
}

/* Post it: from here on the call ends by FREDDY_DONE, whatever happens. */
static int launch(struct freddy_call *call, struct freddy_client *client,
                  struct freddy_inbox *inbox, freddy_error *err) {
  struct fy_engine *engine = fy_engine_get(err);
  uint64_t generation = fy_engine_generation();
  int rc = engine                  ? take_place(engine, err)
           : err && err->code != 0 ? (int)err->code
                                   : FREDDY_ENOMEM;

  if (rc != FREDDY_OK) {
    return rc;
  }
  call->engine = engine;
  call->generation = generation;
  call->started = fy_clock_now();
  if (client) {
    atomic_store(&client->generation, generation);
  }
  atomic_store(&inbox->generation, generation);
  fy_engine_post(engine, &call->post, FY_CALL_START);
  return FREDDY_OK;
}

int freddy_start(freddy_client *client, freddy_inbox *inbox,
                 const freddy_request *req, freddy_call **out,
                 freddy_error *err) {
  struct freddy_call *call;
  int rc = check_owner(client, inbox, err);

  *out = NULL;
  if (rc != FREDDY_OK) {
    return rc;
  }
  call = fy_call_new(inbox, req->user);
  if (!call) {
    return fy_error_nomem(err);
  }
  call->client = fy_client_ref(client);
  rc = fill_ask(&call->ask, client, req, err);
  if (rc == FREDDY_OK) {
    call->url = call->ask.target.url;
    rc = set_answer(call, err);
  }
  if (rc == FREDDY_OK) {
    rc = set_flow(call, req, err);
  }
  if (rc == FREDDY_OK) {
    rc = launch(call, client, inbox, err);
  }
  if (rc == FREDDY_OK) {
    *out = call;
  } else {
    fy_call_unref(call);
  }
  return rc;
}

int freddy_start_renewal(freddy_client *client, freddy_inbox *inbox,
                         const freddy_renewal *how, freddy_call **out,
                         freddy_error *err) {
  struct freddy_call *call;
  int rc = check_owner(client, inbox, err);

  *out = NULL;
  if (rc != FREDDY_OK) {
    return rc;
  }
  call = fy_call_new(inbox, how->user);
  if (!call) {
    return fy_error_nomem(err);
  }
  call->client = fy_client_ref(client);
  call->ask.renewal = how->settle ? FY_RENEW_SETTLE : FY_RENEW_NOW;
  call->ask.total = pick_time(how->timeout, 0, DEFAULT_TOTAL);
  if (how->forget) {
    call->ask.renewal = FY_RENEW_FORGET;
    call->session = fy_client_session(client);
  }
  rc = launch(call, client, inbox, err);
  if (how->forget && rc == FREDDY_OK) {
    freddy_client_forget(client);
  }
  if (rc == FREDDY_OK) {
    *out = call;
  } else {
    fy_call_unref(call);
  }
  return rc;
}

int freddy_start_timer(freddy_inbox *inbox, double seconds, void *user,
                       freddy_call **out, freddy_error *err) {
  struct freddy_call *call;
  int rc = check_owner(NULL, inbox, err);

  *out = NULL;
  if (rc == FREDDY_OK) {
    rc = fy_engine_prepare(err);
  }
  if (rc != FREDDY_OK) {
    return rc;
  }
  call = fy_call_new(inbox, user);
  if (!call) {
    return fy_error_nomem(err);
  }
  call->ask.total = fy_clock_from_seconds(seconds > 0 ? seconds : 0);
  rc = launch(call, NULL, inbox, err);
  if (rc == FREDDY_OK) {
    *out = call;
  } else {
    fy_call_unref(call);
  }
  return rc;
}
