-- SPDX-License-Identifier: MIT
-- Who asks: one key, made at the start, and the tokens given out since.

local errors = require "errors"
local secrets = require "secrets"
local state = require "state"
local tokens = require "tokens"

local credentials = {}

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
  return tokens.judge(token)
end

local function judge_authorization(value, accept)
  local credential = value:match "^[Bb][Ee][Aa][Rr][Ee][Rr] +(.-) *$"
  if not credential or credential == "" then
    return 401, "AUTHENTICATION_REQUIRED"
  elseif tokens.looks_like(credential) then
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

-- What is wrong with the credentials in the headers `allowed` (all when left
-- out); nothing when there is one good one.
local function verdict(allowed)
  local list = credentials.received()
  local accept = state.switches().accept
  local first = list[1]
  if #list > 1 then
    return 400, "MULTIPLE_CREDENTIALS"
  elseif not first or allowed and not allowed[first.name] then
    return 401, "AUTHENTICATION_REQUIRED"
  elseif first.name == "authorization" then
    return judge_authorization(first.value, accept)
  elseif accept[first.name] then
    return judge_key(first.value)
  end
  -- A header that this server does not know says nothing.
  return 401, "AUTHENTICATION_REQUIRED"
end

--- Check the credential; answers the request itself when it refuses.
---@return boolean
function credentials.check()
  local status, code = verdict()
  if status then
    errors.send(status, code)
  end
  return not status
end

--- The key of this request, which must be in a header of its own; answers
--- the request itself when there is none that is good.
---@return string?
function credentials.key()
  local status, code = verdict { ["x-api-key"] = true, ["api-key"] = true }
  if status then
    return errors.send(status, code)
  end
  return credentials.received()[1].value
end

--- The access token of this request; answers it itself as above.
---@return string?
function credentials.bearer()
  local status, code = verdict { authorization = true }
  local token = not status and credentials.secret()
  if status or not tokens.looks_like(token) then
    return errors.send(status or 401, code)
  end
  return token
end

--- The credential of this request as it stands, without a scheme word; nil
--- when there is none, or more than one.
---@return string?
function credentials.secret()
  local list = credentials.received()
  if #list == 1 then
    return (list[1].value:gsub("^%a+ +", ""))
  end
end

--- What the check would say, for those who ask: nothing when it is good.
---@return integer? status
---@return string? code
function credentials.verdict()
  return verdict()
end

return credentials
