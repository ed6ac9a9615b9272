-- SPDX-License-Identifier: MIT
--- An nginx of the suite's own, with freddy in it: its files are in a folder
--- of its own, and its workers run as nobody when the suite is root.

local helper = require "spec.helper"
local socket = require "socket"

local nginx_util = {}

local PATHS = "/usr/sbin:/usr/local/sbin:/usr/local/openresty/nginx/sbin"
local MODULE_DIRS = { "/usr/lib/nginx/modules", "/usr/lib64/nginx/modules",
  "/usr/share/nginx/modules", "/usr/local/lib/nginx/modules" }

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- Run a shell command. Its output, both streams; and its status.
function nginx_util.sh(command)
  local pipe = assert(io.popen("PATH=$PATH:" .. PATHS .. "; { " .. command
    .. "\n} 2>&1; printf '\\n%d' $?"))
  local output = pipe:read("*a")
  pipe:close()
  local text, status = output:match("^(.*)\n(%d+)$")
  return text, tonumber(status)
end
local sh = nginx_util.sh

local function exists(path)
  local file = io.open(path)
  return file and file:close()
end

local function modules()
  local build = sh "nginx -V"
  if build:find("--add-module=[^ ]*lua") then
    return ""
  end
  for _, dir in ipairs(MODULE_DIRS) do
    if exists(dir .. "/ngx_http_lua_module.so") then
      return ("load_module %s/ndk_http_module.so;\nload_module "
        .. "%s/ngx_http_lua_module.so;"):format(dir, dir)
    end
  end
end

-- Why these specs cannot run here, or nil.
local function missing()
  if select(2, sh "command -v nginx") ~= 0 or not modules() then
    return "nginx with its Lua module is not installed"
  elseif not exists(helper.build .. "/luajit/freddy/core.so") then
    return "there is no build for LuaJIT"
  elseif (os.getenv "FLAVOUR" or "") ~= "" then
    return "nginx does not run under a sanitizer"
  end
end

--- Whether specs can run here; else there is a pending one. On the first Lua
--- only: nginx brings a LuaJIT of its own, whatever runs the specs.
function nginx_util.can_run(it, pending)
  local why = missing()
  local first = os.getenv "FY_TEST_FIRST_LUA" == "1"
  if first and not why then
    return true
  end
  it("runs in nginx", function()
    if first then
      pending(why)
    end
  end)
end

local CONF = [[
@MODULES@
@USER@
worker_processes @WORKERS@;
pid nginx.pid;
error_log error.log @LEVEL@;
env FREDDY_API_KEY;
@MAIN@
events { worker_connections 2048; }
http {
  access_log off;
  client_body_temp_path tmp/body;
  proxy_temp_path tmp/proxy;
  fastcgi_temp_path tmp/fastcgi;
  uwsgi_temp_path tmp/uwsgi;
  scgi_temp_path tmp/scgi;
  keepalive_requests 1000000;
  lua_package_path "@DIR@/lua/?.lua;;";
  lua_package_cpath "@DIR@/?.so;;";
  @HTTP@
  server {
    listen 127.0.0.1:@PORT@ backlog=1024;
    location = /ping { content_by_lua_block { ngx.say "pong" } }
    @SERVER@
  }
  @TLS@
}
]]

local TLS = [[
  server {
    listen 127.0.0.1:@TLSPORT@ ssl;
    ssl_certificate @TLSDIR@/server.pem;
    ssl_certificate_key @TLSDIR@/server.key;
    @TLSSERVER@
  }
]]

local Server = {}
Server.__index = Server

local function write(path, text)
  local file = assert(io.open(path, "w"))
  assert(file:write(text))
  file:close()
end

local function read(path)
  local file = io.open(path)
  local text = file and file:read("*a") or ""
  if file then
    file:close()
  end
  return text
end

-- Each is held until all are there: what was let go may be given again.
local function free_ports(count)
  local listeners, ports = {}, {}
  for i = 1, count do
    listeners[i] = assert(socket.bind("127.0.0.1", 0))
    ports[i] = select(2, listeners[i]:getsockname())
  end
  for i = 1, count do
    listeners[i]:close()
  end
  return ports
end

--- A port that nobody listens at.
function nginx_util.free_port()
  return free_ports(1)[1]
end

function Server:configure()
  local given = self.given
  local words = {
    MODULES = modules(), DIR = self.dir, PORT = tostring(self.port),
    USER = self.root and "user nobody " .. self.group .. ";" or "",
    WORKERS = tostring(given.workers or 1), LEVEL = given.level or "warn",
    MAIN = given.main or "", HTTP = given.http or "",
    SERVER = given.server or "", TLS = given.tls and TLS or "",
  }
  local text = CONF:gsub("@(%u+)@", function(name)
    return words[name]
  end)
  -- What the snippets name themselves.
  text = text:gsub("@(TLS%u+)@", {
    TLSPORT = tostring(self.tls_port), TLSDIR = given.tls,
    TLSSERVER = given.tls_server,
  })
  text = text:gsub("@(%u+)@", {
    BASE = helper.base_url, CA = self.dir .. "/ca.pem",
    KEY = helper.api_key, HOSTILE = helper.hostile_url,
    LISTEN = "127.0.0.1:" .. self.second,
  })
  write(self.dir .. "/nginx.conf", text)
end

local function nginx_command(self, more)
  local words = {}
  for name, value in pairs(self.given.environment or {}) do
    words[#words + 1] = name .. "="
      .. quote((value:gsub("@CA@", self.dir .. "/ca.pem")))
  end
  return ("cd / && %s nginx -p %s/ -e error.log -c nginx.conf %s"):format(
    table.concat(words, " "), quote(self.dir), (more or "") .. " </dev/null")
end

--- Start one. `given`: http and server, pieces of its configuration in which
--- @BASE@, @CA@, @KEY@ and @HOSTILE@ are the test servers'; workers (1),
--- main, level; tls, a folder with a certificate, and tls_server; files, more
--- Lua files; environment. Pieces may have @LISTEN@: another port, `second`.
function nginx_util.start(given)
  local dir = sh("mktemp -d"):gsub("%s+$", "")
  local self = setmetatable({ dir = dir, given = given }, Server)
  self.root = sh("id -u"):match "^0" ~= nil
  self.group = sh("getent group nogroup nobody | cut -d: -f1"):match "%w+"
  local out, status = sh(("cd %s && mkdir tmp freddy && cp -r %s . && "
    .. "cp %s freddy/ && cp %s ca.pem && chmod -R a+rX . && chmod 755 .")
    :format(quote(dir), quote(helper.top .. "/lua"),
      quote(helper.build .. "/luajit/freddy/core.so"), quote(helper.ca_file)))
  assert(status == 0, out)
  for _, file in ipairs(given.files or {}) do
    sh(("cp %s %s && chmod a+r %s/lua/*"):format(quote(file),
      quote(dir .. "/lua"), quote(dir)))
  end
  for _ = 1, 10 do
    local ports = free_ports(3)
    self.port, self.tls_port, self.second = ports[1], ports[2], ports[3]
    self:configure()
    out, status = sh(nginx_command(self))
    if status == 0 or not out:find "Address already in use" then
      break
    end
  end
  if status ~= 0 then
    error("nginx: " .. out .. read(dir .. "/error.log"), 2)
  end
  self.url = "http://127.0.0.1:" .. self.port
  self.tls_url = "https://127.0.0.1:" .. self.tls_port
  local up, why = pcall(helper.eventually, function()
    return read(dir .. "/nginx.pid") ~= ""
      and select(2, pcall(helper.http_request, "GET", self.url .. "/ping"))
        == 200
  end, 30)
  if not up then
    local log = read(dir .. "/error.log"):sub(-1000)
    self:stop()
    error("nginx does not answer: " .. tostring(why) .. "\n" .. log, 2)
  end
  return self
end

--- Its answer to GET: body, status, head.
function Server:get(path)
  local status, body, head = helper.http_request("GET", self.url .. path)
  return body, status, head
end

--- Send a GET. Its connection. To HTTP/1.0 nginx answers in one piece.
function Server:begin(path, port, version)
  local conn = assert(socket.connect("127.0.0.1", port or self.port))
  conn:settimeout(60)
  assert(conn:send("GET " .. path .. " HTTP/" .. (version or "1.0")
    .. "\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
  return conn
end

--- The body of the answer that comes over it.
function Server.finish(_, conn)
  local text, why, partial = conn:receive "*a"
  text = text or partial
  conn:close()
  return text:match "\r\n\r\n(.*)$"
    or error("no answer: " .. tostring(why) .. " " .. text, 2)
end

--- Send all of these before reading any. Their bodies, in order.
function Server:get_all(paths)
  local conns, bodies = {}, {}
  for i, path in ipairs(paths) do
    conns[i] = self:begin(path)
  end
  for i, conn in ipairs(conns) do
    bodies[i] = self:finish(conn)
  end
  return bodies
end

function Server:master()
  return tonumber((read(self.dir .. "/nginx.pid"):match "%d+"))
end

--- The process ids of its workers, those that are on their way out included.
function Server:workers()
  local ids = {}
  for id in sh("pgrep -P " .. self:master()):gmatch "%d+" do
    ids[#ids + 1] = tonumber(id)
  end
  return ids
end

--- What it wrote to its log so far.
function Server:log()
  return read(self.dir .. "/error.log")
end

--- Load the configuration again: new workers take the place of the old.
function Server:reload()
  local out, status = sh(nginx_command(self, "-s reload"))
  assert(status == 0, out)
end

local function is_alive(pid)
  return select(2, sh("kill -0 " .. pid)) == 0
end

--- Send a signal to its master.
function Server:signal(name)
  self.pid = self.pid or self:master()
  sh(("kill -%s %d"):format(name, self.pid))
end

--- Wait until it has ended, and remove its files. Returns its log.
function Server:wait()
  local pid = self.pid
  local ended = pcall(helper.eventually, function()
    return not is_alive(pid)
  end, 30)
  if not ended then
    sh(("pkill -KILL -P %d; kill -KILL %d"):format(pid, pid))
  end
  local log = self:log()
  sh("rm -rf " .. quote(self.dir))
  if not ended then
    error("nginx does not end: " .. log, 2)
  end
  return log
end

--- End it, as gracefully as `signal` says ("QUIT"). Returns its log.
function Server:stop(signal)
  self:signal(signal or "QUIT")
  return self:wait()
end

return nginx_util
