-- SPDX-License-Identifier: MIT
--- Events whose data is too large to be decoded on the host's thread.

local cjson = require "cjson"
local freddy = require "freddy"
local helper = require "spec.helper"

local LARGE = ("x"):rep(70000)
local client

setup(function()
  helper.reset()
  client = helper.client { retries = 0 }
end)

teardown(function()
  client:close()
end)

local function line(data)
  return "data: " .. data .. "\n\n"
end

local function object(number, text)
  return ('{"n":%d,"list":[],"text":"%s"}'):format(number, text)
end

local function open(bytes, one)
  return freddy.assert((one or client):stream("/v1/bytes",
    { method = "POST", body = bytes }))
end

-- Small and large by turns, and so that two large ones meet.
local function by_turns(count)
  local parts = {}
  for i = 1, count do
    parts[i] = line(object(i, i % 3 == 0 and "small" or LARGE))
  end
  return table.concat(parts)
end

local function check_by_turns(stream, from, count)
  for i = from, count do
    local event = freddy.assert(stream:next())
    assert.equal(i, event.json.n)
    assert.equal(i % 3 == 0 and "small" or LARGE, event.json.text)
    assert.equal(event.json, event.json) -- and kept
  end
  local event, err = stream:next()
  assert.is_nil(event)
  assert.is_nil(err)
  assert.is_true(stream:finish())
end

describe("large events", function()
  it("are decoded as all others, in their order", function()
    check_by_turns(open(by_turns(12)), 1, 12)
    freddy.run(function()
      check_by_turns(open(by_turns(12)), 1, 12)
    end)
  end)

  it("may be what they like", function()
    local data = {
      "[" .. ("1,"):rep(40000) .. "2]", '"' .. LARGE .. '"', LARGE,
      "{" .. LARGE, '{"a":"' .. LARGE, "  " .. object(1, LARGE),
    }
    for i, text in ipairs(data) do
      data[i] = line(text)
    end
    local stream = open(table.concat(data) .. line "1")
    local values = {}
    for _ = 1, #data do
      values[#values + 1] = freddy.assert(stream:next()).json or false
    end
    assert.equal(40001, #values[1])
    assert.equal(LARGE, values[2])
    assert.same({ false, false, false }, { values[3], values[4], values[5] })
    assert.equal(1, values[6].n)
    assert.equal(1, stream:next().json)
    assert.is_true(stream:finish())
  end)

  it("are the codec's, where the client has one", function()
    local one = helper.client { retries = 0, json = cjson }
    check_by_turns(open(by_turns(3), one), 1, 3)
    one:close()
  end)

  it("can be left unread", function()
    assert.is_true(open(by_turns(12)):finish())
    local stream = open(by_turns(3))
    assert.equal(#object(1, LARGE), #freddy.assert(stream:next()).data)
    assert.is_true(stream:finish())
  end)

  it("are not lost by a task that is cancelled", function()
    freddy.run(function()
      local stream = open(by_turns(30))
      local got, stopped = 0, 0
      while got < 30 do
        local task = freddy.spawn(function()
          return stream:next()
        end)
        for _ = 1, got % 3 do
          freddy.sleep(0)
        end
        task:cancel()
        local event = task:wait()
        if not event then
          stopped = stopped + 1
          event = freddy.assert(stream:next())
        end
        got = got + 1
        assert.equal(got, event.json.n)
      end
      assert.is_true(stopped > 0)
      assert.is_nil((stream:next()))
    end)
  end)

  it("can be cancelled, closed and collected meanwhile", function()
    freddy.run(function()
      local cancelled = 0
      for i = 1, 20 do
        local stream = open(by_turns(12))
        local reader = freddy.spawn(function()
          local event, err
          repeat
            event, err = stream:next()
          until not event
          return nil, err
        end)
        for _ = 1, i % 4 do
          freddy.sleep(0)
        end
        stream:cancel()
        local _, err = reader:wait()
        if err then
          assert.equal("cancelled", err.kind)
          cancelled = cancelled + 1
        end
        assert.is_nil((stream:next()))
      end
      assert.is_true(cancelled > 0)
      for _ = 1, 20 do
        local one = helper.client { retries = 0 }
        local stream = open(by_turns(12), one)
        freddy.assert(stream:next())
        one:close()
        stream = nil -- luacheck: ignore
        collectgarbage()
      end
    end)
  end)

  it("hold up nobody else", function()
    freddy.run(function()
      local stream = open(line(object(1, ("x"):rep(4000000))))
      local turns, over = 0, false
      local other = freddy.spawn(function()
        while not over do
          freddy.sleep(0)
          turns = turns + 1
        end
      end)
      local before
      assert(freddy.assert(client:stream("/v1/bytes",
        { method = "POST", body = line "1" })):finish())
      while not stream.entry.call:done() do -- all of it is there
        freddy.sleep(0.001)
      end
      before = turns
      assert.equal(1, freddy.assert(stream:next()).json.n)
      assert.is_true(turns > before + 3)
      over = true
      other:wait()
    end)
  end)
end)
