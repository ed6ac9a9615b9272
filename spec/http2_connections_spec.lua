-- SPDX-License-Identifier: MIT
--- Connections of HTTP/2, which many requests share: what goes wrong on one
--- stream does not touch its neighbours where the standard says so, and what
--- goes wrong with the connection is repeated where that is safe.

local freddy = require "freddy"
local helper = require "spec.helper"
local http2 = require "spec.http2_util"

local OK, url, count_tag = http2.OK, http2.url, http2.count_tag
local next_is_right, fresh = http2.next_is_right, http2.fresh
local client

setup(function()
  client = http2.open()
end)

teardown(http2.close)

-- --- Not processed, and idle connections ----------------------------------

describe("a stream that was refused", function()
  it("is repeated once, where that is safe", function()
    for _, how in ipairs { "refuse", "goaway-once" } do
      next_is_right() -- so that the connection is one that is used again
      local res = freddy.assert(client:get(url(how, { tag = "g" .. how })))
      assert.equal(OK, res.body)
      assert.equal(2, res.attempts)
      assert.equal(2, count_tag("g" .. how))
    end
  end)

  it("is not repeated for ever", function()
    local res, err = client:get(url("refuse", { to = 100, tag = "ever" }))
    assert.is_nil(res)
    assert.equal("cut", err.kind)
    assert.equal(2, err.attempts)
    assert.equal(2, count_tag "ever")
    next_is_right()
  end)

  it("is not repeated if it is a POST", function()
    for _, how in ipairs { "refuse", "goaway-once" } do
      next_is_right()
      local tag = "p" .. how
      local res, err = client:post(url(how, { tag = tag }), { body = "x" })
      assert.is_nil(res)
      assert.equal("cut", err.kind)
      assert.equal(1, err.attempts)
      next_is_right()
      assert.equal(1, count_tag(tag))
    end
  end)
end)

describe("an idle connection that is", function()
  local words = { goaway = "told to go", fin = "closed", reset = "reset" }
  for _, how in ipairs { "goaway", "fin", "reset" } do
    it(words[how] .. " costs the next request nothing", function()
      for _, method in ipairs { "GET", "POST" } do
        next_is_right()
        helper.hostile_reset()
        helper.http_request("POST", helper.hostile_url
          .. "/control/drop?how=" .. how)
        local res, err = client:request { method = method,
          path = url("ok", { tag = "idle" }),
          body = method == "POST" and "x" or nil }
        local seen = count_tag "idle"
        if method == "GET" then
          assert.is_nil(err)
          assert.is_true(res.data.ok)
        else -- it may have been on its way when the connection ended
          assert.is_true(res ~= nil or err.kind == "cut", tostring(err))
          assert.is_true(seen <= 1)
        end
      end
    end)
  end
end)

describe("a connection on which time ran out", function()
  it("does not make the next request wait too", function()
    fresh()
    assert.equal(OK, client:get(url("streams", { max = 0 })).body)
    local res, err = client:get("/s/ok", { timeout = { first_byte = 0.1 } })
    assert.is_nil(res) -- libcurl chose it all the same, and may send nothing
    assert.equal("timeout", err.kind)
    assert.equal("first_byte", err.reason)
    next_is_right()
  end)
end)

-- --- Neighbours -----------------------------------------------------------

describe("neighbours on one connection", function()
  local gates = 0
  local gate

  before_each(function()
    gates = gates + 1
    gate = "n" .. gates
    fresh()
    next_is_right()
    helper.hostile_reset()
  end)

  -- A request under way, seen by the server before this returns.
  local function send(name, args)
    args.tag = gate
    local want = count_tag(gate) + 1
    local task = freddy.spawn(function()
      return client:get(url(name, args))
    end)
    helper.eventually(function()
      return count_tag(gate) >= want
    end)
    return task
  end

  local function is_right(task)
    local res = freddy.assert(task:wait(20))
    assert.is_true(res.data.ok)
    assert.equal(1, res.attempts)
  end

  local function is_cut(task)
    local res, err = task:wait(20)
    assert.is_nil(res)
    assert.equal("cut", err.kind)
  end

  local function is_shared()
    assert.equal(1, #helper.hostile_log { tag = gate })
  end

  -- What the others do, while one waits for its head and one for its body.
  local function beside(fn)
    local head = send("gate", { gate = gate })
    local body = send("gate", { gate = gate, at = "body" })
    fn()
    is_shared()
    helper.hostile_release(gate)
    is_right(head)
    is_right(body)
  end

  it("are not ended by a RST_STREAM that is not theirs", function()
    beside(function()
      for _, at in ipairs { "before", "head", "body" } do
        is_cut(send("rst", { at = at }))
      end
    end)
  end)

  it("are not touched by heads against the rules", function()
    beside(function()
      for _, kind in ipairs { "status-two", "name-upper", "length-two",
          "value-lines" } do
        local res, err = send("head", { kind = kind }):wait(20)
        assert.is_nil(res)
        assert.equal("protocol", err.kind)
      end
    end)
  end)

  it("do not wait for one that is slow", function()
    beside(function()
      for _ = 1, 20 do
        is_right(send("ok", {}))
      end
    end)
  end)

  it("are not stopped by one that runs out of time", function()
    beside(function()
      local _, err = client:get(url("never", { tag = gate }),
        { timeout = { first_byte = 0.1 } })
      assert.equal("timeout", err.kind)
      is_right(send("ok", {}))
    end)
  end)

  it("go on when GOAWAY is for later ones", function()
    local early = send("gate", { gate = gate, at = "body" })
    local sender = send("goaway-gate", { gate = gate .. "x", last = "at" })
    local late = send("gate", { gate = gate })
    helper.hostile_release(gate .. "x")
    is_right(sender)
    helper.eventually(function() -- repeated on another connection
      return count_tag(gate) == 4
    end)
    helper.hostile_release(gate)
    is_right(early)
    assert.equal(2, freddy.assert(late:wait(20)).attempts)
    next_is_right()
  end)

  it("are refused alone: the others go on", function()
    beside(function()
      -- On a connection of its own: the repeat is told not to use this one.
      local res = freddy.assert(client:get(url("refuse", { tag = "alone"
        .. gate })))
      assert.equal(2, res.attempts)
    end)
  end)

  it("end as they must when the connection ends", function()
    for _, how in ipairs { "close-at", "reset-at" } do
      local tasks = {}
      for i = 1, 5 do
        tasks[i] = send("gate", { gate = "never-opened", at = "body" })
      end
      is_cut(send(how, { n = 5 }))
      for i = 1, 5 do
        is_cut(tasks[i])
      end
      next_is_right()
    end
  end)

  it("are all served, however few streams the server allows", function()
    fresh()
    local fns = {}
    for i = 1, 6 do
      fns[i] = function()
        return client:get(url("streams", { max = 1 }))
      end
    end
    local results, errs = freddy.all(fns)
    assert.is_nil(errs)
    assert.equal(6, #results)
  end)
end)
