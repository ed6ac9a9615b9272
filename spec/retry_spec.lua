-- SPDX-License-Identifier: MIT
--- Requests that failed and are sent once more: which ones, and what their
--- attempts have in common. When, and what the host hears of it, is in
--- retry_after_spec.

local freddy = require "freddy"
local helper = require "spec.helper"
local retry = require "spec.retry_util"

local HEAD = 71 -- bytes of the hostile server's answer `length` to its body

local ask, url, requests = retry.ask, retry.url, retry.requests

setup(helper.hostile_reset)
before_each(retry.open)
after_each(retry.close)

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
      retry.next()
      _, err = ask("status", { code = 503 }, { retries = retries })
      assert.equal(retries + 1, err.attempts)
      assert.equal(retries + 1, #requests())
    end
  end)

  it("has the client's retries as its default", function()
    local none = retry.new_client { retries = 0 }
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
    local this = retry.unique()
    local all = { of = name .. ",ok", tag = this }
    for arg, value in pairs(args) do
      all[arg] = value
    end
    local has_body = method:find "^P"
    local res, err = retry.client:request {
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

  -- The core is one: on the other Luas some of them will do.
  local step = os.getenv "FY_TEST_FIRST_LUA" == "1" and 1 or 4
  for i = 1, #SITUATIONS, step do
    local situation = SITUATIONS[i]
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
    local dead = retry.new_client { base_url = "http://"
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
        local shy = retry.new_client { retries = 1,
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
    local full = retry.new_client { base_url = "http://"
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
  local res = freddy.assert(retry.client:post(helper.hostile("redirect",
    { to = url("status,ok", { code = 503 }), status = 303, tag = retry.tag }),
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
    local path = helper.hostile("keepalive-reset", { tag = retry.tag })
    freddy.assert(retry.client:get(path))
    local _, err = retry.client:post(path, { body = "x" })
    assert.equal("cut", err.kind)
    assert.equal(1, err.attempts)
    assert.is_true(err.sent)
    assert.is_false(err.retryable)
    assert.equal(1, count "POST")
  end)

  it("that is idempotent goes over a new one at once, for free", function()
    local events = {}
    local listening = retry.new_client {
      retries = 0, on_retry = function(event)
        events[#events + 1] = event
      end,
    }
    local path = helper.hostile("keepalive-reset", { tag = retry.tag })
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
    local dead = retry.new_client { base_url = "http://"
      .. helper.env "HOSTILE_CLOSED" }
    _, err = dead:post("/", { body = reader(), retries = 1 })
    assert.equal(2, err.attempts)
    dead:close()
  end)
end)

-- An answer that ends within its body, as `how` says, with `more` lines.
local function cut_answer(status, how, more)
  return {
    text = ("HTTP/1.1 %d No\r\nContent-Type: application/json\r\n"
      .. "Content-Length: 100\r\n%s\r\n{\"detail\":\"no"):format(status,
        more or ""),
    ["end"] = how,
  }
end

describe("an answer that refuses and is cut within its body", function()
  for _, how in ipairs { "fin", "reset" } do
    it("is what its status says, whatever the method: " .. how, function()
      local res = freddy.assert(ask("raw,ok",
        cut_answer(429, how .. ",keep", "Retry-After: 0\r\n"),
        { method = "POST" }))
      assert.equal(2, res.attempts)
    end)
  end

  it("has its Retry-After heeded", function()
    local _, err = ask("raw", cut_answer(503, "fin", "Retry-After: 61\r\n"))
    assert.equal("server", err.kind)
    assert.equal(61, err.retry_after)
    assert.equal(1, err.attempts)
    assert.is_true(err.details.cut)
    assert.equal('{"detail":"no', err.response.body)
  end)

  it("is the same when it only stops", function()
    local _, err = ask("raw", cut_answer(500, "hold"),
      { retries = 0, timeout = { stall = 0.1 } })
    assert.equal("server", err.kind)
    assert.is_true(err.details.cut)
    assert.is_true(err.retryable)
  end)

  it("is repeated as one that is whole", function()
    local again = { [404] = 1, [422] = 1, [500] = 3, [503] = 3 }
    for status, attempts in pairs(again) do
      retry.next()
      local _, err = ask("raw", cut_answer(status, "fin"))
      assert.equal(status, err.status)
      assert.equal(attempts, err.attempts)
      assert.is_true(err.details.cut)
      assert.equal(attempts > 1, err.retryable)
    end
    retry.next()
    local _, err = ask("raw", cut_answer(503, "fin"), { method = "POST" })
    assert.equal("server", err.kind)
    assert.equal(1, err.attempts)
  end)

  it("is a 401 like any other", function()
    local _, err = ask("raw", cut_answer(401, "reset"))
    assert.equal("unauthorized", err.kind)
  end)

  it("is cut if it is no refusal", function()
    local _, err = ask("raw", cut_answer(200, "fin"), { retries = 0 })
    assert.equal("cut", err.kind)
    assert.is_nil(err.details)
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
    retry.next()
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
    retry.next()
    local keyed = retry.new_client {
      headers = { ["Idempotency-Key"] = "ours" },
    }
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
