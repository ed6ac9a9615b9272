-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- The proxies, with curl as their client.

local check = require "checks.client"

local test, expect, curl, control = check.test, check.expect, check.curl,
  check.control
local tricks = require "lib.proxy"

local function env(name)
  return assert(os.getenv("FREDDY_HOSTILE_" .. name), name)
end

local function percent(text)
  return (text:gsub("[^%w]", function(char)
    return ("%%%02X"):format(char:byte())
  end))
end

local TLS = env "TLS_OK"
local LOGIN = percent(env "PROXY_USER") .. ":" .. percent(env "PROXY_PASSWORD")

local function through(proxy, url, more)
  return curl(url, ("-m 5 -x '%s' %s"):format(proxy, more or ""))
end

local function leads(name, proxy, url, more)
  test(name .. " leads on", function()
    control("POST", "reset")
    local out, code = through(proxy, url or TLS .. "/s/ok", more)
    expect(code == 0 and out:find '"ok":true', "%s: %s", code, out)
  end)
end

local function refuses(name, want, proxy, url)
  test(name, function()
    local out, code = through(proxy, url or TLS .. "/s/ok")
    expect(code == want, "%s: %s", code, out)
  end)
end

leads("PROXY", "http://" .. env "PROXY")
leads("PROXY, plain", "http://" .. env "PROXY", check.base .. "/s/ok")
leads("PROXY_AUTH", ("http://%s@%s"):format(LOGIN, env "PROXY_AUTH"))
leads("PROXY_TLS", "https://" .. env "PROXY_TLS", nil,
  "--proxy-cacert '" .. env "CA_FILE" .. "'")
leads("SOCKS", "socks5h://" .. env "SOCKS")
leads("SOCKS, a name", "socks5h://" .. env "SOCKS",
  TLS:gsub("127.0.0.1", "localhost") .. "/s/ok")
leads("SOCKS_AUTH", ("socks5://%s@%s"):format(LOGIN, env "SOCKS_AUTH"))
refuses("PROXY_AUTH wants its login", 56, "http://a:b@" .. env "PROXY_AUTH")
refuses("SOCKS_AUTH wants its login", 97, "socks5://a:b@" .. env "SOCKS_AUTH")
refuses("PROXY_TLS_UNKNOWN_CA", 60, "https://" .. env "PROXY_TLS_UNKNOWN_CA")

test("PROXY passes on nothing that is for it", function()
  control("POST", "reset")
  through(("http://%s@%s"):format(LOGIN, env "PROXY_AUTH"),
    check.base .. "/s/ok")
  local proxied = control("GET", "log?listener=proxy_auth")[1].requests[1]
  local plain = control("GET", "log?listener=plain")[1].requests[1]
  expect(proxied.head:lower():find "\nproxy%-authorization: basic", "login")
  expect(not plain.head:lower():find "\nproxy%-", "%s", plain.head)
end)

local codes = {
  ["status-403"] = 56, ["status-407"] = 56, stall = 28, close = 56,
  ["close-within"] = 56, reset = 56, garbage = 56, ["headers-endless"] = 56,
  ["line-endless"] = 56, leak = 56, drip = 60, ["reply-2"] = 97,
}

local function misbehaves(name, scheme, listener)
  test(("%s at %s"):format(listener, name), function()
    control("POST", "reset")
    local _, code = curl("https://" .. name .. ".proxy.test:"
      .. TLS:match ":(%d+)$" .. "/", ("-m 0.5 -x '%s://%s'"):format(scheme,
        env(listener)))
    local want = listener == "SOCKS" and name ~= "stall" and 97 or codes[name]
    expect(code == want, "%s", code)
    local log = control("GET", "log?requests=1&timeout=5&listener="
      .. listener:lower())
    expect(#log == 1 and #log[1].requests == 1, "the log")
  end)
end

-- This one curl 7.88 reads for ever, whatever its timeout.
test("PROXY at body-endless", function()
  local sock = check.open(env "PROXY")
  sock:xwrite("CONNECT body-endless.proxy.test:443 HTTP/1.1\r\n\r\n", "bn",
    check.PATIENCE)
  local bytes = check.read(sock, 1 << 20)
  sock:close()
  expect(bytes:find "^HTTP/1.1 407 ", "%s", check.shown(bytes))
end)

for name in pairs(tricks.http_tricks) do
  if name ~= "body-endless" then
    misbehaves(name, "http", "PROXY")
  end
end
misbehaves("status-403", "http", "PROXY")
for name in pairs(tricks.socks_tricks) do
  misbehaves(name, "socks5h", "SOCKS")
end
misbehaves("reply-2", "socks5h", "SOCKS")
