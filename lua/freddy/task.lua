-- SPDX-License-Identifier: MIT
--- Tasks: functions that run until they wait, and go on when what they wait
--- for has come. On top of the scheduler, which knows only their coroutines.
local coroutines = require "freddy.coroutines"
local errors = require "freddy.errors"
local hosts = require "freddy.hosts"
local misuse = require "freddy.misuse"
local scheduler = require "freddy.scheduler"

local task = {}

local unpack = rawget(table, "unpack") or rawget(_G, "unpack")
local co_create, co_status = coroutine.create, coroutine.status
local co_yield = coroutine.yield
local REST = coroutines.REST

--- A function that runs beside others.
---@class freddy.Task
---@field package co thread
---@field package state? "done"|"failed"|"cancelled" nil until it ends
---@field package cancelled? boolean cancel was called
---@field package seen? boolean somebody has asked, or will ask, how it ended
---@field package joins? table[] entries of those who wait for it
---@field package results? table { n =, ... }
---@field package err? freddy.Error
---@field package cause? any what its function raised
---@field package ended? fun(self: freddy.Task) called when it has ended
---@field package hook? table what that needs
---@field package asked? freddy.Client whose token_provider this is a part of
local Task = { __name = "freddy.task" }
local methods = {}
Task.__index = methods

-- Masks the secrets of all clients in a text. Set by client.lua.
task.redact = function(text)
  return text
end

-- Waits until every on_token was told. Set by listener.lua.
task.settle_all = function()
  return false
end

-- Where freddy.on_error is looked up: the public module.
task.public = {}

local function pack(...)
  return { n = select("#", ...), ... }
end

-- --- Errors that nobody waits for ----------------------------------------

-- Tasks that failed and that nobody has waited for. They are reported at the
-- next step, so that `freddy.spawn(fn):wait()` is in time.
local unseen = {}

local function note_unseen(one)
  unseen[#unseen + 1] = one
  scheduler.nudge(true)
end

local function to_stderr(err)
  local text = (err.kind == "auth" and "freddy: "
    or "freddy: error in a task: ") .. err.message .. "\n"
  local trace = err.details and err.details.traceback
  if trace then
    text = text .. trace .. "\n"
  end
  local report = scheduler.host().report
  if report then
    report(text)
  else
    io.stderr:write(text)
  end
end

local function report(err)
  local handler = task.public.on_error
  if not handler then
    return to_stderr(err)
  end
  local ok, problem = pcall(handler, err)
  if not ok then
    to_stderr(err)
    to_stderr({ message = "freddy.on_error raised: "
      .. task.redact(misuse.text_of(problem)) })
  end
end

local function flush()
  if #unseen == 0 then
    return
  end
  local list = unseen
  unseen = {}
  for i = 1, #list do
    if not list[i].seen then
      report(list[i].err)
    end
  end
end
scheduler.flush = flush

-- A script may end before the next step. newproxy: tables have no __gc on 5.1
-- and LuaJIT.
local newproxy = rawget(_G, "newproxy")
if newproxy then
  task.sentinel = newproxy(true)
  getmetatable(task.sentinel).__gc = flush
else
  task.sentinel = setmetatable({}, { __gc = flush })
end

-- --- Ends ----------------------------------------------------------------

local function failure(self, cause)
  local message = task.redact(misuse.text_of(cause))
  local trace = task.redact(self.trace or debug.traceback(self.co))
  local origin = self.origin -- a chunk without a name is called by its text
  return errors.new("task", {
    message = message,
    details = {
      traceback = trace,
      cause = errors.is_error(cause) and cause or nil,
      spawned_at = origin and task.redact((origin:gsub(": $", ""))) or nil,
    },
  })
end

--- Let freddy.on_error hear of an error that belongs to no call, at the next
--- step.
---@param err freddy.Error
function task.report(err)
  unseen[#unseen + 1] = { err = err }
end

--- Run a function of the user's that must not wait. What it raises is
--- reported at the next step.
---@param name string what it is, for the message
---@param fn function
function task.call_hook(name, fn, ...)
  local ok, problem, co, trace = coroutines.call_without_waiting(name, fn, ...)
  if not ok then
    local cause = ok == nil and name .. " tried to wait" or problem
    note_unseen { err = failure({ co = co, trace = trace }, cause) }
  end
end

local function is_cancelled(err)
  return errors.is_error(err) and err.kind == "cancelled"
end

local function cancelled_error()
  return errors.new("cancelled", { message = "the task was cancelled" })
end

local function settle_as(self, ok, ...)
  if ok and self.cancelled then
    self.state, self.err = "cancelled", cancelled_error()
  elseif ok then
    self.state, self.results = "done", pack(...)
  elseif self.cancelled and is_cancelled((...)) then
    self.state, self.err = "cancelled", cancelled_error()
  else
    self.state, self.err, self.cause = "failed", failure(self, (...)), (...)
  end
end

-- Called by the scheduler when the function has returned or raised.
function methods:finish(ok, ...)
  settle_as(self, ok, ...)
  if self.ended then
    self:ended()
  end
  local joins = self.joins
  self.joins = nil
  if joins and #joins > 0 then
    self.seen = true
    for i = 1, #joins do
      scheduler.complete(joins[i])
    end
  elseif self.state == "failed" and not self.seen then
    note_unseen(self)
  end
end

local function outcome(self)
  self.seen = true
  if self.results then
    return unpack(self.results, 1, self.results.n)
  end
  return nil, self.err
end

-- --- Waiting for a task --------------------------------------------------

local function leave(joins, join)
  for i = 1, joins and #joins or 0 do
    if joins[i] == join then
      table.remove(joins, i)
      return
    end
  end
end

local function time_out(timer)
  timer.join.timed_out = true
  scheduler.complete(timer.join)
end

-- Wait until the task has ended. true, or nil and why not.
local function join_task(self, timeout)
  local join, timer = {}, nil
  if timeout then
    timer = { join = join, on_done = time_out }
    local ok, err = scheduler.timer(timer, timeout)
    if not ok then
      return nil, err
    end
  end
  self.joins = self.joins or {}
  self.joins[#self.joins + 1] = join
  local cancelled = scheduler.await(join)
  if timer then
    scheduler.drop(timer)
  end
  leave(self.joins, join)
  if cancelled then
    return nil, cancelled_error()
  elseif not self.state and join.timed_out then
    return nil, errors.new("timeout", {
      reason = "wait", retryable = false,
      message = ("the task has not ended in %g s"):format(timeout),
    })
  end
  return true
end

local function check_seconds(who, what, value)
  if type(value) ~= "number" or value ~= value
      or value < 0 then
    misuse.raise("%s: %s must be a number of seconds, 0 or more (got %s)",
      who, what, misuse.type_of(value))
  end
end

--- Wait until the task has ended. Blocks as the host does.
---@param timeout? number seconds; nil waits for ever. The task goes on
---@return any ... the function's own results; or nil, err: kind `task` when it
---  raised (details.traceback), `cancelled` when it or the task that waits was
---  cancelled, `timeout` (reason `wait`)
function methods:wait(timeout)
  misuse.check_self(self, Task, "task:wait")
  if timeout ~= nil then
    check_seconds("task:wait", "timeout", timeout)
  end
  if self.state then
    return outcome(self)
  elseif scheduler.current() == self then
    misuse.raise("task:wait: a task cannot wait for itself")
  end
  local ok, err = scheduler.may_wait("task:wait")
  if ok then
    ok, err = join_task(self, timeout)
  end
  if not ok then
    return nil, err
  end
  return outcome(self)
end

--- End the present wait of the task, and every later one in it: they return
--- nil, err (kind `cancelled`). Never waits; may be repeated.
function methods:cancel()
  misuse.check_self(self, Task, "task:cancel")
  if self.state or self.cancelled then
    return
  end
  self.cancelled = true
  scheduler.interrupt(self)
  scheduler.settle()
end

--- How the task is: `running` (its function is on the stack), `waiting`,
--- `done`, `failed` or `cancelled`. Never waits.
---@return string status
function methods:status()
  misuse.check_self(self, Task, "task:status")
  if self.state then
    return self.state
  end
  if self.waiting or not self.co then
    return "waiting"
  end
  return co_status(self.co) == "suspended" and "waiting" or "running"
end

function Task.__tostring(self)
  return "freddy.task: " .. methods.status(self)
end

-- --- Starting tasks ------------------------------------------------------

-- Where the running task was started, for mistakes without a frame of the
-- user's.
function misuse.origin()
  local self = scheduler.current()
  return self and self.origin
end

local function new_task(fn)
  return setmetatable({ fn = fn, origin = misuse.where() }, Task)
end

local function check_function(who, fn)
  if type(fn) ~= "function" then
    misuse.raise("%s: a function expected (got %s)", who, misuse.type_of(fn))
  end
end

--- Run `fn(...)` at once until its first wait; it goes on in freddy.poll, in
--- freddy.run, or while another call blocks. Never waits itself.
---@param fn function
---@param ... any its arguments
---@return freddy.Task task
function task.spawn(fn, ...)
  check_function("freddy.spawn", fn)
  local self = new_task(fn)
  scheduler.start_task(self, ...)
  scheduler.settle()
  return self
end

-- Callbacks are many and short: a coroutine that has run one runs the next.
-- Such a worker is a task that nobody else has.
local MAX_RESTING = 64
local resting = {}
local work

-- A frame of its own, whose first slots the yield takes: nothing of a callback
-- may stay on the stack while the worker rests.
local function rest()
  local fn, arg = co_yield(REST)
  return work(fn, arg)
end

function work(fn, arg)
  fn(arg)
  return rest()
end

-- Called by the scheduler when the callback has returned.
function methods:rest()
  if #resting < MAX_RESTING then
    resting[#resting + 1] = self
  else
    coroutines.adopt(self.co, nil)
  end
end

--- Run a callback in a task of its own, now.
---@param fn function
---@param arg any
function task.call(fn, arg)
  if hosts.have_tasks() then
    return scheduler.start_task(setmetatable({ fn = fn }, Task), arg)
  end
  local count = #resting
  local self = resting[count]
  if self then
    resting[count] = nil
  else
    self = setmetatable({ fn = work }, Task)
  end
  scheduler.start_task(self, fn, arg)
end

--- Run a callback in a task of its own, at the next step.
---@param fn function without arguments
function task.later(fn)
  scheduler.defer_task(setmetatable({ fn = fn }, Task))
end

--- Run a function of the user's that a session calls in a task of its own,
--- now.
---@param fn function
---@param ended fun(task: freddy.Task) called when it has ended
---@param hook table for `ended`
---@param arg any of the function
function task.hook(fn, ended, hook, arg)
  local self = setmetatable({
    fn = fn, ended = ended, hook = hook, asked = hook.asked,
  }, Task)
  scheduler.start_task(self, arg)
end

local function collect(tasks)
  local results, errs = {}, nil
  for i = 1, #tasks do
    local value, err = tasks[i]:wait()
    results[i] = value
    if value == nil and err ~= nil then
      errs = errs or {}
      errs[i] = err
    end
  end
  return results, errs
end

local function cancel_all(tasks)
  for i = 1, #tasks do
    tasks[i]:cancel()
  end
end

--- Run functions beside each other and wait for all of them. Blocks as the
--- host does. When the task that waits is cancelled, so are they.
---@param fns function[]
---@return any[]? results the first result of each, in order
---@return table? errors what failed, by position; nil when nothing did. A
---  function failed that raised, or that returned nil, err
function task.all(fns)
  if type(fns) ~= "table" then
    misuse.raise("freddy.all: an array of functions expected (got %s)",
      misuse.type_of(fns))
  end
  for i = 1, #fns do
    check_function(("freddy.all: [%d]"):format(i), fns[i])
  end
  local ok, err = scheduler.may_wait("freddy.all")
  if not ok then
    return nil, err
  end
  local me = scheduler.current()
  local tasks = {}
  for i = 1, #fns do
    local self = new_task(fns[i])
    tasks[i] = self
    self.seen = true -- it will be waited for below
    self.asked = me and me.asked
    scheduler.start_task(self)
    scheduler.settle()
  end
  local results, errs = collect(tasks)
  if me and me.cancelled then
    cancel_all(tasks)
    return nil, cancelled_error()
  end
  return results, errs
end

--- Run `fn(...)` as a task and wait until it and every other task and
--- callback have ended: the main line of a script that is all tasks. Blocks.
---@param fn function
---@param ... any its arguments
---@return any ... its results. An error in it is raised
function task.run(fn, ...)
  check_function("freddy.run", fn)
  if scheduler.current() then
    misuse.raise("freddy.run cannot be called inside a task: use "
      .. "freddy.spawn or freddy.all")
  end
  scheduler.may_wait("freddy.run")
  local self = task.spawn(fn, ...)
  self.seen = true
  if not self.state then
    join_task(self)
  end
  if self.state == "failed" then
    error(self.cause, 0)
  end
  repeat
    local idle = {}
    scheduler.when_idle(idle)
    scheduler.await(idle)
  until not task.settle_all()
  flush()
  return outcome(self)
end

--- Wait. Blocks as the host does.
---@param seconds number 0 or more
---@return boolean? ok
---@return freddy.Error? err `cancelled`
function task.sleep(seconds)
  check_seconds("freddy.sleep", "seconds", seconds)
  local ok, err = scheduler.may_wait("freddy.sleep")
  if not ok then
    return nil, err
  end
  local entry = {}
  ok, err = scheduler.timer(entry, seconds)
  if not ok then
    return nil, err
  end
  if scheduler.await(entry) then
    return nil, cancelled_error()
  elseif entry.forked then
    return nil, errors.new("forked")
  end
  entry.call:free()
  return true
end

-- --- pcall ---------------------------------------------------------------

-- PUC Lua 5.1 cannot yield across pcall. Not by a try: inside nginx nothing
-- can yield within a `require`.
local function can_yield_in_pcall()
  return _VERSION ~= "Lua 5.1" or rawget(_G, "jit") ~= nil
end

local function relay(self, co, ok, ...)
  if ok and co_status(co) == "suspended" then
    return relay(self, co, coroutine.resume(co, coroutine.yield(...)))
  end
  coroutines.adopt(co, nil)
  return ok, ...
end

-- Runs `fn` in a coroutine of its own, which waits as a part of the task.
local function pcall_by_coroutine(fn, ...)
  local self = scheduler.task()
  if not self or type(fn) ~= "function" then
    return pcall(fn, ...)
  end
  local co = co_create(fn)
  coroutines.adopt(co, self)
  return relay(self, co, coroutine.resume(co, ...))
end

--- As pcall, and a task may wait inside it on every Lua: PUC Lua 5.1 cannot
--- wait inside its own pcall.
---@type fun(fn: function, ...): boolean, ...
task.pcall = can_yield_in_pcall() and pcall or pcall_by_coroutine

--- The class, for tests and extensions.
task.Task = Task

return task
