-- SPDX-License-Identifier: MIT
-- /v1/events and /v1/bytes: event streams that are no turn, for tests.

local errors = require "errors"
local request = require "request"
local state = require "state"
local store = require "turns.store"

local events = {}

local EOL = { lf = "\n", crlf = "\r\n", cr = "\r" }
local MAX_MS = 600000

local function open(kind, query, content_type)
  local entry = store.open { kind = kind, at = ngx.now(), tag = query.tag }
  entry.streams = true
  ngx.ctx.turn_entry = entry
  ngx.header["Content-Type"] = content_type
  return entry
end

-- Ends the handler when the client has gone.
local function send(entry, bytes, count)
  ngx.print(bytes)
  if not ngx.flush(true) then
    store.ended(entry, "aborted")
    ngx.exit(444)
  end
  store.sent(entry, #bytes, count)
end

local function finish(entry, last)
  if last == "cut" then
    store.ended(entry, "cut")
    ngx.exit(444)
  end
  store.ended(entry, "whole")
  local generation = state.generation()
  while last == "hold" and generation == state.generation() do
    ngx.sleep(0.01)
  end
end

-- Numbers of a query, or nothing after an answer that says which is wrong.
local function numbers(query, bounds)
  local values = {}
  for name, bound in pairs(bounds) do
    values[name] = request.integer(query[name], bound[1], bound[2], bound[3])
    if not values[name] then
      errors.invalid(name, "Not a number from " .. bound[2] .. " to "
        .. bound[3] .. ".", query[name])
      return nil
    end
  end
  return values
end

-- The bytes of event `i`; its data is its number, a colon, and dots.
local function frame(i, query, wanted, eol)
  local data = i .. ":"
  data = data .. ("."):rep(wanted.size - #data)
  if query.json == "1" then
    data = '{"n":' .. i .. ',"text":"' .. data .. '"}'
  end
  local parts = {}
  if query.ids ~= "0" then
    parts[1] = "id: " .. i
  end
  if query.event then
    parts[#parts + 1] = "event: " .. query.event
  end
  if query.retry then
    parts[#parts + 1] = "retry: " .. query.retry
  end
  if wanted.comments > 0 and i % wanted.comments == 0 then
    parts[#parts + 1] = ": " .. i
  end
  local piece = math.max(1, math.ceil(#data / wanted.lines))
  for at = 1, #data, piece do
    parts[#parts + 1] = "data: " .. data:sub(at, at + piece - 1)
  end
  return table.concat(parts, eol) .. eol .. eol
end

function events.list()
  local query = request.query()
  local wanted = numbers(query, {
    count = { 10, 0, 1e8 }, size = { 16, 1, 16777216 }, ms = { 0, 0, MAX_MS },
    batch = { 1, 1, 100000 }, lines = { 1, 1, 10000 }, at = { 1, 1, 1e8 },
    comments = { 0, 0, 1e8 },
  })
  local eol = EOL[query.eol or "lf"]
  if not wanted then
    return
  elseif not eol then
    return errors.invalid("eol", "None of lf, crlf, cr.", query.eol)
  end
  local entry = open("events", query, query.type or "text/event-stream")
  ngx.send_headers()
  send(entry, query.bom == "1" and "\239\187\191" or "", 0)
  for first = 1, wanted.count, wanted.batch do
    local last = math.min(first + wanted.batch - 1, wanted.count)
    local frames = {}
    for i = first, last do
      frames[#frames + 1] = frame(i, query, wanted, eol)
    end
    state.wait { ms = wanted.ms,
      hold = query.hold and last >= wanted.at and query.hold or nil }
    send(entry, table.concat(frames), #frames)
  end
  if query.done == "1" then
    send(entry, "data: [DONE]" .. eol .. eol, 1)
  end
  finish(entry, query.last)
end

function events.bytes()
  local query, body = request.query(), request.body()
  local wanted = numbers(query, {
    piece = { 16777216, 1, 16777216 }, ms = { 0, 0, MAX_MS },
    status = { 200, 200, 599 },
  })
  if not wanted then
    return
  elseif body == "" then
    body = query.data or ""
  end
  ngx.status = wanted.status
  local entry = open("bytes", query, query.type or "text/event-stream")
  if query.length == "1" then
    ngx.header["Content-Length"] = #body
  end
  ngx.send_headers()
  ngx.flush(true)
  for at = 1, #body, wanted.piece do
    state.wait { ms = wanted.ms }
    send(entry, body:sub(at, at + wanted.piece - 1), 0)
  end
  finish(entry, query.last)
end

return events
