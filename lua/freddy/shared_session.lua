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
---
--- One that raises has not been reached either (reach.lua). What else a store
--- may have is in shared_plan.lua.
---
--- What is saved is a record: access_token, refresh_token, expires_at and
--- `from`, the refresh token that the session began with. One whose session is
--- over has `over`, `logged_out` when somebody did so, and `refused`: refresh
--- tokens that are good for nothing any more. A client that was made with
--- another one may try that.
local core = require "freddy.core"
local errors = require "freddy.errors"
local misuse = require "freddy.misuse"
local reach = require "freddy.reach"
local task = require "freddy.task"

local shared_session = {}

local call = reach.call

local AUTH_TIMEOUT = 30 -- of a refresh, where timeout.auth says nothing
local SPARE = 10       -- seconds that the store may take around a refresh
local LOOK = 0.05      -- where a store does not say how long to wait
local MARGIN = 10  -- seconds that a token to be adopted has left at least
local LOGOUT_PATIENCE = 5 -- with a renewal that is under way
local MAX_REFUSED = 16 -- how many are remembered

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

-- Whether this client has a session of its own to try where that of the store
-- is over: it was given one that is not known to be dead, and has not joined
-- the one of the store.
local function has_another(self, record)
  local mine = self.seed and self.seed.refresh_token
  for _, token in ipairs(mine and record.refused or {}) do
    if token == mine then
      return false
    end
  end
  return mine ~= nil
end

-- What the store has; what this process has, or was made with, when it has
-- nothing or cannot be reached. And the tokens that were refused before.
local function load(self)
  local text = call(self.reach, "load")
  local record = type(text) == "string" and core.json_decode(text)
  if type(record) ~= "table" then
    record = self.own or self.seed or {}
  end
  if type(record.refused) ~= "table" then
    record.refused = nil
  end
  if record.over and has_another(self, record) then
    return self.seed, record.refused
  end
  return record, record.refused
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
  self.last, self.own = record.access_token, record
  if record ~= self.seed then
    self.seed = nil -- it has joined the session of the store
  end
  return { access_token = record.access_token,
    expires_in = seconds_left(record) }
end

-- Whoever has logged out has done so for all.
local function over(self, record)
  self.own, self.seed = record, nil
  if record.logged_out then
    self.core:forget()
    return nil, errors.new("missing_credentials")
  end
  return nil, errors.new("auth", { reason = "session_expired" })
end

-- A record without a session. Not in it: what was refused long ago.
local function ended(record, refused, logged_out)
  local list, known = {}, {}
  local function note(token)
    if token and not known[token] and #list < MAX_REFUSED then
      known[token], list[#list + 1] = true, token
    end
  end
  note(record.refresh_token)
  note(record.from)
  for _, token in ipairs(refused or {}) do
    note(token)
  end
  return { over = true, logged_out = logged_out, refused = list }
end

-- A client for the session of `record` alone; more options in `more`.
local function make_alone(self, record, more)
  local given = {}
  for name, value in pairs(self.given) do
    given[name] = value
  end
  given.token, given.expires_in, given.keep_warm = nil, nil, nil
  given.store, given.on_retry, given.on_token = nil, nil, nil
  given.refresh_token = record.refresh_token
  given.auth = given.auth ~= "none" and given.auth or nil
  for name, value in pairs(more) do
    given[name] = value
  end
  local client, err = self.make(given)
  if client then
    client.is_renewing = true
  end
  return client, err
end

local function renew(self, record)
  if not record.refresh_token then
    return nil, errors.new("auth", { reason = "no_session" })
  end
  local got
  local client, err = make_alone(self, record, {
    on_token = function(tokens) got = tokens or got end,
  })
  if not client then
    return nil, err
  end
  client.auth.timeout = self.takes
  local ok
  ok, err = client.auth:refresh()
  client:close()
  if not ok then
    return nil, err
  elseif not got then
    return nil, errors.new("auth", { reason = "refresh_failed" })
  end
  return { access_token = got.access_token, expires_at = got.expires_at,
    refresh_token = got.refresh_token or record.refresh_token,
    from = record.from or record.refresh_token }
end

local function save(self, record)
  self.own = record
  return call(self.reach, "save", assert(core.json_encode(record)))
end

-- With the claim in hand: somebody may have been faster all the same.
local function renew_claimed(self, why)
  local record, refused = load(self)
  if record.over then
    return over(self, record)
  elseif is_news(self, why, record) then
    return hand_out(self, record)
  end
  local new, err = renew(self, record)
  if new then
    local now = load(self) -- a logout does not wait for ever
    if now.over and now.logged_out then
      return over(self, now)
    end
    save(self, new)
    return hand_out(self, new)
  elseif errors.is_error(err) and err.reason == "session_expired" then
    self.seed = nil
    save(self, ended(record, refused))
  end
  return nil, err
end

-- The claim: "go" and its mark; "wait" when somebody still had it after
-- `patience` seconds; nil when the store cannot be reached. `look`, where
-- given, is asked before each try, and ends it by what it returns.
local function claim(self, patience, look)
  local deadline = core.now() + patience
  repeat
    local found = look and look()
    if found then
      return "found", found
    end
    local answer, detail = call(self.reach, "claim", self.claim)
    if answer ~= "wait" then
      return answer == "go" and answer or nil, detail
    end
    task.sleep(type(detail) == "number" and detail > 0 and detail or LOOK)
  until core.now() > deadline
  return "wait"
end

local function provide(self, why)
  local answer, detail = claim(self, self.claim + SPARE, function()
    local record = load(self)
    return (record.over or is_news(self, why, record)) and record
  end)
  if answer == "found" and detail.over then
    return over(self, detail)
  elseif answer == "found" then
    return hand_out(self, detail)
  elseif answer == "wait" then
    return nil, "another worker has claimed the renewal, and does not end it"
  end
  local ok, tokens, problem = task.pcall(renew_claimed, self, why)
  if answer == "go" then
    call(self.reach, "release", detail)
  end
  if not ok then
    error(tokens, 0)
  end
  return tokens, problem
end

-- --- Logging out ---------------------------------------------------------

-- The server is told by a client that has the store's tokens, of which the
-- refresh token may be newer than any that this process has seen.
local function tell_server(self, record)
  local left = seconds_left(record)
  local client, err = make_alone(self, record, {
    token = record.access_token,
    expires_in = record.access_token and left and left > 0 and left or nil,
  })
  if not client then
    return nil, err
  end
  local ok
  ok, err = client.auth:logout()
  client:close()
  return ok, err
end

local function end_claimed(self)
  local record, refused = load(self)
  local ok, err = true, nil
  if not record.over and (record.access_token or record.refresh_token) then
    ok, err = tell_server(self, record)
  end
  local saved, why = save(self, ended(record, refused, true))
  self.seed = nil
  if ok and saved == nil then
    return nil, errors.new("auth", { reason = "store_failed",
      message = "logged out, but the store still has the session: "
        .. task.redact(misuse.text_of(why)) })
  end
  return ok, err
end

--- End the session: at the server, and for all that share the store. Those
--- that wait for a token, or need one next, get `missing_credentials`. What
--- this client has is for the caller to forget.
---@param self table what `adapt` made
---@return boolean? ok
---@return freddy.Error? err what could not be told or kept
function shared_session.logout(self)
  local answer, mark = claim(self, LOGOUT_PATIENCE)
  local ok, done, err = task.pcall(end_claimed, self)
  if answer == "go" then
    call(self.reach, "release", mark)
  end
  if not ok then
    error(done, 0)
  end
  return done, err
end

--- The options of freddy.new as they are for the engine: with a token_provider
--- that asks the store.
---@param given table with a Lua store
---@param make fun(given: table): freddy.Client?, freddy.Error? freddy.new
---@return table options
---@return table self whose `core` is to be set to that of the client
function shared_session.adapt(given, make)
  local timeout = type(given.timeout) == "table" and given.timeout.auth
  local takes = 2 * (timeout or AUTH_TIMEOUT) + 1 -- with its own repeat
  local self = { reach = reach.new(given.store), given = given, make = make,
    seed = seed(given), takes = takes, claim = takes + SPARE }
  local out = {}
  for name, value in pairs(given) do
    out[name] = value
  end
  out.api_key, out.auth, out.token, out.refresh_token = nil, nil, nil, nil
  out.expires_in, out.store = nil, nil
  function out.token_provider(why)
    return provide(self, why)
  end
  return out, self
end

return shared_session
