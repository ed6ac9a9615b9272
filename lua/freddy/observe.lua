-- SPDX-License-Identifier: MIT
--- What a client tells of its work: the hooks on_event and on_log. Silent
--- unless they are given, and then never with a secret, nor with the query of
--- a URL, which may hold anything.
local core = require "freddy.core"
local misuse = require "freddy.misuse"
local task = require "freddy.task"

local observe = {}

--- Every event there is: its fields beside `name`, those that are not always
--- there with a question mark.
observe.events = {
  { name = "request", fields = { "id", "method", "path" },
    meaning = "a request was started" },
  { name = "retry",
    fields = { "id", "method", "path", "attempt", "delay", "cause" },
    meaning = "an attempt failed, and the request is sent again after a "
      .. "delay" },
  { name = "response",
    fields = { "id", "method", "path", "seconds", "status", "attempts",
      "timing", "request_id?" },
    meaning = "a request ended with a 2xx answer" },
  { name = "failure",
    fields = { "id", "method", "path", "seconds", "status?", "attempts?",
      "err" },
    meaning = "a request ended otherwise: err is what its caller gets" },
  { name = "refresh", fields = { "refreshes" },
    meaning = "the session's token was renewed; told with the next request "
      .. "that ends" },
  { name = "refresh_failed", fields = { "message" },
    meaning = "a renewal failed; told likewise" },
}

--- The levels of on_log.
observe.levels = { "debug", "info", "warning", "error" }

--- What a client that has hooks keeps for them; nil for one without.
---@param given table the options of freddy.new
---@return table? observed
function observe.new(given)
  if given.on_event or given.on_log then
    return { on_event = given.on_event, on_log = given.on_log,
      refreshes = 0 }
  end
end

local function tell(client, event)
  local hook = client.observed.on_event
  if hook then
    task.call_hook("on_event", hook, event)
  end
end

local function log(client, level, format, ...)
  local hook = client.observed.on_log
  if hook then
    task.call_hook("on_log", hook, level,
      client.redact(format:format(...)))
  end
end

local function event_of(name, entry)
  local about = entry.observed
  return { name = name, id = about.id, method = entry.method,
    path = about.path }
end

--- A request was posted.
---@param client freddy.Client
---@param entry table
---@param id integer
function observe.started(client, entry, id)
  entry.observed = { id = id, began = core.now(),
    path = client.redact(entry.path:match "^[^?#]*") }
  tell(client, event_of("request", entry))
end

local function retried(client, entry, retry)
  local event = event_of("retry", entry)
  event.attempt, event.delay = retry.attempt, retry.delay
  event.cause = retry.cause
  tell(client, event)
  log(client, "warning", "%s %s: attempt %d failed, again in %.3f s: %s",
    entry.method, event.path, retry.attempt, retry.delay,
    misuse.text_of(retry.cause))
end

--- What is to be called for each repeat; nil when nobody wants to hear of it.
---@param client freddy.Client
---@return fun(entry: table, retry: freddy.Retry)?
function observe.retry_teller(client)
  if not client.on_retry and not client.observed then
    return nil
  end
  return function(entry, retry)
    if client.on_retry then
      task.call_hook("on_retry", client.on_retry, retry)
    end
    if entry.observed then
      retried(client, entry, retry)
    end
  end
end

local function note_session(client)
  local observed, status = client.observed, client.core:status()
  if not status then
    return
  end
  local refreshes = client.core:stats().refreshes
  if refreshes > observed.refreshes then
    observed.refreshes = refreshes
    tell(client, { name = "refresh", refreshes = refreshes })
    log(client, "info", "the session's token was renewed")
  end
  local problem = status.last_error
  if problem and problem ~= observed.problem then
    problem = client.redact(problem)
    tell(client, { name = "refresh_failed", message = problem })
    log(client, "error", "the session's token could not be renewed: %s",
      problem)
  end
  observed.problem = status.last_error
end

--- It has ended.
---@param client freddy.Client
---@param entry table
---@param res? freddy.Response
---@param err? freddy.Error
function observe.ended(client, entry, res, err)
  local about = entry.observed
  note_session(client)
  local event = event_of(res and "response" or "failure", entry)
  entry.observed = nil -- once
  event.seconds = core.now() - about.began
  local from = res or err
  event.status, event.attempts = from.status, from.attempts
  if res then
    event.timing = res.timing
    event.request_id = res.request_id and client.redact(res.request_id)
    log(client, "debug", "%s %s: %d after %.3f s, %d attempt(s)",
      entry.method, event.path, res.status, event.seconds, res.attempts)
  else
    event.err = err
    log(client, "warning", "%s %s: failed after %.3f s: %s", entry.method,
      event.path, event.seconds, misuse.text_of(err))
  end
  tell(client, event)
end

return observe
