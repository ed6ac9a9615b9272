-- SPDX-License-Identifier: MIT
-- Sessions in a store that is written in Lua.
local freddy = require "freddy"
local helper = require "spec.helper"
local shared_session = require "freddy.shared_session"

local function empty_store()
  return {
    load = function() return false end,
    claim = function() return nil, "not in this spec" end,
    save = function() return true end,
    release = function() end,
  }
end

describe("a session in a Lua store", function()
  local time = os.time

  after_each(function()
    os.time = time -- luacheck: ignore 122
  end)

  it("lets the given token age from when the client was made", function()
    local given = { store = empty_store(), token = "a", refresh_token = "r",
      expires_in = 900 }
    local now = time()
    os.time = function() return now end -- luacheck: ignore 122
    local provide = shared_session.adapt(given, error).token_provider
    now = now + 600
    local tokens = provide "first"
    assert.equal("a", tokens.access_token)
    assert.equal(300, tokens.expires_in)
  end)
end)

-- A store in a table, for clients of one process. `self.claims` are the times
-- that were asked for.
local function table_store()
  local store = { claims = {} }
  function store:load() return self.text or false end
  function store:save(text)
    self.text = text
    return true
  end
  function store:claim(ttl)
    self.claims[#self.claims + 1] = ttl
    if self.held then
      return "wait", 0.01
    end
    self.held = {}
    return "go", self.held
  end
  function store:release(mark)
    if self.held == mark then
      self.held = nil
    end
  end
  return store
end

local clients = {}

local function client_of(store, options)
  local given = { base_url = helper.base_url, ca_file = helper.ca_file,
    retries = 0, store = store }
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  clients[#clients + 1] = freddy.assert(freddy.new(given))
  return clients[#clients]
end

local function calls(name)
  return helper.counters().auth[name].calls
end

local function kind(client)
  local res, err = client:get "/v1/echo"
  return res and res.status or err.kind
end

local heard

before_each(function()
  helper.reset()
  heard = {}
  freddy.on_error = function(err) heard[#heard + 1] = err end
end)

after_each(function()
  freddy.poll()
  freddy.on_error = nil
  for _, client in ipairs(clients) do
    client:close()
  end
  clients = {}
end)

describe("logout of a session in a Lua store", function()
  local store, first, second, session

  before_each(function()
    store, session = table_store(), helper.session()
    first = client_of(store, { refresh_token = session.refresh_token })
    second = client_of(store, { refresh_token = session.refresh_token })
    assert.equal(200, kind(first))
    assert.equal(200, kind(second))
    assert.equal(1, calls "refresh")
  end)

  it("ends it for all who share it, and at the server", function()
    local newest = freddy.json.decode(store.text).refresh_token
    assert.are_not.equal(session.refresh_token, newest)
    assert.is_true(first.auth:logout())
    assert.equal(1, calls "logout")
    assert.equal("missing_credentials", kind(first))
    assert.equal("missing_credentials", kind(second))
    assert.equal("missing_credentials", kind(second))
    assert.equal("missing_credentials", kind(client_of(store,
      { refresh_token = session.refresh_token })))
    assert.equal("missing_credentials", kind(client_of(store,
      { refresh_token = newest })))
    assert.equal(1, calls "refresh")
    assert.is_nil(store.text:find("access_token", 1, true))
    assert.is_nil(store.held)
    local _, err = client_of(nil, { refresh_token = newest }):get "/v1/echo"
    assert.equal("session_expired", err.reason)
  end)

  it("lets a client in that has another one", function()
    assert.is_true(first.auth:logout())
    local third = client_of(store,
      { refresh_token = helper.session().refresh_token })
    assert.equal(200, kind(third))
    assert.equal("missing_credentials", kind(first))
    assert.equal(2, calls "refresh")
  end)

  it("wipes here where the store cannot be reached", function()
    function store.load() error "no store" end
    function store.save() return nil, "no store" end
    function store.claim() return nil, "no store" end
    local ok, err = first.auth:logout()
    assert.is_nil(ok)
    assert.equal("store_failed", err.reason)
    assert.equal(1, calls "logout")
    assert.equal("missing_credentials", kind(first))
  end)

  it("ends it where the server cannot be told, and says so", function()
    helper.control { fail = { path = "/v1/auth/logout", status = 500 } }
    local newest = freddy.json.decode(store.text).refresh_token
    local ok, err = first.auth:logout()
    assert.is_nil(ok)
    assert.equal("server", err.kind)
    assert.is_nil(tostring(err):find(newest, 1, true))
    assert.equal("missing_credentials", kind(first))
    assert.equal("missing_credentials", kind(client_of(store,
      { refresh_token = newest })))
  end)
end)

describe("a session that is given to a client with a Lua store", function()
  it("is that client's alone", function()
    local store, given = table_store(), helper.session()
    local first = client_of(store,
      { refresh_token = helper.session().refresh_token })
    local second = client_of(store, {})
    assert.equal(200, kind(first))
    local text = store.text
    assert(first.auth:set_token { refresh_token = given.refresh_token })
    assert.equal(200, kind(first))
    assert.is_true(first.auth:logout())
    assert.equal("missing_credentials", kind(first))
    assert.equal(text, store.text)
    assert.equal(200, kind(second))
  end)
end)

describe("a session in a Lua store that is over", function()
  it("is asked for by none who has its token, once by another", function()
    local store, session = table_store(), helper.session()
    local token = session.refresh_token
    helper.control { revoke = { token = token, code = "TOKEN_INVALID" } }
    local first = client_of(store, { refresh_token = token })
    assert.equal("auth", kind(first))
    assert.equal(1, calls "refresh")
    local claims = #store.claims
    assert.equal("auth", kind(client_of(store, { refresh_token = token })))
    assert.equal(1, calls "refresh")
    assert.equal(claims, #store.claims) -- it did not even try
    local another = helper.session()
    helper.control { revoke = { token = another.refresh_token,
      code = "TOKEN_INVALID" } }
    for _ = 1, 2 do
      assert.equal("auth", kind(client_of(store,
        { refresh_token = another.refresh_token })))
      assert.equal("auth", kind(client_of(store, { refresh_token = token })))
    end
    assert.equal(2, calls "refresh")
    assert.equal(claims + 1, #store.claims)
    assert.equal(200, kind(client_of(store,
      { refresh_token = helper.session().refresh_token })))
    assert.equal(200, kind(client_of(store, { refresh_token = token })))
    helper.eventually(function() -- it has waited after its failure
      return kind(first) == 200
    end)
    assert.equal(3, calls "refresh")
  end)
end)

describe("the claim of a Lua store", function()
  local function claimed(timeout)
    local store = table_store()
    assert.equal(200, kind(client_of(store, { timeout = timeout,
      refresh_token = helper.session().refresh_token })))
    return store.claims[1]
  end

  it("outlasts a refresh and its repeat", function()
    assert.is_true(claimed { auth = 50 } > 100)
    assert.is_true(claimed { auth = 5 } > 10)
    assert.is_true(claimed { auth = 5 } < 30)
    assert.is_true(claimed() > 60)
  end)
end)

describe("a Lua store that raises", function()
  for _, name in ipairs { "load", "claim", "save", "release" } do
    it("in " .. name .. " spoils no renewal, and is told of once", function()
      local store = table_store()
      store[name] = function(self)
        self.held = nil
        error("broken " .. name)
      end
      local client = client_of(store,
        { refresh_token = helper.session { expires_in = 600 }.refresh_token })
      assert.equal(200, kind(client))
      assert.is_true(client.auth:refresh())
      assert.equal(200, kind(client))
      assert.equal(2, calls "refresh")
      freddy.poll() -- tells what is to be told
      assert.equal(1, #heard)
      assert.equal("store_failed", heard[1].reason)
      assert.truthy(tostring(heard[1]):find("broken " .. name, 1, true))
    end)
  end
end)

describe("freddy.store.redis", function()
  local said, redis

  before_each(function()
    said, redis = {}, {}
    package.loaded["resty.redis"] = redis
  end)

  after_each(function()
    package.loaded["resty.redis"] = nil
  end)

  it("cannot be reached where there is no connection to be had", function()
    function redis.new() return nil, "no memory" end
    local value, why = freddy.store.redis():load()
    assert.is_nil(value)
    assert.equal("no memory", why)
  end)

  it("logs in where it does not know how new a connection is", function()
    function redis.new()
      return {
        set_timeout = function() end,
        connect = function() return true end,
        get_reused_times = function() return nil, "closed" end,
        auth = function(_, word) said[#said + 1] = word return true end,
        get = function() return "text" end,
        set_keepalive = function() return true end,
      }
    end
    assert.equal("text", freddy.store.redis { password = "word" }:load())
    assert.same({ "word" }, said)
  end)
end)
