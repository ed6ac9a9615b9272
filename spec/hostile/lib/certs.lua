-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- Certificates for the TLS listeners, made anew at each start; no server's
--- private key ever reaches the disk.

local altname = require "openssl.x509.altname"
local bignum = require "openssl.bignum"
local context = require "openssl.ssl.context"
local name = require "openssl.x509.name"
local pkey = require "openssl.pkey"
local rand = require "openssl.rand"
local store = require "openssl.x509.store"
local x509 = require "openssl.x509"

local certs = {}

local DAY = 86400

local function new_key()
  return pkey.new { type = "EC", curve = "prime256v1" }
end

local function common_name(cn)
  local subject = name.new()
  subject:add("CN", cn)
  return subject
end

local function new_cert(key, subject, from, to)
  local cert = x509.new()
  cert:setVersion(3)
  cert:setSerial(bignum.fromBinary(rand.bytes(8)))
  cert:setSubject(subject)
  cert:setLifetime(from, to)
  cert:setPublicKey(key)
  return cert
end

--- A certificate authority: { key =, cert =, name = }.
function certs.authority(cn)
  local key, subject = new_key(), common_name(cn)
  local now = os.time()
  local cert = new_cert(key, subject, now - DAY, now + 30 * DAY)
  cert:setIssuer(subject)
  cert:setBasicConstraints { CA = true }
  cert:setBasicConstraintsCritical(true)
  cert:sign(key)
  return { key = key, cert = cert, name = subject }
end

--- A server's key and certificate. `options`: `host` (a DNS name; default
--- the loopback address and localhost), `from` and `to` (days from now),
--- `issuer` (an authority; default: signed by itself).
function certs.server(options)
  local key = new_key()
  local subject = common_name(options.host or "127.0.0.1")
  local now = os.time()
  local cert = new_cert(key, subject, now + (options.from or -1) * DAY,
    now + (options.to or 30) * DAY)
  local names = altname.new()
  if options.host then
    names:add("DNS", options.host)
  else
    names:add("IP", "127.0.0.1")
    names:add("DNS", "localhost")
  end
  cert:setSubjectAlt(names)
  cert:setBasicConstraints { CA = false }
  local issuer = options.issuer or { key = key, name = subject }
  cert:setIssuer(issuer.name)
  cert:sign(issuer.key)
  return key, cert
end

--- A client's key and certificate, as PEM texts.
function certs.client(issuer, cn)
  local key = new_key()
  local now = os.time()
  local cert = new_cert(key, common_name(cn), now - DAY, now + 30 * DAY)
  cert:setBasicConstraints { CA = false }
  cert:setIssuer(issuer.name)
  cert:sign(issuer.key)
  return key:toPEM("private"), cert:toPEM()
end

--- Have a context accept only clients with a certificate of `issuer`.
function certs.demand(ctx, issuer)
  local trusted = store.new()
  trusted:add(issuer.cert)
  ctx:setStore(trusted)
  ctx:setVerify(context.VERIFY_PEER + context.VERIFY_FAIL_IF_NO_PEER_CERT)
  return ctx
end

--- A server-side TLS context. `protocol` names one version alone; the old
--- ones need OpenSSL's lowest level of security. `alpn` is the protocol that
--- it chooses where it is offered.
function certs.context(key, cert, protocol, alpn)
  local ctx = context.new(protocol or "TLS", true)
  ctx:setPrivateKey(key)
  ctx:setCertificate(cert)
  if protocol then
    ctx:setCipherList("ALL:@SECLEVEL=0")
  end
  if alpn then
    ctx:setAlpnSelect(function(_, offered)
      for _, one in ipairs(offered) do
        if one == alpn then
          return one
        end
      end
    end)
  end
  return ctx
end

return certs
