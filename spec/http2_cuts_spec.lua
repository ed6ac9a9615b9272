-- SPDX-License-Identifier: MIT
--- What of an HTTP/2 answer is there when it ends too early is never taken for
--- all of it.

local core = require "freddy.core"
local helper = require "spec.helper"
local http2 = require "spec.http2_util"

local url = http2.url
local client

setup(function()
  client = http2.open()
end)

teardown(http2.close)

-- --- Cut at every byte ----------------------------------------------------

describe("an HTTP/2 answer cut at every byte of its frames", function()
  -- Every byte of two of them on one Lua; fewer elsewhere.
  local all_of = { pieces = true, ["error-500-gzip"] = true }

  local function step_of(name)
    return not http2.thorough and 59 or all_of[name] and 1 or 7
  end

  local function check(answer, right, how, n)
    local at = ("%s %s %d"):format(how, answer.name, n)
    local res, err = client:get(url(how, { of = answer.name, n = n }))
    if not err or err.kind == right.kind then
      local got = res or err.response
      assert.equal(right.kind, err and err.kind, at)
      assert.equal(right.status, got.status, at)
      local is_cut = err and err.details and err.details.cut
      assert.equal(is_cut and right.body:sub(1, #got.body) or right.body,
        got.body, at)
      return
    end
    assert.equal("cut", err.kind, at)
    assert.is_true(err.sent, at)
    assert.is_true(n >= answer.head or err.response == nil, at)
  end

  for _, how in ipairs { "close-at", "reset-at" } do
    it("by " .. how, function()
      for _, answer in ipairs(http2.control "/control/answers?protocol=h2") do
        local res, err = client:get(url("answer", { of = answer.name }))
        local right = { kind = err and err.kind,
          status = (res or err).status, body = (res or err.response).body }
        for n = 0, answer.size - 1, step_of(answer.name) do
          check(answer, right, how, n)
        end
        http2.next_is_right()
      end
    end)
  end
end)

-- --- Streamed answers -----------------------------------------------------

-- Some versions of libcurl take a stream that was reset for one that has
-- ended, when its connection is closed too: where nothing else tells the end,
-- it must not be left to that.
describe("a streamed answer", function()
  local one, inbox

  before_each(function()
    one = assert(core.client {
      base_url = helper.env "HOSTILE_H2",
      ca_file = helper.env "HOSTILE_CA_FILE",
      api_key = "a-key-of-20-characters",
    })
    inbox = assert(core.inbox())
  end)

  after_each(function()
    one:close()
    inbox:close()
  end)

  local function stream(path)
    local call = assert(one:start(inbox, 1, { path = path, stream = true }))
    helper.eventually(function()
      inbox:wait(0.01)
      repeat until not inbox:next()
      return call:done()
    end)
    return call:result()
  end

  it("that was reset is not one that ended", function()
    for _, code in ipairs { "NO_ERROR", "CANCEL", "INTERNAL_ERROR" } do
      for _, how in ipairs { "serve", "fin" } do
        local args = { at = "body", bare = "y", code = code, ["then"] = how }
        local res, err = stream("/s/rst;" .. helper.hostile("", args)
          :match("?(.*)$"):gsub("&", ";"))
        -- HTTP/1.1 has no such scenario, and tells its ends by itself.
        assert.is_true(err ~= nil or res.http_version == 11)
      end
    end
  end)
end)
