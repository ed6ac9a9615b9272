-- SPDX-License-Identifier: MIT
--- JSON: the core's conversion, and other codecs in its place.
local core = require "freddy.core"
local errors = require "freddy.errors"
local misuse = require "freddy.misuse"

local json = {}

-- The core names the place: "inputs[2].x: what", ": what" for the root.
local function place(prefix, message)
  if message:find("^[:%[]") then
    return prefix .. message
  end
  return prefix .. "." .. message
end

--- Native value to JSON text. Integers are exact, `freddy.null` is null, a
--- table marked with `freddy.array` is an array even when it is empty. Raises
--- at the caller's line, naming the path, for what JSON cannot hold: NaN,
--- functions, sparse or mixed tables, more than 128 levels.
---@param value any
---@return string text
function json.encode(value)
  local text, message = core.json_encode(value)
  if not text then
    misuse.raise("freddy.json.encode: %s", place("value", message))
  end
  return text
end

--- JSON text to native value. null is `freddy.null`, so the value is nil only
--- when there is an error.
---@param text string
---@return any? value
---@return freddy.Error? err kind `protocol`, reason `bad_json`
function json.decode(text)
  if type(text) ~= "string" then
    misuse.raise("freddy.json.decode: a string expected (got %s)",
      misuse.type_of(text))
  end
  local value, message = core.json_decode(text)
  if value == nil then
    return nil, errors.new("protocol", {
      reason = "bad_json", message = message,
      hint = "the text is no JSON (RFC 8259)",
    })
  end
  return value
end

--- Encode the option `json` of a request. Raises at the caller's line.
---@param who string
---@param value any
---@param codec? table nil: the core's conversion
---@return string text
function json.encode_option(who, value, codec)
  if not codec then
    local text, message = core.json_encode(value)
    if not text then
      misuse.raise("%s: %s", who, place("json", message))
    end
    return text
  end
  local ok, text, message = pcall(codec.encode, value)
  if not ok or type(text) ~= "string" then
    misuse.raise("%s: json: %s", who,
      misuse.text_of(not ok and text or message))
  end
  return text
end

--- Decode a body with a codec of the user's.
---@param codec table
---@param text string
---@return any? value
---@return string? message
function json.decode_with(codec, text)
  local ok, value, message = pcall(codec.decode, text)
  if not ok then
    return nil, misuse.text_of(value)
  elseif value == nil then
    return nil, misuse.text_of(message or "the codec gave nothing")
  end
  return value
end

return json
