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

-- "quit" and "restart" leave with requests in flight; what follows a restart
-- is all that there is without a way.
local way = os.getenv "FY_WAY"
local LEFT = "left"
local results, outside
local frames, longest = 0, 0

-- No picture of it: nobody is there to close the window.
function love.errorhandler(message)
  print(debug.traceback(message, 2))
  os.exit(1)
end

local function leave()
  local client = freddy.assert(freddy.new {
    base_url = host.env "BASE_URL", ca_file = host.env "CA_FILE",
    api_key = host.env "API_KEY",
  })
  for _ = 1, 10 do
    client:send({ path = "/v1/delay/60000" }, function() end)
    freddy.spawn(function() client:get("/v1/delay/60000") end)
  end
  client:send({ path = "/v1/delay/100" }, function()
    if way == "quit" then
      print("1 passed, 0 failed")
    end
    love.event.quit(way == "quit" and 0 or "restart")
  end)
end

-- love.thread has no frame to draw: there a call blocks.
local function in_thread()
  local thread = love.thread.newThread [[
    local options = ...
    local freddy = require "freddy"
    local client = assert(freddy.new(options))
    local data, err = client.models:list()
    love.thread.getChannel("models"):push(data and #data.models
      or tostring(err))
  ]]
  thread:start {
    base_url = host.env "BASE_URL", ca_file = host.env "CA_FILE",
    api_key = host.env "API_KEY",
  }
  local answer
  repeat
    freddy.sleep(0.01)
    answer = love.thread.getChannel("models"):pop() or thread:getError()
  until answer
  return {
    name = "blocks in a love.thread", ok = answer == 5,
    message = tostring(answer),
  }
end

function love.load()
  if way == "quit" or way == "restart" and not love.filesystem.getInfo(LEFT)
  then
    love.filesystem.write(LEFT, "")
    return leave()
  end
  love.filesystem.remove(LEFT)
  outside = cases.outside(host, "freddy.spawn")
  freddy.spawn(function()
    local list = cases.run(host)
    list[#list + 1] = in_thread()
    results = list
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
