-- SPDX-License-Identifier: MIT
--- Tasks' coroutines: which task runs where, and what may wait there.
---
--- A *task* here is { fn =, finish = function(task, ok, ...) }; task.lua makes
--- the rest of it. `co` is the coroutine that it runs in: one of ours, or one
--- of the host's where it has some of its own (nginx).
local errors = require "freddy.errors"
local hosted = require "freddy.hosted"
local hosts = require "freddy.hosts"
local misuse = require "freddy.misuse"

-- What a task's coroutine yields; anything else is a mistake.
local WAIT = {}
local REST = {} -- its function has returned, and it can run another one

-- As locals: may_wait is asked before each event of a stream.
local hooks, hosted_tasks = hosted.hooks, hosted.tasks
local current_host = hosts.current
local co_running, co_status = coroutine.running, coroutine.status
local co_create, co_resume = coroutine.create, coroutine.resume

-- Of ours: coroutine -> its task, until the task ends.
local by_co = {}

--- What runs now. The scheduler has this and `by_co` itself, for it needs
--- them at every wait.
---@class freddy.Running
---@field task? table whose coroutine, or one inside it, runs
---@field forbidden? string the name of a user's function that must not wait
local now = {}

local coroutines = { WAIT = WAIT, REST = REST, by_co = by_co, now = now }

--- Give a task a coroutine of ours, when it has none, and know it by that.
---@param task table with fn or co
function coroutines.own(task)
  task.co = task.co or co_create(task.fn)
  task.fn = nil
  by_co[task.co] = task
end

-- Whether the task has nothing more to do.
local function after_resume(task, before, ok, ...)
  now.task = before
  local alive = co_status(task.co) == "suspended"
  if alive then
    local what = ...
    if what == WAIT then
      return false
    elseif what == REST then
      task:rest()
      return true
    end
  end
  by_co[task.co] = nil
  if alive then
    task:finish(false, "a task can wait only through freddy; "
      .. "coroutine.yield was called in it")
  else
    task:finish(ok, ...)
  end
  return true
end

--- Run a task until it waits next. Only while its coroutine is suspended.
---@param task table
---@param ... any what its wait returns, or arguments of its function
---@return boolean at_end true when it has ended, or rests
function coroutines.resume(task, ...)
  local before = now.task
  now.task = task
  return after_resume(task, before, co_resume(task.co, ...))
end

--- Let `co` wait as a part of `task` (freddy.pcall where pcall cannot).
---@param co thread
---@param task table? nil when it has ended, or will run nothing any more
function coroutines.adopt(co, task)
  by_co[co] = task
end

--- The task whose own coroutine is running, or nil.
---@return table?
function coroutines.task()
  local co = co_running()
  return co and (by_co[co] or hosted_tasks[co])
end

--- The task that is running, a coroutine inside it included, or nil.
---@return table?
function coroutines.current()
  return coroutines.task() or now.task
end

-- PUC Lua 5.1 makes none of a C function, such as print.
local function new_coroutine(fn)
  local ok, co = pcall(coroutine.create, fn)
  return ok and co or coroutine.create(function(...)
    return fn(...)
  end)
end

--- Run `fn` where nothing may wait: in a coroutine of its own, or in that of
--- the host.
---@param name string what it is, for the message
---@param fn function
---@return boolean? ok nil when it yielded
---@return any ... its results; or what it raised, its coroutine, its traceback
function coroutines.call_without_waiting(name, fn, ...)
  if hosts.have_tasks() then
    return hosted.call_hook(name, fn, ...)
  end
  local before = now.forbidden
  local co = new_coroutine(fn)
  local function leave(ok, ...)
    now.forbidden = before
    if ok and co_status(co) == "suspended" then
      return nil, nil, co
    elseif not ok then
      return false, (...), co
    end
    return ok, ...
  end
  now.forbidden = name
  return leave(co_resume(co, ...))
end

--- Raise, at the caller's line, when a wait is not possible here.
---@param who string the function that would wait
---@return boolean? ok
---@return freddy.Error? err cancelled, in a task that was cancelled
function coroutines.may_wait(who)
  local co, is_main = co_running()
  local hook = now.forbidden or co and hooks[co]
  if hook then
    misuse.raise("%s: %s must not wait", who, hook)
  end
  local task = co and by_co[co]
  if not task then
    if now.task and (not co or is_main) then
      now.task = nil -- left over from an interrupt: main is in no task
    end
    local at_work = current_host()
    task = co and hosted_tasks[co]
    local blocked = at_work.blocked
    if blocked and type(blocked) == "function" then
      blocked = blocked()
    end
    if at_work.yields and not blocked and not task then
      return true -- in none of our tasks, whatever runs it
    end
    task = task or now.task
    if blocked then
      misuse.raise("%s: %s", who, task and "a coroutine inside a task cannot "
        .. "wait in this host: wait in the task's own function, or start "
        .. "another task with freddy.spawn" or blocked)
    end
  end
  if task and task.cancelled then
    return nil, errors.new("cancelled", { message = "the task was cancelled" })
  end
  return true
end

return coroutines
