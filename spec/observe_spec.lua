-- SPDX-License-Identifier: MIT
--- The hooks on_event and on_log: what they hear, and that no secret is in it.

local freddy = require "freddy"
local helper = require "spec.helper"
local observe = require "freddy.observe"

local client, events, lines

local function client_of(options)
  events, lines = {}, {}
  local given = { base_url = helper.http,
    on_event = function(event) events[#events + 1] = event end,
    on_log = function(level, message)
      lines[#lines + 1] = level .. ": " .. message
    end }
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  client = helper.client(given)
  return client
end

local function names()
  local list = {}
  for i, event in ipairs(events) do
    list[i] = event.name
  end
  return table.concat(list, " ")
end

local known = {}
for _, row in ipairs(observe.events) do
  known[row.name] = row
end

-- Every field that is told must be in the table, and the other way round.
local function check_fields()
  for _, event in ipairs(events) do
    local row, left = assert(known[event.name], event.name), { name = true }
    for _, field in ipairs(row.fields) do
      local name, optional = field:match "^([%w_]+)(%??)$"
      left[name] = true
      assert.is_true(event[name] ~= nil or optional == "?",
        event.name .. " has no " .. name)
    end
    for name in pairs(event) do
      assert.is_true(left[name] == true, event.name .. " has a " .. name)
    end
  end
end

before_each(function()
  helper.reset()
  freddy.on_error = nil
end)

after_each(function()
  freddy.on_error = nil
  client:close()
end)

describe("on_event", function()
  it("hears of a request and of its answer", function()
    assert(client_of():get("/v1/models", { query = { limit = 5 } }))
    assert.equal("request response", names())
    check_fields()
    assert.equal(events[1].id, events[2].id)
    assert.equal("GET", events[1].method)
    assert.equal("/v1/models", events[1].path)
    assert.equal(200, events[2].status)
    assert.equal(1, events[2].attempts)
    assert.is_true(events[2].seconds > 0)
    assert.equal(0, events[2].timing.waited)
  end)

  it("hears of repeats and failures", function()
    helper.control { fail = { path = "/v1/open", status = 503 } }
    local heard = {}
    local _, err = client_of({ retries = 1,
      on_retry = function(retry) heard[#heard + 1] = retry end,
    }):get "/v1/open"
    assert.equal("request retry failure", names())
    check_fields()
    assert.equal(err, events[3].err)
    assert.equal(503, events[3].status)
    assert.equal(2, events[3].attempts)
    assert.equal("server", events[2].cause.kind)
    assert.equal(1, #heard)
  end)

  it("hears of callbacks, endpoints, and what never arrived", function()
    local done
    client_of { retries = 0 }
    client:send({ path = "/v1/open" }, function() done = true end)
    helper.eventually(function() return done end)
    assert(client.models:list())
    client:get("http://127.0.0.1:1/x?y=z", { auth = false })
    assert.equal("request response request response request failure", names())
    check_fields()
    assert.equal("http://127.0.0.1:1/x", events[5].path)
    assert.equal("connect", events[6].err.kind)
  end)

  it("hears how what was fired ended", function()
    client_of { retries = 0 }
    assert(client:fire { path = "/v1/open" })
    helper.eventually(function() return #events == 2 end)
    assert(client:fire { path = "/v1/nothing" })
    helper.eventually(function() return #events == 4 end)
    assert.equal("request response request failure", names())
    assert.equal("not_found", events[4].err.kind)
    assert.matches("^warning: GET /v1/nothing: failed after", lines[2])
    check_fields()
  end)

  it("hears of a stream's end, and of one that is cancelled", function()
    local stream = assert(client_of():stream "/v1/drip?sse=1&chunks=2&ms=1")
    assert.equal("request", names())
    while stream:next() do end
    assert.equal("request response", names())
    stream = assert(client:stream "/v1/drip?sse=1&chunks=1000&ms=50")
    stream:cancel()
    stream:cancel()
    assert.equal("request response request failure", names())
    assert.equal("cancelled", events[4].err.kind)
    check_fields()
  end)

  describe("hears what the caller hears of an answer", function()
    local REQUEST = { model = "gpt-4o",
      inputs = { { role = "user", content = "Why?" } } }

    local function failure(respond)
      helper.control { respond = respond }
      client_of { retries = 0 }
      local _, err = assert(client.responses:stream(REQUEST)):finish()
      assert.equal("request failure", names())
      assert.equal(err, events[2].err)
      assert.truthy(lines[#lines]:find(tostring(err), 1, true), lines[#lines])
      check_fields()
      return err
    end

    it("that an event of it said failed", function()
      assert.equal("rate_limited", failure {
        error = { at = "content", after = 1, code = "RATE_LIMIT_EXCEEDED",
          message = "slow" },
      }.kind)
    end)

    it("that could not be read", function()
      assert.equal("bad_json", failure { events = {
        { event = "response.content_delta", data = "{ no" },
      } }.reason)
    end)

    it("that the server cancelled", function()
      assert.equal("by_server", failure { events = {
        { event = "response.cancelled",
          data = { event = "response.cancelled" } },
      } }.reason)
    end)

    it("that its caller cancelled", function()
      client_of()
      local stream = assert(client.responses:stream(REQUEST))
      stream:cancel()
      local _, err = stream:finish()
      assert.equal("cancelled", err.kind)
      assert.equal(err, events[2].err)
    end)
  end)

  it("tells of no renewal before it, nor of what another session had",
    function()
      local given = { auth = "bearer", api_key = helper.api_key }
      local first = helper.client { base_url = helper.http, auth = "bearer",
        api_key = helper.api_key }
      assert(first:get "/v1/echo")
      assert.is_true(first.auth:refresh())
      client_of(given)
      assert(client:get "/v1/echo")
      assert.equal("request response", names())
      assert.equal(0, client:stats().refreshes)
      assert.is_true(first.auth:refresh())
      assert(client:get "/v1/echo")
      assert.equal("request response request refresh response", names())
      assert.equal(1, events[4].refreshes)
      client.auth:set_token(helper.token)
      assert.equal(1, client:stats().refreshes)
      assert(client:get "/v1/echo")
      local tokens = helper.session {}
      client.auth:set_token { access_token = tokens.token,
        refresh_token = tokens.refresh_token }
      assert.is_true(client.auth:refresh())
      assert(client:get "/v1/echo")
      assert.equal(2, client:stats().refreshes)
      assert.equal("request response request refresh response "
        .. "request response request refresh response", names())
      assert.equal(2, events[#events - 1].refreshes)
      first:close()
    end)

  it("hears of renewals, and of those that failed", function()
    client_of { auth = "bearer", api_key = helper.api_key, retries = 0 }
    assert(client:get "/v1/echo")
    assert.equal("request refresh response", names())
    check_fields()
    helper.control { revoke = { access = true, refresh = true },
      fail = { path = "/v1/auth/*", status = 400, code = "TOKEN_INVALID" } }
    local _, err = client:get "/v1/echo"
    assert.equal("auth", err.kind)
    assert.equal("request refresh response request refresh_failed failure",
      names())
    check_fields()
    assert.matches("^error: the session's token could not be renewed: ",
      lines[#lines - 1])
  end)

  it("tells how long a request waited in line", function()
    client_of { rate_limit = { per_minute = 1200 }, api_key = "own-key" }
    assert(client:get "/v1/open")
    assert(client:get "/v1/open")
    assert.is_true(events[4].timing.waited > 0)
  end)

  it("must not wait", function()
    local problems = {}
    freddy.on_error = function(err) problems[#problems + 1] = err end
    client_of { on_event = function() freddy.sleep(0.001) end }
    assert(client:get "/v1/open")
    helper.eventually(function() return #problems == 2 end)
    assert.matches("on_event must not wait", tostring(problems[1]))
  end)

  it("hurts nobody when it raises", function()
    local problems = 0
    freddy.on_error = function() problems = problems + 1 end
    client_of { on_event = function() error "no" end,
      on_log = function() error "no" end }
    assert(client:get "/v1/open")
    helper.eventually(function() return problems == 3 end)
  end)
end)

describe("on_log", function()
  it("says one line of what happens", function()
    helper.control { fail = { path = "/v1/open", status = 503, times = 2 } }
    client_of { retries = 1 }
    assert(client:get "/v1/models?limit=5")
    client:get "/v1/open"
    assert.equal(3, #lines)
    assert.matches("^debug: GET /v1/models: 200 after [%d.]+ s", lines[1])
    assert.matches("^warning: GET /v1/open: attempt 1 failed, again in",
      lines[2])
    assert.matches("^warning: GET /v1/open: failed after", lines[3])
    local levels = table.concat(observe.levels, " ")
    assert.equal("debug info warning error", levels)
  end)
end)

describe("hooks", function()
  it("never hear a secret", function()
    local secret = "unit-secret-0123456789abcdef"
    client_of { api_key = secret, retries = 1 }
    client:get("/v1/leak/" .. secret)
    client:get("/v1/leak?where=body&status=503&form=full")
    client:get("/v1/leak?where=header")
    client:get("/v1/open?key=" .. secret)
    assert(client:get(helper.hostile("status",
      { code = 200, line = "X-Request-Id: " .. secret })))
    assert.equal("***", events[#events].request_id)
    assert.is_nil(helper.text_of(events):find(secret, 1, true))
    assert.is_nil(helper.text_of(lines):find(secret, 1, true))
    assert.is_true(#events >= 8)
  end)

  it("cost nothing where there are none", function()
    client = helper.client { base_url = helper.http }
    assert(client:get "/v1/open")
    assert.is_nil(rawget(client, "observed"))
  end)

  it("are all documented", function()
    local handle = assert(io.open "docs/observability.md")
    local text = handle:read "*a"
    handle:close()
    for _, row in ipairs(observe.events) do
      assert.truthy(text:find("| `" .. row.name .. "` |", 1, true), row.name)
      for _, field in ipairs(row.fields) do
        assert.truthy(text:find("`" .. field:gsub("%?", "") .. "`", 1, true),
          field)
      end
    end
    for _, level in ipairs(observe.levels) do
      assert.truthy(text:find("`" .. level .. "`", 1, true), level)
    end
    client = helper.client()
    for name in pairs(client:stats()) do
      assert.truthy(text:find("`" .. name .. "`", 1, true), name)
    end
  end)
end)

-- W3C Trace Context: passed on, and no further.
describe("traceparent", function()
  local PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

  local function sent(res)
    for _, header in ipairs(res.data.headers) do
      if header.name:lower() == "traceparent" then
        return header.value
      end
    end
  end

  it("goes along with a request and with its redirects here", function()
    client = helper.client { base_url = helper.http }
    local headers = { traceparent = PARENT }
    assert.equal(PARENT, sent(assert(client:get("/v1/open",
      { headers = headers }))))
    assert.equal(PARENT, sent(assert(client:get("/v1/redirect",
      { headers = headers }))))
    client:close()
    client = helper.client { base_url = helper.http, headers = headers }
    assert.equal(PARENT, sent(assert(client:get "/v1/open")))
  end)

  it("does not go to another origin", function()
    local other = helper.base_url .. "/v1/open"
    client = helper.client { base_url = helper.http,
      headers = { traceparent = PARENT } }
    assert.is_nil(sent(assert(client:get("/v1/redirect",
      { query = { to = other } }))))
    assert.is_nil(sent(assert(client:get(other, { auth = false }))))
  end)
end)
