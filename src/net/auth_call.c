/* SPDX-License-Identifier: MIT */
#include "net/auth_call.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/mem.h"
#include "net/call.h"
#include "net/client.h"
#include "net/credential.h"
#include "net/engine.h"
#include "net/transfer.h"
#include "rules/auth_code.h"
#include "rules/http_date.h"
#include "rules/rate_headers.h"

/* Name: value lines, as fy_ask has them. */
static const char HEADERS[] =
    "Content-Type: application/json\0"
    "Accept: application/json";
enum { HEADER_COUNT = 2 };

static const double DEFAULT_TOTAL = 30;

/* --- Asking ------------------------------------------------------------- */

static const char HEAD[] = "{\"refresh_token\":\"";

/* A token is printable ASCII without blanks. */
static size_t write_body(const struct fy_secret *token, char *out) {
  const char *at = fy_secret_text(token);
  size_t used = sizeof(HEAD) - 1;

  memcpy(out, HEAD, used);
  for (; *at; at++) {
    if (*at == '"' || *at == '\\') {
      out[used++] = '\\';
    }
    out[used++] = *at;
  }
  out[used++] = '"';
  out[used++] = '}';
  return used;
}

/* The text is a secret: it lives in pages of its own, not on the heap. */
struct fy_secret *fy_auth_call_body(struct fy_credential *credential) {
  struct fy_secret *token = NULL, *body = NULL;
  char *text;
  size_t room;

  if (credential) {
    pthread_mutex_lock(&credential->lock);
    token = fy_secret_ref(credential->refresh);
    pthread_mutex_unlock(&credential->lock);
  }
  if (!token) {
    return fy_secret_new(NULL, "{}", 2);
  }
  room = 2 * fy_secret_size(token) + sizeof(HEAD) + 2;
  text = fy_malloc(room);
  if (text) {
    body = fy_secret_new(NULL, text, write_body(token, text));
    fy_wipe(text, room);
    fy_free(text);
  }
  fy_secret_unref(token);
  return body;
}

static int set_body(struct fy_ask *ask, struct fy_secret *secret) {
  ask->secret_body = secret;
  return secret ? FREDDY_OK : FREDDY_ENOMEM;
}

static int fill(struct freddy_call *call, struct fy_credential *credential,
                int means) {
  const freddy_client *client = credential->via;
  struct fy_ask *ask = &call->ask;
  const char *path =
      means == FY_BY_REFRESH ? client->refresh_path : client->token_path;
  double total = client->timeout.auth ? client->timeout.auth : DEFAULT_TOTAL;

  ask->method = fy_strndup("POST", 4);
  ask->headers = fy_strndup(HEADERS, sizeof(HEADERS));
  ask->header_count = HEADER_COUNT;
  if (!ask->method || !ask->headers ||
      fy_target_under(&ask->target, client, path, strlen(path))) {
    return FREDDY_ENOMEM;
  }
  ask->stays = 1;
  ask->shows_cert = 1;
  ask->total = ask->connect = ask->first_byte = ask->stall =
      fy_clock_from_seconds(total);
  ask->max_body = FY_MAX_TOKEN_ANSWER;
  fy_buf_init(&call->answer.body, FY_MAX_TOKEN_ANSWER);
  /* Not to be moved while it grows: it will hold tokens. */
  if (fy_buf_reserve(&call->answer.body, FY_MAX_TOKEN_ANSWER)) {
    return FREDDY_ENOMEM;
  }
  if (means == FY_BY_REFRESH) {
    return set_body(ask, fy_auth_call_body(credential));
  }
  ask->key = fy_secret_ref(credential->key);
  ask->send_credential = 1;
  return set_body(ask, fy_secret_new(NULL, "{}", 2));
}

int fy_auth_call_start(struct fy_credential *credential, int means,
                       uint64_t ticket) {
  struct fy_engine *engine = credential->engine;
  struct freddy_call *call = fy_call_new(credential->nowhere, NULL);
  int rc;

  if (!call) {
    return FREDDY_ENOMEM;
  }
  call->client = fy_client_ref(credential->via);
  call->renews = fy_credential_ref(credential);
  call->ticket = ticket;
  call->means = means;
  call->engine = engine;
  call->generation = fy_engine_generation();
  call->started = fy_clock_now();
  rc = fill(call, credential, means);
  if (rc == FREDDY_OK) {
    rc = fy_dispatch_own(engine, call);
  }
  fy_call_unref(call);
  return rc;
}

/* --- Hearing ------------------------------------------------------------ */

static double header_date(const struct fy_headers *headers) {
  return fy_http_date(fy_headers_get(headers, "date"), (double)time(NULL));
}

/* 0: it asks for none. */
static fy_time retry_after(const struct fy_headers *headers) {
  double seconds = fy_rate_retry_after(headers, (double)time(NULL));

  return seconds > 0 ? fy_clock_from_seconds(seconds) : 0;
}

static enum fy_token_failure by_status(int status) {
  if (status == 400 || status == 401 || status == 403) {
    return FY_TOKEN_REFUSED;
  }
  if (status == 408 || status == 429 || (status >= 500 && status <= 599)) {
    return FY_TOKEN_BUSY;
  }
  return FY_TOKEN_GARBAGE;
}

/* Nothing came that could be read: was it sent? */
static enum fy_token_failure by_error(const freddy_error *err) {
  if (err->code == FREDDY_ENOMEM) {
    return FY_TOKEN_GARBAGE; /* a repeat would want as much */
  }
  if (!err->sent) {
    return FY_TOKEN_UNSENT;
  }
  return err->code == FREDDY_ECUT || err->code == FREDDY_ETIMEOUT ||
                 strcmp(err->reason, "bad_http2") == 0 /* a broken stream */
             ? FY_TOKEN_LOST
             : FY_TOKEN_GARBAGE;
}

static void tell_status(const struct freddy_call *call, freddy_error *why) {
  const struct fy_buf *body = &call->answer.body;
  int status = call->answer.headers.status;
  const char *what =
      call->means == FY_BY_REFRESH ? "the refresh token" : "the API key";

  if (by_status(status) == FY_TOKEN_REFUSED) {
    why->cause = fy_auth_code_name(body->data ? body->data : "", body->size);
    fy_error_set(why, FREDDY_EAUTH, NULL, "the server refused %s (%d%s%s)",
                 what, status, why->cause ? ", " : "",
                 why->cause ? why->cause : "");
  } else if (status == 404 || status == 405) {
    fy_error_set(why, FREDDY_EAUTH, NULL,
                 "the server has no %s (%d): see the option auth_paths.%s",
                 call->means == FY_BY_REFRESH ? call->client->refresh_path
                                              : call->client->token_path,
                 status, call->means == FY_BY_REFRESH ? "refresh" : "token");
  } else {
    fy_error_set(why, FREDDY_EAUTH, NULL, "the server answered %d", status);
  }
}

static int read_grant(const struct freddy_call *call, struct fy_grant *grant,
                      freddy_error *why) {
  const struct fy_answer *answer = &call->answer;

  return fy_grant_read(answer->body.data ? answer->body.data : "",
                       answer->body.size, header_date(&answer->headers), 1,
                       grant, why);
}

static void report(struct freddy_call *call, const freddy_error *err) {
  struct fy_credential *credential = call->renews;
  int status = call->answer.headers.status;
  struct fy_grant grant;
  freddy_error why = {.code = FREDDY_OK};

  if (err->code != FREDDY_OK) {
    fy_credential_got_nothing(credential, call->ticket, by_error(err), 0, err);
  } else if (status < 200 || status > 299) {
    tell_status(call, &why);
    fy_credential_got_nothing(credential, call->ticket, by_status(status),
                              retry_after(&call->answer.headers), &why);
  } else if (read_grant(call, &grant, &why) == FREDDY_OK) {
    fy_credential_got(credential, call->ticket, call->started, &grant);
  } else {
    fy_credential_got_nothing(credential, call->ticket, FY_TOKEN_GARBAGE, 0,
                              &why);
  }
}

void fy_auth_call_end(struct freddy_call *call, const freddy_error *err) {
  if (!atomic_load(&call->engine->stopping)) {
    report(call, err);
  }
  if (call->answer.body.data) {
    fy_wipe(call->answer.body.data, call->answer.body.room);
  }
}
