-- SPDX-License-Identifier: MIT
local fake_core = require "spec.fake_core"
local helper = require "spec.helper"

local fake, freddy, client, reported
before_each(function()
  fake = fake_core.load()
  freddy = fake.freddy
  client = freddy.new { api_key = "sk-0123456789abcdef0123" }
  reported = {}
  freddy.on_error = function(err)
    reported[#reported + 1] = err
  end
  fake.script = function(request)
    local delay = tonumber(request.path:match("(%d+)$")) or 0
    return { status = 200, body = request.path, delay = delay }
  end
end)

after_each(function()
  freddy.poll() -- nothing may be left to report
  assert.same({}, reported)
end)

-- What was reported; forgets it.
local function take_reports()
  freddy.poll()
  local list = reported
  reported = {}
  return list
end

describe("freddy.spawn", function()
  it("runs at once until the first wait, and goes on in poll", function()
    local order = {}
    local task = freddy.spawn(function(a, b)
      order[#order + 1] = a
      freddy.sleep(1)
      order[#order + 1] = b
      return 1, nil, 3
    end, "first", "second")
    assert.same({ "first" }, order)
    assert.equal("waiting", task:status())
    assert.equal(0, freddy.poll())
    fake_core.advance(fake, 1)
    assert.equal(1, freddy.poll())
    assert.same({ "first", "second" }, order)
    assert.equal("done", task:status())
    assert.equal("freddy.task: done", tostring(task))
    assert.equal(3, select("#", task:wait()))
    assert.same({ 1, nil, 3 }, { task:wait() })
  end)

  it("gives the status running inside", function()
    local task
    local seen
    task = freddy.spawn(function()
      freddy.sleep(1)
      seen = task:status()
    end)
    task:wait()
    assert.equal("running", seen)
  end)

  it("runs requests beside each other", function()
    local start = fake.now
    freddy.run(function()
      for i = 1, 10 do
        freddy.spawn(function()
          assert(client:get("/" .. i))
        end)
      end
    end)
    assert.equal(10, fake.now - start)
  end)

  it("does not let a task yield by itself", function()
    local task = freddy.spawn(function() coroutine.yield(5) end)
    local _, err = task:wait()
    assert.equal("task", err.kind)
    assert.truthy(err.message:find("coroutine.yield", 1, true))
    assert.equal("failed", task:status())
  end)

  it("keeps a waiting task that nobody holds", function()
    local done
    freddy.spawn(function()
      client:get("/1")
      done = true
    end)
    helper.collect()
    fake_core.advance(fake, 1)
    freddy.poll()
    assert.is_true(done)
  end)
end)

describe("task:wait", function()
  it("returns the results, in a script and in a task", function()
    local function work()
      freddy.sleep(1)
      return "a", "b"
    end
    assert.same({ "a", "b" }, { freddy.spawn(work):wait() })
    local task = freddy.spawn(function()
      return freddy.spawn(work):wait()
    end)
    assert.same({ "a", "b" }, { task:wait() })
  end)

  it("may be called by many, and again", function()
    local first = freddy.spawn(function()
      freddy.sleep(1)
      return "x"
    end)
    local got = freddy.all {
      function() return first:wait() end,
      function() return first:wait() end,
      function() return first:wait(5) end,
    }
    assert.same({ "x", "x", "x" }, got)
    assert.equal("x", first:wait())
  end)

  it("returns nil and a task error when the function raised", function()
    local task = freddy.spawn(function()
      freddy.sleep(1)
      local function deep() error("broken") end
      deep()
    end)
    local value, err = task:wait()
    assert.is_nil(value)
    assert.equal("task", err.kind)
    assert.truthy(err.message:find("task_spec.lua:%d+: broken"))
    assert.truthy(err.details.traceback:find("deep", 1, true))
    assert.truthy(err.details.spawned_at:find("task_spec.lua:%d+$"))
    assert.equal("failed", task:status())
    assert.equal(err, select(2, task:wait()))
  end)

  it("keeps the error table that was raised", function()
    local task = freddy.spawn(function()
      freddy.assert(nil, fake.errors.new("closed"))
    end)
    local _, err = task:wait()
    assert.equal("task", err.kind)
    assert.truthy(err.message:find("closed", 1, true))
  end)

  it("survives every kind of raised value", function()
    for _, value in ipairs { {}, true, 5, print,
      setmetatable({}, { __tostring = function() error("no") end }) } do
      local _, err = freddy.spawn(function() error(value) end):wait()
      assert.equal("task", err.kind)
      assert.equal("string", type(err.message))
    end
    local _, err = freddy.spawn(function() error() end):wait()
    assert.equal("task", err.kind)
  end)

  it("ends after its timeout, and the task goes on", function()
    local task = freddy.spawn(function()
      freddy.sleep(10)
      return "late"
    end)
    local start = fake.now
    local value, err = task:wait(3)
    assert.is_nil(value)
    assert.equal("timeout", err.kind)
    assert.equal("wait", err.reason)
    assert.is_false(err.retryable)
    assert.equal(3, fake.now - start)
    assert.equal("waiting", task:status())
    assert.equal("late", task:wait(20))
    assert.equal(10, fake.now - start)
    local inner = freddy.spawn(function()
      return freddy.spawn(freddy.sleep, 10):wait(0)
    end)
    assert.equal("wait", select(2, inner:wait()).reason)
  end)

  it("of the task itself raises", function()
    local task
    task = freddy.spawn(function()
      freddy.sleep(1)
      task:wait()
    end)
    local _, err = task:wait()
    assert.truthy(err.message:find("cannot wait for itself", 1, true))
  end)
end)

describe("task:cancel", function()
  it("ends the present wait and every later one", function()
    local seen = {}
    local task = freddy.spawn(function()
      seen[1] = select(2, client:get("/100")).kind
      seen[2] = select(2, client:get("/1")).kind
      seen[3] = select(2, freddy.sleep(1)).kind
      seen[4] = select(2, freddy.spawn(freddy.sleep, 1):wait()).kind
      seen[5] = select(2, freddy.all { function() end }).kind
      return "ignored"
    end)
    task:cancel()
    task:cancel()
    local start = fake.now
    local value, err = task:wait()
    assert.is_nil(value)
    assert.equal("cancelled", err.kind)
    assert.equal("cancelled", task:status())
    assert.same({ "cancelled", "cancelled", "cancelled", "cancelled",
      "cancelled" }, seen)
    assert.equal(0, fake.now - start)
    assert.equal(1, #fake.requests) -- the later one was not even sent
    task:cancel()
  end)

  it("ends a sleep, and a wait for another task", function()
    local sleeper = freddy.spawn(freddy.sleep, 100)
    local waiter = freddy.spawn(function() return sleeper:wait() end)
    waiter:cancel()
    assert.equal("cancelled", waiter:status())
    assert.equal("waiting", sleeper:status())
    sleeper:cancel()
    freddy.poll()
    assert.equal("cancelled", sleeper:status())
    assert.equal("cancelled", select(2, waiter:wait()).kind)
  end)

  it("is cancelled even when the answer is in already", function()
    local kind
    local task = freddy.spawn(function()
      local res, err = client:get("/1")
      kind = res and "answered" or err.kind
    end)
    fake_core.advance(fake, 1)
    assert.is_true(fake.inbox:ready())
    task:cancel()
    freddy.poll()
    assert.equal("cancelled", kind)
  end)

  it("from inside the task holds for its next wait", function()
    local task, kind
    task = freddy.spawn(function()
      freddy.sleep(0)
      task:cancel()
      kind = select(2, client:get("/")).kind
    end)
    task:wait()
    assert.equal("cancelled", kind)
    assert.equal("cancelled", task:status())
  end)

  it("is no failure when the cancelled error is raised", function()
    local task = freddy.spawn(function()
      local ok, err = freddy.sleep(5)
      if not ok then
        error(err, 0)
      end
    end)
    task:cancel()
    freddy.poll()
    assert.equal("cancelled", task:status())
    assert.same({}, take_reports())
  end)

  it("does not hide another error", function()
    local task = freddy.spawn(function()
      freddy.sleep(5)
      error("other")
    end)
    task:cancel()
    freddy.poll()
    assert.equal("failed", task:status())
    assert.equal(1, #take_reports())
  end)

  it("ends the tasks of freddy.all with the one that waits", function()
    local inner
    local outer = freddy.spawn(function()
      return freddy.all {
        function() inner = select(2, client:get("/100")).kind end,
        function() return 1 end,
      }
    end)
    outer:cancel()
    local _, err = outer:wait()
    assert.equal("cancelled", err.kind)
    freddy.poll()
    assert.equal("cancelled", inner)
  end)
end)

describe("freddy.all", function()
  it("returns the first results in order", function()
    local start = fake.now
    local results, errors = freddy.all {
      function() freddy.sleep(2) return "a", "x" end,
      function() freddy.sleep(1) return "b" end,
      function() return "c" end,
    }
    assert.same({ "a", "b", "c" }, results)
    assert.is_nil(errors)
    assert.equal(2, fake.now - start)
    assert.same({}, (freddy.all {}))
  end)

  it("returns what failed by position", function()
    local results, errors = freddy.all {
      function() error("one") end,
      function() return nil, "two" end,
      function() return "three" end,
      function() end,
      function() return client:get("\n") end,
    }
    assert.is_nil(results[1])
    assert.equal("three", results[3])
    assert.equal("task", errors[1].kind)
    assert.equal("two", errors[2])
    assert.is_nil(errors[3])
    assert.is_nil(errors[4])
    assert.truthy(errors[5].message:find("client:get", 1, true))
  end)
end)

describe("freddy.run", function()
  it("returns the results when every task has ended", function()
    local order = {}
    local function note(name, seconds)
      freddy.sleep(seconds)
      order[#order + 1] = name
    end
    local a, b = freddy.run(function(x)
      freddy.spawn(note, "slow", 5)
      client:send({ path = "/7" }, function()
        note("callback", 1)
      end)
      note("main", 1)
      return x, "b"
    end, "a")
    assert.same({ "a", "b" }, { a, b })
    assert.same({ "main", "slow", "callback" }, order)
    assert.equal("x", freddy.run(function() return "x" end))
  end)

  it("raises what the function raised", function()
    local err = setmetatable({}, {})
    local ok, raised = pcall(freddy.run, function()
      freddy.sleep(1)
      error(err)
    end)
    assert.is_false(ok)
    assert.equal(err, raised)
    ok, raised = pcall(freddy.run, function() error("text", 0) end)
    assert.is_false(ok)
    assert.equal("text", raised)
  end)

  it("raises inside a task", function()
    freddy.run(function()
      local ok, err = pcall(freddy.run, function() end)
      assert.is_false(ok)
      assert.truthy(err:find("cannot be called inside a task", 1, true))
    end)
  end)
end)

describe("freddy.sleep", function()
  it("waits in a script and serves the others meanwhile", function()
    local done
    freddy.spawn(function()
      client:get("/1")
      done = true
    end)
    local start = fake.now
    assert.is_true(freddy.sleep(2))
    assert.equal(2, fake.now - start)
    assert.is_true(done)
    assert.is_true(freddy.sleep(0))
  end)
end)

describe("a blocking call", function()
  it("serves the events of all others", function()
    local order = {}
    for i = 1, 3 do
      client:send({ path = "/" .. i }, function(res)
        order[#order + 1] = res.body
      end)
    end
    assert.equal("/2", client:get("/2").body)
    assert.same({ "/1", "/2" }, order)
    client:get("/5")
    assert.same({ "/1", "/2", "/3" }, order)
  end)

  it("blocks in a coroutine, inside a task or not", function()
    local function walk()
      local list = {}
      for body in coroutine.wrap(function()
        for i = 1, 3 do
          coroutine.yield(client:get("/" .. i).body)
        end
      end) do
        list[#list + 1] = body
      end
      return list
    end
    assert.same({ "/1", "/2", "/3" }, walk())
    local done
    local other = freddy.spawn(function()
      client:get("/1")
      done = true
    end)
    local task = freddy.spawn(walk)
    assert.is_true(done)
    assert.same({ "/1", "/2", "/3" }, task:wait())
    other:wait()
  end)

  it("in a coroutine inside a task ends with the task", function()
    local kind
    local task
    task = freddy.spawn(function()
      freddy.sleep(0)
      coroutine.wrap(function()
        kind = select(2, client:get("/100")).kind
      end)()
    end)
    freddy.spawn(function()
      freddy.sleep(1)
      task:cancel()
    end)
    freddy.sleep(2)
    assert.equal("cancelled", kind)
    assert.equal("cancelled", task:status())
  end)
end)

describe("freddy.poll", function()
  it("on an empty inbox asks once and does nothing else", function()
    freddy.spawn(freddy.sleep, 100)
    freddy.poll()
    local before = fake.asked
    assert.equal(0, freddy.poll())
    assert.equal(1, fake.asked - before)
    assert.equal(0, freddy.poll(0.001))
  end)

  it("before the first call has nothing to ask", function()
    local fresh = fake_core.load()
    assert.equal(0, fresh.freddy.poll())
    assert.equal(0, fresh.asked)
  end)

  it("handles one event more than the budget at most", function()
    for _ = 1, 5 do
      client:send({ path = "/" }, function() end)
    end
    assert.equal(1, freddy.poll(0))
    assert.equal(1, freddy.poll(0))
    for _ = 1, 2 do
      client:send({ path = "/" }, function()
        fake_core.advance(fake, 1)
      end)
    end
    assert.equal(4, freddy.poll(0.5))
    assert.equal(1, freddy.poll())
    assert.equal(0, freddy.poll())
  end)

  it("inside poll raises, and leaves the outer one whole", function()
    local ok, err
    freddy.spawn(function()
      freddy.sleep(0)
      ok, err = pcall(freddy.poll)
    end)
    freddy.poll()
    assert.is_false(ok)
    assert.truthy(err:find("task_spec.lua:%d+: freddy.poll was called inside"))
    assert.equal(0, freddy.poll())
  end)

  it("works again after an interrupt", function()
    local inbox_next
    freddy.spawn(freddy.sleep, 0)
    inbox_next = fake.inbox.next
    fake.inbox.next = function() error("interrupted!", 0) end
    local ok, err = pcall(freddy.poll)
    assert.is_false(ok)
    assert.equal("interrupted!", err)
    fake.inbox.next = inbox_next
    assert.equal(1, freddy.poll())
  end)
end)

describe("freddy.fd", function()
  it("is the inbox's descriptor, or nil, err", function()
    assert.equal(7, freddy.fd())
    fake.fd_error = { kind = "memory", message = "m" }
    local fd, err = freddy.fd()
    assert.is_nil(fd)
    assert.equal("memory", err.kind)
  end)

  it("is made readable when tasks are left over", function()
    freddy.fd()
    local first = freddy.spawn(function() freddy.sleep(0) end)
    local count = 0
    for _ = 1, 2 do
      freddy.spawn(function()
        first:wait()
        count = count + 1
      end)
    end
    assert.equal(1, freddy.poll(0)) -- the sleep; two tasks became ready
    local rounds = 0
    while fake.inbox:ready() do -- as a loop would, on the descriptor
      freddy.poll(0)
      rounds = rounds + 1
      assert.is_true(rounds < 20)
    end
    assert.equal(2, count)
    local called
    client:close()
    client:send({ path = "/" }, function() called = true end)
    assert.is_true(fake.inbox:ready())
    while fake.inbox:ready() do
      freddy.poll(0)
    end
    assert.is_true(called)
  end)
end)

describe("freddy.on_error", function()
  it("hears of a task that nobody waits for", function()
    freddy.spawn(function()
      freddy.sleep(1)
      error("alone")
    end)
    local done
    freddy.spawn(function()
      freddy.sleep(2)
      done = true
    end)
    freddy.sleep(3)
    assert.is_true(done)
    local list = take_reports()
    assert.equal(1, #list)
    assert.equal("task", list[1].kind)
    assert.truthy(list[1].message:find("alone", 1, true))
    assert.truthy(list[1].details.traceback)
  end)

  it("hears nothing of one that somebody waits for", function()
    local task = freddy.spawn(function() error("seen") end)
    task:wait()
    freddy.poll()
    assert.same({}, reported)
  end)

  it("gets no secret", function()
    freddy.spawn(function() error("key sk-0123456789abcdef0123!") end)
    local err = take_reports()[1]
    assert.truthy(err.message:find("key ***!", 1, true))
    assert.is_nil(err.details.traceback:find("0123456789", 1, true))
  end)

  it("may fail itself, and then standard error has both", function()
    local written = {}
    freddy.use {
      name = "test", wait = function() end,
      report = function(text) written[#written + 1] = text end,
    }
    freddy.on_error = function() error("worse") end
    freddy.spawn(function() error("bad") end)
    freddy.poll()
    local text = table.concat(written)
    assert.truthy(text:find("bad", 1, true))
    assert.truthy(text:find("freddy.on_error raised", 1, true))
    assert.truthy(text:find("worse", 1, true))
    freddy.on_error = nil
    freddy.spawn(function() error("plain") end)
    freddy.poll()
    assert.truthy(written[#written]:find("plain.-\nstack traceback"))
  end)
end)

describe("freddy.pcall", function()
  it("lets a task wait inside it, on every Lua", function()
    local task = freddy.spawn(function()
      local ok, res = freddy.pcall(function(path)
        return client:get(path).body
      end, "/1")
      assert(ok)
      local bad, err = freddy.pcall(function()
        freddy.sleep(1)
        local inner, why = freddy.pcall(function()
          freddy.sleep(1)
          error("inner", 0)
        end)
        error({ inner, why })
      end)
      return res, bad, err[1], err[2]
    end)
    assert.same({ "/1", false, false, "inner" }, { task:wait() })
  end)

  it("is a plain pcall elsewhere", function()
    assert.same({ true, 1, 2 }, { freddy.pcall(function(...)
      return ...
    end, 1, 2) })
    assert.same({ false, "x" }, { freddy.pcall(error, "x", 0) })
    assert.is_false((freddy.pcall(nil)))
    assert.equal("/1", select(2, freddy.pcall(function()
      return client:get("/1").body
    end)))
  end)

  it("is ended by cancel like any wait", function()
    local kind
    local task = freddy.spawn(function()
      freddy.pcall(function()
        kind = select(2, client:get("/100")).kind
      end)
    end)
    task:cancel()
    task:wait()
    assert.equal("cancelled", kind)
  end)
end)

describe("the host loop", function()
  before_each(function()
    freddy.use "loop"
  end)

  local function raises(text, fn)
    local ok, err = pcall(fn)
    assert.is_false(ok, text)
    local info = debug.getinfo(fn, "S")
    local line = tonumber(err:match("task_spec.lua:(%d+): "))
    assert.is_true(line and line >= info.linedefined
      and line <= info.lastlinedefined, err)
    assert.truthy(err:find(text, 1, true), err)
  end

  it("raises for each call that would block, with the way out", function()
    raises("client:get: this call would block the loop: make it inside "
      .. "freddy.spawn", function() client:get("/") end)
    raises("client.models:list: this call would block",
      function() client.models:list() end)
    raises("freddy.sleep: this call would block",
      function() freddy.sleep(1) end)
    raises("freddy.all: this call would block",
      function() freddy.all { function() end } end)
    raises("freddy.run: this call would block",
      function() freddy.run(function() end) end)
    local task = freddy.spawn(freddy.sleep, 1)
    raises("task:wait: this call would block", function() task:wait() end)
    assert.equal(0, #fake.requests)
  end)

  it("runs tasks by poll", function()
    local body
    local task = freddy.spawn(function() body = client:get("/1").body end)
    while task:status() == "waiting" do
      freddy.poll(0.002)
      fake_core.advance(fake, 0.25)
    end
    assert.equal("/1", body)
    assert.is_nil(task:wait())
  end)

  it("raises in a coroutine inside a task, and says so", function()
    local task = freddy.spawn(function()
      return coroutine.wrap(function()
        local ok, err = pcall(client.get, client, "/")
        return ok, err
      end)()
    end)
    local ok, err = task:wait()
    assert.is_false(ok)
    assert.truthy(err:find("a coroutine inside a task", 1, true), err)
  end)

  it("is picked where there is a window to draw", function()
    local fresh = fake_core.load()
    rawset(_G, "love", { window = {} })
    local ok, err = pcall(fresh.freddy.sleep, 1)
    rawset(_G, "love", nil)
    assert.is_false(ok)
    assert.truthy(err:find("would block the loop", 1, true))
  end)
end)

describe("a host of one's own", function()
  it("waits as it likes, and is woken", function()
    local woken, waited = 0, 0
    freddy.use {
      name = "test",
      wait = function(entry, pump)
        waited = waited + 1
        while not entry.done do
          if not pump.step() then
            pump.idle()
          end
        end
      end,
      wake = function() woken = woken + 1 end,
    }
    assert.equal("/1", client:get("/1").body)
    assert.equal(1, waited)
    assert.equal(1, woken)
    freddy.use "block"
    assert.equal("/1", client:get("/1").body)
    assert.equal(1, waited)
  end)
end)

describe("a wait that nobody holds any more", function()
  it("is forgotten at the next collection", function()
    local seen = setmetatable({}, { __mode = "v" })
    -- A host whose coroutines wait by yielding, as copas has them.
    freddy.use {
      name = "test",
      wait = function(entry)
        seen[1] = entry
        seen[2] = entry.call
        coroutine.yield()
      end,
    }
    do
      local co = coroutine.create(function() client:get("/100") end)
      assert.is_true(coroutine.resume(co))
      assert.truthy(seen[1])
    end
    fake.inbox.scheduled = {} -- the real core holds no Lua object
    helper.collect()
    assert.is_nil(seen[1])
    assert.is_nil(seen[2])
  end)
end)

describe("after a fork", function()
  it("what waited is forked, and new calls have a new inbox", function()
    local got, called, slept
    local task = freddy.spawn(function()
      got = select(2, client:get("/100"))
    end)
    freddy.spawn(function() slept = select(2, freddy.sleep(100)).kind end)
    client:send({ path = "/100" }, function(_, err) called = err.kind end)
    fake.inbox.is_forked = true
    local old = fake.inbox
    freddy.poll()
    assert.equal("forked", got.kind)
    assert.equal("GET /100", got.request)
    assert.equal("forked", called)
    assert.equal("forked", slept)
    assert.equal("done", task:status())
    assert.equal("/1", client:get("/1").body)
    assert.are_not.equal(old, fake.inbox)
    assert.equal("x", freddy.run(function() return "x" end))
  end)

  it("is noticed by a call that blocks, too", function()
    local task = freddy.spawn(function()
      return nil, select(2, client:get("/100")).kind
    end)
    fake.inbox.is_forked = true
    assert.equal("forked", select(2, task:wait()))
  end)
end)
