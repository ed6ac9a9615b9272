-- SPDX-License-Identifier: MIT
--- TLS that is not right: each is `tls`, and the server saw no byte of a key.

local freddy = require "freddy"
local helper = require "spec.helper"

local function get(base_url, options)
  local given = {
    api_key = "a-key-that-must-not-leave", base_url = base_url,
    ca_file = helper.env "HOSTILE_CA_FILE",
  }
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  local client = freddy.assert(freddy.new(given))
  local res, err = client:get "/s/ok"
  client:close()
  return res, err
end

-- The application bytes that a TLS listener has decrypted since the reset.
local function received(listener)
  local log = helper.hostile_log { listener = listener }
  local bytes, connections = 0, 0
  for _, entry in ipairs(log.connections or log) do
    bytes = bytes + (entry.received or 0)
    connections = connections + 1
  end
  return bytes, connections
end

setup(function()
  helper.hostile_reset()
end)

describe("a certificate", function()
  for name, reason in pairs {
    EXPIRED = "expired", NOT_YET = "not_yet_valid", WRONG_HOST = "wrong_host",
    UNKNOWN_CA = "unknown_ca", SELF_SIGNED = "self_signed",
  } do
    it("is refused: " .. reason, function()
      local res, err = get(helper.env("HOSTILE_TLS_" .. name))
      assert.is_nil(res)
      assert.equal("tls", err.kind)
      assert.equal(reason, err.reason)
      assert.is_false(err.sent)
      local bytes, connections = received("tls_" .. name:lower())
      assert.equal(0, bytes)
      assert.is_true(connections > 0)
    end)
  end

  it("of the right CA is taken", function()
    local res = freddy.assert(get(helper.env "HOSTILE_TLS_OK"))
    assert.equal(200, res.status)
    local bytes = received "tls_ok"
    assert.is_true(bytes > 0) -- so the count can be other than 0
  end)

  it("of a private CA is unknown to the system's store", function()
    local client = freddy.assert(freddy.new {
      api_key = "a-key-that-must-not-leave",
      base_url = helper.env "HOSTILE_TLS_OK",
    })
    local _, err = client:get "/s/ok"
    assert.equal("tls", err.kind)
    client:close()
  end)
end)

describe("a handshake", function()
  for _, name in ipairs { "11", "GARBAGE", "CLOSE" } do
    it("that goes wrong is tls: " .. name, function()
      local res, err = get(helper.env("HOSTILE_TLS_" .. name))
      assert.is_nil(res)
      assert.equal("tls", err.kind)
      assert.is_false(err.sent)
      assert.equal(0, (received("tls_" .. name:lower())))
    end)
  end

  it("that is reset is tls or connect", function()
    local _, err = get(helper.env "HOSTILE_TLS_RESET")
    assert.is_true(err.kind == "tls" or err.kind == "connect")
    assert.is_false(err.sent)
  end)

  it("that is never answered fails in time, twenty at once", function()
    for _, version in ipairs { "2", "1.1" } do
      local client = freddy.assert(freddy.new {
        api_key = "k", http_version = version, timeout = { connect = 0.2 },
        base_url = "https://" .. helper.env "HOSTILE_SILENT",
      })
      local fns = {}
      for i = 1, 20 do
        fns[i] = function()
          return client:get "/"
        end
      end
      local _, errs = freddy.all(fns)
      for i = 1, 20 do
        assert.equal("timeout", errs[i].kind)
        assert.equal("connect", errs[i].reason)
      end
      client:close()
    end
  end)
end)

describe("ca_file", function()
  it("that is missing or no certificate is an error", function()
    for _, path in ipairs { "/nowhere/ca.pem", helper.top .. "/LICENSE" } do
      local _, err = get(helper.env "HOSTILE_TLS_OK", { ca_file = path })
      assert.equal("tls", err.kind)
      assert.is_false(err.sent)
    end
  end)
end)

it("no option turns the check off", function()
  for _, name in ipairs { "verify", "insecure", "ssl_verify" } do
    helper.raises_here(function()
      freddy.new { api_key = "k", [name] = false }
    end, "unknown option")
  end
end)
