-- SPDX-License-Identifier: MIT
--- Bodies that are read as they arrive: client:get(path, { stream = true }).

local freddy = require "freddy"
local helper = require "spec.helper"

local client, emulator
local url = helper.hostile
local no_wait_in_for = _VERSION == "Lua 5.1" and not rawget(_G, "jit")

setup(function()
  helper.hostile_reset()
  helper.reset()
  client = freddy.assert(freddy.new {
    api_key = "a-key-of-20-characters", base_url = helper.hostile_url,
    retries = 0,
  })
  emulator = helper.client()
end)

teardown(function()
  client:close()
  emulator:close()
end)

-- What the emulator's blobs are made of.
local pattern = {}
for i = 0, 88 do
  pattern[i + 1] = string.char(33 + i)
end
pattern = table.concat(pattern)

local function get(path, options)
  options = options or {}
  options.stream = true
  return client:get(path, options)
end

-- All that is left of a body, and why it ended.
local function read_all(res)
  local parts = {}
  local piece, err = res:read()
  while piece do
    parts[#parts + 1] = piece
    piece, err = res:read()
  end
  return table.concat(parts), err
end

-- Run `fn` in a task of its own, and give back its results.
local function in_task(fn)
  local task = freddy.spawn(fn)
  local ok, err = task:wait(30)
  assert.is_nil(err and (err.details and err.details.traceback or err))
  return ok
end

describe("a body is read piece by piece,", function()
  it("bit by bit as it was sent, in each coding", function()
    for _, query in ipairs { {}, { chunked = 1 }, { gzip = 1 },
        { gzip = 1, chunked = 1 } } do
      for _, size in ipairs { 0, 1, 16384, 1048577 } do
        query.size = size
        local res = freddy.assert(emulator:get("/v1/blob",
          { query = query, stream = true }))
        assert.equal(200, res.status)
        assert.is_nil(res.body)
        assert.is_nil(res.data)
        assert.equal(11, res.http_version)
        local text, err = read_all(res)
        assert.is_nil(err)
        assert.equal(size, #text)
        assert.is_true(text == pattern:rep(math.ceil(size / 89))
          :sub(1, size))
        assert.is_true(res.timing.total > 0)
        assert.is_true(res:finish())
      end
    end
  end)

  it("by an iterator, in a script and in a task", function()
    local function count()
      local size = 0
      local res = freddy.assert(emulator:get("/v1/blob?size=3000000",
        { stream = true }))
      for piece in res:chunks() do
        assert.is_true(#piece > 0)
        size = size + #piece
      end
      assert.is_true(res:finish())
      return size
    end
    assert.equal(3000000, count())
    if not no_wait_in_for then
      assert.equal(3000000, in_task(count))
    end
  end)

  it("where Lua 5.1 cannot wait inside for, it says what can", function()
    local size = in_task(function()
      local res = freddy.assert(emulator:get("/v1/blob?size=3000000",
        { stream = true }))
      if no_wait_in_for then
        helper.raises_here(function()
          res:chunks()
        end, "res:read")
      end
      return #read_all(res)
    end)
    assert.equal(3000000, size)
  end)

  it("the head first, while the body is still to come", function()
    local res = freddy.assert(get(url("gate",
      { of = "chunked", gate = "head", n = 200 })))
    assert.equal(200, res.status)
    assert.equal("chunked", res.headers["transfer-encoding"])
    assert.is_nil(res.timing)
    assert.equal("freddy.response: 200 (reading)", tostring(res))
    helper.hostile_release "head"
    local whole = freddy.assert(client:get(url("answer",
      { of = "chunked" }))).body
    assert.equal(whole, (read_all(res)))
    assert.equal("freddy.response: 200 (read)", tostring(res))
    assert.is_true(res.received > 0)
  end)

  it("where a redirect leads to", function()
    local res = freddy.assert(get(url("redirect", { to = "/s/answer" })))
    assert.truthy(res.url:find "/s/answer$")
    local text = read_all(res)
    assert.equal(freddy.assert(client:get "/s/answer").body, text)
  end)

  it("of endpoints, and of every verb", function()
    local res, same = emulator.models:list(nil, { stream = true })
    assert.equal(res, same)
    assert.truthy(read_all(res):find '"models"')
    res = freddy.assert(client:post("/s/echo?as=body",
      { body = "sent", stream = true }))
    assert.equal("sent", (read_all(res)))
    res = freddy.assert(client:head("/s/answer", { stream = true }))
    assert.equal("", (read_all(res)))
    res = freddy.assert(client:request { path = "/s/no-content",
      stream = true })
    assert.equal("", (read_all(res)))
  end)
end)

describe("what is no 2xx answer is an ordinary error", function()
  it("with its whole body", function()
    local res, err = get(url("answer", { of = "error-400" }))
    assert.is_nil(res)
    assert.equal("invalid", err.kind)
    assert.equal("bad", err.response.data.error.code)
    err = select(2, emulator:get("/v1/nothing", { stream = true }))
    assert.equal("not_found", err.kind)
  end)

  it("also when it fails before it is there", function()
    local _, err = get(url "close-before", { timeout = 30 })
    assert.equal("cut", err.kind)
    _, err = get("http://" .. helper.env "HOSTILE_CLOSED" .. "/")
    assert.equal("connect", err.kind)
    _, err = get(url "garbage")
    assert.equal("protocol", err.kind)
  end)
end)

describe("a body that ends early tells why:", function()
  local function check(kind, path, options)
    local res = freddy.assert(get(path, options))
    local _, err = read_all(res)
    assert.equal(kind, err.kind)
    assert.equal(200, err.status)
    assert.is_nil(err.response.body)
    local again, same = res:read()
    assert.is_nil(again)
    assert.equal(err, same)
    assert.same({ nil, err }, { res:finish() })
    return err
  end

  it("cut, or against the rules", function()
    check("cut", url "body-short")
    check("cut", url("gzip-truncated", { n = 1 }))
    check("protocol", url "chunk-bad")
    check("protocol", url("gzip-corrupt", { what = "crc" }))
  end)

  it("cut at every byte, or whole", function()
    local answer = freddy.assert(client:get(url("answer",
      { of = "chunked" }))).body
    local _, list = helper.http_request("GET", helper.hostile_url
      .. "/control/answers")
    local size
    for _, one in ipairs(helper.json.decode(list)) do
      size = one.name == "chunked" and one.size or size
    end
    local whole = 0
    for n = 0, size do
      local res, err = get(url("close-at", { of = "chunked", n = n }))
      local text
      if res then
        text, err = read_all(res)
      end
      if err then
        assert.equal("cut", err.kind)
      else
        assert.equal(answer, text)
        whole = whole + 1
      end
    end
    assert.is_true(whole >= 1 and whole <= 3, whole)
  end)

  it("a time limit", function()
    local half = url("stall-after", { of = "length-long", n = 1000 })
    assert.equal("stall", check("timeout", half,
      { timeout = { stall = 0.1 } }).reason)
    assert.equal("total", check("timeout", half, { timeout = 0.1 }).reason)
  end)

  it("the limit of its own max_body, never the client's", function()
    local small = helper.client { max_body = 1000 }
    local res = freddy.assert(small:get("/v1/blob?size=100000&chunked=1",
      { stream = true }))
    assert.equal(100000, #read_all(res))
    for _, more in ipairs { "", "&chunked=1", "&gzip=1&chunked=1" } do
      local err
      res, err = small:get("/v1/blob?size=100000" .. more,
        { stream = true, max_body = 99999 })
      if res then
        _, err = read_all(res)
      end
      assert.equal("too_large", err.kind)
      assert.equal("body", err.reason)
    end
    small:close()
  end)
end)

describe("whoever stops reading", function()
  local function resident()
    local file = assert(io.open "/proc/self/status")
    local size = file:read "*a":match "VmRSS:%s*(%d+)"
    file:close()
    return tonumber(size)
  end

  -- How many requests of this tag the server still serves.
  local function wait_closed(tag)
    helper.hostile_log { tag = tag, closed = 1, timeout = 10 }
  end

  it("holds back the server, and nobody else", function()
    local res = freddy.assert(get(url("body-endless", { mb = 64,
      tag = "stopped" })))
    freddy.assert(res:read())
    local before = resident()
    for _ = 1, 100 do
      freddy.assert(client:get "/s/ok")
    end
    local seen = helper.hostile_log { tag = "stopped" }
    assert.is_true(seen[1].sent < 16 * 1048576, seen[1].sent)
    if helper.build == helper.top .. "/build" then
      assert.is_true(resident() - before < 4 * 1024)
    end
    assert.is_true(#read_all(res) >= 63 * 1048576)
  end)

  it("ends it by cancel", function()
    local res = freddy.assert(get(url("body-endless", { tag = "cancel" })))
    freddy.assert(res:read())
    res:cancel()
    res:cancel()
    wait_closed "cancel"
    local piece, err = res:read()
    assert.is_nil(piece)
    assert.equal("cancelled", err.kind)
    assert.equal("cancelled", select(2, res:finish()).kind)
  end)

  it("ends it by cancel while another task waits for it", function()
    local res = freddy.assert(get(url("stall-after",
      { of = "length-long", n = 1000 })))
    local err
    local task = freddy.spawn(function()
      err = select(2, read_all(res))
    end)
    helper.eventually(function() return res.entry.waiter end)
    helper.raises_here(function() res:read() end, "another task")
    res:cancel()
    task:wait(10)
    assert.equal("cancelled", err.kind)
  end)

  it("ends it by closing the client", function()
    local one = freddy.assert(freddy.new {
      api_key = "a-key-of-20-characters", base_url = helper.hostile_url,
    })
    local res = freddy.assert(one:get(url("stall-after",
      { of = "length-long", n = 1000 }), { stream = true }))
    one:close()
    local _, err = read_all(res)
    assert.equal("closed", err.kind)
  end)

  it("ends it by forgetting it", function()
    local res = freddy.assert(get(url("body-endless", { tag = "forgotten" })))
    freddy.assert(res:read())
    res = nil -- luacheck: ignore
    helper.collect()
    wait_closed "forgotten"
  end)

  it("gives up a wait when its task is cancelled, not the body", function()
    local gate = url("gate", { of = "chunked", gate = "later", n = 200 })
    local res = freddy.assert(get(gate))
    local text, err
    local task = freddy.spawn(function()
      text, err = read_all(res)
    end)
    helper.eventually(function() return res.entry.waiter end)
    task:cancel()
    helper.eventually(function() return err end)
    assert.equal("cancelled", err.kind)
    helper.hostile_release "later"
    local rest, problem = read_all(res)
    assert.is_nil(problem)
    assert.equal(freddy.assert(client:get(url("answer",
      { of = "chunked" }))).body, text .. rest)
  end)

  it("cancels the wait for the head as any other", function()
    local err
    local task = freddy.spawn(function()
      err = select(2, get(url("never", { tag = "head" })))
    end)
    helper.hostile_log { tag = "head", complete = 1, timeout = 10 }
    task:cancel()
    wait_closed "head"
    assert.equal("cancelled", err.kind)
  end)
end)

describe("turns", function()
  it("are taken, however fast one body comes", function()
    assert.is_nil(helper.take_turns(function()
      return get(url("body-endless", { mb = 256 }))
    end, "read"))
  end)

  it("are given to tasks by a script that reads without a pause", function()
    local res = freddy.assert(get(url("body-endless", { mb = 256 })))
    local done
    local task = freddy.spawn(function()
      freddy.assert(client:get "/s/ok")
      done = true
    end)
    while not done and res:read() do
      assert.equal("waiting", done and "waiting" or task:status())
    end
    assert.is_true(done)
    res:cancel()
  end)

  it("end with the budget of a poll", function()
    freddy.use "loop"
    local pieces, counted = 0, 0
    local task = freddy.spawn(function()
      local res = freddy.assert(emulator:get(
        "/v1/blob?size=8388608&chunked=1", { stream = true }))
      while res:read() do
        pieces = pieces + 1
      end
    end)
    local limit = os.time() + 30
    while task:status() == "waiting" and os.time() < limit do
      local before = pieces
      counted = counted + freddy.poll(0)
      assert.is_true(pieces - before <= 1)
    end
    freddy.use "block"
    assert.equal("done", task:status())
    assert.is_true(counted >= pieces)
  end)

  it("outside of tasks do not come in a loop that must not block", function()
    local res = freddy.assert(get "/s/answer")
    freddy.use "loop"
    local ok, message = pcall(res.read, res)
    freddy.use "block"
    assert.is_false(ok)
    assert.truthy(tostring(message):find("freddy.spawn", 1, true))
    assert.is_true(res:finish())
  end)
end)

it("misuse raises at the caller", function()
  helper.raises_here(function()
    client:get("/s/answer", { stream = true, save_to = "x" })
  end, "save_to and stream")
  helper.raises_here(function()
    client:send({ path = "/s/answer", stream = true }, print)
  end, "freddy.spawn")
  local res = freddy.assert(get "/s/answer")
  helper.raises_here(function() res.read() end, "colon")
  res:cancel()
end)
