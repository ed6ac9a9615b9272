-- SPDX-License-Identifier: MIT
--- From the options of freddy.new to the table that the core makes a client
--- of. Misuse raises here, at the caller's line.
local environment = require "freddy.environment"
local errors = require "freddy.errors"
local misuse = require "freddy.misuse"
local options = require "freddy.options"
local rate = require "freddy.rate"
local session_file = require "freddy.session_file"
local shared_plan = require "freddy.shared_plan"
local shared_session = require "freddy.shared_session"

local settings = {}

local DEFAULT_EXIT_WAIT = 2

local function getenv(name)
  local value = os.getenv(name)
  return value ~= "" and value or nil
end

local function check_provider(given)
  for _, name in ipairs { "api_key", "token", "refresh_token", "auth",
      "store" } do
    if given[name] ~= nil
        and not (name == "store" and shared_plan.is_all(given)) then
      misuse.raise("freddy.new: token_provider and %s exclude each other",
        name)
    end
  end
end

local function check_credentials(given)
  local key, kind = given.api_key, given.auth
  local other = given.token ~= nil and "token"
    or given.refresh_token ~= nil and "refresh_token" or nil
  if given.token_provider then
    check_provider(given)
  elseif kind == "bearer" and type(key) == "function" then
    misuse.raise('freddy.new: auth = "bearer" wants api_key as a string')
  elseif kind == "none" and (key ~= nil or other) then
    misuse.raise('freddy.new: auth = "none" and %s exclude each other',
      key ~= nil and "api_key" or other)
  elseif key ~= nil and other and kind ~= "bearer" then
    misuse.raise("freddy.new: api_key and %s are two credentials: "
      .. "give one of them", other)
  elseif kind == "key" and other then
    misuse.raise('freddy.new: auth = "key" and %s exclude each other', other)
  elseif given.store and key ~= nil and kind ~= "bearer" then
    if not shared_plan.is_all(given) then
      misuse.raise('freddy.new: store keeps sessions, and an api_key is none; '
        .. 'give auth = "bearer" to exchange it, or, to share a plan by the '
        .. 'store, rate_limit = "standard" or the like')
    end
  elseif given.store and not session_file.is_one(given.store)
      and not shared_session.is_store(given.store) then
    misuse.raise("freddy.new: this store keeps rate plans, and no sessions: "
      .. "it has no load, claim, save, release")
  elseif kind == "bearer" and key == nil and other then
    misuse.raise('freddy.new: auth = "bearer" exchanges an api_key: give one')
  elseif given.expires_in ~= nil and given.token == nil then
    misuse.raise("freddy.new: expires_in is the life of token: give one")
  end
end

local function missing(message)
  return nil, errors.new("missing_credentials", { message = message })
end

-- What the environment gives to a client that was given no credential.
local function read_environment(given, out)
  local name, field = "FREDDY_API_KEY", "api_key"
  local value = getenv(name)
  local wants_key = given.auth == "key" or given.auth == "bearer"
  if not value and not wants_key then
    name, field = "FREDDY_JWT_TOKEN", "token"
    value = getenv(name)
  end
  if not value and wants_key then
    return missing("no API key was given, and the environment has no "
      .. "FREDDY_API_KEY")
  elseif not value then
    return missing("no API key and no token was given, "
      .. "and the environment has none")
  elseif options.check_secret(value) then
    return missing(name .. " holds blanks or control characters")
  end
  out[field] = value
  out.base_url = out.base_url or getenv "FREDDY_BASE_URL"
  if not out.ca_blob then
    out.ca_file = out.ca_file or getenv "FREDDY_CA_FILE"
  end
  return true
end

-- proxy and no_proxy as the core wants them; the name of the environment's
-- variable where they come from there.
local function add_proxy(given, out)
  local listed = given.no_proxy and options.no_proxy(given.no_proxy)
  if listed and not given.proxy then
    misuse.raise("freddy.new: no_proxy needs the option proxy")
  elseif given.proxy ~= "environment" then
    out.proxy, out.no_proxy = given.proxy, listed
    return nil
  end
  local variable
  out.proxy, out.no_proxy, variable = environment.proxy(listed)
  return variable
end

--- Why the core made no client: a mistake of the caller's, which raises, but
--- for a proxy that came from the environment.
---@param opts table what settings.read returned
---@param err freddy.core.Error
---@return nil
---@return freddy.Error err
function settings.not_made(opts, err)
  local variable = opts.proxy_variable
  if err.kind ~= "misuse" then
    return nil, errors.from_core(err)
  end
  local what = variable and err.message:match "^proxy: (.*)$"
  if not what then
    misuse.raise("freddy.new: %s", err.message)
  end
  return nil, errors.new("connect", {
    reason = "proxy", message = variable .. ": " .. what,
    hint = "correct " .. variable .. ', or give proxy = "http://host:port"',
  })
end

-- 0 is the core's default, and none is less than that.
local function core_wait(seconds)
  return seconds == 0 and -1 or seconds
end

-- The options as the core wants them; nil, err without a credential.
local function core_options(given)
  local key = given.api_key
  local out = {
    api_key = type(key) == "string" and key or nil, token = given.token,
    base_url = given.base_url, key_header = given.key_header,
    user_agent = given.user_agent, ca_file = given.ca_file,
    ca_blob = given.ca_blob, client_cert = given.client_cert,
    client_key = given.client_key,
    max_body = given.max_body, buffer = given.buffer,
    max_event = given.max_event,
    http1 = given.http_version == "1.1",
    rate_limit = rate.core(given.rate_limit),
    max_in_flight = given.max_in_flight,
    refresh_token = given.refresh_token, expires_in = given.expires_in,
    provider = given.token_provider and true,
    exit_wait = core_wait(given.exit_wait),
    keep_warm = given.keep_warm, retries = options.retries(given.retries),
    store = given.store and given.store.path,
    exchange = given.auth == "bearer" or nil,
  }
  if given.auth_paths then
    options.auth_paths("freddy.new", given.auth_paths)
    out.refresh_path = given.auth_paths.refresh
    out.token_path = given.auth_paths.token
  end
  if given.headers then
    out.headers = options.headers("freddy.new", given.headers,
      given.key_header)
  end
  if given.timeout ~= nil then
    out.timeout = options.timeout("freddy.new", given.timeout)
  end
  if key == nil and given.token == nil and given.refresh_token == nil
      and given.auth ~= "none" and not given.token_provider
      and (not given.store or given.auth == "bearer") then
    local ok, err = read_environment(given, out)
    if not ok then
      return nil, err
    end
  end
  return out
end

--- The option exit_wait, in seconds.
---@param given table
---@return number
function settings.exit_wait(given)
  return given.exit_wait or DEFAULT_EXIT_WAIT
end

--- Check the options of freddy.new.
---@param given table
function settings.check(given)
  options.check("freddy.new", given, options.client)
  check_credentials(given)
end

--- Read the options of freddy.new, and the environment where they name no
--- credential.
---@param given table
---@return table? opts as the core wants them
---@return freddy.Error? err missing_credentials
function settings.read(given)
  settings.check(given)
  local opts, err = core_options(given)
  if not opts then
    return nil, err
  end
  opts.proxy_variable = add_proxy(given, opts)
  return opts
end

return settings
