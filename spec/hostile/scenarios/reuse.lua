-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- What goes wrong on a connection that is used again.

local http = require "lib.http"
local log = require "lib.log"

local reuse = {}

local extras = {
  response = http.answer '{"stranger":true}',
  head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
  garbage = "not asked for",
  byte = "\n",
}

local function right_answer(of)
  if of == "chunked" then
    return http.chunked { '{"ok":true}' }
  elseif of == "no-content" then
    return http.head(204, {})
  end
  return http.answer '{"ok":true}'
end

reuse["extra-after"] = {
  about = "a right answer and, at once or when the gate opens, bytes that "
    .. "nobody asked for: `kind`; with `split=yes` the head comes in a write "
    .. "(over TLS: a record) of its own, before the rest",
  args = "kind=response|head|garbage|byte gate= of=ok|chunked|no-content "
    .. "split=",
  run = function(conn, request, args)
    local message = right_answer(args.of)
    if request.method == "HEAD" then
      message = message:match("^.-\r\n\r\n")
    end
    if args.split then
      local size = http.head_size(message)
      conn:send(message:sub(1, size))
      message = message:sub(size + 1)
    end
    local extra = extras[args.kind] or extras.response
    if args.gate then
      conn:send(message)
      conn:wait(nil, function()
        return log.released(args.gate)
      end)
      message = ""
    end
    conn:send(message .. extra)
    return "keep"
  end,
}

reuse["no-content"] = {
  about = "204 (or another `code`) with the bytes of a body behind it; "
    .. "`length=yes` declares them",
  args = "code=204 length=",
  run = function(conn, _, args)
    local lines = args.length and { "Content-Length: 11" } or {}
    conn:send(http.head(tonumber(args.code) or 204, lines)
      .. '{"ok":true}')
    return "keep"
  end,
}

reuse["close-after"] = {
  about = "a right keep-alive answer, then a close at once",
  run = function(conn)
    conn:answer(http.answer '{"ok":true}')
    return "fin"
  end,
}

reuse["reset-after"] = {
  about = "a right keep-alive answer, then a reset at once",
  run = function(conn)
    conn:answer(http.answer '{"ok":true}')
    return "reset"
  end,
}

reuse["keepalive-reset"] = {
  about = "answers a connection's first request; reads the next one whole "
    .. "and resets without an answer",
  run = function(conn)
    if conn.served > 1 then
      return "reset"
    end
    conn:answer(http.answer '{"ok":true}')
    return "keep"
  end,
}

reuse["keepalive-close"] = {
  about = "the same with a close",
  run = function(conn)
    if conn.served > 1 then
      return "fin"
    end
    conn:answer(http.answer '{"ok":true}')
    return "keep"
  end,
}

-- The nth of a list, or its last one.
local function nth_of(list, nth)
  local names = {}
  for name in list:gmatch "[^,]+" do
    names[#names + 1] = name
  end
  return names[math.min(nth, #names)]
end

reuse["sequence"] = {
  about = "the nth request (counted for each `tag`) runs the nth scenario "
    .. "of the list `of`, the last one for ever; they share the arguments, "
    .. "and `with` is their `of`; `end` may be such a list, too",
  args = "of=close-before,ok with=",
  pick = function(args)
    local nth = log.count("sequence " .. (args.tag or ""))
    local name = nth_of(args.of or "close-before,ok", nth)
    args.of = args.with
    args["end"] = args["end"] and nth_of(args["end"], nth)
    return name
  end,
}

return reuse
