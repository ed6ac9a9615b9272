/* SPDX-License-Identifier: MIT */
/* The token clockwork: when an access token may be sent, when it is renewed
 * and by what, when everybody has to be told that it is over. It holds no
 * text of any token, does no I/O, and has its clock and its random numbers
 * from outside. One thread at a time.
 *
 * Its owner asks before it sends (fy_token_ask), tells of a 401
 * (fy_token_rejected), does what fy_token_step wants and reports each result
 * with the step's ticket, and calls fy_token_wake when fy_token_due has come.
 * After each of these, who waits asks again. A result whose ticket is old is
 * dropped: nothing old overwrites anything new. */
#ifndef FY_RULES_TOKEN_H
#define FY_RULES_TOKEN_H

#include <stdint.h>

#include "base/clock.h"

/* What a new token can be had by. Refresh is tried before exchange. */
enum {
  FY_BY_REFRESH = 1,  /* a refresh token */
  FY_BY_EXCHANGE = 2, /* an API key */
  FY_BY_PROVIDER = 4, /* a function of the host's */
  FY_BY_STORE = 8     /* what the store has, if it has anything: until it was
                         asked */
};

enum fy_token_state {
  FY_TOKEN_EMPTY,      /* none yet */
  FY_TOKEN_CLAIMING,   /* the store decides who renews */
  FY_TOKEN_FETCHING,   /* the first one is being fetched */
  FY_TOKEN_FRESH,      /* may be sent */
  FY_TOKEN_STALE,      /* may be sent, and is in its early window */
  FY_TOKEN_REFRESHING, /* a new one is being fetched */
  FY_TOKEN_EXPIRED,    /* over: nothing left to renew it with */
  FY_TOKEN_FAILED,     /* a renewal failed; the next one has to wait */
  FY_TOKEN_REVOKED     /* logged out */
};

/* Why a token is renewed. */
enum fy_token_why {
  FY_WHY_FIRST,
  FY_WHY_EXPIRING,
  FY_WHY_EXPIRED,
  FY_WHY_REJECTED
};

/* May a request be sent? */
enum fy_token_answer {
  FY_TOKEN_SEND,           /* with the current token */
  FY_TOKEN_WAIT,           /* ask again after the next event */
  FY_TOKEN_MISSING,        /* no credential at all, or logged out */
  FY_TOKEN_OVER,           /* session_expired; `uncertain` may be set */
  FY_TOKEN_RENEWAL_FAILED, /* refresh_failed; may work from `retry_at` on */
  FY_TOKEN_DELIVER         /* fy_token_rejected only: the 401 stands */
};

/* What the owner has to begin. */
enum fy_token_todo {
  FY_TOKEN_NOTHING,
  FY_TOKEN_CLAIM,  /* ask the store: fy_token_claimed, or adopt */
  FY_TOKEN_FETCH,  /* by `means`: fy_token_fetched, or adopt */
  FY_TOKEN_SAVE,   /* write the new tokens to the store: fy_token_saved */
  FY_TOKEN_TELL,   /* hand them to the host: fy_token_told */
  FY_TOKEN_RELEASE /* give the store's claim back; no result */
};

struct fy_token_step {
  enum fy_token_todo todo;
  int means; /* FETCH: one of FY_BY_* */
  enum fy_token_why why;
  uint64_t ticket;
};

/* What became of a fetch that brought no token. */
enum fy_token_failure {
  FY_TOKEN_REFUSED, /* 400, 401, 403 */
  FY_TOKEN_BUSY,    /* 408, 429, 5xx */
  FY_TOKEN_UNSENT,  /* no byte was sent */
  FY_TOKEN_LOST,    /* sent, and no answer came */
  FY_TOKEN_GARBAGE  /* anything else: no token answer, a redirect, 404 */
};

/* What is new, as the owner read it. */
struct fy_token_grant {
  fy_time since;   /* when its life began: the request was sent */
  fy_time life;    /* from then on; FY_NEVER: unknown, an hour is assumed */
  int has_refresh; /* a refresh token came with it */
};

struct fy_token {
  /* All private but for these three. */
  uint64_t generation; /* which token; one that is sent carries it along */
  fy_time retry_at;    /* no renewal before */
  int uncertain;       /* the answer of a refresh was lost once */

  int means;
  int has_store;
  int has_listener; /* somebody is to be told */
  int keep_warm;
  int has_token;
  int given;      /* by the user: its life may be corrected once */
  int never_dies; /* a bare token: the server is the judge */
  int revoked;
  int refused; /* the refresh token was, and nothing is left */
  int phase;
  int begun; /* the owner has taken this phase's step */
  int claim_held, release_due;
  int repeated; /* in this renewal */
  int failures; /* in a row */
  enum fy_token_why why;
  uint64_t ticket;
  fy_time wake_at; /* of the phase */
  fy_time stale_at, dead_at;
  uint64_t random;
};

/* An empty one. `means` is what FY_BY_* it has from the start; `seed` makes
 * its random numbers. */
void fy_token_init(struct fy_token *token, int means, uint64_t seed);

/* The user gives a token, or (`life` 0) only something to renew it with:
 * `means` replaces what there was. Ends `expired` and `revoked`, and whatever
 * renewal is under way. A token without means is never given up: the server
 * is its judge. */
void fy_token_give(struct fy_token *token, fy_time now, fy_time life,
                   int means);

/* What is left of a given token's life, by the server's clock. Heeded once. */
void fy_token_correct(struct fy_token *token, fy_time now, fy_time left);

/* Logged out: there is nothing any more, and nobody is called. */
void fy_token_revoke(struct fy_token *token);

/* The token that was given is to be told to the host, as one that was fetched
 * is, unless something is under way. */
void fy_token_announce(struct fy_token *token, fy_time now);

/* A request is about to be sent. `waits`: it has waited for this renewal, and
 * is not let go before the host was told. May begin a renewal. */
enum fy_token_answer fy_token_ask(struct fy_token *token, fy_time now,
                                  int waits);

/* A request that carried token `generation` was answered 401. SEND: another
 * one has come meanwhile. May begin a renewal. */
enum fy_token_answer fy_token_rejected(struct fy_token *token, fy_time now,
                                       uint64_t generation);

/* Renew now, whatever its age (client.auth:refresh); WAIT when a renewal is
 * under way by now. MISSING: there is nothing to renew it with. */
enum fy_token_answer fy_token_renew(struct fy_token *token, fy_time now);

/* What is to be begun; NOTHING until something has happened. */
void fy_token_step(struct fy_token *token, struct fy_token_step *step);

/* The store lets us renew, or (`wait` > 0) wants to be asked again then. */
void fy_token_claimed(struct fy_token *token, uint64_t ticket, fy_time now,
                      fy_time wait);

/* The store could not be asked. */
void fy_token_not_claimed(struct fy_token *token, uint64_t ticket,
                          fy_time now);

/* It has a refresh token, newer than any that was refused. */
void fy_token_can_refresh(struct fy_token *token);

/* It says that somebody logged out. */
void fy_token_ended(struct fy_token *token, uint64_t ticket);

/* There is nothing, or it is over; but the store may have something by now.
 * For each request that comes. */
void fy_token_look_again(struct fy_token *token, fy_time now);

/* A fetch brought a token. */
void fy_token_fetched(struct fy_token *token, uint64_t ticket, fy_time now,
                      const struct fy_token_grant *grant);

/* The store had a newer one: asked for a claim, or when ours was saved. */
void fy_token_adopt(struct fy_token *token, uint64_t ticket, fy_time now,
                    const struct fy_token_grant *grant);

/* A fetch brought none. `after` is the server's Retry-After, or 0. */
void fy_token_not_fetched(struct fy_token *token, uint64_t ticket, fy_time now,
                          enum fy_token_failure failure, fy_time after);

void fy_token_saved(struct fy_token *token, uint64_t ticket, fy_time now);
void fy_token_told(struct fy_token *token, uint64_t ticket, fy_time now);

/* Its owner ends: what was begun will have no result. The next owner begins a
 * renewal anew, and saves and tells what had come already. */
void fy_token_interrupt(struct fy_token *token);

/* 1 while a renewal that brought a token is being saved and told. */
int fy_token_is_settled(const struct fy_token *token);

/* When fy_token_wake is wanted; FY_NEVER: not. */
fy_time fy_token_due(const struct fy_token *token);
void fy_token_wake(struct fy_token *token, fy_time now);

enum fy_token_state fy_token_state(const struct fy_token *token, fy_time now);

/* What is left until it dies: 0 when dead or none, FY_NEVER for one whose
 * life is not known. */
fy_time fy_token_left(const struct fy_token *token, fy_time now);

/* 1 when only what is given anew can help: it is over, or a key or a provider
 * brought nothing and the next attempt has to wait. */
int fy_token_is_spent(const struct fy_token *token, fy_time now);

/* 1 while a renewal is under way. */
int fy_token_is_renewing(const struct fy_token *token);

/* 1 while a refresh token may have been used up and the new one is not kept
 * yet: an exit waits for that. */
int fy_token_is_at_risk(const struct fy_token *token);

#endif
