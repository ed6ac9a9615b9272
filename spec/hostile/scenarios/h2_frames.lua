-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- HTTP/2: frames that break the rules (RFC 9113, 5 and 6), each `kind` in
--- place of an answer.

local frames = require "lib.frames"
local hpack = require "lib.hpack"

local json = '{"ok":true}'
local flags = frames.flags

local function head(id, last)
  return frames.headers(id, { { ":status", 200 },
    { "content-type", "application/json" } }, last)
end

local function answer(id)
  return head(id) .. frames.data(id, json, true)
end

local function block(id, bytes)
  return frames.headers(id, bytes) .. frames.data(id, json, true)
end

-- Each is a function of the stream's id.
local kinds = {
  ["data-first"] = function(id)
    return frames.data(id, json, true)
  end,
  ["data-after-end"] = function(id)
    return answer(id) .. frames.data(id, json, true)
  end,
  ["data-idle"] = function(id)
    return frames.data(id + 100, json) .. answer(id)
  end,
  ["data-even"] = function(id)
    return frames.data(2, json) .. answer(id)
  end,
  ["data-zero"] = function(id)
    return frames.data(0, json) .. answer(id)
  end,
  ["data-padding"] = function(id)
    return head(id) .. frames.frame("DATA", flags.PADDED, id, "\xffabc")
  end,
  ["data-too-large"] = function(id)
    return head(id) .. frames.data(id, (" "):rep(16385), true)
  end,
  ["data-endless"] = function(id)
    return head(id) .. frames.frame("DATA", 0, id, (" "):rep(100), 0xffffff)
  end,
  ["head-twice"] = function(id)
    return head(id) .. head(id) .. frames.data(id, json, true)
  end,
  ["head-after-end"] = function(id)
    return answer(id) .. head(id, true)
  end,
  ["head-even"] = function(id)
    return head(2, true) .. answer(id)
  end,
  ["head-interleaved"] = function(id)
    return frames.frame("HEADERS", 0, id, hpack.literal(":status", "200"))
      .. frames.data(id, json, true)
  end,
  ["continuation-alone"] = function(id)
    return frames.frame("CONTINUATION", flags.END_HEADERS, id,
      hpack.literal(":status", "200"))
  end,
  ["priority-self"] = function(id)
    return frames.frame("PRIORITY", 0, id, (">I4B"):pack(id, 0))
      .. answer(id)
  end,
  ["settings-size"] = function(id)
    return frames.frame("SETTINGS", 0, 0, "12345") .. answer(id)
  end,
  ["settings-stream"] = function(id)
    return frames.frame("SETTINGS", 0, id, "") .. answer(id)
  end,
  ["settings-value"] = function(id)
    return frames.setup { MAX_FRAME_SIZE = 1 } .. answer(id)
  end,
  ["settings-window"] = function(id)
    return frames.setup { INITIAL_WINDOW_SIZE = 0xffffffff } .. answer(id)
  end,
  ["settings-push"] = function(id)
    return frames.setup { ENABLE_PUSH = 1 } .. answer(id)
  end,
  ["ping-size"] = function(id)
    return frames.ping "1234" .. answer(id)
  end,
  ["ping-stream"] = function(id)
    return frames.frame("PING", 0, id, "12345678") .. answer(id)
  end,
  ["goaway-size"] = function(id)
    return frames.frame("GOAWAY", 0, 0, "1234") .. answer(id)
  end,
  ["goaway-stream"] = function(id)
    return frames.frame("GOAWAY", 0, id, "12345678") .. answer(id)
  end,
  ["rst-size"] = function(id)
    return frames.frame("RST_STREAM", 0, id, "123") .. answer(id)
  end,
  ["rst-zero"] = function(id)
    return frames.rst(0, 8) .. answer(id)
  end,
  ["rst-idle"] = function(id)
    return frames.rst(id + 100, 8) .. answer(id)
  end,
  ["window-zero"] = function(id)
    return frames.window(id, 0) .. answer(id)
  end,
  ["window-overflow"] = function(id)
    return frames.window(id, 0x7fffffff):rep(2) .. answer(id)
  end,
  ["window-overflow-all"] = function(id)
    return frames.window(0, 0x7fffffff):rep(2) .. answer(id)
  end,
  ["window-idle"] = function(id)
    return frames.window(id + 100, 1) .. answer(id)
  end,
  ["push"] = function(id)
    return frames.frame("PUSH_PROMISE", flags.END_HEADERS, id,
      (">I4"):pack(2) .. hpack.encode { { ":method", "GET" },
        { ":path", "/" }, { ":scheme", "https" }, { ":authority", "a" } })
      .. answer(id)
  end,
  ["unknown"] = function(id)
    return frames.frame(0xee, 0xff, id, "whatever") .. answer(id)
  end,
  ["hpack-index"] = function(id)
    return block(id, "\xff\xff\x7f")
  end,
  ["hpack-zero"] = function(id)
    return block(id, "\x80")
  end,
  ["hpack-table"] = function(id)
    return block(id, hpack.integer(1 << 24, 5, 0x20))
  end,
  ["hpack-huffman"] = function(id)
    return block(id, "\0\x84\xff\xff\xff\xff\1a")
  end,
  ["hpack-integer"] = function(id)
    return block(id, "\0\x7f" .. ("\xff"):rep(12) .. "\1a")
  end,
  ["hpack-cut"] = function(id)
    return block(id, "\0\5abc")
  end,
}

local names = {}
for name in pairs(kinds) do
  names[#names + 1] = name
end
table.sort(names)

return {
  frame = {
    about = "frames against the rules, by `kind`; most are followed by a "
      .. "right answer",
    args = "kind=" .. table.concat(names, "|"),
    run = function(stream, _, args)
      stream:send((kinds[args.kind] or kinds["data-first"])(stream.id))
    end,
  },
}
