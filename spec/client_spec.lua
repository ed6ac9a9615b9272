-- SPDX-License-Identifier: MIT
local fake_core = require "spec.fake_core"
local helper = require "spec.helper"

-- The environment that freddy sees.
local environment
local real_getenv = os.getenv

local fake, freddy
before_each(function()
  environment = {}
  os.getenv = function(name) -- luacheck: ignore 122
    if name:find("^FREDDY_") then
      return environment[name]
    end
    return real_getenv(name)
  end
  fake = fake_core.load()
  freddy = fake.freddy
end)

after_each(function()
  os.getenv = real_getenv -- luacheck: ignore 122
end)

local SECRET = "sk-0123456789abcdef0123"

describe("freddy.new", function()
  it("without a credential anywhere is nil and missing_credentials", function()
    local client, err = freddy.new()
    assert.is_nil(client)
    assert.equal("missing_credentials", err.kind)
    assert.truthy(err.hint:find("FREDDY_API_KEY", 1, true))
    assert.is_false(err.sent)
    assert.is_nil(freddy.new {})
  end)

  it("takes the key from the environment, else the token", function()
    environment.FREDDY_JWT_TOKEN = "jwt"
    assert.equal("token", freddy.new().auth:status().kind)
    environment.FREDDY_API_KEY = SECRET
    assert.same({
      kind = "key", state = "fresh", tail = "0123", refreshing = false,
      refreshes = 0,
    },
      freddy.new().auth:status())
    assert.is_nil(fake.options.token)
  end)

  it("takes base URL and CA file with the credential only", function()
    environment.FREDDY_API_KEY = "key"
    environment.FREDDY_BASE_URL = "https://env"
    environment.FREDDY_CA_FILE = "/env/ca"
    freddy.new()
    assert.equal("https://env", fake.options.base_url)
    assert.equal("/env/ca", fake.options.ca_file)
    freddy.new { base_url = "https://own" }
    assert.equal("https://own", fake.options.base_url)
    freddy.new { api_key = "other" }
    assert.equal("other", fake.options.api_key)
    assert.is_nil(fake.options.base_url)
    assert.is_nil(fake.options.ca_file)
    freddy.new { auth = "none" }
    assert.is_nil(fake.options.base_url)
    assert.is_nil(fake.options.api_key)
  end)

  it("counts an empty variable as unset", function()
    environment.FREDDY_API_KEY = ""
    environment.FREDDY_BASE_URL = ""
    assert.is_nil(freddy.new())
    environment.FREDDY_JWT_TOKEN = "jwt"
    assert.truthy(freddy.new())
    assert.is_nil(fake.options.base_url)
  end)

  it("refuses a variable that can be no credential, unseen", function()
    environment.FREDDY_API_KEY = "secret\n"
    local client, err = freddy.new()
    assert.is_nil(client)
    assert.equal("missing_credentials", err.kind)
    assert.truthy(err.message:find("FREDDY_API_KEY", 1, true))
    assert.is_nil(tostring(err):find("secret", 1, true))
  end)

  it('with auth = "key" takes no token', function()
    environment.FREDDY_JWT_TOKEN = "jwt"
    assert.is_nil(freddy.new { auth = "key" })
    environment.FREDDY_API_KEY = "key"
    assert.equal("key", freddy.new { auth = "key" }.auth:status().kind)
  end)

  it('with auth = "bearer" takes a key to exchange, and no token', function()
    environment.FREDDY_JWT_TOKEN = "jwt"
    local client, err = freddy.new { auth = "bearer" }
    assert.is_nil(client)
    assert.equal("missing_credentials", err.kind)
    assert.truthy(err.message:find("FREDDY_API_KEY", 1, true))
    local store = freddy.session_file "/tmp/session"
    assert.is_nil(freddy.new { auth = "bearer", store = store })
    environment.FREDDY_API_KEY = "key"
    for _, given in ipairs { { auth = "bearer" },
        { auth = "bearer", store = store } } do
      assert.truthy(freddy.new(given))
      assert.equal("key", fake.options.api_key)
      assert.is_true(fake.options.exchange)
      assert.is_nil(fake.options.token)
    end
  end)

  it("never shows a secret by tostring", function()
    local client = freddy.new { api_key = SECRET }
    assert.equal("freddy.client: key", tostring(client))
    assert.equal("freddy.auth: key", tostring(client.auth))
  end)
end)

describe("a client without a credential", function()
  it("sends nothing that needs one", function()
    local client = freddy.new { auth = "none" }
    local res, err = client:get("/v1/models")
    assert.is_nil(res)
    assert.equal("missing_credentials", err.kind)
    assert.is_false(err.sent)
    assert.truthy(client:get("/v1/health/", { auth = false }))
    assert.same({
      kind = "none", state = "empty", tail = "", refreshing = false,
      refreshes = 0,
    },
      client.auth:status())
  end)

  it("can be given one, and another", function()
    local client = freddy.new { auth = "none" }
    assert.is_true(client.auth:set_api_key(SECRET))
    assert.equal("key", client.auth:status().kind)
    assert.truthy(client:get("/"))
    assert.is_true(client.auth:set_token("jwt"))
    assert.equal("token", client.auth:status().kind)
    assert.is_true(client.auth:set_token { access_token = "jwt2" })
    assert.is_true(client.auth:set_api_key(function() return "fn" end))
    assert.equal("key", client.auth:status().kind)
    client:get("/")
    assert.equal("fn", fake.requests[#fake.requests].api_key)
    assert.is_true(client.auth:set_token("jwt"))
    client:get("/")
    assert.is_nil(fake.requests[#fake.requests].api_key)
  end)
end)

describe("a function as api_key", function()
  local count, client, answer
  before_each(function()
    count = 0
    answer = function() return "key-" .. count end
    client = freddy.new { api_key = function()
      count = count + 1
      return answer()
    end }
  end)

  it("is called once for each request that carries it", function()
    assert.equal(0, count)
    client:get("/")
    client:get("/")
    client:get("/", { auth = false })
    assert.equal(2, count)
    assert.equal("key-1", fake.requests[1].api_key)
    assert.equal("key-2", fake.requests[2].api_key)
    assert.is_nil(fake.requests[3].api_key)
    assert.same({
      kind = "key", state = "fresh", tail = "", refreshing = false,
      refreshes = 0,
    },
      client.auth:status())
  end)

  local function refused(what)
    local res, err = client:get("/v1/x")
    assert.is_nil(res)
    assert.equal("auth", err.kind)
    assert.equal("key_unavailable", err.reason)
    assert.truthy(err.message:find(what, 1, true), err.message)
    assert.is_false(err.sent)
    assert.equal("GET /v1/x", err.request)
    assert.equal(0, #fake.requests)
    return err
  end

  it("that gives no key is nil, err", function()
    answer = function() end
    refused("returned nothing")
    for _, bad in ipairs { "", 5, {}, true, "a\nb", "a b", "a\0" } do
      answer = function() return bad end
      refused("returned no usable key")
    end
  end)

  it("that raises is nil, err, with the text masked", function()
    client.auth:set_api_key(SECRET)
    client.key_function = function() error("no " .. SECRET .. " here", 0) end
    assert.equal("the function given as api_key raised: no *** here",
      refused("raised").message)
    client.key_function = function() error() end
    refused("raised")
    client.key_function = function() error(setmetatable({}, {
      __tostring = function() error("worse") end }))
    end
    refused("raised")
  end)

  it("must not wait", function()
    answer = function() return freddy.sleep(1) end
    assert.truthy(refused("raised").message:find("must not wait", 1, true))
    answer = function() return client:get("/") end
    answer = function() coroutine.yield() end
    refused("tried to wait")
    freddy.run(function() refused("tried to wait") end)
    answer = function() return "good" end
    assert.truthy(client:get("/"))
    assert.is_true(freddy.sleep(1))
  end)
end)

describe("a verb", function()
  it("sends its method, and waits for the answer", function()
    local client = freddy.new { api_key = "key" }
    fake.script = function(request)
      return { status = 200, body = request.method, delay = 2 }
    end
    for _, verb in ipairs { "get", "post", "put", "patch", "delete" } do
      local res = assert(client[verb](client, "/v1/x"))
      assert.equal(verb:upper(), res.body)
    end
    assert.truthy(client:head("/"))
    assert.equal("GET", client:request { path = "/" }.body)
    assert.equal("PATCH",
      client:request({ path = "/", method = "patch" }).body)
  end)

  it("posts what the core wants", function()
    local client = freddy.new { api_key = "key" }
    client:get("/v1/x", { timeout = 5, max_body = 100 })
    local sent = fake.requests[1]
    assert.same({ total = 5 }, sent.timeout)
    assert.equal(100, sent.max_body)
    assert.is_true(sent.json)
  end)
end)

describe("client:send", function()
  local client
  before_each(function()
    client = freddy.new { api_key = "key" }
  end)

  it("calls back later, in a task that may wait", function()
    local order = {}
    fake.script = function(request)
      return { status = 200, body = request.path, delay = 1 }
    end
    client:send({ path = "/a" }, function(res, err)
      assert.is_nil(err)
      order[#order + 1] = res.body
      order[#order + 1] = client:get("/b").body
    end)
    assert.same({}, order)
    freddy.run(function() end)
    assert.same({ "/a", "/b" }, order)
  end)

  it("never calls back before it returns, failures included", function()
    local called
    client:close()
    local call = client:send({ path = "/a" }, function(res, err)
      assert.is_nil(res)
      called = err.kind
    end)
    assert.is_nil(called)
    assert.equal("freddy.call: GET (done)", tostring(call))
    call:cancel()
    freddy.poll()
    assert.equal("closed", called)
  end)

  it("can be cancelled, as often as one likes", function()
    local count, kind = 0, nil
    fake.script = function() return { hold = true } end
    local call = client:send({ path = "/a" }, function(_, err)
      count = count + 1
      kind = err.kind
    end)
    call:cancel()
    call:cancel()
    assert.equal(0, count)
    assert.equal(1, freddy.poll())
    call:cancel()
    assert.equal(0, freddy.poll())
    assert.equal(1, count)
    assert.equal("cancelled", kind)
    assert.equal(1, fake.cancelled)
  end)

  it("keeps its call alive without anybody holding it", function()
    local done
    fake.script = function() return { status = 200, delay = 1 } end
    client:send({ path = "/a" }, function() done = true end)
    helper.collect()
    fake_core.advance(fake, 2)
    freddy.poll()
    assert.is_true(done)
  end)

  it("shows no secret", function()
    client = freddy.new { api_key = function() return SECRET end }
    local call = client:send({ path = "/a" }, function() end)
    assert.is_nil(tostring(call):find(SECRET, 1, true))
  end)

  it("hands an error in its callback to freddy.on_error", function()
    local seen
    freddy.on_error = function(err) seen = err end
    client:send({ path = "/a" }, function() error("oops") end)
    freddy.poll()
    assert.equal("task", seen.kind)
    assert.truthy(seen.message:find("oops", 1, true))
    assert.truthy(seen.details.traceback:find("client_spec", 1, true))
  end)
end)

describe("client:close", function()
  it("ends what follows with closed, and may be repeated", function()
    local client = freddy.new { api_key = "key" }
    client:close()
    client:close()
    local res, err = client:get("/v1/x")
    assert.is_nil(res)
    assert.equal("closed", err.kind)
    assert.truthy(tostring(err):find("freddy.new", 1, true))
    local ok
    ok, err = client.auth:set_token("x")
    assert.is_nil(ok)
    assert.equal("closed", err.kind)
    assert.equal("none", freddy.new { auth = "none" }.auth:status().kind)
  end)

  it("is what 5.4 calls at the end of a <close> variable", function()
    local client = freddy.new { api_key = "key" }
    getmetatable(client).__close(client)
    assert.equal("closed", select(2, client:get("/")).kind)
  end)
end)
