-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- Event streams over HTTP/1.1; those of HTTP/2 are in checks/h2.lua.

local check = require "checks.client"
local names = require "lib.streams"

local test, expect, ask, body_of, control
  = check.test, check.expect, check.ask, check.body_of, check.control
local scenario, shown = check.scenario, check.shown

-- The bytes of the chunks of a body, and whether the last one was there.
local function unchunk(body)
  local out, at = {}, 1
  while true do
    local size, from = body:match("^(%x+)\r\n()", at)
    size = tonumber(size or "", 16)
    if not size or size == 0 then
      return table.concat(out), size == 0
    end
    out[#out + 1] = body:sub(from, from + size - 1)
    at = from + size + 2
  end
end

local function check_whole()
  for name, body in pairs(names.whole) do
    test("sse " .. name, function()
      local got, last = unchunk(body_of(ask("/s/sse?of=" .. name)))
      expect(got == body and last, "%s", shown(got))
      local drops, ended = unchunk(body_of(ask("/s/sse?step=3&of=" .. name)))
      expect(drops == body and ended, "in drops: %s", shown(drops))
      local bare, how = ask("/s/sse?framing=close&of=" .. name)
      expect(body_of(bare) == body and how == "fin", "%s", shown(bare))
      bare = ask("/s/sse?framing=length&of=" .. name)
      expect(body_of(bare) == body
        and bare:find("Length: " .. #body .. "\r\n"), "%s", shown(bare))
    end)
  end
  test("sse in gzip", function()
    local packed = unchunk(body_of(ask "/s/sse?coding=gzip"))
    local out, whole = check.gunzip(packed)
    expect(out == names.whole.g3 and whole, "%s", shown(out))
  end)
end

local function check_cuts()
  test("sse, cut at every byte", function()
    for n = 0, #names.whole.g1 do
      local bytes, how = ask("/s/sse?then=fin&of=g1&n=" .. n)
      local got, last = unchunk(body_of(bytes))
      expect(got == names.whole.g1:sub(1, n) and not last and how == "fin",
        "at %d: %s", n, shown(got))
    end
  end)
  scenario("sse?n=20&then=reset", "reset", "event%-stream\r\n")
  scenario("sse?n=20&then=hold", "hold",
    "\r\n14\r\nid: 1\ndata: {\"event\"\r\n$")
  scenario("sse?status=503&type=text/odd", "fin", "^HTTP/1.1 503 ",
    "\r\nContent%-Type: text/odd\r\n")
  test("sse, with a gate", function()
    local sock = check.open(check.base)
    sock:xwrite(check.request_bytes("/s/sse?n=5&gate=sse", {}), "bn",
      check.PATIENCE)
    local bytes = check.read(sock, 90)
    expect(bytes:find "\r\n\r\n5\r\nid: 1\r\n$", "%s", shown(bytes))
    control("POST", "release?gate=sse")
    bytes = check.read(sock, 600)
    expect(bytes:find "%[DONE%]\n\n\r\n0\r\n\r\n$", "%s", shown(bytes))
    sock:close()
  end)
end

local function check_sizes()
  check.seen["sse-event"] = true
  test("sse-event", function()
    for lines = 1, 3 do
      local target = "/s/sse-event?size=1000&lines=" .. lines
      local got = unchunk(body_of(ask(target)))
      local data = 0
      for part in got:gmatch "data: (e+)\n" do
        data = data + #part
      end
      expect(data == 1000, "%d bytes", data)
      expect(select(2, got:gsub("data: e", "")) == lines, "%s", shown(got))
      expect(got:find "\n\ndata: next\n\n$", "%s", shown(got))
    end
  end)
  for kind, piece in pairs(names.endless) do
    local start = (piece[1] .. piece[2]):gsub("%p", "%%%0")
    scenario("sse-endless?mb=1&kind=" .. kind, "fin", "\r\n"
      .. (piece[1] ~= "" and piece[1]:gsub("%p", "%%%0") .. "\r\n.*"
        or start), "\r\n0\r\n\r\n$")
  end
  test("sse-endless behind a start", function()
    local got = unchunk(body_of(ask "/s/sse-endless?mb=0&of=g3&n=8"))
    expect(got == "id: 1\ndadata: ", "%s", shown(got))
  end)
end

check_whole()
check_cuts()
check_sizes()
