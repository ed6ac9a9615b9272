-- SPDX-License-Identifier: MIT
--- An event of an event stream, and how its data is decoded.
local core = require "freddy.core"
local json = require "freddy.json"
local scheduler = require "freddy.scheduler"

local event = {}

--- An event of a stream (HTML standard, 9.2).
---@class freddy.Event
---@field event string its type; "message" when it has none
---@field data string its lines of data, joined by line feeds
---@field id? string the last one that the stream gave, by this event or before
---@field retry? integer milliseconds, on an event that brought them
---@field class? string of an answer's event (client.responses:stream)
---@field whole? true the piece of an answer is all of its text, made up anew
---@field json any `data` decoded, when it is JSON: at the first look, and then
---  kept; else nil. Of large data only the tables are made then

-- Calls that have decoded the data of large events, by these; false once it
-- has turned out to be no JSON.
local decoded = setmetatable({}, { __mode = "k" })

-- A call that failed, for want of memory, has decoded nothing.
local function decode(self)
  local call = decoded[self]
  if call == nil then
    return (core.json_decode(self.data))
  elseif call == false then
    return nil
  end
  local value = call:data()
  if value == nil and not call:result() then
    value = core.json_decode(self.data)
  end
  decoded[self] = nil
  if value == nil then
    decoded[self] = false
  end
  call:free()
  return value
end

-- The class of a client's events: they are decoded by its codec.
local function class_of(decoder)
  return {
    __name = "freddy.event",
    __index = function(self, name)
      if name == "json" then
        local value = decoder(self)
        self.json = value
        return value
      end
    end,
  }
end

local PLAIN = class_of(decode)
-- Not only by its keys: a class leads to its codec.
local by_codec = setmetatable({}, { __mode = "kv" })

--- The metatable of events whose client has `codec`.
---@param codec? table nil: the core's conversion
---@return table
function event.class(codec)
  if not codec then
    return PLAIN
  end
  local class = by_codec[codec]
  if not class then
    class = class_of(function(self)
      return (json.decode_with(codec, self.data))
    end)
    by_codec[codec] = class
  end
  return class
end

local LARGE = core.inline_json

--- Whether to decode it would hold up the host.
---@param self freddy.Event
---@return boolean
function event.is_large(self)
  return #self.data >= LARGE and getmetatable(self) == PLAIN
    and self.data:find "^%s*[%[{\"]" ~= nil
end

--- Have a large one decoded elsewhere. Where that cannot be had, it is left to
--- the first look.
---@param self freddy.Event
---@param on_done fun() it is; not called before this returns
---@return table? entry keep it until then, or drop it
function event.decode(self, on_done)
  local inbox = scheduler.inbox()
  if not inbox then
    return nil
  end
  local id = scheduler.next_id()
  local entry = { on_done = on_done }
  entry.call = inbox:decode(id, self.data)
  if not entry.call then
    return nil
  end
  scheduler.add(id, entry)
  decoded[self] = entry.call
  return entry
end

return event
