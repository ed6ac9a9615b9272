-- SPDX-License-Identifier: MIT
--- What the specs of answers share: clients that leave nothing behind, turns
--- that the emulator is told to play, and what it saw of them.

local freddy = require "freddy"
local helper = require "spec.helper"

local util = {}

util.PATH = "/v1/model/response"
util.RESUME = util.PATH .. "/{id}/stream"
util.GENERATIONS = { "G1", "G2", "G3" }
util.INPUTS = { { role = "user", content = "Why is it so?" } }
util.TEXT = "You said: Why is it so?"

local clients, streams = {}, {}

--- Before each case.
function util.begin()
  helper.reset()
  helper.hostile_reset()
end

--- After each.
function util.finish()
  for _, stream in ipairs(streams) do
    stream:cancel()
  end
  for _, client in ipairs(clients) do
    client.core:forget()
    client:close()
  end
  clients, streams = {}, {}
  helper.reset()
end

--- A client of the emulator that the case's end forgets. One without
--- repeats resumes nothing, hence not helper.client's 0.
function util.make(options)
  local given = { retries = 2 }
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  local client = helper.client(given)
  clients[#clients + 1] = client
  return client
end

--- One whose token has been revoked already, with a session to renew it.
function util.session(options)
  local tokens = helper.session {}
  helper.control { revoke = { token = tokens.token, code = "TOKEN_EXPIRED" } }
  local given = { token = tokens.token, refresh_token = tokens.refresh_token }
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  return util.make(given)
end

--- One that asks a scenario of the hostile server, over HTTP/1.1 or
--- (`listener` "HOSTILE_H2") 2.
function util.hostile(scenario, args, options, listener)
  local words = { scenario }
  for name, value in pairs(args or {}) do
    words[#words + 1] = name .. "=" .. value
  end
  local given = { base_url = helper.env(listener or "HOSTILE") .. "/s/"
    .. table.concat(words, ";"), api_key = "a-key-of-20-characters" }
  if listener then
    given.ca_file = helper.env "HOSTILE_CA_FILE"
  end
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  return util.make(given)
end

--- Tell the emulator what to answer next; a rule or a list of rules.
function util.respond(rule)
  helper.control { respond = rule }
end

--- Ask, as events; `parameters` win.
---@return freddy.Answering? stream
---@return freddy.Error? err
function util.ask(client, parameters, options)
  local given = { inputs = util.INPUTS }
  for name, value in pairs(parameters or {}) do
    given[name] = value
  end
  local stream, err = client.responses:stream(given, options)
  streams[#streams + 1] = stream
  return stream, err
end

--- The whole of it: the text that came in pieces, the events' names, and what
--- finish says.
function util.all(client, parameters, options)
  local stream, err = util.ask(client, parameters, options)
  if not stream then
    return nil, err
  end
  local got = { names = {}, stream = stream }
  local event, why = stream:next()
  while event do
    got.names[#got.names + 1] = event.event
    event, why = stream:next()
  end
  got.why = why
  got.answer, got.err = stream:finish()
  return got
end

--- The text of a stream, piece by piece.
function util.read(stream)
  local parts = {}
  local text, err = stream:read()
  while text do
    parts[#parts + 1] = text
    text, err = stream:read()
  end
  return table.concat(parts), err, #parts
end

--- What the emulator noted of one kind: stream, resume, json, cancel...
function util.log(kind)
  local found = {}
  for _, entry in ipairs(helper.counters().responses) do
    if entry.kind == kind then
      found[#found + 1] = entry
    end
  end
  return found
end

--- How many POSTs have asked for an answer.
function util.posts()
  local seen = helper.counters().endpoints[util.PATH]
  return seen and seen.methods.POST or 0
end

--- Run `fn` in a task of its own; its first result.
function util.in_task(fn)
  local result, err = freddy.spawn(fn):wait(60)
  if err then
    error(err.details and err.details.traceback or tostring(err), 2)
  end
  return result
end

return util
