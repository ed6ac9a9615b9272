/* SPDX-License-Identifier: MIT */
/* A session that is kept in a file, through the public API: engines that end,
 * clients that go, files that cannot be written. */
#include <stdatomic.h>
#include <sys/stat.h>

#include "engine_util.h"
#include "folder.h"

static atomic_int serial; /* of the refresh token that is good */
static atomic_int refreshes, refused;
static atomic_int held;          /* requests for a new token wait */
static _Atomic(long long) later; /* what the clocks are ahead, in seconds */

/* In the place of libc's. */
int clock_gettime(clockid_t clock, struct timespec *out) {
  int rc = (int)syscall(SYS_clock_gettime, clock, out);

  out->tv_sec += (time_t)atomic_load(&later);
  return rc;
}

static int renew(int fd, const struct loop_request *req) {
  int now = atomic_load(&serial);
  char body[200], want[60];

  atomic_fetch_add(&refreshes, 1);
  while (atomic_load(&held)) {
    sched_yield();
  }
  snprintf(want, sizeof(want), "\"refresh-%d\"", now);
  if (!strstr(req->body, want)) {
    atomic_fetch_add(&refused, 1);
    return loop_answer(fd, 401, "", "{}") == 0;
  }
  atomic_store(&serial, now + 1);
  snprintf(body, sizeof(body),
           "{\"access_token\":\"access-%d\",\"refresh_token\":\"refresh-%d\","
           "\"expires_in\":3600}",
           now + 1, now + 1);
  return loop_answer(fd, 200, "", body) == 0;
}

static int serve(struct loopback *server, int fd,
                 const struct loop_request *req, int nth) {
  (void)server;
  (void)nth;
  return strncmp(req->path, "/v1/auth/refresh", 16) == 0
             ? renew(fd, req)
             : loop_answer(fd, 200, "", "right") == 0;
}

static struct rig rig;
static struct folder folder;
static char path[200], lock[220], aside[200];

static void begin(void) {
  freddy_options opts = {
      .refresh_token = "refresh-0", .store = path, .timeout = {.auth = 300}};

  atomic_store(&serial, 0);
  atomic_store(&refreshes, 0);
  atomic_store(&refused, 0);
  atomic_store(&held, 0);
  atomic_store(&later, 0);
  folder_open(&folder);
  folder_path(&folder, "session", path);
  folder_path(&folder, "aside", aside);
  snprintf(lock, sizeof(lock), "%s.lock", path);
  rig_open(&rig, serve);
  freddy_client_free(rig.client);
  rig.client = rig_client(rig.server->port, &opts);
}

static void end(void) {
  CHECK_INT(atomic_load(&refused), 0);
  freddy_client_forget(rig.client);
  rig_close(&rig);
  rmdir(path);
  unlink(path);
  unlink(lock);
  unlink(aside);
  folder_close(&folder);
}

static const char *kept(void) {
  static char text[4000];
  FILE *file = fopen(path, "r");
  size_t size = file ? fread(text, 1, sizeof(text) - 1, file) : 0;

  if (file) {
    fclose(file);
  }
  text[size] = '\0';
  return text;
}

static freddy_call *start(void) {
  freddy_request req = {.path = "/"};

  return rig_start(&rig, &req);
}

static void ends(freddy_call *call, const char *kind, const char *reason) {
  if (!freddy_call_done(call)) {
    rig_done(rig.inbox, call);
  }
  CHECK_TEXT(rig_kind(call), kind);
  CHECK_TEXT(rig_reason(call), reason);
  freddy_call_free(call);
}

static freddy_session_status status(void) {
  freddy_session_status seen;

  freddy_client_status(rig.client, &seen);
  return seen;
}

static freddy_call *settle(int forget) {
  freddy_renewal how = {.settle = !forget, .forget = forget};
  freddy_call *call = NULL;

  CHECK_INT(freddy_start_renewal(rig.client, rig.inbox, &how, &call, NULL),
            FREDDY_OK);
  return call;
}

/* Nothing can be saved over a folder. */
static void in_the_way(void) {
  rename(path, aside);
  CHECK_INT(mkdir(path, 0700), 0);
}

static void is_kept(void) {
  begin();
  ends(start(), "ok", "");
  CHECK(strstr(kept(), "refresh-1") != NULL);
  CHECK_INT(atomic_load(&refreshes), 1);
  end();
}

/* The claim goes back when the engine ends while the server is asked: who
 * comes next need not wait until it runs out. */
static void engine_ends_in_a_claim(void) {
  freddy_options opts = {.store = path, .refresh_path = "/v1/auth/refresh?b"};
  freddy_client *mine;
  freddy_call *call;

  begin();
  ends(start(), "ok", "");
  atomic_store(&later, 7200);
  atomic_store(&held, 1);
  call = start();
  EVENTUALLY(atomic_load(&refreshes) == 2);
  freddy_shutdown();
  ends(call, "closed", "");
  CHECK(!status().refreshing);
  atomic_store(&held, 0);
  EVENTUALLY(atomic_load(&rig.server->open) == 0);
  atomic_store(&serial, 1); /* it was not granted after all */
  mine = rig.client;
  rig.client = rig_client(rig.server->port, &opts);
  ends(start(), "ok", "");
  freddy_client_free(rig.client);
  rig.client = mine;
  ends(start(), "ok", ""); /* adopts it */
  CHECK_INT(atomic_load(&refreshes), 3);
  end();
}

/* What is saved when the engine ends is heeded by the next one. */
static void engine_ends_in_a_job(void) {
  freddy_call *call;

  for (int i = 0; i < 20; i++) {
    begin();
    CHECK_INT(freddy_client_set_session(rig.client, "access-0", "refresh-0", 0,
                                        NULL),
              FREDDY_OK);
    if (i % 2) {
      call = start();
      freddy_shutdown();
      freddy_call_free(call);
    } else {
      freddy_shutdown();
    }
    CHECK(strstr(kept(), "refresh-0") != NULL);
    ends(start(), "ok", "");
    ends(settle(0), "ok", "");
    CHECK(!status().saving);
    ends(settle(1), "ok", "");
    CHECK(strstr(kept(), "refresh-") == NULL);
    end();
  }
}

/* No engine any more, and the logout comes all the same. */
static void forgotten_without_an_engine(void) {
  begin();
  CHECK_INT(
      freddy_client_set_session(rig.client, "access-0", "refresh-0", 0, NULL),
      FREDDY_OK);
  freddy_shutdown();
  CHECK(strstr(kept(), "refresh-0") != NULL);
  freddy_client_forget(rig.client);
  EVENTUALLY(strstr(kept(), "refresh-0") == NULL);
  end();
}

/* Its last client leaves while it is renewed, and a minute passes: what comes
 * is kept. */
static void client_leaves_meanwhile(void) {
  freddy_call *call;

  begin();
  atomic_store(&held, 1);
  call = start();
  EVENTUALLY(atomic_load(&refreshes) == 1);
  freddy_call_free(call);
  freddy_client_free(rig.client);
  rig.client = rig_client(rig.server->port, NULL);
  ends(start(), "ok", ""); /* the engine has seen that */
  atomic_store(&later, 61);
  for (int i = 0; i < 3; i++) {
    ends(start(), "ok", ""); /* and that it is time to let it go */
  }
  atomic_store(&held, 0);
  EVENTUALLY(strstr(kept(), "refresh-1") != NULL);
  end();
}

static void fails_to_save(void) {
  freddy_listener how = {.failures = 1, .user = &how};
  freddy_call *listener, *call;
  freddy_event event = {.type = FREDDY_DONE};
  char text[300] = "";
  int heard = 0;

  begin();
  CHECK_INT(freddy_listen(rig.client, rig.inbox, &how, &listener, NULL),
            FREDDY_OK);
  atomic_store(&held, 1);
  call = start();
  EVENTUALLY(atomic_load(&refreshes) == 1);
  in_the_way();
  atomic_store(&held, 0);
  while (rig_event(rig.inbox, &event) && event.call != call) {
    CHECK_INT(event.type, FREDDY_NOT_KEPT);
    CHECK(event.call == listener && event.user == &how);
    CHECK_INT(event.failure->code, FREDDY_EAUTH);
    CHECK_TEXT(event.failure->reason, "store_failed");
    snprintf(text, sizeof(text), "%s", event.failure->message);
    heard++;
  }
  CHECK_INT(heard, 1);
  CHECK_INT(event.type, FREDDY_DONE); /* it goes on all the same */
  ends(call, "ok", "");
  CHECK(strstr(text, path) != NULL && !strstr(text, "refresh-1"));
  CHECK_TEXT(status().last_error, text);
  CHECK_TEXT(status().state, "fresh");
  CHECK_INT(
      freddy_client_set_session(rig.client, "access-9", "refresh-9", 0, NULL),
      FREDDY_OK);
  CHECK(rig_event(rig.inbox, &event) && event.type == FREDDY_NOT_KEPT);
  ends(settle(0), "auth", "store_failed");
  ends(settle(1), "auth", "store_failed");
  CHECK_INT(status().kind, FREDDY_NONE);
  ends(settle(1), "ok", ""); /* there is nothing to forget */
  freddy_call_free(listener);
  end();
}

int main(void) {
  is_kept();
  engine_ends_in_a_claim();
  engine_ends_in_a_job();
  forgotten_without_an_engine();
  client_leaves_meanwhile();
  fails_to_save();
  return unit_end();
}
