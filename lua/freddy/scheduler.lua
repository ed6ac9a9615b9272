-- SPDX-License-Identifier: MIT
--- Waiting: one inbox per Lua state, the calls that report to it, and the
--- tasks (see coroutines.lua) that wait for them.
---
--- An *entry* is anything that can be waited for:
---   done     becomes true, once
---   call     the core's call or timer, when there is one behind it
---   on_done  optional function(entry): called once instead of waking anybody
---   on_event optional function(entry, event, ...): all other events
---   task     the task that waits for it in its own coroutine, if any
---   forked   true when it belonged to the process before a fork
--- An entry that somebody waits for is held weakly, here and by the core: a
--- coroutine that its host drops takes its call along at the next collection,
--- and the call's finalizer cancels it.
local core = require "freddy.core"
local coroutines = require "freddy.coroutines"
local errors = require "freddy.errors"
local hosted = require "freddy.hosted"
local hosts = require "freddy.hosts"
local misuse = require "freddy.misuse"
local open_calls = require "freddy.open_calls"

local scheduler = {
  host = hosts.current,
}

local co_status, co_yield = coroutine.status, coroutine.yield
local WAIT, now, by_co = coroutines.WAIT, coroutines.now, coroutines.by_co
local running_task, run = coroutines.task, coroutines.resume

-- How many events one may take in a row while others wait for theirs.
local MAX_TURN = 32

local inbox       -- made at the first need
local watched_fd  -- true once somebody has asked for the descriptor
local pending = 0 -- tasks and held calls that have not ended
local idlers = {} -- entries that are done when `pending` reaches 0
local ready = {}  -- tasks to resume, from `first` to `last`
local first, last = 1, 0
local polling = false
local deadline    -- of the poll that runs, when it has one
local handled = 0 -- events that were taken without one of the inbox's
local turn = 0    -- those since somebody else had a turn
local resumed     -- the last step was a task's, the next is an event's

--- Called before each step outside of tasks: reports failures that nobody
--- has asked for. Set by task.lua.
scheduler.flush = function() end

--- Use another host from now on; nil picks one again.
---@param new freddy.Host?
function scheduler.use(new)
  local old = hosts.current()
  if old ~= new and old.watch then
    old.watch(nil, false)
  end
  hosts.use(new)
  if inbox then
    scheduler.tell_host()
  end
end

-- --- Tasks ---------------------------------------------------------------

local function push_ready(task)
  last = last + 1
  ready[last] = task
end

local function begin_one()
  pending = pending + 1
  if pending == 1 and inbox then
    scheduler.tell_host()
  end
end

local function end_one()
  pending = pending - 1
  if pending == 0 and inbox then
    scheduler.tell_host()
  end
  if pending == 0 and #idlers > 0 then
    local list = idlers
    idlers = {}
    for i = 1, #list do
      scheduler.complete(list[i])
    end
  end
end

local function resume(task, ...)
  if co_status(task.co) ~= "suspended" then
    return
  end
  turn = 0
  if run(task, ...) then
    end_one()
  end
end

-- Where the host can start none, a step does so.
local function start_hosted(task, ...)
  if not hosts.current().start(hosted.run, task, task.fn, ...) then
    task.fn = hosted.bind(task.fn, ...)
    scheduler.engage "freddy.spawn"
    push_ready(task)
  end
end

--- Run a new task at once, until its first wait.
---@param task table with fn (or co) and finish
---@param ... any arguments of its function
function scheduler.start_task(task, ...)
  if not task.co and hosts.have_tasks() then
    return start_hosted(task, ...)
  end
  coroutines.own(task)
  begin_one()
  resume(task, ...)
end

--- Run a new task, whose function takes no arguments, at the next step.
---@param task table with fn and finish
function scheduler.defer_task(task)
  if not hosts.have_tasks() then
    coroutines.own(task)
    begin_one()
  end
  push_ready(task)
  scheduler.engage "a callback"
  scheduler.nudge()
end

--- See coroutines.task, and so on.
scheduler.task = coroutines.task
scheduler.current = coroutines.current
scheduler.may_wait = coroutines.may_wait

-- --- The inbox -----------------------------------------------------------

-- After a fork the child forgets the parent's inbox. What waited there ends.
local function forget_parent()
  inbox, watched_fd = nil, nil
  open_calls.forget(function(entry, kept)
    entry.forked = true
    if kept then
      end_one()
    end
    scheduler.complete(entry)
  end)
end

--- The inbox of this Lua state and process.
---@return freddy.core.Inbox? inbox
---@return freddy.Error? err
function scheduler.inbox()
  if inbox and inbox:forked() then
    forget_parent()
  end
  if not inbox then
    local new, err = core.inbox()
    if not new then
      return nil, errors.from_core(err)
    end
    inbox = new
    local ok
    ok, err = scheduler.tell_host()
    if not ok then
      inbox = nil
      return nil, err
    end
  end
  return inbox
end

--- See open_calls.next_id.
scheduler.next_id = open_calls.next_id

--- Let the events of call `id` reach `entry`.
---@param id integer
---@param entry table
---@param hold? boolean true: keep it, for nobody waits for it
function scheduler.add(id, entry, hold)
  open_calls.add(id, entry)
  if hold then
    open_calls.hold(id, entry)
    begin_one()
  end
end

--- Make `entry` done after `seconds`.
---@param entry table
---@param seconds number
---@return boolean? ok
---@return freddy.Error? err
function scheduler.timer(entry, seconds)
  local box, err = scheduler.inbox()
  if not box then
    return nil, err
  end
  local id = scheduler.next_id()
  entry.call, err = box:timer(id, seconds)
  if not entry.call then
    return nil, errors.from_core(err)
  end
  scheduler.add(id, entry)
  return true
end

--- Forget an entry whose end no longer matters.
---@param entry table
function scheduler.drop(entry)
  if entry.call then
    open_calls.drop(entry)
    entry.call:free()
  end
end

--- A loop that watches the descriptor sees only the inbox: where tasks wait
--- to be resumed, put something into it.
---@param always? boolean there is something else to be done at the next step
function scheduler.nudge(always)
  if polling or not (always or first <= last) then
    return
  elseif not inbox and hosts.current().watch then
    scheduler.inbox()
  end
  if watched_fd and inbox then
    local id, entry = scheduler.next_id(), {}
    entry.call = inbox:timer(id, 0)
    if entry.call then
      scheduler.add(id, entry, true) -- the loop must not end before
    end
  end
end

--- Make an entry done, and wake whoever waits for it at the next step.
---@param entry table
function scheduler.complete(entry)
  if entry.done then
    return
  end
  entry.done = true
  if entry.on_done then
    entry:on_done()
  elseif entry.task then
    push_ready(entry.task)
    scheduler.nudge() -- it may be outside of any step
  else
    local wake = hosts.current().wake
    if wake then
      wake(entry)
    end
  end
end

local function on_event(entry, event, ...)
  if entry and entry.on_event then
    entry:on_event(event, ...)
  end
end

local function on_done(id)
  local entry, kept = open_calls.take(id)
  if entry and not entry.done then
    local task = entry.task
    if task and not entry.on_done then
      entry.done = true
      resume(task) -- at once: the common case takes no turn through `ready`
    else
      scheduler.complete(entry)
    end
  end
  if kept then
    end_one()
  end
end

-- Whether there was one.
local function resume_ready()
  if first > last then
    return false
  end
  local task = ready[first]
  ready[first] = nil
  first = first + 1
  if task.co then
    resume(task)
  else
    scheduler.start_task(task)
  end
  return true
end

-- One event or one task; false when there is nothing to do. By turns: a task
-- may be ready again and again (serve_others).
local function step()
  local id, event, a, b, c, d
  if inbox and (first > last or resumed) then
    id, event, a, b, c, d = inbox:next()
  end
  resumed = not id and resume_ready()
  if not id then
    return resumed
  end
  if event == "done" then
    on_done(id)
  else
    on_event(open_calls.get(id), event, a, b, c, d)
  end
  return true
end

-- Whether `task` is ready only because it let others go on before itself.
local function gave_way(task)
  return task.waiting ~= nil and task.waiting.gave_way
end

--- Resume what became ready by a call of the user's (task:cancel), unless a
--- loop further up will do so. Not what gives way: it would be ready for ever.
function scheduler.settle()
  while first <= last and not coroutines.current()
      and not gave_way(ready[first]) do
    resume_ready()
  end
  scheduler.nudge()
end

-- --- Polling -------------------------------------------------------------

local function drain(budget)
  local count = 0
  handled, deadline = 0, budget and core.now() + budget
  while step() do
    count = count + 1
    if deadline and core.now() >= deadline then
      break
    end
  end
  return count + handled
end

--- Handle what waits, for at most `budget` seconds and one event more. See
--- freddy.poll.
---@param budget? number
---@return integer count
function scheduler.poll(budget)
  if budget ~= nil and (type(budget) ~= "number" or budget ~= budget
      or budget < 0) then
    misuse.raise("freddy.poll: the budget must be a number of seconds, 0 or "
      .. "more (got %s)", misuse.type_of(budget))
  elseif polling then
    misuse.raise("freddy.poll was called inside freddy.poll")
  elseif now.forbidden then
    misuse.raise("freddy.poll: %s must not wait", now.forbidden)
  end
  scheduler.flush()
  if first > last and not (inbox and inbox:ready()) then
    if not inbox or not inbox:forked() then
      return 0
    end
    forget_parent()
  end
  polling = true
  -- An interrupt (Ctrl-C) may be raised anywhere in there.
  local ok, count = pcall(drain, budget)
  polling, deadline = false, nil
  if not ok then
    error(count, 0)
  end
  scheduler.flush()
  scheduler.nudge()
  return count
end

-- Whether calls are open that somebody wants the end of.
local function busy()
  return pending > 0 or first <= last or open_calls.any()
    or scheduler.renewing()
end

--- Whether tokens are being had that somebody is to be told of; and whether
--- that may begin at any time. Set by listener.lua.
scheduler.renewing = function() return false end
scheduler.keeps_warm = function() return false end

--- What hosts wait with.
---@type freddy.Pump
local pump = {
  step = step,
  inbox = scheduler.inbox,
  timer = scheduler.timer,
  flush = function()
    scheduler.flush()
  end,
  busy = busy,
  kept = function()
    return scheduler.keeps_warm()
  end,
  idle = function()
    scheduler.flush()
    local box, err = inbox, nil
    if not box then
      box, err = scheduler.inbox()
    end
    if not box then
      error(err, 0)
    end
    if first > last and not box:wait(1) and box:forked() then
      forget_parent()
    end
  end,
  serve = function(budget)
    if polling or now.forbidden then
      return false
    end
    scheduler.poll(budget)
    return true
  end,
}

-- The descriptor of the inbox that there is.
local function open_fd()
  local fd, err = inbox:fd()
  if not fd then
    return nil, errors.from_core(err)
  end
  watched_fd = true
  return fd
end

--- Have the host handle what comes, though nobody waits for it.
---@param who string
---@return boolean? ok
---@return freddy.Error? err
function scheduler.engage(who)
  local engage = hosts.current().engage
  if not engage then
    return true
  end
  local ok, why = engage(pump, who)
  if not ok then
    return nil, errors.new("queue_full", { reason = "host", message = why })
  end
  return true
end

--- A descriptor that is readable while events wait.
---@return integer? fd
---@return freddy.Error? err
function scheduler.fd()
  local box, fd, err
  box, err = scheduler.inbox()
  if not box then
    return nil, err
  end
  fd, err = open_fd()
  if not fd then
    return nil, err
  end
  scheduler.nudge()
  return fd
end

--- Tell a host that watches the descriptor how things are. Only while there
--- is an inbox.
---@return boolean? ok
---@return freddy.Error? err
function scheduler.tell_host()
  local watch = hosts.current().watch
  if watch then
    local fd, err = open_fd()
    if not fd then
      return nil, err
    end
    watch(fd, pending > 0, pump)
  end
  return true
end

-- --- Waiting -------------------------------------------------------------

-- Outside of a task's own coroutine it is the host that waits.
local function wait_by_host(entry, task)
  local at_work, before = hosts.current(), now.task
  -- A task that must not go on before this ends.
  local outer = task or not at_work.yields and before or nil
  local waiting = outer and outer.waiting
  if outer then
    outer.waiting = entry
  end
  at_work.wait(entry, pump)
  if outer then
    outer.waiting = waiting
  end
  if not at_work.yields then
    now.task = before
  end
  return outer
end

--- Wait until `entry` is done. Only after may_wait.
---@param entry table
---@return boolean cancelled true when the waiting task was cancelled
function scheduler.await(entry)
  local task = running_task()
  if entry.done then
    return false
  elseif task and by_co[task.co] then
    entry.task, task.waiting = task, entry
    repeat
      co_yield(WAIT)
    until entry.done
    task.waiting = nil
  else
    task = wait_by_host(entry, task)
  end
  return task ~= nil and task.cancelled == true
end

--- Whether whoever waits for `entry` is still there: a host may end it without
--- a word.
---@param entry table
---@return boolean
function scheduler.is_waiting(entry)
  local is_waiting = hosts.current().is_waiting
  return not is_waiting or is_waiting(entry)
end

local function serve_others(task)
  turn = 0
  if task then
    local pause = { done = true, task = task, gave_way = true }
    push_ready(task)
    task.waiting = pause
    co_yield(WAIT)
    task.waiting = nil
  elseif not now.task or hosts.current().yields then
    local give_way = hosts.current().give_way
    if give_way then
      give_way(pump)
    end
  end
end

--- Count an event that was taken without waiting for it.
function scheduler.count_event()
  handled, turn = handled + 1, turn + 1
end

--- Let others go on now and then, before an event is taken: what comes fast
--- must not starve them, nor outlast the budget of a poll. Only where a wait
--- is possible. Others may take what was there meanwhile.
function scheduler.give_way()
  if turn >= MAX_TURN or deadline and core.now() >= deadline then
    serve_others(running_task())
  end
end

--- Wait until `entry` is done, as a script does and whatever the host: for the
--- end of the Lua state, where no task can wait, and where the inbox may have
--- ended before.
---@param entry table
---@param seconds number at most
---@return boolean given_up
function scheduler.block(entry, seconds)
  local limit = core.now() + seconds
  while not entry.done and core.now() < limit
      and inbox and inbox:ready() ~= nil do
    if not step() then
      pump.idle()
    end
  end
  return not entry.done
end

--- Cut short what `task` waits for. Its wait ends at the next step.
---@param task table
function scheduler.interrupt(task)
  local entry = task.waiting
  if entry and entry.call then
    entry.call:cancel() -- its "done" is in the inbox now
  elseif entry then
    scheduler.complete(entry)
  end
end

--- Make `entry` done when no task and no callback is left.
---@param entry table
function scheduler.when_idle(entry)
  if pending == 0 then
    entry.done = true
  else
    idlers[#idlers + 1] = entry
  end
end

return scheduler
