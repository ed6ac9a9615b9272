-- SPDX-License-Identifier: MIT
--- Through nginx: what a handler that uses freddy answers, against one that
--- uses cosockets, and what becomes of its neighbours meanwhile.

local FRONT, WORKER = os.getenv "BENCH_FRONT", os.getenv "BENCH_WORKER"
local TICK = 0.01 -- seconds: what Linux counts processor time in

local SECONDS, WIDTH, WAITING = 2, 50, 50

local function run(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("*a")
  pipe:close()
  return text
end

local function wrk(width, path, more)
  local text = run(("wrk -t1 -c%d -d%d %s %s/%s 2>&1"):format(width, SECONDS,
    more or "", FRONT, path))
  if text:find "Non%-2xx" or not text:find "Requests/sec" then
    io.stderr:write("bench: wrk failed: ", path, "\n", text)
    os.exit(1)
  end
  return text
end

-- --- Processor time ------------------------------------------------------

-- Of the worker's own thread, and of its others, in seconds. The name in the
-- second field is "(nginx)".
local function spent()
  local own, others = 0, 0
  local texts = run(("cat /proc/%s/task/*/stat"):format(WORKER))
  for id, fields in texts:gmatch "(%d+) %(.-%) ([^\n]*)" do
    local user, system = fields:match("^" .. ("%S+ "):rep(11)
      .. "(%d+) (%d+)")
    local seconds = (user + system) * TICK
    if id == WORKER then
      own = seconds
    else
      others = others + seconds
    end
  end
  return own, others
end

-- Requests a second, and microseconds of both for each request.
local function measure(path)
  local own, others = spent()
  local text = wrk(WIDTH, path)
  local own_after, others_after = spent()
  local count = tonumber(text:match "(%d+) requests in")
  return {
    rate = tonumber(text:match "Requests/sec:%s+([%d.]+)"),
    own = (own_after - own) / count * 1e6,
    others = (others_after - others) / count * 1e6,
  }
end

-- --- Neighbours ----------------------------------------------------------

local UNITS = { us = 1e-3, ms = 1, s = 1e3 }

-- The time that 99 of 100 pings take, in milliseconds.
local function ping()
  local figure, unit = wrk(1, "ping", "--latency"):match "99%%%s+([%d.]+)(%a+)"
  return tonumber(figure) * UNITS[unit]
end

-- While so many handlers wait for a slow answer.
local function busy_ping()
  local pipe = assert(io.popen(("wrk -t1 -c%d -d%d %s/freddy-slow 2>&1")
    :format(WAITING, SECONDS + 1, FRONT)))
  local figure = ping()
  local text = pipe:read("*a")
  pipe:close()
  if text:find "Non%-2xx" or not text:find "Requests/sec" then
    io.stderr:write("bench: wrk failed: freddy-slow\n", text)
    os.exit(1)
  end
  return figure
end

local function delays()
  local p50, p99 = run(("curl -s %s/delays"):format(FRONT)):match "(%S+) (%S+)"
  return tonumber(p50), tonumber(p99)
end

-- --- Lines ---------------------------------------------------------------

local function compare(freddy, other, plain)
  return {
    speed = freddy.rate / other.rate, rate = freddy.rate, other = other.rate,
    cpu = freddy.own / other.own, own = freddy.own, other_own = other.own,
    others = freddy.others, raw = plain.cpu / plain.count * 1e6,
    engine = freddy.others / (plain.cpu / plain.count * 1e6),
  }
end

-- Where the JSON is of small values, for each of which its reader works.
local function compare_models(suffix)
  local freddy = measure("freddy" .. suffix .. "?models")
  local cjson = measure("freddy-cjson" .. suffix .. "?models")
  local other = measure("cosocket" .. suffix .. "?models")
  return {
    models = freddy.rate / other.rate, models_rate = freddy.rate,
    models_other = other.rate,
    cjson = cjson.rate / other.rate, cjson_rate = cjson.rate,
  }
end

local function compare_way(way, raw_loop)
  local figures = compare(measure("freddy" .. way.suffix),
    measure("cosocket" .. way.suffix), raw_loop(way.tls, WIDTH))
  for name, figure in pairs(compare_models(way.suffix)) do
    figures[name] = figure
  end
  return figures
end

local WAYS = {
  { name = "HTTP/1.1", suffix = "", bar = ">= 0.8" },
  { name = "HTTP/1.1 over TLS", suffix = "-tls", tls = true,
    bar = ">= 1.0" },
}

local function print_way(line, way, all, peer)
  local function of(name)
    return all[name .. way.suffix]
  end
  line(way.name .. ", throughput / " .. peer, "%.2f x", of "speed", way.bar,
    ("%.0f requests/s; %.0f"):format(of "rate", of "other"))
  line("  the same, small values instead of a text", "%.2f x", of "models",
    nil, ("%.0f requests/s; %.0f"):format(of "models_rate", of "models_other"))
  line("  and read by cjson, as that reads them", "%.2f x", of "cjson", nil,
    ("%.0f requests/s"):format(of "cjson_rate"))
  line("  CPU of the worker's thread / " .. peer, "%.2f x", of "cpu", nil,
    ("%.1f us a request; %.1f"):format(of "own", of "other_own"))
  line("  CPU of the engine's thread / raw loop", "%.2f x", of "engine", nil,
    ("%.1f us a request; %.1f"):format(of "others", of "raw"))
end

--- Print the lines. The functions are main.lua's; `raw_loop` is libcurl alone,
--- with as many requests in flight.
return function(title, rounds, line, raw_loop)
  if not FRONT then
    title "Through nginx: not measured (needs its Lua module, wrk, LuaJIT)"
    return
  end
  title "Through nginx, one worker, a JSON of 1 KB, 50 in flight"
  local all = rounds(function()
    local out = { idle = ping() }
    for _, way in ipairs(WAYS) do
      for name, figure in pairs(compare_way(way, raw_loop)) do
        out[name .. way.suffix] = figure
      end
    end
    out.delay = math.max(busy_ping() - out.idle, 0)
    out.p50, out.p99 = delays()
    return out
  end)
  local peer = run(("curl -s %s/cosocket-name"):format(FRONT))
  for _, way in ipairs(WAYS) do
    print_way(line, way, all, peer)
  end
  line("from an answer's end to its handler, p50 ms", "%.3f", all.p50,
    "<= 0.5", ("p99 %.3f; 50 wait for 200 ms each"):format(all.p99))
  line("a neighbour's delay while 50 wait, p99 ms", "%.3f", all.delay,
    "<= 2", ("%.3f ms when idle"):format(all.idle))
end
