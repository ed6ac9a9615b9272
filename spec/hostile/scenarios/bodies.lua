-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- JSON that is broken, deep, large, or something else altogether.

local http = require "lib.http"

local bodies = {}

local bad = {
  ["cut"] = '{"a":[1,2',
  ["comma"] = '{"a":1,}',
  ["two"] = '{"a":1}{"b":2}',
  ["single"] = "{'a':1}",
  ["name"] = "{a:1}",
  ["nan"] = '{"a":NaN}',
  ["empty"] = "",
  ["blank"] = "  \n",
  ["utf8"] = '{"a":"\xff\xfe"}',
  ["surrogate"] = '{"a":"\\ud800"}',
  ["control"] = '{"a":"x\ny"}',
  ["nul"] = '{"a":1}\0',
  ["number"] = '{"a":01}',
  ["huge-number"] = '{"a":1e999}',
}

bodies["json-bad"] = {
  about = "200 with JSON that does not parse, by `kind`",
  args = "kind=cut|comma|two|single|name|nan|empty|blank|utf8|surrogate|"
    .. "control|nul|number|huge-number status=200",
  run = function(conn, _, args)
    conn:answer(http.answer(bad[args.kind] or bad.cut,
      { status = tonumber(args.status) }))
    return "keep"
  end,
}

bodies["json-deep"] = {
  about = "arrays nested `n` deep",
  args = "n=129",
  run = function(conn, _, args)
    local n = tonumber(args.n) or 129
    conn:answer(http.answer(("["):rep(n) .. ("]"):rep(n)))
    return "keep"
  end,
}

bodies["json-big"] = {
  about = "an array of strings of 1,021 bytes, `mb` MiB in all",
  args = "mb=1",
  run = function(conn, _, args)
    -- An item and what follows it (a comma, or the closing bracket) are
    -- 1,024 bytes; the first one is a byte shorter for the opening one.
    local count = math.max(1, (tonumber(args.mb) or 1) << 10)
    local item = '"' .. ("j"):rep(1021) .. '"'
    local many = (item .. ","):rep(64)
    conn:send(http.head(200, {
      "Content-Type: application/json", "Content-Length: " .. count * 1024,
    }))
    conn:send('["' .. ("j"):rep(1020) .. '"')
    for _ = 1, (count - 1) // 64 do
      conn:send("," .. many:sub(1, -2))
    end
    conn:send(("," .. item):rep((count - 1) % 64) .. "]")
    return "keep"
  end,
}

bodies["json-exact"] = {
  about = "right JSON that is hard to carry over: numbers at the edges, "
    .. "null, empty arrays and objects, U+0000, repeated names",
  run = function(conn)
    conn:answer(http.answer('{"max":9223372036854775807,'
      .. '"min":-9223372036854775808,"beyond":9223372036854775808,'
      .. '"float":0.1,"integral":1.0,"exponent":1e3,'
      .. '"digits":3.141592653589793,'
      .. '"null":null,"array":[],"object":{},"nul":"a\\u0000b",'
      .. '"pair":"\\ud83d\\ude00","twice":1,"twice":2,"":"empty name"}'))
    return "keep"
  end,
}

bodies["not-json-but-says-so"] = {
  about = "an HTML page that says it is JSON",
  args = "status=200",
  run = function(conn, _, args)
    conn:answer(http.answer("<html><body>Hello</body></html>",
      { status = tonumber(args.status) }))
    return "keep"
  end,
}

bodies["json-but-says-not"] = {
  about = "JSON that says it is HTML, or with `type=none` nothing at all",
  args = "type=text/html",
  run = function(conn, _, args)
    local message = http.answer('{"ok":true}',
      { type = args.type or "text/html" })
    if args.type == "none" then
      message = message:gsub("Content%-Type: none\r\n", "")
    end
    conn:answer(message)
    return "keep"
  end,
}

return bodies
