-- SPDX-License-Identifier: MIT
--- Uploads, in a process of its own for each figure:
---
---   uploads.lua KIND BASE COUNT MIB WIDTH    WIDTH in flight, MIB each
---
--- KIND: string, reader (with a size), chunks (a reader without) or file
--- (a part of a multipart body). Prints wall seconds, and resident KiB: after
--- the tenth of the uploads that is the warm-up, at the end, and at the most.
local unpack = rawget(table, "unpack") or rawget(_G, "unpack")
local kind, base, count, mib, width = unpack(arg)
count, mib, width = tonumber(count), tonumber(mib), tonumber(width)

local core = require "freddy.core"
local freddy = require "freddy"

local client = assert(freddy.new {
  base_url = base, api_key = "benchmark-key",
})
local block = ("0123456789abcdef"):rep(4096)
local size = mib * 1024 * 1024
local text = kind == "string" and block:rep(size / #block) or nil
local path

if kind == "file" then
  path = os.tmpname()
  local handle = assert(io.open(path, "wb"))
  for _ = 1, size / #block do
    handle:write(block)
  end
  handle:close()
end

local function reader()
  local left = size
  return function(n)
    if left == 0 then
      return nil
    end
    n = math.min(n, left, #block)
    left = left - n
    return n == #block and block or block:sub(1, n)
  end
end

local bodies = {
  string = function() return { body = text } end,
  reader = function() return { body = reader(), size = size } end,
  chunks = function() return { body = reader() } end,
  file = function()
    return { multipart = { { name = "f", file = path } } }
  end,
}

local function memory(name)
  for line in io.lines("/proc/self/status") do
    local kib = line:match("^" .. name .. ":%s+(%d+)")
    if kib then
      return tonumber(kib)
    end
  end
end

local function upload()
  local res, err = client:post("/sink", bodies[kind]())
  if not res then
    error(tostring(err), 0)
  end
end

local function run(n)
  local fns = {}
  for i = 1, width do
    fns[i] = function()
      for _ = 1, n / width do
        upload()
      end
    end
  end
  local _, errs = freddy.all(fns)
  if errs then
    error(tostring(errs[next(errs)]), 0)
  end
end

local bare = memory "VmRSS"
local warm = math.max(width, math.floor(count / 10))
run(warm)
collectgarbage()
local before = memory "VmRSS"
local start = core.now()
run(count)
local wall = core.now() - start
collectgarbage()
print(wall, bare, before, memory "VmRSS", memory "VmHWM")
if path then
  os.remove(path)
end
os.exit(0)
