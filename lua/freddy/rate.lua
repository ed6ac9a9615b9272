-- SPDX-License-Identifier: MIT
--- A client's rate limit: what may be given, how it stands, and what else is
--- counted of the client.
local errors = require "freddy.errors"
local misuse = require "freddy.misuse"

local rate = {}

-- The core knows their numbers.
local PLANS = { standard = true, premium = true }
local FIELDS = { per_minute = true, burst = true, per_day = true }

local EXPECTED = '"adaptive", "standard", "premium", false or a table '
  .. "{ per_minute =, burst =, per_day = }"

local function is_count(value)
  return type(value) == "number" and value >= 1 and value < 2 ^ 32
    and value == math.floor(value)
end

local function wrong_field(given)
  for name, value in pairs(given) do
    if not FIELDS[name] then
      return ("a table without the field %q%s"):format(tostring(name),
        misuse.suggest(name, FIELDS))
    elseif not is_count(value) then
      return ("a table whose %s is a whole number, 1 or more"):format(name)
    end
  end
  if not given.per_minute then
    return "a table with per_minute"
  elseif given.burst and given.burst < given.per_minute then
    return "a table whose burst is at least per_minute"
  end
end

--- What is wrong with a value of the option `rate_limit`.
---@param value any
---@return string? expected nil: nothing
function rate.check(value)
  if type(value) == "table" then
    return wrong_field(value)
  elseif value ~= false and value ~= "adaptive" and not PLANS[value] then
    return EXPECTED .. misuse.suggest(value, { adaptive = true,
      standard = true, premium = true })
  end
end

--- The option as the core wants it, checked.
---@param value "adaptive"|"standard"|"premium"|false|table|nil
---@return freddy.core.RateLimit?
function rate.core(value)
  if value == nil then
    return nil
  elseif type(value) == "table" then
    return { mode = "plan", per_minute = value.per_minute,
      burst = value.burst, per_day = value.per_day }
  elseif PLANS[value] then
    return { mode = "plan", plan = value }
  end
  return { mode = value or "off" }
end

--- How a rate limit stands. Seconds are from now.
---@class freddy.Rate
---@field mode "adaptive"|"plan"|"off"
---@field per_minute? integer of a plan
---@field burst? integer of a plan
---@field per_day? integer of a plan; 0: it has no such limit
---@field shared? boolean of a plan that a `store` keeps: true, and `room` and
---  `today` are what the store last told, reckoned on; false: it cannot be
---  reached, and this process goes on alone. nil: there is none
---@field room? integer how many may leave at once; nil: no limit is known
---@field wait? number seconds until the next may leave; nil: until one that is
---  in flight is answered, or the store
---@field limit? number requests in the server's window, as it last told
---@field remaining? number of these, reckoned on since
---@field resets_in? number seconds until the next window
---@field today integer sent in the last 24 hours
---@field waiting integer requests that wait, of all clients that share it
---@field in_flight integer sent, and nothing heard of yet

--- What is counted of a client since it was made. Counting costs next to
--- nothing, and is always on.
---@class freddy.Stats
---@field requests integer started
---@field failures integer that ended without an answer
---@field attempts integer made: first ones, repeats, replays, redirects
---@field retries integer of these, repeats of what had failed
---@field refreshes integer of the sessions it had, by whoever shares them
---@field waits integer requests that could not leave at once
---@field waited number seconds that they waited, in all
---@field bytes_sent integer of bodies
---@field bytes_received integer of bodies, as they came
---@field connections_opened integer
---@field connections_reused integer
---@field waiting integer requests in line now
---@field in_flight integer requests on their way now

--- Add the methods of a client that are about this.
---@param methods table
---@param class table its metatable
function rate.extend(methods, class)
  --- How the rate limit stands. Never waits.
  ---@return freddy.Rate
  function methods:rate()
    misuse.check_self(self, class, "client:rate")
    return self.core:rate()
  end

  --- What has been counted so far. Never waits.
  ---@return freddy.Stats
  function methods:stats()
    misuse.check_self(self, class, "client:stats")
    return self.core:stats()
  end

  --- Go by another rate limit from now on, requests that wait for the old one
  --- included. What was sent stays counted. Never waits. Raises on misuse.
  ---@param value "adaptive"|"standard"|"premium"|false|table as the option
  ---@return true? done
  ---@return freddy.Error? err `closed`, `forked`
  function methods:set_rate_limit(value)
    misuse.check_self(self, class, "client:set_rate_limit")
    local expected = rate.check(value)
    if expected then
      misuse.raise("client:set_rate_limit: the limit must be %s (got %s)",
        expected, misuse.type_of(value))
    end
    local ok, err = self.core:set_rate_limit(rate.core(value))
    if not ok then
      return nil, errors.from_core(err)
    end
    return true
  end
end

return rate
