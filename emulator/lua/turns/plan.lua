-- SPDX-License-Identifier: MIT
-- A turn as a list of steps, each due at a time that follows from the turn's
-- start, its pauses and its gates alone. So every connection, on any worker,
-- plays the same turn, and how far it has come needs no bookkeeping.

local events = require "turns.events"
local json = require "json"
local script = require "turns.script"
local state = require "state"

local plan = {}

-- A byte that begins a character and those that continue it.
local CHARACTER = "[%z\1-\127\192-\255][\128-\191]*"

local function words(text)
  local pieces = {}
  for word in text:gmatch "%s*%S+%s*" do
    pieces[#pieces + 1] = word
  end
  if #pieces == 0 and text ~= "" then
    pieces[1] = text
  end
  return pieces
end

local function characters(text, size)
  local pieces, piece, count = {}, {}, 0
  for character in text:gmatch(CHARACTER) do
    piece[#piece + 1] = character
    count = count + 1
    if count == size then
      pieces[#pieces + 1] = table.concat(piece)
      piece, count = {}, 0
    end
  end
  if count > 0 then
    pieces[#pieces + 1] = table.concat(piece)
  end
  return pieces
end

--- The pieces in which a turn's text comes.
---@param turn table
---@return string[]
function plan.pieces(turn)
  local told = turn.script
  if told.pieces then
    return told.pieces
  elseif told.piece then
    return characters(turn.text, told.piece)
  end
  return words(turn.text)
end

-- A list that numbers what is added to it.
local function new_steps(turn)
  local steps = { number = turn.script.first_id - 1 }
  function steps:add(list, timing)
    for _, entry in ipairs(list) do
      self.number = self.number + 1
      local step = { name = entry[1], object = entry[2],
        number = self.number }
      for name, value in pairs(timing or {}) do
        step[name] = value
      end
      timing = nil  -- of the first one only
      self[#self + 1] = step
    end
  end
  return steps
end

-- What the pauses say of the content that comes after `count` pieces; with
-- `rest`, of all that have not been reached.
local function pause(told, count, rest)
  local timing = { ms = 0, gates = {} }
  for _, wait in ipairs(told.pauses or {}) do
    local at = wait.after or 0
    if at == count or rest and at > count then
      timing.ms = timing.ms + (wait.ms or 0)
      table.insert(timing.gates, wait.hold)
    end
  end
  return timing
end

local function content(turn, say, steps)
  local told, failure = turn.script, turn.script.error
  local pieces = plan.pieces(turn)
  local count = #pieces
  if failure and failure.after then
    count = math.min(count, failure.after)
  end
  for i = 1, count do
    local timing = pause(told, i - 1)
    timing.ms, timing.length = timing.ms + told.ms, #pieces[i]
    steps:add(say.delta(turn, pieces[i]), timing)
  end
  return pause(told, count, true)
end

local function tools(turn, say, steps)
  for i, call in ipairs(script.tool_calls(turn.script)) do
    steps:add(say.tool_call(turn, call, i), { ms = turn.script.ms })
  end
end

local function server_tools(turn, say, steps)
  for _, tool in ipairs(turn.script.server_tools or {}) do
    steps:add(say.block(turn, {
      type = "tool_call", tool_name = tool.name,
      arguments = tool.arguments or {},
    }), { ms = turn.script.ms })
    steps:add(say.block(turn, {
      type = "tool_result", tool_name = tool.name, result = tool.result,
      success = tool.success ~= false, execution_time_ms = tool.ms or 1,
    }))
  end
end

-- Events as the script gives them, in place of all others.
local function verbatim(turn, steps)
  for _, event in ipairs(turn.script.events) do
    steps:add({ { event.event, event.data } }, {
      ms = event.ms or turn.script.ms, gates = { event.hold },
      raw = event.raw, id = event.id, verbatim = true,
    })
  end
end

local function body(turn, say, steps)
  local told = turn.script
  local at = told.error and (told.error.at or "content")
  if told.processing then
    steps:add(say.processing(turn), { ms = told.start_ms })
  end
  if at == "start" then
    return steps:add(say.error(turn, told.error))
  end
  steps:add(say.created(turn),
    { ms = #steps == 0 and told.start_ms or nil })
  if told.context then
    steps:add(say.context(turn))
  end
  if at == "created" then
    return steps:add(say.error(turn, told.error))
  end
  if told.reasoning then
    steps:add(say.reasoning(turn, words(told.reasoning)), { ms = told.ms })
  end
  server_tools(turn, say, steps)
  local timing = content(turn, say, steps)
  if at == "content" then
    return steps:add(say.error(turn, told.error), timing)
  end
  if turn.text ~= "" then
    steps:add(say.text_done(turn))
  end
  tools(turn, say, steps)
  steps:add(say.completed(turn), timing)
end

--- The steps of a turn. Each has `ms` and `gates` (when it is due, counted
--- from the one before), `number`, and `name` with `object`, or `raw`.
---@param turn table
---@return table[]
function plan.steps(turn)
  local steps = new_steps(turn)
  if turn.script.events then
    verbatim(turn, steps)
  else
    body(turn, events[turn.script.generation], steps)
  end
  return steps
end

--- The step that takes the place of the rest of a cancelled turn.
---@param turn table
---@param steps table[] those that were played
---@param count integer how many
---@return table
function plan.cancelled(turn, steps, count)
  local length = 0
  for i = 1, count do
    length = length + (steps[i].length or 0)
  end
  local rest = new_steps(turn)
  rest.number = count > 0 and steps[count].number or rest.number
  rest:add(events[turn.script.generation].cancelled(turn, length))
  return rest[1]
end

--- What stands for a stream that is kept no more: a completion with the text,
--- or the text in one piece before it.
---@param turn table
---@return table[] steps
function plan.made_up(turn)
  local say, steps = events[turn.script.generation], new_steps(turn)
  if turn.script.gone == "text" then
    steps:add(say.delta(turn, turn.text))
  end
  steps:add(say.completed(turn))
  steps[#steps].object.response = turn.script.gone ~= "text" and turn.text
    or nil
  for _, step in ipairs(steps) do
    step.number = nil
  end
  return steps
end

--- The heartbeat event of a turn.
---@param turn table
---@param text string?
---@return table
function plan.heartbeat(turn, text)
  local steps = new_steps(turn)
  steps:add(events[turn.script.generation].heartbeat(turn, text))
  steps[1].number = nil
  return steps[1]
end

--- When a step is due; nil while one of its gates is closed.
---@param step table
---@param previous number when the one before was
---@return number?
function plan.due(step, previous)
  local due = previous
  for _, gate in ipairs(step.gates or {}) do
    local opened = state.opened(gate)
    if not opened then
      return nil
    end
    due = math.max(due, opened)
  end
  return due + (step.ms or 0) / 1000
end

--- How many steps a turn has come, up to a moment.
---@param turn table
---@param steps table[]
---@param until_when number
---@return integer
function plan.progress(turn, steps, until_when)
  local due = turn.started
  for i, step in ipairs(steps) do
    due = plan.due(step, due)
    if not due or due > until_when then
      return i - 1
    end
  end
  return #steps
end

local function field(name, value, eol)
  return value and name .. ": " .. value .. eol or ""
end

--- A step as the bytes of its frame.
---@param turn table
---@param step table
---@param source string? told in the event, as a replay does
---@return string
function plan.frame(turn, step, source)
  local told = turn.script
  if step.raw then
    return step.raw
  end
  local object, name = step.object, step.name
  if type(object) == "table" then
    object.source = source
    if not step.verbatim and told.json_name and told.generation ~= "G1" then
      object.event = name
    end
    object = json.encode(object)
  end
  local id = told.ids and step.number
  if step.id ~= nil then
    id = step.id
  end
  local line = (told.event_line or step.verbatim) and name
  return field("id", id, told.eol) .. field("event", line, told.eol)
    .. "data: " .. tostring(object):gsub("\n", told.eol .. "data: ")
    .. told.eol .. told.eol
end

--- The last frame of a stream that says it has ended.
---@param turn table
---@return string
function plan.done(turn)
  return "data: [DONE]" .. turn.script.eol .. turn.script.eol
end

return plan
