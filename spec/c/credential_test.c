/* SPDX-License-Identifier: MIT */
/* A session on the engine: one renewal for everyone, and what becomes of
 * those who wait when there is none. */
#include <stdatomic.h>

#include "engine_util.h"

enum { MANY = 200 };

/* What the server does next, and what it saw. */
static atomic_int serial;    /* of the token that is current */
static atomic_int refreshes; /* requests for a new one */
static atomic_int exchanges;
static atomic_int rejected; /* requests with a token that is not current */
static atomic_int held;     /* 1: requests for a new one wait */
static atomic_int status;   /* of the answer to them */
static atomic_int leaked;   /* what a request must not carry */
static atomic_int life;     /* of the next token */
static atomic_int lost;     /* requests for a new one that get no answer */
static const char *answer;  /* instead of a right one, or NULL */

static int renew(int fd) {
  char body[256];
  int next;

  while (atomic_load(&held)) {
    sched_yield();
  }
  if (atomic_load(&status) != 200 || answer) {
    return loop_answer(fd, atomic_load(&status), "", answer ? answer : "{}") ==
           0;
  }
  if (atomic_load(&lost) > 0) {
    atomic_fetch_sub(&lost, 1);
    return 0;
  }
  next = atomic_fetch_add(&serial, 1) + 1;
  snprintf(body, sizeof(body),
           "{\"access_token\":\"access-%d\",\"refresh_token\":\"refresh-%d\","
           "\"expires_in\":%d}",
           next, next, atomic_load(&life));
  return loop_answer(fd, 200, "Content-Type: application/json\r\n", body) == 0;
}

static int serve(struct loopback *server, int fd,
                 const struct loop_request *req, int nth) {
  char line[64];

  (void)server;
  (void)nth;
  snprintf(line, sizeof(line), "Authorization: Bearer access-%d\r\n",
           atomic_load(&serial));
  if (strcmp(req->path, "/v1/auth/refresh") == 0) {
    atomic_fetch_add(&refreshes, 1);
    atomic_fetch_add(&leaked, strstr(req->head, "Authorization") != NULL);
    return renew(fd);
  }
  if (strcmp(req->path, "/v1/auth/token") == 0) {
    atomic_fetch_add(&exchanges, 1);
    atomic_fetch_add(&leaked, !strstr(req->head, "api-key: the-key"));
    return renew(fd);
  }
  atomic_fetch_add(&leaked, strstr(req->head, "the-key") != NULL);
  if (!strstr(req->head, line)) {
    atomic_fetch_add(&rejected, 1);
    return loop_answer(fd, 401, "Content-Type: application/json\r\n",
                       strcmp(req->path, "/key") == 0
                           ? "{\"error\":{\"code\":\"API_KEY_PAUSED\"}}"
                           : "{\"error\":{\"code\":\"TOKEN_EXPIRED\"}}") == 0;
  }
  return loop_answer(fd, 200, "", "right") == 0;
}

static struct rig rig;

static void begin(const freddy_options *opts) {
  atomic_store(&serial, 0);
  atomic_store(&refreshes, 0);
  atomic_store(&exchanges, 0);
  atomic_store(&rejected, 0);
  atomic_store(&held, 0);
  atomic_store(&status, 200);
  atomic_store(&leaked, 0);
  atomic_store(&life, 3600);
  atomic_store(&lost, 0);
  answer = NULL;
  rig_open(&rig, serve);
  freddy_client_free(rig.client);
  rig.client = rig_client(rig.server->port, opts);
}

static void end(void) {
  CHECK_INT(atomic_load(&leaked), 0);
  rig_close(&rig);
}

static freddy_call *start(const char *path) {
  freddy_request req = {.path = path};

  return rig_start(&rig, &req);
}

static void finish(freddy_call *call, int want) {
  if (!freddy_call_done(call)) {
    rig_done(rig.inbox, call);
  }
  CHECK_TEXT(rig_kind(call), "ok");
  CHECK_INT(freddy_call_status(call), want);
  freddy_call_free(call);
}

static void fails(freddy_call *call, const char *kind, const char *reason) {
  if (!freddy_call_done(call)) {
    rig_done(rig.inbox, call);
  }
  CHECK_TEXT(rig_kind(call), kind);
  CHECK_TEXT(rig_reason(call), reason);
  freddy_call_free(call);
}

static void many(int want) {
  freddy_call *calls[MANY];

  for (int i = 0; i < MANY; i++) {
    calls[i] = start("/");
  }
  for (int i = 0; i < MANY; i++) {
    finish(calls[i], want);
  }
}

static const freddy_options refresh_only = {.refresh_token = "refresh-0"};
static const freddy_options both = {
    .token = "access-old", .refresh_token = "refresh-0", .expires_in = 3600};

static void one_refresh_for_all(void) {
  freddy_session_status seen;

  begin(&refresh_only);
  many(200);
  CHECK_INT(atomic_load(&refreshes), 1);
  CHECK_INT(atomic_load(&rejected), 0);
  freddy_client_status(rig.client, &seen);
  CHECK_INT(seen.kind, FREDDY_SESSION);
  CHECK_TEXT(seen.state, "fresh");
  CHECK_INT((int)seen.refreshes, 1);
  CHECK(seen.expires_in > 3500 && seen.expires_in < 3600);
  end();
}

/* All are answered 401 at once: one renewal, and each is sent once more. */
static void one_refresh_after_401(void) {
  begin(&both);
  many(200);
  CHECK_INT(atomic_load(&refreshes), 1);
  CHECK(atomic_load(&rejected) >= 1 && atomic_load(&rejected) <= MANY);
  end();
}

static void not_for_a_key(void) {
  begin(&both);
  finish(start("/key"), 401);
  CHECK_INT(atomic_load(&refreshes), 0);
  end();
}

/* A 401 on the replay stands. */
static void once_only(void) {
  begin(&both);
  atomic_store(&serial, 1000); /* what it hands out is current... */
  finish(start("/"), 200);
  CHECK_INT(atomic_load(&refreshes), 1);
  answer = "{\"token\":\"never-right\",\"expires_in\":3600}";
  atomic_fetch_add(&serial, 1); /* ...until it is revoked */
  finish(start("/"), 401);
  CHECK_INT(atomic_load(&refreshes), 2);
  end();
}

static void refused_for_all(void) {
  freddy_call *calls[MANY];
  char first[232] = "";

  begin(&refresh_only);
  atomic_store(&status, 401);
  for (int i = 0; i < MANY; i++) {
    calls[i] = start("/");
  }
  for (int i = 0; i < MANY; i++) {
    if (!freddy_call_done(calls[i])) {
      rig_done(rig.inbox, calls[i]);
    }
    if (!first[0]) {
      snprintf(first, sizeof(first), "%s",
               freddy_call_error(calls[i])->message);
    }
    CHECK_TEXT(freddy_call_error(calls[i])->message, first);
    fails(calls[i], "auth", "session_expired");
  }
  fails(start("/"), "auth", "session_expired");
  CHECK_INT(atomic_load(&refreshes), 1); /* nobody calls again */
  CHECK_INT(freddy_client_set_session(rig.client, NULL, "refresh-1", 0, NULL),
            FREDDY_OK);
  atomic_store(&status, 200);
  finish(start("/"), 200);
  end();
}

static void fails_for_now(int code, const char *text, int calls) {
  freddy_call *call;

  begin(&refresh_only);
  atomic_store(&status, code);
  answer = text;
  call = start("/");
  rig_done(rig.inbox, call);
  CHECK_TEXT(rig_reason(call), "refresh_failed");
  CHECK(freddy_call_error(call)->retry_after > 0);
  CHECK(!freddy_call_error(call)->sent);
  freddy_call_free(call);
  fails(start("/"), "auth", "refresh_failed"); /* at once: the back-off */
  CHECK_INT(atomic_load(&refreshes), calls);
  end();
}

static void exchange(void) {
  static const freddy_options opts = {.api_key = "the-key", .exchange = 1};
  freddy_client *others[20];

  begin(&opts);
  for (int i = 0; i < 20; i++) {
    others[i] = rig_client(rig.server->port, &opts);
  }
  many(200);
  for (int i = 0; i < 20; i++) {
    freddy_client *mine = rig.client;

    rig.client = others[i];
    finish(start("/"), 200);
    rig.client = mine;
    freddy_client_free(others[i]);
  }
  CHECK_INT(atomic_load(&exchanges), 1);
  CHECK_INT(atomic_load(&refreshes), 0);
  end();
}

/* Who came first may go: the others still get their token. */
static void first_one_cancelled(void) {
  freddy_call *first, *second;

  begin(&refresh_only);
  atomic_store(&held, 1);
  first = start("/");
  second = start("/");
  EVENTUALLY(atomic_load(&refreshes) == 1);
  freddy_call_cancel(first);
  fails(first, "cancelled", "");
  atomic_store(&held, 0);
  finish(second, 200);
  CHECK_INT(atomic_load(&refreshes), 1);
  end();
}

static void deadline_of_its_own(void) {
  freddy_request req = {.path = "/", .timeout = {.total = 0.1}};
  freddy_call *call;

  begin(&refresh_only);
  atomic_store(&held, 1);
  call = rig_start(&rig, &req);
  fails(call, "timeout", "total");
  atomic_store(&held, 0);
  finish(start("/"), 200);
  CHECK_INT(atomic_load(&refreshes), 1);
  end();
}

static void forgotten_meanwhile(void) {
  freddy_session_status seen;
  freddy_call *call;

  begin(&refresh_only);
  atomic_store(&held, 1);
  call = start("/");
  EVENTUALLY(atomic_load(&refreshes) == 1);
  freddy_client_forget(rig.client);
  fails(call, "missing_credentials", "");
  atomic_store(&held, 0);
  freddy_client_status(rig.client, &seen);
  CHECK_INT(seen.kind, FREDDY_NONE);
  end();
}

static void closed_meanwhile(void) {
  freddy_call *call;

  begin(&refresh_only);
  atomic_store(&held, 1);
  call = start("/");
  EVENTUALLY(atomic_load(&refreshes) == 1);
  freddy_client_close(rig.client);
  fails(call, "closed", "");
  atomic_store(&held, 0);
  end();
}

/* The engine ends in the middle of a renewal (`waits`: for the server's
 * answer): what comes after it begins one anew. */
static void engine_ends_meanwhile(int waits) {
  freddy_session_status seen;
  freddy_call *call;

  begin(&refresh_only);
  atomic_store(&held, waits);
  call = start("/");
  if (waits) {
    EVENTUALLY(atomic_load(&refreshes) == 1);
  }
  freddy_shutdown();
  fails(call, "closed", "");
  freddy_client_status(rig.client, &seen);
  CHECK(!seen.refreshing);
  atomic_store(&held, 0);
  EVENTUALLY(atomic_load(&rig.server->open) == 0);
  many(200);
  CHECK(atomic_load(&refreshes) <= 2);
  freddy_client_status(rig.client, &seen);
  CHECK_TEXT(seen.state, "fresh");
  CHECK_INT((int)seen.refreshes, 1);
  end();
}

static void rest(double seconds) {
  struct timespec nap = {(time_t)seconds,
                         (long)((seconds - (double)(time_t)seconds) * 1e9)};

  nanosleep(&nap, NULL);
}

static int is_state(const char *state) {
  freddy_session_status seen;

  freddy_client_status(rig.client, &seen);
  return strcmp(seen.state, state) == 0;
}

/* The early refresh is sent and no answer comes: the token is served as long
 * as it lives, and only then the server is asked again. `refused`: it has
 * rotated what was lost. */
static void lost_while_alive(int refused) {
  freddy_call *call;

  begin(&refresh_only);
  atomic_store(&life, 1);
  finish(start("/"), 200);
  EVENTUALLY(is_state("stale"));
  atomic_store(&lost, 1);
  finish(start("/"), 200);
  EVENTUALLY(atomic_load(&refreshes) == 2 && atomic_load(&lost) == 0);
  EVENTUALLY(is_state("expired") || is_state("failed"));
  CHECK_INT(atomic_load(&refreshes), 2);
  atomic_store(&status, refused ? 401 : 200);
  do { /* the back-off may be longer than the token lived */
    call = start("/");
    rig_done(rig.inbox, call);
    if (strcmp(rig_reason(call), "refresh_failed") != 0) {
      break;
    }
    rest(freddy_call_error(call)->retry_after);
    freddy_call_free(call);
  } while (1);
  if (refused) {
    CHECK_INT(freddy_call_error(call)->uncertain, 1);
    fails(call, "auth", "session_expired");
  } else {
    finish(call, 200);
  }
  CHECK_INT(atomic_load(&refreshes), 3);
  CHECK_INT(atomic_load(&rejected), 0);
  end();
}

static void masked(void) {
  char *text = NULL;

  begin(&refresh_only);
  finish(start("/"), 200);
  CHECK_INT(freddy_client_redact(rig.client, "a refresh-1 b access-1 c", 24,
                                 &text, NULL),
            FREDDY_OK);
  CHECK_TEXT(text, "a *** b *** c");
  freddy_free(text);
  end();
}

static void refused_options(void) {
  static const struct {
    freddy_options opts;
    const char *word;
  } rows[] = {
      {{.refresh_token = ""}, "refresh_token"},
      {{.refresh_token = "a b"}, "refresh_token"},
      {{.exchange = 1}, "exchange"},
      {{.api_key = "k", .refresh_token = "r"}, "one credential"},
      {{.refresh_token = "r", .refresh_path = "x"}, "auth_paths.refresh"},
      {{.refresh_token = "r", .token_path = "/a\n"}, "auth_paths.token"},
      {{.refresh_token = "r", .expires_in = -1}, "expires_in"},
  };

  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    freddy_client *client = NULL;
    freddy_error err = {.code = FREDDY_OK};

    UNIT_CASE("%s", rows[i].word);
    CHECK_INT(freddy_client_new(&rows[i].opts, &client, &err), FREDDY_EMISUSE);
    CHECK(strstr(err.message, rows[i].word) != NULL);
    CHECK(client == NULL);
  }
  UNIT_CASE("%s", "");
}

int main(void) {
  one_refresh_for_all();
  one_refresh_after_401();
  not_for_a_key();
  once_only();
  refused_for_all();
  fails_for_now(500, NULL, 2);
  fails_for_now(404, NULL, 1);
  fails_for_now(302, NULL, 1);
  fails_for_now(200, "<html>", 1);
  fails_for_now(200, "{\"token\":\"\"}", 1);
  exchange();
  first_one_cancelled();
  deadline_of_its_own();
  forgotten_meanwhile();
  closed_meanwhile();
  engine_ends_meanwhile(0);
  engine_ends_meanwhile(1);
  lost_while_alive(0);
  lost_while_alive(1);
  masked();
  refused_options();
  return unit_end();
}
