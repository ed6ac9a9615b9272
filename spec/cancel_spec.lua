-- SPDX-License-Identifier: MIT
--- Ending a call early: in every phase, from anywhere, as often as one likes.

local freddy = require "freddy"
local helper = require "spec.helper"

local client

-- A request that the hostile server keeps in some phase. `saw` waits until it
-- is there, `gone` until the server sees it end.
local function hostile(name, args, tag)
  args.tag = tag
  return {
    path = helper.hostile(name, args),
    saw = function()
      helper.hostile_log { tag = tag, requests = 1, timeout = 10 }
    end,
    gone = function()
      helper.hostile_log { tag = tag, requests = 1, closed = 1, timeout = 10 }
    end,
  }
end

setup(function()
  helper.hostile_reset()
  client = freddy.assert(freddy.new {
    api_key = "a-key-of-20-characters", base_url = helper.hostile_url,
    retries = 0,
  })
end)

teardown(function()
  client:close()
end)

local function send(path, seen)
  return client:send({ path = path }, function(res, err)
    seen[#seen + 1] = res or err
  end)
end

local function check_cancelled(seen)
  helper.eventually(function()
    return #seen > 0
  end)
  assert.equal(1, #seen)
  assert.equal("cancelled", seen[1].kind)
  assert.is_false(seen[1].retryable)
end

describe("a call can be cancelled", function()
  it("at once, before it was sent", function()
    local seen = {}
    send(helper.hostile "never", seen):cancel() -- or just after
    check_cancelled(seen)
  end)

  it("while it connects", function()
    local seen = {}
    local silent = "https://" .. helper.env "HOSTILE_SILENT"
    local call = client:send({ path = silent .. "/" }, function(_, err)
      seen[#seen + 1] = err
    end)
    helper.hostile_log { listener = "silent", connections = 1, timeout = 10 }
    call:cancel()
    check_cancelled(seen)
    assert.is_false(seen[1].sent)
  end)

  it("while nobody accepts it", function()
    local seen = {}
    local call = client:send({ path = "http://" .. helper.env "HOSTILE_FULL"
      .. "/" }, function(_, err)
      seen[#seen + 1] = err
    end)
    call:cancel()
    check_cancelled(seen)
    assert.is_false(seen[1].sent)
  end)

  it("while its body is sent", function()
    local seen = {}
    local call = client:send({
      path = helper.hostile("never-read", { tag = "upload" }),
      method = "PUT", body = ("x"):rep(16 * 1024 * 1024),
    }, function(_, err)
      seen[#seen + 1] = err
    end)
    helper.hostile_log { tag = "upload", requests = 1, timeout = 10 }
    call:cancel()
    check_cancelled(seen)
    assert.is_true(seen[1].sent)
  end)

  it("before it is sent once more", function()
    local seen, told = {}, false
    local patient = freddy.assert(freddy.new {
      api_key = "a-key-of-20-characters", base_url = helper.hostile_url,
      on_retry = function()
        told = true
      end,
    })
    local call = patient:send({ path = helper.hostile("status",
      { code = 503, line = "Retry-After: 60", tag = "repeat" }) },
      function(_, err)
        seen[#seen + 1] = err
      end)
    helper.eventually(function()
      return told
    end)
    call:cancel()
    check_cancelled(seen)
    assert.is_true(seen[1].sent)
    assert.equal(1, seen[1].attempts)
    patient:close()
  end)

  it("while it waits for the head", function()
    local seen, at = {}, hostile("never", {}, "head")
    local call = send(at.path, seen)
    at.saw()
    call:cancel()
    check_cancelled(seen)
    assert.is_true(seen[1].sent)
    at.gone()
  end)

  it("in the middle of the body", function()
    local seen, at = {}, hostile("gate", { n = 100, gate = "body" }, "body")
    local call = send(at.path, seen)
    at.saw()
    call:cancel()
    check_cancelled(seen)
    at.gone()
    helper.hostile_release "body"
  end)

  it("when its answer is there already, but not drained", function()
    local seen = {}
    local call = send(helper.hostile("ok", { tag = "late" }), seen)
    helper.hostile_log { tag = "late", complete = 1, timeout = 10 }
    call:cancel()
    helper.eventually(function()
      return #seen > 0
    end)
    assert.equal(1, #seen) -- one or the other, and only once
  end)

  it("twice, and after its end", function()
    local seen = {}
    local call = send(helper.hostile "ok", seen)
    helper.eventually(function()
      return #seen > 0
    end)
    call:cancel()
    call:cancel()
    freddy.poll(0)
    assert.equal(1, #seen)
    assert.equal(200, seen[1].status)
  end)

  it("from a callback", function()
    local seen, at = {}, hostile("never", {}, "callback")
    local call = send(at.path, seen)
    at.saw()
    client:send({ path = helper.hostile "ok" }, function()
      call:cancel()
    end)
    check_cancelled(seen)
  end)

  it("in its own callback, without harm", function()
    local seen, call = {}, nil
    call = client:send({ path = helper.hostile "ok" }, function(res)
      call:cancel()
      seen[#seen + 1] = res
    end)
    helper.eventually(function()
      return #seen > 0
    end)
    assert.equal(200, seen[1].status)
  end)
end)

describe("a task can be cancelled", function()
  it("by another one, and all its later waits fail as well", function()
    local at = hostile("never", {}, "task")
    local kinds = {}
    local waiting = freddy.spawn(function()
      local _, err = client:get(at.path)
      kinds[#kinds + 1] = err.kind
      _, err = client:get(helper.hostile "ok")
      kinds[#kinds + 1] = err.kind
      _, err = freddy.sleep(60)
      kinds[#kinds + 1] = err.kind
    end)
    at.saw()
    freddy.spawn(function()
      waiting:cancel()
    end)
    local _, err = waiting:wait()
    assert.equal("cancelled", err.kind)
    assert.same({ "cancelled", "cancelled", "cancelled" }, kinds)
    assert.equal("cancelled", waiting:status())
    at.gone()
  end)

  -- What a task hears whose only request is cancelled once `ready` says so.
  local function ended_early(one, path, ready)
    local err
    local doomed = freddy.spawn(function()
      err = select(2, one:get(path))
    end)
    helper.eventually(ready)
    doomed:cancel()
    helper.eventually(function() return err end)
    assert.equal("cancelled", err.kind)
    return err
  end

  it("and hears that nothing had left", function()
    local slow = freddy.assert(freddy.new {
      api_key = "another-key-of-20-characters", base_url = helper.hostile_url,
      rate_limit = { per_minute = 1 },
    })
    assert(slow:get(helper.hostile "ok"))
    local err = ended_early(slow, helper.hostile "ok", function()
      return slow:stats().waiting == 1
    end)
    assert.is_false(err.sent)
    assert.equal(0, err.attempts)
    slow:close()
  end)

  it("and hears how often it was sent", function()
    local repeats = 0
    local patient = freddy.assert(freddy.new {
      api_key = "a-key-of-20-characters", base_url = helper.hostile_url,
      retries = 9, on_retry = function() repeats = repeats + 1 end,
    })
    local err = ended_early(patient, helper.hostile("status",
      { code = 503, line = "Retry-After: 0" }), function()
      return repeats >= 2
    end)
    assert.is_true(err.sent)
    assert.is_true(err.attempts >= 2)
    patient:close()
  end)

  it("and leaves the others alone", function()
    local doomed = freddy.spawn(function()
      return client:get(helper.hostile "never")
    end)
    local other = freddy.spawn(function()
      return client:get(helper.hostile "ok")
    end)
    doomed:cancel()
    assert.equal(200, freddy.assert(other:wait()).status)
  end)
end)

describe("nobody waits any more", function()
  it("when the last reference to a core call goes", function()
    local core = require "freddy.core"
    local at = hostile("never", {}, "reference")
    local inbox = assert(core.inbox())
    local plain = assert(core.client {
      base_url = helper.hostile_url, api_key = "a-key-of-20-characters",
    })
    local call = assert(plain:start(inbox, 1,
      { method = "GET", path = at.path }))
    at.saw()
    assert.is_false(call:done())
    call = nil -- luacheck: ignore
    helper.collect()
    at.gone()
    assert.is_nil(inbox:next())
    plain:close()
  end)
end)
