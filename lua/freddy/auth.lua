-- SPDX-License-Identifier: MIT
--- The credential of a client: `client.auth`.
local errors = require "freddy.errors"
local misuse = require "freddy.misuse"
local options = require "freddy.options"

local auth = {}

---@class freddy.Auth
---@field package client freddy.Client
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
--- it is a session, which is renewed. Ends one that has expired. Never waits.
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

---@class freddy.AuthStatus
---@field kind "key"|"token"|"session"|"none"
---@field state string `empty` without a credential; of a session: `claiming`,
---  `fetching`, `fresh`, `stale`, `refreshing`, `expired`, `failed`, `revoked`
---@field expires_in? number seconds until a session's token is given up
---@field refreshing boolean whether it is being renewed
---@field refreshes integer how often it was renewed
---@field last_error? string why that failed the last time
---@field tail string the last 4 characters of one that has 20 or more, else ""

--- What credential the client has. Never the secret itself, never waits.
---@return freddy.AuthStatus status
function methods:status()
  misuse.check_self(self, Auth, "client.auth:status")
  local status = self.client.core:status()
  if self.client.key_function then
    status.kind, status.tail, status.state = "key", "", "fresh"
  end
  return status
end

function Auth.__tostring(self)
  return ("freddy.auth: %s"):format(methods.status(self).kind)
end

--- Make the object `client.auth`.
---@param client freddy.Client
---@return freddy.Auth
function auth.new(client)
  return setmetatable({ client = client }, Auth)
end

return auth
