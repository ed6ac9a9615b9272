-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- Right answers, cut ones, wrong lengths and wrong heads.

local cjson = require "cjson"
local check = require "checks.client"

local test, shown, expect, open
  = check.test, check.shown, check.expect, check.open
local request_bytes, read, ask, body_of
  = check.request_bytes, check.read, check.ask, check.body_of
local control, scenario, OK, PATIENCE
  = check.control, check.scenario, check.OK, check.PATIENCE
local base, seen = check.base, check.seen

local function check_right()
  scenario("ok", "fin", OK .. '{"connection":%d+,"ok":true,"request":1}$')
  scenario("status?code=418&body=hi&line=X-A:%20b", "fin",
    "^HTTP/1.1 418 ", "\r\nX%-A: b\r\n", "\r\n\r\nhi$")
  scenario("until-close", "fin", '\r\n\r\n{"ok":true}$')
  scenario("raw?text=any%00bytes", "fin", "^any%zbytes$")
  scenario("raw?base64=AAEC/w==&end=reset", "reset", "^%z\1\2\xff$")
  scenario("answer;of=chunked/v1/models?x=1", "fin", "\r\n0\r\n\r\n$")
  test("echo", function()
    local data = cjson.decode(body_of(ask("/s/echo?a=b",
      { body = "\0\255x", headers = "X-One: 1\r\n" })))
    expect(data.body == "\0\xc3\xbfx" and data.body_base64 == "AP94",
      "body %q", data.body)
    expect(data.method == "POST" and data.target == "/s/echo?a=b", "line")
    expect(data.head:find("\r\nX%-One: 1\r\n"), "head %q", data.head)
    expect(data.body_size == 3 and #data.body_sha256 == 64, "size, sum")
  end)
  test("echo as body, of a chunked request", function()
    local bytes = ask("/s/raw", { method = "POST",
      headers = "Transfer-Encoding: chunked\r\n\r\n"
        .. "3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX: y" })
    expect(bytes == "abcde", "%s", shown(bytes))
    bytes = ask("/s/echo?as=body", { body = "123" })
    expect(body_of(bytes) == "123", "%s", shown(bytes))
  end)
  seen.echo = true
end

local function check_redirects()
  scenario("redirect?to={other}/s/ok&status=307", "fin",
    "^HTTP/1.1 307 ", "\r\nLocation: http://127.0.0.1:%d+/s/ok\r\n")
  scenario("redirect?to={tls_ok}/&line=Location:%20/x", "fin",
    "\r\nLocation: https://127.0.0.1:%d+/\r\nLocation: /x\r\n")
  scenario("redirect?hops=2&to=/s/ok", "fin",
    "Location: /s/redirect%?hops=1&status=302&to=%%2Fs%%2Fok\r\n")
  scenario("redirect-loop", "fin", "Location: /s/redirect%-loop\r\n")
  test("a redirect without to has no Location", function()
    expect(not ask("/s/redirect"):find("Location"), "there is one")
  end)
  local head = "^HTTP/1.1 302 Found\r\nLocation: /s/ok\r\n"
  for kind, row in pairs {
    empty = { "fin", "\r\n\r\n$" }, some = { "fin", "\r\n\r\n +$" },
    chunked = { "fin", "5\r\nmoved\r\n0\r\n\r\n$" },
    close = { "fin", "\r\n\r\nmoved$" },
    declared = { "hold", "1000000000\r\n\r\nmoved$" },
    hold = { "hold", "9\r\n\r\nmoved$" }, cut = { "fin", "\r\n\r\nmoved$" },
    reset = { "reset", "9\r\n" }, ["chunk-bad"] = { "hold", "zz\r\nmoved$" },
    gzip = { "fin", "Encoding: gzip\r\n.*\r\n\r\n\31\139" },
    ["gzip-bad"] = { "fin", "\r\n\r\nmoved$" },
    ["gzip-bomb"] = { "fin", "\r\n\r\n\31\139" },
    coded = { "fin", "Encoding: br\r\n" },
  } do
    scenario("redirect-body?kind=" .. kind, row[1], head, row[2])
  end
  test("redirect-body, endless", function()
    local sock = open(base)
    sock:xwrite(request_bytes("/s/redirect-body?kind=endless", {}), "bn",
      PATIENCE)
    expect(#read(sock, 1000000) >= 1000000, "it ends")
    sock:close()
  end)
  test("redirect-early", function()
    for _, how in ipairs { "read", "close" } do
      local bytes = ask("/s/redirect-early?then=" .. how, { body = "12345" })
      expect(bytes:find("^HTTP/1.1 307 .*\r\nLocation: /s/ok\r\n"), "%s",
        shown(bytes))
    end
    local sock = open(base)
    sock:xwrite(request_bytes("/s/redirect-early?then=ignore",
      { body = "1" }), "bn", PATIENCE)
    expect(read(sock, 20):find("^HTTP/1.1 307 "), "no answer")
    sock:close()
  end)
  seen["redirect-early"] = true
end

local function check_answers()
  local list = control("GET", "answers")
  expect(#list >= 20, "only %d answers", #list)
  for _, answer in ipairs(list) do
    test("answer " .. answer.name, function()
      local whole = ask("/s/answer?of=" .. answer.name)
      expect(#whole == answer.size, "%d bytes", #whole)
      for n = 0, math.min(answer.size, 400) do
        local bytes, how = ask(("/s/close-at?of=%s&n=%d"):format(answer.name,
          n))
        expect(bytes == whole:sub(1, n) and how == "fin", "cut at %d", n)
      end
    end)
  end
end

local function check_breaks()
  scenario("close-before", "fin", "^$")
  scenario("reset-before", "reset", "^$")
  scenario("close-at?n=20", "fin", "^HTTP/1.1 200 OK\r\nCon$")
  scenario("reset-at?n=20", "reset", "^HTTP/1.1 200 OK\r\nCon$")
  scenario("close-chunked-at?n=90", "fin", "\r\n\r\n7\r\n{")
  scenario("stall-after?n=17", "hold", "^HTTP/1.1 200 OK\r\n$")
  scenario("drip?step=7", "fin", OK .. "{.*}$")
  scenario("drip?of=no-content&ms=1", "fin", "\r\n\r\n$")
  scenario("never", "hold", "^$")
  scenario("first-byte-late?ms=20", "fin", OK)
  seen.gate = true
  test("gate", function()
    local sock = open(base)
    sock:xwrite(request_bytes("/s/gate?gate=g1&n=15", {}), "bn", PATIENCE)
    local bytes = read(sock, 15)
    expect(#bytes == 15, "%s", shown(bytes))
    control("POST", "release?gate=g1")
    bytes = read(sock, #ask("/s/answer") - 15)
    expect(bytes:find("}$"), "%s", shown(bytes))
    sock:close()
  end)
end

local function check_lengths()
  scenario("body-short", "fin", 'Length: 20\r\n\r\n{"ok":true}$')
  scenario("body-long", "fin", 'Length: 11\r\n\r\n{"ok":true}and further$')
  scenario("length-two", "hold",
    "Content%-Length: 11\r\nContent%-Length: 10\r\n\r\n")
  scenario("length-two-list", "hold", "Content%-Length: 11, 10\r\n")
  scenario("length-equal", "fin",
    "Content%-Length: 11\r\nContent%-Length: 11\r\n\r\n")
  scenario("length-bad", "hold", "Content%-Length: 5x\r\n")
  scenario("length-negative", "hold", "Content%-Length: %-1\r\n")
  scenario("length-plus", "hold", "Content%-Length: %+11\r\n")
  scenario("length-blank", "hold", "Content%-Length:\r\n")
  scenario("length-hex", "hold", "Content%-Length: 0xb\r\n")
  scenario("length-overflow", "hold", "Length: 18446744073709551627\r\n")
  scenario("length-huge", "hold", "Length: 1073741824\r\n\r\n0123456789$")
  scenario("te-and-cl", "fin",
    "Length: 3\r\nTransfer%-Encoding: chunked\r\n\r\nb\r\n", "0\r\n\r\n$")
  scenario("te-unknown", "fin", "Transfer%-Encoding: cheese\r\n")
  scenario("chunk-bad", "hold", "\r\n\r\nzz\r\n{")
  scenario("chunk-negative", "hold", "\r\n\r\n%-1\r\n{")
  scenario("chunk-size-overflow", "hold", "\r\n\r\n1000000000000000b\r\n")
  scenario("chunk-size-huge", "hold", "\r\n\r\n40000000\r\n0123456789$")
  scenario("chunk-no-end", "hold", '\r\n\r\nb\r\n{"ok":true}0\r\n\r\n$')
  scenario("chunk-short", "fin", '\r\n\r\nff\r\n{"ok":true}$')
  scenario("chunk-no-last", "fin", '\r\n\r\nb\r\n{"ok":true}\r\n$')
  scenario("chunk-extension-endless?mb=1", "fin", "\r\n\r\nb;x=y+$")
  scenario("trailers-endless?mb=1", "fin", "\r\n0\r\nX%-Trailer: value\r\n")
  scenario("body-endless?mb=1", "fin", "\r\n\r\n1000\r\n +\r\n1000\r\n")
  scenario("body-endless-plain?mb=1", "fin", "\r\n\r\n +$")
end

local function check_heads()
  local line = "^HTTP/1.1 200 OK\r\n"
  scenario("headers-endless?mb=1", "fin", line .. "X%-Filler: f+\r\nX%-F")
  scenario("header-line-endless?mb=1", "fin", line .. "X%-Filler: f+$")
  scenario("header-name-endless?mb=1", "fin", line .. "X+$")
  scenario("status-line-endless?mb=1", "fin", "^HTTP/1.1 200 O+$")
  scenario("continue-endless?mb=1", "fin", "^HTTP/1.1 100 Continue\r\n\r\n"
    .. "HTTP/1.1 100 Continue\r\n\r\n")
  scenario("garbage-endless?mb=1", "fin", "^\1\2\3\4no http")
  scenario("header-big?size=100", "fin", "\r\nX%-Big: "
    .. ("b"):rep(93) .. "\r\n")
  scenario("header-count?n=3&size=10", "fin",
    "\r\nX%-1: ccccc\r\nX%-2: ccccc\r\nX%-3: ccccc\r\n")
  scenario("continue-many?n=2", "fin", "^HTTP/1.1 100 Continue\r\n\r\n"
    .. "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n.*}$")
  scenario("early-hints", "fin", "^HTTP/1.1 103 .-\r\n\r\nHTTP/1.1 200 OK")
  scenario("continue-only", "fin", "^HTTP/1.1 100 Continue\r\n\r\n$")
  scenario("upgrade-101", "hold", "^HTTP/1.1 101 .-\r\n\r\n\x81\5hello$")
  scenario("garbage", "fin", "^%z\1\2SSH")
  scenario("http09", "fin", '^{"ok":true}$')
  scenario("http2-preface", "hold", "^%z%z%z\4%z%z%z%z%z$")
  for kind, start in pairs { text = "HTTP/1.1 abc", short = "HTTP/1.1 20 ",
    long = "HTTP/1.1 2000 ", zero = "HTTP/1.1 000 ", lower = "http/1.1 200",
    negative = "HTTP/1.1 %-200", version = "HTTP/9.9 200",
    ["no-space"] = "HTTP/1.1200OK" } do
    scenario("status-bad?kind=" .. kind, "fin", "^" .. start)
  end
  for at, ending in pairs { status = "200", ["status-end"] = "OK\r\n",
    name = "Content%-Le", colon = "Length:", value = "applicat",
    digits = "Length: 1", line = "11\r\n", almost = "0\r\n\r",
    lf = "0\r" } do
    scenario("no-blank-line?at=" .. at, "fin", "^HTTP.*" .. ending .. "$")
  end
  scenario("nul-in-header", "fin", "\r\nX%-Nul: a%zb\r\n")
  scenario("header-no-colon", "fin", "\r\nNo colon here\r\n")
  scenario("header-space-colon", "fin", "\r\nX%-Space : 1\r\n")
  scenario("header-folded", "fin", "\r\nX%-Folded: one\r\n two\r\n")
  scenario("header-bare-lf", "fin", "^HTTP/1.1 200 OK\nX.-\n\n{")
  scenario("header-repeated", "fin", "X%-Twice: one\r\nx%-twice: two\r\n",
    "Set%-Cookie: a=1\r\nSet%-Cookie: b=2\r\n")
end

check_right()
check_redirects()
check_answers()
seen.answer = true
check_breaks()
check_lengths()
check_heads()
