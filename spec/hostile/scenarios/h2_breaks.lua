-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- HTTP/2: connections that end early, stand still, or were never HTTP/2.

local answers = require "lib.answers_h2"
local frames = require "lib.frames"
local http = require "lib.http"

local breaks = {}

local function number(value, default)
  return tonumber(value) or default
end

local function cut(how)
  return function(stream, _, args)
    local make = answers[args.of or "length"] or answers["error-404"]
    stream:send(make(stream.id):sub(1, number(args.n, 0)))
    return how
  end
end

breaks["close-at"] = {
  about = "a named answer cut after `n` bytes of its frames by a close of "
    .. "the connection",
  args = "n=0 of=length",
  run = cut("fin"),
}

breaks["reset-at"] = {
  about = "the same by a reset of the connection",
  args = "n=0 of=length",
  run = cut("reset"),
}

breaks["stall-after"] = {
  about = "a named answer that stops after `n` bytes of its frames; if these "
    .. "end within a frame, nobody else on the connection gets on either",
  args = "n=0 of=length",
  run = cut("keep"),
}

breaks["never"] = {
  about = "never answers; others on the connection are served",
  run = function() end,
}

breaks["close-in-settings"] = {
  about = "a close after `n` bytes of the server's SETTINGS; only the first "
    .. "request of a connection gets it so",
  args = "n=0",
  settings = false,
  run = function(stream, _, args)
    stream:send(frames.setup { MAX_CONCURRENT_STREAMS = 100 }
      :sub(1, number(args.n, 0)))
    return "fin"
  end,
}

breaks["no-settings"] = {
  about = "the server never says SETTINGS, as the first request of a "
    .. "connection finds: it says nothing, or answers without, or with bytes "
    .. "of its own",
  args = "with=nothing|answer|ping",
  settings = false,
  run = function(stream, _, args)
    if args.with == "answer" then
      stream:send((answers.length(stream.id)))
    elseif args.with == "ping" then
      stream:send(frames.ping "12345678")
    end
  end,
}

breaks["http1"] = {
  about = "agrees on h2 and answers in HTTP/1.1, as the first request of a "
    .. "connection finds; then closes or, with `then=hold`, waits",
  args = "then=fin|hold",
  settings = false,
  run = function(stream, _, args)
    stream:send(http.answer '{"ok":true}')
    return args["then"] == "hold" and "hold" or "fin"
  end,
}

breaks["garbage"] = {
  about = "bytes that are no frames; `at` the server's first word, before "
    .. "the answer or within it; `mb` MiB of them",
  args = "at=start|head|body mb=0",
  settings = function(args)
    if not args.at or args.at == "start" then
      return false
    end
  end,
  run = function(stream, _, args)
    if args.at == "body" then
      stream:head(200)
      stream:data "1"
    end
    local piece = ("\xff\xfe garbage \r\n"):rep(80)
    for _ = 0, (number(args.mb, 0) << 20) // #piece do
      stream:send(piece)
    end
    return "hold"
  end,
}

return breaks
