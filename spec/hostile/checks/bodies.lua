-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- Encodings, JSON, request bodies, secrets.

local cjson = require "cjson"
local check = require "checks.client"

local test, shown, expect, open
  = check.test, check.shown, check.expect, check.open
local read, ask, body_of, control
  = check.read, check.ask, check.body_of, check.control
local gunzip, scenario, OK, PATIENCE
  = check.gunzip, check.scenario, check.OK, check.PATIENCE
local base, seen = check.base, check.seen

-- What a coding scenario's body decodes to, and whether it was whole.
local function decoded(target)
  seen[target:match("^[^?]+")] = true
  local bytes, how = ask("/s/" .. target)
  expect(how == "fin", "ended by %s", how)
  local body = body_of(bytes)
  local declared = tonumber(bytes:match("Content%-Length: (%d+)"))
  expect(#body == declared, "%d bytes of %d", #body, declared)
  local out, whole = gunzip(body)
  return out, whole, bytes
end

local function check_coding()
  test("gzip", function()
    local plain, whole, bytes = decoded("gzip")
    expect(whole and plain:find('^{"ok":true.*}$'), "%s", shown(plain))
    expect(bytes:find("\r\nContent%-Encoding: gzip\r\n"), "no encoding")
    local full, full_whole = decoded("gzip?header=full")
    expect(full_whole and full == plain, "with all header fields")
    local pair, pair_whole = decoded("gzip-members")
    expect(pair_whole and pair == plain, "of two members")
  end)
  local broken = { "gzip-empty", "gzip-truncated", "gzip-truncated?n=20",
    "gzip-not", "gzip-trailing" }
  for _, what in ipairs { "magic", "method", "data", "crc", "size" } do
    broken[#broken + 1] = "gzip-corrupt?what=" .. what
  end
  for _, target in ipairs(broken) do
    test(target, function()
      local _, whole = decoded(target)
      expect(not whole, "gzip takes it")
    end)
  end
  test("gzip-twice", function()
    local once = decoded("gzip-twice")
    local out, whole = gunzip(once)
    expect(whole and out:find('^{"ok":true'), "%s", shown(out))
  end)
  test("gzip-bomb", function()
    local out, whole, bytes = decoded("gzip-bomb?mb=3")
    local size = tonumber(bytes:match("X%-Decoded%-Size: (%d+)"))
    expect(whole and #out == size and size >= 3 << 20, "%d bytes", #out)
    expect(not out:find("[^%z]"), "not all zeros")
    expect(#bytes < size // 900, "%d bytes on the wire", #bytes)
  end)
  scenario("encoding-unknown?name=zstd", "fin",
    "\r\nContent%-Encoding: zstd\r\n")
end

local function check_bodies()
  for _, kind in ipairs { "cut", "comma", "two", "single", "name", "empty",
    "blank" } do
    scenario("json-bad?kind=" .. kind, "fin",
      "^HTTP/1.1 200 .*application/json\r\n")
    test("json-bad does not parse: " .. kind, function()
      local body = body_of(ask("/s/json-bad?kind=" .. kind))
      expect(not pcall(cjson.decode, body), "%s", shown(body))
    end)
  end
  scenario("json-bad?kind=nul", "fin", '{"a":1}%z$')
  scenario("json-bad?kind=control", "fin", "x\ny")
  scenario("json-bad?kind=utf8&status=404", "fin", "^HTTP/1.1 404 ",
    '"\xff\xfe"')
  scenario("json-deep?n=3", "fin", "\r\n\r\n%[%[%[%]%]%]$")
  scenario("json-exact", "fin", "9223372036854775807")
  scenario("not-json-but-says-so", "fin", "/json\r\n.*\r\n\r\n<html>")
  scenario("json-but-says-not", "fin", "Type: text/html\r\n.*{")
  test("json-but-says-not without a type", function()
    expect(not ask("/s/json-but-says-not?type=none"):find("Type"), "a type")
  end)
  seen["json-big"] = true
  test("json-big", function()
    local body = body_of(ask("/s/json-big?mb=2"))
    expect(#body == 2 << 20, "%d bytes", #body)
    local list = cjson.decode(body)
    expect(#list == 2048 and #list[2048] == 1021, "%d items", #list)
  end)
end

local function check_uploads()
  local body = ("u"):rep(10000)
  seen["slow-read"], seen["early-answer"] = true, true
  test("slow-read", function()
    control("POST", "reset")
    local bytes = ask("/s/slow-read?n=1000&ms=1", { body = body })
    expect(bytes:find(OK), "%s", shown(bytes))
    local log = control("GET", "log?scenario=slow-read")
    expect(log[1].requests[1].body_size == 10000, "size")
    bytes = ask("/s/slow-read?n=5000&ms=1&window=4096", { body = body })
    expect(bytes:find(OK), "%s", shown(bytes))
  end)
  test("early-answer", function()
    local bytes = ask("/s/early-answer", { body = body })
    expect(bytes:find("^HTTP/1.1 413 "), "%s", shown(bytes))
    bytes = ask("/s/early-answer?then=close", { body = body })
    expect(bytes:find("\r\nConnection: close\r\n"), "%s", shown(bytes))
  end)
  for name, ending in pairs { ["close-in-body"] = "fin",
    ["reset-in-body"] = "reset" } do
    seen[name] = true
    test(name, function()
      control("POST", "reset")
      local bytes, how = ask("/s/" .. name .. "?n=100", { body = body })
      -- A write that met the reset leaves a plain end to the next read.
      expect(bytes == "" and (how == ending or how == "fin"), "%s, %s",
        shown(bytes), how)
      local log = control("GET", "log?closed=1&timeout=10")
      expect(log[1].closed_by == (ending == "fin" and "server"
        or "server-reset"), "ended by %s", log[1].closed_by)
    end)
  end
  seen["never-read"] = true
  test("never-read", function()
    local sock, sent = open(base), 0
    sock:xwrite("POST /s/never-read HTTP/1.1\r\nContent-Length: 999999999"
      .. "\r\n\r\n", "bn", PATIENCE)
    -- The window fills: a write that cannot go on is what is wanted.
    while sent < 64 << 20 and sock:xwrite(body, "bn", 0.2) do
      sent = sent + #body
    end
    expect(sent < 64 << 20, "it reads")
    control("POST", "reset")
    sock:clearerr()
    local _, how = read(sock)
    expect(how == "reset", "ended by %s", how)
  end)
end

local function check_secrets()
  local secret = 'sk-a/"b\\c%d'
  local head = "api-key: " .. secret .. "\r\n"
  local forms = {
    plain = 'sk-a/\\u0022b\\u005cc%d', percent = "sk-a%2F%22b%5Cc%25d",
    json = "\\u0073\\u006b\\u002d", ["json-upper"] = "\\u005C",
    ["json-slash"] = "sk-a\\/", ["percent-all"] = "%73%6B%2D",
    ["percent-lower"] = "%73%6b%2d",
  }
  seen.leak, seen["leak-bad-json"] = true, true
  for _, shape in ipairs { "E1", "E2", "E3", "E4", "E4-string", "E5", "list",
    "string" } do
    test("leak in shape " .. shape, function()
      local bytes = ask("/s/leak?shape=" .. shape, { headers = head })
      local body = body_of(bytes)
      for name, form in pairs(forms) do
        expect(body:find(form, 1, true), "not in form %s: %s", name, body)
      end
      expect(body:find("Dd", 1, true) == nil, "unfilled")
      expect(bytes:find("X-Echo: " .. secret, 1, true), "header")
      cjson.decode(body)
    end)
  end
  for form, text in pairs(forms) do
    test("leak in form " .. form .. " alone", function()
      local body = body_of(ask("/s/leak?shape=E4&where=body&form=" .. form,
        { headers = "Authorization: Bearer " .. secret .. "\r\n" }))
      expect(body:find(text, 1, true), "%s", body)
      expect(not body:find("Bearer"), "%s", body)
    end)
  end
  for as, pattern in pairs { ["cut"] = '"timestamp"[^}]*}$',
    ["head-cut"] = "\r\n\r$", ["chunk-bad"] = "chunked\r\n",
    ["garbage"] = "^Sec\r\n\r\n$", ["status-line"] = "^HTTP/1.1 401 Sec\r\n",
    ["length-bad"] = "Content%-Length: Sec\r\n",
    ["location"] = "Location: http://.*key=Sec\r\n" } do
    test("leak as " .. as, function()
      local bytes = ask("/s/leak?as=" .. as, { headers = "api-key: Sec\r\n" })
      expect(bytes:find(pattern), "%s", shown(bytes))
    end)
  end
  test("leak of a password in a body", function()
    local bytes = ask("/s/leak?shape=text", { body = '{"password":"pw1"}' })
    expect(body_of(bytes):find("^key pw1 "), "%s", shown(bytes))
  end)
  test("leak-bad-json", function()
    local body = body_of(ask("/s/leak-bad-json", { headers = head }))
    expect(body:find(secret, 1, true), "%s", body)
  end)
end

check_coding()
check_bodies()
check_uploads()
check_secrets()
