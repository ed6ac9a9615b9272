-- SPDX-License-Identifier: MIT
--- Proxies: who sees what, what each of their failures is called, and what
--- goes without them. The server's and the proxy's own logs are asked.

local freddy = require "freddy"
local helper = require "spec.helper"

local KEY = "a-key-for-the-server-alone"
local USER, PASSWORD = helper.env "HOSTILE_PROXY_USER",
  helper.env "HOSTILE_PROXY_PASSWORD"
local TLS = helper.env "HOSTILE_TLS_OK"

local function escape(text)
  return (text:gsub("[^%w]", function(c)
    return ("%%%02X"):format(c:byte())
  end))
end

local LOGIN = escape(USER) .. ":" .. escape(PASSWORD)
local BASIC = io.popen(("printf %%s '%s:%s' | base64"):format(USER, PASSWORD))
  :read "*l"

local function at(listener, scheme, login)
  return (scheme or "http") .. "://" .. (login and login .. "@" or "")
    .. helper.env("HOSTILE_" .. listener)
end

local function new(options)
  local given = {
    api_key = KEY, base_url = TLS, ca_file = helper.env "HOSTILE_CA_FILE",
    retries = 0,
  }
  for name, value in pairs(options) do
    given[name] = value
  end
  return freddy.assert(freddy.new(given))
end

-- What one GET through such a client comes to. Its connection ends with it.
local function get(options, path)
  local client = new(options)
  local res, err = client:get(path or "/s/ok?end=fin")
  client:close()
  return res, err
end

local function log_of(listener, args)
  args = args or {}
  args.listener = listener
  args.timeout = 10
  return helper.hostile_log(args)
end

-- The requests that a listener saw, as raw heads; at least one.
local function heads(listener)
  local list = {}
  for _, entry in ipairs(log_of(listener, { requests = 1 })) do
    for _, request in ipairs(entry.requests) do
      list[#list + 1] = request.head
    end
  end
  return list
end

local function saw(listener)
  return #helper.hostile_log { listener = listener }
end

-- Whether any form of the password is part of a text.
local function has_password(text)
  for _, secret in ipairs { PASSWORD, escape(PASSWORD), BASIC } do
    if text:find(secret, 1, true) then
      return secret
    end
  end
end

local function check(err, kind, reason, words)
  assert.equal(kind, err.kind)
  assert.equal(reason, err.reason)
  assert.is_false(err.sent)
  assert.is_nil(has_password(tostring(err)))
  assert.truthy(err.message:find(words or "", 1, true), err.message)
end

before_each(function()
  helper.hostile_reset()
end)

describe("through an HTTP proxy", function()
  it("https goes by a tunnel that shows the proxy nothing", function()
    assert.equal(200, freddy.assert(get { proxy = at "PROXY" }).status)
    local entry = log_of("proxy", { requests = 1 })[1]
    local head = entry.requests[1].head
    assert.equal("CONNECT " .. TLS:match "//(.*)" .. " HTTP/1.1",
      entry.requests[1].line)
    assert.is_nil(head:lower():find "api%-key")
    assert.is_nil(head:lower():find "authorization")
    assert.is_nil(entry.first_bytes:find(KEY, 1, true))
    local origin = heads "tls_ok"[1]
    assert.truthy(origin:find("api-key: " .. KEY, 1, true))
    assert.is_nil(origin:lower():find "\nproxy%-")
  end)

  it("a token is shown to the server alone, too", function()
    local client = freddy.assert(freddy.new {
      token = KEY, base_url = TLS, proxy = at("PROXY_AUTH", nil, LOGIN),
      ca_file = helper.env "HOSTILE_CA_FILE",
    })
    freddy.assert(client:post("/s/ok?end=fin", { body = KEY }))
    client:close()
    local entry = log_of("proxy_auth", { requests = 1 })[1]
    assert.is_nil(entry.first_bytes:find(KEY, 1, true))
    assert.is_nil(entry.requests[1].head:find "\nAuthorization")
    assert.truthy(heads "tls_ok"[1]:find("Bearer " .. KEY, 1, true))
  end)

  it("its credentials go to the proxy alone", function()
    freddy.assert(get { proxy = at("PROXY_AUTH", nil, LOGIN) })
    assert.truthy(heads "proxy_auth"[1]:find(
      "\r\nProxy-Authorization: Basic " .. BASIC .. "\r\n", 1, true))
    local origin = heads "tls_ok"[1]
    assert.is_nil(origin:lower():find "proxy")
    assert.is_nil(has_password(origin))
  end)

  it("plain http to this machine is forwarded", function()
    freddy.assert(get {
      proxy = at("PROXY_AUTH", nil, LOGIN), base_url = helper.hostile_url,
    })
    local head = heads "proxy_auth"[1]
    assert.equal(1, head:find("GET " .. helper.hostile_url .. "/s/ok", 1,
      true))
    assert.truthy(head:find("\nProxy-Authorization: Basic " .. BASIC, 1,
      true))
    local origin = heads "plain"[1]
    assert.truthy(origin:find("api-key: " .. KEY, 1, true))
    assert.is_nil(has_password(origin))
  end)

  it("a redirect is followed, and each hop asks for its own", function()
    local client = new { proxy = at("PROXY_AUTH", nil, LOGIN) }
    local res = freddy.assert(client:get("/s/redirect", { query = {
      ["end"] = "fin",
      to = TLS:gsub("127.0.0.1", "localhost") .. "/s/echo?end=fin" } }))
    assert.is_nil(res.body:find(KEY, 1, true))
    client:close()
    local list = heads "proxy_auth"
    assert.equal(2, #list)
    assert.truthy(list[2]:find "^CONNECT localhost:")
    for _, head in ipairs(heads "tls_ok") do
      assert.is_nil(head:lower():find "\nproxy%-")
    end
  end)

  it("a tunnel is used again", function()
    local client = new { proxy = at("PROXY_AUTH", nil, LOGIN) }
    for _ = 1, 5 do
      local res = freddy.assert(client:get "/s/ok")
      assert.equal(1, res.attempts)
    end
    local same = new { proxy = at("PROXY_AUTH", nil, LOGIN) }
    freddy.assert(same:get "/s/ok?end=fin")
    assert.equal(1, saw "proxy_auth")
    client:close()
    same:close()
  end)

  for name, login in pairs {
    none = false, others = "someone:else", ["another password"] = escape(USER)
      .. ":x", ["another user"] = "x:" .. escape(PASSWORD),
  } do
    it("a tunnel is not lent to credentials that have none: " .. name,
      function()
        local client = new { proxy = at("PROXY_AUTH", nil, LOGIN) }
        freddy.assert(client:get "/s/ok")
        for _ = 1, 2 do
          local _, err = get { proxy = at("PROXY_AUTH", nil, login) }
          check(err, "connect", "proxy_auth", "407")
        end
        local res = freddy.assert(client:get "/s/ok?end=fin")
        assert.equal(1, res.attempts)
        client:close()
        assert.equal(1, #heads "tls_ok" - 1)
      end)
  end

  it("HTTP/2 goes by one tunnel, which is nobody else's", function()
    local client = helper.client { proxy = at("PROXY_AUTH", nil, LOGIN) }
    local fns = {}
    for i = 1, 10 do
      fns[i] = function()
        return client:get "/v1/echo"
      end
    end
    local results, errs = freddy.all(fns)
    assert.is_nil(errs)
    for i = 1, 10 do
      assert.equal("2.0", results[i].data.http_version)
      assert.equal(1, results[i].attempts)
      for _, header in ipairs(results[i].data.headers) do
        assert.is_nil(header.name:lower():find "^proxy")
      end
    end
    assert.equal(1, saw "proxy_auth")
    local stranger = helper.client { proxy = at("PROXY_AUTH", nil, "a:b") }
    local _, err = stranger:get "/v1/echo"
    check(err, "connect", "proxy_auth")
    freddy.assert(client:get "/v1/echo")
    client:close()
    stranger:close()
  end)

  it("credentials that are wrong or missing are proxy_auth", function()
    for _, base_url in ipairs { TLS, helper.hostile_url } do
      for _, login in ipairs { false, "a:b", escape(USER) } do
        local _, err = get {
          proxy = at("PROXY_AUTH", nil, login), base_url = base_url,
        }
        assert.equal("connect", err.kind)
        assert.equal("proxy_auth", err.reason)
        assert.truthy(err.hint:find("user:password@", 1, true))
        assert.is_false(err.retryable)
      end
    end
    assert.equal(0, saw "tls_ok")
    assert.equal(0, saw "plain")
  end)

  for name, row in pairs {
    ["status-403"] = { "proxy", "403" },
    ["status-407"] = { "proxy_auth", "407" },
    ["status-502"] = { "proxy", "502" },
    ["status-101"] = { "proxy", "101" },
    ["close"] = { "proxy" }, ["close-within"] = { "proxy" },
    ["reset"] = { "proxy" },
    ["garbage"] = { "proxy", "no HTTP" },
    ["headers-endless"] = { "proxy", "too many headers" },
    ["line-endless"] = { "proxy" },
    ["body-endless"] = { "proxy_auth", "407" },
    ["leak"] = { "proxy", "502" },
  } do
    it("a tunnel is refused: " .. name, function()
      local _, err = get {
        proxy = at("PROXY_AUTH", nil, LOGIN),
        base_url = "https://" .. name .. ".proxy.test",
      }
      check(err, "connect", row[1], row[2])
      assert.truthy(err.message:find "proxy")
      local entry = log_of("proxy_auth", { closed = 1 })[1]
      assert.equal(1, #entry.requests)
    end)
  end

  it("a proxy that says yes byte by byte is waited for", function()
    local port = TLS:match ":(%d+)$"
    local _, err = get {
      proxy = at "PROXY", base_url = "https://drip.proxy.test:" .. port,
    }
    check(err, "tls", "wrong_host", "TLS with drip.proxy.test")
  end)

  it("a proxy that stalls is a timeout, and can be cancelled", function()
    local client = new {
      proxy = at "PROXY", base_url = "https://stall.proxy.test",
    }
    local _, err = client:get("/", { timeout = { connect = 0.1 } })
    check(err, "timeout", "connect")
    local got
    local call = client:send({ path = "/" }, function(_, why)
      got = why
    end)
    log_of("proxy", { connections = 2, requests = 2 })
    call:cancel()
    helper.eventually(function()
      return got
    end)
    check(got, "cancelled")
    client:close()
    log_of("proxy", { connections = 2, closed = 1 })
  end)

  it("one that is not there is proxy_unreachable", function()
    for _, scheme in ipairs { "http", "socks5", "socks5h" } do
      local _, err = get { proxy = at("CLOSED", scheme) }
      check(err, "connect", "proxy_unreachable", "the proxy 127.0.0.1")
      assert.is_true(err.retryable)
      assert.truthy(err.hint:find "proxy")
    end
  end)

  it("one without an address is resolve, and names the proxy", function()
    for _, scheme in ipairs { "http", "https", "socks5h" } do
      local _, err = get { proxy = scheme .. "://no-such-proxy.invalid:1" }
      check(err, "resolve", "proxy", "no-such-proxy.invalid")
    end
  end)
end)

describe("through an HTTPS proxy", function()
  it("https and plain http go", function()
    for _, base_url in ipairs { TLS, helper.hostile_url } do
      freddy.assert(get {
        proxy = at("PROXY_TLS", "https", "a:b"), base_url = base_url,
      })
    end
    local list = heads "proxy_tls"
    assert.equal(2, #list)
    local connect = list[1]:find "^CONNECT" and list[1] or list[2]
    assert.is_nil(connect:find(KEY, 1, true))
    assert.truthy(connect:find("Proxy-Authorization: Basic YTpi", 1, true))
    assert.is_nil(heads "tls_ok"[1]:lower():find "\nproxy%-")
  end)

  it("its certificate is checked, and the proxy is named", function()
    for _, base_url in ipairs { TLS, helper.hostile_url } do
      local _, err = get {
        proxy = at("PROXY_TLS_UNKNOWN_CA", "https", LOGIN),
        base_url = base_url,
      }
      check(err, "tls", "unknown_ca", "TLS with the proxy 127.0.0.1")
    end
    local list = log_of("proxy_tls_unknown_ca", { closed = 1 })
    for _, entry in ipairs(list) do
      assert.equal(0, entry.received)
    end
  end)

  it("the server's is checked as ever", function()
    for listener, reason in pairs {
      TLS_UNKNOWN_CA = "unknown_ca", TLS_WRONG_HOST = "wrong_host",
      TLS_EXPIRED = "expired",
    } do
      local _, err = get {
        proxy = at "PROXY", base_url = helper.env("HOSTILE_" .. listener),
      }
      check(err, "tls", reason, "TLS with 127.0.0.1")
      _, err = get {
        proxy = at("PROXY_TLS", "https"),
        base_url = helper.env("HOSTILE_" .. listener),
      }
      assert.equal("tls", err.kind)
      assert.truthy(err.message:find("TLS with 127.0.0.1", 1, true))
      assert.is_false(err.sent)
    end
  end)

  it("one that speaks no TLS is tls", function()
    local _, err = get {
      proxy = "https://" .. helper.env "HOSTILE_TLS_GARBAGE":match "//(.*)",
    }
    check(err, "tls", nil, "TLS with the proxy")
  end)
end)

describe("through a SOCKS5 proxy", function()
  local PORT = TLS:match ":(%d+)$"

  local function asked(listener)
    return log_of(listener, { requests = 1 })[1].requests[1]
  end

  it("https and plain http go", function()
    for _, scheme in ipairs { "socks5", "socks5h" } do
      for _, base_url in ipairs { TLS, helper.hostile_url } do
        freddy.assert(get { proxy = at("SOCKS", scheme), base_url = base_url })
      end
    end
    for _, entry in ipairs(log_of("socks", { connections = 4 })) do
      assert.equal(1, entry.requests[1].address_type)
    end
    assert.is_nil(heads "plain"[1]:lower():find "\nproxy%-")
  end)

  it("names are looked up here, or with socks5h there", function()
    freddy.assert(get {
      proxy = at("SOCKS", "socks5"), base_url = "https://localhost:" .. PORT,
    })
    assert.equal("127.0.0.1", asked "socks".target)
    helper.hostile_reset()
    local _, err = get {
      proxy = at("SOCKS", "socks5h"),
      base_url = "https://no-such-host.invalid:" .. PORT,
    }
    check(err, "tls", "wrong_host") -- so it got there
    assert.equal("no-such-host.invalid", asked "socks".target)
    helper.hostile_reset()
    _, err = get {
      proxy = at("SOCKS", "socks5"), base_url = "https://no-such-host.invalid",
    }
    check(err, "resolve", nil, "looked up here")
  end)

  it("user and password are sent as they are", function()
    for _, scheme in ipairs { "socks5", "socks5h" } do
      freddy.assert(get { proxy = at("SOCKS_AUTH", scheme, LOGIN) })
    end
    assert.equal(USER, asked "socks_auth".user)
    assert.is_nil(heads "tls_ok"[1]:lower():find "proxy")
  end)

  it("what is refused is proxy_auth", function()
    local _, err = get { proxy = at("SOCKS_AUTH", "socks5") }
    check(err, "connect", "proxy_auth", "authentication")
    _, err = get { proxy = at("SOCKS_AUTH", "socks5", "a:b") }
    check(err, "connect", "proxy_auth", "refused the user name")
  end)

  it("a connection is not lent to other credentials", function()
    local client = new { proxy = at("SOCKS_AUTH", "socks5", LOGIN) }
    freddy.assert(client:get "/s/ok")
    for _, login in ipairs { false, "a:b" } do
      local _, err = get { proxy = at("SOCKS_AUTH", "socks5", login) }
      check(err, "connect", "proxy_auth")
    end
    freddy.assert(client:get "/s/ok?end=fin")
    client:close()
  end)

  for name, words in pairs {
    ["reply-1"] = "failed", ["reply-2"] = "does not allow",
    ["reply-3"] = "cannot reach", ["reply-4"] = "cannot reach",
    ["reply-5"] = "refuses connections", ["reply-6"] = "cannot reach",
    ["reply-7"] = "", ["reply-200"] = "", ["close"] = "", ["garbage"] = "",
  } do
    it("a server is refused: " .. name, function()
      local _, err = get {
        proxy = at("SOCKS", "socks5h"),
        base_url = "https://" .. name .. ".proxy.test",
      }
      check(err, "connect", "proxy", words)
    end)
  end

  it("one that stalls is a timeout", function()
    for _, listener in ipairs { "SOCKS_STALL", "SILENT" } do
      for _, scheme in ipairs { "socks5", "socks5h" } do
        local _, err = get {
          proxy = at(listener, scheme), timeout = { connect = 0.1 },
        }
        check(err, "timeout", "connect")
      end
    end
    log_of("socks_stall", { connections = 2, closed = 1 })
  end)
end)

-- One whose connections nobody else has: where an old one is taken just when
-- it ends, the proxy is asked twice.
local function own_proxy(who)
  return at("PROXY", nil, "nobody:" .. who)
end

describe("no_proxy", function()
  it("is what goes without the proxy", function()
    for _, list in ipairs {
      "127.0.0.1", "127.0.0.0/8", "*", "example.com, 127.0.0.1:"
        .. TLS:match ":(%d+)$", { "example.com", "127.0.0.1" },
    } do
      freddy.assert(get { proxy = at "PROXY", no_proxy = list })
      assert.equal(0, saw "proxy")
    end
    assert.truthy(#heads "tls_ok" > 0)
  end)

  it("leaves the rest to it", function()
    for i, list in ipairs {
      "", {}, "localhost", "127.0.0.1:1", "10.0.0.0/8,127.0.0.2",
    } do
      helper.hostile_reset()
      freddy.assert(get { proxy = own_proxy(i), no_proxy = list })
      assert.equal(1, saw "proxy")
    end
  end)

  it("keeps the proxy's credentials from what it names", function()
    freddy.assert(get {
      proxy = at("PROXY_AUTH", nil, LOGIN), no_proxy = "127.0.0.1",
      base_url = helper.hostile_url,
    })
    local head = heads "plain"[1]
    assert.is_nil(head:lower():find "proxy")
    assert.is_nil(has_password(head))
  end)

  it("is asked for each hop of a redirect", function()
    local client = new { proxy = own_proxy "hops", no_proxy = "localhost" }
    freddy.assert(client:get("/s/redirect", { query = {
      ["end"] = "fin",
      to = TLS:gsub("127.0.0.1", "localhost") .. "/s/ok?end=fin" } }))
    client:close()
    assert.equal(1, #heads "proxy")
    assert.equal(2, #heads "tls_ok")
  end)

  it("raises where it is wrong", function()
    for _, list in ipairs { 5, true, "http://x", "a/8", { 5 }, "a b:x" } do
      helper.raises_here(function()
        freddy.new { api_key = KEY, proxy = "http://p", no_proxy = list }
      end, 'option "no_proxy" must be')
    end
    helper.raises_here(function()
      freddy.new { api_key = KEY, no_proxy = "x" }
    end, "no_proxy needs the option proxy")
  end)
end)

describe("the option proxy", function()
  it("raises where it is no URL, and never shows it", function()
    for text, words in pairs {
      ["127.0.0.1:80"] = "socks5h URL", ["ftp://h"] = "socks5h URL",
      ["http://"] = "host", ["http://u:SECRET@h:x"] = "port",
      ["http://u:SEC/RET@h"] = "path", ["http://:SECRET@h"] = "user name",
      ["http://u:SECRET%0d%0a@h"] = "control",
      ["http://u:SECRET%zz@h"] = "hex digits",
      ["http://u%3Ax:SECRET@h"] = "colon",
      ["socks5://u:" .. ("SECRET"):rep(50) .. "@h"] = "longer than SOCKS5",
      ["http://u:SECRET@h/path"] = "path",
    } do
      local message = helper.raises_here(function()
        freddy.new { api_key = KEY, proxy = text }
      end, "proxy: ")
      assert.truthy(message:find(words, 1, true), message)
      assert.is_nil(message:find "SEC")
    end
  end)

  it("is part of no text: client, error, answer", function()
    local client = new { proxy = at("PROXY_AUTH", nil, LOGIN) }
    assert.is_nil(has_password(tostring(client)))
    for _, text in ipairs { PASSWORD, BASIC } do
      local _, err = client:get("/s/status", {
        query = { code = 400, body = "you said " .. text .. "!" },
      })
      assert.equal("invalid", err.kind)
      assert.truthy(err.response.body:find "^you said %*%*%*")
      assert.is_nil(has_password(tostring(err) .. err.response.url
        .. err.request .. err.message))
    end
    freddy.assert(client:get "/s/ok?end=fin")
    client:close()
  end)
end)

describe("proxy = \"environment\"", function()
  local SCRIPT = [[
    local freddy = require "freddy"
    local client, err = freddy.new {
      api_key = "k", base_url = %q, ca_file = %q, proxy = %s, no_proxy = %s,
      timeout = { connect = 5 },
    }
    local res
    if client then
      res, err = client:get "/s/ok"
    end
    print(res and res.status or tostring(err))
  ]]

  local function run(environment, options)
    options = options or {}
    local output = helper.script(SCRIPT:format(
      options.base_url or "https://status-418.proxy.test",
      helper.env "HOSTILE_CA_FILE", options.proxy or '"environment"',
      options.no_proxy or "nil"), environment)
    return output:match "^[^\n]*"
  end

  local PROXY = at "PROXY"
  local GONE = at "CLOSED"

  -- "418": it went through the proxy.
  for name, row in pairs {
    ["HTTPS_PROXY is taken"] = { { HTTPS_PROXY = PROXY }, "418" },
    ["https_proxy comes first"] = {
      { https_proxy = PROXY, HTTPS_PROXY = GONE, ALL_PROXY = GONE }, "418" },
    ["ALL_PROXY comes last"] = {
      { ALL_PROXY = GONE, HTTPS_PROXY = PROXY }, "418" },
    ["all_proxy is taken"] = { { all_proxy = PROXY }, "418" },
    ["an empty one counts as unset"] = {
      { https_proxy = "", HTTPS_PROXY = PROXY }, "418" },
    ["a bare host and port is an HTTP proxy"] = {
      { HTTPS_PROXY = helper.env "HOSTILE_PROXY" }, "418" },
    ["HTTP_PROXY is not read"] = {
      { HTTP_PROXY = PROXY, http_proxy = PROXY }, "resolve" },
    ["NO_PROXY is heeded"] = {
      { HTTPS_PROXY = PROXY, NO_PROXY = "x,.proxy.test" }, "resolve" },
    ["no_proxy comes first"] = {
      { HTTPS_PROXY = PROXY, no_proxy = "x", NO_PROXY = "*" }, "418" },
    ["what is no entry is left out"] = {
      { HTTPS_PROXY = PROXY, no_proxy = "http://x,??,proxy.test" },
      "resolve" },
    ["a wrong URL is an error that names the variable"] = {
      { HTTPS_PROXY = "ftp://u:pw@x" },
      "connect %(proxy%): HTTPS_PROXY: not an http.*correct HTTPS_PROXY" },
  } do
    it(name, function()
      local output = run(row[1])
      assert.truthy(output:find(row[2]), output)
      assert.is_nil(output:find("pw", 1, true))
    end)
  end

  it("is read only when asked for", function()
    local environment = { HTTPS_PROXY = PROXY, ALL_PROXY = PROXY,
      http_proxy = PROXY, https_proxy = PROXY }
    assert.truthy(run(environment, { proxy = "nil" }):find "resolve")
    assert.equal("200", run(environment, {
      proxy = "nil", base_url = helper.hostile_url }))
    assert.truthy(run({ NO_PROXY = "*", no_proxy = "*" }, {
      proxy = ("%q"):format(PROXY) }):find "418")
  end)

  it("the option no_proxy takes the place of the variable", function()
    assert.truthy(run({ HTTPS_PROXY = PROXY, NO_PROXY = "*" }, {
      no_proxy = '"example.com"' }):find "418")
    assert.truthy(run({ HTTPS_PROXY = PROXY }, {
      no_proxy = '{ "proxy.test" }' }):find "resolve")
    assert.truthy(run({}, { no_proxy = '"*"' }):find "resolve")
  end)

  it("never leads to loopback addresses", function()
    for _, base_url in ipairs { TLS, helper.hostile_url,
        (TLS:gsub("127.0.0.1", "localhost")) } do
      assert.equal("200", run({ HTTPS_PROXY = GONE, ALL_PROXY = GONE,
        http_proxy = GONE, NO_PROXY = "x" }, { base_url = base_url }))
    end
  end)
end)
