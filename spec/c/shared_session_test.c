/* SPDX-License-Identifier: MIT */
/* Two Lua states with one refresh token, each in a thread of its own: both
 * wait for the one refresh, and both are answered. */
#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>

#include <sched.h>

#include "freddy.h"
#include "loopback.h"
#include "unit.h"

int luaopen_freddy_core(lua_State *L);

enum { STATES = 2 };

static char base_url[64];
static atomic_int refreshes, started, answered, wrong;

static const char *const script =
    "local core, base_url, tell = require('freddy.core'), ...\n"
    "local client = assert(core.client{ base_url = base_url,\n"
    "  refresh_token = 'the-refresh-token' })\n"
    "local inbox = assert(core.inbox())\n"
    "local call = assert(client:start(inbox, 1, { path = '/v1/x' }))\n"
    "tell()\n"
    "local limit = core.now() + 60\n"
    "repeat\n"
    "  local id, what = inbox:next()\n"
    "  if not id then inbox:wait(1) end\n"
    "  assert(core.now() < limit, 'no end')\n"
    "until what == 'done'\n"
    "local res, err = call:result()\n"
    "assert(res, err and err.message)\n"
    "assert(res.status == 200 and res.body == 'right', res.status)\n";

static int serve(struct loopback *server, int fd,
                 const struct loop_request *req, int nth) {
  (void)server;
  (void)nth;
  if (strcmp(req->path, "/v1/auth/refresh") == 0) {
    atomic_fetch_add(&refreshes, 1);
    while (atomic_load(&started) < STATES) { /* so that both wait for it */
      sched_yield();
    }
    return loop_answer(fd, 200, "",
                       "{\"token\":\"access\",\"refresh_token\":\"next\"}") ==
           0;
  }
  return strstr(req->head, "Authorization: Bearer access\r\n")
             ? loop_answer(fd, 200, "", "right") == 0
             : loop_answer(fd, 401, "", "{}") == 0;
}

static int l_tell(lua_State *L) {
  (void)L;
  atomic_fetch_add(&started, 1);
  return 0;
}

static void *thread_main(void *unused) {
  lua_State *L = luaL_newstate();

  luaL_openlibs(L);
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, luaopen_freddy_core);
  lua_setfield(L, -2, "freddy.core");
  lua_settop(L, 0);
  if (luaL_loadstring(L, script) == 0) {
    lua_pushstring(L, base_url);
    lua_pushcfunction(L, l_tell);
    if (lua_pcall(L, 2, 0, 0) == 0) {
      atomic_fetch_add(&answered, 1);
      lua_close(L);
      return unused;
    }
  }
  printf("%s\n", lua_tostring(L, -1));
  atomic_fetch_add(&wrong, 1);
  atomic_fetch_add(&started, STATES); /* nobody waits for this one */
  lua_close(L);
  return unused;
}

int main(void) {
  static struct loopback server; /* its threads outlive main */
  pthread_t threads[STATES];

  loop_start(&server, serve);
  snprintf(base_url, sizeof(base_url), "http://127.0.0.1:%u", server.port);
  for (int i = 0; i < STATES; i++) {
    CHECK_INT(pthread_create(&threads[i], NULL, thread_main, NULL), 0);
  }
  for (int i = 0; i < STATES; i++) {
    pthread_join(threads[i], NULL);
  }
  CHECK_INT(atomic_load(&wrong), 0);
  CHECK_INT(atomic_load(&answered), STATES);
  CHECK_INT(atomic_load(&refreshes), 1);
  freddy_shutdown();
  loop_stop(&server);
  return unit_end();
}
