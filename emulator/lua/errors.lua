-- SPDX-License-Identifier: MIT
-- Refusals, in every body shape that the API has shown over time.

local clock = require "clock"
local reply = require "reply"
local state = require "state"

local errors = {}

local CODES = {
  [400] = "BAD_REQUEST", [401] = "AUTHENTICATION_REQUIRED",
  [403] = "INSUFFICIENT_PERMISSIONS", [404] = "RESOURCE_NOT_FOUND",
  [405] = "METHOD_NOT_ALLOWED", [408] = "REQUEST_TIMEOUT",
  [409] = "RESOURCE_ALREADY_EXISTS", [410] = "RESOURCE_GONE",
  [413] = "PAYLOAD_TOO_LARGE", [415] = "UNSUPPORTED_MEDIA_TYPE",
  [422] = "VALIDATION_ERROR", [429] = "RATE_LIMIT_EXCEEDED",
  [500] = "INTERNAL_SERVER_ERROR", [502] = "BAD_GATEWAY",
  [503] = "SERVICE_UNAVAILABLE", [504] = "GATEWAY_TIMEOUT",
}

local MESSAGES = {
  AUTHENTICATION_REQUIRED = "Authentication is required.",
  INVALID_API_KEY = "The API key is not valid.",
  API_KEY_EXPIRED = "The API key has expired.",
  API_KEY_PAUSED = "The API key is paused.",
  API_KEY_DEACTIVATED = "The API key has been deactivated.",
  TOKEN_EXPIRED = "The access token has expired.",
  TOKEN_INVALID = "The access token is not valid.",
  TOKEN_MISSING_SUBJECT = "The access token names no subject.",
  INSUFFICIENT_PERMISSIONS = "You are not permitted to do this.",
  INVALID_CREDENTIALS = "The user name or the password is wrong.",
  INVALID_EMAIL_KEY = "The e-mail key is not known, or has been used.",
  INVALID_VERIFICATION_CODE = "The verification code is wrong.",
  VERIFICATION_CODE_EXPIRED = "The verification code has expired.",
  MULTIPLE_CREDENTIALS = "Send exactly one credential.",
  RESOURCE_NOT_FOUND = "The resource was not found.",
  METHOD_NOT_ALLOWED = "The method is not allowed here.",
  RATE_LIMIT_EXCEEDED = "Rate limit exceeded.",
  VALIDATION_ERROR = "The request is not valid.",
  INTERNAL_SERVER_ERROR = "An internal error occurred.",
  SERVICE_UNAVAILABLE = "The service is temporarily unavailable.",
}

local function error_type(status)
  if status == 401 then
    return "authentication_error"
  elseif status == 403 then
    return "authorization_error"
  elseif status == 422 then
    return "validation_error"
  elseif status == 429 then
    return "rate_limit_error"
  end
  return status >= 500 and "server_error" or "client_error"
end

local function camel(text)
  return (text:gsub("_?(%l+)", function(word)
    return word:sub(1, 1):upper() .. word:sub(2)
  end))
end

-- What each shape says, made from what is to be said.
local shapes = {}

function shapes.E1(e)
  return {
    detail = e.message, status_code = e.status, error_type = camel(e.type),
    meta = { timestamp = clock.iso(), request_id = reply.request_id() },
    errors = e.fields,
  }
end

function shapes.E2(e)
  return {
    success = false,
    error = {
      code = e.code, message = e.message, type = e.type, status = e.status,
      system_message = e.system_message or e.message,
      details = e.details or {}, trace_id = reply.trace_id(),
      timestamp = clock.iso(),
    },
  }
end

function shapes.E3(e)
  return { error = {
    message = e.message, type = e.type, code = e.code:lower(),
  } }
end

function shapes.E4(e)
  return { error = e.message }
end

function shapes.E4m(e)
  return { message = e.message }
end

function shapes.E5(e)
  return { title = camel(e.code:lower()), message = e.message }
end

function shapes.detail(e)
  return { detail = e.message }
end

function shapes.list(e)
  return { detail = { {
    loc = { "body", "title" }, msg = e.message, type = "value_error",
  } } }
end

function shapes.text(e)
  return e.message .. "\n", "text/plain; charset=utf-8"
end

function shapes.html(e)
  return "<html><head><title>" .. e.status .. "</title></head><body><h1>"
    .. e.message:gsub("[<>&]", { ["<"] = "&lt;", [">"] = "&gt;",
      ["&"] = "&amp;" }) .. "</h1></body></html>\n", "text/html"
end

function shapes.empty()
  return "", nil
end

--- Whether there is a shape of this name.
---@param name string
---@return boolean
function errors.has_shape(name)
  return shapes[name] ~= nil
end

--- The code that a status has when none is named.
---@param status integer
---@return string
function errors.code_of(status)
  return CODES[status] or ("HTTP_" .. status)
end

--- What is said of a code where nothing else is told.
---@param status integer
---@param code string
---@return string
function errors.message(status, code)
  return MESSAGES[code] or "Status " .. status .. "."
end

--- Answer with an error.
---@param status integer
---@param code string?
---@param options { message: string?, system_message: string?, shape: string?,
---  details: table?, fields: table?, headers: table? }?
function errors.send(status, code, options)
  options = options or {}
  code = code or errors.code_of(status)
  local e = {
    status = status, code = code, type = error_type(status),
    message = options.message or errors.message(status, code),
    system_message = options.system_message, details = options.details,
    fields = options.fields,
  }
  ngx.ctx.code = code
  if status == 401 then
    ngx.header["WWW-Authenticate"] = "Bearer"
  end
  for name, value in pairs(options.headers or {}) do
    ngx.header[name] = value
  end
  local shape = options.shape or state.switches().shape
  local body, content_type = shapes[shape](e)
  if type(body) == "table" then
    return reply.json(status, body)
  end
  reply.text(status, body, content_type)
end

--- Answer 422: one field is wrong.
---@param field string
---@param message string
---@param value any
function errors.invalid(field, message, value)
  errors.send(422, "VALIDATION_ERROR", {
    message = message, details = { field = field, value = value },
    fields = { { field = field, message = message, code = "invalid" } },
  })
end

return errors
