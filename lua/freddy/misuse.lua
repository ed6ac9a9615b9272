-- SPDX-License-Identifier: MIT
--- Programmer mistakes: raised at the line that made them, and with the name
--- that was probably meant.
---
--- The line is found by walking the stack to the first frame that is not
--- freddy's own. A fixed level would point into freddy whenever a call came
--- through another of its functions, or through a tail call.
local misuse = {}

local getinfo = debug and debug.getinfo

-- "@/usr/share/lua/5.4/freddy/" when this is ".../freddy/misuse.lua".
local root = getinfo and getinfo(1, "S").source:match("^(.*)misuse%.lua$")
local main = root and root:gsub("[/\\]$", "") .. ".lua"

local function is_own(source)
  return source == main or source:sub(1, #root) == root
end

--- Where the running coroutine left the user's code: "file.lua:12: ", or nil
--- when it has no frame of the user's.
---@return string? position
function misuse.where()
  local level = 2
  while root do
    local info = getinfo(level, "Sl")
    if not info then
      break
    end
    if info.currentline > 0 and not is_own(info.source) then
      return info.short_src .. ":" .. info.currentline .. ": "
    end
    level = level + 1
  end
  return nil
end

--- Where the coroutine at hand was started, for one that runs a function of
--- freddy directly (`freddy.spawn(client.get, client, path)`). Set by the
--- scheduler.
---@return string? position
function misuse.origin()
  return nil
end

--- Raise `message` at the caller's line. Never returns.
---@param message string
---@param ... any arguments for string.format, when there are any
function misuse.raise(message, ...)
  if select("#", ...) > 0 then
    message = message:format(...)
  end
  error((misuse.where() or misuse.origin() or "") .. message, 0)
end

--- "a number", "a table" and so on, of a value.
---@param value any
---@return string
function misuse.type_of(value)
  local name = type(value)
  if name == "nil" then
    return name
  end
  return "a " .. name
end

--- What was raised, as text: tostring of a user's value may raise itself.
---@param value any
---@return string
function misuse.text_of(value)
  local ok, text = pcall(tostring, value)
  return ok and type(text) == "string" and text or "(no message)"
end

-- The optimal string alignment distance: a swap of two neighbours counts one.
local function distance(a, b)
  local before, last = nil, {}
  for j = 0, #b do
    last[j] = j
  end
  for i = 1, #a do
    local row = { [0] = i }
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      local best = last[j - 1] + (same and 0 or 1)
      best = math.min(best, last[j] + 1, row[j - 1] + 1)
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1)
          and a:byte(i - 1) == b:byte(j) then
        best = math.min(best, before[j - 2] + 1)
      end
      row[j] = best
    end
    before, last = last, row
  end
  return last[#b]
end

local function plain(word)
  return (word:lower():gsub("[^%w]", ""))
end

--- The name that was probably meant, as ` (did you mean "base_url"?)`, or ""
--- when none is near.
---@param word any what was given
---@param names table the known names, as keys
---@return string
function misuse.suggest(word, names)
  if type(word) ~= "string" or word == "" or #word > 40 then
    return ""
  end
  local best, least
  local given = plain(word)
  for name in pairs(names) do
    local far = distance(given, plain(name))
    if not least or far < least or far == least and name < best then
      best, least = name, far
    end
  end
  if not least or least > math.max(1, math.floor(#given / 3)) then
    return ""
  end
  return (" (did you mean %q?)"):format(best)
end

--- Raise when `self` is not an object of `class`: the method was called with
--- a dot instead of a colon.
---@param self any
---@param class table the metatable that objects of the class have
---@param who string the method as it should be written: "client:get"
function misuse.check_self(self, class, who)
  if getmetatable(self) ~= class then
    misuse.raise("%s must be called with a colon, on the object it belongs to",
      who)
  end
end

return misuse
