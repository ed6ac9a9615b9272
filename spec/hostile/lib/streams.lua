-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- Event streams by name, whole, and pieces of such that never end. Those
--- of the three generations say the same: "Grüß dich", in thread `thrd_h`.

local function data(json)
  return "data: " .. json .. "\n\n"
end

local function named(name, json)
  return "event: " .. name .. "\n" .. data(json)
end

local function numbered(list)
  local out = {}
  for i, frame in ipairs(list) do
    out[i] = "id: " .. i .. "\n" .. frame
  end
  return table.concat(out)
end

local streams = {}

--- What `of` may name.
streams.whole = {
  g3 = numbered {
    data('{"event":"response.processing","status":"processing",'
      .. '"thread_id":"thrd_h"}'),
    data('{"event":"response.created","status":"in_progress",'
      .. '"thread_id":"thrd_h","trace_id":"trace_h"}'),
    data '{"event":"response.content_delta","delta":"Gr\xc3\xbc"}',
    data '{"event":"response.content_delta","delta":"\xc3\x9f dich"}',
    data('{"event":"response.completed","status":"completed",'
      .. '"thread_id":"thrd_h","stop_reason":"end_turn"}'),
  } .. data "[DONE]",
  g2 = data('{"event":"response.created","status":"in_progress",'
    .. '"thread_id":"thrd_h","is_summarized":false}')
    .. data '{"event":"response.content_delta","delta":"Gr\xc3\xbc"}'
    .. data '{"event":"response.content_delta","delta":"\xc3\x9f dich"}'
    .. data('{"event":"response.completed","status":"completed",'
    .. '"thread_id":"thrd_h","response_id":"resp_h"}'),
  g1 = named("response.created", '{"id":"resp_h","status":"in_progress"}')
    .. named("response.output_item.added",
      '{"index":0,"item":{"type":"message","role":"assistant"}}')
    .. named("response.output_text.delta",
      '{"index":0,"delta":"Gr\xc3\xbc"}')
    .. named("response.output_text.delta",
      '{"index":0,"delta":"\xc3\x9f dich"}')
    .. named("response.output_text.done",
      '{"index":0,"text":"Gr\xc3\xbc\xc3\x9f dich"}')
    .. named("response.completed",
      '{"status":"completed","usage":{"outputSynapses":2}}'),
  plain = "\xef\xbb\xbf: hello\r\nretry: 1500\r\nid: a\r\ndata: one\r\n\r\n"
    .. "event: two\rdata\rdata:  x\rdata:y\r\r"
    .. "id\ndata: three\n\n: bye\n\n",
}

--- What `kind` may name, over and over: a start, and a piece.
streams.endless = {
  line = { "data: ", "a" },
  comment = { ": ", "a" },
  id = { "id: ", "1" },
  name = { "event: ", "a" },
  field = { "", "a" },
  lines = { "", "data: a\n" },
  ["empty-lines"] = { "", "data\n" },
  fields = { "", "a: b\n" },
  ids = { "", "id: 1\n" },
  blanks = { "", "\n" },
  comments = { "", ":\n\n" },
  heartbeats = { "", 'data: {"event":"response.heartbeat"}\n\n' },
  events = { "", 'data: {"event":"response.content_delta","delta":"a"}\n\n' },
}

--- An event whose data is `size` bytes in so many `lines`, then another.
function streams.event(size, lines)
  local out, each = {}, math.max(1, size // lines)
  for i = 1, lines do
    local left = size - (i - 1) * each
    out[i] = "data: " .. ("e"):rep(i < lines and math.min(each, left) or left)
  end
  return table.concat(out, "\n") .. "\n\ndata: next\n\n"
end

return streams
