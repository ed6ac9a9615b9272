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
---
--- Those of HTTP/2 are apart, and their `run(stream, request, args)` gets a
--- stream (lib/stream.lua). What it returns, if anything, ends the whole
--- connection. `settings` is a map of SETTINGS for a connection that this is
--- the first request of, a function of the arguments that returns one, or
--- false for none.

local scenarios = {}

scenarios.files = { "right", "redirects", "breaks", "lengths", "heads",
  "coding", "bodies", "streams", "reuse", "uploads", "secrets" }

scenarios.files_h2 = { "h2_right", "h2_breaks", "h2_resets", "h2_frames",
  "h2_heads", "h2_bodies", "h2_streams", "h2_floods" }

--- All scenarios of the given files by name.
function scenarios.load(files)
  local all = {}
  for _, file in ipairs(files) do
    for name, scenario in pairs(require("scenarios." .. file)) do
      assert(not all[name], "two scenarios of the same name: " .. name)
      scenario.file = file
      all[name] = scenario
    end
  end
  return all
end

return scenarios
