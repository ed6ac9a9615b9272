-- SPDX-License-Identifier: MIT
-- ends.lua HOST WAY: end a host's loop while requests are in flight: neither
-- a crash nor a wait. What can go on afterwards does.
local freddy = require "freddy"
local name, way = arg[1], arg[2]

local function env(what)
  return os.getenv("FY_TEST_" .. what)
end

local function new_client()
  return freddy.assert(freddy.new {
    base_url = env "BASE_URL", ca_file = env "CA_FILE",
    api_key = env "API_KEY",
  })
end

local function nothing() end

local FLYING = 30 -- requests that wait for their answer
local PATIENCE = 2000 -- rounds of 10 ms

-- Requests in all ways of waiting, one that is cancelled, one that is done.
local function fly(start)
  local client = new_client()
  for _ = 1, 10 do
    client:send({ path = "/v1/delay/60000" }, nothing)
    start(function() client:get("/v1/delay/60000") end)
    freddy.spawn(function() client:get("/v1/delay/60000") end)
  end
  client:send({ path = "/v1/delay/60000" }, nothing):cancel()
  client:send({ path = "/v1/models" }, nothing)
  if way ~= "client:close" then -- which ends the loop, since nothing is left
    start(function() freddy.sleep(60) end)
  end
  return client
end

-- Whether what `fly` started has been sent.
local function flying(client)
  return client ~= nil and client:stats().in_flight >= FLYING
end

local function pass()
  print("1 passed, 0 failed")
  io.stdout:flush()
end

local function leave()
  pass()
  if way == "os.exit" then
    os.exit(0)
  elseif way == "os.exit, closing" then
    os.exit(0, true)
  end
end

local hosts = {}

function hosts.luv()
  local uv = require "luv"
  freddy.use "luv"
  local client = fly(freddy.spawn)
  local timer = uv.new_timer()
  uv.timer_start(timer, 10, 10, function()
    if not flying(client) then
      return
    end
    uv.timer_stop(timer)
    if way == "close" then
      uv.walk(function(handle)
        if not uv.is_closing(handle) then
          uv.close(handle)
        end
      end)
    elseif way == "stop" then
      uv.stop()
    elseif way == "client:close" then
      client:close()
    else
      leave()
    end
  end)
  uv.run()
  if way == "close" then
    assert(uv.loop_close())
    client:send({ path = "/v1/models" }, nothing)
    freddy.poll(0)
  end
  leave()
end

function hosts.cqueues()
  local cqueues = require "cqueues"
  freddy.use "cqueues"
  local controller = cqueues.new()
  local client
  controller:wrap(function()
    client = fly(function(fn) controller:wrap(fn) end)
  end)
  for _ = 1, PATIENCE do
    controller:step(0.01)
    if flying(client) then
      break
    end
  end
  if way == "close" then
    controller:close()
    controller = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    local other, models = cqueues.new(), nil
    other:wrap(function()
      models = freddy.assert(client.models:list()).models
      client:close()
    end)
    assert(other:loop())
    assert(#models == 5)
  elseif way == "client:close" then
    client:close()
    assert(controller:loop())
  end
  leave()
end

function hosts.copas()
  local copas = require "copas"
  freddy.use "copas"
  local client
  copas.addthread(function()
    client = fly(copas.addthread)
  end)
  for _ = 1, PATIENCE do
    copas.step(0.01)
    if flying(client) then
      break
    end
  end
  if way == "client:close" then
    client:close()
    for _ = 1, 20 do
      copas.step(0.01)
    end
  end
  leave()
end

function hosts.script()
  local client = fly(freddy.spawn)
  for _ = 1, PATIENCE do
    freddy.sleep(0.01)
    if flying(client) then
      break
    end
  end
  leave()
end

hosts[name]()
