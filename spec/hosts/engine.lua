-- SPDX-License-Identifier: MIT
-- The cases in the game's loop of examples/engine/main.c, after a pause in
-- which no frame polls. With FY_WAY=quit the game ends during the pause.
local freddy = require "freddy"
local core = require "freddy.core"
local cases = require "spec.hosts.cases"

local BUDGET = 0.002
local SENT, EVENTS, PAUSE = 60, 20000, 60 -- requests, events, frames

freddy.use "loop"

local host = {
  name = "engine", nested = "raises",
  env = function(name) return os.getenv("FY_TEST_" .. name) end,
}

local outside = cases.outside(host, "freddy.spawn")
local game, results = {}, nil
local frames, longest = 0, 0
local paused = { name = "loses nothing while it is paused", ok = false }

local client = freddy.assert(freddy.new {
  base_url = host.env "BASE_URL", ca_file = host.env "CA_FILE",
  api_key = host.env "API_KEY", http_version = "1.1",
})
local answers, events = 0, 0

freddy.spawn(function()
  local stream = freddy.assert(client:stream(
    ("/v1/events?count=%d&batch=1000&size=200"):format(EVENTS)))
  while stream:next() do
    events = events + 1
  end
  freddy.assert(stream:finish())
  while answers < SENT do
    freddy.sleep(0.005)
  end
  paused.ok = events == EVENTS and answers == SENT
  paused.message = ("%d events, %d answers"):format(events, answers)
  client:close()
  results = cases.run(host)
end)
for _ = 1, SENT do
  client:send({ path = "/v1/models" }, function(res, err)
    freddy.assert(res, err)
    answers = answers + 1
  end)
end

function game.update()
  frames = frames + 1
  if os.getenv "FY_WAY" == "quit" and frames == PAUSE / 2 then
    print("1 passed, 0 failed")
    return false
  elseif frames < PAUSE then
    return true
  end
  local began = core.now()
  freddy.poll(BUDGET)
  longest = math.max(longest, core.now() - began)
  if not results then
    return true
  end
  results[#results + 1] = outside
  results[#results + 1] = paused
  print(("GAP   the longest of %d polls took %.1f ms"):format(frames - PAUSE,
    longest * 1000))
  return false, not cases.report(host, results) and "a case failed" or nil
end

return game
