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

local results
freddy.spawn(function()
  results = cases.run(host)
  results[#results + 1] = outside
end)
uv.run() -- ends by itself when no request, task or callback is left
ticks:print()
os.exit(results and cases.report(host, results) and 0 or 1)
