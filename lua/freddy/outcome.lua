-- SPDX-License-Identifier: MIT
--- What a call's end means to its caller: an answer, or an error. Secrets are
--- masked in both.
local core = require "freddy.core"
local body = require "freddy.body"
local errors = require "freddy.errors"
local json = require "freddy.json"
local observe = require "freddy.observe"
local response = require "freddy.response"

local outcome = {}

local function replace_plain(text, secret, mask)
  local from, to = text:find(secret, 1, true)
  while from do
    text = text:sub(1, from - 1) .. mask .. text:sub(to + 1)
    from, to = text:find(secret, from + #mask, true)
  end
  return text
end

-- Masks the client's secrets, and the key that this request had for itself.
local function redactor(self, entry)
  return function(text)
    text = self.redact(text)
    if entry.secret then
      text = replace_plain(text, entry.secret, "***")
    end
    return text
  end
end

-- A 2xx answer that turned out to be an error: the engine did not mask it.
local function spoiled(self, entry, res, reason, message)
  local redact = redactor(self, entry)
  res.data = nil
  return errors.new("protocol", {
    reason = reason, message = redact(message), status = res.status,
    sent = true, attempts = res.attempts,
    response = response.redact(res, redact),
    request_id = res.request_id,
  }, entry)
end

local function decode(self, entry, res)
  if self.codec then
    return json.decode_with(self.codec, res.body)
  end
  return entry.call:data()
end

-- Whether the body went to a file, or was to go: it is not in memory then.
local function was_saved(entry, res)
  return entry.save_to and res.status >= 200 and res.status < 300
end

local function success(self, entry, res, is_json)
  if entry.has_head then
    return res
  elseif was_saved(entry, res) then
    res.body, res.saved = nil, res.saved or 0
    return res
  elseif not response.has_body(entry.method, res.status) then
    return res
  elseif not is_json then
    if entry.wants_json and res.body ~= "" then
      return nil, spoiled(self, entry, res, "not_json",
        "the answer is not JSON")
    end
    return res
  end
  local value, message = decode(self, entry, res)
  if value == nil then
    return nil, spoiled(self, entry, res, "bad_json",
      "the answer is not valid JSON: " .. message)
  end
  res.data = value
  return res
end

local function credential_of(self)
  return self.key_function and "key" or (self.core:credential())
end

-- The engine masked body and headers; what it parsed before that is not used.
local function refused(self, entry, res, is_json)
  if is_json and res.body ~= "" then
    if self.codec then
      res.data = json.decode_with(self.codec, res.body)
    else
      res.data = core.json_decode(res.body)
    end
  end
  local redact = redactor(self, entry)
  if res.body:find("\\", 1, true) then -- an escape may have hidden a secret
    res.data = response.redact_data(res.data, redact)
  end
  res.url = res.url and redact(res.url) -- the user may have put it there
  if entry.secret then
    response.redact(res, redact)
  end
  return nil, errors.from_response(res, entry, credential_of(self))
end

local function failed(self, entry, raw, partial)
  body.explain(entry, raw, redactor(self, entry))
  if partial then
    if was_saved(entry, partial) or entry.has_head then
      partial.body = nil
    end
    raw.attempts = raw.attempts or partial.attempts
    raw.retry_after = raw.retry_after or partial.retry_after
    partial.retry_after, partial.retry_budget_empty = nil, nil
    raw.status = partial.status
    raw.response = response.redact(response.wrap(partial),
      redactor(self, entry))
    raw.request_id = partial.request_id
    local location = partial.headers.location
    if raw.kind == "redirect" and location then
      raw.details = { location = location }
    end
  end
  return nil, errors.from_core(raw, entry)
end

local function result(self, entry)
  local install = entry.install
  if install then -- before the tokens in it can be seen
    local installed, err = self.core:install(entry.call,
      install.must_have == true, install.cause)
    if err then
      return nil, errors.from_core(err, entry)
    end
    install.installed = installed
  end
  local res, err, partial = entry.call:result()
  if not res then
    return failed(self, entry, err or { kind = "cancelled" }, partial)
  end
  local is_json
  res, is_json = response.wrap(res)
  if res.status >= 200 and res.status < 300 then
    return success(self, entry, res, is_json)
  end
  return refused(self, entry, res, is_json)
end

-- The path was the user's, and may hold anything.
local function masked(self, err)
  local last = err.details and err.details.last
  err.request = self.redact(err.request)
  if errors.is_error(last) then
    last.request = err.request
  end
  return err
end

local function ended(self, entry, res, err)
  err = err and masked(self, err)
  if entry.observed then
    observe.ended(self, entry, res, err)
  end
  return res, err
end

-- What became of a call that is done.
local function finish(self, entry)
  if entry.forked then
    return ended(self, entry, nil,
      errors.new("forked", { sent = true }, entry))
  end
  local res, err = ended(self, entry, result(self, entry))
  -- A body may be large, and the collector cannot see it. From now on the
  -- redactor may not know what only this call carried.
  entry.call:free()
  return res, err
end

outcome.redactor, outcome.credential_of = redactor, credential_of
outcome.masked, outcome.ended, outcome.finish = masked, ended, finish

return outcome
