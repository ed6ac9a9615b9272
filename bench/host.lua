-- SPDX-License-Identifier: MIT
--- freddy from Lua, in a process of its own for each figure. Prints wall and
--- CPU seconds and connections opened, as the programs in C do:
---
---   host.lua text BASE N              client:get, one after another
---   host.lua json BASE N              the same, an answer that is decoded
---   host.lua send BASE N WIDTH [CA]   client:send, WIDTH in flight
---   host.lua tasks BASE N WIDTH [CA]  tasks that client:get
---   host.lua poll BASE WIDTH          freddy.poll(0) with WIDTH in flight
local unpack = rawget(table, "unpack") or rawget(_G, "unpack")
local what, base, count, width, ca = unpack(arg)
count, width = tonumber(count), tonumber(width)

local WARM_UP = 200
local POLLS = 200000

local core = require "freddy.core"
local freddy = require "freddy"

local client = assert(freddy.new {
  base_url = base, api_key = "benchmark-key", ca_file = ca,
})
local opened = 0

local function check(res, err)
  if not res then
    error(tostring(err), 0)
  elseif not res.reused then
    opened = opened + 1
  end
  return res
end

local function text(n)
  for _ = 1, n do
    check(client:get("/text"))
  end
end

local function json(n)
  for _ = 1, n do
    check(client:get("/small"))
  end
end

local function send(n)
  local request = { path = "/text" }
  local sent, done = 0, 0
  local on_answer
  local function next_one()
    sent = sent + 1
    client:send(request, on_answer)
  end
  function on_answer(res, err)
    check(res, err)
    done = done + 1
    if sent < n then
      next_one()
    end
  end
  freddy.run(function()
    while sent < n and sent < width do
      next_one()
    end
  end)
  assert(done == n)
end

local function tasks(n)
  local left = n
  freddy.run(function()
    for _ = 1, math.min(n, width) do
      freddy.spawn(function()
        while left > 0 do
          left = left - 1
          check(client:get("/text"))
        end
      end)
    end
  end)
end

local function timed(run, n)
  opened = 0
  local wall, cpu = core.now(), os.clock()
  run(n)
  print(("%.6f %.6f %d"):format(core.now() - wall, os.clock() - cpu, opened))
end

local function poll(in_flight)
  for _ = 1, in_flight do
    client:send({ path = "/slow" }, check)
  end
  timed(function()
    for _ = 1, POLLS do
      freddy.poll(0)
    end
  end)
end

if what == "poll" then
  poll(count)
else
  local run = ({ text = text, json = json, send = send, tasks = tasks })[what]
  if not width or count > width then -- else a burst, connecting included
    run(WARM_UP)
  end
  timed(run, count)
end
