-- SPDX-License-Identifier: MIT
-- /v1/threads

local clock = require "clock"
local errors = require "errors"
local json = require "json"
local reply = require "reply"
local request = require "request"
local state = require "state"

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

local function send(status, thread)
  thread.space_ids = json.array(thread.space_ids or {})
  reply.json(status, thread)
end

local function value_or(value, default)
  if value == nil then
    return default
  end
  return value
end

function threads.create()
  local body = checked_body()
  if not body then
    return
  end
  local time = clock.iso()
  local thread = {
    id = "thrd_" .. ngx.var.rid:sub(1, 24), object = "thread",
    created_at = time, updated_at = time, last_message_at = json.null,
    metadata = value_or(body.metadata, {}),
    assistant_id = value_or(body.assistant_id, json.null),
    organization_id = value_or(body.organization_id, "org_demo01"),
    user_id = "usr_emulator01", title = value_or(body.title, json.null),
    status = "inactive", message_count = 0,
    visible_in_ui = value_or(body.visible_in_ui, true),
    last_model_used = json.null, is_pinned = false, pinned_at = json.null,
  }
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

local function reversed(list)
  local result = {}
  for i = #list, 1, -1 do
    result[#result + 1] = list[i]
  end
  return result
end

local function position(list, id)
  for i, thread in ipairs(list) do
    if thread.id == id then
      return i
    end
  end
end

-- The window of a cursor-paged list: after and before are ids.
local function window(list, query, limit)
  local first, last = 1, #list
  if query.after then
    first = (position(list, query.after) or #list) + 1
  end
  if query.before then
    last = (position(list, query.before) or 1) - 1
    first = math.max(first, last - limit + 1)
  end
  local page = {}
  for i = first, math.min(last, first + limit - 1) do
    list[i].space_ids = json.array(list[i].space_ids or {})
    page[#page + 1] = list[i]
  end
  local more = first + #page <= last or query.before ~= nil and first > 1
  return page, more
end

function threads.list()
  local query = request.query()
  local limit = request.integer(query.limit, 20, 1, 100)
  local order = query.order or "desc"
  if not limit then
    return errors.invalid("limit", "Not a number from 1 to 100.", query.limit)
  elseif order ~= "asc" and order ~= "desc" then
    return errors.invalid("order", "Neither asc nor desc.", order)
  end
  local list = documents.list("thread")
  if order == "desc" then
    list = reversed(list)
  end
  local page, more = window(list, query, limit)
  local answer = {
    object = "list", data = json.array(page), has_more = more,
    first_id = page[1] and page[1].id or json.null,
    last_id = page[1] and page[#page].id or json.null,
  }
  if request.boolean(query.include_total, false) then
    answer.total = #list
  end
  reply.json(200, answer)
end

return threads
