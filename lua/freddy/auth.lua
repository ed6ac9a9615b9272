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

local function token_of(token)
  local who = "client.auth:set_token"
  if type(token) ~= "table" then
    return token
  end
  for name in pairs(token) do
    if name == "refresh_token" or name == "expires_in" then
      misuse.raise("%s: %s is not supported by this version", who, name)
    elseif name ~= "access_token" then
      misuse.raise("%s: unknown field %q", who, tostring(name))
    end
  end
  return token.access_token
end

--- Use another bearer token from now on, as set_api_key does. Never waits.
---@param token string|{ access_token: string }
---@return boolean? ok
---@return freddy.Error? err closed, forked
function methods:set_token(token)
  misuse.check_self(self, Auth, "client.auth:set_token")
  token = token_of(token)
  check_secret("client.auth:set_token", "token", token)
  return replace(self, "client.auth:set_token", "token", token)
end

---@class freddy.AuthStatus
---@field kind "key"|"token"|"none"
---@field state "fresh"|"empty" `empty` without a credential
---@field tail string the last 4 characters of one that has 20 or more, else ""

--- What credential the client has. Never the secret itself, never waits.
---@return freddy.AuthStatus status
function methods:status()
  misuse.check_self(self, Auth, "client.auth:status")
  local kind, tail = self.client.core:credential()
  if self.client.key_function then
    kind, tail = "key", ""
  end
  return {
    kind = kind, tail = tail, state = kind == "none" and "empty" or "fresh",
  }
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
