/* SPDX-License-Identifier: MIT */
/* Texts that are decoded for the host, on another thread than his. */
#include "child.h"
#include "net/engine.h"
#include "net/io_thread.h"

static struct {
  _Atomic pthread_t thread;
  atomic_int begun;
  atomic_int released;
  pthread_mutex_t gate;
} seen = {.gate = PTHREAD_MUTEX_INITIALIZER};

static void *decode(const char *body, size_t size, freddy_error *err) {
  char *copy;

  atomic_store(&seen.thread, pthread_self());
  atomic_fetch_add(&seen.begun, 1);
  pthread_mutex_lock(&seen.gate);
  pthread_mutex_unlock(&seen.gate);
  if (memchr(body, '!', size)) {
    err->code = FREDDY_EPROTOCOL;
    snprintf(err->message, sizeof(err->message), "not that");
    return NULL;
  }
  copy = calloc(1, size + 1);
  memcpy(copy, body, size);
  return copy;
}

static void release(void *document) {
  free(document);
  atomic_fetch_add(&seen.released, 1);
}

static const freddy_decoder decoder = {decode, release, 1 << 20};

static freddy_call *start(struct rig *rig, const char *text) {
  freddy_error err = {.code = FREDDY_OK};
  freddy_call *call = NULL;

  CHECK_INT(freddy_decode(rig->inbox, &decoder, text, strlen(text), &seen,
                          &call, &err),
            FREDDY_OK);
  return call;
}

static void test_document(struct rig *rig) {
  char text[] = "a text";
  freddy_call *call = start(rig, text);
  freddy_event event;

  text[0] = 'x'; /* it was copied */
  CHECK(rig_event(rig->inbox, &event));
  CHECK_INT(event.type, FREDDY_DONE);
  CHECK(event.call == call && event.user == &seen);
  CHECK(freddy_call_error(call) == NULL);
  CHECK_TEXT((const char *)freddy_call_document(call, NULL), "a text");
  CHECK(!pthread_equal(atomic_load(&seen.thread), pthread_self()));
  CHECK(fy_engine_running() == NULL); /* it needs none */
  freddy_call_free(call);
  EVENTUALLY(atomic_load(&seen.released) == 1);
}

static void test_no_document(struct rig *rig) {
  freddy_call *call = start(rig, "no!");
  freddy_error err = {.code = FREDDY_OK};

  rig_done(rig->inbox, call);
  CHECK(freddy_call_error(call) == NULL);
  CHECK(freddy_call_document(call, &err) == NULL);
  CHECK_TEXT(err.message, "not that");
  freddy_call_free(call);
}

static void test_many(struct rig *rig) {
  enum { MANY = 100 };
  int before = atomic_load(&seen.released);
  freddy_call *calls[MANY];
  char text[16];

  for (int i = 0; i < MANY; i++) {
    snprintf(text, sizeof(text), "%d", i);
    calls[i] = start(rig, text);
  }
  for (int i = 0; i < MANY; i++) {
    rig_done(rig->inbox, calls[i]);
    snprintf(text, sizeof(text), "%d", i);
    CHECK_TEXT((const char *)freddy_call_document(calls[i], NULL), text);
    freddy_call_free(calls[i]);
  }
  EVENTUALLY(atomic_load(&seen.released) == before + MANY);
}

/* Wait until the I/O thread decodes, held up at the gate. */
static freddy_call *start_and_hold(struct rig *rig, const char *text) {
  int before = atomic_load(&seen.begun);
  freddy_call *call;

  pthread_mutex_lock(&seen.gate);
  call = start(rig, text);
  EVENTUALLY(atomic_load(&seen.begun) == before + 1);
  return call;
}

/* The document that comes of it is nobody's. */
static void test_ends_within(struct rig *rig) {
  int before = atomic_load(&seen.released);
  freddy_call *call = start_and_hold(rig, "cancelled");

  freddy_call_cancel(call);
  rig_done(rig->inbox, call);
  CHECK_TEXT(rig_kind(call), "cancelled");
  CHECK(freddy_call_document(call, NULL) == NULL);
  freddy_call_free(call);
  CHECK_INT(atomic_load(&seen.released), before);
  pthread_mutex_unlock(&seen.gate);
  EVENTUALLY(atomic_load(&seen.released) == before + 1);

  call = start_and_hold(rig, "freed");
  freddy_call_free(call);
  pthread_mutex_unlock(&seen.gate);
  EVENTUALLY(atomic_load(&seen.released) == before + 2);
}

/* Those behind it have ended before their turn, and are not decoded. */
static void test_ends_before(struct rig *rig) {
  int released = atomic_load(&seen.released);
  freddy_call *first = start_and_hold(rig, "first");
  int begun = atomic_load(&seen.begun);
  freddy_call *cancelled = start(rig, "cancelled");
  freddy_call *last;

  freddy_call_free(start(rig, "freed"));
  freddy_call_cancel(cancelled);
  last = start(rig, "last");
  pthread_mutex_unlock(&seen.gate);
  while (!freddy_call_done(last)) {
    freddy_event event;

    CHECK(rig_event(rig->inbox, &event));
  }
  CHECK_INT(atomic_load(&seen.begun), begun + 1);
  freddy_call_free(first);
  freddy_call_free(cancelled);
  freddy_call_free(last);
  EVENTUALLY(atomic_load(&seen.released) == released + 2);
}

static void test_closed_within(struct rig *rig) {
  int before = atomic_load(&seen.released);
  freddy_call *call = start_and_hold(rig, "of an inbox that closes");

  freddy_inbox_free(rig->inbox);
  pthread_mutex_unlock(&seen.gate);
  freddy_call_free(call);
  EVENTUALLY(atomic_load(&seen.released) == before + 1);
  CHECK_INT(freddy_inbox_new(&rig->inbox, NULL), FREDDY_OK);
}

static int start_one(struct rig *rig, freddy_call **call) {
  return freddy_decode(rig->inbox, &decoder, "one", 3, NULL, call, NULL);
}

/* What its parent has under way is none of a child's. */
static void in_child_of_many(struct rig *rig) {
  freddy_call *call;

  pthread_mutex_unlock(&seen.gate);
  CHECK_INT(freddy_inbox_new(&rig->inbox, NULL), FREDDY_OK);
  CHECK_INT(start_one(rig, &call), FREDDY_OK);
  rig_done(rig->inbox, call);
  CHECK_TEXT((const char *)freddy_call_document(call, NULL), "one");
}

static void test_ceiling(struct rig *rig) {
  static freddy_call *calls[FY_MAX_WAITING];
  freddy_call *one_more;

  calls[0] = start_and_hold(rig, "one");
  for (size_t i = 1; i < FY_MAX_WAITING; i++) {
    CHECK_INT(start_one(rig, &calls[i]), FREDDY_OK);
  }
  CHECK_INT(start_one(rig, &one_more), FREDDY_EQUEUE_FULL);
  CHECK(one_more == NULL);
  CHECK_INT(in_child(in_child_of_many, rig), 0);
  for (size_t i = 0; i < FY_MAX_WAITING; i++) {
    freddy_call_free(calls[i]);
  }
  pthread_mutex_unlock(&seen.gate);
  EVENTUALLY(fy_io_count() == 0);
  CHECK_INT(start_one(rig, &one_more), FREDDY_OK);
  rig_done(rig->inbox, one_more);
  freddy_call_free(one_more);
}

static void test_misuse(struct rig *rig) {
  freddy_error err = {.code = FREDDY_OK};
  freddy_call *call = (freddy_call *)(void *)rig;

  CHECK_INT(freddy_decode(rig->inbox, NULL, "", 0, NULL, &call, &err),
            FREDDY_EMISUSE);
  CHECK(call == NULL);
  CHECK_INT(err.code, FREDDY_EMISUSE);
}

int main(void) {
  struct rig rig = {.server = NULL};

  main_process = getpid();
  CHECK_INT(freddy_inbox_new(&rig.inbox, NULL), FREDDY_OK);
  test_document(&rig);
  test_no_document(&rig);
  test_many(&rig);
  test_ends_within(&rig);
  test_ends_before(&rig);
  test_closed_within(&rig);
  test_ceiling(&rig);
  test_misuse(&rig);
  freddy_inbox_free(rig.inbox);
  freddy_shutdown();
  return unit_end();
}
