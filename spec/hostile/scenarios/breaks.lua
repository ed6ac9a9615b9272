-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- Right answers that are cut, delayed or never come.

local answers = require "lib.answers"
local log = require "lib.log"

local breaks = {}

local function bytes(request, args, name)
  local message = answers[args.of or name or "length"]
    or answers["error-400"]
  if request.method == "HEAD" then
    return message:match("^.-\r\n\r\n")
  end
  return message
end

local function number(value, default)
  return tonumber(value) or default
end

local function cut(how, name)
  return function(conn, request, args)
    conn:send(bytes(request, args, name):sub(1, number(args.n, 0)))
    return how
  end
end

breaks["close-before"] = {
  about = "closes after reading the request, without a byte",
  run = function()
    return "fin"
  end,
}

breaks["reset-before"] = {
  about = "resets after reading the request, without a byte",
  run = function()
    return "reset"
  end,
}

breaks["close-at"] = {
  about = "a named answer cut after `n` bytes by a close",
  args = "n=0 of=length",
  run = cut("fin"),
}

breaks["reset-at"] = {
  about = "a named answer cut after `n` bytes by a reset",
  args = "n=0 of=length",
  run = cut("reset"),
}

breaks["close-chunked-at"] = {
  about = "a chunked answer cut after `n` bytes by a close",
  args = "n=0 of=chunked",
  run = cut("fin", "chunked"),
}

breaks["stall-after"] = {
  about = "a named answer that stops after `n` bytes and stays open",
  args = "n=0 of=length",
  run = cut("hold"),
}

breaks["drip"] = {
  about = "a named answer in pieces of `step` bytes, `ms` apart",
  args = "of=length step=1 ms=0",
  run = function(conn, request, args)
    conn:drip(bytes(request, args), number(args.step, 1),
      number(args.ms, 0))
    return "keep"
  end,
}

breaks["never"] = {
  about = "reads the request and never answers",
  run = function()
    return "hold"
  end,
}

breaks["first-byte-late"] = {
  about = "a named answer after `ms` milliseconds",
  args = "ms=1000 of=length",
  run = function(conn, request, args)
    conn:wait(number(args.ms, 1000) / 1000)
    conn:send(bytes(request, args))
    return "keep"
  end,
}

breaks["gate"] = {
  about = "a named answer whose bytes after the `n`th wait for "
    .. "`POST /control/release?gate=G`",
  args = "gate=G n=0 of=length",
  run = function(conn, request, args)
    local message, n = bytes(request, args), number(args.n, 0)
    conn:send(message:sub(1, n))
    conn:wait(nil, function()
      return log.released(args.gate or "")
    end)
    conn:send(message:sub(n + 1))
    return "keep"
  end,
}

return breaks
