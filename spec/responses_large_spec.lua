-- SPDX-License-Identifier: MIT
--- Events of an answer that are too large to be decoded by who reads them.

local cjson = require "cjson"
local freddy = require "freddy"
local scheduler = require "freddy.scheduler"
local util = require "spec.responses_util"

local LARGE = ("x"):rep(70000)
local COUNT = 12

local inbox_methods, decode, decodes

-- What the core is asked to decode is counted.
before_each(function()
  util.begin()
  inbox_methods = debug.getmetatable(scheduler.inbox()).__index
  decode, decodes = inbox_methods.decode, 0
  function inbox_methods.decode(...)
    decodes = decodes + 1
    return decode(...)
  end
end)

after_each(function()
  inbox_methods.decode = decode
  util.finish()
end)

-- Small and large by turns, and so that two large ones meet.
local function delta(i)
  return i .. (i % 3 == 0 and "small" or LARGE)
end

local LARGE_ONES = COUNT - math.floor(COUNT / 3)

local function whole()
  local parts = {}
  for i = 1, COUNT do
    parts[i] = delta(i)
  end
  return table.concat(parts)
end

local function respond()
  local events = {}
  for i = 1, COUNT do
    events[i] = { data = { event = "response.content_delta",
      delta = delta(i) } }
  end
  util.respond { generation = "G2", done = true, events = events }
end

local function open(options)
  respond()
  return freddy.assert(util.ask(util.make(options)))
end

-- Events from the `from`th on, and the end.
local function check(stream, from)
  for i = from, COUNT do
    local event = freddy.assert(stream:next())
    assert.equal(delta(i), event.json.delta)
    assert.equal(event.json, event.json) -- kept
  end
  assert.same({}, { stream:next() })
  assert.equal(whole(), freddy.assert(stream:finish()).text)
end

-- A stream of these bytes that is read as an answer is.
local function of_bytes(bytes)
  local stream = freddy.assert(util.make():stream("/v1/bytes",
    { method = "POST", body = bytes }))
  stream.reads_json = true
  return stream
end

describe("large events of an answer", function()
  it("are decoded elsewhere, and come in their order", function()
    check(open(), 1)
    assert.equal(LARGE_ONES, decodes)
    freddy.run(function()
      check(open(), 1)
    end)
    assert.equal(2 * LARGE_ONES, decodes)
    assert.equal(whole(), (util.read(open())))
    assert.equal(whole(), freddy.assert(open():finish()).text)
  end)

  it("are decoded where they are read, if that cannot be", function()
    function inbox_methods.decode()
      decodes = decodes + 1
      return nil, { code = "queue_full" }
    end
    check(open(), 1)
    assert.equal(LARGE_ONES, decodes)
  end)

  it("are the codec's, where the client has one", function()
    local used = 0
    local codec = { encode = cjson.encode, decode = function(text)
      used = used + (#text > #LARGE and 1 or 0)
      return cjson.decode(text)
    end }
    check(open { json = codec }, 1)
    assert.equal(LARGE_ONES, used)
    assert.equal(0, decodes)
  end)

  it("are left alone in any other stream", function()
    local stream = freddy.assert(util.make():stream("/v1/bytes",
      { method = "POST", body = 'data: ["' .. LARGE .. '"]\n\n' }))
    assert.equal(LARGE, freddy.assert(stream:next()).json[1])
    assert.equal(0, decodes)
  end)

  it("may hold anything", function()
    local texts = { "[" .. ("1,"):rep(40000) .. "2]", LARGE,
      '{"a":"' .. LARGE, '"' .. LARGE .. '"' }
    local stream = of_bytes("data: " .. table.concat(texts, "\n\ndata: ")
      .. "\n\n")
    assert.equal(40001, #freddy.assert(stream:next()).json)
    for i = 2, 3 do
      local event = freddy.assert(stream:next())
      assert.is_nil(event.json)
      assert.is_nil(event.json)
      assert.equal(texts[i], event.data)
    end
    assert.equal(LARGE, freddy.assert(stream:next()).json)
    assert.is_true(stream:finish())
    assert.equal(#texts, decodes)
  end)

  it("are not lost by a task that is cancelled", function()
    freddy.run(function()
      local stream, stopped = open(), 0
      for i = 1, COUNT do
        local task = freddy.spawn(function()
          return stream:next()
        end)
        for _ = 1, i % 4 do
          freddy.sleep(0)
        end
        task:cancel()
        local event = task:wait()
        if not event then
          stopped = stopped + 1
          event = freddy.assert(stream:next())
        end
        assert.equal(delta(i), event.json.delta)
      end
      assert.is_true(stopped > 0)
      assert.equal(whole(), freddy.assert(stream:finish()).text)
    end)
  end)

  it("have one reader at a time", function()
    freddy.run(function()
      local stream = of_bytes('data: ["' .. LARGE:rep(20) .. '"]\n\n')
      local first = freddy.spawn(function()
        return stream:next()
      end)
      while decodes == 0 do
        freddy.sleep(0)
      end
      local second = freddy.spawn(function()
        return freddy.pcall(stream.next, stream)
      end)
      local ok, got = second:wait()
      if ok then
        assert.is_nil(got) -- the first one had it already
      else
        assert.matches("read by another task already", got)
      end
      assert.equal(#LARGE * 20, #freddy.assert(first:wait()).json[1])
    end)
  end)

  it("end with their stream, whoever ends it", function()
    freddy.run(function()
      local cancelled = 0
      for _ = 1, 4 do
        local stream, before = open(), decodes
        local reader = freddy.spawn(function()
          local event, err
          repeat
            event, err = stream:next()
          until not event
          return nil, err
        end)
        while decodes == before do
          freddy.sleep(0)
        end
        stream:cancel()
        local _, err = reader:wait()
        if err then -- it had not come to the end yet
          assert.equal("cancelled", err.kind)
          cancelled = cancelled + 1
        end
      end
      assert.is_true(cancelled > 0)
      for _ = 1, 4 do
        local stream, before = open(), decodes
        freddy.spawn(function()
          stream:next()
        end)
        while decodes == before do
          freddy.sleep(0)
        end
        stream = nil -- luacheck: ignore
        collectgarbage()
      end
    end)
    assert.is_true(decodes >= 8)
  end)
end)
