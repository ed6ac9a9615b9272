-- SPDX-License-Identifier: MIT
--- The error table: what `nil, err` returns. The kinds, their hints and what
--- may be repeated are data, in kinds.lua.
local errors = {}

--- Why a call failed. `tostring(err)` is one line for a person; programs look
--- at `kind`, then `reason`.
---@class freddy.Error
---@field kind string one word of the list in kinds.lua
---@field message string one line, the server's own words where it sent any
---@field reason? string a finer word: "connect", "invalid_api_key"
---@field hint? string what a person can do next
---@field status? integer of the answer, when one arrived
---@field code? string the server's own code, as it was sent
---@field retryable boolean true when a repeat is safe and may help
---@field retry_after? number seconds, when the server named them
---@field sent boolean true when any byte of the request may have left
---@field attempts integer the first included; 0 when it came to none
---@field request? string "GET /v1/models"
---@field request_id? string the answer's x-request-id
---@field trace_id? string the server's, for its support
---@field details? table what else is known: `errors`, `type`, `traceback`,
---  `location` (of a redirect that is not followed), `cause` (why an auth
---  server refused), `uncertain`, `replayed`, `last` (the error before, when
---  `total` ran out in a repeat), `retry_budget` ("empty"), `cut` (true: the
---  body of the answer is not whole)...
---@field response? freddy.Response the answer, secrets masked
local Error = { __name = "freddy.error" }

-- Wide enough for what matters, narrow enough for one line of a log.
local MAX_LINE = 200
local MIN_MESSAGE = 80
local MAX_PATH = 60

local NO_BUDGET = "most requests of this client have failed, so none is sent "
  .. "again now; look at the server"

-- RFC 9110 9.2.2; POST and PATCH are not among them.
local SAFE = {
  GET = true, HEAD = true, PUT = true, DELETE = true, OPTIONS = true,
  TRACE = true,
}
local TRANSIENT = {
  [408] = true, [500] = true, [502] = true, [503] = true, [504] = true,
}

local body, response, rows

--- Load what the words of errors come from, a quarter of what
--- `require "freddy"` would weigh. By freddy.new at the latest: at the first
--- error the process may have no descriptor left to read it with.
function errors.load()
  if rows then
    return
  end
  body, response = require "freddy.error_body", require "freddy.response"
  local all = {}
  for _, row in ipairs(require "freddy.kinds") do
    all[row.kind .. "/" .. (row.reason or "") .. "/"
      .. (row.credential or "")] = row
  end
  rows = all
end

-- The row that says most about an error.
local function find_row(kind, reason, credential)
  errors.load()
  reason, credential = reason or "", credential or ""
  return rows[kind .. "/" .. reason .. "/" .. credential]
    or rows[kind .. "/" .. reason .. "/"]
    or rows[kind .. "//" .. credential]
    or rows[kind .. "//"]
    or {}
end

local function may_repeat(again, err, request)
  if again == "safe" then
    return not err.sent or SAFE[request and request.method] == true
      or request ~= nil and request.idempotent == true
  end
  return again == "any"
end

-- Fill in what follows from the kind, the reason and the request.
local function complete(err, request, credential)
  local row = find_row(err.kind, err.reason, credential)

  if request then
    err.request = request.method .. " " .. body.path_of(request.path)
  end
  err.sent = err.sent or false
  err.hint = err.hint or row.hint
  err.attempts = err.attempts or (err.sent and 1 or 0)
  if err.retryable == nil then
    err.retryable = may_repeat(row.again, err, request)
  end
  return setmetatable(err, Error)
end

function Error.__tostring(err)
  local head = "freddy: " .. err.kind
  if err.reason then
    head = head .. " (" .. err.reason .. ")"
  end
  local tail = ""
  if err.request then
    tail = " [" .. body.clip(err.request, MAX_PATH)
    if err.status then
      tail = tail .. " -> " .. err.status
    end
    if err.request_id then
      tail = tail .. ", request " .. body.clip(err.request_id, 40)
    end
    tail = tail .. "]"
  end
  if err.hint then
    tail = tail .. ". Hint: " .. err.hint
  end
  local room = math.max(MIN_MESSAGE, MAX_LINE - #head - #tail - 2)
  local message = body.one_line(err.message):gsub("%.$", "")
  return head .. ": " .. body.clip(message, room) .. tail
end

function Error.__concat(a, b)
  return tostring(a) .. tostring(b)
end

--- A new error.
---@param kind string
---@param fields? table further fields; becomes the error
---@param request? table { method =, path = }
---@return freddy.Error
function errors.new(kind, fields, request)
  local err = fields or {}

  err.kind = kind
  err.message = err.message or find_row(kind, err.reason).meaning or kind
  return complete(err, request)
end

--- Fill in what follows from the kind and the request.
---@param err freddy.Error
---@param request? table { method =, path = }
---@return freddy.Error err
errors.complete = complete

--- True when `value` is an error made here.
---@param value any
---@return boolean
function errors.is_error(value)
  return getmetatable(value) == Error
end

-- What helps when an auth server refused a key or an account helps here. A
-- refresh token that it did not take is the rule, and has a hint of its own.
local function hint_for_cause(cause)
  if not cause:find "^token_" then
    return (rows["unauthorized/" .. cause .. "/key"]
      or rows["unauthorized/" .. cause .. "/"]
      or rows["forbidden/" .. cause .. "/"] or {}).hint
  end
end

local BY_STATUS = {
  [400] = "invalid", [401] = "unauthorized", [403] = "forbidden",
  [404] = "not_found", [409] = "conflict", [422] = "invalid",
  [429] = "rate_limited",
}

local function kind_of(status)
  if status >= 500 and status <= 599 then
    return "server"
  end
  return BY_STATUS[status] or "http"
end

-- Whether repeating what got this answer can help.
local function answer_again(err)
  if err.kind == "rate_limited" then
    return err.reason ~= "quota" and "any" or nil
  end
  return TRANSIENT[err.status] and "safe" or nil
end

local note_repeats

--- Why a request is sent again, from the binding's table; the table becomes
--- it. An answer has its status only.
---@param raw { kind: string?, status: integer? }
---@param request table { method =, path = }
---@return freddy.Error
function errors.from_cause(raw, request)
  if not raw.kind then
    raw.kind = kind_of(raw.status)
    raw.message = ("the server answered %d"):format(raw.status)
    raw.retryable = may_repeat(answer_again(raw), raw, request)
  end
  return errors.from_core(raw, request)
end

-- What the engine says of repeats, for a person.
function note_repeats(raw, request)
  local last = raw.last
  if last and raw.kind == "timeout" and raw.reason == "total" then
    raw.details = raw.details or {}
    last.attempts = raw.attempts
    raw.details.last = errors.from_cause(last, request)
    raw.hint = "it had failed before: see err.details.last"
  end
  if raw.retry_budget_empty then
    raw.details = raw.details or {}
    raw.details.retry_budget = "empty"
    raw.hint = NO_BUDGET
  end
  raw.last, raw.retry_budget_empty = nil, nil
end

--- An error from the table that the binding returned; the table becomes it.
---@param raw { kind: string, reason: string?, message: string }
---@param request? table { method =, path = }
---@return freddy.Error
function errors.from_core(raw, request)
  if raw.uncertain or raw.cause then
    raw.details = { uncertain = raw.uncertain, cause = raw.cause }
    raw.hint = raw.cause and hint_for_cause(raw.cause)
    raw.uncertain, raw.cause = nil, nil
  end
  note_repeats(raw, request)
  if not raw.message or raw.message == "" then
    raw.message = find_row(raw.kind, raw.reason).meaning or raw.kind
  end
  return complete(raw, request)
end

--- An error from an answer that is not 2xx. The engine has masked the secrets
--- in its body and headers.
---@param res freddy.Response
---@param request table { method =, path = }
---@param credential? string "key", "token" or "none": what the client has
---@return freddy.Error
function errors.from_response(res, request, credential)
  local err = body.read(res)

  err.kind = kind_of(res.status)
  err.status = res.status
  err.response = res
  err.sent = true
  err.attempts = res.attempts or 1
  err.request_id = body.clean(res.request_id) or err.request_id
  err.retry_after, res.retry_after = res.retry_after, nil
  err.reason = body.reason(err)
  if res.retry_budget_empty then
    res.retry_budget_empty = nil
    err.details = err.details or {}
    err.details.retry_budget = "empty"
    err.hint = NO_BUDGET
  end
  if res.unreplayed then
    res.unreplayed = nil
    err.details = err.details or {}
    err.details.replayed = false
    err.hint = "the token is being renewed, but a body that a reader gives "
      .. "cannot be sent again: send the request once more"
  end
  if res.body_cut then
    res.body_cut = nil
    err.details = err.details or {}
    err.details.cut = true
  end
  err.retryable = may_repeat(answer_again(err), err, request)
  return complete(err, request, credential)
end

--- An error from an event that says why there will be no answer. Its head was
--- a 200: the kind is that of the status which it would have had.
---@param event freddy.Event class "error"
---@param res table the stream, for what is known of its head
---@param redact fun(text: string): string
---@param request table { method =, path = }
---@param credential? string
---@return freddy.Error
function errors.from_event(event, res, redact, request, credential)
  local data = response.redact_data(event.json, redact)
  local err = body.read {
    status = event.status, headers = {}, data = data,
    body = redact(event.data),
  }

  err.kind, err.status = kind_of(event.status), event.status
  err.reason = body.reason(err)
  err.retryable = may_repeat(answer_again(err), err, request)
  err.status, err.sent = res.status, true
  err.attempts, err.request_id = res.attempts, res.request_id
  err.details = err.details or {}
  err.details.event, err.details.status = event.event, event.status
  return complete(err, request, credential)
end

return errors
