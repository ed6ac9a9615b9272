-- SPDX-License-Identifier: MIT
--- What specs share: where the servers are, how to set them up and read
--- them, and how to wait and to raise. `spec/run` sets the environment.

local json = require("cjson")
local socket = require("socket")

local helper = {}

local function env(name)
  return os.getenv("FY_TEST_" .. name)
    or error("FY_TEST_" .. name .. " is not set: run spec/run", 3)
end

-- Read when asked for, so that a spec without a server needs none.
local places = {
  base_url = "BASE_URL", ca_file = "CA_FILE", api_key = "API_KEY",
  token = "JWT_TOKEN", http = "EMULATOR_HTTP",
  control_url = "EMULATOR_CONTROL", hostile_url = "HOSTILE", lua = "LUA",
  email = "EMULATOR_EMAIL", password = "EMULATOR_PASSWORD",
  top = "TOP", build = "BUILD",
}

setmetatable(helper, {
  __index = function(_, name)
    return places[name] and env(places[name])
  end,
})

--- The value of FY_TEST_<name>; raises when it is not set.
function helper.env(name)
  return env(name)
end

helper.json = json

--- One plain HTTP/1.0 exchange over luasocket: no freddy in it.
---@param method string
---@param url string
---@param body? string
---@return integer status, string body, string head
function helper.http_request(method, url, body)
  local host, port, path = url:match("^http://([^:/]+):(%d+)(.*)$")
  assert(host, "helper.http_request wants http://host:port/path")
  local conn = assert(socket.connect(host, tonumber(port)))
  conn:settimeout(30)
  assert(conn:send(table.concat({
    method .. " " .. (path == "" and "/" or path) .. " HTTP/1.0",
    "Host: " .. host .. ":" .. port,
    "Content-Type: application/json",
    "Content-Length: " .. #(body or ""),
    "Connection: close", "", body or "",
  }, "\r\n")))
  local answer, why, partial = conn:receive("*a")
  conn:close()
  answer = answer or partial
  local head, rest = answer:match("^(.-\r\n)\r\n(.*)$")
  assert(head, why or "no answer from " .. url)
  return tonumber(head:match("^HTTP/%d%.%d (%d+)")), rest, head
end

-- The decoded JSON answer of a control request; raises unless it is a 200.
local function control(method, url, body)
  local status, text = helper.http_request(method, url, body)
  if status ~= 200 then
    error(method .. " " .. url .. ": " .. status .. " " .. text, 3)
  end
  return text ~= "" and json.decode(text) or nil
end

local function escape(value)
  return (tostring(value):gsub("[^%w._~-]", function(char)
    return ("%%%02X"):format(char:byte())
  end))
end

local function query(args)
  local parts = {}
  for name, value in pairs(args or {}) do
    parts[#parts + 1] = escape(name) .. "=" .. escape(value)
  end
  table.sort(parts)
  return #parts > 0 and "?" .. table.concat(parts, "&") or ""
end

--- Turn the emulator's switches (emulator/lua/control.lua names them all):
--- `helper.control({ fail = { path = "/v1/models", status = 500 } })`.
function helper.control(switches)
  return control("POST", helper.control_url .. "/control",
    json.encode(switches))
end

--- Put the emulator back to how it started, counters included.
function helper.reset()
  return helper.control({ reset = true })
end

--- A session without a login: `token`, `refresh_token`, `expires_at`,
--- `refresh_expires_at`. `options` are those of the switch `mint`.
function helper.session(options)
  local mint = { session = true }
  for name, value in pairs(options or {}) do
    mint[name] = value
  end
  return helper.control({ mint = mint })
end

--- What the emulator has counted since the last reset.
function helper.counters()
  return control("GET", helper.control_url .. "/control")
end

--- The URL of a scenario of the hostile server (spec/hostile/README.md).
--- `listener` is one of its exports, such as "HOSTILE_TLS_OK".
function helper.hostile(name, args, listener)
  return env(listener or "HOSTILE") .. "/s/" .. name .. query(args)
end

--- What the hostile server saw; `args` may name what to wait for.
function helper.hostile_log(args)
  return control("GET", helper.hostile_url .. "/control/log" .. query(args))
end

--- Open a gate of the hostile server: see the scenario `gate`.
function helper.hostile_release(gate)
  return control("POST", helper.hostile_url .. "/control/release?gate="
    .. escape(gate))
end

local rows = {}
for _, row in ipairs(require "freddy.kinds") do
  rows[row.kind .. "/" .. (row.reason or "")] = row
end

--- The kind and reason of a failure that no server named must have a row of
--- their own, from which the error reference is made.
function helper.documented(err)
  local name = err.kind .. "/" .. (err.reason or "")
  if not rows[name] then
    error("lua/freddy/kinds.lua has no row for " .. name, 2)
  end
end

--- Forget what the hostile server saw.
function helper.hostile_reset()
  return control("POST", helper.hostile_url .. "/control/reset")
end

--- A client of the emulator with its API key, which repeats nothing.
--- `options` win; a credential among them takes the key's place.
function helper.client(options)
  local freddy = require("freddy")
  local given = { base_url = helper.base_url, ca_file = helper.ca_file,
    retries = 0 }
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  if not (given.api_key or given.token or given.refresh_token
      or given.auth or given.store) then
    given.api_key = helper.api_key
  end
  return assert(freddy.new(given))
end

--- The line it is called on.
function helper.line()
  return debug.getinfo(2, "l").currentline
end

--- `fn` must raise, with a position inside its own body (so: where it made
--- the mistake, not inside the library) and a message that has `pattern`.
--- It gets the further arguments.
---@return string message without the position
function helper.raises_here(fn, pattern, ...)
  local ok, message = pcall(fn, ...)
  if ok then
    error("did not raise", 2)
  end
  message = tostring(message)
  local info = debug.getinfo(fn, "S")
  local file, line, text = message:match("^(.-):(%d+): (.*)$")
  line = tonumber(line)
  if not line or info.short_src ~= file or line < info.linedefined
      or line > info.lastlinedefined then
    error(("raised elsewhere than at its caller (%s:%d-%d): %s"):format(
      info.short_src, info.linedefined, info.lastlinedefined, message), 2)
  end
  if pattern and not text:find(pattern) then
    error(("the message does not have %q: %s"):format(pattern, text), 2)
  end
  return text
end

local function turn(freddy)
  local running, is_main = coroutine.running()
  if running and not is_main then
    freddy.sleep(0.005)
  else
    freddy.poll(0.005)
    socket.sleep(0.002)
  end
end

--- Serve events until `condition` gives a true value, and return that.
--- Raises when `seconds` (10) have passed. Works in every host, and in tasks.
function helper.eventually(condition, seconds)
  local freddy = require("freddy")
  local limit = socket.gettime() + (seconds or 10)
  repeat
    local value = condition()
    if value then
      return value
    end
    turn(freddy)
  until socket.gettime() > limit
  error(("not within %g s"):format(seconds or 10), 2)
end

--- Collect all that nobody has any more. LuaJIT's compiled code keeps the
--- functions that it was compiled with, and their upvalues: it is thrown away.
function helper.collect()
  local jit = rawget(_G, "jit")
  if jit then
    jit.flush()
  end
  for _ = 1, 4 do -- what one finalizer lets go of may have another
    collectgarbage()
  end
end

--- Everything that can be read of a value, as one text.
---@param value any
---@param seen? table<table, boolean> tables that are in it already
---@return string
function helper.text_of(value, seen)
  seen = seen or {}
  if type(value) ~= "table" then
    return tostring(value)
  elseif seen[value] then
    return ""
  end
  seen[value] = true
  local parts = { tostring(value) }
  for key, item in pairs(value) do
    parts[#parts + 1] = helper.text_of(key, seen) .. "="
      .. helper.text_of(item, seen)
  end
  return table.concat(parts, "\n")
end

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- Run Lua source in a process of its own, on the same Lua and paths.
---@param source string
---@param environment? table<string, string> set for it; FREDDY_* too
---@return string output, integer status, both streams together
function helper.script(source, environment)
  local file = os.tmpname()
  local handle = assert(io.open(file, "w"))
  handle:write(source)
  handle:close()
  local words = { "env" }
  for name, value in pairs(environment or {}) do
    words[#words + 1] = quote(name .. "=" .. value)
  end
  words[#words + 1] = quote(helper.lua)
  words[#words + 1] = quote(file)
  local pipe = assert(io.popen(table.concat(words, " ")
    .. " 2>&1; printf '\\n%d' $?"))
  local output = pipe:read("*a")
  pipe:close()
  os.remove(file)
  local text, status = output:match("^(.*)\n(%d+)$")
  return text, tonumber(status)
end

--- Two that have as much to read as one likes, each reading until both have
--- got on: why a task failed, or nil.
---@param open fun(): table
---@param take string the method that reads
function helper.take_turns(open, take)
  local freddy = require("freddy")
  local seen = {}
  local function reader(name, other)
    local source = freddy.assert(open())
    freddy.assert(source[take](source))
    return function()
      while not (seen[name] and seen[other]) do
        freddy.assert(source[take](source))
        seen[name] = true
      end
      source:cancel()
      return true
    end
  end
  local _, errs = freddy.all { reader("a", "b"), reader("b", "a") }
  return errs
end

-- Read on, and look at each event: its number leads its data.
function helper.check_order(stream, from, to)
  for i = from, to do
    local event, err = stream:next()
    if not event or event.data:match "^%d+" ~= tostring(i) then
      error(("event %d: %s"):format(i, tostring(event and event.data:sub(1, 20)
        or err)))
    end
  end
end

return helper
