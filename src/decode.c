/* SPDX-License-Identifier: MIT */
/* The public entry point: texts that are decoded for the host elsewhere. */
#include <stddef.h>

#include "base/error.h"
#include "net/call.h"
#include "net/engine.h"
#include "net/io_thread.h"

static int has_ended(struct freddy_call *call) {
  int ended;

  pthread_mutex_lock(&call->inbox->lock);
  ended = call->ended;
  pthread_mutex_unlock(&call->inbox->lock);
  return ended;
}

static void run(struct fy_io_job *job) {
  struct freddy_call *call =
      (struct freddy_call *)((char *)job - offsetof(struct freddy_call, job));
  struct fy_answer *answer = &call->answer;

  if (!has_ended(call)) {
    answer->document = call->ask.decoder->decode(
        answer->body.data, answer->body.size, &answer->document_error);
  }
  fy_buf_clear(&answer->body);
  fy_call_end(call, NULL, FY_ALL);
  fy_call_unref(call);
}

static int check(const freddy_inbox *inbox, const freddy_decoder *decoder,
                 freddy_error *err) {
  if (!decoder) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL, "a decoder is needed");
  }
  if (fy_engine_is_foreign(inbox->generation)) {
    return fy_error_set(err, FREDDY_EFORKED, NULL,
                        "the inbox belongs to another process");
  }
  if (fy_io_count() >= FY_MAX_WAITING) {
    return fy_error_set(err, FREDDY_EQUEUE_FULL, NULL,
                        "%d texts wait to be decoded already", FY_MAX_WAITING);
  }
  return fy_engine_prepare(err);
}

/* It needs no engine: its `engine` stays NULL. */
static struct freddy_call *new_call(freddy_inbox *inbox,
                                    const freddy_decoder *decoder,
                                    const char *text, size_t size,
                                    void *user) {
  struct freddy_call *call = fy_call_new(inbox, user);

  if (!call) {
    return NULL;
  }
  call->generation = fy_engine_generation();
  call->ask.decoder = decoder;
  fy_buf_init(&call->answer.body, size);
  if (fy_buf_add(&call->answer.body, text, size) != FREDDY_OK) {
    fy_call_unref(call);
    return NULL;
  }
  return call;
}

int freddy_decode(freddy_inbox *inbox, const freddy_decoder *decoder,
                  const char *text, size_t size, void *user, freddy_call **out,
                  freddy_error *err) {
  int rc = check(inbox, decoder, err);

  *out = NULL;
  if (rc != FREDDY_OK) {
    return rc;
  }
  *out = new_call(inbox, decoder, text, size, user);
  if (!*out) {
    return fy_error_nomem(err);
  }
  atomic_store(&inbox->generation, fy_engine_generation());
  fy_call_ref(*out);
  (*out)->job.run = run;
  if (fy_io_post(&(*out)->job)) {
    run(&(*out)->job);
  }
  return FREDDY_OK;
}
