-- SPDX-License-Identifier: MIT
--- The arithmetic of a rate plan that is kept in a store: one bucket for all
--- who share it. It is a text, since a Redis server runs it as well.
---
--- The bucket holds burst - per_minute permits, at least one, and is filled
--- evenly; not in 60 seconds but in LATE more, since a permit is good for so
--- long from the moment on from which it may be used: so at most `burst`
--- requests leave in any 60 seconds, whoever sends them. A permit may be given
--- AHEAD of that moment, so that a client that waits for its turn has it.
---
--- The state is a text: when the bucket is full again, in seconds of the
--- store's clock, and for each of the last 25 hours, where any were given, the
--- hour's number and how many.
local bucket = {}

--- The longest that a permit waits to be used, in seconds. The engine knows
--- the same number (src/rules/lease.h).
bucket.LATE = 1

--- How long a state matters, in seconds: two hours more than a day.
bucket.KEEP = 26 * 3600

bucket.source = "local LATE = " .. bucket.LATE .. [[

local AHEAD, HOUR, HOURS, ROUNDING = 0.1, 3600, 25, 1e-5

local function read(state, hour)
  local text, sent, today, oldest = state or "", {}, 0, nil
  for at, count in text:gmatch "(%d+):(%d+)" do
    at, count = tonumber(at), tonumber(count)
    if at > hour - HOURS and at <= hour then
      sent[at], today = count, today + count
      oldest = math.min(oldest or at, at)
    end
  end
  return tonumber(text:match "^%S+"), sent, today, oldest
end

local function write(full_at, sent, hour)
  local parts = { ("%.6f"):format(math.ceil(full_at * 1e6) / 1e6) }
  for at = hour - HOURS + 1, hour do
    if sent[at] then
      parts[#parts + 1] = ("%.0f:%.0f"):format(at, sent[at])
    end
  end
  return table.concat(parts, " ")
end

local function take(state, plan, count, now)
  local hour = math.floor(now / HOUR)
  local step = (60 + LATE) / plan.per_minute
  local size = math.max((plan.burst or plan.per_minute) - plan.per_minute, 1)
  size = math.min(size, math.floor(3650 * 24 * HOUR / step))
  local full_at, sent, today, oldest = read(state, hour)
  full_at = math.max(full_at or now, now)
  full_at = math.min(full_at, now + size * step + AHEAD)
  local wait = full_at - (size - 1) * step - now
  local granted = math.floor((AHEAD - wait) / step + ROUNDING) + 1
  local day = (plan.per_day or 0) > 0 and plan.per_day - today or math.huge
  granted = math.max(math.min(count, granted, day), 0)
  if granted == 0 and day < 1 and oldest then
    wait = math.max(wait, (oldest + HOURS) * HOUR - now)
  elseif granted == 0 then
    wait = wait - AHEAD
  end
  if granted > 0 then
    full_at = full_at + granted * step
    sent[hour], today = (sent[hour] or 0) + granted, today + granted
  end
  local room = size - math.ceil((full_at - now) / step - ROUNDING)
  return write(full_at, sent, hour), granted, wait,
    math.max(math.min(room, day - granted), 0), today
end
]]

local compile = rawget(_G, "loadstring") or load
local take = assert(compile(bucket.source .. "return take"))()

--- What a store answers to a client that asks it for permits.
---@class freddy.Permits
---@field granted integer
---@field wait number seconds until the first may be used, below 0: so much
---  ago; when none was granted, until it is worth asking again
---@field room integer how many more might have been granted
---@field today integer granted in the last 24 hours

--- What a client asks with: its plan.
---@class freddy.Plan
---@field per_minute integer
---@field burst? integer default: per_minute
---@field per_day? integer

--- Take permits out of a bucket. Pure. See freddy.store.take.
---@param state string|false|nil
---@param plan freddy.Plan
---@param count integer
---@param now number
---@return string state
---@return freddy.Permits permits
function bucket.take(state, plan, count, now)
  local permits = {}
  state, permits.granted, permits.wait, permits.room, permits.today =
    take(state, plan, count, now)
  return state, permits
end

--- The same for Redis, by its own clock. KEYS: the state's; ARGV: per_minute,
--- burst, per_day, count.
bucket.redis = bucket.source .. [[
if redis.replicate_commands then -- Redis 3 and 4: the clock is asked first
  redis.replicate_commands()
end
local time = redis.call("time")
local state, granted, wait, room, today = take(
  redis.call("get", KEYS[1]), { per_minute = tonumber(ARGV[1]),
    burst = tonumber(ARGV[2]), per_day = tonumber(ARGV[3]) },
  tonumber(ARGV[4]), tonumber(time[1]) + tonumber(time[2]) / 1e6)
redis.call("set", KEYS[1], state, "EX", "]] .. bucket.KEEP .. [[")
return ("%.0f %.6f %.0f %.0f"):format(granted, wait, room, today)
]]

--- What that script returned.
---@param text any
---@return freddy.Permits? permits
function bucket.read(text)
  local granted, wait, room, today = tostring(text):match
    "^(%d+) (%-?[%d.]+) (%d+) (%d+)$"
  return granted and { granted = tonumber(granted), wait = tonumber(wait),
    room = tonumber(room), today = tonumber(today) }
end

return bucket
