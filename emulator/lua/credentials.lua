-- SPDX-License-Identifier: MIT
-- Who asks: one key and any number of tokens, made at the start.

local errors = require "errors"
local json = require "json"
local jwt = require "jwt"
local state = require "state"

local credentials = {}

local function load_secrets()
  local path = ngx.config.prefix() .. "credentials.json"
  local file = assert(io.open(path))
  local secrets = json.decode(file:read "*a")
  file:close()
  return assert(secrets, path .. " is not JSON")
end

-- Read by the master, before it forks: every worker has the same.
local secrets = load_secrets()

local SCOPES = { user = true, admin = true }

local KEY_STATES = {
  paused = { 401, "API_KEY_PAUSED" },
  expired = { 401, "API_KEY_EXPIRED" },
  deactivated = { 401, "API_KEY_DEACTIVATED" },
  invalid = { 401, "INVALID_API_KEY" },
  forbidden = { 403, "INSUFFICIENT_PERMISSIONS" },
}

local TOKEN_STATES = {
  expired = { 401, "TOKEN_EXPIRED" },
  invalid = { 401, "TOKEN_INVALID" },
  forbidden = { 403, "INSUFFICIENT_PERMISSIONS" },
}

--- Whether a key, or a token, can be put into this state.
---@param kind "key"|"token"
---@param name string
---@return boolean
function credentials.has_state(kind, name)
  local states = kind == "key" and KEY_STATES or TOKEN_STATES
  return name == "ok" or states[name] ~= nil
end

--- Make an access token.
---@param options { expires_in: number?, sub: string|false?, scope: string?,
---  type: string? }
---@return string token
---@return integer expires_at
function credentials.mint(options)
  local now = ngx.time()
  local expires_at = now + (options.expires_in or 3600)
  local claims = {
    sub = options.sub or "usr_emulator01", iat = math.min(now, expires_at),
    exp = expires_at, scope = options.scope or "user",
    type = options.type or "access",
  }
  if options.sub == false then
    claims.sub = nil
  end
  return jwt.sign(claims, secrets.jwt_secret), expires_at
end

local function judge_key(key)
  if key ~= secrets.api_key then
    return 401, "INVALID_API_KEY"
  end
  local verdict = KEY_STATES[state.switches().key.state]
  if verdict then
    return verdict[1], verdict[2]
  end
end

local function judge_token(token)
  local verdict = TOKEN_STATES[state.switches().token.state]
  if verdict then
    return verdict[1], verdict[2]
  end
  local claims = jwt.verify(token, secrets.jwt_secret)
  if not claims or claims.type ~= "access" then
    return 401, "TOKEN_INVALID"
  elseif type(claims.exp) ~= "number" or claims.exp <= ngx.now() then
    return 401, "TOKEN_EXPIRED"
  elseif type(claims.sub) ~= "string" or claims.sub == "" then
    return 401, "TOKEN_MISSING_SUBJECT"
  elseif not SCOPES[claims.scope] then
    return 403, "INSUFFICIENT_PERMISSIONS"
  end
end

local function judge_authorization(value, accept)
  local credential = value:match "^[Bb][Ee][Aa][Rr][Ee][Rr] +(.-) *$"
  if not credential or credential == "" then
    return 401, "AUTHENTICATION_REQUIRED"
  elseif jwt.looks_like(credential) then
    if not accept.bearer then
      return 401, "AUTHENTICATION_REQUIRED"
    end
    return judge_token(credential)
  elseif not accept["bearer-key"] then
    return 401, "AUTHENTICATION_REQUIRED"
  end
  return judge_key(credential)
end

local NAMES = { "x-api-key", "api-key", "authorization" }

--- The credentials of this request, as they came.
---@return { name: string, value: string }[]
function credentials.received()
  local headers = ngx.req.get_headers(0)
  local list = {}
  for _, name in ipairs(NAMES) do
    local values = headers[name]
    if type(values) ~= "table" then
      values = { values }
    end
    for _, value in ipairs(values) do
      list[#list + 1] = { name = name, value = value }
    end
  end
  return list
end

--- Which header carried the credential: for the counters, never its value.
---@return string
function credentials.kind()
  local names = {}
  for i, entry in ipairs(credentials.received()) do
    names[i] = entry.name
  end
  return #names > 0 and table.concat(names, ", ") or "none"
end

--- Check the credential; answers the request itself when it refuses.
---@return boolean
function credentials.check()
  local list = credentials.received()
  local accept = state.switches().accept
  local status, code
  if #list > 1 then
    status, code = 400, "MULTIPLE_CREDENTIALS"
  elseif #list == 0 then
    status, code = 401, "AUTHENTICATION_REQUIRED"
  elseif list[1].name == "authorization" then
    status, code = judge_authorization(list[1].value, accept)
  elseif accept[list[1].name] then
    status, code = judge_key(list[1].value)
  else
    -- A header that this server does not know says nothing.
    status, code = 401, "AUTHENTICATION_REQUIRED"
  end
  if status then
    errors.send(status, code)
  end
  return not status
end

return credentials
