-- SPDX-License-Identifier: MIT
--- Scripts whose waits take the engine's turns, as they do once some requests
--- have found a connection that is kept: how they end, whom they start, and
--- what a server that resets does to them.

local helper = require "spec.helper"

local PRELUDE = [[
local function blocked()
  local pipe = assert(io.popen "grep SigBlk /proc/self/status")
  local line = pipe:read "*l"
  assert(pipe:close())
  return assert(line)
end
local before = blocked()

local freddy = require "freddy"
local client = freddy.assert(freddy.new {
  base_url = %q, ca_file = %q, api_key = "a-key-of-20-characters",
  http_version = "1.1", retries = 0,
})

-- Answers, one after the other.
local function waits()
  for _ = 1, 20 do
    assert(freddy.assert(client:get "/s/ok").status == 200)
  end
end

-- And some that do not come.
local function pending()
  for _ = 1, 4 do
    client:send({ path = "/s/never" }, function() end)
  end
end

waits()
]]

local function script(listener, source)
  local ca = listener:find "TLS" and helper.env "HOSTILE_CA_FILE" or nil
  local prelude = PRELUDE:format(helper.env(listener), "CA")
  return helper.script(prelude:gsub('"CA"', function()
    return ca and ("%q"):format(ca) or "nil"
  end) .. source)
end

for _, listener in ipairs { "HOSTILE", "HOSTILE_TLS_OK" } do
  local function ends(with, source)
    local output, status = script(listener, source)
    assert.equal("", output)
    assert.equal(with, status)
  end

  describe("a script that does the work itself, " .. listener, function()
    it("may exit in the middle of it", function()
      ends(7, "pending() waits() os.exit(7)")
    end)

    it("may exit when it has just started some", function()
      ends(7, "pending() os.exit(7)")
    end)

    it("may exit and close its state", function()
      ends(7, "pending() waits() os.exit(7, true)")
    end)

    it("may end", function()
      ends(0, "pending() waits()")
    end)

    it("may end within a callback, a task, a coroutine", function()
      ends(7, [[
        pending() waits()
        client:send({ path = "/s/ok" }, function() os.exit(7) end)
        freddy.sleep(60)
      ]])
      ends(7, [[
        pending() waits()
        freddy.run(function() waits() os.exit(7) end)
      ]])
      ends(7, [[
        pending()
        coroutine.wrap(function() waits() os.exit(7) end)()
      ]])
    end)

    it("may fail", function()
      local output, status = script(listener, "pending() waits() error 'no'")
      assert.matches(": no\n", output)
      assert.equal(1, status)
    end)

    it("starts children that block no signals", function()
      ends(0, [[
        pending()
        for _ = 1, 5 do
          waits()
          local now = blocked()
          assert(now == before, now)
        end
      ]])
    end)

    it("hears of a connection that is reset, and goes on", function()
      ends(0, [[
        for _ = 1, 10 do
          waits()
          local res, err = client:get "/s/reset-at?n=9"
          assert(not res and err.kind == "cut", tostring(err))
          res, err = client:post("/s/reset-at", { body = ("x"):rep(100000) })
          assert(not res and err.kind == "cut", tostring(err))
        end
      ]])
    end)

    it("gets its answers while others are late", function()
      ends(0, [[
        local late = 0
        for _ = 1, 3 do
          client:send({ path = "/s/never", timeout = { total = 0.05 } },
            function(res, err)
              assert(not res and err.kind == "timeout", tostring(err))
              late = late + 1
            end)
          waits()
        end
        local limit = os.time() + 20
        while late < 3 and os.time() < limit do
          freddy.poll() -- never waits
        end
        assert(late == 3, late)
      ]])
    end)
  end)
end
