-- SPDX-License-Identifier: MIT
--- What the method of an endpoint makes of the answer: the decoded body, or a
--- model's answer, whole or as it comes.
local answer = require "freddy.answer"
local answer_stream = require "freddy.answer_stream"

local endpoint = {}

-- What an answer is made with.
local function about(parts, client, res, method, path, given)
  return {
    request = { method = method, path = path },
    keep_events = given.keep_events,
    thread = type(given.json.thread_id) == "string" and given.json.thread_id
      or nil,
    redact = parts.redactor(client, res.entry or {}),
    credential = function()
      return parts.credential_of(client)
    end,
  }
end

-- A model's answer, whose parameters are in given.json.
local function fetch_stream(parts, client, who, method, path, given)
  local more, asked = answer_stream.request(given)
  local res, err = parts.perform(client, who, method, path, asked, more)
  if not res then
    return nil, err
  end
  local stream
  stream, err = answer_stream.new(client, res,
    about(parts, client, res, method, path, given))
  return stream, stream and res or err
end

local function fetch_whole(parts, client, who, method, path, given)
  local res, err = parts.perform(client, who, method, path, given, nil, true)
  if not res then
    return nil, err
  elseif given and given.stream then
    return res, res
  elseif res.data ~= nil then
    return res.data, res
  end
  return true, res -- there is no body
end

local function fetch_answer(parts, client, who, method, path, given)
  given.json = answer_stream.whole(who, given.json)
  local data, res = fetch_whole(parts, client, who, method, path, given)
  if type(data) ~= "table" then
    return data, res
  end
  local got, failed = answer.read(data, given.keep_events)
  if failed then
    return nil, answer_stream.failure(got, failed, res,
      about(parts, client, res, method, path, given))
  end
  return got, res
end

--- Make the function that the methods of endpoints are made of (api.class).
---@param parts table the client's own functions
---@return fun(client, who, method, path, given, answers): any, table
function endpoint.fetch(parts)
  return function(client, who, method, path, given, answers)
    if answers == "stream" then
      return fetch_stream(parts, client, who, method, path, given)
    elseif answers then
      return fetch_answer(parts, client, who, method, path, given)
    end
    local marked = answer_stream.note_cancel(client, path)
    local data, res = fetch_whole(parts, client, who, method, path, given)
    -- One that was sent and has no answer may have been heard.
    if data == nil and (res.status or not res.sent) then
      answer_stream.forget_cancel(marked)
    end
    return data, res
  end
end

return endpoint
