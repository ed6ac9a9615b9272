-- SPDX-License-Identifier: MIT
-- Sending an answer.

local json = require "json"

local reply = {}

--- The id that the header `x-request-id` and some error bodies carry.
---@return string
function reply.request_id()
  return "req_" .. ngx.var.rid
end

--- The same id in the form of a UUID.
---@return string
function reply.trace_id()
  return (ngx.var.rid:gsub(
    "^(%x%x%x%x%x%x%x%x)(%x%x%x%x)(%x%x%x%x)(%x%x%x%x)(%x+)$",
    "%1-%2-%3-%4-%5"))
end

--- Answer with a body of known length; HEAD gets its headers alone.
---@param status integer
---@param body string
---@param content_type string?
function reply.text(status, body, content_type)
  ngx.status = status
  if content_type then
    ngx.header["Content-Type"] = content_type
  end
  if status ~= 204 and status ~= 304 then
    ngx.header["Content-Length"] = #body
    ngx.print(body)
  end
end

---@param status integer
---@param value any
function reply.json(status, value)
  reply.text(status, json.encode(value), "application/json")
end

return reply
