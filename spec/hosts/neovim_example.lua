-- SPDX-License-Identifier: MIT
-- examples/neovim, as a person would use it: questions by its commands, an
-- answer that comes while the editor is used, one that is stopped, one whose
-- buffer is wiped out meanwhile.
local vim = rawget(_G, "vim")
local freddy = require "freddy"

vim.opt.runtimepath:append(os.getenv("FY_TEST_TOP") .. "/examples/neovim")
vim.cmd("runtime plugin/freddy_ask.lua")

local passed, failed = 0, 0
local function check(name, ok, detail)
  passed, failed = passed + (ok and 1 or 0), failed + (ok and 0 or 1)
  if not ok then
    io.stdout:write(("FAIL  %s: %s\n"):format(name, tostring(detail)))
  end
end

local function text(buffer)
  return table.concat(vim.api.nvim_buf_get_lines(buffer, 0, -1, false), "\n")
end

local function eventually(condition)
  return vim.wait(20000, condition, 5)
end

local control = freddy.assert(freddy.new {
  base_url = os.getenv "FY_TEST_EMULATOR_CONTROL", auth = "none",
})
local function switch(switches)
  local done
  control:send({ method = "POST", path = "/control", json = switches,
    auth = false }, function(res, err)
    freddy.assert(res, err)
    done = true
  end)
  assert(eventually(function() return done end))
end

switch { reset = true }
vim.cmd("FreddyAsk Are you there?")
local first = vim.api.nvim_get_current_buf()
check("the answer comes", eventually(function()
  return text(first):find("You said: Are you there?", 1, true)
    and text(first):find("end_turn", 1, true)
end), text(first))
local ask = require "freddy_ask"
check("one that has come runs no longer", eventually(function()
  return not ask.is_running(first)
end))

switch { responses = { pauses = { after = 2, hold = "gate" } } }
vim.cmd("FreddyAsk Wait for me")
local second = vim.api.nvim_get_current_buf()
check("what has come is there before the rest", eventually(function()
  return text(second):find("You said", 1, true)
end), text(second))
vim.cmd("FreddyStop")
check("an answer is stopped", eventually(function()
  return text(second):find("cancelled", 1, true)
end), text(second))

vim.cmd("FreddyAsk And now?")
local third = vim.api.nvim_get_current_buf()
check("another one comes", eventually(function()
  return text(third):find("You said", 1, true)
end), text(third))
vim.cmd("bwipeout! " .. third)
switch { release = "gate" }
vim.wait(50)
check("none comes into a buffer that is gone",
  vim.v.errmsg == "" and not vim.api.nvim_buf_is_valid(third), vim.v.errmsg)

io.stdout:write(("%d passed, %d failed\n"):format(passed, failed))
vim.cmd(failed == 0 and "qa!" or "cq!")
