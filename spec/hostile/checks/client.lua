-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- What the checks stand on: a raw client that shows every byte, and the
--- count of what passed.

local cjson = require "cjson"
local errno = require "cqueues.errno"
local socket = require "cqueues.socket"

local PATIENCE = 10                   -- seconds; a bound, never a wait
local base = assert(os.getenv "FREDDY_HOSTILE")
local passed, failed = 0, 0

local check = {
  --- Names of the scenarios that were checked.
  seen = {},
  PATIENCE = PATIENCE, OK = "^HTTP/1.1 200 OK\r\n.*\r\n\r\n",
  base = base,
}

local function verdict(name, ok, detail)
  if ok then
    passed = passed + 1
  else
    failed = failed + 1
    io.stderr:write(("FAILED %s: %s\n"):format(name, tostring(detail)))
  end
end

--- Run one check; an error is its failure.
function check.test(name, fn)
  local ok, err = xpcall(fn, debug.traceback)
  verdict(name, ok, err)
end

--- Bytes for a message: quoted, shortened.
function check.shown(bytes)
  return ("%q (%d bytes)"):format(bytes:sub(1, 300), #bytes)
end

--- Raise a formatted message unless `ok`.
function check.expect(ok, what, ...)
  if not ok then
    error(what:format(...), 2)
  end
end

--- Connect to "...127.0.0.1:PORT".
function check.open(address)
  local host, port = address:match("([%d.]+):(%d+)$")
  local sock = socket.connect(host, tonumber(port))
  sock:setmode("bn", "bn")
  sock:onerror(function(_, _, why)
    return why
  end)
  assert(sock:connect(PATIENCE), "no connection to " .. address)
  return sock
end

--- A request; `options`: `method`, `headers` (lines), `body`.
function check.request_bytes(target, options)
  local head = ("%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n"):format(
    options.method or (options.body and "POST" or "GET"), target)
  if options.body then
    head = head .. "Content-Length: " .. #options.body .. "\r\n"
  end
  return head .. (options.headers or "") .. "\r\n" .. (options.body or "")
end

--- Read until the other side ends, or `size` bytes have come. Returns the
--- bytes and "fin", "reset", "enough" or another error's text.
function check.read(sock, size)
  local parts, count = {}, 0
  while not size or count < size do
    local data, why = sock:xread(-65536, "bn", PATIENCE)
    if not data then
      local how = why == nil and "fin" or why == errno.ECONNRESET and "reset"
        or tostring(errno.strerror(why))
      return table.concat(parts), how
    end
    parts[#parts + 1] = data
    count = count + #data
  end
  return table.concat(parts), "enough"
end

--- One request on a connection of its own, read to the end. `options`: as
--- for a request, and `at`, another listener.
function check.ask(target, options)
  options = options or {}
  local sock = check.open(options.at or base)
  options.headers = (options.headers or "") .. "Connection: close\r\n"
  sock:xwrite(check.request_bytes(target, options), "bn", PATIENCE)
  local bytes, how = check.read(sock)
  sock:close()
  return bytes, how
end

--- What follows the first header section.
function check.body_of(bytes)
  return bytes:match("\r\n\r\n(.*)$")
end

--- Call a control path; the decoded answer, and its status as a string.
function check.control(method, path)
  local bytes = check.ask("/control/" .. path, { method = method,
    body = method == "POST" and "" or nil })
  return cjson.decode(check.body_of(bytes)), bytes:match("^HTTP/1.1 (%d+)")
end

--- Decode by the gzip program; also whether it was content.
function check.gunzip(data)
  local name = os.tmpname()
  local file = assert(io.open(name, "wb"))
  file:write(data)
  file:close()
  local pipe = io.popen("gzip -dc <" .. name .. " 2>/dev/null")
  local out = pipe:read("a")
  local ok = pipe:close()
  os.remove(name)
  return out, ok == true
end

local function matches(bytes, patterns)
  for _, pattern in ipairs(patterns) do
    if not bytes:find(pattern) then
      return false, pattern
    end
  end
  return true
end

-- Read until all patterns match; then the connection must stay open.
local function read_held(sock, patterns)
  local bytes = ""
  while not matches(bytes, patterns) do
    local data = sock:xread(-65536, "bn", PATIENCE)
    if not data then
      return bytes
    end
    bytes = bytes .. data
  end
  check.control("GET", "log?complete=1&timeout=10")
  local data, why = sock:xread(-65536, "bn", 0.05)
  check.expect(data or why == errno.ETIMEDOUT, "it does not stay open")
  return bytes .. (data or "")
end

-- Read to the end, which must be `how`, for the server too.
local function read_ended(sock, how)
  local bytes, ending = check.read(sock)
  sock:close()
  -- cqueues may swallow a reset that came together with bytes.
  check.expect(ending == how or how == "reset" and ending == "fin",
    "ended by %s, not %s", ending, how)
  local log = check.control("GET", "log?closed=1&timeout=10")
  local by = how == "reset" and "server-reset" or "server"
  check.expect(#log == 1 and log[1].closed_by == by,
    "the log says otherwise")
  return bytes
end

--- Check that the scenario `target` (what follows /s/) sends bytes that
--- match every pattern, and ends by `how`: "fin", "reset" or "hold".
function check.scenario(target, how, ...)
  local patterns = { ... }
  check.seen[target:match("^[^?;/]+")] = true
  check.test(target, function()
    check.control("POST", "reset")
    local sock = check.open(base)
    sock:xwrite(check.request_bytes("/s/" .. target,
      { headers = "Connection: close\r\n" }), "bn", PATIENCE)
    local bytes = how == "hold" and read_held(sock, patterns)
      or read_ended(sock, how)
    sock:close()
    local ok, missed = matches(bytes, patterns)
    check.expect(ok, "no %q in %s", missed, check.shown(bytes))
  end)
end

--- Run curl on `url`; its output, and its exit code.
function check.curl(url, more)
  local command = ("curl -sS -m 10 --cacert '%s' %s '%s' 2>&1"):format(
    os.getenv "FREDDY_HOSTILE_CA_FILE", more or "", url)
  local pipe = io.popen(command)
  local out = pipe:read("a")
  local _, _, code = pipe:close()
  return out, code or 0
end

--- Print the sum; true when nothing failed.
function check.finish()
  print(("%d passed, %d failed"):format(passed, failed))
  return failed == 0
end

return check
