-- SPDX-License-Identifier: MIT
local love = rawget(_G, "love")

function love.conf(t)
  t.identity = "freddy-bubble"
  t.version = "11.4"
  t.window.title = "freddy"
  t.window.width, t.window.height = 640, 400
  t.window.resizable = true
  t.modules.audio, t.modules.sound = false, false
  t.modules.joystick, t.modules.physics = false, false
end
