-- SPDX-License-Identifier: MIT
-- :FreddyAsk QUESTION   stream the answer into a new buffer
-- :FreddyStop           stop the answer in this buffer
local vim = rawget(_G, "vim")

vim.api.nvim_create_user_command("FreddyAsk", function(command)
  require("freddy_ask").ask(command.args)
end, { nargs = "+", desc = "Ask Freddy; the answer comes into a new buffer" })

vim.api.nvim_create_user_command("FreddyStop", function()
  require("freddy_ask").stop(vim.api.nvim_get_current_buf())
end, { desc = "Stop the answer that comes into this buffer" })
