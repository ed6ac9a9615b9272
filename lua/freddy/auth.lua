-- SPDX-License-Identifier: MIT
--- The credential of a client: `client.auth`.
local core = require "freddy.core"
local errors = require "freddy.errors"
local listener = require "freddy.listener"
local misuse = require "freddy.misuse"
local options = require "freddy.options"
local scheduler = require "freddy.scheduler"
local shared_session = require "freddy.shared_session"

local auth = {}

-- As the server has them; each can be changed by the option auth_paths.
local PATHS = {
  login = "/v1/auth/login", verify = "/v1/auth/verify",
  resend_code = "/v1/auth/resend-code", logout = "/v1/auth/logout",
  validate = "/v1/auth/validate", dev_login = "/v1/auth/dev-login",
}

local DEFAULT_TIMEOUT = 30
local TOLD_WITHIN = 6 -- the core gives on_token 5 seconds
local KEPT_WITHIN = 5

---@class freddy.Auth
---@field package client freddy.Client
---@field package perform function the client's own way to send a request
---@field package paths table<string, string>
---@field package may_dev_login boolean
---@field package timeout number seconds that one of its requests may take
local Auth = { __name = "freddy.auth" }
local methods = {}
Auth.__index = methods

local function replace(self, who, kind, secret)
  local client = self.client
  local ok, err = client.core:set_credential(kind, secret)
  if ok then
    client.key_function = nil
    return true
  elseif err.kind == "misuse" then
    misuse.raise("%s: %s", who, err.message)
  end
  return nil, errors.from_core(err)
end

local function check_secret(who, what, value)
  local expected = options.check_secret(value)
  if expected then
    misuse.raise("%s: the %s must be %s (got %s)", who, what, expected,
      misuse.type_of(value))
  end
end

--- Use another API key from now on. Requests that are not sent yet carry it,
--- too. Never waits.
---@param key string|fun(): string as the option api_key of freddy.new
---@return boolean? ok
---@return freddy.Error? err closed, forked
function methods:set_api_key(key)
  misuse.check_self(self, Auth, "client.auth:set_api_key")
  if type(key) == "function" then
    local ok, err = replace(self, "client.auth:set_api_key", "none")
    if ok then
      self.client.key_function = key
    end
    return ok, err
  end
  check_secret("client.auth:set_api_key", "key", key)
  return replace(self, "client.auth:set_api_key", "key", key)
end

local SESSION = {
  access_token = true, refresh_token = true, expires_in = true,
}

local function check_session(who, tokens)
  for name, value in pairs(tokens) do
    if not SESSION[name] then
      misuse.raise("%s: unknown field %q%s", who, tostring(name),
        misuse.suggest(name, SESSION))
    elseif name ~= "expires_in" then
      check_secret(who, name, value)
    elseif type(value) ~= "number" or value ~= value or value <= 0 then
      misuse.raise("%s: expires_in must be a number of seconds above 0", who)
    end
  end
  if tokens.access_token == nil and tokens.refresh_token == nil then
    misuse.raise("%s: there is no access_token and no refresh_token", who)
  end
end

--- Use another token from now on, as set_api_key does; with a refresh token
--- it is a session, which is renewed. Ends one that has expired. It is this
--- client's alone where the store is written in Lua. Never waits.
---@param token string|{ access_token: string?, refresh_token: string?,
---  expires_in: number? }
---@return boolean? ok
---@return freddy.Error? err closed, forked
function methods:set_token(token)
  local who = "client.auth:set_token"
  misuse.check_self(self, Auth, who)
  if type(token) ~= "table" then
    check_secret(who, "token", token)
    return replace(self, who, "token", token)
  end
  check_session(who, token)
  local client = self.client
  local ok, err = client.core:set_session(token.access_token,
    token.refresh_token, token.expires_in)
  if not ok then
    return nil, errors.from_core(err)
  end
  client.key_function = nil
  return true
end

-- --- Logging in and out --------------------------------------------------

local function is_text(value)
  if type(value) ~= "string" or value == "" or value:find("\0", 1, true) then
    return "a non-empty string without NUL bytes"
  end
end

local function is_table(value)
  return type(value) ~= "table" and "a table" or nil
end

local function is_code(value)
  if type(value) ~= "string" and (type(value) ~= "number"
      or value ~= math.floor(value)) then
    return "a number of 4 digits, or a string of them"
  end
end

-- Fields of each call: what each must be, and which may be left out.
local LOGIN = { email_or_username = is_text, password = is_text,
  device_information = is_table }
local VERIFY = { email_key = is_text, verification_code = is_code,
  device_information = is_table }
local RESEND = { email_key = is_text }

-- A value is never named: it may be a secret in the wrong place.
local function check_fields(who, given, rules)
  if type(given) ~= "table" then
    misuse.raise("%s: a table expected (got %s)", who, misuse.type_of(given))
  end
  for name in pairs(given) do
    if not rules[name] then
      misuse.raise("%s: unknown field %q%s", who, tostring(name),
        misuse.suggest(name, rules))
    end
  end
  for name, rule in pairs(rules) do
    local value = given[name]
    local expected = (value ~= nil or name ~= "device_information")
      and rule(value)
    if expected then
      misuse.raise("%s: %s must be %s (got %s)", who, name, expected,
        misuse.type_of(value))
    end
  end
end

-- Send to an endpoint of the auth server. Redirects are not followed.
local function ask(self, who, name, given, more)
  more.no_redirects = true
  more.timeout = { total = self.timeout }
  return self.perform(self.client, who, name == "validate" and "GET"
    or "POST", self.paths[name], given, more)
end

-- There is a new session. It is told and kept before this returns; where it
-- could not be kept, it is there all the same, but its user has to know.
local function installed(client, res)
  client.key_function = nil
  if not (client.on_token or client.store) then
    return res
  end
  local ok, err = listener.renew(client, "settle", TOLD_WITHIN)
  if not ok and err.reason == "store_failed" then
    err.message = "logged in, but " .. client.redact(err.message)
    return nil, err
  end
  return res
end

-- The same for a public one: what is given is the body, with a secret in it.
-- The answer may hold tokens (`install`), which stay in C.
local function ask_publicly(self, who, name, given, secret, install)
  local res, err = ask(self, who, name, { json = given, auth = false }, {
    secrets = { secret }, json = false, install = install,
  })
  if not res then
    return nil, err
  elseif install.installed then
    return installed(self.client, res)
  end
  return res
end

local TOKENS = { "access_token", "token", "refresh_token", "refreshToken" }

-- What the answer says beside the tokens.
local function facts(res)
  local data = type(res.data) == "table" and res.data or {}
  for i = 1, #TOKENS do
    data[TOKENS[i]] = nil
  end
  for name, value in pairs(data) do
    if value == core.null then
      data[name] = nil
    end
  end
  return data
end

local function no_challenge(path)
  return nil, errors.new("protocol", {
    reason = "no_challenge", sent = true,
  }, { method = "POST", path = path })
end

-- { email_key = ... } of an answer that wants a code.
local function challenge_of(res, path)
  local data = facts(res)
  data.email_key = data.email_key or data.verification_key
  if type(data.email_key) ~= "string" or data.email_key == "" then
    return no_challenge(path)
  end
  return data
end

--- Log in with a password. The server sends a code by e-mail, which `verify`
--- wants; one that gives tokens at once has logged in (`logged_in` is true).
--- Waits as the host does; so do all below. Raises on misuse.
---@param given { email_or_username: string, password: string,
---  device_information: table? }
---@return { email_key: string?, message: string?, logged_in: boolean?
---  }? challenge the server's answer, tokens left out
---@return freddy.Error? err unauthorized (invalid_credentials)...
function methods:login(given)
  local who = "client.auth:login"
  misuse.check_self(self, Auth, who)
  check_fields(who, given, LOGIN)
  local install = { cause = "login" }
  local res, err = ask_publicly(self, who, "login", given, given.password,
    install)
  if not res then
    return nil, err
  elseif not install.installed then
    return challenge_of(res, self.paths.login)
  end
  local data = facts(res)
  data.logged_in = true
  return data
end

-- The code as a number: the digits may come from a prompt. nil: it is none.
local function code_of(value)
  local text = type(value) == "number" and ("%.0f"):format(value) or value
  return tonumber(text:match "^%s*([0-9][0-9][0-9][0-9])%s*$")
end

--- Give the code that came by e-mail. On success the client has a session,
--- whatever credential it had before.
---@param given { email_key: string, verification_code: integer|string,
---  device_information: table? } a string may have blanks around its 4 digits
---@return table? answer the server's, tokens left out: `user`...
---@return freddy.Error? err invalid (verification_code: not 4 digits, and
---  nothing was sent), auth (store_failed: there is a session, but the store
---  could not keep it)...
function methods:verify(given)
  local who = "client.auth:verify"
  misuse.check_self(self, Auth, who)
  check_fields(who, given, VERIFY)
  local code = code_of(given.verification_code)
  if not code then
    return nil, errors.new("invalid", { reason = "verification_code" },
      { method = "POST", path = self.paths.verify })
  end
  local res, err = ask_publicly(self, who, "verify", {
    email_key = given.email_key, verification_code = code,
    device_information = given.device_information,
  }, ("%04d"):format(code), { cause = "verify", must_have = true })
  if not res then
    return nil, err
  end
  return facts(res)
end

--- Have another code sent. The answer's email_key is the one to use now.
---@param given { email_key: string }
---@return { email_key: string, message: string? }? challenge
---@return freddy.Error? err
function methods:resend_code(given)
  local who = "client.auth:resend_code"
  misuse.check_self(self, Auth, who)
  check_fields(who, given, RESEND)
  local res, err = ask(self, who, "resend_code",
    { json = given, auth = false }, {})
  if not res then
    return nil, err
  end
  return challenge_of(res, self.paths.resend_code)
end

--- Log in without a code, at a server for development: one on this machine,
--- or one whose auth_paths.dev_login was named. Anything else raises.
---@param given { email_or_username: string, password: string,
---  device_information: table? }
---@return table? answer the server's, tokens left out
---@return freddy.Error? err
function methods:dev_login(given)
  local who = "client.auth:dev_login"
  misuse.check_self(self, Auth, who)
  check_fields(who, given, LOGIN)
  if not self.may_dev_login then
    misuse.raise("%s: only for a base_url on this machine, or with the option "
      .. "auth_paths = { dev_login = ... }", who)
  end
  local res, err = ask_publicly(self, who, "dev_login", given,
    given.password, { cause = "login", must_have = true })
  if not res then
    return nil, err
  end
  return facts(res)
end

local function no_session()
  return nil, errors.new("auth", { reason = "no_session" })
end

local function has_session(client)
  local kind = client.core:credential()
  return not client.key_function and kind ~= "none" and kind ~= "key"
end

--- Have a new token now, whatever the age of the present one. Where it is
--- being renewed already, that is waited for.
---@return boolean? ok
---@return freddy.Error? err auth (no_session, session_expired,
---  refresh_failed)...
function methods:refresh()
  local who = "client.auth:refresh"
  misuse.check_self(self, Auth, who)
  if not has_session(self.client) then
    return no_session()
  end
  listener.check_waits(who, self.client)
  local ok, err = scheduler.may_wait(who)
  if ok then
    ok, err = listener.renew(self.client, "now", self.timeout)
  end
  return ok, err
end

-- Here, at once; and wait until the store has forgotten it, and on_token was
-- told, too: the client may be closed next, and tells nothing then.
local function forget(client)
  local err
  if client.store or client.on_token then
    local _
    _, err = listener.renew(client, "forget", KEPT_WITHIN)
  end
  client.core:forget()
  if err and err.reason == "store_failed" then
    err.message = "logged out, but " .. client.redact(err.message)
    return nil, err
  end
  return true
end

-- One in a store that is written in Lua.
local function end_shared(client, who)
  listener.check_waits(who, client)
  local ok, err = scheduler.may_wait(who)
  if not ok then
    return nil, err
  end
  ok, err = shared_session.logout(client.shared)
  local forgotten, problem = forget(client)
  if not ok then
    return nil, err
  end
  return forgotten, problem
end

--- End the session: at the server, and then here, whether the server could be
--- told or not. Every credential of the client is forgotten, and that of all
--- clients that share the session.
---@return boolean? ok
---@return freddy.Error? err why the server could not be told; auth
---  (store_failed: the store still has it; no_session: nothing is changed)
function methods:logout()
  local who = "client.auth:logout"
  misuse.check_self(self, Auth, who)
  local client = self.client
  if not has_session(client) then
    return no_session()
  end
  if client.shared and client.core:credential() == "provider" then
    return end_shared(client, who)
  end
  local res, err = ask(self, who, "logout", {
    headers = { ["Content-Type"] = "application/json" },
  }, { refresh_token = true })
  local forgotten, problem = forget(client)
  if not res then
    return nil, err
  end
  return forgotten, problem
end

--- Ask the server whether the client's credential is good.
---@return { is_valid: boolean, error: string?, requires_reconnect: boolean?
---  }? answer
---@return freddy.Error? err
function methods:validate()
  local who = "client.auth:validate"
  misuse.check_self(self, Auth, who)
  local res, err = ask(self, who, "validate", nil, {})
  if not res then
    return nil, err
  end
  return facts(res)
end

-- --- How it stands -------------------------------------------------------

---@class freddy.AuthStatus
---@field kind "key"|"token"|"session"|"provider"|"none"
---@field state string `empty` without a credential; of a session: `claiming`,
---  `fetching`, `fresh`, `stale`, `refreshing`, `expired`, `failed`, `revoked`
---@field expires_in? number seconds until a session's token is given up
---@field refreshing boolean whether it is being renewed
---@field refreshes integer how often it was renewed
---@field last_error? string why that, or keeping it, failed the last time
---@field tail string the last 4 characters of one that has 20 or more, else ""

--- What credential the client has. Never the secret itself, never waits.
---@return freddy.AuthStatus status
function methods:status()
  misuse.check_self(self, Auth, "client.auth:status")
  local status = self.client.core:status()
  status.saving = nil -- about its store, and nobody's concern
  if self.client.key_function then
    status.kind, status.tail, status.state = "key", "", "fresh"
  end
  return status
end

function Auth.__tostring(self)
  return ("freddy.auth: %s"):format(methods.status(self).kind)
end

-- Whether a URL leads to this machine.
local function is_loopback(url)
  local host = url and url:lower():match "^https?://([^/?#@]+)"
  host = host and (host:match "^%[(.*)%]" or host:match "^[^:]*")
  return host == "localhost" or host == "::1"
    or host ~= nil and host:find "^127%.%d+%.%d+%.%d+$" ~= nil
end

-- As long as a renewal may take, and no longer than other requests.
local function timeout_of(timeout)
  local total = timeout and timeout.total
  return timeout and timeout.auth
    or total and total > 0 and math.min(total, DEFAULT_TIMEOUT)
    or DEFAULT_TIMEOUT
end

--- Make the object `client.auth`.
---@param client freddy.Client
---@param given table the options of freddy.new
---@param opts table what the core made of them
---@param perform function as in client.lua
---@return freddy.Auth
function auth.new(client, given, opts, perform)
  local paths, named = {}, given.auth_paths or {}
  for name, path in pairs(PATHS) do
    paths[name] = named[name] or path
  end
  return setmetatable({
    client = client, perform = perform, paths = paths,
    timeout = timeout_of(opts.timeout),
    may_dev_login = named.dev_login ~= nil or is_loopback(opts.base_url),
  }, Auth)
end

return auth
