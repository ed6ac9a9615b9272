-- SPDX-License-Identifier: MIT
--- One answer saved to a file, in a process of its own:
---
---   saves.lua URL
---
--- Prints wall seconds, the size of the file in MiB, and resident KiB before
--- and at the most.
local core = require "freddy.core"
local freddy = require "freddy"

local client = assert(freddy.new {
  auth = "none", base_url = arg[1]:match "^%w+://[^/]+",
})
local path = os.tmpname()

local function memory(name)
  for line in io.lines("/proc/self/status") do
    local kib = line:match("^" .. name .. ":%s+(%d+)")
    if kib then
      return tonumber(kib)
    end
  end
end

-- What a first request loads is not what a file takes.
assert(client:get("/text", { auth = false }))
local before = memory "VmRSS"
local start = core.now()
local res, err = client:get(arg[1], { auth = false, save_to = path })
local wall = core.now() - start
os.remove(path)
if not res then
  error(tostring(err), 0)
end
print(wall, res.saved / 1024 / 1024, before, memory "VmHWM")
os.exit(0)
