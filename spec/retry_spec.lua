-- SPDX-License-Identifier: MIT
--- Requests that failed and are sent once more: which, when, and what the
--- host hears of it.

local freddy = require "freddy"
local helper = require "spec.helper"

local KEY = "a-key-of-20-characters"
local HEAD = 71 -- bytes of the hostile server's answer `length` to its body

local tags = 0
local tag, client

local function new_tag()
  tags = tags + 1
  return "retry" .. tags .. _VERSION:gsub("%W", "")
end

local function new_client(options)
  local given = {
    base_url = helper.env "HOSTILE", api_key = KEY, timeout = 30,
  }
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  return freddy.assert(freddy.new(given))
end

setup(helper.hostile_reset)

before_each(function()
  tag = new_tag()
  client = new_client()
end)

after_each(function()
  client:close()
end)

-- The server runs the scenarios of `list` one after the other.
local function url(list, args)
  local all = { of = list, tag = tag }
  for name, value in pairs(args or {}) do
    all[name] = value
  end
  return helper.hostile("sequence", all)
end

local function ask(list, args, options)
  local given = { path = url(list, args) }
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  return client:request(given)
end

-- The requests that the server saw with `the_tag` (this test's), in order.
local function requests(the_tag)
  local out = {}
  the_tag = the_tag or tag
  for _, connection in ipairs(helper.hostile_log { tag = the_tag }) do
    for _, request in ipairs(connection.requests) do
      if request.tag == the_tag then
        out[#out + 1] = request
      end
    end
  end
  return out
end

local function header_of(request, wanted)
  for _, pair in ipairs(request.headers) do
    if pair[1]:lower() == wanted then
      return pair[2]
    end
  end
end

describe("a request that failed", function()
  it("is sent again, and its answer is the last one's alone", function()
    local res = freddy.assert(ask("status,ok",
      { code = 503, line = "X-First: 1" }))
    assert.equal(2, res.attempts)
    assert.equal(200, res.status)
    assert.is_nil(res.headers["x-first"])
    assert.is_true(res.data.ok)
    assert.equal(2, #requests())
  end)

  it("is sent three times in all, unless retries says otherwise", function()
    local _, err = ask("status", { code = 503 })
    assert.equal("server", err.kind)
    assert.equal(503, err.status)
    assert.equal(3, err.attempts)
    assert.equal(3, #requests())
    for retries = 0, 1 do
      tag = new_tag()
      _, err = ask("status", { code = 503 }, { retries = retries })
      assert.equal(retries + 1, err.attempts)
      assert.equal(retries + 1, #requests())
    end
  end)

  it("has the client's retries as its default", function()
    local none = new_client { retries = 0 }
    local _, err = none:get(url("status", { code = 500 }))
    assert.equal(1, err.attempts)
    none:close()
  end)

  it("can be sent again for as long as one likes", function()
    local res = freddy.assert(ask("status,status,status,ok", { code = 500 },
      { retries = 10000 }))
    assert.equal(4, res.attempts)
  end)
end)

-- --- Which ones ----------------------------------------------------------

local METHODS = { "GET", "HEAD", "PUT", "DELETE", "POST", "PATCH" }
local SAFE = { GET = true, HEAD = true, PUT = true, DELETE = true }

-- What the first attempt meets, and for whom that is not the end.
local SITUATIONS = {
  -- sent, and no byte came back
  { "close-before", {}, "safe" },
  { "reset-before", {}, "safe" },
  { "never", {}, "safe", timeout = { first_byte = 0.1 } },
  -- after the headers
  { "close-at", { n = HEAD, with = "length" }, "safe", body = true },
  { "reset-at", { n = HEAD, with = "length" }, "safe", body = true },
  { "stall-after", { n = HEAD, with = "length" }, "safe", body = true,
    timeout = { stall = 0.1 } },
  -- mid-answer
  { "close-at", { n = HEAD + 3, with = "length" }, "safe", body = true },
  { "reset-at", { n = HEAD + 3, with = "length" }, "safe", body = true },
  -- within the headers
  { "close-at", { n = 20, with = "length" }, "safe" },
  -- after the body
  { "status", { code = 400 }, "nobody" },
  { "status", { code = 404 }, "nobody" },
  { "status", { code = 408 }, "safe" },
  { "status", { code = 429, line = "Retry-After: 0" }, "anybody" },
  { "status", { code = 500 }, "safe" },
  { "status", { code = 501 }, "nobody" },
  { "status", { code = 502 }, "safe" },
  { "status", { code = 503 }, "safe" },
  { "status", { code = 504 }, "safe" },
  { "chunk-bad", {}, "nobody", body = true },
}

local function name_of(situation)
  local name = situation[1]
  for _, arg in ipairs { "code", "n" } do
    name = name .. (situation[2][arg] and " " .. situation[2][arg] or "")
  end
  return name
end

describe("whether it is sent again after", function()
  local function one(situation, method, idempotent)
    local name, args, whom = situation[1], situation[2], situation[3]
    local again = whom == "anybody"
      or whom == "safe" and (SAFE[method] or idempotent)
    local this = new_tag()
    local all = { of = name .. ",ok", tag = this }
    for arg, value in pairs(args) do
      all[arg] = value
    end
    local has_body = method:find "^P"
    local res, err = client:request {
      method = method, path = helper.hostile("sequence", all),
      idempotent = idempotent, timeout = situation.timeout,
      body = has_body and "once" or nil,
    }
    local seen = requests(this)
    local what = method .. (idempotent and ", idempotent" or "")
    assert.equal(again and 2 or 1, #seen, what)
    assert.equal(#seen, (res or err).attempts, what)
    assert.equal(again and 200 or nil, res and res.status, what)
    for _, request in ipairs(seen) do
      assert.equal(has_body and 4 or 0, request.body_size, what)
      assert.equal(method, request.method)
    end
  end

  for _, situation in ipairs(SITUATIONS) do
    it(name_of(situation), function()
      local tasks = {}
      for _, method in ipairs(METHODS) do
        for _, idempotent in ipairs { false, true } do
          if not (method == "HEAD" and situation.body) then
            tasks[#tasks + 1] = freddy.spawn(one, situation, method,
              idempotent)
          end
        end
      end
      for _, task in ipairs(tasks) do
        local _, err = task:wait(30)
        assert.is_nil(err, err and err.message)
      end
    end)
  end

  it("no connection: each is", function()
    local dead = new_client { base_url = "http://"
      .. helper.env "HOSTILE_CLOSED" }
    for _, method in ipairs(METHODS) do
      local _, err = dead:request { method = method, path = "/", retries = 1 }
      assert.equal("connect", err.kind)
      assert.equal(2, err.attempts)
      assert.is_false(err.sent)
    end
    dead:close()
  end)

  it("a handshake that is cut: each is, but after a wrong one none",
    function()
      for name, attempts in pairs { CLOSE = 2, RESET = 2, GARBAGE = 1,
          EXPIRED = 1 } do
        local shy = new_client { retries = 1,
          base_url = helper.env("HOSTILE_TLS_" .. name),
          ca_file = helper.env "HOSTILE_CA_FILE" }
        local _, err = shy:post("/", { body = "x" })
        assert.truthy(err.kind == "tls"
          or name == "RESET" and err.kind == "connect")
        assert.equal(attempts, err.attempts, name)
        assert.equal(attempts == 2, err.retryable, name)
        assert.is_false(err.sent)
        shy:close()
      end
    end)

  it("no connection in time: each is", function()
    local full = new_client { base_url = "http://"
      .. helper.env "HOSTILE_FULL", retries = 1 }
    local _, err = full:post("/", { body = "x", timeout = { connect = 0.1 } })
    assert.equal("timeout", err.kind)
    assert.equal("connect", err.reason)
    assert.equal(2, err.attempts)
    assert.is_false(err.sent)
    full:close()
  end)
end)

it("what was sent again is what a redirect led to", function()
  local res = freddy.assert(client:post(helper.hostile("redirect",
    { to = url("status,ok", { code = 503 }), status = 303, tag = tag }),
    { body = "x" }))
  assert.equal(2, res.attempts)
  local seen = requests()
  assert.equal(3, #seen)
  assert.equal("POST", seen[1].method)
  assert.equal("GET", seen[2].method)
  assert.equal("GET", seen[3].method)
end)

describe("a POST", function()
  local function count(method)
    local seen = 0
    for _, request in ipairs(requests()) do
      seen = seen + (request.method == method and 1 or 0)
    end
    return seen
  end

  it("whose kept-alive connection is reset is seen once", function()
    local path = helper.hostile("keepalive-reset", { tag = tag })
    freddy.assert(client:get(path))
    local _, err = client:post(path, { body = "x" })
    assert.equal("cut", err.kind)
    assert.equal(1, err.attempts)
    assert.is_true(err.sent)
    assert.is_false(err.retryable)
    assert.equal(1, count "POST")
  end)

  it("that is idempotent goes over a new one at once, for free", function()
    local events = {}
    local listening = new_client { retries = 0, on_retry = function(event)
      events[#events + 1] = event
    end }
    local path = helper.hostile("keepalive-reset", { tag = tag })
    freddy.assert(listening:get(path))
    local res = freddy.assert(listening:post(path,
      { body = "x", idempotent = true }))
    assert.equal(2, res.attempts)
    assert.is_false(res.reused)
    assert.equal(2, count "POST")
    local event = events[#events] -- the GET may have had one, too
    assert.equal(0, event.delay)
    assert.equal("cut", event.cause.kind)
    listening:close()
  end)

  it("of a reader is never sent again once that was asked", function()
    local function reader()
      local left = "body"
      return function()
        local piece = left
        left = nil
        return piece
      end
    end
    local _, err = ask("status,ok", { code = 503 },
      { method = "POST", body = reader(), idempotent = true })
    assert.equal(1, err.attempts)
    assert.equal(503, err.status)
    local dead = new_client { base_url = "http://"
      .. helper.env "HOSTILE_CLOSED" }
    _, err = dead:post("/", { body = reader(), retries = 1 })
    assert.equal(2, err.attempts)
    dead:close()
  end)
end)

-- --- What they have in common --------------------------------------------

describe("Idempotency-Key", function()
  local function keys()
    local out = {}
    for i, request in ipairs(requests()) do
      out[i] = header_of(request, "idempotency-key") or "none"
    end
    return out
  end

  it("is one random UUID for all attempts", function()
    freddy.assert(ask("status,status,ok", { code = 503 },
      { method = "POST", body = "x", idempotent = true }))
    local first = keys()
    assert.equal(3, #first)
    assert.same({ first[1], first[1], first[1] }, first)
    assert.truthy(first[1]:find("^%x+%-%x+%-4%x+%-[89ab]%x+%-%x+$"))
    assert.equal(36, #first[1])
    tag = new_tag()
    freddy.assert(ask("ok", nil, { method = "POST", idempotent = true }))
    assert.not_equal(first[1], keys()[1])
  end)

  it("is sent only if asked for", function()
    freddy.assert(ask("status,ok", { code = 503 }))
    assert.same({ "none", "none" }, keys())
  end)

  it("is the user's where there is one", function()
    freddy.assert(ask("status,ok", { code = 503 }, { method = "POST",
      idempotent = true, headers = { ["idempotency-KEY"] = "mine" } }))
    assert.same({ "mine", "mine" }, keys())
    tag = new_tag()
    local keyed = new_client { headers = { ["Idempotency-Key"] = "ours" } }
    freddy.assert(keyed:post(url "ok", { body = "x", idempotent = true }))
    assert.same({ "ours" }, keys())
    keyed:close()
  end)
end)

describe("nothing of an answer that was not the last", function()
  local file
  before_each(function()
    file = os.tmpname()
  end)
  after_each(function()
    os.remove(file)
  end)

  it("gets into a file", function()
    local res = freddy.assert(ask("close-at,answer",
      { n = HEAD + 3, with = "length" }, { save_to = file }))
    assert.equal(2, res.attempts)
    local handle = assert(io.open(file, "rb"))
    local text = handle:read "*a"
    handle:close()
    assert.equal(res.saved, #text)
    assert.truthy(text:find '^{.*}$')
  end)

  it("gets into a body, also when the next one fails", function()
    local _, err = ask("status,never",
      { code = 503, body = "the first", line = "X-First: 1" },
      { retries = 1, timeout = { first_byte = 0.1 } })
    assert.equal("first_byte", err.reason)
    assert.equal(2, err.attempts)
    assert.is_nil(err.status)
    assert.is_nil(err.response)
  end)
end)

describe("a stream", function()
  it("is sent again as long as its head was not told", function()
    local res = freddy.assert(ask("status,close-before,ok", { code = 503 },
      { stream = true }))
    assert.equal(200, res.status)
    assert.equal(3, #requests())
    assert.is_true(res:finish())
  end)

  it("is never sent again after that", function()
    local res = freddy.assert(ask("close-at,ok",
      { n = HEAD + 3, with = "length" }, { stream = true }))
    local piece, err
    repeat
      piece, err = res:read()
    until not piece
    assert.equal("cut", err.kind)
    assert.equal(1, #requests())
  end)
end)

-- --- When ----------------------------------------------------------------

-- The delays that on_retry heard of, and what came of it all: of a first
-- answer with that status and header line, and a second one that is right.
local function delays(code, line, options)
  local heard = {}
  tag = new_tag()
  local listening = new_client {
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
    tag = new_tag()
    _, err = ask("status", { code = 429, line = "Retry-After: 0" },
      { method = "POST", retries = 2 })
    assert.equal(3, err.attempts)
    assert.equal(0, err.retry_after)
  end)

  for _, body in ipairs {
    '{"error":{"code":"SPENDING_LIMIT_EXCEEDED"}}',
    '{"error":{"code":"QUOTA_EXCEEDED","message":"no"}}',
    '{"detail":"the monthly budget is used up"}',
  } do
    it("is not repeated when it says " .. body, function()
      local heard, _, err = delays(429, "Retry-After: 0", { body = body })
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
    local listening = new_client { on_retry = function(event)
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
    local listening = new_client { on_retry = function()
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
      tag = new_tag()
      local listening = new_client { on_retry = hook }
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
    local dead = new_client {
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
    client:close()
    client = new_client { on_retry = function()
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
    freddy.assert(new_client():get(helper.hostile("ok")))
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
    client:close()
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
    collectgarbage()
    collectgarbage()
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
    helper.reset()
    local started = os.time()
    freddy.assert(emulated.models:list())
    assert.is_true(os.time() - started <= 5)
    emulated:close()
  end)

  it("costs nothing but that when it refuses connections", function()
    local dead = new_client { base_url = "http://"
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
