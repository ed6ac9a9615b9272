-- SPDX-License-Identifier: MIT
--- A small plugin for Neovim: it streams an answer into a buffer, while the
--- editor goes on. With freddy where Lua finds it (make env), this folder in
--- 'runtimepath', and FREDDY_API_KEY and so on in the environment.
local vim = rawget(_G, "vim")
local freddy = require "freddy"

local MODEL = "gpt-4o"

local ask = {}

local client      -- made at the first question
local tasks, streams = {}, {} -- by buffer

local function new_buffer(question)
  local buffer = vim.api.nvim_create_buf(true, true)
  vim.bo[buffer].filetype = "markdown"
  vim.api.nvim_buf_set_lines(buffer, 0, -1, false,
    { "# " .. question, "", "" })
  vim.api.nvim_set_current_buf(buffer)
  vim.api.nvim_create_autocmd("BufWipeout", {
    buffer = buffer,
    callback = function() ask.stop(buffer) end,
  })
  return buffer
end

local function append(buffer, text)
  if not vim.api.nvim_buf_is_loaded(buffer) then
    return ask.stop(buffer)
  end
  local row = vim.api.nvim_buf_line_count(buffer) - 1
  local last = vim.api.nvim_buf_get_lines(buffer, row, row + 1, false)[1]
  vim.api.nvim_buf_set_text(buffer, row, #last, row, #last,
    vim.split(text, "\n", { plain = true }))
end

-- In a task: each read waits, and the editor does not.
local function stream_into(buffer, question)
  local stream, err = client.responses:stream {
    model = MODEL, inputs = { { role = "user", content = question } },
  }
  if not stream then
    return append(buffer, "\n" .. tostring(err))
  end
  streams[buffer] = stream
  local text = stream:read()
  while text do
    append(buffer, text)
    text = stream:read()
  end
  local whole
  whole, err = stream:finish()
  append(buffer, "\n\n---\n" .. (whole and tostring(whole.stop_reason)
    or tostring(err)))
end

-- However it ends, nothing of it stays.
local function answer(buffer, question)
  local ok, problem = freddy.pcall(stream_into, buffer, question)
  tasks[buffer], streams[buffer] = nil, nil
  if not ok then
    error(problem, 0)
  end
end

--- Ask, and have the answer come into a new buffer.
---@param question string
---@return integer? buffer
function ask.ask(question)
  local err
  if not client then
    client, err = freddy.new()
  end
  if not client then
    vim.notify(tostring(err), vim.log.levels.ERROR)
    return nil
  end
  local buffer = new_buffer(question)
  local task = freddy.spawn(answer, buffer, question)
  tasks[buffer] = task:status() == "waiting" and task or nil
  return buffer
end

--- Whether an answer still comes into a buffer.
---@param buffer integer
---@return boolean
function ask.is_running(buffer)
  return tasks[buffer] ~= nil
end

--- Stop the answer that comes into a buffer, if there is one.
---@param buffer integer
function ask.stop(buffer)
  local task, stream = tasks[buffer], streams[buffer]
  if stream then
    stream:cancel() -- what it waits for ends
  elseif task then
    task:cancel()
  end
end

return ask
