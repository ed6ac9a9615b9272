-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- Event streams: whole, cut at every byte, in drops, too large, endless.

local gzip = require "lib.gzip"
local http = require "lib.http"
local log = require "lib.log"
local names = require "lib.streams"

local streams = {}

local function number(value, default)
  return tonumber(value) or default
end

-- The head of an answer of `size` bytes, and how its pieces are framed.
local function open(conn, framing, size, args)
  local lines = { "Content-Type: " .. (args.type or "text/event-stream") }
  if args.coding then
    lines[2] = "Content-Encoding: " .. args.coding
  end
  if framing == "chunked" then
    lines[#lines + 1] = "Transfer-Encoding: chunked"
  elseif framing == "length" then
    lines[#lines + 1] = "Content-Length: " .. size
  else
    lines[#lines + 1] = "Connection: close"
  end
  conn:send(http.head(number(args.status, 200), lines))
  return framing == "chunked" and http.chunk or function(piece)
    return piece
  end
end

-- How the connection goes on after `how`; "end" ends the body as it should.
local function close(conn, framing, how)
  if how ~= "end" then
    return how
  elseif framing == "chunked" then
    conn:send "0\r\n\r\n"
  end
  return framing == "close" and "fin" or "keep"
end

local function send(conn, body, frame, args)
  local step, ms = number(args.step, #body), number(args.ms, 0) / 1000
  for at = 1, #body, math.max(1, step) do
    conn:send(frame(body:sub(at, at + step - 1)))
    if ms > 0 then
      conn:wait(ms)
    end
  end
end

streams["sse"] = {
  about = "the named event stream, or its first `n` bytes, in writes (and "
    .. "chunks) of `step` bytes, `ms` apart, and then `then`; with a gate, "
    .. "when it opens, the rest of it",
  args = "of=g3|g2|g1|plain n= step= ms=0 framing=chunked|length|close "
    .. "coding=gzip type=text/event-stream status=200 gate= "
    .. "then=end|fin|reset|hold",
  run = function(conn, _, args)
    local body = names.whole[args.of or "g3"] or names.whole.g3
    local framing, n = args.framing or "chunked", number(args.n, #body)
    if args.coding == "gzip" then
      body = gzip.compress(body)
      n = number(args.n, #body)
    end
    local frame = open(conn, framing, #body, args)
    send(conn, body:sub(1, n), frame, args)
    if args.gate then
      conn:wait(nil, function()
        return log.released(args.gate)
      end)
      send(conn, body:sub(n + 1), frame, args)
    end
    return close(conn, framing, args["then"] or "end")
  end,
}

streams["sse-event"] = {
  about = "an event of `size` bytes of data in `lines` lines, then one more",
  args = "size=65536 lines=1",
  run = function(conn, _, args)
    local body = names.event(number(args.size, 65536), number(args.lines, 1))
    send(conn, body, open(conn, "chunked", 0, args), { step = 1 << 20 })
    return close(conn, "chunked", "end")
  end,
}

streams["sse-endless"] = {
  about = "after the first `n` bytes of the named stream, if any, a part of "
    .. "one without end, by `kind`; `mb` MiB bound it, with `ms` between two",
  args = "kind=line|comment|id|name|field|lines|empty-lines|fields|ids|"
    .. "blanks|comments|heartbeats|events mb=64 ms=0 of= n=0",
  run = function(conn, _, args)
    local kind = names.endless[args.kind or "line"] or names.endless.line
    local left, ms = number(args.mb, 64) << 20, number(args.ms, 0) / 1000
    local piece = kind[2]
    if ms == 0 then
      piece = piece:rep((1 << 15) // #piece)
    end
    local frame = open(conn, "chunked", 0, args)
    local start = (names.whole[args.of or ""] or ""):sub(1,
      number(args.n, 0)) .. kind[1]
    if start ~= "" then
      conn:send(frame(start))
    end
    while left > 0 do
      conn:send(frame(piece))
      left = left - #piece
      if ms > 0 then
        conn:wait(ms)
      end
    end
    return close(conn, "chunked", "end")
  end,
}

return streams
