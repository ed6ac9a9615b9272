-- SPDX-License-Identifier: MIT
-- GET /v1/blob: bodies of any size whose every byte is known.

local errors = require "errors"
local request = require "request"

local blob = {}

local MAX = 256 * 1024 * 1024
local PIECE = 64 * 1024

-- Byte i of a text blob is 33 + i % 89: printable, and no power of two.
local function text_source(size)
  local period = {}
  for i = 0, 88 do
    period[#period + 1] = string.char(33 + i)
  end
  local block = table.concat(period):rep(736)
  local left = size
  return function()
    if left <= 0 then
      return nil
    end
    local piece = left >= #block and block or block:sub(1, left)
    left = left - #piece
    return piece
  end
end

local ITEM = '{"id":%8d,"name":"item %08d","value":%8d.5,'
  .. '"on":true,"none":null,"text":"h\195\169llo \\u0041 \\"%08x\\""}'
local ITEM_SIZE = #ITEM:format(0, 0, 0, 0)

local function json_edges(size)
  return ('{"size":%d,"items":['):format(size), '],"pad":"', '"}'
end

--- The least size of a JSON blob.
local function least_json(size)
  local head, middle, tail = json_edges(size)
  return #head + #middle + #tail
end

-- A document of exactly `size` bytes: as many items as fit, then padding.
local function json_source(size)
  local head, middle, tail = json_edges(size)
  local room = size - least_json(size)
  local count = math.floor((room + 1) / (ITEM_SIZE + 1))
  local used = count * (ITEM_SIZE + 1) - (count > 0 and 1 or 0)
  local sent, state = 0, "head"
  return function()
    if state == "head" then
      state = "items"
      return head
    elseif state == "items" and sent < count then
      local out = {}
      while sent < count and #out * ITEM_SIZE < PIECE do
        out[#out + 1] = (sent > 0 and "," or "")
          .. ITEM:format(sent, sent, sent, sent)
        sent = sent + 1
      end
      return table.concat(out)
    elseif state == "items" then
      state = "end"
      return middle .. ("x"):rep(room - used) .. tail
    end
  end
end

local function stream(source)
  if ngx.req.get_method() == "HEAD" then
    return ngx.send_headers()
  end
  for piece in source do
    ngx.print(piece)
    if not ngx.flush(true) then
      return  -- the client went away
    end
  end
end

---@param _ table
---@param packing boolean? true on the way through the location with gzip
function blob.get(_, packing)
  local query = request.query()
  local size = request.integer(query.size, 1024, 0, MAX)
  local is_json = query.type == "json"
  if not size then
    return errors.invalid("size", "Not a number up to " .. MAX .. ".",
      query.size)
  elseif is_json and size < least_json(size) then
    return errors.invalid("size", "Too small for a document.", query.size)
  elseif query.type and not is_json and query.type ~= "text" then
    return errors.invalid("type", "Neither text nor json.", query.type)
  elseif query.gzip == "1" and not packing then
    return ngx.exec("@gzip")
  end
  ngx.header["Content-Type"] = is_json and "application/json" or "text/plain"
  if query.chunked ~= "1" then
    ngx.header["Content-Length"] = size
  end
  stream((is_json and json_source or text_source)(size))
end

return blob
