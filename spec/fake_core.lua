-- SPDX-License-Identifier: MIT
--- A stand-in for freddy.core, in plain Lua: no server, no thread, and a clock
--- that moves only when somebody waits. What it answers is scripted, so that
--- specs of tasks and errors are deterministic.
---
---     local fake = require("spec.fake_core").load()
---     fake.script = function(request)
---       return { status = 200, body = "{}" }
---     end
---     fake.freddy.new { api_key = "..." }
---
--- An answer is { status =, headers = { name, value, ... }, body = } or
--- { err = { kind =, ... } }, after `delay` seconds; `hold = true` never ends;
--- { refuse = { kind =, ... } } makes client:start fail.
local cjson = require "cjson"

local fake_core = {}

-- --- Inbox and calls -----------------------------------------------------

local Inbox, Call, Client = {}, {}, {}
Inbox.__index, Call.__index, Client.__index = Inbox, Call, Client

-- `at` is nil for what never ends by itself.
local function new_call(inbox, id, at, answer)
  local call = setmetatable({
    inbox = inbox, id = id, at = at, answer = answer,
  }, Call)
  if at then
    table.insert(inbox.scheduled, call)
  end
  return call
end

local function unschedule(call)
  local list = call.inbox.scheduled
  for i = #list, 1, -1 do
    if list[i] == call then
      table.remove(list, i)
    end
  end
end

local function finish(call)
  unschedule(call)
  call.ended = true
  table.insert(call.inbox.queue, call)
end

function Call:cancel()
  if not self.ended and not self.freed then
    self.answer = { err = { kind = "cancelled", message = "cancelled" } }
    self.inbox.world.cancelled = self.inbox.world.cancelled + 1
    finish(self)
  end
end

-- Each request is sent at once.
function Call:tried()
  return 1, true
end

function Call:free()
  unschedule(self)
  self.freed = true
end

function Call:done()
  return self.taken == true
end

local function copy(list)
  local out = {}
  for i = 1, #list do
    out[i] = list[i]
  end
  return out
end

local function response_of(answer)
  return {
    status = answer.status, headers = copy(answer.headers or {}),
    body = answer.body or "", url = answer.url or "https://fake/",
    attempts = answer.attempts or 1, retry_after = answer.retry_after,
    timing = { dns = 0, connect = 0, tls = 0, first_byte = 0, total = 0 },
    http_version = 11, reused = false, sent = 0, received = 0,
  }
end

function Call:result()
  if not self.taken or self.freed then
    return nil
  end
  local answer = self.answer
  local err = answer.err
  if not err then
    return response_of(answer)
  end
  err = { kind = err.kind, reason = err.reason, message = err.message,
    sent = err.sent or false }
  return nil, err, answer.status and response_of(answer) or nil
end

function Call:data()
  return self.inbox.world.core.json_decode(self.answer.body)
end

local function deliver_due(self)
  local now = self.world.now
  table.sort(self.scheduled, function(a, b)
    return a.at < b.at or a.at == b.at and a.id < b.id
  end)
  while self.scheduled[1] and self.scheduled[1].at <= now do
    finish(self.scheduled[1])
  end
end

function Inbox:ready()
  if self.is_forked then
    return false
  end
  self.world.asked = self.world.asked + 1
  deliver_due(self)
  return #self.queue > 0
end

function Inbox:wait()
  if self.is_forked then
    return false
  end
  deliver_due(self)
  if #self.queue == 0 then
    local call = self.scheduled[1]
    if not call then
      error("fake_core: waiting for what will never come", 0)
    end
    self.world.now = call.at
    deliver_due(self)
  end
  return true
end

function Inbox:next()
  if self.is_forked then
    return nil
  end
  deliver_due(self)
  local call = table.remove(self.queue, 1)
  while call and call.freed do
    call = table.remove(self.queue, 1)
  end
  if not call then
    return nil
  end
  call.taken = true
  return call.id, "done"
end

function Inbox:fd()
  return self.world.fd_error == nil and 7 or nil, self.world.fd_error
end

function Inbox:forked()
  return self.is_forked == true
end

function Inbox:timer(id, seconds)
  return new_call(self, id, self.world.now + seconds, {})
end

-- --- Client --------------------------------------------------------------

function Client:start(inbox, id, request)
  local world = self.world
  if self.closed then
    return nil, { kind = "closed", message = "the client is closed" }
  end
  local seen = {}
  for name, value in pairs(request) do
    seen[name] = value
  end
  table.insert(world.requests, seen)
  if seen.path:find("%c") then
    return nil, { kind = "misuse", message = "path: a control character" }
  elseif self.kind == "none" and not seen.api_key and seen.auth ~= "off" then
    return nil, { kind = "missing_credentials", message = "no credential" }
  end
  local answer = world.script(seen, #world.requests)
  if answer.refuse then
    return nil, answer.refuse
  end
  local at = not answer.hold and world.now + (answer.delay or 0) or nil
  return new_call(inbox, id, at, answer)
end

function Client:listen(inbox, id)
  return new_call(inbox, id, nil, {})
end

function Client:close()
  self.closed = true
end

function Client:set_credential(kind, secret)
  if self.closed then
    return nil, { kind = "closed", message = "the client is closed" }
  end
  self.kind, self.secret = kind, secret
  return true
end

function Client:credential()
  local secret = self.secret or ""
  return self.kind, #secret >= 20 and secret:sub(-4) or ""
end

function Client:status()
  local kind, tail = self:credential()
  return {
    kind = kind, tail = tail, state = kind == "none" and "empty" or "fresh",
    refreshing = false, refreshes = 0, saving = false,
  }
end

function Client:set_session(access, refresh, expires_in)
  if self.closed then
    return nil, { kind = "closed", message = "the client is closed" }
  end
  self.kind, self.secret = "session", access or refresh
  self.refresh, self.expires_in = refresh, expires_in
  return true
end

function Client:forget()
  self.kind, self.secret = "none", nil
end

function Client:redact(text)
  if not self.secret then
    return text
  end
  local plain = self.secret:gsub("%p", "%%%0")
  return (text:gsub(plain, "***"))
end

-- --- The module ----------------------------------------------------------

local OURS = { ["content-length"] = true, host = true, connection = true }
local CREDENTIAL = {
  authorization = true, ["api-key"] = true, ["x-api-key"] = true,
  ["proxy-authorization"] = true,
}

local function find_function(value, path)
  if type(value) == "function" then
    return path .. ": a function cannot be sent as JSON"
  elseif type(value) == "table" then
    for key, item in pairs(value) do
      local step = type(key) == "number" and ("[%d]"):format(key)
        or (path == "" and "" or ".") .. key
      local found = find_function(item, path .. step)
      if found then
        return found
      end
    end
  end
end

local function json_functions(core)
  function core.json_encode(value)
    local message = find_function(value, "")
    if message then
      return nil, message
    end
    return cjson.encode(value)
  end
  function core.json_decode(text)
    local ok, value = pcall(cjson.decode, text)
    if not ok then
      return nil, value
    end
    return value
  end
  core.null = cjson.null
  function core.json_array(t)
    return t or {}
  end
end

local function text_functions(core)
  function core.encode_uri(text)
    if text == "." or text == ".." then
      return (text:gsub("%.", "%%2E"))
    end
    return (text:gsub("[^%w%-%._~]", function(c)
      return ("%%%02X"):format(c:byte())
    end))
  end
  function core.is_token(text)
    return text:find("^[%w!#$%%&'*+%-.^_`|~]+$") ~= nil
  end
  function core.is_no_proxy(list)
    return not list:find "[^%w.,:/*%[%] -]"
  end

  function core.is_value(text)
    return not text:find("[%z\1-\8\10-\31\127]") and not text:find("^[ \t]")
      and not text:find("[ \t]$")
  end
  function core.header_owner(name, key_header)
    name = name:lower()
    if CREDENTIAL[name] or key_header and name == key_header:lower() then
      return "credential"
    end
    return OURS[name] and "ours" or "free"
  end
end

local function new_core(world)
  local core = { version = "0.0.0-fake" }
  json_functions(core)
  text_functions(core)
  function core.now()
    return world.now
  end
  function core.inbox()
    world.inbox = setmetatable({
      world = world, queue = {}, scheduled = {},
    }, Inbox)
    return world.inbox
  end
  function core.client(options)
    world.options = options
    if options.base_url and not options.base_url:find("^https?://") then
      return nil, { kind = "misuse", message = "base_url: no URL" }
    end
    return setmetatable({
      world = world, secret = options.api_key or options.token,
      kind = options.api_key and "key" or options.token and "token" or "none",
    }, Client)
  end
  return core
end

local function is_ours(name)
  return name == "freddy" or name:sub(1, 7) == "freddy."
end

local function take_modules()
  local taken = {}
  for name, value in pairs(package.loaded) do
    if type(name) == "string" and is_ours(name) then
      taken[name] = value
    end
  end
  for name in pairs(taken) do
    package.loaded[name] = nil
  end
  return taken
end

--- Load freddy anew on top of a fake core; what was loaded before stays.
---@return table world { freddy, core, script, requests, options, now }
function fake_core.load()
  local world = {
    now = 1000, requests = {}, cancelled = 0, asked = 0,
    script = function()
      return { status = 200, body = "" }
    end,
  }
  local before = take_modules()
  world.core = new_core(world)
  package.loaded["freddy.core"] = world.core
  world.freddy = require "freddy"
  world.freddy.new { auth = "none" } -- loads the client: from this world
  world.options = nil
  world.errors = require "freddy.errors"
  world.api = require "freddy.api"
  take_modules()
  for name, value in pairs(before) do
    package.loaded[name] = value
  end
  -- The host modules hold no state: freddy.use may load them again.
  return world
end

--- The table of kinds, which is data only.
function fake_core.kinds()
  return require "freddy.kinds"
end

--- Let the time pass, without waiting.
function fake_core.advance(world, seconds)
  world.now = world.now + seconds
end

--- Run a function; it must raise at one of its own lines, naming `text`.
function fake_core.raises(text, fn)
  local ok, err = pcall(fn)
  assert(not ok, "nothing was raised for: " .. text)
  local info = debug.getinfo(fn, "S")
  local file, line = tostring(err):match("^(.-):(%d+): ")
  assert(file == info.short_src, err)
  line = tonumber(line)
  assert(line >= info.linedefined and line <= info.lastlinedefined, err)
  assert(err:find(text, 1, true), err .. " lacks " .. text)
end

return fake_core
