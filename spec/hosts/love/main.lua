-- SPDX-License-Identifier: MIT
-- The cases in LÖVE, where the host is picked by itself: one poll in each
-- frame.
local love = rawget(_G, "love")
local freddy = require "freddy"
local core = require "freddy.core"
local cases = require "spec.hosts.cases"

local BUDGET = 0.002

local host = {
  name = "love", nested = "raises",
  env = function(name) return os.getenv("FY_TEST_" .. name) end,
}

local results, outside
local frames, longest = 0, 0

-- No picture of it: nobody is there to close the window.
function love.errorhandler(message)
  print(debug.traceback(message, 2))
  os.exit(1)
end

function love.load()
  outside = cases.outside(host, "freddy.spawn")
  freddy.spawn(function()
    results = cases.run(host)
  end)
end

function love.update()
  local began = core.now()
  freddy.poll(BUDGET)
  frames, longest = frames + 1, math.max(longest, core.now() - began)
  if results then
    results[#results + 1] = outside
    print(("GAP   the longest of %d polls took %.1f ms"):format(frames,
      longest * 1000))
    love.event.quit(cases.report(host, results) and 0 or 1)
    results = nil
  end
end
