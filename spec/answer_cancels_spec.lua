-- SPDX-License-Identifier: MIT
--- Whose cancel it was that ended a stream at the server.

local freddy = require "freddy"
local util = require "spec.responses_util"

before_each(util.begin)
after_each(util.finish)

describe("a stream that the server cancels", function()
  it("was asked to, before anything was read", function()
    local client = util.make()
    util.respond { pauses = { after = 2, hold = "never" } }
    local stream = freddy.assert(util.ask(client,
      { thread_id = "thrd_known" }))
    freddy.assert(client.responses:cancel "thrd_known")
    local _, err = stream:finish()
    assert.equal("cancelled", err.kind)
    assert.is_nil(err.reason)
  end)

  it("was asked by another, where our own cancel failed", function()
    local client = util.make()
    util.respond { pauses = { after = 2, hold = "never" } }
    local stream = freddy.assert(util.ask(client))
    assert(stream:read())
    assert.is_nil((client.responses:cancel(stream.thread_id, nil,
      { timeout = 0.000001 })))
    freddy.assert(util.make().responses:cancel(stream.thread_id))
    local _, err = stream:finish()
    assert.equal("by_server", err.reason)
  end)
end)
