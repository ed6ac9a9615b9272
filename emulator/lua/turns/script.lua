-- SPDX-License-Identifier: MIT
-- What a turn may be told to do: the fields of the switches `responses` (for
-- every turn) and `respond` (rules), their checks and defaults.

local checks = require "checks"
local json = require "json"

local script = {}

local is, integer, number = checks.is, checks.integer, checks.number
local one_of, list_of, some = checks.one_of, checks.list_of, checks.some
local object = checks.object

local milliseconds = number(0, 600000)
local count = integer(0, 1e6)
local heartbeat = object {
  ms = number(1, 600000), form = one_of("event", "comment"),
  text = is "string",
}

script.FIELDS = {
  -- how it looks
  generation = one_of("G1", "G2", "G3"), shape = one_of("A", "B", "C", "D",
    "D-data"),
  ids = is "boolean", done = is "boolean", json_name = is "boolean",
  event_line = is "boolean", eol = one_of("\n", "\r\n", "\r"),
  bom = is "boolean", retry = integer(0, 1e9), content_type = is "string",
  as = one_of("json", "stream"), first_id = integer(0, 1e9),
  -- what it says
  text = is "string", pieces = list_of(is "string"),
  piece = integer(1, 1e6), reasoning = is "string", processing = is "boolean",
  context = is "boolean", final_text = is "boolean", stop_reason = is "string",
  is_summarized = is "boolean", usage = is "table", model = is "string",
  thread_id = is "string", extra = is "table",
  tool_calls = list_of(object {
    id = is "string", name = is "string",
    arguments = function(value)
      return type(value) == "string" or type(value) == "table"
    end,
  }),
  tool_form = one_of("block", "pieces", "completed"),
  arguments_piece = integer(1, 1e6),
  server_tools = list_of(object {
    name = is "string", arguments = is "table", result = is "string",
    success = is "boolean", ms = count,
  }),
  events = list_of(object {
    event = is "string", data = function(value) return value ~= nil end,
    id = function(value)
      return type(value) == "number" or type(value) == "string"
        or value == false
    end,
    raw = is "string", ms = milliseconds, hold = is "string",
  }),
  error = object {
    at = one_of("start", "created", "content"), after = count,
    code = is "string", message = is "string", status = integer(400, 599),
    form = one_of("flat", "nested", "message"),
  },
  -- when
  ms = milliseconds, start_ms = milliseconds,
  pauses = some(object {
    after = count, ms = milliseconds, hold = is "string",
  }),
  heartbeat = heartbeat,
  -- how it breaks off, and goes on
  cut = some(object {
    bytes = integer(0, 1e9), events = count,
  }),
  last = one_of("close", "hold", "cut"),
  overlap = count, gone = one_of(false, true, "text"),
  auth_in_stream = is "boolean",
  quick_edit = number(0, 1e6), queued_ms = milliseconds,
}

-- What only a rule has: when it holds.
local RULE = setmetatable({
  times = integer(1, 1e9), after = integer(1, 1e9), role = is "string",
  model = is "string", stream = is "boolean",
}, { __index = script.FIELDS })

script.DEFAULTS = {
  generation = "G3", shape = "A", eol = "\n", json_name = true,
  processing = true, final_text = true, ms = 0, last = "close",
  quick_edit = 5, queued_ms = 0, first_id = 1, arguments_piece = 6,
}

--- What is wrong with the value of the switch `responses`.
---@param value any
---@return string?
function script.wrong(value)
  return checks.wrong(value, script.FIELDS)
end

--- The same for one rule of the switch `respond`.
---@param value any
---@return string?
function script.wrong_rule(value)
  return checks.wrong(value, RULE)
end

--- The gates that a script may wait at.
---@param value table
---@return string[]
function script.gates(value)
  local gates = {}
  local pauses = value.pauses or {}
  for _, wait in ipairs(pauses[1] and pauses or { pauses }) do
    gates[#gates + 1] = wait.hold
  end
  for _, event in ipairs(value.events or {}) do
    gates[#gates + 1] = event.hold
  end
  return gates
end

--- Whether a rule is about such a request.
---@param rule table
---@param asked { role: string?, model: string?, stream: boolean }
---@return boolean
function script.fits(rule, asked)
  return (rule.role == nil or rule.role == asked.role)
    and (rule.model == nil or rule.model == asked.model)
    and (rule.stream == nil or rule.stream == asked.stream)
end

-- Which generations number their events and say [DONE].
local NEWEST = "G3"

--- The script of one turn: the rule over the switches over the defaults.
---@param switches table
---@param rule table?
---@return table
function script.resolve(switches, rule)
  local result = {}
  for _, layer in ipairs { script.DEFAULTS, switches, rule or {} } do
    for name, value in pairs(layer) do
      if script.FIELDS[name] then
        result[name] = value
      end
    end
  end
  for _, name in ipairs { "ids", "done" } do
    if result[name] == nil then
      result[name] = result.generation == NEWEST
    end
  end
  if result.event_line == nil then
    result.event_line = result.generation == "G1" or not result.json_name
  end
  for _, name in ipairs { "pauses", "cut" } do
    local value = result[name]
    if value and not value[1] then
      result[name] = { value }
    end
  end
  return result
end

--- Tool calls with ids and with arguments as a text.
---@param value table a script
---@return { id: string, name: string, arguments: string }[]
function script.tool_calls(value)
  local calls = {}
  for i, call in ipairs(value.tool_calls or {}) do
    local arguments = call.arguments or "{}"
    calls[i] = {
      id = call.id or "call_" .. i, name = call.name or "tool",
      arguments = type(arguments) == "string" and arguments
        or json.encode(arguments),
    }
  end
  return calls
end

--- The same as a message has them.
---@param calls { id: string, name: string, arguments: string }[]?
---@return table[]? list nil when there is none
function script.function_calls(calls)
  local list = {}
  for i, call in ipairs(calls or {}) do
    list[i] = { id = call.id, type = "function",
      ["function"] = { name = call.name, arguments = call.arguments } }
  end
  return #list > 0 and list or nil
end

return script
