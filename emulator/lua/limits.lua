-- SPDX-License-Identifier: MIT
-- Rate limits, as the control endpoint sets them: what each request takes,
-- and what is told of it in headers. One count for all workers.

local clock = require "clock"
local errors = require "errors"
local retry_after = require "retry_after"
local state = require "state"

local limits = {}

local dict = ngx.shared.emulator

-- Takes one of a window, which begins with the first request after the last
-- window's end. What is left (-1: refused), and seconds until there is more.
local function take_of_window(limit, now)
  local key = "limit:" .. limit.id
  local left, reset
  state.locked(function()
    local began, used = dict:get(key .. ":began"), dict:get(key .. ":used")
    if not began or now - began >= limit.per then
      began, used = now, 0
      dict:set(key .. ":began", began)
    end
    left = limit.requests - used - 1
    dict:set(key .. ":used", math.min(used + 1, limit.requests))
    reset = began + limit.per - now
  end)
  return math.max(left, -1), reset, reset
end

-- The same of a bucket that holds `burst` and is filled evenly: until it is
-- full again, and until it has one more.
local function take_of_bucket(limit, now)
  local key = "limit:" .. limit.id
  local room = limit.burst or limit.requests
  local rate = limit.requests / limit.per
  local level
  state.locked(function()
    local before = dict:get(key .. ":at") or now
    level = math.min(room, (dict:get(key .. ":level") or room)
      + (now - before) * rate) - 1
    dict:set(key .. ":at", now)
    dict:set(key .. ":level", level < 0 and level + 1 or level)
  end)
  if level < 0 then
    return -1, (room - level - 1) / rate, -level / rate
  end
  return math.floor(level), (room - level) / rate, 1 / rate
end

local resets = {}

function resets.unix(wait)
  return ("%d"):format(math.ceil(clock.shown() + wait))
end

function resets.relative(wait)
  return ("%d"):format(math.ceil(wait))
end

function resets.fraction(wait)
  return ("%.3f"):format(math.ceil(wait * 1000) / 1000)
end

function resets.duration(wait)
  local ms = math.ceil(wait * 1000)
  if ms < 1000 then
    return ms .. "ms"
  end
  return ("%dm%.14gs"):format(math.floor(ms / 60000), ms % 60000 / 1000)
end

function resets.none()
  return nil
end

--- Whether a reset can be told in this form.
---@param name any
---@return boolean
function limits.has_reset(name)
  return resets[name] ~= nil
end

local function tell(limit, left, reset, wait)
  local header, sets = ngx.header, limit.headers or "A"
  local at = resets[limit.reset or "unix"](reset)
  if sets == "A" or sets == "both" then
    header["X-RateLimit-Limit"] = limit.requests
    header["X-RateLimit-Remaining"] = math.max(left, 0)
    header["X-RateLimit-Reset"] = at
    header["X-RateLimit-Retry-After"] = left < 0 and math.ceil(wait) or 0
  end
  if sets == "B" or sets == "both" then
    header["x-ratelimit-limit-requests"] = limit.requests
    header["x-ratelimit-remaining-requests"] = math.max(left, 0)
    header["x-ratelimit-reset-requests"] = at
  end
end

local function refuse(limit, wait)
  ngx.header["Retry-After"] =
    retry_after.value(limit.retry_after or "seconds", wait)
  errors.send(429, limit.code, { shape = limit.shape,
    message = limit.message })
  return false
end

local function holds_for(limit, method, path)
  if not limit.path and (path:find("^/v1/auth/") or path:find "^/v1/health")
  then
    return false
  end
  return state.matches(limit, method, path)
end

--- Count a request, and answer it with 429 when it is one too many.
---@param method string
---@param path string
---@return boolean passes
function limits.pass(method, path)
  for _, limit in ipairs(state.switches().limit) do
    if holds_for(limit, method, path) then
      local take = limit.kind == "bucket" and take_of_bucket
        or take_of_window
      local left, reset, wait = take(limit, ngx.now())
      tell(limit, left, reset, wait)
      if left < 0 then
        return refuse(limit, wait)
      end
    end
  end
  return true
end

-- Which limit of spending is reached → code and message, in the order in
-- which the API looks. No page shows such a body: the words are ours.
local SPENDING = {
  organization = { "ORGANIZATION_USAGE_LIMIT_EXCEEDED",
    "The organization's monthly spending limit is reached." },
  keys = { "TOTAL_API_KEY_USAGE_LIMIT_EXCEEDED",
    "The monthly spending limit of all API keys is reached." },
  key = { "API_KEY_USAGE_LIMIT_EXCEEDED",
    "This API key's spending limit is reached." },
}

---@param name any
---@return boolean
function limits.has_spending(name)
  return name == false or SPENDING[name] ~= nil
end

--- Answer with 429 when a limit of spending is reached, which no waiting
--- helps against: there is no Retry-After.
---@return boolean passes
function limits.spend()
  local reached = SPENDING[state.switches().spending]
  if reached then
    errors.send(429, reached[1], { message = reached[2] })
  end
  return not reached
end

return limits
