/* SPDX-License-Identifier: MIT */
/* One call, from freddy_start to FREDDY_DONE: what is to be sent, what the
 * engine does with it, and what it has to tell (its outbox, under the inbox's
 * lock). */
#ifndef FY_NET_CALL_H
#define FY_NET_CALL_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/secret.h"
#include "freddy.h"
#include "net/admission.h"
#include "net/body.h"
#include "net/flow.h"
#include "net/inbox.h"
#include "net/io_thread.h"
#include "net/post.h"
#include "net/target.h"
#include "net/timers.h"
#include "rules/header.h"

struct fy_credential;
struct fy_events;
struct fy_listener;
struct fy_save;
struct fy_shown;
struct fy_transfer;

/* Why an attempt was not the last one, as the host hears of it: what was told
 * waits in its call's outbox. */
struct fy_cause {
  struct fy_cause *next;
  int attempt;
  double delay;
  freddy_error error; /* FREDDY_OK: the answer's status */
  int status;
};

/* What is needed to send it; copied at the start. From then on it is the
 * engine's, and only a redirect that is followed changes it (net/hop.h). */
struct fy_ask {
  char *method;
  struct fy_target target;
  char *headers; /* "Name: value\0" lines, then "\0" */
  size_t header_count;
  struct fy_body body;
  int send_credential;
  int other_origin;      /* 1: another server than the client's */
  int shows_cert;        /* 1: an origin that the certificate is for */
  struct fy_secret *key; /* instead of the client's; whole header line */
  struct fy_secret *secret_body;                  /* instead of `body` */
  struct fy_secret *secrets[FY_MAX_CALL_SECRETS]; /* parts of it */
  int is_guarded; /* 1: the answer is wiped as well */
  int renewal;    /* FY_RENEW_*: nothing is sent; it waits for the session */
  int sends_refresh; /* 1: `secret_body` is made when it is sent */
  int stays;         /* 1: a redirect is an answer like any other */
  fy_time connect, first_byte, stall, event, total;
  size_t max_body;
  char *save_to;     /* absolute; NULL: to memory */
  uint64_t pass_max; /* of what is saved or streamed */
  size_t buffer;
  int stream; /* events, too */
  int http1;
  int progress;
  int retries; /* repeats at most */
  int idempotent;
  int tells_retries;
  const freddy_decoder *decoder;
};

/* A token is fetched, whatever the old one's age; or only what is under way is
 * waited for; or that the store has forgotten it all. */
enum { FY_RENEW_NOW = 1, FY_RENEW_SETTLE, FY_RENEW_FORGET };

struct fy_answer {
  struct fy_headers headers;
  struct fy_buf body;
  freddy_stats stats;
  void *document;
  freddy_error document_error;
};

/* How much of the answer the host may look at. */
enum { FY_NOTHING, FY_HEAD_ONLY, FY_ALL };

/* What waits in a call's outbox, in this order. */
enum {
  FY_OUT_HEAD = 1,
  FY_OUT_DATA = 2,
  FY_OUT_PROGRESS = 4,
  FY_OUT_QUESTION = 8,
  FY_OUT_DONE = 16,
  FY_OUT_TOKEN = 32, /* these two before DONE */
  FY_OUT_NEED_TOKEN = 64,
  FY_OUT_READY = 128, /* before DONE, too */
  FY_OUT_RETRY = 256, /* before all others */
  FY_OUT_NOT_KEPT = 512,
  FY_OUT_NEED_PERMITS = 1024 /* with the others of a listener */
};

struct freddy_call {
  struct fy_post post;
  atomic_int refs;
  uint64_t generation;
  freddy_client *client; /* NULL: a timer, or a text to decode */
  struct freddy_inbox *inbox;
  void *user;
  struct fy_ask ask;
  char *url; /* as asked: ask.target's own, until a redirect is followed */

  /* the engine's */
  struct fy_engine *engine;
  struct fy_transfer *transfer;
  struct freddy_call *prev, *next_in_flight;
  struct fy_timer total;
  int in_flight;
  fy_time started;
  struct fy_secret *carried;     /* the credential of the last attempt */
  struct fy_credential *session; /* of which `carried` is, or NULL */
  uint64_t token_generation;     /* which of its tokens */
  int replayed;                  /* 1: after a 401; not once more */
  struct fy_place place;         /* where it waits before it is sent */
  int waits;                     /* 1: for the session; stands in its list */
  struct freddy_call *prev_waiting, *next_waiting;
  struct fy_listener *listener; /* NULL: it is none */
  struct fy_credential *renews; /* whose own request this is, or NULL */
  uint64_t ticket;
  int means;
  int streaming;            /* 1: a 2xx of a streamed call */
  int hops;                 /* redirects followed */
  int led;                  /* 1: the next attempt follows one */
  struct fy_save *save;     /* a 2xx that is saved; NULL: none */
  struct fy_events *events; /* NULL: none are asked for */
  struct fy_answer answer;  /* the host's once published */
  struct fy_shown *shown;   /* the head in its stead; NULL: none */
  struct fy_io_job job;
  freddy_error failure; /* while the I/O thread finishes the answer */
  struct fy_io_job measure;
  freddy_error unmeasured; /* why the body's size could not be found out */
  int reader_asked;        /* 1: the body cannot be sent again */
  struct fy_timer repeat;  /* the wait before it is sent again */
  int repeats;             /* how often it was, after such a wait */
  int unasked;             /* of these, after a 429 without Retry-After */
  int freed;               /* 1: once without one */
  int repeats_next;        /* 1: its next attempt is to be a repeat */
  struct fy_cause last;    /* of its last repeat; attempt 0: there was none */

  atomic_int attempts;
  atomic_int sent;

  /* the outbox, under inbox->lock */
  struct freddy_call *next_listed;
  int listed;
  unsigned out;
  atomic_int published;
  int ended;
  int abandoned;
  int committed; /* its file gets its name: nothing else ends it now */
  int stopped;   /* it ends otherwise: its file gets none */
  freddy_error error;
  struct fy_flow flow; /* of a streamed one */
  struct fy_cause *cause_first, *cause_last;
  int64_t progress[4];
  uint32_t question; /* the id of the last one asked */
  int question_open;
  size_t wanted;
  size_t part;
  struct fy_chunk *reply; /* what a reader answered; NULL data: see below */
  int reply_failed;
  int reply_end;

  atomic_int done_taken;
};

/* What can be wished of a call. */
enum {
  FY_CALL_START = 1,
  FY_CALL_CANCEL = 2,
  FY_CALL_RESUME = 4,
  FY_CALL_ANSWER = 8, /* the next piece of the body is there */
  FY_CALL_MEASURED = 16,
  FY_CALL_SAVED = 32
};

struct freddy_call *fy_call_new(struct freddy_inbox *inbox, void *user);
struct freddy_call *fy_call_ref(struct freddy_call *call);
void fy_call_unref(struct freddy_call *call);

/* 1 when it belongs to a process of which this one is a fork. */
int fy_call_is_foreign(const struct freddy_call *call);

/* End the call: publish the answer up to `published` and list FREDDY_DONE.
 * `error` is borrowed; NULL: none. The first end wins: 0 when it had ended
 * before. Any thread. */
int fy_call_end(struct freddy_call *call, const freddy_error *error,
                int published);

/* The host cancels; or drops its reference, and hears nothing more. */
void fy_call_cancel(struct freddy_call *call);
void fy_call_abandon(struct freddy_call *call);

/* What is wished of a call (fy_post_type.handle). Engine thread. */
void fy_call_handle(struct fy_engine *engine, struct fy_post *post,
                    unsigned wishes);

/* Have a call that is in flight take a place in its client's rate limit and on
 * its host, then be sent, with what is the client's credential then; for its
 * first attempt and for every other one. It may end by that. What it held of a
 * former attempt it gives back. Engine thread. */
void fy_dispatch_send(struct freddy_call *call);

/* Take in and send a request of the engine's own. FREDDY_OK or FREDDY_ENOMEM.
 * Engine thread. */
int fy_dispatch_own(struct fy_engine *engine, struct freddy_call *call);

/* End a call that is in flight, from the engine's side: its transfer is
 * broken off, `error` delivered. Engine thread. */
void fy_call_stop(struct freddy_call *call, const freddy_error *error);

/* Its file is about to get its name: 1, and until fy_call_end publishes all
 * nothing else can end it; 0 when it has ended, or is about to. Any thread. */
int fy_call_commit(struct freddy_call *call);
/* The other way round: 1 when it can be ended without its answer, and from
 * here on it cannot be committed; 0 when it was. */
int fy_call_may_stop(struct freddy_call *call);

/* What came is not the call's answer: it is sent once more. Engine thread. */
void fy_call_forget_answer(struct freddy_call *call);

/* The engine's side of the outbox. */
void fy_call_tell_head(struct freddy_call *call);
/* List `what` (FY_OUT_*), unless the call has ended. The caller holds the
 * lock. */
void fy_call_tell(struct freddy_call *call, unsigned what);
/* Of a repeat; `cause` is copied. FREDDY_OK or FREDDY_ENOMEM. */
int fy_call_tell_retry(struct freddy_call *call, const struct fy_cause *cause);
void fy_call_tell_progress(struct freddy_call *call, int64_t sent,
                           int64_t send_total, int64_t received,
                           int64_t receive_total);
/* Ask the reader of source `part`, unless a question is open or its reply has
 * not been taken. */
void fy_call_ask(struct freddy_call *call, size_t part, size_t wanted);
/* Take the reply: 1 and the chunk (owned by the caller; NULL at the end of
 * the reader), 0 when there is none yet, -1 when the reader failed. */
int fy_call_take_reply(struct freddy_call *call, struct fy_chunk **chunk);

/* The body is not wanted any more: nor is the answer to a question. */
void fy_call_unask(struct freddy_call *call);

/* The host's answer to a question. */
int fy_call_reply(struct freddy_call *call, uint32_t question,
                  const char *data, size_t size);

/* Fill `event` with the next thing in the outbox; the caller holds the lock
 * and `out` is not empty. Sets *resume when a paused transfer has room
 * again. */
void fy_call_next_event(struct freddy_call *call, freddy_event *event,
                        int *resume);

#endif
