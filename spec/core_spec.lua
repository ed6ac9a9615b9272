-- SPDX-License-Identifier: MIT
-- The binding itself, `require "freddy.core"`, where the Lua layer does not
-- reach: what is closed, freed twice or collected in any order, values of the
-- wrong type, strings that C would cut. The cases of "an answer" need the
-- emulator (FY_TEST_EMULATOR_HTTP and FY_TEST_API_KEY, set by spec/run).

local core = require("freddy.core")
local helper = require("spec.helper")

local SECRET = "sk-0123456789abcdefWXYZ"
-- Nobody listens there: port 9 of loopback.
local NOWHERE = "http://127.0.0.1:9"

local function new_client(options)
  local given = { base_url = NOWHERE, api_key = SECRET }
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  return assert(core.client(given))
end

local function new_inbox()
  return assert(core.inbox())
end

local function finalize(object)
  debug.getmetatable(object).__gc(object)
end

-- The next event of any call, its values in an array.
local function next_event(inbox)
  local limit = core.now() + 30
  repeat
    local event = { inbox:next() }
    if event[1] then
      return event
    end
    inbox:wait(1)
  until core.now() > limit
  error("no event came", 2)
end

local function finish(inbox, id)
  repeat
    local event = next_event(inbox)
  until event[1] == id and event[2] == "done"
end

local collect = helper.collect

local function misuse(value, err)
  assert.is_nil(value)
  assert.equal("misuse", err.kind)
  assert.is_false(err.sent)
  return err.message
end

describe("freddy.core", function()
  it("has a version, a null and a clock", function()
    assert.matches("^%d+%.%d+%.%d+$", core.version)
    assert.equal("userdata", type(core.null))
    local before = core.now()
    assert.is_true(before > 0 and core.now() >= before)
  end)

  it("encodes text for a URL", function()
    assert.equal("a%20b%2Fc", core.encode_uri("a b/c"))
    assert.equal("", core.encode_uri(""))
    assert.equal("a%00b", core.encode_uri("a\0b"))
    assert.has_error(function()
      core.encode_uri((" "):rep(65536))
    end, "too long for a URL")
  end)

  it("knows as which status an error event would have come", function()
    assert.equal(429, core.event_status '{"code":"RATE_LIMIT_EXCEEDED"}')
    assert.equal(404, core.event_status '{"error":{"code":"x_not_found"}}')
    assert.equal(500, core.event_status "{}")
  end)

  it("knows what may be sent as a header", function()
    assert.is_true(core.is_token("x-a"))
    assert.is_false(core.is_token("x a"))
    assert.is_false(core.is_token("x\0"))
    assert.is_true(core.is_value("a b"))
    assert.is_false(core.is_value("a\nb"))
    assert.is_false(core.is_value("a\0b"))
    assert.equal("free", core.header_owner("x-a"))
    assert.equal("credential", core.header_owner("api-key"))
    assert.equal("credential", core.header_owner("x-own", "x-own"))
    assert.equal("ours", core.header_owner("Host"))
  end)

  it("does not convert numbers to strings", function()
    for _, name in ipairs({ "encode_uri", "is_token", "is_value" }) do
      assert.has_error(function()
        core[name](1)
      end)
    end
  end)
end)

describe("a client's options", function()
  local strings = {
    "base_url", "api_key", "token", "key_header", "user_agent", "ca_file",
    "proxy", "no_proxy", "ca_blob", "client_cert", "client_key",
  }

  it("raise and name themselves when they are no strings", function()
    for _, name in ipairs(strings) do
      for _, wrong in ipairs({ 1, true, {}, print }) do
        local ok, message = pcall(core.client, { [name] = wrong })
        assert.is_false(ok)
        assert.equal(name .. ": string expected, got " .. type(wrong),
          message)
      end
    end
  end)

  it("are refused by name when they hold a NUL", function()
    for _, name in ipairs(strings) do
      assert.equal(name .. " contains a NUL byte",
        misuse(core.client({ [name] = "a\0b" })))
    end
  end)

  it("raise when a number, a flag or a table is none", function()
    local wrong = {
      { "max_body", "1" }, { "max_body", -1 }, { "max_body", 1.5 },
      { "max_body", 0 / 0 }, { "max_body", 1 / 0 }, { "buffer", true },
      { "http1", 1 }, { "http1", "true" }, { "timeout", 5 },
      { "timeout", { total = "5" } }, { "timeout", { stall = true } },
      { "headers", "x" }, { "headers", { "x-a" } },
      { "headers", { "x-a", 1 } }, { "headers", { 1, "x" } },
    }
    for _, case in ipairs(wrong) do
      assert.is_false(pcall(core.client, { [case[1]] = case[2] }))
    end
    assert.is_false(pcall(core.client))
    assert.is_false(pcall(core.client, "http://127.0.0.1"))
  end)

  it("refuse a NUL in a header and say where", function()
    assert.equal("the value of header x-a contains a NUL byte",
      misuse(core.client({ headers = { "x-a", "b\0c" } })))
    assert.equal("the header name x-a contains a NUL byte",
      misuse(core.client({ headers = { "x-a\0", "b" } })))
  end)

  it("answer what the library refuses as an error", function()
    misuse(core.client({ base_url = "http://example.com" }))
    misuse(core.client({ api_key = "a-key", token = "a-token" }))
  end)

  it("are all taken", function()
    assert(core.client({
      base_url = "https://127.0.0.1", token = "t", key_header = "x-key",
      user_agent = "spec", ca_file = "/dev/null",
      proxy = "http://127.0.0.1:9", headers = { "x-a", "1", "x-a", "2" },
      timeout = { connect = 1, first_byte = 2.5, stall = -1, total = 0 },
      http1 = true, max_body = 1000, buffer = 1000,
    })):close()
  end)
end)

describe("a request", function()
  local client, inbox

  before_each(function()
    client = new_client()
    inbox = new_inbox()
  end)

  after_each(function()
    client:close()
    inbox:close()
  end)

  it("is refused by the field's name when a string holds a NUL", function()
    for _, name in ipairs({ "method", "path", "api_key" }) do
      local request = { method = "GET", path = "/v1/models" }
      request[name] = "/a\0b"
      assert.equal(name .. " contains a NUL byte",
        misuse(client:start(inbox, 1, request)))
    end
    assert.equal("the value of header x-a contains a NUL byte",
      misuse(client:start(inbox, 1,
        { path = "/", headers = { "x-a", "\0" } })))
  end)

  it("may have any byte in its body", function()
    assert(client:start(inbox, 1,
      { method = "POST", path = "/v1/threads", body = "\0\1\2" }))
  end)

  it("may have parts, and refuses those that cannot be sent", function()
    for i, parts in ipairs { { "file", "a\0b" }, { "file", "" } } do
      local call, err = client:start(inbox, i, { path = "/v1/threads",
        method = "POST", parts = parts })
      assert.is_nil(call)
      assert.equal("misuse", err.kind)
    end
    assert(client:start(inbox, 9, { path = "/v1/threads", method = "POST",
      parts = { "bytes", "a\0", "reader", -1, "reader", 5 } }))
  end)

  it("gives random digits", function()
    assert.matches("^%x%x$", core.random(1))
    assert.matches("^%x+$", core.random(32))
    assert.equal(64, #core.random(32))
    assert.not_equal(core.random(16), core.random(16))
    for _, count in ipairs { 0, -1, 33 } do
      assert.is_false(pcall(core.random, count))
    end
  end)

  it("raises for values of the wrong type", function()
    local wrong = {
      { "method", 1 }, { "path", {} }, { "body", 1 }, { "body", true },
      { "api_key", 1 }, { "auth", true }, { "auth", "never" },
      { "stream", 1 }, { "progress", "yes" }, { "json", {} },
      { "reader", 1 }, { "reader_size", -1 }, { "reader_size", "5" },
      { "parts", 1 }, { "parts", { "bytes", 1 } }, { "parts", { "file", {} } },
      { "parts", { "reader", "x" } }, { "parts", { "other", "x" } },
      { "parts", { true, "x" } }, { "max_body", 0.5 }, { "timeout", 1 },
      { "headers", { "x" } },
    }
    for _, case in ipairs(wrong) do
      local request = { path = "/v1/models" }
      request[case[1]] = case[2]
      local ok, message = pcall(client.start, client, inbox, 1, request)
      assert.is_false(ok)
      assert.matches(case[1], message, 1, true)
    end
  end)

  it("raises without an inbox, a positive id or a table", function()
    local start = client.start
    assert.is_false(pcall(start, client, nil, 1, { path = "/" }))
    assert.is_false(pcall(start, client, client, 1, { path = "/" }))
    assert.is_false(pcall(start, client, inbox, 0, { path = "/" }))
    assert.is_false(pcall(start, client, inbox, -1, { path = "/" }))
    assert.is_false(pcall(start, client, inbox, "x", { path = "/" }))
    assert.is_false(pcall(start, client, inbox, 1))
    assert.is_false(pcall(start, inbox, inbox, 1, { path = "/" }))
    assert.is_false(pcall(start))
  end)

  it("answers what the library refuses as an error", function()
    misuse(client:start(inbox, 1, { path = "no slash" }))
    misuse(client:start(inbox, 1, {}))
  end)

  it("may be cancelled, as often as one likes, and then ends", function()
    local call = assert(inbox:timer(3, 3600))
    assert.is_false(call:done())
    assert.is_nil(call:result())
    assert.is_nil(call:data())
    call:cancel()
    call:cancel()
    assert.same({ 3, "done" }, next_event(inbox))
    assert.is_true(call:done())
    local response, err, partial = call:result()
    assert.is_nil(response)
    assert.equal("cancelled", err.kind)
    assert.is_nil(partial)
    assert.is_nil(inbox:next())
  end)

  it("ignores an answer to a question that is not asked", function()
    local call = assert(inbox:timer(3, 3600))
    assert.is_true(call:answer(1, "bytes"))
    assert.is_true(call:answer(1, nil))
    assert.is_false(pcall(call.answer, call, 1, 5))
    assert.is_false(pcall(call.answer, call, "x", "bytes"))
  end)
end)

describe("a plain request", function()
  it("has a method, a path and json, and nothing else", function()
    local client, inbox = new_client(), new_inbox()
    local wrong = { path = "/", body = 1, headers = "x", max_body = -1 }
    assert.has_error(function()
      client:start(inbox, 1, wrong)
    end)
    wrong.plain = true
    assert(client:start(inbox, 1, wrong)):free()
    for name, value in pairs { path = 1, method = {}, json = 1 } do
      local given = { path = "/", plain = true }
      given[name] = value
      assert.has_error(function()
        client:start(inbox, 2, given)
      end)
    end
  end)
end)

describe("an inbox", function()
  it("is empty at first", function()
    local inbox = new_inbox()
    assert.is_false(inbox:ready())
    assert.is_nil(inbox:next())
    assert.is_false(inbox:wait(0))
    assert.is_false(inbox:wait(0.001))
    assert.is_false(inbox:forked())
    assert.is_false(pcall(inbox.wait, inbox))
  end)

  it("tells when a timer ends", function()
    local inbox = new_inbox()
    local call = assert(inbox:timer(7, 0))
    assert.same({ 7, "done" }, next_event(inbox))
    assert.is_true(call:done())
    local response, err = call:result()
    assert.is_nil(err)
    assert.equal(0, response.status)
    assert.same({}, response.headers)
    assert.equal("", response.body)
  end)

  it("gives large ids back as they were", function()
    local inbox = new_inbox()
    local call = assert(inbox:timer(2 ^ 40, 0))
    assert.same({ 2 ^ 40, "done" }, next_event(inbox))
    call:free()
  end)

  it("has one descriptor for good", function()
    local inbox = new_inbox()
    local fd = assert(inbox:fd())
    assert.is_true(fd > 2)
    assert.equal(fd, inbox:fd())
  end)

  it("delivers nothing of a call that was freed or collected", function()
    local inbox = new_inbox()
    assert(inbox:timer(1, 0))
    inbox:timer(2, 0):free()
    collect()
    local last = assert(inbox:timer(3, 0))
    assert.same({ 3, "done" }, next_event(inbox))
    assert.is_nil(inbox:next())
    last:free()
  end)
end)

describe("a credential", function()
  it("is described by its kind and its tail only", function()
    assert.same({ "key", "WXYZ" }, { new_client():credential() })
    assert.same({ "key", "" },
      { new_client({ api_key = "short" }):credential() })
    local client = assert(core.client({ base_url = NOWHERE }))
    assert.same({ "none", "" }, { client:credential() })
  end)

  it("can be replaced", function()
    local client = new_client()
    assert.is_true(client:set_credential("token", "another-token-12345678"))
    assert.same({ "token", "5678" }, { client:credential() })
    assert.is_true(client:set_credential("none"))
    assert.same({ "none", "" }, { client:credential() })
  end)

  it("is refused when it is empty or holds control characters", function()
    local client = new_client()
    misuse(client:set_credential("key", ""))
    for _, wrong in ipairs({ "hunter\0two", "hunter\ntwo" }) do
      local message = misuse(client:set_credential("key", wrong))
      assert.is_nil(message:find("hunter", 1, true))
    end
    assert.is_false(pcall(client.set_credential, client, "key"))
    assert.is_false(pcall(client.set_credential, client, "key", 12345))
    assert.is_false(pcall(client.set_credential, client, "pass", "word"))
    assert.same({ "key", "WXYZ" }, { client:credential() })
  end)

  it("is masked in texts", function()
    local client = new_client()
    assert.equal("a *** b", client:redact("a " .. SECRET .. " b"))
    assert.equal("", client:redact(""))
    assert.equal("a\0***", client:redact("a\0" .. SECRET))
  end)

  it("is in no tostring", function()
    local client, inbox = new_client(), new_inbox()
    local call = assert(client:start(inbox, 1, { path = "/v1/models" }))
    assert.equal("freddy.client: open", tostring(client))
    assert.equal("freddy.inbox: open", tostring(inbox))
    assert.matches("^freddy%.call: %l+$", tostring(call))
  end)
end)

describe("an object's end", function()
  local function all()
    local client, inbox = new_client(), new_inbox()
    local call = assert(client:start(inbox, 1, { path = "/v1/models" }))
    return client, inbox, call
  end

  local function use(client, inbox, call)
    tostring(client)
    tostring(inbox)
    tostring(call)
    client:credential()
    client:close()
    call:cancel()
    call:done()
    call:result()
    call:head()
    call:data()
    inbox:ready()
    inbox:next()
    inbox:wait(0)
    inbox:close()
    call:free()
  end

  it("is shown by tostring", function()
    local client, inbox, call = all()
    client:close()
    inbox:close()
    call:free()
    assert.equal("freddy.client: closed", tostring(client))
    assert.equal("freddy.inbox: closed", tostring(inbox))
    assert.equal("freddy.call: freed", tostring(call))
  end)

  it("leaves methods that do no harm", function()
    local client, inbox, call = all()
    for _ = 1, 2 do
      finalize(client)
      finalize(inbox)
      finalize(call)
    end
    client:close()
    inbox:close()
    call:free()
    call:cancel()
    assert.is_nil(call:done())
    assert.is_nil(call:result())
    assert.is_nil(call:head())
    assert.is_nil(call:data())
    assert.equal("closed", select(2, call:answer(1, "x")).kind)
    assert.is_nil(inbox:wait(1))
    assert.is_nil(inbox:ready())
    assert.is_nil(inbox:next())
    assert.is_nil(inbox:fd())
    assert.is_nil(inbox:forked())
    assert.equal("closed", select(2, inbox:timer(1, 0)).kind)
    assert.equal("closed", select(2, client:set_credential("none")).kind)
    assert.same({ "none", "" }, { client:credential() })
    assert.is_nil(client:redact("text"))
  end)

  it("makes start raise when the client or the inbox is freed", function()
    local client, inbox = all()
    finalize(inbox)
    assert.has_error(function()
      client:start(inbox, 2, { path = "/" })
    end, "closed")
    finalize(client)
    assert.has_error(function()
      client:start(new_inbox(), 2, { path = "/" })
    end, "closed")
  end)

  it("of a client is an error of what is started after close", function()
    local client, inbox = all()
    client:close()
    client:close()
    local call, err = client:start(inbox, 2, { path = "/v1/models" })
    assert.is_nil(call)
    assert.equal("closed", err.kind)
  end)

  it("may come in any order", function()
    local orders = {
      { 1, 2, 3 }, { 1, 3, 2 }, { 2, 1, 3 }, { 2, 3, 1 }, { 3, 1, 2 },
      { 3, 2, 1 },
    }
    for _, order in ipairs(orders) do
      local objects = { all() }
      for _, which in ipairs(order) do
        finalize(objects[which])
        use(objects[1], objects[2], objects[3])
      end
      local kept = { all() }
      for _, which in ipairs(order) do
        assert.is_userdata(kept[which])
        kept[which] = false
        collect()
      end
    end
  end)

  it("of a client waits for its calls", function()
    local client, inbox, call = all()
    local weak = setmetatable({ client }, { __mode = "v" })
    client = nil
    collect()
    assert.is_userdata(weak[1])
    assert.is_userdata(call)
    call = nil
    collect()
    assert.is_nil(weak[1])
    assert.is_nil(client or call)
    inbox:close()
  end)

  if _VERSION >= "Lua 5.4" then
    it("comes with the block", function()
      local chunk = assert(load([[
        local a, b, c = (...)()
        do
          local client <close> = a
          local inbox <close> = b
          local call <close> = c
        end
        return tostring(a), tostring(b), tostring(c)
      ]]))
      assert.same({
        "freddy.client: closed", "freddy.inbox: closed",
        "freddy.call: freed",
      }, { chunk(all) })
    end)
  end

  it("cannot be brought about through the metatable", function()
    for _, object in ipairs({ all() }) do
      assert.is_false(getmetatable(object))
      assert.is_false(pcall(setmetatable, object, {}))
      assert.is_nil(object.__gc)
      assert.is_nil(object.__index)
      assert.is_false(pcall(function()
        object.field = 1
      end))
    end
  end)

  it("is no concern of another kind of object", function()
    local client, inbox, call = all()
    local wrong = { client, inbox, call, io.stdout, core.null, {}, 1 }
    for _, right in ipairs({ client, inbox, call }) do
      local class = debug.getmetatable(right)
      for name, method in pairs(class.__index) do
        for _, object in ipairs(wrong) do
          assert.is_true(object == right or not pcall(method, object),
            class.__name .. ":" .. name)
        end
      end
      for _, object in ipairs(wrong) do
        assert.is_true(object == right or not pcall(class.__gc, object))
      end
    end
  end)
end)

describe("an answer", function()
  local client, inbox

  before_each(function()
    client = assert(core.client({
      base_url = helper.http, api_key = helper.api_key,
    }))
    inbox = new_inbox()
  end)

  after_each(function()
    client:close()
    inbox:close()
  end)

  it("is there after done", function()
    local call = assert(client:start(inbox, 5, {
      method = "GET", path = "/v1/models", headers = { "x-a", "1" },
      timeout = { total = 60 }, json = true,
    }))
    assert.equal("freddy.call: waiting", tostring(call))
    finish(inbox, 5)
    assert.equal("freddy.call: done", tostring(call))
    local response, err = call:result()
    assert.is_nil(err)
    assert.equal(200, response.status)
    assert.is_true(#response.headers > 0 and #response.headers % 2 == 0)
    for _, text in ipairs(response.headers) do
      assert.equal("string", type(text))
    end
    assert.matches("^{", response.body)
    assert.matches("^http://127%.0%.0%.1", response.url)
    assert.equal(1, response.attempts)
    assert.equal(11, response.http_version)
    assert.equal("boolean", type(response.reused))
    assert.is_true(response.sent >= 0 and response.received >= 0)
    for _, name in ipairs({
      "dns", "connect", "tls", "first_byte", "total",
    }) do
      assert.equal("number", type(response.timing[name]))
    end
    assert.is_table(call:data())
    assert.is_nil(inbox:next())
  end)

  it("can be asked for twice, and is gone once the call is freed",
    function()
      local call = assert(client:start(inbox, 5, { path = "/v1/models" }))
      finish(inbox, 5)
      assert.equal(call:result().body, call:result().body)
      assert.same(call:data(), call:data())
      call:free()
      assert.is_nil(call:result())
      assert.is_nil(call:data())
    end)

  it("comes in pieces when it is streamed", function()
    local call = assert(client:start(inbox, 5, {
      path = "/v1/models", stream = true,
    }))
    assert.same({ 5, "head" }, next_event(inbox))
    assert.equal(200, call:head().status)
    assert.is_true(#call:head().headers > 0)
    local size = 0
    local event = next_event(inbox)
    while event[2] == "data" do
      size = size + #event[3]
      event = next_event(inbox)
    end
    assert.same({ 5, "done" }, event)
    assert.is_true(size > 0)
  end)

  it("reports progress", function()
    assert(client:start(inbox, 5, { path = "/v1/models", progress = true }))
    local seen = 0
    local event = next_event(inbox)
    while event[2] == "progress" do
      seen = seen + 1
      assert.equal(5, event[1])
      assert.equal("number", type(event[3]))
      assert.equal("number", type(event[5]))
      event = next_event(inbox)
    end
    assert.equal("done", event[2])
    assert.is_true(seen > 0)
  end)

  it("to many calls at once names each by its id", function()
    local calls, seen = {}, 0
    for id = 1, 20 do
      calls[id] = assert(client:start(inbox, id, { path = "/v1/models" }))
    end
    while seen < 20 do
      local event = next_event(inbox)
      assert.equal("done", event[2])
      assert.is_true(calls[event[1]]:done())
      seen = seen + 1
    end
    for id = 1, 20 do
      assert.equal(200, calls[id]:result().status)
    end
  end)

  it("comes whole whatever finalizers do meanwhile", function()
    local ids, names, count, total = {}, {}, 0, 0
    -- Allocates nothing of its own: a finalizer would take in between.
    local function take()
      local id, name, data = inbox:next()
      if id then
        count = count + 1
        ids[count], names[count] = id, name
        total = total + (data and #data or 0)
      end
      return id
    end
    local function meddler()
      local function meddle()
        take()
        take()
      end
      local newproxy = rawget(_G, "newproxy") -- 5.1: no __gc for tables
      if newproxy then
        getmetatable(newproxy(true)).__gc = meddle
      else
        setmetatable({}, { __gc = meddle })
      end
    end
    local plain = assert(client:start(inbox, 100, { path = "/v1/models" }))
    finish(inbox, 100)
    local size = #plain:result().body
    local pause = collectgarbage("setpause", 0)
    local step = collectgarbage("setstepmul", 1000000)
    local calls, seen = {}, {}
    local function all_done()
      for id = 1, 50 do
        if not calls[id]:done() then
          return false
        end
      end
      return true
    end
    for id = 1, 50 do
      seen[id] = ""
      calls[id] = assert(client:start(inbox, id, {
        path = "/v1/models", stream = true,
      }))
    end
    local limit = core.now() + 30
    repeat
      repeat
        meddler()
        collectgarbage("restart") -- where this asks for a step at once
      until not take()
      inbox:wait(1)
    until all_done() or core.now() > limit
    collectgarbage("setpause", pause)
    collectgarbage("setstepmul", step)
    assert.equal(50 * size, total)
    for i = 1, count do
      seen[ids[i]] = seen[ids[i]] .. names[i] .. " "
    end
    for id = 1, 50 do
      assert.matches("^head [data ]*data done $", seen[id])
    end
  end)

  it("that never comes is an error without a response", function()
    local lost = new_client()
    local call = assert(lost:start(inbox, 5, { path = "/hang" }))
    call:cancel()
    finish(inbox, 5)
    local response, err, partial = call:result()
    assert.is_nil(response)
    assert.equal("string", type(err.kind))
    assert.equal("string", type(err.message))
    assert.equal("boolean", type(err.sent))
    assert.is_nil(err.message:find(SECRET, 1, true))
    assert.is_nil(partial)
    lost:close()
  end)
end)
