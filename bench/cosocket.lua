-- SPDX-License-Identifier: MIT
--- What freddy is compared with inside nginx: lua-resty-http where it is
--- installed. Where it is not, the least that one can do with a cosocket and
--- still call it a request stands in.
local cjson = require "cjson"

local cosocket = {}

local has_resty, resty = pcall(require, "resty.http")

-- The pool holds all that are in flight. nginx compares no name with an
-- address: the certificate has both.
local function get_by_resty(url)
  local http = resty.new()
  http:set_timeouts(5000, 60000, 60000)
  local res = assert(http:request_uri(url, {
    headers = {
      Accept = "application/json", ["api-key"] = "a-key-of-20-characters",
    },
    ssl_verify = true, ssl_server_name = "localhost",
    keepalive_timeout = 60000, keepalive_pool = 100,
  }))
  return { status = res.status, headers = res.headers,
    data = cjson.decode(res.body) }
end

local function get_plainly(url)
  local scheme, host, port, path = url:match "^(%a+)://([^:/]+):(%d+)(.*)$"
  local sock = ngx.socket.tcp()
  assert(sock:connect(host, tonumber(port)))
  if scheme == "https" and sock:getreusedtimes() == 0 then
    -- The chain is verified; nginx compares no name with an address.
    assert(sock:sslhandshake(nil, nil, true))
  end
  assert(sock:send("GET " .. path .. " HTTP/1.1\r\nHost: " .. host
    .. "\r\nAccept: application/json\r\napi-key: a-key-of-20-characters"
    .. "\r\nUser-Agent: cosocket\r\n\r\n"))
  local status = tonumber(assert(sock:receive "*l"):match "^HTTP/1.1 (%d+)")
  local headers = {}
  local line = assert(sock:receive "*l")
  while line ~= "" do
    local name, value = line:match "^([^:]+):%s*(.*)$"
    headers[name:lower()] = value
    line = assert(sock:receive "*l")
  end
  local body = assert(sock:receive(tonumber(headers["content-length"])))
  sock:setkeepalive(60000, 100)
  return { status = status, headers = headers, data = cjson.decode(body) }
end

--- For the lines of the report.
cosocket.name = has_resty and "lua-resty-http" or "plain cosocket"

--- GET a JSON answer with a Content-Length, over a connection that is kept.
---@param url string of an address
---@return table
cosocket.get = has_resty and get_by_resty or get_plainly

return cosocket
