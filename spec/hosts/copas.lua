-- SPDX-License-Identifier: MIT
-- The cases in a thread of copas, whose loop must not stand still.
local copas = require "copas"
local socket = require "socket"
local freddy = require "freddy"
local cases = require "spec.hosts.cases"
local ticker = require "spec.hosts.ticker"

freddy.use "copas"

local is_51 = _VERSION == "Lua 5.1" and not rawget(_G, "jit")
local host = {
  name = "copas", nested = "raises",
  env = function(name) return os.getenv("FY_TEST_" .. name) end,
  start = function(fn) copas.addthread(fn) end,
  protect = is_51 and require("coxpcall").pcall or nil,
}

-- How many copas waits for.
local watched
local select = socket.select
function socket.select(readers, ...)
  watched = #readers
  return select(readers, ...)
end

local outside = cases.outside(host, "copas.addthread")
local ticks = ticker.new()
local results
copas.addthread(function()
  results = cases.run(host)
  results[#results + 1] = outside
end)
repeat
  copas.step(0.01)
  ticks:tick()
until results
local limit = socket.gettime() + 10
repeat
  copas.step(0.01)
until watched == 0 or socket.gettime() > limit
assert(watched == 0, "a thread of freddy's was left")
ticks:print()
os.exit(cases.report(host, results) and 0 or 1)
