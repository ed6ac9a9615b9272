-- SPDX-License-Identifier: MIT
-- JSON over lua-cjson, with the two things that version 2.1.0 lacks: an empty
-- array, and texts that are not UTF-8.

local cjson = require "cjson"

local json = { null = cjson.null }

-- Stands for an empty array until the text is made; nobody can guess it.
local EMPTY = "empty-" .. tostring({}):gsub("%W", "") .. os.time()
local EMPTY_PATTERN = '"' .. EMPTY:gsub("%-", "%%-") .. '"'

--- Mark a list, so that it is an array even when it has no element.
---@param list table
---@return table|string
function json.array(list)
  if #list == 0 then
    return EMPTY
  end
  return list
end

---@param value any
---@return string
function json.encode(value)
  local text = cjson.encode(value)
  return (text:gsub(EMPTY_PATTERN, "[]"))
end

---@param text string?
---@return any value nil when the text is not JSON
function json.decode(text)
  if not text then
    return nil
  end
  local ok, value = pcall(cjson.decode, text)
  if ok then
    return value
  end
end

local function sequence_length(text, at)
  if text:find("^[\194-\223][\128-\191]", at) then
    return 2
  elseif text:find("^\224[\160-\191][\128-\191]", at)
    or text:find("^[\225-\236\238\239][\128-\191][\128-\191]", at)
    or text:find("^\237[\128-\159][\128-\191]", at) then
    return 3
  elseif text:find("^\240[\144-\191][\128-\191][\128-\191]", at)
    or text:find("^[\241-\243][\128-\191][\128-\191][\128-\191]", at)
    or text:find("^\244[\128-\143][\128-\191][\128-\191]", at) then
    return 4
  end
end

--- Whether a text is UTF-8 (RFC 3629: no surrogates, nothing too long).
---@param text string
---@return boolean
function json.is_utf8(text)
  local at = text:find("[\128-\255]")
  while at do
    local length = sequence_length(text, at)
    if not length then
      return false
    end
    at = text:find("[\128-\255]", at + length)
  end
  return true
end

--- Put a text into a table that becomes JSON: under `name`, or in base64
--- under `name_base64` when it is not UTF-8.
---@param into table
---@param name string
---@param text string
function json.put(into, name, text)
  if json.is_utf8(text) then
    into[name] = text
  else
    into[name .. "_base64"] = ngx.encode_base64(text)
  end
end

return json
