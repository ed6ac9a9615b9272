-- SPDX-License-Identifier: MIT
--- What a rate limit counts, and what is told of it: what never left, what
--- was sent under another limit, who waited for how long.

local helper = require "spec.helper"
local socket = require "socket"

local clients, servers
local keys = 0

-- With a key of its own, unless one is given: who shares it shares a limiter.
local function client_of(options)
  options = options or {}
  keys = keys + 1
  options.api_key = options.api_key or "counted-" .. keys
  options.base_url = options.base_url or helper.http
  local client = helper.client(options)
  clients[#clients + 1] = client
  return client
end

-- Listens at a port of the system's choice, or at one that was had before.
local function listen(port)
  local server = assert(socket.bind("127.0.0.1", port or 0))
  server:settimeout(0)
  servers[#servers + 1] = server
  return server, select(2, server:getsockname())
end

-- Gets a path while the server answers with these headers, one connection.
local function get_from(server, client, headers, status)
  local done, res, err = false, nil, nil
  client:send({ path = "/" }, function(...)
    done, res, err = true, ...
  end)
  local conn = helper.eventually(function() return server:accept() end)
  conn:settimeout(10)
  repeat
    local line = assert(conn:receive "*l")
  until line == ""
  assert(conn:send("HTTP/1.1 " .. (status or "200 OK") .. "\r\n" .. headers
    .. "Content-Length: 2\r\nConnection: close\r\n\r\nok"))
  conn:close()
  helper.eventually(function() return done end)
  return res, err
end

before_each(function()
  clients, servers = {}, {}
  helper.reset()
end)

after_each(function()
  for _, list in ipairs { clients, servers } do
    for _, item in ipairs(list) do
      item:close()
    end
  end
end)

describe("what never left", function()
  it("takes nothing of the server's window", function()
    local server, port = listen()
    local client = client_of { base_url = "http://127.0.0.1:" .. port }
    assert(get_from(server, client, "X-RateLimit-Limit: 100\r\n"
      .. "X-RateLimit-Remaining: 3\r\nX-RateLimit-Reset: 600\r\n"))
    assert.equal(3, client:rate().remaining)
    server:close()
    for _ = 1, 5 do
      local _, err = client:get "/"
      assert.equal("connect", err.kind)
      assert.is_false(err.sent)
    end
    assert.equal(3, client:rate().remaining)
    assert.equal(0, client:rate().in_flight)
    assert(get_from(listen(port), client, ""))
    assert.equal(2, client:rate().remaining)
  end)

  it("takes nothing of the day", function()
    local server, port = listen()
    server:close()
    local client = client_of { base_url = "http://127.0.0.1:" .. port,
      rate_limit = { per_minute = 6000, burst = 7000, per_day = 1 } }
    for _ = 1, 3 do
      local _, err = client:get "/"
      assert.equal("connect", err.kind)
    end
    assert.equal(0, client:rate().today)
    assert(get_from(listen(port), client, ""))
    assert.equal(1, client:rate().today)
    assert.equal("held_back", select(2, client:get "/").reason)
  end)

  it("is what ran out of time before a connection stood", function()
    local server, port = listen() -- whose TLS handshake does not begin
    local client = client_of { base_url = "https://127.0.0.1:" .. port,
      timeout = { connect = 0.05 } }
    local _, err = client:get "/"
    assert.equal("connect", err.reason)
    _, err = client:get("/", { timeout = { connect = 30, total = 0.05 } })
    assert.equal("total", err.reason)
    assert.equal(0, client:rate().today)
    assert.equal(0, client:rate().in_flight)
    assert(server:accept())
  end)
end)

describe("what was sent", function()
  local function get(client, count)
    for _ = 1, count do
      assert(client:get "/v1/open")
    end
  end

  local function held_back(client)
    local _, err = client:get "/v1/open"
    return err and err.reason
  end

  it("stays counted in a plan that is taken up again", function()
    local small = { per_minute = 600, burst = 700, per_day = 4 }
    local client = client_of { rate_limit = small }
    get(client, 2)
    client:set_rate_limit { per_minute = 600, burst = 700, per_day = 100 }
    get(client, 5)
    client:set_rate_limit(small)
    assert.equal(7, client:rate().today)
    assert.equal("held_back", held_back(client))
    client:set_rate_limit(false)
    client:set_rate_limit(small)
    assert.equal("held_back", held_back(client))
  end)

  it("empties the bucket of a plan that follows none", function()
    for _, none in ipairs { "adaptive", false } do
      local client = client_of { rate_limit = none }
      get(client, 30)
      client:set_rate_limit { per_minute = 10, burst = 15 }
      assert.equal(0, client:rate().room)
      local _, err = client:get("/v1/open", { timeout = 0.05 })
      assert.equal("total", err.reason)
      assert.is_false(err.sent)
    end
  end)

  it("empties it again after a time without", function()
    local client = client_of { rate_limit = { per_minute = 10, burst = 15 } }
    get(client, 5)
    client:set_rate_limit(false)
    get(client, 1)
    client:set_rate_limit { per_minute = 10, burst = 16 }
    assert.equal(0, client:rate().room)
    assert.is_true(client:rate().wait > 0)
  end)
end)

describe("client:rate", function()
  local SLOW = { per_minute = 1 }

  it("tells of another limit at once, whoever asks", function()
    local client = client_of()
    assert(client:get "/v1/open")
    client:set_rate_limit { per_minute = 10, burst = 20 }
    assert.equal("plan", client:rate().mode)
    assert.equal(20, client:rate().burst)
    assert.equal(9, client:rate().room)
    client:set_rate_limit(false)
    assert.equal("off", client:rate().mode)
    assert.equal(0, client:rate().wait)
    assert.is_nil(client:rate().burst)
  end)

  it("tells a client of the limit that it shares, before it asks", function()
    local one = client_of { rate_limit = SLOW, api_key = "used-up" }
    assert(one:get "/v1/open")
    local two = client_of { rate_limit = SLOW, api_key = "used-up" }
    assert.equal(0, two:rate().room)
    assert.equal(1, two:rate().today)
    assert.is_true(two:rate().wait > 0)
    two.auth:set_api_key "used-up-by-none"
    assert.equal(1, two:rate().room)
    assert.equal(0, two:rate().today)
  end)
end)

describe("Retry-After", function()
  it("wins over a later reset", function()
    local server, port = listen()
    local client = client_of { base_url = "http://127.0.0.1:" .. port }
    local _, err = get_from(server, client, "Retry-After: 1\r\n"
      .. "X-RateLimit-Limit: 120\r\nX-RateLimit-Remaining: 0\r\n"
      .. "X-RateLimit-Reset: 72\r\n", "429 Too Many Requests")
    assert.equal(1, err.retry_after)
    assert.is_true(client:rate().wait <= 1)
    assert(get_from(server, client, ""))
  end)
end)

describe("the time in line", function()
  -- Two requests by a limit that lets one of them go; the other waits for a
  -- while, until `change` lets it go, too.
  local function waited(change)
    local client = client_of { rate_limit = { per_minute = 1 } }
    assert(client:get "/v1/open")
    local res, err
    client:send({ path = "/v1/open" }, function(...)
      res, err = ...
    end)
    helper.eventually(function() return client:stats().waiting == 1 end)
    local since = socket.gettime()
    helper.eventually(function() return socket.gettime() - since > 0.05 end)
    change(client)
    helper.eventually(function() return res or err end)
    assert(res, err)
    assert.is_true(res.timing.waited >= 0.05)
    assert.equal(1, client:stats().waits)
    assert.is_true(client:stats().waited >= 0.05)
    assert.is_true(client:stats().waited <= res.timing.total)
  end

  it("is told though another limit ended it", function()
    waited(function(client) client:set_rate_limit(false) end)
  end)

  it("is told though another credential ended it", function()
    waited(function(client) client.auth:set_api_key "another-key" end)
  end)

  it("adds up over all lines", function()
    waited(function(client)
      client:set_rate_limit { per_minute = 2 }
      helper.eventually(function() return client:rate().waiting == 1 end)
      client:set_rate_limit(false)
    end)
  end)

  it("is nothing where nobody had to wait", function()
    local client = client_of { rate_limit = { per_minute = 600, burst = 700 } }
    assert.equal(0, assert(client:get "/v1/open").timing.waited)
    client:set_rate_limit(false)
    assert.equal(0, assert(client:get "/v1/open").timing.waited)
    assert.equal(0, client:stats().waits)
  end)
end)

describe("client:stats", function()
  it("counts bytes as they come, and as they go", function()
    local client = client_of { retries = 0 }
    local download = assert(client:get("/v1/drip?chunks=10000&ms=50",
      { stream = true }))
    local got = 0
    for _ = 1, 3 do
      got = got + #assert(download:read())
      assert.is_true(client:stats().bytes_received >= got)
    end
    download:cancel()
    client = client_of { retries = 0 }
    local events = assert(client:stream("/v1/drip?chunks=10000&ms=50&sse=1"))
    assert(events:next())
    assert.is_true(client:stats().bytes_received > 0)
    events:cancel()
    local upload = client:send({ method = "POST", auth = false,
      path = helper.hostile "never", body = ("x"):rep(100000) },
      function() end)
    helper.eventually(function()
      return client:stats().bytes_sent == 100000
    end)
    upload:cancel()
    helper.eventually(function() return client:stats().in_flight == 0 end)
    assert.equal(100000, client:stats().bytes_sent)
  end)

  it("counts what was: no connection that failed, no renewal", function()
    local client = client_of { retries = 2 }
    client:get("http://127.0.0.1:1/", { auth = false })
    local stats = client:stats()
    assert.equal(3, stats.attempts)
    assert.equal(2, stats.retries)
    assert.equal(0, stats.connections_opened)
    local session = client_of { auth = "bearer", api_key = helper.api_key }
    local res = assert(session:get "/v1/echo")
    assert.is_true(session.auth:refresh())
    helper.control { auth = { lifetime = 3600 },
      fail = { path = "/v1/auth/*", status = 500 } }
    assert.is_nil(session.auth:refresh())
    stats = session:stats()
    assert.equal(1, stats.requests)
    assert.equal(0, stats.failures)
    assert.equal(res.attempts, stats.attempts)
  end)
end)
