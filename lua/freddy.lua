-- SPDX-License-Identifier: MIT
--- freddy: the client of the Freddy AI API for Lua 5.1 to 5.4 and LuaJIT.
---
---     local freddy = require "freddy"
---     local client = freddy.assert(freddy.new { api_key = "..." })
---     local models = freddy.assert(client.models:list())
---
--- Programmer mistakes raise at the caller's line. Every other failure is
--- nil, err: see freddy.Error. Requiring this module does no I/O and starts
--- nothing.
local core = require "freddy.core"
local json = require "freddy.json"
local misuse = require "freddy.misuse"
local scheduler = require "freddy.scheduler"
local session_file = require "freddy.session_file"
local task = require "freddy.task"

local client -- loaded by freddy.new: half of the library, and of its weight

---@class freddy
---@field version string
---@field null lightuserdata JSON's null, equal to cjson.null
---@field on_error? fun(err: freddy.Error) gets the errors of callbacks, and of
---  tasks that nobody waits for; without it they go to standard error
local freddy = {
  version = core.version,
  null = core.null,
}

--- The options of freddy.new.
---@class freddy.Options
---@field api_key? string|fun(): string sent as `key_header`. A function is
---  called for every request; it must not wait
---@field token? string a bearer token; it cannot be renewed
---@field auth? "key"|"none" "none": no credential yet
---@field base_url? string default https://api.freddy.aitronos.com. Plain http
---  to loopback addresses only
---@field key_header? string default api-key; newer servers want X-API-Key
---@field timeout? number|false|table seconds in all (default 600), or
---  { connect = 10, first_byte = 120, stall = 90, event = 300,
---  total = 600 }; false: none. `event` is for event streams, for which
---  `total` is off
---@field headers? table sent with every request: a map, or an array of
---  { name, value }
---@field user_agent? string default freddy/VERSION
---@field proxy? string "http://user:password@host:port", or https, socks5
---  (names are looked up here) or socks5h (by the proxy); "environment": what
---  HTTPS_PROXY and NO_PROXY say now. None by default
---@field no_proxy? string|string[] what is reached without the proxy: hosts,
---  domains, addresses, ranges; "*" is everything
---@field ca_file? string PEM file; replaces the system's store
---@field ca_blob? string the same as text; parsed for each connection, so that
---  ca_file is cheaper
---@field client_cert? string certificate for servers that ask for one: a PEM
---  file (which may hold the key, too), or PEM text
---@field client_key? string its key, not encrypted: a PEM file or PEM text
---@field max_body? integer bytes of an answer at most; default 64 MiB
---@field buffer? integer bytes of a stream that wait before the transfer
---  pauses; default 1 MiB. Of events, beyond the first one
---@field max_event? integer bytes of a line or an event of an event stream;
---  default 16 MiB
---@field http_version? "2"|"1.1" default "2", where the server offers it
---@field store? freddy.SessionFile|freddy.SharedDict|freddy.Redis|table keeps
---  the session, and shares a plan: see freddy.session_file and freddy.store
---@field json? { encode: function, decode: function } another JSON codec, such
---  as `require "cjson"`

--- Make a client. Without a credential among the options, FREDDY_API_KEY is
--- used, else FREDDY_JWT_TOKEN (not where `auth` asks for a key), and with
--- them FREDDY_BASE_URL and FREDDY_CA_FILE where those options are absent;
--- empty ones count as unset.
--- Does no network I/O and never waits. Raises on misuse.
---@param options? freddy.Options
---@return freddy.Client? client
---@return freddy.Error? err kind `missing_credentials`
function freddy.new(options)
  client = client or require "freddy.client"
  return client.new(options)
end

--- JSON as freddy sends and reads it.
freddy.json = { encode = json.encode, decode = json.decode }

--- Mark a table as a JSON array, so that it is `[]` even when it is empty.
---@param t? table a new one when nil
---@return table t
function freddy.array(t)
  if t ~= nil and type(t) ~= "table" then
    misuse.raise("freddy.array: a table expected (got %s)", misuse.type_of(t))
  end
  return core.json_array(t)
end

--- A file that keeps a session, for the option `store` of freddy.new. Every
--- process that names it has the same session; one of them renews it. It is
--- for its owner's eyes only (mode 0600) and replaced as a whole. Raises when
--- `path` is no path; touches no disk.
---@param path string
---@return freddy.SessionFile
freddy.session_file = session_file.new

--- Stores of sessions that nginx workers or machines share.
freddy.store = {}

--- A `lua_shared_dict` of this nginx. See freddy/store.lua.
---@param name string
---@param key? string default "freddy"; one for each session in it
---@return freddy.SharedDict
function freddy.store.shared_dict(name, key)
  return require "freddy.store".shared_dict(name, key)
end

--- A Redis server, inside nginx. See freddy/store.lua.
---@param given? { host: string?, port: integer?, key: string?,
---  password: string?, timeout: number? }
---@return freddy.Redis
function freddy.store.redis(given)
  return require "freddy.store".redis(given)
end

--- The arithmetic of a rate plan in a store of one's own. See
--- freddy/store.lua.
---@param state string|false|nil
---@param plan freddy.Plan
---@param count integer
---@param now number
---@return string state
---@return freddy.Permits permits
function freddy.store.take(state, plan, count, now)
  return require "freddy.store".take(state, plan, count, now)
end

--- As assert, with an error table as message, on every Lua: the assert of 5.1
--- and 5.2 takes only strings. Raises the error itself; on PUC Lua 5.1, whose
--- interpreter prints no table, its line.
---@generic T
---@param value T?
---@param err any
---@return T value
---@return any ...
function freddy.assert(value, err, ...)
  if value then
    return value, err, ...
  end
  if err == nil then
    err = "assertion failed!"
  elseif _VERSION == "Lua 5.1" and not rawget(_G, "jit") then
    err = tostring(err)
  end
  error(err, 0)
end

freddy.spawn = task.spawn
freddy.all = task.all
freddy.run = task.run
freddy.sleep = task.sleep
freddy.pcall = task.pcall

--- Handle the events that wait: resume tasks, call callbacks. Once per frame
--- in a loop of one's own. Never blocks, and returns after `budget` seconds
--- and at most one event more.
---@param budget? number seconds; nil: until nothing waits
---@return integer count how many events were handled
function freddy.poll(budget)
  return scheduler.poll(budget)
end

--- A descriptor that is readable while events wait, for a loop of one's own
--- that then calls freddy.poll. Only watch it: it belongs to freddy.
---@return integer? fd
---@return freddy.Error? err
function freddy.fd()
  return scheduler.fd()
end

local HOSTS = {
  block = true, loop = true, luv = true, copas = true, cqueues = true,
  nginx = true,
}

local function check_host(host)
  if type(host) ~= "table" or type(host.wait) ~= "function" then
    misuse.raise("freddy.use: the name of a host expected, or a table with a "
      .. "function wait (got %s)", misuse.type_of(host))
  end
  return host
end

--- Say how calls wait outside of tasks: "block" (scripts; the default),
--- "loop" (games and interfaces: such a call raises; the default in LÖVE),
--- "luv" (loops of libuv: it raises, too; the default in Neovim), "copas" or
--- "cqueues" (it yields the coroutine of theirs that makes it, and raises
--- elsewhere), "nginx" (it yields the light thread; the default there), or one
--- of your own (see freddy/host/block.lua). Raises when the host's module
--- cannot be loaded.
---@param host "block"|"loop"|"luv"|"copas"|"cqueues"|"nginx"|freddy.Host
function freddy.use(host)
  if type(host) ~= "string" then
    scheduler.use(check_host(host))
  elseif HOSTS[host] then
    local ok, new = pcall(require, "freddy.host." .. host)
    if not ok then
      misuse.raise("freddy.use: the host %q cannot be used: %s", host,
        tostring(new):match("[^\n]*"))
    end
    scheduler.use(new)
  else
    misuse.raise("freddy.use: unknown host %q%s", host,
      misuse.suggest(host, HOSTS))
  end
end

task.public = freddy

return freddy
