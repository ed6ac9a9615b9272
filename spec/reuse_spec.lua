-- SPDX-License-Identifier: MIT
--- Connections that are used again: never one on which bytes came that
--- nobody asked for, and always one that is good.

local freddy = require "freddy"
local helper = require "spec.helper"

local clients
local tags = 0

local function new_client(listener)
  return freddy.assert(freddy.new {
    base_url = helper.env(listener), ca_file = helper.env "HOSTILE_CA_FILE",
    api_key = "a-key-of-20-characters", timeout = 5, retries = 0,
  })
end

setup(function()
  helper.hostile_reset()
  clients = {
    HOSTILE = new_client "HOSTILE",
    HOSTILE_TLS_OK = new_client "HOSTILE_TLS_OK",
    HOSTILE_H2 = new_client "HOSTILE_H2",
  }
end)

teardown(function()
  for _, client in pairs(clients) do
    client:close()
  end
end)

-- A tag that marks the requests of one test in the server's log.
local function new_tag()
  tags = tags + 1
  return "reuse" .. tags .. _VERSION:gsub("%W", "")
end

local function ask(listener, name, args, method)
  return clients[listener]:request {
    path = helper.hostile(name, args, listener), method = method,
  }
end

-- The server's entries of the connections that carried the tag.
local function seen(tag, more)
  local args = { tag = tag, timeout = 10 }
  for name, value in pairs(more or {}) do
    args[name] = value
  end
  return helper.hostile_log(args)
end

-- The next request gets its own answer.
local function next_is_right(listener, tag, attempts, method)
  local res = freddy.assert(
    ask(listener, "echo", { tag = tag, own = tag }, method))
  assert.equal(200, res.status)
  assert.truthy(res.data.target:find("own=" .. tag, 1, true))
  assert.equal(attempts or 1, res.attempts)
end

-- How many connections the requests took.
local function connections(tag, requests)
  return #seen(tag, { complete = requests })
end

local function is_ended_by_us(tag)
  local entry = seen(tag, { closed = 1 })[1]
  assert.truthy(entry.closed_by:find "^client")
end

-- --- Bytes behind an answer ----------------------------------------------

local answers = {
  { of = "ok", status = 200, body = '{"ok":true}' },
  { of = "chunked", status = 200, body = '{"ok":true}' },
  { of = "no-content", status = 204, body = "" },
  { of = "ok", method = "HEAD", status = 200, body = "" },
}

local function check_answer(listener, row, args)
  local res = freddy.assert(ask(listener, "extra-after", args, row.method))
  assert.equal(row.status, res.status)
  assert.equal(row.body, res.body)
  assert.equal(1, res.attempts)
end

-- At once, in the same write; later, while nobody uses the connection; and
-- with the body, so that libcurl, which reads no more than the length, leaves
-- it where the next answer is read from. Under TLS that is found only after
-- the next request has been sent, which then is repeated.
local function check_extra(listener, kind, row)
  local name = ("%s behind %s %s"):format(kind, row.method or "GET", row.of)

  it(name .. ", at once", function()
    local tag = new_tag()
    check_answer(listener, row, { kind = kind, of = row.of, tag = tag })
    next_is_right(listener, tag)
    assert.equal(2, connections(tag, 2))
  end)

  it(name .. ", later", function()
    local tag = new_tag()
    check_answer(listener, row,
      { kind = kind, of = row.of, tag = tag, gate = tag })
    helper.hostile_release(tag)
    is_ended_by_us(tag)
    next_is_right(listener, tag)
    assert.equal(2, connections(tag, 2))
  end)

  if row.body == "" then
    return
  end
  it(name .. ", with the body", function()
    local tag = new_tag()
    local is_hidden = listener ~= "HOSTILE" and row.of == "ok"
    check_answer(listener, row,
      { kind = kind, of = row.of, tag = tag, split = "yes" })
    next_is_right(listener, tag, is_hidden and 2 or 1)
    assert.equal(2, connections(tag, 2))
  end)
end

for _, listener in ipairs { "HOSTILE", "HOSTILE_TLS_OK" } do
  describe("a connection of " .. listener .. " ends after", function()
    for _, kind in ipairs { "response", "head", "garbage", "byte" } do
      for _, row in ipairs(answers) do
        check_extra(listener, kind, row)
      end
    end

    for _, code in ipairs { 204, 304 } do
      for _, length in ipairs { false, "yes" } do
        it(("a body behind %d%s"):format(code, length and " with its length"
            or ""), function()
          local tag = new_tag()
          local res, err = ask(listener, "no-content",
            { code = code, length = length or nil, tag = tag })
          assert.equal(code, res and res.status or err.status)
          assert.equal("", (res or err.response).body)
          next_is_right(listener, tag)
          assert.equal(2, connections(tag, 2))
        end)
      end
    end

    it("an answer with both Transfer-Encoding and Content-Length", function()
      local tag = new_tag()
      local res = freddy.assert(ask(listener, "te-and-cl", { tag = tag }))
      assert.equal('{"ok":true}', res.body)
      is_ended_by_us(tag)
      next_is_right(listener, tag)
      assert.equal(2, connections(tag, 2))
    end)
  end)
end

it("a POST that met another's answer under TLS is cut, and not repeated",
  function()
    local tag = new_tag()
    check_answer("HOSTILE_TLS_OK", answers[1],
      { kind = "response", tag = tag, split = "yes" })
    local res, err = ask("HOSTILE_TLS_OK", "echo", { tag = tag }, "POST")
    assert.is_nil(res)
    assert.equal("cut", err.kind)
    assert.is_true(err.sent)
    assert.equal(1, err.attempts)
    is_ended_by_us(tag)
    next_is_right("HOSTILE_TLS_OK", tag, 1, "POST")
  end)

-- --- Connections that the server ends ------------------------------------

-- The server has said its last word on the connection.
local function is_ended_by_server(tag)
  return helper.eventually(function()
    return seen(tag)[1].closed_by
  end)
end

for _, listener in ipairs { "HOSTILE", "HOSTILE_TLS_OK", "HOSTILE_H2" } do
  describe("an idle connection of " .. listener, function()
    for _, how in ipairs { "fin", "reset" } do
      it("that the server ends by " .. how .. " costs nothing", function()
        local tag = new_tag()
        freddy.assert(ask(listener, "ok", { tag = tag }))
        helper.http_request("POST",
          helper.hostile_url .. "/control/drop?how=" .. how)
        is_ended_by_server(tag)
        next_is_right(listener, tag, 1, "POST")
        assert.equal(2, connections(tag, 2))
      end)
    end
  end)
end

-- --- Connections that are good -------------------------------------------

local good = {
  { "ok" }, { "echo" }, { "gzip" }, { "continue-many" }, { "early-hints" },
  { "json-big" }, { "length-equal" }, { "status", { code = 404 } },
  { "answer", { of = "chunked" } }, { "answer", { of = "chunked-empty" } },
  { "answer", { of = "chunked-trailers" } },
  { "answer", { of = "gzip-chunked" } }, { "answer", { of = "length-empty" } },
  { "answer", { of = "no-content" } }, { "answer", { of = "not-modified" } },
  { "answer", { of = "after-hints" } },
  { "answer", {}, "HEAD" }, { "ok", {}, "HEAD" }, { "ok", {}, "POST" },
  { "drip", { of = "chunked" } }, { "drip", { of = "length" } },
}

for _, listener in ipairs { "HOSTILE", "HOSTILE_TLS_OK" } do
  it("right answers from " .. listener .. " share one connection", function()
    local tag = new_tag()
    local function all(end_of)
      for _, row in ipairs(good) do
        local args = { tag = tag, ["end"] = end_of }
        for name, value in pairs(row[2] or {}) do
          args[name] = value
        end
        local res, err = ask(listener, row[1], args, row[3])
        assert.is_true(res ~= nil or err.status ~= nil, row[1])
        assert.equal(1, (res or err).attempts)
      end
    end
    all "keep"
    all "keep"
    assert.equal(1, connections(tag, 2 * #good))
  end)
end

-- --- What does not belong into an answer ---------------------------------

it("the headers of 1xx answers are dropped", function()
  local res = freddy.assert(ask("HOSTILE", "answer", { of = "after-hints" }))
  assert.equal(200, res.status)
  assert.is_nil(res.headers.link)
  assert.equal("application/json", res.headers["content-type"])
end)

it("trailers never become headers", function()
  for _, how in ipairs { "answer", "drip" } do
    local res = freddy.assert(
      ask("HOSTILE", how, { of = "chunked-trailers" }))
    assert.is_nil(res.headers["x-sum"])
    assert.is_nil(res.headers["x-late"])
    assert.is_true(res.data.ok)
  end
end)
