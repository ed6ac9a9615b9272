-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- Makers of the commonest kinds of scenario.

local build = {}

--- A scenario that sends fixed bytes and then ends by `how` ("keep",
--- "fin", "reset" or "hold").
function build.fixed(about, how, ...)
  local message = table.concat { ... }
  return {
    about = about,
    run = function(conn)
      conn:send(message)
      return how
    end,
  }
end

--- A scenario that sends `start` and then `piece` over and over, until the
--- client closes or `mb` MiB went out.
function build.endless(about, start, piece)
  local many = piece:rep(math.max(1, (1 << 15) // #piece))
  return {
    about = about .. "; `mb` MiB bound it",
    args = "mb=1024",
    run = function(conn, _, args)
      local left = (tonumber(args.mb) or 1024) << 20
      conn:send(start)
      while left > 0 do
        conn:send(many)
        left = left - #many
      end
      return "fin"
    end,
  }
end

return build
