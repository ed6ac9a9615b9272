-- SPDX-License-Identifier: MIT
-- What the game's loop (main.c) calls once in every frame: three tasks list
-- the models while frames go on.
local freddy = require("freddy")
freddy.use("loop")

local TASKS = 3
local BUDGET = 0.002 -- seconds of a frame that freddy may take

local client = freddy.assert(freddy.new()) -- FREDDY_API_KEY and so on
local game = { frame = 0, asking = 0, asking_frames = 0 }

local function list(number)
  local began = game.frame
  game.asking = game.asking + 1
  local data, err = client.models:list()
  game.asking = game.asking - 1
  if not data then
    game.failure = tostring(err)
    return
  end
  print(("task %d: %d models, first %s, after %d frames"):format(number,
    #data.models, data.models[1].id, game.frame - began))
end

--- One step of the game.
---@param dt number seconds that it stands for
---@return boolean go_on
---@return string? failure
function game.update(dt)
  game.frame = game.frame + 1
  if game.frame <= TASKS then
    freddy.spawn(list, game.frame)
  end
  freddy.poll(BUDGET)
  if game.asking > 0 then
    game.asking_frames = game.asking_frames + 1
  elseif game.frame > TASKS then
    print(("frames while a request ran: %d, of %g ms each"):format(
      game.asking_frames, dt * 1000))
    client:close()
    return false, game.failure
  end
  return true
end

return game
