-- SPDX-License-Identifier: MIT
-- Lists that are paged by a cursor: `limit`, `order`, `after`, `before`.

local errors = require "errors"
local json = require "json"
local request = require "request"

local paging = {}

local function reversed(list)
  local result = {}
  for i = #list, 1, -1 do
    result[#result + 1] = list[i]
  end
  return result
end

local function position(list, id)
  for i, item in ipairs(list) do
    if item.id == id then
      return i
    end
  end
end

-- The window of a list: after and before are ids.
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
    page[#page + 1] = list[i]
  end
  local more = first + #page <= last or query.before ~= nil and first > 1
  return page, more
end

--- The page that the request asks for, as an answer's body; nothing after
--- an answer that says what is wrong with it.
---@param list table[] oldest first, each with its `id`
---@param default "asc"|"desc" the order when none is asked for
---@return table?
function paging.page(list, default)
  local query = request.query()
  local limit = request.integer(query.limit, 20, 1, 100)
  local order = query.order or default
  if not limit then
    return errors.invalid("limit", "Not a number from 1 to 100.", query.limit)
  elseif order ~= "asc" and order ~= "desc" then
    return errors.invalid("order", "Neither asc nor desc.", order)
  end
  local page, more = window(order == "desc" and reversed(list) or list, query,
    limit)
  local answer = {
    object = "list", data = json.array(page), has_more = more,
    first_id = page[1] and page[1].id or json.null,
    last_id = page[1] and page[#page].id or json.null,
  }
  if request.boolean(query.include_total, false) then
    answer.total = #list
  end
  return answer
end

return paging
