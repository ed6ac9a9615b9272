-- SPDX-License-Identifier: MIT
--- Redirects: which are followed, by what, and that nothing of a credential
--- or a body ever reaches another origin. What a server got is told by its
--- own log, byte by byte.

local freddy = require "freddy"
local helper = require "spec.helper"

local KEY = "a-key-of-20-characters"
local BODY = "the-body-of-the-request"
local client, other

local function new(options)
  options = options or {}
  options.base_url = options.base_url or helper.hostile_url
  options.ca_file = options.ca_file or helper.env "HOSTILE_CA_FILE"
  if not options.token then
    options.api_key = options.api_key or KEY
  end
  return freddy.assert(freddy.new(options))
end

-- A scenario by its path alone, so that the base URL decides where.
local function at(name, args)
  return (helper.hostile(name, args):gsub("^%a+://[^/]+", ""))
end

local function to(location, args)
  args = args or {}
  args.to = location
  return at("redirect", args)
end

-- How often each method was asked for what, on a listener.
local function asked(listener)
  local lines = {}
  for _, connection in ipairs(helper.hostile_log { listener = listener }) do
    for _, request in ipairs(connection.requests) do
      lines[#lines + 1] = request.method .. " " .. request.scenario
    end
  end
  table.sort(lines)
  return table.concat(lines, ", ")
end

-- Every byte that a listener got since the last reset.
local function bytes_at(listener)
  local all = {}
  for _, connection in ipairs(helper.hostile_log { listener = listener }) do
    all[#all + 1] = connection.first_bytes
    assert.is_true(connection.received < 4096)
  end
  return table.concat(all)
end

-- It got something, and nothing that is not its business.
local function knows_nothing(listener, ...)
  local bytes = bytes_at(listener)
  assert.truthy(bytes:find("HTTP/1.1\r\n", 1, true), "it was not asked")
  for _, word in ipairs { KEY, BODY, "api%-key", "authorization", "bearer",
      "cookie", "referer", "origin:", ... } do
    assert.is_nil(bytes:lower():find(word:lower()), word)
  end
end

local function refused(reason, path, options)
  local given = { path = path }
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  local res, err = (given.client or client):request(given)
  given.client = nil
  assert.is_nil(res)
  assert.equal("redirect", err.kind)
  assert.equal(reason, err.reason)
  return err
end

setup(function()
  client = new()
  other = helper.env "HOSTILE_OTHER"
end)

teardown(function()
  client:close()
end)

before_each(function()
  helper.hostile_reset()
end)

describe("a redirect is followed", function()
  for _, status in ipairs { 301, 302, 303, 307, 308 } do
    it("with status " .. status, function()
      local res = freddy.assert(client:get(to("/s/echo?x=1",
        { status = status })))
      assert.equal(200, res.status)
      assert.equal(helper.hostile_url .. "/s/echo?x=1", res.url)
      assert.equal("GET", res.data.method)
      assert.truthy(res.data.head:find("api-key: " .. KEY, 1, true))
      assert.equal(1, res.attempts)
      assert.is_nil(res.headers.location)
      res = freddy.assert(client:head(to("/s/ok", { status = status })))
      assert.equal(200, res.status)
      assert.equal("GET echo, GET redirect, HEAD ok, HEAD redirect",
        asked "plain")
      assert.equal(1, #helper.hostile_log { listener = "plain" })
    end)
  end

  it("five times, not six", function()
    local res = freddy.assert(client:get(to("/s/ok", { hops = 4 })))
    assert.is_true(res.data.ok)
    local err = refused("too_many", to("/s/ok", { hops = 5 }))
    assert.equal(302, err.status)
    assert.equal("/s/ok", err.details.location)
    refused("too_many", at "redirect-loop")
    assert.is_nil(asked("plain"):find("ok.*ok"))
  end)
end)

describe("another origin", function()
  it("gets no credential, and only harmless headers", function()
    local headers = { Cookie = "a=b", ["X-Private"] = "p",
      Accept = "text/plain" }
    local res = freddy.assert(client:get(to(other .. "/s/echo"),
      { headers = headers }))
    assert.equal(other .. "/s/echo", res.url)
    assert.truthy(res.data.head:find("Accept: text/plain", 1, true))
    knows_nothing("other", "x%-private")
  end)

  it("gets no body", function()
    local err = refused("cross_origin_body", to(other .. "/s/echo",
      { status = 307 }), { method = "POST", body = BODY })
    assert.equal(other .. "/s/echo", err.details.location)
    assert.is_true(err.sent)
    assert.is_false(err.retryable)
    assert.equal('{"moved":true}', err.response.body)
    assert.equal("", asked "other")
  end)
end)
