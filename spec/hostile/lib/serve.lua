-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- Serves one connection: reads a request, finds its scenario, runs it,
--- ends as the scenario says.

local conn = require "lib.conn"
local control = require "lib.control"
local http = require "lib.http"
local log = require "lib.log"
local proxy = require "lib.proxy"
local session = require "lib.session"
local text = require "lib.text"

local serve = {}

-- How a connection may end, or go on, after a scenario.
local endings = { keep = true, fin = true, reset = true, hold = true,
  ignore = true }

local function new_record(self, request, name, args)
  local record = {
    scenario = name, tag = args.tag, head = request.raw,
    line = request.raw:match("^[^\r\n]*"), method = request.method,
    target = request.target, headers = text.array(request.fields),
    nth = self.served, body_size = 0, body_complete = false,
  }
  request.record = record
  log.request(self.entry, record)
  return record
end

local function serve_control(self, request)
  log.forget(self.entry)
  request.record = {}
  self:read_body(request)
  self:send(control.answer(request, self))
  return "keep"
end

local function run_scenario(self, request)
  local name, args = http.parse_target(request.target)
  local scenario = self.scenarios[name or ""]
  local record = new_record(self, request, name, args)
  if scenario and scenario.pick then
    record.picked = scenario.pick(args)
    scenario = self.scenarios[record.picked]
  end
  if not scenario or scenario.body ~= false then
    self:read_body(request)
  end
  if not scenario or scenario.pick then
    self:answer(http.answer('{"error":"no such scenario"}',
      { status = 404 }))
    return "keep"
  end
  local how = scenario.run(self, request, args)
  return endings[args["end"] or ""] and args["end"] or how
end

local function wants_close(request)
  local wish = (request.headers.connection or ""):lower()
  return wish:find("close", 1, true)
    or request.version == "HTTP/1.0" and not wish:find("keep-alive", 1, true)
end

--- Serve an accepted connection until it ends. Never raises for what a
--- client does.
function serve.http(self)
  repeat
    local request = self:read_head()
    self.request = request
    self.served = self.served + 1
    local how
    if request.path:match("^/control/") then
      how = serve_control(self, request)
    else
      how = run_scenario(self, request)
    end
    if how == "keep" and wants_close(request) then
      how = "fin"
    end
    if how ~= "keep" then
      self[how](self)
    end
  until how ~= "keep"
end

--- Serve HTTP/2 to who wants it, and the others as ever.
function serve.h2(self)
  if self.sock:checktls():getAlpnSelected() ~= "h2" then
    return serve.http(self)
  end
  return session.new(self, self.scenarios_h2):serve()
end

--- Accept and say nothing.
function serve.silent(self)
  self:hold()
end

--- Accept and reset at once.
function serve.reset(self)
  self:reset()
end

--- Read the first bytes (of a TLS handshake, say), then send what is
--- neither TLS nor HTTP.
function serve.garbage(self)
  self:fill()
  self:send(("\1\2\3garbage\xff\xfe\r\n"):rep(20))
  return self:hold()
end

--- Read the first bytes, then close.
function serve.close(self)
  self:fill()
  self:fin()
end

--- Read the first bytes, then reset.
function serve.reset_late(self)
  self:fill()
  self:reset()
end

serve.proxy = proxy.http
serve.socks = proxy.socks

--- Run `handler` over an accepted socket; TLS first where `context` is
--- given. `shared` is what all connections know: `scenarios`,
--- `scenarios_h2`, `bases`.
function serve.run(sock, listener, shared)
  local self = conn.new(sock, listener.name)
  self.scenarios, self.bases = shared.scenarios, shared.bases
  self.scenarios_h2 = shared.scenarios_h2
  self.listener = listener
  self.entry.wire = listener.wire
  local ok, why = xpcall(function()
    if listener.context then
      local context = listener.context
      self:handshake(type(context) == "function" and context() or context)
    end
    serve[listener.handler](self)
  end, function(err)
    return err == conn.GONE and err or debug.traceback(err)
  end)
  if not ok and why ~= conn.GONE then
    io.stderr:write("hostile server: ", tostring(why), "\n")
  end
  self:closed("server")
end

return serve
