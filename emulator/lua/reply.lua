-- SPDX-License-Identifier: MIT
-- Sending an answer.

local json = require "json"
local state = require "state"

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

-- Half of an answer, then the end of its connection (over HTTP/2, of its
-- stream): 444 is nginx's word for that.
local function cut(body)
  ngx.ctx.fault = "cut"
  ngx.header["Content-Length"] = #body
  ngx.print(body:sub(1, math.floor(#body / 2)))
  ngx.flush(true)
  ngx.exit(444)
end

--- Answer with a body of known length; HEAD gets its headers alone.
---@param status integer
---@param body string
---@param content_type string?
function reply.text(status, body, content_type)
  local fault = ngx.ctx.late or {}  -- see the rules of the control endpoint
  if ngx.ctx.late_delay then
    state.wait(ngx.ctx.late_delay)
  end
  if fault.lost then
    ngx.ctx.fault = "lost"
    ngx.exit(444)
  elseif fault.size then
    body = body .. (" "):rep(fault.size - #body)
  end
  ngx.status = status
  if content_type then
    ngx.header["Content-Type"] = content_type
  end
  if fault.cut then
    return cut(body)
  elseif status ~= 204 and status ~= 304 then
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
