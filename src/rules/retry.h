/* SPDX-License-Identifier: MIT */
/* Whether a request that failed is sent once more, and when: the table, the
 * delays, Retry-After and the budget. Pure: clock and random are given. */
#ifndef FY_RULES_RETRY_H
#define FY_RULES_RETRY_H

#include <stddef.h>

#include "base/clock.h"
#include "freddy.h"

/* What a client may spend on repeats, so that all its callers together do not
 * storm a server that is down. In fifths of a token: a repeat takes one token,
 * a success gives a fifth. */
struct fy_retry_budget {
  int fifths;
};

enum { FY_RETRY_BUDGET = 50 }; /* tokens at the start, and at most */

void fy_retry_budget_init(struct fy_retry_budget *budget);
void fy_retry_budget_give(struct fy_retry_budget *budget);

/* A request, how far it has come, and how its last attempt ended. */
struct fy_retry {
  const char *method;
  int idempotent; /* 1: the user says that it may be sent twice */
  int replayable; /* 1: all of its body can be sent again */
  int retries;    /* repeats at most */
  int repeats;    /* so far, but those for free */
  int unasked;    /* of these, after a 429 without Retry-After */
  int freed;      /* 1: it was repeated for free already */

  freddy_code failure; /* FREDDY_OK: the answer is whole */
  const char *reason;  /* of the failure; "": none */
  int sent;            /* 1: a byte of this attempt may have left */
  int stale;  /* 1: an old connection ended before a byte of an answer */
  int told;   /* 1: the host was told of this answer's head */
  int status; /* of the answer's head; 0: none came */
  double retry_after; /* fy_retry_after; NAN: none */
  int quota;          /* fy_retry_is_quota */
};

enum fy_retry_todo {
  FY_RETRY_DELIVER,
  FY_RETRY_NOW,  /* for free, on a connection that is new */
  FY_RETRY_AFTER /* `delay` */
};

struct fy_retry_step {
  enum fy_retry_todo todo;
  fy_time delay;
  int budget_empty; /* 1: delivered only because the budget is */
};

/* Decide. What a repeat costs is taken from `budget`.
 *
 * random  0 and up, below 1 */
void fy_retry_decide(const struct fy_retry *seen,
                     struct fy_retry_budget *budget, double random,
                     struct fy_retry_step *step);

/* 1 when what failed so may go better next time, where sending it once more
 * does no harm. `reason`: of the failure; "": none. */
int fy_retry_is_passing(freddy_code failure, const char *reason);

/* The delay before repeat number `repeats` (0: the first): full jitter over
 * half a second, doubled each time up to 8 s. */
fy_time fy_retry_backoff(int repeats, double random);

/* What a Retry-After (RFC 9110 10.2.3) asks for, in seconds from now, 0 and
 * up; or NAN when it is neither a number nor a date, or NULL.
 *
 * date  the Date of the same answer, by which a date is read; NULL, or one
 *       that is none: by `wall`
 * wall  seconds since 1970 by this machine */
double fy_retry_after(const char *text, const char *date, double wall);

/* 1 when that is more than anybody waits for; NAN is not. */
int fy_retry_is_too_long(double retry_after);

/* 1 when the body of a 429 speaks of a quota, a budget or a spending limit:
 * waiting does not help then. Its code, or its type, says so; its words only
 * where there is no code. Not in bodies over 64 KiB.
 *
 * words_count  0: the server says when to come back, so its words (of a quota
 *              per minute) do not matter */
int fy_retry_is_quota(const char *body, size_t size, int words_count);

#endif
