-- SPDX-License-Identifier: MIT
-- The cases in the game's loop of examples/engine/main.c.
local freddy = require "freddy"
local core = require "freddy.core"
local cases = require "spec.hosts.cases"

local BUDGET = 0.002

freddy.use "loop"

local host = {
  name = "engine", nested = "raises",
  env = function(name) return os.getenv("FY_TEST_" .. name) end,
}

local outside = cases.outside(host, "freddy.spawn")
local game, results = {}, nil
local frames, longest = 0, 0

freddy.spawn(function()
  results = cases.run(host)
end)

function game.update()
  local began = core.now()
  freddy.poll(BUDGET)
  frames, longest = frames + 1, math.max(longest, core.now() - began)
  if not results then
    return true
  end
  results[#results + 1] = outside
  print(("GAP   the longest of %d polls took %.1f ms"):format(frames,
    longest * 1000))
  return false, not cases.report(host, results) and "a case failed" or nil
end

return game
