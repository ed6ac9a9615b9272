-- SPDX-License-Identifier: MIT
--- The Lua snippets of a Markdown file. Fences say what is done with one:
--- ```lua is run, ```lua norun is only compiled.

local snippets = {}

--- Read every Lua snippet of `file`, in order.
---@param file string
---@return { line: integer, text: string, run: boolean }[]
function snippets.read(file)
  local found, open, number = {}, nil, 0
  for line in io.lines(file) do
    number = number + 1
    local fence, info = line:match("^(```+)%s*(.-)%s*$")
    if not fence then
      if open then
        open.lines[#open.lines + 1] = line
      end
    elseif open then
      open.text = table.concat(open.lines, "\n") .. "\n"
      open.lines = nil
      if open.language == "lua" then
        found[#found + 1] = open
      end
      open = nil
    else
      local language, mark = info:match("^(%S*)%s*(%S*)$")
      assert(mark == "" or mark == "norun",
        file .. ":" .. number .. ": unknown mark " .. tostring(mark))
      open = {
        line = number, language = language, run = mark == "", lines = {},
      }
    end
  end
  assert(not open, file .. ": a fence is not closed")
  return found
end

return snippets
