-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- The hostile server: lua5.4 server.lua DIR. Listens on ports of the
--- system's choosing, writes DIR/ca.pem and DIR/env, and serves until it
--- gets a TERM or INT signal.

local here = arg[0]:match("^(.*)/[^/]*$") or "."
package.path = here .. "/?.lua;" .. package.path

local cqueues = require "cqueues"
local luasocket = require "socket"
local signal = require "cqueues.signal"
local socket = require "cqueues.socket"

local certs = require "lib.certs"
local scenarios = require "lib.scenarios"
local serve = require "lib.serve"

local dir = assert(arg[1], "usage: server.lua DIR")
local loop = cqueues.new()
local shared = {
  scenarios = scenarios.load(scenarios.files),
  scenarios_h2 = scenarios.load(scenarios.files_h2),
  bases = {},
}
local env = {}

local function export(name, value)
  env[#env + 1] = ("export FREDDY_HOSTILE%s='%s'\n"):format(name,
    value:gsub("'", "'\\''"))
end

local function write_file(name, content)
  local part = name .. ".part"
  local file = assert(io.open(part, "w"))
  assert(file:write(content))
  assert(file:close())
  assert(os.rename(part, name))
end

-- Accept for ever. A failure (too many descriptors, say) must not end it.
local function accept_all(server, listener)
  while true do
    local ok, sock = pcall(server.accept, server, { nodelay = true })
    if ok and sock then
      loop:wrap(function()
        serve.run(sock, listener, shared)
      end)
    else
      server:clearerr()
      cqueues.sleep(0.01)
    end
  end
end

-- Open a listener and return its address. `listener`: `name` (as in the
-- log), `handler` (a function of lib.serve), `context`, `wire`.
local function listen(listener)
  local server = socket.listen { host = "127.0.0.1", port = 0,
    nodelay = true }
  assert(server:listen())
  server:onerror(function(_, _, why)
    return why
  end)
  local _, _, port = server:localname()
  loop:wrap(function()
    accept_all(server, listener)
  end)
  return ("127.0.0.1:%d"):format(port)
end

local function listen_plain()
  for _, name in ipairs { "plain", "other" } do
    local address = listen { name = name, handler = "http" }
    shared.bases[name] = "http://" .. address
  end
  shared.bases.self = shared.bases.plain
  export("", shared.bases.plain)
  export("_OTHER", shared.bases.other)
  export("_SILENT", listen { name = "silent", handler = "silent" })
  export("_RESET", listen { name = "reset", handler = "reset" })
end

-- Held until the end of the process, so that nothing collects them.
local held = {}

-- A port where nobody listens, and that nobody else can take.
local function hold_closed()
  local sock = assert(luasocket.tcp4())
  assert(sock:bind("127.0.0.1", 0))
  held[#held + 1] = sock
  local host, port = sock:getsockname()
  export("_CLOSED", host .. ":" .. port)
end

-- A listener whose backlog is full: a connection to it never comes about.
local function hold_full()
  local sock = assert(luasocket.tcp4())
  assert(sock:bind("127.0.0.1", 0))
  assert(sock:listen(0))
  local host, port = sock:getsockname()
  held[#held + 1] = sock
  for _ = 1, 4 do
    local filler = assert(luasocket.tcp4())
    filler:settimeout(0)
    filler:connect(host, port)
    held[#held + 1] = filler
  end
  export("_FULL", host .. ":" .. port)
end

local function listen_h2(ca)
  local key, cert = certs.server { issuer = ca }
  export("_H2", "https://" .. listen {
    name = "h2", handler = "h2",
    context = certs.context(key, cert, nil, "h2"),
  })
end

-- Characters that a URL has to encode, and Basic has not.
local PROXY_USER, PROXY_PASSWORD = "proxy-user", "pr@xy pass/w:rd%1"

local function listen_proxies(ca, other)
  local login = PROXY_USER .. ":" .. PROXY_PASSWORD
  export("_PROXY_USER", PROXY_USER)
  export("_PROXY_PASSWORD", PROXY_PASSWORD)
  export("_PROXY", listen { name = "proxy", handler = "proxy" })
  export("_PROXY_AUTH",
    listen { name = "proxy_auth", handler = "proxy", login = login })
  export("_SOCKS", listen { name = "socks", handler = "socks" })
  export("_SOCKS_AUTH",
    listen { name = "socks_auth", handler = "socks", login = login })
  export("_SOCKS_STALL",
    listen { name = "socks_stall", handler = "socks", trick = "stall" })
  for name, issuer in pairs { proxy_tls = ca, proxy_tls_unknown_ca = other } do
    local key, cert = certs.server { issuer = issuer }
    export("_" .. name:upper(), listen {
      name = name, handler = "proxy", context = certs.context(key, cert),
    })
  end
end

-- The keys are the client's: they have to be on the disk.
local function listen_client_cert(ca, other)
  for name, issuer in pairs { CLIENT = ca, CLIENT_OTHER = other } do
    local path = dir .. "/" .. name:lower()
    local key, cert = certs.client(issuer, name:lower())
    write_file(path .. ".key", key)
    write_file(path .. ".pem", cert)
    export("_" .. name .. "_KEY", path .. ".key")
    export("_" .. name .. "_CERT", path .. ".pem")
  end
  local key, cert = certs.server { issuer = ca }
  export("_TLS_CLIENT_CERT", "https://" .. listen {
    name = "tls_client_cert", handler = "http",
    -- A new one for each connection: OpenSSL resumes no session of a client
    -- with a certificate unless it is told what luaossl cannot tell it.
    context = function()
      return certs.demand(certs.context(key, cert), ca)
    end,
  })
end

local function listen_tls()
  local ca = certs.authority("freddy hostile test CA")
  local other = certs.authority("freddy unknown test CA")
  local ca_file = dir .. "/ca.pem"
  write_file(ca_file, ca.cert:toPEM())
  export("_CA_FILE", ca_file)

  local kinds = {
    { "OK", { issuer = ca } },
    { "EXPIRED", { issuer = ca, from = -10, to = -1 } },
    { "NOT_YET", { issuer = ca, from = 1 } },
    { "WRONG_HOST", { issuer = ca, host = "other.test" } },
    { "UNKNOWN_CA", { issuer = other } },
    { "SELF_SIGNED", {} },
    { "11", { issuer = ca }, "TLSv1_1" },
  }
  for _, kind in ipairs(kinds) do
    local key, cert = certs.server(kind[2])
    local address = listen {
      name = "tls_" .. kind[1]:lower(), handler = "http",
      context = certs.context(key, cert, kind[3]),
    }
    export("_TLS_" .. kind[1], "https://" .. address)
    shared.bases["tls_" .. kind[1]:lower()] = "https://" .. address
  end
  shared.bases.tls = shared.bases.tls_ok
  listen_h2(ca)
  listen_client_cert(ca, other)
  listen_proxies(ca, other)

  local raw = { GARBAGE = "garbage", CLOSE = "close", RESET = "reset_late" }
  for name, handler in pairs(raw) do
    export("_TLS_" .. name, "https://" .. listen {
      name = "tls_" .. name:lower(), handler = handler, wire = true,
    })
  end
end

local function end_on_signal()
  signal.ignore(signal.SIGPIPE)
  signal.block(signal.SIGTERM, signal.SIGINT)
  local listener = signal.listen(signal.SIGTERM, signal.SIGINT)
  loop:wrap(function()
    listener:wait()
    os.exit(0)
  end)
end

end_on_signal()
listen_plain()
hold_closed()
hold_full()
listen_tls()
table.sort(env)
write_file(dir .. "/env", table.concat(env))

for err in loop:errors() do
  io.stderr:write("hostile server: ", tostring(err), "\n")
end
