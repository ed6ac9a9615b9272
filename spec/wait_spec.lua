-- SPDX-License-Identifier: MIT
--- Waiting for real answers: in a script, in tasks, in a loop.

local core = require "freddy.core"
local freddy = require "freddy"
local helper = require "spec.helper"
local socket = require "socket"

local client, reported

setup(function()
  helper.hostile_reset()
  client = freddy.assert(freddy.new {
    api_key = "a-key-of-20-characters", base_url = helper.hostile_url,
  })
end)

teardown(function()
  client:close()
end)

before_each(function()
  reported = {}
  freddy.on_error = function(err)
    reported[#reported + 1] = err
  end
end)

after_each(function()
  freddy.use "block"
  freddy.poll()
  assert.same({}, reported)
  freddy.on_error = nil
end)

-- A request whose answer waits until `release` is called.
local function gated(name)
  return {
    path = helper.hostile("gate", { gate = name, tag = name }),
    arrived = function(count)
      helper.hostile_log { tag = name, complete = count or 1, timeout = 10 }
    end,
    release = function()
      helper.hostile_release(name)
    end,
  }
end

local function ok()
  return helper.hostile "ok"
end

describe("a script that waits", function()
  it("serves the others meanwhile", function()
    local gate, seen = gated "meanwhile", 0
    client:send({ path = ok() }, function()
      gate.arrived()
      gate.release() -- or the call below would never end
      seen = seen + 1
    end)
    freddy.spawn(function()
      freddy.assert(client:get(ok()))
      seen = seen + 1
    end)
    assert.equal(200, freddy.assert(client:get(gate.path)).status)
    helper.eventually(function()
      return seen == 2
    end)
  end)

  it("waits in a generator, too", function()
    local seen = {}
    for status in coroutine.wrap(function()
      for _ = 1, 3 do
        coroutine.yield(freddy.assert(client:get(ok())).status)
      end
    end) do
      seen[#seen + 1] = status
    end
    assert.same({ 200, 200, 200 }, seen)
  end)

  it("sleeps at least as long as it said", function()
    local before = core.now()
    assert.is_true(freddy.sleep(0.05))
    assert.is_true(core.now() - before >= 0.05)
    assert.is_true(freddy.sleep(0))
  end)
end)

describe("tasks", function()
  it("wait beside each other", function()
    local gate, fns = gated "beside", {}
    for i = 1, 20 do
      fns[i] = function()
        return client:get(gate.path)
      end
    end
    fns[21] = function()
      gate.arrived(20) -- all of them are with the server at once
      gate.release()
      return true
    end
    local results, errs = freddy.all(fns)
    assert.is_nil(errs)
    for i = 1, 20 do
      assert.equal(200, results[i].status)
    end
  end)

  it("fail by themselves in freddy.all", function()
    local results, errs = freddy.all {
      function() return client:get(ok()) end,
      function() return client:get(helper.hostile "close-before") end,
      function() error("oops", 0) end,
      function() return client:get(helper.hostile("status",
        { code = 404 })) end,
    }
    assert.equal(200, results[1].status)
    assert.is_nil(errs[1])
    assert.equal("cut", errs[2].kind)
    assert.equal("task", errs[3].kind)
    assert.equal("not_found", errs[4].kind)
  end)

  it("end before freddy.run does, callbacks included", function()
    local ended = 0
    local result = freddy.run(function()
      freddy.spawn(function()
        freddy.assert(client:get(ok()))
        ended = ended + 1
      end)
      client:send({ path = ok() }, function()
        freddy.assert(client:get(ok()))
        ended = ended + 1
      end)
      return "done", nil
    end)
    assert.equal("done", result)
    assert.equal(2, ended)
  end)

  it("raise in freddy.run what its function raises", function()
    local good, err = pcall(freddy.run, function()
      return freddy.assert(client:get(helper.hostile "close-before"))
    end)
    assert.is_false(good)
    assert.truthy(tostring(err):find("freddy: cut", 1, true))
  end)

  it("wait inside freddy.pcall", function()
    local task = freddy.spawn(function()
      local good, err = freddy.pcall(function()
        local res = freddy.assert(client:get(ok()))
        error("got " .. res.status, 0)
      end)
      return good, err, freddy.assert(client:get(ok())).status
    end)
    assert.same({ false, "got 200", 200 }, { task:wait() })
  end)

  it("are waited for no longer than asked, and go on", function()
    local gate = gated "longer"
    local task = freddy.spawn(function()
      return client:get(gate.path)
    end)
    local _, err = task:wait(0.01)
    assert.equal("timeout", err.kind)
    assert.equal("wait", err.reason)
    assert.equal("waiting", task:status())
    gate.release()
    assert.equal(200, freddy.assert(task:wait()).status)
    assert.equal("done", task:status())
  end)

  it("that are cancelled in a generator end", function()
    local gate, kind = gated "generator", nil
    local task = freddy.spawn(function()
      freddy.sleep(0)
      for _, err in coroutine.wrap(function()
        coroutine.yield(true, select(2, client:get(gate.path)))
      end) do
        kind = err.kind
      end
    end)
    client:send({ path = ok() }, function()
      task:cancel()
    end)
    local _, err = task:wait()
    assert.equal("cancelled", err.kind)
    assert.equal("cancelled", kind)
  end)
end)

describe("an error in a function of the user's", function()
  it("reaches freddy.on_error, and hurts no other", function()
    local seen = {}
    client:send({ path = ok() }, function()
      error "in a callback"
    end)
    client:send({ path = ok() }, function(res)
      seen[#seen + 1] = res.status
    end)
    freddy.spawn(function()
      freddy.assert(client:get(ok()))
      error "in a task"
    end)
    helper.eventually(function()
      return #seen == 1 and #reported == 2
    end)
    for _, err in ipairs(reported) do
      assert.equal("task", err.kind)
      assert.truthy(err.message:find "in a %a+$")
      assert.truthy(err.details.traceback:find("wait_spec", 1, true))
    end
    reported = {}
  end)
end)

describe("a callback", function()
  it("comes later, and once", function()
    local count, inside = 0, true
    client:send({ path = ok() }, function()
      assert.is_false(inside)
      count = count + 1
    end)
    inside = false
    helper.eventually(function()
      return count > 0
    end)
    freddy.assert(client:get(ok()))
    assert.equal(1, count)
  end)

  it("may wait, and send again", function()
    local chain = {}
    local function again(res)
      chain[#chain + 1] = res.status
      if #chain < 3 then
        freddy.assert(client:get(ok()))
        client:send({ path = ok() }, again)
      end
    end
    client:send({ path = ok() }, again)
    helper.eventually(function()
      return #chain == 3
    end)
  end)

  it("leaves nothing behind once it has returned", function()
    local kept, over = setmetatable({}, { __mode = "k" }), false
    local function send()
      local thing = {}
      kept[thing] = true
      client:send({ path = ok() }, function()
        freddy.sleep(0)
        over = thing ~= nil
      end)
    end
    send()
    helper.eventually(function()
      return over
    end)
    helper.collect()
    assert.is_nil(next(kept))
  end)

  it("may be one of hundreds at once, and each gets its own", function()
    local seen, count = {}, 0
    for i = 1, 200 do
      client:send({ path = ok() .. "?n=" .. i }, function(res)
        freddy.sleep(0)
        assert.truthy(res.url:find("?n=" .. i, 1, true))
        assert.is_nil(seen[i])
        seen[i], count = true, count + 1
      end)
    end
    helper.eventually(function()
      return count == 200
    end)
  end)

  it("that raises spoils none after it", function()
    local seen = 0
    for i = 1, 4 do
      client:send({ path = ok() }, function()
        seen = seen + 1
        if i % 2 == 0 then
          error "on purpose"
        end
      end)
    end
    helper.eventually(function()
      return seen == 4
    end)
    freddy.poll()
    assert.equal(2, #reported)
    reported = {}
  end)
end)

describe("freddy.poll", function()
  it("handles no more than its budget and one event", function()
    local seen = 0
    for _ = 1, 10 do
      client:send({ path = ok() }, function()
        seen = seen + 1
      end)
    end
    helper.eventually(function()
      local before = seen
      assert.is_true(freddy.poll(0) <= 1)
      assert.is_true(seen - before <= 1)
      return seen == 10
    end)
    assert.equal(0, freddy.poll(0))
  end)

  it("does not wait for what is under way", function()
    local gate, done = gated "under-way", false
    client:send({ path = gate.path }, function()
      done = true
    end)
    gate.arrived()
    for _ = 1, 1000 do
      assert.equal(0, freddy.poll())
    end
    assert.is_false(done)
    gate.release()
    helper.eventually(function()
      return done
    end)
  end)

  it("inside itself raises", function()
    local message
    client:send({ path = ok() }, function()
      message = helper.raises_here(function()
        freddy.poll(0)
      end)
    end)
    repeat
      freddy.poll(0.01)
    until message or #reported > 0
    assert.truthy(message:find("inside freddy.poll", 1, true))
  end)
end)

describe("freddy.fd", function()
  local watched = { getfd = function() return (freddy.fd()) end }

  local function is_readable(seconds)
    return #socket.select({ watched }, nil, seconds) == 1
  end

  it("is readable when, and only when, there is something to do", function()
    assert.equal(freddy.fd(), freddy.fd())
    freddy.poll()
    local gate, seen = gated "readable", nil
    client:send({ path = gate.path }, function(res)
      seen = res.status
    end)
    gate.arrived()
    assert.is_false(is_readable(0))
    gate.release()
    assert.is_true(is_readable(10))
    assert.is_nil(seen)
    while is_readable(0) do
      freddy.poll(0)
    end
    assert.equal(200, seen)
    assert.equal(0, freddy.poll())
  end)

  it("carries a loop of one's own", function()
    local ended = 0
    for i = 1, 5 do
      freddy.spawn(function()
        freddy.assert(client:get(ok()))
        freddy.sleep(0.001 * i)
        freddy.assert(client:get(ok()))
        ended = ended + 1
      end)
    end
    while ended < 5 do
      assert.is_true(is_readable(10))
      freddy.poll(0)
    end
  end)
end)

describe("the host loop", function()
  before_each(function()
    helper.hostile_reset()
    freddy.use "loop"
  end)

  it("raises for a call that would block, and sends nothing", function()
    helper.raises_here(function() client:get(ok()) end, "freddy.spawn")
    helper.raises_here(function() client.models:list() end, "freddy.spawn")
    helper.raises_here(function() client:request { path = ok() } end,
      "client:send")
    helper.raises_here(function() freddy.sleep(0) end, "freddy.spawn")
    helper.raises_here(function() freddy.all {} end, "freddy.spawn")
    assert.same({}, helper.hostile_log())
  end)

  it("runs tasks and callbacks by poll alone", function()
    local seen = 0
    freddy.spawn(function()
      freddy.assert(client:get(ok()))
      freddy.sleep(0.001)
      seen = seen + 1
    end)
    client:send({ path = ok() }, function()
      seen = seen + 1
    end)
    assert.equal(0, seen)
    helper.eventually(function()
      freddy.poll(0.002)
      return seen == 2
    end)
  end)

  it("raises in a generator inside a task, and says so", function()
    local message
    local task = freddy.spawn(function()
      freddy.assert(client:get(ok()))
      coroutine.wrap(function()
        message = helper.raises_here(function() client:get(ok()) end)
      end)()
      return freddy.assert(client:get(ok())).status
    end)
    helper.eventually(function()
      return task:status() ~= "waiting"
    end)
    assert.truthy(message:find("coroutine inside a task", 1, true))
    assert.equal("done", task:status())
  end)
end)

describe("a host of one's own", function()
  local host = { name = "mine" }

  function host.wait(entry)
    repeat
      coroutine.yield()
    until entry.done
  end

  local function start(path)
    local co = coroutine.create(function()
      return client:get(path)
    end)
    assert(coroutine.resume(co))
    return co
  end

  before_each(function()
    helper.hostile_reset()
    freddy.use(host)
  end)

  it("resumes its coroutines itself", function()
    local co = start(ok())
    local good, res
    helper.eventually(function()
      good, res = assert(coroutine.resume(co))
      return coroutine.status(co) == "dead"
    end)
    assert.is_true(good)
    assert.equal(200, res.status)
  end)

  it("may drop one: its call is cancelled at the next collection", function()
    local path = helper.hostile("never", { tag = "dropped" })
    local co = start(path)
    helper.hostile_log { tag = "dropped", complete = 1, timeout = 10 }
    assert.equal("suspended", coroutine.status(co))
    co = nil -- luacheck: ignore
    helper.collect()
    local list = helper.hostile_log { tag = "dropped", closed = 1,
      timeout = 10 }
    assert.is_true(list[1].client_closed)
  end)
end)
