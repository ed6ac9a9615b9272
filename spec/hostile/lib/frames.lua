-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- HTTP/2 frames (RFC 9113, 4 and 6), as bytes.

local hpack = require "lib.hpack"

local frames = {}

--- What a client sends before its first frame (RFC 9113, 3.4).
frames.PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

frames.types = {
  DATA = 0, HEADERS = 1, PRIORITY = 2, RST_STREAM = 3, SETTINGS = 4,
  PUSH_PROMISE = 5, PING = 6, GOAWAY = 7, WINDOW_UPDATE = 8,
  CONTINUATION = 9,
}

frames.flags = {
  END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8, PRIORITY = 32,
}

frames.codes = {
  NO_ERROR = 0, PROTOCOL_ERROR = 1, INTERNAL_ERROR = 2,
  FLOW_CONTROL_ERROR = 3, SETTINGS_TIMEOUT = 4, STREAM_CLOSED = 5,
  FRAME_SIZE_ERROR = 6, REFUSED_STREAM = 7, CANCEL = 8,
  COMPRESSION_ERROR = 9, CONNECT_ERROR = 10, ENHANCE_YOUR_CALM = 11,
  INADEQUATE_SECURITY = 12, HTTP_1_1_REQUIRED = 13,
}

frames.settings = {
  HEADER_TABLE_SIZE = 1, ENABLE_PUSH = 2, MAX_CONCURRENT_STREAMS = 3,
  INITIAL_WINDOW_SIZE = 4, MAX_FRAME_SIZE = 5, MAX_HEADER_LIST_SIZE = 6,
}

local END_STREAM, END_HEADERS, ACK =
  frames.flags.END_STREAM, frames.flags.END_HEADERS, frames.flags.ACK

--- The number of an error code that is given by name, or in digits.
function frames.code(name)
  return frames.codes[name] or tonumber(name) or 0
end

--- Any frame. `size` makes its declared length a lie.
function frames.frame(kind, flags, id, payload, size)
  return (">I3BBI4"):pack(size or #payload, frames.types[kind] or kind,
    flags, id) .. payload
end

--- HEADERS, whole: an array of { name, value }, or a block of bytes.
function frames.headers(id, fields, last)
  local block = type(fields) == "string" and fields or hpack.encode(fields)
  return frames.frame("HEADERS", END_HEADERS | (last and END_STREAM or 0),
    id, block)
end

function frames.data(id, bytes, last)
  return frames.frame("DATA", last and END_STREAM or 0, id, bytes)
end

function frames.rst(id, code)
  return frames.frame("RST_STREAM", 0, id, (">I4"):pack(code))
end

function frames.goaway(last, code, text)
  return frames.frame("GOAWAY", 0, 0, (">I4I4"):pack(last, code)
    .. (text or ""))
end

function frames.window(id, size)
  return frames.frame("WINDOW_UPDATE", 0, id, (">I4"):pack(size))
end

function frames.ping(data, ack)
  return frames.frame("PING", ack and ACK or 0, 0, data)
end

--- SETTINGS of a map, or their acknowledgement without one.
function frames.setup(map)
  if not map then
    return frames.frame("SETTINGS", ACK, 0, "")
  end
  local out = {}
  for name, value in pairs(map) do
    out[#out + 1] = (">I2I4"):pack(frames.settings[name], value)
  end
  table.sort(out)
  return frames.frame("SETTINGS", 0, 0, table.concat(out))
end

--- Take the frame that begins at `at`: { kind, flags, id, payload } with
--- its kind as a number, and where the next begins; nil when it is not
--- whole yet.
function frames.parse(bytes, at)
  if #bytes < at + 8 then
    return nil
  end
  local size, kind, flags, id = (">I3BBI4"):unpack(bytes, at)
  if #bytes < at + 8 + size then
    return nil
  end
  return {
    kind = kind, flags = flags, id = id & 0x7fffffff,
    payload = bytes:sub(at + 9, at + 8 + size),
  }, at + 9 + size
end

--- A payload without the padding and the priority that flags tell of.
function frames.content(frame)
  local payload, pad = frame.payload, 0
  if frame.flags & frames.flags.PADDED ~= 0 then
    pad, payload = payload:byte(1) or 0, payload:sub(2)
  end
  if frame.kind == frames.types.HEADERS
      and frame.flags & frames.flags.PRIORITY ~= 0 then
    payload = payload:sub(6)
  end
  return payload:sub(1, -1 - pad)
end

return frames
