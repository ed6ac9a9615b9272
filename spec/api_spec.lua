-- SPDX-License-Identifier: MIT
local fake_core = require "spec.fake_core"

local raises = fake_core.raises

local fake, freddy, client
before_each(function()
  fake = fake_core.load()
  freddy = fake.freddy
  client = freddy.new { api_key = "key" }
end)

local function answer(status, body, kind)
  fake.script = function()
    return { status = status, body = body,
      headers = { "Content-Type", kind or "application/json" } }
  end
end

local function last()
  return fake.requests[#fake.requests]
end

describe("client.models", function()
  it("lists the models, undressed, with the response", function()
    answer(200, '{"models":[{"key":"gpt-4o"}],"total_count":1}')
    local data, res = client.models:list()
    assert.equal("gpt-4o", data.models[1].key)
    assert.equal(200, res.status)
    assert.equal("GET", last().method)
    assert.equal("/v1/models", last().path)
    assert.is_nil(last().body)
  end)

  it("sends parameters in the query, unknown ones too", function()
    answer(200, "{}")
    assert(client.models:list({ ui_models_only = true, new_thing = "x" },
      { timeout = 5, headers = { ["X-A"] = "b" } }))
    assert.equal("/v1/models?new_thing=x&ui_models_only=true", last().path)
    assert.same({ total = 5 }, last().timeout)
    assert.same({ "X-A", "b" }, last().headers)
  end)

  it("checks the types of those it knows", function()
    raises("client.models:list: include_pricing must be true or false (got "
      .. "a string)", function()
        client.models:list { include_pricing = "yes" } end)
    raises("client.models:list: parameters must be a table",
      function() client.models:list(5) end)
    raises("client.models:list must be called with a colon",
      function() client.models.list({}) end)
    raises("client.models:list: takes at most 2 arguments",
      function() client.models:list(nil, nil, 1) end)
    assert.equal(0, #fake.requests)
    answer(200, "{}")
    assert(client.models:list { include_pricing = freddy.null })
    assert.equal("/v1/models", last().path)
  end)

  it("returns nil, err for what is no good answer", function()
    answer(401, '{"error":{"code":"INVALID_API_KEY","message":"m"}}')
    local data, err = client.models:list()
    assert.is_nil(data)
    assert.equal("invalid_api_key", err.reason)
    assert.equal("GET /v1/models", err.request)
    answer(200, "<html>welcome</html>", "text/html")
    data, err = client.models:list()
    assert.is_nil(data)
    assert.equal("not_json", err.reason)
    assert.truthy(err.hint:find("base_url", 1, true))
  end)
end)

describe("client.health", function()
  it("sends no credential", function()
    client = freddy.new { auth = "none" }
    answer(200, '{"status":"ok"}')
    assert.equal("ok", client.health:check().status)
    assert.equal("/v1/health/", last().path)
    assert.equal("off", last().auth)
    assert.equal("ok", client.health:details().status)
    assert.equal("/v1/health/details", last().path)
  end)

  it("sends one when it is asked to", function()
    answer(200, '{"status":"ok"}')
    client.health:check(nil, { auth = true })
    assert.equal("always", last().auth)
  end)
end)

-- The mechanism, with a group that has everything.
describe("an endpoint", function()
  local group, calls
  before_each(function()
    calls = {}
    local class = fake.api.class({
      name = "things",
      methods = {
        { name = "get", method = "GET", path = "/v1/things/{id}" },
        { name = "part", method = "DELETE",
          path = "/v1/things/{id}/parts/{part_id}" },
        { name = "update", method = "PATCH", path = "/v1/things/{id}" },
        { name = "create", method = "POST", path = "/v1/things",
          params = {
            { name = "title", type = "string", required = true },
            { name = "count", type = "integer" },
            { name = "weight", type = "number" },
            { name = "tags", type = "array" },
            { name = "meta", type = "object" },
            { name = "extra", type = "any" },
          } },
      },
    }, function(_, who, method, path, options)
      calls[#calls + 1] = { who = who, method = method, path = path,
        options = options }
      return #calls
    end)
    group = setmetatable({ client = {} }, class)
  end)

  it("takes path parameters in order, then parameters, then options",
    function()
      assert.equal(1, group:get("a"))
      assert.same({ who = "client.things:get", method = "GET",
        path = "/v1/things/a" }, calls[1])
      group:get("a", { limit = 5 }, { timeout = 1 })
      assert.same({ query = { limit = 5 }, timeout = 1 }, calls[2].options)
      group:part("a", 7)
      assert.equal("/v1/things/a/parts/7", calls[3].path)
      group:part("a", "b", { force = true })
      assert.same({ query = { force = true } }, calls[4].options)
      group:update("a", { title = "x" })
      assert.same({ json = { title = "x" } }, calls[5].options)
    end)

  it("encodes path parameters, so that none changes the path", function()
    for id, path in pairs {
      ["../models"] = "/v1/things/..%2Fmodels", [".."] = "/v1/things/%2E%2E",
      ["."] = "/v1/things/%2E", ["a/b?c#d"] = "/v1/things/a%2Fb%3Fc%23d",
      ["a b%"] = "/v1/things/a%20b%25", ["{id}"] = "/v1/things/%7Bid%7D",
    } do
      group:get(id)
      assert.equal(path, calls[#calls].path)
    end
  end)

  it("raises for path parameters that are none", function()
    raises("client.things:get: id must be a non-empty string or an integer "
      .. "(got nil)", function() group:get() end)
    raises("(got an empty one)", function() group:get("") end)
    raises("(got a table)", function() group:get({}) end)
    raises("(got a number)", function() group:get(1.5) end)
    raises("part_id must be", function() group:part("a") end)
    raises("id holds a control character", function() group:get("a\n") end)
    raises("id holds a control character", function() group:get("a\0") end)
    assert.equal(0, #calls)
  end)

  it("checks required parameters and every type", function()
    raises("client.things:create: title is required",
      function() group:create() end)
    raises("client.things:create: title is required",
      function() group:create({}) end)
    for name, bad in pairs { title = 5, count = 1.5, weight = "1",
      tags = "x", meta = 5 } do
      local given = { title = "t" }
      given[name] = bad
      raises("client.things:create: " .. name .. " must be",
        function() group:create(given) end)
    end
    group:create { title = "t", count = 1, weight = 1.5, tags = {},
      meta = {}, extra = true, unknown = 1 }
    assert.equal(1, calls[1].options.json.unknown)
  end)

  it("refuses options that are not a request's own", function()
    for _, name in ipairs { "json", "query", "body" } do
      raises(("client.things:get: unknown option %q"):format(name),
        function() group:get("a", nil, { [name] = {} }) end)
    end
  end)
end)

describe("an endpoint's answer", function()
  it("without a body is true", function()
    answer(204, "")
    local done, res = client.models:list()
    assert.is_true(done)
    assert.equal(204, res.status)
  end)
end)

describe("the tables of endpoints", function()
  it("are complete", function()
    local types = { string = 1, integer = 1, number = 1, boolean = 1,
      array = 1, object = 1, any = 1 }
    for _, group in ipairs(fake.api.groups) do
      assert.truthy(group.name and group.doc)
      assert.truthy(client[group.name])
      for _, method in ipairs(group.methods) do
        assert.truthy(method.doc and method.returns, method.name)
        assert.truthy(method.path:find("^/v1/"), method.path)
        assert.equal(method.method:upper(), method.method)
        for _, param in ipairs(method.params or {}) do
          assert.truthy(param.name and param.doc)
          assert.truthy(types[param.type], param.name)
        end
      end
    end
  end)
end)
