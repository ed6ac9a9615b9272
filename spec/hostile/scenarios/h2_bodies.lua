-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- HTTP/2: bodies and what bounds them: windows, encodings, uploads.

local gzip = require "lib.gzip"
local log = require "lib.log"

local bodies = {}

local json = '{"ok":true,"list":[' .. ("1,"):rep(200) .. "2]}"
local gzipped = { { "content-encoding", "gzip" },
  { "content-type", "application/json" } }

bodies["body-endless"] = {
  about = "DATA that does not end; `mb` MiB bound it",
  args = "mb=1024",
  run = function(stream, _, args)
    local piece = (" "):rep(1 << 16)
    stream:head(200)
    for _ = 1, (tonumber(args.mb) or 1024) << 4 do
      stream:data(piece)
    end
    stream:data("", true)
  end,
}

bodies["gzip-truncated"] = {
  about = "a whole answer whose gzip body lacks its last `n` bytes",
  args = "n=8",
  run = function(stream, _, args)
    stream:head(200, gzipped)
    stream:data(gzip.compress(json):sub(1, -1 - (tonumber(args.n) or 8)),
      true)
  end,
}

bodies["gzip-corrupt"] = {
  about = "a gzip body with a wrong byte in it",
  run = function(stream)
    local data = gzip.compress(json)
    stream:head(200, gzipped)
    stream:data(data:sub(1, 11) .. string.char(data:byte(12) ~ 0xff)
      .. data:sub(13), true)
  end,
}

bodies["gzip-bomb"] = {
  about = "at least `mb` MiB of zeros in gzip, a thousandth of that on the "
    .. "wire",
  args = "mb=100",
  run = function(stream, _, args)
    local first, zeros, tail =
      gzip.bomb((tonumber(args.mb) or 100) << 20)
    stream:head(200, gzipped)
    stream:data(first)
    local piece = ("\0"):rep(1 << 16)
    while zeros > 0 do
      stream:data(piece:sub(1, math.min(zeros, #piece)))
      zeros = zeros - #piece
    end
    stream:data(tail, true)
  end,
}

bodies["window-ignored"] = {
  about = "sends `mb` MiB of body whatever the client's windows are",
  args = "mb=64",
  run = function(stream, _, args)
    local piece = (" "):rep(1 << 14)
    stream:head(200)
    for _ = 1, (tonumber(args.mb) or 64) << 6 do
      stream:check()
      stream:frame("DATA", 0, piece)
    end
    stream:frame("DATA", 1, "")
  end,
}

bodies["early-answer"] = {
  about = "answers 413 whole before the request's body, and then reads it "
    .. "or, with `then=rst`, resets the stream with NO_ERROR",
  args = "then=read|rst",
  body = false,
  run = function(stream, _, args)
    stream:answer('{"ok":false}', { status = 413 })
    if args["then"] == "rst" then
      stream:reset(0)
    else
      stream:accept_body()
      stream:read_body()
    end
  end,
}

bodies["never-read"] = {
  about = "reads as much of the request's body as fits into its window, no "
    .. "more, and never answers; `window` is that of a connection's first "
    .. "request",
  args = "window=65535",
  body = false,
  settings = function(args)
    return { INITIAL_WINDOW_SIZE = tonumber(args.window) or 65535 }
  end,
  run = function() end,
}

bodies["window-gate"] = {
  about = "the same with a window of no byte, until the gate opens: then it "
    .. "reads and answers rightly",
  args = "gate=G",
  body = false,
  settings = { INITIAL_WINDOW_SIZE = 0 },
  run = function(stream, _, args)
    stream:wait(function()
      return log.released(args.gate or "")
    end)
    stream:accept_body()
    stream:open_window(1 << 20)
    stream:read_body()
    stream:answer('{"ok":true,"size":' .. stream.body_size .. "}")
  end,
}

bodies["slow-read"] = {
  about = "opens its window `n` bytes at a time, then answers",
  args = "n=1024",
  body = false,
  settings = function(args)
    return { INITIAL_WINDOW_SIZE = tonumber(args.n) or 1024 }
  end,
  run = function(stream)
    stream:accept_body()
    stream:read_body()
    stream:answer('{"ok":true,"size":' .. stream.body_size .. "}")
  end,
}

bodies["streams"] = {
  about = "a right answer on a connection that allows `max` streams at once; "
    .. "with a gate, when it opens",
  args = "max=1 gate=",
  settings = function(args)
    return { MAX_CONCURRENT_STREAMS = tonumber(args.max) or 1 }
  end,
  run = function(stream, _, args)
    if args.gate then
      stream:wait(function()
        return log.released(args.gate)
      end)
    end
    stream:answer('{"ok":true}')
  end,
}

return bodies
