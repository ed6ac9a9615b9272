-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- HTTP/2: event streams: whole, reset in the middle, in drops, endless.

local frames = require "lib.frames"
local log = require "lib.log"
local names = require "lib.streams"

local streams = {}

local head = { { "content-type", "text/event-stream" } }

local function number(value, default)
  return tonumber(value) or default
end

local function send(stream, body, args)
  local step, ms = number(args.step, #body), number(args.ms, 0) / 1000
  for at = 1, #body, math.max(1, step) do
    stream:data(body:sub(at, at + step - 1))
    if ms > 0 then
      stream:wait(nil, ms)
    end
  end
end

-- The stream's end, or the connection's.
local function close(stream, how, code)
  if how == "end" then
    stream:data("", true)
  elseif how == "rst" then
    stream:reset(frames.code(code or "CANCEL"))
  elseif how == "goaway" then
    stream:send(frames.goaway(stream.id, frames.code(code or "NO_ERROR")))
    return "fin"
  elseif how ~= "hold" then
    return how
  end
end

streams["sse"] = {
  about = "the named event stream, or its first `n` bytes, in frames of "
    .. "`step` bytes, `ms` apart, and then `then` (`goaway` closes, too); "
    .. "with a gate, when it opens, the rest of it",
  args = "of=g3|g2|g1|plain n= step= ms=0 gate= "
    .. "then=end|rst|goaway|fin|reset|hold code=",
  run = function(stream, _, args)
    local body = names.whole[args.of or "g3"] or names.whole.g3
    local n = number(args.n, #body)
    stream:head(200, head)
    send(stream, body:sub(1, n), args)
    if args.gate then
      stream:wait(function()
        return log.released(args.gate)
      end)
      send(stream, body:sub(n + 1), args)
    end
    return close(stream, args["then"] or "end", args.code)
  end,
}

streams["sse-event"] = {
  about = "an event of `size` bytes of data in `lines` lines, then one more",
  args = "size=65536 lines=1",
  run = function(stream, _, args)
    stream:head(200, head)
    stream:data(names.event(number(args.size, 65536),
      number(args.lines, 1)), true)
  end,
}

streams["sse-endless"] = {
  about = "after the first `n` bytes of the named stream, if any, a part of "
    .. "one without end, by `kind` as over HTTP/1.1; `mb` MiB bound it, with "
    .. "`ms` between two",
  args = "kind=line mb=64 ms=0 of= n=0",
  run = function(stream, _, args)
    local kind = names.endless[args.kind or "line"] or names.endless.line
    local left, ms = number(args.mb, 64) << 20, number(args.ms, 0) / 1000
    local piece = kind[2]
    if ms == 0 then
      piece = piece:rep((1 << 14) // #piece)
    end
    stream:head(200, head)
    stream:data((names.whole[args.of or ""] or ""):sub(1, number(args.n, 0))
      .. kind[1])
    while left > 0 do
      stream:data(piece)
      left = left - #piece
      if ms > 0 then
        stream:wait(nil, ms)
      end
    end
    stream:data("", true)
  end,
}

return streams
