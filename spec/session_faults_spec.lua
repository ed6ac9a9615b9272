-- SPDX-License-Identifier: MIT
--- What a session's own requests may meet: everybody who waits hears the
--- same, and the server is not stormed.

local freddy = require "freddy"
local helper = require "spec.helper"
local util = require "spec.session_util"

local session = util.session
local exchange = util.exchange
local book = util.book
local requests = util.requests
local answered = util.answered
local reading = util.reading
local start = util.start
local ended = util.ended
local all_good = util.all_good
local right = util.right
local fails = util.fails

local REFRESH, EXCHANGE = "/v1/auth/refresh", "/v1/auth/token"

before_each(util.begin)
after_each(util.finish)

-- --- What a refresh may meet ---------------------------------------------

-- `hostile`: a scenario instead of the emulator; `fail`, `delay`: switches
-- for its refresh. `calls`: how many the server sees, also after a second
-- request.
local MISHAPS = {
  ["is down"] = { base_url = "CLOSED", reason = "refresh_failed",
    says = "could not be renewed: .*connect" },
  ["answers 500"] = { fail = { status = 500 }, reason = "refresh_failed",
    calls = 2, says = "answered 500" },
  ["answers 429"] = { fail = { status = 429,
    headers = { ["Retry-After"] = "7" } }, reason = "refresh_failed",
    calls = 1, retry_after = 7, says = "answered 429" },
  ["answers 401"] = { fail = { status = 401, code = "TOKEN_INVALID" },
    reason = "session_expired", calls = 1,
    says = "refused the refresh token %(401, token_invalid%)" },
  ["answers 403"] = { fail = { status = 403 }, reason = "session_expired",
    calls = 1, says = "refused" },
  ["answers 400"] = { fail = { status = 400 }, reason = "session_expired",
    calls = 1, says = "refused" },
  ["answers 404"] = { fail = { status = 404 }, reason = "refresh_failed",
    calls = 1, says = "auth_paths%.refresh" },
  ["answers 405"] = { fail = { status = 405 }, reason = "refresh_failed",
    calls = 1, says = "auth_paths%.refresh" },
  ["redirects"] = { fail = { status = 307,
    headers = { Location = "/v1/open/elsewhere" } },
    reason = "refresh_failed", calls = 1, says = "answered 307" },
  ["answers garbage"] = { fail = { status = 200, body = "{garbage" },
    reason = "refresh_failed", calls = 1, says = "JSON" },
  ["answers a page"] = { fail = { status = 200, body = "<html></html>" },
    reason = "refresh_failed", calls = 1, says = "JSON" },
  ["answers without end"] = { fail = { size = 1024 * 1024 },
    reason = "refresh_failed", calls = 1, says = "large" },
  ["hangs"] = { delay = { hold = "for ever" }, reason = "refresh_failed",
    timeout = { auth = 0.2 }, calls = 2, says = "within 0.2 s" },
}

describe("a refresh", function()
  for name, mishap in pairs(MISHAPS) do
    it(name, function()
      local client = session { timeout = mishap.timeout, base_url =
        mishap.base_url and "http://" .. helper.env("HOSTILE_CLOSED") }
      for _, switch in ipairs { "fail", "delay" } do
        local rule = mishap[switch]
        if rule then
          rule.path = REFRESH
          helper.control { [switch] = rule }
        end
      end
      local first = fails(client, "auth", mishap.reason)
      assert.matches(mishap.says, first.message)
      assert.is_false(first.sent)
      assert.equal(0, first.attempts)
      local second = fails(client, "auth", mishap.reason)
      assert.equal(first.message, second.message)
      assert.equal(mishap.calls or 0, book("refresh").calls)
      assert.equal(0, requests("/v1/echo"))
      local status = client.auth:status()
      if mishap.reason == "refresh_failed" then
        assert.is_true(first.retryable)
        assert.equal("failed", status.state)
        assert(first.retry_after > 0)
        assert(second.retry_after <= first.retry_after)
        if mishap.retry_after then
          assert(first.retry_after > mishap.retry_after - 3)
          assert(first.retry_after <= mishap.retry_after)
        end
      else
        assert.is_false(first.retryable)
        assert.is_nil(first.retry_after)
        assert.equal("expired", status.state)
      end
      assert.is_string(status.last_error)
      helper.control { release = "for ever" }
    end)
  end

  it("tells everybody the same, and calls nobody again", function()
    local client = session()
    helper.control { delay = { path = REFRESH, hold = "refresh" },
      fail = { path = REFRESH, status = 401, code = "TOKEN_EXPIRED" } }
    local tasks = start(client, 100)
    reading(REFRESH)
    helper.control { release = "refresh" }
    for _, result in ipairs(ended(tasks)) do
      assert.equal("session_expired", result[2].reason)
      assert.equal("the session is over: the server refused the refresh "
        .. "token (401, token_expired)", result[2].message)
    end
    fails(client, "auth", "session_expired")
    assert.equal(1, book("refresh").calls)
  end)

  it("comes again with the first request after the back-off", function()
    local client = session()
    helper.control { fail = { path = REFRESH, status = 404, times = 1 } }
    local err = fails(client, "auth", "refresh_failed")
    freddy.sleep(err.retry_after)
    right(client)
    assert.equal(2, book("refresh").calls)
    assert.is_nil(client.auth:status().last_error)
  end)

  it("is repeated once when the server was busy", function()
    local client = session()
    helper.control { fail = { path = REFRESH, status = 503, times = 1 } }
    right(client)
    assert.equal(2, book("refresh").calls)
  end)

  it("that is slow has its answer heeded", function()
    local client = session()
    helper.control { delay = { path = REFRESH, hold = "r", late = true } }
    local tasks = start(client, 3)
    reading(REFRESH)
    assert.equal("refreshing", client.auth:status().state)
    assert.is_true(client.auth:status().refreshing)
    helper.control { release = "r" }
    all_good(tasks)
  end)

  for _, how in ipairs { "lost", "cut" } do
    it("whose answer is " .. how .. " is asked again, once", function()
      local client = session()
      helper.control { auth = { rotate = false },
        fail = { path = REFRESH, [how] = true, times = 1 } }
      right(client)
      assert.equal(2, book("refresh").calls)
    end)

    it("whose answer is " .. how .. " may have ended it all", function()
      local client = session()
      helper.control { fail = { path = REFRESH, [how] = true, times = 1 } }
      local err = fails(client, "auth", "session_expired")
      assert.is_true(err.details.uncertain)
      assert.equal(2, book("refresh").calls)
      fails(client, "auth", "session_expired")
      assert.equal(2, book("refresh").calls)
    end)
  end

  it("whose answer is lost twice has to wait", function()
    local client = session()
    helper.control { auth = { rotate = false },
      fail = { path = REFRESH, lost = true } }
    fails(client, "auth", "refresh_failed")
    fails(client, "auth", "refresh_failed")
    assert.equal(2, book("refresh").calls)
  end)
end)

-- --- Token answers -------------------------------------------------------

local LONG = ("x"):rep(20)

local REFUSED = {
  ["a list"] = "[]",
  ["a text"] = '"token"',
  ["nothing"] = "",
  ["no token"] = '{"refresh_token":"r"}',
  ["an empty token"] = '{"access_token":""}',
  ["a token with a blank"] = '{"access_token":"a b"}',
  ["a token with a control character"] = '{"access_token":"a\\nb"}',
  ["a token with a NUL"] = '{"access_token":"a\\u0000b"}',
  ["a token that is a number"] = '{"access_token":1}',
  ["another type"] = '{"access_token":"' .. LONG .. '","token_type":"mac"}',
  ["no life"] = '{"access_token":"' .. LONG .. '","expires_in":0}',
  ["a negative life"] = '{"access_token":"' .. LONG .. '","expires_in":-1}',
  ["a life in words"] = '{"access_token":"' .. LONG
    .. '","expires_in":"soon"}',
  ["a life that is true"] = '{"access_token":"' .. LONG
    .. '","expires_in":true}',
  ["no life in digits"] = '{"access_token":"' .. LONG
    .. '","expires_in":"0"}',
  ["a refresh token with a blank"] = '{"access_token":"' .. LONG
    .. '","refresh_token":"a b"}',
  ["a token that has run out"] = '{"access_token":"'
    .. "eyJhbGciOiJIUzI1NiJ9.eyJpYXQiOjEwMCwiZXhwIjoyMDB9.sig" .. '"}',
}

describe("a token answer", function()
  for name, body in pairs(REFUSED) do
    it("with " .. name .. " is refused", function()
      local client = session()
      helper.control { fail = { path = REFRESH, status = 200, body = body,
        headers = { ["Content-Type"] = "application/json" }, times = 1 } }
      local err = fails(client, "auth", "refresh_failed")
      assert.is_nil(err.message:find(LONG, 1, true))
      fails(client, "auth", "refresh_failed")
      assert.equal(1, book("refresh").calls)
      assert.equal(0, client.auth:status().refreshes)
    end)
  end

  it("that is refused leaves what there was", function()
    local client, tokens = session()
    local body = '{"access_token":"a b","refresh_token":"another-one"}'
    helper.control { fail = { path = REFRESH, status = 200, body = body,
      times = 1 } }
    freddy.sleep(fails(client, "auth", "refresh_failed").retry_after)
    right(client)
    for _, entry in ipairs(book("refresh").log) do
      assert.equal(tokens.refresh_token:sub(-8), entry.tail)
    end
  end)

  it("that has run out on its way is no reason to ask for ever", function()
    helper.control { auth = { lifetime = 1e-6 } }
    local err = fails(session(), "auth", "refresh_failed")
    assert.matches("run out", err.message)
    assert.equal(1, book("refresh").calls)
  end)

  local FORMS = {
    { access_name = "token" },
    { access_name = "access_token" },
    { refresh_name = "refreshToken" },
    { refresh_name = "both" },
    { refresh_form = "expiry" },
    { refresh_form = "expires_at", refresh_name = "refreshToken" },
    { expires_in = "string" },
    { expires_in = "absent" },
    { expires_in = "absent", jwt_iat = false },
    { expires_in = "absent", jwt = false },
    { token_type = "BEARER" },
    { token_type = false },
  }
  for i, form in ipairs(FORMS) do
    local names = {}
    for name, value in pairs(form) do
      names[#names + 1] = name .. "=" .. tostring(value)
    end
    table.sort(names)
    it(i .. ": " .. table.concat(names, ", ") .. " is taken", function()
      helper.control { auth = form }
      local client = session()
      right(client)
      local left = client.auth:status().expires_in
      assert(left > 3480 and left <= 3600, left)
      helper.control { revoke = { access = true } }
      assert.equal(2, right(client).attempts)
      assert.equal(2, book("refresh").grants)
      assert.equal(0, book("refresh").refusals)
    end)
  end

  it("without a new refresh token leaves the old one in use", function()
    helper.control { auth = { rotate = false } }
    local client, tokens = session()
    right(client)
    helper.control { revoke = { access = true } }
    right(client)
    for _, entry in ipairs(book("refresh").log) do
      assert.equal(tokens.refresh_token:sub(-8), entry.tail)
    end
    assert.equal(2, book("refresh").grants)
  end)
end)

-- --- The exchange --------------------------------------------------------

describe("an exchanged key", function()
  it("is exchanged once for a thousand clients", function()
    for i = 1, 1000 do
      local client = exchange()
      if i % 10 == 0 then
        right(client)
        client:close()
      end
    end
    assert.equal(1, book("token").calls)
    assert.equal(0, book("refresh").calls)
    assert.equal(0, answered("/v1/echo", 401))
  end)

  it("goes to the exchange only", function()
    local client = exchange()
    local res = right(client)
    for _, field in ipairs(res.data.headers) do
      assert.is_nil(field.name:lower():find "key")
    end
    assert.equal("authorization", helper.counters().last.credential)
    assert.equal("session", client.auth:status().kind)
  end)

  it("is renewed by a refresh token where one came", function()
    local client = exchange()
    right(client)
    helper.control { revoke = { access = true } }
    right(client)
    assert.equal(1, book("token").calls)
    assert.equal(1, book("refresh").calls)
  end)

  it("is renewed by an exchange where none came", function()
    helper.control { auth = { exchange_refresh = false } }
    local client = exchange()
    right(client)
    helper.control { revoke = { access = true } }
    right(client)
    assert.equal(2, book("token").calls)
    assert.equal(0, book("refresh").calls)
  end)

  it("is exchanged again when the refresh token is refused", function()
    local client = exchange()
    right(client)
    helper.control { revoke = { access = true, refresh = true } }
    right(client)
    assert.equal(2, book("token").calls)
    assert.equal(1, book("refresh").calls)
  end)

  it("may have a session to start from", function()
    local tokens = helper.session {}
    local client = exchange { token = tokens.token,
      refresh_token = tokens.refresh_token }
    right(client)
    assert.equal(0, book("token").calls)
    helper.control { revoke = { access = true } }
    right(client)
    assert.equal(0, book("token").calls)
    assert.equal(1, book("refresh").calls)
  end)

  for _, status in ipairs { 404, 405 } do
    it("names auth_paths.token when the answer is " .. status, function()
      local client = exchange()
      helper.control { fail = { path = EXCHANGE, status = status } }
      local err = fails(client, "auth", "refresh_failed")
      assert.matches("auth_paths%.token", err.message)
      assert.equal(1, book("token").calls)
    end)
  end

  it("goes to where auth_paths.token says", function()
    local client = exchange { auth_paths = { token = "/v1/open/token" } }
    fails(client, "auth", "refresh_failed") -- an echo is no token answer
    assert.equal(1, requests("/v1/open/{rest*}"))
    assert.equal(0, book("token").calls)
  end)

  it("is tried again when it is given again", function()
    local client = exchange()
    helper.control { key = { state = "paused" } }
    local err = fails(client, "auth", "refresh_failed")
    assert.equal("api_key_paused", err.details.cause)
    assert.matches("unpause", err.hint)
    helper.control { key = { state = "ok" } }
    fails(client, "auth", "refresh_failed") -- the back-off
    assert.equal(1, book("token").calls)
    assert.is_true(client.auth:set_api_key(helper.api_key))
    right(client)
    assert.equal(2, book("token").calls)
  end)
end)

-- --- The vendor's four troubles ------------------------------------------

local TROUBLES = {
  INVALID_API_KEY = { 401, "api_key" },
  AUTHENTICATION_REQUIRED = { 401, "key_header" },
  INSUFFICIENT_PERMISSIONS = { 403, "owner of the organization" },
  ACCOUNT_SUSPENDED = { 401, "support" },
}

describe("a hint", function()
  for code, row in pairs(TROUBLES) do
    it("helps with " .. code, function()
      local rule = { path = "/v1/echo", status = row[1], code = code }
      helper.control { fail = rule }
      local _, err = helper.client():get("/v1/echo")
      assert.matches(row[2], err.hint)
      assert.matches(row[2], tostring(err))
    end)

    it("helps with " .. code .. " of an exchange", function()
      local rule = { path = EXCHANGE, status = row[1], code = code }
      helper.control { fail = rule }
      local err = fails(exchange(), "auth", "refresh_failed")
      assert.matches(row[2], err.hint)
      assert.matches(row[2], tostring(err))
    end)
  end
end)

