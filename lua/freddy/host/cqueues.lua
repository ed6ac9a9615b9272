-- SPDX-License-Identifier: MIT
--- The host for cqueues: a call yields the coroutine that a controller runs,
--- and the others go on. While something is under way, a coroutine of ours in
--- the same controller serves what arrives. See block.lua for the interface.
local cqueues = require "cqueues"
local condition = require "cqueues.condition"

local BUDGET = 0.005 -- seconds of one turn of the loop that freddy may take

local BLOCKED = "nothing can wait here but the coroutines that a controller "
  .. "of cqueues runs (cq:wrap(function() ... end)) and freddy's own tasks"

local inbox = { events = "r" } -- what a controller watches
local busy = false             -- tasks or callbacks are left
local waiting = setmetatable({}, { __mode = "kv" }) -- entry -> controller
local serving = setmetatable({}, { __mode = "k" }) -- controller -> condition
local pump

---@type freddy.Host
local host = { name = "cqueues", yields = true }

function host.blocked()
  local controller, is_native = cqueues.running()
  return not (controller and is_native) and BLOCKED or nil
end

-- By those of one controller: another one may never be stepped again.
local function is_needed(controller)
  for _, its in pairs(waiting) do
    if its == controller then
      return true
    end
  end
  return busy
end

-- Those who serve look whether they still have to.
local function look()
  for controller, changed in pairs(serving) do
    if not is_needed(controller) then
      changed:signal()
    end
  end
end

local function serve(changed)
  local ok, problem = true, nil
  while ok and is_needed(cqueues.running()) do
    cqueues.poll(inbox, changed)
    ok, problem = pcall(pump.serve, BUDGET)
  end
  serving[cqueues.running()] = nil
  if not ok then
    error(problem, 0)
  end
end

local function start()
  local controller = cqueues.running()
  if controller and not serving[controller] then
    local changed = condition.new()
    serving[controller] = changed
    controller:wrap(serve, changed)
  end
end

function host.wait(entry)
  local done = condition.new()
  entry.done_condition = done
  waiting[entry] = cqueues.running()
  start()
  repeat
    done:wait()
  until entry.done
  waiting[entry] = nil
  look()
end

function host.wake(entry)
  if entry.done_condition then
    entry.done_condition:signal()
  end
end

-- One turn of the loop for the others.
function host.give_way()
  cqueues.poll(0)
end

function host.watch(fd, is_busy, with)
  inbox.pollfd, busy, pump = fd or inbox.pollfd, is_busy, with or pump
  if busy then
    start()
  else
    look()
  end
end

return host
