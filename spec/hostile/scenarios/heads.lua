-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- Header sections that are too long, broken, or no HTTP at all.

local build = require "lib.build"
local http = require "lib.http"

local endless, fixed = build.endless, build.fixed
local heads = {}

local body = '{"ok":true}'
local tail = "Content-Length: 11\r\n\r\n" .. body

heads["headers-endless"] = endless("header lines that do not end",
  http.status_line(200), "X-Filler: " .. ("f"):rep(100) .. "\r\n")

heads["header-line-endless"] = endless("one header line without end",
  http.status_line(200) .. "X-Filler: ", "f")

heads["header-name-endless"] = endless("one header name without end",
  http.status_line(200), "X")

heads["status-line-endless"] = endless("a reason phrase without end",
  "HTTP/1.1 200 ", "O")

heads["continue-endless"] = endless("100 Continue for ever",
  "", "HTTP/1.1 100 Continue\r\n\r\n")

heads["garbage-endless"] = endless("bytes that are no HTTP, without end",
  "", "\1\2\3\4no http at all")

heads["header-big"] = {
  about = "a right answer with one header line of `size` bytes, its line "
    .. "end not counted",
  args = "size=65536",
  run = function(conn, _, args)
    local name = "X-Big: "
    local size = (tonumber(args.size) or 65536) - #name
    conn:answer(http.answer(body, { lines = { name .. ("b"):rep(size) } }))
    return "keep"
  end,
}

heads["header-count"] = {
  about = "a right answer with `n` more header lines of `size` bytes",
  args = "n=1000 size=16",
  run = function(conn, _, args)
    local lines, size = {}, tonumber(args.size) or 16
    for i = 1, tonumber(args.n) or 1000 do
      local name = ("X-%d: "):format(i)
      lines[i] = name .. ("c"):rep(math.max(0, size - #name))
    end
    conn:answer(http.answer(body, { lines = lines }))
    return "keep"
  end,
}

heads["continue-many"] = {
  about = "`n` times 100 Continue, then a right answer",
  args = "n=10",
  run = function(conn, _, args)
    local one = "HTTP/1.1 100 Continue\r\n\r\n"
    local left = tonumber(args.n) or 10
    while left > 0 do
      conn:send(one:rep(math.min(left, 1000)))
      left = left - 1000
    end
    conn:answer(http.answer(body))
    return "keep"
  end,
}

heads["early-hints"] = {
  about = "103 Early Hints, then a right answer",
  run = function(conn)
    conn:send("HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n")
    conn:answer(http.answer(body))
    return "keep"
  end,
}

heads["continue-only"] = fixed("100 Continue, then a close", "fin",
  "HTTP/1.1 100 Continue\r\n\r\n")

heads["upgrade-101"] = fixed("101 Switching Protocols, unasked", "hold",
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
  .. "Connection: Upgrade\r\n\r\n\x81\5hello")

heads["garbage"] = fixed("no HTTP at all", "fin",
  "\0\1\2SSH-2.0-nothing\r\n\xff\xfe here\r\n\r\n")

heads["http09"] = fixed("a body without a status line", "fin", body)

heads["http2-preface"] = fixed("a HTTP/2 settings frame, unasked", "hold",
  "\0\0\0\4\0\0\0\0\0")

heads["status-bad"] = {
  about = "a status line that is none, by `kind`",
  args = "kind=text|short|long|zero|negative|version|lower|no-space",
  run = function(conn, _, args)
    local lines = {
      text = "HTTP/1.1 abc OK", short = "HTTP/1.1 20 OK",
      long = "HTTP/1.1 2000 OK", zero = "HTTP/1.1 000 OK",
      negative = "HTTP/1.1 -200 OK", version = "HTTP/9.9 200 OK",
      lower = "http/1.1 200 OK", ["no-space"] = "HTTP/1.1200OK",
    }
    conn:send((lines[args.kind] or lines.text) .. "\r\n" .. tail)
    return "fin"
  end,
}

heads["no-blank-line"] = {
  about = "closed within the header section, by `at`; libcurl takes these "
    .. "for answers",
  args = "at=status|status-end|name|colon|value|digits|line|almost|lf",
  run = function(conn, _, args)
    local line = http.status_line(200)
    local cuts = {
      ["status"] = "HTTP/1.1 200", ["status-end"] = line,
      ["name"] = line .. "Content-Le", ["colon"] = line .. "Content-Length:",
      ["value"] = line .. "Content-Type: applicat",
      ["digits"] = line .. "Content-Length: 1",
      ["line"] = line .. "Content-Length: 11\r\n",
      ["almost"] = line .. "Content-Length: 0\r\n\r",
      ["lf"] = line .. "Content-Length: 0\r",
    }
    conn:send(cuts[args.at] or cuts.line)
    return "fin"
  end,
}

heads["nul-in-header"] = fixed("a NUL within a header value", "keep",
  http.status_line(200) .. "X-Nul: a\0b\r\n" .. tail)

heads["header-no-colon"] = fixed("a header line without a colon", "keep",
  http.status_line(200) .. "No colon here\r\n" .. tail)

heads["header-space-colon"] = fixed("a blank before a header's colon",
  "keep", http.status_line(200) .. "X-Space : 1\r\n" .. tail)

heads["header-folded"] = fixed("a header value folded over two lines",
  "keep", http.status_line(200) .. "X-Folded: one\r\n two\r\n" .. tail)

heads["header-bare-lf"] = fixed("lines that end in a bare line feed",
  "keep", (http.status_line(200) .. "X-Bare: 1\r\nContent-Length: 11\r\n"
  .. "\r\n"):gsub("\r", "") .. body)

heads["header-repeated"] = fixed("headers that come more than once",
  "keep", http.status_line(200) .. "X-Twice: one\r\nx-twice: two\r\n"
  .. "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n" .. tail)

return heads
