-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- HTTP/2: header sections that break the rules (RFC 9113, 8.2 and 8.3), or
--- are too much.

local build = require "lib.build_h2"
local frames = require "lib.frames"
local hpack = require "lib.hpack"

local heads = {}

local json = '{"ok":true}'
local status, kind_json =
  { ":status", "200" }, { "content-type", "application/json" }

-- The fields of each kind of head, behind which a right body comes.
local kinds = {
  ["status-two"] = { status, { ":status", "404" } },
  ["status-none"] = { kind_json },
  ["status-text"] = { { ":status", "abc" } },
  ["status-short"] = { { ":status", "20" } },
  ["status-long"] = { { ":status", "2000" } },
  ["status-empty"] = { { ":status", "" } },
  ["status-late"] = { kind_json, status },
  ["status-101"] = { { ":status", "101" } },
  ["pseudo-unknown"] = { status, { ":foo", "1" } },
  ["pseudo-request"] = { status, { ":path", "/" } },
  ["name-upper"] = { status, { "X-Upper", "1" } },
  ["name-empty"] = { status, { "", "1" } },
  ["name-colon"] = { status, { "x:y", "1" } },
  ["name-space"] = { status, { "x y", "1" } },
  ["name-control"] = { status, { "x\1y", "1" } },
  ["name-lines"] = { status, { "x: 1\r\ny", "1" } },
  ["value-lines"] = { status, { "x", "1\r\ncontent-length: 3" } },
  ["value-nul"] = { status, { "x", "a\0b" } },
  ["value-control"] = { status, { "x", "a\1b" } },
  ["value-space"] = { status, { "x", " a " } },
  ["connection"] = { status, { "connection", "close" } },
  ["transfer"] = { status, { "transfer-encoding", "chunked" } },
  ["length-two"] = { status, { "content-length", "11" },
    { "content-length", "10" } },
  ["length-equal"] = { status, { "content-length", "11" },
    { "content-length", "11" } },
  ["length-list"] = { status, { "content-length", "11, 11" } },
  ["length-text"] = { status, { "content-length", "5x" } },
  ["length-negative"] = { status, { "content-length", "-1" } },
  ["length-plus"] = { status, { "content-length", "+11" } },
  ["length-blank"] = { status, { "content-length", "" } },
  ["length-overflow"] = { status, { "content-length",
    "18446744073709551627" } },
  ["length-less"] = { status, { "content-length", "10" } },
  ["length-more"] = { status, { "content-length", "12" } },
  ["length-huge"] = { status, { "content-length", "1073741824" } },
  ["encoding-unknown"] = { status, { "content-encoding", "br" } },
}

local names = {}
for name in pairs(kinds) do
  names[#names + 1] = name
end
table.sort(names)

heads["head"] = {
  about = "a head that is wrong by its `kind`, and a body of 11 bytes; with "
    .. "`end=no` the stream does not end",
  args = "kind=" .. table.concat(names, "|") .. " end=",
  run = function(stream, _, args)
    local fields = kinds[args.kind] or kinds["status-none"]
    stream:send(frames.headers(stream.id, fields)
      .. frames.data(stream.id, json, args["end"] ~= "no"))
  end,
}

local trailer_kinds = {
  status = { status }, upper = { { "X-Late", "1" } },
  unended = { { "x-late", "1" } },
}

heads["trailers-bad"] = {
  about = "a whole body, and trailers with a pseudo-header, with upper case, "
    .. "or without END_STREAM",
  args = "kind=status|upper|unended",
  run = function(stream, _, args)
    stream:head(200, { kind_json })
    stream:data(json)
    stream:send(frames.headers(stream.id, trailer_kinds[args.kind]
      or trailer_kinds.status, args.kind ~= "unended"))
  end,
}

heads["header-big"] = {
  about = "a right answer with a header whose name and value have `size` "
    .. "bytes together",
  args = "size=65536",
  run = function(stream, _, args)
    local size = tonumber(args.size) or 65536
    build.head(stream, hpack.encode { status,
      { "x-big", ("b"):rep(size - 5) } })
    stream:data(json, true)
  end,
}

heads["header-count"] = {
  about = "a right answer with `n` more headers of `size` bytes",
  args = "n=1000 size=16",
  run = function(stream, _, args)
    local fields, size = { status }, tonumber(args.size) or 16
    for i = 1, tonumber(args.n) or 1000 do
      local name = "x-" .. i
      fields[i + 1] = { name, ("c"):rep(size - #name) }
    end
    build.head(stream, hpack.encode(fields))
    stream:data(json, true)
  end,
}

heads["header-indexed"] = {
  about = "a header of 4,000 bytes that is told once, and then `n` times by "
    .. "one byte: a bomb for who unfolds it",
  args = "n=100000",
  run = function(stream, _, args)
    local value = ("b"):rep(4000)
    build.head(stream, hpack.literal(":status", "200") .. "\x40\5x-big"
      .. hpack.integer(#value, 7, 0) .. value
      .. ("\xbe"):rep(tonumber(args.n) or 100000))
    stream:data(json, true)
  end,
}

heads["headers-endless"] = build.endless(
  "CONTINUATION frames that do not end, with headers in them",
  function(stream)
    return frames.frame("HEADERS", 0, stream.id,
      hpack.literal(":status", "200"))
  end,
  function(stream)
    return frames.frame("CONTINUATION", 0, stream.id,
      hpack.literal("x-filler", ("f"):rep(1000)):rep(16))
  end)

heads["continuation-empty"] = build.endless(
  "CONTINUATION frames without a byte that do not end",
  function(stream)
    return frames.frame("HEADERS", 0, stream.id,
      hpack.literal(":status", "200"))
  end,
  function(stream)
    return frames.frame("CONTINUATION", 0, stream.id, "")
  end)

heads["hints-endless"] = build.endless("103 Early Hints for ever", nil,
  function(stream)
    return frames.headers(stream.id, { { ":status", "103" },
      { "link", "</a>" } })
  end)

heads["hints-many"] = {
  about = "`n` times 103 Early Hints, then a right answer",
  args = "n=10",
  run = function(stream, _, args)
    for _ = 1, tonumber(args.n) or 10 do
      stream:head(103, { { "link", "</a>" } })
    end
    stream:answer(json)
  end,
}

heads["hints-only"] = {
  about = "103 Early Hints, and then: the end of the stream in it, "
    .. "a body, RST_STREAM with NO_ERROR, or a close",
  args = "then=end|data|rst|fin",
  run = function(stream, _, args)
    local how = args["then"] or "end"
    stream:head(103, {}, how == "end")
    if how == "data" then
      stream:data(json, true)
    elseif how == "rst" then
      stream:reset(0)
    end
    return how == "fin" and "fin" or nil
  end,
}

return heads
