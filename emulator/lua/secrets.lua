-- SPDX-License-Identifier: MIT
-- What `start` made up: the key, the user, what tokens are signed with.
-- Read by the master, before it forks: every worker has the same.

local json = require "json"

local path = ngx.config.prefix() .. "credentials.json"
local file = assert(io.open(path))
local secrets = json.decode(file:read "*a")
file:close()

return assert(secrets, path .. " is not JSON")
