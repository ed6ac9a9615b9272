-- SPDX-License-Identifier: MIT
--- The functions that a client's session calls: on_token, token_provider.
--- Each call of one is a task of its own, which may wait. And what its store
--- could not keep; and the store that it shares its plan by.
local errors = require "freddy.errors"
local misuse = require "freddy.misuse"
local scheduler = require "freddy.scheduler"
local shared_plan = require "freddy.shared_plan"
local task = require "freddy.task"

local listener = {}

-- Clients that have one, for those who wait for all (freddy.run).
local clients = setmetatable({}, { __mode = "k" })

--- What on_token gets.
---@class freddy.Tokens
---@field access_token string
---@field refresh_token? string
---@field expires_in? number seconds; nil when it is not known
---@field expires_at? number as os.time counts, by this machine's clock
---@field cause "exchange"|"verify"|"login"|"refresh"|"provider"

-- --- token_provider ------------------------------------------------------

local function complaint(tokens, problem)
  if tokens == nil then
    return problem == nil and "token_provider returned nothing"
      or "token_provider returned nil, " .. misuse.text_of(problem)
  elseif type(tokens) ~= "table" then
    return "token_provider returned " .. misuse.type_of(tokens)
  elseif type(tokens.access_token) ~= "string" then
    return "token_provider returned no access_token"
  elseif tokens.refresh_token ~= nil
      and type(tokens.refresh_token) ~= "string" then
    return "token_provider returned a refresh_token that is no string"
  end
  local left = tokens.expires_in
  if left ~= nil and (type(left) ~= "number" or left ~= left
      or left <= 0 or left == math.huge) then
    return "token_provider returned an expires_in that is no number above 0"
  end
end

local function provided(self)
  local hook, results = self.hook, self.results
  local tokens, failure
  self.seen = true -- who asked for the token hears of a failure
  if results then
    tokens = results[1]
    failure = complaint(tokens, results[2])
  else
    failure = "token_provider raised: " .. misuse.text_of(self.cause
      or self.err)
  end
  if failure then
    hook.call:answer_token(hook.question, nil, hook.redact(failure))
  else
    hook.call:answer_token(hook.question, tokens)
  end
end

-- --- on_token ------------------------------------------------------------

local function told(self)
  self.hook.call:answer_token(self.hook.question)
end

-- --- Events --------------------------------------------------------------

local function on_event(entry, event, question, what)
  local client = entry.client
  if event == "not_kept" then
    local err = errors.from_core(question)
    err.message = client.redact(err.message)
    return task.report(err)
  elseif event == "need_permits" then
    return shared_plan.ask(client.plan, entry.call, question, what)
  end
  local hook = { call = entry.call, question = question,
    redact = client.redact }
  if event == "token" then
    task.hook(client.on_token, told, hook, what)
  else
    hook.asked = client
    task.hook(client.token_provider, provided, hook, what)
  end
end

--- Raise, at the caller's line, when the running task is (a part of) the
--- client's token_provider: it would wait for the token that it is to give.
---@param who string the function that would wait
---@param client freddy.Client
function listener.check_waits(who, client)
  local running = scheduler.current()
  if running and running.asked == client
      and client.core:credential() == "provider" then
    misuse.raise("%s: a token_provider cannot wait for a token of its own "
      .. "client: use another one, or auth = false", who)
  end
end

-- --- The end of the state ------------------------------------------------

-- Finalizers run in the reverse order of their objects' creation: one that is
-- made after the listener runs while all that it needs is there. Only the end
-- of the state collects it. newproxy: tables have no __gc on 5.1 and LuaJIT.
local newproxy = rawget(_G, "newproxy")
local sentinel

local function at_end(self)
  if self == sentinel then
    pcall(listener.settle_all, scheduler.block)
  end
end

local function set_sentinel()
  if newproxy then
    sentinel = newproxy(true)
    getmetatable(sentinel).__gc = at_end
  else
    sentinel = setmetatable({}, { __gc = at_end })
  end
end

--- Listen, where the client has something to hear and does not yet do so.
--- Starts nothing, never waits.
---@param client freddy.Client
---@return boolean? ok
---@return freddy.Error? err
function listener.ensure(client)
  local old = client.listening
  if old and not old.done
      or not (client.on_token or client.token_provider or client.store
        or client.plan) then
    return true
  end
  local box, err = scheduler.inbox()
  if not box then
    return nil, err
  end
  local id = scheduler.next_id()
  local entry = { client = client, on_event = on_event, background = true,
    on_done = function() end }
  entry.call, err = client.core:listen(box, id, client.on_token ~= nil,
    client.token_provider ~= nil, client.store ~= nil, client.plan ~= nil)
  if not entry.call then
    return nil, errors.from_core(err)
  end
  scheduler.add(id, entry)
  client.listening, clients[client] = entry, true
  set_sentinel()
  return true
end

-- --- Waiting until all is told -------------------------------------------

--- Wait for the client's session. Only after scheduler.may_wait.
---@param client freddy.Client
---@param how "now"|"settle"|"forget" now: have a new token; settle: until no
---  renewal is under way, its tokens were told, and those of a login are kept;
---  forget: log out here, and until the store has forgotten, too
---@param timeout number seconds
---@param wait? fun(entry: table, seconds: number): boolean? instead of
---  scheduler.await; true when it gave up
---@return boolean? ok
---@return freddy.Error? err
function listener.renew(client, how, timeout, wait)
  local box, err = scheduler.inbox()
  if not box then
    return nil, err
  end
  local id, entry = scheduler.next_id(), {}
  entry.call, err = client.core:renew(box, id, how, timeout)
  if not entry.call then
    return nil, errors.from_core(err)
  end
  scheduler.add(id, entry)
  local cancelled = (wait or scheduler.await)(entry, timeout)
  local ok
  if entry.forked then
    return nil, errors.new("forked")
  elseif not cancelled then
    ok, err = entry.call:result()
  end
  if cancelled then
    scheduler.drop(entry)
    return nil, errors.new("cancelled", {
      message = "the task was cancelled",
    })
  end
  entry.call:free()
  return ok and true, err and errors.from_core(err)
end

--- Whether tokens are being had that on_token is to be told of.
---@param client freddy.Client
---@return boolean
function listener.is_busy(client)
  if not client.on_token then
    return false
  end
  local status = client.core:status()
  return status ~= nil and status.refreshing
end

-- Or kept: a failure is to be heard of.
local function is_saving(client)
  local status = client.store and client.core:status()
  return status and status.saving
end

--- Wait for all clients of this state whose on_token is still to be told, or
--- whose store is to get something, for as long as their exit_wait allows.
---@param wait? fun(entry: table, seconds: number): boolean? instead of
---  scheduler.await; true when it gave up
---@return boolean waited
function listener.settle_all(wait)
  local waited = false
  local busy = {}
  -- Not by pairs: at the end of its state LuaJIT 2.1.0-beta3 never leaves such
  -- a loop once it has compiled it.
  local client = next(clients)
  while client do
    if client.exit_wait > 0
        and (listener.is_busy(client) or is_saving(client)) then
      busy[#busy + 1] = client
    end
    client = next(clients, client)
  end
  for i = 1, #busy do
    waited = true
    listener.renew(busy[i], "settle", busy[i].exit_wait, wait)
  end
  return waited
end

-- Whether some client with a listener is in the state that `test` asks for.
-- Not by pairs, as above.
local function any(test)
  local client = next(clients)
  while client do
    if test(client) then
      return true
    end
    client = next(clients, client)
  end
  return false
end

function scheduler.renewing()
  return any(function(client)
    local status = client.core:status()
    return status ~= nil and status.refreshing
  end)
end

function scheduler.keeps_warm()
  return any(function(client)
    return client.keep_warm and not client.listening.done
  end)
end

task.settle_all = listener.settle_all

return listener
