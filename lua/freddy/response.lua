-- SPDX-License-Identifier: MIT
--- The answer to a request. Both objects are the core's own tables with a
--- metatable: nothing is copied.
local response = {}

--- Header fields: `headers["content-type"]`, the name in any case. Values of
--- a field that came several times are joined by ", " (RFC 9110 5.2), but of
--- set-cookie, which cannot be joined, the first is given.
---@class freddy.Headers
---@field [string] string?
local Headers = { __name = "freddy.headers" }
local header_methods = {}

--- Every value of one field, in the order of arrival.
---@param name string in any case
---@return string[] values empty when there is none
function header_methods:all(name)
  local values = {}
  name = name:lower()
  for i = 1, #self, 2 do
    if self[i]:lower() == name then
      values[#values + 1] = self[i + 1]
    end
  end
  return values
end

local function next_field(fields, i)
  i = i + 2
  if fields[i] then
    return i, fields[i], fields[i + 1]
  end
end

--- Iterate over all fields in the order of arrival:
--- `for _, name, value in res.headers:each() do`.
---@return function iterator
---@return freddy.Headers headers
---@return integer start
function header_methods:each()
  return next_field, self, -1
end

function Headers.__index(self, name)
  local method = header_methods[name]
  if method or type(name) ~= "string" then
    return method
  end
  local values = header_methods.all(self, name)
  if #values > 1 and name:lower() ~= "set-cookie" then
    return table.concat(values, ", ")
  end
  return values[1]
end

--- Seconds from the start of the last attempt; `total` from the call, `waited`
--- in line for the rate limit or a place on the host.
---@class freddy.Timing
---@field waited number
---@field dns number
---@field connect number
---@field tls number
---@field first_byte number
---@field total number

--- An answer.
---@class freddy.Response
---@field status integer
---@field headers freddy.Headers
---@field body? string "" for HEAD, 204 and 304; nil when it was saved
---@field saved? integer bytes of the file, when it was saved (save_to)
---@field data any the decoded body when it is JSON, else nil
---@field request_id? string the header x-request-id
---@field timing freddy.Timing
---@field attempts integer the first included; following a redirect is none
---@field url string where it came from: what was asked for, or where
---  redirects led to
---@field http_version integer 10, 11 or 20
---@field reused boolean true on a connection that was open already
local Response = { __name = "freddy.response" }

function Response.__tostring(res)
  local size = res.body and ("%d bytes"):format(#res.body)
    or res.saved and ("%.0f bytes saved"):format(res.saved) or "no body"
  return ("freddy.response: %d (%s)"):format(res.status, size)
end

-- One client gets one type again and again.
local last_type, last_is_json

local function is_json_type(value)
  if value == last_type then
    return last_is_json
  end
  local media = value:lower():match("^[^;%s]*")
  last_type = value
  last_is_json = media == "application/json" or media == "text/json"
    or media:sub(-5) == "+json"
  return last_is_json
end

--- Make the core's response table into a freddy.Response, `data` excepted.
---@param res table
---@return freddy.Response res
---@return boolean is_json true when its content type is JSON
function response.wrap(res)
  local headers = res.headers
  local is_json = false

  for i = 1, #headers, 2 do
    local name = headers[i]
    local size = #name
    if size == 12 then -- the two that count happen to be of one length
      name = name:lower()
      if name == "content-type" then
        is_json = is_json_type(headers[i + 1])
      elseif name == "x-request-id" then
        res.request_id = res.request_id or headers[i + 1]
      end
    end
  end
  setmetatable(headers, Headers)
  return setmetatable(res, Response), is_json
end

--- True when an answer to `method` has a body at all (RFC 9110 6.4.1).
---@param method string
---@param status integer
---@return boolean
function response.has_body(method, status)
  return method ~= "HEAD" and status ~= 204 and status ~= 205
    and status ~= 304
end

--- Pass every text of the answer through `redact`.
---@param res freddy.Response
---@param redact fun(text: string): string
---@return freddy.Response
function response.redact(res, redact)
  local headers = res.headers
  for i = 1, #headers do
    headers[i] = redact(headers[i])
  end
  res.body = res.body and redact(res.body)
  res.url = res.url and redact(res.url)
  res.request_id = res.request_id and redact(res.request_id)
  return res
end

local function rename(t, names)
  for name, masked in pairs(names) do
    t[name], t[masked] = nil, t[name]
  end
end

--- Pass every string of a decoded body, names included, through `redact`: a
--- server may escape a secret before it writes the JSON, so that only the
--- decoded string spells it.
---@param data any
---@param redact fun(text: string): string
---@return any data
function response.redact_data(data, redact)
  if type(data) == "string" then
    return redact(data)
  elseif type(data) ~= "table" then
    return data
  end
  local names = {}
  for key, value in next, data do
    if type(value) == "string" or type(value) == "table" then
      data[key] = response.redact_data(value, redact)
    end
    local masked = type(key) == "string" and redact(key) or key
    if masked ~= key then
      names[key] = masked
    end
  end
  rename(data, names)
  return data
end

return response
