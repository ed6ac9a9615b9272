-- SPDX-License-Identifier: MIT
--- No secret in anything that can be reached from a failure, whatever the
--- server repeats.

local freddy = require "freddy"
local helper = require "spec.helper"

local KEY = 'key"with\\odd/chars-0123456789'
local TOKEN = "token.that-is_long.enough-0123"
local FORMS = {
  "all", "plain", "percent", "percent-all", "percent-lower", "json",
  "json-upper", "json-slash",
}

-- Plain, and without the escapes that JSON and URLs know.
local function occurs(text, secret)
  local bare = text:gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end)
  bare = bare:gsub("\\u00(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end)
  local unslashed = bare:gsub("\\(.)", "%1")
  return text:find(secret, 1, true) or bare:find(secret, 1, true)
    or unslashed:find(secret, 1, true)
end

local function check(value, secret, path, seen)
  seen = seen or {}
  if type(value) == "string" then
    assert.is_nil(occurs(value, secret), path .. ": " .. value)
  elseif type(value) == "table" and not seen[value] then
    seen[value] = true
    assert.is_nil(occurs(tostring(value), secret), path .. ": tostring")
    for key, item in pairs(value) do
      check(key, secret, path .. ".(key)", seen)
      check(item, secret, path .. "." .. tostring(key), seen)
    end
    check(getmetatable(value), secret, path .. ".(meta)", seen)
  elseif type(value) == "userdata" then
    assert.is_nil(occurs(tostring(value), secret), path .. ": tostring")
  end
end

local function client_with(options)
  options.base_url = helper.hostile_url
  return freddy.assert(freddy.new(options))
end

local credentials = {
  ["a key"] = { KEY, { api_key = KEY } },
  ["a key from a function"] = { KEY, { api_key = function()
    return KEY
  end } },
  ["a token"] = { TOKEN, { token = TOKEN } },
}

local function fails(client, secret, path)
  local res, err = client:get(path)
  assert.is_nil(res, path)
  check(err, secret, path)
  if err.response then
    for name, value in err.response.headers:each() do
      check(name, secret, path)
      check(value, secret, path)
    end
  end
  return err
end

for name, case in pairs(credentials) do
  local secret, options = case[1], case[2]

  describe(name .. " is masked", function()
    local client

    setup(function()
      client = client_with(options)
    end)

    teardown(function()
      check(client, secret, "client")
      client:close()
    end)

    for _, shape in ipairs {
      "E1", "E2", "E3", "E4", "E4-string", "E5", "list", "string", "text",
    } do
      it("in every form, in shape " .. shape, function()
        for _, form in ipairs(FORMS) do
          local err = fails(client, secret,
            helper.hostile("leak", { shape = shape, form = form }))
          assert.equal("unauthorized", err.kind)
        end
      end)
    end

    for _, as in ipairs {
      "cut", "head-cut", "chunk-bad", "garbage", "status-line", "length-bad",
    } do
      it("in an answer that goes wrong besides: " .. as, function()
        fails(client, secret, helper.hostile("leak", { as = as }))
      end)
    end

    it("in a Location", function()
      fails(client, secret,
        helper.hostile("leak", { as = "location", status = 302 }))
    end)

    it("in a success whose JSON does not parse", function()
      local err = fails(client, secret, helper.hostile "leak-bad-json")
      assert.equal("bad_json", err.reason)
    end)
  end)
end

it("a success is the caller's own", function()
  local client = client_with { api_key = KEY }
  local res = freddy.assert(client:get(helper.hostile "echo"))
  assert.is_truthy(res.body:find("odd", 1, true))
  client:close()
end)

it("a key that was replaced in flight is still masked", function()
  helper.hostile_reset()
  local client, seen = client_with { api_key = KEY }, nil
  client:send({ path = helper.hostile("gate",
    { gate = "old", n = 20, of = "unauthorized", tag = "old" }) },
    function(_, err)
      seen = err
    end)
  helper.hostile_log { tag = "old", requests = 1, timeout = 10 }
  client.auth:set_api_key("another-key-0123456789")
  local err = fails(client, "another-key-0123456789",
    helper.hostile("leak", { shape = "E2" }))
  assert.equal("unauthorized", err.kind)
  client:send({ path = "/" .. "x", headers = { ["X-Old"] = "v" } },
    function() end):cancel()
  helper.http_request("POST",
    helper.hostile_url .. "/control/release?gate=old")
  helper.eventually(function()
    return seen
  end)
  check(seen, KEY, "old")
  client:close()
end)

it("an error of a callback is masked where it is reported", function()
  local client, seen = client_with { api_key = KEY }, nil
  freddy.on_error = function(err)
    seen = err
  end
  client:send({ path = helper.hostile "ok" }, function()
    error("it was " .. KEY)
  end)
  helper.eventually(function()
    return seen
  end)
  freddy.on_error = nil
  assert.equal("task", seen.kind)
  assert.is_truthy(seen.message:find("***", 1, true))
  check(seen.message, KEY, "message")
  check(seen.details.traceback, KEY, "traceback")
  client:close()
end)
