-- SPDX-License-Identifier: MIT
--- Rate limits and places on a host, as a program sees them, against a server
--- that has limits and notes in which order requests came.

local freddy = require "freddy"
local helper = require "spec.helper"

local clients
local keys = 0

-- With a key of its own, unless one is given: who shares it shares a limiter.
local function client_of(options)
  options = options or {}
  keys = keys + 1
  options.api_key = options.api_key or "key-" .. keys
  options.base_url = options.base_url or helper.http
  local client = helper.client(options)
  clients[#clients + 1] = client
  return client
end

-- The value of `n` of each request that came to /v1/open, in their order.
local function arrivals()
  local list = {}
  for _, fact in ipairs(helper.counters().recent) do
    local n = fact.path == "/v1/open" and (fact.query or ""):match "n=(%w+)"
    list[#list + 1] = tonumber(n) or n or nil
  end
  return list
end

local function statuses(path)
  local endpoint = helper.counters().endpoints[path or "/v1/open"]
  return endpoint and endpoint.status or {}
end

-- Starts a request for /v1/open?n=...; its outcome comes into `out`.
local function send(client, n, out, more)
  local given = { path = "/v1/open?n=" .. n }
  for name, value in pairs(more or {}) do
    given[name] = value
  end
  return client:send(given, function(res, err)
    out.count = (out.count or 0) + 1
    out[n] = res or err
  end)
end

local function send_all(client, count, out)
  for n = 1, count do
    send(client, n, out)
  end
end

local function wait_for(out, count)
  helper.eventually(function()
    return (out.count or 0) >= count
  end, 60)
end

local function waiting(client, count)
  helper.eventually(function()
    return client:stats().waiting == count
  end)
end

local SLOW = { per_minute = 1 }
local FAST = { per_minute = 6000000 }

before_each(function()
  clients = {}
  helper.reset()
end)

after_each(function()
  for _, client in ipairs(clients) do
    client:close()
  end
end)

-- --- Plans ---------------------------------------------------------------

describe("a rate limit", function()
  it("delays the second request", function()
    local client = client_of { rate_limit = { per_minute = 300 } }
    assert(client:get "/v1/open?n=1")
    assert.equal(0, client:rate().room)
    assert.is_true(client:rate().wait > 0)
    assert(client:get "/v1/open?n=2")
    local recent = helper.counters().recent
    assert.is_true(recent[2].at - recent[1].at > 0.15)
    local stats = client:stats()
    assert.equal(1, stats.waits)
    assert.is_true(stats.waited > 0 and stats.waited < 60)
  end)

  it("lets a thousand wait, in order, and refuses the next at once",
    function()
      helper.control { recent = 2000 }
      local client = client_of { rate_limit = SLOW, max_in_flight = 1 }
      local out = {}
      send_all(client, 1002, out)
      wait_for(out, 2)
      assert.equal(200, out[1].status)
      assert.equal("queue_full", out[1002].kind)
      assert.is_false(out[1002].sent)
      helper.documented(out[1002])
      assert.equal(1000, client:stats().waiting)
      assert.equal(1000, client:rate().waiting)
      assert.is_true(client:set_rate_limit(FAST))
      wait_for(out, 1002)
      local came = arrivals()
      assert.equal(1001, #came)
      for n = 1, 1001 do
        assert.equal(n, came[n])
      end
      assert.equal(0, client:stats().waiting)
    end)

  it("is taken off while requests wait", function()
    local client = client_of { rate_limit = SLOW }
    local out = {}
    send_all(client, 5, out)
    waiting(client, 4)
    client:set_rate_limit(false)
    wait_for(out, 5)
    for n = 1, 5 do
      assert.equal(200, out[n].status)
    end
    assert.equal("off", client:rate().mode)
    assert.equal(5, client:rate().today)
  end)

  it("counts what was sent under the former one", function()
    local client = client_of { rate_limit = { per_minute = 10, burst = 15 } }
    for n = 1, 5 do
      assert(client:get("/v1/open?n=" .. n))
    end
    client:set_rate_limit { per_minute = 20, burst = 26 }
    assert(client:get "/v1/open") -- one of six is left
    assert.equal(0, client:rate().room)
    assert.equal(6, client:rate().today)
  end)

  it("lets go who is cancelled, and keeps the others' order", function()
    local client = client_of { rate_limit = SLOW, max_in_flight = 1 }
    local out, calls = {}, {}
    for n = 1, 5 do
      calls[n] = send(client, n, out)
    end
    waiting(client, 4)
    calls[3]:cancel()
    calls[2]:cancel()
    wait_for(out, 3)
    assert.equal("cancelled", out[3].kind)
    assert.is_false(out[3].sent)
    waiting(client, 2)
    client:set_rate_limit(FAST)
    wait_for(out, 5)
    assert.same({ 1, 4, 5 }, arrivals())
  end)

  it("counts against the deadline", function()
    local client = client_of { rate_limit = SLOW }
    assert(client:get "/v1/open")
    local res, err = client:get("/v1/open", { timeout = 0.05 })
    assert.is_nil(res)
    assert.equal("timeout", err.kind)
    assert.equal("total", err.reason)
    assert.is_false(err.sent)
    assert.equal(1, helper.counters().endpoints["/v1/open"].requests)
    assert.equal(0, client:stats().waiting)
  end)

  it("ends those who wait when the client is closed", function()
    local client = client_of { rate_limit = SLOW }
    local out = {}
    send_all(client, 3, out)
    waiting(client, 2)
    client:close()
    wait_for(out, 3)
    assert.equal("closed", out[3].kind)
  end)

  it("is one for all clients with the same key, and for none else",
    function()
      local one = client_of { rate_limit = SLOW, api_key = "shared" }
      local two = client_of { rate_limit = SLOW, api_key = "shared" }
      local other = client_of { rate_limit = SLOW }
      assert(one:get "/v1/open?n=1")
      local out = {}
      send(two, 2, out)
      waiting(two, 1)
      assert.equal(1, one:rate().waiting)
      assert(other:get "/v1/open?n=3")
      assert.equal(1, one:rate().today)
      one:close()
      two:close()
      wait_for(out, 1)
      -- It outlives them: one made anew is held as well.
      local three = client_of { rate_limit = SLOW, api_key = "shared" }
      local res, err = three:get("/v1/open", { timeout = 0.05 })
      assert.is_nil(res)
      assert.equal("total", err.reason)
    end)

  it("is first come, first served, over all who share it", function()
    local plan = { per_minute = 1500 }
    local one = client_of { rate_limit = plan, api_key = "in-line" }
    local two = client_of { rate_limit = plan, api_key = "in-line" }
    local out, expected = {}, {}
    for n = 1, 12 do -- a crowd of one, then one of the other
      send(n <= 6 and one or two, n, out)
      expected[n] = n
    end
    wait_for(out, 12)
    assert.same(expected, arrivals())
  end)

  it("follows the credential", function()
    local client = client_of { rate_limit = SLOW }
    assert(client:get "/v1/open?n=1")
    local out = {}
    send(client, 2, out)
    waiting(client, 1)
    client.auth:set_api_key "another-key"
    wait_for(out, 1)
    assert.equal(200, out[2].status)
  end)

  it("is not for another origin", function()
    local client = client_of { rate_limit = SLOW }
    assert(client:get "/v1/open")
    for _ = 1, 3 do
      assert(client:get(helper.base_url:gsub("127.0.0.1", "localhost")
        .. "/v1/open", { auth = false }))
    end
    assert.equal(1, client:rate().today)
  end)

  it("takes no place for an exchange, and one for a replay", function()
    local client = client_of { rate_limit = { per_minute = 1, burst = 4 },
      auth = "bearer", api_key = helper.api_key }
    assert(client:get "/v1/echo")
    assert.equal(1, client:rate().today)
    helper.control { revoke = { access = true } }
    assert.equal(2, assert(client:get "/v1/echo").attempts)
    assert.equal(3, client:rate().today)
    assert.equal(2, client:stats().refreshes)
    assert.equal(3, client:stats().attempts)
    assert.equal(2, client:stats().requests)
  end)

  it("tells of the plans by name", function()
    local standard = client_of { rate_limit = "standard" }
    local premium = client_of { rate_limit = "premium" }
    assert.same({ "plan", 100, 120, 10000, 20 }, { standard:rate().mode,
      standard:rate().per_minute, standard:rate().burst,
      standard:rate().per_day, standard:rate().room })
    assert.same({ 1000, 1200, 100000, 200 }, { premium:rate().per_minute,
      premium:rate().burst, premium:rate().per_day, premium:rate().room })
    assert.equal("adaptive", client_of():rate().mode)
    assert.is_nil(client_of():rate().room)
  end)

  it("holds back by the day at once", function()
    local client = client_of { rate_limit = { per_minute = 600, burst = 700,
      per_day = 2 } }
    assert(client:get "/v1/open")
    assert(client:get "/v1/open")
    local res, err = client:get "/v1/open"
    assert.is_nil(res)
    assert.equal("rate_limited", err.kind)
    assert.equal("held_back", err.reason)
    assert.is_false(err.sent)
    assert.is_true(err.retry_after > 80000 and err.retry_after <= 90000)
    helper.documented(err)
  end)

  it("must be one that there is", function()
    for _, row in ipairs {
      { "gold", '"adaptive", "standard"' }, { true, '"adaptive"' },
      { 5, '"adaptive"' }, { {}, "a table with per_minute" },
      { { per_minute = 0 }, "whole number" },
      { { per_minute = 1.5 }, "whole number" },
      { { per_minute = 10, burst = 9 }, "at least per_minute" },
      { { per_minut = 10 }, 'did you mean "per_minute"' },
      { "standart", 'did you mean "standard"' },
    } do
      helper.raises_here(function()
        freddy.new { api_key = "k", rate_limit = row[1] }
      end, row[2])
      local client = client_of()
      helper.raises_here(function()
        client:set_rate_limit(row[1])
      end, row[2])
    end
    for _, value in ipairs { 0, -1, 1.5, "64", 2 ^ 32 } do
      helper.raises_here(function()
        freddy.new { api_key = "k", max_in_flight = value }
      end, "max_in_flight")
    end
  end)
end)

-- --- What the server tells -----------------------------------------------

describe("an adaptive rate limit", function()
  local function none_refused(limit, count)
    helper.control { limit = limit }
    local client = client_of()
    for _ = 1, count do
      assert(client:get "/v1/open")
    end
    assert.is_nil(statuses()["429"])
    return client
  end

  it("waits for the next window, in either set of headers", function()
    for _, row in ipairs { { "A", "fraction" }, { "B", "duration" },
        { "both", "fraction" } } do
      local client = none_refused({ requests = 10, per = 0.4,
        headers = row[1], reset = row[2] }, 25)
      assert.is_true(client:stats().waits >= 2)
      assert.equal(10, client:rate().limit)
    end
  end)

  it("reads a reset in whole seconds, by the server's own clock", function()
    none_refused({ requests = 10, per = 0.5 }, 15)
    helper.control { auth = { clock = -86400 } }
    none_refused({ requests = 10, per = 0.5 }, 15)
    none_refused({ requests = 10, per = 0.5, reset = "relative" }, 15)
  end)

  it("shares the window among requests in flight", function()
    helper.control { limit = { requests = 20, per = 0.5,
      reset = "fraction" } }
    local client = client_of()
    assert(client:get "/v1/open?n=0")
    local out = {}
    send_all(client, 49, out)
    wait_for(out, 49)
    assert.is_nil(statuses()["429"])
    assert.equal(50, statuses()["200"])
  end)

  it("gives up at once where the wait is over a minute", function()
    helper.control { limit = { requests = 1, per = 600 } }
    local client = client_of()
    assert(client:get "/v1/open")
    local res, err = client:get "/v1/open"
    assert.is_nil(res)
    assert.equal("rate_limited", err.kind)
    assert.equal("held_back", err.reason)
    assert.is_false(err.sent)
    assert.equal(0, err.attempts)
    assert.is_true(err.retry_after > 500 and err.retry_after <= 602)
    assert.equal(1, helper.counters().endpoints["/v1/open"].requests)
  end)

  it("gives up at once for a repeat, too", function()
    helper.control { fail = { path = "/v1/open", status = 503, times = 1,
      retry_after = 0 }, limit = { requests = 1, per = 600 } }
    local res, err = client_of({ retries = 2 }):get "/v1/open"
    assert.is_nil(res)
    assert.equal("held_back", err.reason)
    assert.matches("not sent again", err.message)
    assert.is_true(err.sent)
    assert.equal(1, err.attempts)
    assert.equal(1, helper.counters().endpoints["/v1/open"].requests)
  end)

  it("waits a whole minute's window rather than give up", function()
    helper.control { limit = { requests = 1 } }
    local client = client_of()
    assert(client:get "/v1/open")
    local out = {}
    send(client, 1, out)
    waiting(client, 1)
    assert.is_true(client:rate().wait > 55)
    client:set_rate_limit(false)
    wait_for(out, 1)
  end)

  it("heeds Retry-After, and nothing absurd", function()
    for _, form in ipairs { "absurd-date", "past-date", "inf", "digits",
        "empty", "none", { value = "soon" }, { value = "-5" } } do
      local client = client_of()
      helper.control { fail = { path = "/v1/open", status = 429, times = 1,
        retry_after = form } }
      client:get("/v1/open", { timeout = 5 })
      assert.equal(0, client:rate().wait)
      assert(client:get "/v1/open")
    end
    local client = client_of()
    helper.control { fail = { path = "/v1/open", status = 400, times = 1,
      retry_after = 30 } }
    local _, err = client:post("/v1/open", { body = "x" })
    assert.equal("invalid", err.kind)
    assert.equal(0, client:rate().wait)
    helper.control { fail = { path = "/v1/open", status = 503, times = 1,
      retry_after = 300 } }
    _, err = client:post("/v1/open", { body = "x" })
    assert.equal(503, err.status)
    assert.equal(0, client:rate().wait)
    helper.control { fail = { path = "/v1/open", status = 429, times = 1,
      retry_after = 300 } }
    _, err = client:post("/v1/open", { body = "x" })
    assert.equal(429, err.status)
    _, err = client:get "/v1/open"
    assert.equal("held_back", err.reason)
    assert.is_true(err.retry_after > 290 and err.retry_after <= 300)
  end)

  it("heeds nothing when it is off", function()
    helper.control { limit = { requests = 1, per = 600 } }
    local client = client_of { rate_limit = false }
    assert(client:get "/v1/open")
    local res, err = client:get "/v1/open"
    assert.is_nil(res)
    assert.equal(429, err.status)
    assert.equal("off", client:rate().mode)
    assert.equal(1, client:rate().limit)
  end)
end)

-- --- Places --------------------------------------------------------------

describe("max_in_flight", function()
  local function requests()
    local endpoint = helper.counters().endpoints["/v1/open"]
    return endpoint and endpoint.requests or 0
  end

  it("bounds the requests to a host, in order", function()
    helper.control { delay = { path = "/v1/open", hold = "all", times = 2 } }
    local client = client_of { max_in_flight = 2 }
    local out = {}
    send_all(client, 9, out)
    helper.eventually(function() return requests() == 2 end)
    waiting(client, 7)
    assert.equal(2, client:stats().in_flight)
    helper.control { release = "all" }
    wait_for(out, 9)
    assert.equal(9, requests())
    assert.equal(7, client:stats().waits)
    assert.is_true(client:stats().connections_opened <= 2)
  end)

  it("is 64 over HTTP/1.1, and one client's crowd does not block another",
    function()
      helper.control { recent = 400,
        delay = { path = "/v1/open", hold = "all", times = 64 } }
      local crowd = client_of()
      local single = client_of()
      local out = {}
      send_all(crowd, 200, out)
      helper.eventually(function() return requests() == 64 end)
      waiting(crowd, 136)
      local other = {}
      send(single, "single", other)
      waiting(single, 1)
      helper.control { release = "all" }
      wait_for(other, 1)
      wait_for(out, 200)
      local place
      for i, n in ipairs(arrivals()) do
        place = n == "single" and i or place
      end
      assert.is_true(place <= 130, "came as number " .. place)
    end)

  it("does not keep others out who have fewer places", function()
    helper.control { delay = { path = "/v1/open", hold = "all",
      times = 120 } }
    local crowd = client_of { max_in_flight = 120 }
    local single = client_of()
    local out, other, calls = {}, {}, {}
    for n = 1, 130 do
      calls[n] = send(crowd, n, out)
    end
    helper.eventually(function() return requests() == 120 end)
    waiting(crowd, 10)
    send(single, "single", other)
    waiting(single, 1)
    calls[1]:cancel() -- two places: one for each of them
    calls[2]:cancel()
    wait_for(other, 1)
    assert.equal(200, other.single.status)
    assert.is_true(crowd:stats().in_flight >= 118)
    helper.control { release = "all" }
    wait_for(out, 130)
  end)

  it("counts streams apart", function()
    helper.control { delay = { path = "/v1/open", hold = "all",
      times = 64 } }
    local client = client_of()
    local out = {}
    send_all(client, 65, out)
    helper.eventually(function() return requests() == 64 end)
    local stream = assert(client:stream("/v1/drip?sse=1&chunks=2&ms=1"))
    local count = 0
    while stream:next() do
      count = count + 1
    end
    assert.equal(2, count)
    assert.equal(1, client:stats().waiting)
    helper.control { release = "all" }
    wait_for(out, 65)
  end)

  it("is 256 once a host is known to speak HTTP/2", function()
    helper.control { delay = { path = "/v1/open", hold = "all",
      times = 257 } }
    local client = client_of { base_url = helper.base_url,
      timeout = { connect = 60 } }
    assert(client:get "/v1/health")
    local out = {}
    send_all(client, 260, out)
    helper.eventually(function() return requests() == 256 end, 30)
    assert.equal(4, client:stats().waiting)
    helper.control { release = "all" }
    wait_for(out, 260)
  end)

  it("may be more than that", function()
    helper.control { delay = { path = "/v1/open", hold = "all",
      times = 100 } }
    local client = client_of { max_in_flight = 100 }
    local out = {}
    send_all(client, 110, out)
    helper.eventually(function() return requests() == 100 end)
    helper.control { release = "all" }
    wait_for(out, 110)
  end)

  it("gives a place back in every way that a request can end", function()
    local client = client_of { max_in_flight = 1 }
    helper.control { delay = { path = "/v1/open", hold = "all", times = 2 } }
    local out = {}
    send(client, 1, out, { timeout = 0.1 })
    local second = send(client, 2, out)
    wait_for(out, 1)
    helper.eventually(function() return requests() == 2 end)
    second:cancel()
    wait_for(out, 2)
    helper.control { fail = { path = "/v1/open", close = true, times = 1 } }
    assert.is_nil((client:post("/v1/open", { body = "x" })))
    assert(client:get "/v1/redirect")
    assert(client:get "/v1/open")
    assert.equal(0, client:stats().in_flight)
    assert.equal(0, client:rate().in_flight)
  end)
end)

-- --- What is counted -----------------------------------------------------

describe("client:stats", function()
  it("counts", function()
    local client = client_of()
    local res = assert(client:post("/v1/open", { body = "12345" }))
    assert(client:get "/v1/open")
    client:get "/v1/status/500"
    client:get("http://127.0.0.1:1/", { auth = false })
    local stats = client:stats()
    assert.equal(4, stats.requests)
    assert.is_true(stats.attempts >= 4)
    assert.equal(1, stats.failures)
    assert.equal(5, stats.bytes_sent)
    assert.is_true(stats.bytes_received > #res.body)
    assert.is_true(stats.connections_reused >= 2)
    assert.is_true(stats.connections_opened + stats.connections_reused >= 3)
    assert.equal(0, stats.waits)
    assert.equal(0, stats.waiting)
    assert.equal(0, stats.in_flight)
  end)

  it("counts the bytes of what was broken off", function()
    local client = client_of { retries = 0 }
    local download = assert(client:get("/v1/drip?chunks=1000&ms=50",
      { stream = true }))
    local size = #assert(download:read())
    download:cancel()
    local function got() return client:stats().bytes_received >= size end
    helper.eventually(got)
    local _, err = client:post(helper.hostile "never",
      { body = ("x"):rep(100000), timeout = { first_byte = 0.2 } })
    assert.equal("first_byte", err.reason)
    assert.equal(100000, client:stats().bytes_sent)
  end)

  it("is told apart for each client", function()
    local one, two = client_of(), client_of()
    assert(one:get "/v1/open")
    assert.equal(1, one:stats().requests)
    assert.equal(0, two:stats().requests)
  end)
end)
