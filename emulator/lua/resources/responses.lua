-- SPDX-License-Identifier: MIT
-- /v1/model/response: answers in one piece and as event streams; their
-- resumption, their cancelling, and those that work in the background.

local answers = require "turns.answers"
local asked = require "turns.asked"
local clock = require "clock"
local credentials = require "credentials"
local errors = require "errors"
local json = require "json"
local plan = require "turns.plan"
local play = require "turns.play"
local reply = require "reply"
local request = require "request"
local state = require "state"
local store = require "turns.store"
local threads = require "resources.threads"
local turn = require "turns.turn"

local responses = {}

local MAX_BODY = 64 * 1024  -- of a request that the log repeats

local function log(kind, which, facts)
  facts = facts or {}
  facts.kind, facts.thread_id = kind, which and which.thread_id
  facts.response_id = which and which.response_id
  facts.at = ngx.now()
  local body = request.body()
  if body ~= "" and #body <= MAX_BODY then
    json.put(facts, "body", body)
  end
  local entry = store.open(facts)
  ngx.ctx.turn_entry = entry
  return entry
end

local function not_found(what, id)
  log("refused", nil, { id = id })
  errors.send(404, "RESOURCE_NOT_FOUND", {
    message = what .. " was not found.", details = { id = id },
  })
end

-- The body, or nothing after an answer that says what is wrong with it.
local function checked_body()
  local body = request.json()
  if not body then
    return errors.invalid("body", "Not a JSON object.")
  end
  local field, message = asked.wrong(body)
  if field then
    return errors.invalid(field, message, body[field])
  end
  for name, value in pairs(body) do
    if value == json.null then
      body[name] = nil
    end
  end
  return body
end

-- Credentials; false after an answer that refuses them. A server that looks
-- at them inside the stream says so in an event.
local function admit(body)
  if not (state.switches().responses.auth_in_stream and body.stream)
    or asked.wrong(body) then
    return credentials.check()
  end
  local status, code = credentials.verdict()
  if not status then
    return true
  end
  local which = turn.new(body, { error = {
    at = "start", status = status, code = code,
    message = errors.message(status, code),
  } })
  store.add(which)
  play.stream(which, log("stream", which, { refused = code }))
  return false
end

local function status_name(which)
  local name = turn.status(which)
  if name ~= "running" then
    return name
  elseif which.script.generation == "G1" then
    return "processing"
  elseif turn.elapsed(which) < which.script.queued_ms / 1000 then
    return "queued"
  end
  return "in_progress"
end

local function background(which)
  log("background", which)
  local camel = which.script.generation == "G1"
  reply.json(200, {
    id = which.response_id, status = camel and "processing" or "queued",
    [camel and "createdAt" or "created_at"] = math.floor(which.started),
    thread_id = which.thread_id,
  })
end

local function whole(which)
  log("json", which)
  local failure = which.script.error
  local finished = play.wait(which)
  if failure then
    return errors.send(failure.status or 500, failure.code,
      { message = failure.message })
  elseif not finished then
    return errors.send(409, "REQUEST_CANCELLED")
  end
  reply.json(200, answers.of(which, plan.pieces(which)))
end

function responses.create()
  local body = request.json()
  if not admit(body or {}) then
    return
  end
  body = checked_body()
  if not body then
    return
  end
  local which = turn.new(body)
  store.add(which)
  threads.take(which)
  if body.background then
    return background(which)
  elseif which.script.as == "json"
    or not body.stream and which.script.as ~= "stream" then
    return whole(which)
  end
  play.stream(which, log("stream", which))
end

function responses.resume(params)
  local seen = request.query().last_event_id
  local which = store.latest(params.id)
  if not which then
    return not_found("A stream of this thread", params.id)
  elseif seen and not seen:find "^%d+$" then
    return errors.invalid("last_event_id", "Not a number.", seen)
  end
  local entry = log("resume", which, { last_event_id = tonumber(seen) })
  play.stream(which, entry, { replay = true, seen = tonumber(seen) })
end

function responses.cancel(params)
  local which = store.latest(params.id)
  local before = which and store.cancelled(which)
  if not which or not before and turn.status(which) ~= "running" then
    return not_found("An active stream of this thread", params.id)
  end
  local elapsed = turn.elapsed(which)
  local quick = elapsed < which.script.quick_edit
  local mark = store.cancel(which, {
    at = which.started + elapsed,
    mode = quick and "quick_edit" or "keep_partial",
  })
  quick = mark.mode == "quick_edit"
  log("cancel", which)
  reply.json(200, {
    success = true, cancel_mode = mark.mode,
    elapsed_seconds = mark.at - which.started,
    user_message_deleted = quick, assistant_response_deleted = quick,
    partial_content_saved = not quick,
  })
end

local function output(which)
  return { { role = "assistant", content = { {
    type = "output_text", text = which.text,
  } } } }
end

function responses.get(params)
  local which = store.get(params.id)
  if not which then
    return not_found("The response", params.id)
  end
  log("get", which)
  local status = status_name(which)
  local done, all = turn.progress(which)
  local camel = which.script.generation == "G1"
  local failure = which.script.error or {}
  reply.json(200, {
    id = which.response_id, status = status, model = which.model,
    [camel and "createdAt" or "created_at"] = math.floor(which.started),
    progress = { stepsCompleted = done, totalSteps = all,
      percentage = math.floor(100 * done / all) },
    output = status == "completed" and output(which) or nil,
    usage = status == "completed" and which.usage or nil,
    thread = { id = which.thread_id },
    error = status == "failed" and { code = failure.code,
      message = failure.message, type = "server_error" } or nil,
  })
end

function responses.delete(params)
  local which = store.get(params.id)
  if not which then
    return not_found("The response", params.id)
  end
  log("delete", which)
  if turn.status(which) == "running" then
    store.cancel(which,
      { at = which.started + turn.elapsed(which), mode = "keep_partial" })
  end
  reply.json(200, {
    id = which.response_id, status = turn.status(which),
    cancelledAt = clock.iso(), message = "Response cancelled",
  })
end

local function choices(name, field, words, default)
  return function()
    local list = {}
    for i, word in ipairs(words) do
      list[i] = { [field] = word, is_default = word == default,
        description = "As " .. word }
    end
    reply.json(200, { success = true, [name] = list })
  end
end

responses.output_modes = choices("output_modes", "mode",
  { "text", "plain", "blocks" }, "text")
responses.reasoning_levels = choices("reasoning_levels", "level",
  { "off", "low", "medium", "high", "maximum" }, "medium")

return responses
