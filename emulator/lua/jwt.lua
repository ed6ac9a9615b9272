-- SPDX-License-Identifier: MIT
-- HS256 tokens (RFC 7519), signed by the libcrypto that nginx carries.

local ffi = require "ffi"
local json = require "json"

local jwt = {}

ffi.cdef [[
const void *EVP_sha256(void);
unsigned char *HMAC(const void *md, const void *key, int key_len,
                    const unsigned char *data, size_t data_len,
                    unsigned char *out, unsigned int *out_len);
]]

local crypto = ffi.C
if not pcall(function() return crypto.HMAC end) then
  crypto = ffi.load("crypto")
end

local function hmac_sha256(key, data)
  local out = ffi.new("unsigned char[32]")
  if crypto.HMAC(crypto.EVP_sha256(), key, #key, data, #data, out, nil)
    == nil then
    error("HMAC failed")
  end
  return ffi.string(out, 32)
end

local function base64url(bytes)
  local text = ngx.encode_base64(bytes, true)
  return (text:gsub("[+/]", { ["+"] = "-", ["/"] = "_" }))
end

---@param claims table
---@param secret string
---@return string token
function jwt.sign(claims, secret)
  local head = base64url(json.encode { alg = "HS256", typ = "JWT" })
  local signed = head .. "." .. base64url(json.encode(claims))
  return signed .. "." .. base64url(hmac_sha256(secret, signed))
end

--- Whether a credential has the outward form of a token.
---@param text string
---@return boolean
function jwt.looks_like(text)
  return text:find("^[%w_-]+%.[%w_-]+%.[%w_-]+$") ~= nil
end

--- An HMAC-SHA256 in hex: a text that nobody can guess.
---@param text string
---@param secret string
---@return string
function jwt.mac(text, secret)
  return (hmac_sha256(secret, text):gsub(".", function(char)
    return ("%02x"):format(char:byte())
  end))
end

return jwt
