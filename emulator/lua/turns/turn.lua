-- SPDX-License-Identifier: MIT
-- A turn: what was asked, the script that answers, and how far it has come.

local asked = require "turns.asked"
local plan = require "turns.plan"
local reply = require "reply"
local script = require "turns.script"
local state = require "state"
local store = require "turns.store"

local turn = {}

local function id(prefix)
  return prefix .. ngx.var.rid:sub(1, 24)
end

-- The first rule that is about such a request, used up by one.
local function rule_for(body)
  local about = { stream = body.stream == true, model = body.model,
    role = asked.last(body).role }
  local fitting = {}
  for _, rule in ipairs(state.switches().respond) do
    if script.fits(rule, about) then
      fitting[#fitting + 1] = rule
    end
  end
  return state.take(fitting)
end

local function default_text(body)
  local last = asked.last(body)
  if last.role == "tool" then
    return "The tool says: " .. asked.text(last)
  end
  return "You said: " .. asked.text(last)
end

local function usage_of(body, text)
  local input = asked.size(body)
  local output = select(2, text:gsub("%S+", ""))
  return { input_tokens = input, output_tokens = output,
    total_tokens = input + output }
end

--- What a request asks for, as a turn that begins now.
---@param body table
---@param rule table? in place of what the control endpoint has said
---@return table
function turn.new(body, rule)
  rule = rule or rule_for(body)
  local told = script.resolve(state.switches().responses, rule)
  local calls = script.tool_calls(told)
  local has_calls = #calls > 0
  ngx.update_time()
  local new = {
    script = told, started = ngx.now(), body = body,
    thread_id = body.thread_id or told.thread_id or id "thrd_",
    response_id = id "resp_", trace_id = reply.trace_id(),
    user_message_id = id "msg_u", message_id = id "msg_a",
    assistant_id = body.assistant_id,
    model = told.model or body.model or "ftg-3.0",
    text = told.pieces and table.concat(told.pieces) or told.text
      or has_calls and "" or default_text(body),
    tool_calls = has_calls and calls or nil,
    stop_reason = told.stop_reason or has_calls and "tool_calls"
      or "end_turn",
  }
  new.usage = told.usage or usage_of(body, new.text)
  return new
end

--- The seconds that a turn has taken until now, or until it was cancelled.
---@param which table
---@return number
function turn.elapsed(which)
  ngx.update_time()
  local mark = store.cancelled(which)
  return (mark and mark.at or ngx.now()) - which.started
end

--- How far a turn has come: how many steps of how many.
---@param which table
---@return integer done
---@return integer all
---@return table[] steps
function turn.progress(which)
  local steps = plan.steps(which)
  return plan.progress(which, steps, which.started + turn.elapsed(which)),
    #steps, steps
end

--- running, completed, failed or cancelled.
---@param which table
---@return string
function turn.status(which)
  local done, all = turn.progress(which)
  if done == all then
    return which.script.error and "failed" or "completed"
  end
  return store.cancelled(which) and "cancelled" or "running"
end

--- The number of the last event that has come; nil before the first.
---@param which table
---@return integer?
function turn.last_event(which)
  local done, _, steps = turn.progress(which)
  return done > 0 and steps[done].number or nil
end

--- The text that has come until now.
---@param which table
---@return string
function turn.text_so_far(which)
  local done, all, steps = turn.progress(which)
  if done == all then
    return which.text
  end
  local pieces, text = plan.pieces(which), {}
  for i = 1, done do
    if steps[i].length then
      text[#text + 1] = pieces[#text + 1]
    end
  end
  return table.concat(text)
end

--- The functions that a turn has called, once it has ended.
---@param which table
---@return table[]?
function turn.function_calls(which)
  local done, all = turn.progress(which)
  return done == all and script.function_calls(which.tool_calls) or nil
end

return turn
