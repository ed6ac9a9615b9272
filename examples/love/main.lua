-- SPDX-License-Identifier: MIT
-- A chat bubble that fills up frame by frame while the answer arrives.
--
--   love examples/love "Why is the sky blue?"
--
-- FREDDY_API_KEY (and FREDDY_BASE_URL, FREDDY_CA_FILE) say where and as whom.
-- Escape ends the answer, and once more the program. With --once the program
-- ends with the answer, and prints what each frame saw of it.

local love = rawget(_G, "love")
local freddy = require("freddy")

local BUDGET = 0.002  -- seconds of each frame that freddy may take
local PADDING = 16

local bubble = { text = "", frames = 0, asked = "Why is the sky blue?" }
local once = false
local client, stream

-- The last length of the text that a frame saw.
local seen = 0

local function finish(answer, err)
  bubble.done = true
  bubble.note = err and tostring(err) or "stopped: " ..
    tostring(answer.stop_reason)
  if once then
    print(bubble.text)
    love.event.quit(err and 1 or 0)
  end
end

-- In a task: what waits here does not hold up a frame.
local function ask()
  local why
  stream, why = client.responses:stream({
    inputs = { { role = "user", content = bubble.asked } },
  })
  if not stream then
    return finish(nil, why)
  end
  for text in stream:text() do
    bubble.text = bubble.text .. text
  end
  finish(stream:finish())
end

function love.load(arguments)
  for _, word in ipairs(arguments) do
    if word == "--once" then
      once = true
      io.stdout:setvbuf("line")
    else
      bubble.asked = word
    end
  end
  client = freddy.assert(freddy.new())
  freddy.spawn(ask)
end

function love.update()
  freddy.poll(BUDGET)
  bubble.frames = bubble.frames + 1
  if #bubble.text > seen then
    seen = #bubble.text
    if once then
      print(("frame %d: %d bytes"):format(bubble.frames, seen))
    end
  end
end

local function box(text, x, y, width, red, green, blue)
  local font = love.graphics.getFont()
  local _, lines = font:getWrap(text, width - 2 * PADDING)
  local height = math.max(1, #lines) * font:getHeight() + 2 * PADDING
  love.graphics.setColor(red, green, blue)
  love.graphics.rectangle("fill", x, y, width, height, 12)
  love.graphics.setColor(1, 1, 1)
  love.graphics.printf(text, x + PADDING, y + PADDING, width - 2 * PADDING)
  return y + height + PADDING
end

function love.draw()
  local width = love.graphics.getWidth()
  local y = box(bubble.asked, width / 3, PADDING, width * 2 / 3 - PADDING,
    0.2, 0.4, 0.8)
  local cursor = bubble.done and "" or "\226\150\140"  -- a block
  y = box(bubble.text .. cursor, PADDING, y, width * 3 / 4, 0.25, 0.25, 0.3)
  love.graphics.print(bubble.note or "", PADDING, y)
end

function love.keypressed(key)
  if key ~= "escape" then
    return
  elseif stream and not bubble.done then
    stream:cancel()
  else
    love.event.quit()
  end
end

function love.quit()
  client:close()
end
