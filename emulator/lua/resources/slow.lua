-- SPDX-License-Identifier: MIT
-- /v1/delay/{ms} and /v1/drip: answers that take their time.

local errors = require "errors"
local reply = require "reply"
local request = require "request"

local slow = {}

local MAX_MS = 600000

function slow.delay(params)
  local ms = request.integer(params.ms, nil, 0, MAX_MS)
  if not ms then
    return errors.invalid("ms", "Not a number of milliseconds.", params.ms)
  end
  ngx.sleep(ms / 1000)
  reply.json(200, { delay = ms })
end

local function piece(i, size, sse)
  local text = ("chunk %d"):format(i)
  text = text .. ("."):rep(size - #text - 1)
  return sse and "data: " .. text .. "\n\n" or text .. "\n"
end

function slow.drip()
  local query = request.query()
  local chunks = request.integer(query.chunks, 5, 0, 100000)
  local ms = request.integer(query.ms, 10, 0, MAX_MS)
  local size = request.integer(query.size, 16, 16, 1024 * 1024)
  if not (chunks and ms and size) then
    return errors.invalid("query", "chunks, ms or size is out of bounds.")
  end
  local sse = query.sse == "1"
  ngx.header["Content-Type"] = sse and "text/event-stream" or "text/plain"
  if query.length == "1" then
    ngx.header["Content-Length"] = chunks * #piece(1, size, sse)
  end
  ngx.send_headers()
  ngx.flush(true)
  for i = 1, chunks do
    ngx.sleep(ms / 1000)
    ngx.print(piece(i, size, sse))
    if not ngx.flush(true) then
      return  -- the client went away
    end
  end
end

return slow
