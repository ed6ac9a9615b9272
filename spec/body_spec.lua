-- SPDX-License-Identifier: MIT
--- What a request sends: forms, readers, parts, files.

local freddy = require "freddy"
local body_util = require "spec.body_util"
local helper = require "spec.helper"

local raises = helper.raises_here
local client, plain

local bytes, reader, file = body_util.bytes, body_util.reader, body_util.file
local with, MIB = body_util.with, body_util.MIB

-- What the hostile server read: the echo of a request.
local function echo(options)
  local res = freddy.assert(plain:request(with(helper.hostile("echo"),
    options)))
  return res.data, res
end

local function echo_body(options)
  return freddy.assert(plain:request(with(helper.hostile("echo",
    { as = "body" }), options))).body
end

local function header(answer, name)
  for _, pair in ipairs(answer.headers) do
    if pair[1]:lower() == name then
      return pair[2]
    end
  end
end

setup(function()
  helper.reset()
  client = helper.client()
  plain = freddy.assert(freddy.new { api_key = "k-0123456789-abcdef",
    base_url = helper.hostile_url, retries = 0 })
end)

teardown(function()
  client:close()
  plain:close()
  body_util.remove_files()
end)

describe("form", function()
  local rows = {
    { {}, "" },
    { { a = 1 }, "a=1" },
    { { b = "x y", a = "1+1=2&" }, "a=1%2B1%3D2%26&b=x+y" },
    { { list = { 1, "two", true } }, "list=1&list=two&list=true" },
    { { yes = true, no = false, none = freddy.null }, "no=false&yes=true" },
    { { { "z", "1" }, { "a", "2" }, { "z", "3" } }, "z=1&a=2&z=3" },
    { { text = "one\r\ntwo\tthree" }, "text=one%0D%0Atwo%09three" },
    { { ["ü"] = "~*-._\0" }, "%C3%BC=%7E*-._%00" },
    { { empty = "" }, "empty=" },
    { { list = {} }, "" },
  }

  for i, row in ipairs(rows) do
    it("is encoded as the URL standard says: " .. i, function()
      local seen = echo { form = row[1] }
      assert.equal(row[2], seen.body)
      assert.equal("application/x-www-form-urlencoded",
        header(seen, "content-type"))
      assert.equal(tostring(#row[2]), header(seen, "content-length"))
    end)
  end

  it("may be long, and have a type of the user's", function()
    local seen = echo { form = { a = ("x"):rep(200000) },
      headers = { ["Content-Type"] = "application/x-mine" } }
    assert.equal("a=" .. ("x"):rep(200000), seen.body)
    assert.equal("application/x-mine", header(seen, "content-type"))
  end)

  it("raises at the caller for what cannot be sent", function()
    local wrong = {
      { { a = print }, 'form "a" must be a string' },
      { { a = 0 / 0 }, 'form "a" must be a finite number' },
      { { a = { b = 1 } }, 'form "a" must be an array, not a map' },
      { { a = { { 1 } } }, 'form "a" must not be an array of tables' },
      { { [""] = 1 }, "form has a name that is empty" },
      { { ["a\n"] = 1 }, "form has a name that is empty or holds" },
      { { { 1, 2 } }, "form%[1%] must be { name, value }" },
    }
    for _, row in ipairs(wrong) do
      raises(function() plain:post("/", { form = row[1] }) end, row[2])
    end
  end)
end)

describe("a body", function()
  it("is given by one option alone", function()
    local four = { json = {}, body = "x", form = {}, multipart = {
      { name = "a", data = "1" } } }
    for a in pairs(four) do
      for b in pairs(four) do
        if a < b then
          raises(function()
            plain:post("/", { [a] = four[a], [b] = four[b] })
          end, "exclude each other")
        end
      end
      raises(function() plain:head("/", { [a] = four[a] }) end,
        "a HEAD request cannot carry a body %(option " .. a)
    end
  end)

  it("has a size of its own only when it is a reader", function()
    raises(function() plain:post("/", { size = 1 }) end,
      "size is only for a body that is a function")
    raises(function() plain:post("/", { body = "x", size = 1 }) end,
      "size is only for a body that is a function")
  end)

  it("is not for the options of an endpoint", function()
    for _, name in ipairs { "form", "multipart", "size", "body" } do
      raises(function() client.models:list(nil, { [name] = {} }) end,
        "unknown option")
    end
  end)
end)

describe("a reader", function()
  local sizes = { 0, 1, 65535, 65536, 65537, 300000, MIB }

  for _, size in ipairs(sizes) do
    it("is sent bit by bit: " .. size, function()
      local text = bytes(size)
      assert.is_true(text == echo_body { body = text })
      assert.is_true(text == echo_body { body = reader(text), size = size })
      assert.is_true(text == echo_body { body = reader(text) })
    end)
  end

  it("has a length where one is given, else chunks", function()
    local seen = echo { body = reader "hello", size = 5 }
    assert.equal("5", header(seen, "content-length"))
    assert.is_nil(header(seen, "transfer-encoding"))
    assert.is_nil(header(seen, "content-type"))
    assert.is_nil(header(seen, "expect"))
    seen = echo { body = reader "hello" }
    assert.equal("chunked", header(seen, "transfer-encoding"))
    assert.is_nil(header(seen, "content-length"))
  end)

  it("is sent over HTTP/2, with and without a length", function()
    local text = ("0123456789abcdef"):rep(20000)
    for _, size in ipairs { false, #text } do
      local res = freddy.assert(client:post("/v1/echo",
        { body = reader(text), size = size or nil }))
      assert.equal("2.0", res.data.http_version)
      assert.is_true(text == res.data.body)
      assert.equal(#text, res.sent)
    end
  end)

  it("may give less and more than it was asked for", function()
    local text = bytes(300000)
    for _, step in ipairs { 997, 65536, 65537, 131072, 300000 } do
      local most = 0
      local read = reader(text, step)
      assert.is_true(text == echo_body { body = function(n)
        most = math.max(most, n)
        return read(n)
      end })
      assert.is_true(most > 0 and most <= 65536)
    end
  end)

  it("is asked again when it has nothing yet", function()
    local turn = 0
    assert.equal("abc", echo_body { body = function()
      turn = turn + 1
      return turn % 3 ~= 0 and "" or turn < 12 and ("abc"):sub(turn / 3,
        turn / 3) or nil
    end })
  end)

  local failures = {
    { "raises", function() error("no more", 0) end, "raised: no more" },
    { "raises a table", function() error({}) end, "raised: table" },
    { "returns a number", function() return 5 end,
      "returned a number, not a string" },
    { "returns false", function() return false end,
      "returned a boolean, not a string" },
    { "returns nil and why", function() return nil, "disk gone" end,
      "returned nil, disk gone" },
    { "yields", function() coroutine.yield() end, "tried to wait" },
    { "waits", function() freddy.sleep(1) end, "must not wait" },
    { "polls", function() freddy.poll() end, "must not wait" },
    { "asks", function() plain:get("/") end, "must not wait" },
    { "has nothing for ever", function() return "" end, "empty string" },
    { "ends early", reader "1234", "ended after 4 of its 5 bytes", 5 },
    { "is empty", reader "", "ended after 0 of its 5 bytes", 5 },
    { "runs past its size", reader "123456", "ran past its size", 5 },
    { "has a piece more", reader("1234567890", 5), "ran past its size", 5 },
  }

  for _, row in ipairs(failures) do
    it("that " .. row[1] .. " ends the call, and says how", function()
      helper.hostile_reset()
      local res, err = plain:post(helper.hostile("echo", { tag = "r" }),
        { body = row[2], size = row[4] })
      assert.is_nil(res)
      assert.equal("body", err.kind)
      assert.equal("reader_failed", err.reason)
      assert.truthy(err.message:find(row[3], 1, true), err.message)
      assert.is_false(err.retryable)
      local log = helper.hostile_log { tag = "r", closed = 1, timeout = 5 }
      for _, connection in ipairs(log) do
        for _, request in ipairs(connection.requests) do
          assert.is_false(request.body_complete) -- nobody took it for whole
        end
      end
    end)
  end

  it("that fails within its body tells no secret", function()
    local _, err = client:post("/v1/echo", { body = function()
      error("key " .. helper.api_key, 0)
    end })
    assert.equal("the body's reader raised: key ***", err.message)
  end)

  it("is asked no more than is needed, in whatever host", function()
    local asked = 0
    freddy.run(function()
      freddy.assert(plain:post(helper.hostile("echo"), { body = function()
        asked = asked + 1
        return asked <= 3 and "x" or nil
      end }))
    end)
    assert.equal(4, asked)
  end)

  it("works side by side with others", function()
    local fns = {}
    for i = 1, 30 do
      fns[i] = function()
        local text = bytes(7000 * i)
        return text == echo_body { body = reader(text, 7001) }
      end
    end
    local results = freddy.all(fns)
    for i = 1, 30 do
      assert.is_true(results[i])
    end
  end)

  it("may cancel its own call, or close the client", function()
    local call, err
    call = plain:send(with(helper.hostile("echo"), { body = function()
      call:cancel()
      return "x"
    end }), function(_, problem)
      err = problem
    end)
    helper.eventually(function() return err end)
    assert.equal("cancelled", err.kind)
    local other = freddy.assert(freddy.new { api_key = "k-0123456789-abcdef",
      base_url = helper.hostile_url })
    local _, problem = other:post("/s/echo", { body = function()
      other:close()
      return "x"
    end })
    assert.equal("closed", problem.kind)
  end)

  it("is let go of when its call has ended", function()
    local weak = setmetatable({}, { __mode = "k" })
    local function once()
      local read = reader("abc")
      weak[read] = true
      assert.equal("abc", echo_body { body = function(n)
        return read(n)
      end })
    end
    once()
    helper.collect()
    assert.is_nil(next(weak))
  end)
end)

describe("multipart", function()
  -- The parts that the server would see, cut at the boundary.
  local function parse(seen)
    local boundary = header(seen, "content-type")
      :match("^multipart/form%-data; boundary=([%w-]+)$")
    assert.truthy(boundary)
    assert.is_true(#boundary <= 70)
    local out, at = {}, 1
    local body = "\r\n" .. seen.body
    local mark = "\r\n--" .. boundary
    while true do
      local from, to = body:find(mark, at, true)
      if at > 1 then
        local head, data = body:sub(at + 2, from - 1)
          :match("^(.-)\r\n\r\n(.*)$")
        out[#out + 1] = { head = head, data = data }
      end
      at = to + 1
      if body:sub(at, at + 1) == "--" then
        assert.equal("--\r\n", body:sub(at))
        return out
      end
    end
  end

  it("is sent as RFC 7578 has it", function()
    local path = file("of a file")
    local seen = echo { multipart = {
      { name = "text", data = "plain" },
      { name = "typed", data = "{}", content_type = "application/json" },
      { name = "named", data = "1,2", filename = "a.csv" },
      { name = "file", file = path },
      { name = "renamed", file = path, filename = "b.txt",
        content_type = "text/plain" },
      { name = "reader", reader = reader("of a reader", 4), size = 11 },
    } }
    local function head(name, more)
      return 'Content-Disposition: form-data; name="' .. name .. '"' .. more
    end
    assert.same({
      { head = head("text", ""), data = "plain" },
      { head = head("typed", "\r\nContent-Type: application/json"),
        data = "{}" },
      { head = head("named", '; filename="a.csv"'), data = "1,2" },
      { head = head("file", '; filename="' .. path:match("[^/]+$")
        .. '"\r\nContent-Type: application/octet-stream'),
        data = "of a file" },
      { head = head("renamed",
        '; filename="b.txt"\r\nContent-Type: text/plain'),
        data = "of a file" },
      { head = head("reader", ""), data = "of a reader" },
    }, parse(seen))
    assert.equal(tostring(#seen.body), header(seen, "content-length"))
  end)

  it("escapes names as the HTML standard has it", function()
    local body = echo_body { multipart = {
      { name = 'a"b\r\nc%22', data = "", filename = 'ü"\n.txt' },
    } }
    assert.truthy(body:find('Content-Disposition: form-data; '
      .. 'name="a%22b%0D%0Ac%22"; filename="ü%22%0A.txt"\r\n', 1, true))
  end)

  it("is sent in chunks when a size is not known", function()
    local path = file(("b"):rep(100000))
    local seen = echo { multipart = {
      { name = "a", reader = reader(("a"):rep(70000)) },
      { name = "b", file = path },
      { name = "c", reader = reader("") , size = 0 },
      { name = "d", reader = reader("") },
      { name = "e", reader = reader("eee"), size = 3 },
    } }
    assert.equal("chunked", header(seen, "transfer-encoding"))
    local sizes = {}
    for k, part in ipairs(parse(seen)) do
      sizes[k] = #part.data
    end
    assert.same({ 70000, 100000, 0, 0, 3 }, sizes)
  end)

  it("picks a boundary that is not within the data", function()
    local seen = {}
    for i = 1, 5 do
      local boundary = header(echo { multipart = {
        { name = "a", data = "x" } } }, "content-type")
      assert.is_nil(seen[boundary])
      seen[boundary] = i
    end
  end)

  it("sends a file bit by bit", function()
    for _, size in ipairs { 0, 1, 65536, 65537, 300000, MIB } do
      local text = bytes(size)
      local body = echo_body { multipart = {
        { name = "f", file = file(text), filename = "f" } } }
      local from = body:find("\r\n\r\n", 1, true) + 4
      assert.is_true(text == body:sub(from, from + size - 1))
      assert.equal("\r\n--", body:sub(from + size, from + size + 3))
    end
  end)

  it("sends files over HTTP/2", function()
    local text = ("0123456789abcdef"):rep(20000)
    local res = freddy.assert(client:post("/v1/echo", { multipart = {
      { name = "f", file = file(text) },
      { name = "g", reader = reader(text) },
    } }))
    assert.equal("2.0", res.data.http_version)
    local from = res.data.body:find(text, 1, true)
    assert.truthy(from and res.data.body:find(text, from + #text, true))
  end)

  local folder = os.getenv "FY_TEST_TOP"
  local wrong = {
    { "missing", folder .. "/none-such", "No such file" },
    { "a folder", folder, "is a folder" },
    { "no regular file", "/dev/null", "is no regular file" },
    { "below a file", folder .. "/Makefile/x", "Not a directory" },
    { "too long a path", ("x"):rep(5000), "name too long" },
  }
  for _, row in ipairs(wrong) do
    it("of a file that is " .. row[1] .. " fails, nothing sent", function()
      local res, err = plain:post("/s/echo", { multipart = {
        { name = "a", data = "x" }, { name = "f", file = row[2] } } })
      assert.is_nil(res)
      assert.equal("body", err.kind)
      assert.equal("file_failed", err.reason)
      assert.is_false(err.sent)
      assert.equal(0, err.attempts)
      assert.truthy(err.message:find(row[3], 1, true), err.message)
      assert.truthy(err.hint:find("path", 1, true))
    end)
  end

  it("does not wait for a FIFO", function()
    local path = os.tmpname()
    os.remove(path)
    body_util.forget(path)
    assert(os.execute("mkfifo " .. path))
    local _, err = plain:post("/s/echo", { multipart = {
      { name = "f", file = path } } })
    assert.equal("file_failed", err.reason)
  end)

  -- The second part's reader changes the file of the third.
  local changes = {
    { "grew", function(path)
      local handle = assert(io.open(path, "ab"))
      handle:write("more")
      handle:close()
    end },
    { "shrank", function(path)
      assert(io.open(path, "wb")):close()
    end },
    { "went away", os.remove },
  }
  for _, row in ipairs(changes) do
    it("of a file that " .. row[1] .. " meanwhile fails", function()
      local path = file(bytes(100000))
      local res, err = plain:post("/s/echo", { multipart = {
        { name = "a", data = "x" },
        { name = "r", reader = function()
          if row[2] then
            row[2](path)
            row[2] = nil
            return "y"
          end
        end, size = 1 },
        { name = "f", file = path } } })
      assert.is_nil(res)
      assert.equal("body", err.kind)
      assert.equal("file_failed", err.reason)
    end)
  end

  it("raises at the caller, and names the part", function()
    local ok = { name = "a", data = "x" }
    local rows = {
      { {}, "multipart must be an array of parts" },
      { { a = ok }, "multipart must be an array of parts" },
      { { ok, x = ok }, "multipart must be an array of parts" },
      { { ok, 5 }, "multipart%[2%] must be a table" },
      { { ok, nil, ok }, "multipart%[2%] must be a table" },
      { { ok, {} }, "multipart%[2%].name is required" },
      { { { name = "" , data = "" } }, "multipart%[1%].name is required" },
      { { { name = "a" } }, "multipart%[1%] needs data, file or reader" },
      { { { name = 5, data = "" } }, "multipart%[1%].name must be a string" },
      { { ok, { name = "a", file = 5 } },
        "multipart%[2%].file must be a string" },
      { { { name = "a", file = "" } }, "multipart%[1%].file must be a path" },
      { { { name = "a", file = "a\0b" } },
        "multipart%[1%].file must be a path" },
      { { { name = "a", data = 5 } }, "multipart%[1%].data must be a string" },
      { { { name = "a", reader = "x" } },
        "multipart%[1%].reader must be a function" },
      { { { name = "a", data = "", file = "x" } },
        "multipart%[1%].data and file exclude each other" },
      { { { name = "a", data = "", size = 1 } },
        "multipart%[1%].size is only for a reader" },
      { { { name = "a", reader = print, size = -1 } },
        "multipart%[1%].size must be a whole number" },
      { { { name = "a", reader = print, size = 1.5 } },
        "multipart%[1%].size must be a whole number" },
      { { { name = "a", data = "", filname = "x" } },
        'unknown field "filname" in multipart%[1%] '
        .. '%(did you mean "filename"%?%)' },
      { { { name = "a\0", data = "" } },
        "multipart%[1%].name holds a control character" },
      { { { name = "a", data = "", filename = "\27" } },
        "multipart%[1%].filename holds a control character" },
      { { { name = "a", data = "", content_type = "a\nb" } },
        "multipart%[1%].content_type must be a media type" },
    }
    for _, row in ipairs(rows) do
      raises(function() plain:post("/", { multipart = row[1] }) end, row[2])
    end
    raises(function()
      plain:post("/", { multipart = { ok },
        headers = { ["content-type"] = "text/plain" } })
    end, 'header "Content%-Type" of a multipart body is set by freddy itself')
  end)
end)

describe("64 MiB", function()
  if rawget(_G, "_VERSION") ~= "Lua 5.4" then
    return -- it takes seconds: once is enough
  end

  local path

  local function sum_of(...)
    local pipe = assert(io.popen("cat " .. table.concat({ ... }, " ")
      .. " | sha256sum"))
    local sum = pipe:read("*a"):match("^%x+")
    pipe:close()
    return sum
  end

  setup(function()
    path = file ""
    local handle = assert(io.open(path, "wb"))
    for _ = 1, 64 do
      handle:write((bytes(MIB)))
    end
    handle:close()
  end)

  it("arrive as they left, from a string and from readers", function()
    local sum = sum_of(path)
    for _, size in ipairs { false, 64 * MIB } do
      local handle = assert(io.open(path, "rb"))
      local seen = echo { size = size or nil, body = function(n)
        return handle:read(n)
      end }
      handle:close()
      assert.equal(64 * MIB, seen.body_size)
      assert.equal(sum, seen.body_sha256)
    end
    assert.equal(sum, echo { body = bytes(MIB):rep(64) }.body_sha256)
  end)

  it("arrive as they left, from a file", function()
    local seen = echo { multipart = { { name = "f", file = path,
      filename = "f" } } }
    local mark = header(seen, "content-type"):match("boundary=(.*)")
    assert.equal(sum_of(
      file("--" .. mark .. '\r\nContent-Disposition: form-data; name="f"; '
        .. 'filename="f"\r\nContent-Type: application/octet-stream'
        .. "\r\n\r\n"), path, file("\r\n--" .. mark .. "--\r\n")),
      seen.body_sha256)
  end)
end)
