-- SPDX-License-Identifier: MIT
--- An answer whose body is read as it arrives (stream = true).
local errors = require "freddy.errors"
local misuse = require "freddy.misuse"
local pull = require "freddy.pull"
local response = require "freddy.response"
local scheduler = require "freddy.scheduler"

local download = {}

--- What client:get(path, { stream = true }) returns, as soon as status and
--- headers are there. It has no `body`, no `data` and, until the body has
--- ended, no `timing`. One that is collected, or closed by Lua 5.4's <close>,
--- is cancelled.
---@class freddy.Download
---@field status integer
---@field headers freddy.Headers
---@field request_id? string
---@field url string
---@field attempts integer
---@field http_version integer
---@field timing? freddy.Timing
---@field received? integer bytes on the wire, when it has ended
---@field package entry table
---@field package client freddy.Client
---@field package finish_call fun(client: freddy.Client, entry: table)
---@field package ended? boolean
---@field package err? freddy.Error why it ended early
local Download = { __name = "freddy.response" }
local methods = {}
Download.__index = methods

local function take(call)
  return call:take()
end

-- The body has ended, well or not.
local function close(self)
  local res, err = self.finish_call(self.client, self.entry)
  self.ended, self.err = true, err
  if res then
    self.timing, self.received = res.timing, res.received
    self.attempts, self.reused = res.attempts, res.reused
  end
end

local function read(self, who)
  if self.ended then
    return nil, self.err
  end
  local piece, err = pull.next(self.entry, who, take)
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

--- The next piece of the body, decoded when it was gzip; waits for it. Pieces
--- are as long as they come, and never empty.
---@return string? piece nil at the end
---@return freddy.Error? err why it ended early: `cut`, `timeout`, `cancelled`
---  and so on. Every further call returns the same
function methods:read()
  misuse.check_self(self, Download, "res:read")
  return read(self, "res:read")
end

local function next_chunk(self)
  return (read(self, "res:chunks"))
end

--- Iterate over what res:read returns: `for piece in res:chunks() do`. The
--- loop ends when the body does, well or not; res:finish tells. In a task on
--- PUC Lua 5.1, which cannot wait inside a generic for, this raises.
---@return fun(res: freddy.Download): string? iterator
---@return freddy.Download res
function methods:chunks()
  misuse.check_self(self, Download, "res:chunks")
  pull.check_iterator("res:chunks", "res:read()")
  return next_chunk, self
end

--- Read and forget what is left, and tell how the body ended.
---@return true? ok
---@return freddy.Error? err as res:read
function methods:finish()
  misuse.check_self(self, Download, "res:finish")
  local piece, err
  repeat
    piece, err = read(self, "res:finish")
  until not piece
  if err then
    return nil, err
  end
  return true
end

--- End the answer here: whoever reads it gets nil, err (kind `cancelled`),
--- whatever had arrived. Never waits; may be repeated.
function methods:cancel()
  misuse.check_self(self, Download, "res:cancel")
  if not self.ended then
    self.ended = true
    self.err = errors.new("cancelled", { sent = true }, self.entry)
    self.entry.done = true
    scheduler.drop(self.entry)
    pull.wake(self.entry)
  end
end

Download.__close = methods.cancel

function Download.__tostring(res)
  return ("freddy.response: %d (%s)"):format(res.status,
    res.ended and "read" or "reading")
end

--- Make the object for a call whose head has come.
---@param client freddy.Client
---@param entry table
---@param finish fun(client: freddy.Client, entry: table): table?, table?
---@return freddy.Download
function download.open(client, entry, finish)
  local res = response.wrap(entry.call:head())
  res.entry, res.client, res.finish_call = entry, client, finish
  return setmetatable(res, Download)
end

return download
