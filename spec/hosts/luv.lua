-- SPDX-License-Identifier: MIT
-- The cases in a loop of libuv, beside a timer that must go on.
local uv = require "luv"
local freddy = require "freddy"
local cases = require "spec.hosts.cases"
local ticker = require "spec.hosts.ticker"

freddy.use "luv"

local host = {
  name = "luv", nested = "raises",
  env = function(name) return os.getenv("FY_TEST_" .. name) end,
}

local outside = cases.outside(host, "freddy.spawn")
local ticks = ticker.new()
local timer = uv.new_timer()
uv.timer_start(timer, 10, 10, function() ticks:tick() end)
uv.unref(timer)

-- What a callback of the loop's own does is served without another event.
local cancelled = {
  name = "cancels a stream from a callback of the loop", ok = false,
}
local client = freddy.assert(freddy.new {
  base_url = host.env "BASE_URL", ca_file = host.env "CA_FILE",
  api_key = host.env "API_KEY",
})
freddy.spawn(function()
  local stream = freddy.assert(client:stream(
    "/v1/events?count=2&hold=never&at=2"))
  freddy.assert(stream:next())
  uv.timer_start(uv.new_timer(), 20, 0, function() stream:cancel() end)
  local _, err = stream:next()
  cancelled.ok = err and err.kind == "cancelled"
  cancelled.message = tostring(err)
end)
uv.run()

local results
freddy.spawn(function()
  results = cases.run(host)
  results[#results + 1] = outside
  results[#results + 1] = cancelled
end)
uv.run() -- ends by itself when no request, task or callback is left
ticks:print()
os.exit(results and cases.report(host, results) and 0 or 1)
