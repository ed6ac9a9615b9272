-- SPDX-License-Identifier: MIT
--- client.responses against the emulator: answers whole and as they come, in
--- every generation, and every way in which a stream can end.

local freddy = require "freddy"
local helper = require "spec.helper"

local clients = {}
local client

local function make(options)
  options = options or {}
  options.retries = options.retries or 2
  local one = helper.client(options)
  clients[#clients + 1] = one
  return one
end

before_each(function()
  helper.reset()
  client = make()
end)

after_each(function()
  for _, one in ipairs(clients) do
    one.core:forget()
    one:close()
  end
  clients = {}
end)

local function ask(text, more)
  local params = { inputs = { { role = "user", content = text } } }
  for name, value in pairs(more or {}) do
    params[name] = value
  end
  return params
end

-- Every turn from now on is as `script` says.
local function told(script)
  helper.control { responses = script }
end

local function open(params, options)
  return freddy.assert(client.responses:stream(params or ask "Hi", options))
end

local function names(stream)
  local list = {}
  local event, err = stream:next()
  while event do
    list[#list + 1] = event.event
    event, err = stream:next()
  end
  return list, err
end

local function texts(stream)
  local list = {}
  local piece, err = stream:read()
  while piece do
    list[#list + 1] = piece
    piece, err = stream:read()
  end
  return list, err
end

-- What the emulator saw, of some kind.
local function seen(kind)
  local list = {}
  for _, entry in ipairs(helper.counters().responses) do
    if entry.kind == kind then
      list[#list + 1] = entry
    end
  end
  return list
end

-- --- Whole ---------------------------------------------------------------

describe("client.responses:create", function()
  for _, shape in ipairs { "A", "B", "C", "D", "D-data" } do
    it("reads an answer of the shape " .. shape, function()
      told { shape = shape, model = "m" }
      local answer, res = client.responses:create(ask "Hi")
      assert.is_nil(answer == nil and res or nil)
      assert.equal("You said: Hi", answer.text)
      assert.equal(200, res.status)
      assert.truthy(answer.thread_id)
      assert.same({}, answer.blocks)
    end)

    it("gives calls of tools of the shape " .. shape, function()
      told { shape = shape, tool_calls = {
        { id = "c1", name = "f", arguments = { x = 1 } } } }
      local answer = freddy.assert(client.responses:create(ask "Hi"))
      assert.equal(shape:find "^D" and 0 or 1, #answer.tool_calls)
    end)
  end

  it("says that it wants no stream, and leaves the parameters alone",
    function()
      local params = ask("Hi", { temperature = 0.5 })
      freddy.assert(client.responses:create(params))
      local body = helper.json.decode(seen "json"[1].body)
      assert.is_false(body.stream)
      assert.equal(0.5, body.temperature)
      assert.is_nil(params.stream)
    end)

  it("raises on what can be no request", function()
    helper.raises_here(function() client.responses:create() end,
      "inputs is required")
    helper.raises_here(function()
      client.responses:create { inputs = "Hi" }
    end, "inputs must be an array")
    helper.raises_here(function()
      client.responses:create(ask("Hi", { stream = true }))
    end, "client.responses:stream")
    helper.raises_here(function()
      client.responses:create(ask "Hi", { resume = false })
    end, "unknown option")
    helper.raises_here(function()
      client.responses:stream(ask "Hi", { stream = true })
    end, "unknown option")
    helper.raises_here(function()
      client.responses:stream(ask "Hi", { resume = 1 })
    end, "resume")
  end)

  it("gives an error like any other", function()
    local answer, err = client.responses:create(ask("Hi", { temperature = 5 }))
    assert.is_nil(answer)
    assert.equal("invalid", err.kind)
    assert.equal(422, err.status)
  end)

  it("works in the background", function()
    local job = freddy.assert(client.responses:create(
      ask("Hi", { background = true })))
    assert.equal("queued", job.status)
    assert.equal("", job.text)
    local state
    helper.eventually(function()
      state = freddy.assert(client.responses:get(job.id))
      return state.status == "completed"
    end)
    assert.equal("You said: Hi", state.output[1].content[1].text)
  end)

  it("lists modes and levels", function()
    assert.truthy(freddy.assert(
      client.responses:output_modes()).output_modes[1].mode)
    assert.truthy(freddy.assert(
      client.responses:reasoning_levels()).reasoning_levels[1].level)
  end)
end)

-- --- As it comes ---------------------------------------------------------

local ORDER = {
  G3 = { "response.processing", "response.created",
    "response.content_delta", "response.content_delta",
    "response.content_delta", "response.completed" },
  G2 = { "response.created", "response.content_delta",
    "response.content_delta", "response.content_delta",
    "response.completed" },
  G1 = { "response.created", "response.output_item.added",
    "response.output_text.delta", "response.output_text.delta",
    "response.output_text.delta", "response.output_text.done",
    "response.completed" },
}

describe("client.responses:stream", function()
  for generation, order in pairs(ORDER) do
    it("gives the events of " .. generation, function()
      told { generation = generation }
      local list, err = names(open())
      assert.is_nil(err)
      assert.same(order, list)
    end)

    it("gives the text and the answer of " .. generation, function()
      told { generation = generation, reasoning = "Let me think." }
      local stream = open()
      local list, err = texts(stream)
      assert.is_nil(err)
      assert.same({ "You ", "said: ", "Hi" }, list)
      local answer = freddy.assert(stream:finish())
      assert.equal("You said: Hi", answer.text)
      assert.equal(generation ~= "G1" or nil,
        answer.thread_id ~= nil or nil)
      assert.truthy(answer.response_id)
      assert.truthy(answer.usage)
      assert.equal("Let me think.", answer.reasoning)
      assert.equal(answer, stream:finish())
      assert.is_nil(stream:read())
      assert.is_nil((stream:next()))
    end)

    it("knows the end of " .. generation .. " with [DONE] and without",
      function()
        for _, done in ipairs { true, false } do
          told { generation = generation, done = done, ids = done }
          assert.equal("You said: Hi", freddy.assert(open():finish()).text)
        end
      end)

    it("needs no end of the connection in " .. generation, function()
      told { generation = generation, last = "hold" }
      assert.equal("You said: Hi", freddy.assert(open():finish()).text)
      told { generation = generation, last = "cut" }
      assert.equal("You said: Hi", freddy.assert(open():finish()).text)
      assert.equal(0, #seen "resume")
    end)

    it("puts calls of tools together in " .. generation, function()
      for _, form in ipairs { "block", "pieces", "completed" } do
        told { generation = generation, tool_form = form, tool_calls = {
          { id = "c1", name = "f", arguments = { city = "Bern" } },
          { id = "c2", name = "g", arguments = { n = 1 } } } }
        local calls = freddy.assert(open():finish()).tool_calls
        assert.equal(2, #calls)
        for i, call in ipairs(calls) do
          local inner = call["function"] or call
          local arguments = inner.arguments
          if type(arguments) == "string" then
            arguments = freddy.json.decode(arguments)
          end
          assert.equal("c" .. i, call.id)
          assert.equal(i == 1 and "f" or "g",
            inner.name or inner.tool_name)
          assert.same(i == 1 and { city = "Bern" } or { n = 1 }, arguments)
        end
      end
    end)
  end

  it("iterates", function()
    local list = {}
    for piece in open():text() do
      list[#list + 1] = piece
    end
    assert.same({ "You ", "said: ", "Hi" }, list)
    list = {}
    for event in open():events() do
      list[#list + 1] = event.class
    end
    assert.same({ "note", "note", "content", "content", "content",
      "terminal" }, list)
  end)

  it("keeps raw events where it is asked to", function()
    local stream = open(nil, { keep_events = true })
    local answer = freddy.assert(stream:finish())
    assert.equal(6, #answer.events)
    assert.equal("1", answer.events[1].id)
    assert.equal("response.created", answer.events[2].json.event)
    assert.is_nil(freddy.assert(open():finish()).events)
  end)

  it("tells its thread as soon as it is known", function()
    local stream = open(ask("Hi", { thread_id = "thrd_mine" }))
    assert(stream:next())
    assert.equal("thrd_mine", stream.thread_id)
    assert.equal(200, stream.status)
    assert.equal("text/event-stream",
      stream.headers["content-type"]:match "^[^;]*")
  end)

  it("takes an answer that is JSON", function()
    for _, shape in ipairs { "A", "B", "C", "D", "D-data" } do
      told { as = "json", shape = shape }
      local stream = open()
      assert.same({ "You said: Hi" }, (texts(stream)))
      assert.equal("You said: Hi", freddy.assert(stream:finish()).text)
      assert.same({}, (names(open())))
    end
  end)

  it("gives an answer that is not 2xx as an error", function()
    local stream, err = client.responses:stream(ask("Hi",
      { temperature = 5 }))
    assert.is_nil(stream)
    assert.equal("invalid", err.kind)
  end)

  it("does not take a page for an answer", function()
    told { content_type = "text/html" }
    local stream, err = client.responses:stream(ask "Hi")
    assert.is_nil(stream)
    assert.equal("protocol", err.kind)
    assert.equal("not_an_event_stream", err.reason)
  end)

  it("does one round by hand", function()
    helper.control { respond = { role = "user", tool_calls = {
      { id = "c1", name = "add", arguments = { a = 1, b = 2 } } } } }
    local question = { role = "user", content = "1 + 2?" }
    local answer = freddy.assert(client.responses:stream {
      inputs = { question }, tools = { { type = "function", name = "add" } },
    }:finish())
    local call = answer.tool_calls[1]
    answer = freddy.assert(client.responses:stream {
      thread_id = answer.thread_id,
      inputs = { question, { role = "tool", tool_call_id = call.id,
        content = ("%.0f"):format(call.arguments.a + call.arguments.b) } },
    }:finish())
    assert.equal("The tool says: 3", answer.text)
  end)

  it("skips what it does not know, and heartbeats", function()
    told { events = {
      { event = "response.created", data = { event = "response.created" } },
      { event = "response.new", data = { event = "response.new" } },
      { event = "x", data = "no JSON" },
      { event = "response.heartbeat",
        data = { event = "response.heartbeat" } },
      { event = "response.content_delta",
        data = { event = "response.content_delta", delta = "a" } },
    }, done = true }
    local stream = open()
    assert.equal("a", freddy.assert(stream:finish()).text)
  end)
end)

-- --- Ends ----------------------------------------------------------------

describe("a stream that does not end well", function()
  for generation in pairs(ORDER) do
    it("is an error, when the server says so in " .. generation, function()
      told { generation = generation, error = { at = "content", after = 1,
        code = "RATE_LIMIT_EXCEEDED", message = "Too fast.",
        form = "nested" } }
      local stream = open()
      local list, err = texts(stream)
      assert.same({ "You " }, list)
      assert.equal("rate_limited", err.kind)
      assert.equal("RATE_LIMIT_EXCEEDED", err.code)
      assert.equal("Too fast.", err.message)
      assert.equal("You ", err.partial.text)
      assert.equal(429, err.details.status)
      local answer, again = stream:finish()
      assert.is_nil(answer)
      assert.equal(err, again)
      assert.equal(0, #seen "resume")
    end)
  end

  it("has a kind by its code, else server", function()
    for code, kind in pairs {
      INSUFFICIENT_PERMISSIONS = "forbidden", THREAD_NOT_FOUND = "not_found",
      VALIDATION_ERROR = "invalid", INVALID_API_KEY = "unauthorized",
      INTERNAL_ERROR = "server",
    } do
      told { error = { at = "start", code = code, message = "No." } }
      local answer, err = open():finish()
      assert.is_nil(answer)
      assert.equal(kind, err.kind)
    end
    told { error = { at = "start", form = "message", message = "Oh." } }
    local _, err = open():finish()
    assert.equal("server", err.kind)
    assert.equal("Oh.", err.message)
  end)

  it("is too large, where an event is larger than max_event", function()
    client = make { max_event = 1000 }
    told { pieces = { "a", ("x"):rep(2000) } }
    local _, err = open():finish()
    assert.equal("too_large", err.kind)
    assert.equal("event", err.reason)
    assert.equal("a", err.partial.text)
  end)

  it("masks secrets in what had come", function()
    told { error = { at = "content" },
      server_tools = { { name = "x", result = helper.api_key } } }
    local _, err = open(nil, { keep_events = true }):finish()
    assert.equal("***", err.partial.blocks[2].result)
    assert.truthy(#err.partial.events > 3)
    local masked = 0
    for _, event in ipairs(err.partial.events) do
      assert.is_nil(event.data:find(helper.api_key, 1, true))
      assert.is_nil(event.json)
      masked = masked + (event.data:find("***", 1, true) and 1 or 0)
    end
    assert.truthy(masked > 0)
  end)

  it("masks secrets that came in pieces", function()
    local half = math.floor(#helper.api_key / 2)
    local parts = { helper.api_key:sub(1, half), helper.api_key:sub(half + 1) }
    local function event(name, fields)
      fields.event = name
      return { data = fields }
    end
    local failed = event("response.error", { code = "X" })
    for _, how in ipairs { { pieces = parts, error = { at = "content" } },
        { pieces = parts, error = { at = "content", after = 1 } },
        { events = { event("reasoning.content", { content = parts[1] }),
          event("reasoning.content", { content = parts[2] }), failed } },
        { events = {
          event("response.tool_call.delta", { id = "c", delta = parts[1] }),
          event("response.tool_call.delta", { id = "c", delta = parts[2] }),
          failed } } } do
      told(how)
      local _, err = open(nil, { keep_events = true }):finish()
      assert.is_table(err)
      for i, one in ipairs(err.partial.events) do
        for _, part in ipairs(parts) do
          assert.is_nil(one.data:find(part, 1, true), i)
        end
      end
    end
  end)

  it("keeps the pieces where no secret is in them", function()
    told { pieces = { "abc", "def" }, error = { at = "content" } }
    local _, err = open(nil, { keep_events = true }):finish()
    local data = helper.text_of(err.partial.events)
    assert.truthy(data:find("abc", 1, true))
    assert.truthy(data:find("def", 1, true))
  end)

  it("masks secrets in an error", function()
    told { error = { at = "content", code = "X",
      message = "bad key " .. helper.api_key } }
    local _, err = open():finish()
    assert.is_nil(err.message:find(helper.api_key, 1, true))
    assert.is_nil(tostring(err):find(helper.api_key, 1, true))
  end)

  it("is cancelled by the server", function()
    told { ms = 0, pauses = { after = 2, hold = "never" } }
    local stream = open()
    assert.equal("You ", (stream:read()))
    local other = make()
    freddy.assert(other.responses:cancel(stream.thread_id))
    local list, err = texts(stream)
    assert.same({ "said: " }, list)
    assert.equal("cancelled", err.kind)
    assert.equal("by_server", err.reason)
    assert.equal("You said: ", err.partial.text)
  end)

  it("is cancelled by the server, since we have asked", function()
    told { pauses = { after = 2, hold = "never" } }
    local stream = open()
    assert(stream:read())
    local told_so = freddy.assert(client.responses:cancel(stream.thread_id))
    assert.equal("quick_edit", told_so.cancel_mode)
    local answer, err = stream:finish()
    assert.is_nil(answer)
    assert.equal("cancelled", err.kind)
    assert.is_nil(err.reason)
  end)

  it("is cancelled here", function()
    client = make { base_url = helper.http }
    told { pauses = { after = 1, hold = "never" },
      heartbeat = { ms = 20 } }
    local stream = open()
    assert(stream:read())
    stream:cancel()
    stream:cancel()
    local answer, err = stream:finish()
    assert.is_nil(answer)
    assert.equal("cancelled", err.kind)
    assert.is_nil(err.reason)
    assert.equal("You ", err.partial.text)
    helper.eventually(function()
      return seen "stream"[1].ended == "aborted"
    end)
  end)

  it("stalls, or says nothing, or takes too long", function()
    for reason, script in pairs {
      stall = { pauses = { after = 1, hold = "never" } },
      event = { pauses = { after = 1, hold = "never" },
        heartbeat = { ms = 50 } },
      total = { pauses = { after = 1, hold = "never" } },
    } do
      helper.reset()
      told(script)
      local _, err = open(nil, { timeout = { [reason] = 0.4 } }):finish()
      assert.equal("timeout", err.kind)
      assert.equal(reason, err.reason)
      assert.equal("You ", err.partial.text)
    end
  end)

  it("holds an event that is no JSON", function()
    told { events = { { event = "response.content_delta",
      data = "{ no" } }, done = true }
    local _, err = open():finish()
    assert.equal("protocol", err.kind)
    assert.equal("bad_json", err.reason)
  end)

  it("was whole all the same, when only what follows breaks", function()
    for _, script in ipairs {
      { last = "cut", done = false }, { last = "cut", done = true },
    } do
      told(script)
      assert.equal("You said: Hi", freddy.assert(open():finish()).text)
    end
  end)
end)

-- --- Cut, and resumed ----------------------------------------------------

describe("a stream that breaks off", function()
  for _, ids in ipairs { true, false } do
    for generation, order in pairs(ORDER) do
      it(("goes on, %s ids, in %s"):format(ids and "with" or "without",
        generation), function()
          told { generation = generation, ids = ids, done = true,
            cut = { { events = 2 }, { events = 4 }, {} }, overlap = 2 }
          local stream = open(ask("Hi", { thread_id = "thrd_mine" }),
            { keep_events = true })
          local answer = freddy.assert(stream:finish())
          local list = {}
          for i, event in ipairs(answer.events) do
            list[i] = event.event
          end
          assert.same(order, list)
          assert.equal("You said: Hi", answer.text)
          assert.equal(1, #seen "stream")
          local resumes = seen "resume"
          assert.truthy(#resumes >= 1)
          assert.equal(ids and 2 or nil, resumes[1].last_event_id)
          assert.equal(200, stream.status)
        end)
    end
  end

  it("goes on where the server has only the whole left", function()
    told { cut = { { events = 3 }, {} }, gone = true }
    local stream = open()
    assert.same({ "You ", "said: Hi" }, (texts(stream)))
    assert.equal("You said: Hi", freddy.assert(stream:finish()).text)
  end)

  it("is the same, wherever it breaks", function()
    client = make { base_url = helper.http }
    told { text = "Aé", piece = 1, ids = true }
    freddy.assert(open():finish())
    local size = seen "stream"[1].bytes
    assert.truthy(size > 300)
    local tasks = {}
    for bytes = 1, size - 1 do
      helper.control { respond = { cut = { { bytes = bytes }, {} } } }
      local stream, err = client.responses:stream(
        ask("Hi", { thread_id = "thrd_" .. bytes }))
      tasks[#tasks + 1] = freddy.spawn(function()
        if not stream then
          return nil, err
        end
        return stream:finish()
      end)
    end
    for bytes, task in ipairs(tasks) do
      local answer, err = task:wait(60)
      assert.is_nil(err and ("%d: %s"):format(bytes, tostring(err)))
      assert.equal("Aé", answer.text)
    end
  end)

  it("is cut, wherever it breaks, when it is not resumed", function()
    client = make { base_url = helper.http }
    told { text = "Aé", piece = 1, ids = true }
    freddy.assert(open():finish())
    local size = seen "stream"[1].bytes
    local cut, whole = 0, 0
    for bytes = 0, size - 1 do
      helper.control { respond = { cut = { bytes = bytes } } }
      local stream, err = client.responses:stream(ask "Hi",
        { resume = false })
      local answer
      if stream then
        answer, err = stream:finish()
      end
      if answer then
        assert.equal("Aé", answer.text)
        whole = whole + 1
      else
        assert.equal("cut", err.kind)
        assert.equal(stream and "off", err.details and err.details.resume)
        local text = stream and err.partial.text or ""
        assert.equal(text, ("Aé"):sub(1, #text))
        cut = cut + 1
      end
    end
    assert.truthy(cut > 200)
    assert.truthy(whole < 40)
    assert.equal(0, #seen "resume")
  end)

  it("is cut, when there is nothing to name it by", function()
    told { generation = "G1", cut = { events = 3 } }
    local stream = open()
    local answer, err = stream:finish()
    assert.is_nil(answer)
    assert.equal("cut", err.kind)
    assert.equal("no_thread", err.details.resume)
    assert.equal("You ", err.partial.text)
  end)

  it("is cut, when repeats are not wanted", function()
    told { cut = { events = 3 } }
    local _, err = open(nil, { retries = 0 }):finish()
    assert.equal("off", err.details.resume)
    client = make { retries = 0 }
    _, err = open():finish()
    assert.equal("off", err.details.resume)
    assert.equal(0, #seen "resume")
  end)

  it("is cut, when the server knows nothing of it any more", function()
    told { cut = { events = 3 } }
    helper.control { fail = { path = "/v1/model/response/thrd_mine/stream",
      status = 404 } }
    local _, err = open(ask("Hi", { thread_id = "thrd_mine" })):finish()
    assert.equal("cut", err.kind)
    assert.equal("not_found", err.details.resume)
    assert.equal("You ", err.partial.text)
  end)

  it("goes on after answers that pass", function()
    told { cut = { { events = 3 }, {} } }
    helper.control { fail = { path = "/v1/model/response/thrd_mine/stream",
      status = 503, times = 2 } }
    local stream = open(ask("Hi", { thread_id = "thrd_mine" }))
    assert.equal("You said: Hi", freddy.assert(stream:finish()).text)
    assert.equal(1, #seen "resume")
  end)

  it("gives up after five tries that bring nothing", function()
    told { cut = { { events = 3 }, { events = 0 }, { events = 0 },
      { events = 0 }, { events = 0 }, { events = 0 } } }
    local _, err = open():finish()
    assert.equal("cut", err.kind)
    assert.equal("tries", err.details.resume)
    assert.equal(5, #seen "resume")
    assert.equal(1, #seen "stream")
  end)

  it("can be cancelled while it waits to go on", function()
    told { cut = { { events = 3 }, { events = 0 }, { events = 0 },
      { events = 0 }, { events = 0 }, { events = 0 } } }
    local stream = open()
    assert.equal("You ", (stream:read()))
    helper.eventually(function() return #seen "resume" >= 2 end)
    stream:cancel()
    local _, err = stream:read()
    assert.equal("cancelled", err.kind)
  end)
end)

-- --- Credentials ---------------------------------------------------------

describe("a stream whose token is refused", function()
  local function session(mint)
    local tokens = helper.session(mint or {})
    return make { token = tokens.token, refresh_token = tokens.refresh_token }
  end

  it("in the stream, is sent once more with a new one", function()
    told { auth_in_stream = true }
    client = session()
    helper.control { revoke = { access = true } }
    local stream = open()
    assert.same(ORDER.G3, (names(stream)))
    assert.equal("You said: Hi", freddy.assert(stream:finish()).text)
    assert.equal(2, #seen "stream")
    assert.equal(1, helper.counters().auth.refresh.calls)
  end)

  it("and refused again, is an error", function()
    told { auth_in_stream = true }
    client = session()
    helper.control { token = { state = "invalid" } }
    local list, err = names(open())
    assert.same({ "response.processing" }, list)
    assert.equal("unauthorized", err.kind)
    assert.equal(2, #seen "stream")
  end)

  it("is an error at once where only a key is to blame", function()
    told { auth_in_stream = true }
    client = make { api_key = "sk-wrong-key-of-some-length" }
    local _, err = open():finish()
    assert.equal("unauthorized", err.kind)
    assert.equal("invalid_api_key", err.reason)
    assert.equal(1, #seen "stream")
  end)

  it("in its head, is sent once more as any request", function()
    client = session()
    helper.control { revoke = { access = true } }
    assert.equal("You said: Hi", freddy.assert(open():finish()).text)
    assert.equal(1, #seen "stream")
  end)

  it("when it would go on, goes on with a new one", function()
    told { cut = { { events = 3 }, {} } }
    helper.control { delay = { hold = "revoked",
      path = "/v1/model/response/thrd_mine/stream" } }
    client = session()
    local stream = open(ask("Hi", { thread_id = "thrd_mine" }))
    assert.equal("You ", (stream:read()))
    helper.control { revoke = { access = true } }
    helper.control { release = "revoked" }
    assert.equal("You said: Hi", freddy.assert(stream:finish()).text)
    assert.equal(1, helper.counters().auth.refresh.calls)
  end)
end)

-- --- Tasks ---------------------------------------------------------------

describe("a stream in a task", function()
  local no_wait_in_for = _VERSION == "Lua 5.1" and not rawget(_G, "jit")

  it("iterates where the language can wait in a for", function()
    local task = freddy.spawn(function()
      local stream = open()
      local list = {}
      for piece in stream:text() do
        list[#list + 1] = piece
      end
      return table.concat(list)
    end)
    local text, err = task:wait(20)
    if no_wait_in_for then
      assert.is_nil(text)
      assert.truthy(tostring(err):find("stream:read()", 1, true))
    else
      assert.equal("You said: Hi", text)
    end
  end)

  it("is read with while on every Lua", function()
    local task = freddy.spawn(function()
      return table.concat((texts(open())))
    end)
    assert.equal("You said: Hi", (task:wait(20)))
  end)

  it("goes on, when only the task is cancelled", function()
    told { pauses = { after = 1, hold = "go" } }
    local stream = open()
    assert(stream:read())
    local task = freddy.spawn(function()
      return stream:read()
    end)
    task:cancel()
    local _, err = task:wait(20)
    assert.equal("cancelled", err.kind)
    helper.control { release = "go" }
    assert.equal("You said: Hi", freddy.assert(stream:finish()).text)
  end)

  it("ends for its reader, when another cancels it", function()
    told { pauses = { after = 1, hold = "never" } }
    local stream = open()
    assert(stream:read())
    local task = freddy.spawn(function()
      return stream:read()
    end)
    stream:cancel()
    local _, err = task:wait(20)
    assert.equal("cancelled", err.kind)
    assert.equal("You ", err.partial.text)
  end)

  it("ends, when its client is closed", function()
    told { pauses = { after = 1, hold = "never" } }
    local stream = open()
    assert(stream:read())
    client:close()
    local _, err = stream:finish()
    assert.equal("closed", err.kind)
    assert.equal("You ", err.partial.text)
  end)

  it("many at once, each its own", function()
    local tasks = {}
    for i = 1, 50 do
      tasks[i] = freddy.spawn(function()
        return open(ask("number " .. i)):finish()
      end)
    end
    for i, task in ipairs(tasks) do
      local answer = freddy.assert(task:wait(60))
      assert.equal("You said: number " .. i, answer.text)
    end
  end)
end)
