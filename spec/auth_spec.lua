-- SPDX-License-Identifier: MIT
--- client.auth: logging in and out, against the emulator.
local freddy = require "freddy"
local helper = require "spec.helper"

local CODE = 4821
local LIVES = 2 ^ 30

local function client_with(options)
  local given = { auth = "none" }
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  if given.refresh_token or given.token or given.api_key then
    given.auth = options.auth
  end
  given.base_url = given.base_url or helper.base_url
  given.ca_file = given.ca_file or helper.ca_file
  given.retries = given.retries or 0
  return freddy.assert(freddy.new(given))
end

local function user()
  return { email_or_username = helper.email, password = helper.password }
end

local function calls(name)
  return helper.counters().auth[name].calls
end

local function logged_in(options)
  local client = client_with(options)
  local challenge = freddy.assert(client.auth:login(user()))
  freddy.assert(client.auth:verify {
    email_key = challenge.email_key, verification_code = CODE,
  })
  return client
end

before_each(function()
  helper.reset()
end)

describe("client.auth:login", function()
  it("gives a challenge, and verify makes a session of it", function()
    local client = client_with()
    local res, err = client:get("/v1/models")
    assert.is_nil(res)
    assert.equal("missing_credentials", err.kind)

    local challenge = freddy.assert(client.auth:login(user()))
    assert.is_string(challenge.email_key)
    assert.is_string(challenge.message)
    assert.is_nil(challenge.logged_in)
    assert.equal("none", client.auth:status().kind)

    local answer = freddy.assert(client.auth:verify {
      email_key = challenge.email_key, verification_code = CODE,
    })
    assert.equal(helper.email, answer.user.email)
    for _, name in ipairs { "token", "refreshToken", "refresh_token" } do
      assert.is_nil(answer[name])
    end
    local status = client.auth:status()
    assert.equal("session", status.kind)
    assert.equal("fresh", status.state)
    assert.is_true(status.expires_in > 3500 and status.expires_in <= 3600)
    assert.equal(200, freddy.assert(client:get("/v1/models")).status)
    client:close()
  end)

  it("takes the code as digits, with blanks around them", function()
    local client = client_with()
    local challenge = freddy.assert(client.auth:login(user()))
    freddy.assert(client.auth:verify {
      email_key = challenge.email_key, verification_code = " 4821\n",
    })
    assert.equal("session", client.auth:status().kind)
    client:close()
  end)

  it("sends nothing for what cannot be a code", function()
    local client = client_with()
    for _, code in ipairs { "482", "48211", "four", "", 48211, 7 } do
      local answer, err = client.auth:verify {
        email_key = "k", verification_code = code,
      }
      assert.is_nil(answer)
      assert.equal("invalid", err.kind)
      assert.equal("verification_code", err.reason)
      assert.is_false(err.sent)
      helper.documented(err)
    end
    assert.equal(0, calls "verify")
    client:close()
  end)

  it("installs the session where the server wants no code", function()
    helper.control { auth = { two_steps = false } }
    local client = client_with()
    local answer = freddy.assert(client.auth:login(user()))
    assert.is_true(answer.logged_in)
    assert.is_nil(answer.token)
    assert.equal("session", client.auth:status().kind)
    freddy.assert(client:get("/v1/models"))
    client:close()
  end)

  it("calls a verification_key an email_key", function()
    helper.control { fail = { path = "/v1/auth/login", status = 200,
      body = '{"verification_key":"vk","message":"hi"}',
      headers = { ["Content-Type"] = "application/json" } } }
    local client = client_with()
    local challenge = freddy.assert(client.auth:login(user()))
    assert.equal("vk", challenge.email_key)
    client:close()
  end)

  it("names a wrong password, and shows it nowhere", function()
    local client = client_with()
    local secret = "not the password of anybody"
    local answer, err = client.auth:login {
      email_or_username = helper.email, password = secret,
    }
    assert.is_nil(answer)
    assert.equal("unauthorized", err.kind)
    assert.equal("invalid_credentials", err.reason)
    assert.is_nil(helper.text_of(err):find(secret, 1, true))
    client:close()
  end)

  it("masks a password and a code that the server repeats", function()
    local secret = "pass\"word\\with/odd chars"
    local body = helper.json.encode {
      error = { message = "no: " .. secret, code = "NO" },
      detail = { 4821, "4821", "48210" },
    }
    helper.control { fail = { path = "/v1/auth/*", status = 422, body = body,
      headers = { ["Content-Type"] = "application/json",
        ["X-Told"] = "your 4821" } } }
    local client = client_with()
    local _, err = client.auth:login {
      email_or_username = "x", password = secret,
    }
    assert.equal("invalid", err.kind)
    local all = helper.text_of(err)
    assert.is_nil(all:find("odd chars", 1, true))
    assert.truthy(all:find("***", 1, true))

    _, err = client.auth:verify { email_key = "k", verification_code = CODE }
    all = helper.text_of(err)
    assert.is_nil((" " .. all:gsub("48210", "") .. " "):find "%D4821%D")
    assert.truthy(all:find("48210", 1, true)) -- what only contains it stays
    client:close()
  end)

  it("refuses an answer that is neither a challenge nor tokens", function()
    local client = client_with()
    local rows = {
      { "{}", "no_challenge" }, { '{"email_key":1}', "no_challenge" },
      { "[]", "not_an_object" }, { "<html>", "bad_json" },
      { '{"token":""}', "bad_token" },
      { '{"token":"t","token_type":"mac"}', "bad_type" },
      { '{"token":"t","expires_in":0}', "bad_life" },
    }
    for _, row in ipairs(rows) do
      helper.reset()
      helper.control { fail = { path = "/v1/auth/login", status = 200,
        body = row[1], headers = { ["Content-Type"] = "application/json" } } }
      local answer, err = client.auth:login(user())
      assert.is_nil(answer)
      assert.equal("protocol", err.kind)
      assert.equal(row[2], err.reason)
      helper.documented(err)
      assert.equal("none", client.auth:status().kind)
    end
    client:close()
  end)

  it("raises on misuse, at the caller's line", function()
    local client = client_with()
    helper.raises_here(function()
      client.auth.login(user())
    end, "client.auth:login must be called with a colon")
    helper.raises_here(function()
      client.auth:login { email_or_username = "x" }
    end, "password must be a non%-empty string")
    helper.raises_here(function()
      client.auth:login { email_or_username = "x", passwort = "secret" }
    end, 'unknown field "passwort" %(did you mean "password"')
    helper.raises_here(function()
      client.auth:login("x", "y")
    end, "a table expected")
    helper.raises_here(function()
      client.auth:verify { email_key = "k", verification_code = 4.5 }
    end, "verification_code must be")
    helper.raises_here(function()
      client.auth:resend_code {}
    end, "email_key must be")
    assert.equal(0, calls "login")
    client:close()
  end)

  it("works in tasks, and beside each other", function()
    freddy.run(function()
      local results, errs = freddy.all { logged_in, logged_in, logged_in }
      assert.is_nil(errs)
      for i = 1, 3 do
        assert.equal("session", results[i].auth:status().kind)
      end
    end)
    assert.equal(3, calls "verify")
  end)
end)

describe("client.auth:verify", function()
  it("refuses a wrong code, and keeps what there was", function()
    local client = client_with { api_key = helper.api_key }
    local challenge = freddy.assert(client.auth:login(user()))
    local answer, err = client.auth:verify {
      email_key = challenge.email_key, verification_code = 1234,
    }
    assert.is_nil(answer)
    assert.equal("invalid", err.kind)
    assert.equal("INVALID_VERIFICATION_CODE", err.code)
    assert.equal("key", client.auth:status().kind)
    freddy.assert(client:get("/v1/models"))
    client:close()
  end)

  it("wants a token in the answer", function()
    local client = client_with()
    helper.control { fail = { path = "/v1/auth/verify", status = 200,
      body = '{"success":true}' } }
    local answer, err = client.auth:verify {
      email_key = "k", verification_code = CODE,
    }
    assert.is_nil(answer)
    assert.equal("no_token", err.reason)
    assert.is_true(err.sent)
    client:close()
  end)

  it("reads tokens in every form", function()
    local forms = {
      { access_name = "token", refresh_name = "refreshToken" },
      { access_name = "access_token", refresh_name = "refresh_token" },
      { access_name = "token", refresh_name = "both",
        refresh_form = "expires_at" },
      { refresh_form = "expiry", expires_in = "string" },
      { expires_in = "absent", token_type = "Bearer" },
      { expires_in = "absent", token_type = false, jwt_iat = false },
    }
    for i, form in ipairs(forms) do
      helper.reset()
      helper.control { auth = form }
      local client = logged_in()
      local status = client.auth:status()
      assert.equal("session", status.kind, "form " .. i)
      assert.is_true(status.expires_in > 3500, "form " .. i)
      freddy.assert(client:get("/v1/models"))
      assert.is_true(client.auth:refresh())
      client:close()
    end
  end)

  it("takes a token that comes without anything to renew it with", function()
    helper.control { auth = { refresh_name = "none" } }
    local client = logged_in()
    assert.equal("token", client.auth:status().kind)
    freddy.assert(client:get("/v1/models"))
    local ok, err = client.auth:refresh()
    assert.is_nil(ok)
    assert.equal("no_session", err.reason)
    assert.is_true(client.auth:logout())
    assert.equal("none", client.auth:status().kind)
    client:close()
  end)

  it("follows no redirect", function()
    helper.control { fail = { path = "/v1/auth/*", status = 307,
      headers = { Location = "/v1/echo" } } }
    local client = client_with()
    local answer, err = client.auth:login(user())
    assert.is_nil(answer)
    assert.equal("http", err.kind)
    assert.equal(307, err.status)
    assert.is_nil(helper.counters().endpoints["/v1/echo"])
    client:close()
  end)
end)

describe("client.auth:resend_code", function()
  it("gives another email_key", function()
    local client = client_with()
    local first = freddy.assert(client.auth:login(user()))
    local second = freddy.assert(client.auth:resend_code {
      email_key = first.email_key,
    })
    assert.are_not.equal(first.email_key, second.email_key)
    local answer, err = client.auth:verify {
      email_key = first.email_key, verification_code = CODE,
    }
    assert.is_nil(answer)
    assert.equal("invalid", err.kind)
    freddy.assert(client.auth:verify {
      email_key = second.email_key, verification_code = CODE,
    })
    client:close()
  end)
end)

describe("client.auth:dev_login", function()
  it("is for a server on this machine", function()
    local client = client_with()
    local answer = freddy.assert(client.auth:dev_login(user()))
    assert.equal(helper.email, answer.user.email)
    assert.is_nil(answer.access_token)
    assert.equal("session", client.auth:status().kind)
    freddy.assert(client:get("/v1/models"))
    client:close()
  end)

  it("raises for any other, unless its path was named", function()
    for _, url in ipairs { "https://api.example.com",
        "https://127.0.0.1.example.com", "https://localhost.example.com",
        "https://example.com/127.0.0.1" } do
      local client = client_with { base_url = url }
      helper.raises_here(function()
        client.auth:dev_login(user())
      end, "only for a base_url on this machine")
      client:close()
    end
    local client = client_with {
      base_url = "https://emulator.test.invalid",
      auth_paths = { dev_login = "/v1/auth/dev-login" },
    }
    local answer, err = client.auth:dev_login(user())
    assert.is_nil(answer)
    assert.equal("resolve", err.kind)
    client:close()
  end)
end)

describe("client.auth:refresh", function()
  it("has a new token now", function()
    local client = logged_in()
    assert.is_true(client.auth:refresh())
    assert.is_true(client.auth:refresh())
    assert.equal(2, client.auth:status().refreshes)
    assert.equal(2, calls "refresh")
    freddy.assert(client:get("/v1/models"))
    client:close()
  end)

  it("is one for all who want it", function()
    local client = logged_in()
    helper.control { delay = { path = "/v1/auth/refresh", hold = "gate" } }
    local tasks = {}
    for i = 1, 20 do
      tasks[i] = freddy.spawn(function()
        return client.auth:refresh()
      end)
    end
    helper.eventually(function()
      return calls "refresh" == 1
    end)
    helper.control { release = "gate" }
    for i = 1, 20 do
      assert.is_true(tasks[i]:wait(LIVES))
    end
    assert.equal(1, calls "refresh")
    client:close()
  end)

  it("says why there is none", function()
    local client = logged_in()
    helper.control { revoke = { refresh = true } }
    local ok, err = client.auth:refresh()
    assert.is_nil(ok)
    assert.equal("auth", err.kind)
    assert.equal("session_expired", err.reason)
    ok, err = client.auth:refresh()
    assert.is_nil(ok)
    assert.equal("session_expired", err.reason)
    assert.equal(1, calls "refresh")
    client:close()
  end)

  it("fails for now when the server does", function()
    local client = logged_in()
    helper.control { fail = { path = "/v1/auth/refresh", status = 404 } }
    local ok, err = client.auth:refresh()
    assert.is_nil(ok)
    assert.equal("refresh_failed", err.reason)
    assert.is_true(err.retry_after > 0)
    -- The token that there is lives on.
    freddy.assert(client:get("/v1/models"))
    client:close()
  end)

  it("wants a session", function()
    for _, options in ipairs {
      { auth = "none" }, { api_key = helper.api_key },
      { api_key = function() return helper.api_key end },
      { token = helper.token },
    } do
      local client = client_with(options)
      local ok, err = client.auth:refresh()
      assert.is_nil(ok)
      assert.equal("auth", err.kind)
      assert.equal("no_session", err.reason)
      helper.documented(err)
      client:close()
    end
  end)

  it("ends with its task", function()
    local client = logged_in()
    helper.control { delay = { path = "/v1/auth/refresh", hold = "gate" } }
    local task = freddy.spawn(function()
      return client.auth:refresh()
    end)
    helper.eventually(function()
      return calls "refresh" == 1
    end)
    task:cancel()
    local ok, err = task:wait()
    assert.is_nil(ok)
    assert.equal("cancelled", err.kind)
    helper.control { release = "gate" }
    helper.eventually(function()
      return client.auth:status().refreshes == 1
    end)
    client:close()
  end)
end)

describe("client.auth:logout", function()
  it("tells the server, then forgets all", function()
    local session = helper.session()
    local options = { token = session.token,
      refresh_token = session.refresh_token }
    local client, other = client_with(options), client_with(options)
    local late = client_with { token = session.token }
    freddy.assert(client:get("/v1/models"))
    freddy.assert(other:get("/v1/models"))
    assert.is_true(client.auth:logout())
    for _, one in ipairs { client, other } do
      local res, err = one:get("/v1/models")
      assert.is_nil(res)
      assert.equal("missing_credentials", err.kind)
    end
    assert.equal("none", client.auth:status().kind)
    assert.equal("revoked", other.auth:status().state)
    local log = helper.counters().auth.logout.log
    assert.equal(session.refresh_token:sub(-8), log[#log].tail)
    assert.equal("authorization", helper.counters().last.credential)
    local res, err = late:get("/v1/models")
    assert.is_nil(res)
    assert.equal("token_invalid", err.reason)
    client:close()
    other:close()
    late:close()
  end)

  it("names the refresh token that there is when it is sent", function()
    local session = helper.session { expires_in = 1 }
    local client = client_with { refresh_token = session.refresh_token }
    assert.is_true(client.auth:logout()) -- needs a token: renews, rotates
    assert.equal(1, calls "refresh")
    local log = helper.counters().auth.logout.log
    assert.are_not.equal(session.refresh_token:sub(-8), log[#log].tail)
    assert.equal("granted", log[#log].result)
    client:close()
  end)

  it("forgets also where the server cannot be told", function()
    local client = logged_in()
    helper.control { fail = { path = "/v1/auth/logout", status = 503 } }
    local ok, err = client.auth:logout()
    assert.is_nil(ok)
    assert.equal("server", err.kind)
    assert.equal("none", client.auth:status().kind)
    local res
    res, err = client:get("/v1/models")
    assert.is_nil(res)
    assert.equal("missing_credentials", err.kind)
    -- And one can log in again.
    local challenge = freddy.assert(client.auth:login(user()))
    freddy.assert(client.auth:verify {
      email_key = challenge.email_key, verification_code = CODE,
    })
    freddy.assert(client:get("/v1/models"))
    client:close()
  end)

  it("forgets also where there is no server at all", function()
    local client = client_with { base_url = "http://127.0.0.1:1",
      token = "a-token", refresh_token = "a-refresh-token" }
    local ok, err = client.auth:logout()
    assert.is_nil(ok)
    assert.equal("connect", err.kind)
    assert.equal("none", client.auth:status().kind)
    client:close()
  end)

  it("forgets the key of an exchange, too", function()
    local client = client_with { api_key = helper.api_key, auth = "bearer" }
    freddy.assert(client:get("/v1/models"))
    assert.is_true(client.auth:logout())
    local res, err = client:get("/v1/models")
    assert.is_nil(res)
    assert.equal("missing_credentials", err.kind)
    assert.equal(1, calls "token")
    client:close()
  end)

  it("wants a session", function()
    local client = client_with { api_key = helper.api_key }
    local ok, err = client.auth:logout()
    assert.is_nil(ok)
    assert.equal("no_session", err.reason)
    freddy.assert(client:get("/v1/models")) -- nothing was changed
    client:close()
  end)
end)

describe("client.auth:validate", function()
  it("tells what the server thinks of the credential", function()
    local client = client_with { api_key = helper.api_key }
    local answer = freddy.assert(client.auth:validate())
    assert.is_true(answer.is_valid)
    assert.is_nil(answer.error)
    helper.control { key = { state = "paused" } }
    answer = freddy.assert(client.auth:validate())
    assert.is_false(answer.is_valid)
    assert.equal("API_KEY_PAUSED", answer.error)
    client:close()
  end)

  it("needs a credential", function()
    local client = client_with()
    local answer, err = client.auth:validate()
    assert.is_nil(answer)
    assert.equal("missing_credentials", err.kind)
    client:close()
  end)
end)

describe("auth_paths", function()
  it("moves every endpoint", function()
    local paths = {}
    for _, name in ipairs { "login", "verify", "resend_code", "logout",
        "validate", "dev_login" } do
      paths[name] = "/v1/status/418?" .. name
    end
    local client = client_with { auth_paths = paths, token = helper.token }
    local auth = client.auth
    local code = { email_key = "k", verification_code = CODE }
    for _, call in ipairs {
      function() return auth:login(user()) end,
      function() return auth:verify(code) end,
      function() return auth:resend_code { email_key = "k" } end,
      function() return auth:validate() end,
      function() return auth:dev_login(user()) end,
      function() return auth:logout() end,
    } do
      local answer, err = call()
      assert.is_nil(answer)
      assert.equal(418, err.status)
    end
    client:close()
  end)
end)

describe("a game loop", function()
  it("waits for a login in tasks only", function()
    freddy.use "loop"
    finally(function()
      freddy.use "block"
    end)
    local client = client_with()
    for _, name in ipairs { "login", "refresh", "logout", "validate" } do
      if name == "refresh" or name == "logout" then
        client.auth:set_token { access_token = "t", refresh_token = "r" }
      end
      helper.raises_here(function()
        client.auth[name](client.auth, user())
      end, "client.auth:" .. name .. ": .*freddy.spawn")
    end
    client:close()
  end)
end)
