-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- Gzip (RFC 1952): small bodies through the gzip program, and a bomb of
--- zeros made by hand, which costs a thousandth of its size.

local gzip = {}

local cache = {}

--- Compress a small body; the result is remembered.
function gzip.compress(body)
  if not cache[body] then
    local name = os.tmpname()
    local pipe = assert(io.popen("gzip -9nc > '" .. name .. "'", "w"))
    pipe:write(body)
    pipe:close()
    local file = assert(io.open(name, "rb"))
    cache[body] = file:read("a")
    file:close()
    os.remove(name)
  end
  return cache[body]
end

--- Compress with every optional field of the header: FTEXT, FHCRC is
--- left out (few readers check it), FEXTRA, FNAME, FCOMMENT.
function gzip.compress_named(body)
  local plain = gzip.compress(body)
  return "\x1f\x8b\8\x1d" .. plain:sub(5, 10) .. "\4\0abcd"
    .. "name.json\0" .. "a comment\0" .. plain:sub(11)
end

-- CRC-32 of zeros only: the register is a vector over GF(2), a zero byte
-- is a matrix on it, and N zeros are that matrix to the power of N.

local function times(matrix, vector)
  local sum, i = 0, 1
  while vector ~= 0 do
    if vector & 1 == 1 then
      sum = sum ~ matrix[i]
    end
    vector = vector >> 1
    i = i + 1
  end
  return sum
end

local function square(matrix)
  local out = {}
  for i = 1, 32 do
    out[i] = times(matrix, matrix[i])
  end
  return out
end

local function one_zero_byte()
  local matrix = { 0xedb88320 }
  for i = 2, 32 do
    matrix[i] = 1 << i - 2
  end
  return square(square(square(matrix)))
end

local function crc_of_zeros(count)
  local crc, matrix = 0xffffffff, one_zero_byte()
  while count > 0 do
    if count & 1 == 1 then
      crc = times(matrix, crc)
    end
    count = count >> 1
    matrix = square(matrix)
  end
  return crc ~ 0xffffffff
end

-- The bomb's deflate block up to its first match, as bits in the order of
-- the wire. Its code has three symbols: "0" is a match of 258 bytes, "10"
-- the literal zero, "11" the end; the one distance code is "0". A match is
-- thus two zero bits and a zero byte on the wire 1,032 bytes of body.
local function block_start()
  local lengths = {}
  for i = 1, 18 do
    lengths[i] = "000"
  end
  lengths[3] = "100"                  -- 18, a run of zeros: one bit, "0"
  lengths[16], lengths[18] = "010", "010"     -- 2: "11"; 1: "10"
  local function run(count)
    local bits = "0"
    for i = 0, 6 do
      bits = bits .. (count - 11 >> i & 1)
    end
    return bits
  end
  return "1" .. "01"                  -- last block, dynamic codes
    .. "10111" .. "00000" .. "0111"   -- 286 literals, 1 distance, 18 lengths
    .. table.concat(lengths)
    .. "11" .. run(138) .. run(117) .. "11" .. run(28) .. "10" .. "10"
    .. "10"                           -- the first zero, as a literal
end

local function pack(bits)
  bits = bits .. ("0"):rep(-#bits % 8)
  return (bits:gsub("........", function(eight)
    return string.char(tonumber(eight:reverse(), 2))
  end))
end

--- A gzip body of at least `size` zeros: what stands before the zero
--- bytes, how many zero bytes, what comes after, and the decoded size.
function gzip.bomb(size)
  local start = block_start()
  local matches = math.max(size, 1 << 16) // 258 + 4
  -- The end code's first bit is to be the last of its byte.
  while (#start + 2 * matches) % 8 ~= 7 do
    matches = matches + 1
  end
  local decoded = 1 + 258 * matches
  local head = "\x1f\x8b\8\0\0\0\0\0\2\3" .. pack(start)
  local zeros = (#start + 2 * matches - 7) // 8 - #pack(start)
  local tail = "\x80\x01" .. ("<I4I4"):pack(crc_of_zeros(decoded),
    decoded & 0xffffffff)
  return head, zeros, tail, decoded
end

return gzip
