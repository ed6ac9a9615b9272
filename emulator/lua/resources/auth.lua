-- SPDX-License-Identifier: MIT
-- /v1/auth/...: a user logs in, a key is exchanged, sessions are renewed and
-- ended. What the sources disagree on is a member of the switch `auth`.

local books = require "books"
local clock = require "clock"
local credentials = require "credentials"
local errors = require "errors"
local json = require "json"
local reply = require "reply"
local request = require "request"
local secrets = require "secrets"
local state = require "state"
local tokens = require "tokens"

local auth = {}

local dict = ngx.shared.auth

local function is_text(value)
  return type(value) == "string" and value ~= ""
end

local function is_word(value)
  return is_text(value) and not value:find "%s"
end

local function is_object(value)
  return type(value) == "table"
end

-- A number from 1000 to 9999, or its digits.
local function is_code(value)
  return (type(value) == "number" or type(value) == "string")
    and tostring(value):find "^[1-9]%d%d%d$" ~= nil
end

-- Fields of a body → check of their value; those that may be left out.
local LOGIN = { email_or_username = is_text, password = is_text,
  device_information = is_object }
local VERIFY = { email_key = is_text, verification_code = is_code,
  device_information = is_object }
local RESEND = { email_key = is_text }
local REFRESH = { refresh_token = is_word }
local OPTIONAL = { device_information = true }

local function wrong_field(body, fields, all_optional)
  for name in pairs(body) do
    if not fields[name] and state.switches().auth.strict then
      return name, "Not a known field."
    end
  end
  for name, check in pairs(fields) do
    local value = body[name]
    local optional = all_optional or OPTIONAL[name]
    if value == nil and not optional then
      return name, "Missing."
    elseif value ~= nil and not (optional and value == json.null)
      and not check(value) then
      return name, "Not valid."
    end
  end
end

-- The body, or nil after a 422: a field is missing, wrong or not known. The
-- values may be secrets, hence no answer repeats them.
local function checked_body(fields, all_optional)
  local body = request.json()
  if not body then
    return errors.invalid("body", "Not a JSON object.")
  end
  local name, message = wrong_field(body, fields, all_optional)
  if name then
    return errors.invalid(name, message)
  end
  return body
end

local function expires_in(switch, lifetime)
  if type(switch) == "table" then
    return switch.value
  elseif switch == "string" then
    return ("%.14g"):format(lifetime)
  elseif switch == "number" then
    return lifetime
  end
end

-- A refresh token as a string, or as an object that says its end.
local function refresh_value(form, token, expires_at)
  if form == "string" then
    return token
  end
  return { token = token, [form] = clock.iso(expires_at) }
end

local function add_refresh(answer, switches, name)
  if switches.refresh_name ~= "default" then
    name = switches.refresh_name
  end
  if name == "none" then
    return
  end
  local value = refresh_value(switches.refresh_form, tokens.refresh())
  for _, each in ipairs { "refresh_token", "refreshToken" } do
    if name == each or name == "both" then
      answer[each] = value
    end
  end
end

-- Give out tokens. `names`: what the fields are called at this endpoint
-- unless a switch says otherwise; no name, no refresh token.
local function grant(names)
  local switches = state.switches().auth
  local answer = {
    device_id = json.null, token_type = switches.token_type or nil,
    expires_in = expires_in(switches.expires_in, switches.lifetime),
    user = { id = "usr_emulator01", email = secrets.email, verified = true },
  }
  local name = switches.access_name
  answer[name == "default" and names.access or name] = tokens.access {}
  if names.refresh then
    add_refresh(answer, switches, names.refresh)
  end
  books.granted()
  reply.json(200, answer)
end

local NEWEST = { access = "access_token", refresh = "refresh_token" }
local AT_VERIFY = { access = "token", refresh = "both" }
local NO_REFRESH = { access = "access_token" }

--- The API key, in its header, against tokens.
function auth.token()
  if credentials.key() and checked_body {} then
    grant(state.switches().auth.exchange_refresh and NEWEST or NO_REFRESH)
  end
end

local function is_user(body)
  local name = body.email_or_username
  return (name == secrets.email or name == secrets.email:match "^[^@]+")
    and body.password == secrets.password
end

-- A new challenge; returns its e-mail key.
local function challenge()
  local id = "uuid-" .. reply.trace_id()
  local switches = state.switches().auth
  dict:set("challenge:" .. id, json.encode {
    code = switches.code, expires_at = ngx.now() + switches.code_lifetime,
  })
  books.granted()
  return id
end

function auth.login()
  local body = checked_body(LOGIN)
  if not body then
    return
  elseif not is_user(body) then
    return errors.send(401, "INVALID_CREDENTIALS")
  elseif not state.switches().auth.two_steps then
    return grant(AT_VERIFY)
  end
  reply.json(200, {
    success = true, message = "A verification code was sent.",
    email_key = challenge(), email = secrets.email,
    requires_verification = true, next_step = "email_verification",
  })
end

-- The challenge of an e-mail key, or nil after a 422.
local function open_challenge(email_key)
  local found = json.decode(dict:get("challenge:" .. email_key))
  if not found then
    return errors.send(422, "INVALID_EMAIL_KEY")
  end
  return found
end

-- Of all who come at once, true for one.
local function take_challenge(email_key)
  local first = dict:add("taken:" .. email_key, true)
  dict:delete("challenge:" .. email_key)
  return first
end

function auth.verify()
  local body = checked_body(VERIFY)
  local asked = body and open_challenge(body.email_key)
  if not asked then
    return
  elseif asked.expires_at <= ngx.now() then
    return errors.send(422, "VERIFICATION_CODE_EXPIRED")
  elseif tonumber(body.verification_code) ~= asked.code then
    return errors.send(422, "INVALID_VERIFICATION_CODE")
  elseif not take_challenge(body.email_key) then
    return errors.send(422, "INVALID_EMAIL_KEY")
  end
  grant(AT_VERIFY)
end

--- Another code for a login that has begun; its e-mail key is a new one.
function auth.resend_code()
  local body = checked_body(RESEND)
  if not body or not open_challenge(body.email_key) then
    return
  elseif not take_challenge(body.email_key) then
    return errors.send(422, "INVALID_EMAIL_KEY")
  end
  reply.json(200, {
    success = true, message = "A verification code was sent.",
    email_key = challenge(), type = "login",
  })
end

function auth.refresh()
  local body = checked_body(REFRESH)
  if not body then
    return
  end
  local code = tokens.spend(body.refresh_token)
  if code then
    return errors.send(401, code)
  end
  grant(state.switches().auth.rotate and NEWEST or NO_REFRESH)
end

--- Ends the access token that asks, and the refresh token that is named.
function auth.logout()
  local token = credentials.bearer()
  local body = token and checked_body(REFRESH, true)
  if not body then
    return
  end
  tokens.revoke(token)
  if type(body.refresh_token) == "string" then
    tokens.revoke(body.refresh_token)
  end
  books.granted()
  reply.json(200, {
    message = "Logged out.", logged_out_at = clock.iso(),
  })
end

--- Says of a credential whether it is good: 200 in either case.
function auth.validate()
  local status, code = credentials.verdict()
  if not credentials.secret() then
    return errors.send(status, code)
  end
  books.granted()
  reply.json(200, {
    is_valid = not status, error = code or json.null,
    requires_reconnect = status and true or json.null,
  })
end

function auth.dev_login()
  local body = checked_body(LOGIN)
  if body and not is_user(body) then
    return errors.send(401, "AUTHENTICATION_REQUIRED")
  elseif body then
    grant(NEWEST)
  end
end

return auth
