/* SPDX-License-Identifier: MIT */
#include "net/call.h"

#include <string.h>

#include "base/error.h"
#include "base/give_back.h"
#include "base/limits.h"
#include "base/mem.h"
#include "net/client.h"
#include "net/credential.h"
#include "net/engine.h"
#include "net/events.h"
#include "net/listener.h"
#include "net/transfer.h"
#include "net/turns.h"

static void post_ref(struct fy_post *post) {
  fy_call_ref((struct freddy_call *)post);
}

static void post_unref(struct fy_post *post) {
  fy_call_unref((struct freddy_call *)post);
}

static const struct fy_post_type call_type = {fy_call_handle, post_ref,
                                              post_unref};

struct freddy_call *fy_call_new(struct freddy_inbox *inbox, void *user) {
  struct freddy_call *call = fy_calloc(1, sizeof(*call));

  if (!call) {
    return NULL;
  }
  call->post.type = &call_type;
  atomic_store(&call->refs, 1);
  call->inbox = fy_inbox_ref(inbox);
  call->user = user;
  call->answer.stats.retry_after = -1;
  call->progress[1] = call->progress[3] = -1; /* not known */
  call->flow.is_wanted = 1;
  fy_headers_init(&call->answer.headers, FY_MAX_HEADERS);
  return call;
}

struct freddy_call *fy_call_ref(struct freddy_call *call) {
  atomic_fetch_add(&call->refs, 1);
  return call;
}

static void free_causes(struct fy_cause *cause) {
  while (cause) {
    struct fy_cause *next = cause->next;

    fy_free(cause);
    cause = next;
  }
}

static void free_ask(struct fy_ask *ask) {
  fy_free(ask->method);
  fy_target_clear(&ask->target);
  fy_free(ask->headers);
  fy_body_clear(&ask->body);
  fy_free(ask->save_to);
  fy_secret_unref(ask->key);
  fy_secret_unref(ask->secret_body);
  for (size_t i = 0; i < FY_MAX_CALL_SECRETS; i++) {
    fy_secret_unref(ask->secrets[i]);
  }
}

/* Those that it carried may have been replaced meanwhile. In a fork, locks may
 * be held for ever. */
static void forget_secrets(struct freddy_call *call) {
  if (!fy_engine_is_foreign(call->generation)) {
    fy_credential_prune(call->session);
    if (call->client) {
      fy_client_prune(call->client);
    }
  }
  fy_credential_unref(call->session);
  if (call->client) {
    fy_client_unref(call->client);
  }
}

static void free_call(struct freddy_call *call) {
  if (call->url != call->ask.target.url) {
    fy_free(call->url);
  }
  free_ask(&call->ask);
  fy_flow_clear(&call->flow);
  free_causes(call->cause_first);
  fy_events_free(call->events);
  fy_shown_free(call->shown);
  fy_free(call->reply);
  fy_secret_unref(call->carried);
  fy_credential_unref(call->renews);
  fy_listener_free(call->listener);
  fy_buf_give_back(&call->answer.headers.text);
  fy_buf_give_back(&call->answer.body);
  if (call->answer.document) {
    call->ask.decoder->release(call->answer.document);
  }
  forget_secrets(call);
  fy_inbox_unref(call->inbox);
  fy_free(call);
}

static void run_free(struct fy_io_job *job) {
  free_call(
      (struct freddy_call *)((char *)job - offsetof(struct freddy_call, job)));
}

void fy_call_unref(struct freddy_call *call) {
  if (!call || atomic_fetch_sub(&call->refs, 1) != 1) {
    return;
  }
  /* A large document takes milliseconds to free: not on this thread. */
  call->job.run = run_free;
  if (!call->answer.document || fy_io_post(&call->job)) {
    free_call(call);
  }
}

int fy_call_is_foreign(const struct freddy_call *call) {
  if (!call->listener) {
    return fy_engine_is_foreign(call->generation);
  }
  return fy_engine_is_foreign(call->client->generation) ||
         fy_engine_is_foreign(call->inbox->generation);
}

int fy_call_end(struct freddy_call *call, const freddy_error *error,
                int published) {
  int first;

  pthread_mutex_lock(&call->inbox->lock);
  first = !call->ended && (!call->committed || published == FY_ALL);
  if (first) {
    call->ended = 1;
    call->question_open = 0;
    if (published > call->published) {
      call->published = published;
    }
    if (error) {
      call->error = *error;
    }
    call->out |= FY_OUT_DONE;
    fy_inbox_list(call->inbox, call);
  }
  fy_inbox_unlock(call->inbox);
  return first;
}

int fy_call_commit(struct freddy_call *call) {
  int committed;

  pthread_mutex_lock(&call->inbox->lock);
  committed = call->committed = !call->ended && !call->stopped;
  pthread_mutex_unlock(&call->inbox->lock);
  return committed;
}

int fy_call_may_stop(struct freddy_call *call) {
  int stopped;

  pthread_mutex_lock(&call->inbox->lock);
  stopped = call->stopped = !call->committed;
  pthread_mutex_unlock(&call->inbox->lock);
  return stopped;
}

/* It is wanted no longer. */
static void unwish(struct freddy_call *call) {
  if (call->listener) {
    fy_listener_leave(call);
  } else if (call->engine) {
    fy_engine_post(call->engine, &call->post, FY_CALL_CANCEL);
  }
}

void fy_call_cancel(struct freddy_call *call) {
  freddy_error error = {.code = FREDDY_OK};

  fy_error_set(&error, FREDDY_ECANCELLED, NULL, "the call was cancelled");
  error.sent = atomic_load(&call->sent);
  if (fy_call_end(call, &error, FY_NOTHING)) {
    unwish(call);
  }
}

void fy_call_abandon(struct freddy_call *call) {
  struct fy_flow flow;
  struct fy_cause *causes;
  int ended;

  pthread_mutex_lock(&call->inbox->lock);
  call->abandoned = 1;
  ended = call->ended;
  call->ended = 1;
  fy_inbox_unlist(call->inbox, call);
  if (call->inbox->lender == call) {
    call->inbox->held = fy_flow_pop(&call->flow);
    call->inbox->lender = NULL;
  }
  fy_flow_move(&call->flow, &flow);
  causes = call->cause_first;
  call->cause_first = call->cause_last = NULL;
  if (!ended) { /* who sleeps there may have nothing left to wait for */
    fy_bell_ring(&call->inbox->bell);
  }
  fy_inbox_unlock(call->inbox);
  fy_flow_clear(&flow);
  free_causes(causes);
  if (!ended) {
    unwish(call);
  }
}

void fy_call_tell(struct freddy_call *call, unsigned what) {
  if (!call->ended) {
    call->out |= what;
    fy_inbox_list(call->inbox, call);
  }
}

void fy_call_forget_answer(struct freddy_call *call) {
  struct fy_answer *answer = &call->answer;
  double waited = answer->stats.waited; /* before all attempts */

  if (call->ask.is_guarded && answer->body.data) {
    /* It may hold secrets, and has room so as not to be moved. */
    fy_wipe(answer->body.data, answer->body.room);
    answer->body.size = 0;
  } else {
    fy_buf_clear(&answer->body);
  }
  fy_headers_clear(&answer->headers);
  answer->body.wipes = 1; /* what came may have been too large for that */
  memset(&answer->stats, 0, sizeof(answer->stats));
  answer->stats.waited = waited;
  answer->stats.retry_after = -1;
  call->streaming = 0;
  if (call->events) {
    fy_events_forget(call->events);
  }
}

int fy_call_tell_retry(struct freddy_call *call,
                       const struct fy_cause *cause) {
  struct fy_cause *told = fy_malloc(sizeof(*told));

  if (!told) {
    return FREDDY_ENOMEM;
  }
  *told = *cause;
  told->next = NULL;
  pthread_mutex_lock(&call->inbox->lock);
  if (!call->ended) {
    if (call->cause_last) {
      call->cause_last->next = told;
    } else {
      call->cause_first = told;
    }
    call->cause_last = told;
    told = NULL;
    fy_call_tell(call, FY_OUT_RETRY);
  }
  fy_inbox_unlock(call->inbox);
  fy_free(told);
  return FREDDY_OK;
}

void fy_call_tell_head(struct freddy_call *call) {
  pthread_mutex_lock(&call->inbox->lock);
  if (!call->ended) {
    call->published = FY_HEAD_ONLY;
  }
  fy_call_tell(call, FY_OUT_HEAD);
  fy_inbox_unlock(call->inbox);
}

static int64_t more(int64_t a, int64_t b) {
  return a > b ? a : b;
}

/* No number steps back: what is repeated was told already. */
void fy_call_tell_progress(struct freddy_call *call, int64_t sent,
                           int64_t send_total, int64_t received,
                           int64_t receive_total) {
  int64_t now[4] = {sent, send_total, received, receive_total};

  pthread_mutex_lock(&call->inbox->lock);
  for (int i = 0; i < 4; i++) {
    now[i] = more(now[i], call->progress[i]);
  }
  for (int i = 1; i < 4; i += 2) {
    now[i] = now[i] < 0 ? -1 : more(now[i], now[i - 1]);
  }
  if (memcmp(call->progress, now, sizeof(now)) != 0) {
    memcpy(call->progress, now, sizeof(now));
    fy_call_tell(call, FY_OUT_PROGRESS);
  }
  fy_inbox_unlock(call->inbox);
}

/* One may have come since it was last looked for. */
static int has_reply(const struct freddy_call *call) {
  return call->reply || call->reply_end || call->reply_failed;
}

void fy_call_ask(struct freddy_call *call, size_t part, size_t wanted) {
  pthread_mutex_lock(&call->inbox->lock);
  if (!call->ended && !call->question_open && !has_reply(call)) {
    call->question++;
    call->question_open = 1;
    call->wanted = wanted;
    call->part = part;
    fy_call_tell(call, FY_OUT_QUESTION);
  }
  fy_inbox_unlock(call->inbox);
}

int fy_call_take_reply(struct freddy_call *call, struct fy_chunk **chunk) {
  int rc = 0;

  *chunk = NULL;
  pthread_mutex_lock(&call->inbox->lock);
  if (call->reply_failed) {
    rc = -1;
  } else if (call->reply) {
    *chunk = call->reply;
    call->reply = NULL;
    rc = 1;
  } else if (call->reply_end) {
    call->reply_end = 0;
    rc = 1;
  }
  fy_inbox_unlock(call->inbox);
  return rc;
}

void fy_call_unask(struct freddy_call *call) {
  struct fy_chunk *reply;

  pthread_mutex_lock(&call->inbox->lock);
  reply = call->reply;
  call->reply = NULL;
  call->reply_failed = call->reply_end = 0;
  call->question_open = 0;
  call->out &= ~(unsigned)FY_OUT_QUESTION;
  if (!call->out) {
    fy_inbox_unlist(call->inbox, call);
  }
  fy_inbox_unlock(call->inbox);
  fy_free(reply);
}

int fy_call_reply(struct freddy_call *call, uint32_t question,
                  const char *data, size_t size) {
  struct fy_chunk *chunk = NULL;
  int taken = 0;
  int rc = FREDDY_OK;

  if (size > FY_MAX_READ) {
    return FREDDY_EMISUSE; /* never is more wanted */
  }
  if (data && size) {
    chunk = fy_chunk_new(data, size, size);
    if (!chunk) {
      return FREDDY_ENOMEM;
    }
  }
  pthread_mutex_lock(&call->inbox->lock);
  if (!call->ended && call->question_open && question == call->question) {
    if (size > call->wanted) {
      rc = FREDDY_EMISUSE;
    } else {
      taken = 1;
      call->question_open = 0;
      call->reply = chunk;
      call->reply_failed = data == NULL;
      call->reply_end = data && size == 0;
    }
  }
  fy_inbox_unlock(call->inbox);
  if (taken) {
    fy_engine_post(call->engine, &call->post, FY_CALL_ANSWER);
  } else {
    fy_free(chunk);
  }
  return rc;
}

static void take_cause(struct freddy_call *call, freddy_event *event) {
  struct fy_cause *cause = call->cause_first;

  call->cause_first = cause->next;
  if (!call->cause_first) {
    call->cause_last = NULL;
    call->out &= ~(unsigned)FY_OUT_RETRY;
  }
  call->inbox->held_cause = cause;
  event->type = FREDDY_RETRY;
  event->attempt = cause->attempt;
  event->delay = cause->delay;
  event->cause = &cause->error;
  event->status = cause->status;
}

void fy_call_next_event(struct freddy_call *call, freddy_event *event,
                        int *resume) {
  memset(event, 0, sizeof(*event));
  event->call = call;
  event->user = call->user;
  if (call->out & FY_OUT_RETRY) {
    take_cause(call, event);
  } else if (call->out & FY_OUT_HEAD) {
    call->out &= ~(unsigned)FY_OUT_HEAD;
    event->type = FREDDY_HEAD;
  } else if (call->out & FY_OUT_DATA) {
    fy_flow_next(call, event, &call->inbox->held, resume);
    call->inbox->lender = call->inbox->held ? NULL : call;
  } else if (call->out & FY_OUT_PROGRESS) {
    call->out &= ~(unsigned)FY_OUT_PROGRESS;
    event->type = FREDDY_PROGRESS;
    event->sent = call->progress[0];
    event->send_total = call->progress[1];
    event->received = call->progress[2];
    event->receive_total = call->progress[3];
  } else if (call->out & FY_OUT_QUESTION && !call->ended) {
    call->out &= ~(unsigned)FY_OUT_QUESTION;
    event->type = FREDDY_NEED_BODY;
    event->question = call->question;
    event->wanted = call->wanted;
    event->part = call->part;
  } else if (call->listener && !call->ended &&
             call->out & (FY_OUT_TOKEN | FY_OUT_NEED_TOKEN | FY_OUT_NOT_KEPT |
                          FY_OUT_NEED_PERMITS)) {
    fy_listener_next_event(call, event);
  } else if (call->out & FY_OUT_READY) {
    call->out &= ~(unsigned)FY_OUT_READY;
    event->type = FREDDY_READY;
  } else {
    call->out = 0;
    event->type = FREDDY_DONE;
    atomic_store(&call->done_taken, 1);
  }
}
