-- SPDX-License-Identifier: MIT
--- A Redis server of the suite's own, on a port that the system picks.

local helper = require "spec.helper"
local nginx_util = require "spec.nginx_util"
local socket = require "socket"

local redis_util = {}

local REDIS = "command -v redis-server || command -v redis-check-rdb"
local MODULE = "ls /usr/share/lua/5.1/nginx/redis.lua "
  .. "/usr/share/lua/5.1/resty/redis.lua 2>/dev/null | grep ."

--- Start one; redis-check-rdb is the same program by another name. nil where
--- it, or nginx's library for it, is not installed.
---@return integer? port
---@return string? pid
function redis_util.start()
  if select(2, nginx_util.sh(REDIS)) ~= 0
      or select(2, nginx_util.sh(MODULE)) ~= 0 then
    return nil
  end
  local port = nginx_util.free_port()
  local pid = nginx_util.sh(("bash -c '(exec -a redis-server $(%s) --port %d "
    .. "--bind 127.0.0.1 --save \"\" --appendonly no) >/dev/null 2>&1 "
    .. "& echo $!'"):format(REDIS, port)):match "%d+"
  helper.eventually(function()
    local conn = socket.connect("127.0.0.1", port)
    return conn and conn:close()
  end)
  return port, pid
end

--- End it, and wait until it answers no more.
---@param pid string
---@param port integer
function redis_util.stop(pid, port)
  nginx_util.sh("kill " .. pid)
  helper.eventually(function()
    return not socket.connect("127.0.0.1", port)
  end)
end

return redis_util
