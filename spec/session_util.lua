-- SPDX-License-Identifier: MIT
--- What the specs of sessions share: clients that leave nothing behind, many
--- requests at once, and what the emulator saw of it.

local freddy = require "freddy"
local helper = require "spec.helper"

local util = {}

local clients = {}

--- Before each case.
function util.begin()
  helper.reset()
end

--- After each: another one must not share what this one had.
function util.finish()
  for _, client in ipairs(clients) do
    client.core:forget()
    client:close()
  end
  clients = {}
end

--- A client that the case's end forgets.
function util.make(options)
  local client = helper.client(options)
  clients[#clients + 1] = client
  return client
end

--- One of a session: whose token has run out, unless `mint` says otherwise.
---@return freddy.Client client
---@return table tokens as helper.session
function util.session(options, mint)
  local tokens = helper.session(mint or { expires_in = -5 })
  local given = {
    token = tokens.token, refresh_token = tokens.refresh_token,
  }
  for name, value in pairs(options or {}) do
    given[name] = value or nil
  end
  return util.make(given), tokens
end

--- One with a key that is exchanged.
function util.exchange(options)
  local given = { api_key = helper.api_key, auth = "bearer" }
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  return util.make(given)
end

--- What the emulator knows of an auth endpoint: calls, grants, log...
function util.book(name)
  return helper.counters().auth[name]
end

--- How many requests came for a route.
function util.requests(route)
  local seen = helper.counters().endpoints[route]
  return seen and seen.requests or 0
end

--- And how many of them had such an answer.
function util.answered(route, status)
  local seen = helper.counters().endpoints[route]
  return seen and seen.status[tostring(status)] or 0
end

--- Wait until one has come.
function util.reading(route)
  helper.eventually(function()
    return util.requests(route) > 0
  end)
end

--- `count` GETs at once, as tasks.
function util.start(client, count, path)
  local tasks = {}
  for i = 1, count do
    tasks[i] = freddy.spawn(function()
      return client:get(path or "/v1/echo")
    end)
  end
  return tasks
end

--- What became of each, as { res, err }, in their order.
function util.ended(tasks)
  local results = {}
  for i, task in ipairs(tasks) do
    results[i] = { task:wait(30) }
  end
  return results
end

--- All must have ended well.
function util.all_good(tasks)
  local results = util.ended(tasks)
  for _, result in ipairs(results) do
    assert(result[1], tostring(result[2]))
    assert(result[1].status == 200, result[1].status)
  end
  return results
end

--- A request must end well.
function util.right(client)
  return assert(client:get("/v1/echo"))
end

--- One must fail so, and that be documented.
function util.fails(client, kind, reason, path)
  local res, err = client:get(path or "/v1/echo")
  if res then
    error("no failure, but status " .. res.status, 2)
  elseif err.kind ~= kind or err.reason ~= reason then
    error("another failure: " .. tostring(err), 2)
  end
  helper.documented(err)
  return err
end

return util
