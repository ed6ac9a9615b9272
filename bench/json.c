/* SPDX-License-Identifier: MIT */
/* What a JSON answer of 1 MB costs the host's thread: building the tables of
 * a document that the I/O thread has parsed, against lua-cjson, which does
 * all of it on the host's thread. Then the CPU of both in all. Medians; a
 * timing, so never a pass or fail. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>

#include "base/buf.h"
#include "base/limits.h"
#include "lua/json.h"

enum { ROUNDS = 5, REPEATS = 16 };

static const double bar = 0.75;

struct times {
  double cjson, host, parse, release; /* CPU seconds */
};

/* Of the calling thread, so that a busy machine counts for neither. */
static double cpu_now(void) {
  struct timespec now;

  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A list of models as the API gives it: short and long strings, integers,
 * fractions, booleans, nulls, arrays and nested objects. */
static int fill(struct fy_buf *text) {
  int i = 0, rc = fy_buf_adds(text, "{\"object\":\"list\",\"models\":[");

  while (!rc && text->size < 1000 * 1000) {
    rc = fy_buf_addf(
        text,
        "%s{\"id\":\"model-%d\",\"name\":\"Model \\u2116 %d\","
        "\"provider\":\"%s\",\"description\":\"A model for long documents, "
        "with \\\"tools\\\" and images; keeps what was said before.\\nSee the "
        "guide for its limits.\",\"context_window\":%d,"
        "\"created_at\":1732456%03d,\"price\":{\"input\":%d.%02d,"
        "\"output\":%d.5,\"currency\":\"USD\"},\"capabilities\":[\"text\","
        "\"vision\",\"tools\"],\"is_available\":%s,\"deprecated_at\":null,"
        "\"limits\":{\"rpm\":%d,\"tpm\":%d},\"tags\":[],"
        "\"scores\":[0.%d,%d,1.25]}",
        i ? "," : "", i, i, i % 2 ? "openai" : "anthropic", 1024 * (i % 200),
        i % 1000, i % 30, i % 100, i % 60, i % 3 ? "true" : "false",
        60 * (i % 50), 1000 * (i % 500), 1 + i % 9, i);
    i++;
  }
  return rc ? rc : fy_buf_adds(text, "]}");
}

/* A state with the text and lua-cjson's decode, in this order. */
static lua_State *open_cjson(const struct fy_buf *text) {
  lua_State *L = luaL_newstate();

  if (!L) {
    return NULL;
  }
  luaL_openlibs(L);
  lua_pushlstring(L, text->data, text->size);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "cjson");
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
    lua_close(L);
    return NULL;
  }
  lua_getfield(L, -1, "decode");
  lua_remove(L, -2);
  return L;
}

static lua_State *open_freddy(void) {
  lua_State *L = luaL_newstate();

  if (L) {
    luaL_openlibs(L);
    fy_json_open(L);
  }
  return L;
}

static int time_cjson(lua_State *L, struct times *times) {
  double start;
  int good;

  lua_pushvalue(L, 2);
  lua_pushvalue(L, 1);
  start = cpu_now();
  good = lua_pcall(L, 1, 1, 0) == LUA_OK;
  times->cjson += cpu_now() - start;
  lua_settop(L, 2);
  return good;
}

/* What the I/O thread does with one document. */
struct job {
  const struct fy_buf *text;
  void *document;
  double taken;
};

static void *parse_job(void *context) {
  struct job *job = context;
  double start = cpu_now();

  job->document =
      fy_json_decoder.decode(job->text->data, job->text->size, NULL);
  job->taken = cpu_now() - start;
  return NULL;
}

static void *release_job(void *context) {
  struct job *job = context;
  double start = cpu_now();

  fy_json_decoder.release(job->document);
  job->taken = cpu_now() - start;
  return NULL;
}

/* On a thread, as in life: its memory lies apart from Lua's. */
static double run_job(struct job *job, void *(*run)(void *)) {
  pthread_t thread;

  if (pthread_create(&thread, NULL, run, job) != 0) {
    return 0;
  }
  pthread_join(thread, NULL);
  return job->taken;
}

static int time_freddy(lua_State *L, const struct fy_buf *text,
                       struct times *times) {
  struct job job = {text, NULL, 0};
  const char *message;
  double start;
  int good;

  times->parse += run_job(&job, parse_job);
  if (!job.document) {
    return 0;
  }
  start = cpu_now();
  good = fy_json_push(L, job.document, &message);
  times->host += cpu_now() - start;
  lua_settop(L, 0);
  times->release += run_job(&job, release_job);
  return good;
}

/* A state for each side, so that neither pays for the other's garbage. In
 * turn, so that what else the machine does hits both, and that each finds the
 * caches cold, as after a transfer. The ratio hangs on this: decoding one
 * text over and over, lua-cjson alone keeps them warm, and the bar is missed
 * more often than met. */
static int run_round(const struct fy_buf *text, struct times *times) {
  lua_State *cjson = open_cjson(text), *freddy = open_freddy();
  int i, good = cjson && freddy;

  memset(times, 0, sizeof(*times));
  for (i = 0; good && i < REPEATS; i++) {
    good = time_cjson(cjson, times) && time_freddy(freddy, text, times);
  }
  if (cjson) {
    lua_close(cjson);
  }
  if (freddy) {
    lua_close(freddy);
  }
  return good;
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;

  return (x > y) - (x < y);
}

static double median(double *values) {
  qsort(values, ROUNDS, sizeof(*values), compare);
  return values[ROUNDS / 2];
}

int main(void) {
  double ratio[ROUNDS], cjson[ROUNDS], host[ROUNDS], cpu[ROUNDS];
  struct times times = {0};
  struct fy_buf text;
  double middle;
  int i, good;

  fy_buf_init(&text, 2 * FY_MIB);
  good = fill(&text) == FREDDY_OK;
  for (i = 0; good && i < ROUNDS; i++) {
    good = run_round(&text, &times);
    cjson[i] = times.cjson / REPEATS * 1e3;
    host[i] = times.host / REPEATS * 1e3;
    cpu[i] = (times.host + times.parse + times.release) / REPEATS * 1e3;
    ratio[i] = times.host / times.cjson;
  }
  fy_buf_clear(&text);
  if (!good) {
    fprintf(stderr, "bench/json: no lua-cjson, or no memory\n");
    return 1;
  }
  middle = median(ratio);
  printf("json 1 MB, host thread: %.2f x lua-cjson (bar %.2f) %s\n", middle,
         bar, middle <= bar ? "met" : "missed");
  printf("json 1 MB, CPU ms: host thread %.2f, in all %.2f; lua-cjson %.2f\n",
         median(host), median(cpu), median(cjson));
  return 0;
}
