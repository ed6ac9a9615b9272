-- SPDX-License-Identifier: MIT
--- The calls in flight of this Lua state: number -> entry (see scheduler.lua).
local open_calls = {}

local last_id = 0
local free_ids, free_count = {}, 0 -- of calls that are done
local calls = setmetatable({}, { __mode = "v" }) -- id -> entry
local held = {} -- id -> entry, for calls that nobody waits for

--- A number for the next call, not that of any other in flight. They are used
--- again: to a table whose keys stay the same an entry is added for little.
---@return integer
function open_calls.next_id()
  if free_count > 0 then
    local id = free_ids[free_count]
    free_count = free_count - 1
    return id
  end
  last_id = last_id + 1
  return last_id
end

--- Let the events of call `id` find `entry`, for as long as somebody has it.
---@param id integer
---@param entry table
function open_calls.add(id, entry)
  entry.id = id
  calls[id] = entry
end

--- Keep what belongs to call `id` until it is taken.
---@param id integer
---@param what table|userdata
function open_calls.hold(id, what)
  held[id] = what
end

---@param id integer
---@return table? entry
function open_calls.get(id)
  return calls[id]
end

--- No event is to find `entry` any more.
---@param entry table
function open_calls.drop(entry)
  if calls[entry.id] == entry then -- else it is done, and its id another's
    calls[entry.id] = nil
  end
end

--- Call `id` is done: forget it, and use its number again.
---@param id integer
---@return table? entry
---@return boolean kept whether the entry was held
function open_calls.take(id)
  local entry, kept = calls[id], held[id]
  if entry or kept then -- else it was dropped, and may be anywhere
    calls[id], held[id] = nil, nil
    free_count = free_count + 1
    free_ids[free_count] = id
  end
  return entry, kept ~= nil and kept == entry
end

--- Forget all calls, and hand them to `fn`, which learns whether the entry was
--- held.
---@param fn fun(entry: table, kept: boolean)
function open_calls.forget(fn)
  local old, kept = calls, held
  free_ids, free_count = {}, 0
  calls, held = setmetatable({}, { __mode = "v" }), {}
  for id, entry in pairs(old) do
    fn(entry, kept[id] ~= nil)
  end
end

--- Whether some call is open that is not in the background. Not by pairs: see
--- listener.settle_all.
---@return boolean
function open_calls.any()
  local id, entry = next(calls)
  while id do
    if not entry.background then
      return true
    end
    id, entry = next(calls, id)
  end
  return false
end

return open_calls
