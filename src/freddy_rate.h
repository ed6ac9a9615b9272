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
} freddy_rate;

/* How the client's rate limit stands. Never blocks. */
FREDDY_API void freddy_client_rate(freddy_client *client, freddy_rate *rate);

/* Since the client was made. */
typedef struct freddy_client_stats {
  uint64_t requests;  /* started */
  uint64_t failures;  /* that ended with an error, which no answer is */
  uint64_t attempts;  /* sent: the first ones, repeats, replays, redirects */
  uint64_t retries;   /* of these, repeats of what had failed */
  uint64_t refreshes; /* of the session, whoever shares it */
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
