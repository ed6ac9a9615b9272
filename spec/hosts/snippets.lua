-- SPDX-License-Identifier: MIT
-- snippets.lua FILE...: run the snippets of a page, for which not every Lua
-- has the modules.
local snippets = dofile("tools/snippets.lua")
local compile = rawget(_G, "loadstring") or load

local passed, failed = 0, 0
for _, file in ipairs(arg) do
  for _, snippet in ipairs(snippets.read(file)) do
    local place = file .. ":" .. snippet.line
    local chunk, message = compile(snippet.text, "@" .. place)
    local ok = chunk ~= nil
    if ok and snippet.run then
      ok, message = pcall(chunk)
    end
    passed, failed = passed + (ok and 1 or 0), failed + (ok and 0 or 1)
    if not ok then
      print(("FAIL  %s: %s"):format(place, tostring(message)))
    end
  end
end
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and 0 or 1)
