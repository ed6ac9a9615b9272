-- SPDX-License-Identifier: MIT
--- freddy in a stock nginx with its Lua module: every phase, and its ends.

local freddy = require "freddy"
local helper = require "spec.helper"
local nginx_util = require "spec.nginx_util"
local socket = require "socket"

if not nginx_util.can_run(it, pending) then
  return
end

local INIT = [[
  lua_shared_dict said 1m;
  init_by_lua_block {
    freddy = require "freddy"
    client = assert(freddy.new {
      api_key = "@KEY@", base_url = "@BASE@", ca_file = "@CA@",
    })
    hostile = assert(freddy.new {
      api_key = "a-key-of-20-characters", base_url = "@HOSTILE@", retries = 0,
    })
    -- What the three ways to send say in a phase.
    function say(phase)
      local said = ngx.shared.said
      local function try(what, ...)
        local ok, res, err = pcall(...)
        said:set(phase .. " " .. what, not ok and res
          or res and "ok" or tostring(err))
      end
      local tag = "/s/ok?tag=nginx-" .. phase
      try("get", hostile.get, hostile, tag)
      try("fire", hostile.fire, hostile, { path = tag .. "-fire" })
      try("send", hostile.send, hostile, { path = tag .. "-send" },
        function(res)
          said:set(phase .. " callback", res and freddy.sleep(0.001) and "ok")
        end)
    end
    say "init"
  }
]]

local LOCATIONS = [[
  location = /said {
    content_by_lua_block { ngx.print(ngx.shared.said:get(ngx.unescape_uri(
      ngx.var.query_string)) or "nothing") }
  }
  location = /balanced {
    proxy_pass http://balanced;
  }
  location = /phases {
    set_by_lua_block $unused { say "set" return "" }
    rewrite_by_lua_block { say "rewrite" }
    access_by_lua_block { say "access" }
    content_by_lua_block {
      say "content"
      assert(ngx.timer.at(0, function() say "timer" end))
      ngx.say "done"
    }
    header_filter_by_lua_block { say "header_filter" }
    body_filter_by_lua_block {
      if ngx.arg[2] then say "body_filter" end
    }
    log_by_lua_block { say "log" }
  }
  location = /models {
    content_by_lua_block {
      local models, err = client.models:list()
      ngx.say(models and #models.models > 0 and "listed" or tostring(err))
    }
  }
  location = /get {
    content_by_lua_block {
      local res, err = hostile:get(ngx.unescape_uri(ngx.var.query_string))
      ngx.say(res and res.status or err.kind)
    }
  }
]]

local server

local function said(what)
  return (server:get("/said?" .. what:gsub(" ", "%%20")))
end

setup(function()
  helper.reset()
  helper.hostile_reset()
  server = nginx_util.start {
    http = INIT .. [[
      init_worker_by_lua_block { say "init_worker" }
      upstream balanced {
        server 0.0.0.1;
        balancer_by_lua_block {
          say "balancer"
          local host, port = ("@LISTEN@"):match "(.*):(.*)"
          assert(require "ngx.balancer".set_current_peer(host, port))
        }
      }
      server { listen @LISTEN@; return 200 "balanced"; }
    ]],
    server = LOCATIONS .. [[
      location = /tasks {
        content_by_lua_block {
          local order = {}
          local task = freddy.spawn(function(name)
            order[#order + 1] = name
            local res = freddy.assert(hostile:get "/s/ok")
            order[#order + 1] = "answered"
            return res.status
          end, "begun")
          order[#order + 1] = "spawned"
          local status = task:wait()
          local failing = freddy.spawn(function()
            freddy.sleep(0)
            error "on purpose"
          end)
          local _, err = failing:wait()
          local slow = freddy.spawn(freddy.sleep, 60)
          local _, late = slow:wait(0.001)
          slow:cancel()
          local _, gone = slow:wait()
          local results = freddy.all {
            function() return 1 end,
            function() return hostile:get("/s/ok").status end,
          }
          ngx.say(table.concat(order, " "), " ", status, " ", err.kind, " ",
            err.message:match "on purpose", " ", late.kind, " ",
            slow:status(), " ", gone.kind, " ", table.concat(results, " "))
        }
      }
      location = /generator {
        content_by_lua_block {
          local next = coroutine.wrap(function()
            for _ = 1, 3 do
              coroutine.yield(freddy.assert(hostile:get "/s/ok").status)
            end
          end)
          ngx.say(next(), next(), next())
        }
      }
      location = /abort {
        lua_check_client_abort on;
        content_by_lua_block {
          local res, err = hostile:get(
            ngx.unescape_uri(ngx.var.query_string), { cancel_on_abort = true })
          ngx.shared.said:set("abort", res and "answered" or err.kind)
        }
      }
      location = /no-abort {
        content_by_lua_block {
          ngx.say(select(2, pcall(hostile.get, hostile, "/s/ok",
            { cancel_on_abort = true })))
        }
      }
      location = /hook {
        content_by_lua_block {
          local asked = 0
          local keyed = assert(freddy.new { base_url = "@HOSTILE@",
            api_key = function()
              asked = asked + 1
              return "a-key-of-20-characters"
            end })
          local waits = assert(freddy.new { base_url = "@HOSTILE@",
            api_key = function() hostile:get "/s/ok" end })
          assert(keyed:get "/s/ok")
          local res, err = waits:get "/s/ok"
          ngx.say(asked, " ", res == nil and err.message)
        }
      }
      location = /endless {
        lua_check_client_abort on;
        content_by_lua_block {
          local events = assert(hostile:stream("/s/sse-endless?kind=events"
            .. "&mb=4096", { cancel_on_abort = true }))
          repeat
            ngx.shared.said:set("endless", "begun")
          until not events:next()
          ngx.shared.said:set("endless", "left")
        }
      }
      location = /stream {
        content_by_lua_block {
          local res = assert(hostile:get("/s/drip?of=length&step=7",
            { stream = true }))
          local size = 0
          for piece in res:chunks() do
            size = size + #piece
          end
          ngx.say(size > 0 and "streamed")
        }
      }
    ]],
  }
end)

teardown(function()
  local log = server:stop()
  assert.equal("", log)
end)

describe("in nginx", function()
  it("a handler waits for an answer", function()
    assert.equal("listed\n", (server:get "/models"))
  end)

  it("tasks are light threads", function()
    assert.equal("begun spawned answered 200 task on purpose timeout "
      .. "cancelled cancelled 1 200\n", (server:get "/tasks"))
  end)

  it("a generator may wait", function()
    assert.equal("200200200\n", (server:get "/generator"))
  end)

  it("a stream is read as it comes", function()
    assert.equal("streamed\n", (server:get "/stream"))
  end)

  it("hooks are called in place, and must not wait", function()
    local body = server:get "/hook"
    assert.truthy(body:find("^1 .*must not wait"), body)
  end)

  it("many wait at once", function()
    local paths = {}
    for i = 1, 50 do
      paths[i] = "/get?" .. (i % 5 == 0 and "/s/close-at%3Fof%3Dgzip%26n%3D9"
        or "/s/ok")
    end
    for i, body in ipairs(server:get_all(paths)) do
      assert.equal(i % 5 == 0 and "cut\n" or "200\n", body)
    end
  end)
end)

describe("the phase of nginx", function()
  setup(function()
    server:get "/phases"
    assert.equal("balanced", (server:get "/balanced"))
    helper.eventually(function()
      return said "timer callback" == "ok" and said "log fire" ~= "nothing"
    end)
  end)

  for _, phase in ipairs { "rewrite", "access", "content", "timer" } do
    it(phase .. " can wait", function()
      for _, what in ipairs { "get", "fire", "send" } do
        assert.equal("ok", said(phase .. " " .. what))
      end
    end)
  end

  for _, phase in ipairs { "init_worker", "set", "balancer", "header_filter",
      "body_filter", "log" } do
    it(phase .. " can send, and says what to do about waiting", function()
      local text = said(phase .. " get")
      assert.truthy(text:find("client:get: nothing can wait in " .. phase
        .. "_by_lua: call it in", 1, true), text)
      assert.equal("ok", said(phase .. " fire"))
      assert.equal("ok", said(phase .. " send"))
      helper.eventually(function()
        return said(phase .. " callback") == "ok"
      end)
    end)
  end

  it("init can do neither, and says what to do", function()
    for _, what in ipairs { "get", "fire", "send" } do
      local text = said("init " .. what)
      assert.truthy(text:find("in init_by_lua: there are no workers yet: make "
        .. "the client here", 1, true), text)
    end
  end)

  it("any has its fired requests arrive", function()
    for _, phase in ipairs { "rewrite", "access", "content", "timer",
        "init_worker", "set", "balancer", "header_filter", "body_filter",
        "log" } do
      local log = helper.hostile_log {
        tag = "nginx-" .. phase .. "-fire", complete = 1, timeout = 10,
      }
      assert.equal(1, #log, phase)
    end
  end)
end)

describe("a handler that reads a fast stream", function()
  it("lets others have their turn", function()
    local conn = server:begin "/endless"
    helper.eventually(function()
      return said "endless" == "begun"
    end)
    for _ = 1, 20 do
      assert.equal("pong\n", (server:get "/ping"))
    end
    -- It was at it all the time.
    assert.equal("begun", said "endless")
    conn:close()
    helper.eventually(function()
      return said "endless" == "left"
    end)
  end)
end)

describe("a client that goes away", function()
  it("ends a request that asks for it", function()
    local path = "/s/gate?gate=nginx-abort&tag=nginx-abort"
    local conn = assert(socket.connect("127.0.0.1", server.port))
    assert(conn:send("GET /abort?" .. path:gsub("[?&=]", function(char)
      return ("%%%02X"):format(char:byte())
    end) .. " HTTP/1.0\r\n\r\n"))
    helper.hostile_log { tag = "nginx-abort", complete = 1, timeout = 10 }
    conn:close()
    helper.eventually(function()
      return said "abort" == "cancelled"
    end)
  end)

  it("is not asked for where nginx does not look", function()
    local body = server:get "/no-abort"
    assert.truthy(body:find("client:get: cancel_on_abort is not possible "
      .. "here: lua_check_client_abort is off", 1, true), body)
  end)
end)

describe("the phase of nginx", function()
  it("can wait in a TLS handshake for its certificate only", function()
    local dir = helper.ca_file:match "^(.*)/"
    local tls = nginx_util.start {
      http = INIT .. [[
        ssl_session_tickets off;
        ssl_session_fetch_by_lua_block { say "ssl_session_fetch" }
        ssl_session_store_by_lua_block { say "ssl_session_store" }
      ]],
      tls = dir,
      tls_server = [[
        ssl_client_hello_by_lua_block { say "ssl_client_hello" }
        ssl_certificate_by_lua_block { say "ssl_certificate" }
        location = /said {
          content_by_lua_block { ngx.print(ngx.shared.said:get(
            ngx.unescape_uri(ngx.var.query_string))) }
        }
      ]],
    }
    finally(function()
      tls:stop()
    end)
    -- The second connection asks for the session of the first.
    local out = nginx_util.sh("openssl s_client -connect 127.0.0.1:"
      .. tls.tls_port .. " -tls1_2 -reconnect </dev/null")
    local client = helper.client { base_url = tls.tls_url }
    local function heard(what)
      return freddy.assert(client:get("/said?" .. what:gsub(" ", "%%20"))).body
    end
    for _, what in ipairs { "get", "fire", "send" } do
      assert.equal("ok", heard("ssl_certificate " .. what))
    end
    for _, phase in ipairs { "ssl_client_hello", "ssl_session_fetch",
        "ssl_session_store" } do
      local text = heard(phase .. " get")
      assert.truthy(text:find("client:get: nothing can wait in " .. phase
        .. "_by_lua: call it in", 1, true), text .. out)
      assert.equal("ok", heard(phase .. " fire"))
      assert.equal("ok", heard(phase .. " send"))
    end
    client:close()
  end)
end)
