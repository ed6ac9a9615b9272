/* SPDX-License-Identifier: MIT */
/* Ten simulated minutes of more demand than a limit allows: what leaves by a
 * plan; and, by what answers tell, how often a server has to refuse. Seeded:
 * each run is the same. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rules/limiter.h"
#include "unit.h"

static const fy_time BEGIN = 5000 * FY_SECOND;
static const fy_time END = 5600 * FY_SECOND;

static uint64_t seed;

static uint32_t random_below(uint32_t most) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(seed >> 33) % most;
}

/* --- Plans -------------------------------------------------------------- */

static const struct fy_limit_plan plans[] = {
    {FY_LIMIT_PLAN, 100, 120, 0},   {FY_LIMIT_PLAN, 100, 100, 0},
    {FY_LIMIT_PLAN, 1000, 1200, 0}, {FY_LIMIT_PLAN, 1, 1, 0},
    {FY_LIMIT_PLAN, 7, 9, 0},       {FY_LIMIT_PLAN, 60, 600, 0},
};

enum { MOST = 12000 };

/* Ask as soon as it may be that one can leave; or somewhat later. */
static int run_plan(const struct fy_limit_plan *plan, fy_time lateness,
                    fy_time *left) {
  struct fy_limiter limiter;
  fy_time now = BEGIN;
  int count = 0;

  fy_limiter_init(&limiter, plan, BEGIN);
  while (now < END && count < MOST) {
    fy_time at = fy_limiter_next(&limiter, now);

    if (at > now) {
      now = at;
      if (lateness) {
        now += (fy_time)random_below((uint32_t)(lateness / 1000)) * 1000;
      }
      continue;
    }
    fy_limiter_sent(&limiter, now);
    left[count++] = now;
  }
  return count;
}

static int most_within(const fy_time *left, int count, fy_time span) {
  int most = 0;

  for (int i = 0, j = 0; i < count; i++) {
    while (left[i] - left[j] >= span) {
      j++;
    }
    most = i - j + 1 > most ? i - j + 1 : most;
  }
  return most;
}

static void test_plans(void) {
  static const fy_time late[] = {0, FY_SECOND / 10, 30 * FY_SECOND};
  static fy_time left[MOST];

  for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
    for (size_t j = 0; j < sizeof(late) / sizeof(late[0]); j++) {
      int bucket = (int)(plans[i].burst - plans[i].per_minute);
      int count;

      seed = 1 + i * 10 + j;
      UNIT_CASE("%u a minute, burst %u, late by %d ms", plans[i].per_minute,
                plans[i].burst, (int)(late[j] / FY_MILLISECOND));
      count = run_plan(&plans[i], late[j], left);
      CHECK(count < MOST);
      CHECK(most_within(left, count, 60 * FY_SECOND) <= (int)plans[i].burst);
      /* The bucket once, then what comes in. */
      CHECK(count <= bucket + 10 * (int)plans[i].per_minute);
      CHECK(late[j] || count >= 10 * (int)plans[i].per_minute);
    }
  }
}

/* --- Servers that tell -------------------------------------------------- */

enum { LIMIT = 100, CLIENTS = 40 };

struct server {
  int bucket;    /* 1: filled evenly; 0: windows */
  int whole;     /* 1: tells resets in whole seconds of its clock */
  int early;     /* 1: its Retry-After is when it would take one more */
  fy_time began; /* of the window; 0: none */
  double level;  /* left in it */
  fy_time level_at;
};

/* What the server says at `now`; 1 when it refuses. */
static int ask(struct server *server, fy_time now,
               struct fy_rate_facts *facts) {
  double rate = LIMIT / 60.0 / (double)FY_SECOND;
  double wait, again;
  int refused;

  if (server->bucket) {
    server->level += (double)(now - server->level_at) * rate;
    server->level = server->level > LIMIT ? LIMIT : server->level;
  } else if (!server->began || now - server->began >= 60 * FY_SECOND) {
    server->began = now;
    server->level = LIMIT;
  }
  server->level_at = now;
  refused = server->level < 1;
  server->level -= !refused;
  wait = server->bucket ? (LIMIT - server->level) / rate / (double)FY_SECOND
                        : (double)(server->began + 60 * FY_SECOND - now) /
                              (double)FY_SECOND;
  again = server->bucket && server->early
              ? (1 - server->level) / rate / (double)FY_SECOND
              : wait;
  if (server->whole) {
    double second = (double)now / (double)FY_SECOND;

    wait = ceil(second + wait) - floor(second); /* the Date is rounded, too */
    again = ceil(again);
  }
  *facts = (struct fy_rate_facts){refused, LIMIT, floor(server->level), wait,
                                  NAN,     NAN,   refused ? again : 0};
  return refused;
}

/* One request: on its way to the server, or back. */
struct flight {
  fy_time at; /* FY_NEVER: none */
  int answered;
  fy_time seen; /* by the server */
  struct fy_limit_mark mark;
  struct fy_rate_facts facts;
};

struct outcome {
  int served, refused;
};

struct trouble {
  uint32_t loss;     /* percent of the answers that never arrive */
  uint32_t slowness; /* seconds that an answer may take to be made */
};

static struct flight *next_of(struct flight *flights) {
  struct flight *first = flights;

  for (int i = 1; i < CLIENTS; i++) {
    first = flights[i].at < first->at ? &flights[i] : first;
  }
  return first;
}

static fy_time latency(void) {
  return (fy_time)(1 + random_below(200)) * FY_MILLISECOND;
}

static void send_all(struct fy_limiter *limiter, struct flight *flights,
                     fy_time now, int most) {
  for (int i = 0; i < most; i++) {
    if (flights[i].at == FY_NEVER && fy_limiter_next(limiter, now) <= now) {
      flights[i].mark = fy_limiter_sent(limiter, now);
      flights[i].answered = 0;
      flights[i].at = now + latency();
    }
  }
}

static void land(struct fy_limiter *limiter, struct server *server,
                 struct flight *flight, const struct trouble *trouble,
                 struct outcome *outcome) {
  fy_time now = flight->at;

  if (!flight->answered) {
    int refused = ask(server, now, &flight->facts);

    outcome->refused += refused;
    outcome->served += !refused;
    flight->answered = 1;
    flight->seen = now;
    flight->at = now + latency() +
                 (fy_time)random_below(trouble->slowness + 1) * FY_SECOND;
    return;
  }
  flight->at = FY_NEVER;
  if (server->whole) { /* a moment is read by the Date of the answer itself */
    flight->facts.reset -= floor((double)(now - flight->seen) / FY_SECOND);
    flight->facts.reset = flight->facts.reset < 0 ? 0 : flight->facts.reset;
  }
  fy_limiter_heard(limiter, flight->mark,
                   random_below(100) >= trouble->loss ? &flight->facts : NULL,
                   now);
}

static struct outcome run_server(struct server *server,
                                 const struct trouble *trouble) {
  static const struct fy_limit_plan adaptive = {FY_LIMIT_ADAPTIVE, 0, 0, 0};
  struct flight flights[CLIENTS];
  struct outcome outcome = {0, 0};
  struct fy_limiter limiter;
  fy_time now = BEGIN;

  for (int i = 0; i < CLIENTS; i++) {
    flights[i].at = FY_NEVER;
  }
  server->level_at = BEGIN;
  server->level = LIMIT;
  fy_limiter_init(&limiter, &adaptive, BEGIN);
  send_all(&limiter, flights, now, 1); /* the first answer tells */
  while (now < END) {
    struct flight *flight = next_of(flights);
    fy_time free_at = fy_limiter_next(&limiter, now);

    if (flight->at <= free_at || limiter.limit != LIMIT) {
      now = flight->at;
      land(&limiter, server, flight, trouble, &outcome);
    } else {
      now = free_at > now ? free_at : flight->at;
      if (now == flight->at) {
        land(&limiter, server, flight, trouble, &outcome);
      }
    }
    send_all(&limiter, flights, now, isnan(limiter.limit) ? 1 : CLIENTS);
  }
  return outcome;
}

/* Where answers get lost, nobody can know what they would have told. */
static void test_servers(struct trouble trouble) {
  for (int kind = 0; kind < 8; kind++) {
    for (uint64_t run = 1; run <= 50; run++) {
      struct server server = {
          .bucket = kind & 1, .whole = kind >> 1 & 1, .early = kind >> 2};
      struct outcome outcome;

      seed = run;
      UNIT_CASE("%s, %s%s, %u %% lost, %u s, run %d",
                server.bucket ? "bucket" : "window",
                server.early ? "early, " : "",
                server.whole ? "whole seconds" : "exact", trouble.loss,
                trouble.slowness, (int)run);
      outcome = run_server(&server, &trouble);
      CHECK(outcome.refused <= (trouble.loss ? 10 : 0));
      /* And little of what the server would have served is left. */
      CHECK(outcome.served >= (trouble.slowness ? 4 : 8) * LIMIT);
    }
  }
}

int main(void) {
  test_plans();
  test_servers((struct trouble){0, 0});
  test_servers((struct trouble){2, 0});
  test_servers((struct trouble){0, 30});
  return unit_end();
}
