-- SPDX-License-Identifier: MIT
--- The host for nginx with its Lua module, and OpenResty: a call yields the
--- light thread that makes it, and the worker goes on. Picked by itself there.
--- See block.lua for the interface.
local ngx = rawget(_G, "ngx") or error("this is no nginx", 0)
local misuse = require "freddy.misuse"
local pump = require "freddy.nginx_pump"
local semaphore = require "ngx.semaphore"
local get_phase = ngx.get_phase

-- A handshake needs patches of OpenResty's to go on after a yield. Debian's
-- nginx has that for ssl_certificate, and those for the other phases not.
local YIELDS = { rewrite = true, server_rewrite = true, access = true,
  content = true, timer = true, preread = true, ssl_cert = true }
local ELSEWHERE = "in a rewrite, access or content phase or in a timer "
  .. "(ngx.timer.at)"
local WAY_OUT = {
  init = "there are no workers yet: make the client here, and use it "
    .. ELSEWHERE,
  init_worker = "call it in ngx.timer.at(0, function() ... end)",
  ssl_client_hello = "call it in ssl_certificate_by_lua",
  ssl_session_fetch = "call it in ssl_certificate_by_lua",
}
local PATIENCE = 1 -- seconds after which the pump is looked at
local MAX_RESTING = 256
local resting = {} -- semaphores that nobody waits for
local ABORT = {}   -- the key in ngx.ctx of calls that the client's end cancels
---@type freddy.Host
local nginx = { name = "nginx", yields = true }

function nginx.blocked()
  local phase = get_phase()
  if not YIELDS[phase] then
    return ("nothing can wait in %s_by_lua: %s"):format(phase, WAY_OUT[phase]
      or "call it " .. ELSEWHERE .. ", or do not wait: client:fire")
  end
end

function nginx.engage(work, who)
  if get_phase() == "init" then
    misuse.raise("%s: nothing runs in init_by_lua: %s", who, WAY_OUT.init)
  end
  return pump.engage(work)
end

function nginx.wait(entry, work)
  local sema, seen = table.remove(resting) or semaphore.new(0), nil
  entry.sema = sema
  while not entry.done do
    if pump.engage(work) then
      if not sema:wait(PATIENCE) then
        seen = pump.look(seen)
      end
    else -- no timer is to be had: look oneself
      entry.sema = nil
      local stepped = work.step()
      entry.sema = sema
      if not stepped and not entry.done then
        sema:wait(0.005)
      end
    end
  end
  entry.sema = nil
  if #resting < MAX_RESTING then
    resting[#resting + 1] = sema
  end
end

function nginx.wake(entry)
  if entry.sema then
    entry.sema:post(1)
  end
end

-- The threads that wait count below zero; one that is killed no longer does.
function nginx.is_waiting(entry)
  return not entry.sema or entry.sema:count() < 0
end

-- Others have their turn beside a stream that is always ready.
function nginx.give_way() ngx.sleep(pump.PAUSE) end

function nginx.start(fn, ...)
  return YIELDS[get_phase()] and pump.spawn(fn, ...)
end

function nginx.cancel_on_abort(who, entry)
  local ok, ctx = pcall(function() return ngx.ctx end)
  local calls = ok and ctx[ABORT]
  if not calls then
    calls = setmetatable({}, { __mode = "k" })
    local set, ready, why = pcall(ngx.on_abort, function()
      for one in pairs(calls) do
        if one.call and not one.done then
          one.call:cancel()
        end
      end
    end)
    if not (set and ready) then
      misuse.raise("%s: cancel_on_abort is not possible here: %s", who,
        tostring(why or ready))
    end
    ctx[ABORT] = calls
  end
  calls[entry] = true
end

function nginx.is_one_of_many() return ngx.worker.count() > 1 end

function nginx.report(text) ngx.log(ngx.ERR, text) end

return nginx
