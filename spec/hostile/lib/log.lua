-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- What the server saw since the last reset: one entry for each
--- connection, and what specs wait for: gates and counters.

local condition = require "cqueues.condition"
local cqueues = require "cqueues"
local text = require "lib.text"

-- Ceilings: the server outlives many specs.
local MAX_ENTRIES = 20000
local MAX_REQUESTS = 20000

local log = {
  --- Signalled whenever an entry changes.
  changed = condition.new(),
  --- Signalled when gates open, or connections or all are dropped.
  pulse = condition.new(),
}

local entries, kept, gates, counters, drops, last_id

--- Forget everything seen; gates are closed, counters start at zero.
function log.reset()
  log.epoch = (log.epoch or 0) + 1
  entries = text.array {}
  kept = 0
  gates = {}
  counters = {}
  log.changed:signal()
  log.pulse:signal()
end

drops = 0
last_id = 0
log.reset()

local function keep(entry)
  if #entries < MAX_ENTRIES then
    entries[#entries + 1] = entry
  end
  entry.home = entries
end

--- A new connection.
function log.open(listener, peer)
  last_id = last_id + 1
  local entry = {
    id = last_id, listener = listener, peer = peer, open = true,
    requests = text.array {}, request_count = 0, requests_before = 0,
    received = 0, sent = 0, first_bytes = "",
  }
  keep(entry)
  log.changed:signal()
  return entry
end

--- Take a connection out of the log: it serves control requests.
function log.forget(entry)
  for i = #entries, 1, -1 do
    if entries[i] == entry then
      table.remove(entries, i)
      break
    end
  end
end

--- A new request on a connection. One that was opened before the last
--- reset comes back, with the requests of that time as a number only.
function log.request(entry, request)
  if entry.home ~= entries then
    entry.requests_before = entry.requests_before + entry.request_count
    entry.requests, entry.request_count = text.array {}, 0
    entry.received, entry.sent, entry.first_bytes = 0, 0, ""
    keep(entry)
  end
  entry.request_count = entry.request_count + 1
  if kept < MAX_REQUESTS then
    kept = kept + 1
    table.insert(entry.requests, request)
  end
  log.changed:signal()
end

--- Set fields of an entry, or of a request.
function log.note(record, fields)
  for name, value in pairs(fields) do
    record[name] = value
  end
  log.changed:signal()
end

local function wanted(entry, filter)
  if filter.listener and entry.listener ~= filter.listener then
    return false
  end
  if not filter.tag and not filter.scenario then
    return true
  end
  for _, request in ipairs(entry.requests) do
    if (not filter.tag or request.tag == filter.tag)
        and (not filter.scenario or request.scenario == filter.scenario) then
      return true
    end
  end
  return false
end

local function copy(entry)
  local out = {}
  for name, value in pairs(entry) do
    if name ~= "home" then
      out[name] = value
    end
  end
  return out
end

--- The entries that a filter { tag, listener, scenario } lets through.
function log.select(filter)
  local list = text.array {}
  for _, entry in ipairs(entries) do
    if wanted(entry, filter) then
      list[#list + 1] = copy(entry)
    end
  end
  return list
end

local function met(list, want)
  local requests, complete, open = 0, 0, 0
  for _, entry in ipairs(list) do
    requests = requests + entry.request_count
    for _, request in ipairs(entry.requests) do
      complete = complete + (request.body_complete and 1 or 0)
    end
    open = open + (entry.open and 1 or 0)
  end
  return #list >= (tonumber(want.connections) or 0)
    and requests >= (tonumber(want.requests) or 0)
    and complete >= (tonumber(want.complete) or 0)
    and (not want.closed or #list > 0 and open == 0)
end

--- Wait until what `query` asks for holds: at least so many
--- `connections`, `requests`, `complete` requests, all `closed`.
--- Returns the list, and whether it holds.
function log.await(query)
  local limit = cqueues.monotime() + (tonumber(query.timeout) or 0)
  while true do
    local list = log.select(query)
    if met(list, query) then
      return list, true
    end
    local left = limit - cqueues.monotime()
    if left <= 0 then
      return list, false
    end
    log.changed:wait(left)
  end
end

--- Open a gate; it stays open until the next reset.
function log.release(name)
  gates[name] = true
  log.pulse:signal()
end

--- Whether a gate is open.
function log.released(name)
  return gates[name] == true
end

--- Add one to a counter and return it.
function log.count(name)
  counters[name] = (counters[name] or 0) + 1
  return counters[name]
end

--- Ask every idle connection to end, in the manner of `how`.
function log.drop(how)
  drops = drops + 1
  log.drop_how = how
  log.pulse:signal()
end

--- How often idle connections were dropped so far.
function log.drops()
  return drops
end

return log
