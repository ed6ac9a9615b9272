-- SPDX-License-Identifier: MIT
--- Event streams from Lua, against the server of bench/streams.c:
---
---   streams.lua late PORT 1 E    how late events come in a script: p50 and
---                                p99 in microseconds
---   streams.lua text PORT 1 E    the same for the text of an answer
---   streams.lua drain PORT 1 E   events/s that the host's thread takes when
---                                they are there, and the events/s of a
---                                straightforward parser in Lua, on the same
local freddy = require "freddy"
local core = require "freddy.core"

local what, port, _, count = arg[1], arg[2], arg[3], tonumber(arg[4])

local function open(options)
  options = options or {}
  options.api_key = "benchmark-key"
  options.base_url = "http://127.0.0.1:" .. port
  return freddy.assert(freddy.assert(freddy.new(options)):stream("/"))
end

local function print_late(list)
  assert(#list == count)
  table.sort(list)
  print(("%.1f %.1f"):format(list[math.ceil(#list * 0.5)] * 1e6,
    list[math.ceil(#list * 0.99)] * 1e6))
end

local function late()
  local stream, list = open(), {}
  for event in stream:events() do
    list[#list + 1] = core.now() - tonumber(event.data:match "^[%d.]+")
  end
  freddy.assert(stream:finish())
  print_late(list)
end

local function text_late()
  local client = freddy.assert(freddy.new { api_key = "benchmark-key",
    base_url = "http://127.0.0.1:" .. port })
  local stream = freddy.assert(client.responses:stream { model = "m",
    inputs = { { role = "user", content = "Hello" } } })
  local list = {}
  for text in stream:text() do
    list[#list + 1] = core.now() - tonumber(text)
  end
  freddy.assert(stream:finish())
  print_late(list)
end

-- What one would write: whole text at hand, fields by a pattern.
local function parse(text, visit)
  local at, data, name, id = 1, nil, nil, nil
  while true do
    local stop = text:find("\n", at, true)
    if not stop then
      return
    end
    local line = text:sub(at, stop - 1)
    at = stop + 1
    if line == "" then
      if data then
        visit { event = name or "message", data = data, id = id }
      end
      data, name = nil, nil
    else
      local field, value = line:match "^([^:]*): ?(.*)$"
      if field == "data" then
        data = data and data .. "\n" .. value or value
      elseif field == "event" then
        name = value
      elseif field == "id" then
        id = value
      end
    end
  end
end

local function drain()
  local stream = open { buffer = 2 ^ 31 }
  while not stream.entry.done do -- all has come
    freddy.sleep(0.01)
  end
  collectgarbage()
  local parts, seen = {}, 0
  local began = os.clock()
  for _ in stream:events() do
    seen = seen + 1
  end
  local ours = os.clock() - began
  freddy.assert(stream:finish())
  for i = 1, count do
    parts[i] = ('data: {"event":"response.output_text.delta",'
      .. '"delta":"word%d"}\n\n'):format(i - 1)
  end
  local text, parsed = table.concat(parts), 0
  parts = nil -- luacheck: ignore
  collectgarbage()
  began = os.clock()
  parse(text, function()
    parsed = parsed + 1
  end)
  local theirs = os.clock() - began
  assert(seen == count and parsed == count)
  print(("%.0f %.0f"):format(count / ours, count / theirs))
end

if what == "late" then
  late()
elseif what == "text" then
  text_late()
else
  drain()
end
