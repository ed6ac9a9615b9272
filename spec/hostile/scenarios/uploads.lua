-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- Servers that treat a request's body badly.

local cqueues = require "cqueues"
local http = require "lib.http"

local uploads = {}

local function number(value, default)
  return tonumber(value) or default
end

uploads["slow-read"] = {
  about = "reads the body `n` bytes at a time, `ms` apart, then answers, or "
    .. "stays silent; `window` is how much the system may read ahead",
  args = "n=1024 ms=10 window= then=answer|hold",
  body = false,
  run = function(conn, request, args)
    if args.window then
      conn:limit_window(tonumber(args.window))
    end
    local n, ms, due = number(args.n, 1024), number(args.ms, 10), 0
    conn:read_body(request, function(size)
      due = due + size / n * ms / 1000
      -- Short pauses are saved up: the clock is no finer than this.
      if due >= 0.005 then
        cqueues.sleep(due)
        due = 0
      end
    end, n)
    if args["then"] == "hold" then
      return "hold"
    end
    conn:answer(http.answer('{"ok":true}'))
    return "keep"
  end,
}

uploads["never-read"] = {
  about = "reads the head, never the body, and never answers",
  body = false,
  run = function()
    -- Not "hold", which reads.
    return "ignore"
  end,
}

uploads["close-in-body"] = {
  about = "closes after reading `n` bytes of the body",
  args = "n=1024",
  body = false,
  run = function(conn, request, args)
    conn:read_part(request, number(args.n, 1024))
    return "fin"
  end,
}

uploads["reset-in-body"] = {
  about = "resets after reading `n` bytes of the body",
  args = "n=1024",
  body = false,
  run = function(conn, request, args)
    conn:read_part(request, number(args.n, 1024))
    return "reset"
  end,
}

uploads["early-answer"] = {
  about = "answers after the head, before the body; then reads it, or with "
    .. "`then=close` closes",
  args = "code=413 then=read|close",
  body = false,
  run = function(conn, request, args)
    local closing = args["then"] == "close"
    conn:answer(http.answer('{"message":"too large"}', {
      status = number(args.code, 413),
      lines = closing and { "Connection: close" } or nil,
    }))
    if closing then
      return "fin"
    end
    conn:read_body(request)
    return "keep"
  end,
}

return uploads
