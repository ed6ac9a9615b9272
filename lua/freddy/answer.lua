-- SPDX-License-Identifier: MIT
--- An answer of POST /v1/model/response, put together: from the events of a
--- stream, of any generation of the API, or from one JSON body, in each of the
--- four shapes that were seen. All of it is the server's: each field may have
--- any type.
local core = require "freddy.core"

local answer = {}

--- What was answered. Fields that the server did not send are nil, but for
--- `text`, `tool_calls` and `blocks`.
---@class freddy.Answer
---@field text string "" when there is none
---@field thread_id? string
---@field response_id? string
---@field model? string
---@field usage? table as the server counts: input_tokens, output_tokens...
---@field stop_reason? string
---@field tool_calls table[] those that are yours to make, as they were given;
---  one that came in pieces has its `arguments` joined
---@field reasoning? string
---@field blocks table[] what `response.block` events held, those of tools that
---  the server ran itself included
---@field events? freddy.Event[] with keep_events

local Answer = {}
Answer.__index = Answer

local function text_of(value)
  return type(value) == "string" and value or nil
end

local function table_of(value)
  return type(value) == "table" and value or nil
end

-- Servers name fields of which they know nothing: null is as good as none.
local function told(value)
  if value ~= core.null then
    return value
  end
end

--- A new answer that nothing is known of.
---@param keep_events? boolean
---@return table
function answer.new(keep_events)
  return setmetatable({
    pieces = {}, size = 0, reasoning = {}, calls = {}, blocks = {},
    ran = {}, slots = {}, last_call = 0, events = keep_events and {} or nil,
  }, Answer)
end

-- --- What many events say ------------------------------------------------

local function note_facts(self, data)
  self.thread_id = text_of(data.thread_id) or text_of(data.threadId)
    or self.thread_id
  self.response_id = text_of(data.response_id) or text_of(data.responseId)
    or self.response_id
  self.model = text_of(data.model) or self.model
  self.usage = table_of(data.usage) or self.usage
  self.stop_reason = text_of(data.stop_reason) or text_of(data.finish_reason)
    or self.stop_reason
end

local function add_text(self, piece)
  if type(piece) ~= "string" or piece == "" then
    return nil
  end
  self.pieces[#self.pieces + 1] = piece
  self.size = self.size + #piece
  return piece
end

local function text_so_far(self)
  local text = table.concat(self.pieces)
  self.pieces = text ~= "" and { text } or {}
  return text
end

-- The whole text, told once more: what is missing of it is a piece. One that
-- is another text altogether takes its place.
local function add_whole(self, whole)
  if type(whole) ~= "string" or whole == "" then
    return nil
  elseif self.size == 0 then
    return add_text(self, whole)
  end
  local text = text_so_far(self)
  if #whole > #text and whole:sub(1, #text) == text then
    return add_text(self, whole:sub(#text + 1))
  elseif whole ~= text then
    self.pieces, self.size = { whole }, #whole
  end
  return nil
end

-- --- Calls of tools ------------------------------------------------------

local function copy(object)
  local out = {}
  for name, value in pairs(object) do
    out[name] = value
  end
  return out
end

-- The first piece is the call; others add to it. `arguments` are pieces of one
-- text, anything else is told anew.
local function add_call(self, slot, piece, whole)
  local call = self.calls[slot]
  if not call then
    call = copy(piece)
    self.calls[slot] = call
    self.last_call = math.max(self.last_call, slot)
    for _, id in pairs { text_of(call.id), text_of(call.call_id) } do
      self.slots[id] = slot
    end
    return call, true
  end
  for name, value in pairs(piece) do
    if name == "arguments" and not whole and type(value) == "string"
        and type(call.arguments) == "string" then
      call.arguments = call.arguments .. value
    elseif told(value) ~= nil
        and (name ~= "id" or told(call.id) == nil) then
      call[name] = value
    end
  end
  return call, false
end

local function add_block(self, event, block)
  if event.tool then
    local call, is_new = add_call(self, event.tool, block)
    if is_new then
      self.blocks[#self.blocks + 1] = call
    end
    return nil
  end
  self.blocks[#self.blocks + 1] = block
  if block.type == "tool_result" then
    self.ran[#self.ran + 1] = block
  elseif block.type == "text" and not self.streams_text then
    return add_text(self, text_of(block.text) or text_of(block.content))
  end
  return nil
end

-- A server that tells how a call went has made it itself.
local function is_ran(self, call)
  if told(call.success) ~= nil or told(call.result) ~= nil then
    return true
  end
  for _, result in ipairs(self.ran) do
    local id = told(result.tool_call_id) or told(result.call_id)
      or told(result.id)
    if id and (told(call.id) or told(call.call_id)) then
      if id == call.id or id == call.call_id then
        return true
      end
    elseif told(result.tool_name) and result.tool_name == call.tool_name then
      return true
    end
  end
  return false
end

local function tool_calls(self)
  local list, last, out = self.calls, self.last_call, {}
  if last == 0 and self.tools then
    list, last = self.tools, #self.tools
  end
  for slot = 1, last do
    local call = list[slot]
    if type(call) == "table" and not is_ran(self, call) then
      out[#out + 1] = call
    end
  end
  return out
end

local IS_CALL = { function_call = true, tool_call = true, mcp_call = true }

-- Which call a piece is of, where the core has not told: by its ids; what has
-- none and names no function is a piece of the latest.
local function slot_of(self, piece)
  local is_named = text_of(piece.tool_name) or text_of(piece.name)
  for _, name in ipairs { "id", "call_id", "item_id", "tool_call_id" } do
    local id = text_of(piece[name])
    if id then
      is_named = true
      if self.slots[id] then
        return self.slots[id]
      end
    end
  end
  return is_named and self.last_call + 1 or math.max(self.last_call, 1)
end

-- All blocks of an answer at once. The text in them, for answers that have no
-- other.
local function add_blocks(self, blocks)
  local parts = {}
  for _, block in ipairs(blocks) do
    local kind = type(block) == "table" and block.type
    if IS_CALL[kind] then
      block = add_call(self, slot_of(self, block), block, true)
    elseif kind == "tool_result" then
      self.ran[#self.ran + 1] = block
    elseif kind == "text" then
      parts[#parts + 1] = text_of(block.text) or text_of(block.content)
    end
    self.blocks[#self.blocks + 1] = block
  end
  return table.concat(parts)
end

-- --- Events --------------------------------------------------------------

local handlers = {}

handlers["response.created"] = function(self, data)
  self.response_id = text_of(data.id) or self.response_id
end

handlers["response.content_delta"] = function(self, data, event)
  local add = event.whole and add_whole or add_text
  self.streams_text = true
  return add(self, data.delta)
end

handlers["response.output_text.delta"] = function(self, data, event)
  local add = event.whole and add_whole or add_text
  self.streams_text = true
  return add(self, text_of(data.delta) or data.response)
end

-- Of one item; there may be several.
handlers["response.output_text.done"] = function(self, data)
  if self.done_items == nil then
    self.done_items = true
    return add_whole(self, data.text)
  end
end

handlers["response.block"] = function(self, data, event)
  local block = table_of(data.block)
  return block and add_block(self, event, block)
end

handlers["response.output_item.added"] = function(self, data, event)
  local item = table_of(data.item)
  if item and event.tool then
    add_call(self, event.tool, item, true)
  end
end
handlers["response.output_item.done"] = handlers["response.output_item.added"]

handlers["reasoning.content"] = function(self, data)
  local piece = text_of(data.content) or text_of(data.delta)
  self.reasoning[#self.reasoning + 1] = piece
end
handlers["response.reasoning.delta"] = handlers["reasoning.content"]
handlers["response.reasoning_delta"] = handlers["reasoning.content"]
handlers["response.reasoning_text.delta"] = handlers["reasoning.content"]

handlers["response.completed"] = function(self, data)
  if #self.reasoning == 0 then
    self.reasoning[1] = text_of(data.reasoning_content)
  end
  self.tools = table_of(data.tool_calls) or table_of(data.tools)
  local blocks, text = table_of(data.response_blocks), nil
  if blocks and #self.blocks == 0 then
    text = add_blocks(self, blocks)
  end
  local whole = table_of(data.response)
  if whole then
    note_facts(self, whole)
    self.response_id = text_of(whole.id) or self.response_id
  end
  if self.size == 0 and not text_of(data.response) then
    return add_text(self, text)
  end
  return add_whole(self, data.response)
end

-- Events of calls that have a name of their own.
local function add_piece(self, data, event)
  local piece = {}
  for name, value in pairs(data) do
    if name ~= "event" and name ~= "delta" and name ~= "index"
        and name ~= "output_index" and name ~= "item_id"
        and name ~= "source" then
      piece[name] = value
    end
  end
  local whole = told(piece.arguments) ~= nil
  if not whole then
    piece.arguments = told(data.delta)
  end
  add_call(self, event.tool, piece, whole)
end

-- No JSON, though it begins as an object does, and without a name: the name
-- was in it.
local function is_torn(event)
  return event.class == "note" and event.event == "message"
    and event.data:find "^%s*{" ~= nil
end

--- Take in one event.
---@param event freddy.Event
---@return string? piece of the text
---@return boolean? unreadable true when it is a part of it, and no JSON
function Answer:add(event)
  if self.events then
    self.events[#self.events + 1] = event
  end
  if event.class == "quiet" then
    return nil
  end
  local data = event.json
  if type(data) ~= "table" then
    return nil, event.class == "content" or event.class == "terminal"
      or is_torn(event)
  end
  note_facts(self, data)
  local handle = handlers[event.event]
  if handle then
    return handle(self, data, event)
  elseif event.tool then
    add_piece(self, data, event)
  end
  return nil
end

--- What there is of the answer.
---@return freddy.Answer
function Answer:result()
  local reasoning = table.concat(self.reasoning)
  return {
    text = text_so_far(self), thread_id = self.thread_id,
    response_id = self.response_id, model = self.model, usage = self.usage,
    stop_reason = self.stop_reason, tool_calls = tool_calls(self),
    reasoning = reasoning ~= "" and reasoning or nil, blocks = self.blocks,
    events = self.events,
  }
end

-- --- One JSON body -------------------------------------------------------

local function join_parts(content, out)
  if type(content) == "string" then
    out[#out + 1] = content
  elseif type(content) == "table" then
    for _, part in ipairs(content) do
      if type(part) == "string" then
        out[#out + 1] = part
      elseif type(part) == "table" then
        out[#out + 1] = text_of(part.text)
      end
    end
  end
end

-- B: { output = { { role, content = { { type, text } } } } }
local function read_output(self, output)
  local out, calls = {}, {}
  for _, item in ipairs(output) do
    if type(item) == "table" then
      if IS_CALL[item.type] then
        calls[#calls + 1] = item
      else
        join_parts(item.content, out)
      end
    end
  end
  add_whole(self, table.concat(out))
  return calls
end

-- C: { choices = { { message = { content, toolCalls }, finishReason } } }
local function read_choices(self, choices)
  local first = table_of(choices[1]) or {}
  local message = table_of(first.message) or {}
  local out = {}
  join_parts(message.content, out)
  add_whole(self, table.concat(out))
  self.stop_reason = text_of(first.finishReason)
    or text_of(first.finish_reason) or self.stop_reason
  return table_of(message.toolCalls) or table_of(message.tool_calls)
end

-- D: an array of events, bare or as `data`.
local CLASSES = {
  ["response.completed"] = "terminal", ["response.cancelled"] = "terminal",
  ["response.incomplete"] = "terminal", ["response.heartbeat"] = "quiet",
  ["response.error"] = "error", ["response.failed"] = "error",
  error = "error",
}

-- The call that an event is about, if any.
local function call_in(name, data)
  local block = table_of(data.block) or table_of(data.item)
  if block then
    return IS_CALL[block.type] and block
  end
  return (name:find "^response%.function_call"
    or name:find "^response%.tool_call") and data
end

local function read_events(self, list)
  for _, data in ipairs(list) do
    if type(data) == "table" then
      local name = text_of(data.event) or "message"
      local call = call_in(name, data)
      local event = { event = name, json = data,
        class = CLASSES[name] or "content",
        tool = call and slot_of(self, call) or nil }
      if event.class == "error" or name == "response.cancelled" then
        return event
      end
      self:add(event)
    end
  end
end

-- What failed all the same, with a status that says otherwise.
local function failure_in(data)
  if data.success == false
      or data.status == "failed" and table_of(data.error) then
    return { json = data, class = "error" }
  end
end

local function is_array(value)
  return type(value) == "table" and value[1] ~= nil
end

local FIELDS = { "text", "thread_id", "response_id", "model", "usage",
  "stop_reason", "tool_calls", "reasoning", "blocks", "events" }

--- Read an answer that came as one body.
---@param data any decoded
---@param keep_events? boolean
---@return freddy.Answer answer for an object, that object: what the server
---  did not name so is added to it
---@return table? failed an event: the server says that it is no answer
function answer.read(data, keep_events)
  local self = answer.new(keep_events)
  if type(data) ~= "table" then
    return self:result()
  end
  local events = is_array(data) and data or is_array(data.data) and data.data
  if events then
    note_facts(self, data)
    local failed = read_events(self, events)
    return self:result(), failed
  end
  note_facts(self, data)
  self.response_id = text_of(data.id) or self.response_id
  local thread = table_of(data.thread)
  self.thread_id = thread and text_of(thread.id) or self.thread_id
  add_whole(self, text_of(data.response))
  local calls = table_of(data.output) and read_output(self, data.output)
    or table_of(data.choices) and read_choices(self, data.choices)
  self.tools = table_of(data.tool_calls) or calls or nil
  self.reasoning[1] = text_of(data.reasoning_content)
    or text_of(data.reasoning)
  local text = add_blocks(self, table_of(data.response_blocks) or {})
  if self.size == 0 then
    add_text(self, text)
  end
  local result = self:result()
  for _, name in ipairs(FIELDS) do
    if data[name] == nil or data[name] == core.null then
      data[name] = result[name]
    end
  end
  return data, failure_in(data)
end

return answer
