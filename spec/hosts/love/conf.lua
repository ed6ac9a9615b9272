-- SPDX-License-Identifier: MIT
local love = rawget(_G, "love")

function love.conf(t)
  t.identity = "freddy-spec"
  t.window.width, t.window.height, t.window.vsync = 64, 64, 0
  t.modules.audio, t.modules.joystick, t.modules.physics = false, false, false
end
