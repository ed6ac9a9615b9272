-- SPDX-License-Identifier: MIT
--- The host for loops of libuv: luv, luvit and Neovim, where it is picked by
--- itself. The loop watches the inbox's descriptor and serves what arrives;
--- nothing blocks, and no port is opened. In Neovim tasks and callbacks run
--- where the whole of vim.api may be used. See block.lua for the interface.
local BUDGET = 0.005 -- seconds of one turn of the loop that freddy may take
local AGAIN = 10 -- milliseconds until the next try, where it could not serve

local vim = rawget(_G, "vim")
if type(vim) ~= "table" or not vim.schedule then
  vim = nil
end

local function find_uv()
  if vim then
    return vim.uv or vim.loop
  end
  local ok, uv = pcall(require, "luv")
  if not ok then
    ok, uv = pcall(require, "uv") -- luvit
  end
  return ok and uv or error("the host luv needs the module luv", 0)
end

local uv = find_uv()
local handle, watched -- the handle that watches the descriptor
local timer
local serve -- function()
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

local function forget()
  local old = handle
  handle, watched = nil, nil
  return old
end

function luv.watch(fd, busy, pump)
  if not fd then
    local old = forget()
    if old and not uv.is_closing(old) then
      uv.close(old)
    end
    return
  elseif watched and watched ~= fd then
    lost[#lost + 1] = forget()
  end
  if not handle or uv.is_closing(handle) then
    handle, watched = assert(uv.new_poll(fd)), fd
    serve = serve_by(pump)
    listen()
  end
  if busy then
    uv.ref(handle)
  else
    uv.unref(handle)
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
