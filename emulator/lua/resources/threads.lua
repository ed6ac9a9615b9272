-- SPDX-License-Identifier: MIT
-- /v1/threads

local clock = require "clock"
local errors = require "errors"
local json = require "json"
local messages = require "turns.messages"
local paging = require "paging"
local reply = require "reply"
local request = require "request"
local state = require "state"
local turn = require "turns.turn"

local threads = {}
local documents = state.documents

local function check_metadata(metadata)
  if type(metadata) ~= "table" then
    return "Not an object."
  end
  local count = 0
  for name, value in pairs(metadata) do
    count = count + 1
    if type(name) ~= "string" or #name > 64 then
      return "A key is longer than 64 characters."
    elseif type(value) == "string" and #value > 512 then
      return "A value is longer than 512 characters."
    end
  end
  return count > 16 and "More than 16 pairs." or nil
end

-- Field of a body → what is wrong with its value, or nil.
local CHECKS = {
  title = function(value)
    if type(value) ~= "string" then
      return "Not a string."
    end
    return #value > 200 and "Longer than 200 characters." or nil
  end,
  metadata = check_metadata,
  assistant_id = function(value)
    return type(value) ~= "string" and "Not a string." or nil
  end,
  visible_in_ui = function(value)
    return type(value) ~= "boolean" and "Not a boolean." or nil
  end,
}
CHECKS.organization_id = CHECKS.assistant_id

-- The body, or nil after an answer that says what is wrong.
local function checked_body()
  local body = request.json()
  if not body then
    errors.invalid("body", "Not a JSON object.")
    return nil
  end
  for name, check in pairs(CHECKS) do
    local value = body[name]
    local wrong = value ~= nil and value ~= json.null and check(value)
    if wrong then
      errors.invalid(name, wrong, value)
      return nil
    end
  end
  return body
end

local function find(id)
  local thread = documents.get("thread", id)
  if not thread then
    errors.send(404, "RESOURCE_NOT_FOUND", {
      message = "Thread was not found.", system_message = "Thread not found",
      details = { thread_id = id },
    })
  end
  return thread
end

-- What is not kept, but follows from the thread's turns.
local function complete(thread)
  thread.space_ids = json.array(thread.space_ids or {})
  thread.status = messages.running(thread.id) and "streaming"
    or thread.status
  thread.message_count = #messages.of(thread.id)
  return thread
end

local function send(status, thread)
  reply.json(status, complete(thread))
end

local function value_or(value, default)
  if value == nil then
    return default
  end
  return value
end

local function new_thread(id, body)
  local time = clock.iso()
  return {
    id = id, object = "thread",
    created_at = time, updated_at = time, last_message_at = json.null,
    metadata = value_or(body.metadata, {}),
    assistant_id = value_or(body.assistant_id, json.null),
    organization_id = value_or(body.organization_id, "org_demo01"),
    user_id = "usr_emulator01", title = value_or(body.title, json.null),
    status = "inactive", message_count = 0,
    visible_in_ui = value_or(body.visible_in_ui, true),
    last_model_used = json.null, is_pinned = false, pinned_at = json.null,
  }
end

function threads.create()
  local body = checked_body()
  if not body then
    return
  end
  local thread = new_thread("thrd_" .. ngx.var.rid:sub(1, 24), body)
  documents.put("thread", thread.id, thread)
  send(201, thread)
end

function threads.get(params)
  local thread = find(params.id)
  if thread then
    send(200, thread)
  end
end

function threads.update(params)
  local thread = find(params.id)
  local body = thread and checked_body()
  if not body then
    return
  end
  for _, name in ipairs { "title", "assistant_id", "visible_in_ui" } do
    thread[name] = value_or(body[name], thread[name])
  end
  if type(body.metadata) == "table" then
    for name, value in pairs(body.metadata) do
      thread.metadata[name] = value ~= json.null and value or nil
    end
  end
  thread.updated_at = clock.iso()
  documents.put("thread", thread.id, thread)
  send(200, thread)
end

function threads.delete(params)
  if find(params.id) then
    documents.delete("thread", params.id)
    ngx.status = 204
    ngx.send_headers()
  end
end

function threads.list()
  local list = documents.list("thread")
  local answer = paging.page(list, "desc")
  if answer then
    for _, thread in ipairs(list) do
      complete(thread)
    end
    reply.json(200, answer)
  end
end

--- The messages of a thread, and how far its stream is while it runs.
function threads.messages(params)
  if not find(params.id) then
    return
  end
  local answer = paging.page(messages.of(params.id), "asc")
  local running = messages.running(params.id)
  if answer then
    answer.active_run = running and {
      response_id = running.response_id,
      last_event_id = turn.last_event(running) or json.null,
    } or nil
    reply.json(200, answer)
  end
end

--- The thread that a turn belongs to; made if there is none of its id.
---@param which table
function threads.take(which)
  local thread = documents.get("thread", which.thread_id)
    or new_thread(which.thread_id, which.body)
  thread.last_message_at = clock.iso(which.started)
  thread.updated_at = thread.last_message_at
  thread.last_model_used = which.model
  documents.put("thread", thread.id, thread)
end

return threads
