-- SPDX-License-Identifier: MIT
-- The cases in a plain script: its main line, and a task in freddy.run.
local freddy = require "freddy"
local cases = require "spec.hosts.cases"

local host = {
  name = "script", nested = "blocks",
  env = function(name) return os.getenv("FY_TEST_" .. name) end,
}

local results = cases.run(host)
host.name = "script of tasks"
for _, result in ipairs(freddy.run(cases.run, host)) do
  results[#results + 1] = result
end
os.exit(cases.report(host, results) and 0 or 1)
