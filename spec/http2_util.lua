-- SPDX-License-Identifier: MIT
--- What the specs of HTTP/2 share: a client of the hostile server's listener
--- for it, and what every one of them asks of that server.

local freddy = require "freddy"
local helper = require "spec.helper"

local http2 = {}

--- The body of an answer that is right.
http2.OK = '{"ok":true}'

--- On one Lua everything is tried, on the others some of it: the core is one.
http2.thorough = _VERSION == "Lua 5.4"

local client

--- A client, until `close`. It repeats nothing that costs it anything.
function http2.open()
  helper.hostile_reset()
  client = freddy.assert(freddy.new {
    base_url = helper.env "HOSTILE_H2",
    ca_file = helper.env "HOSTILE_CA_FILE",
    api_key = "a-key-of-20-characters",
    retries = 0, timeout = { connect = 20, first_byte = 20, stall = 20 },
  })
  return client
end

function http2.close()
  client:close()
end

--- The decoded answer of a control path.
function http2.control(path)
  local _, body = helper.http_request("GET", helper.hostile_url .. path)
  return helper.json.decode(body)
end

--- The URL of a scenario.
function http2.url(name, args)
  return helper.hostile(name, args, "HOSTILE_H2")
end

--- Raises unless the client's next request gets the right answer.
function http2.next_is_right()
  local res = freddy.assert(client:get "/s/ok")
  assert(res.data.ok == true and res.http_version == 20,
    "the next answer is wrong")
end

--- What follows gets a connection of its own: this one is told to go.
function http2.fresh()
  freddy.assert(client:get(http2.url "goaway"))
end

--- How many requests with this tag the server has seen.
function http2.count_tag(tag)
  local count = 0
  for _, entry in ipairs(helper.hostile_log { tag = tag }) do
    for _, request in ipairs(entry.requests) do
      count = count + (request.tag == tag and 1 or 0)
    end
  end
  return count
end

return http2
