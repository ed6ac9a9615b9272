-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- One accepted connection: reads requests, writes bytes exactly as told,
--- and ends by a FIN, by a reset, or when the client has gone.

local cqueues = require "cqueues"
local errno = require "cqueues.errno"
local luasocket = require "socket"
local socket = require "cqueues.socket"
local log = require "lib.log"
local text = require "lib.text"

local MAX_HEAD = 1 << 20              -- of a request
local MAX_KEPT = 80 << 20             -- of a request's body
local LINGER = 5                      -- seconds a FIN waits for its answer
local HANDSHAKE = 600                 -- seconds a client may take for it
local WRITE = 120                     -- seconds one write may stand still

local conn = {}
conn.__index = conn

-- What a method raises when the client has gone: not an error, but the
-- end of the scenario.
local GONE = setmetatable({}, {
  __tostring = function()
    return "the client has gone"
  end,
})
conn.GONE = GONE

--- Take over an accepted socket.
function conn.new(sock, listener)
  sock:setmode("bn", "bn")
  sock:onerror(function(_, _, why)
    return why
  end)
  local _, _, port = sock:peername()
  local self = setmetatable({
    sock = sock, buf = "", entry = log.open(listener, port or 0),
    served = 0, drops = log.drops(),
  }, conn)
  return self
end

function conn:gone(why)
  local how = "client"
  if why == errno.ECONNRESET then
    how = "client-reset"
  elseif type(why) == "number" and why ~= errno.EPIPE then
    how = "client: " .. tostring(errno.strerror(why))
  end
  log.note(self.entry, {
    open = false, client_closed = true,
    closed_by = self.entry.closed_by or how,
  })
  error(GONE, 0)
end

-- A close with bytes unread would be a reset, and that would overtake the
-- alert that says why. TLS is over: these are read off the wire.
local function drain(self)
  local wire = socket.dup(self.sock:pollfd())
  local limit = cqueues.monotime() + LINGER
  wire:setmode("bn", "bn")
  wire:onerror(function(_, _, why)
    return why
  end)
  wire:shutdown("w")
  while wire:xread(-4096, "bn", limit - cqueues.monotime()) do
    wire:clearerr()
  end
  wire:close()
end

--- Do the server's part of a TLS handshake; its outcome is logged.
function conn:handshake(context)
  local ok, why = self.sock:starttls(context, HANDSHAKE)
  if ok then
    log.note(self.entry, { handshake = "ok" })
    return
  end
  local text_of = type(why) == "number" and errno.strerror(why) or why
  log.note(self.entry, { handshake = tostring(text_of) })
  drain(self)
  error(GONE, 0)
end

--- Read what has come, for at most `timeout` seconds (nil: for ever).
--- Returns true, or false when nothing came; raises when the client has
--- closed.
function conn:fill(timeout)
  local data, why = self.sock:xread(-65536, "bn", timeout)
  if data then
    self.buf = self.buf .. data
    local entry = self.entry
    -- Where no TLS session exists, the bytes are not the application's.
    local count = entry.wire and "wire_received" or "received"
    entry[count] = (entry[count] or 0) + #data
    if #entry.first_bytes < 4096 then
      entry.first_bytes = (entry.first_bytes .. data):sub(1, 4096)
    end
    return true
  elseif why == errno.ETIMEDOUT or why == errno.EAGAIN then
    self.sock:clearerr()
    return false
  end
  return self:gone(why)
end

--- Write bytes; raises when the client has gone.
function conn:send(data)
  for at = 1, #data, 65536 do
    local piece = data:sub(at, at + 65535)
    local ok, why = self.sock:xwrite(piece, "bn", WRITE)
    if not ok then
      self:gone(why)
    end
    self.entry.sent = self.entry.sent + #piece
  end
end

--- Wait until `ready()` holds or `seconds` have passed (nil: no bound).
--- Notices a client that closes meanwhile.
function conn:wait(seconds, ready)
  local limit = seconds and cqueues.monotime() + seconds
  local readable = { pollfd = self.sock:pollfd(), events = "r" }
  self:fill(0)
  while not (ready and ready()) do
    local left = limit and limit - cqueues.monotime()
    if left and left <= 0 then
      return
    end
    -- A client that pipelines for ever is left to its socket's buffer.
    if #self.buf < MAX_HEAD then
      cqueues.poll(readable, log.pulse, left)
      self:fill(0)
    else
      cqueues.poll(log.pulse, left)
    end
  end
end

--- Write bytes in pieces of `step`, `ms` apart.
function conn:drip(data, step, ms)
  for at = 1, #data, step do
    self:send(data:sub(at, at + step - 1))
    if ms > 0 then
      self:wait(ms / 1000)
    end
  end
end

--- Stay open, throwing away what comes, until the client closes.
function conn:hold()
  while true do
    self:fill()
    self.buf = ""
  end
end

function conn:closed(how)
  self.sock:close()
  log.note(self.entry, {
    open = false, closed_by = self.entry.closed_by or how,
  })
end

--- Close with a FIN: half first, so that unread bytes cannot turn it into
--- a reset, then wholly when the client has closed too.
function conn:fin()
  self.entry.closed_by = "server"
  self.sock:shutdown("w")
  local limit = cqueues.monotime() + LINGER
  pcall(function()
    while cqueues.monotime() < limit do
      self:fill(limit - cqueues.monotime())
      self.buf = ""
    end
  end)
  self:closed("server")
end

--- Close as one that only HTTP/2 could announce.
conn.goaway = conn.fin

-- Neither cqueues nor luaossl sets socket options such as SO_LINGER;
-- luasocket does, on any descriptor lent to it.
local function set_option(self, name, value)
  local handle = luasocket.tcp()
  handle:setfd(self.sock:pollfd())
  handle:setoption(name, value)
  handle:setfd(-1)
end

--- Have the system read at most `size` bytes (or what it thinks right) before
--- they are read here.
function conn:limit_window(size)
  set_option(self, "recv-buffer-size", size)
end

--- Close with a reset.
function conn:reset()
  set_option(self, "linger", { on = true, timeout = 0 })
  self:closed("server-reset")
end

--- Let the client fill its window and no more. Without reading, its close
--- cannot be seen: this lasts until the log is reset.
function conn:ignore()
  local epoch = log.epoch
  self:limit_window(4096)
  while log.epoch == epoch do
    log.pulse:wait()
  end
  self:reset()
end

--- Take the next `size` bytes; raises when the client has closed before.
function conn:take(size)
  while #self.buf < size do
    self:fill()
  end
  local data = self.buf:sub(1, size)
  self.buf = self.buf:sub(size + 1)
  return data
end

local function take_line(self)
  while true do
    local line, rest = self.buf:match("^(.-)\r?\n(.*)$")
    if line then
      self.buf = rest
      return line
    end
    if #self.buf > MAX_HEAD then
      error(GONE, 0)
    end
    self:fill()
  end
end

-- Feed a body of known size to `add`, in pieces of at most `step` bytes.
local function read_sized(self, size, add, step)
  while size > 0 do
    if self.buf == "" then
      self:fill()
    end
    local data = self:take(math.min(size, #self.buf, step))
    size = size - #data
    add(data)
  end
end

local function read_chunked(self, add, step)
  while true do
    local size = tonumber(take_line(self):match("^%x+") or "0", 16)
    if size == 0 then
      break
    end
    read_sized(self, size, add, step)
    take_line(self)
  end
  repeat until take_line(self) == ""
end

--- Read the next request's head. Raises when the client closes, also
--- between requests, or when idle connections are dropped.
function conn:read_head()
  local first
  while true do
    local _, last = self.buf:find("\r\n\r\n", first or 1, true)
    if last then
      return self:parse_head(self:take(last))
    end
    if #self.buf > MAX_HEAD then
      error(GONE, 0)
    end
    first = math.max(1, #self.buf - 2)
    if self.buf ~= "" then
      self:fill()
    else
      self:wait(nil, function()
        return self.buf ~= "" or self.drops ~= log.drops()
      end)
      if self.buf == "" then
        self.drops = log.drops()
        self[log.drop_how](self)
        error(GONE, 0)
      end
    end
  end
end

function conn:parse_head(raw)
  local method, target, version = raw:match("^(%S+) (%S+) (HTTP/[%d.]+)\r\n")
  local request = {
    raw = raw, method = method or "", target = target or "",
    version = version or "", fields = {}, headers = {}, body_size = 0,
    body_complete = false,
  }
  for name, value in raw:gmatch("\r\n([^:\r\n]+):[ \t]*([^\r\n]*)") do
    table.insert(request.fields, { name, value })
    request.headers[name:lower()] = value
  end
  local path, query = request.target:match("^([^?]*)%??(.*)$")
  request.path = text.unpercent(path)
  request.args = text.query(query)
  return request
end

--- Read a request's body. Optional: `pace(size)`, called for each piece,
--- and the largest size of a piece.
function conn:read_body(request, pace, step)
  local pieces, record = {}, request.record
  step = step or math.maxinteger
  local function add(data)
    request.body_size = request.body_size + #data
    record.body_size = request.body_size
    if request.body_size <= MAX_KEPT then
      pieces[#pieces + 1] = data
    end
    if pace then
      pace(#data)
    end
  end
  if (request.headers["transfer-encoding"] or ""):find("chunked") then
    read_chunked(self, add, step)
  else
    local size = tonumber(request.headers["content-length"]) or 0
    read_sized(self, size, add, step)
  end
  request.body = table.concat(pieces)
  log.note(record, { body_complete = true })
end

--- Read no more than the first `size` bytes of what follows a head.
function conn:read_part(request, size)
  local data = self:take(size)
  log.note(request.record, { body_size = #data })
end

--- Send the answer to the current request: to HEAD, its head alone.
function conn:answer(message)
  if self.request.method == "HEAD" then
    message = message:match("^.-\r\n\r\n")
  end
  self:send(message)
end

return conn
