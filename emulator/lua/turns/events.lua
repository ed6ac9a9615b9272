-- SPDX-License-Identifier: MIT
-- What each event of a turn says in each generation. A function here gets
-- the turn, and gives a list of `{ name, object }`; the object's own member
-- `event` is added where the frame is made.

local json = require "json"
local script = require "turns.script"

local ORGANIZATION, USER = "org_demo01", "usr_emulator01"

-- G3 and G2 share most of what they say.
local newer = {}

function newer.processing(turn)
  return { { "response.processing", {
    status = "processing", thread_id = turn.thread_id,
    message = "Preparing the answer",
  } } }
end

function newer.created(turn)
  return { { "response.created", {
    status = "in_progress", thread_id = turn.thread_id, user_id = USER,
    org_id = ORGANIZATION, user_message_id = turn.user_message_id,
    trace_id = turn.trace_id, assistant_id = turn.assistant_id,
  } } }
end

function newer.context()
  return { { "response.context", {
    user_id = USER, org_id = ORGANIZATION, org_name = "Demo",
    timezone = "Europe/Zurich", country = "CH",
    location_source = "organization",
  } } }
end

function newer.delta(_, text)
  return { { "response.content_delta", { delta = text } } }
end

function newer.text_done()
  return {}
end

function newer.reasoning(_, pieces)
  local list = { { "reasoning.started", {} } }
  for _, piece in ipairs(pieces) do
    list[#list + 1] = { "reasoning.content", { content = piece } }
  end
  list[#list + 1] = { "reasoning.completed", {} }
  return list
end

function newer.block(_, block)
  return { { "response.block", { block = block } } }
end

local function cut_up(text, size)
  local pieces = {}
  for at = 1, #text, size do
    pieces[#pieces + 1] = text:sub(at, at + size - 1)
  end
  return pieces
end

-- In pieces: the first block names the call, those that follow have its id
-- and a piece of the arguments as text. What is not known is null, as servers
-- write that give each object all of its fields.
function newer.tool_call(turn, call, index)
  local form = turn.script.tool_form or "block"
  if form == "completed" then
    return {}
  end
  local block = { type = "tool_call", id = call.id, tool_name = call.name,
    success = json.null, execution_time_ms = json.null, result = json.null }
  if form == "block" then
    block.arguments = json.decode(call.arguments) or call.arguments
    return newer.block(turn, block)
  end
  block.arguments, block.index = "", index
  local list = newer.block(turn, block)
  for _, piece in ipairs(cut_up(call.arguments,
    turn.script.arguments_piece)) do
    list[#list + 1] = { "response.block", { block = {
      type = "tool_call", id = call.id, index = index, arguments = piece,
      tool_name = json.null, success = json.null,
    } } }
  end
  return list
end

function newer.completed(turn)
  local told = turn.script
  return { { "response.completed", {
    status = "completed", thread_id = turn.thread_id,
    response_id = turn.response_id, model = turn.model,
    is_summarized = told.is_summarized or false,
    response = told.final_text and turn.text or nil,
    assistant_id = turn.assistant_id, reasoning_content = told.reasoning,
    tools = told.tool_form == "completed"
      and script.function_calls(turn.tool_calls) or nil,
    stop_reason = turn.stop_reason, usage = turn.usage,
  } } }
end

function newer.cancelled(turn, length)
  return { { "response.cancelled", {
    status = "cancelled", thread_id = turn.thread_id,
    partial_content_length = length,
  } } }
end

function newer.error(turn, failure)
  local object = {
    status = "failed", thread_id = turn.thread_id, message = failure.message,
  }
  if failure.form == "nested" then
    object.error = {
      code = failure.code, message = failure.message, status = failure.status,
    }
  elseif failure.form ~= "message" then
    object.code = failure.code
  end
  return { { "response.error", object } }
end

function newer.heartbeat(_, text)
  return { { "response.heartbeat", { message = text } } }
end

local G3 = newer

local G2 = setmetatable({}, { __index = newer })

function G2.processing()
  return {}
end

function G2.created(turn)
  return { { "response.created", {
    status = "in_progress", thread_id = turn.thread_id,
    is_summarized = turn.script.is_summarized or false,
    assistant_id = turn.assistant_id, output_mode = "text",
  } } }
end

local G1 = setmetatable({}, { __index = newer })

G1.processing = G2.processing
G1.context = G2.processing

function G1.created(turn)
  return {
    { "response.created",
      { id = turn.response_id, status = "in_progress" } },
    { "response.output_item.added",
      { index = 0, item = { type = "message", role = "assistant" } } },
  }
end

function G1.delta(_, text)
  return { { "response.output_text.delta", { index = 0, delta = text } } }
end

function G1.text_done(turn)
  return { { "response.output_text.done", { index = 0, text = turn.text } } }
end

function G1.tool_call(turn, call, index)
  local list = { { "response.output_item.added", { index = index, item = {
    type = "function_call", id = call.id, call_id = call.id,
    name = call.name, arguments = "",
  } } } }
  for _, piece in ipairs(cut_up(call.arguments,
    turn.script.arguments_piece)) do
    list[#list + 1] = { "response.function_call_arguments.delta",
      { index = index, item_id = call.id, delta = piece } }
  end
  list[#list + 1] = { "response.function_call_arguments.done",
    { index = index, item_id = call.id, arguments = call.arguments } }
  return list
end

function G1.completed(turn)
  return { { "response.completed", {
    status = "completed",
    usage = { outputSynapses = turn.usage.output_tokens },
  } } }
end

function G1.cancelled()
  return { { "response.cancelled", { status = "cancelled" } } }
end

function G1.error(_, failure)
  return { { "response.failed", { status = "failed", error = {
    message = failure.message,
    code = failure.form ~= "message" and failure.code or nil,
  } } } }
end

return { G1 = G1, G2 = G2, G3 = G3 }
