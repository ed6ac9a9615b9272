-- SPDX-License-Identifier: MIT
--- A session that many workers or machines share, in a store that is written
--- in Lua. Each of them asks the store when its token has to be renewed; one
--- renews it, by a client of its own for that, and the others adopt what it
--- saved. To the engine such a session is a token_provider.
---
--- A store is a table of functions. They may wait, each is called as a method,
--- and each may answer nil, message when it cannot be reached.
---
---   load()       the text that was saved, or false when there is none
---   claim(ttl)   "go", a mark: nobody else renews for `ttl` seconds; or
---                "wait", seconds: somebody does, look again after that
---   save(text)   keep it. The text holds tokens: it is as secret as they are
---   release(mark) let the claim go, if it is still that one
local core = require "freddy.core"
local errors = require "freddy.errors"
local task = require "freddy.task"

local shared_session = {}

local CLAIM = 30   -- seconds after which a claim runs out by itself
local PATIENCE = 60
local MARGIN = 10  -- seconds that a token to be adopted has left at least

--- Whether `value` can be a store of this kind.
---@param value any
---@return boolean
function shared_session.is_store(value)
  if type(value) ~= "table" then
    return false
  end
  for _, name in ipairs { "load", "claim", "save", "release" } do
    if type(value[name]) ~= "function" then
      return false
    end
  end
  return true
end

-- What the client was made with: its token ages from then on.
local function seed(given)
  return {
    access_token = given.token, refresh_token = given.refresh_token,
    expires_at = given.token and given.expires_in
      and os.time() + given.expires_in,
  }
end

-- The store cannot be reached: go on alone, and say so once.
local function lose(self, why)
  if not self.lost then
    self.lost = true
    task.report(errors.new("auth", { reason = "store_failed",
      message = "the store cannot be reached (" .. tostring(why)
        .. "): this process goes on alone" }))
  end
end

-- What the store has; what this process has, or was made with, when it has
-- nothing or cannot be reached.
local function load(self)
  local text, why = self.store:load()
  local record = text and core.json_decode(text)
  if text == nil then
    lose(self, why)
  else
    self.lost = false
  end
  return type(record) == "table" and record or self.own or self.seed
end

local function seconds_left(record)
  return record.expires_at and record.expires_at - os.time()
end

-- Whether the record's token is another than the one that was of no use.
local function is_news(self, why, record)
  local left = seconds_left(record)
  return type(record.access_token) == "string"
    and (why == "first" or record.access_token ~= self.last)
    and (not left or left > MARGIN)
end

local function hand_out(self, record)
  self.last = record.access_token
  return { access_token = record.access_token,
    expires_in = seconds_left(record) }
end

local function over()
  return nil, errors.new("auth", { reason = "session_expired" })
end

-- Renew by a client that knows this session and nothing else.
local function renew(self, record)
  local given, got = {}, nil
  for name, value in pairs(self.given) do
    given[name] = value
  end
  given.token, given.expires_in, given.keep_warm = nil, nil, nil
  given.store, given.on_retry = nil, nil
  given.refresh_token = record.refresh_token
  given.on_token = function(tokens)
    got = tokens or got
  end
  local client, err = self.make(given)
  if not client then
    return nil, err
  end
  client.is_renewing = true
  local ok
  ok, err = client.auth:refresh()
  client:close()
  if not ok then
    return nil, err
  elseif not got then
    return nil, errors.new("auth", { reason = "refresh_failed" })
  end
  return { access_token = got.access_token, expires_at = got.expires_at,
    refresh_token = got.refresh_token or record.refresh_token }
end

local function save(self, record)
  self.own = record
  local ok, why = self.store:save(assert(core.json_encode(record)))
  if not ok then
    lose(self, why)
  end
end

-- With the claim in hand: somebody may have been faster all the same.
local function renew_claimed(self, why)
  local record = load(self)
  if record.over then
    return over()
  elseif is_news(self, why, record) then
    return hand_out(self, record)
  end
  local new, err = renew(self, record)
  if new then
    save(self, new)
    return hand_out(self, new)
  elseif errors.is_error(err) and err.reason == "session_expired" then
    save(self, { over = true })
  end
  return nil, err
end

local function provide(self, why)
  local deadline = core.now() + PATIENCE
  repeat
    local record = load(self)
    if record.over then
      return over()
    elseif is_news(self, why, record) then
      return hand_out(self, record)
    end
    local answer, detail = self.store:claim(CLAIM)
    if answer ~= "wait" then
      if answer ~= "go" then
        lose(self, detail)
      end
      local ok, tokens, problem = task.pcall(renew_claimed, self, why)
      if answer == "go" then
        self.store:release(detail)
      end
      if not ok then
        error(tokens, 0)
      end
      return tokens, problem
    end
    task.sleep(detail)
  until core.now() > deadline
  return nil, "another worker has claimed the renewal, and does not end it"
end

--- The options of freddy.new as they are for the engine: with a token_provider
--- that asks the store.
---@param given table with a Lua store
---@param make fun(given: table): freddy.Client?, freddy.Error? freddy.new
---@return table
function shared_session.adapt(given, make)
  local self = { store = given.store, given = given, make = make,
    seed = seed(given) }
  local out = {}
  for name, value in pairs(given) do
    out[name] = value
  end
  out.api_key, out.auth, out.token, out.refresh_token = nil, nil, nil, nil
  out.expires_in, out.store = nil, nil
  function out.token_provider(why)
    return provide(self, why)
  end
  return out
end

return shared_session
