-- SPDX-License-Identifier: MIT
--- Whatever an HTTP/2 server does: the right answer or an error of the right
--- kind, never a wrong success, and the next request is right. A POST is sent
--- once at most.

local freddy = require "freddy"
local helper = require "spec.helper"
local http2 = require "spec.http2_util"

local OK, url, count_tag = http2.OK, http2.url, http2.count_tag
local next_is_right, fresh = http2.next_is_right, http2.fresh
local client

setup(function()
  client = http2.open()
end)

teardown(http2.close)

-- --- What each fault is called -------------------------------------------

local soon = { first_byte = 0.05, stall = 0.05 }
local no_answer, no_more = { first_byte = 0.05 }, { stall = 0.05 }
local UPLOAD = ("x"):rep(300000)

-- Scenario, arguments, then the status and the body, or the kind (or kinds,
-- where libcurl's version decides) and the reason, and the request's options.
-- `on` marks what only a connection's first request gets.
local rows = {
  -- Right, or right enough.
  { "drip", {}, 200 },
  { "drip", { of = "padded" }, 200 },
  { "echo", {}, 200 },
  { "ok", {}, 200 },
  { "ok", {}, 200, "", { method = "HEAD" } },
  { "status", {}, 200, OK },
  { "hints-many", {}, 200, OK },
  { "header-big", { size = 60000 }, 200, OK },
  { "header-count", { n = 500 }, 200, OK },
  { "header-indexed", { n = 20 }, 200, OK },
  { "slow-read", { n = 5000 }, 200, '{"ok":true,"size":300000}',
    { body = UPLOAD }, on = true },
  { "sse", {}, 200 },
  { "sse-endless", { mb = 1 }, 200 },
  { "sse-event", {}, 200 },
  { "streams", { max = 1 }, 200, OK, on = true },
  { "window-ignored", { mb = 4 }, 200, (" "):rep(4 * 1024 * 1024) },
  { "head", { kind = "value-space" }, 200, OK },
  { "frame", { kind = "unknown" }, 200, OK },
  { "frame", { kind = "data-after-end" }, 200, OK },
  { "frame", { kind = "head-after-end" }, 200, OK },
  { "rst", { at = "after", code = "NO_ERROR" }, 200, OK },
  { "rst", { at = "after", code = "CANCEL" }, 200, OK },
  { "rst", { at = "after", code = "NO_ERROR", bare = "y" }, 200, OK },
  { "rst", { at = "unended", code = "NO_ERROR" }, 200, OK },

  -- Ended early.
  { "close-in-settings", { n = 0 }, "cut", on = true },
  { "close-in-settings", { n = 10 }, "cut", on = true },
  { "hints-only", { ["then"] = "rst" }, "cut" },
  { "hints-only", { ["then"] = "fin" }, "cut" },
  { "gzip-truncated", {}, "cut" },
  { "gzip-truncated", { n = 1 }, "cut" },
  { "rst", { at = "body", bare = "y" }, "cut" },
  { "rst", { at = "unended", bare = "y" }, "cut" },
  { "rst", { at = "body", ["then"] = "fin" }, "cut" },
  { "rst", { at = "head", ["then"] = "reset" }, "cut" },
  { "rst", { at = "body", status = 503 }, "server" },
  { "rst", { at = "head", status = 404, code = "PROTOCOL_ERROR" },
    "not_found" },
  { "rst", { at = "body", status = 429, ["then"] = "fin" }, "rate_limited" },

  -- Not HTTP/2, or not by its rules.
  { "http1", {}, "cut protocol", on = true },
  { "http1", { ["then"] = "hold" }, "cut protocol", on = true },
  { "no-settings", { with = "answer" }, "cut protocol", on = true },
  { "garbage", {}, "cut protocol", on = true },
  { "garbage", { at = "head" }, "cut protocol" },
  { "garbage", { at = "head", mb = 4 }, "cut protocol" },
  { "hints-only", { ["then"] = "end" }, "protocol", "bad_http2" },
  { "hints-only", { ["then"] = "data" }, "protocol", "bad_http2" },
  { "trailers-bad", { kind = "status" }, "protocol", "bad_http2" },
  { "trailers-bad", { kind = "upper" }, "protocol", "bad_http2" },
  { "trailers-bad", { kind = "unended" }, "protocol", "bad_http2" },
  { "gzip-corrupt", {}, "protocol", "bad_gzip" },

  -- Over a ceiling.
  { "body-endless", { mb = 8 }, "too_large", "body", { max_body = 100000 } },
  { "gzip-bomb", { mb = 8 }, "too_large", "body", { max_body = 100000 } },
  { "header-big", { size = 65534 }, "too_large", "header" },
  { "header-count", { n = 1100 }, "too_large", "header" },
  { "header-count", { n = 900, size = 300 }, "too_large", "header" },
  { "header-indexed", { n = 100000 }, "too_large", "header" },
  { "headers-endless", { mb = 8 }, "too_large", "header" },
  { "continuation-empty", { mb = 8 }, "too_large", "header" },
  { "hints-endless", { mb = 8 }, "too_large", "header" },
  { "header-big", { size = 1000000 }, "cut too_large protocol" },

  -- Too late.
  { "never", {}, "timeout", "first_byte", { timeout = no_answer } },
  { "never-read", {}, "timeout", "first_byte",
    { timeout = no_answer, body = UPLOAD } },
  { "never-read", { window = 0 }, "timeout", "first_byte",
    { timeout = no_answer, body = UPLOAD }, on = true },
  { "window-gate", {}, "timeout", "first_byte",
    { timeout = no_answer, body = UPLOAD }, on = true },
  { "gate", { at = "head" }, "timeout", "first_byte",
    { timeout = no_answer } },
  { "gate", { at = "body" }, "timeout", "stall", { timeout = no_more } },
  { "no-settings", {}, "timeout", "first_byte",
    { timeout = no_answer }, on = true },
  { "no-settings", { with = "ping" }, "cut protocol timeout", nil,
    { timeout = soon }, on = true },
  { "stall-after", { n = 0 }, "timeout", "first_byte",
    { timeout = no_answer } },
  { "stall-after", { n = 9 }, "timeout", "first_byte",
    { timeout = no_answer } },
  { "stall-after", { n = 80 }, "timeout", "stall", { timeout = no_more } },
  { "goaway", { ["then"] = "hold" }, "timeout", "first_byte",
    { timeout = no_answer } },
  { "goaway", { ["then"] = "hold", at = "body" }, "timeout", "stall",
    { timeout = no_more } },

  -- With a body that the server treats badly.
  { "early-answer", {}, "http", nil, { body = UPLOAD } },
  { "early-answer", { ["then"] = "rst" }, "http", nil, { body = UPLOAD } },
}

-- While one is faster than libcurl reads, it reads nothing else.
for _, flood in ipairs { "settings", "ping", "ping-ack", "window",
    "priority", "unknown", "data" } do
  rows[#rows + 1] = { "flood-" .. flood, { ms = 5 }, "timeout",
    flood == "data" and "stall" or "first_byte",
    { timeout = flood == "data" and no_more or no_answer } }
  rows[#rows + 1] = { "flood-" .. flood, { mb = 1 },
    "timeout cut protocol", nil, { timeout = soon } }
end

local function add(...)
  rows[#rows + 1] = { ... }
end

-- RST_STREAM: what has come whole stays whole.
for _, code in ipairs { "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR", "REFUSED_STREAM", "CANCEL", "ENHANCE_YOUR_CALM",
    "HTTP_1_1_REQUIRED", "99" } do
  local rules = code == "PROTOCOL_ERROR" or code == "FLOW_CONTROL_ERROR"
  local kind = rules and "protocol" or "cut"
  local reason = rules and "bad_http2" or nil
  for _, at in ipairs { "before", "head", "body" } do
    add("rst", { code = code, at = at }, kind, reason)
  end
  add("rst", { code = code, at = "body" }, kind, reason,
    { body = UPLOAD })
  add("rst-upload", { code = code }, kind, reason, { body = UPLOAD })
  add("rst-upload", { code = code, answer = "y" }, "http", nil,
    { body = UPLOAD })
end

-- GOAWAY: streams up to the last that it names go on.
for _, last in ipairs { "at", "above", "max", "none", "below" } do
  local named = last ~= "none" and last ~= "below"
  for _, at in ipairs { "before", "head", "body", "after" } do
    local options = at == "before" and { body = "x" } or nil
    if named or at == "after" then
      add("goaway", { last = last, at = at }, 200, OK, options)
    else
      add("goaway", { last = last, at = at }, "cut", nil, options)
    end
    local ends = at == "after" and 200 or "cut"
    for _, how in ipairs { "fin", "reset" } do
      add("goaway", { last = last, at = at, ["then"] = how }, ends,
        at == "after" and OK or nil, options)
    end
  end
end
add("goaway", { code = "ENHANCE_YOUR_CALM" }, 200, OK)

-- What a scenario's `kind` may be, as the server tells it.
local function kinds_of(name)
  for _, scenario in ipairs(http2.control "/control/scenarios?protocol=h2") do
    if scenario.name == name then
      return scenario.args:match("kind=(%S+)"):gmatch "[^|]+"
    end
  end
end

local function is_listed(name, args)
  for _, row in ipairs(rows) do
    if row[1] == name and row[2].kind == args.kind
        and row[2]["end"] == args["end"] then
      return true
    end
  end
  return false
end

for kind in kinds_of "frame" do
  if not is_listed("frame", { kind = kind }) then
    add("frame", { kind = kind }, "cut protocol timeout", nil,
      { timeout = soon })
  end
end

local odd_heads = {
  ["encoding-unknown"] = { "protocol", "bad_encoding" },
  ["length-huge"] = { "protocol too_large" },
}

for kind in kinds_of "head" do
  if not is_listed("head", { kind = kind }) then
    local odd = odd_heads[kind] or { "protocol", "bad_http2" }
    add("head", { kind = kind }, odd[1], odd[2])
    if kind ~= "length-more" then
      add("head", { kind = kind, ["end"] = "no" }, odd[1], odd[2])
    end
  end
end
add("head", { kind = "length-more", ["end"] = "no" }, "timeout", "stall",
  { timeout = no_more })

local function name_of(row)
  local words = {}
  for name, value in pairs(row[2]) do
    words[#words + 1] = name .. "=" .. tostring(value)
  end
  table.sort(words)
  local options = row[5] or {}
  return (options.method or options.body and "POST" or "GET") .. " " .. row[1]
    .. " " .. table.concat(words, " ")
end

local function request_of(row)
  local given = { path = url(row[1], row[2]) }
  for name, value in pairs(row[5] or {}) do
    given[name] = value
  end
  given.method = given.method or given.body and "POST" or nil
  return given
end

local function one_of(kinds, kind)
  return (" " .. kinds .. " "):find(" " .. kind .. " ", 1, true) ~= nil
end

-- Those of one kind of end; where not all are tried, the first of each
-- scenario.
local function each(kind, fn)
  local seen = {}
  for _, row in ipairs(rows) do
    if type(row[3]) == kind and (http2.thorough or not seen[row[1]]) then
      seen[row[1]] = true
      fn(row)
    end
  end
end

local tags = 0

-- Its request, with a tag of its own, whatever the scenario counts by; and
-- that tag. The server forgets the others: its log is read for each.
local function prepare(row)
  local args = {}
  for name, value in pairs(row[2]) do
    args[name] = value
  end
  tags = tags + 1
  args.tag = "row" .. tags
  helper.hostile_reset()
  if row.on then
    fresh()
  end
  return request_of({ row[1], args, nil, nil, row[5] }), args.tag
end

describe("an answer over HTTP/2 that is right is taken:", function()
  each("number", function(row)
    it(name_of(row), function()
      local request, tag = prepare(row)
      local res = freddy.assert(client:request(request))
      assert.equal(row[3], res.status)
      assert.equal(row[4] or res.body, res.body)
      next_is_right()
      assert.equal(1, count_tag(tag))
    end)
  end)

  it("every named answer", function()
    local answers = http2.control "/control/answers?protocol=h2"
    assert.is_true(#answers > 10)
    for _, answer in ipairs(answers) do
      local res, err = client:get(url("answer", { of = answer.name }))
      local status = res and res.status or err.status
      assert.equal(answer.name:match "%d+" or answer.name == "no-content"
        and "204" or answer.name == "not-modified" and "304" or "200",
        tostring(status))
    end
  end)
end)

describe("an answer over HTTP/2 that is wrong is", function()
  each("string", function(row)
    it(row[3] .. ": " .. name_of(row), function()
      local request, tag = prepare(row)
      local res, err = client:request(request)
      assert.is_nil(res)
      assert.is_true(one_of(row[3], err.kind), tostring(err))
      if not row[3]:find " " then
        assert.equal(row[4], err.reason)
      end
      assert.is_true(err.sent)
      assert.equal(err.response and err.response.status, err.status)
      next_is_right()
      local seen = helper.eventually(function()
        local count = count_tag(tag)
        return count >= err.attempts and count
      end)
      assert.equal(err.attempts, seen)
      assert.is_true(seen == 1 or seen == 2 and not request.body)
    end)
  end)
end)

it("every scenario of HTTP/2 is among them", function()
  local known = { answer = true, ["close-at"] = true, ["reset-at"] = true,
    refuse = true, ["goaway-once"] = true, ["goaway-gate"] = true,
    sse = true } -- events have specs of their own
  for _, row in ipairs(rows) do
    known[row[1]] = true
  end
  for _, scenario in ipairs(http2.control "/control/scenarios?protocol=h2") do
    assert.is_true(known[scenario.name], scenario.name)
  end
end)
