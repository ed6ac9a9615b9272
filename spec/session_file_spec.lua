-- SPDX-License-Identifier: MIT
--- A session that is kept in a file: many processes have it, one renews it,
--- and none is logged out by the others.

local freddy = require "freddy"
local helper = require "spec.helper"
local util = require "spec.session_util"

local REFRESH = "/v1/auth/refresh"
local make, book, requests = util.make, util.book, util.requests
local right, fails = util.right, util.fails

local folder
before_each(function()
  util.begin()
  folder = os.tmpname()
  os.remove(folder)
  assert(os.execute("mkdir -m 700 " .. folder))
end)
after_each(function()
  util.finish()
  helper.eventually(function() -- what was forgotten is being cleared
    return os.execute("rm -r " .. folder .. " 2>/dev/null")
      and not os.rename(folder, folder)
  end)
end)

local function store()
  return freddy.session_file(folder .. "/session")
end

local function content()
  local file = io.open(folder .. "/session")
  local text = file and file:read "*a"
  if file then
    file:close()
  end
  return text and helper.json.decode(text)
end

-- A process with a client of its own, that runs `body`.
local function script(body, options)
  return ([[
    local freddy = require "freddy"
    local client = assert(freddy.new { base_url = %q, ca_file = %q,
      store = freddy.session_file(%q), %s })
    %s
  ]]):format(helper.base_url, helper.ca_file, folder .. "/session",
    options or "", body)
end

local ONE = [[
  local res, err = client:get "/v1/echo"
  io.write(res and res.status or tostring(err))
]]

local function run_one(options)
  local output, status = helper.script(script(ONE, options))
  assert.equal("200", output)
  assert.equal(0, status)
end

-- So many processes at once; what each of them wrote, line by line.
local function run_many(count, body, options)
  local file = folder .. "/script.lua"
  local handle = assert(io.open(file, "w"))
  handle:write(script(body, options))
  handle:close()
  local pipe = assert(io.popen(("for i in $(seq %d); do %s %s & done; wait")
    :format(count, helper.lua, file) .. " 2>&1"))
  local output = pipe:read "*a"
  pipe:close()
  return output
end

-- The file has a session whose token has run out, unless `life` is given.
local function log_in(life)
  local tokens = helper.session { expires_in = life or 0.001 }
  local client = make { auth = "none", store = store() }
  assert.is_true(client.auth:set_token { access_token = tokens.token,
    refresh_token = tokens.refresh_token, expires_in = life or 0.001 })
  helper.eventually(content)
  return client, tokens
end

-- Something that no session can be saved over.
local function in_the_way()
  assert(os.execute(("cd %s && { [ ! -e session ] || mv session old; } "
    .. "&& mkdir session"):format(folder)))
end

describe("a session file", function()
  it("keeps what was logged in with", function()
    local _, tokens = log_in(3600)
    local kept = content()
    assert.equal(tokens.token, kept.access_token)
    assert.equal(tokens.refresh_token, kept.refresh_token)
    assert(kept.expires_at - kept.obtained_at == 3600)
    local list = assert(io.popen("stat -c %a " .. folder .. "/session"))
    assert.equal("600\n", list:read "*a")
    list:close()
  end)

  it("is all that another process needs", function()
    log_in(3600)
    run_one()
    assert.equal(0, book("refresh").calls)
    assert.equal(1, requests "/v1/echo")
  end)

  it("has what a refresh brought before anybody waits for it", function()
    local client, tokens = log_in()
    right(client)
    local kept = content()
    assert.not_equal(tokens.refresh_token, kept.refresh_token)
    assert.equal(helper.counters().last.tail, kept.access_token:sub(-8))
    run_one()
    assert.equal(1, book("refresh").calls)
  end)

  it("counts more than the tokens that a program still has", function()
    local client, tokens = log_in()
    right(client) -- rotates
    run_one(("token = %q, refresh_token = %q"):format(tokens.token,
      tokens.refresh_token))
    assert.equal(1, book("refresh").calls)
  end)

  it("takes over the tokens that a program has", function()
    local tokens = helper.session {}
    local client = make { token = tokens.token,
      refresh_token = tokens.refresh_token, store = store() }
    right(client)
    assert.equal(tokens.refresh_token, content().refresh_token)
    assert.equal(0, book("refresh").calls)
    run_one()
  end)

  it("keeps an exchanged key's session", function()
    local options = ("api_key = %q, auth = 'bearer'"):format(helper.api_key)
    run_one(options)
    run_one(options)
    assert.equal(1, book("token").calls)
  end)

  it("that is empty is a missing credential, until it is not", function()
    local client = make { auth = "none", store = store() }
    fails(client, "missing_credentials", nil)
    fails(client, "missing_credentials", nil)
    log_in(3600)
    right(client)
  end)

  it("is empty after a logout, for every process", function()
    local client = log_in(3600)
    local other = make { auth = "none", store = store(),
      auth_paths = { refresh = REFRESH .. "?other" } }
    right(other)
    client.core:forget()
    helper.eventually(function()
      return not content().refresh_token
    end)
    helper.control { revoke = { access = true } }
    fails(other, "missing_credentials", nil)
    assert.equal(0, book("refresh").calls)
    log_in(3600)
    right(other)
  end)

  it("brings another process back when that logs in again", function()
    local client = log_in()
    helper.control { revoke = { refresh = true } }
    fails(client, "auth", "session_expired")
    fails(client, "auth", "session_expired")
    assert.equal(1, book("refresh").calls)
    log_in(3600)
    right(client)
    assert.equal(1, book("refresh").calls)
  end)

  it("that others can read is refused, and left alone", function()
    log_in(3600)
    assert(os.execute("chmod 644 " .. folder .. "/session"))
    local client = make { store = store(),
      auth_paths = { refresh = REFRESH .. "?other" } }
    local err = fails(client, "auth", "refresh_failed")
    assert.matches("session", err.message)
    assert(err.retry_after > 0)
    assert.equal(0, book("refresh").calls)
  end)

  it("that cannot take a new token is heard of, and requests go on", function()
    local client = log_in()
    helper.control { delay = { path = REFRESH, hold = "refresh" } }
    local heard = {}
    freddy.on_error = function(err)
      heard[#heard + 1] = err
    end
    finally(function()
      freddy.on_error = nil
    end)
    local tasks = util.start(client, 3)
    util.reading(REFRESH)
    in_the_way()
    helper.control { release = "refresh" }
    util.all_good(tasks)
    freddy.poll()
    assert.equal(1, #heard)
    assert.equal("auth/store_failed", heard[1].kind .. "/" .. heard[1].reason)
    helper.documented(heard[1])
    assert.matches(folder, heard[1].message, 1, true)
    assert.is_string(heard[1].hint)
    assert.equal(heard[1].message, client.auth:status().last_error)
    assert.equal("fresh", client.auth:status().state)
    right(client)
    assert.equal(1, book("refresh").calls)
    freddy.poll()
    assert.equal(1, #heard)
  end)

  it("that cannot take it is heard of at the end of a script", function()
    log_in()
    helper.control { delay = { path = REFRESH, ms = 100 } }
    local output, status = helper.script(script(([[
      freddy.spawn(function() client:get "/v1/echo" end)
      while not client.auth:status().refreshing do freddy.poll(0.001) end
      while client.auth:status().state == "claiming" do freddy.poll(0.001) end
      os.execute "cd %s && mv session old && mkdir session"
    ]]):format(folder)))
    assert.matches("^freddy: the session file .* no regular file", output)
    assert.is_nil(output:find("traceback", 1, true))
    assert.equal(0, status)
  end)

  it("that cannot take a login makes that fail, but there it is", function()
    in_the_way()
    local client = make { auth = "none", store = store() }
    local challenge = assert(client.auth:login {
      email_or_username = helper.email, password = helper.password })
    local res, err = client.auth:verify {
      email_key = challenge.email_key, verification_code = 4821 }
    assert.is_nil(res)
    assert.equal("auth/store_failed", err.kind .. "/" .. err.reason)
    assert.matches("^logged in, but the session file ", err.message)
    assert.equal("session", client.auth:status().kind)
    right(client)
    freddy.poll() -- nobody else hears of it: nothing on standard error
  end)

  it("that cannot take tokens that are given is heard of", function()
    in_the_way()
    local heard
    freddy.on_error = function(err)
      heard = err
    end
    finally(function()
      freddy.on_error = nil
    end)
    local tokens = helper.session {}
    local client = make { auth = "none", store = store() }
    assert.is_true(client.auth:set_token {
      refresh_token = tokens.refresh_token })
    helper.eventually(function()
      return heard
    end)
    assert.equal("store_failed", heard.reason)
  end)

  it("that cannot forget makes a logout fail, after it is one", function()
    local client = log_in(3600)
    assert(os.execute("chmod 644 " .. folder .. "/session"))
    local ok, err = client.auth:logout()
    assert.is_nil(ok)
    assert.equal("auth/store_failed", err.kind .. "/" .. err.reason)
    assert.matches("^logged out, but the session file ", err.message)
    assert.equal(1, book("logout").grants)
    fails(client, "missing_credentials", nil)
    assert.is_string(content().refresh_token)
  end)

  it("has forgotten when a logout returns", function()
    local client = log_in(3600)
    assert.is_true(client.auth:logout())
    assert.is_nil(content().refresh_token)
  end)

  it("tells on_token what another process had", function()
    local _, tokens = log_in(3600)
    local seen = {}
    local client = make { auth = "none", store = store(),
      on_token = function(new)
        seen[#seen + 1] = new or "logged out"
      end }
    right(client)
    assert.equal(1, #seen)
    assert.equal("refresh", seen[1].cause)
    assert.equal(tokens.token, seen[1].access_token)
    assert.equal(tokens.refresh_token, seen[1].refresh_token)
    assert(seen[1].expires_in > 3500 and seen[1].expires_in <= 3600)
    right(client)
    assert.equal(1, #seen)
  end)

  it("is an option's value, and nothing else is", function()
    helper.raises_here(function()
      freddy.new { store = "path" }
    end, "freddy.session_file")
    helper.raises_here(function()
      freddy.session_file ""
    end, "path")
    helper.raises_here(function()
      freddy.new { api_key = "k", store = store() }
    end, "store")
    assert.matches("^freddy.session_file: /", tostring(store()))
  end)
end)

describe("processes with one session file", function()
  it("share one refresh", function()
    log_in()
    helper.control { delay = { path = REFRESH, ms = 50 } }
    assert.equal(("200"):rep(2), run_many(2, ONE))
    assert.equal(1, book("refresh").calls)
  end)

  it("log nobody out who has one request and is gone", function()
    log_in(3600)
    local grants = 0
    for _ = 1, 10 do
      local kept = content()
      -- It comes into its early window, where the token is still good.
      kept.obtained_at = os.time() - 3300
      kept.expires_at = os.time() + 300
      local file = assert(io.open(folder .. "/session", "w"))
      file:write(helper.json.encode(kept))
      file:close()
      run_one()
      -- The process may be gone before it has claimed the renewal; one that
      -- was granted is kept.
      local renewed = book("refresh").grants > grants
      assert.equal(renewed, kept.refresh_token ~= content().refresh_token)
      grants = book("refresh").grants
    end
    assert.is_true(grants > 0)
    assert.equal(0, book("refresh").refusals)
    assert.equal(0, util.answered("/v1/echo", 401))
  end)
end)

if helper.env("FIRST_LUA") == "1" then
  describe("twenty processes with one session file", function()
    it("refresh once per window under load", function()
      helper.control { auth = { lifetime = 2 } }
      log_in()
      local output = run_many(20, [[
        local function now()
          return require "freddy.core".now()
        end
        local limit = now() + 4
        repeat
          local res, err = client:get "/v1/echo"
          if not res then io.write(tostring(err), "\n") end
          freddy.sleep(0.1)
        until now() > limit
      ]])
      assert.equal("", output)
      local refresh = book "refresh"
      assert.equal(0, refresh.refusals)
      assert.equal(1, refresh.concurrent_max)
      assert(refresh.grants >= 2 and refresh.grants <= 5, refresh.grants)
    end)
  end)
end
