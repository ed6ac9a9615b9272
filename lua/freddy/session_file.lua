-- SPDX-License-Identifier: MIT
--- The option `store`: a file that keeps a session, for every process that
--- names it.
local misuse = require "freddy.misuse"

local session_file = {}

---@class freddy.SessionFile
---@field path string
local SessionFile = { __name = "freddy.session_file" }

function SessionFile.__tostring(self)
  return "freddy.session_file: " .. self.path
end

--- A file for the option `store` of freddy.new. Touches no disk.
---@param path string a relative one starts at the working folder of the moment
---  when the client is made
---@return freddy.SessionFile
function session_file.new(path)
  if type(path) ~= "string" or path == "" then
    misuse.raise("freddy.session_file: a path expected (got %s)",
      misuse.type_of(path))
  elseif path:find "%c" then
    misuse.raise("freddy.session_file: the path has control characters")
  end
  return setmetatable({ path = path }, SessionFile)
end

--- Whether `value` was made here.
---@param value any
---@return boolean
function session_file.is_one(value)
  return getmetatable(value) == SessionFile
end

return session_file
