-- SPDX-License-Identifier: MIT
--- A stream that breaks is resumed where it was: nothing twice, nothing lost,
--- and never a second POST.

local freddy = require "freddy"
local helper = require "spec.helper"
local util = require "spec.responses_util"

local make, all, respond = util.make, util.all, util.respond

before_each(util.begin)
after_each(util.finish)

-- What comes when nothing breaks.
local function expected(client, rule)
  respond { generation = rule.generation, ids = rule.ids, times = 1,
    thread_id = "thrd_x", text = rule.text }
  local got = freddy.assert(all(client))
  freddy.assert(got.answer, got.err)
  return got
end

local function same(want, got)
  assert.is_nil(got.err and tostring(got.err))
  assert.same(want.names, got.names)
  assert.equal(want.answer.text, got.answer.text)
end

describe("a broken stream", function()
  for _, version in ipairs { "1.1", "2" } do
    it("goes on behind its last event, over HTTP/" .. version, function()
      local client = make { http_version = version }
      local want = expected(client, {})
      respond { thread_id = "thrd_1", cut = { { events = 4 }, { events = 2 },
        { events = 1 } }, times = 1 }
      same(want, all(client))
      assert.equal(2, util.posts())
      local resumes = util.log "resume"
      assert.equal(3, #resumes)
      assert.equal(4, resumes[1].last_event_id)
      assert.equal(6, resumes[2].last_event_id)
      assert.equal(7, resumes[3].last_event_id)
    end)
  end

  it("gives nothing twice when the server goes back further", function()
    local client = make()
    local want = expected(client, {})
    respond { cut = { { events = 5 }, { events = 4 } }, overlap = 3,
      times = 1 }
    same(want, all(client))
    assert.equal(2, #util.log "resume")
  end)

  it("gives nothing twice where events have no ids", function()
    for _, generation in ipairs { "G2", "G3" } do
      local client = make()
      local want = expected(client, { generation = generation, ids = false })
      respond { generation = generation, ids = false, times = 1,
        cut = { { events = 5 }, { events = 6 } } }
      same(want, all(client))
    end
    for _, entry in ipairs(util.log "resume") do
      assert.is_nil(entry.last_event_id)
    end
  end)

  it("goes on in G1 when the request named the thread", function()
    local client = make()
    local want = expected(client, { generation = "G1" })
    respond { generation = "G1", cut = { events = 4 }, times = 1 }
    same(want, all(client, { thread_id = "thrd_mine" }))
    assert.equal("thrd_mine", util.log("resume")[1].thread_id)
  end)

  it("is cut in G1 when nobody knows the thread", function()
    respond { generation = "G1", cut = { events = 4 } }
    local got = all(make())
    assert.equal("cut", got.err.kind)
    assert.equal("You said: ", got.err.partial.text)
    assert.equal(0, #util.log "resume")
  end)

  -- All at once: each waits a while before it goes on. Over HTTP/1.1: libcurl
  -- 7.88 drops a head of HTTP/2 that is read together with RST_STREAM.
  it("goes on wherever it was cut", function()
    local client = make { base_url = helper.http,
      timeout = { connect = 60, first_byte = 60 } }
    local want = expected(client, { text = "a b" })
    local size = util.log("stream")[1].bytes
    local rules, tasks = {}, {}
    for n = 1, size do
      rules[n] = { model = "cut-" .. n, thread_id = "thrd_" .. n,
        text = "a b", cut = { bytes = n } }
    end
    respond(rules)
    for n = 1, size do
      tasks[n] = freddy.spawn(function()
        local got, err = all(client, { model = "cut-" .. n })
        return got or { err = err }
      end)
    end
    local lost = 0
    for n, task in ipairs(tasks) do
      local got = freddy.assert(task:wait(120))
      if got.err then -- no event has told of the thread
        assert.equal("cut", got.err.kind, tostring(got.err))
        lost = n
      else
        same(want, got)
        assert.truthy(n > lost, "at " .. n)
      end
    end
    assert.truthy(lost < size / 4, lost)
    assert.equal(size + 1, util.posts())
  end)

  it("gets what is live behind what is replayed", function()
    respond { thread_id = "thrd_l", cut = { events = 3 },
      pauses = { after = 3, hold = "live" } }
    local stream = freddy.assert(util.ask(make()))
    assert.equal("You ", stream:read())
    assert.equal("said: ", stream:read())
    assert.equal("Why ", stream:read())
    helper.control { release = "live" }
    local rest, err = util.read(stream)
    assert.is_nil(err)
    assert.equal("is it so?", rest)
  end)

  it("takes the completion that is made up for it", function()
    respond { cut = { events = 4 }, gone = true }
    local got = all(make())
    assert.is_nil(got.err)
    assert.equal(util.TEXT, got.answer.text)
  end)

  it("takes a text that is made up for what it is, with and without ids",
    function()
      for _, ids in ipairs { true, false } do
        respond { cut = { events = 4 }, gone = "text", ids = ids }
        local stream = freddy.assert(util.ask(make()))
        local text, err = util.read(stream)
        assert.is_nil(err)
        assert.equal(util.TEXT, text)
        assert.equal(util.TEXT, freddy.assert(stream:finish()).text)
      end
    end)

  it("is cut, with the reason, when it cannot be resumed", function()
    for _, status in ipairs { 404, 403, 410 } do
      helper.reset()
      respond { cut = { events = 4 } }
      helper.control { fail = { path = util.PATH .. "/*", method = "GET",
        status = status } }
      local got = all(make())
      assert.equal("cut", got.err.kind)
      assert.is_table(got.err.details)
      assert.equal("You said: ", got.err.partial.text)
      assert.equal(1, util.posts())
    end
  end)

  it("is no repeat: only attempts count how it goes on", function()
    local heard = 0
    local client = make { on_retry = function() heard = heard + 1 end }
    respond { cut = { { events = 4 }, { events = 2 } } }
    local got = all(client)
    assert.is_nil(got.err and tostring(got.err))
    assert.equal(3, got.stream.attempts)
    assert.equal(2, #util.log "resume")
    assert.equal(0, heard)
    assert.equal(0, client:stats().retries)
  end)

  it("is tried again while the server is down", function()
    respond { cut = { events = 4 } }
    helper.control { fail = { path = util.PATH .. "/*", method = "GET",
      status = 503, times = 2 } }
    local got = all(make())
    assert.is_nil(got.err and tostring(got.err))
    assert.equal(util.TEXT, got.answer.text)
    assert.equal(1, util.posts())
  end)

  it("is given up when five connections bring nothing new", function()
    respond { cut = { { events = 4 }, { bytes = 0 }, { bytes = 0 },
      { bytes = 0 }, { bytes = 0 }, { bytes = 0 }, { bytes = 0 },
      { bytes = 0 }, { bytes = 0 } } }
    local got = all(make())
    assert.equal("cut", got.err.kind)
    assert.equal(5, #util.log "resume")
    assert.equal(1, util.posts())
  end)

  it("stays cut when nobody wants it resumed", function()
    for _, options in ipairs { { retries = 0 }, { resume = false } } do
      helper.reset()
      respond { cut = { events = 4 } }
      local got = all(make(), nil, options)
      assert.equal("cut", got.err.kind)
      assert.equal("You said: ", got.err.partial.text)
      assert.equal(0, #util.log "resume")
    end
  end)

  -- The server says when to come back: behind the limit.
  local function down(times, rule)
    respond(rule or { cut = { events = 4 } })
    helper.control { fail = { path = util.PATH .. "/*", method = "GET",
      status = 503, retry_after = 1, times = times } }
  end

  it("has timeout.event stand still until it goes on", function()
    down(1)
    local got = all(make(), nil, { timeout = { event = 0.5 } })
    assert.is_nil(got.err and tostring(got.err))
    assert.equal(util.TEXT, got.answer.text)
    assert.equal(1, #util.log "resume")
  end)

  it("has timeout.event start anew then", function()
    down(1, { cut = { events = 3 }, pauses = { after = 3, hold = "event" } })
    local got = all(make(), nil, { timeout = { event = 0.5 } })
    assert.equal("timeout", got.err.kind)
    assert.equal("event", got.err.reason)
    assert.equal("You said: Why ", got.err.partial.text)
    assert.equal(1, #util.log "resume")
  end)

  it("has timeout.total end it in between", function()
    down(100)
    local got = all(make(), nil, { timeout = { event = 0.1, total = 0.5 } })
    assert.equal("timeout", got.err.kind)
    assert.equal("total", got.err.reason)
    assert.equal("You said: ", got.err.partial.text)
    assert.equal(0, #util.log "resume")
  end)

  it("ends while it waits to go on, when it is cancelled", function()
    respond { cut = { events = 4 } }
    helper.control { fail = { path = util.PATH .. "/*", method = "GET",
      status = 503 } }
    local stream = freddy.assert(util.ask(make()))
    assert.equal("You ", stream:read())
    assert.equal("said: ", stream:read())
    stream:cancel()
    local _, err = stream:finish()
    assert.equal("cancelled", err.kind)
  end)
end)
