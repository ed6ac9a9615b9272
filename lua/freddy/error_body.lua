-- SPDX-License-Identifier: MIT
--- What an error answer says: every shape of body that Freddy servers have
--- sent, read into one. All of it is hostile input: each field may have any
--- type, any length and any characters.
local error_body = {}

local MAX_MESSAGE = 500
local MAX_FIELDS = 50

--- `text` cut to `max` bytes, at a character's edge, with "..." at the end.
---@param text string
---@param max integer at least 4
---@return string
function error_body.clip(text, max)
  if #text <= max then
    return text
  end
  local size = max - 3
  while size > 0 and (text:byte(size + 1) or 0) >= 128
      and text:byte(size + 1) < 192 do
    size = size - 1
  end
  return text:sub(1, size) .. "..."
end

--- `text` with each run of blanks and control characters made one blank.
---@param text string
---@return string
function error_body.one_line(text)
  text = text:gsub("[%c%s]+", " ")
  return text:match("^ ?(.-) ?$")
end

--- A string from anything the server sent: one line, bounded. nil when it is
--- no string or number, or blank.
---@param value any
---@return string?
function error_body.clean(value)
  if type(value) == "number" then
    value = ("%.14g"):format(value)
  end
  if type(value) ~= "string" then
    return nil
  end
  -- Cut first: the rest then costs no more than the bound.
  local text = error_body.one_line(value:sub(1, 4 * MAX_MESSAGE))
  return text ~= "" and error_body.clip(text, MAX_MESSAGE) or nil
end

--- The path of a request without its query, which may hold what is private.
---@param path string
---@return string
function error_body.path_of(path)
  return error_body.one_line(path:match("^[^?#]*"))
end

local clean = error_body.clean

local function table_of(value)
  return type(value) == "table" and value or {}
end

-- {"body", "inputs", 0, "role"} -> "inputs[0].role".
local function field_of(loc)
  if type(loc) ~= "table" then
    return clean(loc)
  end
  local path = ""
  for i = 1, math.min(#loc, 20) do
    local part = loc[i]
    if type(part) == "number" then
      path = path .. ("[%.14g]"):format(part)
    elseif clean(part) and not (i == 1 and #loc > 1) then
      path = path .. (path == "" and "" or ".") .. clean(part)
    end
  end
  return clean(path)
end

-- The list of fields that were refused, whatever their names for things.
local function fields_of(list)
  local out = {}
  for i = 1, math.min(#list, MAX_FIELDS) do
    local item = table_of(list[i])
    out[i] = {
      field = field_of(item.field or item.loc),
      message = clean(item.message or item.msg or list[i]),
      code = clean(item.code or item.type),
    }
  end
  return out
end

local function summary_of(list)
  local first = list[1]
  if not first then
    return nil
  end
  local text = first.message or first.code or "not accepted"
  if first.field then
    text = first.field .. ": " .. text
  end
  if #list > 1 then
    text = ("%s (and %d more)"):format(text, #list - 1)
  end
  return text
end

-- E2 and E3: { error = { code, message, type, ... } }
local function read_object(out, object)
  out.message = clean(object.message) or clean(object.system_message)
  out.code = clean(object.code)
  out.trace_id = clean(object.trace_id)
  out.details.type = clean(object.type)
  out.details.system_message = clean(object.system_message)

  local details = table_of(object.details)
  for key, value in pairs(details) do
    if out.details[key] == nil and key ~= "errors" then
      out.details[key] = value
    end
  end
  if type(details.errors) == "table" then
    out.details.errors = fields_of(details.errors)
  elseif clean(details.field) then
    out.details.errors = { {
      field = clean(details.field), message = out.message, code = out.code,
    } }
  end
end

-- E1 and the framework's own: { detail = text, list or object, errors = list }
local function read_detail(out, data)
  local detail = data.detail

  if type(data.errors) == "table" then
    out.details.errors = fields_of(data.errors)
  elseif type(detail) == "table" and #detail > 0 then
    out.details.errors = fields_of(detail)
  elseif type(detail) == "table" then
    read_object(out, type(detail.error) == "table" and detail.error or detail)
  end
  out.message = out.message or clean(detail) or clean(data.message)
    or summary_of(out.details.errors or {})
  out.details.type = out.details.type or clean(data.error_type)
end

-- The title of a page (a proxy's 502), else the text itself.
local function read_text(out, res)
  local text = res.body or ""
  if (res.headers["content-type"] or ""):lower():find("html", 1, true)
      or text:find("^%s*<") then
    text = text:sub(1, 4096):match("<[tT][iI][tT][lL][eE]>(.-)</")
  end
  out.message = clean(text)
end

local function read_json(out, data)
  if type(data.error) == "table" then
    read_object(out, data.error)
  end
  out.message = out.message or clean(data.error)
  read_detail(out, data)
  out.message = out.message or clean(data.title)
  out.code = out.code or clean(data.code)
  out.trace_id = out.trace_id or clean(data.trace_id)
  out.request_id = clean(table_of(data.meta).request_id)
end

--- Read an answer's body into { message, code, trace_id, request_id,
--- details }; details is nil when there are none.
---@param res freddy.Response
---@return table
function error_body.read(res)
  local out = { details = {} }
  local data = res.data

  if type(data) == "table" then
    read_json(out, data)
  elseif data == nil or not clean(data) then
    read_text(out, res)
  else
    out.message = clean(data)
  end
  out.message = out.message or ("the server answered %d"):format(res.status)
  if next(out.details) == nil then
    out.details = nil
  end
  return out
end

-- Codes that mean the same as another word of ours.
local SYNONYMS = {
  authentication_required = "missing_authentication",
  token_missing_subject = "token_invalid",
  invalid_token = "token_invalid",
  expired_token = "token_expired",
  api_key_invalid = "invalid_api_key",
  access_denied = "insufficient_permissions",
}

-- For servers that send no code. The first row whose words all occur in the
-- text wins.
local TEXTS = {
  { 403, "account_suspended", "suspended" },
  { 401, "api_key_expired", "api[ _-]?key", "expired" },
  { 401, "api_key_paused", "api[ _-]?key", "paused" },
  { 401, "api_key_deactivated", "api[ _-]?key", "deactivated" },
  { 401, "missing_authentication", "api[ _-]?key", "missing" },
  { 401, "missing_authentication", "api[ _-]?key", "required" },
  { 401, "invalid_api_key", "api[ _-]?key", "invalid" },
  { 401, "invalid_api_key", "api[ _-]?key", "not valid" },
  { 401, "invalid_api_key", "incorrect api[ _-]?key" },
  { 401, "token_expired", "token", "expired" },
  { 401, "token_expired", "signature has expired" },
  { 401, "missing_authentication", "token", "missing" },
  { 401, "token_invalid", "token", "invalid" },
  { 401, "token_invalid", "not validate credentials" },
  { 401, "invalid_credentials", "incorrect password" },
  { 401, "invalid_credentials", "invalid", "credentials" },
  { 401, "missing_authentication", "not authenticated" },
  { 401, "missing_authentication", "authentication", "required" },
  { 401, "missing_authentication", "missing", "authoriz" },
  { 403, "ambiguous_organization", "several organizations" },
  { 403, "missing_authentication", "not authenticated" },
  { 403, "insufficient_permissions", "permission" },
}

local function text_says(text, row)
  for i = 3, #row do
    if not text:find(row[i]) then
      return false
    end
  end
  return true
end

local function reason_by_text(status, text)
  for _, row in ipairs(TEXTS) do
    if (row[1] == status or row[2] == "account_suspended")
        and text_says(text, row) then
      return row[2]
    end
  end
  return nil
end

local function speaks_of_quota(text)
  text = (text or ""):lower()
  return (text:find "quota" or text:find "budget" or text:find "spending")
    ~= nil
end

-- As the engine decides about repeats (src/rules/retry.h).
local function is_quota(err)
  local details = err.details or {}
  if speaks_of_quota(err.code) or speaks_of_quota(details.type) then
    return true
  elseif err.retry_after or err.code and err.code:find "%D" then
    return false
  end
  return speaks_of_quota(err.message)
    or speaks_of_quota(details.system_message)
end

--- The reason: from the code where there is one, else, for 401 and 403, from
--- the words. A 429 that speaks of a quota is told from one that passes.
---@param err table with status, message and code
---@return string?
function error_body.reason(err)
  local status = err.status
  local text = err.message:lower()
  local code = err.code and err.code:lower():gsub("[%s%-]+", "_")

  if code and not code:find("^[%w_%.]+$") then
    code = nil
  end
  if status == 429 and is_quota(err) then
    return "quota"
  end
  if code and code ~= "unauthorized" and code ~= "forbidden"
      and not code:find("^%d+$") then
    return SYNONYMS[code] or code
  end
  if status == 401 or status == 403 then
    return reason_by_text(status, text)
  end
  return nil
end

return error_body
