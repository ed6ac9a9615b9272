-- SPDX-License-Identifier: MIT
--- Answers that are taken piece by piece. What nobody takes stays in the
--- core, and holds back the server; here is how to wait for the next piece.
---
--- An entry of the scheduler that is pulled has
---   waiter   what its reader waits for, while there is one
---   has_head true once status and headers are known
--- Its on_event and on_done are those below, or call them.
local errors = require "freddy.errors"
local misuse = require "freddy.misuse"
local scheduler = require "freddy.scheduler"

local pull = {}

--- Wake the reader of an entry: something has come, or it has ended.
---@param entry table
function pull.wake(entry)
  local waiter = entry.waiter
  if waiter then
    entry.waiter = nil
    scheduler.complete(waiter)
  end
end

--- What an entry that is pulled hears of its call.
---@param entry table
---@param event string
function pull.on_event(entry, event)
  if event == "head" then
    entry.has_head = true
    pull.wake(entry)
  elseif event == "ready" then
    pull.wake(entry)
  end
end

-- True when the waiting task was cancelled.
local function wait(entry)
  local waiter = {}
  entry.waiter = waiter
  local cancelled = scheduler.await(waiter)
  if entry.waiter == waiter then
    entry.waiter = nil
  end
  return cancelled
end

--- Wait until the head of an answer has come, or its end. Only after may_wait.
---@param entry table
---@return boolean cancelled true when the waiting task was cancelled
function pull.await_head(entry)
  while not entry.has_head and not entry.done do
    if wait(entry) then
      return true
    end
  end
  return false
end

--- Take the next piece, and wait for it. Raises where nothing can wait, also
--- when a piece is there: whether it is may not decide about that.
---@param entry table
---@param who string the function, for messages
---@param take fun(call: freddy.core.Call): any? what is there, or nil
---@return any? piece nil at the end
---@return freddy.Error? err when the task was cancelled: the answer goes on
function pull.next(entry, who, take)
  if entry.waiter then
    misuse.raise("%s: it is read by another task already", who)
  end
  local ok, err = scheduler.may_wait(who)
  if not ok then
    return nil, err
  end
  local call = entry.call
  local piece = take(call)
  while not piece and not entry.done do
    if wait(entry) then
      return nil, errors.new("cancelled", {
        message = "the task was cancelled", sent = true,
      }, entry)
    end
    piece = take(call)
  end
  return piece
end

-- PUC Lua 5.1 cannot yield inside the iterator of a generic for.
local function can_yield_in_iterator()
  local co = coroutine.wrap(function()
    for _ in coroutine.yield do -- luacheck: ignore 512
      return true
    end
  end)
  return pcall(co)
end

local iterators_wait = can_yield_in_iterator()

--- Raise, at the caller's line, where an iterator could not wait.
---@param who string
---@param instead string what can
function pull.check_iterator(who, instead)
  if not iterators_wait and (scheduler.task()
      or coroutine.running() and scheduler.host().wake) then
    misuse.raise("%s: Lua 5.1 cannot wait inside a generic for in a task: use "
      .. "while with %s", who, instead)
  end
end

return pull
