-- SPDX-License-Identifier: MIT
--- Event streams: client:stream.

local cjson = require "cjson"
local freddy = require "freddy"
local helper = require "spec.helper"

local client, emulator, h2
local no_wait_in_for = _VERSION == "Lua 5.1" and not rawget(_G, "jit")
-- What takes seconds and is about the core runs on one Lua.
local thorough = _VERSION == "Lua 5.4"

local function hostile(options)
  options = options or {}
  options.base_url = options.base_url or helper.hostile_url
  options.api_key = "a-key-of-20-characters"
  options.ca_file = helper.env "HOSTILE_CA_FILE"
  options.retries = 0
  return freddy.assert(freddy.new(options))
end

local function sse(args)
  return (helper.hostile("sse", args):gsub("^https?://[^/]+", ""))
end

setup(function()
  helper.hostile_reset()
  helper.reset()
  client = hostile()
  h2 = hostile { base_url = helper.env "HOSTILE_H2" }
  emulator = helper.client { retries = 0 }
end)

teardown(function()
  client:close()
  h2:close()
  emulator:close()
end)

-- All that is left of a stream, and why it ended.
local function read_all(stream)
  local list = {}
  local event, err = stream:next()
  while event do
    list[#list + 1] = event
    event, err = stream:next()
  end
  return list, err
end

local function plain(event)
  return { event.event, event.data, event.id or false, event.retry or false }
end

-- Events as arrays, and why they ended.
local function all(one, path, options)
  local stream, err = one:stream(path, options)
  if not stream then
    return nil, err
  end
  local list
  list, err = read_all(stream)
  for i, event in ipairs(list) do
    list[i] = plain(event)
  end
  return list, err, stream
end

-- The bytes of a stream that the server sends as they are.
local function given(bytes, options)
  options = options or {}
  options.method, options.body = "POST", bytes
  return emulator:stream("/v1/bytes", options)
end

local PLAIN = {
  { "message", "one", "a", 1500 }, { "two", "\n x\ny", "a", false },
  { "message", "three", "", false },
}

describe("events", function()
  it("are as the standard has them", function()
    assert.same(PLAIN, (all(client, sse { of = "plain" })))
    assert.same(PLAIN, (all(h2, sse { of = "plain" })))
  end)

  it("are the same however they come", function()
    for _, of in ipairs { "g1", "g2", "g3", "plain" } do
      local right = freddy.assert(all(client, sse { of = of }))
      assert.is_true(#right >= 3)
      for _, how in ipairs { { step = 1 }, { step = 3, framing = "length" },
          { framing = "close" }, { coding = "gzip" },
          { coding = "gzip", step = 1, framing = "length" },
          { type = "TEXT/event-stream ; charset=utf-8" } } do
        how.of = of
        local list, err = all(client, sse(how))
        assert.is_nil(err)
        assert.same(right, list)
      end
      for step = 1, 7, 3 do
        assert.same(right, (all(h2, sse { of = of, step = step })))
      end
    end
  end)

  it("have their data decoded when asked for", function()
    local stream = freddy.assert(given('data: {"a":[1,null]}\n\n'
      .. "data: null\n\ndata: [DONE]\n\ndata\n\n"))
    local event = stream:next()
    assert.is_nil(rawget(event, "json"))
    assert.equal(1, event.json.a[1])
    assert.equal(freddy.null, event.json.a[2])
    assert.equal(event.json, event.json)
    assert.is_nil(event.other)
    assert.equal(freddy.null, stream:next().json)
    event = stream:next()
    assert.equal("[DONE]", event.data)
    assert.is_nil(event.json)
    assert.is_nil(stream:next().json)
    assert.is_nil(stream:next())
    assert.is_true(stream:finish())
  end)

  it("are decoded by the client's own codec", function()
    local seen
    local one = helper.client { json = {
      encode = cjson.encode,
      decode = function(text)
        seen = text
        return cjson.decode(text)
      end,
    } }
    local stream = freddy.assert(one:stream("/v1/bytes",
      { method = "POST", body = 'data: {"a":1}\n\ndata: x\n\n' }))
    assert.equal(1, stream:next().json.a)
    assert.equal('{"a":1}', seen)
    assert.is_nil(stream:next().json)
    one:close()
  end)

  it("do not keep a codec that nobody has any more", function()
    local kept = setmetatable({}, { __mode = "v" })
    local function use()
      local codec = { encode = cjson.encode }
      function codec.decode(text)
        return codec and cjson.decode(text)
      end
      kept[1] = codec
      local one = helper.client { json = codec }
      local stream = freddy.assert(one:stream("/v1/bytes",
        { method = "POST", body = 'data: {"a":1}\n\n' }))
      assert.equal(1, stream:next().json.a)
      assert.is_true(stream:finish())
      one:close()
    end
    use()
    helper.collect()
    assert.is_nil(kept[1])
  end)

  it("carry any bytes", function()
    local bytes = {}
    for i = 1, 255 do
      bytes[i] = i ~= 10 and i ~= 13 and string.char(i) or ""
    end
    bytes = table.concat(bytes) .. "\0\255\0"
    local stream = freddy.assert(given("data: " .. bytes .. "\n\n"))
    assert.equal(bytes, stream:next().data)
  end)

  it("come over HTTP/2, or HTTP/1.1 where that is asked for", function()
    local old = helper.client { http_version = "1.1" }
    local function version(one, options)
      local stream = freddy.assert(one:stream("/v1/events", options))
      assert.equal(10, #read_all(stream))
      return stream.http_version
    end
    assert.equal(20, version(emulator))
    assert.equal(11, version(emulator, { http_version = "1.1" }))
    assert.equal(11, version(old))
    assert.equal(20, version(old, { http_version = "2" }))
    assert.equal(11, freddy.assert(emulator:get("/v1/open",
      { http_version = "1.1" })).http_version)
    old:close()
  end)

  it("are asked for by their type, unless the user asks otherwise", function()
    local stream = client:stream("/s/echo?as=body", { method = "POST",
      body = "data: x\n\n" })
    assert.is_nil(stream)
    local seen = helper.hostile_log { scenario = "echo" }
    local head = seen[#seen].requests[1].head
    assert.truthy(head:find("\r\nAccept: text/event-stream\r\n", 1, true))
    client:stream("/s/echo", { headers = { accept = "a/b" } })
    seen = helper.hostile_log { scenario = "echo" }
    head = seen[#seen].requests[#seen[#seen].requests].head
    assert.truthy(head:find("\r\naccept: a/b\r\n", 1, true))
    assert.is_nil(head:find("event-stream", 1, true))
  end)

  it("come by iterator and by method, in scripts and in tasks", function()
    local function by_iterator()
      local stream = freddy.assert(emulator:stream("/v1/events?count=500"))
      local count = 0
      for event in stream:events() do
        assert.equal(("%d:"):format(count + 1), event.data:match "^%d+:")
        count = count + 1
      end
      assert.is_true(stream:finish())
      return count
    end
    local function by_method()
      return #read_all(freddy.assert(emulator:stream(
        "/v1/events?count=500")))
    end
    assert.equal(500, by_iterator())
    assert.equal(500, by_method())
    assert.equal(500, freddy.spawn(by_method):wait(30))
    if no_wait_in_for then
      freddy.run(function()
        local stream = freddy.assert(emulator:stream "/v1/events")
        helper.raises_here(function() stream:events() end, "stream:next")
        stream:cancel()
      end)
    else
      assert.equal(500, freddy.spawn(by_iterator):wait(30))
    end
  end)

  it("come after redirects, and by POST with a body", function()
    local stream = freddy.assert(client:stream(helper.hostile("redirect",
      { to = "/s/sse" })))
    assert.truthy(stream.url:find "/s/sse$")
    assert.is_true(#read_all(stream) > 0)
    stream = freddy.assert(emulator:stream("/v1/model/response", {
      method = "post",
      json = { model = "gpt-4o", stream = true,
        inputs = { { role = "user", content = "Hi" } } },
    }))
    assert.equal("freddy.stream: 200 (open)", tostring(stream))
    assert.truthy(stream.headers["content-type"]:find "^text/event%-stream")
    local list, err = read_all(stream)
    assert.is_nil(err)
    assert.truthy(list[1].json.event)
    assert.equal("freddy.stream: 200 (ended)", tostring(stream))
    assert.is_true(stream.timing.total > 0)
  end)
end)

describe("what is no event stream", function()
  it("is an error, its body kept when it is JSON", function()
    local function check(path, pattern)
      local stream, err = client:stream(path)
      assert.is_nil(stream)
      assert.equal("protocol", err.kind)
      assert.equal("not_an_event_stream", err.reason)
      assert.equal(false, err.retryable)
      assert.truthy(err.message:find(pattern, 1, true), err.message)
      helper.documented(err)
      return err
    end
    local err = check("/s/answer", "application/json")
    assert.truthy(err.response.body:find("true", 1, true))
    err = check(sse { type = "text/html" }, "text/html")
    assert.equal("", err.response.body)
    check("/s/no-content", "no content type")
    check(helper.hostile("json-big", { mb = 1 }), "application/json")
  end)

  it("and not 2xx, is the error that it always is", function()
    local _, err = client:stream(helper.hostile("answer",
      { of = "error-400" }))
    assert.equal("invalid", err.kind)
    assert.equal("bad", err.response.data.error.code)
    _, err = client:stream(sse { status = 500 })
    assert.equal("server", err.kind)
    assert.truthy(err.response.body:find("data:", 1, true))
    _, err = emulator:stream "/v1/nothing"
    assert.equal("not_found", err.kind)
    _, err = client:stream "/s/close-before"
    assert.equal("cut", err.kind)
  end)
end)

-- --- Ends ----------------------------------------------------------------

-- Where in the stream "plain" an event is whole.
local WHOLE = {}
do
  local text = "\239\187\191: hello\r\nretry: 1500\r\nid: a\r\ndata: one\r\n"
    .. "\r\nevent: two\rdata\rdata:  x\rdata:y\r\rid\ndata: three\n\n"
    .. ": bye\n\n"
  for _, stop in ipairs { "one\r\n\r", "data:y\r\r", "three\n\n" } do
    WHOLE[#WHOLE + 1] = select(2, text:find(stop, 1, true))
  end
  WHOLE.size = #text
end

local function events_within(n)
  local count = 0
  for i = 1, #WHOLE do
    count = count + (n >= WHOLE[i] and 1 or 0)
  end
  return count
end

describe("a stream cut at every byte", function()
  -- `whole(n)` tells where an end may be a good one. What was sent before a
  -- reset may be lost; where it is gzip, that is what is cut.
  local function check(one, args, whole)
    local exact = args["then"] == "fin" and not args.coding
    args.of = "plain"
    for n = 0, WHOLE.size - 1 do
      args.n = n
      local list, err = all(one, sse(args))
      local at = args["then"] .. " at " .. n
      if err then
        assert.equal("cut", err.kind, at)
        assert.is_nil(err.partial)
      else
        assert.is_true(whole(n), at)
      end
      local count = list and #list or 0
      assert.is_true(args.coding ~= nil or count <= events_within(n), at)
      assert.is_true(not exact or count == events_within(n), at)
    end
  end

  local function never()
    return false
  end

  it("is cut, over HTTP/1.1", function()
    check(client, { framing = "chunked", ["then"] = "fin" }, never)
    if thorough then
      check(client, { framing = "length", ["then"] = "fin" }, never)
      check(client, { framing = "chunked", ["then"] = "reset" }, never)
      check(client, { framing = "chunked", coding = "gzip",
        ["then"] = "fin" }, never)
    end
  end)

  it("is cut within an event where its end is the connection's", function()
    check(client, { framing = "close", ["then"] = "fin" }, function(n)
      -- Behind a whole event, or before the first byte of the next one.
      return n <= 3 or n == 11 or n == 12 or n == WHOLE[1]
        or n == WHOLE[1] + 1 or n == WHOLE[2] or n >= WHOLE[3]
    end)
  end)

  it("is cut, over HTTP/2", function()
    check(h2, { ["then"] = "fin" }, never)
    if thorough then
      check(h2, { ["then"] = "rst", code = "CANCEL" }, never)
      check(h2, { ["then"] = "rst", code = "INTERNAL_ERROR" }, never)
      check(h2, { ["then"] = "goaway" }, never)
      check(h2, { ["then"] = "reset" }, never)
    end
  end)
end)

describe("a stream ends", function()
  local function check(kind, reason, stream, count)
    local list, err = read_all(stream)
    assert.equal(kind, err.kind)
    assert.equal(reason, err.reason)
    assert.equal(count or #list, #list)
    assert.equal(200, err.status)
    local again, same = stream:next()
    assert.is_nil(again)
    assert.equal(err, same)
    assert.same({ nil, err }, { stream:finish() })
    helper.documented(err)
    return err
  end

  it("by timeout.event, whatever comments come", function()
    local err = check("timeout", "event", freddy.assert(client:stream(
      helper.hostile("sse-endless", { kind = "comments", of = "plain",
        n = 45, ms = 5 }), { timeout = { event = 0.2, stall = 20 } })), 1)
    assert.truthy(err.message:find("0.2 s", 1, true))
    check("timeout", "event", freddy.assert(h2:stream(
      helper.hostile("sse-endless", { kind = "comments", ms = 5 },
        "HOSTILE_H2"), { timeout = { event = 0.2 } })), 0)
  end)

  it("by timeout.stall when not even comments come", function()
    check("timeout", "stall", freddy.assert(client:stream(
      sse { of = "plain", n = 60, ["then"] = "hold" },
      { timeout = { stall = 0.2 } })), 1)
  end)

  it("by timeout.total only when it is given", function()
    local one = hostile { timeout = 0.1 }
    local stream = freddy.assert(one:stream(sse { of = "plain", step = 10,
      ms = 30 }))
    assert.same(PLAIN[3], plain(read_all(stream)[3]))
    check("timeout", "total", freddy.assert(one:stream(
      sse { of = "plain", n = 60, ["then"] = "hold" }, { timeout = 0.2 })), 1)
    one:close()
  end)

  it("by cancel, close, and the collector", function()
    local function open(tag, one)
      return freddy.assert((one or client):stream(helper.hostile(
        "sse-endless", { kind = "events", tag = tag })))
    end
    local stream = open "cancelled"
    freddy.assert(stream:next())
    stream:cancel()
    stream:cancel()
    local event, err = stream:next()
    assert.is_nil(event)
    assert.equal("cancelled", err.kind)
    helper.hostile_log { tag = "cancelled", closed = 1, timeout = 10 }

    local one = hostile()
    stream = open("closed", one)
    one:close()
    assert.equal("closed", select(2, read_all(stream)).kind)

    stream = open "forgotten"
    freddy.assert(stream:next())
    stream = nil -- luacheck: ignore
    helper.collect()
    helper.hostile_log { tag = "forgotten", closed = 1, timeout = 10 }
  end)

  it("by the ceiling of a line or an event", function()
    local small = hostile { max_event = 100000 }
    local small2 = hostile { max_event = 100000,
      base_url = helper.env "HOSTILE_H2" }
    for _, kind in ipairs { "line", "comment", "id", "name", "field",
        "lines", "empty-lines" } do
      check("too_large", "event", freddy.assert(small:stream(
        helper.hostile("sse-endless", { kind = kind }))), 0)
    end
    check("too_large", "event", freddy.assert(small2:stream(helper.hostile(
      "sse-endless", { kind = "line" }, "HOSTILE_H2"))), 0)
    local function sized(one, size, lines)
      return freddy.assert(one:stream(helper.hostile("sse-event",
        { size = size, lines = lines })))
    end
    check("too_large", "event", sized(small, 100001), 0)
    check("too_large", "event", sized(small, 100001, 1000), 0)
    local list, err = read_all(sized(small, 90000))
    assert.is_nil(err)
    assert.same({ 90000, "next" }, { #list[1].data, list[2].data })
    -- As large as the default allows, and so beyond `buffer`.
    if thorough then
      list, err = read_all(sized(client, 16000000, 16))
      assert.is_nil(err)
      assert.same({ 16000015, "next" }, { #list[1].data, list[2].data })
      check("too_large", "event", sized(client, 16777300), 0)
    end
    small:close()
    small2:close()
  end)
end)

-- --- Whoever stops -------------------------------------------------------

describe("whoever stops reading", function()
  it("is not taken for a silent server", function()
    local stream = freddy.assert(client:stream(sse { of = "g3", n = 90,
      gate = "taker" }, { timeout = { event = 1 } }))
    freddy.sleep(1.5)
    helper.hostile_release "taker"
    local list, err = read_all(stream)
    assert.is_nil(err)
    assert.equal("[DONE]", list[#list].data)
  end)

  it("is not while it works on what it has got", function()
    local stream = freddy.assert(client:stream(sse { of = "g3", n = 300,
      gate = "worker" }, { timeout = { event = 1 } }))
    freddy.assert(stream:next())
    freddy.sleep(1.5)
    helper.hostile_release "worker"
    local list, err = read_all(stream)
    assert.is_nil(err)
    assert.equal("[DONE]", list[#list].data)
  end)
end)

describe("many streams", function()
  it("take turns, however fast one comes", function()
    assert.is_nil(helper.take_turns(function()
      return client:stream(helper.hostile("sse-endless",
        { kind = "events", mb = 2048 }))
    end, "next"))
  end)

  it("that are always ready hold up nobody who starts a task", function()
    local stream = freddy.assert(client:stream(helper.hostile("sse-endless",
      { kind = "events", mb = 2048 })))
    freddy.assert(stream:next())
    local others = 0
    local function other()
      others = others + 1
    end
    local task = freddy.spawn(function()
      while others < 2 do
        freddy.assert(stream:next())
      end
      stream:cancel()
      return others
    end)
    freddy.spawn(other)
    freddy.spawn(other)
    assert.equal("waiting", task:status())
    assert.equal(2, (task:wait(30)))
  end)

  it("a thousand at once get all their events", function()
    if not thorough then
      return
    end
    local fns, got = {}, 0
    local open, most = 0, 0
    local wide = helper.client { max_in_flight = 1000 }
    for i = 1, 1000 do
      fns[i] = function()
        local stream = freddy.assert(wide:stream("/v1/events?count=6&ms=500"))
        open = open + 1
        most = math.max(most, open)
        helper.check_order(stream, 1, 6)
        got = got + 6
        freddy.assert(stream:finish())
        open = open - 1
        return true
      end
    end
    local results, errs = freddy.all(fns)
    assert.is_nil(errs)
    assert.equal(1000, #results)
    assert.equal(6000, got)
    assert.is_true(most > 500, most)
    wide:close()
  end)

  -- libcurl 7.88 would send several of them down one connection of HTTP/1.1.
  it("of both versions of HTTP keep to connections of their own", function()
    local function reader(version)
      return function()
        local stream = freddy.assert(emulator:stream(
          "/v1/events?count=3&ms=100", { http_version = version }))
        helper.check_order(stream, 1, 3)
        return stream:finish() and stream.http_version
      end
    end
    for _ = 1, 3 do
      assert.equal(11, freddy.all({ reader "1.1" })[1])
      local fns = {}
      for i = 1, 100 do
        fns[i] = reader "2"
      end
      local results, errs = freddy.all(fns)
      assert.is_nil(errs)
      for i = 1, 100 do
        assert.equal(20, results[i])
      end
    end
  end)

  it("keep the budget of a poll", function()
    local count, counted = 0, 0
    freddy.use "loop"
    local task = freddy.spawn(function()
      local stream = freddy.assert(emulator:stream(
        "/v1/events?count=5000&batch=1000"))
      while stream:next() do
        count = count + 1
      end
    end)
    local limit = os.time() + 30
    while task:status() == "waiting" and os.time() < limit do
      local before = count
      counted = counted + freddy.poll(0)
      assert.is_true(count - before <= 1)
    end
    freddy.use "block"
    assert.equal("done", task:status())
    assert.equal(5000, count)
    assert.is_true(counted >= 5000)
  end)
end)

it("misuse raises at the caller", function()
  local function raises(pattern, ...)
    helper.raises_here(function(...)
      client:stream(...)
    end, pattern, ...)
  end
  raises("HEAD", "/", { method = "HEAD" })
  raises("unknown option \"stream\"", "/", { stream = true })
  raises("unknown option \"save_to\"", "/", { save_to = "x" })
  raises("must begin with", "x")
  local stream = freddy.assert(client:stream(sse {}))
  helper.raises_here(function() stream.next() end, "colon")
  helper.raises_here(function() stream.finish() end, "colon")
  stream:cancel()
  freddy.use "loop"
  local ok, message = pcall(client.stream, client, "/s/sse")
  freddy.use "block"
  assert.is_false(ok)
  assert.truthy(tostring(message):find("freddy.spawn", 1, true))
end)
