-- SPDX-License-Identifier: MIT
--- Every generation of events, and every shape of an answer, comes out the
--- same.

local freddy = require "freddy"
local helper = require "spec.helper"
local util = require "spec.responses_util"

local make, ask, all, read, respond
  = util.make, util.ask, util.all, util.read, util.respond

before_each(util.begin)
after_each(util.finish)

describe("a streamed answer", function()
  for _, generation in ipairs(util.GENERATIONS) do
    it("is text, piece by piece, in " .. generation, function()
      helper.control { responses = { generation = generation } }
      local text, err, pieces = read(freddy.assert(ask(make())))
      assert.is_nil(err)
      assert.equal(util.TEXT, text)
      assert.equal(6, pieces)
    end)

    it("is text by the iterator, in " .. generation, function()
      helper.control { responses = { generation = generation } }
      local parts = {}
      for text in freddy.assert(ask(make())):text() do
        parts[#parts + 1] = text
      end
      assert.equal(util.TEXT, table.concat(parts))
    end)

    it("is read whatever its lines end in, in " .. generation, function()
      for _, eol in ipairs { "\n", "\r\n", "\r" } do
        respond { times = 1, generation = generation, eol = eol, bom = true,
          retry = 5, heartbeat = { ms = 1, form = "comment" }, ms = 5 }
        local got = all(make())
        assert.is_nil(got.err)
        assert.equal(util.TEXT, got.answer.text)
      end
    end)

    it("is assembled while it is drained, in " .. generation, function()
      respond { generation = generation, reasoning = "Hm, so.",
        thread_id = "thrd_1", usage = { input_tokens = 5,
          output_tokens = 6, total_tokens = 11 } }
      local answer = freddy.assert(freddy.assert(ask(make())):finish())
      assert.equal(util.TEXT, answer.text)
      assert.equal("Hm, so.", answer.reasoning)
      assert.is_table(answer.usage)
      if generation ~= "G1" then
        assert.equal("thrd_1", answer.thread_id)
        assert.equal(11, answer.usage.total_tokens)
        assert.equal("end_turn", answer.stop_reason)
        assert.truthy(answer.response_id:find "^resp_")
        assert.equal("ftg-3.0", answer.model)
      end
    end)
  end

  it("has its name in the JSON, or on the event line", function()
    local want = { "response.created", "response.content_delta",
      "response.completed" }
    for _, named in ipairs { true, false } do
      respond { times = 1, generation = "G2", json_name = named,
        text = "one" }
      assert.same(want, all(make()).names)
    end
  end)

  it("is what its completion says, where no piece said it", function()
    respond { pieces = {}, text = "all at once", events = {
      { data = { event = "response.created", thread_id = "thrd_1" } },
      { data = { event = "response.completed", response = "all at once" } },
    } }
    local stream = freddy.assert(ask(make()))
    assert.equal("all at once", freddy.assert(stream:finish()).text)
  end)

  it("knows heartbeats and unknown events, and lets them be", function()
    respond { events = {
      { data = { event = "response.created", thread_id = "thrd_1" } },
      { data = { event = "response.heartbeat" } },
      { data = { event = "response.of_the_future", delta = "no" } },
      { data = { event = "response.content_delta", delta = "yes" } },
      { data = "no JSON at all" },
      { data = { event = "response.completed" } },
    } }
    local got = all(make())
    assert.is_nil(got.err)
    assert.equal("yes", got.answer.text)
  end)

  it("keeps text in any script whole", function()
    local text = "Gr\195\188\195\159 dich \240\159\152\128 \"\\/\n\t"
    for piece = 1, 3 do
      respond { text = text, piece = piece, times = 1 }
      assert.equal(text, (read(freddy.assert(ask(make())))))
    end
  end)
end)

describe("an answer in one piece", function()
  it("is found in every shape", function()
    for _, shape in ipairs { "A", "B", "C", "D", "D-data" } do
      respond { shape = shape, times = 1 }
      local answer = freddy.assert(make().responses:create {
        inputs = util.INPUTS })
      assert.equal(util.TEXT, answer.text, shape)
    end
    assert.equal(5, #util.log "json")
  end)

  it("is asked for without stream", function()
    freddy.assert(make().responses:create { inputs = util.INPUTS,
      model = "gpt-4o", temperature = 0.5 })
    local sent = helper.json.decode(util.log("json")[1].body)
    assert.equal("gpt-4o", sent.model)
    assert.equal(0.5, sent.temperature)
    assert.is_true(sent.stream == false or sent.stream == nil)
  end)

  it("fails by its status", function()
    respond { error = { status = 429, code = "RATE_LIMIT_EXCEEDED" } }
    local answer, err = make { retries = 0 }.responses:create {
      inputs = util.INPUTS }
    assert.is_nil(answer)
    assert.equal("rate_limited", err.kind)
  end)
end)

describe("a background answer", function()
  it("is got by its id", function()
    respond { pauses = { hold = "work" } }
    local client = make()
    local first = freddy.assert(client.responses:create {
      inputs = util.INPUTS, background = true })
    local id = first.response_id or first.id
    assert.truthy(id)
    local now = freddy.assert(client.responses:get(id))
    assert.equal("in_progress", now.status)
    helper.control { release = "work" }
    now = freddy.assert(client.responses:get(id))
    assert.equal("completed", now.status)
    assert.equal(util.TEXT, now.output[1].content[1].text)
  end)
end)

describe("responses:cancel", function()
  it("tells the server, and what that did", function()
    respond { thread_id = "thrd_1", pauses = { after = 1, hold = "never" } }
    local client = make()
    local stream = freddy.assert(ask(client))
    assert.equal("You ", stream:read())
    local told = freddy.assert(client.responses:cancel "thrd_1")
    assert.equal("quick_edit", told.cancel_mode)
    assert.is_true(told.user_message_deleted)
    local text = read(stream)
    assert.equal("", text)
    local none, err = client.responses:cancel "thrd_none"
    assert.is_nil(none)
    assert.equal("not_found", err.kind)
  end)
end)
