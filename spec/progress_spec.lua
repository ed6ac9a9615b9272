-- SPDX-License-Identifier: MIT
--- on_progress: what it is told, and what it may do.

local freddy = require "freddy"
local helper = require "spec.helper"

local client, plain

-- Run a request; every report that came, each checked against the last.
local function watch(one, options)
  local reports = {}
  function options.on_progress(progress)
    local last = reports[#reports]
    assert(progress.sent and progress.received, "a count is missing")
    for name, value in pairs(progress) do
      assert(value >= 0, name .. " is negative")
      local before = last and last[name] or 0
      assert(value >= before, name .. " steps back")
    end
    assert(progress.sent <= (progress.send_total or math.huge))
    assert(progress.received <= (progress.receive_total or math.huge))
    reports[#reports + 1] = progress
  end
  local res, err = one:request(options)
  return reports, res, err
end

local function last(reports)
  return reports[#reports]
end

local noises

setup(function()
  helper.reset()
  client = helper.client()
  plain = freddy.assert(freddy.new { api_key = "k-0123456789-abcdef",
    base_url = helper.hostile_url, retries = 0 })
end)

before_each(function()
  noises = {}
  freddy.on_error = function(err)
    noises[#noises + 1] = err
  end
end)

after_each(function()
  freddy.on_error = nil
end)

teardown(function()
  client:close()
  plain:close()
end)

local TEXT = ("x"):rep(300000)

local function chunks(text)
  local at = 1
  return function(n)
    local piece = text:sub(at, at + n - 1)
    at = at + #piece
    return piece ~= "" and piece or nil
  end
end

describe("on_progress", function()
  local bodies = {
    { "a string", { body = TEXT }, #TEXT },
    { "a reader with a size", { body = chunks(TEXT), size = #TEXT }, #TEXT },
    { "a reader without one", { body = chunks(TEXT) }, #TEXT },
    { "parts", { multipart = { { name = "a", reader = chunks(TEXT) },
      { name = "b", data = TEXT } } } },
    { "nothing", {}, 0 },
  }
  for _, row in ipairs(bodies) do
    for place, base in pairs { ["1.1"] = "plain", ["2.0"] = "tls" } do
      it("tells all of " .. row[1] .. " over HTTP/" .. place, function()
        local options = { method = "POST", path = base == "tls"
          and "/v1/echo" or helper.hostile("echo") }
        for name, value in pairs(row[2]) do
          options[name] = value
        end
        if type(options.body) == "function" then
          options.body = chunks(TEXT)
        elseif options.multipart then
          options.multipart[1].reader = chunks(TEXT)
        end
        local reports, res = watch(base == "tls" and client or plain, options)
        assert.equal(200, res.status)
        local whole = last(reports)
        local size = row[3] or res.data.body_size
        assert.same({ sent = size, send_total = size,
          received = res.received, receive_total = res.received }, whole)
        assert.equal(size, res.sent)
        assert.same({}, noises)
      end)
    end
  end

  it("knows the totals from the start, where there are any", function()
    local reports = watch(plain, { method = "POST", body = TEXT,
      path = helper.hostile("slow-read", { n = 65536, ms = 5 }) })
    assert.equal(#TEXT, reports[1].send_total)
    assert.is_true(#reports > 1)
    reports = watch(plain, { method = "POST", body = chunks(TEXT),
      path = helper.hostile("slow-read", { n = 65536, ms = 5 }) })
    assert.is_nil(reports[1].send_total)
    assert.is_nil(reports[1].receive_total)
  end)

  it("counts what is on the wire", function()
    local reports, res = watch(plain, { path = helper.hostile("gzip") })
    assert.equal(res.received, last(reports).received)
    assert.is_true(#res.body ~= res.received)
  end)

  it("is called once for what came meanwhile", function()
    local reports = {}
    local done
    plain:send({ path = helper.hostile("json-big", { mb = 4 }),
      on_progress = function(progress)
        reports[#reports + 1] = progress
      end }, function(res)
      done = res
    end)
    helper.hostile_log { scenario = "json-big", requests = 1, timeout = 5 }
    helper.eventually(function() return done end)
    local count = #reports
    assert.is_true(count >= 1)
    assert.is_true(count < 4 * 1024 * 1024 / 4096)
    assert.equal(#done.body, last(reports).received)
    freddy.poll()
    assert.equal(count, #reports)
  end)

  it("does not count an answer that is an error", function()
    local reports, _, err = watch(plain, { path = helper.hostile("status",
      { code = 500, body = ("x"):rep(1000) }) })
    assert.equal(500, err.status)
    assert.equal(0, #reports > 0 and last(reports).received or 0)
  end)

  it("works for verbs, send and endpoints", function()
    local seen = {}
    local function note(name)
      return function(progress)
        seen[name] = progress
      end
    end
    freddy.assert(client:get("/v1/models", { on_progress = note "get" }))
    freddy.assert(client.models:list(nil, { on_progress = note "list" }))
    local done
    client:send({ path = "/v1/models", on_progress = note "send" },
      function() done = true end)
    helper.eventually(function() return done end)
    for _, name in ipairs { "get", "list", "send" } do
      assert.is_true(seen[name].received > 0)
    end
  end)

  it("must not wait, and what it raises ends nothing", function()
    local broken = {
      { function() freddy.sleep(1) end, "on_progress must not wait" },
      { function() coroutine.yield() end, "on_progress tried to wait" },
      { function() error("my own", 0) end, "my own" },
      { function() error("key " .. helper.api_key, 0) end, "key ***" },
    }
    for _, row in ipairs(broken) do
      noises = {}
      local res = freddy.assert(client:get("/v1/models",
        { on_progress = row[1] }))
      assert.equal(200, res.status)
      freddy.poll()
      assert.is_true(#noises >= 1)
      assert.equal("task", noises[1].kind)
      assert.truthy(noises[1].message:find(row[2], 1, true),
        noises[1].message)
      assert.truthy(noises[1].details.traceback)
    end
  end)

  it("may cancel its call", function()
    local call, err
    call = plain:send({ path = helper.hostile("drip", { of = "length",
      ms = 5 }), on_progress = function()
      call:cancel()
    end }, function(_, problem)
      err = problem
    end)
    helper.eventually(function() return err end)
    assert.equal("cancelled", err.kind)
  end)
end)
