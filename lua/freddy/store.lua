-- SPDX-License-Identifier: MIT
--- Stores for the sessions and the rate plans that nginx workers, or machines,
--- share. See shared_session.lua and shared_plan.lua for what a store is.
local bucket = require "freddy.bucket"
local core = require "freddy.core"
local misuse = require "freddy.misuse"

local store = {}

local LOOK = 0.05 -- seconds until a claimed session is looked at again
local SURE = 1 -- seconds that a claim has left at least when it is deleted
local DEFAULT_KEY = "freddy"
local TURN = 0.5 -- seconds that a turn at the bucket lasts at most
local PATIENCE = 0.9 -- with those whose turn it is

--- A shared dict that keeps a session for all workers of an nginx. It survives
--- a reload, and its values can be read by whatever runs in this nginx.
---@class freddy.SharedDict
local Dict = { __name = "freddy.store.shared_dict" }
Dict.__index = Dict

local function answer(value, why)
  if value == nil and why then
    return nil, why
  end
  return value or false
end

function Dict:load()
  return answer(self.dict:get(self.key))
end

function Dict:claim(ttl)
  local mark = ("%s %.3f"):format(core.random(16), core.now() + ttl)
  local ok, why = self.dict:add(self.key .. ":claim", mark, ttl)
  if ok then
    return "go", mark
  elseif why == "exists" then
    return "wait", LOOK
  end
  return nil, why
end

function Dict:save(text)
  local ok, why, forced = self.dict:set(self.key, text)
  if ok and forced then
    return nil, "the shared dict is too small: it dropped other values"
  end
  return ok, why
end

-- A dict has no way to look and to delete at once. Between the two a claim may
-- run out and become another's: so one that is about to is left to do so.
function Dict:release(mark)
  local ends_at = tonumber(mark:match " ([%d.]+)$")
  if self.dict:get(self.key .. ":claim") == mark
      and core.now() + SURE < ends_at then
    self.dict:delete(self.key .. ":claim")
  end
end

-- Between two calls of a dict another process may have its turn. What is done
-- in one takes some microseconds.
local function have_turn(self)
  local limit = core.now() + PATIENCE
  local mark, turn = core.random(16), self.key .. ":turn"
  repeat
    for _ = 1, 50 do
      local ok, why = self.dict:add(turn, mark, TURN)
      if ok then
        return mark
      elseif why ~= "exists" then
        return nil, why
      end
    end
    rawget(_G, "ngx").sleep(0.001)
  until core.now() > limit
  return nil, "the shared dict is busy"
end

-- The mark: whoever was stopped in its turn, for longer than that lasts, must
-- not write what is old by now.
local function take_turn(self, mark, plan, count)
  local key, turn = self.key .. ":plan", self.key .. ":turn"
  local old, why = self.dict:get(key)
  if old == nil and why then
    return nil, why
  end
  local state, permits = bucket.take(old, plan, count, core.now())
  if self.dict:get(turn) ~= mark then
    return { granted = 0, wait = 0 }
  end
  local ok, problem, forced = self.dict:set(key, state, bucket.KEEP)
  self.dict:delete(turn)
  if not ok or forced then
    return nil, problem
      or "the shared dict is too small: it dropped other values"
  end
  return permits
end

function Dict:take(plan, count)
  local mark, why = have_turn(self)
  if not mark then
    return nil, why
  end
  return take_turn(self, mark, plan, count)
end

function Dict:__tostring()
  return ("freddy.store.shared_dict: %s, %s"):format(self.name, self.key)
end

--- A `lua_shared_dict` of this nginx, for the option `store` of freddy.new.
--- Raises when there is none of that name.
---@param name string
---@param key? string default "freddy"; one for each session in it
---@return freddy.SharedDict
function store.shared_dict(name, key)
  local ngx = rawget(_G, "ngx")
  local dict = type(ngx) == "table" and ngx.shared and ngx.shared[name]
  if type(name) ~= "string" then
    misuse.raise("freddy.store.shared_dict: a name expected (got %s)",
      misuse.type_of(name))
  elseif key ~= nil and type(key) ~= "string" then
    misuse.raise("freddy.store.shared_dict: the key must be a string (got %s)",
      misuse.type_of(key))
  elseif not dict then
    misuse.raise("freddy.store.shared_dict: nginx has no `lua_shared_dict %s`",
      name)
  end
  return setmetatable({ dict = dict, name = name, key = key or DEFAULT_KEY },
    Dict)
end

-- --- Redis ---------------------------------------------------------------

--- A key of a Redis server, for workers on many machines.
---@class freddy.Redis
local Redis = { __name = "freddy.store.redis" }
Redis.__index = Redis

local RELEASE = 'if redis.call("get", KEYS[1]) == ARGV[1] then '
  .. 'return redis.call("del", KEYS[1]) end return 0'

-- Debian gives it a name of its own.
local function find_redis()
  local ok, redis = pcall(require, "resty.redis")
  if not ok then
    ok, redis = pcall(require, "nginx.redis")
  end
  if not ok then
    misuse.raise("freddy.store.redis: lua-resty-redis is not installed "
      .. "(Debian: lua-nginx-redis)")
  end
  return redis
end

-- Call `fn` with a connection. What it returns, or nil and why.
local function with_redis(self, fn)
  local client, problem = self.redis:new()
  if not client then
    return nil, problem or "no connection is to be had"
  end
  client:set_timeout(self.timeout * 1000)
  local ok, why = client:connect(self.host, self.port)
  -- Where it does not know whether it is a new one, to log in does no harm.
  if ok and self.password and (client:get_reused_times() or 0) == 0 then
    ok, why = client:auth(self.password)
  end
  if not ok then
    return nil, why
  end
  local value
  value, why = fn(client)
  if value == nil then
    client:close()
    return nil, why or "redis gave no answer"
  end
  client:set_keepalive(60000, 8)
  local ngx = rawget(_G, "ngx")
  return not (ngx and value == ngx.null) and value
end

function Redis:load()
  return with_redis(self, function(client)
    return client:get(self.key)
  end)
end

function Redis:claim(ttl)
  local mark = core.random(16)
  local ok, why = with_redis(self, function(client)
    return client:set(self.key .. ":claim", mark, "NX", "PX",
      ("%d"):format(math.ceil(ttl * 1000)))
  end)
  if ok then
    return "go", mark
  elseif ok == false then
    return "wait", LOOK
  end
  return nil, why
end

function Redis:save(text)
  return with_redis(self, function(client)
    return client:set(self.key, text)
  end)
end

function Redis:release(mark)
  with_redis(self, function(client)
    return client:eval(RELEASE, 1, self.key .. ":claim", mark)
  end)
end

function Redis:take(plan, count)
  local text, why = with_redis(self, function(client)
    return client:eval(bucket.redis, 1, self.key .. ":plan", plan.per_minute,
      plan.burst or plan.per_minute, plan.per_day or 0, count)
  end)
  if not text then
    return nil, why
  end
  return bucket.read(text) or nil, "redis gave another answer"
end

function Redis:__tostring()
  return ("freddy.store.redis: %s:%d, %s"):format(self.host, self.port,
    self.key)
end

local REDIS = { host = "string", port = "number", key = "string",
  password = "string", timeout = "number" }

--- A Redis server, for the option `store` of freddy.new, inside nginx. Needs
--- lua-resty-redis (Debian: lua-nginx-redis). Raises on misuse; asks nobody.
---@param given { host: string?, port: integer?, key: string?,
---  password: string?, timeout: number? } default 127.0.0.1, 6379, "freddy",
---  none, 1 second
---@return freddy.Redis
function store.redis(given)
  given = given or {}
  if type(given) ~= "table" then
    misuse.raise("freddy.store.redis: a table expected (got %s)",
      misuse.type_of(given))
  end
  for name, value in pairs(given) do
    if not REDIS[name] then
      misuse.raise("freddy.store.redis: unknown option %q%s", tostring(name),
        misuse.suggest(name, REDIS))
    elseif type(value) ~= REDIS[name] then
      misuse.raise("freddy.store.redis: option %q must be a %s (got %s)",
        name, REDIS[name], misuse.type_of(value))
    end
  end
  return setmetatable({ redis = find_redis(),
    host = given.host or "127.0.0.1",
    port = given.port or 6379, key = given.key or DEFAULT_KEY,
    password = given.password, timeout = given.timeout or 1 }, Redis)
end

-- --- One's own -----------------------------------------------------------

--- Take permits for a rate plan out of a bucket: what `take` of a store of
--- one's own does, between reading the state and writing it, while nobody else
--- may do the same. Pure; never waits. Raises on misuse.
---@param state string|false|nil what it returned last; false or nil: nothing
---  yet. It says nothing to anybody who waited 26 hours, and may be forgotten
---@param plan freddy.Plan as `take` got it
---@param count integer as `take` got it
---@param now number seconds, by one clock for all who share the state
---@return string state to be kept
---@return freddy.Permits permits what `take` is to return
function store.take(state, plan, count, now)
  if state and type(state) ~= "string" then
    misuse.raise("freddy.store.take: the state must be a string (got %s)",
      misuse.type_of(state))
  elseif type(plan) ~= "table" or type(plan.per_minute) ~= "number" then
    misuse.raise("freddy.store.take: a plan expected (got %s)",
      misuse.type_of(plan))
  elseif type(count) ~= "number" or type(now) ~= "number" then
    misuse.raise("freddy.store.take: a count and a time expected (got %s, %s)",
      misuse.type_of(count), misuse.type_of(now))
  end
  return bucket.take(state, plan, count, now)
end

return store
