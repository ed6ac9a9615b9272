-- SPDX-License-Identifier: MIT
--- One rate plan for many clients, by a store that is written in Lua.

local bucket = require "freddy.bucket"
local freddy = require "freddy"
local helper = require "spec.helper"

-- --- The bucket ----------------------------------------------------------

describe("freddy.store.take", function()
  local BEGIN = 1000000000.5

  local function takes(state, plan, count, now)
    local permits
    state, permits = freddy.store.take(state, plan, count, now)
    return permits, state
  end

  -- { per_minute, burst, what is there at once, seconds for one more }
  local PLANS = {
    { 100, 120, 20, 0.61 },
    { 100, nil, 1, 0.61 },
    { 100, 101, 1, 0.61 },
    { 1000, 1200, 200, 0.061 },
    { 1, 1, 1, 61 },
    { 1, 60, 59, 61 },
  }
  for _, row in ipairs(PLANS) do
    local plan = { per_minute = row[1], burst = row[2] }
    local size, step = row[3], row[4]

    it(("holds %d of %d a minute"):format(size, row[1]), function()
      local ahead = math.floor(0.1 / step) -- these can be used a bit later
      local permits, state = takes(nil, plan, size + 1000, BEGIN)
      assert.equal(size + ahead, permits.granted)
      assert.near(-(size - 1) * step, permits.wait, 1e-4)
      assert.equal(0, permits.room)
      assert.equal(size + ahead, permits.today)
      local left = (ahead + 1) * step
      permits, state = takes(state, plan, 5, BEGIN)
      assert.equal(0, permits.granted)
      assert.near(left - 0.1, permits.wait, 1e-4)
      permits, state = takes(state, plan, 5, BEGIN + left - 0.05)
      assert.truthy(permits.granted >= 1)
      assert.near(0.05, permits.wait, 1e-4)
      permits = takes(state, plan, 1, BEGIN + 7200)
      assert.equal(1, permits.granted)
      assert.equal(size - 1, permits.room)
    end)
  end

  it("gives no more than are asked for", function()
    local plan = { per_minute = 100, burst = 120 }
    local permits = takes(nil, plan, 3, BEGIN)
    assert.equal(3, permits.granted)
    assert.equal(17, permits.room)
    assert.equal(0, takes(nil, plan, 0, BEGIN).granted)
  end)

  it("counts the last day by the hour", function()
    local plan = { per_minute = 1000, burst = 2000, per_day = 30 }
    local permits, state = takes(false, plan, 20, BEGIN)
    assert.equal(20, permits.granted)
    assert.equal(10, permits.room)
    permits, state = takes(state, plan, 20, BEGIN + 3600)
    assert.equal(10, permits.granted)
    assert.equal(30, permits.today)
    permits, state = takes(state, plan, 1, BEGIN + 2 * 3600)
    assert.equal(0, permits.granted)
    assert.equal(0, permits.room)
    local hour = math.floor(BEGIN / 3600)
    local ends = (hour + 25) * 3600
    assert.near(ends - BEGIN - 2 * 3600, permits.wait, 1e-6)
    assert.equal(0, takes(state, plan, 1, ends - 1).granted)
    permits = takes(state, plan, 100, ends)
    assert.equal(20, permits.granted)
    assert.equal(30, permits.today)
  end)

  it("goes on with another plan, and with a clock that was set", function()
    local small = { per_minute = 60, burst = 62 }
    local large = { per_minute = 600, burst = 6000 }
    local _, state = takes(nil, large, 4000, BEGIN)
    local permits = takes(state, small, 1, BEGIN)
    assert.equal(0, permits.granted)
    assert.truthy(permits.wait < 2) -- a small bucket is filled soon
    _, state = takes(nil, small, 2, BEGIN + 1e6)
    permits = takes(state, small, 1, BEGIN)
    assert.truthy(permits.wait < 2)
    assert.equal(0, permits.today)
    assert.equal(2, takes("rubbish", small, 2, BEGIN).granted)
  end)

  it("lets no more than `burst` leave in any minute", function()
    local function check(per_minute, burst)
      local plan = { per_minute = per_minute, burst = burst }
      local now, state, sent, first = BEGIN, nil, {}, 1
      local step = (60 + bucket.LATE) / per_minute
      for n = 1, 4000 do
        -- Bursts, idle times, and what waits for its turn.
        now = now + (n % 50 == 0 and math.random() * 100
          or math.random() * step * 0.7)
        local permits
        state, permits = freddy.store.take(state, plan, math.random(1, 30),
          now)
        for i = 0, permits.granted - 1 do -- used as late as may be, or not
          sent[#sent + 1] = now + math.max(permits.wait + i * step, 0)
            + (math.random() < 0.5 and bucket.LATE or 0)
        end
      end
      table.sort(sent)
      for last = 1, #sent do
        while sent[first] <= sent[last] - 60 + 1e-6 do -- of rounding
          first = first + 1
        end
        assert.truthy(last - first + 1 <= (burst or per_minute))
      end
    end
    check(100, 120)
    check(100)
    check(7, 9)
    check(1)
    check(1000, 1200)
  end)

  it("is the same in Redis", function()
    local state, answers = nil, {}
    local env = { tonumber = tonumber, math = math, string = string,
      table = table }
    local clock
    env.redis = { call = function(name, _, value)
      if name == "time" then
        return { ("%.0f"):format(math.floor(clock)),
          ("%.0f"):format(clock % 1 * 1e6) }
      elseif name == "get" then
        return state or false
      end
      state = value
    end }
    local setfenv = rawget(_G, "setfenv")
    local script = setfenv
      and setfenv(rawget(_G, "loadstring")(bucket.redis), env)
      or load(bucket.redis, "script", "t", env)
    local mine
    for n = 1, 200 do
      clock = math.floor(BEGIN) + n * 0.25
      env.KEYS, env.ARGV = { "key" }, { "100", "120", "1000", "3" }
      answers[1] = bucket.read(script())
      mine, answers[2] = freddy.store.take(mine,
        { per_minute = 100, burst = 120, per_day = 1000 }, 3, clock)
      assert.near(answers[2].wait, answers[1].wait, 1e-5)
      answers[1].wait = answers[2].wait
      assert.same(answers[2], answers[1])
    end
    assert.equal(mine, state)
  end)

  it("raises on misuse", function()
    for _, given in ipairs { { 1, { per_minute = 1 }, 1, 1 },
        { nil, {}, 1, 1 }, { nil, { per_minute = 1 }, nil, 1 },
        { nil, { per_minute = 1 }, 1 } } do
      assert.has_error(function()
        freddy.store.take(given[1], given[2], given[3], given[4])
      end)
    end
  end)
end)

-- --- Clients -------------------------------------------------------------

-- A store in a table, by which clients of this process share a plan. What was
-- asked is in `asked`.
local function plan_store()
  local store = { asked = {}, now = 1000000 }
  function store:take(plan, count)
    self.asked[#self.asked + 1] = { plan = plan, count = count }
    local permits
    self.state, permits = freddy.store.take(self.state, plan, count, self.now)
    return permits
  end
  return store
end

local clients, heard
local keys = 0

local function client_of(store, options)
  keys = keys + 1
  local given = { api_key = "shared-key-" .. keys, base_url = helper.http,
    store = store, rate_limit = { per_minute = 60, burst = 65 } }
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  clients[#clients + 1] = helper.client(given)
  return clients[#clients]
end

local function send(client, count, out, more)
  for _ = 1, count do
    local given = { path = "/v1/open" }
    for name, value in pairs(more or {}) do
      given[name] = value
    end
    client:send(given, function(res, err)
      out[#out + 1] = res and res.status or err
    end)
  end
end

local function arrived()
  local endpoint = helper.counters().endpoints["/v1/open"]
  local count = 0
  for _, n in pairs(endpoint and endpoint.status or {}) do
    count = count + n
  end
  return count
end

before_each(function()
  clients, heard = {}, {}
  helper.reset()
  freddy.on_error = function(err) heard[#heard + 1] = err end
end)

after_each(function()
  for _, client in ipairs(clients) do
    client:close()
  end
  freddy.poll()
  freddy.on_error = nil
end)

describe("a plan in a Lua store", function()
  it("is one for all that share it", function()
    local store, out = plan_store(), {}
    local one, other = client_of(store), client_of(store)
    send(one, 4, out)
    send(other, 4, out)
    helper.eventually(function()
      return #out == 5
    end)
    helper.eventually(function()
      return one:rate().waiting + other:rate().waiting == 3
        and other:rate().room == 0
    end)
    assert.equal(5, arrived())
    assert.is_true(one:rate().shared)
    store.now = store.now + 2 -- of the store's clock
    helper.eventually(function()
      return #out == 7
    end, 30)
    assert.equal(7, arrived())
    assert.truthy(one:rate().today >= 4)
    for _, asked in ipairs(store.asked) do
      assert.same({ per_minute = 60, burst = 65 }, asked.plan)
    end
  end)

  it("is asked for all that wait, once", function()
    local store, out = plan_store(), {}
    send(client_of(store, { rate_limit = { per_minute = 600, burst = 700 } }),
      50, out)
    helper.eventually(function()
      return #out == 50
    end)
    assert.truthy(#store.asked <= 5) -- they may come in several turns
  end)

  it("counts for a repeat, too", function()
    local store = plan_store()
    local client = client_of(store)
    helper.control {
      fail = { { path = "/v1/open", status = 503, times = 2 } },
    }
    local res = freddy.assert(client:get("/v1/open", { retries = 3 }))
    assert.equal(3, res.attempts)
    assert.equal(3, client:rate().today)
  end)

  it("is waited for no longer than `total`, and can be cancelled", function()
    local store, out = plan_store(), {}
    local client = client_of(store, { rate_limit = { per_minute = 1 } })
    assert.equal(200, client:get("/v1/open").status)
    local _, err = client:get("/v1/open", { timeout = 0.2 })
    assert.equal("timeout", err.kind)
    assert.equal("total", err.reason)
    assert.is_false(err.sent)
    local waiting = client:send({ path = "/v1/open" }, function(_, why)
      out[1] = why
    end)
    helper.eventually(function()
      return client:rate().waiting == 1
    end)
    waiting:cancel()
    helper.eventually(function()
      return out[1]
    end)
    assert.equal("cancelled", out[1].kind)
    assert.equal(1, arrived())
  end)

  it("has a line with an end", function()
    local out = {}
    local client = client_of(plan_store(), { rate_limit = { per_minute = 1 } })
    assert.equal(200, client:get("/v1/open").status)
    send(client, 1001, out)
    helper.eventually(function()
      return #out == 1
    end)
    assert.equal("queue_full", out[1].kind)
    client:close()
    helper.eventually(function()
      return #out == 1001
    end)
  end)

  it("holds back by the day, in all of them", function()
    local store = plan_store()
    local limit = { per_minute = 600, burst = 700, per_day = 2 }
    local one = client_of(store, { rate_limit = limit })
    local other = client_of(store, { rate_limit = limit })
    assert.equal(200, one:get("/v1/open").status)
    assert.equal(200, other:get("/v1/open").status)
    for _, client in ipairs { one, other } do
      local _, err = client:get "/v1/open"
      assert.equal("rate_limited", err.kind)
      assert.equal("held_back", err.reason)
      assert.truthy(err.retry_after > 23 * 3600)
      assert.equal(2, client:rate().today)
      assert.equal(0, client:rate().room)
    end
    assert.equal(2, arrived())
  end)

  it("leaves what comes too late unused, and asks again", function()
    local store = plan_store()
    local take = store.take
    function store:take(plan, count)
      local permits = take(self, plan, count)
      if #self.asked == 1 then
        freddy.sleep(1.05)
      end
      return permits
    end
    local client = client_of(store)
    assert.equal(200, client:get("/v1/open").status)
    assert.equal(2, #store.asked)
    assert.equal(2, client:rate().today)
    assert.same({}, heard)
  end)

  it("goes on by another limit", function()
    local store, out = plan_store(), {}
    local client = client_of(store, { rate_limit = { per_minute = 1 } })
    send(client, 3, out)
    helper.eventually(function()
      return #out == 1
    end)
    assert(client:set_rate_limit { per_minute = 600, burst = 900 })
    helper.eventually(function()
      store.now = store.now + 1
      return #out == 3
    end)
    assert.equal(900, store.asked[#store.asked].plan.burst)
    assert(client:set_rate_limit(false))
    local asked = #store.asked
    assert.equal(200, client:get("/v1/open").status)
    assert.equal(asked, #store.asked)
    assert.is_nil(client:rate().shared)
  end)

  it("is asked by another when one closes", function()
    local store, out = plan_store(), {}
    local answer = store.take
    function store:take(plan, count)
      while self.stuck do
        freddy.sleep(0.01)
      end
      return answer(self, plan, count)
    end
    store.stuck = true
    local one = client_of(store, { api_key = "same" })
    local other = client_of(store, { api_key = "same" })
    send(one, 1, out)
    helper.eventually(function()
      return one:rate().waiting == 1
    end)
    send(other, 1, out)
    helper.eventually(function()
      return one:rate().waiting == 2
    end)
    one:close()
    store.stuck = false
    helper.eventually(function()
      return #out == 2
    end)
    assert.equal(1, arrived())
  end)

  it("stands beside a session in the same store", function()
    local store = plan_store()
    function store:load() return self.text or false end
    function store:save(text)
      self.text = text
      return true
    end
    function store.claim() return "go", {} end
    function store.release() end
    local session = helper.session()
    local given = { refresh_token = session.refresh_token,
      base_url = helper.http, store = store,
      rate_limit = { per_minute = 60, burst = 62 } }
    local one = freddy.assert(freddy.new(given))
    local other = freddy.assert(freddy.new(given))
    clients = { one, other }
    assert.equal(200, one:get("/v1/echo").status)
    assert.equal(200, other:get("/v1/echo").status)
    assert.equal(1, helper.counters().auth.refresh.calls)
    local _, err = one:get("/v1/echo", { timeout = 0.2 })
    assert.equal("total", err.reason)
    assert.is_true(one:rate().shared)
  end)
end)

describe("a store of plans that cannot be reached", function()
  local BAD = {
    ["raises"] = function() error "broken" end,
    ["answers nil"] = function() return nil, "no such luck" end,
    ["answers rubbish"] = function() return 5 end,
    ["gives more than is asked for"] = function(_, _, count)
      return { granted = count + 1, wait = 0 }
    end,
    ["gives a fraction"] = function() return { granted = 0.5, wait = 0 } end,
    ["gives no wait"] = function() return { granted = 1 } end,
  }
  for name, take in pairs(BAD) do
    it("leaves its client alone, which says so once: it " .. name, function()
      local client = client_of({ take = take })
      for _ = 1, 5 do
        assert.equal(200, client:get("/v1/open").status)
      end
      freddy.poll()
      assert.equal(1, #heard)
      assert.equal("store_failed", heard[1].reason)
      assert.is_false(client:rate().shared)
      local _, err = client:get("/v1/open", { timeout = 0.2 })
      assert.equal("total", err.reason) -- its own plan holds it
    end)
  end

  it("is asked again, while requests go on", function()
    local store = plan_store()
    local answer, broken = store.take, true
    function store:take(plan, count)
      if broken then
        return nil, "down"
      end
      return answer(self, plan, count)
    end
    local client = client_of(store, { rate_limit = { per_minute = 6000000 } })
    assert.equal(200, client:get("/v1/open").status)
    broken = false
    helper.eventually(function()
      assert.equal(200, client:get("/v1/open").status)
      return client:rate().shared
    end, 30)
    assert.equal(1, #heard)
  end)
end)

describe("the option store with a plan", function()
  local function refused(given, text)
    given.base_url = helper.http
    local ok, problem = pcall(freddy.new, given)
    assert.is_false(ok)
    assert.truthy(tostring(problem):find(text, 1, true), problem)
  end

  it("needs a plan to share, and a session needs more", function()
    local store = plan_store()
    refused({ api_key = "k", store = store }, "rate_limit")
    refused({ api_key = "k", store = store, rate_limit = false }, "rate_limit")
    refused({ api_key = "k", rate_limit = "standard",
      store = freddy.session_file "s" }, "store keeps sessions")
    refused({ refresh_token = "r", store = store, rate_limit = "standard" },
      "no sessions")
    refused({ token_provider = error, store = store }, "token_provider")
  end)

  it("is for a token_provider as well", function()
    local store = plan_store()
    local client = freddy.assert(freddy.new {
      token_provider = function()
        return { access_token = helper.token, expires_in = 600 }
      end,
      base_url = helper.http, store = store, rate_limit = "standard",
    })
    clients = { client }
    assert.equal(200, client:get("/v1/echo").status)
    assert.same({ per_minute = 100, burst = 120, per_day = 10000 },
      store.asked[1].plan)
  end)
end)
