-- SPDX-License-Identifier: MIT
-- Reading a request: its target, its fields, its body.

local json = require "json"

local request = {}

--- The target as it was sent, cut at the question mark.
---@return string path still encoded
---@return string? query nil when there is no question mark
function request.target()
  local path, query = ngx.var.request_uri:match "^([^?]*)%??(.*)$"
  if not ngx.var.request_uri:find("?", 1, true) then
    query = nil
  end
  return path, query
end

--- The query as a list, in order; `+` is a blank.
---@return { name: string, value: string }[]
function request.query_list()
  local _, query = request.target()
  local list = {}
  for pair in (query or ""):gmatch "[^&]+" do
    local name, value = pair:match "^([^=]*)=?(.*)$"
    list[#list + 1] = {
      name = ngx.unescape_uri(name), value = ngx.unescape_uri(value),
    }
  end
  return list
end

--- The query as a map: the last value of each name.
---@return table<string, string>
function request.query()
  local map = {}
  for _, pair in ipairs(request.query_list()) do
    map[pair.name] = pair.value
  end
  return map
end

--- A whole number from the query.
---@param value string?
---@param default integer
---@param least integer
---@param most integer
---@return integer? number nil when it is none, or out of bounds
function request.integer(value, default, least, most)
  if value == nil then
    return default
  end
  local number = value:find "^%d+$" and tonumber(value)
  if number and number >= least and number <= most then
    return number
  end
end

local BOOLEANS = {
  ["true"] = true, ["1"] = true, ["false"] = false, ["0"] = false,
}

--- A boolean from the query.
---@param value string?
---@param default boolean
---@return boolean? nil when it is none
function request.boolean(value, default)
  if value == nil then
    return default
  end
  return BOOLEANS[value:lower()]
end

--- The whole body; `request.read` has been called by the router.
---@return string
function request.body()
  local body = ngx.req.get_body_data()
  if body then
    return body
  end
  local path = ngx.req.get_body_file()
  if not path then
    return ""
  end
  local file = assert(io.open(path, "rb"))
  body = file:read "*a"
  file:close()
  return body
end

--- The body as a JSON object.
---@return table? object nil when it is none
function request.json()
  local value = json.decode(request.body())
  if type(value) == "table" and value[1] == nil then
    return value
  end
end

local function raw_headers()
  local list = {}
  for line in ngx.req.raw_header(true):gmatch "([^\r\n]+)" do
    local name, value = line:match "^([^:]+):[ \t]*(.-)[ \t]*$"
    if name then
      list[#list + 1] = { name = name, value = value }
    end
  end
  return list
end

local function parsed_headers()
  local list = {}
  for name, values in pairs(ngx.req.get_headers(0, true)) do
    if type(values) ~= "table" then
      values = { values }
    end
    for _, value in ipairs(values) do
      list[#list + 1] = { name = name, value = value }
    end
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

--- The header fields: over HTTP/1 in the order and spelling that was sent,
--- over HTTP/2 by name (nginx keeps no more there).
---@return { name: string, value: string }[]
function request.headers()
  if ngx.req.http_version() == 2 then
    return parsed_headers()
  end
  return raw_headers()
end

return request
