#!/bin/sh
# SPDX-License-Identifier: MIT
# While a name server hangs: no call takes the host's thread, other transfers
# go on, and the hanging look-ups stay within their bound. A limit of 100 ms
# where a thousandth of it is usual: this asks whether something waits for the
# name server, not how fast it is. bench/stall.lua measures that.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build}
passed=0
failed=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

case ${FLAVOUR-} in
  asan) preload=$(${CC:-cc} -print-file-name=libasan.so) ;;
  tsan) preload=$(${CC:-cc} -print-file-name=libtsan.so) ;;
  *) preload= ;;
esac
resolver=$build/spec/slow_resolver_preload.so
${MAKE:-make} -s --no-print-directory FLAVOUR="${FLAVOUR-}" "$resolver" ||
  exit 1
preload="${preload:+$preload }$PWD/$resolver"

cat > "$work/stall.lua" <<'END'
local core = require "freddy.core"
local freddy = require "freddy"

local LIMIT = 0.1
local CALLS = 50
local clock = core.now

local function test(name, ok, detail)
  print((ok and "ok " or "FAIL ") .. name .. (ok and "" or ": "
    .. tostring(detail)))
end

local longest = {}
local function timed(kind, fn)
  local began = clock()
  local result = fn()
  longest[kind] = math.max(longest[kind] or 0, clock() - began)
  return result
end

local function threads()
  local pipe = io.open("/proc/self/status")
  local count = tonumber(pipe:read("*a"):match("Threads:%s*(%d+)"))
  pipe:close()
  return count
end

local slow = assert(freddy.new {
  base_url = "https://slow.test", api_key = "a-key-for-the-spec",
})
local quick = assert(freddy.new {
  base_url = os.getenv("FY_TEST_EMULATOR_HTTP"), auth = "none",
})

-- Before anything hangs: the engine runs, and one connection is open.
local res, err = quick:get("/v1/health", { auth = false })
test("a quick request", res, err)
local before = threads()

-- Poll until `fn` holds; false when it never does.
local function eventually(fn)
  local frame = assert(core.inbox())
  local ends = clock() + 20
  repeat
    if fn() then
      return true
    end
    frame:wait(0.002)
    timed("poll", function() freddy.poll(0) end)
  until clock() > ends
  return false
end

local kinds = {}
local function on_end(_, failure)
  local kind = failure and failure.kind or "none"
  kinds[kind] = (kinds[kind] or 0) + 1
end

local most = 0
local calls = {}
for i = 1, CALLS do
  calls[i] = timed("start", function()
    return slow:send({ path = "/" }, on_end)
  end)
end
local hanging = eventually(function()
  return threads() > before
end)
test("a look-up hangs", hanging, threads() - before)

-- Others go on.
local answered = false
quick:send({ path = "/v1/health", auth = false }, function(answer, failure)
  answered = answer and true or failure
end)
local asked = clock()
eventually(function() return answered end)
test("a request to another host is answered", answered == true, answered)
test("at once", clock() - asked < 2, clock() - asked)

-- A time-out comes in spite of it.
local timed_out
slow:send({ path = "/", timeout = 0.05 }, function(_, failure)
  timed_out = failure
end)
eventually(function() return timed_out end)
test("a request to the host that hangs times out",
  timed_out and timed_out.kind == "timeout", timed_out)

for i = 1, CALLS do
  timed("cancel", function() calls[i]:cancel() end)
  most = math.max(most, threads() - before)
end
eventually(function() return kinds.cancelled == CALLS end)
test("all are cancelled", kinds.cancelled == CALLS, kinds.cancelled)

-- The last reference: a coroutine that waits, and the client.
local waiting, dropped = {}, setmetatable({}, { __mode = "v" })
for i = 1, CALLS do
  local co = coroutine.create(function()
    freddy.use { name = "dropping", wait = coroutine.yield }
    slow:get("https://slow" .. i .. ".test/", { auth = false })
  end)
  assert(coroutine.resume(co))
  waiting[i], dropped[i] = co, co
end
freddy.use "block"
eventually(function() return threads() - before >= 16 end)
most = math.max(most, threads() - before)
waiting = nil
timed("drop", function()
  collectgarbage()
  collectgarbage()
end)
test("what waited was collected", next(dropped) == nil, "a coroutine lives")
slow = nil
timed("drop", function()
  collectgarbage()
  collectgarbage()
end)
most = math.max(most, threads() - before)

for _, kind in ipairs { "start", "poll", "cancel", "drop" } do
  test(kind .. " never waits", longest[kind] < LIMIT, longest[kind])
end
test("at most 16 look-ups hang", most <= 16, most)
test("sixteen of them did", most == 16, most)
print("end")
os.exit(0)
END

for lua in ${FOUND_LUAS:-lua5.1 lua5.2 lua5.3 lua5.4 luajit}; do
  command -v "$lua" > /dev/null || continue
  LUA_PATH="$PWD/lua/?.lua;;" LUA_CPATH="$PWD/$build/$lua/?.so;;" \
    FY_SLOW_RESOLVER_MS=30000 LD_PRELOAD=$preload \
    "$lua" "$work/stall.lua" > "$work/out" 2>&1
  status=$?
  passed=$((passed + $(grep -c '^ok ' "$work/out")))
  failed=$((failed + $(grep -c '^FAIL ' "$work/out")))
  if [ $status != 0 ] || ! grep -q '^end$' "$work/out"; then
    failed=$((failed + 1))
    printf 'FAIL  %s: exit %s before its end\n' "$lua" $status
  fi
  grep -v -e '^ok ' -e '^end$' "$work/out" | sed "s/^/$lua: /"
done

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
