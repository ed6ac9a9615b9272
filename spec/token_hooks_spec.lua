-- SPDX-License-Identifier: MIT
--- What a session calls in the host: on_token and token_provider.
local freddy = require "freddy"
local helper = require "spec.helper"

local CODE = 4821

local function client_with(options)
  local given = { base_url = helper.base_url, ca_file = helper.ca_file,
    retries = 0 }
  for name, value in pairs(options) do
    given[name] = value
  end
  return freddy.assert(freddy.new(given))
end

-- A client with a session, whose on_token writes into `seen`.
local function listening(seen, options)
  local session = helper.session(options and options.mint)
  local given = {
    refresh_token = session.refresh_token,
    on_token = function(tokens)
      seen[#seen + 1] = tokens or "logged out"
    end,
  }
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  given.mint = nil
  return client_with(given), session
end

local function calls(name)
  return helper.counters().auth[name].calls
end

local function login(client)
  local challenge = freddy.assert(client.auth:login {
    email_or_username = helper.email, password = helper.password,
  })
  return freddy.assert(client.auth:verify {
    email_key = challenge.email_key, verification_code = CODE,
  })
end

-- freddy.on_error for as long as `fn` runs; what it heard.
local function with_errors(fn)
  local heard = {}
  freddy.on_error = function(err)
    heard[#heard + 1] = err
  end
  local ok, problem = pcall(fn, heard)
  freddy.on_error = nil
  if not ok then
    error(problem, 0)
  end
  return heard
end

before_each(function()
  helper.reset()
end)

describe("on_token", function()
  it("gets the tokens of a refresh, before the request that waited", function()
    local seen = {}
    local client = listening(seen)
    local before
    freddy.run(function()
      freddy.assert(client:get("/v1/models"))
      before = #seen
    end)
    assert.equal(1, before)
    local tokens = seen[1]
    assert.equal("refresh", tokens.cause)
    assert.is_string(tokens.access_token)
    assert.is_string(tokens.refresh_token)
    assert.is_true(tokens.expires_in > 3590 and tokens.expires_in <= 3600)
    assert.is_true(math.abs(tokens.expires_at - os.time() - 3600) < 10)
    assert.equal(helper.counters().last.tail, tokens.access_token:sub(-8))

    -- They are of use to another process.
    local other = client_with {
      token = tokens.access_token, refresh_token = tokens.refresh_token,
      expires_in = tokens.expires_in,
    }
    freddy.assert(other:get("/v1/models"))
    assert.is_true(other.auth:refresh())
    other:close()
    client:close()
  end)

  it("gets those of an exchange, a login and a code", function()
    local seen = {}
    local function note(tokens)
      seen[#seen + 1] = tokens.cause
    end
    local client = client_with { api_key = helper.api_key, auth = "bearer",
      on_token = note }
    freddy.assert(client:get("/v1/models"))
    client:close()

    client = client_with { auth = "none", on_token = note }
    login(client)
    assert.equal(2, #seen) -- before verify has returned
    freddy.assert(client.auth:dev_login {
      email_or_username = helper.email, password = helper.password,
    })
    helper.control { auth = { two_steps = false } }
    freddy.assert(client.auth:login {
      email_or_username = helper.email, password = helper.password,
    })
    assert.same({ "exchange", "verify", "login", "login" }, seen)
    client:close()
  end)

  it("gets a token that has nothing to renew it with", function()
    helper.control { auth = { refresh_name = "none" } }
    local seen = {}
    local client = client_with { auth = "none", on_token = function(tokens)
      seen[#seen + 1] = tokens
    end }
    login(client)
    assert.equal(1, #seen)
    assert.is_nil(seen[1].refresh_token)
    assert.is_true(seen[1].expires_in > 3590)
    client:close()
  end)

  it("gets nil on logout, with all who share the session", function()
    local seen, others = {}, {}
    local client, session = listening(seen)
    local other = client_with {
      refresh_token = session.refresh_token,
      on_token = function(tokens)
        others[#others + 1] = tokens or "logged out"
      end,
    }
    freddy.assert(client:get("/v1/models"))
    helper.eventually(function()
      return #others == 1
    end)
    assert.equal(seen[1].access_token, others[1].access_token)
    freddy.assert(client.auth:logout())
    helper.eventually(function()
      return seen[2] == "logged out" and others[2] == "logged out"
    end)
    client:close()
    other:close()
  end)

  it("has got nil when logout returns: the client may be closed", function()
    local seen = {}
    local client = listening(seen)
    freddy.assert(client:get("/v1/models"))
    freddy.assert(client.auth:logout())
    client:close()
    assert.equal("logged out", seen[2])
  end)

  it("may wait, and use the client itself", function()
    local done = 0
    local client
    local session = helper.session()
    client = client_with {
      refresh_token = session.refresh_token,
      on_token = function()
        freddy.sleep(0.01)
        freddy.assert(client:get("/v1/models"))
        freddy.assert(client.auth:refresh()) -- there is one just now
        done = done + 1
      end,
    }
    local res = freddy.assert(client:get("/v1/models"))
    assert.equal(200, res.status)
    assert.equal(1, done)
    assert.equal(1, calls "refresh")
    client:close()
  end)

  it("holds up only those who wait for the token", function()
    local open = false
    local client
    local session = helper.session()
    client = client_with {
      refresh_token = session.refresh_token,
      on_token = function()
        while not open do
          freddy.sleep(0.005)
        end
      end,
    }
    freddy.run(function()
      local waiting = freddy.spawn(function()
        return client:get("/v1/models")
      end)
      helper.eventually(function()
        return client.auth:status().refreshes == 1
      end)
      freddy.assert(client:get("/v1/models")) -- it has come after that
      assert.equal("waiting", waiting:status())
      open = true
      freddy.assert(waiting:wait())
    end)
    client:close()
  end)

  it("that raises is heard of, and requests go on", function()
    local session = helper.session()
    local client = client_with {
      refresh_token = session.refresh_token,
      on_token = function()
        error("the disk is full")
      end,
    }
    local heard = with_errors(function(heard)
      freddy.assert(client:get("/v1/models"))
      helper.eventually(function()
        return #heard == 1
      end)
    end)
    assert.equal("task", heard[1].kind)
    assert.truthy(heard[1].message:find("the disk is full", 1, true))
    assert.truthy(heard[1].details.traceback:find("token_hooks_spec", 1, true))
    client:close()
  end)

  it("is drained by the call that began the renewal", function()
    local seen = {}
    local session = helper.session()
    local client = listening(seen, {
      token = session.token, refresh_token = session.refresh_token,
      expires_in = 0.2, -- in its early window at once
    })
    freddy.sleep(0.18)
    freddy.assert(client:get("/v1/models"))
    assert.equal(1, #seen)
    assert.equal(1, calls "refresh")
    client:close()
  end)

  it("is not waited for longer than the call's own limit", function()
    local session = helper.session()
    local client = listening({}, {
      token = session.token, refresh_token = session.refresh_token,
      expires_in = 10,
    })
    helper.control { delay = { path = "/v1/auth/refresh", hold = "gate" } }
    local refreshing = freddy.spawn(function()
      return client.auth:refresh()
    end)
    helper.eventually(function()
      return calls "refresh" == 1
    end)
    -- Under way before: not this call's.
    freddy.assert(client:get("/v1/models", { timeout = 5 }))
    assert.equal("waiting", refreshing:status())
    helper.control { release = "gate" }
    freddy.assert(refreshing:wait(5))
    client:close()
  end)

  it("does not keep freddy.run waiting", function()
    local client = listening({})
    assert.equal(7, freddy.run(function()
      return 7
    end))
    client:close()
  end)

  it("is told before freddy.run returns", function()
    local seen = {}
    local client = listening(seen)
    helper.control { delay = { path = "/v1/auth/refresh", ms = 50 } }
    freddy.run(function()
      freddy.spawn(function()
        client:get("/v1/models", { timeout = 0.02 })
      end)
    end)
    assert.equal(1, #seen)
    client:close()
  end)

  it("is waited for at most exit_wait", function()
    local seen = {}
    local client = listening(seen, { exit_wait = 0 })
    helper.control { delay = { path = "/v1/auth/refresh", hold = "gate" } }
    freddy.run(function()
      local res, err = client:get("/v1/models", { timeout = 0.02 })
      assert.is_nil(res)
      assert.equal("timeout", err.kind)
    end)
    assert.equal(0, #seen)
    helper.control { release = "gate" }
    client:close()
  end)

  it("goes away with its client", function()
    local function count()
      helper.collect()
      local n = 0
      for _ in pairs(debug.getregistry()) do
        n = n + 1
      end
      return n
    end
    count()
    local weak = setmetatable({}, { __mode = "k" })
    do
      local client = listening({})
      weak[client] = true
      freddy.assert(client:get("/v1/models"))
    end
    helper.eventually(function()
      count()
      return next(weak) == nil
    end)
  end)

  it("hears nothing of a client that was closed", function()
    local seen = {}
    local client = listening(seen)
    client:close()
    freddy.poll()
    assert.equal(0, #seen)
  end)

  it("raises when it is no function", function()
    helper.raises_here(function()
      freddy.new { api_key = "k", on_token = "file" }
    end, 'option "on_token" must be a function')
    helper.raises_here(function()
      freddy.new { api_key = "k", exit_wait = -1 }
    end, 'option "exit_wait" must be a number of seconds')
  end)
end)

describe("token_provider", function()
  local function provider(give, options)
    local given = { token_provider = give }
    for name, value in pairs(options or {}) do
      given[name] = value
    end
    return client_with(given)
  end

  local function fresh()
    return { access_token = helper.session().token, expires_in = 3600 }
  end

  it("is asked for the first token, once for all", function()
    local whys = {}
    local client = provider(function(why)
      whys[#whys + 1] = why
      freddy.sleep(0.01)
      return fresh()
    end)
    assert.equal("provider", client.auth:status().kind)
    assert.equal("empty", client.auth:status().state)
    local fns = {}
    for i = 1, 20 do
      fns[i] = function()
        return client:get("/v1/models")
      end
    end
    local results, errs = freddy.all(fns)
    assert.is_nil(errs)
    assert.equal(20, #results)
    assert.same({ "first" }, whys)
    assert.equal("fresh", client.auth:status().state)
    assert.is_true(client.auth:status().expires_in > 3500)
    client:close()
  end)

  it("is told why", function()
    local whys = {}
    local client = provider(function(why)
      whys[#whys + 1] = why
      return { access_token = helper.session().token, expires_in = 0.2 }
    end)
    freddy.assert(client:get("/v1/models"))
    freddy.sleep(0.25)
    freddy.assert(client:get("/v1/models"))
    assert.equal("first", whys[1])
    assert.equal("expired", whys[2])
    client:close()
    whys = {}
    client = provider(function(why)
      whys[#whys + 1] = why
      return fresh()
    end)
    freddy.assert(client:get("/v1/models"))
    helper.control { revoke = { access = true } }
    freddy.assert(client:get("/v1/models"))
    assert.same({ "first", "rejected" }, whys)
    assert.is_true(client.auth:refresh())
    assert.same({ "first", "rejected", "expiring" }, whys)
    client:close()
  end)

  it("may use another client, and tells on_token", function()
    local other = helper.client()
    local seen = {}
    local client = provider(function()
      freddy.assert(other:get("/v1/models"))
      return fresh()
    end, { on_token = function(tokens)
      seen[#seen + 1] = tokens.cause
    end })
    freddy.assert(client:get("/v1/models"))
    assert.same({ "provider" }, seen)
    client:close()
    other:close()
  end)

  it("may give a refresh token, which is used from then on", function()
    local whys = {}
    local client = provider(function(why)
      whys[#whys + 1] = why
      local session = helper.session()
      return { access_token = session.token, expires_in = 3600,
        refresh_token = session.refresh_token }
    end)
    freddy.assert(client:get("/v1/models"))
    assert.is_true(client.auth:refresh())
    assert.equal(1, calls "refresh")
    assert.same({ "first" }, whys)
    helper.control { revoke = { refresh = true } }
    assert.is_true(client.auth:refresh()) -- falls back to the provider
    assert.equal(2, #whys)
    client:close()
  end)

  it("that fails is an error of those who wait, and is left alone", function()
    local rows = {
      { function() error("no network") end, "raised: .*no network" },
      { function() end, "returned nothing" },
      { function() return nil, "ask later" end, "returned nil, ask later" },
      { function() return 7 end, "returned a number" },
      { function() return {} end, "no access_token" },
      { function() return { access_token = "a b" } end, "no token" },
      { function() return { access_token = "" } end, "no token" },
      { function() return { access_token = "t", expires_in = 0 } end,
        "no number above 0" },
      { function() return { access_token = "t", refresh_token = 1 } end,
        "no string" },
      { function() return { access_token = helper.session {
        expires_in = -5 }.token } end, "has run out" },
      { function() error({}) end, "raised" },
    }
    for i, row in ipairs(rows) do
      local asked = 0
      local client = provider(function()
        asked = asked + 1
        return row[1]()
      end)
      local heard = with_errors(function()
        local res, err = client:get("/v1/models")
        assert.is_nil(res)
        assert.equal("auth", err.kind, "row " .. i)
        assert.equal("provider_failed", err.reason, "row " .. i)
        assert.truthy(err.message:find(row[2]), err.message)
        assert.is_true(err.retry_after > 0)
        assert.is_false(err.sent)
        helper.documented(err)
        res, err = client:get("/v1/models")
        assert.is_nil(res)
        assert.equal("provider_failed", err.reason)
      end)
      freddy.poll()
      assert.equal(1, asked, "row " .. i)
      assert.equal(0, #heard)
      client:close()
    end
  end)

  it("has timeout.auth to answer", function()
    local client = provider(function()
      freddy.sleep(30)
    end, { timeout = { auth = 0.05 } })
    local res, err = client:get("/v1/models")
    assert.is_nil(res)
    assert.equal("provider_failed", err.reason)
    assert.truthy(err.message:find("in time", 1, true))
    client:close()
  end)

  it("that waits for its own client fails at once, and says why", function()
    local client
    local rows = {
      function() return (client:get("/v1/models")) end,
      function() return (client.models:list()) end,
      function() return (client:get("/v1/models", { stream = true })) end,
      function() return (client.auth:refresh()) end,
      function() return (client.auth:validate()) end,
      function() return (client.auth:logout()) end,
      function()
        local _, errs = freddy.all { function()
          return (client:get("/v1/models"))
        end }
        error(errs[1].message, 0)
      end,
    }
    for i, row in ipairs(rows) do
      client = provider(row)
      local res, err = client:get("/v1/models", { timeout = 20 })
      assert.is_nil(res)
      assert.equal("provider_failed", err.reason, "row " .. i)
      assert.truthy(err.message:find("cannot wait for a token of its own "
        .. "client", 1, true), err.message)
      assert.truthy(err.message:find("token_hooks_spec.lua:", 1, true))
      client:close()
    end
    assert.is_nil(helper.counters().endpoints["/v1/models"])
  end)

  it("may use its own client where that needs no token", function()
    local client
    client = provider(function()
      freddy.assert(client.health:check())
      freddy.assert(client:get("/v1/open/echo", { auth = false }))
      freddy.assert(client.auth:set_api_key(helper.api_key))
      freddy.assert(client:get("/v1/models")) -- has a credential by now
      return fresh()
    end)
    freddy.assert(client:get("/v1/models"))
    client:close()
  end)

  it("is not asked for a request without a credential", function()
    local client = provider(function()
      error("asked")
    end)
    freddy.assert(client.health:check())
    client:close()
  end)

  it("is forgotten by logout and by set_token", function()
    local asked = 0
    local function give()
      asked = asked + 1
      return fresh()
    end
    local client = provider(give)
    freddy.assert(client:get("/v1/models"))
    freddy.assert(client.auth:logout())
    local res, err = client:get("/v1/models")
    assert.is_nil(res)
    assert.equal("missing_credentials", err.kind)
    client:close()
    client = provider(give)
    freddy.assert(client.auth:set_token(helper.token))
    freddy.assert(client:get("/v1/models"))
    assert.equal("token", client.auth:status().kind)
    assert.equal(1, asked)
    client:close()
  end)

  it("is each client's own", function()
    local function counting()
      local n = { 0 }
      return n, provider(function()
        n[1] = n[1] + 1
        return fresh()
      end)
    end
    local a, one = counting()
    local b, other = counting()
    freddy.assert(one:get("/v1/models"))
    freddy.assert(other:get("/v1/models"))
    assert.equal(1, a[1])
    assert.equal(1, b[1])
    one:close()
    other:close()
  end)

  it("and another credential exclude each other", function()
    for _, name in ipairs { "api_key", "token", "refresh_token" } do
      helper.raises_here(function()
        freddy.new { token_provider = print, [name] = "x" }
      end, "token_provider and " .. name .. " exclude each other")
    end
    helper.raises_here(function()
      freddy.new { token_provider = print, auth = "none" }
    end, "token_provider and auth exclude each other")
    helper.raises_here(function()
      freddy.new { token_provider = print,
        store = freddy.session_file "x" }
    end, "token_provider and store exclude each other")
    helper.raises_here(function()
      freddy.new { token_provider = {} }
    end, 'option "token_provider" must be a function')
  end)
end)

-- A script that ends while a refresh is in flight; on_token writes a line.
local function ending(finish, options)
  local session = helper.session()
  helper.control { delay = { path = "/v1/auth/refresh", ms = 100 } }
  local output, status = helper.script(([[
    local freddy = require "freddy"
    io.stdout:setvbuf "no"
    local client = freddy.assert(freddy.new {
      base_url = %q, ca_file = %q, refresh_token = %q, %s
      on_token = function(tokens)
        freddy.sleep(0.01)
        print("told " .. tokens.cause)
      end,
    })
    local task = freddy.spawn(function()
      return client:get("/v1/models")
    end)
    local socket = require "socket"
    while not client.auth:status().refreshing do
      freddy.poll(0)
      socket.sleep(0.001)
    end
    %s
  ]]):format(helper.base_url, helper.ca_file, session.refresh_token,
    options or "", finish))
  assert.equal(0, status, output)
  return (output:gsub("%s+$", ""))
end

describe("the end of a script", function()
  it("waits for a refresh and its on_token", function()
    assert.equal("told refresh", ending(""))
  end)

  -- That of Lua 5.1 never does.
  if _VERSION ~= "Lua 5.1" or rawget(_G, "jit") then
    it("by os.exit that closes the state, too", function()
      assert.equal("told refresh", ending "os.exit(0, true)")
    end)
  end

  it("but not by one that does not", function()
    assert.equal("", ending "os.exit(0)")
  end)

  it("nor with exit_wait = 0", function()
    assert.equal("", ending("", "exit_wait = 0,"))
  end)

  it("in any host", function()
    assert.equal("told refresh", ending 'freddy.use "loop"')
  end)
end)

describe("a game loop", function()
  it("serves both by freddy.poll", function()
    freddy.use "loop"
    finally(function()
      freddy.use "block"
    end)
    local told = 0
    local client = client_with {
      token_provider = function()
        freddy.sleep(0.005)
        return { access_token = helper.token, expires_in = 3600 }
      end,
      on_token = function()
        freddy.sleep(0.005)
        told = told + 1
      end,
    }
    local task = freddy.spawn(function()
      return client:get("/v1/models")
    end)
    helper.eventually(function()
      return task:status() == "done"
    end)
    assert.equal(1, told)
    client:close()
  end)
end)
