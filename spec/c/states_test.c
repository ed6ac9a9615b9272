/* SPDX-License-Identifier: MIT */
/* Lua states opened and closed, a thousand times, with calls in every phase:
 * nothing may leak, crash or stay in flight, whatever the state's own order
 * of finalizers. Two states live at any time, so that one is closed while
 * the other works. */
#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>

#include <time.h>

#include "freddy.h"
#include "loopback.h"
#include "unit.h"

int luaopen_freddy_core(lua_State *L);

#define STATES 1000
#define WAYS 8

/* `way` is how the state is left. The globals keep all alive until then. */
static const char *const script =
    "local core, base_url, way = require('freddy.core'), ...\n"
    "client = assert(core.client{ base_url = base_url, api_key = 'a-key' })\n"
    "inbox = assert(core.inbox())\n"
    "calls = {}\n"
    "for id, path in ipairs{ '/answer', '/hang', '/half', '/answer' } do\n"
    "  calls[id] = assert(client:start(inbox, id, {\n"
    "    path = path, stream = id > 2, headers = { 'x-id', '' .. id } }))\n"
    "end\n"
    "calls[5] = assert(inbox:timer(5, 3600))\n"
    "local function await(wanted)\n"
    "  local limit = core.now() + 60\n"
    "  repeat\n"
    "    local id, what = inbox:next()\n"
    "    if not id then inbox:wait(1) end\n"
    "    if what == wanted then return end\n"
    "  until core.now() > limit\n"
    "  error('no ' .. wanted)\n"
    "end\n"
    "if way == 1 then await('done')\n"
    "elseif way == 2 then await('data')\n"
    "elseif way == 3 then for _, call in pairs(calls) do call:cancel() end\n"
    "elseif way == 4 then client:close()\n"
    "elseif way == 5 then inbox:close()\n"
    "elseif way == 6 then calls = nil collectgarbage()\n"
    "elseif way == 7 then client, inbox, calls = nil collectgarbage()\n"
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
  if (strcmp(req->path, "/half") == 0) {
    loop_write(fd, half, sizeof(half) - 1);
  }
  return hold(fd);
}

static lua_State *state_open(const char *base_url, int way) {
  lua_State *L = luaL_newstate();

  luaL_openlibs(L);
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, luaopen_freddy_core);
  lua_setfield(L, -2, "freddy.core");
  lua_settop(L, 0);
  UNIT_CASE("way %d", way);
  if (luaL_loadstring(L, script)) {
    CHECK_TEXT(lua_tostring(L, -1), NULL);
    return L;
  }
  lua_pushstring(L, base_url);
  lua_pushinteger(L, way);
  if (lua_pcall(L, 2, 0, 0)) {
    CHECK_TEXT(lua_tostring(L, -1), NULL);
  }
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

static void states_come_and_go(const char *base_url) {
  lua_State *other = NULL;
  int i;

  for (i = 0; i < STATES; i++) {
    lua_State *L = state_open(base_url, i % WAYS);

    if (other) {
      lua_close(other);
    }
    other = L;
    CHECK(lua_gettop(L) == 0);
  }
  lua_close(other);
  UNIT_CASE("after all");
  CHECK_INT(in_flight_at_last(), 0);
}

int main(void) {
  static struct loopback server; /* its threads outlive main */
  char base_url[64];

  loop_start(&server, serve);
  snprintf(base_url, sizeof(base_url), "http://127.0.0.1:%u", server.port);
  states_come_and_go(base_url);
  freddy_shutdown();
  loop_stop(&server);
  return unit_end();
}
