-- SPDX-License-Identifier: MIT
--- Stores for sessions that nginx workers share. See shared_session.lua for
--- what a store is.
local core = require "freddy.core"
local misuse = require "freddy.misuse"

local store = {}

local LOOK = 0.05 -- seconds until a claimed session is looked at again
local DEFAULT_KEY = "freddy"

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
  local mark = core.random(16)
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

function Dict:release(mark)
  if self.dict:get(self.key .. ":claim") == mark then
    self.dict:delete(self.key .. ":claim")
  end
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

return store
