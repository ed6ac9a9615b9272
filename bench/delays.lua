-- SPDX-License-Identifier: MIT
--- How long a light thread of nginx waits after its answer is there.
local now = require "freddy.core".now

local delays = {}

local taken = {}

--- GET, and note what passed beside the request itself, which the engine has
--- timed: the way to it, and that from its end to the light thread.
---@param client freddy.Client
---@param path string
---@return freddy.Response
function delays.get(client, path)
  local start = now()
  local res = assert(client:get(path))
  taken[#taken + 1] = now() - start - res.timing.total
  return res
end

--- The median and the 99th percentile in milliseconds since the last report.
---@return string
function delays.report()
  local list = taken
  taken = {}
  table.sort(list)
  return ("%.4f %.4f %d"):format(list[math.ceil(#list * 0.5)] * 1e3,
    list[math.ceil(#list * 0.99)] * 1e3, #list)
end

return delays
