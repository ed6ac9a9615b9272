/* SPDX-License-Identifier: MIT */
/* simulate: what clients with freddy's rules (rules/retry and rules/limiter,
 * as the engine calls them) do to a server that is down for a minute, and to
 * one that limits their rate besides. No network and no clock: time is that of
 * the simulation and all chance comes from one seed, so that two runs print
 * the same.
 *
 * Callers ask, wait for the answer, think for ten seconds on average, and ask
 * again. The server has room for twice what they ask when all is well, and
 * answers 503 to the rest. The minute in which it is down, or has room for
 * half of them only, lies between good ones. Printed are the requests a second
 * that reach it: on average and in the worst second, before, while it is down,
 * in the ten seconds after, and later; how long after it is up again half of
 * the callers, and nine of ten, have had a right answer; and how many answers
 * in a thousand were failures later on.
 *
 * A server that limits takes a hundred requests from each client in a minute,
 * says so in its headers, and answers 429 with Retry-After to the rest.
 *
 * "unheld" is freddy with rate_limit = false. The naive client, for
 * comparison, repeats after one second, for ever. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench.h"
#include "rules/limiter.h"
#include "rules/retry.h"

enum {
  GOOD = 60, /* seconds that all is well, then down, then well again */
  DOWN = 60,
  AFTER = 120,
  SOON = 10, /* of the latter */
  SECONDS = GOOD + DOWN + AFTER,
  RETRIES = 2,
  PER_MINUTE = 100
};

static const double THINK = 10;     /* seconds, on average */
static const double ANSWER = 0.05;  /* that an answer takes */
static const double REFUSAL = 0.01; /* and a failure */
static const double ROOM = 2;       /* capacity over demand */
static const double LESS_ROOM = 0.5;

enum kind { FREDDY, UNHELD, NAIVE };

static const char *const kind_names[] = {"freddy", "unheld", "naive"};

enum outage { STATUS, RETRY_AFTER, HALF, OUTAGES };

static const char *const outage_names[] = {"503", "503, Retry-After: 10",
                                           "room for half"};

struct client {
  struct fy_retry_budget budget;
  struct fy_limiter limiter;
  fy_time phase; /* the server's account of it: when its minutes begin, */
  int64_t minute;
  int used;
};

struct caller {
  struct client *client;
  fy_time due; /* when its next request arrives */
  int repeats; /* of the call at hand */
  int found;   /* a right answer since the server is up again */
};

struct model {
  enum kind kind;
  enum outage outage;
  int limits; /* 1: the server limits each client's rate */
  size_t callers_count, clients_count;
  struct client *clients;
  struct caller *callers;
  struct caller **heap; /* by `due` */
  long hits[SECONDS];
  long failures; /* later on, and the answers then */
  long answers;
  size_t found;
  double half, most; /* seconds after the outage; NAN: not within the time */
  uint64_t chance;
};

/* --- Chance and time ---------------------------------------------------- */

/* xorshift64*, by Vigna. 0 and up, below 1. */
static double chance(struct model *model) {
  uint64_t x = model->chance;

  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  model->chance = x;
  return (double)((x * 0x2545F4914F6CDD1DULL) >> 11) / 9007199254740992.0;
}

static fy_time think(struct model *model) {
  return fy_clock_from_seconds(-THINK * log(1 - chance(model)));
}

static double seconds(fy_time time) {
  return (double)time / (double)FY_SECOND;
}

/* The caller at the heap's top has another time now. */
static void sink(struct model *model) {
  struct caller **heap = model->heap;
  struct caller *moved = heap[0];
  size_t at = 0, child;

  while ((child = 2 * at + 1) < model->callers_count) {
    if (child + 1 < model->callers_count &&
        heap[child + 1]->due < heap[child]->due) {
      child++;
    }
    if (heap[child]->due >= moved->due) {
      break;
    }
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = moved;
}

static int by_due(const void *a, const void *b) {
  const struct caller *const *one = a, *const *other = b;

  return ((*one)->due > (*other)->due) - ((*one)->due < (*other)->due);
}

/* --- One attempt -------------------------------------------------------- */

static int is_down(fy_time now) {
  return now >= GOOD * FY_SECOND && now < (GOOD + DOWN) * FY_SECOND;
}

/* 1 when the client has used up what it may ask in a minute. */
static int limit(struct model *model, struct client *client, fy_time now,
                 struct fy_rate_facts *facts) {
  int64_t minute = (now + client->phase) / (60 * FY_SECOND);

  *facts = (struct fy_rate_facts){.limit = NAN,
                                  .remaining = NAN,
                                  .reset = NAN,
                                  .tokens_remaining = NAN,
                                  .tokens_reset = NAN,
                                  .retry_after = NAN};
  if (!model->limits || is_down(now)) {
    return 0;
  }
  if (client->minute != minute) {
    client->minute = minute;
    client->used = 0;
  }
  facts->refused = client->used >= PER_MINUTE;
  client->used += !facts->refused;
  facts->limit = PER_MINUTE;
  facts->remaining = PER_MINUTE - client->used;
  facts->reset = 60 - seconds(now + client->phase - minute * 60 * FY_SECOND);
  if (facts->refused) {
    facts->retry_after = ceil(facts->reset);
  }
  return facts->refused;
}

/* 1 when the server answers rightly. */
static int serve(struct model *model, fy_time now) {
  size_t second = (size_t)(now / FY_SECOND);
  double demand = (double)model->callers_count / THINK;
  double room = ROOM * demand + 3; /* for those who are few */

  if (model->limits) { /* all that its limits let through, and a crowd */
    room = ROOM * (double)model->clients_count * PER_MINUTE / 60 + PER_MINUTE;
  }

  model->hits[second]++;
  if (is_down(now)) {
    room = model->outage == HALF ? LESS_ROOM * demand : 0;
  }
  return (double)model->hits[second] <= room;
}

static void note_right(struct model *model, struct caller *caller,
                       fy_time now) {
  double after = seconds(now) - GOOD - DOWN;

  if (after < 0 || caller->found) {
    return;
  }
  caller->found = 1;
  model->found++;
  if (model->found == (model->callers_count + 1) / 2) {
    model->half = after;
  }
  if (model->found == (model->callers_count * 9 + 9) / 10) {
    model->most = after;
  }
}

/* The delay before the repeat; FY_NEVER: there is none. */
static fy_time repeat_after(struct model *model, struct caller *caller,
                            int down, const struct fy_rate_facts *facts) {
  struct fy_retry seen = {.method = "GET",
                          .replayable = 1,
                          .retries = RETRIES,
                          .repeats = caller->repeats,
                          .reason = "",
                          .sent = 1,
                          .status = 503,
                          .retry_after = NAN};
  struct fy_retry_step step;

  if (model->kind == NAIVE) {
    return FY_SECOND;
  }
  if (facts->refused) {
    seen.status = 429;
    seen.retry_after = facts->retry_after;
  } else if (down && model->outage == RETRY_AFTER) {
    seen.retry_after = 10;
  }
  fy_retry_decide(&seen, &caller->client->budget, chance(model), &step);
  return step.todo == FY_RETRY_AFTER ? step.delay : FY_NEVER;
}

/* 1 when its client's limiter holds it back. */
static int waits(struct caller *caller) {
  fy_time now = caller->due;
  fy_time next = fy_limiter_next(&caller->client->limiter, now);

  if (next > now) {
    caller->due = next;
  }
  return next > now;
}

static void attempt(struct model *model, struct caller *caller) {
  struct client *client = caller->client;
  struct fy_rate_facts facts;
  fy_time now = caller->due;
  fy_time delay = FY_NEVER;
  int later = now >= (GOOD + DOWN + SOON) * FY_SECOND;
  struct fy_limit_mark mark = fy_limiter_sent(&client->limiter, now);
  int refused = limit(model, client, now, &facts);
  int right = serve(model, now) && !refused;

  fy_limiter_heard(&client->limiter, mark, &facts, now);
  model->answers += later;
  if (right) {
    fy_retry_budget_give(&client->budget);
    note_right(model, caller, now);
  } else {
    model->failures += later;
    delay = repeat_after(model, caller, is_down(now), &facts);
  }
  caller->due = now + fy_clock_from_seconds(right ? ANSWER : REFUSAL);
  if (delay == FY_NEVER) {
    caller->repeats = 0;
    caller->due += think(model);
  } else {
    caller->repeats++;
    caller->due += delay;
  }
}

/* --- A run -------------------------------------------------------------- */

static void model_init(struct model *model, size_t clients, size_t callers) {
  const struct fy_limit_plan plan = {
      .mode = model->kind == FREDDY ? FY_LIMIT_ADAPTIVE : FY_LIMIT_OFF};

  model->clients_count = clients;
  model->callers_count = clients * callers;
  model->clients = calloc(clients, sizeof(*model->clients));
  model->callers = calloc(model->callers_count, sizeof(*model->callers));
  model->heap = calloc(model->callers_count, sizeof(struct caller *));
  if (!model->clients || !model->callers || !model->heap) {
    bench_die("out of memory");
  }
  model->chance = 0x9E3779B97F4A7C15ULL;
  model->half = model->most = NAN;
  for (size_t i = 0; i < clients; i++) {
    fy_retry_budget_init(&model->clients[i].budget);
    fy_limiter_init(&model->clients[i].limiter, &plan, 0);
    model->clients[i].phase = (fy_time)(60 * chance(model)) * FY_SECOND;
    model->clients[i].minute = -1;
  }
  for (size_t i = 0; i < model->callers_count; i++) {
    model->callers[i].client = &model->clients[i / callers];
    model->callers[i].due = think(model);
    model->heap[i] = &model->callers[i];
  }
  qsort(model->heap, model->callers_count, sizeof(struct caller *), by_due);
}

static void run(struct model *model) {
  while (model->heap[0]->due < SECONDS * FY_SECOND) {
    if (!waits(model->heap[0])) {
      attempt(model, model->heap[0]);
    }
    sink(model);
  }
}

static void model_clear(struct model *model) {
  free(model->clients);
  free(model->callers);
  free(model->heap);
}

static void print_rate(const struct model *model, int from, int to) {
  long sum = 0, peak = 0;

  for (int i = from; i < to; i++) {
    sum += model->hits[i];
    peak = model->hits[i] > peak ? model->hits[i] : peak;
  }
  printf(" %8.1f %6ld", (double)sum / (to - from), peak);
}

static void print_found(double after) {
  if (isnan(after)) {
    printf("   never");
  } else {
    printf(" %7.1f", after);
  }
}

static void print_model(const struct model *model) {
  printf("%-6s %-20s %7zu x %-3zu", kind_names[model->kind],
         outage_names[model->outage], model->clients_count,
         model->callers_count / model->clients_count);
  print_rate(model, 10, GOOD); /* they all begin by thinking */
  print_rate(model, GOOD, GOOD + DOWN);
  print_rate(model, GOOD + DOWN, GOOD + DOWN + SOON);
  print_rate(model, GOOD + DOWN + SOON, SECONDS);
  print_found(model->half);
  print_found(model->most);
  printf(" %6.1f\n", model->answers ? 1000.0 * (double)model->failures /
                                          (double)model->answers
                                    : 0);
}

static void simulate(enum kind kind, enum outage outage, int limits,
                     size_t clients, size_t callers) {
  struct model model = {.kind = kind, .outage = outage, .limits = limits};

  model_init(&model, clients, callers);
  run(&model);
  print_model(&model);
  model_clear(&model);
}

int main(void) {
  static const struct {
    size_t clients, callers;
  } crowds[] = {{1, 1}, {1, 100}, {100, 1}, {100, 100}, {10000, 1}};

  printf(
      "# requests a second (on average, and the worst) that reach a server "
      "which is down for %d s\n"
      "# client              outage  clients x callers  before     peak"
      "     down   peak     soon   peak    later   peak    half    most"
      "  fail\n",
      DOWN);
  for (size_t i = 0; i < sizeof(crowds) / sizeof(crowds[0]); i++) {
    for (int outage = 0; outage < OUTAGES; outage++) {
      simulate(FREDDY, (enum outage)outage, 0, crowds[i].clients,
               crowds[i].callers);
    }
    simulate(NAIVE, STATUS, 0, crowds[i].clients, crowds[i].callers);
  }
  printf("# the same, where each client may ask %d times a minute\n",
         PER_MINUTE);
  for (size_t i = 0; i < sizeof(crowds) / sizeof(crowds[0]); i++) {
    if (crowds[i].callers > 1) {
      for (int kind = FREDDY; kind <= NAIVE; kind++) {
        simulate((enum kind)kind, STATUS, 1, crowds[i].clients,
                 crowds[i].callers);
      }
    }
  }
  return 0;
}
