-- SPDX-License-Identifier: MIT
--- A timer of the host's, set to 10 ms, that must go on whatever freddy does:
--- how often it came, and its longest gap. Printed, not judged.
local core = require "freddy.core"

local ticker = {}
ticker.__index = ticker

function ticker.new()
  return setmetatable({ count = 0, longest = 0 }, ticker)
end

--- To be called by the timer.
function ticker:tick()
  local now = core.now()
  if self.last and now - self.last > self.longest then
    self.longest = now - self.last
  end
  self.last, self.count = now, self.count + 1
end

---@param write? fun(text: string) gets a line; io.write without it
function ticker:print(write)
  write = write or io.write
  write(("GAP   a timer of 10 ms came %d times, its longest gap %.1f ms\n")
    :format(self.count, self.longest * 1000))
end

return ticker
