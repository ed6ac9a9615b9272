-- SPDX-License-Identifier: MIT
--- The host for loops that must not block: games and interfaces that call
--- freddy.poll once per frame. Picked by itself in LÖVE. See block.lua for
--- the interface.
---@type freddy.Host
local loop = {
  name = "loop",
  blocked = "this call would block the loop: make it inside "
    .. "freddy.spawn(function() ... end), or use client:send",
}

-- Never reached: what is blocked raises before it waits.
function loop.wait()
  error("the loop host does not wait")
end

return loop
