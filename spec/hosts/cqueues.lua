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

-- A controller that nobody steps keeps nobody else.
local function two_controllers()
  local client = freddy.assert(freddy.new {
    base_url = host.env "BASE_URL", ca_file = host.env "CA_FILE",
    api_key = host.env "API_KEY",
  })
  local first, second, got = cqueues.new(), cqueues.new(), {}
  first:wrap(function()
    got.first = freddy.assert(client:get("/v1/delay/200")).status
  end)
  second:wrap(function()
    got.second = freddy.assert(client:get("/v1/delay/10")).status
  end)
  assert(first:step(0))
  assert(second:loop())
  assert(got.second == 200 and not got.first, "the second waited")
  assert(first:loop())
  assert(got.first == 200, "the first was not served")
end

local ok, problem = pcall(two_controllers)
results[#results + 1] = {
  name = "serves each controller by itself", ok = ok,
  message = tostring(problem),
}
os.exit(cases.report(host, results) and 0 or 1)
