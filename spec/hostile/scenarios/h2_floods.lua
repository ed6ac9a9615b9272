-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- HTTP/2: frames that say nothing, without end, in place of an answer.

local build = require "lib.build_h2"
local frames = require "lib.frames"

local floods = {}

local function head(stream)
  return frames.headers(stream.id, { { ":status", "200" } })
end

floods["flood-settings"] = build.endless("SETTINGS for ever", nil,
  function()
    return frames.setup { MAX_CONCURRENT_STREAMS = 100 }
  end)

floods["flood-ping"] = build.endless("PING for ever", nil, function()
  return frames.ping "12345678"
end)

floods["flood-ping-ack"] = build.endless("answers to no PING for ever", nil,
  function()
    return frames.ping("12345678", true)
  end)

floods["flood-window"] = build.endless("WINDOW_UPDATE of one byte for ever",
  nil, function()
    return frames.window(0, 1)
  end)

floods["flood-priority"] = build.endless("PRIORITY for ever", nil,
  function(stream)
    return frames.frame("PRIORITY", 0, stream.id, (">I4B"):pack(0, 0))
  end)

floods["flood-unknown"] = build.endless("frames of no known type for ever",
  nil, function(stream)
    return frames.frame(0xee, 0, stream.id, "whatever")
  end)

floods["flood-data"] = build.endless("a head, and DATA without a byte for "
  .. "ever", head, function(stream)
  return frames.data(stream.id, "")
end)

return floods
