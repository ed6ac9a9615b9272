-- SPDX-License-Identifier: MIT
--- The host for loops of libuv: luv, luvit and Neovim, where it is picked by
--- itself. The loop watches the inbox's descriptor and serves what arrives;
--- nothing blocks, and no port is opened. In Neovim tasks and callbacks run
--- where all of vim.api may be used. See block.lua for the interface.
local BUDGET = 0.005 -- seconds of one turn of the loop that freddy may take
local AGAIN = 10 -- milliseconds until the next try, where it could not serve

local vim = rawget(_G, "vim")
vim = type(vim) == "table" and vim.schedule and vim or nil

local function find_uv()
  if vim then
    return vim.uv or vim.loop
  end
  local ok, uv = pcall(require, "uv") -- luvit's
  return ok and uv or require "luv"
end

local uv = find_uv()
local handle, watched -- what watches the descriptor
local serve, timer
local lost = {} -- of the process before a fork: not to be touched any more

---@type freddy.Host
local luv = {
  name = "luv",
  blocked = "this call would block the " .. (vim and "editor" or "loop")
    .. ": make it inside freddy.spawn(function() ... end), or use client:send",
}

-- Never reached: what is blocked raises before it waits.
function luv.wait()
  error("the luv host does not wait")
end

-- The handle rests until all was served: Neovim may have to wait for a key
-- before it does what is scheduled, and a task may run the loop itself.
local function on_readable()
  uv.poll_stop(handle)
  if vim then
    vim.schedule(serve)
  else
    serve()
  end
end

local function listen()
  if handle and not uv.is_closing(handle) then
    uv.poll_start(handle, "r", on_readable)
  end
end

local function serve_by(pump)
  return function()
    local ok, served = pcall(pump.serve, BUDGET)
    if served == false then -- this is inside of freddy.poll
      timer = timer or uv.new_timer()
      uv.timer_start(timer, AGAIN, 0, listen)
    else
      listen()
    end
    if not ok then
      error(served, 0)
    end
  end
end

function luv.watch(fd, busy, pump)
  local old = handle
  if fd ~= watched then
    handle, watched = nil, fd
    if fd and old then
      lost[#lost + 1] = old
    elseif old and not uv.is_closing(old) then
      uv.close(old)
    end
  end
  if fd and not (handle and not uv.is_closing(handle)) then
    handle, serve = assert(uv.new_poll(fd)), serve_by(pump)
    listen()
  end
  if handle then
    (busy and uv.ref or uv.unref)(handle)
  end
end

if vim then
  function luv.report(text)
    vim.schedule(function()
      vim.notify(text, vim.log.levels.ERROR)
    end)
  end
end

return luv
