-- SPDX-License-Identifier: MIT
--- The time limits: each fires under its own name, not before its time, and
--- leaves nothing behind.

local freddy = require "freddy"
local helper = require "spec.helper"

local LIMIT = 0.15
local LATE = 10 -- on a machine that has other things to do

local tags = 0
local tag, client

local function new_client(options)
  local given = {
    base_url = helper.env "HOSTILE", api_key = "a-key-of-20-characters",
    ca_file = helper.env "HOSTILE_CA_FILE", retries = 0,
  }
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  return freddy.assert(freddy.new(given))
end

setup(function()
  helper.hostile_reset()
  client = new_client()
end)

teardown(function()
  client:close()
end)

before_each(function()
  tags = tags + 1
  tag = "timeout" .. tags .. _VERSION:gsub("%W", "")
end)

local now = require("socket").gettime

-- One limit at a time, the others far away.
local function ask(given, reason, sent, which)
  local limits = { connect = 60, first_byte = 60, stall = 60, total = 60 }
  limits[reason] = LIMIT
  given.timeout = limits
  local started = now()
  local res, err = (which or client):request(given)
  local took = now() - started
  assert.is_nil(res)
  assert.equal("timeout", err.kind)
  assert.equal(reason, err.reason)
  assert.equal(sent, err.sent)
  assert.equal(1, err.attempts)
  assert.truthy(err.message:find(tostring(LIMIT), 1, true))
  assert.is_true(took > LIMIT - 0.01 and took < LATE, took)
  return err
end

-- The connection that had the tag has ended, or is never looked at by the
-- server again; the next request gets another one, and its own answer.
local function next_is_right(listener, unread)
  local old = helper.hostile_log { tag = tag, closed = not unread and 1 or nil,
    timeout = 10 }
  assert.equal(1, #old)
  local fresh = new_client { base_url = helper.env(listener or "HOSTILE") }
  for _ = 1, 3 do
    local res = freddy.assert(fresh:get(helper.hostile("echo",
      { tag = tag .. "next" }, listener)))
    assert.truthy(res.data.target:find(tag .. "next", 1, true))
  end
  fresh:close()
  for _, entry in ipairs(helper.hostile_log { tag = tag .. "next" }) do
    assert.not_equal(old[1].id, entry.id)
  end
end

describe("connect", function()
  local function fails(base, options)
    options = options or {}
    options.base_url = base
    local one = new_client(options)
    ask({ path = "/" }, "connect", false, one)
    one:close()
  end

  it("fires while nobody accepts", function()
    fails("http://" .. helper.env "HOSTILE_FULL")
  end)

  it("fires in the TLS handshake", function()
    fails("https://" .. helper.env "HOSTILE_SILENT")
  end)

  it("fires while a proxy leads nowhere", function()
    fails("https://stall.proxy.test",
      { proxy = "http://" .. helper.env "HOSTILE_PROXY" })
    fails("https://stall.proxy.test",
      { proxy = "socks5h://" .. helper.env "HOSTILE_SOCKS_STALL" })
  end)
end)

for _, listener in ipairs { "HOSTILE", "HOSTILE_TLS_OK", "HOSTILE_H2" } do
  describe("over " .. listener, function()
    -- What has come before it stops: an HTTP/2 answer counts its frames.
    local half = { n = 80 }

    local function url(name, args)
      args.tag = tag
      return helper.hostile(name, args, listener)
    end

    it("first_byte fires when no answer comes", function()
      local err = ask({ path = url("never", {}) }, "first_byte", true)
      assert.is_nil(err.response)
      next_is_right(listener)
    end)

    it("stall fires when an answer stops", function()
      ask({ path = url("stall-after", half) }, "stall", true)
      next_is_right(listener)
    end)

    it("total fires before the answer, and within it", function()
      ask({ path = url("never", {}) }, "total", true)
      next_is_right(listener)
      tag = tag .. "b"
      ask({ path = url("stall-after", half) }, "total", true)
      next_is_right(listener)
    end)
  end)
end

describe("total", function()
  it("fires while it connects", function()
    local one = new_client { base_url = "http://"
      .. helper.env "HOSTILE_FULL" }
    ask({ path = "/" }, "total", false, one)
    one:close()
  end)

  it("fires while bytes come", function()
    ask({ path = helper.hostile("drip",
      { tag = tag, of = "length-long", ms = 10 }) }, "total", true)
    next_is_right()
  end)

  it("fires while bytes go", function()
    ask({ path = helper.hostile("never-read", { tag = tag }),
      method = "PUT", body = ("x"):rep(16 * 1024 * 1024) }, "total", true)
    next_is_right("HOSTILE", true)
  end)

  it("is what a bare number means", function()
    local _, err = client:get(helper.hostile "never", { timeout = LIMIT })
    assert.equal("total", err.reason)
  end)
end)

-- The system takes some bytes ahead of the server, which reads 12 MiB in 2 s:
-- that is less than the limit takes.
describe("first_byte of an upload", function()
  local LONG = 1
  local body = ("x"):rep(12 * 1024 * 1024)

  for _, listener in ipairs { "HOSTILE", "HOSTILE_TLS_OK" } do
    local function upload(what)
      local started = now()
      local res, err = client:put(helper.hostile("slow-read", { tag = tag,
        n = 65536, ms = 10, window = 262144, ["then"] = what }, listener),
        { body = body, timeout = { first_byte = LONG } })
      return now() - started, res, err
    end

    it("starts anew with each byte that goes out: " .. listener, function()
      local took, res = upload "answer"
      assert.equal(#body, freddy.assert(res).sent)
      assert.is_true(took > 1.5 * LONG, took)
    end)

    it("fires behind the last of them: " .. listener, function()
      local took, res, err = upload "hold"
      assert.is_nil(res)
      assert.equal("first_byte", err.reason)
      assert.is_true(took > 2 * LONG, took)
      local requests = helper.hostile_log({ tag = tag, closed = 1,
        timeout = 10 })[1].requests
      local request = requests[#requests]
      assert.equal(#body, request.body_size)
      assert.is_true(request.body_complete)
    end)
  end
end)

it("stall leaves alone what drips", function()
  local res = freddy.assert(client:get(helper.hostile("drip", { ms = 10 }),
    { timeout = { stall = 1, first_byte = 1 } }))
  assert.is_true(res.timing.total > 1)
end)

it("first_byte and stall are for each attempt, total is for all", function()
  local res = freddy.assert(client:get(helper.hostile("sequence",
    { of = "never,never,ok", tag = tag }),
    { timeout = { first_byte = LIMIT }, retries = 2 }))
  assert.equal(3, res.attempts)
  assert.is_true(res.timing.total > 2 * LIMIT)
end)

describe("what ran out of time", function()
  local function entries(folder)
    local stat = assert(io.open "/proc/self/stat")
    local pid = stat:read "*a":match "^%d+"
    stat:close()
    local pipe = assert(io.popen("ls /proc/" .. pid .. "/" .. folder
      .. " | wc -l"))
    local count = tonumber(pipe:read "*a")
    pipe:close()
    return count
  end

  it("leaves no thread and no descriptor", function()
    local one = new_client { base_url = "https://"
      .. helper.env "HOSTILE_SILENT" }
    local hosts = { { client, helper.hostile("never", { tag = tag }) },
      { client, helper.hostile("stall-after", { tag = tag, n = 80 }) },
      { one, "/" } }
    local function round()
      local calls = {}
      for i = 1, 30 do
        local which, path = hosts[i % 3 + 1][1], hosts[i % 3 + 1][2]
        calls[i] = function()
          local _, err = which:get(path, { timeout = { connect = LIMIT,
            first_byte = LIMIT, stall = LIMIT } })
          assert.equal("timeout", err.kind)
          return true
        end
      end
      local _, errors = freddy.all(calls)
      assert.is_nil(errors)
    end
    round()
    local threads, files = entries "task", entries "fd"
    round()
    round()
    helper.eventually(function()
      return entries "fd" <= files
    end)
    assert.equal(threads, entries "task")
    one:close()
  end)
end)
