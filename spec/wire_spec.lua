-- SPDX-License-Identifier: MIT
--- Whatever bytes a server sends: the right answer or an error of the right
--- kind, never a wrong success, and the next request is right. And no byte of
--- a request that could smuggle another one is ever sent.

local freddy = require "freddy"
local helper = require "spec.helper"

local client

local function new_client(options)
  options = options or {}
  options.retries = 0
  options.base_url = options.base_url or helper.hostile_url
  if not (options.api_key or options.token) then
    options.api_key = "a-key-of-20-characters"
  end
  return freddy.assert(freddy.new(options))
end

-- What the hostile server tells about itself.
local function control(path)
  local _, body = helper.http_request("GET", helper.hostile_url .. path)
  return helper.json.decode(body)
end

setup(function()
  helper.hostile_reset()
  client = new_client()
end)

teardown(function()
  client:close()
end)

local function next_is_right()
  local res = freddy.assert(client:get "/s/ok")
  assert.equal(200, res.status)
  assert.is_true(res.data.ok)
end

-- --- Every answer of the hostile server ----------------------------------

local OK = '{"ok":true}'
local first_byte = { first_byte = 0.1 }

-- Scenario, arguments, and the status with the body or the kind with the
-- reason; then the request's options.
local outcomes = {
  -- Right, or right enough.
  { "answer", {}, 200 },
  { "close-after", {}, 200, OK },
  { "continue-many", {}, 200, OK },
  { "drip", {}, 200 },
  { "early-hints", {}, 200, OK },
  { "echo", {}, 200 },
  { "gzip", {}, 200 },
  { "gzip-members", {}, 200 },
  { "header-bare-lf", {}, 200, OK },
  { "header-big", { size = 65534 }, 200, OK },
  { "header-count", { n = 1000 }, 200, OK },
  { "header-folded", {}, 200, OK },
  { "header-repeated", {}, 200, OK },
  { "json-big", { mb = 2 }, 200 },
  { "json-but-says-not", {}, 200, OK },
  { "json-exact", {}, 200 },
  { "keepalive-close", {}, 200, OK },
  { "keepalive-reset", {}, 200, OK },
  { "length-equal", {}, 200, OK },
  { "no-content", {}, 204, "" },
  { "no-content", { length = "yes" }, 204, "" },
  { "ok", {}, 200 },
  { "reset-after", {}, 200, OK },
  { "sequence", { of = "ok" }, 200 },
  { "slow-read", {}, 200, OK },
  { "sse", {}, 200 },
  { "sse-endless", { mb = 1 }, 200 },
  { "sse-event", {}, 200 },
  { "status", {}, 200, OK },
  { "te-and-cl", {}, 200, OK },
  { "until-close", {}, 200, OK },
  { "body-long", {}, 200, OK },
  { "extra-after", { kind = "response" }, 200, OK },
  { "extra-after", { kind = "garbage", of = "chunked" }, 200, OK },
  { "extra-after", { kind = "head", of = "no-content" }, 204, "" },

  -- Ended early.
  { "body-short", {}, "cut" },
  { "chunk-extension-endless", { mb = 4 }, "cut" },
  { "chunk-no-last", {}, "cut" },
  { "chunk-short", {}, "cut" },
  { "close-at", { n = 60 }, "cut" },
  { "close-before", {}, "cut" },
  { "close-chunked-at", { n = 90 }, "cut" },
  { "continue-only", {}, "cut" },
  { "gzip-truncated", { n = 1 }, "cut" },
  { "gzip-truncated", { n = 8 }, "cut" },
  { "gzip-truncated", { n = 30 }, "cut" },
  { "no-blank-line", { at = "status" }, "cut" },
  { "no-blank-line", { at = "status-end" }, "cut" },
  { "no-blank-line", { at = "name" }, "cut" },
  { "no-blank-line", { at = "colon" }, "cut" },
  { "no-blank-line", { at = "value" }, "cut" },
  { "no-blank-line", { at = "digits" }, "cut" },
  { "no-blank-line", { at = "line" }, "cut" },
  { "no-blank-line", { at = "almost" }, "cut" },
  { "no-blank-line", { at = "lf" }, "cut" },
  { "raw", {}, "cut" },
  { "reset-at", { n = 60 }, "cut" },
  { "reset-before", {}, "cut" },

  -- No HTTP, or not what it says.
  { "chunk-bad", {}, "protocol", "bad_chunk" },
  { "chunk-negative", {}, "protocol", "bad_chunk" },
  { "chunk-no-end", {}, "protocol", "bad_chunk" },
  { "chunk-size-overflow", {}, "protocol", "bad_chunk" },
  { "encoding-unknown", {}, "protocol", "bad_encoding" },
  { "gzip-twice", {}, "protocol", "bad_encoding" },
  { "te-unknown", {}, "protocol", "bad_encoding" },
  { "gzip-corrupt", { what = "magic" }, "protocol", "bad_gzip" },
  { "gzip-corrupt", { what = "method" }, "protocol", "bad_gzip" },
  { "gzip-corrupt", { what = "data" }, "protocol", "bad_gzip" },
  { "gzip-corrupt", { what = "crc" }, "protocol", "bad_gzip" },
  { "gzip-corrupt", { what = "size" }, "protocol", "bad_gzip" },
  { "gzip-not", {}, "protocol", "bad_gzip" },
  { "gzip-trailing", {}, "protocol", "bad_gzip" },
  { "header-no-colon", {}, "protocol", "bad_header" },
  { "header-space-colon", {}, "protocol", "bad_header" },
  { "nul-in-header", {}, "protocol", "bad_header" },
  { "gzip-empty", {}, "protocol", "bad_json" },
  { "json-bad", { kind = "cut" }, "protocol", "bad_json" },
  { "json-bad", { kind = "comma" }, "protocol", "bad_json" },
  { "json-bad", { kind = "two" }, "protocol", "bad_json" },
  { "json-bad", { kind = "single" }, "protocol", "bad_json" },
  { "json-bad", { kind = "name" }, "protocol", "bad_json" },
  { "json-bad", { kind = "nan" }, "protocol", "bad_json" },
  { "json-bad", { kind = "empty" }, "protocol", "bad_json" },
  { "json-bad", { kind = "blank" }, "protocol", "bad_json" },
  { "json-bad", { kind = "utf8" }, "protocol", "bad_json" },
  { "json-bad", { kind = "surrogate" }, "protocol", "bad_json" },
  { "json-bad", { kind = "control" }, "protocol", "bad_json" },
  { "json-bad", { kind = "nul" }, "protocol", "bad_json" },
  { "json-bad", { kind = "number" }, "protocol", "bad_json" },
  { "json-bad", { kind = "huge-number" }, "protocol", "bad_json" },
  { "json-deep", { n = 129 }, "protocol", "bad_json" },
  { "json-deep", { n = 20000 }, "protocol", "bad_json" },
  { "not-json-but-says-so", {}, "protocol", "bad_json" },
  { "length-bad", {}, "protocol", "bad_length" },
  { "length-blank", {}, "protocol", "bad_length" },
  { "length-hex", {}, "protocol", "bad_length" },
  { "length-negative", {}, "protocol", "bad_length" },
  { "length-overflow", {}, "protocol", "bad_length" },
  { "length-plus", {}, "protocol", "bad_length" },
  { "length-two", {}, "protocol", "bad_length" },
  { "length-two-list", {}, "protocol", "bad_length" },
  { "garbage", {}, "protocol", "bad_status" },
  { "garbage-endless", { mb = 8 }, "protocol", "bad_status" },
  { "http09", {}, "protocol", "bad_status" },
  { "http2-preface", {}, "protocol", "bad_status" },
  { "status-bad", { kind = "text" }, "protocol", "bad_status" },
  { "status-bad", { kind = "short" }, "protocol", "bad_status" },
  { "status-bad", { kind = "long" }, "protocol", "bad_status" },
  { "status-bad", { kind = "zero" }, "protocol", "bad_status" },
  { "status-bad", { kind = "negative" }, "protocol", "bad_status" },
  { "status-bad", { kind = "version" }, "protocol", "bad_status" },
  { "status-bad", { kind = "lower" }, "protocol", "bad_status" },
  { "status-bad", { kind = "no-space" }, "protocol", "bad_status" },
  { "upgrade-101", {}, "protocol", "bad_upgrade" },

  -- Over a ceiling.
  { "body-endless", { mb = 100 }, "too_large", "body" },
  { "body-endless-plain", { mb = 100 }, "too_large", "body" },
  { "gzip-bomb", { mb = 70 }, "too_large", "body" },
  { "length-huge", {}, "too_large", "body" },
  { "continue-endless", { mb = 8 }, "too_large", "header" },
  { "header-big", { size = 65535 }, "too_large", "header" },
  { "header-count", { n = 1100 }, "too_large", "header" },
  { "header-count", { n = 900, size = 300 }, "too_large", "header" },
  { "header-line-endless", { mb = 8 }, "too_large", "header" },
  { "header-name-endless", { mb = 8 }, "too_large", "header" },
  { "headers-endless", { mb = 8 }, "too_large", "header" },
  { "status-line-endless", { mb = 8 }, "too_large", "header" },
  { "trailers-endless", { mb = 8 }, "too_large", "header" },

  -- Too late.
  { "first-byte-late", { ms = 60000 }, "timeout", "first_byte",
    { timeout = first_byte } },
  { "gate", {}, "timeout", "first_byte", { timeout = first_byte } },
  { "never", {}, "timeout", "first_byte", { timeout = first_byte } },
  { "never-read", {}, "timeout", "first_byte", { timeout = first_byte } },
  { "stall-after", { n = 50 }, "timeout", "stall",
    { timeout = { stall = 0.1 } } },
  { "chunk-size-huge", {}, "timeout", "stall",
    { timeout = { stall = 0.1 } } },
  { "length-huge", {}, "timeout", "stall",
    { timeout = { stall = 0.1 }, max_body = 2 ^ 31 } },

  -- With a body that the server treats badly.
  { "close-in-body", {}, "cut", nil, { body = ("x"):rep(2000000) } },
  { "reset-in-body", {}, "cut", nil, { body = ("x"):rep(2000000) } },
  { "early-answer", {}, "http", nil, { body = ("x"):rep(200000) } },

  -- Followed, or not: more in redirect_spec.
  { "redirect", { to = "/s/ok" }, 200 },
  { "redirect", {}, "redirect", "no_location" },
  { "redirect-loop", {}, "redirect", "too_many" },
  { "redirect-body", { kind = "endless" }, 200 },
  { "redirect-early", {}, 200 },
}

local function name_of(row)
  local words = { row[1] }
  for name, value in pairs(row[2]) do
    words[#words + 1] = name .. "=" .. tostring(value)
  end
  table.sort(words, function(a, b)
    return a == row[1] or b ~= row[1] and a < b
  end)
  return table.concat(words, " ")
end

describe("an answer that is right is taken", function()
  for _, row in ipairs(outcomes) do
    local name, args, status, body = row[1], row[2], row[3], row[4]
    if type(status) == "number" then
      it(name_of(row), function()
        local res = freddy.assert(client:get(helper.hostile(name, args)))
        assert.equal(status, res.status)
        if body then
          assert.equal(body, res.body)
        end
        next_is_right()
      end)
    end
  end
end)

describe("an answer that is wrong is", function()
  for _, row in ipairs(outcomes) do
    local name, args, kind, reason, options =
      row[1], row[2], row[3], row[4], row[5]
    if type(kind) == "string" then
      it(kind .. ": " .. name_of(row), function()
        local given = { path = helper.hostile(name, args),
          method = options and options.body and "POST" or nil }
        for option, value in pairs(options or {}) do
          given[option] = value
        end
        local res, err = client:request(given)
        assert.is_nil(res)
        assert.equal(kind, err.kind)
        helper.documented(err)
        assert.equal(reason, err.reason)
        assert.is_true(err.sent)
        -- A GET on a connection that was used before is repeated once.
        assert.is_true(err.attempts == 1
          or err.attempts == 2 and kind == "cut" and not err.response)
        assert.equal(err.response and err.response.status, err.status)
        next_is_right()
      end)
    end
  end
end)

it("every scenario of the hostile server is among them", function()
  local known = { leak = true, ["leak-bad-json"] = true } -- secrets_spec
  for _, row in ipairs(outcomes) do
    known[row[1]] = true
  end
  for _, scenario in ipairs(control "/control/scenarios") do
    assert.is_true(known[scenario.name], scenario.name)
  end
end)

it("wrong answers side by side do not touch each other", function()
  local fns, expected = {}, {}
  for _, row in ipairs(outcomes) do
    if not row[5] and not row[2].mb then
      expected[#expected + 1] = row
      fns[#fns + 1] = function()
        return client:get(helper.hostile(row[1], row[2]))
      end
    end
  end
  local results, errs = freddy.all(fns)
  for i, row in ipairs(expected) do
    local got = results[i] and results[i].status or errs[i].kind
    assert.equal(row[3], got, name_of(row))
  end
  next_is_right()
end)

-- --- Memory --------------------------------------------------------------

-- What a process of its own needed at most above what it had when idle, in
-- KiB: one line for each scenario. The sanitizers have a memory of their own.
local endless = [[
  local freddy = require "freddy"
  local function peak()
    local status = assert(io.open "/proc/self/status"):read "*a"
    return tonumber(status:match "VmHWM:%s+(%d+)")
  end
  local clients = {}
  for i, base in ipairs { os.getenv "BASE", os.getenv "BASE_H2" } do
    clients[i] = assert(freddy.new { api_key = "a-key-of-20-characters",
      retries = 0, base_url = base, ca_file = os.getenv "CA" })
    assert(clients[i]:get "/s/ok")
  end
  local idle = peak()
  for which, target in os.getenv "TARGETS":gmatch "(%d)(%S+)" do
    local res, err = clients[tonumber(which)]:get("/s/" .. target)
    print(target, res and res.status or err.kind, peak() - idle)
  end
]]

it("an answer without end takes less than 20 MB", function()
  local targets = { "1gzip-bomb?mb=10240", "2gzip-bomb?mb=10240",
    "1headers-endless?mb=1024", "1header-line-endless?mb=1024",
    "1status-line-endless?mb=1024", "1continue-endless?mb=1024",
    "1trailers-endless?mb=1024", "2headers-endless?mb=1024",
    "2hints-endless?mb=1024" }
  local output, status = helper.script(endless, {
    BASE = helper.hostile_url, BASE_H2 = helper.env "HOSTILE_H2",
    CA = helper.env "HOSTILE_CA_FILE", TARGETS = table.concat(targets, " "),
  })
  assert.equal(0, status, output)
  local seen = 0
  for target, kind, peak in output:gmatch "(%S+)\t(%S+)\t(%d+)" do
    seen = seen + 1
    assert.equal("too_large", kind, target)
    if (os.getenv "FLAVOUR" or "") == "" then
      assert.is_true(tonumber(peak) < 20 * 1024, output)
    end
  end
  assert.equal(#targets, seen)
  print(output)
end)

-- --- Right answers, cut at every byte ------------------------------------

describe("an answer cut at every byte", function()
  local answers = {}

  setup(function()
    for _, answer in ipairs(control "/control/answers") do
      if answer.size <= 600 then
        answers[#answers + 1] = answer
      end
    end
  end)

  local function whole(name)
    local res, err = client:get(helper.hostile("answer", { of = name }))
    return { body = (res or err.response).body, kind = err and err.kind,
      status = res and res.status or err.status }
  end

  local function check_cut(how, answer, right, n)
    local res, err = client:get(helper.hostile(how,
      { of = answer.name, n = n }))
    local at = answer.name .. " at " .. n
    if not err or err.kind == right.kind then -- whole, so all is there
      local got = res or err.response
      assert.equal(right.kind, err and err.kind, at)
      local is_cut = err and err.details and err.details.cut
      assert.equal(right.status, got.status, at)
      assert.equal(is_cut and right.body:sub(1, #got.body) or right.body,
        got.body, at)
      assert.is_true(not is_cut or n >= answer.head, at)
      return
    end
    assert.equal("cut", err.kind, at)
    assert.is_true(err.sent, at)
    assert.is_true(err.status == nil or err.status == right.status, at)
    if err.response and n < answer.head then
      error("an answer without its head, " .. at)
    end
  end

  -- Every byte on one Lua; every seventh on the others, which share the core.
  local step = _VERSION == "Lua 5.4" and 1 or 7
  for _, how in ipairs { "close-at", "reset-at" } do
    it("by " .. how, function()
      assert.is_true(#answers >= 20)
      for _, answer in ipairs(answers) do
        local right = whole(answer.name)
        for n = 0, answer.size - 1, step do
          check_cut(how, answer, right, n)
        end
        next_is_right()
      end
    end)
  end

  it("is whole when it comes byte by byte", function()
    for _, answer in ipairs(answers) do
      local right = whole(answer.name)
      local res, err = client:get(helper.hostile("drip",
        { of = answer.name }))
      assert.equal(right.kind, err and err.kind)
      assert.equal(right.body, (res or err.response).body)
    end
  end)
end)

-- --- What is never sent --------------------------------------------------

describe("a control character raises before a byte is sent:", function()
  local CHARACTERS = { "\r\n", "\r", "\n", "\0", "\1", "\127" }
  local one

  before_each(function()
    helper.hostile_reset()
    one = new_client()
  end)

  after_each(function()
    one:close()
    assert.same({}, helper.hostile_log())
    next_is_right() -- so that the log would have had it
    assert.equal(1, #helper.hostile_log { requests = 1, timeout = 10 })
  end)

  local function raises(fn)
    for _, character in ipairs(CHARACTERS) do
      helper.raises_here(fn, nil, "a" .. character .. "X-Evil: 1")
    end
  end

  it("in the path", function()
    raises(function(bad) one:get("/s/ok?" .. bad) end)
    raises(function(bad) one:send({ path = "/" .. bad }, print) end)
    raises(function(bad)
      one:request { path = helper.hostile_url .. "/s/" .. bad }
    end)
  end)

  it("in the query", function()
    raises(function(bad) one:get("/s/ok", { query = { a = bad } }) end)
    raises(function(bad) one:get("/s/ok", { query = { [bad] = 1 } }) end)
    raises(function(bad) one:get("/s/ok", { query = { { "a", bad } } }) end)
    raises(function(bad) one:get("/s/ok", { query = { a = { bad } } }) end)
    raises(function(bad) one.models:list { ui_models_only = bad } end)
    raises(function(bad) one.models:list { [bad] = 1 } end)
  end)

  it("in the method", function()
    raises(function(bad) one:request { path = "/s/ok", method = bad } end)
  end)

  it("in headers", function()
    raises(function(bad) one:get("/s/ok", { headers = { a = bad } }) end)
    raises(function(bad) one:get("/s/ok", { headers = { [bad] = "a" } }) end)
    raises(function(bad) one:get("/", { headers = { { "a", bad } } }) end)
    raises(function(bad)
      freddy.new { api_key = "k", headers = { a = bad } }
    end)
  end)

  it("in the options of a client", function()
    raises(function(bad) freddy.new { api_key = bad } end)
    raises(function(bad) freddy.new { token = bad } end)
    for _, name in ipairs { "base_url", "key_header", "user_agent",
        "ca_file", "proxy", "client_cert", "client_key" } do
      raises(function(bad) freddy.new { api_key = "k", [name] = bad } end)
    end
    raises(function(bad)
      freddy.new { api_key = "k", base_url = helper.hostile_url .. "/" .. bad }
    end)
  end)

  it("in a new credential", function()
    raises(function(bad) one.auth:set_api_key(bad) end)
    raises(function(bad) one.auth:set_token(bad) end)
    raises(function(bad) one.auth:set_token { access_token = bad } end)
  end)

  it("in the key that a function gives, as an error", function()
    for _, character in ipairs(CHARACTERS) do
      local two = new_client { api_key = function()
        return "key" .. character .. "X-Evil: 1"
      end }
      local res, err = two:get "/s/ok"
      assert.is_nil(res)
      assert.equal("auth", err.kind)
      assert.equal("key_unavailable", err.reason)
      assert.is_false(err.sent)
      two:close()
    end
  end)
end)

it("a body cannot end early and begin another request", function()
  local evil = "x\r\n\r\nGET /s/never HTTP/1.1\r\nHost: a\r\n\r\n"
  helper.hostile_reset()
  local res = freddy.assert(client:post("/s/echo", { body = evil }))
  assert.equal(evil, res.data.body)
  next_is_right()
  local requests = 0
  for _, entry in ipairs(helper.hostile_log { requests = 2, timeout = 10 }) do
    requests = requests + entry.request_count
  end
  assert.equal(2, requests)
end)
