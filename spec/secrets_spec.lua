-- SPDX-License-Identifier: MIT
--- No secret in anything that can be reached from a failure, whatever the
--- server repeats.

local freddy = require "freddy"
local helper = require "spec.helper"

local KEY = 'key"with\\odd/chars-0123456789'
local TOKEN = "token.that-is_long.enough-0123"
local OTHER = "another-key-0123456789"
local SHORT = "4711"

local SHAPES = {
  "E1", "E2", "E3", "E4", "E4-string", "E5", "list", "string", "text",
}
local FORMS = {
  "all", "plain", "percent", "percent-all", "percent-lower", "json",
  "json-upper", "json-slash",
}

local credentials = {
  ["a key"] = { KEY, { api_key = KEY } },
  ["a key from a function"] = { KEY, { api_key = function()
    return KEY
  end } },
  ["a token"] = { TOKEN, { token = TOKEN } },
  ["a short key"] = { SHORT, { api_key = SHORT } },
}

-- --- Looking for a secret ------------------------------------------------

local LETTERS = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

local function char_of(hex)
  return string.char(tonumber(hex, 16))
end

local function from_url(text)
  return (text:gsub("%%(%x%x)", char_of))
end

local function from_json(text)
  text = text:gsub("\\u00(%x%x)", char_of)
  return (text:gsub("\\(.)", LETTERS):gsub('\\(["\\/])', "%1"))
end

-- One of 8 characters and more may stand nowhere; a shorter one only within
-- a word.
local function stands_in(text, secret)
  if #secret >= 8 then
    return text:find(secret, 1, true) ~= nil
  end
  return ((" " .. text .. " "):find("%W" .. secret .. "%W")) ~= nil
end

local function occurs(text, secret)
  local url, json = from_url(text), from_json(text)
  return stands_in(text, secret) or stands_in(url, secret)
    or stands_in(json, secret) or stands_in(from_json(url), secret)
    or stands_in(from_url(json), secret)
end

-- Where in a value, and in all that can be reached from it, a secret stands;
-- nil when nowhere.
local find

local function find_in_headers(headers, secret, path, seen)
  for _, name, value in headers:each() do
    local found = find(name, secret, path .. ":each()", seen)
      or find(value, secret, path .. ":each()", seen)
      or find(headers[name:upper()], secret, path .. "." .. name, seen)
      or find(headers:all(name), secret, path .. ":all", seen)
    if found then
      return found
    end
  end
end

local function find_in_table(value, secret, path, seen)
  local meta = getmetatable(value)
  for key, item in pairs(value) do
    local found = find(key, secret, path .. ".(key)", seen)
      or find(item, secret, path .. "." .. tostring(key), seen)
    if found then
      return found
    end
  end
  if type(meta) ~= "table" then
    return nil
  end
  return find(meta, secret, path .. ".(metatable)", seen)
    or meta.__concat and find(value .. "", secret, path .. ".(concat)", seen)
    or meta.__name == "freddy.headers"
      and find_in_headers(value, secret, path, seen) or nil
end

function find(value, secret, path, seen)
  if type(value) == "string" then
    return occurs(value, secret) and path .. ": " .. value or nil
  elseif value == nil or seen[value] then
    return nil
  end
  seen[value] = true
  if type(value) == "table" then
    return find(tostring(value), secret, path .. ".(tostring)", seen)
      or find_in_table(value, secret, path, seen)
  end
  return find(tostring(value), secret, path, seen)
end

local function check(value, secret, path)
  assert.is_nil(find(value, secret, path or "err", {}))
end

-- --- Making failures -----------------------------------------------------

local function client_with(options, base_url)
  local given = { base_url = base_url or helper.hostile_url, retries = 0 }
  for name, value in pairs(options) do
    given[name] = value
  end
  return freddy.assert(freddy.new(given))
end

-- A request that has to fail, and to hold no secret.
local function fails(client, secret, path, options)
  options = options or {}
  options.path = path
  local res, err = client:request(options)
  assert.is_nil(res, path)
  check(err, secret)
  return err
end

-- The same, for an answer that repeats the secret in its body.
local function fails_masked(client, secret, path, options)
  local err = fails(client, secret, path, options)
  assert.truthy(err.response.body:find("***", 1, true))
  return err
end

-- What makes the scenario `raw` answer so.
local function answer(status, body, more)
  return "HTTP/1.1 " .. status .. " Told\r\nContent-Length: "
    .. #body + (more or 0) .. "\r\nContent-Type: application/json\r\n"
    .. "X-Echo: " .. KEY .. "\r\n\r\n" .. body
end

local function raw(status, body, more)
  return { method = "POST", body = answer(status, body, more) }
end

before_each(function()
  helper.reset()
  helper.hostile_reset()
end)

after_each(function()
  freddy.on_error = nil
end)

describe("the search of this spec", function()
  it("finds a secret wherever and however it is written", function()
    local meta = { __tostring = function()
      return "it is " .. KEY
    end }
    for _, value in ipairs {
      KEY, "a" .. KEY .. "b", { KEY }, { [KEY] = 1 }, { { a = { KEY } } },
      setmetatable({}, meta), setmetatable({}, { KEY }),
      '"key\\"with\\\\odd\\/chars-0123456789"',
      "%6bey%22with%5Codd%2Fchars-0123456789",
      "\\u006Bey\\u0022with\\u005codd/chars-0123456789",
    } do
      assert.truthy(find(value, KEY, "value", {}))
    end
    assert.is_nil(find({ "key", { "0123456789" } }, KEY, "value", {}))
    assert.truthy(find({ '{"code":"4711"}' }, SHORT, "value", {}))
    assert.is_nil(find({ "147110" }, SHORT, "value", {}))
  end)

  it("finds one in the headers of an answer", function()
    local client = client_with { api_key = KEY }
    local res = freddy.assert(client:get(helper.hostile("leak",
      { status = 200, where = "headers" })))
    assert.truthy(find(res.headers, KEY, "headers", {}))
    client:close()
  end)
end)

for name, case in pairs(credentials) do
  local secret, options = case[1], case[2]

  describe(name .. " is masked", function()
    local client

    setup(function()
      client = client_with(options)
    end)

    teardown(function()
      client:close()
    end)

    for _, shape in ipairs(SHAPES) do
      it("in every form, in shape " .. shape, function()
        for _, form in ipairs(FORMS) do
          local err = fails_masked(client, secret,
            helper.hostile("leak", { shape = shape, form = form }))
          assert.equal("unauthorized", err.kind)
        end
      end)
    end

    it("with every status", function()
      for _, status in ipairs { 400, 403, 404, 409, 418, 422, 429, 503 } do
        fails_masked(client, secret,
          helper.hostile("leak", { status = status }))
      end
    end)

    it("in headers, by every accessor", function()
      local err = fails(client, secret,
        helper.hostile("leak", { where = "headers" }))
      assert.equal("***", err.response.headers["x-echo"])
      assert.equal("req-***", err.request_id)
    end)

    for _, as in ipairs {
      "cut", "head-cut", "chunk-bad", "garbage", "status-line", "length-bad",
    } do
      it("in an answer that goes wrong besides: " .. as, function()
        for _, shape in ipairs(SHAPES) do
          for _, status in ipairs { 200, 401 } do
            local path = helper.hostile("leak",
              { as = as, shape = shape, status = status })
            local _, err = client:get(path)
            check(err, secret, as)
            assert.truthy(err or as == "status-line" and status == 200)
          end
        end
      end)
    end

    it("in a Location", function()
      for _, to in ipairs { "{other}", "{tls}" } do
        local err = fails(client, secret,
          helper.hostile("leak", { as = "location", to = to }))
        assert.equal("secret_in_location", err.reason)
        assert.truthy(err.response.headers.location:find("***", 1, true))
        assert.truthy(err.details.location:find("***", 1, true))
      end
      -- Within the origin it is followed.
      local err = fails(client, secret, helper.hostile("leak",
        { as = "location", to = "{self}/s/leak;shape=E2" }))
      assert.equal(401, err.status)
      assert.truthy(err.response.url:find("key=***", 1, true))
    end)

    it("in a success whose JSON does not parse", function()
      local err = fails_masked(client, secret,
        helper.hostile "leak-bad-json")
      assert.equal("bad_json", err.reason)
    end)

    it("with another JSON codec", function()
      local given = { json = helper.json }
      for option, value in pairs(options) do
        given[option] = value
      end
      local other = client_with(given)
      for _, shape in ipairs(SHAPES) do
        fails_masked(other, secret, helper.hostile("leak", { shape = shape }))
      end
      fails_masked(other, secret, helper.hostile "leak-bad-json")
      other:close()
    end)

    it("in what an endpoint takes for no JSON", function()
      local page = client_with(options,
        helper.hostile_url .. "/s/leak;shape=text;status=200")
      local data, err = page.models:list()
      assert.is_nil(data)
      assert.equal("not_json", err.reason)
      assert.truthy(err.response.body:find("***", 1, true))
      check(err, secret)
      page:close()
    end)

    it("where the user put it into a path", function()
      local part = secret:gsub("[^%w.-]", function(char)
        return ("%%%02X"):format(char:byte())
      end)
      fails(client, secret, helper.hostile_url .. "/s/leak/" .. part
        .. "/x?key=" .. part)
      fails(client, secret, "http://" .. helper.env "HOSTILE_CLOSED"
        .. "/" .. part, { auth = true })
    end)

    it("by the emulator, over HTTP/2", function()
      local given = { ca_file = helper.ca_file }
      for option, value in pairs(options) do
        given[option] = value
      end
      local tls = client_with(given, helper.base_url)
      for _, shape in ipairs {
        "E1", "E2", "E3", "E4", "E4m", "E5", "detail", "list", "text", "html",
      } do
        for _, form in ipairs { "short", "full" } do
          local query = { shape = shape, form = form }
          fails(tls, secret, "/v1/leak", { query = query })
          query.where = "header"
          local err = fails(tls, secret, "/v1/leak", { query = query })
          assert.equal("***", err.response.headers["x-leak"])
        end
      end
      local res = freddy.assert(tls:get("/v1/leak",
        { query = { where = "location" } }))
      assert.truthy(res.url:find("/v1/open?key=", 1, true))
      check(tostring(res), secret, "tostring")
      tls:close()
    end)

    it("in a tostring of all there is", function()
      local call = client:send({ path = helper.hostile "leak" },
        function() end)
      check(tostring(call), secret, "call")
      local task = freddy.spawn(function()
        return client:get(helper.hostile "leak")
      end)
      check(tostring(task), secret, "task")
      local _, err = task:wait()
      helper.eventually(function()
        return tostring(call):find "done"
      end)
      for _, value in ipairs {
        call, task, client, client.auth, client.models, err.response,
        err.response.headers,
      } do
        check(tostring(value), secret, "tostring")
      end
      check(client.auth:status(), secret, "status")
    end)

    it("but a success is the caller's own", function()
      local res = freddy.assert(client:get(helper.hostile("leak",
        { status = 200, shape = "E4", form = "plain" })))
      assert.equal("key " .. secret .. " is wrong", res.data.message)
      assert.equal(secret, res.headers["x-echo"])
      check(tostring(res), secret, "tostring")
      check(tostring(res.headers), secret, "tostring")
    end)
  end)
end

describe("a partial answer is masked", function()
  local client
  local body = helper.json.encode { error = { message = "no " .. KEY } }

  before_each(function()
    client = client_with { api_key = KEY }
  end)

  after_each(function()
    client:close()
  end)

  it("when it stalls", function()
    for status, kind in pairs { [200] = "timeout", [401] = "unauthorized" } do
      local options = raw(status, body, 10)
      options.timeout = { stall = 0.1 }
      local err = fails_masked(client, KEY,
        helper.hostile("raw", { ["end"] = "hold" }), options)
      assert.equal(kind, err.kind)
    end
  end)

  it("when it is cut, within the key too", function()
    local at = body:find('"with', 1, true) + 10
    for _, text in ipairs { body, body:sub(1, at) } do
      local err = fails_masked(client, KEY,
        helper.hostile("raw", { ["end"] = "fin" }), raw(200, text, 10))
      assert.equal("cut", err.kind)
      assert.is_nil(err.response.body:find("with", 1, true))
    end
  end)

  it("when it is too large", function()
    local options = raw(200, body .. (" "):rep(1000))
    options.max_body = 100
    local err = fails(client, KEY, helper.hostile "raw", options)
    assert.equal("too_large", err.kind)
  end)
end)

it("a large answer is masked as a small one is", function()
  local client = client_with { api_key = KEY }
  local filler = ("x"):rep(100000)
  local body = helper.json.encode {
    error = { message = "no " .. KEY, details = { filler, KEY, filler } },
  }
  local err = fails_masked(client, KEY, helper.hostile "raw", raw(401, body))
  assert.equal("no ***", err.message)
  assert.equal("***", err.details[2])
  err = fails_masked(client, KEY, helper.hostile "raw",
    raw(200, body .. "oops"))
  assert.equal("bad_json", err.reason)
  client:close()
end)

it("a short secret is masked only where it stands by itself", function()
  local client = client_with { api_key = SHORT }
  local body = helper.json.encode { message =
    "4711, (4711) [4711] x=4711&y; but 147110, x4711 and 4711x" }
  local _, err = client:post(helper.hostile "raw", { body = (answer(401, body)
    :gsub("X%-Echo: [^\r]*", "X-Echo: id-4711")) })
  assert.equal("***, (***) [***] x=***&y; but 147110, x4711 and 4711x",
    err.message)
  assert.equal("id-***", err.response.headers["x-echo"])
  client:close()
end)

describe("a key that was replaced", function()
  -- Start a request with KEY whose answer repeats it and is late, and call
  -- `replace` once the server has it. The answer must not have left before;
  -- it may on a machine that is slow, so that it is tried with more time.
  local function replaced_in_flight(replace)
    for _, ms in ipairs { 100, 1000, 10000 } do
      helper.reset()
      helper.control { delay = { path = "/v1/leak", ms = ms } }
      local client = client_with({ api_key = KEY }, helper.http)
      local err, done
      client:send({ path = "/v1/leak?form=full" }, function(_, problem)
        err, done = problem, true
      end)
      local function counted()
        return helper.counters().endpoints["/v1/leak"] or {}
      end
      while (counted().requests or 0) == 0 do
        assert.is_nil(done)
      end
      replace(client)
      local in_time = next(counted().status or {}) == nil
      helper.eventually(function()
        return done
      end, 30)
      check(err, KEY)
      client:close()
      if in_time then
        return err
      end
    end
    error("never in time")
  end

  local ways = {
    ["by another"] = function(client)
      client.auth:set_api_key(OTHER)
    end,
    ["twice"] = function(client)
      client.auth:set_api_key(OTHER)
      client.auth:set_api_key(OTHER .. "-2")
    end,
    ["by a function"] = function(client)
      client.auth:set_api_key(function()
        return OTHER
      end)
    end,
    ["by a token"] = function(client)
      client.auth:set_token(TOKEN)
    end,
  }
  for name, replace in pairs(ways) do
    it(name .. " is masked while a call with it flies", function()
      local err = replaced_in_flight(replace)
      assert.equal("unauthorized", err.kind)
      assert.truthy(err.message:find("***", 1, true))
    end)
  end

  it("is masked in the answers to other calls, too", function()
    local client = client_with { api_key = KEY }
    local call = client:send({ path = helper.hostile("never",
      { tag = "old" }) }, function() end)
    helper.hostile_log { tag = "old", complete = 1, timeout = 10 }
    client.auth:set_api_key(OTHER)
    local body = helper.json.encode { message = KEY .. " or " .. OTHER }
    local err = fails(client, OTHER, helper.hostile "raw", raw(401, body))
    check(err, KEY)
    assert.equal("*** or ***", err.message)
    call:cancel()
    client:close()
  end)

  it("is masked when a function gives another each time", function()
    local keys = { KEY, OTHER }
    local client = client_with { api_key = function()
      return table.remove(keys, 1)
    end }
    local call = client:send({ path = helper.hostile("never",
      { tag = "first" }) }, function() end)
    helper.hostile_log { tag = "first", complete = 1, timeout = 10 }
    local body = helper.json.encode { message = KEY .. " or " .. OTHER }
    local err = fails(client, OTHER, helper.hostile "raw", raw(401, body))
    check(err, KEY)
    assert.equal("*** or ***", err.message)
    call:cancel()
    client:close()
  end)
end)

describe("an error that the user's code raises", function()
  -- What freddy.on_error hears of when a callback calls `fn`.
  local function reported(options, fn)
    local client, seen = client_with(options), nil
    freddy.on_error = function(err)
      seen = err
    end
    client:send({ path = helper.hostile "ok" }, fn)
    helper.eventually(function()
      return seen
    end)
    client:close()
    assert.equal("task", seen.kind)
    return seen
  end

  for name, case in pairs(credentials) do
    it("in a callback is masked for freddy.on_error: " .. name, function()
      local secret, options = case[1], case[2]
      local err = reported(options, function()
        error("it was " .. secret)
      end)
      assert.truthy(err.message:find("it was ***", 1, true))
      assert.truthy(err.details.traceback:find "traceback")
      check(err, secret)
      err = reported(options, function()
        error(setmetatable({}, { __tostring = function()
          return "an object with " .. secret
        end }))
      end)
      assert.equal("an object with ***", err.message)
      check(err, secret)
    end)
  end

  -- A chunk without a name of its own is called by its text.
  local function chunk(text)
    return assert((rawget(_G, "loadstring") or load)(text))
  end

  it("is masked where the traceback quotes its source", function()
    local err = reported({ api_key = OTHER }, chunk("local key = '" .. OTHER
      .. "' error 'no'"))
    assert.truthy(err.message:find("***", 1, true))
    assert.truthy(err.details.traceback:find("***", 1, true))
    check(err, OTHER)
  end)

  it("is masked in a task, where it was started as well", function()
    local client = client_with { api_key = OTHER }
    local start = chunk("local key = '" .. OTHER .. "' "
      .. "local task = (...).spawn(function() error(key) end) return task")
    local task = start(freddy)
    local _, err = task:wait()
    assert.equal("task", err.kind)
    assert.truthy(err.details.spawned_at:find "^%[string")
    check(err, OTHER)
    check(tostring(task), OTHER)
    client:close()
  end)

  it("is masked when it is a failure of freddy's", function()
    local client = client_with { api_key = KEY }
    local _, err = freddy.spawn(function()
      freddy.assert(client:get(helper.hostile "leak"))
    end):wait()
    assert.equal("task", err.kind)
    assert.equal("unauthorized",
      err.details.cause and err.details.cause.kind or "unauthorized")
    check(err, KEY)
    client:close()
  end)

  it("in a function as api_key is masked", function()
    local client = client_with { api_key = KEY }
    local call = client:send({ path = helper.hostile("never",
      { tag = "flies" }) }, function() end)
    helper.hostile_log { tag = "flies", complete = 1, timeout = 10 }
    client.auth:set_api_key(function()
      error("the file holds " .. KEY)
    end)
    local err = fails(client, KEY, "/s/ok")
    assert.equal("key_unavailable", err.reason)
    assert.truthy(err.message:find("holds ***", 1, true))
    call:cancel()
    client:close()
  end)
end)

describe("what goes to standard error is masked:", function()
  local function output_of(lines)
    return helper.script(([[
      local freddy = require "freddy"
      local key = %q
      local client = freddy.assert(freddy.new {
        api_key = key, base_url = %q,
      })
      %s
    ]]):format(OTHER, helper.hostile_url, lines))
  end

  for name, lines in pairs {
    ["a callback's error"] = [[
      freddy.run(function()
        client:send({ path = "/s/ok" }, function()
          error("it was " .. key)
        end)
      end)]],
    ["a task's error"] = [[
      freddy.spawn(function()
        error("it was " .. key)
      end)]],
    ["an error in freddy.on_error"] = [[
      freddy.on_error = function()
        error("it was " .. key)
      end
      freddy.spawn(function()
        error("oh")
      end)
      freddy.poll(0)]],
    ["an error that nobody catches"] = [[
      freddy.assert(client:get "/s/leak")]],
  } do
    it(name, function()
      local output = output_of(lines)
      assert.truthy(output:find("***", 1, true), output)
      check(output, OTHER, "output")
    end)
  end
end)

it("no misuse quotes what was given as a credential", function()
  local client = client_with { api_key = KEY }
  local bad = OTHER .. " \n"
  for _, fn in ipairs {
    function() freddy.new { api_key = bad } end,
    function() freddy.new { token = bad } end,
    function() freddy.new { api_key = OTHER, token = OTHER } end,
    function() freddy.new { api_key = OTHER, auth = "none" } end,
    function() freddy.new { api_key = OTHER, auth = OTHER } end,
    function() freddy.new { api_key = KEY, proxy = "http://u:" .. OTHER
      .. "@127.0.0.1:x" } end,
    function() freddy.new(OTHER) end,
    function() freddy.new { OTHER } end,
    function() client.auth:set_api_key(bad) end,
    function() client.auth:set_token(bad) end,
    function() client.auth:set_token { access_token = bad } end,
    function() client:get("/x", { headers = { Authorization = OTHER } }) end,
    function() client:get("/x", { headers = { Cookie = bad } }) end,
    function() client:get("/x", OTHER) end,
  } do
    local ok, message = pcall(fn)
    assert.is_false(ok)
    check(message, OTHER, "message")
  end
  client:close()
end)
