-- SPDX-License-Identifier: MIT
--- multipart/form-data (RFC 7578), with names escaped as the HTML standard
--- has it for forms. Only text is made here: files and readers stay pieces
--- of their own, which the core sends in their turn.
local core = require "freddy.core"
local misuse = require "freddy.misuse"
local options = require "freddy.options"

local multipart = {}

local raise = misuse.raise

local SOURCES = { "data", "file", "reader" }
local FIELDS = {
  name = "string", data = "string", file = "string", reader = "function",
  size = "number", filename = "string", content_type = "string",
}
local ESCAPES = { ['"'] = "%22", ["\r"] = "%0D", ["\n"] = "%0A" }

-- Line ends are escaped; other control characters have no right to be there.
local function escape(who, place, text)
  local escaped = text:gsub('["\r\n]', ESCAPES)
  if escaped:find("%c") then
    raise("%s: %s holds a control character", who, place)
  end
  return escaped
end

local function check_field(who, place, field, value)
  local wanted = FIELDS[field]
  if not wanted then
    raise("%s: unknown field %q in %s%s", who, tostring(field), place,
      misuse.suggest(field, FIELDS))
  elseif type(value) ~= wanted then
    raise("%s: %s.%s must be a %s (got %s)", who, place, field, wanted,
      misuse.type_of(value))
  end
end

local function check_size(who, place, part)
  if part.size == nil then
    return
  elseif not part.reader then
    raise("%s: %s.size is only for a reader", who, place)
  elseif not options.is_integer(part.size) or part.size < 0
      or part.size > 2 ^ 53 then
    raise("%s: %s.size must be a whole number of bytes, at least 0", who,
      place)
  end
end

-- Raises unless the part is right; tells which source it has.
local function check_part(who, place, part)
  local source
  if type(part) ~= "table" then
    raise("%s: %s must be a table { name =, data = | file = | reader = } "
      .. "(got %s)", who, place, misuse.type_of(part))
  end
  for field, value in pairs(part) do
    check_field(who, place, field, value)
  end
  for _, name in ipairs(SOURCES) do
    if part[name] ~= nil and source then
      raise("%s: %s.%s and %s exclude each other", who, place, source, name)
    end
    source = part[name] ~= nil and name or source
  end
  if not part.name or part.name == "" then
    raise("%s: %s.name is required", who, place)
  elseif not source then
    raise("%s: %s needs data, file or reader", who, place)
  elseif part.file and (part.file == "" or part.file:find("%z")) then
    raise("%s: %s.file must be a path", who, place)
  end
  check_size(who, place, part)
  return source
end

local function head(who, place, part)
  local filename = part.filename
    or part.file and part.file:match("[^/]*$") or nil
  local content_type = part.content_type
    or part.file and "application/octet-stream" or nil
  local out = { 'Content-Disposition: form-data; name="'
    .. escape(who, place .. ".name", part.name) .. '"' }
  if filename then
    out[1] = out[1] .. '; filename="'
      .. escape(who, place .. ".filename", filename) .. '"'
  end
  if content_type then
    if content_type == "" or not core.is_value(content_type) then
      raise("%s: %s.content_type must be a media type", who, place)
    end
    out[2] = "Content-Type: " .. content_type
  end
  return table.concat(out, "\r\n") .. "\r\n\r\n"
end

-- Not to be guessed, and not within what we can see of the parts.
local function pick_boundary(parts)
  local boundary
  repeat
    boundary = "freddy-" .. core.random(16)
    local free = true
    for i = 1, #parts do
      local data = parts[i].data
      free = free and not (data and data:find(boundary, 1, true))
    end
  until free
  return boundary
end

-- Collects what is to be sent: texts that follow each other become one.
local function collector()
  local sources, readers, texts = {}, {}, {}
  local self = {}

  local function put(kind, value)
    sources[#sources + 1] = kind
    sources[#sources + 1] = value
  end

  function self.text(text)
    texts[#texts + 1] = text
  end

  function self.flush()
    put("bytes", table.concat(texts))
    texts = {}
  end

  function self.file(path)
    self.flush()
    put("file", path)
  end

  function self.reader(fn, size)
    self.flush()
    put("reader", size or -1)
    readers[#sources / 2] = { read = fn }
  end

  return self, sources, readers
end

--- Check the option `multipart` and take it apart.
---@param who string
---@param parts table
---@return table sources kind, value, kind, value ... as the core wants them
---@return table readers by the number of their source
---@return string content_type
function multipart.build(who, parts)
  local count = #parts
  if count == 0 then
    raise("%s: multipart must be an array of parts, at least one", who)
  end
  local kinds, heads = {}, {}
  for key in pairs(parts) do
    if not options.is_integer(key) or key < 1 or key > count then
      raise("%s: multipart must be an array of parts (it has the key %q)",
        who, tostring(key))
    end
  end
  for i = 1, count do -- there may be a hole
    local place = ("multipart[%d]"):format(i)
    kinds[i] = check_part(who, place, parts[i])
    heads[i] = head(who, place, parts[i])
  end
  local boundary = pick_boundary(parts)
  local out, sources, readers = collector()
  for i = 1, count do
    local part = parts[i]
    out.text((i > 1 and "\r\n--" or "--") .. boundary .. "\r\n" .. heads[i])
    if kinds[i] == "data" then
      out.text(part.data)
    elseif kinds[i] == "file" then
      out.file(part.file)
    else
      out.reader(part.reader, part.size)
    end
  end
  out.text("\r\n--" .. boundary .. "--\r\n")
  out.flush()
  return sources, readers, "multipart/form-data; boundary=" .. boundary
end

return multipart
