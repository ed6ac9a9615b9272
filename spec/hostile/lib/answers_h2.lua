-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- Small right answers over HTTP/2 by name, for the scenarios that cut or
--- delay them: functions of the stream's id that return all frames as bytes,
--- and the size of those up to the end of the head.

local frames = require "lib.frames"
local gzip = require "lib.gzip"
local hpack = require "lib.hpack"

local json = '{"ok":true,"list":[1,2,3]}'
local flags = frames.flags

local function fields(status, more)
  local list = { { ":status", status }, { "content-type",
    "application/json" } }
  table.move(more or {}, 1, #(more or {}), 3, list)
  return list
end

local function plain(status, body, more)
  return function(id)
    local head = frames.headers(id, fields(status, more))
    return head .. frames.data(id, body, true), #head
  end
end

local function bare(status, more)
  return function(id)
    local head = frames.headers(id, fields(status, more), true)
    return head, #head
  end
end

local function sized(body)
  return { { "content-length", #body } }
end

local function after_hints(id)
  local head = frames.headers(id, { { ":status", 103 }, { "link", "</a>" } })
    .. frames.headers(id, fields(200))
  return head .. frames.data(id, json, true), #head
end

local function in_pieces(id)
  local head = frames.headers(id, fields(200))
  return head .. frames.data(id, json:sub(1, 5)) .. frames.data(id, "")
    .. frames.data(id, json:sub(6)) .. frames.data(id, "", true), #head
end

local function with_trailers(id)
  local head = frames.headers(id, fields(200))
  return head .. frames.data(id, json)
    .. frames.headers(id, { { "x-sum", "17" } }, true), #head
end

local function continued(id)
  local block = hpack.encode(fields(200, sized(json)))
  local head = frames.frame("HEADERS", 0, id, block:sub(1, 9))
    .. frames.frame("CONTINUATION", 0, id, block:sub(10, 20))
    .. frames.frame("CONTINUATION", flags.END_HEADERS, id, block:sub(21))
  return head .. frames.data(id, json, true), #head
end

local function padded(id)
  local head = frames.frame("HEADERS", flags.END_HEADERS | flags.PADDED, id,
    "\3" .. hpack.encode(fields(200)) .. "\0\0\0")
  return head .. frames.frame("DATA", flags.END_STREAM | flags.PADDED, id,
    "\5" .. json .. "\0\0\0\0\0"), #head
end

return {
  ["plain"] = plain(200, json),
  ["length"] = plain(200, json, sized(json)),
  ["empty"] = plain(200, "", { { "content-length", 0 } }),
  ["pieces"] = in_pieces,
  ["gzip"] = plain(200, gzip.compress(json),
    { { "content-encoding", "gzip" } }),
  ["no-content"] = bare(204),
  ["not-modified"] = bare(304, { { "etag", '"a"' } }),
  ["error-404"] = plain(404, '{"message":"no"}'),
  ["error-500-gzip"] = plain(500, gzip.compress '{"message":"oops"}',
    { { "content-encoding", "gzip" } }),
  ["hints"] = after_hints,
  ["trailers"] = with_trailers,
  ["continued"] = continued,
  ["padded"] = padded,
}
