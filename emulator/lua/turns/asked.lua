-- SPDX-License-Identifier: MIT
-- What a request for a turn may say, and what it says.

local json = require "json"

local asked = {}

local function text(value)
  return type(value) ~= "string" and "Not a string." or nil
end

local function boolean(value)
  return type(value) ~= "boolean" and "Not a boolean." or nil
end

local function share(value)
  return (type(value) ~= "number" or value < 0 or value > 1)
    and "Not a number from 0 to 1." or nil
end

local ROLES = { user = true, system = true, assistant = true, tool = true }

local function wrong_input(input)
  if type(input) ~= "table" then
    return "Not a message."
  elseif not ROLES[input.role] then
    return "Not a role."
  elseif input.role == "tool" and type(input.tool_call_id) ~= "string" then
    return "A tool's message needs tool_call_id."
  elseif type(input.content) == "string" then
    return input.role == "tool" and #input.content > 1024 * 1024
      and "Longer than 1 MB." or nil
  elseif type(input.content) ~= "table" and type(input.texts) ~= "table" then
    return "No content."
  end
end

local function inputs(value)
  if type(value) ~= "table" or value[1] == nil then
    return "Not a list of messages."
  end
  for _, input in ipairs(value) do
    local wrong = wrong_input(input)
    if wrong then
      return wrong
    end
  end
end

local function wrong_tool(tool)
  if type(tool) ~= "table" then
    return "Not a tool."
  elseif tool.type == "mcp" then
    return type(tool.server_label) ~= "string" and "No server_label."
      or (tool.configuration_id == nil) == (tool.server_url == nil)
      and "Either configuration_id or server_url." or nil
  elseif tool.type ~= "function" then
    return "Neither function nor mcp."
  elseif type(tool.name) ~= "string" or #tool.name > 64
    or not tool.name:find "^[%a_][%w_]*$" then
    return "Not a name of a function."
  elseif tool.description ~= nil and (type(tool.description) ~= "string"
    or #tool.description > 1024) then
    return "Not a description of at most 1024 characters."
  elseif tool.parameters ~= nil and type(tool.parameters) ~= "table" then
    return "Parameters are no object."
  end
end

local function tools(value)
  if type(value) ~= "table" or next(value) ~= nil and value[1] == nil then
    return "Not a list."
  elseif #value > 128 then
    return "More than 128."
  end
  for _, tool in ipairs(value) do
    local wrong = wrong_tool(tool)
    if wrong then
      return wrong
    end
  end
end

local MODES = { text = true, plain = true, blocks = true, structured = true,
  json = true }

-- Field → what is wrong with its value, or nothing.
local CHECKS = {
  inputs = inputs, tools = tools, stream = boolean, background = boolean,
  organization_id = text, assistant_id = text, model = text,
  thread_id = text, temperature = share, top_p = share,
  edit_message_id = text, previous_message_id = text,
  previous_response_id = text, store = boolean,
  instructions = function(value)
    return text(value) or #value > 5000 and "Longer than 5000." or nil
  end,
  max_output_synapses = function(value)
    return (type(value) ~= "number" or value <= 0) and "Not above 0." or nil
  end,
  output_mode = function(value)
    return not MODES[value] and "Not an output mode." or nil
  end,
}

--- The first field that is wrong, and why; nothing when all is right.
---@param body table
---@return string? field
---@return string? message
function asked.wrong(body)
  if body.inputs == nil then
    return "inputs", "Missing."
  end
  for name, check in pairs(CHECKS) do
    local value = body[name]
    local wrong = value ~= nil and value ~= json.null and check(value)
    if wrong then
      return name, wrong
    end
  end
  for _, name in ipairs { "edit_message_id", "previous_message_id" } do
    if body[name] and not body.thread_id then
      return name, "Needs thread_id."
    end
  end
end

local function join(list, field)
  local parts = {}
  for _, part in ipairs(list) do
    if type(part) == "table" and type(part[field]) == "string" then
      parts[#parts + 1] = part[field]
    end
  end
  return table.concat(parts, "\n")
end

--- The text of a message in any of its forms.
---@param input table
---@return string
function asked.text(input)
  if type(input.content) == "string" then
    return input.content
  end
  return join(input.content or input.texts, "text")
end

--- The last message.
---@param body table
---@return table
function asked.last(body)
  return body.inputs[#body.inputs]
end

--- How many words all messages have: what counts for tokens here.
---@param body table
---@return integer
function asked.size(body)
  local count = 0
  for _, input in ipairs(body.inputs) do
    count = count + select(2, asked.text(input):gsub("%S+", ""))
  end
  return count
end

return asked
