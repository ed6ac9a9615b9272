-- SPDX-License-Identifier: MIT
--- Whatever an HTTP/2 server does: the right answer or an error of the right
--- kind, never a wrong success, and the next request is right. A POST is sent
--- once at most. What goes wrong on one stream does not touch its neighbours
--- where the standard says so.

local core = require "freddy.core"
local freddy = require "freddy"
local helper = require "spec.helper"

local base = helper.env "HOSTILE_H2"
local client

setup(function()
  helper.hostile_reset()
  client = freddy.assert(freddy.new {
    base_url = base, ca_file = helper.env "HOSTILE_CA_FILE",
    api_key = "a-key-of-20-characters",
    timeout = { connect = 20, first_byte = 20, stall = 20 },
  })
end)

teardown(function()
  client:close()
end)

local function control(path)
  local _, body = helper.http_request("GET", helper.hostile_url .. path)
  return helper.json.decode(body)
end

local function url(name, args)
  return helper.hostile(name, args, "HOSTILE_H2")
end

local function next_is_right()
  local res = freddy.assert(client:get "/s/ok")
  assert.is_true(res.data.ok)
  assert.equal(20, res.http_version)
  return res
end

-- What follows gets a connection of its own: this one is told to go.
local function fresh()
  assert.equal(200, freddy.assert(client:get(url "goaway")).status)
end

-- How many requests with this tag the server has seen.
local function count_tag(tag)
  local count = 0
  for _, entry in ipairs(helper.hostile_log { tag = tag }) do
    for _, request in ipairs(entry.requests) do
      count = count + (request.tag == tag and 1 or 0)
    end
  end
  return count
end

-- --- What each fault is called -------------------------------------------

local OK = '{"ok":true}'
local soon = { first_byte = 0.1, stall = 0.1 }
local no_answer, no_more = { first_byte = 0.1 }, { stall = 0.1 }
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
  rows[#rows + 1] = { "flood-" .. flood, { mb = 4 },
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
  for _, scenario in ipairs(control "/control/scenarios?protocol=h2") do
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

local tags = 0

-- A tag of its own for each request, whatever its scenario counts by.
local function tagged(row)
  local args = {}
  for name, value in pairs(row[2]) do
    args[name] = value
  end
  tags = tags + 1
  args.tag = args.tag or "row" .. tags
  return { row[1], args, row[3], row[4], row[5] }, args.tag
end

describe("an answer over HTTP/2 that is right is taken:", function()
  for _, row in ipairs(rows) do
    if type(row[3]) == "number" then
      it(name_of(row), function()
        if row.on then
          fresh()
        end
        local tag
        row, tag = tagged(row)
        local res = freddy.assert(client:request(request_of(row)))
        assert.equal(row[3], res.status)
        assert.equal(row[4] or res.body, res.body)
        next_is_right()
        assert.equal(1, count_tag(tag))
      end)
    end
  end

  it("every named answer", function()
    local answers = control "/control/answers?protocol=h2"
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
  for _, row in ipairs(rows) do
    if type(row[3]) == "string" then
      it(row[3] .. ": " .. name_of(row), function()
        if row.on then
          fresh()
        end
        local tag
        row, tag = tagged(row)
        local request = request_of(row)
        local res, err = client:request(request)
        assert.is_nil(res)
        assert.is_true(one_of(row[3], err.kind), tostring(err))
        if not row[3]:find " " then
          assert.equal(row[4], err.reason)
        end
        assert.is_true(err.sent)
        assert.equal(err.response and err.response.status, err.status)
        next_is_right()
        local seen = count_tag(tag)
        assert.equal(err.attempts, seen)
        assert.is_true(seen == 1 or seen == 2 and not request.body)
      end)
    end
  end
end)

it("every scenario of HTTP/2 is among them", function()
  local known = { answer = true, ["close-at"] = true, ["reset-at"] = true,
    refuse = true, ["goaway-once"] = true, ["goaway-gate"] = true }
  for _, row in ipairs(rows) do
    known[row[1]] = true
  end
  for _, scenario in ipairs(control "/control/scenarios?protocol=h2") do
    assert.is_true(known[scenario.name], scenario.name)
  end
end)

-- --- Cut at every byte ----------------------------------------------------

describe("an HTTP/2 answer cut at every byte of its frames", function()
  -- Every byte of two of them on one Lua; fewer elsewhere: the core is one.
  local all_of = { pieces = true, ["error-500-gzip"] = true }

  local function step_of(name)
    if _VERSION ~= "Lua 5.4" then
      return 29
    end
    return all_of[name] and 1 or 7
  end

  local function check(answer, right, how, n)
    local at = ("%s %s %d"):format(how, answer.name, n)
    local res, err = client:get(url(how, { of = answer.name, n = n }))
    if not err or err.kind == right.kind then
      local got = res or err.response
      assert.equal(right.kind, err and err.kind, at)
      assert.equal(right.status, got.status, at)
      assert.equal(right.body, got.body, at)
      return
    end
    assert.equal("cut", err.kind, at)
    assert.is_true(err.sent, at)
    assert.is_true(n >= answer.head or err.response == nil, at)
  end

  for _, how in ipairs { "close-at", "reset-at" } do
    it("by " .. how, function()
      for _, answer in ipairs(control "/control/answers?protocol=h2") do
        local res, err = client:get(url("answer", { of = answer.name }))
        local right = { kind = err and err.kind,
          status = (res or err).status, body = (res or err.response).body }
        for n = 0, answer.size - 1, step_of(answer.name) do
          check(answer, right, how, n)
        end
        next_is_right()
      end
    end)
  end
end)

-- --- Not processed, and idle connections ----------------------------------

describe("a stream that was refused", function()
  it("is repeated once, where that is safe", function()
    for _, how in ipairs { "refuse", "goaway-once" } do
      next_is_right() -- so that the connection is one that is used again
      local res = freddy.assert(client:get(url(how, { tag = "g" .. how })))
      assert.equal(OK, res.body)
      assert.equal(2, res.attempts)
      assert.equal(2, count_tag("g" .. how))
    end
  end)

  it("is not repeated for ever", function()
    local res, err = client:get(url("refuse", { to = 100, tag = "ever" }))
    assert.is_nil(res)
    assert.equal("cut", err.kind)
    assert.equal(2, err.attempts)
    assert.equal(2, count_tag "ever")
    next_is_right()
  end)

  it("is not repeated if it is a POST", function()
    for _, how in ipairs { "refuse", "goaway-once" } do
      next_is_right()
      local tag = "p" .. how
      local res, err = client:post(url(how, { tag = tag }), { body = "x" })
      assert.is_nil(res)
      assert.equal("cut", err.kind)
      assert.equal(1, err.attempts)
      next_is_right()
      assert.equal(1, count_tag(tag))
    end
  end)
end)

describe("an idle connection that is", function()
  local words = { goaway = "told to go", fin = "closed", reset = "reset" }
  for _, how in ipairs { "goaway", "fin", "reset" } do
    it(words[how] .. " costs the next request nothing", function()
      for _, method in ipairs { "GET", "POST" } do
        next_is_right()
        helper.hostile_reset()
        helper.http_request("POST", helper.hostile_url
          .. "/control/drop?how=" .. how)
        local res, err = client:request { method = method,
          path = url("ok", { tag = "idle" }),
          body = method == "POST" and "x" or nil }
        local seen = count_tag "idle"
        if method == "GET" then
          assert.is_nil(err)
          assert.is_true(res.data.ok)
        else -- it may have been on its way when the connection ended
          assert.is_true(res ~= nil or err.kind == "cut", tostring(err))
          assert.is_true(seen <= 1)
        end
      end
    end)
  end
end)

describe("a connection on which time ran out", function()
  it("does not make the next request wait too", function()
    fresh()
    assert.equal(OK, client:get(url("streams", { max = 0 })).body)
    local res, err = client:get("/s/ok", { timeout = no_answer })
    assert.is_nil(res) -- libcurl chose it all the same, and may send nothing
    assert.equal("timeout", err.kind)
    assert.equal("first_byte", err.reason)
    next_is_right()
  end)
end)

-- --- Neighbours -----------------------------------------------------------

describe("neighbours on one connection", function()
  local gates = 0
  local gate

  before_each(function()
    gates = gates + 1
    gate = "n" .. gates
    fresh()
    next_is_right()
    helper.hostile_reset()
  end)

  -- A request under way, seen by the server before this returns.
  local function send(name, args)
    args.tag = gate
    local want = count_tag(gate) + 1
    local task = freddy.spawn(function()
      return client:get(url(name, args))
    end)
    helper.eventually(function()
      return count_tag(gate) >= want
    end)
    return task
  end

  local function is_right(task)
    local res = freddy.assert(task:wait(20))
    assert.is_true(res.data.ok)
    assert.equal(1, res.attempts)
  end

  local function is_cut(task)
    local res, err = task:wait(20)
    assert.is_nil(res)
    assert.equal("cut", err.kind)
  end

  local function is_shared()
    assert.equal(1, #helper.hostile_log { tag = gate })
  end

  -- What the others do, while one waits for its head and one for its body.
  local function beside(fn)
    local head = send("gate", { gate = gate })
    local body = send("gate", { gate = gate, at = "body" })
    fn()
    is_shared()
    helper.hostile_release(gate)
    is_right(head)
    is_right(body)
  end

  it("are not ended by a RST_STREAM that is not theirs", function()
    beside(function()
      for _, at in ipairs { "before", "head", "body" } do
        is_cut(send("rst", { at = at }))
      end
    end)
  end)

  it("are not touched by heads against the rules", function()
    beside(function()
      for _, kind in ipairs { "status-two", "name-upper", "length-two",
          "value-lines" } do
        local res, err = send("head", { kind = kind }):wait(20)
        assert.is_nil(res)
        assert.equal("protocol", err.kind)
      end
    end)
  end)

  it("do not wait for one that is slow", function()
    beside(function()
      for _ = 1, 20 do
        is_right(send("ok", {}))
      end
    end)
  end)

  it("are not stopped by one that runs out of time", function()
    beside(function()
      local _, err = client:get(url("never", { tag = gate }),
        { timeout = no_answer })
      assert.equal("timeout", err.kind)
      is_right(send("ok", {}))
    end)
  end)

  it("go on when GOAWAY is for later ones", function()
    local early = send("gate", { gate = gate, at = "body" })
    local sender = send("goaway-gate", { gate = gate .. "x", last = "at" })
    local late = send("gate", { gate = gate })
    helper.hostile_release(gate .. "x")
    is_right(sender)
    helper.eventually(function() -- repeated on another connection
      return count_tag(gate) == 4
    end)
    helper.hostile_release(gate)
    is_right(early)
    assert.equal(2, freddy.assert(late:wait(20)).attempts)
    next_is_right()
  end)

  it("are refused alone: the others go on", function()
    beside(function()
      -- On a connection of its own: the repeat is told not to use this one.
      local res = freddy.assert(client:get(url("refuse", { tag = "alone"
        .. gate })))
      assert.equal(2, res.attempts)
    end)
  end)

  it("end as they must when the connection ends", function()
    for _, how in ipairs { "close-at", "reset-at" } do
      local tasks = {}
      for i = 1, 5 do
        tasks[i] = send("gate", { gate = "never-opened", at = "body" })
      end
      is_cut(send(how, { n = 5 }))
      for i = 1, 5 do
        is_cut(tasks[i])
      end
      next_is_right()
    end
  end)

  it("are all served, however few streams the server allows", function()
    fresh()
    local fns = {}
    for i = 1, 6 do
      fns[i] = function()
        return client:get(url("streams", { max = 1 }))
      end
    end
    local results, errs = freddy.all(fns)
    assert.is_nil(errs)
    assert.equal(6, #results)
  end)
end)

-- --- Streamed answers -----------------------------------------------------

-- Some versions of libcurl take a stream that was reset for one that has
-- ended, when its connection is closed too: where nothing else tells the end,
-- it must not be left to that.
describe("a streamed answer", function()
  local one, inbox

  before_each(function()
    one = assert(core.client {
      base_url = base, ca_file = helper.env "HOSTILE_CA_FILE",
      api_key = "a-key-of-20-characters",
    })
    inbox = assert(core.inbox())
  end)

  after_each(function()
    one:close()
    inbox:close()
  end)

  local function stream(path)
    local call = assert(one:start(inbox, 1, { path = path, stream = true }))
    helper.eventually(function()
      inbox:wait(0.01)
      repeat until not inbox:next()
      return call:done()
    end)
    return call:result()
  end

  it("that was reset is not one that ended", function()
    for _, code in ipairs { "NO_ERROR", "CANCEL", "INTERNAL_ERROR" } do
      for _, how in ipairs { "serve", "fin" } do
        local args = { at = "body", bare = "y", code = code, ["then"] = how }
        local res, err = stream("/s/rst;" .. helper.hostile("", args)
          :match("?(.*)$"):gsub("&", ";"))
        -- HTTP/1.1 has no such scenario, and tells its ends by itself.
        assert.is_true(err ~= nil or res.http_version == 11)
      end
    end
  end)
end)
