/* SPDX-License-Identifier: MIT */
/* A plan that a store shares: who is asked for permits, and what becomes of
 * the requests that wait for them. */
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

static atomic_int served;

static int serve(struct loopback *server, int fd,
                 const struct loop_request *req, int nth) {
  (void)server;
  (void)req;
  (void)nth;
  atomic_fetch_add(&served, 1);
  return loop_answer(fd, 200, "", "right") == 0;
}

static struct rig rig;
static int users[3]; /* whose events they are */

static const freddy_options shared = {
    .api_key = "key",
    .plan_store = "the store",
    .rate_limit = {
        .mode = FREDDY_RATE_PLAN, .per_minute = 6, .burst = 8, .per_day = 90}};

static void begin(void) {
  atomic_store(&served, 0);
  rig_open(&rig, serve);
  freddy_client_free(rig.client);
  rig.client = rig_client(rig.server->port, &shared);
}

static freddy_call *listen_to(freddy_client *client, int *user) {
  freddy_listener how = {.permits = 1, .user = user};
  freddy_call *call = NULL;

  CHECK_INT(freddy_listen(client, rig.inbox, &how, &call, NULL), FREDDY_OK);
  return call;
}

static freddy_call *start(freddy_client *client) {
  freddy_request req = {.path = "/"};
  freddy_call *call = NULL;

  CHECK_INT(freddy_start(client, rig.inbox, &req, &call, NULL), FREDDY_OK);
  return call;
}

static void finish(freddy_call *call, const char *kind, const char *reason) {
  if (!freddy_call_done(call)) {
    rig_done(rig.inbox, call);
  }
  CHECK_TEXT(rig_kind(call), kind);
  CHECK_TEXT(rig_reason(call), reason);
  freddy_call_free(call);
}

/* The next question; how many permits are wanted. */
static uint32_t asked(int *user, uint32_t *question) {
  freddy_event event;

  CHECK(rig_event(rig.inbox, &event));
  CHECK_INT(event.type, FREDDY_NEED_PERMITS);
  CHECK(event.user == user);
  *question = event.question;
  CHECK_INT(event.permits->per_minute, 6);
  CHECK_INT(event.permits->burst, 8);
  CHECK_INT(event.permits->per_day, 90);
  return event.permits->count;
}

static void give(freddy_call *listener, uint32_t question, uint32_t granted,
                 double wait) {
  freddy_permits permits = {.granted = granted, .wait = wait, .today = 11};

  CHECK_INT(freddy_call_answer_permits(listener, question, &permits),
            FREDDY_OK);
}

/* A request of the first client, so that its limiter is known. */
static void finish_first(freddy_call *listener) {
  freddy_call *call = start(rig.client);
  uint32_t question;

  asked(&users[0], &question);
  give(listener, question, 1, 0);
  finish(call, "ok", "");
}

static void waits_for_permits(void) {
  freddy_call *listener, *first, *second;
  freddy_rate rate;
  uint32_t question, wanted;

  begin();
  listener = listen_to(rig.client, &users[0]);
  first = start(rig.client);
  wanted = asked(&users[0], &question);
  CHECK_INT(wanted, 1);
  freddy_client_rate(rig.client, &rate);
  CHECK_INT(rate.shared, FREDDY_RATE_SHARED);
  CHECK_INT(rate.waiting, 1);
  CHECK_INT(atomic_load(&served), 0);
  give(listener, question + 9, 5, 0); /* nobody asked that */
  give(listener, question, 1, 0);
  give(listener, question, 5, 0); /* once is enough */
  finish(first, "ok", "");
  second = start(rig.client);
  CHECK_INT(asked(&users[0], &question), 1);
  give(listener, question, 0, 0.01); /* it is asked again */
  CHECK_INT(asked(&users[0], &question), 1);
  freddy_client_rate(rig.client, &rate);
  CHECK_INT(rate.today, 11);
  give(listener, question, 1, 0.01); /* not at once */
  finish(second, "ok", "");
  CHECK_INT(atomic_load(&served), 2);
  freddy_call_free(listener);
  rig_close(&rig);
}

static void is_held_back(void) {
  freddy_call *listener, *call;
  uint32_t question;

  begin();
  listener = listen_to(rig.client, &users[0]);
  call = start(rig.client);
  asked(&users[0], &question);
  give(listener, question, 0, 3600);
  finish(call, "rate_limited", "held_back");
  finish(start(rig.client), "rate_limited", "held_back"); /* nobody is asked */
  CHECK_INT(atomic_load(&served), 0);
  freddy_call_free(listener);
  rig_close(&rig);
}

static void goes_on_alone(void) {
  freddy_call *listener, *first, *second;
  freddy_rate rate;
  uint32_t question;

  begin();
  finish(start(rig.client), "ok", ""); /* nobody is there to be asked */
  freddy_client_rate(rig.client, &rate);
  CHECK_INT(rate.shared, FREDDY_RATE_ALONE);
  rig_close(&rig);
  begin();
  listener = listen_to(rig.client, &users[0]);
  first = start(rig.client);
  asked(&users[0], &question);
  CHECK_INT(freddy_call_answer_permits(listener, question, NULL), FREDDY_OK);
  finish(first, "ok", "");
  second = start(rig.client); /* a bucket of two */
  finish(second, "ok", "");
  freddy_client_rate(rig.client, &rate);
  CHECK_INT(rate.shared, FREDDY_RATE_ALONE);
  CHECK_INT(rate.room, 0);
  CHECK_INT(rate.today, 2);
  freddy_call_free(listener);
  rig_close(&rig);
}

/* Two clients by one limiter: whoever is there answers. */
static void asks_another(void) {
  freddy_client *second;
  freddy_call *one, *other, *first, *last;
  freddy_rate rate;
  uint32_t question;

  begin();
  second = rig_client(rig.server->port, &shared);
  one = listen_to(rig.client, &users[0]);
  other = listen_to(second, &users[1]);
  first = start(rig.client);
  asked(&users[0], &question);
  last = start(second);
  EVENTUALLY((freddy_client_rate(second, &rate), rate.waiting == 2));
  freddy_call_free(one); /* with the question open */
  CHECK_INT(asked(&users[1], &question), 2);
  freddy_client_close(rig.client);
  finish(first, "closed", "");
  give(other, question, 2, 0);
  finish(last, "ok", "");
  CHECK_INT(atomic_load(&served), 1);
  freddy_call_free(other);
  freddy_client_free(second);
  rig_close(&rig);
}

/* One that follows another, or is cancelled, at any moment. */
static void forgets(void) {
  freddy_call *listener, *call;
  uint32_t question;

  begin();
  listener = listen_to(rig.client, &users[0]);
  call = start(rig.client);
  asked(&users[0], &question);
  freddy_call_cancel(call);
  finish(call, "cancelled", "");
  give(listener, question, 1, -0.5); /* good for half a second more, at most */
  freddy_call_free(listener);
  finish(start(rig.client), "ok", ""); /* with that one, or alone */
  rig_close(&rig);
}

/* Another host, with a client that shares the limit. */
struct other_host {
  freddy_client *client;
  freddy_inbox *inbox;
  freddy_call *listener;
};

static freddy_call *begin_two(struct other_host *other) {
  freddy_listener how = {.permits = 1, .user = &users[1]};
  freddy_call *listener;

  begin();
  other->client = rig_client(rig.server->port, &shared);
  listener = listen_to(rig.client, &users[0]);
  finish_first(listener);
  CHECK_INT(freddy_inbox_new(&other->inbox, NULL), FREDDY_OK);
  CHECK_INT(
      freddy_listen(other->client, other->inbox, &how, &other->listener, NULL),
      FREDDY_OK);
  return listener;
}

/* Its call has to be answered by the first host. */
static void end_two(struct other_host *other, freddy_call *listener,
                    freddy_call *call) {
  uint32_t question;

  asked(&users[0], &question);
  give(listener, question, 1, 0);
  finish(call, "ok", "");
  freddy_call_free(other->listener);
  freddy_call_free(listener);
  freddy_inbox_free(other->inbox);
  freddy_client_free(other->client);
  rig_close(&rig);
}

/* One whose inbox is gone in the middle of a question is no one. */
static void hears_no_more(void) {
  struct other_host other = {0};
  freddy_call *listener = begin_two(&other);
  freddy_call *call = start(other.client);
  freddy_event event;

  CHECK(rig_event(other.inbox, &event));
  CHECK_INT(event.type, FREDDY_NEED_PERMITS);
  freddy_inbox_free(other.inbox);
  other.inbox = NULL;
  end_two(&other, listener, call);
}

/* A host that does not look for two seconds, while another one does. */
static void asks_who_is_there(void) {
  struct other_host other = {0};
  freddy_call *listener = begin_two(&other);

  end_two(&other, listener, start(other.client));
}

static void child_is_asked_itself(void) {
  freddy_call *listener, *call;
  uint32_t question;
  pid_t child;
  int status;

  begin();
  listener = listen_to(rig.client, &users[0]);
  call = start(rig.client);
  asked(&users[0], &question);
  child = fork();
  if (child == 0) {
    freddy_permits permits = {.granted = 1};

    _exit(freddy_call_answer_permits(listener, question, &permits) ==
                  FREDDY_EFORKED
              ? 0
              : 1);
  }
  CHECK(waitpid(child, &status, 0) == child);
  CHECK_INT(status, 0);
  give(listener, question, 1, 0);
  finish(call, "ok", "");
  freddy_call_free(listener);
  rig_close(&rig);
}

int main(void) {
  main_process = getpid();
  waits_for_permits();
  is_held_back();
  goes_on_alone();
  asks_another();
  forgets();
  hears_no_more();
  asks_who_is_there();
  child_is_asked_itself();
  return unit_end();
}
