/* SPDX-License-Identifier: MIT */
/* Lua states opened and closed, a thousand times (or FY_STATES), with calls
 * in every phase: nothing may leak, crash or stay in flight, whatever the
 * state's own order of finalizers. Two states live at any time in each
 * thread, so that one is closed while the other works; the first half of
 * them in one thread, the rest in several, all on one engine. */
#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>

#include <fcntl.h>
#include <time.h>

#include "freddy.h"
#include "loopback.h"
#include "unit.h"

int luaopen_freddy_core(lua_State *L);

enum { STATES = 1000, WAYS = 12, THREADS = 4, NUMBERS = 60000, FILL = 8 };

static char base_url[64];
static char full_url[64];         /* connecting there never ends */
static char big[2 * NUMBERS + 2]; /* JSON, to be decoded on the I/O thread */
static atomic_int wrong;          /* states that raised */
static atomic_int decoded;        /* documents that were waited for */

/* `way` is how the state is left: 0 at once, with all calls queued; the
 * globals keep everything alive until then. A call hangs before its head, one
 * within its body, one within its stream, one cannot connect, and the answers
 * of others are there and not taken. */
static const char *const script =
    "local core, base_url, full_url, way, ms = require('freddy.core'), ...\n"
    "local function new(url)\n"
    "  return assert(core.client{ base_url = url, api_key = 'a-key' })\n"
    "end\n"
    "client, full = new(base_url), new(full_url)\n"
    "inbox = assert(core.inbox())\n"
    "calls = {}\n"
    "for id, path in ipairs{ '/answer', '/hang', '/half', '/answer', "
    "'/half',\n"
    "    '/big', '/connecting' } do\n"
    "  calls[id] = assert((id == 7 and full or client):start(inbox, id, {\n"
    "    path = path, stream = id == 3 or id == 4, json = id == 6,\n"
    "    headers = { 'x-id', '' .. id } }))\n"
    "end\n"
    "calls[8] = assert(inbox:timer(8, 3600))\n"
    "local function await(wanted, which)\n"
    "  local limit = core.now() + 60\n"
    "  repeat\n"
    "    local id, what = inbox:next()\n"
    "    if not id then inbox:wait(1) end\n"
    "    if what == wanted and id == (which or id) then return end\n"
    "  until core.now() > limit\n"
    "  error('no ' .. wanted)\n"
    "end\n"
    "local function doze()\n"
    "  local limit = core.now() + ms / 1000\n"
    "  local nap = assert(core.inbox())\n"
    "  repeat nap:wait(limit - core.now()) until core.now() >= limit\n"
    "end\n"
    "if way == 1 then await('done')\n"
    "elseif way == 2 then await('data')\n"
    "elseif way == 3 then for _, call in pairs(calls) do call:cancel() end\n"
    "elseif way == 4 then client:close()\n"
    "elseif way == 5 then\n"
    "  inbox:close()\n"
    "  assert(not inbox:next() and not inbox:wait(1))\n"
    "elseif way == 6 then calls = nil collectgarbage()\n"
    "elseif way == 7 then client, inbox, calls = nil collectgarbage()\n"
    "elseif way == 8 then inbox:wait(1)\n"
    "elseif way == 9 then doze()\n"
    "elseif way == 10 then doze() calls[6]:cancel() calls[6]:free()\n"
    "elseif way == 11 then\n"
    "  await('done', 6)\n"
    "  assert(#calls[6]:data() == 60000)\n"
    "  return true\n"
    "end\n";

/* Keeps the connection until the client closes it. */
static int hold(int fd) {
  char byte;

  while (loop_byte(fd, &byte) == 0) {
  }
  return 0;
}

static int serve(struct loopback *server, int fd,
                 const struct loop_request *req, int nth) {
  static const char half[] =
      "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it";

  (void)server;
  (void)nth;
  if (strcmp(req->path, "/answer") == 0) {
    return loop_answer(fd, 200, "Content-Type: application/json\r\n",
                       "{\"success\":true}") == 0;
  }
  if (strcmp(req->path, "/big") == 0) {
    return loop_answer(fd, 200, "Content-Type: application/json\r\n", big) ==
           0;
  }
  if (strcmp(req->path, "/half") == 0) {
    loop_write(fd, half, sizeof(half) - 1);
  }
  return hold(fd);
}

static lua_State *state_open(int nth) {
  lua_State *L = luaL_newstate();

  luaL_openlibs(L);
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, luaopen_freddy_core);
  lua_setfield(L, -2, "freddy.core");
  lua_settop(L, 0);
  if (luaL_loadstring(L, script) == LUA_OK) {
    lua_pushstring(L, base_url);
    lua_pushstring(L, full_url);
    lua_pushinteger(L, nth % WAYS);
    lua_pushinteger(L, nth / WAYS % 8);
    if (lua_pcall(L, 4, 1, 0) == LUA_OK) {
      atomic_fetch_add(&decoded, lua_toboolean(L, -1));
      return L;
    }
  }
  printf("way %d: %s\n", nth % WAYS, lua_tostring(L, -1));
  atomic_fetch_add(&wrong, 1);
  return L;
}

/* Closing only posts: the engine gets to it a moment later. */
static uint32_t in_flight_at_last(void) {
  const struct timespec pause = {0, 1000000};
  freddy_engine_stats stats;
  int tries;

  for (tries = 0; tries < 30000; tries++) {
    freddy_engine_stats_get(&stats);
    if (stats.in_flight == 0) {
      break;
    }
    nanosleep(&pause, NULL);
  }
  return stats.in_flight;
}

static void states_come_and_go(int first, int count) {
  lua_State *other = NULL;

  for (int i = 0; i < count; i++) {
    lua_State *L = state_open(first + i);

    if (other) {
      lua_close(other);
    }
    other = L;
  }
  if (other) {
    lua_close(other);
  }
}

struct share {
  pthread_t thread;
  int first, count;
};

static void *thread_main(void *context) {
  const struct share *share = context;

  states_come_and_go(share->first, share->count);
  return NULL;
}

static void in_threads(int first, int count) {
  struct share shares[THREADS];

  for (int i = 0; i < THREADS; i++) {
    shares[i].first = first + i * WAYS / THREADS;
    shares[i].count = count / THREADS;
    pthread_create(&shares[i].thread, NULL, thread_main, &shares[i]);
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(shares[i].thread, NULL);
  }
}

static void fill_big(void) {
  for (int i = 0; i < NUMBERS; i++) {
    big[2 * i] = i ? ',' : '[';
    big[2 * i + 1] = '1';
  }
  big[2 * NUMBERS] = ']';
}

/* A listener whose queue is full: the system drops what asks to come in. */
static void fill_listener(int *fds) {
  struct sockaddr_in address;
  socklen_t size = sizeof(address);
  unsigned port;

  fds[0] = loop_listen(&port);
  listen(fds[0], 0);
  getsockname(fds[0], (struct sockaddr *)&address, &size);
  for (int i = 1; i < FILL; i++) {
    fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    connect(fds[i], (struct sockaddr *)&address, size);
  }
  snprintf(full_url, sizeof(full_url), "http://127.0.0.1:%u", port);
}

int main(void) {
  static struct loopback server; /* its threads outlive main */
  const char *given = getenv("FY_STATES");
  int states = given ? (int)strtol(given, NULL, 10) : STATES;
  int full[FILL];

  fill_big();
  fill_listener(full);
  loop_start(&server, serve);
  snprintf(base_url, sizeof(base_url), "http://127.0.0.1:%u", server.port);
  states_come_and_go(0, states / 2);
  CHECK_INT(atomic_load(&wrong), 0);
  CHECK_INT(atomic_load(&decoded), states / 2 / WAYS);
  CHECK_INT(in_flight_at_last(), 0);
  in_threads(0, states - states / 2);
  CHECK_INT(atomic_load(&wrong), 0);
  CHECK(atomic_load(&decoded) > states / 2 / WAYS);
  CHECK_INT(in_flight_at_last(), 0);
  freddy_shutdown();
  loop_stop(&server);
  for (int i = 0; i < FILL; i++) {
    close(full[i]);
  }
  return unit_end();
}
