/* SPDX-License-Identifier: MIT */
/* What the requests of client.auth are made of: secrets in a body, a session
 * out of an answer, the refresh token in a body, waiting for a renewal. */
#include "engine_util.h"

static char seen[512];
static atomic_int requests, held;
static const char *answer;
static atomic_int status;

static int serve(struct loopback *server, int fd,
                 const struct loop_request *req, int nth) {
  (void)server;
  (void)nth;
  snprintf(seen, sizeof(seen), "%.500s", req->body);
  atomic_fetch_add(&requests, 1);
  while (atomic_load(&held)) {
    sched_yield();
  }
  return loop_answer(fd, atomic_load(&status),
                     "Content-Type: application/json\r\n", answer) == 0;
}

static struct rig rig;

static void begin(const freddy_options *opts, const char *text) {
  answer = text;
  seen[0] = '\0';
  atomic_store(&requests, 0);
  atomic_store(&held, 0);
  atomic_store(&status, 200);
  rig_open(&rig, serve);
  freddy_client_free(rig.client);
  rig.client = rig_client(rig.server->port, opts);
}

static const freddy_options none = {.user_agent = "unit"};
static const freddy_options session = {
    .token = "access-old", .refresh_token = "refresh-0", .expires_in = 3600};

static freddy_call *login(void) {
  static const char *const secrets[] = {"the-password", "4821", NULL};
  freddy_request req = {.method = "POST",
                        .path = "/login",
                        .auth = FREDDY_AUTH_OFF,
                        .no_redirects = 1,
                        .body = "{\"password\":\"the-password\"}",
                        .body_size = 27,
                        .secrets = secrets};
  freddy_call *call = rig_start(&rig, &req);

  rig_done(rig.inbox, call);
  return call;
}

static void installs(void) {
  freddy_session_status now;
  freddy_error err = {.code = FREDDY_OK};
  freddy_call *call;
  int installed = 0;

  begin(&none,
        "{\"token\":\"access-1\",\"refreshToken\":\"refresh-1\","
        "\"expires_in\":3600,\"user\":1}");
  call = login();
  CHECK_TEXT(seen, "{\"password\":\"the-password\"}");
  CHECK_INT(
      freddy_client_install(rig.client, call, 1, "login", &installed, &err),
      FREDDY_OK);
  CHECK_INT(installed, 1);
  CHECK_TEXT(freddy_call_body(call, NULL),
             "{\"token\":\"***\",\"refreshToken\":\"***\","
             "\"expires_in\":3600,\"user\":1}");
  freddy_client_status(rig.client, &now);
  CHECK_INT(now.kind, FREDDY_SESSION);
  CHECK_TEXT(now.state, "fresh");
  CHECK(now.expires_in > 3400 && now.expires_in < 3600);
  freddy_call_free(call);
  rig_close(&rig);
}

static void refuses(const char *text, const char *reason) {
  freddy_error err = {.code = FREDDY_OK};
  freddy_call *call;
  int installed = 1;

  UNIT_CASE("%s", text);
  begin(&none, text);
  call = login();
  CHECK_INT(
      freddy_client_install(rig.client, call, 1, "login", &installed, &err),
      FREDDY_EPROTOCOL);
  CHECK_TEXT(err.reason, reason);
  CHECK_INT(installed, 0);
  CHECK_TEXT(freddy_call_body(call, NULL), "");
  CHECK_INT(freddy_client_credential(rig.client, NULL), FREDDY_NONE);
  freddy_call_free(call);
  rig_close(&rig);
  UNIT_CASE("%s", "");
}

/* Nothing to install, and nothing is masked that was asked for. */
static void leaves_alone(int code, const char *text) {
  freddy_error err = {.code = FREDDY_OK};
  freddy_call *call;
  int installed = 1;

  begin(&none, text);
  atomic_store(&status, code);
  call = login();
  CHECK_INT(
      freddy_client_install(rig.client, call, 0, "login", &installed, &err),
      FREDDY_OK);
  CHECK_INT(installed, 0);
  freddy_call_free(call);
  rig_close(&rig);
}

static int is_unknown(const char *secret) {
  char *text = NULL;
  int same;

  CHECK_INT(
      freddy_client_set_credential(rig.client, FREDDY_NONE, NULL, 0, NULL),
      FREDDY_OK); /* forgets what no call carries */
  CHECK_INT(
      freddy_client_redact(rig.client, secret, strlen(secret), &text, NULL),
      FREDDY_OK);
  same = strcmp(text, secret) == 0;
  freddy_free(text);
  return same;
}

static void masks(void) {
  freddy_call *call;

  begin(&none, "no: the-password, 4821, 48210");
  atomic_store(&status, 401);
  call = login();
  CHECK_TEXT(freddy_call_body(call, NULL), "no: ***, ***, 48210");
  freddy_call_free(call);
  /* It is known while the call lives, and no longer (the engine may hold it
   * for a moment). */
  EVENTUALLY(is_unknown("the-password"));
  rig_close(&rig);
}

static void stays(void) {
  freddy_call *call;

  begin(&none, "");
  atomic_store(&status, 302);
  call = login();
  CHECK_TEXT(rig_kind(call), "ok");
  CHECK_INT(freddy_call_status(call), 302);
  freddy_call_free(call);
  rig_close(&rig);
}

static void names_refresh_token(const freddy_options *opts, const char *want) {
  freddy_request req = {
      .method = "POST", .path = "/logout", .refresh_token = 1};
  freddy_call *call;

  begin(opts, "{}");
  call = rig_start(&rig, &req);
  rig_done(rig.inbox, call);
  CHECK_TEXT(rig_kind(call), "ok");
  CHECK_TEXT(seen, want);
  freddy_call_free(call);
  rig_close(&rig);
}

static void misuse(void) {
  static const char *const many[] = {"a", "b", "c", "d", "e",
                                     "f", "g", "h", "i", NULL};
  const freddy_request rows[] = {
      {.path = "/", .method = "POST", .secrets = many},
      {.path = "/",
       .method = "POST",
       .body = "x",
       .body_size = 1,
       .secrets = many},
      {.path = "/",
       .method = "POST",
       .body = "x",
       .body_size = 1,
       .refresh_token = 1},
  };

  begin(&session, "{}");
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    freddy_call *call = NULL;
    freddy_error err = {.code = FREDDY_OK};

    CHECK_INT(freddy_start(rig.client, rig.inbox, &rows[i], &call, &err),
              FREDDY_EMISUSE);
    CHECK(call == NULL);
  }
  rig_close(&rig);
}

/* --- Renewals ----------------------------------------------------------- */

static freddy_call *renew(int settle, double timeout) {
  freddy_renewal how = {.settle = settle, .timeout = timeout};
  freddy_call *call = NULL;

  CHECK_INT(freddy_start_renewal(rig.client, rig.inbox, &how, &call, NULL),
            FREDDY_OK);
  return call;
}

static void ends(freddy_call *call, const char *kind, const char *reason) {
  if (!freddy_call_done(call)) {
    rig_done(rig.inbox, call);
  }
  CHECK_TEXT(rig_kind(call), kind);
  CHECK_TEXT(rig_reason(call), reason);
  freddy_call_free(call);
}

static void renews(void) {
  freddy_session_status now;
  freddy_call *first, *second, *settled;

  begin(&session, "{\"token\":\"access-1\",\"expires_in\":3600}");
  ends(renew(1, 0), "ok", ""); /* nothing is under way */
  CHECK_INT(atomic_load(&requests), 0);
  atomic_store(&held, 1);
  first = renew(0, 0);
  second = renew(0, 0);
  settled = renew(1, 0);
  EVENTUALLY(atomic_load(&requests) == 1);
  ends(renew(0, 0.05), "timeout", "total");
  CHECK(!freddy_call_done(settled));
  atomic_store(&held, 0);
  ends(first, "ok", "");
  ends(second, "ok", "");
  ends(settled, "ok", "");
  CHECK_INT(atomic_load(&requests), 1);
  freddy_client_status(rig.client, &now);
  CHECK_INT((int)now.refreshes, 1);
  rig_close(&rig);
}

static void cannot_renew(int code, const char *reason, const char *settled) {
  begin(&session, "{}");
  atomic_store(&status, code);
  ends(renew(0, 0), "auth", reason);
  ends(renew(0, 0), "auth", reason); /* at once */
  ends(renew(1, 0), settled, "");
  CHECK_INT(atomic_load(&requests), 1);
  rig_close(&rig);
}

static void nothing_to_renew(void) {
  freddy_renewal how = {.settle = 0};
  freddy_call *call = NULL;

  begin(&none, "{}");
  ends(renew(0, 0), "auth", "no_session");
  ends(renew(1, 0), "ok", "");
  freddy_client_close(rig.client);
  CHECK_INT(freddy_start_renewal(rig.client, rig.inbox, &how, &call, NULL),
            FREDDY_ECLOSED);
  rig_close(&rig);
}

static void forgotten(void) {
  freddy_call *first, *settled;

  begin(&session, "{}");
  atomic_store(&held, 1);
  first = renew(0, 0);
  settled = renew(1, 0);
  EVENTUALLY(atomic_load(&requests) == 1);
  freddy_client_forget(rig.client);
  ends(first, "auth", "no_session");
  ends(settled, "ok", "");
  atomic_store(&held, 0);
  rig_close(&rig);
}

int main(void) {
  static const freddy_options bare = {.token = "access-old"};

  installs();
  refuses("{}", "no_token");
  refuses("<html>", "bad_json");
  refuses("{\"token\":\"a\",\"expires_in\":-1}", "bad_life");
  leaves_alone(200, "{\"email_key\":\"k\"}");
  leaves_alone(401, "{\"token\":\"access-1\"}");
  masks();
  stays();
  names_refresh_token(&session, "{\"refresh_token\":\"refresh-0\"}");
  names_refresh_token(&bare, "{}");
  misuse();
  renews();
  cannot_renew(401, "session_expired", "ok");
  cannot_renew(404, "refresh_failed", "ok");
  nothing_to_renew();
  forgotten();
  return unit_end();
}
