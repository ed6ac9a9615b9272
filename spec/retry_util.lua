-- SPDX-License-Identifier: MIT
--- What the specs of repeats share: a client of the hostile server, and what
--- that server saw of one test.

local freddy = require "freddy"
local helper = require "spec.helper"

local retry = {}

--- The key of `retry.new_client`.
retry.KEY = "a-key-of-20-characters"

local tags = 0

--- A tag that no other test has.
function retry.unique()
  tags = tags + 1
  return "retry" .. tags .. _VERSION:gsub("%W", "")
end

--- The requests from here on are another test's: `retry.tag` is new.
function retry.next()
  retry.tag = retry.unique()
end

--- A client of the hostile server, which repeats as it does by default.
function retry.new_client(options)
  local given = {
    base_url = helper.env "HOSTILE", api_key = retry.KEY, timeout = 30,
  }
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  return freddy.assert(freddy.new(given))
end

--- For before_each: `retry.client` and `retry.tag` are new.
function retry.open()
  retry.next()
  retry.client = retry.new_client()
end

--- For after_each.
function retry.close()
  retry.client:close()
end

--- The server runs the scenarios of `list` one after the other.
function retry.url(list, args)
  local all = { of = list, tag = retry.tag }
  for name, value in pairs(args or {}) do
    all[name] = value
  end
  return helper.hostile("sequence", all)
end

--- Ask for it with `retry.client`.
function retry.ask(list, args, options)
  local given = { path = retry.url(list, args) }
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  return retry.client:request(given)
end

--- The requests that the server saw with `tag` (this test's), in order.
function retry.requests(tag)
  local out = {}
  tag = tag or retry.tag
  for _, connection in ipairs(helper.hostile_log { tag = tag }) do
    for _, request in ipairs(connection.requests) do
      if request.tag == tag then
        out[#out + 1] = request
      end
    end
  end
  return out
end

return retry
