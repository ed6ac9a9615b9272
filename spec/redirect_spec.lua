-- SPDX-License-Identifier: MIT
--- Redirects: which are followed, by what, and that nothing of a credential
--- or a body ever reaches another origin. What a server got is told by its
--- own log, byte by byte.

local freddy = require "freddy"
local helper = require "spec.helper"

local KEY = "a-key-of-20-characters"
local BODY = "the-body-of-the-request"
local client, plain, other, tls

local function new(options)
  options = options or {}
  options.base_url = options.base_url or plain
  options.retries = 0
  options.ca_file = helper.env "HOSTILE_CA_FILE"
  if not options.token then
    options.api_key = KEY
  end
  return freddy.assert(freddy.new(options))
end

-- A scenario by its path alone, so that the base URL decides where.
local function at(name, args)
  return (helper.hostile(name, args):gsub("^%a+://[^/]+", ""))
end

-- A redirect to `location`.
local function to(location, args)
  local given = { to = location }
  for name, value in pairs(args or {}) do
    given[name] = value
  end
  return at("redirect", given)
end

-- The requests that a listener got, in order on each connection.
local function requests_at(listener)
  local all = {}
  for _, connection in ipairs(helper.hostile_log { listener = listener }) do
    for _, request in ipairs(connection.requests) do
      all[#all + 1] = request
    end
  end
  return all
end

-- The same as "GET redirect, GET ok".
local function asked(listener)
  local words = {}
  for i, request in ipairs(requests_at(listener)) do
    words[i] = request.method .. " " .. request.scenario
  end
  return table.concat(words, ", ")
end

-- Every byte that a listener got since the last reset, bodies excepted where
-- the connection is older; their size is `bodies`.
local function bytes_at(listener)
  local all, bodies = {}, 0
  for _, connection in ipairs(helper.hostile_log { listener = listener }) do
    assert.is_true(connection.received <= 4096) -- the log shows no more
    all[#all + 1] = connection.first_bytes
    for _, request in ipairs(connection.requests) do
      all[#all + 1] = request.line .. "\r\n" .. request.head
      bodies = bodies + request.body_size
    end
  end
  return table.concat(all), bodies
end

local function is_clean(bytes, ...)
  assert.truthy(bytes:find("Host: ", 1, true), "it was not asked")
  for _, word in ipairs { KEY, BODY, "api-key", "authorization", "bearer",
      "cookie", "referer", "origin:", ... } do
    assert.is_nil(bytes:lower():find(word:lower(), 1, true), word)
  end
end

local function fails(kind, reason, path, options)
  local given = { path = path }
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  local res, err = client:request(given)
  assert.is_nil(res)
  assert.equal(kind, err.kind)
  assert.equal(reason, err.reason)
  return err
end

-- It is refused, and nobody else hears of it.
local function refused(reason, path, options)
  local err = fails("redirect", reason, path, options)
  assert.is_true(err.sent)
  assert.is_false(err.retryable)
  assert.equal(err.response.status, err.status)
  assert.equal("", asked "other")
  assert.equal("", (bytes_at "tls_ok"))
  return err
end

setup(function()
  plain, other = helper.hostile_url, helper.env "HOSTILE_OTHER"
  tls = helper.env "HOSTILE_TLS_OK"
  client = new()
end)

teardown(function()
  client:close()
end)

before_each(function()
  helper.hostile_reset()
end)

describe("a redirect is followed", function()
  for _, status in ipairs { 301, 302, 303, 307, 308 } do
    it("with status " .. status, function()
      local res = freddy.assert(client:get(to("/s/echo?x=1",
        { status = status })))
      assert.equal(200, res.status)
      assert.equal(plain .. "/s/echo?x=1", res.url)
      assert.equal("GET", res.data.method)
      assert.truthy(res.data.head:find("api-key: " .. KEY, 1, true))
      assert.equal(1, res.attempts)
      assert.is_nil(res.headers.location)
      res = freddy.assert(client:head(to("/s/ok", { status = status })))
      assert.equal(200, res.status)
      assert.equal("GET redirect, GET echo, HEAD redirect, HEAD ok",
        asked "plain")
      assert.equal(1, #helper.hostile_log { listener = "plain" })
    end)
  end

  for _, status in ipairs { 300, 304, 305, 306 } do
    it("but not with status " .. status, function()
      local err = fails("http", nil, to("/s/ok", { status = status }))
      assert.equal(status, err.status)
      assert.equal("/s/ok", err.response.headers.location)
      assert.equal("GET redirect", asked "plain")
    end)
  end

  it("five times, not six", function()
    local res = freddy.assert(client:get(to("/s/ok", { hops = 4 })))
    assert.is_true(res.data.ok)
    local err = refused("too_many", to("/s/ok", { hops = 5 }))
    assert.equal(302, err.status)
    assert.equal("/s/ok", err.details.location)
    assert.equal('{"moved":true}', err.response.body)
    assert.truthy(err.response.url:find("hops=0", 1, true))
    refused("too_many", at "redirect-loop")
    assert.is_nil(asked("plain"):find("ok.*ok"))
    assert.equal(6 + 6 + 6, #requests_at "plain")
  end)

  it("over HTTP/2", function()
    local emulator = helper.client()
    local res = freddy.assert(emulator:get("/v1/redirect?hops=3"))
    assert.equal(20, res.http_version)
    assert.equal(helper.base_url .. "/v1/open", res.url)
    emulator:close()
  end)

  it("wherever its Location leads from where it came", function()
    for location, want in pairs {
      ["/s/echo"] = "/s/echo", ["//" .. plain:sub(8) .. "/s/echo"] = "/s/echo",
      ["../../echo"] = "/s/echo", ["/x/../s/./echo/"] = "/s/echo/",
      ["../../../../../s/echo"] = "/s/echo", ["../../echo?a=b#c"] =
      "/s/echo?a=b", ["/s/echo?a b"] = "/s/echo?a%20b",
      [plain:upper() .. "/s/echo"] = "/s/echo",
      ["/s/echo/\\\\evil.test"] = "/s/echo/%5C%5Cevil.test",
      ["/s/echo?\195\169"] = "/s/echo?%C3%A9",
      ["/s/echo/%2e%2e/x"] = "/s/echo/%2e%2e/x",
      ["/s/echo/@evil.test"] = "/s/echo/@evil.test",
    } do
      local res = freddy.assert(client:get("/s/redirect;to="
        .. location:gsub("[^%w]", function(char)
          return ("%%%02X"):format(char:byte())
        end) .. "/a/b"))
      assert.equal(want, res.data.target)
      assert.truthy(res.data.head:find("api-key: " .. KEY, 1, true))
    end
  end)
end)

describe("the method and the body", function()
  for _, row in ipairs {
    { 301, "POST", "GET" }, { 302, "POST", "GET" }, { 303, "POST", "GET" },
    { 307, "POST", "POST" }, { 308, "POST", "POST" }, { 301, "PUT", "PUT" },
    { 302, "PATCH", "PATCH" }, { 303, "PUT", "GET" }, { 303, "DELETE", "GET" },
    { 307, "DELETE", "DELETE" },
  } do
    local status, method, becomes = row[1], row[2], row[3]

    it(("of %s by %d become %s"):format(method, status, becomes), function()
      local res = freddy.assert(client:request { method = method,
        path = to("/s/echo", { status = status }), json = { a = BODY },
        headers = { ["Content-Language"] = "en", ["X-Mine"] = "m" } })
      local head = res.data.head:lower()
      local kept = becomes == method
      assert.equal(becomes, res.data.method)
      assert.equal(kept and '{"a":"' .. BODY .. '"}' or "", res.data.body)
      assert.equal(kept, head:find("\r\ncontent-type: application/json",
        1, true) ~= nil)
      assert.equal(kept, head:find("\r\ncontent-", 1, true) ~= nil)
      assert.truthy(head:find("\r\nx-mine: m", 1, true))
      assert.truthy(head:find("\r\napi-key: " .. KEY, 1, true))
    end)
  end

  it("of a form and of parts go along, or go, with their type", function()
    for name, body in pairs { form = { a = BODY },
        multipart = { { name = "a", data = BODY } } } do
      for _, status in ipairs { 302, 307 } do
        local res = freddy.assert(client:post(to("/s/echo",
          { status = status }), { [name] = body }))
        assert.equal(status == 307, res.data.body_size > #BODY)
        assert.equal(status == 307,
          res.data.head:lower():find("content-", 1, true) ~= nil)
      end
      refused("cross_origin_body", to(other .. "/s/echo", { status = 307 }),
        { method = "POST", [name] = body })
    end
  end)

  it("of a reader cannot go along", function()
    for status, reason in pairs { [303] = false, [302] = false,
        [307] = "body_spent", [308] = "body_spent" } do
      local pieces = { BODY, BODY }
      local options = { method = "POST", body = function()
        return table.remove(pieces)
      end }
      local path = to("/s/echo", { status = status })
      if reason then
        refused(reason, path, options)
      else
        options.path = path
        local res = freddy.assert(client:request(options))
        assert.equal("GET", res.data.method)
        assert.equal(0, res.data.body_size)
        assert.is_nil(res.data.head:lower():find("transfer-", 1, true))
      end
    end
  end)

  it("are as before when the server answers early", function()
    local body = BODY .. ("x"):rep(100000)
    local res = freddy.assert(client:post(at("redirect-early",
      { to = "/s/echo" }), { body = body }))
    assert.equal("POST", res.data.method)
    assert.equal(#body, res.data.body_size)
    for _, how in ipairs { "read", "close", "ignore" } do
      res = freddy.assert(client:post(at("redirect-early",
        { status = 303, ["then"] = how }), { body = body:rep(100) }))
      assert.is_true(res.data.ok)
    end
  end)
end)

-- --- Another origin ------------------------------------------------------

describe("another origin", function()
  local headers = { Cookie = "a=b", ["X-Private"] = "p", Range = "bytes=0-" }

  -- Each leads to another origin; which listener that is, and what it is
  -- asked for.
  local function elsewhere()
    local port, other_port = plain:match "%d+$", other:match "%d+$"
    return {
      { other .. "/s/echo", "other" },
      { "//127.0.0.1:" .. other_port .. "/s/echo", "other" },
      { "HTTP://127.0.0.1:" .. other_port .. "/s/echo#" .. plain, "other" },
      { "http://localhost:" .. other_port .. "/s/echo", "other" },
      { "http://localhost:" .. port .. "/s/echo", "plain" },
      { "http://LocalHost:" .. port .. "/x/../s/echo", "plain" },
      { "//localhost:" .. port .. "/s/echo?x=//127.0.0.1:" .. port, "plain" },
      { tls .. "/s/echo", "tls_ok" },
      { tls:gsub("127%.0%.0%.1", "localhost") .. "/s/echo", "tls_ok" },
    }
  end

  local function led_from_home(res, location, listener)
    assert.equal(200, res.status)
    local all = requests_at(listener)
    local last = all[#all]
    assert.equal("echo", last.scenario)
    assert.equal(res.data.target, last.target)
    is_clean(last.head, "x-private")
    is_clean(res.data.head, "x-private")
    assert.truthy(last.head:find("\r\nRange: bytes=0-", 1, true))
    if listener ~= "plain" then
      local bytes, bodies = bytes_at(listener)
      is_clean(bytes, "x-private")
      assert.equal(0, bodies)
    end
    assert.equal(0, res.data.body_size, location)
  end

  it("gets no credential, by whatever form", function()
    local bearer = new { token = "the-token-" .. KEY, headers = headers }
    for _, row in ipairs(elsewhere()) do
      for _, status in ipairs { 301, 307 } do
        helper.hostile_reset()
        led_from_home(freddy.assert(client:get(to(row[1],
          { status = status }), { headers = headers })), row[1], row[2])
        helper.hostile_reset()
        led_from_home(freddy.assert(bearer:get(to(row[1],
          { status = status }))), row[1], row[2])
      end
    end
    bearer:close()
  end)

  it("gets a GET without the body, or nothing", function()
    for _, row in ipairs(elsewhere()) do
      for _, status in ipairs { 301, 302, 303 } do
        helper.hostile_reset()
        local res = freddy.assert(client:post(to(row[1],
          { status = status }), { headers = headers, body = BODY }))
        led_from_home(res, row[1], row[2])
        assert.equal("GET", res.data.method)
      end
      for _, status in ipairs { 307, 308 } do
        helper.hostile_reset()
        local err = refused("cross_origin_body", to(row[1],
          { status = status }), { method = "POST", body = BODY })
        assert.equal(row[1], err.details.location)
        assert.equal('{"moved":true}', err.response.body)
        assert.equal("POST redirect", asked "plain")
      end
    end
  end)

  it("gets no request that does more than read", function()
    for _, row in ipairs {
      { "PUT", 301, BODY }, { "PATCH", 302, BODY }, { "DELETE", 307 },
      { "POST", 308 }, { "GET", 302, BODY }, { "OPTIONS", 307, BODY },
    } do
      refused("cross_origin_body", to(other .. "/s/echo",
        { status = row[2] }), { method = row[1], body = row[3] })
    end
  end)

  it("does not pass the credential on, nor back", function()
    local back = to("{self}/s/echo")
    local res = freddy.assert(client:get(to("{other}" .. back),
      { headers = headers }))
    assert.equal(plain .. "/s/echo", res.url)
    led_from_home(res, "back", "plain")
    is_clean((bytes_at "other"), "x-private")
    -- The first request had it all.
    local first = bytes_at "plain"
    assert.truthy(first:find("api-key: " .. KEY, 1, true))
    assert.truthy(first:find("Cookie: a=b", 1, true))
  end)

  it("that the caller named gets it with auth = true, and no other does",
    function()
      local res = freddy.assert(client:get(other .. to "/s/echo",
        { auth = true }))
      assert.truthy(res.data.head:find("api-key: " .. KEY, 1, true))
      helper.hostile_reset()
      -- The client's own origin is another one here.
      res = freddy.assert(client:get(other .. to(plain .. "/s/echo"),
        { auth = true, headers = headers }))
      led_from_home(res, "home", "plain")
      assert.truthy(bytes_at("other"):find("api-key: " .. KEY, 1, true))
    end)

  it("gets none with auth = false, not even at home", function()
    local res = freddy.assert(client:get(to "/s/echo", { auth = false }))
    is_clean(res.data.head)
    is_clean((bytes_at "plain"))
    freddy.assert(client:get(other .. to(plain .. "/s/echo")))
    is_clean((bytes_at "plain"))
  end)

  it("is asked by name even where nobody listens", function()
    local port = plain:match "%d+$"
    for _, host in ipairs { "[::1]", "[0:0:0::0001]", "127.1.2.3" } do
      local err = fails("connect", nil, to("http://" .. host .. ":" .. port
        .. "/s/echo"))
      assert.is_true(err.sent)
      assert.is_nil(err.status)
    end
    assert.equal("GET redirect, GET redirect, GET redirect", asked "plain")
  end)

  it("is not told a credential in its URL", function()
    for _, place in ipairs { "/s/echo/" .. KEY, "/s/echo?k=" .. KEY,
        "/s/echo?k=" .. KEY:gsub("-", "%%2d") } do
      local err = refused("secret_in_location", to(other .. place))
      assert.is_nil(tostring(err.response.headers.location):find(KEY, 1, true))
    end
    local res = freddy.assert(client:get(to("/s/echo?k=" .. KEY)))
    assert.equal("/s/echo?k=" .. KEY, res.data.target)
  end)
end)

-- --- Refused -------------------------------------------------------------

describe("a Location is refused", function()
  it("when there is none", function()
    local err = refused("no_location", at("redirect", {}))
    assert.is_nil(err.details)
    refused("no_location", to "")
    refused("no_location", at("redirect", { line = "Content-Location: /x" }))
  end)

  it("when it cannot be used", function()
    local address = other:sub(8)
    for _, location in ipairs {
      "ftp://" .. address .. "/", "javascript:alert(1)", "file:///etc/passwd",
      "http:/s/ok", "http:" .. address, "http:\\\\" .. address .. "/",
      "http://user@" .. address .. "/s/ok", "//user:pass@" .. address,
      plain .. "@" .. address .. "/s/ok", plain .. "\\@" .. address .. "/",
      "http://127.0.0.1%40" .. address,
      "http://127.0.0.1%2e" .. address, "http://2130706433/",
      "http://0x7f.1:80/", "http:///s/ok", "///" .. address,
      "http://" .. address:gsub(":.*", "") .. ":0/s/ok", "/s/ok\1x",
      "http://\226\147\151/", "http://[::1%25lo]/", "http://127.0.0.1 /s/ok",
    } do
      local err = refused("bad_location", to(location))
      assert.equal(location, err.details.location)
    end
    refused("bad_location", to("/s/ok", { line = "Location: " .. other }))
    -- Twice the same is one.
    freddy.assert(client:get(to("/s/ok", { line = "Location: /s/ok" })))
  end)

  it("when it leads to plain http elsewhere", function()
    for _, location in ipairs { "http://example.com/", "http://10.0.0.1/",
      "http://localhost./", "http://[::ffff:127.0.0.1]/", "http://0.0.0.0/",
      "//127.0.0.1.example.com/", "http://localhost.example.com/" } do
      refused("insecure", to(location))
    end
  end)

  it("when it leads from https to http, to loopback too", function()
    local secure = new { base_url = tls }
    for _, location in ipairs { other .. "/s/ok", plain .. "/s/ok",
      (tls:gsub("^https", "http")) .. "/s/ok", "http://localhost/" } do
      local res, err = secure:get(to(location))
      assert.is_nil(res)
      assert.equal("insecure", err.reason)
      assert.equal("", asked "other")
      assert.equal("", asked "plain")
    end
    -- Nor by a way round.
    local _, err = secure:get(to("//localhost:" .. tls:match "%d+$"
      .. to(other .. "/s/ok")))
    assert.equal("insecure", err.reason)
    assert.equal("", asked "other")
    local res = freddy.assert(secure:get(to "/s/echo"))
    assert.truthy(res.data.head:find("api-key: " .. KEY, 1, true))
    secure:close()
  end)
end)

-- --- What is not the answer ----------------------------------------------

describe("the body of a redirect", function()
  for _, row in ipairs {
    { "empty", 1 }, { "some", 1 }, { "chunked", 1 }, { "gzip", 1 },
    { "coded", 1 }, { "close", 2 }, { "declared", 2 }, { "endless", 2 },
    { "hold", 2 }, { "cut", 2 }, { "reset", 2 }, { "chunk-bad", 2 },
    { "gzip-bad", 2 }, { "gzip-bomb", 2 },
  } do
    local kind, connections = row[1], row[2]

    it("does not matter: " .. kind, function()
      local one = new { max_body = 100 }
      local res = freddy.assert(one:get(at("redirect-body",
        { kind = kind }), { timeout = 20 }))
      assert.is_true(res.data.ok)
      assert.is_nil(res.body:find("moved", 1, true))
      local log = helper.hostile_log { listener = "plain" }
      assert.equal(connections, #log)
      one:close()
      if kind == "endless" then -- some of it was read, and then no more
        log = helper.hostile_log { scenario = "redirect-body", closed = 1,
          timeout = 10 }
        assert.is_true(log[1].sent < 20 * 1024 * 1024)
      end
    end)
  end

  it("stands with the error, when that is as far as it goes", function()
    for kind, body in pairs { gzip = "moved", chunked = "moved", cut = "moved",
      close = "moved", coded = "", ["gzip-bad"] = "", declared = "" } do
      local err = refused("insecure", at("redirect-body",
        { kind = kind, to = "http://example.com/" }))
      assert.equal(302, err.status)
      assert.equal(body, err.response.body)
    end
  end)
end)

describe("time", function()
  it("runs for all hops together, where it is the total", function()
    local err = fails("timeout", "total", to("/s/never", { hops = 2 }),
      { timeout = { total = 0.2 } })
    assert.is_nil(err.response)
    assert.equal("GET redirect, GET redirect, GET redirect, GET never",
      asked "plain")
  end)

  it("runs for each hop, where it is anything else", function()
    fails("timeout", "first_byte", to "/s/never",
      { timeout = { first_byte = 0.1 } })
    fails("timeout", "stall", to "/s/stall-after?n=60",
      { timeout = { stall = 0.1 } })
    fails("timeout", "connect", to("http://" .. helper.env "HOSTILE_FULL"),
      { timeout = { connect = 0.1 } })
  end)
end)

describe("what comes of the last hop is the answer:", function()
  it("an error, with its own status and response", function()
    local err = fails("not_found", nil, to "/s/status?code=404")
    assert.equal(404, err.status)
    assert.equal(plain .. "/s/status?code=404", err.response.url)
    assert.is_nil(err.response.headers.location)
    assert.equal(1, err.attempts)
  end)

  it("a broken connection", function()
    local err = fails("cut", nil, to "/s/close-before")
    assert.is_nil(err.response)
    fails("tls", "self_signed", to(helper.env "HOSTILE_TLS_SELF_SIGNED"
      .. "/s/ok"))
  end)

  it("of a repeat on a new connection, too", function()
    local one = new()
    freddy.assert(one:get "/s/keepalive-reset?tag=a")
    local res = freddy.assert(one:get(to "/s/keepalive-reset?tag=b"))
    assert.equal(200, res.status)
    assert.equal(2, res.attempts)
    one:close()
  end)
end)

it("progress is told of what is sent, and of the last answer", function()
  local told = {}
  local res = freddy.assert(client:post(at("redirect-body",
    { kind = "some", to = "/s/ok" }), { body = BODY,
      on_progress = function(progress)
        told[#told + 1] = progress
      end }))
  assert.is_true(#told > 0)
  for _, progress in ipairs(told) do
    assert.is_true(progress.sent <= #BODY)
    assert.is_true(progress.received <= #res.body)
  end
  assert.equal(#res.body, told[#told].received)
end)

it("a file gets the last answer, or nothing", function()
  local path = os.tmpname()
  os.remove(path)
  for _, kind in ipairs { "some", "gzip" } do
    local res = freddy.assert(client:get(at("redirect-body",
      { kind = kind }), { save_to = path }))
    assert.is_nil(res.body)
    local file = assert(io.open(path))
    assert.truthy(file:read "*a":find '^{"connection"')
    file:close()
    os.remove(path)
    local err = refused("insecure", at("redirect-body",
      { kind = kind, to = "http://example.com/" }), { save_to = path })
    assert.equal(302, err.response.status)
    assert.is_nil(io.open(path))
  end
end)

it("a callback hears of the last answer alone", function()
  local results = {}
  client:send({ path = to("/s/ok", { hops = 3 }) }, function(res, err)
    results[#results + 1] = res or err
  end)
  helper.eventually(function()
    return results[1]
  end)
  assert.equal(1, #results)
  assert.is_true(results[1].data.ok)
end)
