-- SPDX-License-Identifier: MIT
-- Checks of the values that a control call may give: each is a function that
-- says whether a value will do.

local checks = {}

---@param kind string what `type` says
function checks.is(kind)
  return function(value) return type(value) == kind end
end

---@param least number
---@param most number
function checks.number(least, most)
  return function(value)
    return type(value) == "number" and value >= least and value <= most
  end
end

---@param least integer
---@param most integer
function checks.integer(least, most)
  local within = checks.number(least, most)
  return function(value) return within(value) and value % 1 == 0 end
end

---@param ... any
function checks.one_of(...)
  local words = {}
  for _, word in ipairs { ... } do
    words[word] = true
  end
  return function(value) return words[value] == true end
end

--- A list, each element of which will do.
---@param check function
function checks.list_of(check)
  return function(value)
    if type(value) ~= "table" then
      return false
    end
    for name, field in pairs(value) do
      if type(name) ~= "number" or not check(field) then
        return false
      end
    end
    return true
  end
end

--- One that will do, or a list of such.
---@param check function
function checks.some(check)
  local many = checks.list_of(check)
  return function(value)
    return check(value) or many(value) and #value > 0
  end
end

--- What is wrong with a table that may have these fields only; nothing when
--- all will do.
---@param value any
---@param fields table<string, function>
---@return string?
function checks.wrong(value, fields)
  if type(value) ~= "table" then
    return "is not an object"
  end
  for name, field in pairs(value) do
    if not fields[name] then
      return "has no field " .. tostring(name)
    elseif not fields[name](field) then
      return "has a wrong " .. name
    end
  end
end

---@param fields table<string, function>
function checks.object(fields)
  return function(value) return not checks.wrong(value, fields) end
end

return checks
