/* SPDX-License-Identifier: MIT */
/* How many requests of a client may leave, and how many did. Part of freddy.h,
 * which includes it. */
#ifndef FREDDY_RATE_H
#define FREDDY_RATE_H

#include "freddy_base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum freddy_rate_mode {
  FREDDY_RATE_ADAPTIVE = 0, /* by what the answers tell of the server's limits
                               (X-RateLimit-*, Retry-After) */
  FREDDY_RATE_PLAN,
  FREDDY_RATE_OFF
} freddy_rate_mode;

/* How many requests may leave. All zero: adaptive. */
typedef struct freddy_rate_limit {
  freddy_rate_mode mode;
  const char *plan; /* FREDDY_RATE_PLAN: "standard" (100 a minute, 120 in the
                       first, 10,000 a day) or "premium" (ten times that);
                       NULL: what follows */
  uint32_t per_minute; /* sustained; 1 and up */
  uint32_t burst;      /* the most in any 60 seconds, per_minute and up; 0:
                          per_minute */
  uint32_t per_day;    /* the most in any 24 hours; 0: no such limit */
} freddy_rate_limit;

/* Another limit, at once, for those that wait, too. What was sent stays
 * counted. FREDDY_OK or FREDDY_EMISUSE, FREDDY_ECLOSED, FREDDY_EFORKED. Never
 * blocks. */
FREDDY_API int freddy_client_set_rate_limit(freddy_client *client,
                                            const freddy_rate_limit *limit,
                                            freddy_error *err);

/* Of a plan that processes share (freddy_options.plan_store): for how many
 * requests permits are wanted now, and the plan. */
typedef struct freddy_ask_permits {
  uint32_t count;
  uint32_t per_minute, burst, per_day; /* as in freddy_rate_limit */
} freddy_ask_permits;

/* What the store gave. A permit is good for a second; one that is not used by
 * then is lost. The store's bucket for a plan holds burst - per_minute, at
 * least one, and is filled evenly by per_minute in 61 seconds: then at most
 * `burst` leave in any 60. */
typedef struct freddy_permits {
  uint32_t granted; /* at most as many as were asked for */
  double wait;      /* seconds until the first may be used, each other one 61 /
                       per_minute later; less than 0: so much ago. When none was
                       granted: until it is worth asking again. More than 61 /
                       per_minute then is a hold by the day's limit */
  double age;       /* seconds since the store was asked */
  uint32_t room;    /* how many more it would have given at once */
  uint32_t today;   /* permits given in the last 24 hours, to all */
} freddy_permits;

/* Answer a FREDDY_NEED_PERMITS. An answer to a question that is no longer
 * asked is dropped.
 *
 * permits  copied; NULL: the store cannot be reached: for 5 seconds, until it
 *          is asked again, the process goes by its plan alone
 *
 * Returns FREDDY_OK, FREDDY_EFORKED, FREDDY_EMISUSE (the call is no listener).
 * Never blocks. */
FREDDY_API int freddy_call_answer_permits(freddy_call *call, uint32_t question,
                                          const freddy_permits *permits);

typedef enum freddy_rate_sharing {
  FREDDY_RATE_UNSHARED = 0,
  FREDDY_RATE_SHARED, /* a store keeps the plan */
  FREDDY_RATE_ALONE   /* it should, and cannot be reached */
} freddy_rate_sharing;

/* Seconds are from now; what is not known is -1. */
typedef struct freddy_rate {
  freddy_rate_mode mode;
  uint32_t per_minute, burst, per_day; /* of a plan; else 0 */
  int64_t room;   /* how many may leave at once; -1: no limit is known */
  double next;    /* until the next one may leave; 0: now */
  uint32_t today; /* sent in the last 24 hours */
  /* What the server last told of its own window, reckoned on. */
  double limit, remaining, resets_in;
  uint32_t waiting;   /* for this limiter, of all who share it */
  uint32_t in_flight; /* sent, and nothing heard of them yet */
  /* Of a plan that is shared, `room` and `today` are what the store last told,
   * reckoned on. */
  freddy_rate_sharing shared;
} freddy_rate;

/* How the client's rate limit stands. Never blocks. */
FREDDY_API void freddy_client_rate(freddy_client *client, freddy_rate *rate);

/* Since the client was made. */
typedef struct freddy_client_stats {
  uint64_t requests;  /* started */
  uint64_t failures;  /* that ended with an error, which no answer is */
  uint64_t attempts;  /* made: the first ones, repeats, replays, redirects */
  uint64_t retries;   /* of these, repeats of what had failed */
  uint64_t refreshes; /* of the sessions it had, by whoever shares them */
  uint64_t waits;     /* requests that could not leave at once */
  double waited;      /* seconds, by all of them */
  uint64_t bytes_sent, bytes_received; /* of bodies */
  uint64_t connections_opened, connections_reused;
  uint32_t waiting, in_flight; /* now */
} freddy_client_stats;

/* Count. Never blocks on I/O, and costs next to nothing. */
FREDDY_API void freddy_client_stats_get(freddy_client *client,
                                        freddy_client_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
