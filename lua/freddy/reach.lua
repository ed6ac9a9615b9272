-- SPDX-License-Identifier: MIT
--- Stores that are written in Lua, as they are called: one that raises, or
--- that answers nil, cannot be reached. Its client goes on alone then, and
--- says so once.
local errors = require "freddy.errors"
local misuse = require "freddy.misuse"
local task = require "freddy.task"

local reach = {}

--- A store with a note of which of its functions failed last.
---@param store table
---@return table self
function reach.new(store)
  return { store = store, lost = {} }
end

-- The store cannot be reached: say so, unless that is known.
local function lose(self, what, why)
  local known = next(self.lost) ~= nil
  self.lost[what] = true
  if not known then
    task.report(errors.new("auth", { reason = "store_failed",
      message = "the store cannot be reached ("
        .. task.redact(misuse.text_of(why))
        .. "): this process goes on alone" }))
  end
end

--- Call `fn`, which asks the store for `what` and may wait.
---@param self table
---@param what string
---@param fn function
---@param ... any its arguments
---@return any value nil when the store cannot be reached; false for nothing
---@return any detail its second result, or why
function reach.try(self, what, fn, ...)
  local ok, value, detail = task.pcall(fn, ...)
  if not ok then
    value, detail = nil, value
  end
  local reached = ok and (value ~= nil or what == "release")
  if what == "save" then
    reached = reached and value ~= false
  end
  if reached then
    self.lost[what] = nil
    return value or false, detail
  end
  lose(self, what, detail)
  return nil, detail
end

--- Call a function of the store. See reach.try.
---@param self table
---@param what string
---@param ... any its arguments
---@return any value
---@return any detail
function reach.call(self, what, ...)
  return reach.try(self, what, self.store[what], self.store, ...)
end

return reach
