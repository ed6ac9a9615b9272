-- SPDX-License-Identifier: MIT
--- frames.lua BASE HANDSHAKES CA SECONDS COLLECTOR: a game of 60 frames a
--- second that polls with a budget of 2 ms, while tokens are renewed, event
--- streams are read, ten TLS connects are under way, a resolver hangs (to be
--- run under slow_resolver_preload.so), and once 10,000 tasks are due at one
--- moment. COLLECTOR is `own`: as the interpreter has it, in the polls too; or
--- `apart`: in steps between the polls, 2 ms a frame.
--- Prints the polls: how many, p50, p99 and max in ms; the share of them that
--- took over 3 ms, in %; the longest frames' worth of the burst; what was
--- begun and has not come; how often tokens were renewed; by how much a loop
--- of 2 ms that does nothing was late, p99 and max; the polls' p99 and max
--- less the time that the thread waited for a processor, and the p99 of that,
--- -1 where the system does not tell; and the collector's longest step.
local unpack = rawget(table, "unpack") or rawget(_G, "unpack")
local base, handshakes, ca, seconds, collector = unpack(arg)
local core = require "freddy.core"
local freddy = require "freddy"
freddy.use "loop"

local FRAME, BUDGET, OVER = 1 / 60, 0.002, 3
local BURST, BURST_AT = 10000, 1 / 3
local CONNECTS = 10

local clock = core.now
local renewed = 0

local session = assert(freddy.new {
  base_url = base,
  token_provider = function()
    renewed = renewed + 1
    freddy.sleep(0.05)
    return { access_token = "token-" .. renewed, expires_in = 1 }
  end,
})
local tls = assert(freddy.new {
  base_url = handshakes, ca_file = ca, api_key = "benchmark-key",
  http_version = "1.1",
})
local slow = assert(freddy.new {
  base_url = "https://slow.test", api_key = "benchmark-key",
})

local playing = true
local begun, come = 0, 0

local function keep_on(fn)
  freddy.spawn(function()
    while playing do
      begun = begun + 1
      fn()
      come = come + 1
    end
  end)
end

for _ = 1, 4 do
  keep_on(function() freddy.assert(session:get("/small")) end)
end
for _ = 1, 4 do
  keep_on(function()
    local stream = freddy.assert(session:stream("/events"))
    local count = 0
    while stream:next() do
      count = count + 1
    end
    assert(count == 4, "an event of a stream was lost")
  end)
end
for _ = 1, CONNECTS do
  keep_on(function() freddy.assert(tls:get("/small")) end)
end
local names = 0
keep_on(function()
  names = names + 1 -- what was looked up once is known
  local _, err = slow:get(("https://slow%d.test/"):format(names),
    { timeout = 0.2, auth = false })
  assert(err.kind == "timeout", tostring(err))
end)

local burst_began, burst_ended, burst_frames
local function burst(at)
  for _ = 1, BURST do
    begun = begun + 1
    freddy.spawn(function()
      freddy.sleep(math.max(0, at - clock()))
      burst_began = burst_began or clock()
      come, burst_ended = come + 1, clock()
    end)
  end
end

-- What the machine itself takes from a thread that only looks at the clock.
local SPIN = 0.002
local function spin()
  local began = clock()
  local now
  repeat
    now = clock()
  until now - began >= SPIN
  return (now - began - SPIN) * 1e3
end

-- How long this thread has been ready to run and did not, in ms.
local stat = io.open "/proc/self/schedstat"
if stat then
  stat:setvbuf "no"
end
local function waited()
  if not stat then
    return 0
  end
  stat:seek "set"
  local _, ns = stat:read("*n", "*n")
  return ns / 1e6
end

-- A step cannot be cut short; one that is asked for sets the collector of
-- Lua 5.1 and LuaJIT going again. What it freed in small pieces, glibc joins
-- when next a large one is wanted: ten thousand tasks' take it 5 to 10 ms.
local LARGE = 2048
local COLLECT = 0.002
local longest_step = 0
local function collect()
  local now = clock()
  local ends = now + COLLECT
  repeat
    local began = now
    local has_ended = collectgarbage("step", 0)
    string.rep("x", LARGE)
    now = clock()
    longest_step = math.max(longest_step, (now - began) * 1e3)
  until has_ended or now >= ends
  collectgarbage "stop"
end

if collector == "apart" then
  if _VERSION == "Lua 5.4" then
    collectgarbage("incremental", 0, 0, 10) -- in smaller steps than usual
  end
  collectgarbage "stop"
end

local polls, rests, waits, noise = {}, {}, {}, {}
local function poll()
  local before = waited()
  local began = clock()
  freddy.poll(BUDGET)
  local took = (clock() - began) * 1e3
  local wait = waited() - before
  polls[#polls + 1], waits[#waits + 1] = took, wait
  rests[#rests + 1] = math.max(0, took - wait)
end

local started = clock()
local next_frame, ends = started, started + tonumber(seconds)
local burst_at = started + tonumber(seconds) * BURST_AT
local resting = assert(core.inbox())
while clock() < ends or come < begun and clock() < ends + 20 do
  if burst_at and clock() >= burst_at then
    burst_at = nil
    burst(clock() + 1)
  end
  playing = clock() < ends
  spin() -- the game's own work: what comes late in a frame is preempted more
  if #polls % 2 == 0 then
    poll()
    noise[#noise + 1] = spin()
  else
    noise[#noise + 1] = spin()
    poll()
  end
  if collector == "apart" then
    collect()
  end
  next_frame = next_frame + FRAME
  while clock() < next_frame do
    resting:wait(next_frame - clock()) -- nothing ever comes to this one
  end
end
burst_frames = (burst_ended - burst_began) / FRAME

local function at(list, share)
  return list[math.ceil(#list * share)]
end
for _, list in ipairs { polls, rests, waits, noise } do
  table.sort(list)
end
local over = 0
for i = 1, #polls do
  over = over + (polls[i] > OVER and 1 or 0)
end
print(("%d %.3f %.3f %.3f %.2f %.0f %d %d"):format(#polls, at(polls, 0.5),
  at(polls, 0.99), at(polls, 1), 100 * over / #polls, burst_frames,
  begun - come, renewed))
print(("%.3f %.3f %.3f %.3f %.3f %.3f"):format(at(noise, 0.99), at(noise, 1),
  at(rests, 0.99), at(rests, 1), stat and at(waits, 0.99) or -1,
  longest_step))
os.exit(0)
