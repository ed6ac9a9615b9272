-- SPDX-License-Identifier: MIT
--- freddy in a stock nginx with its Lua module.

local helper = require "spec.helper"
local nginx_util = require "spec.nginx_util"

local missing, elsewhere = nginx_util.missing()
if missing or elsewhere then
  it("runs in nginx" .. (missing and "" or " (on another Lua)"), function()
    if missing then
      pending(missing)
    end
  end)
  return
end

local CLIENT = [[
  init_by_lua_block {
    freddy = require "freddy"
    client = assert(freddy.new {
      api_key = "@KEY@", base_url = "@BASE@", ca_file = "@CA@",
    })
    hostile = assert(freddy.new {
      api_key = "a-key-of-20-characters", base_url = "@HOSTILE@",
    })
  }
]]

local server

setup(function()
  helper.reset()
  server = nginx_util.start {
    http = CLIENT,
    server = [[
      location = /models {
        content_by_lua_block {
          local models, err = client.models:list()
          ngx.say(models and #models.models > 0 and "listed" or tostring(err))
        }
      }
    ]],
  }
end)

teardown(function()
  server:stop()
end)

describe("a handler of nginx", function()
  it("waits for an answer", function()
    assert.equal("listed\n", (server:get "/models"))
  end)
end)
