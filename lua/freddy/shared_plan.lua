-- SPDX-License-Identifier: MIT
--- A rate plan that many workers or machines share, in a store that is written
--- in Lua. Where requests wait for it, the engine asks for permits, and the
--- store is asked for as many as can leave now.
---
--- Such a store has one function more than those of shared_session.lua, or it
--- alone. It may wait, and answers nil, message when it cannot be reached:
---
---   take(plan, count)  permits (see bucket.lua) of the one bucket that all
---                      who share this store have; `plan` is
---                      { per_minute =, burst =, per_day = }
local core = require "freddy.core"
local misuse = require "freddy.misuse"
local reach = require "freddy.reach"
local task = require "freddy.task"

local shared_plan = {}

-- A permit that comes too late is lost, and another one is asked for: but not
-- for ever.
local MAX_LATE = 3

--- Whether `value` can keep a plan.
---@param value any
---@return boolean
function shared_plan.is_store(value)
  return type(value) == "table" and type(value.take) == "function"
end

--- Whether a client with these options is to share its plan, and nothing else:
--- what it has for a credential is not for a store.
---@param given table
---@return boolean
function shared_plan.is_all(given)
  local limit = given.rate_limit
  return shared_plan.is_store(given.store)
    and (type(limit) == "table" or limit == "standard" or limit == "premium")
    and (given.token_provider ~= nil
      or given.api_key ~= nil and given.auth ~= "bearer")
end

--- For a client with this store; nil when it keeps no plans.
---@param store table
---@param reached? table the store as its session reaches it
---@return table? self
function shared_plan.new(store, reached)
  if shared_plan.is_store(store) then
    return { reach = reached or reach.new(store), late = 0 }
  end
end

--- What the engine calls the store: equal for those that are the same.
---@param self table
---@return string
function shared_plan.name(self)
  return (tostring(self.reach.store):gsub("%c", "?"))
end

local function is_count(value)
  return type(value) == "number" and value >= 0 and value < 2 ^ 32
    and value == math.floor(value)
end

local function complaint(permits, count)
  if type(permits) ~= "table" then
    return "take returned " .. misuse.type_of(permits)
  elseif not is_count(permits.granted) or permits.granted > count then
    return "take returned no `granted` from 0 to " .. count
  elseif type(permits.wait) ~= "number" then
    return "take returned no number `wait`"
  end
  for _, name in ipairs { "room", "today" } do
    if permits[name] ~= nil and not is_count(permits[name]) then
      return ("take returned a `%s` that is no count"):format(name)
    end
  end
end

local function take(self, wanted)
  local store = self.reach.store
  local plan = { per_minute = wanted.per_minute, burst = wanted.burst,
    per_day = wanted.per_day > 0 and wanted.per_day or nil }
  local began = core.now()
  local permits, why = store:take(plan, wanted.count)
  local age = core.now() - began
  if permits == nil then
    return nil, why
  end
  local problem = complaint(permits, wanted.count)
  self.late = age > require "freddy.bucket".LATE and self.late + 1 or 0
  if self.late >= MAX_LATE then
    problem = problem or ("take takes %.1f seconds"):format(age)
  end
  if problem then
    return nil, problem
  end
  return permits, age
end

local function taken(self)
  local hook, results = self.hook, self.results
  if results and results[1] then
    hook.call:answer_permits(hook.question, results[1], results[2])
  else
    hook.call:answer_permits(hook.question)
  end
end

--- Ask the store, in a task of its own, and tell the engine.
---@param self table
---@param call freddy.core.Call the listener that was asked
---@param question integer
---@param wanted table { count =, per_minute =, burst =, per_day = }
function shared_plan.ask(self, call, question, wanted)
  task.hook(function()
    return reach.try(self.reach, "take", take, self, wanted)
  end, taken, { call = call, question = question })
end

return shared_plan
