-- SPDX-License-Identifier: MIT
--- Requests that failed and are sent once more: which, when, and what the
--- host hears of it.

local freddy = require "freddy"
local helper = require "spec.helper"

local tags = 0
local tag, client

local function new_tag()
  tags = tags + 1
  return "retry" .. tags .. _VERSION:gsub("%W", "")
end

local function new_client(options)
  local given = {
    base_url = helper.env "HOSTILE", api_key = "a-key-of-20-characters",
    timeout = 20,
  }
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  return freddy.assert(freddy.new(given))
end

setup(helper.hostile_reset)

before_each(function()
  tag = new_tag()
  client = new_client()
end)

after_each(function()
  client:close()
end)

-- The server runs the scenarios of `list` one after the other.
local function ask(list, method, options)
  local given = { method = method, path = helper.hostile("sequence",
    { of = list, tag = tag, code = "503" }) }
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  return client:request(given)
end

local function requests()
  local out = {}
  for _, connection in ipairs(helper.hostile_log { tag = tag }) do
    for _, request in ipairs(connection.requests) do
      out[#out + 1] = request.tag == tag and request or nil
    end
  end
  return out
end

describe("a failed request", function()
  it("is sent again, and its answer is the last one's alone", function()
    local res = freddy.assert(ask "status,ok")
    assert.equal(2, res.attempts)
    assert.equal(200, res.status)
    assert.equal(2, #requests())
  end)

  it("is sent three times in all, unless retries says otherwise", function()
    local _, err = ask "status"
    assert.equal("server", err.kind)
    assert.equal(3, err.attempts)
    assert.equal(3, #requests())
    tag = new_tag()
    _, err = ask("status", "GET", { retries = 0 })
    assert.equal(1, err.attempts)
    assert.equal(1, #requests())
  end)
end)
