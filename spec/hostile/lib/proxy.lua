-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- An HTTP and a SOCKS5 proxy. The name that a client wants to be led to says
--- how they behave: at `NAME.proxy.test` misbehaviour NAME, at every other
--- name the server on the same port of 127.0.0.1.

local cqueues = require "cqueues"
local socket = require "cqueues.socket"

local http = require "lib.http"
local log = require "lib.log"
local text = require "lib.text"

local proxy = {}

local DIAL = 10 -- seconds

-- --- Leading on ------------------------------------------------------------

local function dial(port)
  local up = socket.connect { host = "127.0.0.1", port = tonumber(port),
    nodelay = true }
  up:setmode("bn", "bn")
  up:onerror(function(_, _, why)
    return why
  end)
  if up:connect(DIAL) then
    return up
  end
  up:close()
end

-- Everything from the server to the client. Who is last closes `up`.
local function pour(self, up, state)
  pcall(function()
    while true do
      local data = up:xread(-65536, "bn")
      if not data then
        break
      end
      self:send(data)
    end
  end)
  pcall(self.sock.shutdown, self.sock, "w")
  state.poured = true
  if state.left then
    up:close()
  end
end

-- Both ways until the client has closed. Raises as the connection's methods
-- do.
local function relay(self, up)
  local state = {}
  cqueues.running():wrap(function()
    pour(self, up, state)
  end)
  local _, why = pcall(function()
    while true do
      if self.buf ~= "" then
        up:xwrite(self.buf, "bn")
        self.buf = ""
      end
      self:fill()
    end
  end)
  state.left = true
  if state.poured then
    up:close()
  else
    up:shutdown("rw")
  end
  error(why, 0)
end

-- --- HTTP ------------------------------------------------------------------

local function note(self, request)
  local record = {
    scenario = "proxy", head = request.raw, method = request.method,
    line = request.raw:match("^[^\r\n]*"), target = request.target,
    headers = text.array(request.fields), nth = self.served, body_size = 0,
    body_complete = false,
  }
  request.record = record
  log.request(self.entry, record)
end

local function refuse(self, status, body)
  self:send(http.answer(body or "sorry", {
    status = status, type = "text/plain",
    lines = { 'Proxy-Authenticate: Basic realm="hostile"' },
  }))
  return self:fin()
end

local function send_for_ever(self, start, piece)
  self:send(start)
  while true do
    self:send(piece)
  end
end

local OK = "HTTP/1.1 200 Connection established\r\n"
local ENDLESS_BODY = "HTTP/1.1 407 Who?\r\nProxy-Authenticate: Basic\r\n"
  .. "Content-Length: 1000000000\r\n\r\n"

--- What an HTTP proxy does instead of leading on, by name. `status-NNN`
--- refuses with that status.
proxy.http_tricks = {
  ["stall"] = function(self)
    self:hold()
  end,
  ["close"] = function(self)
    self:fin()
  end,
  ["close-within"] = function(self)
    self:send(OK .. "Via: hos")
    self:fin()
  end,
  ["reset"] = function(self)
    self:reset()
  end,
  ["garbage"] = function(self)
    self:send("no HTTP at all\r\n\r\n")
    self:hold()
  end,
  ["headers-endless"] = function(self)
    send_for_ever(self, OK, ("X-More: of it\r\n"):rep(1000))
  end,
  ["line-endless"] = function(self)
    send_for_ever(self, OK .. "X-More: ", ("of it "):rep(1000))
  end,
  ["body-endless"] = function(self)
    send_for_ever(self, ENDLESS_BODY, ("of it "):rep(10000))
  end,
  ["leak"] = function(self)
    local line = self.request.raw:match("\r\n(Proxy%-Authorization: [^\r]*)")
    local login = self.listener.login
    self:send(("HTTP/1.1 502 %s\r\nX-Login: %s\r\n"):format(line or "none",
      login) .. "Content-Length: 0\r\n\r\n")
    self:fin()
  end,
  ["drip"] = function(self, port) -- leads on, but says so byte by byte
    local up = dial(port)
    self:drip(OK .. "Via: hostile\r\n\r\n", 1, 0)
    return relay(self, up)
  end,
}

local function misbehave(self, name, port)
  local status = name:match("^status%-(%d%d%d)$")
  if status then
    return refuse(self, tonumber(status))
  end
  local trick = proxy.http_tricks[name]
  if trick then
    return trick(self, port)
  end
  return refuse(self, 400, "no such misbehaviour: " .. name)
end

local function may_pass(self, request)
  local login = self.listener.login
  return not login or request.headers["proxy-authorization"]
    == "Basic " .. text.base64(login)
end

local function tunnel(self, request)
  local host, port = request.target:match("^%[?([^%]]*)%]?:(%d+)$")
  local trick = (host or ""):match("^(.*)%.proxy%.test$")
  if trick then
    return misbehave(self, trick, port)
  end
  local up = port and dial(port)
  if not up then
    return refuse(self, 502, "no connection")
  end
  self:send(OK .. "Via: 1.1 hostile\r\n\r\n")
  return relay(self, up)
end

-- The request as the server gets it: nothing that is for the proxy.
local function forwarded(request, path)
  local lines = { request.method .. " " .. path .. " HTTP/1.1" }
  for _, field in ipairs(request.fields) do
    local name = field[1]:lower()
    if not name:find("^proxy%-") and name ~= "connection" then
      lines[#lines + 1] = field[1] .. ": " .. field[2]
    end
  end
  lines[#lines + 1] = "Via: 1.1 hostile"
  lines[#lines + 1] = "Connection: close"
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

-- One request; the answer's end is the connection's.
local function forward(self, request)
  local port, path = request.target:match("^http://[^/]*:(%d+)(/.*)$")
  local trick = request.args.proxy
  self:read_body(request)
  if trick then
    return misbehave(self, trick)
  end
  local up = port and dial(port)
  if not up then
    return refuse(self, 502, "no connection")
  end
  up:xwrite(forwarded(request, path) .. request.body, "bn")
  return relay(self, up)
end

--- Serve as an HTTP proxy: CONNECT, and requests for full URLs.
function proxy.http(self)
  local request = self:read_head()
  self.request, self.served = request, self.served + 1
  note(self, request)
  if not may_pass(self, request) then
    return refuse(self, 407)
  end
  if request.method == "CONNECT" then
    return tunnel(self, request)
  end
  return forward(self, request)
end

-- --- SOCKS5 (RFC 1928, RFC 1929) -------------------------------------------

local function take_string(self)
  return self:take(self:take(1):byte())
end

-- Which method: 2 where a login is wanted, or is all that is offered.
local function choose(self, methods)
  if self.listener.login or not methods:find("\0", 1, true) then
    return methods:find("\2", 1, true) and 2 or 0xff
  end
  return 0
end

local function check_login(self, record)
  self:take(1)
  local user = take_string(self)
  local password = take_string(self)
  record.user = user
  local login = self.listener.login
  local good = not login or login == user .. ":" .. password
  self:send(good and "\1\0" or "\1\1")
  return good
end

local function read_address(self)
  local kind = self:take(4):byte(4)
  if kind == 1 then
    return ("%d.%d.%d.%d"):format(self:take(4):byte(1, 4)), kind
  elseif kind == 3 then
    return take_string(self), kind
  end
  self:take(16)
  return "an IPv6 address", kind
end

local function reply(self, code)
  self:send("\5" .. string.char(code) .. "\0\1\127\0\0\1\0\0")
end

--- What a SOCKS5 proxy does instead of leading on, by name. `reply-N` refuses
--- with that code.
proxy.socks_tricks = {
  ["stall"] = function(self)
    self:hold()
  end,
  ["close"] = function(self)
    self:fin()
  end,
  ["garbage"] = function(self)
    self:send("HTTP/1.1 400 Bad Request\r\n\r\n")
    self:hold()
  end,
}

-- The trick that the host's name asks for, or a listener that plays one.
local function socks_trick(self, host)
  local name = self.listener.trick or host:match("^(.*)%.proxy%.test$")
  local code = name and name:match("^reply%-(%d+)$")
  if code then
    return function()
      reply(self, tonumber(code))
      self:fin()
    end
  end
  return proxy.socks_tricks[name]
end

--- Serve as a SOCKS5 proxy.
function proxy.socks(self)
  local record = { scenario = "socks", body_size = 0, body_complete = true }
  log.request(self.entry, record)
  self:take(1)
  local method = choose(self, take_string(self))
  self:send("\5" .. string.char(method))
  if method == 0xff or method == 2 and not check_login(self, record) then
    return self:fin()
  end
  local host, kind = read_address(self)
  local port = (">I2"):unpack(self:take(2))
  log.note(record, {
    line = ("CONNECT %s:%d"):format(host, port), target = host,
    address_type = kind, method = "CONNECT",
  })
  local trick = socks_trick(self, host)
  if trick then
    return trick(self)
  end
  local up = dial(port)
  if not up then
    reply(self, 5)
    return self:fin()
  end
  reply(self, 0)
  return relay(self, up)
end

return proxy
