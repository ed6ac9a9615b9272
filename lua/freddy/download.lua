-- SPDX-License-Identifier: MIT
--- An answer whose body is read as it arrives (stream = true).
local misuse = require "freddy.misuse"
local pull = require "freddy.pull"
local response = require "freddy.response"

local download = {}

--- What client:get(path, { stream = true }) returns, as soon as status and
--- headers are there. It has no `body`, no `data` and, until the body has
--- ended, no `timing`. One that is collected, or closed by Lua 5.4's <close>,
--- is cancelled.
---@class freddy.Download: freddy.Pulled
---@field status integer
---@field headers freddy.Headers
---@field request_id? string
---@field url string
---@field attempts integer
---@field http_version integer
---@field timing? freddy.Timing
---@field received? integer bytes on the wire, when it has ended
local Download = { __name = "freddy.response" }
local methods = {}
Download.__index = methods

local function take(self)
  return self.entry.call:take()
end

local read = pull.read

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
  return pull.finish(self, read, "res:finish")
end

--- End the answer here: whoever reads it gets nil, err (kind `cancelled`),
--- whatever had arrived. Never waits; may be repeated.
function methods:cancel()
  misuse.check_self(self, Download, "res:cancel")
  pull.cancel(self)
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
  pull.init(res, client, entry, finish, take)
  return setmetatable(res, Download)
end

return download
