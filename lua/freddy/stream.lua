-- SPDX-License-Identifier: MIT
--- The events of an event stream, as they arrive (client:stream).
local core = require "freddy.core"
local json = require "freddy.json"
local misuse = require "freddy.misuse"
local pull = require "freddy.pull"
local response = require "freddy.response"
local scheduler = require "freddy.scheduler"

local stream = {}

--- An event of a stream (HTML standard, 9.2).
---@class freddy.Event
---@field event string its type; "message" when it has none
---@field data string its lines of data, joined by line feeds
---@field id? string the last one that the stream gave, by this event or before
---@field retry? integer milliseconds, on an event that brought them
---@field class? string of an answer's event (client.responses:stream)
---@field whole? true the piece of an answer is all of its text, made up anew
---@field json any `data` decoded, when it is JSON: at the first look, and then
---  kept; else nil

-- The class of a client's events: they are decoded by its codec.
local function event_class(decode)
  return {
    __name = "freddy.event",
    __index = function(event, name)
      if name == "json" then
        local value = decode(event.data)
        event.json = value
        return value
      end
    end,
  }
end

local PLAIN = event_class(core.json_decode)
-- Not only by its keys: a class leads to its codec.
local by_codec = setmetatable({}, { __mode = "kv" })

local function class_for(codec)
  if not codec then
    return PLAIN
  end
  local class = by_codec[codec]
  if not class then
    class = event_class(function(text)
      return (json.decode_with(codec, text))
    end)
    by_codec[codec] = class
  end
  return class
end

--- What client:stream returns, as soon as the head of the answer is there. One
--- that is collected, or closed by Lua 5.4's <close>, is cancelled.
---@class freddy.Stream: freddy.Pulled
---@field status integer
---@field headers freddy.Headers
---@field request_id? string
---@field url string
---@field attempts integer
---@field http_version integer
---@field timing? freddy.Timing when it has ended
---@field received? integer bytes on the wire, when it has ended
---@field package list freddy.Event[] taken from the core, not yet given
---@field package at integer where the next one stands
---@field package reads_json? boolean whoever reads it looks at every `json`
---@field package large? freddy.Event taken; the next one, once it is decoded
---@field package decoding? table its entry, meanwhile
local Stream = { __name = "freddy.stream" }
local methods = {}
Stream.__index = methods

local function from_list(self)
  local list, at = self.list, self.at
  local event = list[at]
  if event then
    list[at], self.at = nil, at + 1
  end
  return event
end

-- When the core raises, for want of memory, the list has what it has got so
-- far.
local function from_core(self)
  self.at = 1
  local event = self.entry.call:events(self.list, self.class)
  self.list[1], self.at = nil, 2
  return event
end

-- --- Large events --------------------------------------------------------

local LARGE = core.inline_json
local NO_JSON = { __name = "freddy.event" }

-- Whether to decode it at the first look would hold up the host. What the
-- user's own codec does is the user's.
local function is_large(self, event)
  return self.reads_json and #event.data >= LARGE and self.class == PLAIN
end

-- nil where that cannot be had: then it is left to the first look.
local function start_decoding(self, event)
  local inbox = scheduler.inbox()
  local id = scheduler.next_id()
  local entry = { on_done = function()
    pull.wake(self.entry)
  end }
  entry.call = inbox and inbox:decode(id, event.data)
  if entry.call then
    scheduler.add(id, entry)
    return entry
  end
end

-- A call that failed, for want of memory or in a fork, has decoded nothing.
local function end_decoding(event, call)
  local value = call:data()
  if value ~= nil then
    event.json = value
  elseif call:result() then
    setmetatable(event, NO_JSON)
  end
  call:free()
end

-- It is given once its data has been decoded elsewhere; nil until then.
local function take_large(self)
  local event = self.large
  self.decoding = self.decoding or start_decoding(self, event)
  if self.decoding then
    if not self.decoding.done then
      return nil
    end
    end_decoding(event, self.decoding.call)
  end
  self.large, self.decoding = nil, nil
  return event
end

-- Another reader may have filled the list while this one gave way.
local function take(self)
  local event = self.large or from_list(self) or from_core(self)
  if event and is_large(self, event) then
    self.large = event
    return take_large(self)
  end
  return event
end

-- --- Reading -------------------------------------------------------------

local count_event, give_way = scheduler.count_event, scheduler.give_way
local may_wait = scheduler.may_wait

-- Raises, too, where nothing can wait, whether an event is there or not.
-- Nobody gets a turn between taking one and returning it: what another reader
-- takes meanwhile would overtake it.
local function next_event(self, who)
  if self.list[self.at] then
    local ok, err = may_wait(who)
    if not ok then
      return nil, err
    end
    give_way()
  end
  local event = not self.large and from_list(self)
  if event and is_large(self, event) then
    self.large = event
  elseif event then
    count_event()
    return event
  end
  return pull.read(self, who)
end

--- What stream:next does, for others that have a stream within.
---@param self freddy.Stream
---@param who string the function, for messages
---@return freddy.Event? event
---@return freddy.Error? err
stream.next_event = next_event

local function iterate(self)
  return (next_event(self, "stream:events"))
end

--- The next event; waits for it.
---@return freddy.Event? event nil at the end
---@return freddy.Error? err why it ended early: `cut`, `timeout`, `too_large`
---  and so on. Every further call returns the same
function methods:next()
  if getmetatable(self) ~= Stream then
    misuse.check_self(self, Stream, "stream:next")
  end
  return next_event(self, "stream:next")
end

--- Iterate over what stream:next returns: `for event in stream:events() do`.
--- The loop ends when the stream does, well or not; stream:finish tells. In a
--- task on PUC Lua 5.1, which cannot wait inside a generic for, this raises.
---@return fun(stream: freddy.Stream): freddy.Event? iterator
---@return freddy.Stream stream
function methods:events()
  misuse.check_self(self, Stream, "stream:events")
  pull.check_iterator("stream:events", "stream:next()")
  return iterate, self
end

--- Read and forget what is left, and tell how the stream ended.
---@return true? ok
---@return freddy.Error? err as stream:next
function methods:finish()
  misuse.check_self(self, Stream, "stream:finish")
  return pull.finish(self, next_event, "stream:finish")
end

--- End the stream here: whoever reads it gets nil, err (kind `cancelled`),
--- whatever had arrived. Never waits; may be repeated.
function methods:cancel()
  misuse.check_self(self, Stream, "stream:cancel")
  if self.decoding then
    scheduler.drop(self.decoding)
  end
  self.list, self.large, self.decoding = {}, nil, nil
  pull.cancel(self)
end

Stream.__close = methods.cancel

function Stream.__tostring(self)
  return ("freddy.stream: %d (%s)"):format(self.status,
    self.ended and "ended" or "open")
end

--- Make the object for a call whose head has come.
---@param client freddy.Client
---@param entry table
---@param finish fun(client: freddy.Client, entry: table): table?, table?
---@return freddy.Stream
function stream.open(client, entry, finish)
  local self = response.wrap(entry.call:head())
  pull.init(self, client, entry, finish, take)
  self.list, self.at = {}, 1
  self.class = class_for(client.codec)
  return setmetatable(self, Stream)
end

return stream
