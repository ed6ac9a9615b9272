-- SPDX-License-Identifier: MIT
-- From a request to its handler, and what is noted on the way.

local books = require "books"
local clock = require "clock"
local credentials = require "credentials"
local errors = require "errors"
local limits = require "limits"
local reply = require "reply"
local request = require "request"
local retry_after = require "retry_after"
local routes = require "routes"
local state = require "state"
local store = require "turns.store"

local router = {}

local function split(path)
  local parts = {}
  for part in (path .. "/"):sub(2):gmatch "([^/]*)/" do
    parts[#parts + 1] = part
  end
  return parts
end

-- `{name}` stands for one part, `{name*}` for one and all that follow.
local function match(pattern, parts)
  local params = {}
  for i, part in ipairs(pattern) do
    local name, rest = part:match "^{(%w+)(%*?)}$"
    if not name then
      if parts[i] ~= part then
        return nil
      end
    elseif not parts[i] or parts[i] == "" and rest == "" then
      return nil
    elseif rest == "*" then
      params[name] = table.concat(parts, "/", i)
      return params
    else
      params[name] = ngx.unescape_uri((parts[i]:gsub("%+", "%%2B")))
    end
  end
  return #parts == #pattern and params or nil
end

local compiled = {}
for i, route in ipairs(routes) do
  compiled[i] = { route = route, pattern = split(route.path) }
end

local function find(path)
  local parts = split(path)
  for _, entry in ipairs(compiled) do
    local params = match(entry.pattern, parts)
    if params then
      return entry.route, params
    end
  end
end

local function handler_of(route, method)
  local handlers = route.methods
  return handlers[method] or (method == "HEAD" and handlers.GET)
    or handlers["*"]
end

local function allowed(route)
  local names = {}
  for name in pairs(route.methods) do
    names[#names + 1] = name
  end
  if route.methods.GET and not route.methods.HEAD then
    names[#names + 1] = "HEAD"
  end
  table.sort(names)
  return table.concat(names, ", ")
end

local function open_books(endpoint)
  local var = ngx.var
  local generation = state.generation()
  var.generation = generation
  var.endpoint = endpoint
  state.count(generation, "endpoints", endpoint, "requests")
  state.count(generation, "endpoints", endpoint, "methods", var.request_method)
  if var.connection_requests == "1" then
    state.count(generation, "connections", var.listener)
  end
end

-- A failure that was asked for. True when the request is done with.
local function fail(rule)
  if rule.retry_after then
    local wait = rule.ends and rule.ends - ngx.now() or 1
    ngx.header["Retry-After"] = retry_after.value(rule.retry_after, wait)
  end
  if rule.close then
    ngx.ctx.fault = "closed"
    ngx.exit(444)  -- nginx: close without an answer
  elseif not rule.body then
    return errors.send(rule.status, rule.code, rule)
  end
  for name, value in pairs(rule.headers or {}) do
    ngx.header[name] = value
  end
  reply.text(rule.status, rule.body)
end

-- From here on nothing is refused any more for the sake of a test.
local function handle(route, params)
  local method = ngx.req.get_method()
  if not route then
    return errors.send(404)
  end
  local handler = handler_of(route, method)
  if not handler then
    return errors.send(405, nil, { headers = { Allow = allowed(route) } })
  elseif route.public or credentials.check() then
    handler(params)
  end
end

-- Contexts of requests on their way to another location, by request: nginx
-- does not carry them over.
local on_the_way = {}

local function dispatch(route, params, path)
  local method = ngx.req.get_method()
  local delay = state.take(state.switches().delay, method, path)
  if delay and delay.late then
    ngx.ctx.late_delay = delay
  elseif delay then
    state.wait(delay)
  end
  local failure = state.take(state.switches().fail, method, path)
  if failure and failure.early then
    ngx.req.discard_body()
  else
    ngx.req.read_body()
    books.read_body()
  end
  ngx.ctx.late = failure
  if not limits.pass(method, path) then
    return
  elseif failure and (failure.status or failure.close) then
    return fail(failure)
  elseif not route or not route.public then
    if not limits.spend() then
      return
    end
  end
  if failure and failure.reset then
    on_the_way[ngx.var.rid] = ngx.ctx
    return ngx.exec "@reset"
  end
  handle(route, params)
end

local function on_error(message)
  ngx.log(ngx.ERR, debug.traceback(message))
  if not ngx.headers_sent then
    errors.send(500)
  end
end

--- Answer a request: the content handler of every API listener.
function router.run()
  local path = request.target()
  local route, params = find(path)
  open_books(route and route.path or "other")
  if route and route.auth then
    books.open(route.auth)
  end
  -- ngx.exec and ngx.exit leave by an error of their own that no pcall sees.
  xpcall(function() dispatch(route, params, path) end, on_error)
end

--- The same where a connection that is broken off is reset.
function router.run_reset()
  local rid = ngx.var.rid
  ngx.ctx, on_the_way[rid] = on_the_way[rid], nil
  ngx.ctx.late = { cut = true, size = ngx.ctx.late.size }
  local route, params = find((request.target()))
  xpcall(function() handle(route, params) end, on_error)
end

--- The second half of a request that a handler sent to another location.
function router.resume()
  local route, params = find((request.target()))
  handler_of(route, ngx.req.get_method())(params, true)
end

local function facts(endpoint)
  local var = ngx.var
  local path, query = request.target()
  return {
    endpoint = endpoint, listener = var.listener, path = path, query = query,
    method = var.request_method, protocol = var.server_protocol,
    status = ngx.status, credential = credentials.kind(),
    body_size = tonumber(var.content_length),
    connection = tonumber(var.connection),
    requests = tonumber(var.connection_requests),
    tail = books.tail(credentials.secret()),
    client_port = tonumber(var.remote_port), at = ngx.req.start_time(),
    request_id = "req_" .. var.rid,
  }
end

--- Headers that every answer carries; counted here and not in the log phase,
--- so that a client that has its answer finds it counted.
function router.header()
  local var = ngx.var
  local generation, endpoint = var.generation, var.endpoint
  if not endpoint or endpoint == "" then
    return  -- refused by nginx itself
  end
  local header = ngx.header
  header["x-request-id"] = "req_" .. var.rid
  header["freddy-processing-ms"] =
    ("%d"):format((ngx.now() - ngx.req.start_time()) * 1000)
  header["freddy-api-version"] = "2025-01-01"
  local date = clock.http_date()
  if date then -- a nil would take nginx's own away
    header["Date"] = date
  end
  for name, value in pairs(state.switches().headers) do
    header[name] = value
  end
  books.close()
  state.count(generation, "endpoints", endpoint, "status",
    tostring(ngx.status))
  state.remember(generation, facts(endpoint))
end

--- The end of a request. Later than the client's, hence only for what the
--- client cannot have heard of: that it went away itself.
function router.log()
  local var = ngx.var
  books.close()
  local entry = ngx.ctx.turn_entry
  if entry then  -- the first word about its end stays
    store.ended(entry, (ngx.status == 499 or entry.streams) and "aborted"
      or "answered")
  end
  if var.endpoint ~= "" and ngx.status == 499 then
    state.count(var.generation, "endpoints", var.endpoint, "aborted")
  end
end

return router
