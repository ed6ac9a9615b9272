-- SPDX-License-Identifier: MIT
--- What the specs of request bodies share: bytes, readers and files of them.

local body_util = {}

body_util.MIB = 1024 * 1024

-- Bytes of every kind; a prime length, so that no piece looks like the next.
local function make_block()
  local out, seed = {}, 7
  for i = 1, 65521 do
    seed = (seed * 1103 + 12345) % 1048576
    out[i] = string.char(math.floor(seed / 64) % 256)
  end
  return table.concat(out)
end
local BLOCK = make_block()
body_util.BLOCK = BLOCK

--- `size` bytes, always the same.
function body_util.bytes(size)
  return BLOCK:rep(math.ceil(size / #BLOCK)):sub(1, size)
end

--- A reader of `text`, in pieces of `step` bytes, or as many as are asked for.
function body_util.reader(text, step)
  local at = 1
  return function(n)
    if at > #text then
      return nil
    end
    local piece = text:sub(at, at + (step or n) - 1)
    at = at + #piece
    return piece
  end
end

--- A POST to `name` with these options.
function body_util.with(name, options)
  local given = { method = "POST", path = name }
  for key, value in pairs(options) do
    given[key] = value
  end
  return given
end

local files = {}

--- The path of a file that `remove_files` removes.
function body_util.file(text)
  local path = os.tmpname()
  files[#files + 1] = path
  local handle = assert(io.open(path, "wb"))
  assert(handle:write(text))
  handle:close()
  return path
end

--- Let `remove_files` remove this one, too.
function body_util.forget(path)
  files[#files + 1] = path
end

function body_util.remove_files()
  for _, path in ipairs(files) do
    os.remove(path)
  end
  files = {}
end

return body_util
