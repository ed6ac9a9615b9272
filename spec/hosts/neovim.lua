-- SPDX-License-Identifier: MIT
-- The cases in Neovim, where the host is picked by itself. Run by
-- nvim --headless -l, or -c luafile.
local vim = rawget(_G, "vim")
local uv = vim.uv or vim.loop
local freddy = require "freddy"
local cases = require "spec.hosts.cases"
local ticker = require "spec.hosts.ticker"

local host = {
  name = "neovim", nested = "raises",
  env = function(name) return os.getenv("FY_TEST_" .. name) end,
}

local function write(text)
  io.stdout:write(text)
end

local results, edited
local outside = cases.outside(host, "freddy.spawn")
local ticks = ticker.new()
local timer = uv.new_timer()
timer:start(10, 10, function() ticks:tick() end)

-- What may be called only on the editor's own line.
local function edit(text)
  local buffer = vim.api.nvim_create_buf(false, true)
  vim.api.nvim_buf_set_lines(buffer, 0, -1, false, { text })
  return vim.api.nvim_buf_get_lines(buffer, 0, -1, false)[1]
end

local function list()
  local client = freddy.assert(freddy.new {
    base_url = host.env "BASE_URL", ca_file = host.env "CA_FILE",
    api_key = host.env "API_KEY",
  })
  local data = freddy.assert(client.models:list())
  local called = false
  client:send({ path = "/v1/models" }, function()
    called = edit("in a callback") == "in a callback"
  end)
  while not called do
    freddy.sleep(0.005)
  end
  return edit(data.models[1].id) == data.models[1].id
end

freddy.spawn(function()
  local ok, message = pcall(list)
  edited = {
    name = "lets tasks and callbacks use vim.api", ok = ok and message == true,
    message = tostring(message),
  }
  results = cases.run(host)
end)

vim.wait(100000, function() return results ~= nil end, 10)
results = results or {}
results[#results + 1] = outside
results[#results + 1] = edited
ticks:print(write)
local good = cases.report(host, results, write)
vim.cmd(good and "qa!" or "cq!")
