-- SPDX-License-Identifier: MIT
--- The pump: a light thread, one per worker and Lua state, that handles the
--- events of the engine inside nginx and wakes the light threads that wait.
---
--- It runs in a timer of its own, started when there is a call to wait for,
--- and sleeps on a connection to the engine (core: inbox:bell). When no call
--- has been open for a second it ends: an idle worker has no timer, and one
--- that is to exit is not held up.
local core = require "freddy.core"

local pump = {}

local ngx = rawget(_G, "ngx")
local now, co_running = core.now, coroutine.running
local exiting = ngx.worker.exiting

local SLICE = 0.001        -- seconds of events before others have their turn
local PAUSE = 0.001        -- for them; of 0 stock nginx complains in its log
local LINGER = 1           -- seconds without a call
local POLL = 0.002         -- seconds between looks without a connection
local FOREVER = 2147483647 -- milliseconds: nginx counts no further
-- nginx keeps a note of each coroutine for as long as the timer lives that
-- started it.
local MAX_SPAWNED = 200

---@class freddy.nginx.Pump
---@field work freddy.Pump
---@field turns integer how often it has looked for events
---@field used boolean whether a call was begun since the last look
---@field children thread[] light threads that it started
---@field spawned integer
---@field co? thread
---@field linger? table entry of the timer that lets it end
local current

pump.PAUSE = PAUSE

-- --- The connection to the engine ----------------------------------------

local function answered(box)
  for _ = 1, 1000 do
    if box:answer() then
      return true
    end
    ngx.sleep(0.001)
  end
end

-- nil where there is no loopback interface: then the pump polls.
local function connect(box)
  local port, secret = box:bell()
  if not port then
    return nil
  end
  local sock = ngx.socket.tcp()
  sock:settimeouts(1000, 1000, FOREVER) -- a read that times out is logged
  if sock:connect("127.0.0.1", port) and sock:send(secret)
      and answered(box) then
    return sock
  end
  sock:close()
  box:hang_up()
end

-- --- One turn ------------------------------------------------------------

local function drain(self)
  local step, limit = self.work.step, now() + SLICE
  self.turns = self.turns + 1
  self.work.flush()
  while step() do
    if now() >= limit then
      ngx.sleep(PAUSE)
      self.turns, limit = self.turns + 1, now() + SLICE
    end
  end
  self.work.flush()
end

-- A light thread that has ended stays in memory until its parent asks.
local function reap(self)
  local left = {}
  for i = 1, #self.children do
    local child = self.children[i]
    if coroutine.status(child) == "zombie" then
      ngx.thread.wait(child)
    else
      left[#left + 1] = child
    end
  end
  self.children = left
end

-- Whether nothing is left to do; else the linger timer runs.
local function is_over(self)
  local work, linger = self.work, self.linger
  if work.busy() then
    return false
  elseif exiting() or linger and linger.done and not self.used
      and not work.kept() then
    return true
  elseif not linger or linger.done then
    self.used, linger = false, { background = true }
    self.linger = linger
    return not work.timer(linger, LINGER)
  end
  return false
end

local function wait(box, sock)
  if not sock then
    ngx.sleep(POLL)
  elseif box:arm() and not sock:receive(1) then
    sock:close()
    return connect(box)
  end
  return sock
end

local function serve(self)
  local work = self.work
  local box = assert(work.inbox())
  local sock = connect(box)
  while current == self do
    drain(self)
    if #self.children > 0 then
      reap(self)
    end
    if self.spawned > MAX_SPAWNED or is_over(self) then
      break
    end
    sock = wait(box, sock)
  end
  if sock then
    sock:close()
  end
  if current == self then
    box:hang_up()
  end
end

local function run(_, self)
  if current ~= self then
    return
  end
  self.co = co_running()
  local ok, problem = xpcall(serve, debug.traceback, self)
  if not ok then
    ngx.log(ngx.ERR, "freddy: ", problem)
  end
  if current == self then
    current = nil
    if self.work.busy() then
      pump.engage(self.work)
    end
  end
end

-- --- For the host --------------------------------------------------------

--- See to it that events are handled. Never waits.
---@param work freddy.Pump
---@return boolean? ok
---@return string? why nginx would start no timer
function pump.engage(work)
  if current then
    current.used = true
    return true
  end
  local self = { work = work, turns = 0, used = true, children = {},
    spawned = 0 }
  local ok, why = ngx.timer.at(0, run, self)
  if not ok then
    return nil, why
  end
  current = self
  return true
end

--- Whether the pump has come to its end without a word: nginx drops a timer
--- that is one too many, and whoever calls ngx.exit in a callback ends all
--- that runs in it. Then the next `engage` starts another one.
---@param seen? integer what the last look returned
---@return integer seen for the next look
function pump.look(seen)
  local self = current
  if not self then
    return 0
  end
  local box = self.work.inbox()
  if seen == self.turns and box and box:ready() then
    current = nil
  end
  return self.turns
end

--- Start a light thread.
---@param fn function
---@param ... any its arguments
---@return true
function pump.spawn(fn, ...)
  local child = ngx.thread.spawn(fn, ...)
  local self = current
  if self and self.co == co_running() then
    self.spawned = self.spawned + 1
    self.children[#self.children + 1] = child
  end
  return true
end

return pump
