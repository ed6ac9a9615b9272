-- SPDX-License-Identifier: MIT
--- An answer as it comes (client.responses:stream): events, text, and at the
--- end all of it. What the events are, and how the stream goes on behind a
--- break, the core knows.
local answer = require "freddy.answer"
local core = require "freddy.core"
local errors = require "freddy.errors"
local misuse = require "freddy.misuse"
local options = require "freddy.options"
local pull = require "freddy.pull"
local response = require "freddy.response"
local stream = require "freddy.stream"

local answer_stream = {}

--- What client.responses:stream returns, as soon as the server has begun to
--- answer. One that is collected, or closed by <close>, is cancelled.
---@class freddy.AnswerStream
---@field status integer
---@field headers freddy.Headers
---@field request_id? string
---@field url string
---@field http_version integer
---@field attempts integer
---@field timing? freddy.Timing when it has ended, as `received`, `reused`
---@field received? integer bytes on the wire
---@field reused? boolean
---@field thread_id? string once the server has told
---@field package inner? freddy.Stream nil: it came as one JSON body
---@field package answer? freddy.Answer once it is whole
---@field package assembler? table until then
local Stream = { __name = "freddy.answer_stream" }
local methods = {}
Stream.__index = methods

-- Streams that are open, for cancel: by client, then by themselves.
local open = setmetatable({}, { __mode = "k" })

-- --- How it ends ---------------------------------------------------------

-- What had come: no secret may be in an error, whatever the server said. One
-- that came in pieces is found where they are put together: then none of them
-- is shown, for which ones it was in nobody knows.
local function partial(got, redact)
  local events, hit = got.events, false
  got.events = nil
  got = response.redact_data(got, function(text)
    local masked = redact(text)
    hit = hit or masked ~= text
    return masked
  end)
  for i, event in ipairs(events or {}) do
    local hidden = hit and event.class == "content"
    events[i] = response.redact_data({
      event = event.event, class = event.class, id = event.id,
      data = hidden and "***" or event.data, -- none where it was one body
      json = not hidden and not event.data and event.json or nil,
    }, redact)
  end
  got.events = events
  return got
end

local function fail(self, err)
  if not self.err then
    err.partial = partial(self.assembler:result(), self.redact)
    if err.kind == "cut" and err.details and err.details.cause then
      err.details.resume, err.details.cause = err.details.cause, nil
    end
    self.err = err
  end
  self.ended = true
  return nil, self.err
end

-- The events that follow say nothing. The call comes last: while it lives,
-- secrets that it carried are known.
local function stop(self, err)
  local _, why = fail(self, err)
  pull.cancel(self.inner, why)
  self.inner:cancel() -- and what it has taken
  return nil, why
end

-- What is known of the call, more at its end.
local FACTS = { "timing", "received", "attempts", "reused" }

local function note_facts(self, from)
  for _, name in ipairs(FACTS) do
    self[name] = from[name]
  end
end

local function server_failed(self, event)
  return errors.from_event(event, self.inner, self.redact, self.request,
    self.credential())
end

local function was_cancelled(self)
  local fields = { sent = true, status = self.status,
    attempts = self.attempts, request_id = self.request_id }
  if self.cancels == 0 then
    fields.reason = "by_server"
  end
  return errors.new("cancelled", fields, self.request)
end

local function unreadable(self, event)
  return errors.new("protocol", {
    reason = "bad_json", sent = true, status = self.status,
    attempts = self.attempts, request_id = self.request_id,
    hint = "err.partial is what had come; a proxy may have changed the rest",
    message = ("the data of an event %s is no JSON"):format(
      self.redact(event.event)),
  }, self.request)
end

-- --- Events --------------------------------------------------------------

local function take(self, event)
  if event.class == "error" then
    return stop(self, server_failed(self, event))
  end
  local piece, broken = self.assembler:add(event)
  if broken then
    return stop(self, unreadable(self, event))
  end
  self.thread_id = self.assembler.thread_id
  if event.event == "response.cancelled" then
    return stop(self, was_cancelled(self))
  end
  return event, piece
end

-- The next event, and the piece of text in it; or nil, and why it ended early.
local function next_event(self, who)
  if self.ended then
    return nil, self.err
  end
  local event, err = stream.next_event(self.inner, who)
  if event then
    return take(self, event)
  elseif self.inner.ended then
    note_facts(self, self.inner)
  end
  if err and self.inner.ended then
    return fail(self, err)
  elseif err then -- only the task was cancelled: the stream goes on
    return nil, err
  end
  self.ended = true
  return nil
end

local function next_text(self, who)
  local whole = self.whole
  if whole then
    self.whole = nil
    return whole ~= "" and whole or nil
  end
  local event, piece
  repeat
    event, piece = next_event(self, who)
    if not event then
      return nil, piece
    end
  until piece
  return piece
end

local function iterate_events(self)
  return (next_event(self, "stream:events"))
end

local function iterate_text(self)
  return (next_text(self, "stream:text"))
end

--- The next event; waits for it. Beside the fields of every event it has
--- `class`: "content", "note" (how it stands, and all that are not known),
--- "quiet" (heartbeats) or "terminal"; and `whole`, true on a piece of text
--- that begins where the answer does: what had come is told once more.
---@return freddy.Event? event nil at the end
---@return freddy.Error? err why there is no answer; `err.partial` is what
---  had come. Every further call returns the same
function methods:next()
  misuse.check_self(self, Stream, "stream:next")
  local event, err = next_event(self, "stream:next")
  if event then
    return event
  end
  return nil, err
end

--- The next piece of the text; waits for it.
---@return string? piece nil at the end
---@return freddy.Error? err as stream:next
function methods:read()
  misuse.check_self(self, Stream, "stream:read")
  return next_text(self, "stream:read")
end

--- Iterate over the pieces of the text: `for text in stream:text() do`. The
--- loop ends when the stream does, well or not; stream:finish tells. In a task
--- on PUC Lua 5.1, which cannot wait inside a generic for, this raises.
---@return fun(stream: freddy.AnswerStream): string? iterator
---@return freddy.AnswerStream stream
function methods:text()
  misuse.check_self(self, Stream, "stream:text")
  pull.check_iterator("stream:text", "stream:read()")
  return iterate_text, self
end

--- Iterate over the events, as stream:text does over pieces.
---@return fun(stream: freddy.AnswerStream): freddy.Event? iterator
---@return freddy.AnswerStream stream
function methods:events()
  misuse.check_self(self, Stream, "stream:events")
  pull.check_iterator("stream:events", "stream:next()")
  return iterate_events, self
end

--- Read what is left, and return the whole answer; or why there is none.
---@return freddy.Answer? answer
---@return freddy.Error? err as stream:next
function methods:finish()
  misuse.check_self(self, Stream, "stream:finish")
  if self.answer then
    return self.answer
  end
  local event, err
  repeat
    event, err = next_event(self, "stream:finish")
  until not event
  if err then
    return nil, err
  end
  self.answer = self.assembler:result()
  return self.answer
end

--- End the stream here: whoever reads it gets nil, err (kind `cancelled`). The
--- server is not told: client.responses:cancel does that. Never waits; may be
--- repeated.
function methods:cancel()
  misuse.check_self(self, Stream, "stream:cancel")
  if not self.ended then
    stop(self, errors.new("cancelled",
      { sent = true, attempts = self.inner.attempts }, self.request))
  end
end

Stream.__close = methods.cancel

function Stream.__tostring(self)
  return ("freddy.answer_stream: %d (%s)"):format(self.status,
    self.ended and "ended" or "open")
end

-- --- Making one ----------------------------------------------------------

--- The core's part of the request, and its body: a copy of what was given.
---@param given table the request options, the parameters as `json`
---@return table more
---@return table given
function answer_stream.request(given)
  local body, out = {}, {}
  for name, value in pairs(given) do
    out[name] = value
  end
  for name, value in pairs(given.json) do
    body[name] = value
  end
  body.stream = true
  out.json = body
  local thread = body.thread_id
  return {
    events = true, pull = true, open = stream.open, turn = true,
    thread = type(thread) == "string" and thread ~= ""
      and not thread:find "%c" and thread or nil,
    no_resume = given.resume == false or given.retries == 0,
  }, out
end

--- The body of a request for an answer in one piece: a copy.
---@param who string
---@param params table
---@return table
function answer_stream.whole(who, params)
  local body = {}
  for name, value in pairs(params) do
    body[name] = value
  end
  if body.stream == true then
    misuse.raise("%s: stream = true is client.responses:stream", who)
  end
  body.stream = false
  return body
end

-- The status that an error in a 200 would have had.
local function status_of(data)
  local ok, text = pcall(core.json_encode, data)
  return core.event_status(ok and text or "")
end

--- The error for a JSON body, with a good status, that is no answer.
---@param got freddy.Answer what there is of one
---@param failed table what answer.read said of it
---@param res freddy.Response
---@param about table as for answer_stream.new
---@return freddy.Error
function answer_stream.failure(got, failed, res, about)
  local err
  if failed.class == "error" then
    failed.status, failed.data = status_of(failed.json), ""
    err = errors.from_event(failed, res, about.redact, about.request,
      about.credential())
  else
    err = errors.new("cancelled", {
      reason = "by_server", sent = true, status = res.status,
      attempts = res.attempts, request_id = res.request_id,
    }, about.request)
  end
  err.partial = partial(got, about.redact)
  return err
end

--- Make the stream of what was answered.
---@param client freddy.Client
---@param got freddy.Stream|freddy.Response
---@param about table request, redact, credential (a function), keep_events
---@return freddy.AnswerStream? stream
---@return freddy.Error? err it came as one JSON body, which says why not
function answer_stream.new(client, got, about)
  local self = {
    status = got.status, headers = got.headers, request_id = got.request_id,
    url = got.url, http_version = got.http_version,
    request = about.request, redact = about.redact,
    credential = about.credential, cancels = 0,
    asked_thread = about.thread,
  }
  if got.data ~= nil or not got.next then
    local failed
    self.answer, failed = answer.read(got.data, about.keep_events)
    if failed then
      return nil, answer_stream.failure(self.answer, failed, got, about)
    end
    self.whole, self.ended = self.answer.text, true
    note_facts(self, got)
    self.thread_id = self.answer.thread_id
    return setmetatable(self, Stream)
  end
  note_facts(self, got)
  self.inner, got.reads_json = got, true
  self.assembler = answer.new(about.keep_events)
  local list = open[client] or setmetatable({}, { __mode = "k" })
  open[client], list[self] = list, true
  return setmetatable(self, Stream)
end

--- The server is told to end the stream of a thread: where one of ours ends
--- so, that was asked for.
---@param client freddy.Client
---@param path string
---@return table marked the streams, for forget_cancel
function answer_stream.note_cancel(client, path)
  local thread = path:match "/model/response/([^/]+)/cancel$"
  local marked = {}
  for self in pairs(thread and open[client] or {}) do
    local id = self.thread_id or self.asked_thread
    if id and core.encode_uri(id) == thread then
      self.cancels = self.cancels + 1
      marked[#marked + 1] = self
    end
  end
  return marked
end

--- The server was not told after all.
---@param marked table
function answer_stream.forget_cancel(marked)
  for _, self in ipairs(marked) do
    self.cancels = self.cancels - 1
  end
end

--- The options of client.responses:create and :stream.
answer_stream.options = {}
for _, kind in ipairs { "json", "stream" } do
  local rules = {}
  for name, rule in pairs(options.endpoint) do
    rules[name] = rule
  end
  rules.stream, rules.save_to = nil, nil
  rules.keep_events = options.flag
  rules.resume = kind == "stream" and options.flag or nil
  answer_stream.options[kind] = rules
end

return answer_stream
