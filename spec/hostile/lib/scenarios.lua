-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- Collects the scenarios of all files in scenarios/.
---
--- A scenario is a table: `about` (one line), `args` (names and defaults),
--- `run(conn, request, args)`, which sends what it wants and returns how
--- the connection goes on: "keep" (read the next request), "fin", "reset",
--- "hold" (stay open and silent) or "ignore" (the same, reading nothing).
--- With `body = false` the request's body is left to `run`. In place of
--- `run`, `pick(args)` may return the name of the scenario to run.

local scenarios = {}

scenarios.files = { "right", "redirects", "breaks", "lengths", "heads",
  "coding", "bodies", "reuse", "uploads", "secrets" }

--- All scenarios by name.
function scenarios.load()
  local all = {}
  for _, file in ipairs(scenarios.files) do
    for name, scenario in pairs(require("scenarios." .. file)) do
      assert(not all[name], "two scenarios of the same name: " .. name)
      scenario.file = file
      all[name] = scenario
    end
  end
  return all
end

return scenarios
