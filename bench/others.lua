-- SPDX-License-Identifier: MIT
--- The other HTTP clients of Lua, for comparison:
---
---   others.lua luasocket URL N            socket.http: a connection each
---   others.lua lua-http URL N WIDTH [CA]  connections or streams kept open
---
--- Prints wall and CPU seconds and 0, as host.lua does; nothing where the
--- client is not installed.
local unpack = rawget(table, "unpack") or rawget(_G, "unpack")
local what, url, count, width, ca = unpack(arg)
count, width = tonumber(count), tonumber(width)

local WARM_UP = 200

local function timed(now, run)
  run(WARM_UP)
  local wall, cpu = now(), os.clock()
  run(count)
  print(("%.6f %.6f 0"):format(now() - wall, os.clock() - cpu))
end

local function luasocket(socket, http)
  timed(socket.gettime, function(n)
    for _ = 1, n do
      local body, status = http.request(url)
      assert(body and status == 200, status)
    end
  end)
end

local function tls_context()
  local context = require("http.tls").new_client_context()
  local store = require("openssl.x509.store").new()
  store:add(ca)
  context:setStore(store)
  return context
end

local function lua_http(cqueues, client, headers)
  local scheme, host, port, path = url:match("^(%w+)://([^:/]+):(%d+)(.*)$")
  local tls = scheme == "https"
  local ask = headers.new()
  ask:append(":method", "GET")
  ask:append(":scheme", scheme)
  ask:append(":authority", host .. ":" .. port)
  ask:append(":path", path)

  local function connect()
    return assert(client.connect {
      host = host, port = tonumber(port), tls = tls,
      version = tls and 2 or 1.1, ctx = tls and tls_context() or nil,
    })
  end

  local function get(connection)
    local stream = assert(connection:new_stream())
    assert(stream:write_headers(ask, true))
    assert(stream:get_headers():get(":status") == "200")
    assert(stream:get_body_as_string())
    stream:shutdown()
  end

  local shared
  local connections = {}
  timed(cqueues.monotime, function(n)
    local queue = cqueues.new()
    for i = 1, math.min(n, width) do
      queue:wrap(function()
        if tls then
          shared = shared or connect()
        end
        connections[i] = shared or connections[i] or connect()
        while n > 0 do
          n = n - 1
          get(connections[i])
        end
      end)
    end
    assert(queue:loop())
  end)
end

local function try(run, ...)
  local modules = {}
  for i = 1, select("#", ...) do
    local ok, module = pcall(require, (select(i, ...)))
    if not ok then
      return
    end
    modules[i] = module
  end
  run(modules[1], modules[2], modules[3])
end

if what == "luasocket" then
  try(luasocket, "socket", "socket.http")
else
  try(lua_http, "cqueues", "http.client", "http.headers")
end
