-- SPDX-License-Identifier: MIT
--- Closing a client: never waits, ends its calls, and hurts no other.

local freddy = require "freddy"
local helper = require "spec.helper"

local function new_client()
  return freddy.assert(freddy.new {
    api_key = "a-key-of-20-characters", base_url = helper.hostile_url,
  })
end

local function send(client, name, args, seen)
  return client:send({ path = helper.hostile(name, args) },
    function(res, err)
      seen[#seen + 1] = res and res.status or err.kind
    end)
end

local function wait_for(seen, count)
  helper.eventually(function()
    return #seen >= count
  end)
  assert.equal(count, #seen)
end

setup(function()
  helper.hostile_reset()
end)

describe("client:close", function()
  it("ends the calls in flight, each once", function()
    local client, seen = new_client(), {}
    for _ = 1, 10 do
      send(client, "never", { tag = "flight" }, seen)
    end
    helper.hostile_log { tag = "flight", requests = 10, timeout = 10 }
    client:close()
    wait_for(seen, 10)
    for i = 1, 10 do
      assert.equal("closed", seen[i])
    end
    helper.hostile_log {
      tag = "flight", requests = 10, closed = 1, timeout = 10,
    }
  end)

  it("leaves the calls of other clients alone", function()
    local one, two, seen = new_client(), new_client(), {}
    local at = { gate = "others", n = 5, tag = "others" }
    send(two, "gate", at, seen)
    helper.hostile_log { tag = "others", requests = 1, timeout = 10 }
    one:close()
    helper.hostile_release "others"
    wait_for(seen, 1)
    assert.equal(200, seen[1])
    two:close()
  end)

  it("may be repeated, and refuses what comes after", function()
    local client = new_client()
    client:close()
    client:close()
    local res, err = client:get(helper.hostile "ok")
    assert.is_nil(res)
    assert.equal("closed", err.kind)
    assert.is_false(err.sent)
    assert.is_string(tostring(client))
  end)

  it("works inside a callback of its own", function()
    local client, seen = new_client(), {}
    send(client, "never", {}, seen)
    client:send({ path = helper.hostile "ok" }, function()
      client:close()
    end)
    wait_for(seen, 1)
    assert.equal("closed", seen[1])
  end)

  it("ends a task that waits", function()
    local client = new_client()
    local task = freddy.spawn(function()
      return client:get(helper.hostile("never", { tag = "waiting" }))
    end)
    helper.hostile_log { tag = "waiting", requests = 1, timeout = 10 }
    client:close()
    local res, err = task:wait()
    assert.is_nil(res)
    assert.equal("closed", err.kind)
  end)
end)

describe("a client that is dropped", function()
  it("lives until its calls have ended", function()
    local seen = {}
    do
      local client = new_client()
      send(client, "ok", {}, seen)
    end
    helper.collect()
    wait_for(seen, 1)
    assert.equal(200, seen[1])
  end)

  it("is finalized without a word", function()
    for _ = 1, 100 do
      new_client()
    end
    helper.collect()
    local client = new_client()
    assert.equal(200, freddy.assert(client:get(helper.hostile "ok")).status)
    client:close()
  end)
end)
