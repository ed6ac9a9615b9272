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
  if not (given.api_key or given.token or given.auth) then
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
