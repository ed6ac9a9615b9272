-- SPDX-License-Identifier: MIT
--- How a streamed answer ends: each end is another outcome, and none is
--- mistaken for another.

local freddy = require "freddy"
local helper = require "spec.helper"
local mime = require "mime"
local util = require "spec.responses_util"

local make, ask, all, read = util.make, util.ask, util.all, util.read
local respond, hostile = util.respond, util.hostile
local VERSIONS = { "1.1", "2" }

before_each(util.begin)
after_each(util.finish)

-- It ended well, with all of the text.
local function good(got, text)
  assert.is_nil(got.why and tostring(got.why))
  assert.is_nil(got.err and tostring(got.err))
  assert.equal(text or util.TEXT, got.answer.text)
end

-- It ended as this kind; the same error for whoever asks, and what had come.
local function bad(got, kind, reason, text)
  assert.is_nil(got.answer)
  assert.equal(kind, got.err.kind)
  assert.equal(reason, got.err.reason)
  assert.equal(tostring(got.err), tostring(got.why))
  assert.equal(text, got.err.partial.text)
  helper.documented(got.err)
end

for _, version in ipairs(VERSIONS) do
  describe("over HTTP/" .. version .. " an answer is whole", function()
    local client
    before_each(function()
      client = make { http_version = version }
    end)

    it("with a terminal event and [DONE]", function()
      local got = all(client)
      good(got)
      assert.equal("response.completed", got.names[#got.names])
    end)

    it("with a terminal event, and no [DONE]", function()
      for _, generation in ipairs(util.GENERATIONS) do
        respond { generation = generation, done = false, times = 1 }
        good(all(client))
      end
    end)

    it("with [DONE], and no terminal event", function()
      for _, generation in ipairs { "G2", "G3" } do
        respond { generation = generation, times = 1, done = true, events = {
          { data = { event = "response.created", thread_id = "thrd_1" } },
          { data = { event = "response.content_delta", delta = "so" } },
        } }
        good(all(client), "so")
      end
    end)

    it("when the connection breaks behind a terminal event", function()
      for _, generation in ipairs(util.GENERATIONS) do
        respond { generation = generation, done = false, last = "cut",
          times = 1 }
        good(all(client))
      end
      assert.equal(0, #util.log "resume")
    end)

    it("when [DONE] has come and the connection stays open", function()
      respond { last = "hold" }
      good(all(client))
    end)

    it("when the connection stays open behind a terminal event", function()
      respond { done = false, last = "hold" }
      good(all(client, nil, { timeout = { stall = 0.3 } }))
    end)
  end)

  describe("over HTTP/" .. version .. " an answer is not whole", function()
    local client
    before_each(function()
      client = make { http_version = version }
    end)

    it("when its body ends without a terminal event", function()
      for _, generation in ipairs(util.GENERATIONS) do
        respond { generation = generation, done = false, times = 1,
          events = {
            { event = "response.output_text.delta",
              data = { event = generation ~= "G1"
                and "response.content_delta" or nil, delta = "half" } },
          } }
        bad(all(client, nil, { resume = false }), "cut", nil, "half")
      end
    end)

    it("with an error event: its kind by its code", function()
      local kinds = {
        RATE_LIMIT_EXCEEDED = "rate_limited", rate_limit = "rate_limited",
        TOKEN_EXPIRED = "unauthorized", INVALID_API_KEY = "unauthorized",
        INSUFFICIENT_PERMISSIONS = "forbidden",
        RESOURCE_NOT_FOUND = "not_found", VALIDATION_ERROR = "invalid",
        SOMETHING_ELSE = "server",
      }
      for code, kind in pairs(kinds) do
        for _, generation in ipairs(util.GENERATIONS) do
          respond { times = 1, generation = generation, error = {
            at = "content", after = 2, code = code, message = "No more.",
          } }
          local got = all(client)
          assert.equal(kind, got.err.kind)
          assert.equal(code, got.err.code)
          assert.equal("You said: ", got.err.partial.text)
          assert.truthy(tostring(got.err):find("No more", 1, true))
        end
      end
      assert.equal(0, #util.log "resume")
    end)

    it("with an error event that tells no code", function()
      respond { error = { at = "created", message = "No.", form = "message" } }
      bad(all(client), "server", nil, "")
    end)

    it("when nothing comes any more: stall", function()
      respond { pauses = { after = 2, hold = "for ever" } }
      bad(all(client, nil, { timeout = { stall = 0.3 } }), "timeout",
        "stall", "You said: ")
    end)

    it("when nothing but heartbeats comes: event", function()
      for _, form in ipairs { "comment", "event" } do
        respond { times = 1, pauses = { after = 2, hold = "for ever" },
          heartbeat = { ms = 20, form = form } }
        bad(all(client, nil, { timeout = { stall = 10, event = 0.4 } }),
          "timeout", "event", "You said: ")
      end
    end)

    it("when its time is over: total", function()
      respond { pauses = { after = 2, hold = "for ever" },
        heartbeat = { ms = 20, form = "event" } }
      bad(all(client, nil, { timeout = { total = 0.4 } }), "timeout",
        "total", "You said: ")
    end)

    it("when it is cancelled here", function()
      -- nginx may not see that its client has gone before it writes.
      respond { pauses = { after = 2, hold = "for ever" },
        heartbeat = { ms = 20, form = "comment" } }
      local stream = freddy.assert(ask(client))
      assert.equal("You ", stream:read())
      assert.equal("said: ", stream:read())
      stream:cancel()
      local text, err = stream:read()
      assert.is_nil(text)
      assert.equal("cancelled", err.kind)
      assert.is_nil(err.reason)
      local answer, why = stream:finish()
      assert.is_nil(answer)
      assert.equal("cancelled", why.kind)
      assert.equal("You said: ", why.partial.text)
      -- Over HTTP/2 libcurl 7.88 tells the server with its next request.
      if version == "1.1" then
        helper.eventually(function()
          return util.log("stream")[1].ended == "aborted"
        end)
      end
    end)

    it("when somebody else cancels it at the server", function()
      respond { thread_id = "thrd_c", pauses = { after = 2, hold = "never" } }
      local stream = freddy.assert(ask(client))
      assert.equal("You ", stream:read())
      assert.equal("said: ", stream:read())
      freddy.assert(make():post(util.PATH .. "/thrd_c/cancel"))
      local text, err = stream:read()
      assert.is_nil(text)
      assert.equal("cancelled", err.kind)
      assert.equal("by_server", err.reason)
      local _, why = stream:finish()
      assert.equal("You said: ", why.partial.text)
      assert.equal("thrd_c", why.partial.thread_id)
    end)
  end)
end

-- --- Every byte ------------------------------------------------------------

local bodies

local function body_of(name)
  if not bodies then
    local _, text = helper.http_request("GET",
      helper.hostile_url .. "/control/streams")
    bodies = helper.json.decode(text)
  end
  return mime.unb64(bodies[name])
end

-- Where the terminal event is whole: its blank line has come.
local function whole_at(body)
  local _, last = body:find("response.completed", 1, true)
  _, last = body:find("\n\n", last, true)
  return last
end

local function cut_at(name, n, args, listener)
  args.of, args.n = name, n
  local client = hostile("sse", args, {}, listener)
  local got, err = all(client, nil, { resume = false, retries = 0 })
  -- Before the head there is no stream.
  return got or { err = err, why = err }
end

for _, name in ipairs { "g1", "g2", "g3" } do
  describe("cut at every byte, a stream of " .. name, function()
    local function check(step, args, listener)
      local body = body_of(name)
      local last = whole_at(body)
      for n = 0, #body, step do
        local got = cut_at(name, n, args, listener)
        -- A reset may overtake what was sent before it, the head as well.
        if got.answer or n >= last and args["then"] ~= "reset" then
          good(got, "Gr\195\188\195\159 dich")
          assert.truthy(n >= last, "at " .. n)
        else
          assert.is_nil(got.answer, "at " .. n)
          assert.equal("cut", got.err.kind, "at " .. n)
          local partial = got.err.partial and got.err.partial.text or ""
          assert.equal(("Gr\195\188\195\159 dich"):sub(1, #partial), partial)
        end
      end
    end

    it("is cut, or it is whole: by a close", function()
      check(1, { ["then"] = "fin" })
    end)

    it("and by a reset", function()
      check(7, { ["then"] = "reset" })
    end)

    it("and by a close that ends the body as well", function()
      check(5, { framing = "close" })
    end)

    it("and by a body's right end, that comes too early", function()
      check(5, { ["then"] = "end" })
    end)

    it("and over HTTP/2 by RST_STREAM, and by a lost connection", function()
      for _, how in ipairs { "rst", "fin", "reset", "end", "goaway" } do
        check(31, { ["then"] = how }, "HOSTILE_H2")
      end
    end)
  end)
end

-- --- Bounds, and what is no stream -----------------------------------------

describe("what is too large, or no stream,", function()
  it("ends as too_large, and memory stays bounded", function()
    for _, kind in ipairs { "line", "id", "name", "lines", "empty-lines" } do
      for _, listener in ipairs { "HOSTILE", "HOSTILE_H2" } do
        local client = hostile("sse-endless", { kind = kind, mb = 64 },
          { max_event = 65536 }, listener ~= "HOSTILE" and listener or nil)
        local got, err = all(client)
        err = got and got.err or err
        assert.equal("too_large", err.kind)
        assert.equal("event", err.reason)
      end
    end
  end)

  it("takes an event of just the size, and not of one more", function()
    local client = hostile("sse-event", { size = 1000 },
      { max_event = 1006 })  -- with "data: "
    local stream = freddy.assert(client:stream("/x"))
    assert.equal(1000, #stream:next().data)
    assert.equal("next", stream:next().data)
    client = hostile("sse-event", { size = 1001 }, { max_event = 1006 })
    stream = freddy.assert(client:stream("/x"))
    local event, err = stream:next()
    assert.is_nil(event)
    assert.equal("too_large", err.kind)
  end)

  it("is an ordinary error when it is not 2xx", function()
    helper.control { fail = { path = util.PATH, status = 422 } }
    local stream, err = ask(make())
    assert.is_nil(stream)
    assert.equal("invalid", err.kind)
    assert.equal("VALIDATION_ERROR", err.code)
  end)

  it("is an answer when it is JSON: text gives it whole", function()
    for _, shape in ipairs { "A", "B", "C", "D", "D-data" } do
      respond { as = "json", shape = shape, times = 1 }
      local stream = freddy.assert(ask(make()))
      local text, err, pieces = read(stream)
      assert.is_nil(err)
      assert.equal(util.TEXT, text)
      assert.equal(1, pieces)
      assert.equal(util.TEXT, freddy.assert(stream:finish()).text)
    end
  end)

  it("is a protocol error when it is neither", function()
    respond { content_type = "text/html" }
    local stream, err = ask(make())
    assert.is_nil(stream)
    assert.equal("protocol", err.kind)
    assert.equal("not_an_event_stream", err.reason)
  end)
end)
