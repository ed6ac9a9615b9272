-- SPDX-License-Identifier: MIT
--- From a path and options to the table that the core starts. Misuse raises
--- here, at the caller's line and before anything is sent.
local body = require "freddy.body"
local coroutines = require "freddy.coroutines"
local errors = require "freddy.errors"
local misuse = require "freddy.misuse"
local options = require "freddy.options"

local request = {}

local AUTH = { [true] = "always", [false] = "off" }

local function apply(client, who, out, given)
  if given.query then
    out.path = options.query(who, out.path, given.query)
  end
  if given.headers then
    out.headers = options.headers(who, given.headers, client.key_header)
  end
  if given.timeout ~= nil then
    out.timeout = options.timeout(who, given.timeout)
  end
  out.auth = AUTH[given.auth]
  out.max_body, out.save_to = given.max_body, given.save_to
  if given.http_version then
    out.http1, out.http2 = given.http_version == "1.1",
      given.http_version == "2"
  end
  if given.stream then
    out.stream, out.pull = true, true
  end
  out.on_progress = given.on_progress
  out.cancel_on_abort = given.cancel_on_abort
  out.progress = given.on_progress ~= nil
  out.retries = options.retries(given.retries)
  out.idempotent = given.idempotent
  body.set(who, out, given, client.codec)
end

--- Build a request. Its options, when there are any, have been checked.
---@param client freddy.Client
---@param who string
---@param method string
---@param path string
---@param given? table
---@return table request also the entry that is waited for
function request.build(client, who, method, path, given)
  if type(path) ~= "string" then
    misuse.raise("%s: the path must be a string (got %s)", who,
      misuse.type_of(path))
  end
  local first = path:byte(1)
  if first ~= 47 and not path:find("^[hH][tT][tT][pP][sS]?://") then
    misuse.raise('%s: the path must begin with "/", or be a full URL', who)
  end
  local out = {
    method = method, path = path, json = not client.codec,
    plain = given == nil and not client.tell_retry,
    retry_events = client.tell_retry ~= nil,
    -- Room for what comes: to grow the table costs more than all of it.
    call = nil, id = nil, done = nil, task = nil,
    client = nil, callback = nil, on_done = nil,
  }
  if given then
    apply(client, who, out, given)
  end
  return out
end

--- Add fields of the core's request that no option gives.
---@param out table the request
---@param more table
function request.add(out, more)
  for name, value in pairs(more) do
    out[name] = value
  end
  out.plain = nil
end

-- Why there is no key. The text may hold anything, the key too.
local function key_error(client, ok, value)
  local message = "the function given as api_key "
  if ok == nil then
    message = message .. "tried to wait"
  elseif not ok then
    message = message .. "raised: " .. client.redact(misuse.text_of(value))
  elseif value == nil then
    message = message .. "returned nothing"
  else
    message = message .. "returned no usable key"
  end
  return errors.new("auth", { reason = "key_unavailable", message = message })
end

--- Ask a function given as api_key, for a request that carries a credential.
---@param client freddy.Client
---@param out table the request
---@return boolean? ok
---@return freddy.Error? err
function request.add_key(client, out)
  if not client.key_function or out.auth == "off" then
    return true
  end
  local ok, value = coroutines.call_without_waiting("the function given as "
    .. "api_key", client.key_function)
  if not ok or options.check_secret(value) then
    return nil, key_error(client, ok, value)
  end
  out.api_key, out.plain = value, nil
  return true
end

return request
