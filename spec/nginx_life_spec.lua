-- SPDX-License-Identifier: MIT
--- The ends of an nginx with freddy in it: reload, exit, many Lua states.

local freddy = require "freddy"
local helper = require "spec.helper"
local nginx_util = require "spec.nginx_util"
local sh = nginx_util.sh

if not nginx_util.can_run(it, pending) then
  return
end

local INIT = [[
  init_by_lua_block {
    freddy = require "freddy"
    client = assert(freddy.new {
      api_key = "@KEY@", base_url = "@BASE@", ca_file = "@CA@",
    })
    hostile = assert(freddy.new {
      api_key = "a-key-of-20-characters", base_url = "@HOSTILE@", retries = 0,
    })
  }
]]

local LOCATIONS = [[
  location = /models {
    content_by_lua_block {
      local models, err = client.models:list()
      ngx.say(models and "listed" or tostring(err))
    }
  }
  location = /get {
    content_by_lua_block {
      local res, err = hostile:get(ngx.unescape_uri(ngx.var.query_string))
      ngx.say(res and res.status or err.kind)
    }
  }
  location = /left {
    content_by_lua_block {
      local stream = assert(client:stream "/v1/events?count=100000&ms=50")
      local event = stream:next()
      if ngx.var.query_string == "cancelled" then
        stream:cancel()
      else
        stream = nil
        collectgarbage()
        collectgarbage()
      end
      ngx.say(event and "read")
    }
  }
  location = /killed {
    content_by_lua_block {
      local stream = assert(client:stream "/v1/drip?sse=1&chunks=4&ms=300")
      local reader = ngx.thread.spawn(function() -- until it has to wait
        while stream:next() do end
      end)
      local busy, why = pcall(stream.next, stream)
      assert(not busy and why:find "by another task", why)
      ngx.thread.kill(reader)
      local event, err = stream:next()
      ngx.say(event and "read" or tostring(err))
    }
  }
]]

local function threads(pid)
  return tonumber((sh("cat /proc/" .. pid .. "/status"):match
    "Threads:%s*(%d+)"))
end

local function files(server)
  return (sh("find " .. server.dir .. " /tmp -maxdepth 2 -type s "
    .. "-newer " .. server.dir .. "/nginx.conf 2>/dev/null"))
end

-- Clock ticks that a process has had of the processor.
local function ticks(pid)
  local stat = sh("cat /proc/" .. pid .. "/stat"):match "%) (.*)"
  local fields = {}
  for field in (stat or ""):gmatch "%S+" do
    fields[#fields + 1] = tonumber(field) or field
  end
  return fields[12] + fields[13]
end

local function requests_in_tasks(server, seen, count)
  local url = server.url
  local from = freddy.assert(freddy.new {
    api_key = "a-key-of-20-characters", base_url = url, retries = 0,
  })
  for _ = 1, count do
    freddy.spawn(function()
      while not seen.over do
        local res, err = from:get("/models", {
          headers = { Connection = seen.close and "close" or nil },
        })
        local what = res and res.body or tostring(err)
        seen[what] = (seen[what] or 0) + 1
        seen.count = seen.count + 1
      end
      seen.running = seen.running - 1
    end)
  end
  seen.running = count
  return from
end

describe("a reload of nginx", function()
  it("loses no request, leaves no thread and no file", function()
    local server = nginx_util.start {
      workers = 2, http = INIT .. "keepalive_timeout 0;", server = LOCATIONS,
    }
    local seen = { count = 0 }
    local from = requests_in_tasks(server, seen, 8)
    for round = 1, 20 do
      local before = seen.count
      server:reload()
      helper.eventually(function()
        return seen.count >= before + 20
      end, 60)
      if round == 20 then
        for _, pid in ipairs(server:workers()) do
          assert.is_true((threads(pid) or 1) <= 8)
        end
      end
    end
    seen.over = true
    helper.eventually(function()
      return seen.running == 0
    end, 60)
    from:close()
    -- Those of before end by themselves, once they have answered.
    helper.eventually(function()
      return #server:workers() == 2
    end, 60)
    assert.equal("", files(server))
    local log = server:stop()
    assert.equal(seen.count, seen["listed\n"])
    assert.is_nil(log:find "exited on signal", log)
    assert.is_nil(log:find "%[alert%]", log)
    assert.is_nil(log:find "%[error%]", log)
  end)
end)

describe("a worker of nginx", function()
  it("takes no processor time when nothing is to be done", function()
    local server = nginx_util.start { http = INIT, server = LOCATIONS }
    finally(function()
      server:stop()
    end)
    assert.equal("listed\n", (server:get "/models"))
    local pid = server:workers()[1]
    -- The pump lingers for a second; a tick is 10 ms.
    helper.eventually(function()
      local before = ticks(pid)
      freddy.sleep(2)
      return ticks(pid) == before
    end, 30)
    assert.equal("listed\n", (server:get "/models"))
    assert.equal("", server:log())
  end)

  it("lets another thread read where one was killed", function()
    local server = nginx_util.start { http = INIT, server = LOCATIONS }
    finally(function()
      server:stop()
    end)
    assert.equal("read\n", (server:get "/killed"))
    assert.equal("", server:log())
  end)

  it("waits on its way out for calls that are open", function()
    local server = nginx_util.start { http = INIT, server = LOCATIONS }
    local conn = server:begin "/get?/s/gate%3Fgate=nginx-out%26tag=nginx-out"
    helper.hostile_log { tag = "nginx-out", complete = 1, timeout = 10 }
    server:signal "QUIT"
    helper.eventually(function() -- it listens no more
      return not pcall(server.get, server, "/ping")
    end)
    helper.hostile_release "nginx-out"
    assert.equal("200\n", server:finish(conn))
    local log = server:wait()
    assert.equal("", log)
  end)

  for _, way in ipairs { "cancelled", "forgotten" } do
    it("ends when the last stream was " .. way, function()
      local server = nginx_util.start { http = INIT, server = LOCATIONS }
      assert.equal("read\n", (server:get("/left?" .. way)))
      assert.equal("", server:stop())
    end)
  end

  it("ends with calls open when it must", function()
    local server = nginx_util.start { http = INIT, server = LOCATIONS }
    local conns = {}
    for i = 1, 20 do
      conns[i] = server:begin "/get?/s/gate%3Fgate=nginx-kill%26tag=nginx-kill"
    end
    helper.hostile_log { tag = "nginx-kill", complete = 20, timeout = 10 }
    local log = server:stop "TERM"
    assert.is_nil(log:find "signal", log)
    helper.hostile_release "nginx-kill"
    for i = 1, 20 do
      conns[i]:close()
    end
  end)
end)

describe("lua_code_cache off", function()
  it("leaves nothing behind of each state", function()
    local server = nginx_util.start {
      level = "error",
      http = "lua_code_cache off;" .. INIT, server = LOCATIONS,
    }
    local pid = server:workers()[1]
    local function memory()
      return tonumber((sh("cat /proc/" .. pid .. "/status"):match
        "VmRSS:%s*(%d+)"))
    end
    local function descriptors()
      return tonumber((sh("ls /proc/" .. pid .. "/fd | wc -l"):match "%d+"))
    end
    for _ = 1, 20 do
      assert.equal("listed\n", (server:get "/models"))
    end
    local kilobytes, open = memory(), descriptors()
    for _ = 1, 100 do
      assert.equal("listed\n", (server:get "/models"))
    end
    helper.eventually(function()
      return descriptors() <= open
    end, 20)
    assert.is_true(threads(pid) <= 8)
    assert.is_true(memory() < kilobytes + 8192,
      ("%d KB before, %d after"):format(kilobytes, memory()))
    for line in server:stop():gmatch "[^\n]+" do
      assert.truthy(line:find("lua_code_cache is off", 1, true), line)
    end
  end)
end)
