-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- HTTP/2: each scenario, frame by frame, through a client of its own.

local context = require "openssl.ssl.context"
local check = require "checks.client"
local frames = require "lib.frames"
local hpack = require "lib.hpack"

local test, expect, control, PATIENCE
  = check.test, check.expect, check.control, check.PATIENCE
local listener = assert(os.getenv "FREDDY_HOSTILE_H2")
local OK = "HEADERS1 :status=200 content%-type=application/json "
  .. "content%-length=%d+\nDATA1! %d+ {\"ok\":true"

local names = {}
for name, number in pairs(frames.types) do
  names[number] = name
end

local function detail(frame, decoder)
  local name = names[frame.kind]
  if name == "HEADERS" and frame.flags & 4 ~= 0 then
    local ok, fields = pcall(decoder.decode, decoder, frames.content(frame))
    if not ok then
      return "bad"
    end
    local out = {}
    for i, field in ipairs(fields) do
      out[i] = field[1] .. "=" .. field[2]
    end
    return table.concat(out, " ")
  elseif name == "DATA" then
    return #frame.payload .. " " .. frame.payload:sub(1, 40)
  elseif name == "RST_STREAM" and #frame.payload == 4 then
    return (">I4"):unpack(frame.payload)
  elseif name == "GOAWAY" and #frame.payload >= 8 then
    return ("%d %d"):format((">I4I4"):unpack(frame.payload))
  elseif name == "SETTINGS" then
    return frame.flags & 1 ~= 0 and "ack"
      or frame.payload:gsub("......", function(one)
        return ("%d=%d "):format((">I2I4"):unpack(one))
      end)
  end
  return #frame.payload
end

-- The frames that are whole, a line each; what is left, as "+N bytes".
local function trace(bytes)
  local out, at, decoder = {}, 1, hpack.decoder()
  while at <= #bytes do
    local frame, after = frames.parse(bytes, at)
    if not frame then
      out[#out + 1] = ("+%d bytes"):format(#bytes - at + 1)
      break
    end
    local ends = frame.kind < 2 and frame.flags & 1 ~= 0
    out[#out + 1] = ("%s%d%s %s"):format(names[frame.kind] or frame.kind,
      frame.id, ends and "!" or "", (detail(frame, decoder)))
    at = after
  end
  return table.concat(out, "\n") .. "\n"
end

local function open()
  local sock = check.open(listener)
  local ctx = context.new("TLS", false)
  ctx:setAlpnProtos { "h2" }
  assert(sock:starttls(ctx, PATIENCE))
  expect(sock:checktls():getAlpnSelected() == "h2", "no h2")
  sock:xwrite(frames.PREFACE .. frames.setup {}, "bn", PATIENCE)
  return sock
end

-- A request; a body whose `open` is set does not end.
local function request(id, target, options)
  local body = options.body
  return frames.headers(id, {
    { ":method", options.method or body and "POST" or "GET" },
    { ":scheme", "https" }, { ":authority", "a" },
    { ":path", "/s/" .. target } }, not body)
    .. (body and frames.data(id, body, not options.open) or "")
end

local function missed_of(bytes, patterns)
  local seen = trace(bytes)
  for _, pattern in ipairs(patterns) do
    if not bytes:find(pattern) and not seen:find(pattern) then
      return pattern, seen
    end
  end
  return nil, seen
end

-- Read until all patterns match, in the trace or in the bare bytes.
local function read_until(sock, patterns)
  local bytes = ""
  while missed_of(bytes, patterns) do
    local data = sock:xread(-65536, "bn", PATIENCE)
    if not data then
      local missed, seen = missed_of(bytes, patterns)
      expect(not missed, "no %q in\n%s", missed, seen:sub(1, 2000))
    end
    bytes = bytes .. data
  end
  return bytes
end

-- Whether frames are still served: an answer to a PING.
local function expect_served(sock, bytes)
  sock:xwrite(frames.ping "are you?", "bn", PATIENCE)
  local more = read_until(sock, { "\0\0\8\6\1\0\0\0\0are you%?" })
  return bytes .. more
end

--- Check that `target` sends frames that match every pattern, and then goes
--- on ("keep"), is silent ("hold"), or ends ("fin", "reset").
local function scenario(target, how, patterns, options)
  check.seen_h2[target:match("^[^?;/]+")] = true
  test("h2 " .. target, function()
    control("POST", "reset")
    local sock = open()
    sock:xwrite(request(1, target, options or {}), "bn", PATIENCE)
    if how == "keep" then
      expect_served(sock, read_until(sock, patterns))
    elseif how == "hold" then
      read_until(sock, patterns)
      expect(sock:xread(-1, "bn", 0.02) == nil and not sock:eof "r",
        "it is not silent")
    else
      local bytes, ending = check.read(sock)
      sock:close()
      local missed, seen = missed_of(bytes, patterns)
      expect(not missed, "no %q in\n%s", missed, seen:sub(1, 2000))
      -- cqueues may swallow a reset that came together with bytes.
      expect(ending == how or how == "reset", "ended by %s", ending)
      local log = control("GET", "log?closed=1&timeout=10")
      expect(log[1].closed_by == (how == "fin" and "server"
        or "server-reset"), "the log says %s", log[1].closed_by)
      return
    end
    sock:close()
  end)
end

local function check_right()
  scenario("ok", "keep", { "^SETTINGS0 \nSETTINGS0 ack\nHEADERS1",
    '"ok":true,"stream":1}' })
  scenario("status?code=418", "keep", { "HEADERS1 :status=418 " })
  scenario("echo?a=b", "keep", { '"body":"xyz"', '/s/echo%?a=b"' },
    { body = "xyz" })
  scenario("answer;of=plain/v1/models", "keep", { "DATA1! 26 " })
  scenario("drip?of=padded", "keep", { "DATA1! 32 " })
  scenario("nothing-known", "keep", { ":status=404" })
  test("h2: every named answer is whole", function()
    for _, answer in ipairs(control("GET", "answers?protocol=h2")) do
      local sock = open()
      sock:xwrite(request(1, "answer?of=" .. answer.name, {}), "bn",
        PATIENCE)
      local bytes = expect_served(sock,
        read_until(sock, { "HEADERS1", "1! " }))
      local start = #frames.setup {} + #frames.setup()
      expect(#bytes == start + answer.size + #frames.ping "12345678",
        "%s has %d bytes", answer.name, #bytes)
      sock:close()
    end
  end)
  scenario("gate?at=body&gate=open", "keep", { "DATA1 6" })
  test("h2: gate", function()
    local sock = open()
    sock:xwrite(request(1, "gate?gate=h2", {})
      .. request(3, "ok", {}), "bn", PATIENCE)
    local bytes = read_until(sock, { "DATA3! " })
    expect(not trace(bytes):find "HEADERS1", "it did not wait")
    control("POST", "release?gate=h2")
    read_until(sock, { "DATA1! 11" })
    sock:close()
  end)
end

local function check_breaks()
  scenario("close-at?n=5", "fin", { "ack\n%+5 bytes\n$" })
  scenario("close-at?n=80", "fin", { "HEADERS1 .-\n%+%d+ bytes\n$" })
  scenario("reset-at?n=5", "reset", {})
  scenario("stall-after?n=9", "keep", { "ack\n%+9 bytes\n$" })
  scenario("never", "keep", { "ack\n$" })
  scenario("close-in-settings?n=5", "fin", { "^%+5 bytes\n$" })
  scenario("no-settings", "hold", {})
  scenario("no-settings?with=answer", "hold", { "^HEADERS1" })
  scenario("no-settings?with=ping", "hold", { "^PING0 8\n" })
  scenario("http1", "fin", { "^HTTP/1.1 200 OK\r\n.*}$" })
  scenario("http1?then=hold", "hold", { "^HTTP/1.1 200 OK\r\n.*}$" })
  scenario("garbage", "hold", { "^\xff\xfe garbage" })
  scenario("garbage?at=head", "hold", { "\xff\xfe garbage" })
  scenario("garbage?at=body", "hold", { "DATA1 1 1\n", "garbage" })
end

local function check_resets()
  scenario("rst", "keep", { "ack\nRST_STREAM1 8\n" })
  scenario("rst?at=head&code=REFUSED_STREAM", "keep",
    { "HEADERS1 [^\n]*\nRST_STREAM1 7\n" })
  scenario("rst?at=body&code=99&bare=y", "keep",
    { "plain\nDATA1 4 [^\n]*\nRST_STREAM1 99\n" })
  scenario("rst?at=head&status=503", "keep",
    { "=503 [^\n]*\nRST_STREAM1 8\n" })
  scenario("rst?at=unended", "keep", { "DATA1 7 [^\n]*\nRST_STREAM1 8\n" })
  scenario("rst?at=after&code=NO_ERROR", "keep",
    { "DATA1! 7 [^\n]*\nRST_STREAM1 0\n" })
  scenario("rst?then=fin", "fin", { "RST_STREAM1 8\n$" })
  scenario("rst-upload?n=3&answer=y", "keep",
    { "HEADERS1 :status=413.*DATA1! .*RST_STREAM1 8\n" },
    { body = "12345", open = true })
  scenario("refuse", "keep", { "ack\nRST_STREAM1 7\n" })
  scenario("refuse?from=2&tag=2", "keep", { OK })
  for last, number in pairs { at = 1, none = 0, below = 0, above = 11,
      max = 0x7fffffff } do
    scenario("goaway?last=" .. last, "keep",
      { "ack\nGOAWAY0 " .. number .. " 0\nHEADERS1 .*DATA1! " })
  end
  scenario("goaway?at=head&then=hold", "hold",
    { "HEADERS1 .*GOAWAY0 1 0\n$" })
  scenario("goaway?at=body&then=fin&bare=y", "fin",
    { "DATA1 4 .*GOAWAY0 1 0\n$" })
  scenario("goaway?at=after&then=reset", "reset", {})
  scenario("goaway-once", "keep", { "ack\nGOAWAY0 0 0\n" })
  control("POST", "release?gate=open")
  test("h2: goaway-gate", function()
    check.seen_h2["goaway-gate"] = true
    local sock = open()
    sock:xwrite(request(1, "goaway-gate?gate=g9", {}), "bn", PATIENCE)
    read_until(sock, { "ack\n" })
    control("POST", "release?gate=g9")
    read_until(sock, { "GOAWAY0 1 0\nHEADERS1 .*DATA1! " })
    sock:close()
  end)
  test("h2: idle connections can be dropped", function()
    for how, ending in pairs { goaway = "GOAWAY0 1 0\n", fin = "fin",
        reset = "reset" } do
      local sock = open()
      sock:xwrite(request(1, "ok", {}), "bn", PATIENCE)
      read_until(sock, { "DATA1! " })
      control("POST", "drop?how=" .. how)
      if how == "goaway" then
        read_until(sock, { ending })
      else
        local _, got = check.read(sock)
        expect(got == ending, "ended by %s", got)
      end
      sock:close()
    end
  end)
end

local function kinds_of(name)
  for _, known in ipairs(control("GET", "scenarios?protocol=h2")) do
    if known.name == name then
      return known.args:match("kind=(%S+)"):gmatch("[^|]+")
    end
  end
end

local function check_frames()
  for kind in kinds_of "frame" do
    scenario("frame?kind=" .. kind, "keep", { "ack\n[^\n]" })
  end
  scenario("frame?kind=data-first", "keep", { "ack\nDATA1! 11 " })
  scenario("frame?kind=push", "keep", { "ack\nPUSH_PROMISE1 %d+\nHEADERS1" })
  scenario("frame?kind=head-twice", "keep", { "HEADERS1.*HEADERS1.*DATA1!" })
  for kind in kinds_of "head" do
    scenario("head?kind=" .. kind, "keep", { "HEADERS1 .*\nDATA1! 11 " })
  end
  scenario("head?kind=status-two&end=no", "keep",
    { "HEADERS1 :status=200 :status=404\nDATA1 11 " })
  scenario("head?kind=name-upper", "keep", { "HEADERS1 .*X%-Upper=1\n" })
  for kind, ending in pairs { status = "! :status=200", upper = "! X%-Late=1",
      unended = " x%-late=1" } do
    scenario("trailers-bad?kind=" .. kind, "keep",
      { "DATA1 11 [^\n]*\nHEADERS1" .. ending .. "\n" })
  end
  scenario("header-big?size=100", "keep",
    { "x%-big=" .. ("b"):rep(95) .. "\nDATA1! 11 " })
  scenario("header-count?n=2&size=5", "keep", { "x%-1=cc x%-2=cc\n" })
  scenario("header-indexed?n=2", "keep", { "x%-big=b+ x%-big=b+ x%-big=b+\n" })
  scenario("headers-endless?mb=1", "fin",
    { "\nHEADERS1 13\nCONTINUATION1 %d+\nCONTINUATION1 " })
  scenario("continuation-empty?mb=1", "fin",
    { "\nHEADERS1 13\nCONTINUATION1 0\nCONTINUATION1 0\n" })
  scenario("hints-endless?mb=1", "fin",
    { "HEADERS1 :status=103 link=</a>\nHEADERS1 :status=103 " })
  scenario("hints-many?n=2", "keep",
    { ":status=103 [^\n]*\nHEADERS1 :status=103 [^\n]*\n" .. OK })
  scenario("hints-only", "keep", { "HEADERS1! :status=103\n" })
  scenario("hints-only?then=data", "keep", { "=103\nDATA1! 11" })
  scenario("hints-only?then=rst", "keep", { "=103\nRST_STREAM1 0" })
  scenario("hints-only?then=fin", "fin", { "HEADERS1 :status=103\n$" })
end

local function check_bodies()
  test("h2: DATA waits for the windows", function()
    check.seen_h2["body-endless"] = true
    check.seen_h2["gzip-bomb"] = true
    for _, target in ipairs { "body-endless?mb=1", "gzip-bomb?mb=200" } do
      local sock = open()
      sock:xwrite(request(1, target, {}), "bn", PATIENCE)
      local count = 0
      local function count_data(bytes)
        count = 0
        for size in trace(bytes):gmatch "DATA1 (%d+)" do
          count = count + tonumber(size)
        end
        return count
      end
      local bytes = expect_served(sock, read_until(sock, { "\nDATA1 " }))
      while count_data(bytes) < 65535 do
        bytes = bytes .. assert(sock:xread(-65536, "bn", PATIENCE))
      end
      expect(count == 65535, "%d bytes of body", count)
      sock:xwrite(frames.window(0, 10) .. frames.window(1, 10), "bn",
        PATIENCE)
      count = 0
      bytes = ""
      while count_data(bytes) < 10 do
        bytes = bytes .. assert(sock:xread(-65536, "bn", PATIENCE))
      end
      expect(count == 10, "%d more bytes", count)
      sock:close()
    end
  end)
  scenario("window-ignored?mb=1", "keep", { "DATA1 16384.*DATA1! 0" })
  scenario("gzip-truncated", "keep", { "encoding=gzip.*DATA1! %d+ \x1f" })
  scenario("gzip-corrupt", "keep", { "encoding=gzip.*DATA1! %d+ \x1f" })
  scenario("early-answer", "keep", { ":status=413 .*\nDATA1! " },
    { body = "abc", open = true })
  scenario("early-answer?then=rst", "keep", { "DATA1! .*RST_STREAM1 0" },
    { body = "abc", open = true })
  scenario("never-read?window=9", "keep", { "^SETTINGS0 4=9 \n" },
    { body = "abc", open = true })
  scenario("slow-read?n=3", "keep", { "^SETTINGS0 4=3 \n", '"size":3}' },
    { body = "abc" })
  scenario("window-gate", "keep", { "^SETTINGS0 4=0 \n" },
    { body = "", open = true })
  scenario("streams?max=7", "keep", { "^SETTINGS0 3=7 \n", OK })
end

local function check_streams()
  scenario("sse", "keep", { "event%-stream\nDATA1 %d+ id: 1", "\nDATA1! 0 " })
  scenario("sse?of=g1&step=7", "keep", { "DATA1 7 event: \nDATA1 7 respons" })
  scenario("sse?n=9&then=rst", "keep",
    { "DATA1 9 id: 1\nda[^\n]*\nRST_STREAM1 8\n" })
  scenario("sse?n=9&then=rst&code=INTERNAL_ERROR", "keep",
    { "DATA1 9 .*\nRST_STREAM1 2\n" })
  scenario("sse?n=9&then=goaway", "fin", { "DATA1 9 .*\nGOAWAY0 1 0\n$" })
  scenario("sse?n=9&then=fin", "fin", { "DATA1 9 [^!]*$" })
  scenario("sse?n=9&then=reset", "reset", {})
  scenario("sse?n=9&then=hold", "keep", { "DATA1 9 [^!]*$" })
  test("h2: sse, with a gate", function()
    local sock = open()
    sock:xwrite(request(1, "sse?n=5&gate=h2sse", {}) .. request(3, "ok", {}),
      "bn", PATIENCE)
    local bytes = read_until(sock, { "DATA3! ", "DATA1 5 " })
    expect(not trace(bytes):find "DATA1! ", "it did not wait")
    control("POST", "release?gate=h2sse")
    read_until(sock, { "DATA1! 0" })
    sock:close()
  end)
  scenario("sse-event?size=30", "keep",
    { "DATA1! 50 data: " .. ("e"):rep(30) .. "\n" })
  scenario("sse-endless?mb=0&kind=id&of=g3&n=6", "keep",
    { "DATA1 10 id: 1\nid: \nDATA1! 0" })
  scenario("sse-endless?kind=heartbeats&ms=1", "keep",
    { "heartbeat.*heartbeat" })
end

local function check_floods()
  for name, frame in pairs { settings = "SETTINGS0 3=100 ", ping = "PING0 8",
      ["ping-ack"] = "PING0 8", window = "WINDOW_UPDATE0 4",
      priority = "PRIORITY1 5", unknown = "238%d 8", data = "DATA1 0 " } do
    scenario("flood-" .. name .. "?mb=1", "fin",
      { "\n" .. frame .. "\n" .. frame .. "\n" })
  end
end

check.seen_h2 = {}
check_right()
check_breaks()
check_resets()
check_frames()
check_bodies()
check_streams()
check_floods()
