-- SPDX-License-Identifier: MIT
--- The cases of every host (spec/hosts/cases.lua), in a handler of nginx.

local helper = require "spec.helper"
local nginx_util = require "spec.nginx_util"

if not nginx_util.can_run(it, pending) then
  return
end

local NAMES = { "BASE_URL", "API_KEY", "EMULATOR_CONTROL" }

local HTTP = [[
  init_by_lua_block {
    freddy = require "freddy"
    cases = require "cases"
  }
]]

local SERVER = [[
  location = /cases {
    content_by_lua_block {
      local host = {
        name = "nginx", nested = "works",
        env = function(name)
          return name == "CA_FILE" and "@CA@" or os.getenv("FY_TEST_" .. name)
        end,
      }
      local results = cases.run(host)
      cases.report(host, results, ngx.print)
    }
  }
]]

describe("a handler of nginx", function()
  it("does what every host does", function()
    helper.reset()
    helper.hostile_reset()
    local main = {}
    for i, name in ipairs(NAMES) do
      main[i] = "env FY_TEST_" .. name .. ";"
    end
    local server = nginx_util.start {
      main = table.concat(main, "\n"), http = HTTP, server = SERVER,
      files = { helper.top .. "/spec/hosts/cases.lua" },
    }
    local report = server:get "/cases"
    local log = server:stop()
    local passed = report:match "^(%d+) passed, 0 failed\n$"
    assert.truthy(tonumber(passed), report .. log)
    assert.is_true(tonumber(passed) > 10)
  end)
end)
