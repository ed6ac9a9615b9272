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
local observe = require "freddy.observe"
local scheduler = require "freddy.scheduler"

local pull = {}

--- Wake the reader of an entry: something has come, or it has ended. It stays
--- the reader until it runs: who has its turn before takes nothing of it.
---@param entry table
function pull.wake(entry)
  if entry.waiter then
    scheduler.complete(entry.waiter)
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

-- Who waits, by waiter: a coroutine, or MAIN where PUC Lua 5.1 has none.
local readers = setmetatable({}, { __mode = "kv" })
local MAIN = "main"
local co_running, co_status = coroutine.running, coroutine.status

-- Whether its reader is still there. A host may have ended it without a word:
-- a light thread that was killed. Or its wait was ended by an error, such as
-- an interrupt's (Ctrl-C): then it is dead, or runs.
local function is_read(entry)
  local waiter = entry.waiter
  if not waiter then
    return false
  end
  local reader = readers[waiter]
  if reader and reader ~= (co_running() or MAIN)
      and (reader == MAIN or co_status(reader) ~= "dead")
      and scheduler.is_waiting(waiter) then
    return true
  end
  entry.waiter = nil
  return false
end

-- True when the waiting task was cancelled.
local function wait(entry)
  local waiter = {}
  entry.waiter, readers[waiter] = waiter, co_running() or MAIN
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

local function refuse_second(entry, who)
  if is_read(entry) then
    misuse.raise("%s: it is read by another task already", who)
  end
end

-- Whether more may come: from the core, or out of what is being decoded.
local function goes_on(self)
  return not self.entry.done or self.decoding ~= nil and not self.ended
end

-- The next piece, which is waited for; nil at the end, or nil, err when the
-- task was cancelled: the answer goes on. Raises where nothing can wait, also
-- when a piece is there: whether it is may not decide about that.
local function next_piece(self, who)
  local entry = self.entry
  refuse_second(entry, who)
  local ok, err = scheduler.may_wait(who)
  if not ok then
    return nil, err
  end
  scheduler.give_way()
  refuse_second(entry, who)
  local piece = not self.ended and self:take()
  while not piece and goes_on(self) do
    if wait(entry) then
      return nil, errors.new("cancelled", {
        message = "the task was cancelled", sent = true,
        attempts = self.attempts,
      }, entry)
    end
    refuse_second(entry, who) -- in nginx one may have come between
    piece = not self.ended and self:take()
  end
  return piece
end

--- What is taken piece by piece, as an object for users.
---@class freddy.Pulled
---@field package entry table
---@field package client freddy.Client
---@field package finish_call fun(client: freddy.Client, entry: table)
---@field package take fun(self: freddy.Pulled): any? what is there, or nil
---@field package decoding? table an entry: what it takes next is being decoded
---@field package ended? boolean
---@field package err? freddy.Error why it ended early

--- Make `self`, a response with only its head, into such an object.
---@param self table
---@param client freddy.Client
---@param entry table
---@param finish fun(client: freddy.Client, entry: table): table?, table?
---@param take fun(self: freddy.Pulled): any?
function pull.init(self, client, entry, finish, take)
  self.entry, self.client, self.finish_call = entry, client, finish
  self.take = take
end

-- It has ended, well or not.
local function close(self)
  local res, err = self.finish_call(self.client, self.entry)
  self.ended, self.err = true, err
  if res then
    self.timing, self.received = res.timing, res.received
    self.attempts, self.reused = res.attempts, res.reused
  end
end

--- The next piece; nil at the end, and then why when it came early.
---@param self freddy.Pulled
---@param who string the function, for messages
---@return any? piece
---@return freddy.Error? err
function pull.read(self, who)
  if self.ended then
    return nil, self.err
  end
  local piece, err = next_piece(self, who)
  if piece then
    scheduler.count_event()
    return piece
  elseif err then
    return nil, err
  elseif not self.ended then -- it may have been cancelled meanwhile
    close(self)
  end
  return nil, self.err
end

--- Read and forget what is left.
---@param self freddy.Pulled
---@param read fun(self: freddy.Pulled, who: string): any?, freddy.Error?
---@param who string the function, for messages
---@return true? ok
---@return freddy.Error? err why it ended early
function pull.finish(self, read, who)
  local piece, err
  repeat
    piece, err = read(self, who)
  until not piece
  if err then
    return nil, err
  end
  return true
end

--- End it here.
---@param self freddy.Pulled
---@param why? freddy.Error what its reader gets
function pull.cancel(self, why)
  if not self.ended then
    self.ended = true
    self.err = why or errors.new("cancelled",
      { sent = true, attempts = self.attempts }, self.entry)
    self.entry.done = true
    scheduler.drop(self.entry)
    pull.wake(self.entry)
    if self.entry.observed then
      observe.ended(self.client, self.entry, nil, self.err)
    end
  end
end

-- PUC Lua 5.1 cannot yield inside the iterator of a generic for. Not found out
-- by a try: inside nginx nothing can yield within a `require`.
local iterators_wait = _VERSION ~= "Lua 5.1" or rawget(_G, "jit") ~= nil

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
