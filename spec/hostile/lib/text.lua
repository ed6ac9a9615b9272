-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- Small text tools: percent and base64 forms, query strings, JSON.

local text = {}

local function percent(char)
  return ("%%%02X"):format(char:byte())
end

--- Percent-encode all but the unreserved characters of RFC 3986, or
--- every byte when `all` is true.
function text.percent(s, all)
  return (s:gsub(all and "." or "[^%w%-._~]", percent))
end

--- Undo percent-encoding; `+` stands for itself.
function text.unpercent(s)
  return (s:gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

--- Read a query string into a map; a name without `=` is "".
function text.query(s)
  local map = {}
  for pair in s:gmatch("[^&]+") do
    local name, value = pair:match("^([^=]*)=?(.*)$")
    map[text.unpercent(name)] = text.unpercent(value)
  end
  return map
end

local digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
  .. "0123456789+/"

--- Base64 with padding (RFC 4648, 4).
function text.base64(s)
  local out = {}
  for i = 1, #s, 3 do
    local a, b, c = s:byte(i, i + 2)
    local bits = a << 16 | (b or 0) << 8 | (c or 0)
    local four = ""
    for shift = 18, 0, -6 do
      local at = (bits >> shift & 63) + 1
      four = four .. digits:sub(at, at)
    end
    out[#out + 1] = four
  end
  local short = -#s % 3
  local all = table.concat(out)
  return all:sub(1, #all - short) .. ("="):rep(short)
end

--- Undo base64; anything outside its alphabet is skipped.
function text.unbase64(s)
  local out, bits, count = {}, 0, 0
  for char in s:gmatch("[%w+/]") do
    bits = (bits << 6 | digits:find(char, 1, true) - 1) & 0xffffff
    count = count + 6
    if count >= 8 then
      count = count - 8
      out[#out + 1] = string.char(bits >> count & 255)
    end
  end
  return table.concat(out)
end

local function escape(char)
  return ("\\u%04x"):format(char:byte())
end

--- A JSON string of any bytes: a byte above 126 becomes the character
--- of that number (as in Latin-1), so that the result is plain ASCII.
function text.quote(s)
  return '"' .. s:gsub('[%c"\\\127-\255]', escape) .. '"'
end

--- Marks a table as a JSON array, empty or not.
function text.array(t)
  return setmetatable(t, { __name = "array" })
end

local encode

local function encode_array(t)
  local out = {}
  for i, value in ipairs(t) do
    out[i] = encode(value)
  end
  return "[" .. table.concat(out, ",") .. "]"
end

local function encode_object(t)
  local names, out = {}, {}
  for name in pairs(t) do
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do
    out[i] = text.quote(name) .. ":" .. encode(t[name])
  end
  return "{" .. table.concat(out, ",") .. "}"
end

function encode(value)
  if type(value) == "string" then
    return text.quote(value)
  elseif type(value) ~= "table" then
    return tostring(value)
  end
  local meta = getmetatable(value)
  if #value > 0 or meta and meta.__name == "array" then
    return encode_array(value)
  end
  return encode_object(value)
end

--- Encode a value as ASCII JSON, names in order.
text.json = encode

return text
