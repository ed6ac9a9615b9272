-- SPDX-License-Identifier: MIT
--- Event streams that nobody reads: what the process holds. A file, and so a
--- process, of its own: what others have left in the heap decides whether a
--- buffer that grows leaves a hole behind, half as large as itself.

local freddy = require "freddy"
local helper = require "spec.helper"

local emulator

setup(function()
  helper.reset()
  emulator = helper.client { retries = 0 }
  for _, version in ipairs { "1.1", "2" } do -- what only the first ones take
    local stream = freddy.assert(emulator:stream("/v1/events?count=1000",
      { http_version = version }))
    helper.check_order(stream, 1, 1000)
    assert(stream:finish())
    freddy.assert(emulator:get("/v1/open", { http_version = version }))
  end
end)

teardown(function()
  emulator:close()
end)

local function resident()
  local file = assert(io.open "/proc/self/status")
  local size = file:read "*a":match "VmRSS:%s*(%d+)"
  file:close()
  return tonumber(size) / 1024
end

describe("whoever stops reading", function()
  -- Some 50 MB.
  local COUNT, SIZE = 50000, 1000
  local path = ("/v1/events?count=%d&size=%d&batch=100"):format(COUNT, SIZE)

  -- What the server has sent, when that does not grow any more.
  local function settled(tag)
    local function sent()
      for _, one in ipairs(helper.counters().responses) do
        if one.tag == tag then
          return one.bytes
        end
      end
      return 0
    end
    local last, same = -1, 0
    helper.eventually(function()
      freddy.assert(emulator:get "/v1/open") -- others are served meanwhile
      local now = sent()
      same = now == last and now > 0 and same + 1 or 0
      last = now
      return same > 20
    end, 60)
    return last
  end

  local function check(options, tag, most_here, most_sent)
    collectgarbage()
    local before = resident()
    local stream = freddy.assert(emulator:stream(path .. "&tag=" .. tag,
      options))
    helper.check_order(stream, 1, 10)
    local sent = settled(tag)
    local grown = resident() - before
    assert.is_true(sent < most_sent * 1048576, sent)
    if helper.build == helper.top .. "/build" then
      assert.is_true(grown < most_here, grown)
    end
    -- A second one gets on, and so does a request.
    local other = freddy.assert(emulator:stream("/v1/events?count=1000",
      options))
    helper.check_order(other, 1, 1000)
    assert.is_true(other:finish())
    helper.check_order(stream, 11, COUNT)
    assert.is_nil(stream:next())
    assert.is_true(stream:finish())
  end

  -- The kernel's and the server's own buffers come to some MB.
  it("holds back the server over HTTP/1.1, and loses nothing", function()
    check({ http_version = "1.1" }, "stop1", 4, 20)
  end)

  it("over HTTP/2 too, but for libcurl's window; neighbours go on", function()
    check({ http_version = "2" }, "stop2", 40, 60)
  end)
end)
