-- SPDX-License-Identifier: MIT
--- Every kind of failure that this version knows, each made by a server.

local freddy = require "freddy"
local helper = require "spec.helper"

local client, emulator

local function new(options)
  options.api_key = options.api_key or "a-key-of-20-characters"
  options.base_url = options.base_url or helper.hostile_url
  return freddy.assert(freddy.new(options))
end

local function fails(path, options)
  local res, err = client:get(path, options)
  assert.is_nil(res)
  local line = tostring(err)
  assert.is_nil(line:find("\n", 1, true))
  assert.is_true(#line <= 320, line)
  return err
end

setup(function()
  helper.reset()
  helper.hostile_reset()
  client = new {}
  emulator = helper.client()
end)

teardown(function()
  client:close()
  emulator:close()
end)

local by_scenario = {
  { "close-before", {}, "cut" },
  { "reset-before", {}, "cut" },
  { "close-at", { n = 60 }, "cut" },
  { "body-short", {}, "cut" },
  { "chunk-short", {}, "cut" },
  { "chunk-no-last", {}, "cut" },
  { "gzip-truncated", {}, "cut" },
  { "continue-only", {}, "cut" },
  { "no-blank-line", { at = "value" }, "cut" },
  { "no-blank-line", { at = "digits" }, "cut" },
  { "no-blank-line", { at = "lf" }, "cut" },
  { "chunk-bad", {}, "protocol", "bad_chunk" },
  { "length-two", {}, "protocol", "bad_length" },
  { "length-bad", {}, "protocol", "bad_length" },
  { "length-negative", {}, "protocol", "bad_length" },
  { "gzip-corrupt", { what = "crc" }, "protocol", "bad_gzip" },
  { "gzip-corrupt", { what = "data" }, "protocol", "bad_gzip" },
  { "gzip-not", {}, "protocol", "bad_gzip" },
  { "encoding-unknown", {}, "protocol", "bad_encoding" },
  { "upgrade-101", {}, "protocol", "bad_upgrade" },
  { "garbage", {}, "protocol" },
  { "http09", {}, "protocol" },
  { "json-bad", { kind = "comma" }, "protocol", "bad_json" },
  { "not-json-but-says-so", {}, "protocol", "bad_json" },
  { "json-deep", { n = 129 }, "protocol", "bad_json" },
  { "headers-endless", { mb = 8 }, "too_large", "header" },
  { "header-line-endless", { mb = 8 }, "too_large", "header" },
  { "continue-endless", { mb = 8 }, "too_large", "header" },
  { "length-huge", {}, "too_large", "body" },
  { "gzip-bomb", { mb = 100 }, "too_large", "body" },
  { "body-endless", { mb = 100 }, "too_large", "body" },
}

describe("an answer that is not right", function()
  for _, row in ipairs(by_scenario) do
    local name, args, kind, reason = row[1], row[2], row[3], row[4]
    it("is " .. kind .. ": " .. name, function()
      local err = fails(helper.hostile(name, args))
      assert.equal(kind, err.kind)
      if reason then
        assert.equal(reason, err.reason)
      end
      assert.is_true(err.sent)
      assert.equal(200, freddy.assert(client:get "/s/ok").status)
    end)
  end

  it("is too_large over a max_body of one's own", function()
    local err = fails(helper.hostile("json-big", { mb = 1 }),
      { max_body = 1000 })
    assert.equal("too_large", err.kind)
    assert.equal("body", err.reason)
  end)
end)

describe("time runs out", function()
  for reason, scenario in pairs {
    first_byte = { "never", {} }, stall = { "stall-after", { n = 60 } },
    total = { "never", {} },
  } do
    it("for " .. reason, function()
      local err = fails(helper.hostile(scenario[1], scenario[2]),
        { timeout = { [reason] = 0.1 } })
      assert.equal("timeout", err.kind)
      assert.equal(reason, err.reason)
      assert.is_true(err.sent)
    end)
  end

  it("for connect, where the backlog is full", function()
    local full = new { base_url = "http://" .. helper.env "HOSTILE_FULL" }
    local _, err = full:get("/", { timeout = { connect = 0.1 } })
    assert.equal("timeout", err.kind)
    assert.equal("connect", err.reason)
    assert.is_false(err.sent)
    full:close()
  end)
end)

describe("no connection", function()
  it("is connect", function()
    local closed = new { base_url = "http://" .. helper.env "HOSTILE_CLOSED" }
    local _, err = closed:get "/"
    assert.equal("connect", err.kind)
    assert.is_false(err.sent)
    assert.is_true(err.retryable)
    closed:close()
  end)

  it("is resolve for a name that nobody has", function()
    local lost = new { base_url = "https://no-such-host.invalid" }
    local _, err = lost:get "/"
    assert.equal("resolve", err.kind)
    assert.is_false(err.sent)
    lost:close()
  end)
end)

describe("a status", function()
  local kinds = {
    [400] = "invalid", [401] = "unauthorized", [403] = "forbidden",
    [404] = "not_found", [409] = "conflict", [418] = "http",
    [422] = "invalid", [429] = "rate_limited", [500] = "server",
    [502] = "server", [503] = "server", [504] = "server", [302] = "http",
  }
  for status, kind in pairs(kinds) do
    it(status .. " is " .. kind .. ", in every shape", function()
      for _, shape in ipairs {
        "E1", "E2", "E3", "E4", "E4m", "E5", "detail", "list", "text", "html",
        "empty",
      } do
        local res, err = emulator:get("/v1/status/" .. status,
          { query = { shape = shape } })
        assert.is_nil(res)
        assert.equal(kind, err.kind)
        assert.equal(status, err.status)
        assert.equal(status, err.response.status)
        assert.is_string(err.message)
        assert.is_true(#err.message > 0)
        assert.is_true(#tostring(err) <= 320, tostring(err))
      end
    end)
  end

  it("401 says why, and what to do", function()
    local bad = helper.client { api_key = "not-the-right-key" }
    local _, err = bad.models:list()
    assert.equal("unauthorized", err.kind)
    assert.equal("invalid_api_key", err.reason)
    assert.equal("INVALID_API_KEY", err.code)
    assert.is_string(err.hint)
    assert.is_string(err.trace_id)
    bad:close()
  end)
end)

describe("without a server", function()
  it("missing_credentials, auth and task have their names", function()
    local bare = freddy.assert(freddy.new {
      auth = "none", base_url = helper.hostile_url,
    })
    local _, err = bare:get "/s/ok"
    assert.equal("missing_credentials", err.kind)
    assert.is_false(err.sent)
    bare:close()
    local broken = new { api_key = function()
      error "no key today"
    end }
    _, err = broken:get "/s/ok"
    assert.equal("auth", err.kind)
    assert.equal("key_unavailable", err.reason)
    broken:close()
    _, err = freddy.spawn(function()
      error "oops"
    end):wait()
    assert.equal("task", err.kind)
    assert.is_string(err.details.traceback)
  end)
end)

-- Right answers, cut at every byte: the whole answer or an error of the right
-- kind, never a wrong success; and the next request is right.
describe("an answer cut at every byte", function()
  local function right_of(name)
    local res, err = client:get(helper.hostile("answer", { of = name }))
    return res or err.response
  end

  local function check_cut(how, answer, right, n)
    local res, err = client:get(helper.hostile(how,
      { of = answer.name, n = n }))
    local got = res or err.response
    if res or err.status then
      assert.is_true(got.status == right.status, answer.name .. " " .. n)
    end
    if res or (err.kind ~= "cut" and err.kind ~= "protocol") then
      assert.equal(right.body, got.body, answer.name .. " at " .. n)
    else
      assert.is_true(err.sent)
    end
  end

  local answers = {}
  setup(function()
    local url = helper.hostile_url .. "/control/answers"
    local _, body = helper.http_request("GET", url)
    for _, answer in ipairs(helper.json.decode(body)) do
      if answer.size <= 600 then
        answers[#answers + 1] = answer
      end
    end
  end)

  -- Every byte on one Lua; every seventh on the others, which share the core.
  local step = _VERSION == "Lua 5.4" and 1 or 7
  for _, how in ipairs { "close-at", "reset-at" } do
    it("by " .. how, function()
      assert.is_true(#answers >= 20)
      for _, answer in ipairs(answers) do
        local right = right_of(answer.name)
        for n = 0, answer.size - 1, step do
          check_cut(how, answer, right, n)
        end
        assert.equal(200, freddy.assert(client:get "/s/ok").status)
      end
    end)
  end
end)
