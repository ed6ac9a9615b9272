-- SPDX-License-Identifier: MIT
local fake_core = require "spec.fake_core"
local cjson = require "cjson"

local fake, freddy, client
before_each(function()
  fake = fake_core.load()
  freddy = fake.freddy
  client = freddy.new { api_key = "sk-0123456789abcdef0123" }
end)

-- Answer every request with this.
local function answer(status, body, headers, retry_after)
  local text, kind = body, "text/plain"
  if type(body) == "table" then
    text, kind = cjson.encode(body), "application/json"
  end
  local list = headers or { "Content-Type", kind }
  fake.script = function()
    return { status = status, headers = list, body = text,
      retry_after = retry_after }
  end
end

local function get()
  local res, err = client:get("/v1/models", { query = { private = "x" } })
  assert.is_nil(res)
  assert.is_true(fake.errors.is_error(err))
  return err
end

-- The error of a request that the core could not carry out.
local function fail(raw, method)
  fake.script = function()
    return { err = raw }
  end
  local res, err = client:request { method = method, path = "/v1/x" }
  assert.is_nil(res)
  return err
end

describe("a status", function()
  local KINDS = {
    [300] = "http", [304] = "http", [400] = "invalid", [401] = "unauthorized",
    [402] = "http", [403] = "forbidden", [404] = "not_found", [405] = "http",
    [408] = "http", [409] = "conflict", [410] = "http", [418] = "http",
    [422] = "invalid", [429] = "rate_limited", [499] = "http",
    [500] = "server", [501] = "server", [502] = "server", [503] = "server",
    [504] = "server", [599] = "server", [600] = "http", [999] = "http",
  }
  for status, kind in pairs(KINDS) do
    it(("%d is %s"):format(status, kind), function()
      answer(status, { message = "no" })
      local err = get()
      assert.equal(kind, err.kind)
      assert.equal(status, err.status)
      assert.equal("no", err.message)
      assert.equal(status, err.response.status)
      assert.equal("no", err.response.data.message)
      assert.is_true(err.sent)
      assert.equal(1, err.attempts)
    end)
  end
end)

describe("the body", function()
  it("E2: success, error with code, message, type and trace", function()
    answer(422, { success = false, error = {
      code = "VALIDATION_ERROR", message = "That is not valid.",
      system_message = "field limit", type = "validation_error",
      status = 422, details = { field = "limit", value = 500 },
      trace_id = "trace_1", timestamp = "2025-01-01T00:00:00Z",
    } })
    local err = get()
    assert.equal("That is not valid.", err.message)
    assert.equal("VALIDATION_ERROR", err.code)
    assert.equal("validation_error", err.reason)
    assert.equal("trace_1", err.trace_id)
    assert.equal("validation_error", err.details.type)
    assert.equal("field limit", err.details.system_message)
    assert.equal(500, err.details.value)
    assert.same({ { field = "limit", message = "That is not valid.",
      code = "VALIDATION_ERROR" } }, err.details.errors)
  end)

  it("E2 with nothing but a system message", function()
    answer(500, { error = { system_message = "the pool is empty" } })
    assert.equal("the pool is empty", get().message)
  end)

  it("E2 with a list of errors in its details", function()
    answer(400, { error = { code = "X", message = "m", details = { errors = {
      { field = "a", message = "bad", code = "c" },
    } } } })
    assert.same({ { field = "a", message = "bad", code = "c" } },
      get().details.errors)
  end)

  it("E1: detail, error_type, meta and errors", function()
    answer(400, {
      detail = "Invalid request", status_code = 400,
      error_type = "ValidationError",
      meta = { timestamp = "t", request_id = "req_9" },
      errors = { { field = "name", message = "too long", code = "max" } },
    })
    local err = get()
    assert.equal("Invalid request", err.message)
    assert.equal("ValidationError", err.details.type)
    assert.equal("req_9", err.request_id)
    assert.same({ { field = "name", message = "too long", code = "max" } },
      err.details.errors)
    assert.is_nil(err.reason)
  end)

  it("E3: error with lower-case code and type", function()
    answer(401, { error = { message = "Wrong", type = "authentication_error",
      code = "invalid_credentials" } })
    local err = get()
    assert.equal("invalid_credentials", err.reason)
    assert.equal("invalid_credentials", err.code)
    assert.equal("Wrong", err.message)
  end)

  it("E4: message, or error as a string", function()
    answer(404, { message = "User name not found" })
    assert.equal("User name not found", get().message)
    answer(404, { error = "gone fishing" })
    assert.equal("gone fishing", get().message)
  end)

  it("E5: title and message", function()
    answer(401, { title = "Unauthorized",
      message = "The Api-Key in the header is invalid" })
    local err = get()
    assert.equal("The Api-Key in the header is invalid", err.message)
    assert.equal("invalid_api_key", err.reason)
    answer(401, { title = "Unauthorized" })
    assert.equal("Unauthorized", get().message)
  end)

  it("of the framework: detail as text, list or object", function()
    answer(403, { detail = "Not authenticated" })
    local err = get()
    assert.equal("Not authenticated", err.message)
    assert.equal("missing_authentication", err.reason)
    answer(422, { detail = {
      { loc = { "body", "inputs", 0, "role" }, msg = "Field required",
        type = "missing" },
      { loc = { "query", "limit" }, msg = "not a number", type = "int" },
    } })
    err = get()
    assert.equal("inputs[0].role: Field required (and 1 more)", err.message)
    assert.same({
      { field = "inputs[0].role", message = "Field required",
        code = "missing" },
      { field = "limit", message = "not a number", code = "int" },
    }, err.details.errors)
    answer(403, { detail = { code = "ACCESS_DENIED", message = "No." } })
    err = get()
    assert.equal("No.", err.message)
    assert.equal("insufficient_permissions", err.reason)
  end)

  it("that is a text is the message", function()
    answer(500, "it broke\r\n\tbadly")
    assert.equal("it broke badly", get().message)
    answer(500, cjson.decode('["just text"]')[1],
      { "Content-Type", "text/plain" })
    assert.equal("just text", get().message)
  end)

  it("that is a page gives its title", function()
    answer(502, "<html><head><title>502 Bad Gateway</title></head>",
      { "Content-Type", "text/html" })
    assert.equal("502 Bad Gateway", get().message)
    answer(502, "<html><body>x</body>", {})
    assert.equal("the server answered 502", get().message)
  end)

  it("that is empty or bad JSON still gives a message", function()
    answer(500, "")
    assert.equal("the server answered 500", get().message)
    answer(500, "", { "Content-Type", "application/json" })
    assert.equal("the server answered 500", get().message)
    answer(500, "{bad", { "Content-Type", "application/json" })
    local err = get()
    assert.equal("server", err.kind)
    assert.equal("{bad", err.message)
    assert.is_nil(err.response.data)
  end)

  it("of hostile types never raises", function()
    local null = cjson.null
    local odd = { null, 5, true, "x", "", {}, { 1 }, { a = 1 }, -0.5 }
    for _, value in ipairs(odd) do
      for _, body in ipairs {
        { error = value }, { detail = value }, { message = value },
        { title = value }, { meta = value }, { errors = value },
        { error = { message = value, code = value, details = value,
          type = value, trace_id = value } },
        { error = { details = { errors = value, field = value } } },
        { detail = { value } }, { detail = { { loc = value } } },
        { detail = { { loc = { value, value } } } },
        { errors = { { field = value, message = value, code = value } } },
        { meta = { request_id = value } }, { value },
      } do
        answer(401, body)
        local err = get()
        assert.equal("string", type(err.message))
        assert.is_true(#err.message > 0)
        assert.equal("string", type(tostring(err)))
      end
    end
    for _, text in ipairs { "null", "5", "false", "[]", '"x"' } do
      answer(500, text, { "Content-Type", "application/json" })
      assert.is_true(#get().message > 0)
    end
  end)

  it("is bounded and one line, without cutting a character", function()
    answer(400, { message = ("ä"):rep(10000) })
    local err = get()
    assert.is_true(#err.message <= 500)
    assert.equal("ä...", err.message:sub(-5))
    answer(400, { message = "a\n\27[31mb\0c" })
    assert.equal("a [31mb c", get().message)
  end)
end)

describe("the reason", function()
  local CODES = {
    { 401, "AUTHENTICATION_REQUIRED", "missing_authentication" },
    { 401, "INVALID_API_KEY", "invalid_api_key" },
    { 401, "API_KEY_EXPIRED", "api_key_expired" },
    { 401, "API_KEY_PAUSED", "api_key_paused" },
    { 401, "API_KEY_DEACTIVATED", "api_key_deactivated" },
    { 401, "TOKEN_EXPIRED", "token_expired" },
    { 401, "TOKEN_INVALID", "token_invalid" },
    { 401, "TOKEN_MISSING_SUBJECT", "token_invalid" },
    { 401, "INVALID_CREDENTIALS", "invalid_credentials" },
    { 403, "ACCOUNT_SUSPENDED", "account_suspended" },
    { 403, "INSUFFICIENT_PERMISSIONS", "insufficient_permissions" },
    { 403, "ACCESS_DENIED", "insufficient_permissions" },
    { 403, "AMBIGUOUS_ORGANIZATION", "ambiguous_organization" },
    { 404, "API_KEY_NOT_FOUND", "api_key_not_found" },
    { 429, "RATE_LIMIT_EXCEEDED", "rate_limit_exceeded" },
    { 429, "MONTHLY_QUOTA_EXCEEDED", "quota" },
    { 429, "ORGANIZATION_BUDGET_REACHED", "quota" },
    { 401, "UNAUTHORIZED", nil },
    { 401, "401", nil },
    { 401, "<script>", nil },
  }
  for _, row in ipairs(CODES) do
    it(("of the code %s is %s"):format(row[2], tostring(row[3])), function()
      answer(row[1], { error = { code = row[2], message = "m" } })
      local err = get()
      assert.equal(row[3], err.reason)
      assert.equal(row[2], err.code)
    end)
  end

  local TEXTS = {
    { 401, "Invalid API key provided: sk-1", "invalid_api_key" },
    { 401, "Your API key has expired", "api_key_expired" },
    { 401, "This api_key is paused", "api_key_paused" },
    { 401, "API key was deactivated", "api_key_deactivated" },
    { 401, "API key is required", "missing_authentication" },
    { 401, "Token has expired", "token_expired" },
    { 401, "Signature has expired.", "token_expired" },
    { 401, "Invalid token", "token_invalid" },
    { 401, "Could not validate credentials", "token_invalid" },
    { 401, "Incorrect password", "invalid_credentials" },
    { 401, "Not authenticated", "missing_authentication" },
    { 401, "Authentication required", "missing_authentication" },
    { 401, "Your account is suspended", "account_suspended" },
    { 403, "Account suspended", "account_suspended" },
    { 403, "You lack the permission", "insufficient_permissions" },
    { 429, "Spending limit reached", "quota" },
    { 401, "no", nil },
    { 404, "token expired", nil },
  }
  for _, row in ipairs(TEXTS) do
    it(("of the text %q is %s"):format(row[2], tostring(row[3])), function()
      answer(row[1], { message = row[2] })
      assert.equal(row[3], get().reason)
    end)
  end
end)

describe("the hint", function()
  it("names the header and base URL for a 401 of a key client", function()
    answer(401, { message = "no" })
    local err = get()
    assert.truthy(err.hint:find("X-API-Key", 1, true))
    assert.truthy(err.hint:find("base_url", 1, true))
  end)

  it("says that a bare token cannot be renewed", function()
    client = freddy.new { token = "t" }
    answer(401, { error = { code = "TOKEN_EXPIRED", message = "m" } })
    assert.truthy(get().hint:find("nothing to renew it with", 1, true))
  end)

  it("is there, one line of at most 100 bytes, for every row", function()
    for _, row in ipairs(require("spec.fake_core").kinds()) do
      assert.truthy(row.meaning, row.kind)
      if row.kind ~= "cancelled" and row.kind ~= "memory" then
        assert.truthy(row.hint, row.kind)
      end
      if row.hint then
        assert.is_true(#row.hint <= 100, row.hint)
        assert.is_nil(row.hint:find("%c"))
      end
    end
  end)
end)

describe("retryable", function()
  local function of(method, status, body)
    answer(status, body or { message = "m" })
    local _, err = client:request { method = method, path = "/v1/x" }
    return err.retryable
  end

  it("is true for 408, 500, 502, 503, 504 of safe methods only", function()
    for _, status in ipairs { 408, 500, 502, 503, 504 } do
      for _, method in ipairs { "GET", "HEAD", "PUT", "DELETE",
          "OPTIONS", "TRACE" } do
        assert.is_true(of(method, status))
      end
      assert.is_false(of("POST", status))
      assert.is_false(of("PATCH", status))
    end
    for _, status in ipairs { 400, 401, 403, 404, 409, 422, 501, 505 } do
      assert.is_false(of("GET", status))
    end
  end)

  it("is true for a 429 of any method, unless it is a quota", function()
    assert.is_true(of("POST", 429))
    assert.is_false(of("GET", 429, { message = "quota exceeded" }))
  end)

  it("depends on whether anything was sent", function()
    local cut = { kind = "cut", message = "m", sent = true }
    assert.is_true(fail(cut, "GET").retryable)
    assert.is_false(fail(cut, "POST").retryable)
    cut.sent = false
    assert.is_true(fail(cut, "POST").retryable)
  end)

  it("is true for failed connections, never for what stays", function()
    for _, kind in ipairs { "resolve", "connect", "queue_full" } do
      assert.is_true(fail({ kind = kind, message = "m" }, "POST").retryable)
    end
    assert.is_true(fail({ kind = "timeout", reason = "connect",
      message = "m" }, "POST").retryable)
    assert.is_false(fail({ kind = "connect", reason = "proxy_auth",
      message = "m" }, "GET").retryable)
    for _, kind in ipairs { "tls", "cancelled", "closed", "forked",
      "protocol", "too_large", "redirect", "memory" } do
      assert.is_false(fail({ kind = kind, message = "m" }, "GET").retryable)
    end
  end)
end)

describe("retry_after", function()
  it("is what the core read in the header", function()
    answer(429, "slow", { "Retry-After", "7" }, 7)
    assert.equal(7, get().retry_after)
    answer(429, "slow", { "Retry-After", "soon" })
    assert.is_nil(get().retry_after)
  end)
end)

describe("an error of the core", function()
  it("keeps kind, reason, message and sent", function()
    local err = fail { kind = "timeout", reason = "stall", message = "slow",
      sent = true }
    assert.equal("timeout", err.kind)
    assert.equal("stall", err.reason)
    assert.equal("slow", err.message)
    assert.is_true(err.sent)
    assert.equal(1, err.attempts)
    assert.truthy(err.hint:find("stall", 1, true))
    assert.is_nil(err.status)
  end)

  it("without a text has its kind's meaning", function()
    assert.truthy(#fail { kind = "memory", message = "" }.message > 0)
    assert.equal(0, fail { kind = "memory", message = "" }.attempts)
  end)

  it("that follows a head has the answer beside it, masked", function()
    fake.script = function()
      return { status = 200, attempts = 2,
        headers = { "X-Echo", "sk-0123456789abcdef0123",
          "X-Request-Id", "req_1" },
        body = "sk-0123456789abcdef0123 and",
        err = { kind = "cut", message = "m", sent = true } }
    end
    local _, err = client:get("/")
    assert.equal(200, err.status)
    assert.equal(2, err.attempts)
    assert.equal("req_1", err.request_id)
    assert.equal("***", err.response.headers["x-echo"])
    assert.equal("*** and", err.response.body)
  end)

  it("from start comes back the same way", function()
    fake.script = function()
      return { refuse = { kind = "queue_full", message = "m" } }
    end
    local res, err = client:get("/v1/x")
    assert.is_nil(res)
    assert.equal("queue_full", err.kind)
    assert.equal("GET /v1/x", err.request)
  end)
end)

describe("an answer of 2xx that is an error", function()
  it("has every text masked", function()
    local secret = "sk-0123456789abcdef0123"
    fake.script = function()
      return { status = 200, url = "https://x/?k=" .. secret,
        headers = { "Content-Type", "application/json", "X-Echo", secret,
          "X-Request-Id", secret },
        body = '{"key":"' .. secret .. '"' }
    end
    local err = get()
    assert.equal("protocol", err.kind)
    assert.equal("bad_json", err.reason)
    assert.equal(200, err.status)
    assert.is_true(err.sent)
    local function search(value, seen)
      if type(value) == "string" then
        assert.is_nil(value:find(secret, 1, true), value)
      elseif type(value) == "table" and not seen[value] then
        seen[value] = true
        for k, v in pairs(value) do
          search(k, seen)
          search(v, seen)
        end
      end
    end
    search(err, {})
    search(tostring(err), {})
  end)

  it("is masked for a key of its own, too", function()
    local key = "fn-0123456789abcdef"
    client = freddy.new { api_key = function() return key end }
    answer(200, "{" .. key, { "Content-Type", "application/json" })
    local err = get()
    assert.equal("{***", err.response.body)
    assert.is_nil(tostring(err):find(key, 1, true))
    answer(401, key .. key, { "X-Echo", key })
    err = get()
    assert.equal("******", err.message)
    assert.equal("***", err.response.headers["x-echo"])
  end)
end)

describe("a secret in the path", function()
  it("is masked in all that is reachable from the error", function()
    local secret = "sk-0123456789abcdef0123"
    fake.script = function()
      return { status = 404, body = "no", url = "https://x/" .. secret }
    end
    local _, err = client:get("/v1/" .. secret)
    assert.equal("GET /v1/***", err.request)
    assert.equal("https://x/***", err.response.url)
    assert.is_nil(tostring(err):find(secret, 1, true))
    fake.script = function()
      return { err = { kind = "connect", message = "m" } }
    end
    _, err = client:get("/v1/" .. secret)
    assert.equal("GET /v1/***", err.request)
    fake.script = function()
      return { refuse = { kind = "queue_full", message = "m" } }
    end
    _, err = client:get("/v1/" .. secret)
    assert.equal("GET /v1/***", err.request)
  end)
end)

describe("tostring(err)", function()
  it("is one good line", function()
    answer(401, { success = false, error = { code = "INVALID_API_KEY",
      message = "The API key is not valid." } },
      { "Content-Type", "application/json", "X-Request-Id", "req_1" })
    assert.equal("freddy: unauthorized (invalid_api_key): The API key is not "
      .. "valid [GET /v1/models -> 401, request req_1]. Hint: check api_key "
      .. "(FREDDY_API_KEY), or make a new key", tostring(get()))
  end)

  it("does without what is not there", function()
    local err = fake.errors.new("cancelled", { message = "stopped" })
    assert.equal("freddy: cancelled: stopped", tostring(err))
  end)

  it("leaves the query out", function()
    answer(404, { message = "m" })
    assert.is_nil(tostring(get()):find("private", 1, true))
  end)

  it("stays short and one line, whatever the server says", function()
    answer(404, { message = ("long "):rep(200) },
      { "Content-Type", "application/json",
        "X-Request-Id", ("r"):rep(500) .. "\r\n" })
    local _, err = client:get("/v1/" .. ("p"):rep(500))
    local line = tostring(err)
    assert.is_true(#line <= 320, line)
    assert.is_nil(line:find("%c"))
  end)

  it("joins with strings", function()
    local err = fake.errors.new("closed")
    assert.equal("x freddy: closed", ("x " .. err):sub(1, 16))
    assert.equal("! x", (err .. "! x"):sub(-3))
  end)

  it("is what freddy.assert raises", function()
    local err = fake.errors.new("closed")
    local ok, raised = pcall(freddy.assert, nil, err)
    assert.is_false(ok)
    assert.equal(tostring(err), tostring(raised))
    assert.same({ 1, nil, 3 }, { freddy.assert(1, nil, 3) })
    ok, raised = pcall(freddy.assert, false)
    assert.is_false(ok)
    assert.equal("assertion failed!", raised)
  end)
end)
