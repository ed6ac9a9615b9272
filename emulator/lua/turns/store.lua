-- SPDX-License-Identifier: MIT
-- Turns, and what was sent of each on which connection, over all workers.
-- Every key has the counters' generation in it: after a reset nothing is
-- found, and what still plays ends.

local json = require "json"
local state = require "state"

local store = {}

local dict = ngx.shared.turns
local ENTRIES = 128  -- connections that the control endpoint remembers

local function key(generation, ...)
  return generation .. ":" .. table.concat({ ... }, ":")
end

--- Keep a new turn, under its own id and as its thread's latest.
---@param turn table
function store.add(turn)
  local generation = state.generation()
  turn.generation = generation
  dict:set(key(generation, "turn", turn.response_id), json.encode(turn))
  dict:rpush(key(generation, "thread", turn.thread_id), turn.response_id)
  dict:set(key(generation, "latest", turn.thread_id), turn.response_id)
end

---@param response_id string
---@return table?
function store.get(response_id)
  return json.decode(dict:get(key(state.generation(), "turn", response_id)))
end

--- The turn that a thread's stream, cancel and status are about.
---@param thread_id string
---@return table?
function store.latest(thread_id)
  local id = dict:get(key(state.generation(), "latest", thread_id))
  return id and store.get(id)
end

--- All turns of a thread, oldest first.
---@param thread_id string
---@return table[]
function store.of_thread(thread_id)
  local name = key(state.generation(), "thread", thread_id)
  local turns = {}
  for _ = 1, dict:llen(name) or 0 do
    local id = dict:lpop(name)
    if id then
      dict:rpush(name, id)
      turns[#turns + 1] = store.get(id)
    end
  end
  return turns
end

--- Mark a turn as cancelled; the first mark stays.
---@param turn table
---@param mark { at: number, mode: string }
---@return table mark the one that holds
function store.cancel(turn, mark)
  dict:add(key(turn.generation, "cancel", turn.response_id),
    json.encode(mark))
  return store.cancelled(turn)
end

---@param turn table
---@return { at: number, mode: string }?
function store.cancelled(turn)
  return json.decode(dict:get(key(turn.generation, "cancel",
    turn.response_id)))
end

--- Whether the emulator has been reset since the turn began.
---@param turn table
---@return boolean
function store.is_gone(turn)
  return turn.generation ~= state.generation()
end

--- How many connections a turn has been played on, this one included.
---@param turn table
---@return integer
function store.connect(turn)
  return dict:incr(key(turn.generation, "plays", turn.response_id), 1, 0)
end

--- Open an entry of the log; sent and ended are told it later.
---@param facts table
---@return table entry
function store.open(facts)
  local generation = ngx.var.generation
  local number = dict:incr(key(generation, "entries"), 1, 0)
  local entry = { generation = generation, number = number }
  dict:set(key(generation, "entry", number), json.encode(facts))
  for _, what in ipairs { "entry", "events", "bytes", "ended" } do
    dict:delete(key(generation, what, number - ENTRIES))
  end
  return entry
end

--- Count what was sent on a connection.
---@param entry table
---@param bytes integer
---@param events integer those that end in these bytes; no heartbeat
function store.sent(entry, bytes, events)
  dict:incr(key(entry.generation, "bytes", entry.number), bytes, 0)
  if events > 0 then
    dict:incr(key(entry.generation, "events", entry.number), events, 0)
  end
end

--- How a connection ended; the first word stays.
---@param entry table
---@param how string
function store.ended(entry, how)
  dict:add(key(entry.generation, "ended", entry.number), how)
end

--- The log, oldest first.
---@return table[]
function store.log()
  local generation, log = state.generation(), {}
  local last = dict:get(key(generation, "entries")) or 0
  for number = math.max(1, last - ENTRIES + 1), last do
    local entry = json.decode(dict:get(key(generation, "entry", number)))
    if entry then
      entry.events = dict:get(key(generation, "events", number)) or 0
      entry.bytes = dict:get(key(generation, "bytes", number)) or 0
      entry.ended = dict:get(key(generation, "ended", number)) or json.null
      log[#log + 1] = entry
    end
  end
  return json.array(log)
end

return store
