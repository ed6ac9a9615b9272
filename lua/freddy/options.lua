-- SPDX-License-Identifier: MIT
--- The options of a client and of a request: which there are and what each
--- may be. A wrong one raises at the caller's line and is named there; its
--- value never is, since it may be a secret in the wrong place.
local core = require "freddy.core"
local misuse = require "freddy.misuse"
local rate = require "freddy.rate"
local session_file = require "freddy.session_file"
local shared_plan = require "freddy.shared_plan"
local shared_session = require "freddy.shared_session"

local options = {}

local raise = misuse.raise
local math_type = rawget(math, "type") -- 5.3 on

-- A rule takes the value and returns nil, or what it should have been.
-- LATER marks what is known, and not there yet.
local LATER = false

local MAX_RETRIES = 10000

local function is_finite(value)
  return value == value and value ~= math.huge and value ~= -math.huge
end

local function is_integer(value)
  return type(value) == "number" and is_finite(value)
    and value == math.floor(value)
end

--- A non-empty string without control characters.
local function text(value)
  if type(value) ~= "string" or value == "" then
    return "a non-empty string"
  elseif value:find("%c") then
    return "a string without control characters"
  end
end

local function boolean(value)
  if type(value) ~= "boolean" then
    return "true or false"
  end
end
options.flag = boolean

--- What can stand in a header as a credential does: RFC 9110 5.5.
local function secret(value)
  if type(value) ~= "string" or value == "" then
    return "a non-empty string"
  elseif not core.is_value(value) or value:find("%s") then
    return "a string without blanks and control characters"
  end
end

local function secret_or_function(value)
  if type(value) ~= "function" then
    local expected = secret(value)
    return expected and expected .. ", or a function that returns one"
  end
end

local function size(least)
  return function(value)
    if not is_integer(value) or value < least or value > 2 ^ 53 then
      return ("a whole number of bytes, at least %d"):format(least)
    end
  end
end

local function how_many(value)
  if not is_integer(value) or value < 1 or value >= 2 ^ 32 then
    return "a whole number, 1 or more"
  end
end

local function one_of(...)
  local names, list = {}, {}
  for i, name in ipairs({ ... }) do
    names[name] = true
    list[i] = ("%q"):format(name)
  end
  local expected = table.concat(list, ", ", 1, #list - 1)
    .. " or " .. list[#list]
  return function(value)
    if not names[value] then
      return expected .. misuse.suggest(value, names)
    end
  end
end

local function token(value)
  if type(value) ~= "string" or not core.is_token(value) then
    return "a header name"
  end
end

local function method(value)
  if type(value) ~= "string" or not core.is_token(value) then
    return 'a method, such as "GET"'
  end
end

local function header_value(value)
  if type(value) ~= "string" or value == "" or not core.is_value(value) then
    return "a header value: text without control characters"
  end
end

local function codec(value)
  if type(value) ~= "table" or type(value.encode) ~= "function"
      or type(value.decode) ~= "function" then
    return "a module with the functions encode and decode"
  end
end

local function is_table(value)
  if type(value) ~= "table" then
    return "a table"
  end
end

local function callable(value)
  if type(value) ~= "function" then
    return "a function"
  end
end

local function store(value)
  if not session_file.is_one(value)
      and not shared_session.is_store(value)
      and not shared_plan.is_store(value) then
    return "what freddy.session_file(path) or a function of freddy.store "
      .. "returns"
  end
end

--- A file's path: any bytes but NUL, which would end it.
local function path_name(value)
  if type(value) ~= "string" or value == "" then
    return "a path: a non-empty string"
  elseif value:find("\0", 1, true) then
    return "a path without NUL bytes"
  end
end

local function seconds(value)
  if type(value) ~= "number" or value ~= value or value <= 0 then
    return "a number of seconds above 0, or false for no limit"
  end
end

local function repeats(value)
  if not is_integer(value) or value < 0 or value > MAX_RETRIES then
    return ("a whole number, 0 to %d"):format(MAX_RETRIES)
  end
end

local function wait_seconds(value)
  if type(value) ~= "number" or value ~= value or value < 0
      or value == math.huge then
    return "a number of seconds, 0 or more"
  end
end

local function limit(value)
  if value ~= false then
    return seconds(value)
  end
end

-- The parts of `timeout`. `event` is for streams, `auth` for renewals.
local TIMEOUTS = {
  connect = limit, first_byte = limit, stall = limit, total = limit,
  auth = limit, event = limit,
}

local function timeout(value)
  if type(value) ~= "table" and limit(value) then
    return "a number of seconds above 0, false for no limit, or a table "
      .. "{ connect =, first_byte =, stall =, total = }"
  end
end

-- A path, or PEM text, which alone may have line ends.
local function pem(value)
  if type(value) ~= "string" or value == "" then
    return "a path or PEM text"
  elseif value:find "%c" and not value:find("-----BEGIN ", 1, true) then
    return "a path without control characters, or PEM text"
  end
end

local function some_string(value)
  if type(value) ~= "string" or value == "" then
    return "PEM text"
  end
end

-- Commas and blanks separate the entries, in an array too.
local function no_proxy(value)
  local list = value
  if type(value) == "table" then
    for i = 1, #value do
      if type(value[i]) ~= "string" then
        return "a string, or an array of strings"
      end
    end
    list = table.concat(value, ",")
  end
  if type(list) ~= "string" or not core.is_no_proxy(list) then
    return "hosts, domains, addresses or ranges of addresses, as a string "
      .. "with commas or an array of strings"
  end
end

--- The options of freddy.new.
options.client = {
  api_key = secret_or_function, token = secret,
  auth = one_of("key", "bearer", "none"),
  base_url = text, key_header = token, timeout = timeout,
  headers = is_table, user_agent = header_value, proxy = text,
  no_proxy = no_proxy,
  ca_file = text, ca_blob = some_string, client_cert = pem, client_key = pem,
  max_body = size(1), buffer = size(1),
  http_version = one_of("2", "1.1"), json = codec,
  refresh_token = secret, expires_in = seconds, auth_paths = is_table,
  keep_warm = boolean, token_provider = callable, on_token = callable,
  exit_wait = wait_seconds, retries = repeats, rate_limit = rate.check,
  max_in_flight = how_many, max_event = size(1), store = store,
  on_retry = callable, on_event = callable, on_log = callable,
}

--- The options of a request.
options.request = {
  query = is_table, headers = is_table, form = is_table,
  multipart = is_table, size = size(0), on_progress = callable,
  body = function(value)
    if type(value) ~= "string" and type(value) ~= "function" then
      return "a string, or a function that returns the next bytes"
    end
  end,
  json = function() end, -- anything; the encoder judges
  timeout = timeout, auth = boolean, max_body = size(1),
  save_to = path_name, stream = boolean, retries = repeats,
  idempotent = boolean,
  http_version = one_of("2", "1.1"), cancel_on_abort = boolean,
}

--- The options of an endpoint method: its parameters are given apart.
options.endpoint = {}
for name, rule in pairs(options.request) do
  options.endpoint[name] = rule
end
for _, name in ipairs { "query", "json", "body", "form", "multipart",
    "size" } do
  options.endpoint[name] = nil
end

--- The options of client:stream.
options.stream = { method = method }
for name, rule in pairs(options.request) do
  options.stream[name] = rule
end
options.stream.stream, options.stream.save_to = nil, nil

--- The options of client:request.
options.full = { method = method, path = text }
for name, rule in pairs(options.request) do
  options.full[name] = rule
end

local function unsupported(who, what)
  raise("%s: option %s is not supported by this version", who, what)
end

--- Check every option given, and raise at the first that is wrong.
---@param who string the function, for the message: "client:get"
---@param given table
---@param rules table one of those above
---@return integer count how many there are
function options.check(who, given, rules)
  if type(given) ~= "table" then
    raise("%s: options must be a table, not %s", who, misuse.type_of(given))
  end
  local count = 0
  for name, value in next, given do
    count = count + 1
    local rule = rules[name]
    if rule == nil then
      raise("%s: unknown option %s%s", who,
        type(name) == "string" and ("%q"):format(name)
        or tostring(name), misuse.suggest(name, rules))
    elseif rule == LATER then
      unsupported(who, ("%q"):format(name))
    end
    local expected = rule(value)
    if expected then
      raise("%s: option %q must be %s (got %s)", who, name, expected,
        misuse.type_of(value))
    end
  end
  return count
end

--- The option `no_proxy`, checked, as the core wants it.
---@param value string|string[]
---@return string
function options.no_proxy(value)
  return type(value) == "table" and table.concat(value, ",") or value
end

-- A limit as the core wants it: negative means none.
local function core_limit(value)
  if value == false or value == math.huge then
    return -1
  end
  return value
end

--- The option `retries` as the core wants it: 0 is its default there, and
--- negative means none.
---@param value integer?
---@return integer?
function options.retries(value)
  return value == 0 and -1 or value
end

--- The option `timeout` as the core wants it, checked.
---@param who string
---@param value number|false|table
---@return table { connect =, first_byte =, stall =, total = }
function options.timeout(who, value)
  if type(value) ~= "table" then
    return { total = core_limit(value) }
  end
  local out = {}
  for name, part in pairs(value) do
    local rule = TIMEOUTS[name]
    if rule == nil then
      raise("%s: unknown option %q in timeout%s", who, tostring(name),
        misuse.suggest(name, TIMEOUTS))
    elseif rule == LATER then
      unsupported(who, ("timeout.%s"):format(name))
    end
    if name == "auth" and who ~= "freddy.new" then
      raise("%s: option timeout.auth is one of freddy.new only", who)
    end
    local expected = rule(part)
    if expected then
      raise("%s: option timeout.%s must be %s (got %s)", who, name, expected,
        misuse.type_of(part))
    end
    out[name] = core_limit(part)
  end
  return out
end

-- Each is a path under base_url.
local AUTH_PATHS = {
  token = true, refresh = true, login = true, verify = true,
  resend_code = true, logout = true, validate = true, dev_login = true,
}

--- The option `auth_paths`, checked.
---@param who string
---@param paths table<string, string>
function options.auth_paths(who, paths)
  for name, path in pairs(paths) do
    if AUTH_PATHS[name] == nil then
      raise("%s: unknown option %q in auth_paths%s", who, tostring(name),
        misuse.suggest(name, AUTH_PATHS))
    elseif type(path) ~= "string" or not path:find("^/[^%c%s]*$") then
      raise("%s: option auth_paths.%s must be a path that begins with %q "
        .. "(got %s)", who, name, "/", misuse.type_of(path))
    end
  end
end

local function add_header(who, out, name, value, key_header)
  if type(name) ~= "string" or not core.is_token(name) then
    raise("%s: option \"headers\" has a name that is no header name", who)
  end
  local owner = core.header_owner(name, key_header)
  if owner == "credential" then
    raise("%s: header %q carries a credential: use the options api_key, "
      .. "token or auth instead", who, name)
  elseif owner == "ours" then
    raise("%s: header %q is set by freddy itself", who, name)
  end
  if type(value) == "number" then
    value = options.number(value) or raise(
      "%s: header %q must be a finite number", who, name)
  end
  if type(value) ~= "string" or not core.is_value(value) then
    raise("%s: header %q must be text without control characters and "
      .. "without blanks at its ends", who, name)
  end
  out[#out + 1] = name
  out[#out + 1] = value
end

local function sorted_names(who, what, map)
  local names = {}
  for name in pairs(map) do
    if type(name) ~= "string" then
      raise("%s: %s must be a map, or an array of { name, value }", who, what)
    end
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

-- Calls add(name, value) for each field of a map, in the order of its names,
-- or of an array of { name, value }.
local function each_field(who, what, fields, add)
  if fields[1] == nil then
    for _, name in ipairs(sorted_names(who, what, fields)) do
      add(name, fields[name])
    end
    return
  end
  for i = 1, #fields do
    local field = fields[i]
    if type(field) ~= "table" or type(field[1]) ~= "string" then
      raise("%s: %s[%d] must be { name, value }", who, what, i)
    end
    add(field[1], field[2])
  end
end

--- The option `headers`, checked, as the core wants it.
---@param who string
---@param headers table a map, or an array of { name, value }
---@param key_header string? the client's own header for keys
---@return string[] name, value, name, value ...
function options.headers(who, headers, key_header)
  local out = {}
  each_field(who, "headers", headers, function(name, value)
    add_header(who, out, name, value, key_header)
  end)
  return out
end

--- A number exactly as text, a whole one without ".0"; nil when not finite.
---@param value number
---@return string?
function options.number(value)
  if not is_finite(value) then
    return nil
  elseif math_type and math_type(value) == "integer" then
    return ("%d"):format(value)
  elseif value == math.floor(value) and math.abs(value) < 2 ^ 53 then
    return ("%.0f"):format(value)
  end
  for digits = 15, 17 do
    local out = ("%." .. digits .. "g"):format(value)
    if tonumber(out) == value then
      return out
    end
  end
end

-- What differs between the two: a query becomes a part of the URL, where
-- control characters have no place; a form is text of any length
-- (application/x-www-form-urlencoded, as the URL standard serializes it).
local QUERY = {
  name = "query", strict = true,
  encode = function(who, part)
    local ok, encoded = pcall(core.encode_uri, part)
    if not ok then
      raise("%s: query is too long for a URL", who)
    end
    return encoded
  end,
}

local function escape(char)
  return char == " " and "+" or ("%%%02X"):format(char:byte())
end

local FORM = {
  name = "form",
  encode = function(_, part)
    return (part:gsub("[^A-Za-z0-9*._-]", escape))
  end,
}

-- One value as text; nil when it is left out.
local function field_text(who, what, name, value)
  local kind = type(value)
  if value == nil or value == core.null then
    return nil
  elseif kind == "boolean" then
    return tostring(value)
  elseif kind == "number" then
    value = options.number(value) or raise(
      "%s: %s %q must be a finite number", who, what.name, name)
  elseif kind ~= "string" then
    raise("%s: %s %q must be a string, a number, a boolean or an array "
      .. "of these (got %s)", who, what.name, name, misuse.type_of(value))
  elseif what.strict and value:find("%c") then
    raise("%s: %s %q holds a control character", who, what.name, name)
  end
  return value
end

local function add_field(who, what, out, name, value)
  if name == "" or name:find("%c") then
    raise("%s: %s has a name that is empty or holds a control character",
      who, what.name)
  end
  if type(value) == "table" then
    if next(value) ~= nil and value[1] == nil then
      raise("%s: %s %q must be an array, not a map", who, what.name, name)
    end
    for i = 1, #value do
      if type(value[i]) == "table" then
        raise("%s: %s %q must not be an array of tables", who, what.name,
          name)
      end
      add_field(who, what, out, name, value[i])
    end
    return
  end
  local text_value = field_text(who, what, name, value)
  if text_value then
    out[#out + 1] = what.encode(who, name) .. "="
      .. what.encode(who, text_value)
  end
end

local function join_fields(who, what, fields)
  local out = {}
  each_field(who, what.name, fields, function(name, value)
    add_field(who, what, out, name, value)
  end)
  return table.concat(out, "&")
end

--- `path` with the option `query` behind it, percent-encoded.
---@param who string
---@param path string may have a query already
---@param query table a map, or an array of { name, value }
---@return string
function options.query(who, path, query)
  local text_value = join_fields(who, QUERY, query)
  if text_value == "" then
    return path
  end
  return path .. (path:find("?", 1, true) and "&" or "?") .. text_value
end

--- The option `form` as the body that it is.
---@param who string
---@param form table a map, or an array of { name, value }
---@return string
function options.form(who, form)
  return join_fields(who, FORM, form)
end

options.is_integer = is_integer
options.check_secret = secret

return options
