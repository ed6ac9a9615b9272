-- SPDX-License-Identifier: MIT
--- Requests that failed and are sent once more: when, what the host hears of
--- it, how it ends in between, and how a server that is down is spared.

local freddy = require "freddy"
local helper = require "spec.helper"
local retry = require "spec.retry_util"

local KEY = retry.KEY
local ask, url, requests = retry.ask, retry.url, retry.requests

setup(helper.hostile_reset)
before_each(retry.open)
after_each(retry.close)

-- --- When ----------------------------------------------------------------

-- The delays that on_retry heard of, and what came of it all: of a first
-- answer with that status and header line, and a second one that is right.
local function delays(code, line, options)
  local heard = {}
  retry.next()
  local listening = retry.new_client {
    retries = options and options.retries or 1, on_retry = function(event)
      heard[#heard + 1] = event.delay
    end,
  }
  local res, err = listening:request {
    method = options and options.method,
    path = url("status,ok", { code = code, line = line,
      body = options and options.body }),
  }
  listening:close()
  return heard, res, err
end

local function http_date(seconds)
  return os.date("!%a, %d %b %Y %H:%M:%S GMT", os.time() + seconds)
end

describe("Retry-After", function()
  local function waits(line, least, most)
    local heard, res = delays(503, line)
    assert.equal(2, freddy.assert(res).attempts)
    assert.equal(1, #heard)
    assert.is_true(heard[1] >= least and heard[1] <= most,
      ("%s: %g s"):format(line, heard[1]))
  end

  it("is waited for, and a little longer", function()
    waits("Retry-After: 1", 1, 1.5)
    waits("Retry-After: 0", 0, 0.5)
    waits("Retry-After: 0.75", 0.75, 1.25)
  end)

  it("may be a date", function()
    waits("Retry-After: " .. http_date(2), 0.5, 2.5)
    waits("Retry-After: " .. http_date(-3600), 0, 0.5)
    waits("Retry-After: Sun, 06 Nov 1994 08:49:37 GMT", 0, 0.5)
  end)

  it("has another name, too, under which 0 means nothing", function()
    waits("X-RateLimit-Retry-After: 1", 1, 1.5)
    waits("X-RateLimit-Retry-After: 9\r\nRetry-After: 0", 0, 0.5)
    local _, _, err = delays(503, "X-RateLimit-Retry-After: 0",
      { retries = 0 })
    assert.is_nil(err.retry_after)
  end)

  it("is read by the server's clock", function()
    waits("Retry-After: Sun, 06 Nov 1994 08:49:38 GMT\r\n"
      .. "Date: Sun, 06 Nov 1994 08:49:37 GMT", 1, 1.5)
  end)

  for _, bad in ipairs { "", "inf", "nan", "-1", "1e400", "soon", "0x1",
      "1, 2", "Sun, 99 Nov 1994 08:49:37 GMT" } do
    it(("that is %q counts as none"):format(bad), function()
      waits("Retry-After: " .. bad, 0, 0.5)
    end)
  end

  for name, value in pairs {
    ["61 seconds"] = "61", ["35 digits"] = ("9"):rep(35),
    ["an absurd date"] = "Fri, 31 Dec 9999 23:59:59 GMT",
  } do
    it("of " .. name .. " ends it at once", function()
      local heard, _, err = delays(503, "Retry-After: " .. value)
      assert.equal(0, #heard)
      assert.equal("server", err.kind)
      assert.equal(1, err.attempts)
      assert.is_true(err.retry_after >= 61 and err.retry_after <= 1e9)
      assert.is_nil(err.details)
    end)
  end

  it("of a 400 does not hide the 400", function()
    for _, value in ipairs { "1", "", "inf", ("9"):rep(35), "soon" } do
      local heard, _, err = delays(400, "Retry-After: " .. value)
      assert.equal("invalid", err.kind)
      assert.equal(1, err.attempts)
      assert.equal(0, #heard)
      assert.equal(value == "1" and 1 or #value == 35 and 1e9 or nil,
        err.retry_after)
    end
  end)
end)

describe("a 429", function()
  it("is repeated whatever the method, once without Retry-After", function()
    local options = { method = "POST", retries = 5 }
    local _, err = ask("status", { code = 429 }, options)
    assert.equal("rate_limited", err.kind)
    assert.equal(2, err.attempts)
    retry.next()
    _, err = ask("status", { code = 429, line = "Retry-After: 0" },
      { method = "POST", retries = 2 })
    assert.equal(3, err.attempts)
    assert.equal(0, err.retry_after)
  end)

  it("is repeated where only its words say quota, and when to come back",
    function()
      local heard, res = delays(429, "Retry-After: 0", { body = '{"error":'
        .. '{"code":"RATE_LIMIT_EXCEEDED","message":"quota per minute"}}' })
      assert.equal(1, #heard)
      assert.equal(200, freddy.assert(res).status)
      local _, _, err = delays(429, "Retry-After: 0", { retries = 0,
        body = '{"detail":"the quota per minute is used up"}' })
      assert.is_nil(err.reason)
      assert.is_true(err.retryable)
    end)

  for _, body in ipairs {
    '{"error":{"code":"SPENDING_LIMIT_EXCEEDED"}}',
    '{"error":{"code":"QUOTA_EXCEEDED","message":"no"}}',
    '{"detail":"the monthly budget is used up"}',
  } do
    it("is not repeated when it says " .. body, function()
      local heard, _, err = delays(429, body:find "code"
        and "Retry-After: 0" or "X-Nothing: 0", { body = body })
      assert.equal(0, #heard)
      assert.equal("quota", err.reason)
      assert.equal(1, err.attempts)
      assert.is_false(err.retryable)
    end)
  end
end)

-- --- What the host hears -------------------------------------------------

describe("on_retry", function()
  it("is told of each repeat: attempt, delay and cause", function()
    local events = {}
    local listening = retry.new_client { on_retry = function(event)
      events[#events + 1] = event
    end }
    local res = freddy.assert(listening:get(
      url("status,close-before,ok", { code = 502 })))
    listening:close()
    assert.equal(3, res.attempts)
    assert.equal(2, #events)
    for i, most in ipairs { 0.5, 1 } do
      assert.equal(i, events[i].attempt)
      assert.is_true(events[i].delay >= 0 and events[i].delay <= most)
    end
    local first, second = events[1].cause, events[2].cause
    assert.equal("server", first.kind)
    assert.equal(502, first.status)
    assert.is_true(first.retryable)
    assert.equal("cut", second.kind)
    assert.is_nil(second.status)
    assert.truthy(tostring(first):find "^freddy: server: .*502")
    assert.truthy(tostring(first):find("GET http", 1, true))
    assert.equal(2, second.attempts)
  end)

  it("is told before the answer is", function()
    local order = {}
    local listening = retry.new_client { on_retry = function()
      order[#order + 1] = "retry"
    end }
    listening:send({ path = url("status,ok", { code = 503 }) }, function(res)
      order[#order + 1] = res.status
    end)
    helper.eventually(function()
      return order[2]
    end)
    assert.same({ "retry", 200 }, order)
    listening:close()
  end)

  it("must not wait, and may fail: the request goes on", function()
    local seen = {}
    local before = freddy.on_error
    freddy.on_error = function(err)
      seen[#seen + 1] = err.message
    end
    for _, hook in ipairs {
      function() error "it went wrong" end, function() freddy.sleep(1) end,
      coroutine.yield,
    } do
      retry.next()
      local listening = retry.new_client { on_retry = hook }
      freddy.assert(listening:get(url("status,ok", { code = 503 })))
      listening:close()
    end
    freddy.on_error = before
    assert.equal(3, #seen)
    assert.truthy(seen[1]:find "it went wrong")
    assert.truthy(seen[2]:find "on_retry must not wait")
    assert.truthy(seen[3]:find "on_retry tried to wait")
  end)

  it("never sees a secret, not even one in the path", function()
    local causes = {}
    local dead = retry.new_client {
      base_url = "http://" .. helper.env "HOSTILE_CLOSED", retries = 1,
      on_retry = function(event)
        causes[#causes + 1] = event.cause
      end,
    }
    local _, err = dead:get("/v1/" .. KEY)
    assert.equal(1, #causes)
    assert.is_nil(tostring(causes[1]):find(KEY, 1, true))
    assert.is_nil(causes[1].request:find(KEY, 1, true))
    assert.is_nil(tostring(err):find(KEY, 1, true))
    dead:close()
  end)
end)

-- --- Ends in between -----------------------------------------------------

describe("while it waits to be sent again", function()
  local waiting
  before_each(function()
    waiting = false
    retry.client:close()
    retry.client = retry.new_client { on_retry = function()
      waiting = true
    end }
  end)

  local function start(options)
    local task = freddy.spawn(function()
      return ask("status,ok", { code = 503, line = "Retry-After: 30" },
        options)
    end)
    helper.eventually(function()
      return waiting
    end)
    return task
  end

  local function seen_once()
    freddy.assert(retry.new_client():get(helper.hostile("ok")))
    assert.equal(1, #requests())
  end

  it("it can be cancelled", function()
    local task = start()
    task:cancel()
    local _, err = task:wait(5)
    assert.equal("cancelled", err.kind)
    seen_once()
  end)

  it("its client can be closed", function()
    local task = start()
    retry.client:close()
    local _, err = task:wait(5)
    assert.equal("closed", err.kind)
    seen_once()
  end)

  it("its total may run out: the failure before is in the details",
    function()
      local _, err = start({ timeout = 0.3 }):wait(10)
      assert.equal("timeout", err.kind)
      assert.equal("total", err.reason)
      assert.equal(1, err.attempts)
      assert.is_true(err.sent)
      assert.is_nil(err.response)
      local last = err.details.last
      assert.equal("server", last.kind)
      assert.equal(503, last.status)
      assert.equal(err.request, last.request)
      seen_once()
    end)

  it("it may be forgotten", function()
    start()
    helper.collect()
    seen_once()
  end)
end)

it("total runs over all attempts", function()
  local _, err = ask("close-before,never", nil,
    { timeout = { total = 1.2 }, retries = 5 })
  assert.equal("timeout", err.kind)
  assert.equal("total", err.reason)
  assert.equal(2, err.attempts)
  assert.equal("cut", err.details.last.kind)
end)

-- --- A server as they are ------------------------------------------------

describe("against the emulator", function()
  local emulated, heard

  before_each(function()
    helper.reset()
    heard = {}
    emulated = helper.client { retries = 6, rate_limit = false,
      on_retry = function(event)
        heard[#heard + 1] = event
      end }
  end)

  after_each(function()
    emulated:close()
  end)

  it("a server that is down for a second is waited for", function()
    helper.control { fail = { status = 503, seconds = 1,
      retry_after = "seconds" } }
    local _, res = emulated.models:list()
    assert.equal(200, res.status)
    assert.equal(res.attempts, #heard + 1)
    assert.is_true(#heard >= 1 and #heard <= 6)
  end)

  for form, most in pairs {
    [0] = 0.5, ["past-date"] = 0.5, inf = 0.5, empty = 0.5, none = 0.5,
  } do
    it(("Retry-After %s is waited for"):format(form), function()
      helper.control { fail = { status = 429, times = 1,
        retry_after = form } }
      local _, res = emulated.models:list()
      assert.equal(2, res.attempts)
      assert.is_true(heard[1].delay >= 0 and heard[1].delay <= most)
      assert.equal("rate_limited", heard[1].cause.kind)
    end)
  end

  for _, form in ipairs { "absurd-date", "digits", 61 } do
    it(("Retry-After %s is not"):format(form), function()
      helper.control { fail = { status = 429, times = 1,
        retry_after = form } }
      local _, err = emulated.models:list()
      assert.equal("rate_limited", err.kind)
      assert.equal(1, err.attempts)
      assert.is_true(err.retry_after >= 61)
    end)
  end

  for _, version in ipairs { "1.1", "2" } do
    it("an answer that breaks off is repeated, over HTTP/" .. version,
      function()
        local one = helper.client { retries = 1, http_version = version }
        for _, how in ipairs { "lost", "cut", "reset" } do
          helper.control { fail = { path = "/v1/models", [how] = true,
            times = 1 } }
          local _, res = one.models:list()
          assert.equal(200, res.status)
          assert.equal(2, res.attempts)
        end
        one:close()
      end)
  end

  it("a renewal and repeats come to one request", function()
    local session = helper.session()
    local client_of_it = helper.client { retries = 3, token = session.token,
      refresh_token = session.refresh_token }
    helper.control { revoke = { access = true } }
    helper.control { fail = { path = "/v1/models", status = 503, times = 1,
      after = 1 } }
    local _, res = client_of_it.models:list()
    assert.equal(200, res.status)
    assert.equal(3, res.attempts) -- 401, 503, 200
    client_of_it:close()
  end)
end)

-- --- The budget ----------------------------------------------------------

describe("a server that is down", function()
  it("is not stormed by a hundred callers, and found again", function()
    helper.reset()
    local emulated = helper.client { retries = 5 }
    freddy.assert(emulated.models:list())
    helper.reset()
    helper.control { fail = { path = "/v1/models", status = 503 } }
    local attempts, spent = 0, 0
    local calls = {}
    for i = 1, 100 do
      calls[i] = function()
        local _, err = emulated.models:list()
        attempts = attempts + err.attempts
        if err.details and err.details.retry_budget == "empty" then
          spent = spent + 1
        end
        return true
      end
    end
    local _, errors = freddy.all(calls)
    assert.is_nil(errors)
    assert.equal(150, attempts)
    assert.is_true(spent > 50)
    -- Once it is up again, five answers pay for one repeat.
    local function fails_once()
      helper.control { fail = { path = "/v1/models", status = 503,
        times = 1 } }
      return emulated:get "/v1/models"
    end
    helper.reset()
    for _ = 1, 5 do
      assert.equal(1, assert(emulated:get "/v1/models").attempts)
    end
    assert.equal(2, assert(fails_once()).attempts)
    local _, err = fails_once()
    assert.equal(1, err.attempts)
    assert.equal("empty", err.details.retry_budget)
    emulated:close()
  end)

  it("costs nothing but that when it refuses connections", function()
    local dead = retry.new_client { base_url = "http://"
      .. helper.env "HOSTILE_CLOSED", retries = 3 }
    local attempts = 0
    local calls = {}
    for i = 1, 100 do
      calls[i] = function()
        local _, err = dead:post("/", { body = "x" })
        attempts = attempts + err.attempts
        return true
      end
    end
    freddy.all(calls)
    assert.equal(150, attempts)
    local _, err = dead:get "/"
    assert.equal(1, err.attempts)
    assert.equal("empty", err.details.retry_budget)
    assert.truthy(err.hint:find "none is sent again")
    dead:close()
  end)
end)
