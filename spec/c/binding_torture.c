/* SPDX-License-Identifier: MIT */
/* The binding without memory: every allocation of Lua's fails in turn, alone
 * or with all that follow, from `require` to the last result. Only success
 * or a lack of memory is accepted; afterwards the same state must do the
 * whole again, so nothing in it was left half done. The leak checker judges
 * the rest. */
#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>

#include "freddy.h"
#include "loopback.h"
#include "unit.h"

int luaopen_freddy_core(lua_State *L);

#define BODY "{\"models\":[{\"id\":\"gpt-4o\",\"n\":[1,2.5,true,null]}]}"

/* An event for which there was no memory is given again: the stream's bytes
 * must all have come, although `next` raised in between. */
static const char *const script =
    "local base_url, body = ...\n"
    "package.loaded['freddy.core'] = nil\n"
    "local core = require('freddy.core')\n"
    "local client = assert(core.client{ base_url = base_url,\n"
    "  api_key = 'a-key-of-some-length-1234', headers = { 'x-b', 'b' },\n"
    "  timeout = { total = 60 } })\n"
    "local inbox = assert(core.inbox())\n"
    "assert(inbox:fd())\n"
    "local function event()\n"
    "  while true do\n"
    "    local ok, id, what, a, b, c = pcall(inbox.next, inbox)\n"
    "    if not ok then\n"
    "      id, what, a, b, c = inbox:next()\n"
    "    end\n"
    "    if id then return id, what, a, b, c end\n"
    "    inbox:wait(1)\n"
    "  end\n"
    "end\n"
    "local call = assert(client:start(inbox, 1, { method = 'POST',\n"
    "  path = '/a', headers = { 'x-a', '1', 'x-c', '2' }, body = 'x',\n"
    "  timeout = { stall = 30 }, json = true }))\n"
    "local id, what = event()\n"
    "assert(id == 1 and what == 'done')\n"
    "local response = assert(call:result())\n"
    "assert(response.status == 200 and response.body == body)\n"
    "assert(call:data().models[1].id == 'gpt-4o')\n"
    "local stream = assert(client:start(inbox, 2, { path = '/b',\n"
    "  stream = true, progress = true }))\n"
    "local pieces = ''\n"
    "repeat\n"
    "  local _, kind, data = event()\n"
    "  if kind == 'data' then pieces = pieces .. data end\n"
    "until kind == 'done'\n"
    "assert(pieces == body and stream:head().status == 200)\n"
    "local function pull(id, path, events, take)\n"
    "  local pulled = assert(client:start(inbox, id, { path = path,\n"
    "    stream = not events, pull = true, events = events }))\n"
    "  local failed, kind = 0\n"
    "  repeat\n"
    "    kind = select(2, event())\n"
    "    repeat\n"
    "      local ok, more = pcall(take, pulled)\n"
    "      failed = ok and 0 or failed + 1\n"
    "      if failed == 2 then error(more, 0) end\n"
    "    until ok and not more\n"
    "  until kind == 'done'\n"
    "  pulled:free()\n"
    "end\n"
    "local whole = ''\n"
    "pull(6, '/d', false, function(pulled)\n"
    "  local piece = pulled:take()\n"
    "  whole = whole .. (piece or '')\n"
    "  return piece\n"
    "end)\n"
    "local list, count, class = {}, 0, {}\n"
    "local names = { 'n1', 'n0', 'n1' }\n"
    "pull(7, '/events', true, function(pulled)\n"
    "  local ok, problem = pcall(pulled.events, pulled, list, class)\n"
    "  local had = list[1]\n"
    "  for i = 1, #list do\n"
    "    count = count + 1\n"
    "    local got = list[i]\n"
    "    list[i] = nil\n"
    "    assert(got.event == names[count] and getmetatable(got) == class\n"
    "      and tonumber(got.data) == count and tonumber(got.id) == count\n"
    "      and got.retry == (count == 3 and 9 or nil))\n"
    "  end\n"
    "  if not ok then error(problem, 0) end\n"
    "  return had\n"
    "end)\n"
    "assert(count == 3)\n"
    "local upload = assert(client:start(inbox, 5, { method = 'POST',\n"
    "  path = '/c', parts = { 'bytes', 'x', 'reader', 2 } }))\n"
    "repeat\n"
    "  local kind, question, wanted, part = select(2, event())\n"
    "  if kind == 'need_body' then\n"
    "    assert(part == 2)\n"
    "    assert(upload:answer(question, wanted == 2 and 'ab' or ''))\n"
    "  end\n"
    "until kind == 'done'\n"
    "assert(upload:result().status == 200 and #core.random(4) == 8)\n"
    "local shared = assert(core.client{ base_url = base_url,\n"
    "  api_key = 'a-key', plan_store = core.random(8), rate_limit = {\n"
    "  mode = 'plan', per_minute = 600, burst = 700 } })\n"
    "local ear = assert(shared:listen(inbox, 8, false, false, false, true))\n"
    "local held = assert(shared:start(inbox, 9, { path = '/a' }))\n"
    "repeat\n"
    "  local kind, question, wanted = select(2, event())\n"
    "  if kind == 'need_permits' then\n"
    "    assert(wanted.count == 1 and wanted.burst == 700)\n"
    "    assert(ear:answer_permits(question, { granted = 1, wait = 0 }))\n"
    "  end\n"
    "until kind == 'done'\n"
    "assert(held:result().status == 200 and shared:rate().shared)\n"
    "ear:free()\n"
    "shared:close()\n"
    "local timer = assert(inbox:timer(3, 3600))\n"
    "timer:cancel()\n"
    "assert(event() == 3)\n"
    "local none, err = timer:result()\n"
    "assert(not none and err.kind == 'cancelled')\n"
    "none, err = client:start(inbox, 4, { path = 'a\\0b' })\n"
    "assert(not none and err.kind == 'misuse')\n"
    "assert(client:redact('a-key-of-some-length-1234!') == '***!')\n"
    "assert(core.encode_uri('a/b') == 'a%2Fb')\n"
    "assert(client:set_credential('token', 'a-token'))\n"
    "assert(client:credential() == 'token')\n"
    "assert(tostring(client) .. tostring(inbox) .. tostring(call))\n"
    "call:free()\n"
    "inbox:close()\n"
    "client:close()\n";

/* Fails `burst` allocations from number `limit` on. 5.2 and later collect and
 * try each one again, so that to fail one takes two. */
static struct { long made, limit, burst; } failing = {0, -1, 0};

static int fails(void) {
  long made = failing.made++;

  return failing.limit >= 0 && made >= failing.limit &&
         made - failing.limit < failing.burst;
}

static void *allocate(void *context, void *memory, size_t old_size,
                      size_t size) {
  (void)context;
  if (size == 0) {
    free(memory);
    return NULL;
  }
  /* Lua counts on shrinking a block. */
  if ((!memory || size > old_size) && fails()) {
    return NULL;
  }
  return realloc(memory, size);
}

/* In one write: two would wait for each other's acknowledgement. */
static int serve(struct loopback *server, int fd,
                 const struct loop_request *req, int nth) {
  static const char events[] =
      "id: 1\nevent: n1\ndata: 1\n\n"
      "id: 2\nevent: n0\ndata: 2\n\n"
      "id: 3\nevent: n1\ndata: 3\nretry: 9\n\n";
  char answer[256];
  int is_events = strcmp(req->path, "/events") == 0;
  int size = snprintf(answer, sizeof(answer),
                      "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n"
                      "Content-Type: %s\r\n\r\n%s",
                      is_events ? strlen(events) : strlen(BODY),
                      is_events ? "text/event-stream" : "application/json",
                      is_events ? events : BODY);

  (void)server;
  (void)nth;
  return loop_write(fd, answer, (size_t)size) == 0;
}

static lua_State *state_open(void) {
  lua_State *L = lua_newstate(allocate, NULL);

  luaL_openlibs(L);
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, luaopen_freddy_core);
  lua_setfield(L, -2, "freddy.core");
  lua_settop(L, 0);
  return L;
}

/* A Lua stack that cannot grow is said to overflow. */
static int lacks_memory(const char *message) {
  return message && (strstr(message, "not enough memory") ||
                     strstr(message, "stack overflow") ||
                     strstr(message, "error in error handling"));
}

/* 1 when the script came to its end. */
static int script_run(lua_State *L, const char *base_url, long limit,
                      long burst) {
  int status;

  luaL_loadstring(L, script);
  lua_pushstring(L, base_url);
  lua_pushliteral(L, BODY);
  failing.made = 0;
  failing.burst = burst;
  failing.limit = limit;
  status = lua_pcall(L, 2, 0, 0);
  failing.limit = -1;
  if (status && !lacks_memory(lua_tostring(L, -1))) {
    CHECK_TEXT(lua_tostring(L, -1), "not enough memory");
  }
  lua_settop(L, 0);
  return status == 0;
}

/* Ends at the first `limit` that the script does not come to. */
static void torture(const char *base_url, const char *name, long burst) {
  long limit = 0;
  int reached;

  do {
    lua_State *L = state_open();

    UNIT_CASE("%s, allocation %ld", name, limit);
    CHECK(script_run(L, base_url, limit, burst) || failing.made > limit);
    reached = failing.made > limit;
    CHECK(script_run(L, base_url, -1, 0));
    lua_close(L);
    limit++;
  } while (reached && !unit_failed);
  printf("%s: %ld allocations failed\n", name, limit - 1);
}

int main(void) {
  static struct loopback server; /* its threads outlive main */
  char base_url[64];

  loop_start(&server, serve);
  snprintf(base_url, sizeof(base_url), "http://127.0.0.1:%u", server.port);
  torture(base_url, "one", LUA_VERSION_NUM > 501 ? 2 : 1);
  torture(base_url, "all that follow", 1000000000);
  freddy_shutdown();
  loop_stop(&server);
  return unit_end();
}
