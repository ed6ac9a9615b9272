-- SPDX-License-Identifier: MIT
--- Runs the programs that bench/run has made, in rounds, and prints one line
--- for each figure: name, figure, bar, `met` or `MISSED`, and what it was made
--- of. In each round freddy and what it is compared with run one after the
--- other, and their ratio is the round's; printed is the median. A timing is
--- never a pass or fail: only what breaks gives another exit code than 0.
local unpack = rawget(table, "unpack") or rawget(_G, "unpack")

local function env(name)
  return assert(os.getenv(name), name .. " is not set: use bench/run")
end

local BIN, LUA, BASE = env "BENCH_BIN", env "BENCH_LUA", env "BENCH_HTTP"
local TLS, CA = env "BENCH_TLS", env "BENCH_CA"
local HANDSHAKES, PRELOAD = env "BENCH_HANDSHAKES", env "BENCH_PRELOAD"
local ROUNDS = tonumber(os.getenv("BENCH_ROUNDS") or 5)

local function quote(word)
  return "'" .. tostring(word):gsub("'", "'\\''") .. "'"
end

-- --- Running -------------------------------------------------------------

-- The numbers that a program prints, or nil when it prints none.
local function numbers(words, prefix)
  for i = 1, #words do
    words[i] = quote(words[i])
  end
  local pipe = assert(io.popen((prefix or "") .. table.concat(words, " ")
    .. " || echo broken"))
  local text = pipe:read("*a")
  pipe:close()
  if text:find("broken", 1, true) then
    io.stderr:write("bench: failed: ", table.concat(words, " "), "\n", text)
    os.exit(1)
  end
  local list = {}
  for number in text:gmatch("%-?[%d.]+") do
    list[#list + 1] = tonumber(number)
  end
  return #list > 0 and list or nil
end

local function timed(words)
  local list = numbers(words)
  return list and { wall = list[1], cpu = list[2], opened = list[3] }
end

local function raw(...)
  return timed { BIN .. "/raw", ... }
end

local function core(...)
  return timed { BIN .. "/core", ... }
end

local function host(...)
  return timed { LUA, "bench/host.lua", ... }
end

local function median(list)
  local sorted = {}
  for i = 1, #list do
    sorted[i] = list[i]
  end
  table.sort(sorted)
  return sorted[math.floor((#sorted + 1) / 2)]
end

--- The medians over the rounds of what `round` returns: a map of numbers.
local function rounds(round)
  local lists = {}
  for i = 1, ROUNDS do
    for name, value in pairs(round(i)) do
      lists[name] = lists[name] or {}
      table.insert(lists[name], value)
    end
  end
  local medians = {}
  for name, list in pairs(lists) do
    medians[name] = median(list)
  end
  return medians
end

-- --- Printing ------------------------------------------------------------

local function title(text)
  print("\n" .. text)
end

-- `bar` is "<= 1.3", ">= 0.7" or nil; `format` that of the figure.
local function line(name, format, figure, bar, detail)
  local verdict = ""
  if bar then
    local sign, limit = bar:match("^([<>]=) ([%d.]+)")
    limit = tonumber(limit)
    local good = sign == "<=" and figure <= limit
      or sign == ">=" and figure >= limit
    verdict = good and "met" or "MISSED"
  end
  print((("  %-46s %8s  %-7s %-7s %s"):format(name, format:format(figure),
    bar or "", verdict, detail or ""):gsub("%s+$", "")))
  io.flush()
end

-- --- What is measured ----------------------------------------------------

local SEQUENTIAL = 4000

local function us(seconds)
  return ("%.1f us a request"):format(seconds / SEQUENTIAL * 1e6)
end

local function sequential()
  title "One request after another (HTTP/1.1, keep-alive, a small text)"
  local all = rounds(function()
    local easy = raw("easy", BASE .. "/text", SEQUENTIAL)
    local hop = raw("hop", BASE .. "/text", SEQUENTIAL)
    local text = host("text", BASE, SEQUENTIAL)
    local c = core("flight", BASE, SEQUENTIAL, 1)
    local json = host("json", BASE, SEQUENTIAL)
    return {
      text_wall = text.wall / hop.wall, text_cpu = text.cpu / easy.cpu,
      json_wall = json.wall / hop.wall, json_cpu = json.cpu / easy.cpu,
      c_wall = c.wall / hop.wall, c_cpu = c.cpu / easy.cpu,
      hop_wall = hop.wall / easy.wall, hop_cpu = hop.cpu / easy.cpu,
      text = text.wall, json = json.wall, c = c.wall, easy = easy.wall,
      hop = hop.wall,
    }
  end)
  local bar = _VERSION == "Lua 5.1" and not rawget(_G, "jit") and "<= 1.4"
    or "<= 1.3"
  line("client:get, wall / raw hop", "%.2f x", all.text_wall, bar,
    us(all.text))
  line("client:get, CPU / raw easy", "%.2f x", all.text_cpu, "<= 2.2")
  line("the same with JSON, wall / raw hop", "%.2f x", all.json_wall, nil,
    us(all.json))
  line("the same with JSON, CPU / raw easy", "%.2f x", all.json_cpu)
  line("freddy.h in C, wall / raw hop", "%.2f x", all.c_wall, nil, us(all.c))
  line("freddy.h in C, CPU / raw easy", "%.2f x", all.c_cpu)
  line("raw hop, wall / raw easy", "%.2f x", all.hop_wall, nil,
    us(all.hop) .. "; easy " .. us(all.easy))
  line("raw hop, CPU / raw easy", "%.2f x", all.hop_cpu)
end

local WIDTH, FLIGHT = 64, 12000

local function flight(name, base, ca)
  title(("%d requests in flight, %s"):format(WIDTH, name))
  local ways = {
    { "client:send", function(...) return host("send", ...) end },
    { "tasks that client:get", function(...) return host("tasks", ...) end },
    { "freddy.h in C", function(...) return core("flight", ...) end },
  }
  local all = rounds(function()
    local plain = raw("loop", base .. "/text", FLIGHT, WIDTH, ca)
    local out = { raw = FLIGHT / plain.wall }
    for i, way in ipairs(ways) do
      local one = way[2](base, FLIGHT, WIDTH, ca)
      out["speed" .. i] = plain.wall / one.wall
      out["cpu" .. i] = one.cpu / plain.cpu
      out["rate" .. i] = FLIGHT / one.wall
    end
    return out
  end)
  for i, way in ipairs(ways) do
    line(way[1] .. ", throughput / raw loop", "%.2f x", all["speed" .. i],
      ">= 0.7", ("%.0f requests/s; raw %.0f"):format(all["rate" .. i],
        all.raw))
    line(way[1] .. ", CPU / raw loop", "%.2f x", all["cpu" .. i], "<= 1.6")
  end
end

local BURST = 50

local function bursts()
  title "Bursts"
  local all = rounds(function()
    local plain = raw("loop", TLS .. "/text", BURST, BURST, CA)
    local lua = host("send", TLS, BURST, BURST, CA)
    local c = core("flight", TLS, BURST, BURST, CA)
    return {
      plain = plain.wall * 1e3, lua = lua.wall / plain.wall,
      c = c.wall / plain.wall, opened = math.max(lua.opened, c.opened),
    }
  end)
  line(("%d to a fresh HTTP/2 host, connections"):format(BURST), "%d",
    all.opened, "<= 1")
  line(("%d to a fresh HTTP/2 host, wall / raw"):format(BURST), "%.2f x",
    all.lua, "<= 2", ("client:send; raw takes %.1f ms"):format(all.plain))
  line("the same by freddy.h in C", "%.2f x", all.c, "<= 2")
  local again = core("bursts", BASE, 20, WIDTH)
  line(("19 more bursts of %d, new connections"):format(WIDTH), "%d",
    again.opened, "<= 0", "HTTP/1.1, after one burst of slow answers")
end

local function polling()
  title "On the host's thread"
  local all = rounds(function()
    local one = host("poll", BASE, 100)
    return { us = one.wall / 200000 * 1e6 }
  end)
  line("freddy.poll(0), nothing waits, us", "%.2f", all.us, "<= 1",
    "100 requests in flight")
end

local function requiring()
  title "require"
  local curl = env "BENCH_CURL"
  local first
  local function load_freddy()
    return raw("run", LUA, "-e", 'require "freddy" os.exit(0)')
  end
  local all = rounds(function()
    local bare = raw("run", LUA, "-e", ("package.loadlib(%q, '*') "
      .. "os.exit(0)"):format(curl))
    local ours = load_freddy()
    first = first or ours
    return {
      more = (ours.wall - bare.wall) * 1e3, ratio = ours.wall / bare.wall,
      bare = bare.wall * 1e3, ours = ours.wall * 1e3,
    }
  end)
  line('require "freddy", ms more than dlopen', "%.1f", all.more, "<= 3",
    ("%.1f ms and %.1f ms for the process, %.2f x"):format(all.ours,
      all.bare, all.ratio))
  line("the first start of all, ms", "%.1f", first.wall * 1e3)
end

local function json()
  local pipe = assert(io.popen(quote(env "BENCH_JSON")))
  title "A JSON answer of 1 MB"
  for text in pipe:lines() do
    local name, figure, other, bar = text:match(
      "^(.-): ([%d.]+) x (.-) %(bar ([%d.]+)%)")
    if figure then
      line(name .. " / " .. other, "%.2f x", tonumber(figure),
        "<= " .. tonumber(bar))
    else
      print("  " .. text)
    end
  end
  pipe:close()
end

-- --- Uploads -------------------------------------------------------------

local function uploads()
  title "Uploads (HTTP/1.1, to a server that throws them away)"
  local function measure(kind, count, mib, width)
    local wall, bare, before, after, most = unpack(numbers { LUA,
      "bench/uploads.lua", kind, BASE, count, mib, width })
    return {
      speed = ("%.0f MiB/s"):format(count * mib / wall), bare = bare,
      grown = after - before, most = most - bare,
    }
  end
  for _, kind in ipairs { "string", "reader", "chunks", "file" } do
    local row = measure(kind, 1000, 1, 1)
    line(("1,000 of 1 MiB, %s, RSS grown, KiB"):format(kind), "%d",
      row.grown, "<= 4096", row.speed)
  end
  for _, kind in ipairs { "reader", "chunks", "file" } do
    local row = measure(kind, 1000, 1, 200)
    line(("200 at once of 1 MiB, %s, KiB each"):format(kind), "%.0f",
      row.most / 200, "<= 400", row.speed)
  end
  for _, kind in ipairs { "reader", "chunks", "file" } do
    local row = measure(kind, 4, 64, 1)
    line(("one of 64 MiB, %s, KiB above the start"):format(kind), "%d",
      row.most, "<= 4096", row.speed)
  end
end

-- --- Event streams -------------------------------------------------------

local EVENTS, FLOOD = 4000, 400000

local function events(mode, width, count, ...)
  return numbers { BIN .. "/streams", mode, width, count, ... }
end

local function streams()
  title "Event streams, 2,000 events/s in all (HTTP/1.1)"
  for _, width in ipairs { 1, 10, 100, 1000, 4000 } do
    local all = rounds(function()
      local plain = events("raw", width, EVENTS)
      local hop = events("hop", width, EVENTS)
      local ours = events("freddy", width, EVENTS)
      local frames = events("frames", width, EVENTS)
      return {
        ratio = ours[1] / plain[1], hop = ours[1] / hop[1],
        frames = frames[1] / plain[1], us = ours[1] / EVENTS * 1e6,
        raw_us = plain[1] / EVENTS * 1e6, p50 = ours[3], p99 = ours[4],
        raw_p50 = plain[3], raw_p99 = plain[4],
      }
    end)
    line(("freddy.h, %d streams, CPU / raw"):format(width), "%.2f x",
      all.ratio, "<= 1.5", ("%.1f us an event; raw %.1f; %.2f x raw hop")
        :format(all.us, all.raw_us, all.hop))
    line("the same, taken 60 times a second", "%.2f x", all.frames, "<= 1.5")
    line("the same, p99 from sent to taken, us", "%.0f", all.p99, "<= 1000",
      ("p50 %.0f; raw %.0f and %.0f"):format(all.p50, all.raw_p50,
        all.raw_p99))
  end
  local all = rounds(function()
    local plain = events("raw", 1, EVENTS)
    local lua = events("run", 1, EVENTS, LUA, "bench/streams.lua", "late")
    local text = events("text", 1, EVENTS, LUA, "bench/streams.lua", "text")
    local fast = events("flood", 1, FLOOD, LUA, "bench/streams.lua", "drain")
    return { more = lua[1] - plain[3], p50 = lua[1], raw = plain[3],
      text_more = text[1] - plain[3], text_p50 = text[1],
      rate = fast[1], other = fast[2] }
  end)
  line("stream:next in a script, p50 over raw, us", "%.0f", all.more,
    "<= 100", ("%.0f from sent to taken; raw %.0f"):format(all.p50, all.raw))
  line("stream:text in a script, p50 over raw, us", "%.0f", all.text_more,
    "<= 100", ("%.0f from sent to taken"):format(all.text_p50))
  line("stream:events, events/s drained", "%.0f", all.rate, ">= 1000000",
    ("a parser in Lua %.0f"):format(all.other))
end

-- --- While a resolver hangs ----------------------------------------------

local PHASES = { "start", "poll", "cancel", "drop", "timeout" }
local NAMES = {
  start = "client:send", poll = "freddy.poll(0) with an event",
  cancel = "call:cancel", drop = "last reference dropped, collected",
  timeout = "freddy.poll(0) that brings a timeout",
}

local function stalled()
  title "While a resolver hangs for 3 s and ten TLS connects are under way"
  local prefix = "LD_PRELOAD=" .. quote(PRELOAD) .. " "
  local all = rounds(function()
    local lua = numbers({ LUA, "bench/stall.lua", BASE, HANDSHAKES, CA },
      prefix)
    local c = numbers({ BIN .. "/stall", BASE, HANDSHAKES, CA }, prefix)
    local out = {
      quiet = c[1], gap = c[2], one_host = c[3], all_hosts = c[4],
      waves = c[5], late = lua[#lua], idle = lua[#lua - 1],
    }
    for i, phase in ipairs(PHASES) do
      for j, part in ipairs { "p50", "p99", "max" } do
        out[phase .. part] = lua[3 * (i - 1) + j]
      end
    end
    return out
  end)
  for _, phase in ipairs(PHASES) do
    line(NAMES[phase] .. ", p99 ms", "%.3f", all[phase .. "p99"], "<= 1",
      ("p50 %.3f, max %.3f"):format(all[phase .. "p50"],
        all[phase .. "max"]))
  end
  line("a collection with nothing to drop, p99 ms", "%.3f", all.idle)
  line("a timeout comes late by, p99 ms", "%.3f", all.late)
  line("longest gap of other transfers, ms", "%.1f", all.gap, "<= 20",
    ("%.1f in quiet times; %d TLS handshakes"):format(all.quiet,
      all.waves))
  line("threads, 1,000 calls to one such host", "%d", all.one_host, "<= 4",
    "beyond freddy's own two")
  line("threads, 1,000 calls to 50 such hosts", "%d", all.all_hosts,
    "<= 16", "beyond freddy's own two")
end

local function polls(name, all)
  line(name .. ", p99 ms", "%.3f", all[3], "<= 3",
    ("%d polls: p50 %.3f, max %.3f; %.2f %% over 3 ms"):format(all[1],
      all[2], all[4], all[5]))
  if all[13] >= 0 then
    line("  less waiting for a processor, p99 ms", "%.3f", all[11], "<= 3",
      ("max %.3f; it waited p99 %.3f"):format(all[12], all[13]))
  end
  line("  a loop of 2 ms that does nothing is late, p99 ms", "%.3f", all[9],
    nil, ("max %.3f"):format(all[10]))
end

local function frames()
  local seconds = os.getenv("BENCH_FRAMES") or 30
  title(("A game of 60 frames a second, for %s s: streams, renewals, TLS "
    .. "connects, a resolver that hangs, 10,000 tasks due at once"):format(
    seconds))
  local function play(collector)
    return numbers({ LUA, "bench/frames.lua", BASE, HANDSHAKES, CA, seconds,
      collector }, "LD_PRELOAD=" .. quote(PRELOAD) .. " ")
  end
  local own, apart = play "own", play "apart"
  polls("freddy.poll(0.002)", own)
  polls("the same, collector between the polls", apart)
  line("  the collector's longest step, ms", "%.3f", apart[14])
  line("what was begun and did not come", "%d", own[7] + apart[7], "<= 0",
    ("the bursts took %d and %d frames; %d renewals"):format(own[6],
      apart[6], own[8] + apart[8]))
end

local function limits()
  title "Time limits of 0.2 s: how far from that they fire, at the most"
  local pipe = assert(io.popen(quote(BIN .. "/timeouts")))
  local count = 0
  for text in pipe:lines() do
    local name, least, usual, most = text:match("^(.-)\t(.-)\t(.-)\t(.*)$")
    least, most = tonumber(least), tonumber(most)
    line(name .. ", ms", "%.1f", math.max(most, -least), "<= 50",
      ("late by %.2f to %.2f, median %s"):format(least, most, usual))
    count = count + 1
  end
  pipe:close()
  if count == 0 then
    io.stderr:write("bench: failed: timeouts\n")
    os.exit(1)
  end
end

-- --- Others --------------------------------------------------------------

local function others()
  local lua = env "BENCH_OTHER_LUA"
  title(("Other clients, for comparison, on %s"):format(lua))
  local function compare(name, what, url, count, width, ca)
    local one = timed { lua, "bench/others.lua", what, url, count, width,
      ca }
    if not one then
      return print("  " .. name .. ": not installed")
    end
    local plain = raw("loop", url, count, width or 1, ca)
    line(name .. ", throughput / raw loop", "%.2f x", plain.wall / one.wall,
      nil, ("%.0f requests/s, CPU %.2f x"):format(count / one.wall,
        one.cpu / plain.cpu))
  end
  compare("lua-http, 1", "lua-http", BASE .. "/text", 3000, 1)
  compare("lua-http, 64", "lua-http", BASE .. "/text", 6000, 64)
  compare("lua-http, 64 HTTP/2", "lua-http", TLS .. "/text", 6000, 64, CA)
  compare("luasocket, no keep-alive", "luasocket", BASE .. "/text", 2000, 1)
end

print(("freddy on %s; medians of %d rounds"):format(env "BENCH_ABI", ROUNDS))

local PARTS = {
  { "sequential", sequential },
  { "flight", function()
    flight("HTTP/1.1", BASE)
    flight("HTTP/2 over TLS", TLS, CA)
  end },
  { "bursts", bursts },
  { "polling", polling },
  { "require", requiring },
  { "json", json },
  { "uploads", uploads },
  { "streams", streams },
  { "stalled", stalled },
  { "frames", frames },
  { "limits", limits },
  { "others", others },
  { "nginx", function()
    dofile "bench/front.lua"(title, rounds, line, function(tls, width)
      local one = raw("loop1", (tls and TLS or BASE) .. "/kilobyte", FLIGHT,
        width, tls and CA or nil)
      one.count = FLIGHT
      return one
    end)
  end },
}

local wanted = os.getenv "BENCH_ONLY"
local known = { simulate = true } -- by bench/run
for _, part in ipairs(PARTS) do
  known[part[1]] = true
end
for name in (wanted or ""):gmatch "%S+" do
  assert(known[name], "BENCH_ONLY: there is no part " .. name)
end
for _, part in ipairs(PARTS) do
  if not wanted or (" " .. wanted .. " "):find(" " .. part[1] .. " ", 1, true)
  then
    part[2]()
  end
end
