-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- HPACK (RFC 7541): reads whatever a client's encoder may send; writes
--- literals without indexing only, so that every byte is told by the caller.

local hpack = {}

local ENTRY_COST = 32                 -- RFC 7541, 4.1
local TABLE_SIZE = 4096               -- what a client may use unasked

--- What decoding raises when the block is wrong.
hpack.BAD = setmetatable({}, {
  __tostring = function()
    return "a header block that is wrong"
  end,
})

local function bad()
  error(hpack.BAD, 0)
end

-- RFC 7541, Appendix A: name and, behind a blank, value.
local static = {}
for line in ([[
:authority
:method GET
:method POST
:path /
:path /index.html
:scheme http
:scheme https
:status 200
:status 204
:status 206
:status 304
:status 400
:status 404
:status 500
accept-charset
accept-encoding gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate
]]):gmatch("[^\n]+") do
  local name, value = line:match("^(%S+) ?(.*)$")
  static[#static + 1] = { name, value }
end

-- RFC 7541, Appendix B. The code is canonical: the length of each symbol's
-- code says it all. One letter for each symbol, 0 to 256; "a" is 5 bits.
local huffman_lengths = "isxxxxxxxtzxxzxxxxxxxxzxxxxxxxxxbffhibdgffdgdbbbaaa"
  .. "bbbbbbbcdkbhfibccccccccccccccccccccccdcdioijbkabababbbaccbbbabcbaabccccc"
  .. "kgjixprpprrrsrssssststtrstssssqrsrsstrqprrssqsrrtqrssqqrqsrssprrrsrrsvvp"
  .. "orsruvvvwwvtuoqvwwvwtqqvvxwwwptpqrqqsrruuttvsvwvvwwwwwxwwwwwvz"

-- By length: the codes of that length, each with its symbol.
local huffman = {}
do
  local code = 0
  for length = 5, 30 do
    code = code << 1
    huffman[length] = {}
    for symbol = 0, 256 do
      if huffman_lengths:byte(symbol + 1) == ("a"):byte() + length - 5 then
        huffman[length][code] = symbol
        code = code + 1
      end
    end
  end
end

--- Undo the Huffman code.
function hpack.unhuffman(data)
  local out, code, length = {}, 0, 0
  for i = 1, #data do
    local byte = data:byte(i)
    for bit = 7, 0, -1 do
      code, length = code << 1 | byte >> bit & 1, length + 1
      local symbol = huffman[length] and huffman[length][code]
      if symbol then
        if symbol == 256 then
          bad()
        end
        out[#out + 1] = string.char(symbol)
        code, length = 0, 0
      elseif length > 30 then
        bad()
      end
    end
  end
  -- The rest is padding: fewer than 8 bits, all ones (RFC 7541, 5.2).
  if length > 7 or code ~= (1 << length) - 1 then
    bad()
  end
  return table.concat(out)
end

-- An integer whose first byte has `bits` of it; the number, what follows.
local function read_integer(data, at, bits)
  local mask = (1 << bits) - 1
  local value = (data:byte(at) or bad()) & mask
  at = at + 1
  if value < mask then
    return value, at
  end
  local shift = 0
  repeat
    local byte = data:byte(at) or bad()
    value = value + ((byte & 127) << shift)
    shift, at = shift + 7, at + 1
    if shift > 35 then
      bad()
    end
  until byte < 128
  return value, at
end

local function read_string(data, at)
  local coded = (data:byte(at) or bad()) >= 128
  local size
  size, at = read_integer(data, at, 7)
  if at + size - 1 > #data then
    bad()
  end
  local s = data:sub(at, at + size - 1)
  return coded and hpack.unhuffman(s) or s, at + size
end

local decoder = {}
decoder.__index = decoder

--- A decoder: what one side of a connection keeps.
function hpack.decoder()
  return setmetatable({ entries = {}, size = 0, room = TABLE_SIZE }, decoder)
end

function decoder:evict()
  while self.size > self.room do
    local last = table.remove(self.entries)
    self.size = self.size - #last[1] - #last[2] - ENTRY_COST
  end
end

function decoder:add(name, value)
  table.insert(self.entries, 1, { name, value })
  self.size = self.size + #name + #value + ENTRY_COST
  self:evict()
end

function decoder:entry(index)
  return static[index] or self.entries[index - #static] or bad()
end

function decoder:literal(data, at, bits)
  local index, name, value
  index, at = read_integer(data, at, bits)
  if index > 0 then
    name = self:entry(index)[1]
  else
    name, at = read_string(data, at)
  end
  value, at = read_string(data, at)
  return name, value, at
end

--- Decode a whole header block: an array of { name, value }.
function decoder:decode(data)
  local fields, at = {}, 1
  while at <= #data do
    local byte = data:byte(at)
    local name, value, index
    if byte >= 128 then
      index, at = read_integer(data, at, 7)
      name, value = table.unpack(self:entry(index))
    elseif byte >= 64 then
      name, value, at = self:literal(data, at, 6)
      self:add(name, value)
    elseif byte >= 32 then
      self.room, at = read_integer(data, at, 5)
      if self.room > TABLE_SIZE then
        bad()
      end
      self:evict()
    else
      name, value, at = self:literal(data, at, 4)
    end
    if name then
      fields[#fields + 1] = { name, value }
    end
  end
  return fields
end

--- An integer of which `bits` fit into the first byte, under `flags`.
function hpack.integer(value, bits, flags)
  local mask = (1 << bits) - 1
  if value < mask then
    return string.char(flags | value)
  end
  local out = string.char(flags | mask)
  value = value - mask
  while value >= 128 do
    out = out .. string.char(value & 127 | 128)
    value = value >> 7
  end
  return out .. string.char(value)
end

--- One header as a literal without indexing, its bytes as they are.
function hpack.literal(name, value)
  value = tostring(value)
  return "\0" .. hpack.integer(#name, 7, 0) .. name
    .. hpack.integer(#value, 7, 0) .. value
end

--- Encode an array of { name, value }.
function hpack.encode(fields)
  local out = {}
  for i, field in ipairs(fields) do
    out[i] = hpack.literal(field[1], field[2])
  end
  return table.concat(out)
end

return hpack
