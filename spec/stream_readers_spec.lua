-- SPDX-License-Identifier: MIT
--- Who reads a stream of events, and when: more than one reader, readers that
--- were interrupted, and where nothing can wait.

local freddy = require "freddy"
local helper = require "spec.helper"
local util = require "spec.responses_util"

local make, ask, respond = util.make, util.ask, util.respond

before_each(util.begin)
after_each(function()
  freddy.use "block"
  util.finish()
end)

-- A stream of so many numbered pieces, all of which have come.
local function numbered(count)
  local pieces = {}
  for i = 1, count do
    pieces[i] = i .. " "
  end
  respond { pieces = pieces, ms = 0, times = 1 }
  local stream = freddy.assert(ask(make()))
  freddy.assert(stream:next())
  return stream, table.concat(pieces)
end

describe("a reader whose wait was interrupted", function()
  -- As Ctrl-C does it: an error out of the host's wait.
  local function interrupt(fn, ...)
    freddy.use { name = "interrupted", wait = function()
      error("interrupted!", 0)
    end }
    local ok, err = pcall(fn, ...)
    freddy.use "block"
    assert.is_false(ok)
    assert.equal("interrupted!", err)
  end

  local function held()
    respond { pieces = { "one", "two" }, ms = 0,
      pauses = { after = 1, ms = 300 } }
    local stream = freddy.assert(ask(make()))
    assert.equal("one", stream:read())
    return stream
  end

  it("may read on", function()
    local stream = held()
    interrupt(stream.read, stream)
    assert.equal("two", stream:read())
    assert.equal("onetwo", freddy.assert(stream:finish()).text)
  end)

  it("and died of it, leaves the stream to others", function()
    local stream = held()
    interrupt(coroutine.wrap(stream.read), stream)
    assert.equal("onetwo", freddy.assert(stream:finish()).text)
  end)

  it("is told from one that waits", function()
    local stream = held()
    local task = freddy.spawn(stream.read, stream)
    local ok, err = pcall(stream.read, stream)
    assert.is_false(ok)
    assert.truthy(err:find("another task", 1, true))
    assert.equal("two", task:wait(20))
  end)
end)

describe("an answer's stream", function()
  it("has what is known of its call, more at the end", function()
    local stream = numbered(3)
    assert.equal(1, stream.attempts)
    assert.is_nil(stream.timing)
    freddy.assert(stream:finish())
    assert.is_table(stream.timing)
    assert.equal("number", type(stream.received))
    assert.equal(1, stream.attempts)
  end)

  it("tells the request's id in what ends it", function()
    respond { events = {
      { data = { event = "response.created", thread_id = "thrd_1" } },
      { data = "{\"event\":\"response.content_delta\",\"delta\":\"x" },
    } }
    local stream = freddy.assert(ask(make()))
    local _, err = stream:finish()
    assert.equal("bad_json", err.reason)
    assert.equal(stream.request_id, err.request_id)
    assert.equal(1, err.attempts)
    assert.is_nil(err.hint:find("err.response", 1, true))
  end)
end)

describe("a reader that could not wait", function()
  -- As what was called: events are listed, so that nothing has to be waited
  -- for.
  local CALLS = {
    { "stream:next", function(stream) stream:next() end },
    { "stream:read", function(stream) stream:read() end },
    { "stream:finish", function(stream) stream:finish() end },
    { "stream:text", function(stream)
      for _ in stream:text() do end
    end },
    { "stream:events", function(stream)
      for _ in stream:events() do end
    end },
  }

  it("gets none of an answer's events", function()
    local stream, text = numbered(20)
    freddy.use "loop"
    for _, call in ipairs(CALLS) do
      local message = helper.raises_here(call[2], "freddy%.spawn", stream)
      assert.equal(call[1] .. ": ", message:sub(1, #call[1] + 2))
    end
    freddy.use "block"
    assert.equal(text, freddy.assert(stream:finish()).text)
  end)

  it("gets none of any other stream's events", function()
    local stream = freddy.assert(make():stream("/v1/events?count=20"))
    freddy.assert(stream:next())
    freddy.use "loop"
    for _, call in ipairs(CALLS) do
      if stream[call[1]:match ":(.*)"] then
        local message = helper.raises_here(call[2], "freddy%.spawn", stream)
        assert.equal(call[1] .. ": ", message:sub(1, #call[1] + 2))
      end
    end
    freddy.use "block"
    assert.is_true(stream:finish())
  end)

  it("for its task was cancelled, gets none either", function()
    local stream, text = numbered(20)
    local event, err
    local task = freddy.spawn(function()
      freddy.sleep(60)
      event, err = stream:next()
    end)
    task:cancel()
    task:wait(20)
    assert.is_nil(event)
    assert.equal("cancelled", err.kind)
    assert.equal(text, freddy.assert(stream:finish()).text)
  end)
end)

describe("two readers of one stream", function()
  it("keep the answer in its order", function()
    local stream, text = numbered(300)
    local seen = {}
    local function reader()
      local piece = stream:read()
      while piece do
        seen[#seen + 1] = piece
        piece = stream:read()
      end
    end
    local tasks = { freddy.spawn(freddy.pcall, reader),
      freddy.spawn(freddy.pcall, reader) }
    for _, task in ipairs(tasks) do
      task:wait(30)
    end
    assert.equal(text, freddy.assert(stream:finish()).text)
    assert.equal(text, table.concat(seen))
  end)

  it("lose nothing when one gives way to the other", function()
    local stream, text = numbered(5000) -- far more than a turn's events
    local seen = {}
    local function reader()
      local ok, piece = true, ""
      while not ok or piece do
        ok, piece = freddy.pcall(stream.read, stream)
        if ok then
          seen[#seen + 1] = piece
        else -- the other one waits for it
          freddy.sleep(0)
        end
      end
      return "ended"
    end
    local tasks = { freddy.spawn(reader), freddy.spawn(reader) }
    for _, task in ipairs(tasks) do
      assert.equal("ended", task:wait(20))
    end
    assert.equal(text, freddy.assert(stream:finish()).text)
    assert.equal(text, table.concat(seen))
  end)

  it("never leave one of them waiting for ever", function()
    local pieces, seen = {}, {}
    for i = 1, 100 do
      pieces[i] = i .. " "
    end
    local busy = numbered(20000) -- its reader gives way, and is ready again
    respond { pieces = pieces, ms = 1 }
    local stream = freddy.assert(ask(make()))
    local function reader()
      local ok, piece = true, ""
      while not ok or piece do
        ok, piece = freddy.pcall(stream.read, stream)
        if ok then
          seen[#seen + 1] = piece
        else -- the other one waits for it
          busy:read()
        end
      end
      return "ended"
    end
    local tasks = { freddy.spawn(reader), freddy.spawn(reader) }
    for _, task in ipairs(tasks) do
      assert.equal("ended", task:wait(20))
    end
    assert.equal(table.concat(pieces), table.concat(seen))
  end)

  it("see no event behind a cancel", function()
    local stream = numbered(300)
    local seen, at_cancel = {}, nil
    local task = freddy.spawn(function()
      local piece, err = stream:read()
      while piece do
        seen[#seen + 1] = piece
        piece, err = stream:read()
      end
      return err
    end)
    freddy.spawn(function()
      stream:cancel()
      at_cancel = #seen
    end)
    local err = task:wait(30)
    assert.equal("cancelled", err.kind)
    assert.equal(at_cancel, #seen)
    assert.equal(table.concat(seen), err.partial.text)
  end)
end)
