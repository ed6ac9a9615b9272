/* SPDX-License-Identifier: MIT */
/* fork() under Lua: what the child may use, what it may not, and that nothing
 * it does, lua_close and exit included, is felt by its parent. Each chunk
 * below runs in a state of its own; a child ends by returning from it: then
 * its state is closed and it exits. */
#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif

#include "engine_util.h"

int luaopen_freddy_core(lua_State *L);

static pid_t main_process;

/* A child forgets its parent's engine on purpose: leaks are looked for
 * in the parent only. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void) {
  return getpid() != main_process;
}

const char *__tsan_default_options(void);
const char *__tsan_default_options(void) {
  return "die_after_fork=0";
}

enum { PIECES = 4000, PIECE = 1000, BIG = 150000 };

static char big[2 * BIG + 2];

/* The server has a process of its own, so that no thread of the host's is
 * within malloc at a fork: the sanitizers' allocators do not bear that. */
struct shared {
  struct loopback server;
  atomic_int ready;
  atomic_int released; /* /gate answers once it is set */
};
static struct shared *shared;

/* --- The server --------------------------------------------------------- */

static int stream_pieces(int fd) {
  char piece[PIECE];
  char head[128];
  int n = snprintf(head, sizeof(head),
                   "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n",
                   PIECES * PIECE);
  int rc = loop_write(fd, head, (size_t)n);

  for (int i = 0; i < PIECES && !rc; i++) {
    memset(piece, 'a' + i % 26, sizeof(piece));
    rc = loop_write(fd, piece, sizeof(piece));
  }
  return rc == 0;
}

/* An array of BIG numbers. */
static void fill_big(void) {
  for (int i = 0; i < BIG; i++) {
    big[2 * i] = i ? ',' : '[';
    big[2 * i + 1] = '1';
  }
  big[2 * BIG] = ']';
}

static int serve(struct loopback *server, int fd,
                 const struct loop_request *req, int nth) {
  const struct timespec pause = {0, 1000000};
  char byte;

  (void)server;
  (void)nth;
  if (strcmp(req->path, "/silent") == 0) {
    return recv(fd, &byte, 1, 0) > 0;
  }
  if (strcmp(req->path, "/stream") == 0) {
    return stream_pieces(fd);
  }
  if (strcmp(req->path, "/big") == 0) {
    return loop_answer(fd, 200, "Content-Type: application/json\r\n", big) ==
           0;
  }
  while (strcmp(req->path, "/gate") == 0 && !atomic_load(&shared->released)) {
    nanosleep(&pause, NULL);
  }
  return loop_answer(fd, 200, "Content-Type: application/json\r\n",
                     "{\"ok\":true}") == 0;
}

static pid_t start_server(char *url, size_t size) {
  pid_t pid;

  shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pid = shared == MAP_FAILED ? -1 : fork();
  if (pid < 0) {
    perror("server");
    exit(2);
  }
  if (pid == 0) {
    fill_big();
    loop_start(&shared->server, serve);
    atomic_store(&shared->ready, 1);
    while (getppid() == main_process) {
      sleep(1); /* until it is killed, or alone */
    }
    _exit(0);
  }
  EVENTUALLY(atomic_load(&shared->ready));
  snprintf(url, size, "http://127.0.0.1:%u", shared->server.port);
  return pid;
}

/* --- What the chunks can call ------------------------------------------- */

static int l_fork(lua_State *L) {
  pid_t pid;

  fflush(stdout);
  pid = fork();
  if (pid == 0) {
    unit_failed = 0;
#ifdef VALGRIND_CLO_CHANGE
    VALGRIND_CLO_CHANGE("--leak-check=no"); /* it forgets on purpose */
#endif
  }
  lua_pushinteger(L, pid);
  return 1;
}

/* The exit code; 1000 + the signal that killed it; 2000 when it hung. */
static int l_wait(lua_State *L) {
  pid_t pid = (pid_t)luaL_checkinteger(L, 1);
  time_t until = time(NULL) + PATIENCE;
  int status = 0;

  while (waitpid(pid, &status, WNOHANG) == 0) {
    struct timespec pause = {0, 1000000};

    if (time(NULL) > until) {
      kill(pid, SIGKILL);
      waitpid(pid, &status, 0);
      lua_pushinteger(L, 2000);
      return 1;
    }
    nanosleep(&pause, NULL);
  }
  lua_pushinteger(
      L, WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status));
  return 1;
}

static int l_equal(lua_State *L) {
  const char *what = luaL_checkstring(L, 1);

  lua_settop(L, 3);
  UNIT_CASE("%s %s", getpid() == main_process ? "parent:" : "child:", what);
  if (!unit_check(lua_compare(L, 2, 3, LUA_OPEQ), __FILE__, __LINE__,
                  "equal")) {
    printf("  got %s", luaL_tolstring(L, 2, NULL));
    printf(", want %s\n", luaL_tolstring(L, 3, NULL));
  }
  return 0;
}

static int l_release(lua_State *L) {
  atomic_store(&shared->released, lua_toboolean(L, 1));
  return 0;
}

/* --- Running them ------------------------------------------------------- */

/* new() makes a client; used(c), one that has been used; works(c) sees it at
 * work; forked(what, value, err) wants that failure; child(fn) forks, and is
 * the child's exit code to the parent; `fn` returns to end the child. */
static const char prelude[] =
    "freddy, core = require 'freddy', require 'freddy.core'\n"
    "function new()\n"
    "  return assert(freddy.new{ base_url = base_url, api_key = 'a-key' })\n"
    "end\n"
    "function works(c)\n"
    "  local res, err = c:get '/hello'\n"
    "  equal('fresh request', res and res.status or tostring(err), 200)\n"
    "end\n"
    "function used()\n"
    "  local c = new()\n"
    "  works(c)\n"
    "  return c\n"
    "end\n"
    "function forked(what, value, err)\n"
    "  equal(what .. ' has no value', value, nil)\n"
    "  equal(what .. ' is forked', err and err.kind, 'forked')\n"
    "end\n"
    "END = {}\n"
    "function child(fn)\n"
    "  local pid = fork()\n"
    "  if pid == 0 then\n"
    "    fn()\n"
    "    error(END, 0)\n"
    "  end\n"
    "  return wait(pid)\n"
    "end\n";

static lua_State *state_open(const char *base_url) {
  const char *top = getenv("FY_TEST_TOP");
  lua_State *L = luaL_newstate();

  luaL_openlibs(L);
  lua_register(L, "fork", l_fork);
  lua_register(L, "wait", l_wait);
  lua_register(L, "equal", l_equal);
  lua_register(L, "release", l_release);
  lua_pushstring(L, base_url);
  lua_setglobal(L, "base_url");
  lua_getglobal(L, "package");
  lua_pushfstring(L, "%s/lua/?.lua", top ? top : ".");
  lua_setfield(L, -2, "path");
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, luaopen_freddy_core);
  lua_setfield(L, -2, "freddy.core");
  lua_settop(L, 0);
  return L;
}

static int is_end(lua_State *L) {
  int end;

  lua_getglobal(L, "END");
  end = lua_rawequal(L, -1, -2);
  lua_pop(L, 1);
  return end;
}

static void run(const char *name, const char *chunk, const char *base_url) {
  lua_State *L = state_open(base_url);

  atomic_store(&shared->released, 0);
  UNIT_CASE("%s", name);
  if (luaL_dostring(L, prelude) || luaL_dostring(L, chunk)) {
    if (!is_end(L)) {
      printf("%s: %s\n", name, luaL_tolstring(L, -1, NULL));
      CHECK(!"raised");
    }
  }
  lua_close(L);
  if (getpid() != main_process) {
    exit(unit_failed ? 1 : 0); /* its handlers run, as at the end of lua */
  }
  atomic_store(&shared->released, 1);
}

/* --- The chunks --------------------------------------------------------- */

static const char unused_client[] =
    "local c = new()\n"
    "equal('child 1', child(function() works(c) works(c) end), 0)\n"
    "equal('child 2', child(function() works(c) end), 0)\n"
    "works(c)\n";

/* Calls, tasks and sleepers that wait while the fork happens. */
static const char used_client[] =
    "local c = used()\n"
    "local got, done = {}, 0\n"
    "c:send({ path = '/gate' }, function(res, err)\n"
    "  done, got = done + 1, { res, err }\n"
    "end)\n"
    "local task = freddy.spawn(function() return c:get '/gate' end)\n"
    "local sleeper = freddy.spawn(function() return freddy.sleep(600) end)\n"
    "local raw_box = assert(core.inbox())\n"
    "local raw = assert(c.core:start(raw_box, 1, { path = '/gate' }))\n"
    "for i = 1, 5 do\n"
    "  equal('child', child(function()\n"
    "    if i > 3 then\n"
    "      freddy.poll()\n"
    "    else\n"
    "      forked('request', c:get '/hello')\n"
    "      freddy.poll()\n"
    "    end\n"
    "    equal('callbacks', done, 1)\n"
    "    forked('callback', got[1], got[2])\n"
    "    forked('task', task:wait())\n"
    "    forked('sleep', sleeper:wait())\n"
    "    equal('raw event', raw_box:next(), nil)\n"
    "    equal('raw wait', raw_box:wait(10), false)\n"
    "    forked('raw call', raw:result())\n"
    "    raw:cancel()\n"
    "    raw:free()\n"
    "    raw_box:close()\n"
    "    forked('client again', c:get '/hello')\n"
    "    c:send({ path = '/hello' }, function(...) got = { ... } end)\n"
    "    freddy.poll()\n"
    "    forked('new callback', got[1], got[2])\n"
    "    c:close()\n"
    "    c = nil\n"
    "    collectgarbage()\n"
    "    works(new())\n"
    "    equal('a task', freddy.run(function()\n"
    "      freddy.sleep(0)\n"
    "      works(new())\n"
    "      return 'ran'\n"
    "    end), 'ran')\n"
    "  end), 0)\n"
    "end\n"
    "freddy.poll()\n"
    "equal('callbacks before the gate opens', done, 0)\n"
    "equal('task before the gate opens', task:status(), 'waiting')\n"
    "release(true)\n"
    "equal('task', task:wait().status, 200)\n"
    "sleeper:cancel()\n"
    "freddy.run(function() end)\n"
    "equal('callback', got[1] and got[1].status, 200)\n"
    "works(c)\n";

/* The children close their states, collect or exit, in the midst of it. */
static const char parent_streams[] =
    "local c, box = new(), assert(core.inbox())\n"
    "local call = assert(c.core:start(box, 1,\n"
    "  { path = '/stream', stream = true }))\n"
    "local size, ended, children = 0, false, 0\n"
    "local limit = core.now() + 60\n"
    "local ways = { function() end,\n"
    "  function() c, call, box = nil collectgarbage() end,\n"
    "  function() os.exit(0) end,\n"
    "  function() call:free() box:close() c:close() works(new()) end }\n"
    "while not ended and core.now() < limit do\n"
    "  local id, what, data = box:next()\n"
    "  if not id then box:wait(1) end\n"
    "  if what == 'data' then\n"
    "    for at = 1, #data do\n"
    "      local want = 97 + (size + at - 1) // 1000 % 26\n"
    "      if data:byte(at) ~= want then error('wrong byte') end\n"
    "    end\n"
    "    size = size + #data\n"
    "  end\n"
    "  ended = what == 'done'\n"
    "  if children < 8 and size > children * 400000 then\n"
    "    children = children + 1\n"
    "    equal('child', child(ways[children % 4 + 1]), 0)\n"
    "  end\n"
    "end\n"
    "equal('children', children, 8)\n"
    "equal('bytes', size, 4000000)\n"
    "equal('error', select(2, call:result()), nil)\n";

/* From within a task, and from within a callback while another call blocks:
 * the child goes on in the midst of the scheduler. */
static const char within[] =
    "local c = used()\n"
    "local code\n"
    "freddy.run(function()\n"
    "  freddy.sleep(0)\n"
    "  code = child(function()\n"
    "    forked('in a task', c:get '/hello')\n"
    "    works(new())\n"
    "  end)\n"
    "end)\n"
    "equal('child of a task', code, 0)\n"
    "local pid\n"
    "c:send({ path = '/hello' }, function()\n"
    "  pid = fork()\n"
    "  if pid ~= 0 then release(true) end\n"
    "end)\n"
    "local res, err = c:get '/gate'\n"
    "if pid == 0 then\n"
    "  forked('the call that blocked', res, err)\n"
    "  works(new())\n"
    "  return\n"
    "end\n"
    "equal('the call that blocked', res and res.status, 200)\n"
    "equal('child of a callback', wait(pid), 0)\n";

static const char grandchild[] =
    "local c = used()\n"
    "equal('child', child(function()\n"
    "  local mine, unused = used(), new()\n"
    "  equal('grandchild', child(function()\n"
    "    forked('grandparent', c:get '/hello')\n"
    "    forked('parent', mine:get '/hello')\n"
    "    works(unused)\n"
    "  end), 0)\n"
    "  works(mine)\n"
    "  works(unused)\n"
    "end), 0)\n"
    "works(c)\n";

/* The child leaves with requests of its own in flight. */
static const char child_exits[] =
    "local c = used()\n"
    "for i = 1, 10 do\n"
    "  equal('child', child(function()\n"
    "    local own = new()\n"
    "    for _ = 1, 20 do own:send({ path = '/silent' }, print) end\n"
    "    if i % 2 == 0 then freddy.sleep(i / 1000) end\n"
    "    if i % 3 ~= 0 then os.exit(5, i % 3 == 1) end\n"
    "  end), i % 3 == 0 and 0 or 5)\n"
    "  works(c)\n"
    "end\n";

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
/* Forks while the I/O thread decodes; the child starts one of its own. */
static const char decoding[] =
    "local c = used()\n"
    "local good = 0\n"
    "local function count(res)\n"
    "  good = good + (res and #res.data == 150000 and 1 or 0)\n"
    "end\n"
    "for i = 1, 10 do\n"
    "  for _ = 1, 4 do c:send({ path = '/big' }, count) end\n"
    "  freddy.sleep(i / 2000)\n"
    "  equal('child', child(function()\n"
    "    local res, err = new():get '/big'\n"
    "    equal('decoded', res and #res.data or tostring(err), 150000)\n"
    "  end), 0)\n"
    "end\n"
    "freddy.run(function() end)\n"
    "equal('decoded', good, 40)\n";
#endif

int main(void) {
  char url[64];
  pid_t server;

  signal(SIGPIPE, SIG_IGN);
  setvbuf(stdout, NULL, _IOLBF, 0);
  main_process = getpid();
  server = start_server(url, sizeof(url));
  run("an unused client", unused_client, url);
  run("used ones", used_client, url);
  run("a parent that streams", parent_streams, url);
  run("within the scheduler", within, url);
  run("a grandchild", grandchild, url);
  run("a child that exits", child_exits, url);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  run("large answers", decoding, url); /* their allocators do not fork */
#endif
  freddy_shutdown();
  kill(server, SIGKILL);
  waitpid(server, NULL, 0);
  return unit_end();
}
