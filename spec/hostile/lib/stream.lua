-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- One HTTP/2 stream, as a scenario sees it: what to send, and the body of
--- its request. A method raises when the client has gone or has reset it.

local conn = require "lib.conn"
local frames = require "lib.frames"
local log = require "lib.log"

local MAX_KEPT = 8 << 20              -- of a request's body

local stream = {}
stream.__index = stream

--- A stream that the client has just opened.
function stream.new(session, id)
  return setmetatable({
    session = session, id = id, window = session.initial, pieces = {},
    body_size = 0, auto = true,
  }, stream)
end

--- Send bytes, whatever they are.
function stream:send(bytes)
  self.session:send(bytes)
end

--- Send a frame of this stream.
function stream:frame(kind, flags, payload, size)
  self:send(frames.frame(kind, flags, self.id, payload, size))
end

--- Send a header section. `more`: fields after the status; `last` ends the
--- stream.
function stream:head(status, more, last)
  local fields = { { ":status", status } }
  table.move(more or {}, 1, #(more or {}), 2, fields)
  self:send(frames.headers(self.id, fields, last))
end

--- Send bytes of the body, as the client's windows let them go.
function stream:data(bytes, last)
  local session = self.session
  repeat
    local room = math.min(self.window, session.window, session.max_frame)
    if room <= 0 and #bytes > 0 then
      self:wait(function()
        return math.min(self.window, session.window) > 0
      end)
    else
      local piece = bytes:sub(1, room)
      bytes = bytes:sub(room + 1)
      self.window = self.window - #piece
      session.window = session.window - #piece
      self:check()
      self:send(frames.data(self.id, piece, last and bytes == ""))
    end
  until bytes == ""
end

--- Send a right JSON answer. Optional: `status`, `type`, `fields`.
function stream:answer(body, options)
  options = options or {}
  local fields = {
    { "content-type", options.type or "application/json" },
    { "content-length", #body },
  }
  table.move(options.fields or {}, 1, #(options.fields or {}), 3, fields)
  local bare = self.request.method == "HEAD"
  self:head(options.status or 200, fields, bare)
  if not bare then
    self:data(body, true)
  end
end

--- Send RST_STREAM.
function stream:reset(code)
  self:send(frames.rst(self.id, code))
end

--- Let the client send `size` more bytes of its body.
function stream:open_window(size)
  self:send(frames.window(self.id, size))
end

--- Take the body as it comes, what has come before included.
function stream:accept_body()
  self.auto = true
  if self.body_size > 0 and not self.ended then
    self:open_window(self.body_size)
  end
end

--- Raise when nobody can be served any more.
function stream:check()
  if self.refused or self.session.over then
    error(conn.GONE, 0)
  end
end

--- Wait until `ready()` holds or `seconds` have passed (nil: no bound).
function stream:wait(ready, seconds)
  self.session:wait(function()
    self:check()
    return ready and ready()
  end, seconds)
end

--- Wait for the whole body of the request.
function stream:read_body()
  self:wait(function()
    return self.ended
  end)
  return table.concat(self.pieces)
end

--- Wait for `size` bytes of the request's body.
function stream:read_part(size)
  self:wait(function()
    return self.ended or self.body_size >= size
  end)
end

--- DATA has come for it.
function stream:take(data, last)
  self.body_size = self.body_size + #data
  if self.body_size <= MAX_KEPT then
    self.pieces[#self.pieces + 1] = data
  end
  self.record.body_size = self.body_size
  if last then
    self.ended = true
    log.note(self.record, { body_complete = true })
  elseif self.auto and #data > 0 then
    self:send(frames.window(self.id, #data))
  end
end

return stream
