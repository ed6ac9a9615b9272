-- SPDX-License-Identifier: MIT
-- /v1/echo and /v1/open: what came in, told back.

local json = require "json"
local reply = require "reply"
local request = require "request"

local echo = {}

local MAX_BODY = 8 * 1024 * 1024  -- a larger body is told by its hash alone

local SECRET = {
  ["authorization"] = true, ["x-api-key"] = true, ["api-key"] = true,
  ["cookie"] = true, ["proxy-authorization"] = true,
}

local function tell(pairs_in, hide)
  local list = {}
  for i, pair in ipairs(pairs_in) do
    local entry = {}
    json.put(entry, "name", pair.name)
    if hide and SECRET[pair.name:lower()] then
      entry.value = "present"
    else
      json.put(entry, "value", pair.value)
    end
    list[i] = entry
  end
  return json.array(list)
end

local function tls()
  local var = ngx.var
  if not var.ssl_protocol then
    return json.null
  end
  return {
    protocol = var.ssl_protocol, cipher = var.ssl_cipher,
    reused = var.ssl_session_reused == "r",
    server_name = var.ssl_server_name,
  }
end

function echo.answer()
  local var = ngx.var
  local path, query = request.target()
  local body = request.body()
  local answer = {
    method = ngx.req.get_method(), path = path, target = var.request_uri,
    scheme = var.scheme, host = var.http_host or var.host,
    query = tell(request.query_list()),
    headers = tell(request.headers(), true),
    body_size = #body, body_md5 = ngx.md5(body),
    http_version = ("%.1f"):format(ngx.req.http_version()),
    client_port = tonumber(var.remote_port),
    connection = tonumber(var.connection),
    connection_requests = tonumber(var.connection_requests), tls = tls(),
  }
  answer.query_raw = query or json.null
  if #body <= MAX_BODY then
    json.put(answer, "body", body)
  end
  reply.json(200, answer)
end

return echo
