-- SPDX-License-Identifier: MIT
--- One rate plan for all workers of an nginx, and for several of them.

local helper = require "spec.helper"
local nginx_util = require "spec.nginx_util"
local redis_util = require "spec.redis_util"

if not nginx_util.can_run(it, pending) then
  return
end

-- Twenty at once, then one in 0.61 seconds.
local PLAN = "{ per_minute = 100, burst = 120 }"
local SIZE, STEP = 20, 0.61

local INIT = [[
  lua_shared_dict freddy 1m;
  lua_shared_dict seen 1m;
  init_by_lua_block {
    freddy = require "freddy"
    client = assert(freddy.new {
      base_url = "@BASE@", ca_file = "@CA@", api_key = "@KEY@",
      rate_limit = PLAN, store = STORE,
    })
  }
]]

-- A request of few seconds: how it ended. And how the limit stands. One whose
-- time runs out when it has left arrives, and is not called "sent".
local LOCATIONS = [[
  location = /one {
    content_by_lua_block {
      ngx.shared.seen:incr("worker " .. ngx.worker.id(), 1, 0)
      local res, err = client:get("/v1/open", { timeout = 3, retries = 0 })
      ngx.say(res and "sent" or err.reason or err.kind)
    }
  }
  location = /shared {
    content_by_lua_block {
      ngx.say(tostring(client:rate().shared), " ", client:rate().today)
    }
  }
  location = /fire {
    content_by_lua_block { ngx.say "later" }
    log_by_lua_block { assert(client:fire { path = "/v1/open" }) }
  }
  location = /workers {
    content_by_lua_block {
      ngx.say(#ngx.shared.seen:get_keys())
    }
  }
]]

local function start(store, plan, workers)
  local words = { STORE = store, PLAN = plan or PLAN }
  return nginx_util.start {
    workers = workers or 4, server = LOCATIONS,
    http = INIT:gsub("%u+", words),
  }
end

local function ask_all(servers, count)
  local conns, ends = {}, {}
  for i = 1, count do
    local server = servers[i % #servers + 1]
    conns[i] = { server = server, conn = server:begin "/one" }
  end
  for _, one in ipairs(conns) do
    local body = one.server:finish(one.conn)
    ends[body] = (ends[body] or 0) + 1
  end
  return ends
end

local function arrivals()
  local times = {}
  for _, fact in ipairs(helper.counters().recent) do
    if fact.path == "/v1/open" then
      times[#times + 1] = fact.at
    end
  end
  table.sort(times)
  return times
end

-- Seconds that one request may take to arrive longer than another, beside the
-- one that a permit may wait: four buckets instead of one would be forty.
local JITTER = 3

-- No n requests came faster than the bucket lets them: the last of them has
-- waited for all but SIZE.
local function check_rate(times)
  for first = 1, #times do
    for last = first, #times do
      local least = (last - first - SIZE) * STEP - JITTER
      assert.truthy(times[last] - times[first] >= least,
        ("%d requests in %.3f s"):format(last - first + 1,
          times[last] - times[first]))
    end
  end
end

local function lines(log, text)
  local _, count = log:gsub(text, "")
  return count
end

before_each(function()
  helper.reset()
  helper.control { recent = 4096 }
end)

describe("a plan of four workers", function()
  it("is one for all of them", function()
    local server = start 'freddy.store.shared_dict "freddy"'
    finally(function()
      server:stop()
    end)
    local ends = ask_all({ server }, 200)
    assert.equal(200, (ends["sent\n"] or 0) + (ends["total\n"] or 0))
    local times = arrivals()
    assert.truthy(#times >= ends["sent\n"])
    assert.truthy(#times >= SIZE)
    check_rate(times)
    assert.truthy(tonumber((server:get "/workers")) > 1)
    server:reload() -- what was sent stays counted
    ask_all({ server }, 40)
    check_rate(arrivals())
  end)

  it("is asked for what is sent where nothing can wait", function()
    local server = start('freddy.store.shared_dict "freddy"', nil, 1)
    finally(function()
      server:stop()
    end)
    for _ = 1, 5 do
      assert.equal("later\n", (server:get "/fire"))
    end
    helper.eventually(function()
      return #arrivals() == 5
    end)
    assert.equal("sent\n", (server:get "/one"))
    assert.equal("true 6\n", (server:get "/shared"))
  end)

  it("holds all of them back by the day", function()
    local server = start('freddy.store.shared_dict "freddy"',
      "{ per_minute = 1000, burst = 2000, per_day = 30 }")
    finally(function()
      server:stop()
    end)
    assert.same({ ["sent\n"] = 30, ["held_back\n"] = 70 },
      ask_all({ server }, 100))
    assert.equal(30, #arrivals())
  end)

  it("waits for one that died in its turn; a full dict is no store", function()
    local server = nginx_util.start { http = [[
      lua_shared_dict freddy 1m;
      init_by_lua_block { freddy = require "freddy" }
    ]], server = [[
      location = /full {
        content_by_lua_block {
          local store = freddy.store.shared_dict "freddy"
          local dict = ngx.shared.freddy
          local plan = { per_minute = 60 }
          dict:set("freddy:turn", "another's", 0.2) -- of one that died
          local permits = assert(store:take(plan, 1))
          ngx.say(permits.granted, " ", store:take(plan, 1).granted)
          dict.set = function() return nil, "no memory" end
          ngx.say(tostring(store:take(plan, 1)))
        }
      }
    ]] }
    finally(function()
      server:stop()
    end)
    assert.equal("1 0\nnil\n", (server:get "/full"))
  end)
end)

describe("two instances of nginx over one Redis", function()
  it("keep one plan; without it each goes on alone, and says so", function()
    local port, pid = redis_util.start()
    if not port then
      return pending "redis or lua-resty-redis is not installed"
    end
    local store = ("freddy.store.redis { port = %d }"):format(port)
    local one, other = start(store), start(store)
    local running = { one, other }
    finally(function()
      redis_util.stop(pid, port)
      for _, server in ipairs(running) do
        server:stop()
      end
    end)
    local ends = ask_all({ one, other }, 200)
    local times = arrivals()
    assert.truthy(#times >= ends["sent\n"])
    assert.truthy(#times >= SIZE)
    check_rate(times)
    assert.truthy((one:get "/shared"):find "^true", one:get "/shared")
    redis_util.stop(pid, port)
    other:stop()
    one:stop()
    local alone = start(store, nil, 1)
    running = { alone }
    local before = #arrivals()
    ends = ask_all({ alone }, 40)
    assert.truthy(ends["sent\n"] >= SIZE) -- its own plan lets them go
    assert.truthy(ends["sent\n"] < 40)    -- and no more than that
    assert.truthy(#arrivals() - before >= ends["sent\n"])
    assert.truthy(#arrivals() - before < 40)
    assert.truthy((alone:get "/shared"):find "^false")
    running = {}
    local log = alone:stop()
    assert.equal(1, lines(log, "this process goes on alone"), log)
  end)

  it("are as far with a plan as Redis says", function()
    local port, pid = redis_util.start()
    if not port then
      return pending "redis or lua-resty-redis is not installed"
    end
    local server = start(("freddy.store.redis { port = %d }"):format(port),
      '"standard"')
    finally(function()
      server:stop()
      redis_util.stop(pid, port)
    end)
    assert.equal("sent\n", (server:get "/one"))
    assert.equal("sent\n", (server:get "/one"))
    helper.eventually(function()
      return (server:get "/one") == "sent\n"
        and tonumber((server:get "/shared"):match "%d+") >= 3
    end)
  end)
end)
