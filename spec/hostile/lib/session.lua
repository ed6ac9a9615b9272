-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- The server's side of one HTTP/2 connection: reads frames, runs a
--- scenario for each stream in a coroutine of its own. What it says of
--- itself (SETTINGS) waits for the first request, whose scenario may want it
--- otherwise.

local condition = require "cqueues.condition"
local conn = require "lib.conn"
local cqueues = require "cqueues"
local frames = require "lib.frames"
local hpack = require "lib.hpack"
local http = require "lib.http"
local log = require "lib.log"
local stream = require "lib.stream"
local text = require "lib.text"

local MAX_BLOCK = 1 << 20             -- of a request's header section

local session = {}
session.__index = session

--- Take over a connection whose TLS handshake chose h2.
function session.new(self_conn, scenarios)
  return setmetatable({
    conn = self_conn, scenarios = scenarios, decoder = hpack.decoder(),
    streams = {}, running = 0, last_id = 0, unacknowledged = 0,
    wake = condition.new(), window = 65535, initial = 65535,
    max_frame = 16384,
  }, session)
end

--- Send bytes, one caller after the other.
function session:send(bytes)
  while self.writing do
    self.wake:wait()
  end
  if self.over then
    error(conn.GONE, 0)
  end
  self.writing = true
  local ok, why = pcall(self.conn.send, self.conn, bytes)
  self.writing = false
  self.wake:signal()
  if not ok then
    why = self.over and conn.GONE or why
    self.over = true
    error(why, 0)
  end
end

--- Wait until `ready()` holds or `seconds` have passed (nil: no bound).
function session:wait(ready, seconds)
  local limit = seconds and cqueues.monotime() + seconds
  while not ready() do
    local left = limit and limit - cqueues.monotime()
    if left and left <= 0 then
      return
    end
    cqueues.poll(self.wake, log.pulse, left)
  end
end

--- Send our SETTINGS, and acknowledge the client's; `settings` is false for
--- a server that never says hello.
function session:start(settings)
  self.started = true
  if settings == false then
    self.mute = true
    return
  end
  self:send(frames.setup(settings or {})
    .. frames.setup():rep(self.unacknowledged))
end

-- --- Requests -------------------------------------------------------------

local function new_request(fields)
  local request = { fields = fields, headers = {}, lines = {} }
  for i, field in ipairs(fields) do
    request.headers[field[1]] = field[2]
    request.lines[i] = field[1] .. ": " .. field[2]
  end
  request.method = request.headers[":method"] or ""
  request.target = request.headers[":path"] or ""
  return request
end

function session:record(one, request, name, args)
  one.record = {
    scenario = name, tag = args.tag, method = request.method,
    head = table.concat(request.lines, "\r\n"), target = request.target,
    line = request.method .. " " .. request.target .. " HTTP/2",
    headers = text.array(request.fields), nth = self.conn.served,
    stream = one.id, body_size = 0, body_complete = one.ended or false,
  }
  log.request(self.conn.entry, one.record)
end

-- Run a scenario; how it ends is the connection's end, where it says one.
function session:run(one, scenario, args)
  local ok, how = xpcall(function()
    if scenario.body ~= false then
      one.request.body = one:read_body()
    end
    return scenario.run(one, one.request, args)
  end, function(err)
    return err == conn.GONE and err or debug.traceback(err)
  end)
  self.running = self.running - 1
  if ok and how and how ~= "keep" then
    self.ending = how
  elseif not ok and how ~= conn.GONE then
    io.stderr:write("hostile server: ", tostring(how), "\n")
  end
  self.wake:signal()
end

local missing = {
  run = function(one)
    one:answer('{"error":"no such scenario"}', { status = 404 })
  end,
}

-- What one scenario wants said by SETTINGS holds for its connection.
local function settings_of(scenario, args)
  local settings = scenario.settings
  if type(settings) == "function" then
    return settings(args)
  end
  return settings
end

function session:open(one, fields)
  local request = new_request(fields)
  local name, args = http.parse_target(request.target)
  local scenario = self.scenarios[name or ""] or missing
  self.conn.served = self.conn.served + 1
  one.request, one.auto = request, scenario.body ~= false
  self:record(one, request, name, args)
  if not self.started then
    self:start(settings_of(scenario, args))
  end
  self.running = self.running + 1
  cqueues.running():wrap(function()
    self:run(one, scenario, args)
  end)
end

-- --- Frames that come in --------------------------------------------------

local takers = {}

function takers.HEADERS(self, frame)
  self.block, self.block_id = frames.content(frame), frame.id
  self.block_ends = frame.flags & frames.flags.END_STREAM ~= 0
  self:end_block(frame)
end

function takers.CONTINUATION(self, frame)
  self.block = (self.block or "") .. frame.payload
  self:end_block(frame)
end

function session:end_block(frame)
  if #self.block > MAX_BLOCK then
    error(conn.GONE, 0)
  elseif frame.flags & frames.flags.END_HEADERS == 0 then
    return
  end
  local fields = self.decoder:decode(self.block)
  local id, known = self.block_id, self.streams[self.block_id]
  if known then                       -- trailers
    known:take("", true)
    return
  end
  local one = stream.new(self, id)
  one.ended = self.block_ends
  self.streams[id], self.last_id = one, id
  self:open(one, fields)
end

function takers.DATA(self, frame)
  local one = self.streams[frame.id]
  local size = #frame.payload
  if size > 0 and not self.mute then
    self:send(frames.window(0, size))
  end
  if one then
    one:take(frames.content(frame),
      frame.flags & frames.flags.END_STREAM ~= 0)
  end
end

function takers.RST_STREAM(self, frame)
  local one = self.streams[frame.id]
  if one then
    one.refused = true
    log.note(one.record, { reset_by_client = (">I4"):unpack(frame.payload) })
  end
end

local function apply(self, name, value)
  if name == frames.settings.INITIAL_WINDOW_SIZE then
    for _, one in pairs(self.streams) do
      one.window = one.window + value - self.initial
    end
    self.initial = value
  elseif name == frames.settings.MAX_FRAME_SIZE then
    self.max_frame = value
  end
end

function takers.SETTINGS(self, frame)
  if frame.flags & frames.flags.ACK ~= 0 then
    return
  end
  for at = 1, #frame.payload - 5, 6 do
    apply(self, (">I2I4"):unpack(frame.payload, at))
  end
  if not self.started then
    self.unacknowledged = self.unacknowledged + 1
  elseif not self.mute then
    self:send(frames.setup())
  end
end

function takers.PING(self, frame)
  if frame.flags & frames.flags.ACK == 0 and not self.mute then
    self:send(frames.ping(frame.payload, true))
  end
end

function takers.GOAWAY(self, frame)
  local _, code = (">I4I4"):unpack(frame.payload)
  log.note(self.conn.entry, { client_goaway = code })
end

function takers.WINDOW_UPDATE(self, frame)
  local size = (">I4"):unpack(frame.payload)
  local one = self.streams[frame.id]
  if frame.id == 0 then
    self.window = self.window + size
  elseif one then
    one.window = one.window + size
  end
end

local by_number = {}
for name, number in pairs(frames.types) do
  by_number[number] = takers[name]
end

-- --- The connection -------------------------------------------------------

-- Serve the frames that have come; true when there were any.
function session:take_frames()
  local buf, at = self.conn.buf, 1
  local found = false
  while not self.ending do
    local frame, after = frames.parse(buf, at)
    if not frame then
      break
    end
    found, at = true, after
    local take = by_number[frame.kind]
    if take then
      take(self, frame)
    end
  end
  -- Nobody else reads: what came meanwhile is still in the socket.
  self.conn.buf = buf:sub(at)
  return found
end

-- Idle, and asked to drop idle connections?
function session:check_drop()
  local self_conn = self.conn
  if self_conn.drops == log.drops() or self.running > 0 then
    return
  end
  self_conn.drops = log.drops()
  if log.drop_how == "goaway" then
    self:send(frames.goaway(self.last_id, 0))
  else
    self.ending = log.drop_how
  end
end

function session:read()
  local readable = { pollfd = self.conn.sock:pollfd(), events = "r" }
  while not self.ending do
    self:check_drop()
    local came = self.conn:fill(0)
    if came then
      self:take_frames()
      self.wake:signal()
    elseif not self.ending then
      cqueues.poll(readable, self.wake, log.pulse)
    end
  end
end

--- Serve the connection until it ends.
function session:serve()
  while #self.conn.buf < #frames.PREFACE do
    self.conn:fill()
  end
  self.conn.buf = self.conn.buf:sub(#frames.PREFACE + 1)
  local ok, why = pcall(function()
    self:take_frames()
    self:read()
    while self.writing do
      self.wake:wait()
    end
  end)
  self.over = true
  self.wake:signal()
  if not ok then
    error(why, 0)
  end
  self.conn[self.ending](self.conn)
end

return session
