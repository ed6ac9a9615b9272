-- SPDX-License-Identifier: MIT
-- Answers that put a client to the test: statuses, large headers, redirects,
-- and servers that tell a secret back.

local credentials = require "credentials"
local errors = require "errors"
local json = require "json"
local reply = require "reply"
local request = require "request"

local faults = {}

-- `header=Name:Value` of a query, as often as it is given.
local function asked_headers()
  local headers = {}
  for _, pair in ipairs(request.query_list()) do
    local name, value = pair.value:match "^([%w-]+): *(.*)$"
    if pair.name == "header" and name then
      headers[name] = headers[name] or {}
      table.insert(headers[name], value)
    end
  end
  return headers
end

function faults.status(params)
  local query = request.query()
  local status = request.integer(params.status, nil, 200, 599)
  local shape = query.shape or "E2"
  if not status then
    return errors.invalid("status", "Not a status.", params.status)
  elseif not errors.has_shape(shape) then
    return errors.invalid("shape", "No such shape.", shape)
  end
  local headers = asked_headers()
  if query.retry_after then
    headers["Retry-After"] = query.retry_after
  end
  local fields
  if query.field then
    fields = { { field = query.field, code = "invalid",
      message = query.message or "Not valid." } }
  end
  errors.send(status, query.code, {
    shape = shape, message = query.message, headers = headers,
    fields = fields, details = query.field and { field = query.field },
  })
end

function faults.headers()
  local query = request.query()
  local size = request.integer(query.size, 64, 0, 1024 * 1024)
  local count = request.integer(query.count, 1, 0, 10000)
  if not size or not count or size * count > 16 * 1024 * 1024 then
    return errors.invalid("query", "size or count is out of bounds.")
  end
  for i = 1, count do
    ngx.header["X-Fill-" .. i] = ("x"):rep(size)
  end
  reply.json(200, { size = size, count = count })
end

-- Where a redirect goes: `hops` more rounds, then to `to`.
local function target(query)
  local hops = request.integer(query.hops, 1, 1, 1000) or 1
  if hops == 1 then
    return query.to or "/v1/open"
  end
  local rest = { hops = hops - 1, to = query.to, status = query.status }
  return "/v1/redirect?" .. ngx.encode_args(rest)
end

function faults.redirect()
  local query = request.query()
  local status = request.integer(query.status, 302, 300, 399)
  if not status then
    return errors.invalid("status", "Not a 3xx status.", query.status)
  end
  local location = target(query)
  if query.location ~= "none" then
    ngx.header["Location"] = location
  end
  reply.json(status, { location = location })
end

local function secret_received()
  local list = {}
  for i, entry in ipairs(credentials.received()) do
    list[i] = entry.value:gsub("^[Bb]earer +", "")
  end
  return #list > 0 and table.concat(list, " ") or "nothing"
end

local function every_byte(text, format)
  return (text:gsub(".", function(char)
    return format:format(char:byte())
  end))
end

-- A secret as it is, percent-encoded, and as it stands in a JSON string;
-- with form=full every single byte is encoded.
local function forms(secret, full)
  if full then
    return secret, every_byte(secret, "%%%02X"),
      every_byte(secret, "\\u%04x")
  end
  return secret, ngx.escape_uri(secret), json.encode(secret):sub(2, -2)
end

function faults.leak()
  local query = request.query()
  local where = query.where or "body"
  local status = request.integer(query.status, 401, 200, 599)
  local shape = query.shape or "E2"
  if not status or not errors.has_shape(shape) then
    return errors.invalid("query", "status or shape is out of bounds.")
  end
  local plain, percent, escaped = forms(secret_received(),
    query.form == "full")
  if where == "location" then
    ngx.header["Location"] = query.to or "/v1/open?key=" .. percent
    return reply.json(query.status and status or 302, {})
  end
  local message
  if where == "header" then
    ngx.header["X-Leak"] = plain
    ngx.header["X-Leak-Percent"] = percent
    ngx.header["X-Leak-Json"] = escaped
  else
    message = ("Refused: %s, %s, %s."):format(plain, percent, escaped)
  end
  errors.send(status, query.code or "INVALID_API_KEY", {
    shape = shape, message = message,
    details = message and { value = plain, percent = percent,
      escaped = escaped },
  })
end

return faults
