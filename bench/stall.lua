-- SPDX-License-Identifier: MIT
--- stall.lua BASE HANDSHAKES CA: what the host's thread pays while a resolver
--- hangs (to be run under slow_resolver_preload.so) and ten TLS connects are
--- under way. Prints p50, p99 and max, in ms, of: starting a call, polling
--- when something is there, cancelling, dropping the last reference and
--- collecting, polling that brings a timeout; then p99 of a collection that
--- finds nothing and of how late the timeouts come.
local unpack = rawget(table, "unpack") or rawget(_G, "unpack")
local base, handshakes, ca = unpack(arg)
local core = require "freddy.core"
local freddy = require "freddy"

local HANGING = 3 -- seconds
local CONNECTS = 10
local TIMEOUT = 0.03
local FRAME = 0.002

local clock = core.now
local kinds = {
  start = {}, poll = {}, cancel = {}, drop = {}, timeout = {}, idle = {},
  late = {},
}

local function note(kind, began)
  local took = (clock() - began) * 1e3
  table.insert(kinds[kind], took)
end

local slow = assert(freddy.new {
  base_url = "https://slow.test", api_key = "benchmark-key",
})
local tls = assert(freddy.new {
  base_url = handshakes, ca_file = ca, api_key = "benchmark-key",
  http_version = "1.1",
})
local quick = assert(freddy.new { base_url = base, auth = "none" })

local connecting, brought = 0, nil

local function on_connected(res, err)
  assert(res, err)
  connecting = connecting - 1
end

local function on_quick(res, err)
  assert(res, err)
end

local function on_end(_, err)
  assert(err)
end

local function send_with_timeout()
  local due = clock() + TIMEOUT
  slow:send({ path = "/", timeout = TIMEOUT }, function(_, err)
    assert(err.kind == "timeout", tostring(err))
    brought = true
    note("late", due)
  end)
end

local function poll()
  brought = false
  local began = clock()
  local count = freddy.poll(0)
  if count > 0 then
    note(brought and "timeout" or "poll", began)
  end
  return count
end

local function start_and_cancel()
  local began = clock()
  local call = slow:send({ path = "/" }, on_end)
  note("start", began)
  poll()
  began = clock()
  call:cancel()
  note("cancel", began)
end

-- A host that drops the coroutine in which a call waits.
local function drop()
  local began = clock()
  collectgarbage()
  note("idle", began)
  local dropped = coroutine.create(function()
    freddy.use { name = "dropping", wait = coroutine.yield }
    slow:get("/")
  end)
  assert(coroutine.resume(dropped))
  dropped = nil -- luacheck: ignore
  freddy.use("block")
  began = clock()
  collectgarbage()
  note("drop", began)
end

local function connect()
  if connecting == 0 then
    for _ = 1, CONNECTS do
      connecting = connecting + 1
      tls:send({ path = "/small" }, on_connected)
    end
  end
end

-- Frames, as in a game: a thread that never sleeps is soon interrupted by the
-- system, and that is not what is asked.
local frame = assert(core.inbox())
local ends = clock() + HANGING
repeat
  connect()
  send_with_timeout()
  quick:send({ path = "/small", auth = false }, on_quick)
  start_and_cancel()
  drop()
  frame:wait(FRAME)
  repeat
    local count = poll()
  until count == 0
until clock() > ends

local function part(list, share)
  return list[math.max(1, math.ceil(#list * share))] or -1
end

local out = {}
for _, kind in ipairs { "start", "poll", "cancel", "drop", "timeout" } do
  local list = kinds[kind]
  table.sort(list)
  for _, share in ipairs { 0.5, 0.99, 1 } do
    out[#out + 1] = ("%.4f"):format(part(list, share))
  end
end
for _, kind in ipairs { "idle", "late" } do
  table.sort(kinds[kind])
  out[#out + 1] = ("%.4f"):format(part(kinds[kind], 0.99))
end
print(table.concat(out, " "))
os.exit(0)
