-- SPDX-License-Identifier: MIT
-- The control listener: GET reads the counters, POST turns the switches.

local books = require "books"
local checks = require "checks"
local credentials = require "credentials"
local errors = require "errors"
local json = require "json"
local limits = require "limits"
local reply = require "reply"
local request = require "request"
local retry_after = require "retry_after"
local script = require "turns.script"
local state = require "state"
local store = require "turns.store"
local tokens = require "tokens"

local control = {}
local integer, number = checks.integer, checks.number
local one_of, is = checks.one_of, checks.is

local function shape(value)
  return type(value) == "string" and errors.has_shape(value)
end

local function headers(value)
  if type(value) ~= "table" then
    return false
  end
  for name, field in pairs(value) do
    if type(name) ~= "string" or type(field) ~= "string" then
      return false
    end
  end
  return true
end

-- Fields of a rule → check of their value.
local FAIL = {
  path = is "string", method = is "string", times = integer(1, 1e9),
  after = integer(1, 1e9), status = integer(200, 599), shape = shape,
  code = is "string", message = is "string", details = is "table",
  headers = headers, body = is "string", close = is "boolean",
  early = is "boolean", lost = is "boolean", cut = is "boolean",
  reset = is "boolean", size = integer(1, 64 * 1024 * 1024),
  seconds = number(0, 1e6), retry_after = retry_after.is_form,
}
local LIMIT = {
  path = is "string", method = is "string", requests = integer(1, 1e9),
  per = number(0.001, 1e6), burst = integer(1, 1e9),
  kind = one_of("window", "bucket"), headers = one_of("A", "B", "both",
    "none"),
  reset = limits.has_reset, retry_after = retry_after.is_form,
  shape = shape, code = is "string", message = is "string",
}
local DELAY = {
  path = is "string", method = is "string", times = integer(1, 1e9),
  after = integer(1, 1e9), ms = integer(0, 600000), hold = is "string",
  late = is "boolean",
}
local ACCEPT = {
  ["x-api-key"] = is "boolean", ["api-key"] = is "boolean",
  bearer = is "boolean", ["bearer-key"] = is "boolean",
}
local MINT = {
  expires_in = number(-1e9, 1e9), scope = is "string", type = is "string",
  keep = is "boolean", session = is "boolean",
  refresh_expires_in = number(-1e9, 1e9),
  sub = function(value) return value == false or type(value) == "string" end,
}

local REVOKE = {
  access = is "boolean", refresh = is "boolean", token = is "string",
  code = is "string",
}

-- What auth endpoints do, and how their answers look.
local AUTH = {
  lifetime = number(0, 1e9), refresh_lifetime = number(0, 1e9),
  rotate = is "boolean", grace = number(0, 1e6), clock = number(-1e9, 1e9),
  strict = is "boolean", two_steps = is "boolean",
  exchange_refresh = is "boolean", code = integer(1000, 9999),
  code_lifetime = number(0, 1e9),
  access_name = one_of("default", "token", "access_token"),
  refresh_name = one_of("default", "refresh_token", "refreshToken", "both",
    "none"),
  refresh_form = one_of("string", "expiry", "expires_at"),
  expires_in = function(value)
    return type(value) == "table" and value.value ~= nil
      or value == "number" or value == "string" or value == "absent"
  end,
  token_type = function(value)
    return value == false or type(value) == "string"
  end,
  jwt = is "boolean", jwt_exp = is "boolean", jwt_iat = is "boolean",
}

local function state_of(kind)
  return { state = function(value)
    return type(value) == "string" and credentials.has_state(kind, value)
  end }
end

-- One rule or a list of them.
local function rules_of(value)
  if type(value) == "table" and value[1] ~= nil then
    return value
  end
  return { value }
end

local function check_rules(fields, needs)
  return function(value)
    for _, rule in ipairs(rules_of(value)) do
      local wrong = checks.wrong(rule, fields)
      if wrong then
        return wrong
      end
      local has = false
      for _, name in ipairs(needs) do
        has = has or rule[name] ~= nil
      end
      if not has then
        return "needs " .. table.concat(needs, " or ")
      elseif rule.body and not rule.status then
        return "needs status"
      end
    end
  end
end

local function checker(fields)
  return function(value)
    return checks.wrong(value, fields)
  end
end

local function merge(name)
  return function(switches, value)
    for key, field in pairs(value) do
      switches[name][key] = field
    end
  end
end

local function check_limits(value)
  return value ~= false and check_rules(LIMIT, { "requests" })(value) or nil
end

-- They replace the former ones: numbers of old ones are never used again.
local function set_limits(switches, value)
  local list = value and rules_of(value) or {}
  for _, limit in ipairs(list) do
    state.arm(limit)
    limit.per = limit.per or 60
  end
  switches.limit = list
end

local function append(name)
  return function(switches, value)
    for _, rule in ipairs(rules_of(value)) do
      state.arm(rule)
      table.insert(switches[name], rule)
    end
  end
end

local function shut_gates(value)
  for _, gate in ipairs(script.gates(value)) do
    state.shut(gate)
  end
end

-- Every switch: what is wrong with a value, and how it is set.
local SWITCHES = {
  auth = { check = checker(AUTH), set = merge "auth" },
  accept = { check = checker(ACCEPT), set = merge "accept" },
  key = { check = checker(state_of "key"), set = merge "key" },
  token = { check = checker(state_of "token"), set = merge "token" },
  fail = {
    check = check_rules(FAIL, { "status", "close", "lost", "cut", "reset",
      "size" }),
    set = append "fail",
  },
  delay = {
    check = check_rules(DELAY, { "ms", "hold" }), set = append "delay",
  },
  limit = { check = check_limits, set = set_limits },
  spending = {
    check = function(value)
      return not limits.has_spending(value) and "is none" or nil
    end,
    set = function(switches, value) switches.spending = value end,
  },
  recent = {
    check = function(value)
      return not integer(1, 8192)(value) and "is out of bounds" or nil
    end,
    set = function(switches, value) switches.recent = value end,
  },
  responses = {
    check = script.wrong,
    set = function(switches, value)
      shut_gates(value)
      merge "responses" (switches, value)
    end,
  },
  respond = {
    check = function(value)
      for _, rule in ipairs(rules_of(value)) do
        local wrong = script.wrong_rule(rule)
        if wrong then
          return wrong
        end
      end
    end,
    set = function(switches, value)
      for _, rule in ipairs(rules_of(value)) do
        shut_gates(rule)
      end
      append "respond" (switches, value)
    end,
  },
  headers = {
    check = function(value)
      return not headers(value) and "is no object of strings" or nil
    end,
    set = function(switches, value) switches.headers = value end,
  },
  shape = {
    check = function(value) return not shape(value) and "is none" or nil end,
    set = function(switches, value) switches.shape = value end,
  },
}

-- What does something once, and what it needs.
local ACTIONS = {
  reset = function(value)
    return value ~= true and "is not true" or nil
  end,
  mint = checker(MINT),
  revoke = checker(REVOKE),
  release = function(value)
    return type(value) ~= "string" and "is no name" or nil
  end,
}

local function wrong_of(body)
  for name, value in pairs(body) do
    local switch = SWITCHES[name]
    local check = switch and switch.check or ACTIONS[name]
    local wrong = "is not known"
    if check then
      wrong = check(value)
    end
    if wrong then
      return name .. " " .. wrong
    end
  end
end

local function mint(options, answer)
  if options.session then
    answer.refresh_token, answer.refresh_expires_at =
      tokens.refresh(options.refresh_expires_in)
  end
  answer.token, answer.expires_at = tokens.access(options)
end

local function revoke(options)
  if options.token then
    tokens.revoke(options.token, options.code)
  end
  for _, kind in ipairs { "access", "refresh" } do
    if options[kind] then
      tokens.revoke_all(kind, options.code or "TOKEN_INVALID")
    end
  end
end

local function post()
  local body = request.json()
  local wrong = not body and "the body is not a JSON object" or wrong_of(body)
  if wrong then
    return reply.json(400, { ok = false, error = wrong })
  end
  local answer = { ok = true }
  if body.reset then
    state.reset()
  end
  state.change(function(switches)
    for name, value in pairs(body) do
      if SWITCHES[name] then
        SWITCHES[name].set(switches, value)
      end
    end
  end)
  if body.release then
    state.release(body.release)
  end
  if body.revoke then
    revoke(body.revoke)
  end
  if body.mint then
    mint(body.mint, answer)
  end
  reply.json(200, answer)
end

-- nginx counts connections of all listeners, ours included: each of ours
-- carries one request, and the one that asks is open.
local function connections()
  local text = ngx.location.capture("/stub_status").body
  local active, accepted = text:match "connections: (%d+).-(%d+)"
  return {
    accepted = tonumber(accepted) - ngx.shared.emulator:get "asked",
    open = tonumber(active) - 1,
  }
end

-- A copy, in which the lists of rules are arrays even when empty.
local function switches()
  local copy = {}
  for name, value in pairs(state.switches()) do
    copy[name] = value
  end
  for _, name in ipairs { "fail", "delay", "limit", "respond" } do
    copy[name] = json.array(copy[name])
  end
  return copy
end

local function get()
  local counters = state.counters()
  local recent = state.recent()
  local all = connections()
  all.used = counters.connections or {}
  reply.json(200, {
    endpoints = counters.endpoints or {}, connections = all,
    auth = books.read(), responses = store.log(),
    switches = switches(), recent = json.array(recent),
    last = recent[#recent] or json.null,
  })
end

--- Answer a request on the control listener.
function control.run()
  ngx.shared.emulator:incr("asked", 1, 0)
  ngx.req.read_body()
  local method = ngx.req.get_method()
  if request.target() ~= "/control" then
    reply.json(404, { ok = false, error = "only /control is here" })
  elseif method == "GET" then
    get()
  elseif method == "POST" then
    post()
  else
    reply.json(405, { ok = false, error = "GET and POST only" })
  end
end

return control
