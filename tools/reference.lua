-- SPDX-License-Identifier: MIT
--- The parts of docs/ that come from tables of the program. In a page they
--- stand between `<!-- generated: NAME -->` and `<!-- end -->`.
---
---   lua tools/reference.lua         rewrite the pages (make docs)
---   lua tools/reference.lua --check print the names of those that are old

package.path = "lua/?.lua;" .. package.path

local PAGES = { "docs/errors.md" }

local parts = {}

local function code(text)
  return "`" .. text .. "`"
end

local function cell(text)
  return (text:gsub("|", "\\|"))
end

local AGAIN = { any = "yes", safe = "when safe" }

function parts.kinds()
  local out = { "| `kind` | when | what to do | repeat? |",
    "| --- | --- | --- | --- |" }
  for _, row in ipairs(require "freddy.kinds") do
    if not row.reason and not row.credential then
      out[#out + 1] = ("| %s | %s | %s | %s |"):format(code(row.kind),
        cell(row.meaning), cell(row.hint or ""), AGAIN[row.again] or "no")
    end
  end
  return out
end

-- A table for each kind that has some.
function parts.reasons()
  local out, last = {}, nil
  for _, row in ipairs(require "freddy.kinds") do
    if row.reason or row.credential then
      if row.kind ~= last then
        out[#out + 1] = #out > 0 and "" or nil
        out[#out + 1] = "### " .. code(row.kind)
        out[#out + 1] = ""
        out[#out + 1] = "| `reason` | when | what to do |"
        out[#out + 1] = "| --- | --- | --- |"
        last = row.kind
      end
      local when = cell(row.meaning)
      if row.credential then
        when = when .. (" (client with a %s)"):format(row.credential)
      end
      local name = row.reason and code(row.reason) or "none"
      out[#out + 1] = ("| %s | %s | %s |"):format(name, when,
        cell(row.hint or ""))
    end
  end
  return out
end

local function read(path)
  local handle = assert(io.open(path))
  local text = handle:read("*a")
  handle:close()
  return text
end

local function fill(text)
  return (text:gsub("(<!%-%- generated: (%w+) %-%->\n).-(<!%-%- end %-%->)",
    function(head, name, tail)
      local part = assert(parts[name], name)
      return head .. "\n" .. table.concat(part(), "\n") .. "\n\n" .. tail
    end))
end

local old = {}
for _, page in ipairs(PAGES) do
  local before = read(page)
  local after = fill(before)
  if after ~= before then
    old[#old + 1] = page
    if arg[1] ~= "--check" then
      local handle = assert(io.open(page, "w"))
      handle:write(after)
      handle:close()
    end
  end
end
if #old > 0 then
  print(table.concat(old, "\n"))
end
os.exit(arg[1] == "--check" and #old > 0 and 1 or 0)
