-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- Content encodings, right and broken.

local gzip = require "lib.gzip"
local http = require "lib.http"

local coding = {}

local json = '{"ok":true,"list":[' .. ("1,"):rep(200) .. "2]}"
local gzipped = { "Content-Encoding: gzip" }

local function send(make)
  return function(conn, request, args)
    conn:answer(http.answer(make(args, request), { lines = gzipped }))
    return "keep"
  end
end

coding["gzip"] = {
  about = "a JSON answer in gzip; with `header=full` all optional header "
    .. "fields are there",
  args = "header=",
  run = send(function(args)
    return args.header == "full" and gzip.compress_named(json)
      or gzip.compress(json)
  end),
}

coding["gzip-empty"] = {
  about = "says gzip, with a body of no bytes",
  run = send(function()
    return ""
  end),
}

coding["gzip-truncated"] = {
  about = "a whole answer whose gzip body lacks its last `n` bytes",
  args = "n=8",
  run = send(function(args)
    return gzip.compress(json):sub(1, -1 - (tonumber(args.n) or 8))
  end),
}

local function flip(data, at)
  if at < 0 then
    at = #data + 1 + at
  end
  return data:sub(1, at - 1) .. string.char(data:byte(at) ~ 0xff)
    .. data:sub(at + 1)
end

coding["gzip-corrupt"] = {
  about = "a gzip body with a wrong byte, in its `what`",
  args = "what=magic|method|data|crc|size",
  run = send(function(args)
    local places = { magic = 1, method = 3, data = 12, crc = -8, size = -4 }
    return flip(gzip.compress(json), places[args.what] or places.data)
  end),
}

coding["gzip-trailing"] = {
  about = "a right gzip body with bytes behind its end, within the length",
  run = send(function()
    return gzip.compress(json) .. "more"
  end),
}

coding["gzip-members"] = {
  about = "a gzip body of two members, which together are the JSON",
  run = send(function()
    return gzip.compress(json:sub(1, 20)) .. gzip.compress(json:sub(21))
  end),
}

coding["gzip-twice"] = {
  about = "Content-Encoding: gzip, gzip, and that it is",
  run = function(conn)
    conn:answer(http.answer(gzip.compress(gzip.compress(json)),
      { lines = { "Content-Encoding: gzip, gzip" } }))
    return "keep"
  end,
}

coding["gzip-not"] = {
  about = "says gzip, but is plain JSON",
  run = send(function()
    return json
  end),
}

coding["gzip-bomb"] = {
  about = "at least `mb` MiB of zeros in gzip, a thousandth of that on the "
    .. "wire; `X-Decoded-Size` has the exact size",
  args = "mb=100",
  run = function(conn, _, args)
    local head, zeros, tail, decoded =
      gzip.bomb((tonumber(args.mb) or 100) << 20)
    conn:send(http.head(200, {
      "Content-Type: application/octet-stream", "Content-Encoding: gzip",
      "X-Decoded-Size: " .. decoded,
      "Content-Length: " .. #head + zeros + #tail,
    }))
    conn:send(head)
    local piece = ("\0"):rep(1 << 16)
    while zeros > 0 do
      conn:send(piece:sub(1, math.min(zeros, #piece)))
      zeros = zeros - #piece
    end
    conn:send(tail)
    return "keep"
  end,
}

coding["encoding-unknown"] = {
  about = "a Content-Encoding that was not asked for",
  args = "name=br",
  run = function(conn, _, args)
    conn:answer(http.answer("\x0b\x05\x80\x7b\x22\x61\x22\x3a\x31\x7d\x03",
      { lines = { "Content-Encoding: " .. (args.name or "br") } }))
    return "keep"
  end,
}

return coding
