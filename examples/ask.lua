-- SPDX-License-Identifier: MIT
-- Ask, and see the answer arrive on the terminal:
--
--   lua examples/ask.lua "Why is the sky blue?"
--
-- FREDDY_API_KEY (and FREDDY_BASE_URL, FREDDY_CA_FILE) say where and as whom.
-- Ctrl-C ends the answer: here at once, and on the server, which is told.

local freddy = require("freddy")

local question = #arg > 0 and table.concat(arg, " ")
  or "Why is the sky blue?"
local client = freddy.assert(freddy.new())
local stream = freddy.assert(client.responses:stream({
  inputs = { { role = "user", content = question } },
}))

local function show()
  for text in stream:text() do
    io.write(text)
    io.flush()
  end
end

-- Ctrl-C is an error that the interpreter raises where the program stands.
local whole, interrupt = pcall(show)
if not whole then
  stream:cancel()
end
local answer, err = stream:finish()
io.write("\n")

if not whole then
  local thread = err and err.partial and err.partial.thread_id
  if thread then
    client.responses:cancel(thread, nil, { timeout = 5 })
  end
  io.stderr:write(tostring(interrupt), "\n")
elseif err then
  io.stderr:write(tostring(err), "\n")
elseif answer.usage and answer.usage.total_tokens then
  io.stderr:write(answer.usage.total_tokens, " tokens\n")
end
client:close()
os.exit(whole and not err and 0 or 1)
