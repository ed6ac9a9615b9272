-- SPDX-License-Identifier: MIT
--- Pass a model's answer on to the browser as it comes: a content handler for
--- nginx or OpenResty. `POST /ask` with the question as its body answers with
--- an event stream.

local relay = {}

local function refuse(err)
  ngx.log(ngx.ERR, tostring(err))
  ngx.status = err.kind == "rate_limited" and 429 or 502
  ngx.say(err.kind)
end

local function write(event)
  local ok = ngx.print("event: ", event.event, "\n",
    "data: ", (event.data:gsub("\n", "\ndata: ")), "\n\n")
  ngx.flush(true) -- waits for a slow browser: nothing piles up
  return ok
end

--- The body of the request that is served. nginx puts one into a file that
--- is larger than client_body_buffer_size.
---@return string? body nil when there is none
function relay.body()
  ngx.req.read_body()
  local body = ngx.req.get_body_data()
  local path = not body and ngx.req.get_body_file()
  local file = path and io.open(path, "rb")
  if file then
    body = file:read "*a"
    file:close()
  end
  return body ~= "" and body or nil
end

--- Relay the events of `POST path` with the body `request`.
---@param client freddy.Client
---@param path string
---@param request table
function relay.run(client, path, request)
  local stream, err = client:stream(path, {
    method = "POST", json = request,
    cancel_on_abort = true, -- with `lua_check_client_abort on`
  })
  if not stream then
    return refuse(err)
  end
  ngx.header.content_type = "text/event-stream"
  ngx.header.cache_control = "no-store"
  for event in stream:events() do
    if not write(event) then
      return stream:cancel()
    end
  end
  local ok
  ok, err = stream:finish()
  if not ok and err.kind ~= "cancelled" then -- the head is gone already
    write { event = "error", data = err.kind }
  end
end

return relay
