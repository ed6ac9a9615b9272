/* SPDX-License-Identifier: MIT */
/* The public entry points: a session out of an answer, and who listens to
 * it. */
#include <math.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "config.h"
#include "net/call.h"
#include "net/client.h"
#include "net/credential.h"
#include "net/engine.h"
#include "net/listener.h"
#include "rules/grant.h"
#include "rules/http_date.h"

/* How long is left: its life began when the request was sent. 0: it does not
 * say. */
static double life_left(const struct freddy_call *call,
                        const struct fy_grant *grant) {
  double passed = (double)(fy_clock_now() - call->started) / FY_SECOND;

  if (isnan(grant->life)) {
    return 0;
  }
  return grant->life > passed ? grant->life - passed
                              : 1e-3; /* the first request renews it */
}

static int install(freddy_client *client, const struct freddy_call *call,
                   const struct fy_grant *grant, const char *cause) {
  struct fy_given session = {.access = grant->access,
                             .refresh = grant->refresh,
                             .expires_in = life_left(call, grant),
                             .anew = 1};
  struct fy_credential *credential = fy_credential_get(client, &session);
  int rc;

  if (!credential) {
    return FREDDY_ENOMEM;
  }
  fy_credential_ref(credential);
  rc = fy_client_set_session(client, credential);
  if (rc == FREDDY_OK) {
    fy_credential_keep(credential, 1);
    fy_credential_announce(credential, cause);
  }
  fy_credential_unref(credential);
  return rc;
}

static int read_and_install(freddy_client *client, struct freddy_call *call,
                            int must_have, const char *cause, int *installed,
                            freddy_error *err) {
  struct fy_buf *body = &call->answer.body;
  const char *date = fy_headers_get(&call->answer.headers, "date");
  struct fy_grant grant;
  freddy_error why = {.code = FREDDY_OK};
  int rc = fy_config_open(client, &why);

  if (rc == FREDDY_OK) {
    rc = fy_grant_read(body->data ? body->data : "", body->size,
                       fy_http_date(date, (double)time(NULL)), must_have,
                       &grant, &why);
  }
  if (rc == FREDDY_OK && grant.access) {
    rc = install(client, call, &grant, cause);
    *installed = rc == FREDDY_OK;
    fy_grant_clear(&grant);
  }
  if (rc != FREDDY_OK && why.code == FREDDY_OK) {
    fy_error_nomem(&why);
  }
  why.sent = 1;
  if (rc != FREDDY_OK && err && err->code == FREDDY_OK) {
    *err = why;
  }
  return rc;
}

int freddy_client_install(freddy_client *client, freddy_call *call,
                          int must_have, const char *cause, int *installed,
                          freddy_error *err) {
  struct fy_buf *body = &call->answer.body;
  int status = call->answer.headers.status;
  int rc;

  *installed = 0;
  if (!freddy_call_done(call) || freddy_call_error(call) || status < 200 ||
      status > 299) {
    return FREDDY_OK;
  }
  rc = read_and_install(client, call, must_have, cause, installed, err);
  if (body->data && rc != FREDDY_OK) {
    fy_wipe(body->data, body->size);
    body->size = 0;
  } else if (body->data && *installed) {
    body->size = fy_client_redact(client, body->data, body->size);
    body->data[body->size] = '\0';
  }
  return rc;
}

int freddy_listen(freddy_client *client, freddy_inbox *inbox,
                  const freddy_listener *how, freddy_call **out,
                  freddy_error *err) {
  struct freddy_call *call;
  int rc = fy_config_open(client, err);

  *out = NULL;
  if (rc == FREDDY_OK && fy_engine_is_foreign(inbox->generation)) {
    rc = fy_error_set(err, FREDDY_EFORKED, NULL,
                      "the inbox belongs to another process");
  }
  if (rc != FREDDY_OK) {
    return rc;
  }
  call = fy_call_new(inbox, how->user);
  if (!call) {
    return fy_error_nomem(err);
  }
  call->client = fy_client_ref(client);
  if (fy_listener_join(call, how) != FREDDY_OK) {
    fy_call_unref(call);
    return fy_error_nomem(err);
  }
  *out = call;
  return FREDDY_OK;
}
