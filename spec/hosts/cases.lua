-- SPDX-License-Identifier: MIT
--- What every host must be able to do, as one list of cases. A host's runner
--- says how its own loop is entered; then cases.run(host) goes through them,
--- called where the host may wait: in a task, in a coroutine of the host's
--- own, or in a script's main line.
---
--- A host is a table:
---   name      for messages
---   env       function(name): the value of FY_TEST_<name>
---   start     optional function(fn): run fn beside the caller, in what waits
---             in this host (a thread of copas); freddy.spawn without it
---   nested    what a wait in a coroutine of the user's own does here:
---             "raises", "blocks" (a script) or "works"
---   only      optional: names of cases, a Lua pattern
---   protect   optional: a pcall that may be waited in
local freddy = require "freddy"

local unpack = rawget(table, "unpack") or rawget(_G, "unpack")

local cases = {}

local list = {}

local function case(name, fn)
  list[#list + 1] = { name = name, fn = fn }
end

-- --- What cases have -----------------------------------------------------

---@class spec.Trial one case that is running
local trial = {}
trial.__index = trial

local function show(value)
  return type(value) == "string" and ("%q"):format(value) or tostring(value)
end

function trial.equal(_, expected, value, what)
  if expected ~= value then
    error(("%s: expected %s, got %s"):format(what or "value", show(expected),
      show(value)), 2)
  end
end

--- `value, err` of a call that must have failed.
function trial.fails(_, kind, reason, value, err)
  if value ~= nil or type(err) ~= "table" then
    error(("expected %s, got %s, %s"):format(kind, show(value), show(err)), 2)
  elseif err.kind ~= kind or reason and err.reason ~= reason then
    error(("expected %s/%s, got %s/%s: %s"):format(kind, tostring(reason),
      tostring(err.kind), tostring(err.reason), tostring(err)), 2)
  end
  return err
end

--- A client of the emulator; closed when the case ends.
function trial:client(options)
  local given = {
    base_url = self.host.env "BASE_URL", ca_file = self.host.env "CA_FILE",
  }
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  if not (given.api_key or given.token or given.auth
      or given.token_provider) then
    given.api_key = self.host.env "API_KEY"
  end
  local client = freddy.assert(freddy.new(given))
  self.clients[#self.clients + 1] = client
  return client
end

--- Turn the emulator's switches.
function trial:control(switches)
  local res = freddy.assert(self.controller:post("/control",
    { json = switches, auth = false }))
  return res.data
end

--- What the emulator has counted.
function trial:counters()
  return freddy.assert(self.controller:get("/control",
    { auth = false })).data
end

--- Wait until `condition` holds, serving everything else.
function trial.eventually(_, what, condition)
  for _ = 1, 2000 do
    local value = condition()
    if value then
      return value
    end
    freddy.sleep(0.005)
  end
  error("never came: " .. what, 2)
end

--- Run fn(1) to fn(count) beside each other, and wait for all of them.
function trial:beside(count, fn)
  local left, problem = count, nil
  for i = 1, count do
    self.start(function()
      local ok, message = self.protect(fn, i)
      problem = problem or not ok and message or nil
      left = left - 1
    end)
  end
  self:eventually("the end of all", function()
    return left == 0
  end)
  if problem then
    error(problem, 0)
  end
end

-- --- The cases -----------------------------------------------------------

case("lists models", function(t)
  local data, res = freddy.assert(t:client().models:list())
  t:equal(5, #data.models, "models")
  t:equal(200, res.status, "status")
end)

case("sends and receives a body", function(t)
  local text = ("x"):rep(300000)
  local res = freddy.assert(t:client():post("/v1/echo", {
    json = { text = text },
  }))
  t:equal(#text + 11, res.data.body_size, "bytes sent")
  local blob = freddy.assert(t:client():get("/v1/blob?size=1000000"))
  t:equal(1000000, #blob.body, "bytes received")
end)

case("runs twenty requests beside each other", function(t)
  local client = t:client()
  local answered = 0
  t:beside(20, function()
    freddy.assert(client:get("/v1/delay/50"))
    answered = answered + 1
  end)
  t:equal(20, answered, "answers")
end)

case("reads the events of a stream", function(t)
  local stream = freddy.assert(t:client():stream(
    "/v1/events?count=40&ms=2&size=1000"))
  t:equal(200, stream.status, "status")
  local count, event = 0, stream:next()
  while event do
    count = count + 1
    t:equal(1000, #event.data, "bytes of an event")
    t:equal(tostring(count), event.id, "id")
    event = stream:next()
  end
  t:equal(40, count, "events")
  t:equal(true, stream:finish(), "its end")
end)

case("reads streams beside each other", function(t)
  local client = t:client()
  local events = 0
  t:beside(8, function()
    local stream = freddy.assert(client:stream("/v1/events?count=20&ms=5"))
    while stream:next() do
      events = events + 1
    end
    freddy.assert(stream:finish())
  end)
  t:equal(160, events, "events")
end)

case("has large events decoded elsewhere, in their order", function(t)
  local client = t:client()
  t:beside(3, function()
    local parts = {}
    for i = 1, 6 do
      parts[i] = ('data: {"n":%d,"text":"%s"}\n\n'):format(i,
        ("x"):rep(i % 3 == 0 and 10 or 100000))
    end
    local stream = freddy.assert(client:stream("/v1/bytes",
      { method = "POST", body = table.concat(parts) }))
    stream.reads_json = true -- as an answer's is
    for i = 1, 6 do
      local event = freddy.assert(stream:next())
      t:equal(i % 3 ~= 0, rawget(event, "json") ~= nil, "decoded before")
      t:equal(i, event.json.n, "its number")
    end
    t:equal(true, stream:finish(), "its end")
  end)
end)

-- Its reader takes longer than the emulator, and so never has to wait.
case("lets others go on while a stream is always ready", function(t)
  local client = t:client()
  local over, answers = false, 0
  t.start(function()
    while not over and client:get("/v1/models") do
      answers = answers + 1
    end
  end)
  local stream = freddy.assert(client:stream(
    "/v1/events?count=1000000&batch=1000&size=64"))
  local before, count = answers, 0
  local event, err
  repeat
    event, err = stream:next()
    count = count + (event and event.data:rep(40):reverse() and 1 or 0)
  until not event or answers >= before + 3
  over = true
  stream:cancel()
  t:equal("3 answers", ("%d answers"):format(math.min(answers - before, 3)),
    ("beside %d events (%s)"):format(count, tostring(err)))
end)

case("ends a stream: by cancel, a cut, a close", function(t)
  local client = t:client()
  local path = "/v1/events?count=100000&ms=5"
  local stream = freddy.assert(client:stream(path))
  freddy.assert(stream:next())
  stream:cancel()
  t:fails("cancelled", nil, stream:finish())
  local cut = freddy.assert(client:stream("/v1/events?count=3&last=cut",
    { http_version = "1.1" }))
  t:fails("cut", nil, cut:finish())
  local seen
  t.start(function()
    local other = freddy.assert(client:stream(path))
    while other:next() do
      seen = seen or {}
    end
    seen[1], seen[2] = other:finish()
    seen.over = true
  end)
  t:eventually("its first event", function() return seen end)
  client:close()
  t:eventually("its end", function() return seen.over end)
  t:fails("closed", nil, seen[1], seen[2])
end)

case("renews a token once, for all who wait", function(t)
  local tokens = t:control { mint = { session = true, expires_in = -5 } }
  local client = t:client {
    token = tokens.token, refresh_token = tokens.refresh_token,
  }
  t:beside(20, function()
    freddy.assert(client.models:list())
  end)
  t:equal(1, t:counters().auth.refresh.calls, "refreshes")
end)

case("hands tokens to a function that waits", function(t)
  local tokens = t:control { mint = { session = true, expires_in = -5 } }
  local told
  local client = t:client {
    token = tokens.token, refresh_token = tokens.refresh_token,
    on_token = function(new)
      freddy.sleep(0.02)
      told = new
    end,
  }
  freddy.assert(client.models:list())
  t:equal("refresh", told and told.cause, "cause")
end)

case("gets tokens from a function that sends requests", function(t)
  local asked = 0
  local client = t:client {
    token_provider = function()
      asked = asked + 1
      local tokens = t:control { mint = { session = true } }
      return { access_token = tokens.token, expires_in = 3600 }
    end,
  }
  t:beside(5, function()
    freddy.assert(client.models:list())
  end)
  t:equal(1, asked, "calls of token_provider")
end)

case("cancels a request", function(t)
  local client = t:client()
  local ended
  local call = client:send({ path = "/v1/delay/60000" }, function(res, err)
    ended = { res, err }
  end)
  t:eventually("the request", function()
    local delay = t:counters().endpoints["/v1/delay/{ms}"]
    return delay and delay.requests == 1
  end)
  call:cancel()
  call:cancel()
  t:eventually("its end", function() return ended end)
  t:fails("cancelled", nil, ended[1], ended[2])
end)

case("cancels a task, whoever waits for it", function(t)
  local client = t:client()
  local own, task
  task = freddy.spawn(function()
    own = { client:get("/v1/delay/60000") }
    return freddy.sleep(60)
  end)
  local seen
  t.start(function()
    seen = { task:wait() }
  end)
  t:eventually("a request in flight", function()
    return client:stats().in_flight == 1
  end)
  task:cancel()
  t:eventually("the end of the wait", function() return seen end)
  t:fails("cancelled", nil, seen[1], seen[2])
  t:fails("cancelled", nil, own[1], own[2])
  t:equal("cancelled", task:status(), "status")
end)

case("ends a request whose time is over", function(t)
  local client = t:client()
  t:fails("timeout", "total", client:get("/v1/delay/60000",
    { timeout = 0.1 }))
  local task = freddy.spawn(freddy.sleep, 60)
  t:fails("timeout", "wait", task:wait(0.05))
  task:cancel()
end)

case("tells what went wrong", function(t)
  t:fails("unauthorized", "invalid_api_key",
    t:client({ api_key = "not-the-right-key" }).models:list())
  t:fails("not_found", nil, t:client():get("/v1/nothing"))
  local nobody = t:client { base_url = "http://127.0.0.1:1" }
  t:fails("connect", nil, nobody:get("/"))
  t:control { fail = { path = "/v1/models", close = true } }
  t:fails("cut", nil, t:client({ http_version = "1.1" }).models:list())
end)

case("closes a client with requests in flight", function(t)
  local client = t:client()
  local sent = {}
  for i = 1, 5 do
    client:send({ path = "/v1/delay/60000" }, function(res, err)
      sent[i] = { res, err }
    end)
  end
  local waited
  t.start(function()
    waited = { client:get("/v1/delay/60000") }
  end)
  t:eventually("requests in flight", function()
    return client:stats().in_flight == 6
  end)
  client:close()
  client:close()
  t:eventually("the end of all", function()
    return #sent == 5 and waited
  end)
  t:fails("closed", nil, waited[1], waited[2])
  for i = 1, 5 do
    t:fails("closed", nil, sent[i][1], sent[i][2])
  end
  t:fails("closed", nil, client.models:list())
end)

case("keeps an error in a callback from everybody else", function(t)
  local client = t:client()
  local heard, answered = {}, nil
  local before = freddy.on_error
  freddy.on_error = function(err) heard[#heard + 1] = err end
  client:send({ path = "/v1/models" }, function() error("on purpose") end)
  freddy.spawn(function() error("at once") end)
  client:send({ path = "/v1/models" }, function(res) answered = res end)
  t:eventually("the answer and both errors", function()
    return answered and #heard == 2
  end)
  freddy.on_error = before
  t:equal(200, answered.status, "status")
  t:equal("task", heard[1].kind, "kind")
  t:equal("task", heard[2].kind, "kind")
end)

case("runs functions beside each other and takes their results", function(t)
  local client = t:client()
  local results, errs = freddy.all {
    function() return client:get("/v1/delay/20") end,
    function() return client:get("/v1/nothing") end,
    function() return freddy.sleep(0.02) end,
  }
  t:equal(200, results[1].status, "the first")
  t:equal("not_found", errs and errs[2].kind, "the second")
  t:equal(true, results[3], "the third")
end)

case("loses nothing of a burst", function(t)
  local client = t:client()
  local seen, total = {}, 0
  for i = 1, 300 do
    client:send({ path = "/v1/models" }, function(res, err)
      freddy.assert(res, err)
      seen[i] = (seen[i] or 0) + 1
      total = total + 1
    end)
  end
  t:eventually("all answers", function() return total >= 300 end)
  for i = 1, 300 do
    t:equal(1, seen[i], "answers to one")
  end
end)

case("keeps what waits through collections", function(t)
  local client = t:client()
  local running = true
  t.start(function()
    while running do
      collectgarbage()
      freddy.sleep(0.01)
    end
  end)
  t:beside(10, function()
    freddy.assert(client:get("/v1/delay/100"))
  end)
  running = false
end)

case("reads a body from a function, and tells of its progress", function(t)
  local client = t:client()
  local left, told = 20, nil
  local res = freddy.assert(client:post("/v1/echo", {
    body = function()
      left = left - 1
      return left >= 0 and ("x"):rep(5000) or nil
    end,
    on_progress = function(now) told = now end,
  }))
  t:equal(100000, res.data.body_size, "bytes")
  t:equal(100000, told and told.sent, "progress")
end)

case("says when a function must not wait", function(t)
  local client = t:client()
  local message
  freddy.assert(client:get("/v1/models", {
    on_progress = function()
      local _, why = pcall(freddy.sleep, 1)
      message = why
    end,
  }))
  t:equal("string", type(message), "what it raised")
  t:equal(true, message:find("must not wait", 1, true) ~= nil, message)
end)

-- It has left the list before it is resumed by someone else than its host.
local function resume_to_end(co)
  local results
  repeat
    results = { coroutine.resume(co) }
  until coroutine.status(co) == "dead"
  return unpack(results)
end

case("waits in a coroutine inside, or says that it cannot", function(t)
  local client = t:client()
  local ok, result = resume_to_end(coroutine.create(function()
    return client.models:list()
  end))
  if t.host.nested == "raises" then
    t:equal(false, ok, "whether it waited")
    t:equal(true, result:find("wait") ~= nil, result)
  else
    t:equal(true, ok, "whether it waited")
    t:equal(5, #result.models, "models")
  end
  freddy.assert(client.models:list())
end)

-- --- Running them --------------------------------------------------------

-- PUC Lua 5.1 cannot yield inside pcall. In a host of its own coroutines
-- there a case that raises ends the run.
local function can_yield_in_pcall()
  local co = coroutine.wrap(function()
    return pcall(coroutine.yield, true)
  end)
  return co() == true
end

local function unprotected(fn, ...)
  return true, fn(...)
end

local function protection(host)
  if host.protect then
    return host.protect
  elseif can_yield_in_pcall() then
    return pcall
  end
  return host.start and unprotected or freddy.pcall
end

local function run_one(host, one)
  local t = setmetatable({
    host = host, clients = {}, protect = protection(host),
    start = host.start or freddy.spawn,
  }, trial)
  t.controller = freddy.assert(freddy.new {
    base_url = host.env "EMULATOR_CONTROL", auth = "none",
  })
  t:control { reset = true }
  local ok, message = t.protect(one.fn, t)
  for _, client in ipairs(t.clients) do
    client:close()
  end
  t.controller:close()
  return ok, tostring(message)
end

--- A call where nothing may wait must raise, and say what to do instead. For
--- hosts that must not block, before their loop runs.
---@param host table
---@param advice string a part of the message
---@return table result as those of cases.run
function cases.outside(host, advice)
  local client = freddy.assert(freddy.new {
    base_url = host.env "BASE_URL", api_key = "unused",
  })
  local ok, message = pcall(function() return client.models:list() end)
  client:close()
  return {
    name = "says what to do where nothing can wait",
    ok = not ok and tostring(message):find(advice, 1, true) ~= nil,
    message = "raised " .. tostring(message),
  }
end

--- Run all that there is. Waits, as the host does.
---@param host table
---@return { name: string, ok: boolean, message: string }[] results
function cases.run(host)
  local results = {}
  for _, one in ipairs(list) do
    if not host.only or one.name:find(host.only) then
      local ok, message = run_one(host, one)
      results[#results + 1] = { name = one.name, ok = ok, message = message }
    end
  end
  return results
end

--- Print them, as spec/run counts them.
---@param host table
---@param results table[] of cases.run
---@param write? fun(text: string) gets lines; io.write without it
---@return boolean all_passed
function cases.report(host, results, write)
  write = write or io.write
  local passed = 0
  for _, result in ipairs(results) do
    passed = passed + (result.ok and 1 or 0)
    if not result.ok then
      write(("FAIL  %s: %s: %s\n"):format(host.name, result.name,
        result.message))
    end
  end
  write(("%d passed, %d failed\n"):format(passed, #results - passed))
  return passed == #results
end

return cases
