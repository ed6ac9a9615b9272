-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- Makers of the commonest kinds of HTTP/2 scenario.

local frames = require "lib.frames"

local build = {}

--- Send a header block in as many frames as it takes; the stream goes on.
function build.head(stream, block)
  local size = stream.session.max_frame
  local out, kind = {}, "HEADERS"
  for at = 1, #block, size do
    local last = at + size > #block
    out[#out + 1] = frames.frame(kind, last and frames.flags.END_HEADERS or 0,
      stream.id, block:sub(at, at + size - 1))
    kind = "CONTINUATION"
  end
  stream:send(table.concat(out))
end

--- A scenario that sends what `start` makes, if anything, and then what
--- `piece` makes over and over, until the client resets the stream or
--- closes, or `mb` MiB went out; with `ms` one piece at a time. Both are
--- functions of the stream.
function build.endless(about, start, piece)
  return {
    about = about .. "; `mb` MiB bound it, with `ms` between two",
    args = "mb=64 ms=0",
    run = function(stream, _, args)
      local one, ms = piece(stream), tonumber(args.ms) or 0
      local many = ms > 0 and one or one:rep(math.max(1, (1 << 14) // #one))
      local left = (tonumber(args.mb) or 64) << 20
      if start then
        stream:send(start(stream))
      end
      while left > 0 do
        stream:check()
        stream:send(many)
        left = left - #many
        if ms > 0 then
          stream:wait(nil, ms / 1000)
        end
      end
      return "fin"
    end,
  }
end

return build
