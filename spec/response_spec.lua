-- SPDX-License-Identifier: MIT
local fake_core = require "spec.fake_core"

local fake, freddy, client
before_each(function()
  fake = fake_core.load()
  freddy = fake.freddy
  client = freddy.new { api_key = "key" }
end)

local function answer(status, body, ...)
  local headers = { ... }
  fake.script = function()
    return { status = status, body = body, headers = headers }
  end
end

local JSON = "application/json"

describe("a response", function()
  it("has status, body, url, timing and attempts", function()
    answer(201, "text", "Content-Type", "text/plain", "X-Request-ID", "req_1")
    local res = assert(client:get("/"))
    assert.equal(201, res.status)
    assert.equal("text", res.body)
    assert.equal("https://fake/", res.url)
    assert.equal(1, res.attempts)
    assert.equal("req_1", res.request_id)
    assert.equal("number", type(res.timing.total))
    assert.is_nil(res.data)
    assert.equal("freddy.response: 201 (4 bytes)", tostring(res))
  end)

  it("has decoded data for every JSON type, in any case", function()
    for _, kind in ipairs {
      "application/json", "Application/JSON; charset=utf-8", "text/json",
      "application/problem+json", "application/vnd.x+json;v=1",
    } do
      answer(200, '{"a":"b"}', "content-type", kind)
      assert.same({ a = "b" }, client:get("/").data, kind)
    end
  end)

  it("has none for other types", function()
    for _, kind in ipairs {
      "text/plain", "application/jsonx", "application/x-ndjson", "json", "",
    } do
      answer(200, '{"a":1}', "Content-Type", kind)
      local res = assert(client:get("/"))
      assert.is_nil(res.data)
      assert.equal('{"a":1}', res.body)
    end
  end)

  it("keeps null and false apart from nothing", function()
    answer(200, "null", "Content-Type", JSON)
    assert.equal(freddy.null, client:get("/").data)
    answer(200, "false", "Content-Type", JSON)
    assert.is_false(client:get("/").data)
  end)

  it("of JSON that does not parse is an error", function()
    for _, body in ipairs { "", "{", "[1,]", "<html>", "nul" } do
      answer(200, body, "Content-Type", JSON)
      local res, err = client:get("/")
      assert.is_nil(res)
      assert.equal("protocol", err.kind)
      assert.equal("bad_json", err.reason)
      assert.equal(body, err.response.body)
      assert.is_false(err.retryable)
    end
  end)

  it("without a body is not decoded", function()
    for _, status in ipairs { 204, 205 } do
      answer(status, "", "Content-Type", JSON)
      local res = assert(client:get("/"))
      assert.equal("", res.body)
      assert.is_nil(res.data)
    end
    answer(200, "", "Content-Type", JSON)
    assert.is_nil(assert(client:head("/")).data)
    answer(304, "", "Content-Type", JSON)
    local _, err = client:get("/")
    assert.equal("http", err.kind)
    assert.equal(304, err.response.status)
  end)

  it("frees what the core holds", function()
    local seen
    answer(200, "x")
    client:send({ path = "/" }, function() end)
    seen = fake.inbox.scheduled[1]
    freddy.poll()
    assert.is_true(seen.freed)
  end)
end)

describe("its headers", function()
  local headers
  before_each(function()
    answer(200, "", "X-One", "1", "Set-Cookie", "a=1", "x-many", "a",
      "X-MANY", "b", "set-cookie", "b=2", "X-Many", "c", "All", "x")
    headers = assert(client:get("/")).headers
  end)

  it("are found in any case", function()
    assert.equal("1", headers["x-one"])
    assert.equal("1", headers["X-ONE"])
    assert.is_nil(headers["x-none"])
  end)

  it("are joined when they repeat, but for set-cookie", function()
    assert.equal("a, b, c", headers["x-many"])
    assert.equal("a=1", headers["Set-Cookie"])
    assert.same({ "a=1", "b=2" }, headers:all("set-cookie"))
    assert.same({ "a", "b", "c" }, headers:all("X-Many"))
    assert.same({}, headers:all("x-none"))
  end)

  it("can be iterated in order", function()
    local list = {}
    for _, name, value in headers:each() do
      list[#list + 1] = name .. "=" .. value
    end
    assert.same({ "X-One=1", "Set-Cookie=a=1", "x-many=a", "X-MANY=b",
      "set-cookie=b=2", "X-Many=c", "All=x" }, list)
  end)

  it("named as a method are found by it", function()
    assert.same({ "x" }, headers:all("all"))
  end)
end)

describe("freddy.json", function()
  it("encodes and decodes", function()
    assert.equal('{"a":"b"}', freddy.json.encode { a = "b" })
    assert.same({ a = "b" }, freddy.json.decode '{"a":"b"}')
    assert.equal(freddy.null, freddy.json.decode "null")
    local value, err = freddy.json.decode "{"
    assert.is_nil(value)
    assert.equal("bad_json", err.reason)
    assert.truthy(tostring(err):find("^freddy: protocol %(bad_json%)"))
  end)
end)
