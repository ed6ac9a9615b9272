-- SPDX-License-Identifier: MIT
--- The host for copas: a call yields the thread that makes it, and the others
--- go on. While something is under way, a thread of ours serves what arrives
--- (see block.lua). Copas wakes threads whose sockets are readable, and select
--- takes anything with a descriptor for one: a *place* is, once its entry is
--- done. It has the inbox's, which is then skipped, and so counts as readable.
local copas = require "copas"
local misuse = require "freddy.misuse"

local BUDGET = 0.005 -- seconds of one turn of the loop that freddy may take
local BLOCKED = "nothing can wait here but a thread of copas "
  .. "(copas.addthread(function() ... end)) and freddy's own tasks"

local fd, pump, serving
local busy = false -- tasks or callbacks are left
local hidden -- true: the inbox, by a place that is done
local waiting = setmetatable({}, { __mode = "k" }) -- entries

local Place = {} -- { entry = (nil: the inbox), yielded =, seen = }
Place.__index = Place
local function is_needed()
  return busy or next(waiting) ~= nil
end

-- Asked by socket.select, before it waits: copas has the thread.
function Place:getfd()
  self.seen = true
  hidden = hidden or self.entry and self.entry.done
  return (not self.entry or self.entry.done) and fd or -1
end

-- Asked of those with a descriptor, after: whether it need not be looked at.
function Place:dirty()
  return self.entry ~= nil or hidden or not is_needed()
end

-- Asked by copas.receive, which yields the thread after a "timeout".
function Place:receive()
  if self.yielded then -- and was resumed: by copas?
    return self.seen, not self.seen and "stray"
  end
  self.yielded = true
  return nil, "timeout"
end

function Place.close() end

local function stay(entry)
  return copas.receive(setmetatable({ entry = entry }, Place))
end

local function serve()
  local ok, problem = true, nil
  while ok and is_needed() do
    stay(nil)
    hidden = false
    ok, problem = pcall(pump.serve, BUDGET)
  end
  serving = false
  if not ok then error(problem, 0) end
end

local function start()
  if not serving then
    serving = true
    copas.addthread(serve)
  end
end

---@type freddy.Host
local host = { name = "copas", yields = true }

function host.blocked()
  local co, is_main = coroutine.running()
  return (not co or is_main) and BLOCKED or nil
end

function host.wait(entry)
  waiting[entry] = true
  start()
  local _, why
  repeat
    _, why = stay(entry)
  until entry.done or why == "stray"
  waiting[entry] = nil
  if why == "stray" then
    misuse.raise("%s", BLOCKED)
  end
end

function host.give_way() stay { done = true } end

function host.watch(new_fd, is_busy, with)
  fd, busy, pump = new_fd or fd, is_busy, with or pump
  if busy then
    start()
  end
end

return host
