/* SPDX-License-Identifier: MIT */
/* After a logout no memory that freddy allocated holds a secret: neither what
 * lives, nor what was freed meanwhile, which this build keeps as it was. */
#include "base/mem.h"
#include "engine_util.h"
#include "folder.h"

#define KEY "the-key-that-is-exchanged-0001"
#define PASSWORD "the-password-of-a-user-0002"
#define CODE "the-code-0003"
#define GIVEN "the-token-that-was-given-0004"
#define GIVEN_REFRESH "the-refresh-token-given-0005"
#define PROVIDED "the-token-that-was-provided-0006"
#define GRANTED "the-token-that-was-granted-0007"
#define GRANTED_REFRESH "the-refresh-token-granted-0008"

static const char *const secrets[] = {KEY,     PASSWORD,       CODE,
                                      GIVEN,   GIVEN_REFRESH,  PROVIDED,
                                      GRANTED, GRANTED_REFRESH};

static atomic_int rejects;   /* so many requests get a 401 */
static const char *own = ""; /* secrets that the client has, for the server */

/* An error that repeats them, also where they are written differently. */
static int leak(int fd, int status) {
  char head[600], body[900];

  snprintf(head, sizeof(head), "X-Echo: %s\r\nLocation: /?t=%s\r\n", own, own);
  snprintf(body, sizeof(body),
           "{\"error\":{\"message\":\"%s and once more %s\"}}", own, own);
  return loop_answer(fd, status, head, body) == 0;
}

static int serve(struct loopback *server, int fd,
                 const struct loop_request *req, int nth) {
  (void)server;
  (void)nth;
  if (strcmp(req->path, "/leak") == 0) {
    return leak(fd, 400);
  }
  if (strcmp(req->path, "/cut") == 0) {
    loop_answer(fd, 200, "Transfer-Encoding: chunked\r\n", own);
    return 0;
  }
  if (strncmp(req->path, "/api", 4) == 0 && atomic_load(&rejects) > 0) {
    atomic_fetch_sub(&rejects, 1);
    return leak(fd, 401);
  }
  if (strncmp(req->path, "/api", 4) == 0) {
    return loop_answer(fd, 200, "", "right") == 0;
  }
  return loop_answer(fd, 200, "",
                     "{\"token\":\"" GRANTED
                     "\",\"refresh_token\":\"" GRANTED_REFRESH
                     "\",\"expires_in\":3600}") == 0;
}

static struct rig rig;

static void ends(freddy_call *call, freddy_call *listener) {
  static const freddy_tokens tokens = {.access_token = PROVIDED,
                                       .expires_in = 3600};
  freddy_event event;

  while (!freddy_call_done(call) && rig_event(rig.inbox, &event)) {
    if (event.type == FREDDY_NEED_TOKEN || event.type == FREDDY_NEW_TOKENS) {
      freddy_call_answer_token(listener, event.question, &tokens, NULL);
    }
  }
  CHECK(freddy_call_done(call));
}

static freddy_call *ask(const char *path, freddy_call *listener) {
  freddy_request req = {.path = path};
  freddy_call *call = rig_start(&rig, &req);

  ends(call, listener);
  return call;
}

static void send_secret(const char *path, const char *secret, int installs) {
  const char *const list[] = {secret, NULL};
  char body[100];
  freddy_request req = {.method = "POST",
                        .path = path,
                        .auth = FREDDY_AUTH_OFF,
                        .no_redirects = 1,
                        .body = body,
                        .secrets = list};
  freddy_call *call;
  int installed = 0;

  req.body_size =
      (size_t)snprintf(body, sizeof(body), "{\"secret\":\"%s\"}", secret);
  call = rig_start(&rig, &req);
  ends(call, NULL);
  if (installs) {
    CHECK_INT(
        freddy_client_install(rig.client, call, 1, "login", &installed, NULL),
        FREDDY_OK);
    CHECK(installed);
  }
  freddy_call_free(call);
  memset(body, 0, sizeof(body));
}

static void mask_own(void) {
  char text[200], *masked = NULL;
  size_t size = (size_t)snprintf(text, sizeof(text), "they say %s", own);

  CHECK_INT(freddy_client_redact(rig.client, text, size, &masked, NULL),
            FREDDY_OK);
  freddy_free(masked);
}

/* Requests of every kind, errors that repeat secrets, a text that is masked, a
 * replay, a renewal. */
static void use(freddy_call *listener) {
  static const char *const paths[] = {"/api", "/leak", "/cut"};
  freddy_renewal how = {.timeout = 10};
  freddy_call *call = NULL;

  for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
    freddy_call_free(ask(paths[i], listener));
  }
  mask_own();
  atomic_store(&rejects, 1);
  freddy_call_free(ask("/api", listener));
  CHECK_INT(freddy_start_renewal(rig.client, rig.inbox, &how, &call, NULL),
            FREDDY_OK);
  ends(call, listener);
  freddy_call_free(call);
}

static void log_out(freddy_call *listener) {
  freddy_request req = {
      .method = "POST", .path = "/api/logout", .refresh_token = 1};
  freddy_renewal how = {.forget = 1};
  freddy_call *call = rig_start(&rig, &req);

  ends(call, listener);
  freddy_call_free(call);
  CHECK_INT(freddy_start_renewal(rig.client, rig.inbox, &how, &call, NULL),
            FREDDY_OK);
  ends(call, listener);
  freddy_call_free(call);
}

static int count_found(int shows) {
  int found = 0;

  for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
    int times = fy_mem_find(secrets[i], strlen(secrets[i]));

    found += times;
    if (times && shows) {
      printf("%s: %d times\n", secrets[i], times);
    }
  }
  return found;
}

static void check_forgotten(const char *name) {
  UNIT_CASE("%s", name);
  EVENTUALLY(count_found(0) == 0); /* the engine lets go of its calls */
  count_found(1);
  freddy_client_free(rig.client);
  rig.client = NULL;
}

static void open_client(freddy_options opts) {
  freddy_client_free(rig.client);
  rig.client = rig_client(rig.server->port, &opts);
}

static void from_login(void) {
  open_client((freddy_options){.provider = 0});
  own = GRANTED " " GRANTED_REFRESH;
  send_secret("/login", PASSWORD, 0);
  send_secret("/verify", CODE, 1);
  CHECK(fy_mem_find(GRANTED, strlen(GRANTED)) > 0); /* it can be found */
  use(NULL);
  log_out(NULL);
  check_forgotten("from_login");
}

static void from_leaky_login(void) {
  open_client((freddy_options){.provider = 0});
  own = PASSWORD;
  send_secret("/leak", PASSWORD, 0);
  check_forgotten("from_leaky_login");
}

static void from_given(void) {
  open_client((freddy_options){
      .token = GIVEN, .refresh_token = GIVEN_REFRESH, .expires_in = 3600});
  own = GIVEN " " GIVEN_REFRESH;
  use(NULL);
  log_out(NULL);
  check_forgotten("from_given");
}

/* Kept in a file, which is forgotten, too. */
static void from_store(void) {
  struct folder folder;
  char path[200], lock[220];

  folder_open(&folder);
  folder_path(&folder, "session", path);
  snprintf(lock, sizeof(lock), "%s.lock", path);
  open_client((freddy_options){.refresh_token = GIVEN_REFRESH, .store = path});
  own = GRANTED " " GRANTED_REFRESH;
  use(NULL);
  log_out(NULL);
  check_forgotten("from_store");
  CHECK_INT(unlink(path) || unlink(lock), 0);
  folder_close(&folder);
}

static void from_key(void) {
  open_client((freddy_options){.api_key = KEY, .exchange = 1});
  own = KEY " " GRANTED;
  use(NULL);
  log_out(NULL);
  check_forgotten("from_key");
}

/* What was told and is not taken yet is the host's. */
static void drain(freddy_call *listener) {
  freddy_event event;

  while (freddy_inbox_next(rig.inbox, &event)) {
    freddy_call_answer_token(listener, event.question, NULL, NULL);
  }
}

/* With one who listens, too. */
static void from_provider(void) {
  freddy_listener how = {.tokens = 1, .provides = 1};
  freddy_call *listener = NULL;

  open_client((freddy_options){.provider = 1});
  own = PROVIDED;
  CHECK_INT(freddy_listen(rig.client, rig.inbox, &how, &listener, NULL),
            FREDDY_OK);
  use(listener);
  log_out(listener);
  drain(listener);
  check_forgotten("from_provider");
  freddy_call_free(listener);
}

/* Not a logout, but another credential, for what was replaced. */
static void replaced(void) {
  open_client((freddy_options){.api_key = KEY});
  own = KEY;
  freddy_call_free(ask("/leak", NULL));
  CHECK_INT(
      freddy_client_set_session(rig.client, GIVEN, GIVEN_REFRESH, 0, NULL),
      FREDDY_OK);
  freddy_call_free(ask("/leak", NULL));
  CHECK_INT(
      freddy_client_set_credential(rig.client, FREDDY_NONE, NULL, 0, NULL),
      FREDDY_OK);
  freddy_client_forget(rig.client);
  EVENTUALLY(fy_mem_find(KEY, strlen(KEY)) == 0);
  freddy_client_free(rig.client);
  rig.client = NULL;
}

int main(void) {
  fy_mem_keep(1);
  rig_open(&rig, serve);
  from_login();
  from_leaky_login();
  from_given();
  from_store();
  from_key();
  from_provider();
  replaced();
  rig_close(&rig);
  fy_mem_keep(0);
  return unit_end();
}
