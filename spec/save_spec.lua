-- SPDX-License-Identifier: MIT
--- Answers that go to a file: the right bytes, all at once or not at all.

local freddy = require "freddy"
local helper = require "spec.helper"

local client, emulator, folder
local saved -- the file that most write

local function output(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "*a"
  pipe:close()
  return text
end

local function read(path)
  local file = io.open(path, "rb")
  local text = file and file:read "*a"
  if file then
    file:close()
  end
  return text
end

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

-- The names in the folder, hidden ones too.
local function names()
  return (output("ls -A " .. folder):gsub("\n", " "))
end

setup(function()
  helper.hostile_reset()
  helper.reset()
  folder = output("mktemp -d"):gsub("%s", "")
  saved = folder .. "/answer"
  client = freddy.assert(freddy.new {
    api_key = "a-key-of-20-characters", base_url = helper.hostile_url,
    retries = 0,
  })
  emulator = helper.client()
end)

teardown(function()
  client:close()
  emulator:close()
  os.execute("rm -rf " .. folder)
end)

before_each(function()
  write(saved, "old")
end)

after_each(function()
  os.execute("rm -f " .. folder .. "/*")
  -- What was broken off is cleared up on a thread of its own.
  helper.eventually(function()
    return names() == ""
  end)
end)

local function check_old()
  assert.equal("old", read(saved))
  helper.eventually(function()
    return names() == "answer "
  end)
end

-- --- Whole ---------------------------------------------------------------

-- What the emulator's blobs are made of.
local pattern = {}
for i = 0, 88 do
  pattern[i + 1] = string.char(33 + i)
end
pattern = table.concat(pattern):rep(1000)

local function check_blob(path, size)
  local file = assert(io.open(path, "rb"))
  local left = size
  while left > 0 do
    local wanted = left < #pattern and pattern:sub(1, left) or pattern
    if file:read(#wanted) ~= wanted then
      error(("wrong bytes after %d of %d"):format(size - left, size))
    end
    left = left - #wanted
  end
  assert.is_nil(file:read(1))
  file:close()
  assert.equal("answer ", names())
end

describe("an answer is saved", function()
  local SIZES = { 0, 1, 65535, 65536, 65537, 1048576 }
  if _VERSION == "Lua 5.4" or rawget(_G, "jit") then
    SIZES[#SIZES + 1] = 67108864
  end
  local ways = {
    ["with a length"] = {}, chunked = { chunked = 1 }, gzip = { gzip = 1 },
    ["gzip and chunked"] = { gzip = 1, chunked = 1 },
  }

  for how, query in pairs(ways) do
    it("bit by bit, " .. how, function()
      for _, size in ipairs(SIZES) do
        query.size = size
        local res = freddy.assert(emulator:get("/v1/blob",
          { query = query, save_to = saved }))
        assert.equal(200, res.status)
        assert.equal(size, res.saved)
        assert.is_nil(res.body)
        assert.is_nil(res.data)
        assert.equal(11, res.http_version)
        check_blob(saved, size)
      end
    end)
  end

  it("until the connection closes, and an empty one", function()
    local url = helper.hostile "until-close"
    freddy.assert(client:get(url, { save_to = saved }))
    assert.equal('{"ok":true}', read(saved))
    local res = freddy.assert(client:get(helper.hostile "no-content",
      { save_to = saved }))
    assert.equal(204, res.status)
    assert.equal(0, res.saved)
    assert.is_nil(res.body)
    assert.equal("", read(saved))
  end)

  it("as it came, when it is JSON", function()
    local res = freddy.assert(client:get(helper.hostile("json-big",
      { mb = 1 }), { save_to = saved }))
    assert.is_nil(res.data)
    assert.equal(res.saved, #read(saved))
    assert.equal(("freddy.response: 200 (%d bytes saved)"):format(res.saved),
      tostring(res))
    assert.truthy(res.headers["content-type"])
    assert.is_true(res.timing.total > 0)
    freddy.assert(client:get(helper.hostile("json-bad", { kind = "cut" }),
      { save_to = saved }))
  end)

  it("by every way to ask", function()
    local one, two = folder .. "/one", folder .. "/two"
    freddy.assert(client:request { path = "/s/answer", save_to = one })
    local seen
    client:send({ path = "/s/answer", save_to = two }, function(res, err)
      seen = { res, err }
    end)
    helper.eventually(function() return seen end)
    assert.is_nil(seen[2])
    assert.equal(read(one), read(two))
    local ok, res = freddy.assert(emulator.models:list(nil,
      { save_to = saved }))
    assert.is_true(ok)
    assert.equal(200, res.status)
    assert.truthy(read(saved):find('"models"', 1, true))
    freddy.assert(client:post("/s/echo?as=body",
      { body = "sent", save_to = saved }))
    assert.equal("sent", read(saved))
  end)

  it("with the mode of the file it replaces, else the umask's", function()
    local function mode(path)
      return output("stat -c %a " .. path):gsub("%s", "")
    end
    os.execute("chmod 604 " .. saved)
    freddy.assert(client:get("/s/answer", { save_to = saved }))
    assert.equal("604", mode(saved))
    local fresh = folder .. "/fresh"
    freddy.assert(client:get("/s/answer", { save_to = fresh }))
    write(folder .. "/as-usual", "")
    assert.equal(mode(folder .. "/as-usual"), mode(fresh))
  end)

  it("under a name of any bytes", function()
    local odd = folder .. "/a b'\"\n\1\255"
    freddy.assert(client:get("/s/answer", { save_to = odd }))
    assert.truthy(read(odd))
  end)

  it("beyond the client's max_body, not beyond the request's", function()
    local small = helper.client { max_body = 1000 }
    local at = "/v1/blob?size=100000"
    freddy.assert(small:get(at, { save_to = saved }))
    check_blob(saved, 100000)
    write(saved, "old")
    for _, query in ipairs { "", "&chunked=1", "&gzip=1&chunked=1" } do
      local _, err = small:get(at .. query,
        { save_to = saved, max_body = 99999 })
      assert.equal("too_large", err.kind)
      assert.equal("body", err.reason)
      check_old()
    end
    freddy.assert(small:get(at .. "&gzip=1",
      { save_to = saved, max_body = 100000 }))
    local _, err = small:get("/v1/status/500?header=a:" .. ("x"):rep(900),
      { save_to = saved })
    assert.equal("server", err.kind)
    small:close()
  end)
end)

it("memory stays flat, whatever comes", function()
  local function resident()
    return tonumber(read("/proc/self/status"):match "VmRSS:%s*(%d+)")
  end
  local before, most = resident(), 0
  local function watch(fn)
    local task = freddy.spawn(fn)
    helper.eventually(function()
      most = math.max(most, resident())
      return task:status() ~= "waiting"
    end, 60)
    assert.equal("done", task:status())
  end
  watch(function()
    local res = freddy.assert(client:get(helper.hostile("gzip-bomb",
      { mb = 100 }), { save_to = saved }))
    assert.equal(tonumber(res.headers["x-decoded-size"]), res.saved)
  end)
  watch(function()
    freddy.assert(emulator:get("/v1/blob?chunked=1&size=67108864",
      { save_to = saved }))
  end)
  -- A sanitizer keeps what was freed.
  if helper.build == "build" then
    assert.is_true(most - before < 32 * 1024, most - before)
  end
end)

-- --- Not at all ----------------------------------------------------------

describe("nothing is saved", function()
  local function check(kind, path, options)
    options = options or {}
    options.save_to = saved
    local res, err = client:get(path, options)
    assert.is_nil(res)
    assert.equal(kind, err.kind)
    check_old()
    return err
  end

  it("of an answer that is not 2xx: that is an error as ever", function()
    local err = check("invalid", helper.hostile("answer",
      { of = "error-400" }))
    assert.truthy(err.response.body:find("bad", 1, true))
    assert.equal("bad", err.response.data.error.code)
    check("http", helper.hostile("answer", { of = "not-modified" }))
    check("too_large", helper.hostile("status",
      { code = 500, body = ("x"):rep(100) }), { max_body = 99 })
  end)

  it("of one that is wrong", function()
    for _, what in ipairs { "data", "crc", "size" } do
      check("protocol", helper.hostile("gzip-corrupt", { what = what }))
    end
    local err = check("cut", helper.hostile("gzip-truncated", { n = 1 }))
    assert.equal(200, err.status)
    assert.is_nil(err.response.body)
    assert.equal("freddy.response: 200 (no body)", tostring(err.response))
    check("protocol", helper.hostile "gzip-trailing")
    check("protocol", helper.hostile "chunk-bad")
    check("cut", helper.hostile "body-short")
  end)

  it("of one that stops, or takes too long", function()
    local half = helper.hostile("stall-after", { of = "length-long",
      n = 1000 })
    assert.equal("stall", check("timeout", half,
      { timeout = { stall = 0.1 } }).reason)
    assert.equal("total", check("timeout", half, { timeout = 0.1 }).reason)
    check("connect", "http://" .. helper.env "HOSTILE_CLOSED" .. "/")
  end)

  it("of a call that is cancelled, in each phase", function()
    for _, n in ipairs { 0, 1, 1000 } do
      local tag, seen = "cancel" .. n, nil
      local call = client:send({ save_to = saved,
        path = helper.hostile("stall-after",
          { of = "length-long", n = n, tag = tag }),
      }, function(_, err)
        seen = err
      end)
      helper.hostile_log { tag = tag, complete = 1, timeout = 10 }
      call:cancel()
      helper.eventually(function() return seen end)
      assert.equal("cancelled", seen.kind)
      check_old()
    end
  end)

  it("when the client is closed, or the call dropped", function()
    for _, closes in ipairs { true, false } do
      local one = freddy.assert(freddy.new {
        api_key = "a-key-of-20-characters", base_url = helper.hostile_url,
      })
      local tag, seen = "close" .. tostring(closes), nil
      local task = freddy.spawn(function()
        local _, err = one:get(helper.hostile("stall-after",
          { of = "length-long", n = 1000, tag = tag }), { save_to = saved })
        seen = err
      end)
      helper.hostile_log { tag = tag, complete = 1, timeout = 10 }
      if closes then
        one:close()
      else
        task:cancel()
      end
      helper.eventually(function() return seen end)
      assert.equal(closes and "closed" or "cancelled", seen.kind)
      check_old()
      one:close()
    end
  end)
end)

describe("an answer cut at every byte leaves the old file", function()
  -- Every byte on one Lua; every seventh on the others, which share the core.
  local step = _VERSION == "Lua 5.4" and 1 or 7

  -- Each in a file of its own, all that are cut so at once.
  local function cut(how, answer, right)
    local fns, paths = {}, {}
    for n = 0, answer.size, step do
      local path = folder .. "/" .. n
      write(path, "old")
      paths[#paths + 1] = path
      fns[#fns + 1] = function()
        return client:get(helper.hostile(how, { of = answer.name, n = n }),
          { save_to = path })
      end
    end
    local results, errs = freddy.all(fns)
    local whole = 0
    for i, path in ipairs(paths) do
      if results[i] then
        whole = whole + 1
        assert.equal(right, read(path))
      else
        assert.equal("cut", errs[i].kind)
        assert.equal("old", read(path))
      end
    end
    assert.is_true(whole <= 6, whole) -- without its last line end
    local _, count = names():gsub(" ", "")
    assert.equal(#paths + 1, count)
  end

  for _, how in ipairs { "close-at", "reset-at" } do
    for _, of in ipairs { "length", "chunked", "gzip", "gzip-chunked" } do
      it(how .. ", " .. of, function()
        local right = freddy.assert(client:get(helper.hostile("answer",
          { of = of }))).body
        local _, body = helper.http_request("GET", helper.hostile_url
          .. "/control/answers")
        for _, answer in ipairs(helper.json.decode(body)) do
          if answer.name == of then
            cut(how, answer, right)
          end
        end
      end)
    end
  end
end)

-- --- Where it cannot be --------------------------------------------------

describe("a file that cannot be is body (save_failed):", function()
  local function check(path, why)
    local res, err = client:get("/s/answer", { save_to = path })
    assert.is_nil(res)
    assert.equal("body", err.kind)
    assert.equal("save_failed", err.reason)
    assert.truthy(err.message:find(why, 1, true), err.message)
    assert.is_false(err.retryable)
    assert.equal("answer ", names())
    helper.documented(err)
    return err
  end

  it("no folder", function()
    local err = check(folder .. "/none/answer", "No such file or directory")
    assert.truthy(err.message:find(folder .. "/none/answer", 1, true))
    assert.is_true(err.sent)
    assert.equal(200, err.status)
    check(saved .. "/answer", "Not a directory")
  end)

  it("a name that is too long", function()
    check(folder .. "/" .. ("x"):rep(300), "too long")
    assert.is_false(check("/" .. ("x"):rep(5000), "too long").sent)
  end)

  it("something there that is no regular file", function()
    check(folder, "not a regular file")
    check("/dev/null", "not a regular file")
    os.execute(("ln -s %s %s/link"):format(saved, folder))
    local _, err = client:get("/s/answer", { save_to = folder .. "/link" })
    assert.equal("save_failed", err.reason)
    assert.equal("old", read(saved))
  end)

  it("and the transfer ends at once", function()
    local _, err = client:get(helper.hostile("stall-after",
      { of = "length-long", n = 1000 }), { save_to = folder .. "/none/a" })
    assert.equal("save_failed", err.reason)
  end)

  it("no secret of the path is in the error", function()
    local _, err = client:get("/s/answer",
      { save_to = folder .. "/a-key-of-20-characters/x" })
    assert.is_nil(err.message:find("a-key-of-20-characters", 1, true))
  end)
end)

it("HEAD has nothing to save", function()
  helper.raises_here(function()
    client:head("/s/answer", { save_to = saved })
  end, "save_to: the answer to HEAD has no body")
end)

it("a process that ends leaves the old file", function()
  for _, how in ipairs { "os.exit(3)", "os.exit(3, true)", "error('x', 0)",
      "os.execute('kill -9 $PPID')" } do
    helper.script(([[
      local freddy = require "freddy"
      local client = freddy.assert(freddy.new {
        api_key = "a-key-of-20-characters", base_url = %q })
      client:send({ path = "/s/body-endless?mb=512", save_to = %q }, print)
      client:get "/s/ok"
      %s
    ]]):format(helper.hostile_url, saved, how))
    check_old()
  end
end)
