-- SPDX-License-Identifier: MIT
--- A server that looks at credentials inside the stream says no in an event:
--- that is the request's 401.

local freddy = require "freddy"
local helper = require "spec.helper"
local util = require "spec.responses_util"

local make, all, respond = util.make, util.all, util.respond

before_each(function()
  util.begin()
  helper.control { responses = { auth_in_stream = true } }
end)
after_each(util.finish)

local function refreshes()
  return helper.counters().auth.refresh.calls
end

describe("a refusal inside of a stream", function()
  for _, generation in ipairs(util.GENERATIONS) do
    it("renews once and sends the POST once more, in " .. generation,
      function()
        helper.control { responses = { generation = generation } }
        local got = all(util.session())
        assert.is_nil(got.err and tostring(got.err))
        assert.equal(util.TEXT, got.answer.text)
        assert.equal(1, refreshes())
        assert.equal(2, util.posts())
        for _, name in ipairs(got.names) do
          assert.is_nil(name:find "error" or name:find "failed")
        end
        -- Nothing of the refused stream is shown.
        local seen = {}
        for _, name in ipairs(got.names) do
          assert.is_nil(name:find "processing$" and seen[name])
          seen[name] = true
        end
      end)
  end

  it("is the answer when the new token is refused as well", function()
    local client = util.session()
    helper.control { respond = { { error = { at = "start",
      code = "TOKEN_INVALID", message = "No." } } } }
    local got, err = all(client)
    err = got and got.err or err
    assert.equal("unauthorized", err.kind)
    assert.equal("TOKEN_INVALID", err.code)
    assert.equal(1, refreshes())
    assert.equal(2, util.posts())
  end)

  it("is the answer to a key, and to a bare token", function()
    for _, options in ipairs {
      { api_key = "oak_live_0123456789" },
      { token = helper.control { mint = { expires_in = -5 } }.token },
    } do
      local posts = util.posts()
      local got, err = all(make(options))
      err = got and got.err or err
      assert.equal("unauthorized", err.kind)
      assert.equal(posts + 1, util.posts())
    end
    assert.equal(0, refreshes())
  end)

  it("renews nothing once the answer has begun", function()
    helper.control { responses = { auth_in_stream = false } }
    for _, at in ipairs { "created", "content" } do
      local client = make((function()
        local tokens = helper.session {}
        return { token = tokens.token, refresh_token = tokens.refresh_token }
      end)())
      local posts = util.posts()
      respond { times = 1, error = { at = at, after = 1,
        code = "TOKEN_EXPIRED", message = "Too late." } }
      local got = all(client)
      assert.equal("unauthorized", got.err.kind)
      assert.equal(posts + 1, util.posts())
    end
    assert.equal(0, refreshes())
  end)

  it("is a 401 that the retry of a resumption obeys, too", function()
    local tokens = helper.session {}
    local client = make { token = tokens.token,
      refresh_token = tokens.refresh_token }
    respond { thread_id = "thrd_a", cut = { events = 4 } }
    helper.control { fail = { path = util.PATH .. "/*", method = "GET",
      status = 401, code = "TOKEN_EXPIRED", times = 1 } }
    local got = all(client)
    assert.is_nil(got.err and tostring(got.err))
    assert.equal(util.TEXT, got.answer.text)
    assert.equal(1, refreshes())
    assert.equal(1, util.posts())
  end)

  it("ends a resumption with auth when the session is over", function()
    local tokens = helper.session {}
    local client = make { token = tokens.token,
      refresh_token = tokens.refresh_token }
    respond { thread_id = "thrd_a", cut = { events = 4 } }
    helper.control {
      fail = { { path = util.PATH .. "/*", method = "GET", status = 401,
        code = "TOKEN_EXPIRED" }, { path = "/v1/auth/refresh",
        method = "POST", status = 401, code = "INVALID_TOKEN" } },
    }
    local got = all(client)
    assert.equal("auth", got.err.kind)
    assert.equal("session_expired", got.err.reason)
    assert.is_true(got.err.sent)
    assert.equal("You said: ", got.err.partial.text)
    assert.equal("thrd_a", got.err.partial.thread_id)
    assert.equal(1, util.posts())
  end)

  it("refreshes once for fifty streams at once", function()
    local client = util.session { timeout = { connect = 60 } }
    local tasks = {}
    for i = 1, 50 do
      tasks[i] = freddy.spawn(function()
        return all(client)
      end)
    end
    for _, task in ipairs(tasks) do
      local got = freddy.assert(task:wait(60))
      assert.is_nil(got.err and tostring(got.err))
      assert.equal(util.TEXT, got.answer.text)
    end
    assert.equal(1, refreshes())
  end)
end)
