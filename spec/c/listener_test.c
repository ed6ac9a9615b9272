/* SPDX-License-Identifier: MIT */
/* Who listens to a session: told of its tokens, asked for them. */
#include <sys/wait.h>

#include "engine_util.h"
#include "quiet.h"

static pid_t main_process;

/* A forked child forgets on purpose: leaks are looked for in the parent. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void) {
  return getpid() != main_process;
}

const char *__tsan_default_options(void);
const char *__tsan_default_options(void) {
  return "die_after_fork=0";
}

static atomic_int serial, refreshes;
static atomic_int gated; /* 1: a refresh is answered when a byte comes */
static int gate[2];

static int serve(struct loopback *server, int fd,
                 const struct loop_request *req, int nth) {
  char text[256], byte;
  int n;

  (void)server;
  (void)nth;
  if (strcmp(req->path, "/v1/auth/refresh") != 0) {
    return loop_answer(fd, 200, "", "right") == 0;
  }
  atomic_fetch_add(&refreshes, 1);
  if (atomic_load(&gated) && read(gate[0], &byte, 1) < 0) {
    return 0;
  }
  n = atomic_fetch_add(&serial, 1) + 1;
  snprintf(text, sizeof(text),
           "{\"access_token\":\"access-%d\",\"refresh_token\":"
           "\"refresh-%d\",\"expires_in\":3600}",
           n, n);
  return loop_answer(fd, 200, "Content-Type: application/json\r\n", text) == 0;
}

static struct rig rig;
static int users[3]; /* whose events they are */

static void begin(const freddy_options *opts) {
  atomic_store(&serial, 0);
  atomic_store(&refreshes, 0);
  rig_open(&rig, serve);
  freddy_client_free(rig.client);
  rig.client = rig_client(rig.server->port, opts);
}

static const freddy_options session = {.refresh_token = "refresh-0"};
static const freddy_options provider = {.provider = 1, .timeout = {.auth = 5}};

static freddy_call *listen_to(freddy_client *client, int tokens, int provides,
                              int *user) {
  freddy_listener how = {.tokens = tokens, .provides = provides, .user = user};
  freddy_call *call = NULL;

  CHECK_INT(freddy_listen(client, rig.inbox, &how, &call, NULL), FREDDY_OK);
  return call;
}

static freddy_call *start(void) {
  freddy_request req = {.path = "/"};

  return rig_start(&rig, &req);
}

static void finish(freddy_call *call, const char *kind, const char *reason) {
  if (!freddy_call_done(call)) {
    rig_done(rig.inbox, call);
  }
  CHECK_TEXT(rig_kind(call), kind);
  CHECK_TEXT(rig_reason(call), reason);
  freddy_call_free(call);
}

static void expect(freddy_event *event, freddy_event_type type, int *user) {
  CHECK(rig_event(rig.inbox, event));
  CHECK_INT(event->type, type);
  CHECK(event->user == user);
}

static void told(void) {
  freddy_event event;
  freddy_call *listener, *call;

  begin(&session);
  listener = listen_to(rig.client, 1, 0, &users[0]);
  call = start();
  expect(&event, FREDDY_NEW_TOKENS, &users[0]);
  CHECK_TEXT(event.tokens->access_token, "access-1");
  CHECK_TEXT(event.tokens->refresh_token, "refresh-1");
  CHECK_TEXT(event.tokens->cause, "refresh");
  CHECK(event.tokens->expires_in > 3500 && event.tokens->expires_in <= 3600);
  CHECK(!freddy_call_done(call));
  CHECK_INT(freddy_inbox_wait(rig.inbox, 0.02), 0); /* it waits for us */
  CHECK_INT(freddy_call_answer_token(listener, event.question + 9, NULL, NULL),
            FREDDY_OK); /* of no question */
  CHECK_INT(freddy_inbox_wait(rig.inbox, 0.02), 0);
  CHECK_INT(freddy_call_answer_token(listener, event.question, NULL, NULL),
            FREDDY_OK);
  finish(call, "ok", "");
  freddy_call_free(listener);
  rig_close(&rig);
}

/* All who share the session are told, and all have to answer; who leaves is
 * waited for no longer. */
static void told_all(void) {
  freddy_event one, other;
  freddy_client *second;
  freddy_call *first, *leaver, *call;

  begin(&session);
  second = rig_client(rig.server->port, &session);
  leaver = listen_to(second, 1, 0, &users[1]);
  first = listen_to(rig.client, 1, 0, &users[0]);
  call = start();
  expect(&one, FREDDY_NEW_TOKENS, &users[0]);
  expect(&other, FREDDY_NEW_TOKENS, &users[1]);
  freddy_call_answer_token(first, one.question, NULL, NULL);
  CHECK_INT(freddy_inbox_wait(rig.inbox, 0.02), 0);
  freddy_call_free(leaver);
  finish(call, "ok", "");
  freddy_client_free(second);
  freddy_call_free(first);
  rig_close(&rig);
}

static void told_of_logout(void) {
  freddy_event event;
  freddy_client *second;
  freddy_call *one, *other;

  begin(&session);
  second = rig_client(rig.server->port, &session);
  one = listen_to(rig.client, 1, 0, &users[0]);
  other = listen_to(second, 1, 0, &users[1]);
  freddy_client_forget(rig.client);
  for (int i = 0; i < 2; i++) {
    CHECK(rig_event(rig.inbox, &event));
    CHECK_INT(event.type, FREDDY_NEW_TOKENS);
    CHECK(event.tokens == NULL);
  }
  freddy_client_free(second);
  freddy_call_free(one);
  freddy_call_free(other);
  rig_close(&rig);
}

static void ends_with_its_client(void) {
  freddy_event event;
  freddy_call *one, *other;
  freddy_listener how = {.tokens = 1};
  freddy_call *none = NULL;

  begin(&session);
  one = listen_to(rig.client, 1, 0, &users[0]);
  other = listen_to(rig.client, 1, 0, &users[1]);
  freddy_call_cancel(other);
  freddy_call_cancel(other);
  expect(&event, FREDDY_DONE, &users[1]);
  CHECK_TEXT(rig_kind(other), "cancelled");
  freddy_client_close(rig.client);
  expect(&event, FREDDY_DONE, &users[0]);
  CHECK_TEXT(rig_kind(one), "closed");
  CHECK_INT(freddy_listen(rig.client, rig.inbox, &how, &none, NULL),
            FREDDY_ECLOSED);
  freddy_call_free(one);
  freddy_call_free(other);
  rig_close(&rig);
}

/* --- Providers ---------------------------------------------------------- */

static void provides(void) {
  freddy_tokens tokens = {.access_token = "given-1", .expires_in = 3600};
  freddy_session_status now;
  freddy_event event;
  freddy_call *listener, *first, *second;

  begin(&provider);
  listener = listen_to(rig.client, 1, 1, &users[0]);
  first = start();
  second = start();
  expect(&event, FREDDY_NEED_TOKEN, &users[0]);
  CHECK_TEXT(event.why, "first");
  CHECK_INT(freddy_call_answer_token(listener, event.question, &tokens, NULL),
            FREDDY_OK);
  CHECK_INT(freddy_call_answer_token(listener, event.question, &tokens, NULL),
            FREDDY_OK); /* once is enough */
  expect(&event, FREDDY_NEW_TOKENS, &users[0]);
  CHECK_TEXT(event.tokens->access_token, "given-1");
  CHECK(event.tokens->refresh_token == NULL);
  CHECK_TEXT(event.tokens->cause, "provider");
  freddy_call_answer_token(listener, event.question, NULL, NULL);
  finish(first, "ok", "");
  finish(second, "ok", "");
  freddy_client_status(rig.client, &now);
  CHECK_INT(now.kind, FREDDY_PROVIDER);
  CHECK_TEXT(now.state, "fresh");
  freddy_call_free(listener);
  rig_close(&rig);
}

static void provides_badly(const freddy_tokens *tokens, const char *failure,
                           const char *word) {
  freddy_event event;
  freddy_call *listener, *call;

  UNIT_CASE("%s", word);
  begin(&provider);
  listener = listen_to(rig.client, 0, 1, &users[0]);
  call = start();
  expect(&event, FREDDY_NEED_TOKEN, &users[0]);
  CHECK_INT(
      freddy_call_answer_token(listener, event.question, tokens, failure),
      FREDDY_OK);
  rig_done(rig.inbox, call);
  CHECK(strstr(freddy_call_error(call)->message, word) != NULL);
  CHECK(freddy_call_error(call)->retry_after > 0);
  finish(call, "auth", "provider_failed");
  freddy_call_free(listener);
  rig_close(&rig);
  UNIT_CASE("%s", "");
}

static void nobody_provides(void) {
  freddy_call *listener;

  begin(&provider);
  finish(start(), "auth", "provider_failed");
  rig_close(&rig);

  begin(&provider); /* one who only hears */
  listener = listen_to(rig.client, 1, 0, &users[0]);
  finish(start(), "auth", "provider_failed");
  freddy_call_free(listener);
  rig_close(&rig);
}

/* Who is asked and leaves is not waited for. */
static void leaves_asked(void) {
  freddy_event event;
  freddy_call *listener, *call;

  begin(&provider);
  listener = listen_to(rig.client, 0, 1, &users[0]);
  call = start();
  expect(&event, FREDDY_NEED_TOKEN, &users[0]);
  freddy_call_free(listener);
  rig_done(rig.inbox, call);
  CHECK(strstr(freddy_call_error(call)->message, "went away") != NULL);
  finish(call, "auth", "provider_failed");
  rig_close(&rig);
}

static void too_late(void) {
  static const freddy_options hasty = {.provider = 1,
                                       .timeout = {.auth = 0.02}};
  freddy_tokens tokens = {.access_token = "given-1", .expires_in = 3600};
  freddy_event event;
  freddy_call *listener, *call;

  begin(&hasty);
  listener = listen_to(rig.client, 0, 1, &users[0]);
  call = start();
  expect(&event, FREDDY_NEED_TOKEN, &users[0]);
  finish(call, "auth", "provider_failed");
  CHECK_INT(freddy_call_answer_token(listener, event.question, &tokens, NULL),
            FREDDY_OK); /* dropped */
  finish(start(), "auth", "provider_failed");
  freddy_call_free(listener);
  rig_close(&rig);
}

static void refused_options(void) {
  const freddy_options rows[] = {
      {.provider = 1, .api_key = "k"},
      {.provider = 1, .token = "t"},
      {.provider = 1, .refresh_token = "r"},
  };

  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    freddy_client *client = NULL;

    CHECK_INT(freddy_client_new(&rows[i], &client, NULL), FREDDY_EMISUSE);
  }
}

/* --- Forks and exits ---------------------------------------------------- */

static int child_of(void (*work)(void)) {
  int how = 0;
  pid_t child;

  fflush(stdout);
  quiet_wait();
  child = fork();
  if (child == 0) {
    unit_failed = 0;
    work();
    fflush(stdout);
    _exit(unit_failed != 0);
  }
  waitpid(child, &how, 0);
  return WIFEXITED(how) ? WEXITSTATUS(how) : 99;
}

static freddy_call *kept;

/* What was made before the fork, and not used, is the child's as well. */
static void hear_in_child(void) {
  freddy_event event;
  freddy_call *call = start();

  expect(&event, FREDDY_NEW_TOKENS, &users[0]);
  freddy_call_answer_token(kept, event.question, NULL, NULL);
  finish(call, "ok", "");
}

static void nothing_in_child(void) {
  freddy_listener how = {.tokens = 1};
  freddy_call *none = NULL;

  CHECK_INT(freddy_listen(rig.client, rig.inbox, &how, &none, NULL),
            FREDDY_EFORKED);
  CHECK_INT(freddy_call_answer_token(kept, 1, NULL, NULL), FREDDY_EFORKED);
  freddy_call_free(kept);
  freddy_client_free(rig.client);
}

static void across_forks(void) {
  begin(&session);
  kept = listen_to(rig.client, 1, 0, &users[0]);
  CHECK_INT(child_of(hear_in_child), 0);
  hear_in_child();
  CHECK_INT(child_of(nothing_in_child), 0);
  freddy_call_free(kept);
  rig_close(&rig);
}

static atomic_int is_there;

static void *hear_forever(void *context) {
  freddy_event event;

  for (;;) {
    if (!rig_event(rig.inbox, &event)) {
      continue;
    }
    atomic_store(&is_there, 1);
    if (event.type == FREDDY_NEW_TOKENS) {
      CHECK(write(*(int *)context, event.tokens->refresh_token,
                  strlen(event.tokens->refresh_token)) > 0);
      freddy_call_answer_token(kept, event.question, NULL, NULL);
    }
  }
  return NULL;
}

static int ends[2];

/* Runs before freddy's own. */
static void open_gate(void) {
  CHECK_INT(write(gate[1], "", 1), 1);
}

static int is_refreshing(void) {
  freddy_session_status now;

  freddy_client_status(rig.client, &now);
  return now.refreshing;
}

/* exit() while the refresh is in flight: a thread is there to hear of it. */
static void exit_in_child(void) {
  freddy_renewal how = {.settle = 0};
  freddy_call *call = NULL, *timer = NULL;
  pthread_t thread;

  atexit(open_gate);
  pthread_create(&thread, NULL, hear_forever, &ends[1]);
  CHECK_INT(freddy_start_timer(rig.inbox, 0, NULL, &timer, NULL), FREDDY_OK);
  EVENTUALLY(atomic_load(&is_there));
  freddy_call_free(timer);
  CHECK_INT(freddy_start_renewal(rig.client, rig.inbox, &how, &call, NULL),
            FREDDY_OK);
  EVENTUALLY(is_refreshing());
  exit(0);
}

static void exit_waits(void) {
  char text[64] = "";

  CHECK_INT(pipe(ends), 0);
  CHECK_INT(pipe(gate), 0);
  atomic_store(&gated, 1);
  begin(&session);
  kept = listen_to(rig.client, 1, 0, &users[0]);
  CHECK_INT(child_of(exit_in_child), 0);
  close(ends[1]);
  CHECK(read(ends[0], text, sizeof(text) - 1) > 0);
  CHECK_TEXT(text, "refresh-1");
  freddy_call_free(kept);
  rig_close(&rig);
  close(ends[0]);
  close(gate[0]);
  close(gate[1]);
}

int main(void) {
  const freddy_tokens empty = {.access_token = ""};
  const freddy_tokens blank = {.access_token = "a b"};
  const freddy_tokens none = {.refresh_token = "r"};
  const freddy_tokens dead = {.access_token = "a", .expires_in = -1};
  const freddy_tokens refresh = {.access_token = "a", .refresh_token = " "};

  main_process = getpid();
  told();
  told_all();
  told_of_logout();
  ends_with_its_client();
  provides();
  provides_badly(NULL, "the key ring is locked", "the key ring is locked");
  provides_badly(NULL, NULL, "gave no token");
  provides_badly(&empty, NULL, "is no token");
  provides_badly(&blank, NULL, "is no token");
  provides_badly(&none, NULL, "is no token");
  provides_badly(&refresh, NULL, "is no token");
  provides_badly(&dead, NULL, "has run out");
  nobody_provides();
  leaves_asked();
  too_late();
  refused_options();
  across_forks();
  exit_waits();
  return unit_end();
}
