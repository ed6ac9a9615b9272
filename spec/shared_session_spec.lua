-- SPDX-License-Identifier: MIT
-- Sessions in a store that is written in Lua, without a server.
local shared_session = require "freddy.shared_session"

local function empty_store()
  return {
    load = function() return false end,
    claim = function() return nil, "not in this spec" end,
    save = function() return true end,
    release = function() end,
  }
end

describe("a session in a Lua store", function()
  local time = os.time

  after_each(function()
    os.time = time -- luacheck: ignore 122
  end)

  it("lets the given token age from when the client was made", function()
    local given = { store = empty_store(), token = "a", refresh_token = "r",
      expires_in = 900 }
    local now = time()
    os.time = function() return now end -- luacheck: ignore 122
    local provide = shared_session.adapt(given, error).token_provider
    now = now + 600
    local tokens = provide "first"
    assert.equal("a", tokens.access_token)
    assert.equal(300, tokens.expires_in)
  end)
end)
