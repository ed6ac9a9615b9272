/* SPDX-License-Identifier: MIT */
/* Every allocation of ours fails in turn on the way from a login to a session
 * that is told of, renewed and forgotten, and from a provider's question to
 * its answer. Each call ends, the listener with its client, nothing leaks. */
#include "base/mem.h"
#include "engine_util.h"

static int serve(struct loopback *server, int fd,
                 const struct loop_request *req, int nth) {
  (void)server;
  (void)nth;
  return strncmp(req->path, "/api", 4) == 0
             ? loop_answer(fd, 200, "", "right") == 0
             : loop_answer(fd, 200, "",
                           "{\"token\":\"new\",\"refresh_token\":\"next\","
                           "\"expires_in\":3600}") == 0;
}

/* What one attempt has; the listener may be missing. */
struct attempt {
  freddy_client *client;
  freddy_inbox *inbox;
  freddy_call *listener;
};

static void answer(const struct attempt *at, const freddy_event *event) {
  static const freddy_tokens tokens = {
      .access_token = "given", .refresh_token = "more", .expires_in = 3600};

  if (event->type == FREDDY_NEED_TOKEN &&
      freddy_call_answer_token(at->listener, event->question, &tokens, NULL)) {
    freddy_call_cancel(at->listener); /* no memory even for that */
  } else if (event->type == FREDDY_NEW_TOKENS) {
    freddy_call_answer_token(at->listener, event->question, NULL, NULL);
  }
}

/* 1: it went well; 0: it ended for want of memory. */
static int ends_well(const struct attempt *at, const freddy_call *call) {
  const freddy_error *err;
  freddy_event event;

  while (!freddy_call_done(call) && rig_event(at->inbox, &event)) {
    answer(at, &event);
  }
  CHECK(freddy_call_done(call));
  err = freddy_call_error(call);
  if (err && err->code == FREDDY_EAUTH) {
    CHECK_TEXT(err->reason, "provider_failed");
    return 0;
  }
  CHECK(!err || err->code == FREDDY_ENOMEM || err->code == FREDDY_ETIMEOUT);
  return !err;
}

static int log_in(const struct attempt *at) {
  static const char *const secrets[] = {"the-password", "4821", NULL};
  freddy_request req = {.method = "POST",
                        .path = "/login",
                        .auth = FREDDY_AUTH_OFF,
                        .no_redirects = 1,
                        .body = "{\"password\":\"the-password\"}",
                        .body_size = 27,
                        .secrets = secrets};
  freddy_call *call = NULL;
  int good = 0, installed = 0;

  if (freddy_start(at->client, at->inbox, &req, &call, NULL)) {
    return 0;
  }
  if (ends_well(at, call) &&
      freddy_client_install(at->client, call, 1, "login", &installed, NULL) ==
          FREDDY_OK) {
    good = installed;
  }
  freddy_call_free(call);
  return good;
}

static int renew(const struct attempt *at) {
  freddy_renewal how = {.timeout = 10};
  freddy_call *call = NULL;
  int good;

  if (freddy_start_renewal(at->client, at->inbox, &how, &call, NULL)) {
    return 0;
  }
  good = ends_well(at, call);
  freddy_call_free(call);
  return good;
}

static int ask(const struct attempt *at, const freddy_request *req) {
  freddy_call *call = NULL;
  int good;

  if (freddy_start(at->client, at->inbox, req, &call, NULL)) {
    return 0;
  }
  good = ends_well(at, call);
  freddy_call_free(call);
  return good;
}

static int run(const struct attempt *at, int provider) {
  static const freddy_request get = {.path = "/api"};
  static const freddy_request logout = {
      .method = "POST", .path = "/api/logout", .refresh_token = 1};
  int good = provider || log_in(at);

  good = good && ask(at, &get) && (provider || renew(at)) && ask(at, &logout);
  freddy_client_forget(at->client);
  return good;
}

static int attempt(unsigned port, int provider) {
  freddy_options options = {.provider = provider, .timeout = {.auth = 5}};
  freddy_listener how = {.tokens = 1, .provides = provider};
  struct attempt at = {NULL, NULL, NULL};
  char url[64];
  int good = 0;

  snprintf(url, sizeof(url), "http://127.0.0.1:%u", port);
  options.base_url = url;
  if (freddy_client_new(&options, &at.client, NULL) == FREDDY_OK &&
      freddy_inbox_new(&at.inbox, NULL) == FREDDY_OK &&
      freddy_listen(at.client, at.inbox, &how, &at.listener, NULL) ==
          FREDDY_OK) {
    good = run(&at, provider);
  }
  freddy_client_free(at.client);
  freddy_inbox_free(at.inbox);
  freddy_call_free(at.listener);
  return good;
}

static void torture(unsigned port, int provider, int all_after) {
  int good = 0;

  for (long n = 0; !good && n < 1000; n++) {
    UNIT_CASE("%s, allocation %ld%s", provider ? "provider" : "login", n,
              all_after ? " and all after" : "");
    fy_mem_fail_after(n, all_after);
    good = attempt(port, provider);
    fy_mem_fail_after(-1, 0);
    if (n % 8 == 0) {
      freddy_shutdown();
    }
  }
  CHECK(good);
  CHECK(attempt(port, provider));
  UNIT_CASE("%s", "");
}

int main(void) {
  struct rig rig;

  rig_open(&rig, serve);
  for (int provider = 0; provider < 2; provider++) {
    torture(rig.server->port, provider, 0);
    torture(rig.server->port, provider, 1);
  }
  rig_close(&rig);
  return unit_end();
}
