-- SPDX-License-Identifier: MIT
-- Access and refresh tokens: made, judged, used up, revoked. Nothing is
-- valid by its signature alone: only what was given out counts. Each step
-- that two requests could both take is one atomic operation of the store.

local clock = require "clock"
local json = require "json"
local jwt = require "jwt"
local secrets = require "secrets"
local state = require "state"

local tokens = {}

local dict = ngx.shared.auth
local kept = ngx.shared.emulator  -- not emptied by a reset

local SCOPES = { user = true, admin = true }

local function key(kind, token)
  return kind .. ":" .. ngx.md5(token)
end

local function put(kind, token, record, keep)
  local store = keep and kept or dict
  store:set(key(kind, token), json.encode(record))
end

local function get(kind, token)
  local name = key(kind, token)
  return json.decode(dict:get(name) or kept:get(name))
end

local function serial()
  return kept:incr("tokens", 1, 0)
end

local function opaque(prefix, number)
  return prefix .. jwt.mac(prefix .. number, secrets.jwt_secret)
end

local function signed(record, issued_at, expires_at)
  local auth = state.switches().auth
  local claims = { sub = record.sub or nil, scope = record.scope,
    type = record.type, jti = "tok_" .. record.serial }
  if auth.jwt_iat then
    claims.iat = clock.shown(math.min(issued_at, expires_at))
  end
  if auth.jwt_exp then
    claims.exp = clock.shown(expires_at)
  end
  return jwt.sign(claims, secrets.jwt_secret)
end

--- Make an access token.
---@param options { expires_in: number?, sub: string|false?, scope: string?,
---  type: string?, keep: boolean? } `keep`: outlives a reset
---@return string token
---@return number expires_at
function tokens.access(options)
  local auth, now = state.switches().auth, ngx.now()
  local lifetime = options.expires_in or auth.lifetime
  -- Whole seconds where the lifetime is one, as servers do it.
  local issued_at = lifetime % 1 == 0 and math.floor(now) or now
  local expires_at = issued_at + lifetime
  local record = {
    serial = serial(), expires_at = now + lifetime,
    sub = options.sub == nil and "usr_emulator01" or options.sub,
    scope = options.scope or "user", type = options.type or "access",
  }
  local token = auth.jwt and signed(record, issued_at, expires_at)
    or opaque("oat_", record.serial)
  put("access", token, record, options.keep)
  return token, expires_at
end

--- Make a refresh token.
---@param lifetime number? seconds
---@return string token
---@return number expires_at
function tokens.refresh(lifetime)
  local expires_at = ngx.now()
    + (lifetime or state.switches().auth.refresh_lifetime)
  local number = serial()
  local token = opaque("ort_", number)
  put("refresh", token, { serial = number, expires_at = expires_at })
  return token, expires_at
end

--- Whether a credential has the outward form of an access token.
---@param text string
---@return boolean
function tokens.looks_like(text)
  return jwt.looks_like(text) or text:find "^oat_" ~= nil
end

-- The code that a token was revoked with, if it was.
local function revoked(kind, token, record)
  local code = dict:get(key("gone", token))
  local all = json.decode(dict:get("revoked:" .. kind))
  return code or all and record.serial <= all.serial and all.code or nil
end

--- What is wrong with an access token; nothing when it is good.
---@param token string
---@return integer? status
---@return string? code
function tokens.judge(token)
  local record = get("access", token)
  if not record or record.type ~= "access" then
    return 401, "TOKEN_INVALID"
  end
  local code = revoked("access", token, record)
  if code then
    return 401, code
  elseif record.expires_at <= ngx.now() then
    return 401, "TOKEN_EXPIRED"
  elseif not record.sub or record.sub == "" then
    return 401, "TOKEN_MISSING_SUBJECT"
  elseif not SCOPES[record.scope] then
    return 403, "INSUFFICIENT_PERMISSIONS"
  end
end

--- Use a refresh token. Where they rotate, the first use is the only one,
--- but for those within the seconds of grace after it.
---@param token string
---@return string? code why it is refused
function tokens.spend(token)
  local auth, now = state.switches().auth, ngx.now()
  local record = get("refresh", token)
  if not record then
    return "TOKEN_INVALID"
  end
  local code = revoked("refresh", token, record)
  if code then
    return code
  elseif record.expires_at <= now then
    return "TOKEN_EXPIRED"
  elseif not auth.rotate or dict:add(key("used", token), now) then
    return nil
  end
  local used = dict:get(key("used", token)) or now
  if auth.grace > 0 and now - used <= auth.grace then
    return nil
  end
  return "TOKEN_INVALID"
end

--- Make one token worthless, of whichever kind it is.
---@param token string
---@param code string? with which it is refused; TOKEN_INVALID
function tokens.revoke(token, code)
  dict:set(key("gone", token), code or "TOKEN_INVALID")
end

--- Make all tokens of a kind worthless that were given out so far.
---@param kind "access"|"refresh"
---@param code string with which they are refused
function tokens.revoke_all(kind, code)
  dict:set("revoked:" .. kind,
    json.encode { serial = kept:get "tokens" or 0, code = code })
end

return tokens
