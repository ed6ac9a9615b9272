-- SPDX-License-Identifier: MIT
--- Every kind of failure that this version knows, each made by a server.

local freddy = require "freddy"
local helper = require "spec.helper"

local client, emulator

local function new(options)
  if not options.auth then
    options.api_key = options.api_key or "a-key-of-20-characters"
  end
  options.base_url = options.base_url or helper.hostile_url
  options.retries = 0
  return freddy.assert(freddy.new(options))
end

-- What holds for every error.
local function check(err, kind, reason)
  local line = tostring(err)
  assert.equal(kind, err.kind)
  assert.equal(reason, err.reason)
  assert.is_nil(line:find "%c")
  assert.is_true(#line <= 320, line)
  assert.truthy(line:find("freddy: " .. kind, 1, true))
  assert.is_true(#err.message > 0)
  assert.equal("boolean", type(err.sent))
  assert.equal("boolean", type(err.retryable))
  assert.equal("number", type(err.attempts))
  if kind ~= "cancelled" then
    assert.truthy(line:find(err.hint, 1, true))
  end
  if not err.sent then
    assert.is_nil(err.response)
  end
  if not err.status then
    helper.documented(err)
  end
  return err
end

local function fails(path, options)
  local res, err = client:get(path, options)
  assert.is_nil(res)
  return err
end

setup(function()
  helper.reset()
  helper.hostile_reset()
  client = new {}
  emulator = helper.client()
end)

teardown(function()
  client:close()
  emulator:close()
end)

describe("time runs out", function()
  for reason, scenario in pairs {
    first_byte = { "never", {} }, stall = { "stall-after", { n = 60 } },
    total = { "never", {} },
  } do
    it("for " .. reason, function()
      local err = fails(helper.hostile(scenario[1], scenario[2]),
        { timeout = { [reason] = 0.1 } })
      check(err, "timeout", reason)
      assert.is_true(err.sent)
    end)
  end

  it("for total, drop by drop", function()
    local err = fails(helper.hostile("drip", { of = "length-long", ms = 20 }),
      { timeout = { total = 0.2, stall = 5 } })
    check(err, "timeout", "total")
    assert.is_true(err.sent)
  end)

  it("for connect, where the backlog is full", function()
    local full = new { base_url = "http://" .. helper.env "HOSTILE_FULL" }
    local _, err = full:get("/", { timeout = { connect = 0.1 } })
    check(err, "timeout", "connect")
    assert.is_false(err.sent)
    full:close()
  end)
end)

-- A proxy that wants a password, for one connection; it prints its port, and
-- what it was asked.
local function start_proxy()
  local file = os.tmpname()
  local handle = assert(io.open(file, "w"))
  handle:write [[
    local server = assert(require "socket".bind("127.0.0.1", 0))
    server:settimeout(30)
    print((select(2, server:getsockname())))
    io.stdout:flush()
    local peer = assert(server:accept())
    peer:settimeout(30)
    repeat
      local line = peer:receive()
      print(line)
    until not line or line == ""
    peer:send "HTTP/1.1 407 Who?\r\nProxy-Authenticate: Basic\r\n\z
Content-Length: 0\r\nConnection: close\r\n\r\n"
    peer:close()
  ]]
  handle:close()
  local pipe = assert(io.popen((os.getenv "LUA54" or "lua5.4") .. " "
    .. file))
  local port = pipe:read "*l"
  os.remove(file)
  return pipe, port
end

describe("no connection", function()
  it("is connect", function()
    local closed = new { base_url = "http://" .. helper.env "HOSTILE_CLOSED" }
    local _, err = closed:get "/"
    check(err, "connect")
    assert.is_false(err.sent)
    assert.is_true(err.retryable)
    closed:close()
  end)

  it("is connect through a proxy that is not there", function()
    local lost = helper.client {
      proxy = "http://" .. helper.env "HOSTILE_CLOSED",
    }
    local _, err = lost:get "/v1/models"
    check(err, "connect", "proxy_unreachable")
    assert.is_false(err.sent)
    lost:close()
  end)

  it("is connect (proxy) where the proxy refuses the tunnel", function()
    local through = helper.client { proxy = helper.hostile_url }
    local _, err = through:get "/v1/models" -- a 404 to its CONNECT
    check(err, "connect", "proxy")
    assert.is_false(err.sent)
    assert.truthy(err.message:find "404")
    through:close()
  end)

  it("is connect (proxy_auth) where the proxy wants a password", function()
    local pipe, port = start_proxy()
    local through = helper.client { proxy = "http://127.0.0.1:" .. port }
    local _, err = through:get "/v1/models"
    check(err, "connect", "proxy_auth")
    assert.is_false(err.sent)
    through:close()
    local seen = pipe:read "*a"
    pipe:close()
    assert.truthy(seen:find "^CONNECT ")
    assert.is_nil(seen:find(helper.api_key, 1, true))
  end)

  it("is resolve for a name that nobody has", function()
    local lost = new { base_url = "https://no-such-host.invalid" }
    local _, err = lost:get "/"
    check(err, "resolve")
    assert.is_false(err.sent)
    assert.is_true(err.retryable)
    lost:close()
  end)
end)

describe("a status", function()
  local kinds = {
    [400] = "invalid", [401] = "unauthorized", [403] = "forbidden",
    [404] = "not_found", [409] = "conflict", [418] = "http",
    [422] = "invalid", [429] = "rate_limited", [500] = "server",
    [502] = "server", [503] = "server", [504] = "server", [304] = "http",
  }
  for status, kind in pairs(kinds) do
    it(status .. " is " .. kind .. ", in every shape", function()
      for _, shape in ipairs {
        "E1", "E2", "E3", "E4", "E4m", "E5", "detail", "list", "text", "html",
        "empty",
      } do
        local res, err = emulator:get("/v1/status/" .. status,
          { query = { shape = shape } })
        assert.is_nil(res)
        check(err, kind, err.reason)
        assert.equal(status, err.status)
        assert.equal(status, err.response.status)
        assert.equal(err.response.request_id, err.request_id)
        assert.is_true(err.sent)
      end
    end)
  end

  it("401 says why, and what to do", function()
    local bad = helper.client { api_key = "not-the-right-key" }
    local _, err = bad.models:list()
    assert.equal("unauthorized", err.kind)
    assert.equal("invalid_api_key", err.reason)
    assert.equal("INVALID_API_KEY", err.code)
    assert.is_string(err.hint)
    assert.is_string(err.trace_id)
    bad:close()
  end)
end)

describe("the client's own state", function()
  it("without a credential is missing_credentials", function()
    local bare = new { auth = "none" }
    local _, err = bare:get "/s/ok"
    check(err, "missing_credentials")
    assert.is_false(err.sent)
    bare:close()
  end)

  it("with a function that gives no key is auth", function()
    local broken = new { api_key = function()
      error "no key today"
    end }
    local _, err = broken:get "/s/ok"
    check(err, "auth", "key_unavailable")
    assert.is_false(err.sent)
    broken:close()
  end)

  it("after its close is closed", function()
    local gone = new {}
    gone:close()
    local _, err = gone:get "/s/ok"
    check(err, "closed")
    assert.is_false(err.sent)
  end)

  it("with too many calls at once is queue_full", function()
    local tasks = {}
    for i = 1, 16384 do -- FY_MAX_WAITING
      tasks[i] = freddy.spawn(freddy.sleep, 600)
    end
    local _, err = client:get "/s/ok"
    for i = 1, #tasks do
      tasks[i]:cancel()
    end
    check(err, "queue_full")
    assert.is_false(err.sent)
    assert.is_true(err.retryable)
    helper.eventually(function()
      return client:get "/s/ok"
    end)
  end)
end)

describe("a task", function()
  it("that raises is task", function()
    local _, err = freddy.spawn(function()
      error "oops"
    end):wait()
    check(err, "task")
    assert.truthy(err.details.traceback:find("kinds_spec", 1, true))
  end)

  it("that was cancelled is cancelled", function()
    local task = freddy.spawn(function()
      return client:get(helper.hostile "never")
    end)
    task:cancel()
    local _, err = task:wait()
    check(err, "cancelled")
  end)

  it("that is still at it is timeout (wait)", function()
    local task = freddy.spawn(freddy.sleep, 600)
    local _, err = task:wait(0.01)
    check(err, "timeout", "wait")
    task:cancel()
  end)
end)

describe("an error that a script does not catch", function()
  local SCRIPT = [[
    local freddy = require "freddy"
    local client = freddy.assert(freddy.new {
      api_key = "not-the-right-key", base_url = %q,
    })
    %s(client.models:list())
  ]]

  local function prints_line(by)
    local output, status = helper.script(SCRIPT:format(helper.http, by))
    assert.equal(1, status)
    assert.truthy(output:find("freddy: unauthorized (invalid_api_key): "
      .. "The API key is not valid", 1, true), output)
    assert.truthy(output:find("Hint: check api_key", 1, true), output)
  end

  it("is printed as its line by freddy.assert", function()
    prints_line "freddy.assert"
  end)

  it("is printed as its line by assert, where that takes a table", function()
    if _VERSION ~= "Lua 5.1" and _VERSION ~= "Lua 5.2" then
      prints_line "assert"
    end
  end)
end)
