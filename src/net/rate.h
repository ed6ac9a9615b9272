/* SPDX-License-Identifier: MIT */
/* A limiter (rules/limiter.h) as clients have it: one for all that ask the
 * same server with the same credential by the same plan, in whatever Lua
 * state. It outlives its last client for a while, so that a client made anew
 * for every request is held by it like any other. */
#ifndef FY_NET_RATE_H
#define FY_NET_RATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "freddy.h"
#include "net/post.h"
#include "rules/limiter.h"

struct freddy_call;
struct fy_engine;

struct fy_rate {
  struct fy_post post;
  atomic_int refs;
  struct fy_rate *next; /* the engine's; it has a reference */
  struct fy_engine *engine;
  uint64_t who, key; /* server and credential; and the plan */
  fy_time used_at;
  _Atomic uint32_t waiting; /* calls in line for it */

  pthread_mutex_t lock; /* what follows, for who only looks */
  struct fy_limiter limiter;
};

struct fy_rate *fy_rate_ref(struct fy_rate *rate);
void fy_rate_unref(struct fy_rate *rate); /* NULL is fine */

/* Fill the plan that the options mean. FREDDY_OK or FREDDY_EMISUSE. */
int fy_rate_plan(const freddy_rate_limit *given, struct fy_limit_plan *plan,
                 freddy_error *err);

/* A number for the store of that name: 0 for NULL. */
uint64_t fy_rate_store(const char *name);

/* Have the client go by another plan. Any thread. */
void fy_rate_set_plan(freddy_client *client, const struct fy_limit_plan *plan);

/* How it stands with the client. Any thread. */
void fy_rate_describe(freddy_client *client, freddy_rate *out);

/* The host's answer, for which requests wait: `permits` NULL: the store cannot
 * be reached. Or nobody will answer: another one is asked. Any thread. */
void fy_rate_answer(struct fy_rate *rate, const struct fy_permits *permits);
void fy_rate_unanswered(struct fy_rate *rate);

/* --- Engine thread ------------------------------------------------------ */

/* 1 when fy_rate_ask is to be called, if a request waits for it. */
int fy_rate_wants(struct fy_rate *rate, fy_time now);

/* The limiter for a request to the client's own origin. Borrowed, until the
 * next such question; NULL: no memory. */
struct fy_rate *fy_rate_of(const struct freddy_call *call);

/* rules/limiter.h, under the lock; NULL: nothing limits. */
fy_time fy_rate_next(struct fy_rate *rate, fy_time now);
fy_time fy_rate_hold(struct fy_rate *rate, fy_time now);
int64_t fy_rate_room(struct fy_rate *rate, fy_time now);
struct fy_limit_mark fy_rate_sent(struct fy_rate *rate, fy_time now);
void fy_rate_heard(struct fy_rate *rate, struct fy_limit_mark mark,
                   const struct fy_rate_facts *facts, fy_time now);
void fy_rate_never_left(struct fy_rate *rate, struct fy_limit_mark mark,
                        fy_time now);

/* Of a plan that is shared by a store: ask the client's host for permits,
 * where they are wanted, for `count` requests that could leave with them. */
void fy_rate_ask(struct fy_rate *rate, freddy_client *client, uint32_t count,
                 fy_time now);

/* The engine ends: drop its references. */
void fy_rate_clear(struct fy_engine *engine);

#endif
