-- SPDX-License-Identifier: MIT
--- A tunnel through a proxy that ends while it is idle, without a word: what
--- libcurl does about that by itself, another tunnel included, is no part of
--- the answer.

local core = require "freddy.core"
local freddy = require "freddy"
local helper = require "spec.helper"

local options = {
  api_key = "a-key-of-20-characters", base_url = helper.env "HOSTILE_TLS_OK",
  ca_file = helper.env "HOSTILE_CA_FILE",
  proxy = "http://" .. helper.env "HOSTILE_PROXY",
}
local ENDS = { "keepalive-close", "keepalive-reset" }

-- How many tunnels the proxy was asked for, since the last reset.
local function tunnels()
  local count = 0
  for _, entry in ipairs(helper.hostile_log { listener = "proxy" }) do
    count = count + #entry.requests
  end
  return count
end

describe("on a tunnel whose server has gone", function()
  local client

  before_each(function()
    helper.hostile_reset()
    client = freddy.assert(freddy.new(options))
  end)

  after_each(function()
    freddy.assert(client:get "/s/ok?end=fin")
    client:close()
  end)

  for _, name in ipairs(ENDS) do
    it("a GET is repeated once: " .. name, function()
      freddy.assert(client:get("/s/" .. name))
      local res = freddy.assert(client:get("/s/" .. name))
      assert.equal(2, res.attempts)
      assert.is_true(res.data.ok)
      assert.equal(2, tunnels())
    end)

    it("a POST is cut, and has no answer: " .. name, function()
      freddy.assert(client:get("/s/" .. name))
      local res, err = client:post("/s/" .. name, { body = "x" })
      assert.is_nil(res)
      assert.equal("cut", err.kind)
      assert.is_true(err.sent)
      assert.equal(1, err.attempts)
      assert.is_nil(err.status)
      assert.is_nil(err.response)
      assert.equal(1, tunnels())
    end)
  end
end)

it("the head of a stream is the server's, not the proxy's", function()
  local client, inbox = assert(core.client(options)), assert(core.inbox())
  local heads = {}
  for id, method in ipairs { "GET", "POST" } do
    local call = assert(client:start(inbox, id, { stream = true,
      path = "/s/keepalive-close", method = method }))
    helper.eventually(function()
      inbox:wait(0.01)
      local _, event = inbox:next()
      if event == "head" then
        heads[#heads + 1] = method
      end
      return call:done()
    end)
  end
  assert.same({ "GET" }, heads)
  client:close()
  inbox:close()
end)
