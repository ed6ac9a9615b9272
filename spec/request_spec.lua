-- SPDX-License-Identifier: MIT
--- Requests that go well, against the emulator and the hostile server.

local freddy = require "freddy"
local helper = require "spec.helper"

local client, plain

local function echo(path, options)
  options = options or {}
  options.path = path
  local res = freddy.assert(client:request(options))
  return res.data, res
end

-- The values of one header, as the server saw them.
local function seen(answer, name)
  local values = {}
  for _, field in ipairs(answer.headers) do
    if field.name:lower() == name then
      values[#values + 1] = field.value
    end
  end
  return values
end

setup(function()
  helper.reset()
  client = helper.client()
  plain = helper.client { base_url = helper.http }
end)

teardown(function()
  client:close()
  plain:close()
end)

describe("a verb", function()
  for _, name in ipairs { "get", "post", "put", "patch", "delete" } do
    it("is sent: " .. name, function()
      local res = freddy.assert(client[name](client, "/v1/echo"))
      assert.equal(name:upper(), res.data.method)
      assert.equal(200, res.status)
      assert.equal("", res.data.body)
    end)
  end

  it("may be any method of the user's", function()
    for _, name in ipairs { "OPTIONS", "get", "PURGE", "X-My-Method" } do
      assert.equal(name:upper(), echo("/v1/echo", { method = name }).method)
    end
  end)

  it("HEAD has the headers of GET and no body", function()
    local res = freddy.assert(client:head("/v1/models"))
    assert.equal(200, res.status)
    assert.equal("", res.body)
    assert.is_nil(res.data)
    assert.truthy(res.headers["content-type"]:find("json"))
  end)

  it("POST, PUT and PATCH say that their missing body is empty", function()
    for _, name in ipairs { "post", "put", "patch" } do
      local res = freddy.assert(plain[name](plain, "/v1/echo"))
      assert.same({ "0" }, seen(res.data, "content-length"))
      assert.same({}, seen(res.data, "content-type"))
    end
  end)
end)

describe("a request after another", function()
  -- One after the other on one connection: libcurl's handles are used again.
  it("has nothing of it", function()
    local other = helper.client { base_url = helper.http,
      user_agent = "other/1", headers = { ["x-both"] = "other" } }
    local function check(one, agent, options, method, body)
      local answer = freddy.assert(one:request(options)).data
      assert.equal(method, answer.method)
      assert.equal(body, answer.body)
      assert.same({ agent }, seen(answer, "user-agent"))
      assert.same({ options.headers and options.headers["x-one"] },
        seen(answer, "x-one"))
      assert.same({ one == other and "other" or nil }, seen(answer, "x-both"))
      assert.same({ "present" }, seen(answer, "api-key"))
    end
    local ours = "freddy/" .. freddy.version
    for _ = 1, 3 do
      check(plain, ours, { path = "/v1/echo" }, "GET", "")
      check(plain, ours, { path = "/v1/echo", headers = { ["x-one"] = "1" } },
        "GET", "")
      local _, err = plain:get("/v1/echo", { auth = false })
      assert.equal(401, err.status)
      check(plain, ours, { path = "/v1/echo", body = "x" }, "GET", "x")
      check(plain, ours, { path = "/v1/echo" }, "GET", "")
      check(other, "other/1", { path = "/v1/echo" }, "GET", "")
      check(plain, ours, { path = "/v1/echo", method = "POST", body = "y" },
        "POST", "y")
      check(plain, ours, { path = "/v1/echo", method = "DELETE" },
        "DELETE", "")
      assert.equal("", freddy.assert(plain:head("/v1/echo")).body)
    end
    other:close()
  end)
end)

describe("the answer", function()
  it("has all its fields", function()
    local res = freddy.assert(client:get("/v1/models"))
    assert.equal(200, res.status)
    assert.equal(5, #res.data.models)
    assert.equal(5, res.data.total_count)
    assert.equal("string", type(res.body))
    assert.equal(res.headers["X-Request-Id"], res.request_id)
    assert.truthy(res.request_id:find("^req_"))
    assert.equal(1, res.attempts)
    assert.equal(helper.base_url .. "/v1/models", res.url)
    for _, name in ipairs { "dns", "connect", "tls", "first_byte", "total" } do
      assert.equal("number", type(res.timing[name]))
      assert.is_true(res.timing[name] >= 0)
    end
    assert.is_true(res.timing.total > 0)
    assert.is_true(res.timing.first_byte >= res.timing.tls)
    assert.equal("freddy.response: 200 (" .. #res.body .. " bytes)",
      tostring(res))
  end)

  it("has headers in any case, joined, and each by itself", function()
    local res = freddy.assert(client:get(helper.hostile("header-repeated")))
    assert.equal("one, two", res.headers["X-TWICE"])
    assert.same({ "one", "two" }, res.headers:all("x-twice"))
    assert.equal("a=1", res.headers["set-cookie"])
    assert.same({ "a=1", "b=2" }, res.headers:all("Set-Cookie"))
    assert.is_nil(res.headers["x-none"])
    assert.same({}, res.headers:all("x-none"))
  end)

  it("of 204 and 304 has no body, whatever follows", function()
    local res = freddy.assert(client:get(helper.hostile("no-content")))
    assert.equal(204, res.status)
    assert.equal("", res.body)
    assert.is_nil(res.data)
    local _, err = client:get(helper.hostile("no-content", { code = 304 }))
    assert.equal("http", err.kind)
    assert.equal(304, err.status)
    assert.equal("", err.response.body)
  end)

  it("has data only when it says JSON", function()
    for _, media in ipairs { "application/json", "text/json",
        "application/problem+json", "Application/JSON; charset=utf-8" } do
      local res = freddy.assert(client:get(helper.hostile("status",
        { type = media })))
      assert.same({ ok = true }, res.data)
    end
    for _, media in ipairs { "text/html", "none", "application/jsonp" } do
      local res = freddy.assert(client:get(helper.hostile(
        "json-but-says-not", { type = media })))
      assert.is_nil(res.data)
      assert.equal('{"ok":true}', res.body)
    end
  end)

  it("keeps what is hard in JSON", function()
    local res = freddy.assert(client:get(helper.hostile("json-exact")))
    local data = res.data
    assert.equal(freddy.null, data.null)
    assert.equal("a\0b", data.nul)
    assert.equal(0.1, data.float)
    assert.equal("\240\159\152\128", data.pair)
    assert.equal("empty name", data[""])
    assert.equal("[]", freddy.json.encode(data.array))
    assert.equal("{}", freddy.json.encode(data.object))
    if math.type then -- luacheck: ignore
      assert.equal("9223372036854775807", tostring(data.max))
      assert.equal("1", tostring(data.integral))
    end
  end)

  it("of more than 64 KiB is parsed beside the host, and is the same",
    function()
      for _, size in ipairs { 65535, 65536, 65537, 1000000 } do
        local res = freddy.assert(client:get("/v1/blob",
          { query = { size = size, type = "json" } }))
        assert.equal(size, #res.body)
        assert.equal(size, res.data.size)
        local expected = helper.json.decode(res.body)
        assert.equal(#expected.items, #res.data.items)
        local last = #expected.items
        assert.equal(expected.items[last].text, res.data.items[last].text)
        assert.equal(freddy.null, res.data.items[last].none)
      end
    end)

  it("of more than 64 KiB that is bad JSON is an error", function()
    local body = '{"a":"' .. ("x"):rep(70000) .. '"'
    local _, err = client:post(helper.hostile("echo", { as = "body" }),
      { body = body })
    assert.is_nil(err) -- not JSON by its type
    _, err = client:post(helper.hostile("raw"), {
      body = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        .. "Content-Length: " .. #body .. "\r\n\r\n" .. body,
    })
    assert.equal("protocol", err.kind)
    assert.equal("bad_json", err.reason)
  end)

  it("is decoded from gzip, in every form", function()
    for name, args in pairs { gzip = {}, ["gzip-members"] = {} } do
      local res = freddy.assert(client:get(helper.hostile(name, args)))
      assert.equal(201, #res.data.list)
    end
    local res = freddy.assert(client:get(helper.hostile("gzip",
      { header = "full" })))
    assert.equal(201, #res.data.list)
    for _, kind in ipairs { "", "&chunked=1" } do
      local plain_res = freddy.assert(client:get("/v1/blob?size=300000"))
      res = freddy.assert(client:get("/v1/blob?size=300000&gzip=1" .. kind))
      assert.equal(300000, #res.body)
      assert.equal(plain_res.body, res.body)
      assert.equal("gzip", res.headers["content-encoding"])
    end
  end)

  it("to HEAD of a gzip answer is empty", function()
    local res = freddy.assert(client:head("/v1/blob?size=1000&gzip=1"))
    assert.equal("", res.body)
    res = freddy.assert(client:head(helper.hostile("gzip")))
    assert.equal("", res.body)
  end)

  it("may be long in its headers, up to the ceiling", function()
    local res = freddy.assert(client:get(helper.hostile("header-big",
      { size = 65000 })))
    assert.equal(65000 - 7, #res.headers["x-big"])
    res = freddy.assert(client:get(helper.hostile("header-count",
      { n = 1000 })))
    assert.is_string(res.headers["x-1000"])
  end)

  it("may come in single bytes", function()
    local res = freddy.assert(client:get(helper.hostile("drip",
      { of = "gzip-chunked" })))
    assert.same({ 1, 2, 3 }, res.data.list)
  end)

  it("may be told whole by the close alone", function()
    local res = freddy.assert(client:get(helper.hostile("until-close")))
    assert.same({ ok = true }, res.data)
  end)

  it("may follow 1xx answers", function()
    for _, name in ipairs { "continue-many", "early-hints" } do
      local res = freddy.assert(client:get(helper.hostile(name)))
      assert.equal(200, res.status)
      assert.same({ ok = true }, res.data)
    end
  end)
end)

describe("the query", function()
  it("goes as it was given, encoded", function()
    local data = echo("/v1/echo", { query = {
      b = true, a = "x y&z", n = 1.5, list = { "p", "q" }, none = freddy.null,
      ["näme"] = "ü", i = 7,
    } })
    local got = {}
    for _, pair in ipairs(data.query) do
      got[#got + 1] = pair.name .. "=" .. tostring(pair.value)
    end
    table.sort(got)
    assert.same({ "a=x y&z", "b=true", "i=7", "list=p", "list=q", "n=1.5",
      "näme=ü" }, got)
  end)

  it("keeps the order of pairs and what the path has", function()
    local data = echo("/v1/echo?z=1", { query = { { "y", 1 }, { "x", "/" } } })
    assert.equal("z=1&y=1&x=%2F", data.query_raw)
  end)

  it("is absent when it is empty", function()
    assert.equal(freddy.null, echo("/v1/echo", { query = {} }).query_raw)
  end)
end)

describe("a path", function()
  it("is sent as it is, encoded where need be", function()
    local data = echo("/v1/echo/a b/ü/%2F/x;y=1")
    assert.equal("/v1/echo/a%20b/%C3%BC/%2F/x;y=1", data.target)
  end)

  it("does not go up by dots", function()
    local data = echo("/v1/echo/..%2F../x")
    assert.equal("/v1/echo/..%2F../x", data.target)
  end)

  it("joins the path of the base URL", function()
    for _, base in ipairs { "/v1/open", "/v1/open/" } do
      local other = helper.client { base_url = helper.base_url .. base }
      local res = freddy.assert(other:get("/deep"))
      assert.equal("/v1/open/deep", res.data.target)
      assert.equal(helper.base_url .. "/v1/open/deep", res.url)
      other:close()
    end
  end)

  it("may be a full URL", function()
    local res = freddy.assert(client:get(helper.base_url .. "/v1/echo?a=1"))
    assert.equal("/v1/echo?a=1", res.data.target)
  end)
end)

describe("endpoint methods", function()
  it("list the models", function()
    local data, res = freddy.assert(client.models:list())
    assert.equal(5, #data.models)
    assert.equal(200, res.status)
    data = freddy.assert(client.models:list({ include_deprecated = true }))
    assert.equal(6, #data.models)
    data = freddy.assert(client.models:list(nil, { timeout = 5 }))
    assert.equal(5, #data.models)
  end)

  it("return what the server refuses as an error", function()
    local data, err = client:get("/v1/models",
      { query = { ui_models_only = "maybe" } })
    assert.is_nil(data)
    assert.equal("invalid", err.kind)
    assert.equal("ui_models_only", err.details.errors[1].field)
  end)

  it("ask for health without a credential", function()
    helper.reset()
    assert.equal("ok", freddy.assert(client.health:check()).status)
    assert.equal("none", helper.counters().last.credential)
    local data = freddy.assert(client.health:details())
    assert.equal(4, #data.components)
    local none = helper.client { auth = "none" }
    assert.equal("ok", freddy.assert(none.health:check()).status)
    none:close()
  end)

  it("encode their path parameters", function()
    local api = require "freddy.api"
    local fetched
    local class = api.class({ name = "things", methods = { {
      name = "get", method = "GET", path = "/v1/echo/{id}/parts/{part}",
    } } }, function(owner, _, method, path, options)
      fetched = freddy.assert(owner[method:lower()](owner, path, options))
      return fetched.data, fetched
    end)
    local things = setmetatable({ client = client }, class)
    for given, sent in pairs {
      ["../x"] = "..%2Fx", ["a/b"] = "a%2Fb", ["ü?#"] = "%C3%BC%3F%23",
      ["a b%"] = "a%20b%25", ["a.b-c_d~"] = "a.b-c_d~",
    } do
      local data = things:get(given, 7, { q = 1 })
      assert.equal("/v1/echo/" .. sent .. "/parts/7?q=1", data.target)
    end
  end)

  it("do not go up by a path parameter of dots", function()
    local api = require "freddy.api"
    local class = api.class({ name = "things", methods = { {
      name = "get", method = "GET", path = "/v1/echo/{id}/parts",
    } } }, function(owner, _, _, path)
      return freddy.assert(owner:get(path)).data
    end)
    local things = setmetatable({ client = client }, class)
    for _, id in ipairs { ".", ".." } do
      assert.equal("/v1/echo/" .. id:gsub("%.", "%%2E") .. "/parts",
        things:get(id).target)
    end
  end)
end)

describe("headers", function()
  it("of the client and of the request are sent", function()
    local other = helper.client {
      base_url = helper.http, headers = { ["X-A"] = "client", ["X-B"] = "b" },
    }
    local data = freddy.assert(other:get("/v1/echo",
      { headers = { ["x-a"] = "request", ["X-C"] = "ü" } })).data
    assert.same({ "request" }, seen(data, "x-a"))
    assert.same({ "b" }, seen(data, "x-b"))
    assert.same({ "ü" }, seen(data, "x-c"))
    other:close()
  end)

  it("may be repeated, in their order", function()
    local data = freddy.assert(plain:get("/v1/echo", { headers = {
      { "X-R", "1" }, { "X-S", "" }, { "X-R", "2" },
    } })).data
    assert.same({ "1", "2" }, seen(data, "x-r"))
    assert.same({ "" }, seen(data, "x-s"))
  end)

  it("of ours are there", function()
    local data = freddy.assert(plain:get("/v1/echo")).data
    assert.same({ "freddy/" .. freddy.version }, seen(data, "user-agent"))
    assert.same({ "gzip" }, seen(data, "accept-encoding"))
    assert.same({}, seen(data, "expect"))
    assert.same({}, seen(data, "cookie"))
    local other = helper.client { user_agent = "mine/2" }
    data = freddy.assert(other:get("/v1/echo")).data
    assert.same({ "mine/2" }, seen(data, "user-agent"))
    other:close()
  end)

  it("may be ours in the user's words", function()
    local data = freddy.assert(plain:get("/v1/echo", { headers = {
      ["User-Agent"] = "other/1", Accept = "text/plain",
    } })).data
    assert.same({ "other/1" }, seen(data, "user-agent"))
    assert.same({ "text/plain" }, seen(data, "accept"))
  end)

  it("that were set by the server come back in no request", function()
    freddy.assert(client:get(helper.hostile("header-repeated")))
    local data = freddy.assert(client:get(helper.hostile("echo"))).data
    for _, pair in ipairs(data.headers) do
      assert.are_not.equal("cookie", pair[1]:lower())
    end
  end)
end)

describe("a body", function()
  it("may be JSON", function()
    local data = echo("/v1/echo", { method = "POST", json = {
      title = "grün", n = 3, list = freddy.array {}, none = freddy.null,
    } })
    assert.same({ "application/json" }, seen(data, "content-type"))
    local sent = helper.json.decode(data.body)
    assert.equal("grün", sent.title)
    assert.truthy(data.body:find('"list":[]', 1, true))
    assert.truthy(data.body:find('"none":null', 1, true))
    assert.truthy(data.body:find('"n":3', 1, true))
  end)

  it("may be JSON of any kind, and of another type", function()
    for _, value in ipairs { "text", 12, true, false, freddy.null } do
      local data = echo("/v1/echo", { method = "POST", json = value })
      assert.equal(freddy.json.encode(value), data.body)
    end
    local data = echo("/v1/echo", { method = "POST", json = {},
      headers = { ["content-type"] = "application/x+json" } })
    assert.same({ "application/x+json" }, seen(data, "content-type"))
  end)

  it("may be JSON of lua-cjson", function()
    local other = helper.client { json = require "cjson" }
    local res = freddy.assert(other:post("/v1/echo",
      { json = { a = { 1, 2 } } }))
    assert.equal('{"a":[1,2]}', res.data.body)
    assert.equal("POST", res.data.method)
    local _, err = other:get(helper.hostile("json-bad"))
    assert.equal("bad_json", err.reason)
    _, err = other:get("/v1/status/404")
    assert.equal("RESOURCE_NOT_FOUND", err.code)
    other:close()
  end)

  it("may be any bytes", function()
    local all = {}
    for i = 0, 255 do
      all[#all + 1] = string.char(i)
    end
    for _, body in ipairs { "", "\0", table.concat(all), "a\0b",
        ("x"):rep(65536) } do
      local res = freddy.assert(client:post(helper.hostile("echo",
        { as = "body" }), { body = body }))
      assert.equal(#body, #res.body)
      assert.equal(body, res.body)
    end
  end)

  it("of 2 MiB leaves without asking first", function()
    local body = ("0123456789abcdef"):rep(131072)
    local res = freddy.assert(plain:post("/v1/echo", { body = body }))
    assert.equal(#body, res.data.body_size)
    assert.same({}, seen(res.data, "expect"))
    res = freddy.assert(client:put("/v1/echo", { body = body }))
    assert.equal(#body, res.data.body_size)
  end)

  it("may go with every method", function()
    for _, name in ipairs { "get", "delete", "patch", "put" } do
      local res = freddy.assert(client[name](client, "/v1/echo",
        { body = "abc" }))
      assert.equal(name:upper(), res.data.method)
      assert.equal("abc", res.data.body)
    end
  end)

  it("that the server answers early gives that answer", function()
    local res, err = client:post(helper.hostile("early-answer"),
      { body = ("x"):rep(100000) })
    assert.is_nil(res)
    assert.equal("http", err.kind)
    assert.equal(413, err.status)
  end)
end)

describe("a response to a request", function()
  it("that changes something", function()
    local res = freddy.assert(client:post("/v1/threads",
      { json = { title = "One" } }))
    assert.equal(201, res.status)
    local id = res.data.id
    res = freddy.assert(client:patch("/v1/threads/" .. id,
      { json = { title = "Two" } }))
    assert.equal("Two", res.data.title)
    res = freddy.assert(client:delete("/v1/threads/" .. id))
    assert.equal(204, res.status)
    assert.equal("", res.body)
    assert.is_nil(res.data)
    local _, err = client:get("/v1/threads/" .. id)
    assert.equal("not_found", err.kind)
    assert.equal(id, err.details.thread_id)
  end)
end)

describe("max_body", function()
  local function get(size, options)
    options = options or {}
    options.query = { size = size, chunked = options.chunked }
    options.chunked = nil
    return client:get("/v1/blob", options)
  end

  it("of a request lowers the bound, declared or not", function()
    for _, chunked in ipairs { "0", "1" } do
      assert.equal(1000, #freddy.assert(get(1000,
        { max_body = 1000, chunked = chunked })).body)
      local res, err = get(1001, { max_body = 1000, chunked = chunked })
      assert.is_nil(res)
      assert.equal("too_large", err.kind)
      assert.equal("body", err.reason)
      assert.equal(200, err.status)
      assert.is_true(err.sent)
      assert.is_false(err.retryable)
    end
  end)

  it("counts decoded bytes", function()
    local _, err = client:get("/v1/blob?size=100000&gzip=1",
      { max_body = 50000 })
    assert.equal("too_large", err.kind)
    assert.equal(100000, #freddy.assert(client:get(
      "/v1/blob?size=100000&gzip=1", { max_body = 100000 })).body)
    _, err = client:get(helper.hostile("gzip-bomb", { mb = 70 }))
    assert.equal("too_large", err.kind)
  end)

  it("of a client is its default, which a request may raise", function()
    local small = helper.client { max_body = 100 }
    local _, err = small:get("/v1/models")
    assert.equal("too_large", err.kind)
    assert.equal(200, freddy.assert(small:get("/v1/models",
      { max_body = 1000000 })).status)
    small:close()
  end)
end)

describe("timeout", function()
  it("of a client is taken, and a request's wins", function()
    local quick = helper.client { timeout = 0.1 }
    local _, err = quick:get("/v1/delay/60000")
    assert.equal("timeout", err.kind)
    assert.equal("total", err.reason)
    assert.equal(200, freddy.assert(quick:get("/v1/delay/150",
      { timeout = 30 })).status)
    assert.equal(200, freddy.assert(quick:get("/v1/delay/150",
      { timeout = false })).status)
    quick:close()
  end)

  it("may be in parts", function()
    local res = freddy.assert(client:get("/v1/models", { timeout = {
      connect = 5, first_byte = 5, stall = 5, total = 20,
    } }))
    assert.equal(200, res.status)
  end)
end)

describe("the credential", function()
  -- What the hostile server saw of it at this URL.
  local function credential_at(asker, url, options)
    local res = freddy.assert(asker:get(url, options))
    local found = {}
    for _, pair in ipairs(res.data.headers) do
      local name = pair[1]:lower()
      if name == "api-key" or name == "authorization" or name == "x-key" then
        found[name] = pair[2]
      end
    end
    return found
  end

  local function at(path)
    return helper.hostile_url .. "/s/echo" .. (path or "")
  end

  local function hostile_client(options)
    options.base_url = options.base_url or helper.hostile_url
    return helper.client(options)
  end

  it("is a key in its header", function()
    local one = hostile_client { api_key = "key-number-one" }
    assert.same({ ["api-key"] = "key-number-one" },
      credential_at(one, "/s/echo"))
    one:close()
    one = hostile_client { api_key = "k2", key_header = "X-Key" }
    assert.same({ ["x-key"] = "k2" }, credential_at(one, "/s/echo"))
    one:close()
  end)

  it("is a token, as bearer", function()
    local one = hostile_client { token = "t.o.k" }
    assert.same({ authorization = "Bearer t.o.k" },
      credential_at(one, "/s/echo"))
    one:close()
    local real = helper.client { token = helper.token }
    assert.equal(5, #freddy.assert(real.models:list()).models)
    real:close()
  end)

  it("is a function's, asked once for each request", function()
    local count = 0
    local one = hostile_client { api_key = function()
      count = count + 1
      return "key-" .. count
    end }
    assert.same({ ["api-key"] = "key-1" }, credential_at(one, "/s/echo"))
    assert.same({ ["api-key"] = "key-2" }, credential_at(one, "/s/echo"))
    assert.same({}, credential_at(one, "/s/echo", { auth = false }))
    assert.equal(2, count)
    one:close()
  end)

  it("is left out with auth = false", function()
    local one = hostile_client { api_key = "k" }
    assert.same({}, credential_at(one, "/s/echo", { auth = false }))
    one:close()
    one = hostile_client { auth = "none" }
    assert.same({}, credential_at(one, "/s/echo", { auth = false }))
    one:close()
  end)

  it("goes to the client's own origin only, unless asked", function()
    local other = helper.env("HOSTILE_OTHER") .. "/s/echo"
    local one = hostile_client { api_key = "k" }
    assert.same({ ["api-key"] = "k" }, credential_at(one, at()))
    assert.same({}, credential_at(one, other))
    assert.same({ ["api-key"] = "k" },
      credential_at(one, other, { auth = true }))
    -- The same port by another name is another origin.
    local renamed = helper.hostile_url:gsub("127%.0%.0%.1", "localhost")
    assert.same({}, credential_at(one, renamed .. "/s/echo"))
    -- Case and a default that is written out are not.
    assert.same({ ["api-key"] = "k" },
      credential_at(one, (at():gsub("^http", "HTTP"))))
    one:close()
  end)

  it("can be changed", function()
    local one = hostile_client { api_key = "k1" }
    assert.is_true(one.auth:set_api_key("k2"))
    assert.same({ ["api-key"] = "k2" }, credential_at(one, "/s/echo"))
    assert.is_true(one.auth:set_token("t1"))
    assert.same({ authorization = "Bearer t1" },
      credential_at(one, "/s/echo"))
    assert.is_true(one.auth:set_api_key(function() return "k3" end))
    assert.same({ ["api-key"] = "k3" }, credential_at(one, "/s/echo"))
    assert.is_true(one.auth:set_token { access_token = "t2" })
    assert.same({ authorization = "Bearer t2" },
      credential_at(one, "/s/echo"))
    one:close()
  end)
end)

describe("plain http", function()
  it("is for loopback addresses only", function()
    helper.raises_here(function()
      freddy.new { api_key = "k", base_url = "http://example.com" }
    end, "https")
    for _, url in ipairs { "http://example.com/x", "http://10.0.0.1/",
        "http://127.0.0.1.example.com/", "http://localhost.example.com/",
        "ftp://127.0.0.1/", "http://user@127.0.0.1/" } do
      local ok = pcall(client.get, client, url)
      assert.is_false(ok)
    end
  end)

  it("knows localhost without looking it up", function()
    local url = helper.http:gsub("127%.0%.0%.1", "localhost")
    local one = helper.client { base_url = url }
    local res = freddy.assert(one:get("/v1/echo"))
    assert.truthy(res.data.host:find("^localhost:"))
    assert.equal("http", res.data.scheme)
    one:close()
    url = helper.base_url:gsub("127%.0%.0%.1", "localhost")
    one = helper.client { base_url = url }
    res = freddy.assert(one:get("/v1/echo"))
    assert.equal("localhost", res.data.tls.server_name)
    one:close()
  end)

  it("is taken for all of 127.0.0.0/8", function()
    local url = helper.http:gsub("127%.0%.0%.1", "127.1.2.3")
    local one = helper.client { base_url = url, timeout = 5 }
    local _, err = one:get("/v1/models")
    assert.equal("connect", err.kind) -- nobody listens there
    one:close()
  end)
end)
