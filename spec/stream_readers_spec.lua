-- SPDX-License-Identifier: MIT
--- Who reads a stream of events, and when: more than one reader, readers that
--- were interrupted, and where nothing can wait.

local freddy = require "freddy"
local util = require "spec.responses_util"

local make, ask, respond = util.make, util.ask, util.respond

before_each(util.begin)
after_each(function()
  freddy.use "block"
  util.finish()
end)

-- A stream of so many numbered pieces, all of which have come.
local function numbered(count)
  local pieces = {}
  for i = 1, count do
    pieces[i] = i .. " "
  end
  respond { pieces = pieces, ms = 0 }
  local stream = freddy.assert(ask(make()))
  freddy.assert(stream:next())
  return stream, table.concat(pieces)
end

describe("two readers of one stream", function()
  it("keep the answer in its order", function()
    local stream, text = numbered(300)
    local seen = {}
    local function reader()
      local piece = stream:read()
      while piece do
        seen[#seen + 1] = piece
        piece = stream:read()
      end
    end
    local tasks = { freddy.spawn(freddy.pcall, reader),
      freddy.spawn(freddy.pcall, reader) }
    for _, task in ipairs(tasks) do
      task:wait(30)
    end
    assert.equal(text, freddy.assert(stream:finish()).text)
    assert.equal(text, table.concat(seen))
  end)

  it("see no event behind a cancel", function()
    local stream = numbered(300)
    local seen, at_cancel = {}, nil
    local task = freddy.spawn(function()
      local piece, err = stream:read()
      while piece do
        seen[#seen + 1] = piece
        piece, err = stream:read()
      end
      return err
    end)
    freddy.spawn(function()
      stream:cancel()
      at_cancel = #seen
    end)
    local err = task:wait(30)
    assert.equal("cancelled", err.kind)
    assert.equal(at_cancel, #seen)
    assert.equal(table.concat(seen), err.partial.text)
  end)
end)
