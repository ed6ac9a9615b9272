-- SPDX-License-Identifier: MIT
--- Request bodies under servers that do not take them as they should, and
--- when the process ends.

local freddy = require "freddy"
local body_util = require "spec.body_util"
local helper = require "spec.helper"
local socket = require "socket"

local bytes, reader, file = body_util.bytes, body_util.reader, body_util.file
local with, MIB = body_util.with, body_util.MIB
local BLOCK = body_util.BLOCK
local plain

setup(function()
  plain = freddy.assert(freddy.new { api_key = "k-0123456789-abcdef",
    base_url = helper.hostile_url, retries = 0 })
end)

teardown(function()
  plain:close()
  body_util.remove_files()
end)

describe("a server", function()
  local BIG = bytes(3 * MIB)
  local BODIES = {
    { "a string", function() return { body = BIG } end },
    { "a reader", function() return { body = reader(BIG), size = #BIG } end },
    { "chunks", function() return { body = reader(BIG) } end },
    { "a file", function(path)
      return { multipart = { { name = "f", file = path } } }
    end },
  }
  local path

  setup(function()
    path = file(BIG)
  end)

  for _, row in ipairs(BODIES) do
    local function post(scenario, args, more)
      local given = row[2](path)
      given.method, given.path = "POST", helper.hostile(scenario, args)
      for name, value in pairs(more or {}) do
        given[name] = value
      end
      return plain:request(given)
    end

    it("may answer before it has read " .. row[1], function()
      local _, err = post("early-answer")
      assert.equal(413, err.status)
      assert.equal("http", err.kind)
      assert.equal("too large", err.message)
      local res = freddy.assert(post("early-answer", { code = 200 }))
      assert.equal(200, res.status)
      -- Its close may overtake the answer; then that is lost to everybody.
      _, err = post("early-answer", { ["then"] = "close" })
      assert.truthy(err.status == 413 or err.kind == "cut", tostring(err))
    end)

    it("may end within " .. row[1], function()
      for _, scenario in ipairs { "close-in-body", "reset-in-body" } do
        local _, err = post(scenario, { n = 100000 })
        assert.equal("cut", err.kind)
        assert.is_true(err.sent)
        assert.is_false(err.retryable)
        assert.equal(1, err.attempts)
      end
    end)

    it("that never reads " .. row[1] .. " runs into first_byte", function()
      local _, err = post("never-read", nil, { timeout = {
        first_byte = 0.1 } })
      assert.equal("timeout", err.kind)
      assert.equal("first_byte", err.reason)
    end)
  end

  it("that does not read is not asked for, nor kept in memory", function()
    local asked = 0
    local block = ("x"):rep(65536)
    local _, err = plain:post(helper.hostile("never-read"), {
      timeout = { first_byte = 0.1 }, body = function()
        asked = asked + #block
        return block
      end })
    assert.equal("first_byte", err.reason)
    assert.is_true(asked < 16 * MIB) -- what the kernel's buffers take
  end)

  it("that reads slowly is given first_byte anew by each byte", function()
    local LIMIT, SLACK = 0.4, 0.2
    local left, sent, moved = 16, 0, nil
    local began = socket.gettime()
    local res, err = plain:post(helper.hostile("slow-read",
      { n = 65536, ms = 2 }), { timeout = { first_byte = LIMIT },
      size = 16 * MIB, body = function()
        left = left - 1
        return left >= 0 and bytes(MIB) or nil
      end, on_progress = function(progress)
        if progress.sent > sent then
          sent, moved = progress.sent, socket.gettime()
        end
      end })
    if res then
      assert.is_true(res.timing.total > LIMIT)
    else -- on a busy machine it may take long to read what is on the way
      assert.equal("first_byte", err.reason)
      local ended = socket.gettime()
      assert.is_true(ended - moved > LIMIT - SLACK)
      assert.is_true(ended - began > LIMIT)
    end
  end)

  it("may lead elsewhere with what can be read again", function()
    local function post(status, options)
      return plain:request(with(helper.hostile("redirect",
        { status = status, to = "/s/echo" }), options))
    end
    local parts = { { name = "f", file = path }, { name = "d", data = "x" } }
    local res = freddy.assert(post(307, { multipart = parts }))
    assert.equal("POST", res.data.method)
    assert.is_true(res.data.body_size > #BIG)
    res = freddy.assert(post(303, { multipart = parts }))
    assert.equal("GET", res.data.method)
    assert.equal(0, res.data.body_size)
    res = freddy.assert(post(303, { body = reader(BIG) }))
    assert.equal("GET", res.data.method)
    local _, err = post(307, { body = reader(BIG) })
    assert.equal("redirect", err.kind)
    assert.equal("body_spent", err.reason)
  end)

  it("may be left in the middle of a reader", function()
    helper.hostile_reset()
    local asked, answer = 0, nil
    local call = plain:send(with(helper.hostile("slow-read", { n = 1024,
      ms = 1, tag = "left" }), { body = function()
      asked = asked + 1
      return BLOCK
    end }), function(...)
      answer = { ... }
    end)
    helper.eventually(function() return asked > 5 end)
    call:cancel()
    helper.eventually(function() return answer end)
    assert.equal("cancelled", answer[2].kind)
    local before = asked
    local log = helper.hostile_log { tag = "left", closed = 1, timeout = 5 }
    assert.is_false(log[1].open)
    freddy.poll()
    assert.equal(before, asked)
  end)
end)

describe("the process", function()
  local SCRIPT = [[
    local freddy = require "freddy"
    local client = freddy.assert(freddy.new { api_key = "key-0123456789abc",
      base_url = os.getenv "HOSTILE" })
    local asked, path = 0, os.getenv "BODY"
    for _, scenario in ipairs { "slow-read", "never-read", "echo" } do
      for _ = 1, 3 do
        client:send({ method = "POST", path = "/s/" .. scenario,
          body = function() asked = asked + 1 return ("x"):rep(100000) end,
          on_progress = function() end }, print)
        client:send({ method = "POST", path = "/s/" .. scenario,
          multipart = { { name = "f", file = path } } }, print)
      end
    end
    while asked < 20 do freddy.poll() end
    %s
  ]]
  for name, ending in pairs {
    ["returns"] = "client:close()", ["exits"] = "os.exit(0)",
    ["closes its state"] = "os.exit(0, true)",
  } do
    it("that " .. name .. " while it sends is not held up", function()
      local output, status = helper.script(SCRIPT:format(ending), {
        HOSTILE = helper.hostile_url, BODY = file(bytes(MIB)) })
      assert.equal(0, status, output)
    end)
  end
end)
