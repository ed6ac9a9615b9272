-- SPDX-License-Identifier: MIT
-- Every form that servers have given the header Retry-After (RFC 9110,
-- 10.2.3), the wrong ones included.

local clock = require "clock"

local retry_after = {}

local forms = {}

function forms.seconds(wait)
  return ("%d"):format(math.ceil(wait))
end

function forms.date(wait)
  return ngx.http_time(math.ceil(clock.shown() + wait))
end

forms["past-date"] = function()
  return ngx.http_time(math.floor(clock.shown() - 3600))
end

forms["absurd-date"] = function()
  return "Fri, 31 Dec 9999 23:59:59 GMT"
end

function forms.inf()
  return "inf"
end

function forms.digits()
  return ("9"):rep(35)
end

-- nginx leaves a header out whose value is nothing at all.
function forms.empty()
  return " "
end

function forms.none()
  return nil
end

--- Whether a switch may have this value: the name of a form, a number of
--- seconds, or `{ value = text }` to be sent as it is.
---@param value any
---@return boolean
function retry_after.is_form(value)
  if type(value) == "table" then
    return type(value.value) == "string"
  end
  return forms[value] ~= nil or type(value) == "number" and value >= 0
end

--- The header's value.
---@param form string|number|table as above
---@param wait number seconds after which the server would take a request
---@return string? value nil: no such header
function retry_after.value(form, wait)
  if type(form) == "table" then
    return form.value
  elseif type(form) == "number" then
    return ("%.14g"):format(form)
  end
  return forms[form](wait)
end

return retry_after
