-- SPDX-License-Identifier: MIT
--- What examples/nginx/ and docs/nginx.md show, in a real nginx.

local helper = require "spec.helper"
local nginx_util = require "spec.nginx_util"
local socket = require "socket"

if not nginx_util.can_run(it, pending) then
  return
end

local function read(path)
  local file = assert(io.open(helper.top .. "/" .. path))
  local text = file:read "*a"
  file:close()
  return text
end

local function start(http, more)
  return nginx_util.start {
    http = http:gsub("listen 127%.0%.0%.1:8080", "listen @LISTEN@"),
    server = more, files = { helper.top .. "/examples/nginx/relay.lua" },
    environment = {
      FREDDY_API_KEY = helper.api_key, FREDDY_BASE_URL = helper.base_url,
      FREDDY_CA_FILE = "@CA@", -- a copy that the workers' user may read
      FREDDY_REFRESH_TOKEN = helper.session().refresh_token,
    },
  }
end

local function exchange(server, text)
  local conn = assert(socket.connect("127.0.0.1", server.second))
  conn:settimeout(30)
  assert(conn:send(text))
  local answer, _, partial = conn:receive "*a"
  conn:close()
  return answer or partial
end

before_each(function()
  helper.reset()
  helper.hostile_reset()
end)

describe("examples/nginx", function()
  local server

  setup(function()
    server = start(read "examples/nginx/http.conf", [[
      location = /gated {
        lua_check_client_abort on;
        content_by_lua_block {
          local other = assert(freddy.new {
            api_key = "a-key-of-20-characters", base_url = "@HOSTILE@",
          })
          require("relay").run(other, ngx.unescape_uri(ngx.var.query_string))
        }
      }
    ]])
  end)

  teardown(function()
    server:stop()
  end)

  it("lists models", function()
    local answer = exchange(server, "GET /models HTTP/1.0\r\n\r\n")
    assert.truthy(answer:find "^HTTP/1.1 200", answer)
    assert.truthy(answer:find "\nmdl_%w+\n", answer)
  end)

  it("relays an answer, and then fires a request", function()
    local answer = exchange(server, "POST /ask HTTP/1.0\r\n"
      .. "Content-Length: 5\r\n\r\nHello")
    assert.truthy(answer:find "text/event%-stream", answer)
    assert.truthy(answer:find "event: ")
    helper.eventually(function()
      return helper.counters().endpoints["/v1/health"]
    end)
  end)

  it("asks what came in a body of any size; and wants one", function()
    local long = ("So long. "):rep(5000) -- nginx keeps it in a file
    local answer = exchange(server, ("POST /ask HTTP/1.0\r\n"
      .. "Content-Length: %d\r\n\r\n%s"):format(#long, long))
    assert.truthy(answer:find "You said: So", answer:sub(1, 1000))
    answer = exchange(server,
      "POST /ask HTTP/1.0\r\nContent-Length: 0\r\n\r\n")
    assert.truthy(answer:find "^HTTP/1.1 400", answer)
  end)

  it("passes each event on as it comes", function()
    local conn = server:begin("/gated?/s/sse%3Fof=g2%26n=150%26"
      .. "gate=nginx-relay%26tag=nginx-relay", nil, "1.1")
    local line
    repeat -- an event is here while the rest waits at the gate
      line = assert(conn:receive "*l")
    until line:find "^data: "
    helper.hostile_release "nginx-relay"
    local rest = conn:receive "*a"
    conn:close()
    assert.truthy(rest:find "data: ", rest)
  end)

  it("ends the answer of who goes away", function()
    local conn = server:begin("/gated?/s/sse%3Fof=g2%26n=150%26"
      .. "gate=nginx-left%26tag=nginx-left", nil, "1.1")
    repeat
      local line = assert(conn:receive "*l")
    until line:find "^data: "
    conn:close()
    helper.hostile_log { tag = "nginx-left", closed = 1, timeout = 10 }
    helper.hostile_release "nginx-left"
  end)
end)

describe("docs/nginx.md", function()
  local count = 0
  for block in read("docs/nginx.md"):gmatch "\n```nginx\n(.-)\n```" do
    count = count + 1
    it("has a configuration that works: " .. count, function()
      local more = not block:find "server {" and [[
        location = /models {
          content_by_lua_block {
            local models, err = client.models:list()
            ngx.say(models and #models.models or tostring(err))
          }
        }
      ]]
      local server = start(block:gsub("store = ", -- not from the environment
        'base_url = "@BASE@", ca_file = "@CA@", %0'), more or nil)
      finally(function()
        server:stop()
      end)
      local conn = server:begin("/models", not more and server.second)
      assert.truthy(server:finish(conn):find "^%d+\n$")
    end)
  end

  it("has some", function()
    assert.equal(3, count)
  end)
end)
