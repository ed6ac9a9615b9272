-- SPDX-License-Identifier: MIT
-- A turn on a connection: each step when it is due, heartbeats while nothing
-- is, and the end that was asked for.

local plan = require "turns.plan"
local store = require "turns.store"

local play = {}

local LOOK = 0.01  -- seconds between two looks at gates and cancel marks

local function now()
  ngx.update_time()
  return ngx.now()
end

-- Ends the connection (over HTTP/2: the stream) without an end of the body.
local function cut(session)
  store.ended(session.entry, "cut")
  ngx.flush(true)
  ngx.exit(444)
end

-- Leaves by itself when the client has gone: nginx ends the light thread.
local function send(session, bytes, is_step)
  local room = session.cut.bytes and session.cut.bytes - session.bytes
  if room and #bytes >= room then
    bytes, is_step = bytes:sub(1, room), is_step and #bytes == room
  end
  ngx.print(bytes)
  local ok = ngx.flush(true)
  session.bytes = session.bytes + #bytes
  session.steps = session.steps + (is_step and 1 or 0)
  session.last = ngx.now()
  store.sent(session.entry, #bytes, is_step and 1 or 0)
  if not ok then
    store.ended(session.entry, "aborted")
    ngx.exit(444)
  elseif room and #bytes >= room or session.steps == session.cut.events then
    cut(session)
  end
end

local function beat(session)
  local wanted = session.turn.script.heartbeat
  if not wanted or now() < session.last + (wanted.ms or 30000) / 1000 then
    return
  elseif wanted.form == "comment" then
    local eol = session.turn.script.eol
    return send(session, ":" .. (wanted.text or "") .. eol .. eol)
  end
  send(session, plan.frame(session.turn,
    plan.heartbeat(session.turn, wanted.text)))
end

-- Wait for a step. Gives when it was due; nil when the turn was cancelled
-- before.
local function wait(session, step, previous)
  while true do
    if store.is_gone(session.turn) then
      cut(session)
    end
    local due = plan.due(step, previous)
    local mark = store.cancelled(session.turn)
    if mark and (not due or due > mark.at) then
      return nil
    end
    local left = due and due - now() or LOOK
    if left <= 0 then
      return due
    end
    beat(session)
    ngx.sleep(math.min(left, LOOK))
  end
end

local function finish(session)
  local script = session.turn.script
  if script.done then
    send(session, plan.done(session.turn))
  end
  if script.last == "cut" then
    cut(session)
  end
  store.ended(session.entry, "whole")
  while script.last == "hold" and not store.is_gone(session.turn) do
    beat(session)
    ngx.sleep(LOOK)
  end
end

-- The part of a list of steps that comes after event `seen`.
local function skip(session, step, due)
  local script = session.turn.script
  local from = session.seen and session.seen - (script.overlap or 0)
  if from and step.number and step.number <= from then
    return true, nil
  end
  return false, session.replay and due <= session.attached and "replay" or nil
end

local function open(session)
  local script = session.turn.script
  ngx.header["Content-Type"] = script.content_type or "text/event-stream"
  ngx.header["Cache-Control"] = "no-cache"
  ngx.send_headers()
  ngx.flush(true)
  if session.cut.bytes == 0 or session.cut.events == 0 then
    cut(session)
  end
  local head = (script.bom and "\239\187\191" or "")
    .. (script.retry and "retry: " .. script.retry .. script.eol
      .. script.eol or "")
  if head ~= "" then
    send(session, head)
  end
end

local function run(session)
  local turn = session.turn
  local steps, due = plan.steps(turn), turn.started
  for i, step in ipairs(steps) do
    local at = wait(session, step, due)
    if not at then
      send(session, plan.frame(turn, plan.cancelled(turn, steps, i - 1)),
        true)
      return finish(session)
    end
    due = at
    local skipped, source = skip(session, step, due)
    if not skipped then
      send(session, plan.frame(turn, step, source), true)
    end
  end
  finish(session)
end

--- Send a turn as an event stream.
---@param turn table
---@param entry table of the log
---@param options { replay: boolean?, seen: integer? }? a connection that
---  comes later, and the number of the last event that it knows
function play.stream(turn, entry, options)
  options = options or {}
  entry.streams = true
  local cuts = turn.script.cut or {}
  local session = {
    turn = turn, entry = entry, bytes = 0, steps = 0, last = now(),
    attached = now(), replay = options.replay, seen = options.seen,
    cut = cuts[store.connect(turn)] or {},
  }
  open(session)
  if options.replay and turn.script.gone then
    for _, step in ipairs(plan.made_up(turn)) do
      send(session, plan.frame(turn, step, "replay"), true)
    end
    return finish(session)
  end
  run(session)
end

--- Wait for a turn's end without sending any of it.
---@param turn table
---@return boolean whole false when it was cancelled, or forgotten
function play.wait(turn)
  local steps, due = plan.steps(turn), turn.started
  for _, step in ipairs(steps) do
    local at
    repeat
      local mark = store.cancelled(turn)
      at = plan.due(step, due)
      if store.is_gone(turn) or mark and (not at or at > mark.at) then
        return false
      end
      local left = at and at - now() or LOOK
      if left > 0 then
        ngx.sleep(math.min(left, LOOK))
      end
    until left <= 0
    due = at
  end
  return true
end

return play
