-- SPDX-License-Identifier: MIT
-- The server's clock as it is shown: the switch `auth.clock` sets it wrong.
-- How long something lives is always counted by the true one, `ngx.now`.

local state = require "state"

local clock = {}

--- Seconds since 1970, as this server believes.
---@param seconds number? a true time; now when left out
---@return number
function clock.shown(seconds)
  return (seconds or ngx.now()) + state.switches().auth.clock
end

--- The same as ISO 8601, for a body.
---@param seconds number? a true time; now when left out
---@return string
function clock.iso(seconds)
  return os.date("!%Y-%m-%dT%H:%M:%SZ", math.floor(clock.shown(seconds)))
end

--- The same for the header `Date`; nil when nginx's own is right.
---@return string?
function clock.http_date()
  if state.switches().auth.clock ~= 0 then
    return ngx.http_time(math.floor(clock.shown()))
  end
end

return clock
