-- SPDX-License-Identifier: MIT
--- HTTP/2 where it is offered, and connections that are used again.

local freddy = require "freddy"
local helper = require "spec.helper"

-- Connections that the emulator accepted while `fn` ran.
local function connections_of(fn)
  local before = helper.counters().connections.accepted
  fn()
  return helper.counters().connections.accepted - before
end

-- All of them are under way at once: each answer takes its time.
local function burst(client, count, path)
  local fns = {}
  for i = 1, count do
    fns[i] = function()
      return client:get(path or "/v1/delay/100")
    end
  end
  local results, errs = freddy.all(fns)
  assert.is_nil(errs)
  return results
end

local function count_key(results, key)
  local kinds, count = {}, 0
  for _, res in ipairs(results) do
    local value = res.data[key]
    if not kinds[value] then
      kinds[value] = true
      count = count + 1
    end
  end
  return count
end

before_each(function()
  helper.reset()
end)

describe("HTTP/2", function()
  it("is used over TLS, and not without", function()
    local tls = helper.client()
    local plain = helper.client { base_url = helper.http }
    assert.equal("2.0",
      freddy.assert(tls:get "/v1/echo").data.http_version)
    assert.equal("1.1",
      freddy.assert(plain:get "/v1/echo").data.http_version)
    tls:close()
    plain:close()
  end)

  it("is left with http_version = \"1.1\"", function()
    local client = helper.client { http_version = "1.1" }
    assert.equal("1.1",
      freddy.assert(client:get "/v1/echo").data.http_version)
    client:close()
  end)

  it("takes a burst of 50 on one connection", function()
    -- A port that no earlier test has a connection to: localhost.
    local client = helper.client {
      base_url = helper.base_url:gsub("127%.0%.0%.1", "localhost"),
    }
    local results = burst(client, 50, "/v1/echo")
    assert.equal(50, #results)
    assert.equal(1, count_key(results, "connection"))
    client:close()
  end)

  it("opens no new connection for the bursts that follow", function()
    local client = helper.client()
    burst(client, 64)
    local opened = connections_of(function()
      for _ = 1, 5 do
        burst(client, 64)
      end
    end)
    assert.is_true(opened <= 1) -- the question itself is one
    client:close()
  end)
end)

describe("HTTP/1.1", function()
  it("opens no new connection for the bursts that follow", function()
    local client = helper.client { http_version = "1.1" }
    burst(client, 64, "/v1/delay/1000") -- all of them at once, on any machine
    local opened = connections_of(function()
      for _ = 1, 5 do
        burst(client, 64)
      end
    end)
    assert.is_true(opened <= 1)
    client:close()
  end)

  it("uses one connection for what comes one by one", function()
    local client = helper.client { base_url = helper.http }
    local first = freddy.assert(client:get "/v1/echo").data.connection
    for _ = 1, 10 do
      local res = freddy.assert(client:get "/v1/echo")
      assert.equal(first, res.data.connection)
    end
    client:close()
  end)

  it("shares connections between clients of one credential or another",
    function()
      local one = helper.client { base_url = helper.http }
      local two = helper.client {
        base_url = helper.http, token = helper.token,
      }
      local first = freddy.assert(one:get "/v1/echo").data.connection
      assert.equal(first, freddy.assert(two:get "/v1/echo").data.connection)
      one:close()
      two:close()
    end)
end)
