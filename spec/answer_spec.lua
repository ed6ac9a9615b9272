-- SPDX-License-Identifier: MIT
--- Answers put together: from one body in each shape that was seen, and from
--- the events of each generation.

local answer = require "freddy.answer"
local core = require "freddy.core"
local json = require "freddy.json"

local function read(text)
  return answer.read(assert(json.decode(text)))
end

-- The fields of a freddy.Answer, the rest of the body left aside.
local function fields(got)
  return {
    text = got.text, thread_id = got.thread_id,
    response_id = got.response_id, model = got.model,
    stop_reason = got.stop_reason, reasoning = got.reasoning,
    total = got.usage and got.usage.total_tokens,
    calls = #got.tool_calls, blocks = #got.blocks,
  }
end

local BODIES = {
  { "A", [[{"success":true,"thread_id":"t","response":"Hi."}]],
    { text = "Hi.", thread_id = "t" } },
  { "A with all there is", [[{"success":true,"thread_id":"t","response":"Hi.",
      "response_id":"r","model":"m","stop_reason":"end_turn",
      "usage":{"total_tokens":3},"reasoning_content":"hm",
      "tool_calls":[{"id":"c","type":"function",
        "function":{"name":"f","arguments":"{}"}}]}]],
    { text = "Hi.", thread_id = "t", response_id = "r", model = "m",
      stop_reason = "end_turn", total = 3, reasoning = "hm", calls = 1 } },
  { "B", [[{"id":"r","model":"m","output":[{"role":"assistant","content":[
      {"type":"output_text","text":"Hi"},{"type":"output_text","text":"."}]},
      {"type":"function_call","id":"c","name":"f","arguments":"{}"}],
      "usage":{"total_tokens":3},"thread":{"id":"t"}}]],
    { text = "Hi.", thread_id = "t", response_id = "r", model = "m",
      total = 3, calls = 1 } },
  { "B with plain content",
    [[{"output":[{"content":"Hi"},{"content":["."]}]}]],
    { text = "Hi." } },
  { "C", [[{"id":"r","object":"response","createdAt":1,"model":"m",
      "threadId":"t","choices":[{"index":0,"message":{"role":"assistant",
      "content":"Hi.","toolCalls":[{"id":"c","type":"function","function":
      {"name":"f","arguments":"{}"}}],"refusal":null},
      "finishReason":"toolCalls","logprobs":null}]}]],
    { text = "Hi.", thread_id = "t", response_id = "r", model = "m",
      stop_reason = "toolCalls", calls = 1 } },
  { "C without content", [[{"choices":[{"message":{"content":null,
      "toolCalls":null},"finishReason":"stop"}]}]],
    { text = "", stop_reason = "stop" } },
  { "D", [==[[{"event":"response.created","threadId":"t"},
      {"event":"response.output_text.delta","response":"Hi"},
      {"event":"response.output_text.delta","response":"."},
      {"event":"response.completed","status":"completed"}]]==],
    { text = "Hi.", thread_id = "t" } },
  { "D with its text only at the end", [[{"success":true,"data":[
      {"event":"response.created","threadId":"t"},
      {"event":"response.completed","response":"Hi.","model":"m"}]}]],
    { text = "Hi.", thread_id = "t", model = "m" } },
  { "D with its text twice", [==[[
      {"event":"response.output_text.delta","response":"Hi"},
      {"event":"response.completed","response":"Hi."}]]==],
    { text = "Hi." } },
  { "of the background", [[{"id":"r","status":"queued","created_at":1}]],
    { text = "", response_id = "r" } },
  { "with blocks", [[{"response":"Hi.","response_blocks":[{"type":"text"}]}]],
    { text = "Hi.", blocks = 1 } },
  { "with its text in blocks only", [[{"thread_id":"t","response":null,
      "response_blocks":[{"type":"text","text":"Hi"},
      {"type":"tool_call","id":"c","tool_name":"f","arguments":{}},
      {"type":"tool_call","id":"d","tool_name":"g","arguments":{}},
      {"type":"tool_result","tool_call_id":"d"},
      {"type":"text","content":"."}]}]],
    { text = "Hi.", thread_id = "t", calls = 1, blocks = 5 } },
  { "D with calls", [==[[{"event":"response.block","block":
      {"type":"tool_call","id":"c","tool_name":"f","arguments":{}}},
      {"event":"response.output_item.added","item":
      {"type":"function_call","id":"d","name":"g","arguments":""}},
      {"event":"response.function_call_arguments.delta","item_id":"d",
      "delta":"{}"},{"event":"response.completed"}]]==],
    { text = "", calls = 2, blocks = 1 } },
  { "empty", "{}", { text = "" } },
  { "with nothing but null", [[{"response":null,"output":null,"choices":null,
      "usage":null,"thread_id":null,"data":null}]], { text = "" } },
  { "of types that nobody expects", [[{"response":5,"output":"x","choices":7,
      "usage":[],"thread_id":{},"thread":"t","model":false,"data":[1,null],
      "tool_calls":"x","response_blocks":3}]], { text = "" } },
}

describe("an answer in one body is read in the shape", function()
  for _, row in ipairs(BODIES) do
    it(row[1], function()
      local got = read(row[2])
      local expected = { calls = 0, blocks = 0 }
      for name, value in pairs(row[3]) do
        expected[name] = value
      end
      assert.same(expected, fields(got))
    end)
  end

  it("that is an object, and keeps it, with what was missing added", function()
    local data = assert(json.decode [[{"success":true,"response":"Hi.",
      "text":"theirs","usage":null,"thread_id":"t"}]])
    local got = answer.read(data)
    assert.equal(data, got)
    assert.equal("theirs", got.text)
    assert.equal("Hi.", got.response)
    assert.is_nil(got.usage)
  end)

  it("that is none, whatever the status", function()
    for _, text in ipairs {
      [==[[{"event":"response.output_text.delta","delta":"half"},
        {"event":"response.failed","error":{"code":"X"}}]]==],
      [==[[{"event":"response.cancelled"}]]==],
      [[{"success":false,"error":{"code":"X"}}]],
      [[{"status":"failed","error":{"code":"X"},"output":[]}]],
    } do
      local _, failed = answer.read(assert(json.decode(text)))
      assert.is_table(failed)
    end
    local _, failed = answer.read { success = true, response = "Hi." }
    assert.is_nil(failed)
  end)

  it("that is no JSON object at all", function()
    for _, data in ipairs { "x", 5, true, core.null } do
      assert.equal("", answer.read(data).text)
    end
  end)
end)

-- --- Events --------------------------------------------------------------

local function event(name, data, class, tool)
  return { event = name, json = data, class = class or "content", tool = tool }
end

-- What came, piece by piece, and the answer.
local function assemble(list)
  local self, pieces = answer.new(), {}
  for _, one in ipairs(list) do
    pieces[#pieces + 1] = (self:add(one))
  end
  return self:result(), pieces
end

describe("an answer is put together from events:", function()
  it("text in pieces, and once more at the end", function()
    local got, pieces = assemble {
      event("response.created", { thread_id = "t" }, "note"),
      event("response.content_delta", { delta = "Hi" }),
      event("response.content_delta", { delta = "" }),
      event("response.content_delta", { delta = "." }),
      event("response.completed", { response = "Hi.", response_id = "r",
        stop_reason = "end_turn", usage = { a = 1 } }, "terminal"),
    }
    assert.same({ "Hi", "." }, pieces)
    assert.same({ text = "Hi.", thread_id = "t", response_id = "r",
      stop_reason = "end_turn", usage = { a = 1 }, tool_calls = {},
      blocks = {} }, got)
  end)

  it("text of which only the end tells the rest", function()
    local got, pieces = assemble {
      event("response.content_delta", { delta = "Hi" }),
      event("response.completed", { response = "Hi there." }, "terminal"),
    }
    assert.same({ "Hi", " there." }, pieces)
    assert.equal("Hi there.", got.text)
  end)

  it("text that begins anew", function()
    for _, name in ipairs { "response.content_delta",
        "response.output_text.delta" } do
      local anew = event(name, { delta = "Hi there" })
      anew.whole = true
      local got, pieces = assemble { event(name, { delta = "Hi" }), anew,
        event(name, { delta = "." }) }
      assert.same({ "Hi", " there", "." }, pieces)
      assert.equal("Hi there.", got.text)
    end
  end)

  it("another text at the end wins", function()
    local got, pieces = assemble {
      event("response.content_delta", { delta = "Hi" }),
      event("response.completed", { response = "Hello." }, "terminal"),
    }
    assert.same({ "Hi" }, pieces)
    assert.equal("Hello.", got.text)
  end)

  it("the oldest generation", function()
    local got, pieces = assemble {
      event("response.created", { id = "r" }, "note"),
      event("response.output_text.delta", { index = 0, delta = "Hi" }),
      event("response.output_text.done", { index = 0, text = "Hi." }),
      event("response.completed", { usage = { outputSynapses = 6 } },
        "terminal"),
    }
    assert.same({ "Hi", "." }, pieces)
    assert.equal("r", got.response_id)
    assert.equal(6, got.usage.outputSynapses)
  end)

  it("reasoning, and blocks", function()
    local got = assemble {
      event("reasoning.started", {}),
      event("reasoning.content", { content = "Let me " }),
      event("reasoning.content", { content = "think." }),
      event("reasoning.completed", {}),
      event("response.block", { block = { type = "text", text = "Hi." } }),
      event("response.completed", { reasoning_content = "other" },
        "terminal"),
    }
    assert.equal("Let me think.", got.reasoning)
    assert.equal("Hi.", got.text)
    assert.same({ { type = "text", text = "Hi." } }, got.blocks)
    got = assemble { event("response.completed",
      { reasoning_content = "hm", response_blocks = { { type = "x" } } },
      "terminal") }
    assert.equal("hm", got.reasoning)
    assert.same({ { type = "x" } }, got.blocks)
  end)

  it("a call whole, as it was given", function()
    local call = { type = "tool_call", id = "a", tool_name = "f",
      arguments = { x = 1 } }
    local got = assemble { event("response.block", { block = call }, nil, 1) }
    assert.same({ call }, got.tool_calls)
    assert.same({ call }, got.blocks)
  end)

  it("calls in pieces, one between the other", function()
    local function block(id, piece, name)
      return { block = { type = "tool_call", id = id, tool_name = name,
        arguments = piece } }
    end
    local got = assemble {
      event("response.block", block("a", "", "f"), nil, 1),
      event("response.block", block("b", "", "g"), nil, 2),
      event("response.block", block("a", "{\"x\""), nil, 1),
      event("response.block", block("b", "{}"), nil, 2),
      event("response.block", block("a", ":1}"), nil, 1),
    }
    assert.same({
      { type = "tool_call", id = "a", tool_name = "f",
        arguments = "{\"x\":1}" },
      { type = "tool_call", id = "b", tool_name = "g", arguments = "{}" },
    }, got.tool_calls)
    assert.equal(2, #got.blocks)
  end)

  it("calls in pieces, in the oldest generation", function()
    local item = { type = "function_call", id = "a", call_id = "c",
      name = "f", arguments = "" }
    local delta = "response.function_call_arguments.delta"
    local list = {
      event("response.output_item.added", { index = 1, item = item }, nil, 1),
      event(delta, { index = 1, item_id = "a", delta = "{" }, nil, 1),
      event(delta, { index = 1, item_id = "a", delta = "}" }, nil, 1),
    }
    local expected = { { type = "function_call", id = "a", call_id = "c",
      name = "f", arguments = "{}" } }
    assert.same(expected, (assemble(list)).tool_calls)
    list[#list + 1] = event("response.function_call_arguments.done",
      { index = 1, item_id = "a", arguments = "{ }" }, nil, 1)
    expected[1].arguments = "{ }"
    assert.same(expected, (assemble(list)).tool_calls)
  end)

  it("calls that only the end tells", function()
    local tools = { { id = "a", type = "function",
      ["function"] = { name = "f", arguments = "{}" } } }
    local got = assemble {
      event("response.completed", { tools = tools }, "terminal"),
    }
    assert.same(tools, got.tool_calls)
  end)

  it("text and calls that only the end tells, in blocks", function()
    local call = { type = "tool_call", id = "c", tool_name = "f" }
    local got, pieces = assemble {
      event("response.completed", { response_blocks = {
        { type = "text", text = "Hi." }, call,
      } }, "terminal"),
    }
    assert.same({ "Hi." }, pieces)
    assert.equal("Hi.", got.text)
    assert.same({ call }, got.tool_calls)
    got = assemble {
      event("response.content_delta", { delta = "Hi." }),
      event("response.completed", { response_blocks = {
        { type = "text", text = "Hi." } } }, "terminal"),
    }
    assert.equal("Hi.", got.text)
  end)

  it("without those that only the end tells to have been made", function()
    local got = assemble {
      event("response.completed", { tools = {
        { tool_name = "web_search", success = true },
        { id = "a", tool_name = "f" },
      } }, "terminal"),
    }
    assert.same({ { id = "a", tool_name = "f" } }, got.tool_calls)
  end)

  it("without calls that the server made itself", function()
    local got = assemble {
      event("response.block", { block = { type = "tool_call",
        tool_name = "web" } }, nil, 1),
      event("response.block", { block = { type = "tool_result",
        tool_name = "web" } }),
      event("response.block", { block = { type = "tool_call", id = "b",
        tool_name = "f" } }, nil, 2),
      event("response.block", { block = { type = "tool_call", id = "c",
        tool_name = "f" } }, nil, 3),
      event("response.block", { block = { type = "tool_result",
        tool_call_id = "c", tool_name = "f" } }),
      event("response.block", { block = { type = "tool_call", id = "d",
        tool_name = "f", success = true } }, nil, 4),
    }
    assert.equal(1, #got.tool_calls)
    assert.equal("b", got.tool_calls[1].id)
    assert.equal(6, #got.blocks)
  end)

  it("calls some of whose fields are null", function()
    local null = core.null
    local got = assemble {
      event("response.block", { block = { type = "tool_call", id = "a",
        tool_name = "f", arguments = { x = 1 }, success = null,
        result = null, execution_time_ms = null } }, nil, 1),
    }
    assert.equal(1, #got.tool_calls)
    assert.equal("f", got.tool_calls[1].tool_name)
  end)

  it("results of tools whose ids are null", function()
    local null = core.null
    local got = assemble {
      event("response.block", { block = { type = "tool_call", id = "a",
        tool_name = "web" } }, nil, 1),
      event("response.block", { block = { type = "tool_call", id = null,
        call_id = "b", tool_name = "web" } }, nil, 2),
      event("response.block", { block = { type = "tool_call", id = "c",
        tool_name = "f" } }, nil, 3),
      event("response.block", { block = { type = "tool_result",
        tool_call_id = null, call_id = null, id = "a" } }),
      event("response.block", { block = { type = "tool_result",
        tool_call_id = "b" } }),
      event("response.block", { block = { type = "tool_result", id = null,
        tool_call_id = null, tool_name = null } }),
    }
    assert.equal(1, #got.tool_calls)
    assert.equal("c", got.tool_calls[1].id)
  end)

  it("pieces of calls some of whose fields are null", function()
    local null, delta = core.null, "response.tool_call.delta"
    local got = assemble {
      event(delta, { id = null, name = "f", delta = "{\"x\"" }, nil, 1),
      event(delta, { id = "a", name = null, arguments = null, delta = ":" },
        nil, 1),
      event(delta, { id = "b", name = null, delta = "1}" }, nil, 1),
      event(delta, { id = null, delta = null, arguments = null }, nil, 1),
    }
    assert.same({ { id = "a", name = "f", arguments = "{\"x\":1}" } },
      got.tool_calls)
  end)

  it("text beside a field that is null", function()
    local _, pieces = assemble {
      event("response.output_text.delta", { delta = core.null,
        response = "Hi" }),
    }
    assert.same({ "Hi" }, pieces)
  end)

  it("and what is no JSON is told", function()
    local self = answer.new()
    local function unreadable(class)
      local _, broken = self:add { event = "x", data = "{", class = class }
      return broken
    end
    assert.is_true(unreadable "content")
    assert.is_true(unreadable "terminal")
    assert.is_false(unreadable "note")
    local function torn(data)
      local _, broken = self:add { event = "message", class = "note",
        data = data }
      return broken
    end
    assert.is_true(torn '{"event":"response.content_delta","delta":"t')
    assert.is_false(torn "no JSON at all")
    assert.is_nil(unreadable "quiet")
  end)

  it("whatever the types of its fields", function()
    for _, value in ipairs { 5, true, "x", {}, core.null } do
      for _, name in ipairs { "response.created", "response.content_delta",
        "response.output_text.delta", "response.output_text.done",
        "response.block", "response.output_item.added", "reasoning.content",
        "response.completed", "response.function_call_arguments.delta" } do
        local got = assemble { event(name, {
          id = value, delta = value, text = value, block = value,
          item = value, content = value, response = value, usage = value,
          thread_id = value, tools = value, response_blocks = value,
          reasoning_content = value, model = value, arguments = value,
        }, nil, name:find "function" and 1 or nil) }
        assert.equal("string", type(got.text))
      end
    end
  end)
end)
