-- SPDX-License-Identifier: MIT
-- What all workers share: the switches, and the counters.

local json = require "json"

local state = {}

local dict = ngx.shared.emulator
local RECENT = 32  -- requests that the control endpoint remembers by itself

local function defaults()
  return {
    accept = {
      ["x-api-key"] = true, ["api-key"] = true,
      bearer = true, ["bearer-key"] = true,
    },
    key = { state = "ok" },
    token = { state = "ok" },
    shape = "E2",
    headers = {},
    fail = {},
    delay = {},
    limit = {},
    spending = false,
    recent = RECENT,
    responses = {},
    respond = {},
    auth = {
      lifetime = 3600, refresh_lifetime = 30 * 86400, rotate = true,
      grace = 0, clock = 0, strict = true, two_steps = true,
      exchange_refresh = true, code = 4821, code_lifetime = 300,
      access_name = "default", refresh_name = "default",
      refresh_form = "string", expires_in = "number", token_type = "bearer",
      jwt = true, jwt_exp = true, jwt_iat = true,
    },
  }
end

local cached, cached_version = defaults(), 0

--- The switches as they stand. Read only: `state.change` changes them.
---@return table
function state.switches()
  local version = dict:get("version") or 0
  if version ~= cached_version then
    cached = json.decode(dict:get("switches")) or defaults()
    cached_version = version
  end
  return cached
end

local function lock()
  -- Expires by itself, should its holder die.
  while not dict:add("lock", true, 1) do
    ngx.sleep(0.001)
  end
end

--- Do something that no other worker does meanwhile.
---@param work fun() must not raise
function state.locked(work)
  lock()
  work()
  dict:delete("lock")
end

--- Change the switches, one change at a time over all workers.
---@param change fun(switches: table) must not raise
function state.change(change)
  state.locked(function()
    local switches = json.decode(dict:get("switches")) or defaults()
    change(switches)
    dict:set("switches", json.encode(switches))
    dict:incr("version", 1, 0)
  end)
end

local function drop(prefix)
  for _, key in ipairs(dict:get_keys(0)) do
    if key:sub(1, #prefix) == prefix then
      dict:delete(key)
    end
  end
end

--- Everything as it was at the start. Requests in flight are counted in the
--- generation that they began in, hence no longer seen.
function state.reset()
  state.change(function(switches)
    for name, value in pairs(defaults()) do
      switches[name] = value
    end
    for _, prefix in ipairs { "rule:", "count:", "doc:", "index:",
      "gate:", "limit:" } do
      drop(prefix)
    end
    dict:delete("recent")
    ngx.shared.auth:flush_all()
    ngx.shared.turns:flush_all()
    dict:incr("generation", 1, 0)
  end)
end

---@return string
function state.generation()
  return tostring(dict:get("generation") or 0)
end

--- Add one to a counter of a generation.
---@param generation string
---@param ... string the counter's name in parts
function state.count(generation, ...)
  dict:incr("count:" .. generation .. "\n" .. table.concat({ ... }, "\n"), 1,
    0)
end

--- All counters of the present generation, as nested tables.
---@return table
function state.counters()
  local prefix = "count:" .. state.generation() .. "\n"
  local tree = {}
  for _, key in ipairs(dict:get_keys(0)) do
    if key:sub(1, #prefix) == prefix then
      local node, last = tree, nil
      for part in key:sub(#prefix + 1):gmatch "[^\n]+" do
        if last then
          node[last] = node[last] or {}
          node = node[last]
        end
        last = part
      end
      node[last] = dict:get(key)
    end
  end
  return tree
end

--- Remember what was notable of a request.
---@param generation string
---@param facts table
function state.remember(generation, facts)
  if generation ~= state.generation() then
    return
  end
  if dict:rpush("recent", json.encode(facts)) > state.switches().recent then
    dict:lpop("recent")
  end
end

--- The requests remembered, oldest first. Takes them out and puts them back,
--- under the lock: a shared list cannot be read in place.
---@return table[]
function state.recent()
  local list = {}
  lock()
  for _ = 1, dict:llen("recent") do
    local text = dict:lpop("recent")
    list[#list + 1] = json.decode(text)
    dict:rpush("recent", text)
  end
  dict:delete("lock")
  return list
end

--- Wait as long as a rule says: so many milliseconds, or until its gate is
--- opened. A reset opens all.
---@param rule table
function state.wait(rule)
  if rule.ms then
    ngx.sleep(rule.ms / 1000)
  end
  local generation = state.generation()
  while rule.hold and not dict:get("gate:" .. rule.hold)
    and generation == state.generation() do
    ngx.sleep(0.005)
  end
end

--- Open a gate, for those who wait there and for all who come later.
---@param name string
function state.release(name)
  ngx.update_time()
  dict:set("gate:" .. name, ngx.now())
end

--- When a gate was opened; nil while it is closed.
---@param name string
---@return number?
function state.opened(name)
  return dict:get("gate:" .. name)
end

--- Close a gate that something waits at from now on.
---@param name string
function state.shut(name)
  dict:delete("gate:" .. name)
end

--- Give a rule its numbers: how often it holds, how many it lets pass first.
---@param rule table
function state.arm(rule)
  rule.id = dict:incr("rules", 1, 0)
  if rule.hold then
    state.shut(rule.hold)
  end
  if rule.times then
    dict:set("rule:" .. rule.id .. ":times", rule.times)
  end
  if rule.after then
    dict:set("rule:" .. rule.id .. ":after", rule.after)
  end
  if rule.seconds then
    rule.ends = ngx.now() + rule.seconds
  end
end

--- Whether a rule is about requests like this one.
---@param rule table
---@param method string
---@param path string
---@return boolean
function state.matches(rule, method, path)
  if rule.method and rule.method ~= method then
    return false
  end
  if not rule.path or rule.path == path then
    return true
  end
  local stem = rule.path:match "^(.*)%*$"
  return stem ~= nil and path:sub(1, #stem) == stem
end

local function spend(rule, what)
  return (dict:incr("rule:" .. rule.id .. ":" .. what, -1) or -1) >= 0
end

--- The first rule of a list that holds for a request; uses it up by one.
---@param rules table[]
---@param method string
---@param path string
---@return table? rule
function state.take(rules, method, path)
  for _, rule in ipairs(rules) do
    if state.matches(rule, method, path)
      and not (rule.ends and ngx.now() >= rule.ends)
      and not (rule.after and spend(rule, "after"))
      and (not rule.times or spend(rule, "times")) then
      return rule
    end
  end
end

--- A small store of documents in order of creation, one a resource.
state.documents = {}

local function document_key(kind, id)
  return "doc:" .. kind .. ":" .. id
end

---@param kind string
---@param id string
---@param document table
function state.documents.put(kind, id, document)
  local index = "index:" .. kind .. ":" .. id
  if not dict:get(index) then
    dict:set(index, dict:incr("documents", 1, 0))
  end
  dict:set(document_key(kind, id), json.encode(document))
end

---@param kind string
---@param id string
---@return table?
function state.documents.get(kind, id)
  return json.decode(dict:get(document_key(kind, id)))
end

---@param kind string
---@param id string
---@return boolean existed
function state.documents.delete(kind, id)
  local existed = dict:get(document_key(kind, id)) ~= nil
  dict:delete(document_key(kind, id))
  dict:delete("index:" .. kind .. ":" .. id)
  return existed
end

--- Every document of a kind, oldest first.
---@param kind string
---@return table[]
function state.documents.list(kind)
  local prefix = "index:" .. kind .. ":"
  local found = {}
  for _, key in ipairs(dict:get_keys(0)) do
    if key:sub(1, #prefix) == prefix then
      local document = state.documents.get(kind, key:sub(#prefix + 1))
      found[#found + 1] = { at = dict:get(key), document = document }
    end
  end
  table.sort(found, function(a, b) return a.at < b.at end)
  local list = {}
  for i, entry in ipairs(found) do
    list[i] = entry.document
  end
  return list
end

return state
