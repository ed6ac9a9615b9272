-- SPDX-License-Identifier: MIT
--- What must hold for the error that is made of any answer: see error_body.c.
local core = require "freddy.core"
local errors = require "freddy.errors"

local TYPES = {
  "application/json", "text/html; charset=utf-8", "text/plain", "",
}
local REQUEST = { method = "POST", path = "/v1/x?secret=1" }

local function check_text(value, name, most)
  if value ~= nil then
    assert(type(value) == "string", name)
    assert(#value <= most, name)
    assert(not value:find("[%c]"), name)
    assert(value:find("%S"), name)
  end
end

local function check_fields(fields)
  assert(type(fields) == "table" and #fields <= 50)
  for _, field in ipairs(fields) do
    for name, value in pairs(field) do
      check_text(value, name, 500)
    end
  end
end

return function(status, type_index, body)
  local res = {
    status = status, body = body, attempts = 1,
    headers = { ["content-type"] = TYPES[type_index] },
  }
  if type_index == 1 and body ~= "" then
    res.data = core.json_decode(body)
  end
  local err = errors.from_response(res, REQUEST, "key")
  check_text(err.kind, "kind", 20)
  check_text(assert(err.message), "message", 500)
  check_text(err.code, "code", 500)
  check_text(err.trace_id, "trace_id", 500)
  check_text(err.request_id, "request_id", 500)
  check_text(err.hint, "hint", 100)
  assert(err.reason == nil or err.reason:find("^[%w_%.]+$"))
  assert(type(err.retryable) == "boolean" and err.sent == true)
  assert(err.status == status and err.response == res)
  if err.details then
    assert(next(err.details) ~= nil)
    if err.details.errors ~= nil then
      check_fields(err.details.errors)
    end
  end
  check_text(tostring(err), "line", 1200)
end
