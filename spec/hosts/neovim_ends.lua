-- SPDX-License-Identifier: MIT
-- Leave Neovim with requests and a stream in flight, in the way that
-- FY_WAY names.
local vim = rawget(_G, "vim")
local freddy = require "freddy"
local way = os.getenv "FY_WAY"

local client = freddy.assert(freddy.new {
  base_url = os.getenv "FY_TEST_BASE_URL",
  ca_file = os.getenv "FY_TEST_CA_FILE",
  api_key = os.getenv "FY_TEST_API_KEY",
})

local function quit()
  io.stdout:write("1 passed, 0 failed\n")
  vim.cmd("qa!")
end

local events = 0
for _ = 1, 10 do
  client:send({ path = "/v1/delay/60000" }, function() end)
  freddy.spawn(function() client:get("/v1/delay/60000") end)
end
freddy.spawn(function()
  local stream = freddy.assert(client:stream("/v1/events?count=100000&ms=2"))
  while stream:next() do
    events = events + 1
    if way == "task" and events == 10 then
      quit()
    end
  end
end)
if way == "main" then
  vim.wait(10000, function() return events > 10 end, 5)
  quit()
elseif way == "callback" then
  client:send({ path = "/v1/delay/100" }, quit)
end
