-- SPDX-License-Identifier: MIT
-- A turn's answer in one piece, in every shape that the API has shown.

local json = require "json"
local script = require "turns.script"

local answers = {}

local shapes = {}

function shapes.A(turn)
  return {
    success = true, thread_id = turn.thread_id, response = turn.text,
    response_id = turn.response_id, stop_reason = turn.stop_reason,
    usage = turn.usage,
    tool_calls = script.function_calls(turn.tool_calls),
  }
end

function shapes.B(turn)
  local output = {}
  if turn.text ~= "" then
    output[1] = { role = "assistant",
      content = { { type = "output_text", text = turn.text } } }
  end
  for _, call in ipairs(turn.tool_calls or {}) do
    output[#output + 1] = { type = "function_call", id = call.id,
      call_id = call.id, name = call.name, arguments = call.arguments }
  end
  return {
    id = turn.response_id, model = turn.model, usage = turn.usage,
    output = json.array(output), thread = { id = turn.thread_id },
  }
end

function shapes.C(turn)
  return {
    id = turn.response_id, object = "response", model = turn.model,
    createdAt = math.floor(turn.started), threadId = turn.thread_id,
    choices = { {
      index = 0, logprobs = json.null,
      finishReason = turn.tool_calls and "toolCalls" or "stop",
      message = { role = "assistant", content = turn.text,
        toolCalls = script.function_calls(turn.tool_calls),
        refusal = json.null },
    } },
  }
end

function shapes.D(turn, pieces)
  local events = { { event = "response.created", status = "in_progress",
    threadId = turn.thread_id } }
  for _, piece in ipairs(pieces) do
    events[#events + 1] = { event = "response.output_text.delta",
      status = "in_progress", response = piece }
  end
  events[#events + 1] = {
    event = "response.completed", status = "completed",
    response = turn.script.final_text and turn.text or nil,
  }
  return events
end

shapes["D-data"] = function(turn, pieces)
  return { success = true, data = shapes.D(turn, pieces) }
end

---@param turn table
---@param pieces string[]
---@return table
function answers.of(turn, pieces)
  local answer = shapes[turn.script.shape](turn, pieces)
  for name, value in pairs(turn.script.extra or {}) do
    answer[name] = value
  end
  return answer
end

return answers
