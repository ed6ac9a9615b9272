/* SPDX-License-Identifier: MIT */
/* A session: tokens that are renewed, shared by every client of the process
 * that was made with the same ones and would renew them in the same way. The
 * engine's thread owns it and runs its clockwork (rules/token.h); what others
 * may look at is under a lock. */
#ifndef FY_NET_CREDENTIAL_H
#define FY_NET_CREDENTIAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/secret.h"
#include "freddy.h"
#include "net/credential_store.h"
#include "net/post.h"
#include "net/secrets.h"
#include "net/timers.h"
#include "rules/grant.h"
#include "rules/token.h"

struct freddy_call;
struct fy_engine;

struct fy_credential {
  struct fy_post post;
  atomic_int refs;
  atomic_int users;   /* clients that have it */
  atomic_int revoked; /* logged out: nothing is sent with it any more */
  _Atomic uint64_t generation; /* of the first request; 0: none yet */

  /* immutable */
  uint64_t serial;    /* no other one of the process has it */
  freddy_client *via; /* whose settings its own requests use */
  struct freddy_inbox *nowhere;
  struct fy_secret *key;      /* to exchange, as its whole line; or NULL */
  struct fy_secret *first[2]; /* access and refresh, as they were given */
  double given_expires;       /* of the given token; NAN: unknown */
  int provided;               /* 1: by a listener; shared with nobody */
  int renewable;              /* 0: a token and nothing to renew it with */

  struct fy_credential *next_listed; /* under the table's lock */
  int listed;

  /* the engine's */
  struct fy_engine *engine; /* NULL: not adopted */
  struct fy_credential *prev, *next;
  struct fy_timer timer;  /* of the clockwork */
  struct fy_timer linger; /* after the last client */
  struct fy_token token;
  struct freddy_call *first_waiting, *last_waiting;
  struct freddy_call *request; /* its own, under way */

  /* where it is kept; NULL: nowhere */
  struct fy_session_file *store;
  struct fy_keep keep[2];
  double obtained_at, expires_at;  /* of the token, wall clock */
  fy_time given_since, given_life; /* 0: not to be used (any more) */
  int clear_due;
  int asked_for;       /* whoever wanted it kept asks whether it was */
  freddy_error unkept; /* of what its user wanted, if it failed */
  atomic_int unsaved;  /* how much of that is under way */
  int counted;         /* among those that an exit waits for: how */

  /* what the host is told, and asked */
  fy_time ends_at;      /* the token's whole life; FY_NEVER: unknown */
  const char *cause;    /* by what it came */
  uint64_t tell_ticket; /* listeners are being told; 0: they are not */
  uint64_t ask_ticket;  /* one is asked; 0: nobody is */
  fy_time asked_at;
  struct fy_timer patience;        /* with the one that is asked */
  _Atomic(const char *) announced; /* of a login: the cause to be told */
  freddy_error why;                /* how the last renewal failed */

  pthread_mutex_t lock;      /* what follows */
  struct fy_secret *access;  /* the whole line Authorization */
  struct fy_secret *refresh; /* bare */
  struct fy_secrets replaced;
  enum fy_token_state state;
  fy_time stale_at, dies_at; /* FY_NEVER: unknown, or none */
  int renewing;
  int keeping; /* what it brought is to be saved */
  int spent;   /* nothing brings it back but what is given anew */
  _Atomic uint64_t renewals;
  char last_error[232];
};

/* What can be wished of one. */
enum {
  FY_CREDENTIAL_UNUSED = 1,
  FY_CREDENTIAL_REVOKE = 2,
  FY_CREDENTIAL_STORED = 4, /* a job of its store is done */
  FY_CREDENTIAL_KEEP = 8,   /* save what it was given */
  FY_CREDENTIAL_HEARD = 16, /* a listener has answered, or left */
  FY_CREDENTIAL_ANNOUNCE = 32,
  FY_CREDENTIAL_ASKED_FOR = 64 /* and KEEP */
};

/* What a session is made of; every part may be NULL, but not all. Borrowed. */
struct fy_given {
  const struct fy_secret *access, *refresh; /* bare */
  struct fy_secret *key;                    /* its whole line */
  int provided;      /* 1: a listener provides tokens, instead of all these */
  double expires_in; /* of the access token, seconds; 0: not said */
  int anew; /* 1: given once more, so that a session which is over, or whose
               key was not taken, is not the one */
};

/* The session of these tokens for `client`: one that is shared, or a new one.
 * A new reference that counts as a user; NULL when there is no memory. Any
 * thread.
 */
struct fy_credential *fy_credential_get(freddy_client *client,
                                        const struct fy_given *session);

struct fy_credential *fy_credential_ref(struct fy_credential *credential);
void fy_credential_unref(struct fy_credential *credential); /* NULL is fine */

/* The client has it no longer; drops its reference. NULL is fine. */
void fy_credential_leave(struct fy_credential *credential);

/* Save what it was given in its store, if it has one, whatever that holds.
 * `asks`: the caller finds out whether that failed; else listeners hear of it.
 * Any thread; never blocks. */
void fy_credential_keep(struct fy_credential *credential, int asks);

/* Fill what a session has of `status`. Any thread. */
void fy_credential_describe(struct fy_credential *credential,
                            freddy_session_status *status);

/* Log it out, here, for everyone who shares it. Any thread. */
void fy_credential_revoke(struct fy_credential *credential);

/* Tell those who listen of its tokens, which came by `cause` (static): a
 * login. Any thread. */
void fy_credential_announce(struct fy_credential *credential,
                            const char *cause);

/* Around a fork: no other thread holds the table's lock meanwhile. */
void fy_credential_lock_table(void);
void fy_credential_unlock_table(void);

/* The same session for the child of a fork, where the first one is foreign;
 * as fy_credential_get. */
struct fy_credential *fy_credential_again(struct fy_credential *credential,
                                          freddy_client *client);

/* Let `*add` hear of every secret that the redactor has to know. */
void fy_credential_each_secret(struct fy_credential *credential,
                               void (*add)(void *context,
                                           struct fy_secret *secret),
                               void *context);
size_t fy_credential_secret_count(struct fy_credential *credential);
/* A call that carried one has ended. NULL is fine. */
void fy_credential_prune(struct fy_credential *credential);

/* --- Engine thread ------------------------------------------------------ */

/* 1: `call` may be sent. 0: it waits, or has ended with an error. */
int fy_credential_admit(struct freddy_call *call);

/* `call` was answered 401. 1 when that is not what it ends with: it is sent
 * again, waits, or has ended otherwise. */
int fy_credential_rejected(struct freddy_call *call);

/* The line to send and, as *generation, which one it is; a new reference.
 * NULL: there is none any more. */
struct fy_secret *fy_credential_current(struct fy_credential *credential,
                                        uint64_t *generation);

/* An answer told the server's time: correct the life of a given token. */
void fy_credential_heed_date(struct fy_credential *credential, double date);

/* `client` has another credential now: those of its calls that are not sent
 * yet go on with that. */
void fy_credential_switch(struct fy_engine *engine,
                          const freddy_client *client);

/* 1 when the client of `call` has another credential than the call was let go
 * with. */
int fy_credential_is_switched(const struct freddy_call *call);

/* `call`, which waits for it, waits no longer. */
void fy_credential_forget(struct freddy_call *call);

/* Its own request brought `grant` (stolen), or nothing. */
void fy_credential_got(struct fy_credential *credential, uint64_t ticket,
                       fy_time since, struct fy_grant *grant);
void fy_credential_got_nothing(struct fy_credential *credential,
                               uint64_t ticket, enum fy_token_failure failure,
                               fy_time after, const freddy_error *why);

/* The engine ends: let go of its timers. */
void fy_credential_orphan_all(struct fy_engine *engine);

/* --- Between the files that make one up --------------------------------- */

/* Let the engine run it; FREDDY_OK or FREDDY_ENOMEM. */
int fy_credential_adopt(struct fy_engine *engine,
                        struct fy_credential *credential);
/* `call`, whose session it is, waits; or ends by `answer`, which is no
 * FY_TOKEN_SEND. */
void fy_credential_wait(struct freddy_call *call);
void fy_credential_fail(struct freddy_call *call, enum fy_token_answer answer);

/* Ask the host: have a listener provide a token; have all told. */
void fy_credential_ask_host(struct fy_credential *credential,
                            const struct fy_token_step *step);
void fy_credential_tell_host(struct fy_credential *credential,
                             const struct fy_token_step *step);
void fy_credential_heard(struct fy_credential *credential);
/* No answer of the host's is wanted any more. */
void fy_credential_unask_host(struct fy_credential *credential);
void fy_credential_announce_now(struct fy_engine *engine,
                                struct fy_credential *credential);
void fy_credential_patience_fire(struct fy_timer *timer, fy_time now);
/* Tell those who listen that it was logged out. Any thread. */
void fy_credential_tell_logout(struct fy_credential *credential);

/* Do what the clockwork wants, and let those go who need not wait. */
void fy_credential_run(struct fy_credential *credential);
/* Show others how it stands. */
void fy_credential_publish(struct fy_credential *credential);
/* Take over what came; FREDDY_OK or FREDDY_ENOMEM (nothing has changed). */
int fy_credential_replace(struct fy_credential *credential,
                          struct fy_grant *grant);
/* Renew by `refresh` from now on. */
void fy_credential_set_refresh(struct fy_credential *credential,
                               struct fy_secret *refresh);
void fy_credential_wipe(struct fy_credential *credential);
void fy_credential_revoke_now(struct fy_credential *credential);
/* 1 when it has no client any more, and is in the table no longer. */
int fy_credential_expire(struct fy_credential *credential);

#endif
