-- SPDX-License-Identifier: MIT
--- Which host is at work. See host/block.lua for what a host is.
local block = require "freddy.host.block"
local loop = require "freddy.host.loop"

local hosts = {}

local host

-- nginx has other requests to serve, LÖVE a frame to draw, Neovim an editor to
-- run; everything else may block until it says not to.
local function pick()
  local ngx, love = rawget(_G, "ngx"), rawget(_G, "love")
  local vim = rawget(_G, "vim")
  if type(ngx) == "table" and ngx.worker and ngx.get_phase then
    return require "freddy.host.nginx"
  elseif type(love) == "table" and love.window then
    return loop
  elseif type(vim) == "table" and vim.schedule and (vim.uv or vim.loop) then
    return require "freddy.host.luv"
  end
  return block
end

--- The host at work.
---@return freddy.Host
function hosts.current()
  host = host or pick()
  return host
end

--- Use another host from now on; nil picks one again.
---@param new freddy.Host?
function hosts.use(new)
  host = new
end

--- Whether tasks run in coroutines of the host's.
---@return boolean
function hosts.have_tasks()
  return hosts.current().start ~= nil
end

return hosts
