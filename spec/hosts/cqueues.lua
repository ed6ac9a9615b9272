-- SPDX-License-Identifier: MIT
-- The cases in a coroutine of a controller of cqueues, beside another one
-- that must go on.
local cqueues = require "cqueues"
local freddy = require "freddy"
local cases = require "spec.hosts.cases"
local ticker = require "spec.hosts.ticker"

freddy.use "cqueues"

local controller = cqueues.new()
local host = {
  name = "cqueues", nested = "raises",
  env = function(name) return os.getenv("FY_TEST_" .. name) end,
  start = function(fn) controller:wrap(fn) end,
}

local outside = cases.outside(host, "cq:wrap")
local ticks = ticker.new()
local results
controller:wrap(function()
  results = cases.run(host)
  results[#results + 1] = outside
end)
controller:wrap(function()
  while not results do
    cqueues.sleep(0.01)
    ticks:tick()
  end
end)
assert(controller:loop()) -- ends by itself when nobody waits
ticks:print()
os.exit(cases.report(host, results) and 0 or 1)
