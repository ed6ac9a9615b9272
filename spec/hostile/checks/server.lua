-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- The listeners, connections, the log, the crowd.

local check = require "checks.client"

local test, shown, expect, open
  = check.test, check.shown, check.expect, check.open
local request_bytes, read, ask, control
  = check.request_bytes, check.read, check.ask, check.control
local scenario, curl, OK, PATIENCE
  = check.scenario, check.curl, check.OK, check.PATIENCE
local base, seen = check.base, check.seen

local function check_reuse()
  local first = 'HTTP/1.1 200 OK\r\n.-\r\n\r\n{"ok":true}'
  scenario("extra-after", "fin", "^" .. first .. "HTTP/1.1 200 .*stranger")
  scenario("extra-after?kind=byte", "fin", "^" .. first .. "\n$")
  scenario("extra-after?of=no-content&kind=garbage", "fin",
    "^HTTP/1.1 204 No Content\r\n\r\nnot asked for$")
  scenario("extra-after?of=chunked&kind=garbage&split=yes", "fin",
    "\r\n0\r\n\r\nnot asked for$")
  scenario("no-content", "fin", '^HTTP/1.1 204 .-\r\n\r\n{"ok":true}$')
  scenario("no-content?code=304&length=y", "fin", "Content%-Length: 11\r\n")
  scenario("close-after", "fin", "^" .. first .. "$")
  scenario("reset-after", "reset", "^" .. first .. "$")
  scenario("close-after;tag=x/v1", "fin", "^" .. first .. "$")
  for name, ending in pairs { ["keepalive-reset"] = "reset",
    ["keepalive-close"] = "fin" } do
    seen[name] = true
    test(name, function()
      control("POST", "reset")
      local sock = open(base)
      local post = request_bytes("/s/" .. name, { body = "12345" })
      sock:xwrite(post, "bn", PATIENCE)
      local bytes = read(sock, 1)
      expect(bytes:find("^HTTP/1.1 200 "), "%s", shown(bytes))
      sock:xwrite(post, "bn", PATIENCE)
      local _, how = read(sock)
      expect(how == ending, "ended by %s", how)
      local log = control("GET", "log?scenario=" .. name)
      expect(#log == 1 and #log[1].requests == 2, "%d connections", #log)
      for _, request in ipairs(log[1].requests) do
        expect(request.body_complete and request.body_size == 5, "body")
      end
    end)
  end
  seen.sequence = true
  test("sequence", function()
    control("POST", "reset")
    local target = "/s/sequence?of=reset-before,close-at,ok&n=5&tag=s"
    local _, how = ask(target)
    expect(how == "reset", "first: %s", how)
    expect(ask(target) == "HTTP/", "second")
    expect(ask(target):find(OK) and ask(target):find(OK), "third, fourth")
    expect(ask((target:gsub("tag=s", "tag=t"))) == "", "another tag")
    target = "/s/sequence?of=ok&end=reset,keep&tag=u"
    ask(target)
    ask(target)
    local log = control("GET", "log?tag=u")
    expect(log[1].closed_by == "server-reset", "first: %s", log[1].closed_by)
    expect(log[2].closed_by == "server", "second: %s", log[2].closed_by)
  end)
  test("extra-after behind a gate", function()
    local sock = open(base)
    sock:xwrite(request_bytes("/s/extra-after?gate=g2&kind=garbage", {}),
      "bn", PATIENCE)
    read(sock, 1)
    control("POST", "release?gate=g2")
    expect(read(sock, 1) == "not asked for", "the extra bytes")
    sock:close()
  end)
end

local function check_log()
  test("the log tells what was seen", function()
    control("POST", "reset")
    ask("/s/ok?tag=a", { body = "123", headers = "X-A: b\r\n" })
    ask("/s/ok?tag=b")
    expect(#control("GET", "log") == 2, "connections")
    local log = control("GET", "log?tag=a&closed=1&timeout=10")
    expect(#log == 1, "%d with the tag", #log)
    local entry, request = log[1], log[1].requests[1]
    expect(entry.listener == "plain" and entry.peer > 0, "connection")
    expect(entry.closed_by == "server" and not entry.open, "end")
    expect(entry.received > 50 and entry.sent > 50, "bytes")
    expect(request.line == "POST /s/ok?tag=a HTTP/1.1", "line")
    expect(request.head:find("\r\nX%-A: b\r\n"), "head")
    expect(request.scenario == "ok" and request.body_size == 3, "body")
  end)
  test("the log waits for its condition, and says when in vain", function()
    local _, status = control("GET", "log?connections=99&timeout=0.01")
    expect(status == "504", "status %s", status)
    local sock = open(base)
    sock:xwrite(request_bytes("/s/never?tag=w", {}), "bn", PATIENCE)
    control("GET", "log?tag=w&complete=1&timeout=10")
    sock:close()
    local log = control("GET", "log?tag=w&closed=1&timeout=10")
    expect(log[1].client_closed and log[1].closed_by == "client", "close")
  end)
  test("idle connections can be dropped", function()
    for how, ending in pairs { fin = "fin", reset = "reset" } do
      local sock = open(base)
      sock:xwrite(request_bytes("/s/ok", {}), "bn", PATIENCE)
      read(sock, 1)
      control("POST", "drop?how=" .. how)
      local _, got = read(sock)
      expect(got == ending, "ended by %s", got)
    end
  end)
  test("a connection outlives a reset of the log", function()
    local sock = open(base)
    sock:xwrite(request_bytes("/s/ok", {}), "bn", PATIENCE)
    read(sock, 1)
    control("POST", "reset")
    sock:xwrite(request_bytes("/s/ok", {}), "bn", PATIENCE)
    read(sock, 1)
    local log = control("GET", "log")
    expect(#log == 1 and log[1].requests_before == 1
      and log[1].request_count == 1, "counts")
    sock:close()
  end)
  test("HEAD gets the head alone", function()
    local bytes = ask("/s/ok", { method = "HEAD" })
    expect(bytes:find("Content%-Length: %d+\r\n\r\n$"), "%s", shown(bytes))
  end)
end

local function check_resets()
  for target, code in pairs { ["reset-at?n=20"] = 56, ["reset-before"] = 56,
    ["reset-at?n=100"] = 56, ["close-before"] = 52, ["close-at?n=90"] = 18,
    ["close-chunked-at?n=95"] = 18 } do
    test("curl's view of " .. target, function()
      local out, got = curl(base .. "/s/" .. target)
      expect(got == code, "%s: %s", got, out)
    end)
  end
end

local function check_listeners()
  local function env(name)
    return assert(os.getenv("FREDDY_HOSTILE_" .. name), name)
  end
  local codes = { EXPIRED = "60", NOT_YET = "60", WRONG_HOST = "60",
    UNKNOWN_CA = "60", SELF_SIGNED = "60", ["11"] = "35", GARBAGE = "35",
    CLOSE = "35", RESET = "35" }
  for name, code in pairs(codes) do
    test("TLS " .. name, function()
      control("POST", "reset")
      local out, got = curl(env("TLS_" .. name) .. "/s/ok",
        "--tlsv1.2 -H 'api-key: Sec'")
      expect(got == tonumber(code), "%s: %s", got, out)
      local log = control("GET", "log?closed=1&timeout=10&listener=tls_"
        .. name:lower())
      expect(#log == 1 and log[1].received == 0, "it got application bytes")
      expect(not log[1].first_bytes:find("Sec"), "it got the key")
    end)
  end
  test("TLS 1.1 is what TLS_11 speaks", function()
    local address = env("TLS_11"):gsub("https://", "")
    local pipe = io.popen("openssl s_client -brief -connect " .. address
      .. " -CAfile '" .. env("CA_FILE") .. "' -tls1_1"
      .. " -cipher ALL:@SECLEVEL=0 </dev/null 2>&1")
    local out = pipe:read("a")
    pipe:close()
    expect(out:find("Protocol version: TLSv1.1")
      and out:find("Verification: OK"), "%s", out)
  end)
  test("TLS OK serves the scenarios", function()
    control("POST", "reset")
    local out, code = curl(env("TLS_OK") .. "/s/ok")
    expect(code == 0 and out:find('"ok":true'), "%s", out)
    local _, reset = curl(env("TLS_OK") .. "/s/reset-at?n=30")
    local _, cut = curl(env("TLS_OK") .. "/s/close-at?n=90")
    expect(reset == 56 and cut == 18, "%s, %s", reset, cut)
    local log = control("GET", "log?listener=tls_ok")
    expect(#log == 3 and log[1].received > 0, "the log")
    expect(log[1].handshake == "ok", "handshake %s", log[1].handshake)
  end)
  test("TLS_CLIENT_CERT wants a certificate of its CA", function()
    local url = env "TLS_CLIENT_CERT" .. "/s/ok"
    for name, want in pairs { CLIENT = true, CLIENT_OTHER = false } do
      local out, code = curl(url, ("--cert '%s' --key '%s'"):format(
        env(name .. "_CERT"), env(name .. "_KEY")))
      expect((code == 0) == want, "%s: %s: %s", name, code, out)
    end
    local out, code = curl(url)
    expect(code ~= 0 and out:find "certificate required", "%s: %s", code, out)
  end)
  test("OTHER is another origin", function()
    expect(ask("/s/ok", { at = env("OTHER") }):find(OK), "no answer")
  end)
  test("SILENT says nothing, CLOSED and FULL do not connect", function()
    local _, silent = curl("http://" .. env("SILENT"), "-m 0.2")
    local _, closed = curl("http://" .. env("CLOSED"))
    local out, full = curl("http://" .. env("FULL"), "-m 0.2 -w '%{num_co"
      .. "nnects}'")
    expect(silent == 28 and closed == 7, "%s, %s", silent, closed)
    expect(full == 28 and out:find("0$"), "%s, %s", full, out)
  end)
  test("RESET resets", function()
    local _, code = curl("http://" .. env("RESET"))
    expect(code == 56 or code == 7 or code == 55, "%s", code)
  end)
end

local function check_crowd()
  test("200 connections at once", function()
    control("POST", "reset")
    local socks = {}
    for i = 1, 200 do
      socks[i] = open(base)
      socks[i]:xwrite(request_bytes("/s/gate?gate=crowd&tag=crowd", {}),
        "bn", PATIENCE)
    end
    local log = control("GET", "log?tag=crowd&complete=200&timeout=10")
    expect(#log == 200, "%d connections", #log)
    control("POST", "release?gate=crowd")
    for i = 1, 200 do
      expect(read(socks[i], 1):find(OK), "no answer for %d", i)
      socks[i]:close()
    end
  end)
end

local function each_scenario(fn)
  for protocol, checked in pairs { h1 = seen, h2 = check.seen_h2 } do
    local list = control("GET", "scenarios?protocol=" .. protocol)
    expect(#list > 20, "only %d of %s", #list, protocol)
    for _, known in ipairs(list) do
      fn(known, checked)
    end
  end
end

local function check_whole()
  test("every scenario is checked", function()
    each_scenario(function(known, checked)
      expect(checked[known.name], "%s is not", known.name)
    end)
  end)
  test("the README lists every scenario as it is", function()
    local file = assert(io.open(assert(arg[1])))
    local readme = file:read("a")
    file:close()
    each_scenario(function(known)
      local row = ("| `%s` | %s | %s |\n"):format(known.name,
        known.args == "" and "" or "`" .. known.args:gsub("|", "\\|") .. "`",
        (known.about:gsub("|", "\\|")))
      expect(readme:find(row, 1, true), "not there: %s", row)
    end)
  end)
end

check_reuse()
check_log()
check_resets()
check_listeners()
check_crowd()
check_whole()
