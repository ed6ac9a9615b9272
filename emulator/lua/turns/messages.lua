-- SPDX-License-Identifier: MIT
-- The messages of a thread: what its turns asked, and what they have said
-- until now. A turn that was cancelled early enough has none.

local asked = require "turns.asked"
local clock = require "clock"
local store = require "turns.store"
local turn = require "turns.turn"

local messages = {}

local function message(which, id, role, content)
  return {
    id = id, object = "thread.message", thread_id = which.thread_id,
    created_at = clock.iso(which.started), role = role, content = content,
  }
end

local function add(list, which)
  local mark = store.cancelled(which)
  if mark and mark.mode == "quick_edit" then
    return
  end
  for i, input in ipairs(which.body.inputs) do
    local id = i == #which.body.inputs and which.user_message_id
      or which.user_message_id .. "_" .. i
    list[#list + 1] = message(which, id, input.role, asked.text(input))
  end
  local text = turn.text_so_far(which)
  if text ~= "" or which.tool_calls then
    local said = message(which, which.message_id, "assistant", text)
    said.status = mark and "cancelled" or nil
    said.tool_calls = turn.function_calls(which)
    list[#list + 1] = said
  end
end

--- All messages of a thread, oldest first.
---@param thread_id string
---@return table[]
function messages.of(thread_id)
  local list = {}
  for _, which in ipairs(store.of_thread(thread_id)) do
    if which.body.inputs then
      add(list, which)
    end
  end
  return list
end

--- The turn of a thread that runs now.
---@param thread_id string
---@return table?
function messages.running(thread_id)
  local which = store.latest(thread_id)
  if which and turn.status(which) == "running" then
    return which
  end
end

return messages
