-- SPDX-License-Identifier: MIT
--- Sessions against a real server: nobody sees an expired token, and one
--- renewal is for all.

local helper = require "spec.helper"
local util = require "spec.session_util"

local make = util.make
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

-- --- One for all ---------------------------------------------------------

describe("a session", function()
  it("refreshes once for a thousand requests", function()
    local client = session { timeout = { connect = 60 } }
    local results = all_good(start(client, 1000))
    for _, result in ipairs(results) do
      assert.equal(1, result[1].attempts)
    end
    assert.equal(1, book("refresh").calls)
    assert.equal(1000, requests("/v1/echo"))
    assert.equal(0, answered("/v1/echo", 401))
    assert.equal(1, client.auth:status().refreshes)
  end)

  it("refreshes once after a thousand answers of 401", function()
    local client = session({ base_url = helper.http, max_in_flight = 1000,
      timeout = { connect = 60 } }, {})
    helper.control { revoke = { access = true },
      delay = { path = "/v1/echo", hold = "all", times = 1000 } }
    local tasks = start(client, 1000)
    helper.eventually(function()
      return requests("/v1/echo") == 1000
    end, 60)
    helper.control { release = "all" }
    local results = all_good(tasks)
    for _, result in ipairs(results) do
      assert.equal(2, result[1].attempts)
    end
    assert.equal(1, book("refresh").calls)
    assert.equal(1000, answered("/v1/echo", 401))
    assert.equal(1000, answered("/v1/echo", 200))
  end)

  it("replays a request only once", function()
    local client = session({}, {})
    helper.control { fail = { path = "/v1/echo", status = 401,
      code = "TOKEN_INVALID" } }
    local err = fails(client, "unauthorized", "token_invalid")
    assert.equal(2, err.attempts)
    assert.equal(1, book("refresh").calls)
    assert.equal(2, requests("/v1/echo"))
  end)

  it("is not renewed for what a key or an account did", function()
    local client = session({}, {})
    for _, code in ipairs { "INVALID_API_KEY", "API_KEY_EXPIRED",
        "API_KEY_PAUSED", "INVALID_CREDENTIALS", "ACCOUNT_SUSPENDED" } do
      helper.control { fail = { path = "/v1/echo", status = 401, code = code,
        times = 1 } }
      local err = fails(client, "unauthorized", code:lower())
      assert.equal(1, err.attempts)
      assert.is_string(err.hint)
    end
    assert.equal(0, book("refresh").calls)
    right(client)
  end)

  it("does not send a reader's body again, and says so", function()
    local client = session({}, {})
    helper.control { revoke = { access = true } }
    local parts = { "abc" }
    local res, err = client:post("/v1/echo", { body = function()
      return table.remove(parts)
    end })
    assert.is_nil(res)
    assert.equal("unauthorized", err.kind)
    assert.is_false(err.details.replayed)
    assert.matches("reader", err.hint)
    assert.equal(1, err.attempts)
    assert.is_nil(err.response.unreplayed)
    assert.equal(1, right(client).attempts)
    assert.equal(1, book("refresh").calls)
  end)

  it("sends a body that it has again", function()
    local client = session({}, {})
    helper.control { revoke = { access = true } }
    local res = assert(client:post("/v1/echo", { json = { a = 1 } }))
    assert.equal(2, res.attempts)
    assert.equal('{"a":1}', res.data.body)
  end)

  it("keeps a deadline of each request's own", function()
    local client = session { timeout = { auth = 20 } }
    helper.control { delay = { path = REFRESH, hold = "refresh" } }
    local waits = start(client, 5)
    local res, err = client:get("/v1/echo", { timeout = 0.1 })
    assert.is_nil(res)
    assert.equal("timeout/total", err.kind .. "/" .. err.reason)
    assert.is_false(err.sent)
    helper.control { release = "refresh" }
    all_good(waits)
    assert.equal(1, book("refresh").calls)
  end)

  it("goes on when who began the refresh is cancelled", function()
    local client = session()
    helper.control { delay = { path = REFRESH, hold = "refresh" } }
    local first, others = start(client, 1), start(client, 5)
    reading(REFRESH)
    first[1]:cancel()
    local _, err = first[1]:wait(10)
    assert.equal("cancelled", err.kind)
    helper.control { release = "refresh" }
    all_good(others)
    assert.equal(1, book("refresh").calls)
  end)

  it("goes on when the client that began the refresh is closed", function()
    local client, tokens = session()
    local other = make { token = tokens.token,
      refresh_token = tokens.refresh_token }
    helper.control { delay = { path = REFRESH, hold = "refresh" } }
    local gone, waits = start(client, 1), start(other, 5)
    reading(REFRESH)
    client:close()
    assert.equal("closed", ended(gone)[1][2].kind)
    helper.control { release = "refresh" }
    all_good(waits)
    assert.equal(1, book("refresh").calls)
  end)
end)

-- --- Switching -----------------------------------------------------------

local SWITCHES = {
  ["another token"] = function(client)
    local token = helper.control { mint = {} }.token
    assert.is_true(client.auth:set_token(token))
    return token
  end,
  ["an API key"] = function(client)
    assert.is_true(client.auth:set_api_key(helper.api_key))
    return helper.api_key
  end,
  ["another session"] = function(client)
    local tokens = helper.session {}
    assert.is_true(client.auth:set_token { access_token = tokens.token,
      refresh_token = tokens.refresh_token, expires_in = 3600 })
    return tokens.token
  end,
}

describe("another credential", function()
  for name, switch in pairs(SWITCHES) do
    it("(" .. name .. ") is what waiting requests go on with", function()
      local client = session()
      helper.control { delay = { path = REFRESH, hold = "refresh" } }
      local tasks = start(client, 20)
      reading(REFRESH)
      local tail = switch(client):sub(-8)
      all_good(tasks)
      right(client)
      helper.control { release = "refresh" }
      helper.eventually(function()
        return book("refresh").concurrent == 0
      end)
      right(client) -- the answer that came late changed nothing
      local recent = helper.counters().recent
      local seen = 0
      for _, entry in ipairs(recent) do
        if entry.endpoint == "/v1/echo" then
          assert.equal(tail, entry.tail)
          seen = seen + 1
        end
      end
      assert.equal(22, seen)
      assert.equal(1, book("refresh").calls)
    end)

    it("(" .. name .. ") is what a 401 is repeated with", function()
      local client = session({}, {})
      helper.control { revoke = { access = true },
        delay = { path = "/v1/echo", hold = "echo", times = 5 } }
      local tasks = start(client, 5)
      helper.eventually(function()
        return requests("/v1/echo") == 5
      end)
      switch(client)
      helper.control { release = "echo" }
      local results = all_good(tasks)
      assert.equal(2, results[1][1].attempts)
      assert.equal(0, book("refresh").calls)
    end)
  end

  it("ends a session that is over", function()
    local client = session()
    helper.control { revoke = { refresh = true } }
    fails(client, "auth", "session_expired")
    SWITCHES["another session"](client)
    right(client)
    assert.equal("fresh", client.auth:status().state)
  end)

  it("may be the same tokens again", function()
    local client, tokens = session()
    helper.control { fail = { path = REFRESH, status = 401, times = 1 } }
    fails(client, "auth", "session_expired")
    assert.is_true(client.auth:set_token {
      refresh_token = tokens.refresh_token })
    right(client)
    assert.equal(2, book("refresh").calls)
  end)

  it("leaves others that share the session as they were", function()
    local client, tokens = session()
    local other = make { token = tokens.token,
      refresh_token = tokens.refresh_token }
    helper.control { delay = { path = REFRESH, hold = "refresh" } }
    local mine, theirs = start(client, 3), start(other, 3)
    reading(REFRESH)
    SWITCHES["an API key"](client)
    all_good(mine)
    helper.control { release = "refresh" }
    all_good(theirs)
    assert.equal(1, book("refresh").calls)
  end)

  it("is none after everything is forgotten", function()
    local client, tokens = session()
    local other = make { token = tokens.token,
      refresh_token = tokens.refresh_token }
    helper.control { delay = { path = REFRESH, hold = "refresh" } }
    local tasks, theirs = start(client, 5), start(other, 5)
    reading(REFRESH)
    client.core:forget()
    for _, list in ipairs { tasks, theirs } do
      for _, result in ipairs(ended(list)) do
        assert.equal("missing_credentials", result[2].kind)
      end
    end
    helper.control { release = "refresh" }
    helper.eventually(function()
      return book("refresh").concurrent == 0
    end)
    fails(client, "missing_credentials", nil)
    fails(other, "missing_credentials", nil)
    assert.equal(0, requests("/v1/echo"))
    assert.equal("none", client.auth:status().kind)
    assert.equal("revoked", other.auth:status().state)
    SWITCHES["another session"](client)
    right(client)
  end)
end)

-- --- Sharing -------------------------------------------------------------

describe("clients with the same tokens", function()
  it("share one refresh", function()
    local first, tokens = session()
    local tasks = start(first, 1)
    for _ = 1, 50 do
      local client = make { token = tokens.token,
        refresh_token = tokens.refresh_token }
      tasks[#tasks + 1] = start(client, 1)[1]
    end
    all_good(tasks)
    assert.equal(1, book("refresh").calls)
  end)

  it("share what it has become", function()
    local first, tokens = session()
    right(first)
    -- That refresh token is used up: who comes with it joins those who know
    -- what came of it.
    right(make { refresh_token = tokens.refresh_token })
    right(make { token = tokens.token,
      refresh_token = tokens.refresh_token })
    assert.equal(1, book("refresh").calls)
  end)

  it("share it with those that come later", function()
    local tokens = helper.session { expires_in = -5 }
    for _ = 1, 3 do
      local client = make { token = tokens.token,
        refresh_token = tokens.refresh_token }
      right(client)
      client:close()
    end
    assert.equal(1, book("refresh").calls)
  end)

  it("do not share it with another server or other paths", function()
    local tokens = helper.session { expires_in = -5 }
    local given = { token = tokens.token,
      refresh_token = tokens.refresh_token }
    right(make(given))
    given.auth_paths = { refresh = REFRESH .. "/" }
    local other = make(given)
    assert.equal(0, other.auth:status().refreshes)
    given.auth_paths, given.base_url = nil, helper.http
    assert.equal(0, make(given).auth:status().refreshes)
  end)
end)

-- --- Clocks --------------------------------------------------------------

describe("a server's clock", function()
  for _, wrong in ipairs { 3600, -3600 } do
    for _, iat in ipairs { true, false } do
      it(("may be wrong by %d s, %s iat"):format(wrong,
          iat and "with" or "without"), function()
        helper.control { auth = { clock = wrong, expires_in = "absent",
          jwt_iat = iat } }
        local client = session({}, { expires_in = 3600 })
        for _ = 1, 5 do
          right(client)
        end
        -- At most one for a token that looked as if it had run out.
        assert(book("refresh").calls <= 1)
        helper.control { revoke = { access = true } }
        for _ = 1, 5 do
          right(client)
        end
        assert(book("refresh").calls <= 2)
        assert.equal(0, book("refresh").refusals)
        local left = client.auth:status().expires_in
        assert(left > 3400 and left <= 3600, left)
      end)
    end
  end

  it("corrects the life of a token that was given", function()
    helper.control { auth = { clock = 3000, jwt_iat = false } }
    local client = session({}, { expires_in = 3600 })
    assert(client.auth:status().expires_in > 6000)
    right(client)
    helper.eventually(function()
      return client.auth:status().expires_in <= 3600
    end)
    assert.equal(0, book("refresh").calls)
  end)
end)

-- --- Its state -----------------------------------------------------------

describe("client.auth:status", function()
  it("tells the life of a session", function()
    local tokens = helper.session {}
    local client = make { refresh_token = tokens.refresh_token }
    local status = client.auth:status()
    assert.same({ kind = "session", state = "empty", refreshing = false,
      refreshes = 0, tail = "" }, status)
    helper.control { delay = { path = REFRESH, hold = "refresh" } }
    local tasks = start(client, 1)
    reading(REFRESH)
    status = client.auth:status()
    assert.equal("refreshing", status.state)
    assert.is_true(status.refreshing)
    helper.control { release = "refresh" }
    all_good(tasks)
    status = client.auth:status()
    assert.equal("fresh", status.state)
    assert.equal(1, status.refreshes)
    assert.is_false(status.refreshing)
    assert(status.expires_in > 3500 and status.expires_in <= 3590)
    assert.equal(helper.counters().last.tail:sub(-4), status.tail)
    helper.control { revoke = { access = true, refresh = true } }
    fails(client, "auth", "session_expired")
    status = client.auth:status()
    assert.equal("expired", status.state)
    assert.matches("refused the refresh token", status.last_error)
    client.core:forget()
    status = client.auth:status()
    assert.equal("none", status.kind)
    assert.equal("", status.tail)
  end)

  it("tells that a key is being exchanged", function()
    local client = exchange()
    helper.control { delay = { path = EXCHANGE, hold = "exchange" } }
    local tasks = start(client, 1)
    reading(EXCHANGE)
    assert.equal("fetching", client.auth:status().state)
    helper.control { release = "exchange" }
    all_good(tasks)
    assert.equal("fresh", client.auth:status().state)
  end)
end)

-- --- Secrets -------------------------------------------------------------

local function reach(value, seen, visit)
  if type(value) == "string" then
    visit(value)
  elseif type(value) == "table" and not seen[value] then
    seen[value] = true
    for key, item in next, value do
      reach(key, seen, visit)
      reach(item, seen, visit)
    end
    reach(getmetatable(value), seen, visit)
  end
end

local function hides(err, secrets)
  local function visit(text)
    for name, secret in pairs(secrets) do
      if text:find(secret, 1, true) then
        error("the " .. name .. " stands in " .. text, 0)
      end
    end
  end
  visit(tostring(err))
  reach(err, {}, visit)
end

describe("no secret of a session", function()
  it("stands in an error", function()
    local client, tokens = session({}, {})
    local secrets = { token = tokens.token, refresh = tokens.refresh_token }
    for _, where in ipairs { "body", "header", "location" } do
      local _, err = client:get("/v1/leak?status=400&where=" .. where)
      hides(err, secrets)
      assert.is_table(err.response)
    end
  end)

  it("stands in one that comes after a switch", function()
    local client, tokens = session({}, {})
    helper.control { delay = { path = "/v1/leak", hold = "leak" } }
    local tasks = start(client, 1, "/v1/leak?status=400&form=full")
    reading("/v1/leak")
    SWITCHES["an API key"](client)
    helper.control { release = "leak" }
    local err = ended(tasks)[1][2]
    assert.equal("invalid", err.kind)
    hides(err, { token = tokens.token })
    assert.is_string(err.response.body)
  end)

  it("stands in one that comes after a refresh", function()
    local client, tokens = session({}, {})
    helper.control { delay = { path = "/v1/leak", hold = "leak" } }
    local tasks = start(client, 1, "/v1/leak?status=400")
    reading("/v1/leak")
    helper.control { revoke = { access = true } }
    right(client)
    helper.control { release = "leak" }
    local err = ended(tasks)[1][2]
    hides(err, { token = tokens.token, refresh = tokens.refresh_token })
  end)

  it("stands in a failure of its own requests", function()
    local client, tokens = session()
    local secrets = { token = tokens.token, refresh = tokens.refresh_token,
      key = helper.api_key }
    local body = helper.json.encode { access_token = "a b",
      error = { code = tokens.refresh_token, message = tokens.token } }
    helper.control { fail = { path = "/v1/auth/*", status = 401,
      body = body } }
    hides(fails(client, "auth", "session_expired"), secrets)
    hides(client.auth:status(), secrets)
    client = exchange()
    body = helper.json.encode { error = { code = helper.api_key } }
    helper.control { reset = true, fail = { path = "/v1/auth/*",
      status = 401, body = body } }
    hides(fails(client, "auth", "refresh_failed"), secrets)
    hides(client.auth:status(), secrets)
  end)

  it("stands in what on_event and on_log hear, nor where any process "
      .. "looks", function()
    local heard = {}
    local function hear(...)
      heard[#heard + 1] = { ... }
    end
    local client = make { auth = "none", on_event = hear, on_log = hear }
    local secrets = { password = helper.password }
    local challenge = assert(client.auth:login {
      email_or_username = helper.email, password = helper.password })
    assert.is_nil(client.auth:verify { email_key = challenge.email_key,
      verification_code = 1000 })
    assert(client.auth:verify { email_key = challenge.email_key,
      verification_code = 4821 })
    local _, err = client:get("/v1/leak?status=400&where=body")
    secrets.tail = helper.counters().last.tail -- of the access token
    assert.equal("invalid", err.kind)
    assert.is_true(client.auth:refresh())
    right(client)
    secrets["new tail"] = helper.counters().last.tail
    helper.control { fail = { path = REFRESH, status = 401 } }
    assert.is_nil(client.auth:refresh())
    client.auth:logout()
    assert(#heard > 10)
    hides(heard, secrets)
    for _, name in ipairs { "environ", "cmdline" } do
      local file = assert(io.open("/proc/self/" .. name, "rb"))
      local text = file:read "*a"
      file:close()
      assert.is_nil(text:find(secrets.tail, 1, true))
      assert.is_nil(text:find(secrets["new tail"], 1, true))
    end
  end)

  it("stands in an answer that repeats the key", function()
    local client = exchange()
    helper.control { fail = { path = "/v1/echo", status = 400,
      message = "your key is " .. helper.api_key } }
    local _, err = client:get("/v1/echo")
    assert.equal("invalid", err.kind)
    hides(err, { key = helper.api_key })
  end)
end)

-- --- In time -------------------------------------------------------------

-- What takes seconds is about the engine, which is the same on every Lua.
if helper.env("FIRST_LUA") == "1" then
  describe("with time", function()
    local slow = helper.env("SLOW") == "1" and 4 or 1

    it("no request waits, and none carries an expired token", function()
      helper.control { auth = { lifetime = 3 * slow },
        delay = { path = REFRESH, ms = 100 } }
      local client = session { refresh_token = helper.session(
        { expires_in = -5 }).refresh_token, token = false }
      right(client)
      helper.eventually(function()
        assert(client.auth:status().expires_in > 0, "a request would wait")
        all_good(start(client, 4))
        return book("refresh").grants == 3
      end, 60)
      assert.equal(0, answered("/v1/echo", 401))
      assert.equal(3, book("refresh").calls)
      assert.equal(1, book("refresh").concurrent_max)
    end)

    it("an idle session is renewed when it shall be kept warm", function()
      helper.control { auth = { lifetime = 1 } }
      local client = session { keep_warm = true }
      right(client)
      helper.eventually(function()
        return book("refresh").grants >= 3
      end, 20)
      assert.equal(1, requests("/v1/echo"))
    end)

    it("an idle session is left alone otherwise", function()
      helper.control { auth = { lifetime = 0.5 } }
      local client = session()
      right(client)
      helper.eventually(function()
        return client.auth:status().state == "expired"
      end)
      assert.equal(0, client.auth:status().expires_in)
      assert.equal(1, book("refresh").calls)
      right(client)
      assert.equal(2, book("refresh").calls)
    end)
  end)
end
