-- SPDX-License-Identifier: MIT
--- Through nginx: what a handler that uses freddy answers, against one that
--- uses cosockets, and what becomes of its neighbours meanwhile.

local FRONT = os.getenv "BENCH_FRONT"

local SECONDS, WIDTH = 2, 50

local function wrk(width, path, more)
  local pipe = assert(io.popen(("wrk -t1 -c%d -d%d %s %s/%s 2>&1"):format(
    width, SECONDS, more or "", FRONT, path)))
  local text = pipe:read("*a")
  pipe:close()
  if text:find "Non%-2xx" or not text:find "Requests/sec" then
    io.stderr:write("bench: wrk failed: ", path, "\n", text)
    os.exit(1)
  end
  return text
end

local function throughput(path)
  return tonumber(wrk(WIDTH, path):match "Requests/sec:%s+([%d.]+)")
end

local UNITS = { us = 1e-3, ms = 1, s = 1e3 }

-- The time that 99 of 100 pings take, in milliseconds.
local function ping()
  local figure, unit = wrk(1, "ping", "--latency"):match "99%%%s+([%d.]+)(%a+)"
  return tonumber(figure) * UNITS[unit]
end

-- While so many handlers wait for a slow answer.
local function busy_ping()
  local pipe = assert(io.popen(("wrk -t1 -c%d -d%d %s/freddy-slow 2>&1")
    :format(WIDTH, SECONDS + 1, FRONT)))
  local figure = ping()
  pipe:read("*a")
  pipe:close()
  return figure
end

--- Print the lines. The functions are main.lua's.
return function(title, rounds, line)
  if not FRONT then
    title "Through nginx: not measured (needs its Lua module, wrk, LuaJIT)"
    return
  end
  title "Through nginx, one worker, a JSON of 1 KB, 50 in flight"
  local all = rounds(function()
    local freddy, other = throughput "freddy", throughput "cosocket"
    local tls, other_tls = throughput "freddy-tls", throughput "cosocket-tls"
    local idle = ping()
    return {
      plain = freddy / other, tls = tls / other_tls, freddy = freddy,
      freddy_tls = tls, delay = math.max(busy_ping() - idle, 0), idle = idle,
    }
  end)
  line("throughput / plain cosocket loop", "%.2f x", all.plain, ">= 0.8",
    ("%.0f requests/s"):format(all.freddy))
  line("the same over https", "%.2f x", all.tls, ">= 1.0",
    ("%.0f requests/s"):format(all.freddy_tls))
  line("a neighbour's delay while 50 wait, p99 ms", "%.3f", all.delay, "<= 2",
    ("%.3f ms when idle"):format(all.idle))
end
