-- SPDX-License-Identifier: MIT
--- A client: one server, one credential, its verbs and endpoints.
local core = require "freddy.core"
local api = require "freddy.api"
local auth = require "freddy.auth"
local body = require "freddy.body"
local download = require "freddy.download"
local endpoint = require "freddy.endpoint"
local errors = require "freddy.errors"
local listener = require "freddy.listener"
local misuse = require "freddy.misuse"
local observe = require "freddy.observe"
local options = require "freddy.options"
local outcome = require "freddy.outcome"
local pull = require "freddy.pull"
local rate = require "freddy.rate"
local request = require "freddy.request"
local scheduler = require "freddy.scheduler"
local send = require "freddy.send"
local settings = require "freddy.settings"
local shared_plan = require "freddy.shared_plan"
local shared_session = require "freddy.shared_session"
local stream = require "freddy.stream"
local task = require "freddy.task"

errors.load()

local redactor, credential_of = outcome.redactor, outcome.credential_of
local masked, ended, finish = outcome.masked, outcome.ended, outcome.finish

local client = {}

--- What freddy.new returns.
---@class freddy.Client
---@field auth freddy.Auth the credential
---@field models freddy.api.Models
---@field health freddy.api.Health
---@field responses freddy.api.Responses
---@field package core freddy.core.Client
---@field package key_function? fun(): string
---@field package key_header? string
---@field package codec? table
---@field package redact fun(text: string): string
---@field package on_token? fun(tokens: freddy.Tokens?)
---@field package on_retry? fun(retry: freddy.Retry)
---@field package observed? table its hooks on_event and on_log
---@field package tell_retry? fun(entry: table, retry: freddy.Retry)
---@field package token_provider? fun(why: string): table
---@field package store? freddy.SessionFile
---@field package shared? table the session in a store that is written in Lua
---@field package plan? table its rate plan there
---@field package listening? table the entry of its listener
---@field package exit_wait number
---@field package total number the usual limit, in seconds
local Client = { __name = "freddy.client" }
local methods = {}
Client.__index = methods

local DEFAULT_TOTAL = 600

-- The cores of all clients of this state, for texts that belong to none.
local cores = setmetatable({}, { __mode = "k" })

function task.redact(text)
  for one in pairs(cores) do
    text = one:redact(text) or text
  end
  return text
end

-- --- Requests ------------------------------------------------------------

local function on_event(entry, event, a, b, c, d)
  if event == "need_body" then
    body.answer(entry, a, b, c)
  elseif event == "progress" and entry.on_progress then
    task.call_hook("on_progress", entry.on_progress, {
      sent = a, send_total = b, received = c, receive_total = d,
    })
  elseif event == "retry" and entry.repeats_for then
    c.attempts = a
    entry.repeats_for.tell_retry(entry, {
      attempt = a, delay = b,
      cause = masked(entry.repeats_for, errors.from_cause(c, entry)),
    })
  elseif entry.pull then
    pull.on_event(entry, event)
  end
end

-- Each worker would renew a session for itself, and with the first rotation
-- end it for all the others.
local function refuse_lonely(self)
  local is_one_of_many = scheduler.host().is_one_of_many
  if is_one_of_many and not (self.store or self.exchanges or self.is_renewing)
      and is_one_of_many() and self.core:credential() == "session" then
    return errors.new("auth", { reason = "needs_store",
      message = "every worker would renew this session for itself" })
  end
end

-- Post the request; it becomes the entry that is waited for.
local function start(self, who, entry, hold)
  local ok, err = request.add_key(self, entry)
  if not ok then
    return nil, masked(self, errors.complete(err, entry))
  end
  if hold then
    ok, err = scheduler.engage(who)
    if not ok then
      return nil, masked(self, errors.complete(err, entry))
    end
  end
  local box
  box, err = scheduler.inbox()
  if not box then
    return nil, err
  end
  err = refuse_lonely(self)
  if err then
    return nil, masked(self, errors.complete(err, entry))
  end
  if self.listening then -- it may have been another process's
    listener.ensure(self)
  end
  local id = scheduler.next_id()
  local call
  call, err = self.core:start(box, id, entry)
  if not call then
    if err.kind == "misuse" then
      misuse.raise("%s: %s", who, err.message)
    end
    return nil, masked(self, errors.from_core(err, entry))
  end
  entry.call = call
  entry.body, entry.headers, entry.parts = nil, nil, nil
  entry.repeats_for = self.tell_retry and self
  if entry.readers or entry.on_progress or entry.pull or self.tell_retry then
    entry.on_event = on_event
  end
  entry.secret, entry.api_key = entry.api_key, nil
  scheduler.add(id, entry, hold)
  if self.observed then
    observe.started(self, entry, id)
  end
  return entry
end

-- A script of one request may end when the call returns: a call that waits in
-- no task, and that begins a renewal, waits until on_token has its tokens.
local function must_drain(self)
  return scheduler.host().drains and not scheduler.task()
    and not listener.is_busy(self)
end

local function drain(self, entry, started)
  local total = entry.timeout and entry.timeout.total or self.total
  local left = total - (core.now() - started)
  if (left > 0 or total < 0) and listener.is_busy(self) then
    listener.renew(self, "settle", total < 0 and total or left)
  end
end

local function cancelled(self, entry)
  entry.call:cancel() -- what is asked then stays so
  local attempts, sent = entry.call:tried()
  scheduler.drop(entry)
  return ended(self, entry, nil, errors.new("cancelled", {
    message = "the task was cancelled", sent = sent, attempts = attempts,
  }, entry))
end

-- Wait for what a call returns: a whole answer, or the head of one that is
-- taken piece by piece.
local function await(self, entry)
  if not entry.pull then
    if scheduler.await(entry) then
      return cancelled(self, entry)
    end
    return finish(self, entry)
  elseif pull.await_head(entry) then
    return cancelled(self, entry)
  elseif not entry.has_head then
    return finish(self, entry)
  end
  return entry.open(self, entry, finish)
end

-- `more` are fields of the core's request that no user can give; `wants_json`:
-- an answer with another body is an error.
local function perform(self, who, method, path, given, more, wants_json)
  local entry = request.build(self, who, method, path, given)
  entry.wants_json = wants_json
  if more then
    request.add(entry, more)
  end
  if entry.pull then
    entry.open, entry.on_done = entry.open or download.open, pull.wake
  end
  if entry.auth ~= "off" and (entry.auth or entry.path:sub(1, 1) == "/") then
    listener.check_waits(who, self)
  end
  local ok, err = scheduler.may_wait(who)
  if not ok then
    return nil, masked(self, errors.complete(err, entry))
  end
  if entry.cancel_on_abort and scheduler.host().cancel_on_abort then
    scheduler.host().cancel_on_abort(who, entry)
  end
  local drains = self.on_token and must_drain(self)
  local started = drains and core.now()
  ok, err = start(self, who, entry)
  if not ok then
    return nil, err
  end
  local res
  res, err = await(self, entry)
  if drains then
    drain(self, entry, started)
  end
  return res, err
end

local function verb(name)
  local who, method = "client:" .. name, name:upper()
  return function(self, path, given)
    misuse.check_self(self, Client, who)
    if given ~= nil then
      options.check(who, given, options.request)
    end
    return perform(self, who, method, path, given)
  end
end

--- The options of a request.
---@class freddy.RequestOptions
---@field query? table a map, or an array of { name, value }. An array as value
---  repeats the name; booleans are true and false; null is left out
---@field headers? table as query; wins over the client's. No credentials
---@field json? any sent as JSON, with its Content-Type
---@field body? string|fun(n: integer): string? sent as it is; a function is
---  asked for the next bytes, some `n` of them, until it returns nil. It must
---  not wait. Its body is never sent again
---@field size? integer bytes that such a function will give; else the body is
---  sent in chunks
---@field form? table sent as application/x-www-form-urlencoded; as query
---@field multipart? freddy.Part[] sent as multipart/form-data
---@field on_progress? fun(progress: freddy.Progress) called as bytes move;
---  must not wait
---@field timeout? number|false|table seconds in all, or { connect =,
---  first_byte =, stall =, event =, total = }; false: none
---@field http_version? "2"|"1.1" default the client's
---@field auth? boolean false: send no credential; true: send it to another
---  origin, too. By default it goes to the client's own origin only
---@field max_body? integer bytes of the answer at most; by default the
---  client's, and none with save_to
---@field cancel_on_abort? boolean true, in nginx: the request ends (kind
---  `cancelled`) when the client that the handler serves goes away. Needs
---  `lua_check_client_abort on`; elsewhere it means nothing
---@field stream? boolean true: return as soon as the head of a 2xx answer is
---  there, a freddy.Download, whose body is read as it comes. Over HTTP/1.1;
---  no limit of `total` but one given here
---@field retries? integer how often it is sent again at most; 0: never. By
---  default the client's, which is 2
---@field idempotent? boolean true: a POST or PATCH may be sent twice, too. All
---  its attempts have the same Idempotency-Key, unless `headers` have one
---@field save_to? string the path of a file that gets the body of a 2xx
---  answer, at once when it is whole: `body` and `data` are nil then, `saved`
---  is its size. On any failure an old file is as it was. A relative path
---  starts at the working folder of this moment. Not for HEAD

--- The options of client:stream: those of a request but `stream` and
--- `save_to`. `total` is off unless it is given here; `timeout.event` is the
--- longest wait between two events.
---@class freddy.StreamOptions: freddy.RequestOptions
---@field method? string default GET; in any case

--- A part of a multipart body: data, file or reader.
---@class freddy.Part
---@field name string
---@field data? string
---@field file? string a path; read while it is sent, off the host's thread
---@field reader? fun(n: integer): string? as body
---@field size? integer bytes that the reader will give
---@field filename? string default for a file: the end of its path
---@field content_type? string default for a file: application/octet-stream

--- Why and when a request is sent again. Secrets are masked.
---@class freddy.Retry
---@field attempt integer how many attempts there were
---@field delay number seconds until the next one; 0: at once
---@field cause freddy.Error what became of the last one

--- Bytes of the bodies so far, as they are on the wire. No number steps back.
---@class freddy.Progress
---@field sent integer
---@field send_total? integer nil while it is not known
---@field received integer of a 2xx answer
---@field receive_total? integer

---@alias freddy.Verb fun(self: freddy.Client, path: string,
---  options: freddy.RequestOptions?): freddy.Response?, freddy.Error?

--- Send a GET request and wait for the answer. Waits as the host does: blocks
--- in a script, yields in a task. Raises on misuse; every other failure, and
--- every answer that is not 2xx, is nil, err.
---@param path string begins with "/", or is a full URL
---@param options? freddy.RequestOptions
---@return freddy.Response? response
---@return freddy.Error? err
---@type freddy.Verb
methods.get = verb "get"

--- As client:get, with HEAD: `body` is "".
---@type freddy.Verb
methods.head = verb "head"

--- As client:get, with POST.
---@type freddy.Verb
methods.post = verb "post"

--- As client:get, with PUT.
---@type freddy.Verb
methods.put = verb "put"

--- As client:get, with PATCH.
---@type freddy.Verb
methods.patch = verb "patch"

--- As client:get, with DELETE.
---@type freddy.Verb
methods.delete = verb "delete"

--- The options of client:request and client:send.
---@class freddy.Request: freddy.RequestOptions
---@field method? string default GET; in any case
---@field path string

-- The method, the path, and the options when there are others.
local function check_request(self, who, given)
  misuse.check_self(self, Client, who)
  local count = options.check(who, given, options.full)
  local method, path = given.method, given.path
  if path == nil then
    misuse.raise("%s: path is required", who)
  elseif count == (method and 2 or 1) then
    given = nil
  end
  return method and method:upper() or "GET", path, given
end

--- As client:get, with the method and the path among the options.
---@param given freddy.Request
---@return freddy.Response? response
---@return freddy.Error? err
function methods:request(given)
  local method, path, more = check_request(self, "client:request", given)
  return perform(self, "client:request", method, path, more)
end

-- What makes a request one for events: fields that no option gives.
local EVENTS = { events = true, pull = true, open = stream.open }

--- Open an event stream: send a request and wait for the head of the answer.
--- An answer that is not 2xx is nil, err, as ever; one that is no event stream
--- too (`protocol`, `not_an_event_stream`). A stream ends well where its body
--- does; whoever stops reading holds back the server, and nobody else.
---@param path string
---@param given? freddy.StreamOptions
---@return freddy.Stream? stream
---@return freddy.Error? err
function methods:stream(path, given)
  misuse.check_self(self, Client, "client:stream")
  local method
  if given ~= nil then
    options.check("client:stream", given, options.stream)
    method = given.method and given.method:upper()
    if method == "HEAD" then
      misuse.raise("client:stream: the answer to HEAD has no events")
    end
  end
  return perform(self, "client:stream", method or "GET", path, given, EVENTS)
end

send.install(methods, check_request, start, finish)

rate.extend(methods, Client)

--- End every call of the client (kind `closed`) and refuse new ones. Never
--- waits; may be repeated. A client that is collected is closed as well.
function methods:close()
  misuse.check_self(self, Client, "client:close")
  self.core:close()
end

Client.__close = methods.close

function Client.__tostring(self)
  return ("freddy.client: %s"):format(credential_of(self))
end

-- --- Making one ----------------------------------------------------------

local fetch = endpoint.fetch {
  perform = perform, redactor = redactor, credential_of = credential_of,
}
local classes = {}
for i, group in ipairs(api.groups) do
  classes[i] = api.class(group, fetch)
end

-- The options without a store that is written in Lua, and what is in it.
local function share(given)
  local kept = given.store
  local shared
  if type(kept) ~= "table" or not (shared_session.is_store(kept)
      or shared_plan.is_store(kept)) then
    return given
  end
  settings.check(given)
  if shared_plan.is_all(given) then
    local out = {}
    for name, value in pairs(given) do
      out[name] = value
    end
    out.store = nil
    return out, nil, shared_plan.new(kept)
  end
  given, shared = shared_session.adapt(given, client.new)
  return given, shared, shared_plan.new(kept, shared.reach)
end

--- See freddy.new.
---@param given? table
---@return freddy.Client? client
---@return freddy.Error? err
function client.new(given)
  given = given == nil and {} or given
  local shared, plan
  if type(given) == "table" then
    given, shared, plan = share(given)
  end
  local opts, err = settings.read(given)
  if not opts then
    return nil, err
  end
  opts.plan_store = plan and shared_plan.name(plan)
  local handle
  handle, err = core.client(opts)
  if not handle then
    return settings.not_made(opts, err)
  end
  cores[handle] = true
  local self = {
    core = handle, key_header = given.key_header, codec = given.json,
    key_function = type(given.api_key) == "function" and given.api_key or nil,
    on_token = given.on_token, token_provider = given.token_provider,
    on_retry = given.on_retry, observed = observe.new(given),
    store = given.store, shared = shared, plan = plan,
    keep_warm = given.keep_warm, exchanges = given.auth == "bearer",
    exit_wait = settings.exit_wait(given),
    total = opts.timeout and opts.timeout.total or DEFAULT_TOTAL,
    redact = function(text)
      return handle:redact(text) or "***"
    end,
  }
  if shared then
    shared.core = handle
  end
  self.tell_retry = observe.retry_teller(self)
  self.auth = auth.new(self, given, opts, perform)
  for i, group in ipairs(api.groups) do
    self[group.name] = setmetatable({ client = self }, classes[i])
  end
  local ok
  ok, err = listener.ensure(self)
  if not ok then
    return nil, err
  end
  return setmetatable(self, Client)
end

return client
