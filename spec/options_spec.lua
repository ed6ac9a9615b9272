-- SPDX-License-Identifier: MIT
local fake_core = require "spec.fake_core"

local raises = fake_core.raises

local fake, freddy, client
before_each(function()
  fake = fake_core.load()
  freddy = fake.freddy
  client = freddy.new { api_key = "key" }
end)

local function noop() end

local WRONG = { -- option, wrong values
  { "api_key", "", 5, true, "with blank", "line\n", "nul\0", {} },
  { "token", "", 5, noop, "a b", "a\r\nb" },
  { "auth", "kye", 5, true, "" },
  { "refresh_token", "", 5, noop, "a b", "a\0" },
  { "expires_in", 0, -1, "5", 0 / 0 },
  { "auth_paths", "/v1/x", 5, true },
  { "keep_warm", 1, "yes" },
  { "store", "session.json", {} },
  { "base_url", "", 5, "http://x\n", {} },
  { "key_header", "", 5, "two words", "x:y", "x\n" },
  { "timeout", 0, -1, "5", true, 0 / 0, noop },
  { "headers", "x", 5, true },
  { "user_agent", "", 5, "x\r\ny" },
  { "proxy", "", 5, "x\n", true },
  { "no_proxy", 5, true, "a;b", { 5 } },
  { "ca_file", "", 5, {}, "x\0" },
  { "ca_blob", "", 5, {}, true },
  { "client_cert", "", 5, {}, "x\n" },
  { "client_key", "", 5, {}, "x\0" },
  { "max_body", 0, -1, 1.5, "5", 0 / 0, math.huge },
  { "buffer", 0, -1, 1.5, "5" },
  { "http_version", "3", 2, 1.1, "" },
  { "max_event", 0, -1, 1.5, "5" },
  { "on_token", "", 5, {}, true },
  { "token_provider", "", 5, {}, true },
  { "exit_wait", -1, "2", true, 0 / 0, math.huge },
  { "retries", -1, 1.5, "2", math.huge, true },
  { "on_retry", "", 5, {}, true },
  { "on_event", "", 5, {}, true },
  { "on_log", "", 5, {}, true },
  { "rate_limit", "gold", 5, true, {}, { per_minute = 0 }, noop,
    { per_minute = 10, burst = 9 }, { per_minute = "10" }, { 10 } },
  { "max_in_flight", 0, -1, 1.5, "5", true, 0 / 0, math.huge },
  { "json", "cjson", 5, {}, { encode = noop }, { decode = noop } },
}

describe("an option of freddy.new", function()
  for _, row in ipairs(WRONG) do
    local name = row[1]
    it(name .. " raises at the caller for each wrong value", function()
      for i = 2, #row do
        local given = {}
        if name == "expires_in" then
          given.token = "t"
        elseif name ~= "token" and name ~= "refresh_token" then
          given.api_key = "key"
        end
        given[name] = row[i]
        raises(("option %q must be"):format(name),
          function() freddy.new(given) end)
      end
    end)
  end

  it("is known by each name of the contract", function()
    local known = {}
    for _, row in ipairs(WRONG) do
      known[row[1]] = true
    end
    local count = 0
    for _ in pairs(known) do
      count = count + 1
    end
    assert.equal(33, count)
  end)

  it("that is unknown raises with a suggestion", function()
    raises('freddy.new: unknown option "base_ulr" (did you mean "base_url"?)',
      function() freddy.new { base_ulr = "https://x" } end)
    raises('unknown option "apiKey" (did you mean "api_key"?)',
      function() freddy.new { apiKey = "x" } end)
    raises('unknown option "timeuot" (did you mean "timeout"?)',
      function() freddy.new { timeuot = 5 } end)
    raises("unknown option 1", function() freddy.new { "key" } end)
  end)

  it("that is like nothing known raises without one", function()
    local ok, err = pcall(freddy.new, { zzzzzzzzzz = 1 })
    assert.is_false(ok)
    assert.is_nil(err:find("did you mean", 1, true))
  end)

  it("never shows its value", function()
    local _, err = pcall(freddy.new, { api_key = "sk-very secret" })
    assert.is_nil(err:find("secret", 1, true))
  end)

  it("of a word is suggested, too", function()
    raises('(did you mean "key"?)',
      function() freddy.new { api_key = "k", auth = "kye" } end)
  end)

  it("auth_paths raises for what is no path, and names it", function()
    for _, path in ipairs { "x", "", 5, "/a b", "/a\n" } do
      raises("option auth_paths.refresh must be a path", function()
        freddy.new { token = "t", auth_paths = { refresh = path } }
      end)
    end
    raises('unknown option "refesh" in auth_paths', function()
      freddy.new { token = "t", auth_paths = { refesh = "/x" } }
    end)
  end)

  it("must come in a table", function()
    raises("options must be a table", function() freddy.new("key") end)
    raises("options must be a table", function() freddy.new(false) end)
  end)

  it("that the core refuses raises at the caller, too", function()
    raises("freddy.new: base_url: no URL",
      function() freddy.new { api_key = "k", base_url = "ftp://x" } end)
  end)

  it("reaches the core as it wants it", function()
    freddy.new {
      token = "t", base_url = "https://x", user_agent = "me/1",
      proxy = "http://p", ca_file = "/ca", max_body = 10, buffer = 20,
      http_version = "1.1", key_header = "X-API-Key",
      timeout = { connect = 1, first_byte = false, stall = math.huge,
        total = 2.5 },
      headers = { ["X-B"] = "2", ["X-A"] = 1 },
    }
    assert.same({
      token = "t", base_url = "https://x", user_agent = "me/1",
      proxy = "http://p", ca_file = "/ca", max_body = 10, buffer = 20,
      http1 = true, key_header = "X-API-Key",
      timeout = { connect = 1, first_byte = -1, stall = -1, total = 2.5 },
      headers = { "X-A", "1", "X-B", "2" },
    }, fake.options)
  end)
end)

describe("timeout", function()
  it("as a number means the total, and false none", function()
    freddy.new { api_key = "k", timeout = 3 }
    assert.same({ total = 3 }, fake.options.timeout)
    freddy.new { api_key = "k", timeout = false }
    assert.same({ total = -1 }, fake.options.timeout)
  end)

  it("raises for its parts, and names them", function()
    raises("option timeout.total must be a number of seconds",
      function() freddy.new { api_key = "k", timeout = { total = "1" } } end)
    raises("option timeout.connect must be",
      function() client:get("/", { timeout = { connect = 0 } }) end)
    raises('unknown option "conect" in timeout (did you mean "connect"?)',
      function() client:get("/", { timeout = { conect = 1 } }) end)
    raises("option timeout.event must be",
      function() client:get("/", { timeout = { event = 0 } }) end)
    raises("option timeout.auth is one of freddy.new only",
      function() client:get("/", { timeout = { auth = 1 } }) end)
  end)
end)

local REQUEST = {
  { "query", "x", 5, true },
  { "headers", "x", 5 },
  { "body", 5, {}, true },
  { "form", "a=1", 5, noop },
  { "multipart", "x", 5, noop },
  { "size", -1, 1.5, "1", math.huge },
  { "on_progress", {}, "x", true },
  { "timeout", 0, "5", true },
  { "auth", "none", 1, {} },
  { "max_body", 0, 1.5, "1" },
  { "save_to", "", 5, true, "a\0b" },
  { "stream", 1, "yes", {} },
  { "http_version", 2, "3", true },
  { "retries", -1, 1.5, "2", math.huge, true },
  { "idempotent", 1, "yes" },
  { "cancel_on_abort", 1, "yes" },
}

describe("an option of a request", function()
  for _, row in ipairs(REQUEST) do
    local name = row[1]
    it(name .. " raises at the caller for each wrong value", function()
      for i = 2, #row do
        local given = { [name] = row[i] }
        raises(("client:get: option %q must be"):format(name),
          function() client:get("/v1/models", given) end)
        given.path = "/v1/models"
        raises(("client:request: option %q must be"):format(name),
          function() client:request(given) end)
        raises(("client:send: option %q must be"):format(name),
          function() client:send(given, noop) end)
      end
      assert.equal(0, #fake.requests)
    end)
  end

  for _, verb in ipairs { "get", "head", "post", "put", "patch", "delete" } do
    it("that is unknown raises in client:" .. verb, function()
      raises(('client:%s: unknown option "qurey" (did you mean "query"?)')
        :format(verb),
        function() client[verb](client, "/", { qurey = {} }) end)
      raises(("client:%s: options must be a table"):format(verb),
        function() client[verb](client, "/", "x") end)
      raises(("client:%s must be called with a colon"):format(verb),
        function() client[verb]("/v1/models") end)
      raises(("client:%s: the path must be a string"):format(verb),
        function() client[verb](client) end)
    end)
  end

  it("that is unknown raises in request, send and endpoints", function()
    raises('unknown option "methd" (did you mean "method"?)',
      function() client:request { methd = "GET", path = "/" } end)
    raises('unknown option "pth" (did you mean "path"?)',
      function() client:send({ pth = "/" }, noop) end)
    raises('client.models:list: unknown option "timeot"',
      function() client.models:list(nil, { timeot = 1 }) end)
    raises("client.models:list: unknown option \"json\"",
      function() client.models:list(nil, { json = {} }) end)
    raises("client:request: path is required",
      function() client:request {} end)
    raises("client:send: the callback must be a function",
      function() client:send { path = "/" } end)
    raises('option "method" must be a method, such as "GET"', function()
      client:request { path = "/", method = "GE T" } end)
  end)

  it("raises at the user's line inside a task", function()
    local line, failure
    local task = freddy.spawn(function()
      line = debug.getinfo(1, "l").currentline + 1
      client:get("/", { qurey = {} })
    end)
    local _, err = task:wait()
    failure = err.message
    local place = ":" .. line .. ": client:get: unknown option"
    assert.truthy(failure:find(place, 1, true), failure)
  end)

  it("raises where a freddy function was spawned", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local task = freddy.spawn(client.get, client, "/", { qurey = {} })
    local _, err = task:wait()
    assert.truthy(err.message:find(":" .. line .. ": client:get", 1, true),
      err.message)
  end)

  it("raises at the user's line through pcall and freddy.pcall", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local _, err = pcall(client.get, client, 5)
    assert.truthy(err:find("options_spec.lua:" .. line, 1, true), err)
    local ok
    line = debug.getinfo(1, "l").currentline + 1
    ok, err = freddy.pcall(client.get, client, 5)
    assert.is_false(ok)
    assert.truthy(err:find("options_spec.lua:" .. line, 1, true), err)
  end)
end)

describe("the path of a request", function()
  it("must begin with a slash or be a full URL", function()
    raises("the path must begin with", function() client:get("v1/models") end)
    raises("the path must begin with", function() client:get("") end)
    raises("the path must begin with",
      function() client:get("ftp://x/") end)
    assert.truthy(client:get("https://x/y"))
  end)

  it("raises for what the core refuses", function()
    raises("client:get: path: a control character",
      function() client:get("/a\r\nb") end)
    raises('client:send: option "path" must be a string without control',
      function() client:send({ path = "/a\r\nb" }, noop) end)
  end)
end)

local function path_of(query)
  client:get("/v1/x", { query = query })
  return fake.requests[#fake.requests].path:sub(#"/v1/x" + 1)
end

describe("query", function()
  it("is a map, in the order of its names", function()
    assert.equal("?a=1&b=x%20y&c=true", path_of { c = true, b = "x y", a = 1 })
  end)

  it("is an array of pairs, in its own order", function()
    local pairs_of = { { "b", 1 }, { "a", 2 }, { "b", 3 } }
    assert.equal("?b=1&a=2&b=3", path_of(pairs_of))
  end)

  it("repeats a name for each value of an array", function()
    assert.equal("?id=1&id=b&id=false", path_of { id = { 1, "b", false } })
    assert.equal("", path_of { id = {} })
  end)

  it("leaves out nil and null", function()
    assert.equal("", path_of {})
    assert.equal("?a=1", path_of { a = 1, b = freddy.null })
    assert.equal("?a=1", path_of { { "b", freddy.null }, { "a", 1 }, { "c" } })
  end)

  it("writes numbers exactly", function()
    assert.equal("?n=5", path_of { n = 5.0 })
    assert.equal("?n=-3", path_of { n = -3 })
    assert.equal("?n=0.1", path_of { n = 0.1 })
    assert.equal("?n=9007199254740991", path_of { n = 2 ^ 53 - 1 })
    assert.equal(0.1 + 0.2, tonumber(path_of { n = 0.1 + 0.2 }:sub(4)))
    local exact = rawget(math, "maxinteger")
    if exact then
      assert.equal("?n=9223372036854775807", path_of { n = exact })
    end
  end)

  it("keeps what the path has already", function()
    client:get("/v1/x?a=1", { query = { b = "2" } })
    assert.equal("/v1/x?a=1&b=2", fake.requests[1].path)
  end)

  it("encodes names and values", function()
    assert.equal("?a%26b=c%3Dd%23", path_of { ["a&b"] = "c=d#" })
    assert.equal("?a=", path_of { a = "" })
  end)

  it("raises for what it cannot hold", function()
    raises('query "a" must be a string, a number',
      function() client:get("/", { query = { a = noop } }) end)
    raises('query "a" must be a finite number',
      function() client:get("/", { query = { a = 0 / 0 } }) end)
    raises('query "a" must be a finite number',
      function() client:get("/", { query = { a = math.huge } }) end)
    raises('query "a" must be an array, not a map',
      function() client:get("/", { query = { a = { b = 1 } } }) end)
    raises('query "a" must not be an array of tables',
      function() client:get("/", { query = { a = { {} } } }) end)
    raises("query[2] must be { name, value }",
      function() client:get("/", { query = { { "a", 1 }, "b" } }) end)
    raises("query must be a map, or an array",
      function() client:get("/", { query = { [true] = 1 } }) end)
    for _, bad in ipairs { "\r", "\n", "\0", "a\27b", "\127", "\t" } do
      raises('query "a" holds a control character',
        function() client:get("/", { query = { a = bad } }) end)
      raises("query has a name that is empty or holds a control character",
        function() client:get("/", { query = { [bad] = 1 } }) end)
    end
    assert.equal(0, #fake.requests)
  end)
end)

describe("headers", function()
  it("are a map or an array of pairs", function()
    client:get("/", { headers = { ["X-B"] = "b", ["X-A"] = 5 } })
    assert.same({ "X-A", "5", "X-B", "b" }, fake.requests[1].headers)
    client:get("/", { headers = { { "X-B", "1" }, { "X-B", "2" } } })
    assert.same({ "X-B", "1", "X-B", "2" }, fake.requests[2].headers)
  end)

  it("raise for control characters and for what is no header", function()
    for _, bad in ipairs { "a\r\nb", "a\nb", "a\0b", " a", "a ", "\27" } do
      raises('header "X" must be text without control characters',
        function() client:get("/", { headers = { X = bad } }) end)
      raises('header "X" must be text without control characters',
        function() freddy.new { api_key = "k", headers = { X = bad } } end)
    end
    for _, bad in ipairs { "", "a b", "a:b", "a\n", "a\0" } do
      raises("a name that is no header name",
        function() client:get("/", { headers = { [bad] = "x" } }) end)
    end
    raises('header "X" must be text', function()
      client:get("/", { headers = { X = true } }) end)
    raises('header "X" must be a finite number',
      function() client:get("/", { headers = { X = 0 / 0 } }) end)
    assert.equal(0, #fake.requests)
  end)

  it("raise for credentials and for what frames the message", function()
    for _, name in ipairs { "Authorization", "api-key", "X-API-Key" } do
      raises(("header %q carries a credential"):format(name),
        function() client:get("/", { headers = { [name] = "x" } }) end)
      local given = { api_key = "k", headers = { [name] = "x" } }
      raises(("header %q carries a credential"):format(name),
        function() freddy.new(given) end)
    end
    local own = freddy.new { api_key = "k", key_header = "X-Mine" }
    raises('header "x-mine" carries a credential',
      function() own:get("/", { headers = { ["x-mine"] = "x" } }) end)
    raises('header "Content-Length" is set by freddy itself',
      function() client:get("/", { headers = { ["Content-Length"] = 1 } }) end)
  end)
end)

describe("json and body", function()
  it("are sent, json with its content type", function()
    client:post("/", { json = { a = "x" } })
    assert.equal('{"a":"x"}', fake.requests[1].body)
    assert.same({ "Content-Type", "application/json" },
      fake.requests[1].headers)
    client:post("/", { json = {}, headers = { ["content-type"] = "a/b" } })
    assert.same({ "content-type", "a/b" }, fake.requests[2].headers)
    client:post("/", { body = "raw\0bytes" })
    assert.equal("raw\0bytes", fake.requests[3].body)
    assert.is_nil(fake.requests[3].headers)
  end)

  it("exclude each other", function()
    raises("client:post: json and body exclude each other",
      function() client:post("/", { json = {}, body = "" }) end)
  end)

  it("name the path to what JSON cannot hold, at the caller", function()
    local inputs = { inputs = { {}, { content = noop } } }
    raises("client:post: json.inputs[2].content: a function cannot",
      function() client:post("/", { json = inputs }) end)
    raises("client:post: json[1]: a function cannot",
      function() client:post("/", { json = { noop } }) end)
    raises("client:post: json: a function cannot",
      function() client:post("/", { json = noop }) end)
    raises("freddy.json.encode: value.a: a function cannot",
      function() freddy.json.encode { a = noop } end)
    raises("freddy.json.decode: a string expected",
      function() freddy.json.decode(5) end)
    raises("freddy.array: a table expected", function() freddy.array(5) end)
  end)

  it("are encoded and decoded by another codec", function()
    local codec = {
      encode = function(value) return "<" .. value .. ">" end,
      decode = function(text) return "decoded " .. text end,
    }
    local own = freddy.new { api_key = "k", json = codec }
    fake.script = function()
      return { status = 200, body = "[]",
        headers = { "content-type", "application/json" } }
    end
    local res = own:post("/", { json = "x" })
    assert.equal("<x>", fake.requests[1].body)
    assert.equal("decoded []", res.data)
    codec.encode = function() error("no way", 0) end
    raises("client:post: json: no way",
      function() own:post("/", { json = 1 }) end)
    codec.decode = function() error("bad", 0) end
    local err
    res, err = own:get("/")
    assert.is_nil(res)
    assert.equal("bad_json", err.reason)
  end)
end)

describe("auth", function()
  it("of a request says where the credential goes", function()
    client:get("/")
    client:get("/", { auth = false })
    client:get("/", { auth = true })
    assert.is_nil(fake.requests[1].auth)
    assert.equal("off", fake.requests[2].auth)
    assert.equal("always", fake.requests[3].auth)
  end)

  it("raises for two credentials", function()
    raises("api_key and token are two credentials",
      function() freddy.new { api_key = "k", token = "t" } end)
    raises('auth = "none" and api_key exclude each other',
      function() freddy.new { api_key = "k", auth = "none" } end)
    raises('auth = "none" and token exclude each other',
      function() freddy.new { token = "t", auth = "none" } end)
    raises('auth = "key" and token exclude each other',
      function() freddy.new { token = "t", auth = "key" } end)
    raises("api_key and refresh_token are two credentials",
      function() freddy.new { api_key = "k", refresh_token = "t" } end)
    raises('auth = "bearer" exchanges an api_key',
      function() freddy.new { token = "t", auth = "bearer" } end)
    raises('auth = "bearer" wants api_key as a string',
      function() freddy.new { api_key = noop, auth = "bearer" } end)
    raises("expires_in is the life of token",
      function() freddy.new { refresh_token = "t", expires_in = 5 } end)
  end)
end)

describe("a function of the module", function()
  it("raises at the caller for a wrong argument", function()
    raises("freddy.spawn: a function expected", function() freddy.spawn(5) end)
    raises("freddy.run: a function expected", function() freddy.run({}) end)
    raises("freddy.all: an array of functions", function() freddy.all(5) end)
    raises("freddy.all: [2]: a function expected",
      function() freddy.all { noop, 5 } end)
    raises("freddy.sleep: seconds must be", function() freddy.sleep(-1) end)
    raises("freddy.sleep: seconds must be", function() freddy.sleep("1") end)
    raises("freddy.sleep: seconds must be", function() freddy.sleep(0 / 0) end)
    raises("freddy.poll: the budget must be", function() freddy.poll("1") end)
    raises("freddy.poll: the budget must be", function() freddy.poll(-1) end)
    raises('freddy.use: unknown host "lop" (did you mean "loop"?)',
      function() freddy.use("lop") end)
    raises('freddy.use: the host "nginx" cannot be used: this is no nginx',
      function() freddy.use("nginx") end)
    raises("freddy.use: the name of a host", function() freddy.use(5) end)
    raises("freddy.store.redis: a table expected",
      function() freddy.store.redis("host") end)
    raises('freddy.store.redis: unknown option "hots" (did you mean "host"?)',
      function() freddy.store.redis { hots = "a" } end)
    raises('freddy.store.redis: option "port" must be a number',
      function() freddy.store.redis { port = "6379" } end)
    raises("freddy.store.shared_dict: a name expected",
      function() freddy.store.shared_dict() end)
    raises("freddy.store.shared_dict: nginx has no `lua_shared_dict none`",
      function() freddy.store.shared_dict "none" end)
    raises("freddy.use: the name of a host", function() freddy.use({}) end)
    local task = freddy.spawn(noop)
    raises("task:wait: timeout must be", function() task:wait("1") end)
    raises("task:wait must be called with a colon",
      function() task.wait(5) end)
    raises("task:cancel must be called with a colon",
      function() task.cancel() end)
    raises("task:status must be called with a colon",
      function() task.status() end)
    raises("client:close must be called with a colon",
      function() client.close() end)
    local call = client:send({ path = "/" }, noop)
    raises("call:cancel must be called with a colon",
      function() call.cancel() end)
  end)

  it("raises at the caller in client.auth", function()
    raises("client.auth:set_api_key: the key must be",
      function() client.auth:set_api_key("") end)
    raises("client.auth:set_api_key: the key must be",
      function() client.auth:set_api_key("a\nb") end)
    raises("client.auth:set_token: the token must be",
      function() client.auth:set_token(5) end)
    raises("client.auth:set_token: the refresh_token must be", function()
      client.auth:set_token { access_token = "a", refresh_token = "" } end)
    raises("expires_in must be a number", function()
      client.auth:set_token { access_token = "a", expires_in = -1 } end)
    raises("there is no access_token",
      function() client.auth:set_token {} end)
    raises('unknown field "token"',
      function() client.auth:set_token { token = "a" } end)
    raises("client.auth:set_token must be called with a colon",
      function() client.auth.set_token("x") end)
    raises("client.auth:status must be called with a colon",
      function() client.auth.status() end)
  end)
end)
