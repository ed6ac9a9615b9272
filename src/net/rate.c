/* SPDX-License-Identifier: MIT */
#include "net/rate.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "net/call.h"
#include "net/client.h"
#include "net/credential.h"
#include "net/engine.h"
#include "net/permits.h"

/* After the last request. */
static const fy_time LINGER = 60 * FY_SECOND;

struct fy_rate *fy_rate_ref(struct fy_rate *rate) {
  if (rate) {
    atomic_fetch_add(&rate->refs, 1);
  }
  return rate;
}

void fy_rate_unref(struct fy_rate *rate) {
  if (rate && atomic_fetch_sub(&rate->refs, 1) == 1) {
    pthread_mutex_destroy(&rate->lock);
    fy_free(rate);
  }
}

static void post_ref(struct fy_post *post) {
  fy_rate_ref((struct fy_rate *)post);
}

static void post_unref(struct fy_post *post) {
  fy_rate_unref((struct fy_rate *)post);
}

/* The host has answered. */
static void post_handle(struct fy_engine *engine, struct fy_post *post,
                        unsigned wishes) {
  (void)post;
  (void)wishes;
  engine->admission.due = 1;
}

static const struct fy_post_type rate_type = {post_handle, post_ref,
                                              post_unref};

/* --- Plans -------------------------------------------------------------- */

int fy_rate_plan(const freddy_rate_limit *given, struct fy_limit_plan *plan,
                 freddy_error *err) {
  memset(plan, 0, sizeof(*plan));
  if (given->mode != FREDDY_RATE_PLAN) {
    plan->mode =
        given->mode == FREDDY_RATE_OFF ? FY_LIMIT_OFF : FY_LIMIT_ADAPTIVE;
    return FREDDY_OK;
  }
  if (given->plan) {
    return fy_limit_plan_named(given->plan, plan)
               ? FREDDY_OK
               : fy_error_set(err, FREDDY_EMISUSE, NULL,
                              "rate_limit: no plan of that name");
  }
  plan->mode = FY_LIMIT_PLAN;
  plan->per_minute = given->per_minute;
  plan->burst = given->burst ? given->burst : given->per_minute;
  plan->per_day = given->per_day;
  if (plan->per_minute == 0 || plan->burst < plan->per_minute) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL,
                        "rate_limit: per_minute must be 1 or more, and burst "
                        "as much or more");
  }
  return FREDDY_OK;
}

void fy_rate_set_plan(freddy_client *client,
                      const struct fy_limit_plan *plan) {
  struct fy_engine *engine = fy_engine_running();

  pthread_mutex_lock(&client->lock);
  client->plan = *plan;
  pthread_mutex_unlock(&client->lock);
  if (engine && atomic_load(&client->generation)) {
    fy_engine_post(engine, &client->post, FY_CLIENT_SWITCH);
  }
}

/* --- Finding it --------------------------------------------------------- */

static uint64_t mix(uint64_t hash, const void *data, size_t size) {
  const unsigned char *bytes = data;

  for (size_t i = 0; i < size; i++) {
    hash = (hash ^ bytes[i]) * 0x100000001B3u; /* FNV-1a */
  }
  return hash;
}

uint64_t fy_rate_store(const char *name) {
  return name ? mix(0xCBF29CE484222325u, name, strlen(name)) | 1 : 0;
}

static uint64_t mix_secret(uint64_t hash, const struct fy_secret *secret) {
  return mix(hash, fy_secret_text(secret), fy_secret_size(secret));
}

/* What is shared is found by such a number alone: it tells no secret. */
static uint64_t who_asks(const struct fy_engine *engine,
                         struct freddy_client *client,
                         const struct fy_secret *key,
                         struct fy_limit_plan *plan) {
  struct fy_credential *session = fy_client_session(client);
  struct fy_secret *secret = NULL;
  freddy_credential kind = fy_client_kind(client, &secret);
  uint64_t hash = mix(engine->salt, &kind, sizeof(kind));

  pthread_mutex_lock(&client->lock);
  *plan = client->plan;
  pthread_mutex_unlock(&client->lock);
  hash = mix(hash, client->base_url, strlen(client->base_url));
  hash = mix(hash, &client->plan_store, sizeof(client->plan_store));
  if (key) {
    hash = mix_secret(hash, key);
  } else if (session) {
    hash = mix(hash, &session->serial, sizeof(session->serial));
  } else if (secret) {
    hash = mix_secret(hash, secret);
  }
  fy_credential_unref(session);
  fy_secret_unref(secret);
  return hash;
}

static void drop_unused(struct fy_engine *engine, fy_time now) {
  struct fy_rate **link = &engine->rates;

  while (*link) {
    struct fy_rate *rate = *link;

    if (atomic_load(&rate->refs) == 1 && now - rate->used_at > LINGER &&
        fy_rate_hold(rate, now) == 0) {
      *link = rate->next;
      fy_rate_unref(rate);
    } else {
      link = &rate->next;
    }
  }
}

static struct fy_rate *find(const struct fy_engine *engine, uint64_t key) {
  struct fy_rate *rate = engine->rates;

  while (rate && rate->key != key) {
    rate = rate->next;
  }
  return rate;
}

static void copy_limiter(struct fy_rate *rate, struct fy_limiter *copy) {
  pthread_mutex_lock(&rate->lock);
  *copy = rate->limiter;
  pthread_mutex_unlock(&rate->lock);
}

/* 1 when what `old` counted is the same asker's. */
static int is_former(const struct fy_rate *old, const struct fy_rate *rate,
                     const struct fy_engine *engine, uint64_t who) {
  return old && old != rate && old->engine == engine && old->who == who;
}

/* One with another plan goes on from where the client's last one stands. */
static void begin(struct fy_limiter *limiter, struct fy_rate *former,
                  const struct freddy_client *client,
                  const struct fy_limit_plan *plan, fy_time now) {
  if (former) {
    copy_limiter(former, limiter);
    limiter->in_flight = 0;
    memset(limiter->seconds, 0, sizeof(limiter->seconds));
    fy_limiter_change(limiter, plan, now);
  } else {
    fy_limiter_init(limiter, plan, now);
    limiter->store = client->plan_store;
  }
}

static struct fy_rate *make(struct fy_engine *engine, uint64_t who,
                            uint64_t key) {
  struct fy_rate *rate = fy_calloc(1, sizeof(*rate));

  if (rate) {
    rate->post.type = &rate_type;
    pthread_mutex_init(&rate->lock, NULL);
    atomic_store(&rate->refs, 1);
    rate->engine = engine;
    rate->who = who;
    rate->key = key;
  }
  return rate;
}

static void add(struct fy_engine *engine, struct fy_rate *rate) {
  pthread_mutex_lock(&engine->rates_lock);
  rate->next = engine->rates;
  engine->rates = rate;
  pthread_mutex_unlock(&engine->rates_lock);
}

static void merge(struct fy_rate *rate, struct fy_rate *former, fy_time now) {
  struct fy_limiter before;

  copy_limiter(former, &before);
  pthread_mutex_lock(&rate->lock);
  fy_limiter_merge(&rate->limiter, &before, now);
  pthread_mutex_unlock(&rate->lock);
}

static struct fy_rate *find_or_make(struct fy_engine *engine,
                                    const struct freddy_client *client,
                                    uint64_t who,
                                    const struct fy_limit_plan *plan,
                                    fy_time now) {
  uint64_t key = mix(who, plan, sizeof(*plan));
  struct fy_rate *rate;
  struct fy_rate *former;

  pthread_mutex_lock(&engine->rates_lock);
  rate = find(engine, key);
  if (rate) {
    rate->used_at = now;
  }
  drop_unused(engine, now);
  pthread_mutex_unlock(&engine->rates_lock);
  former = is_former(client->rate, rate, engine, who) ? client->rate : NULL;
  if (rate && former) {
    merge(rate, former, now);
  } else if (!rate && (rate = make(engine, who, key))) {
    begin(&rate->limiter, former, client, plan, now);
    add(engine, rate);
  }
  return rate;
}

struct fy_rate *fy_rate_of(const struct freddy_call *call) {
  struct fy_engine *engine = call->engine;
  struct freddy_client *client = call->client;
  struct fy_limit_plan plan;
  uint64_t who = who_asks(engine, client, call->ask.key, &plan);
  struct fy_rate *old = client->rate;
  struct fy_rate *rate = old;
  fy_time now = fy_clock_now();

  if (!old || old->engine != engine ||
      old->key != mix(who, &plan, sizeof(plan))) {
    rate = find_or_make(engine, client, who, &plan, now);
    if (!rate) {
      return NULL;
    }
    pthread_mutex_lock(&client->lock);
    client->rate = fy_rate_ref(rate);
    pthread_mutex_unlock(&client->lock);
    fy_rate_unref(old);
  }
  rate->used_at = now;
  return rate;
}

void fy_rate_clear(struct fy_engine *engine) {
  pthread_mutex_lock(&engine->rates_lock);
  while (engine->rates) {
    struct fy_rate *rate = engine->rates;

    engine->rates = rate->next;
    rate->engine = NULL;
    fy_rate_unref(rate);
  }
  pthread_mutex_unlock(&engine->rates_lock);
}

/* --- Its limiter -------------------------------------------------------- */

fy_time fy_rate_next(struct fy_rate *rate, fy_time now) {
  fy_time at = now;

  if (rate) {
    pthread_mutex_lock(&rate->lock);
    at = fy_limiter_next(&rate->limiter, now);
    pthread_mutex_unlock(&rate->lock);
  }
  return at;
}

fy_time fy_rate_hold(struct fy_rate *rate, fy_time now) {
  fy_time hold = 0;

  if (rate) {
    pthread_mutex_lock(&rate->lock);
    hold = fy_limiter_hold(&rate->limiter, now);
    pthread_mutex_unlock(&rate->lock);
  }
  return hold;
}

int64_t fy_rate_room(struct fy_rate *rate, fy_time now) {
  int64_t room = -1;

  if (rate) {
    pthread_mutex_lock(&rate->lock);
    room = fy_limiter_room(&rate->limiter, now);
    pthread_mutex_unlock(&rate->lock);
  }
  return room;
}

struct fy_limit_mark fy_rate_sent(struct fy_rate *rate, fy_time now) {
  struct fy_limit_mark mark = {0, 0};

  if (rate) {
    pthread_mutex_lock(&rate->lock);
    mark = fy_limiter_sent(&rate->limiter, now);
    pthread_mutex_unlock(&rate->lock);
  }
  return mark;
}

void fy_rate_heard(struct fy_rate *rate, struct fy_limit_mark mark,
                   const struct fy_rate_facts *facts, fy_time now) {
  if (rate) {
    pthread_mutex_lock(&rate->lock);
    fy_limiter_heard(&rate->limiter, mark, facts, now);
    pthread_mutex_unlock(&rate->lock);
  }
}

void fy_rate_never_left(struct fy_rate *rate, struct fy_limit_mark mark,
                        fy_time now) {
  if (rate) {
    pthread_mutex_lock(&rate->lock);
    fy_limiter_never_left(&rate->limiter, mark, now);
    pthread_mutex_unlock(&rate->lock);
  }
}

/* --- By a store --------------------------------------------------------- */

int fy_rate_wants(struct fy_rate *rate, fy_time now) {
  int wants = 0;

  if (rate && rate->limiter.store) {
    pthread_mutex_lock(&rate->lock);
    wants = fy_limiter_wants(&rate->limiter, now);
    pthread_mutex_unlock(&rate->lock);
  }
  return wants;
}

/* One that goes alone only looks whether the store is back. */
void fy_rate_ask(struct fy_rate *rate, freddy_client *client, uint32_t count,
                 fy_time now) {
  struct fy_lease *lease = &rate->limiter.lease;
  struct fy_limit_plan plan;

  pthread_mutex_lock(&rate->lock);
  fy_lease_ask(lease, now);
  count = lease->alone || !count ? 1 : count;
  count += lease->debt < FY_MAX_QUEUE ? lease->debt : FY_MAX_QUEUE;
  plan = rate->limiter.plan;
  pthread_mutex_unlock(&rate->lock);
  if (!fy_permits_ask(client, rate, &plan, count)) {
    pthread_mutex_lock(&rate->lock);
    if (atomic_load(&client->closed)) {
      lease->asked = 0; /* what waits for it is about to end */
    } else {
      fy_lease_lose(lease, now);
    }
    pthread_mutex_unlock(&rate->lock);
  }
}

static void tell_engine(struct fy_rate *rate) {
  struct fy_engine *engine = fy_engine_running();

  if (engine) {
    fy_engine_post(engine, &rate->post, 1);
  }
}

void fy_rate_answer(struct fy_rate *rate, const struct fy_permits *permits) {
  fy_time now = fy_clock_now();

  pthread_mutex_lock(&rate->lock);
  if (permits) {
    fy_lease_give(&rate->limiter.lease, permits, rate->limiter.plan.per_minute,
                  now);
  } else {
    fy_lease_lose(&rate->limiter.lease, now);
  }
  pthread_mutex_unlock(&rate->lock);
  tell_engine(rate);
}

void fy_rate_unanswered(struct fy_rate *rate) {
  pthread_mutex_lock(&rate->lock);
  rate->limiter.lease.asked = 0;
  pthread_mutex_unlock(&rate->lock);
  tell_engine(rate);
}

/* --- Who only looks ----------------------------------------------------- */

static double seconds_until(fy_time at, fy_time now) {
  return at > now ? (double)(at - now) / (double)FY_SECOND : 0;
}

static double or_unknown(double value) {
  return isnan(value) ? -1 : value;
}

static void describe(struct fy_limiter *limiter, fy_time now,
                     freddy_rate *out) {
  static const freddy_rate_mode modes[] = {FREDDY_RATE_ADAPTIVE,
                                           FREDDY_RATE_PLAN, FREDDY_RATE_OFF};
  fy_time next = fy_limiter_next(limiter, now);
  double left = fy_limiter_left(limiter);

  out->mode = modes[limiter->plan.mode];
  if (limiter->plan.mode == FY_LIMIT_PLAN && limiter->store) {
    out->shared =
        limiter->lease.alone ? FREDDY_RATE_ALONE : FREDDY_RATE_SHARED;
  }
  out->per_minute = limiter->plan.per_minute;
  out->burst = limiter->plan.burst;
  out->per_day = limiter->plan.per_day;
  out->today = fy_limiter_today(limiter, now);
  out->room = fy_limiter_room(limiter, now);
  if (fy_limiter_is_shared(limiter)) {
    out->room = fy_limiter_shared_room(limiter, now);
    next = out->room && next == FY_NEVER ? now : next;
  }
  out->next = next == FY_NEVER ? -1 : seconds_until(next, now);
  out->limit = or_unknown(limiter->limit);
  out->remaining = or_unknown(left < 0 ? 0 : left);
  out->resets_in = limiter->resets_at == FY_NEVER
                       ? -1
                       : seconds_until(limiter->resets_at, now);
  out->in_flight = limiter->in_flight;
}

/* The limiter that the client's next request would find or have made: what
 * the client used last may be another's, or past. */
static struct fy_rate *foresee(struct fy_engine *engine, freddy_client *client,
                               struct fy_limiter *limiter, fy_time now) {
  struct fy_limit_plan plan;
  uint64_t who = who_asks(engine, client, NULL, &plan);
  struct fy_rate *rate, *former, *old;

  pthread_mutex_lock(&client->lock);
  old = fy_rate_ref(client->rate);
  pthread_mutex_unlock(&client->lock);
  pthread_mutex_lock(&engine->rates_lock);
  rate = fy_rate_ref(find(engine, mix(who, &plan, sizeof(plan))));
  former = is_former(old, rate, engine, who) ? old : NULL;
  pthread_mutex_unlock(&engine->rates_lock);
  if (rate) {
    copy_limiter(rate, limiter);
  } else {
    begin(limiter, former, client, &plan, now);
  }
  if (rate && former) {
    struct fy_limiter before;

    copy_limiter(former, &before);
    fy_limiter_merge(limiter, &before, now);
  }
  fy_rate_unref(old);
  return rate;
}

void fy_rate_describe(freddy_client *client, freddy_rate *out) {
  struct fy_engine *engine = fy_engine_running();
  struct fy_rate *rate = NULL;
  struct fy_limiter limiter;
  struct fy_limit_plan plan;
  fy_time now = fy_clock_now();

  if (engine) {
    rate = foresee(engine, client, &limiter, now);
  } else {
    pthread_mutex_lock(&client->lock);
    plan = client->plan;
    pthread_mutex_unlock(&client->lock);
    begin(&limiter, NULL, client, &plan, now);
  }
  out->waiting = rate ? atomic_load(&rate->waiting) : 0;
  describe(&limiter, now, out);
  fy_rate_unref(rate);
}
