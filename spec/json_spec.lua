-- SPDX-License-Identifier: MIT
-- JSON both ways through the core, on every Lua; lua-cjson is the oracle
-- where it is right. What a lack of memory does is in c/json_torture.c.

local core = require("freddy.core")
local cjson = require("cjson")

local encode, decode = core.json_encode, core.json_decode
-- 5.3 and up; not in what all Luas share.
local number_kind = rawget(math, "type")
local has_integers = number_kind ~= nil

-- One with a decimal comma, if this system has any.
local comma_locale
for _, name in ipairs { "de_DE.UTF-8", "fr_FR.UTF-8", "es_ES.UTF-8" } do
  comma_locale = comma_locale or os.setlocale(name, "numeric")
end
os.setlocale("C", "numeric")

local function encoded(value)
  local text, message = encode(value)
  assert(text, message)
  assert.is_nil(message)
  return text
end

local function refused(message, value)
  local text, got = encode(value)
  assert.is_nil(text)
  assert.equal(message, got)
end

local function decoded(text)
  local value, message = decode(text)
  assert(value ~= nil, message)
  assert.is_nil(message)
  return value
end

local function bad(message, text)
  local value, got = decode(text)
  assert.is_nil(value)
  assert.equal(message, got)
end

local function nested(levels)
  return ("["):rep(levels) .. ("]"):rep(levels)
end

-- An integer kind, not only an equal number, where Lua tells them apart.
local function assert_number(want, got, kind)
  assert.equal(want, got)
  if has_integers then
    assert.equal(kind, number_kind(got))
  end
end

-- Values with cjson's null and without freddy's marks, to compare with.
local function plain(value)
  if type(value) ~= "table" then
    return value
  end
  local copy = {}
  for key, item in pairs(value) do
    copy[key] = plain(item)
  end
  return copy
end

describe("decoding", function()
  it("gives what lua-cjson gives where that is right", function()
    for _, text in ipairs {
      "true", "false", "null", '""', '"text"', "0.5", "-2.25", "1e-7",
      "[1,2,3]", '{"a":{"b":[true,false,null]},"c":"d"}', "[[[]]]",
      ' \t\r\n[ 1 , { "a" : 2 } ] \n', '"\\u00e9\\ud83d\\ude00"',
      '"\\"\\\\\\/\\b\\f\\n\\r\\t"', '"a\\u0000b"', '{"":1}',
      '{"1":"one","true":"yes"}', '[{"id":"gpt-4o","tags":["a","b"]}]',
    } do
      assert.same(cjson.decode(text), plain(decoded(text)), text)
    end
  end)

  it("gives null as a light userdata NULL, equal to cjson.null", function()
    assert.equal(cjson.null, decoded("null"))
    assert.equal(core.null, decoded("[null]")[1])
  end)

  it("gives false, which is no error", function()
    local value, message = decode("false")
    assert.is_false(value)
    assert.is_nil(message)
  end)

  it("keeps integers exact to 2^53 on every Lua", function()
    for _, case in ipairs {
      { "0", 0 }, { "-0", 0 }, { "7", 7 }, { "-1", -1 },
      { "1732456789012345", 1732456789012345 },
      { "9007199254740992", 2 ^ 53 }, { "-9007199254740992", -2 ^ 53 },
    } do
      assert_number(case[2], decoded(case[1]), "integer")
    end
  end)

  it("keeps integers of 64 bits exact where Lua has them", function()
    for _, text in ipairs {
      "9007199254740993", "9223372036854775807", "-9223372036854775808",
    } do
      local value = decoded(text)
      if has_integers then
        assert.equal("integer", number_kind(value))
        assert.equal(text, ("%d"):format(value))
      else
        assert.equal(tonumber(text), value)
      end
    end
  end)

  it("gives integers beyond 64 bits as floats, with neighbours exact",
    function()
      for _, text in ipairs {
        "9223372036854775808", "-9223372036854775809",
        "18446744073709551615", "123456789012345678901234567890",
        "-123456789012345678901234567890", "1" .. ("0"):rep(300),
      } do
        assert_number(tonumber(text .. ".0"), decoded(text), "float")
        local list = decoded("[" .. text .. ",1,{\"a\":" .. text .. '},"'
          .. text .. '",2.5,' .. text .. "]")
        assert_number(tonumber(text .. ".0"), list[1], "float")
        assert_number(1, list[2], "integer")
        assert_number(tonumber(text .. ".0"), list[3].a, "float")
        assert.equal(text, list[4])
        assert_number(2.5, list[5], "float")
        assert_number(tonumber(text .. ".0"), list[6], "float")
      end
    end)

  it("leaves digits within strings alone beside big integers", function()
    local list = decoded('["12345678901234567890 \\" 99999999999999999999",'
      .. "99999999999999999999]")
    assert.equal('12345678901234567890 " 99999999999999999999', list[1])
    assert.equal(1e20, list[2])
  end)

  it("gives integral reals as integers where Lua has them", function()
    for _, case in ipairs {
      { "1.0", 1 }, { "1e2", 100 }, { "-3.0", -3 }, { "1E+3", 1000 },
      { "0.0", 0 }, { "9007199254740992.0", 2 ^ 53 }, { "2.5e1", 25 },
    } do
      assert_number(case[2], decoded(case[1]), "integer")
    end
    for _, case in ipairs {
      { "0.1", 0.1 }, { "1e19", 1e19 }, { "9223372036854775808.0", 2 ^ 63 },
      { "-1e300", -1e300 }, { "5e-324", 5e-324 },
      { "-9223372036854775808.0", -2 ^ 63 },
    } do
      assert_number(case[2], decoded(case[1]), "float")
    end
  end)

  it("keeps the sign of -0.0", function()
    assert.equal(-math.huge, 1 / decoded("-0.0"))
  end)

  it("lets the last of equal keys win", function()
    local value = decoded('{"a":1,"b":2,"a":{"c":3}}')
    assert.equal(3, value.a.c)
    assert.equal(2, value.b)
  end)

  it("ignores a byte order mark", function()
    assert.same({ 1 }, plain(decoded("\239\187\191[1]")))
    bad("invalid JSON at byte 3: it ends too early", "\239\187\191")
  end)

  it("goes 128 levels deep and no deeper", function()
    local value, levels = decoded(nested(128)), 0
    while value do
      value, levels = value[1], levels + 1
    end
    assert.equal(128, levels)
    bad("invalid JSON at byte 128: it is nested deeper than 128 levels",
      nested(129))
    bad("invalid JSON at byte 640: it is nested deeper than 128 levels",
      ('{"a":'):rep(129) .. "1" .. ("}"):rep(129))
    bad("invalid JSON at byte 128: it is nested deeper than 128 levels",
      ("["):rep(100000))
    assert.equal(300, #decoded("[" .. ("[],"):rep(299) .. "[]]"))
    assert.equal(("["):rep(300), decoded('"' .. ("["):rep(300) .. '"'))
    assert.equal('"' .. ("["):rep(300),
      decoded('"\\"' .. ("["):rep(300) .. '"'))
    assert.equal(('\\"['):rep(300),
      decoded('"' .. ('\\\\\\"['):rep(300) .. '"'))
    bad("invalid JSON at byte 133: it is nested deeper than 128 levels",
      '["\\\\",' .. nested(128) .. "]")
  end)

  it("names the position of what is wrong", function()
    for text, message in pairs {
      [""] = "0: it ends too early",
      ["  "] = "2: it ends too early",
      ["[1"] = "2: it ends too early",
      ['{"a":1'] = "6: it ends too early",
      ['"abc'] = "4: it ends too early",
      ["[1]x"] = "4: more text follows the value",
      ["1 2"] = "3: more text follows the value",
      ["nul"] = "3: syntax error",
      ["[1,]"] = "4: syntax error",
      ['{"a":1,}'] = "8: syntax error",
      ["{a:1}"] = "2: syntax error",
      ["'a'"] = "1: syntax error",
      ['"\\x"'] = "3: syntax error",
      ["NaN"] = "3: syntax error",
      ['"\255"'] = "1: it is not UTF-8",
      ['"\237\160\128"'] = "1: it is not UTF-8",
      ['"\192\128"'] = "1: it is not UTF-8",
      ["1e400"] = "5: a number is too large",
      ["[1,-1e999]"] = "9: a number is too large",
      ['{"a\\u0000b":1}'] = "11: a key with a NUL is not supported",
    } do
      bad("invalid JSON at byte " .. message, text)
    end
  end)

  it("refuses control characters in strings and leading zeros", function()
    for _, text in ipairs {
      '"\n"', '"\0"', '"\1"', "01", "-01", "1.", ".5", "+1", "-", "0x10",
      "[1 2]", "]", '{"a"}', "[1]\0", "\0",
    } do
      local value, message = decode(text)
      assert.is_nil(value)
      assert.truthy(message:find("^invalid JSON at byte %d+: %a"), message)
    end
  end)

  it("names the position in the text as given, big integers or not",
    function()
      local big = "12345678901234567890"
      bad("invalid JSON at byte 44: syntax error",
        "[" .. big .. "," .. big .. ",x]")
      bad("invalid JSON at byte 21: it ends too early", "[" .. big)
      bad("invalid JSON at byte 27: a number is too large",
        "[" .. big .. ",1e400]")
    end)

  it("never quotes the text", function()
    for _, text in ipairs {
      '{"token":"hunter2secret"', '{"a":hunter2secret}', "hunter2secret",
      '["hunter2secret" hunter2secret]', '{"a":1}hunter2secret',
    } do
      local _, message = decode(text)
      assert.falsy(message:find("hunter2", 1, true), message)
      assert.falsy(message:find("\n", 1, true))
    end
  end)

  it("ends in one result for every cut of a text", function()
    local text = '{"a":[1,-2.5e3,"\\u00e9\\n\195\169",true,null],"b":{}}'
    decoded(text)
    for size = 0, #text - 1 do
      local value, message = decode(text:sub(1, size))
      assert.is_nil(value)
      assert.truthy(message:find("^invalid JSON at byte %d+: "))
    end
  end)

  it("gives long texts whole, whatever is in them", function()
    local long = ("0123456789abcdef"):rep(8)
    for _, piece in ipairs { "", "\\n", '\\"', "\\\\", "\\u00e9", "\\u0000",
      "\\ud83d\\ude00", "\195\169", "\240\159\152\128" } do
      for _, size in ipairs { 0, 1, 63, 64, 65, 128 } do
        local text = ('{"%s":["%s%s%s",1,"%s"],"a%s":"%s"}'):format(long,
          long:sub(1, size), piece, long, long, long, (long .. "\\n"):rep(300))
        assert.same(cjson.decode(text), plain(decoded(text)))
      end
    end
    local deep = ("["):rep(127) .. '"' .. (long .. "\\n"):rep(300) .. '"'
      .. ("]"):rep(127)
    assert.same(cjson.decode(deep), plain(decoded(deep)))
    bad("invalid JSON at byte 133: syntax error", '["' .. long .. '",x]')
    bad("invalid JSON at byte 130: it ends too early", '["' .. long)
    bad("invalid JSON at byte 130: it is not UTF-8", '["' .. long .. '\255"]')
  end)

  it("raises for what is no string", function()
    for _, value in ipairs { 1, true, {}, print } do
      assert.has_error(function() decode(value) end)
    end
    assert.has_error(function() decode() end)
  end)
end)

describe("encoding", function()
  it("gives what lua-cjson reads back as the same", function()
    for _, value in ipairs {
      { 1, 2, 3 }, { a = { b = { true, false } }, c = "d" },
      { "\0\1\31\127\"\\/\b\f\n\r\t" }, { 0.5, -2.25, 1e-7 },
      { "\195\169\226\130\172\240\159\152\128\244\143\191\191" },
      { [""] = 1, ["key with \"quotes\""] = "x" }, { "" }, { { { {} } } },
    } do
      assert.same(value, cjson.decode(encoded(value)))
    end
  end)

  it("writes each kind of value", function()
    for _, case in ipairs {
      { true, "true" }, { false, "false" }, { core.null, "null" },
      { cjson.null, "null" }, { "a", '"a"' }, { 7, "7" }, { -7, "-7" },
      { {}, "{}" }, { { 1, "a" }, '[1,"a"]' }, { { a = 1 }, '{"a":1}' },
      { { core.null, core.null }, "[null,null]" }, { { {} }, "[{}]" },
    } do
      assert.equal(case[2], encoded(case[1]))
    end
    assert.equal("null", encoded(nil))
  end)

  it("escapes what RFC 8259 wants escaped, and nothing else", function()
    assert.equal([["\"\\\b\f\n\r\t\u0000\u0001\u001f/]] .. "\127\195\169\"",
      encoded("\"\\\b\f\n\r\t\0\1\31/\127\195\169"))
    for byte = 0, 127 do
      local text = string.char(byte)
      assert.equal(text, decoded(encoded(text)))
      assert.equal(text, cjson.decode("[" .. encoded(text) .. "]")[1])
    end
  end)

  it("writes keys with a NUL", function()
    assert.equal([[{"a\u0000b":1}]], encoded { ["a\0b"] = 1 })
  end)

  it("writes integers exactly", function()
    for _, case in ipairs {
      { 0, "0" }, { 1732456789012345, "1732456789012345" },
      { 2 ^ 53, "9007199254740992" }, { -2 ^ 53, "-9007199254740992" },
      { 10 / 2, "5" }, { 1e15, "1000000000000000" },
    } do
      assert.equal(case[2], encoded(case[1]))
    end
    if has_integers then
      assert.equal("9223372036854775807", encoded(rawget(math, "maxinteger")))
      assert.equal("-9223372036854775808", encoded(rawget(math, "mininteger")))
      assert.equal("9007199254740993", encoded(9007199254740993))
    end
  end)

  it("writes floats so that they come back the same", function()
    for _, case in ipairs {
      { 0.1, "0.1" }, { -0.5, "-0.5" }, { 1 / 3, "0.3333333333333333" },
      { 0.1 + 0.2, "0.30000000000000004" }, { 1e-5, "1e-05" },
      { 5e-324, "4.94065645841247e-324" }, { 3.14, "3.14" },
    } do
      assert.equal(case[2], encoded(case[1]))
      assert.equal(case[1], decoded(case[2]))
    end
    assert.equal("-0.0", encoded(-1 / math.huge))
    local seed = 12345
    for _ = 1, 2000 do
      seed = (seed * 16807) % 2147483647
      local value = (seed - 2 ^ 30) / 2 ^ (seed % 60)
      assert.equal(value, decoded(encoded(value)))
    end
  end)

  it("takes a number beyond 2^53 only where it is exact", function()
    if has_integers then
      assert.equal(1e300, decoded(encoded(1e300)))
      assert.equal(2 ^ 63, decoded(encoded(2 ^ 63)))
    else
      for _, value in ipairs { 2 ^ 53 + 2, -2 ^ 60, 1e300 } do
        refused("a: an integer beyond 2^53 is not exact in this Lua",
          { a = value })
      end
    end
  end)

  if comma_locale then
    it("writes and reads a dot whatever the locale says", function()
      os.setlocale(comma_locale, "numeric")
      local text, value = encode(0.5), decode("0.25")
      os.setlocale("C", "numeric")
      assert.equal("0.5", text)
      assert.equal(0.25, value)
    end)
  end

  it("names the path of what cannot be sent", function()
    local function f() end
    refused(": a function cannot be sent as JSON", f)
    refused("inputs[2].content: a function cannot be sent as JSON",
      { inputs = { 1, { content = f } } })
    refused("[1][2]: a thread cannot be sent as JSON",
      { { 1, coroutine.create(f) } })
    refused("a: a userdata cannot be sent as JSON", { a = io.stdout })
    refused('["odd key"].x: a function cannot be sent as JSON',
      { ["odd key"] = { x = f } })
    refused('a["1b"]: a function cannot be sent as JSON',
      { a = { ["1b"] = f } })
    refused('a[""]: a function cannot be sent as JSON', { a = { [""] = f } })
    refused('["a?b?\195\169"]: a function cannot be sent as JSON',
      { ["a\nb\0\195\169"] = f })
  end)

  it("refuses numbers that JSON does not have", function()
    refused("a.b: NaN cannot be sent as JSON", { a = { b = 0 / 0 } })
    refused("[2]: an infinite number cannot be sent as JSON",
      { 1, math.huge })
    refused(": an infinite number cannot be sent as JSON", -math.huge)
  end)

  it("refuses strings and keys that are not UTF-8", function()
    for _, text in ipairs {
      "\128", "\255", "a\195", "\195(", "\192\128", "\224\128\128",
      "\237\160\128", "\240\128\128\128", "\244\144\128\128", "\245\128",
      "\226\130", "\240\159\152",
    } do
      refused("a[1]: a string that is not UTF-8 cannot be sent as JSON",
        { a = { text } })
    end
    refused('a["x?"]: a key that is not UTF-8 cannot be sent as JSON',
      { a = { ["x\255"] = 1 } })
  end)

  it("refuses tables that are neither array nor object", function()
    local hole = "a: an array with a hole at [%d] cannot be sent as JSON"
    refused(hole:format(3), { a = { 1, 2, nil, 4 } })
    refused(hole:format(1), { a = { nil, 2 } })
    refused(hole:format(1), { a = { [2] = 1 } })
    refused(hole:format(1), { a = { [1000] = 1 } })
    refused(hole:format(2), { a = { 1, [3] = 1 } })
    local mixed = "a: a table with both string and number keys cannot be "
      .. "sent as JSON"
    refused(mixed, { a = { 1, 2, x = 3 } })
    refused(mixed, { a = { x = 1, [5] = 2 } })
    refused(mixed, { a = { 1, 2, nil, 4, x = 1 } })
    local odd = "a: a table with number keys other than 1 to n cannot be "
      .. "sent as JSON"
    refused(odd, { a = { [0] = 1 } })
    refused(odd, { a = { [-1] = 1 } })
    refused(odd, { a = { 1, [1.5] = 1 } })
    refused(odd, { a = { x = 1, [0] = 1 } })
    refused("a: a table with a boolean as key cannot be sent as JSON",
      { a = { [true] = 1 } })
    refused("a: a table with a table as key cannot be sent as JSON",
      { a = { 1, [{}] = 1 } })
    refused(": a table with a function as key cannot be sent as JSON",
      { [print] = 1 })
  end)

  it("goes 128 levels deep; a cycle ends there", function()
    local message = "tables nested deeper than 128 levels, or within "
      .. "themselves, cannot be sent as JSON"
    local value = core.json_array()
    for _ = 1, 127 do
      value = core.json_array { value }
    end
    assert.equal(nested(128), encoded(value))
    local _, got = encode { value }
    assert.equal(message, got:match(": (.*)$"))

    local cycle = {}
    cycle.self = cycle
    _, got = encode { a = cycle }
    assert.equal("a.self.self.self", got:sub(1, 16))
    assert.truthy(got:find("%.%.%.: " .. message:gsub("%p", "%%%0") .. "$"))
    assert.is_true(#got < 400)
  end)

  it("keeps a long path to one short line", function()
    local _, got = encode { [("k"):rep(5000)] = { print } }
    assert.equal("...: a function cannot be sent as JSON", got)
    _, got = encode { a = { [("k "):rep(5000)] = print } }
    assert.equal('a["k k k ', got:sub(1, 9))
    assert.is_true(#got < 400)
  end)

  it("calls no metamethod", function()
    local function raise()
      error("called")
    end
    local loud = { __index = raise, __pairs = raise, __len = raise,
      __ipairs = raise, __tostring = raise, __eq = raise }
    assert.equal('{"a":1}', encoded(setmetatable({ a = 1 }, loud)))
    assert.equal("[1,2]", encoded(setmetatable({ 1, 2 }, loud)))
    assert.equal("{}", encoded(setmetatable({}, loud)))
    assert.equal("{}",
      encoded(setmetatable({}, { __index = { a = 1 } })))
  end)

  it("writes long texts and long lists whole", function()
    local long = ("x\n\195\169"):rep(100000)
    assert.equal(long, decoded(encoded(long)))
    local list = {}
    for i = 1, 20000 do
      list[i] = i
    end
    assert.same(list, plain(decoded(encoded(list))))
  end)

  it("raises without an argument", function()
    assert.has_error(function() encode() end)
  end)
end)

describe("an array", function()
  it("that arrived stays one, empty or not", function()
    local text = '{"a":[]}'
    assert.equal(text, encoded(decoded(text)))
    assert.equal("[]", encoded(decoded("[]")))
    assert.equal("{}", encoded(decoded("{}")))
    local list = decoded("[1]")
    table.remove(list)
    assert.equal("[]", encoded(list))
    assert.is_true(core.json_is_array(list))
  end)

  it("can be marked", function()
    local t = {}
    assert.equal(t, core.json_array(t))
    assert.equal(t, core.json_array(t))
    assert.equal("[]", encoded(t))
    assert.equal("[]", encoded(core.json_array()))
    assert.equal("[]", encoded(core.json_array(nil)))
    assert.equal("[1,2]", encoded(core.json_array { 1, 2 }))
    assert.equal("freddy.array", getmetatable(t).__name)
    assert.equal(getmetatable(t), getmetatable(decoded("[]")))
  end)

  it("cannot be made of what has a metatable of its own", function()
    local t = setmetatable({}, {})
    local ok, message = pcall(core.json_array, t)
    assert.is_false(ok)
    assert.truthy(message:find("metatable of its own", 1, true))
    for _, value in ipairs { 1, "x", true, print } do
      assert.has_error(function() core.json_array(value) end)
    end
  end)

  it("is told from other values", function()
    for _, value in ipairs { {}, { 1 }, { a = 1 }, 1, "x", true, core.null } do
      assert.is_false(core.json_is_array(value))
    end
    assert.is_false(core.json_is_array(nil))
    assert.is_false(core.json_is_array(setmetatable({}, {})))
    assert.is_true(core.json_is_array(core.json_array()))
  end)

  it("must be a sequence", function()
    local array = core.json_array
    refused("a: an array with string keys cannot be sent as JSON",
      { a = array { x = 1 } })
    refused("a: an array with string keys cannot be sent as JSON",
      { a = array { 1, x = 1 } })
    refused("a: an array with a hole at [2] cannot be sent as JSON",
      { a = array { 1, nil, 3 } })
    refused("a: a table with number keys other than 1 to n cannot be sent "
      .. "as JSON", { a = array { [0] = 1 } })
    refused("a[1]: an array with a hole at [1] cannot be sent as JSON",
      { a = { array { [7] = 1 } } })
  end)
end)

-- Debian's lua-cjson has no marks; OpenResty's has these. Any light userdata
-- that is not NULL will do for the third.
describe("lua-cjson's marks", function()
  local names = { "cjson", "cjson.safe" }
  local saved = {}
  local fake

  before_each(function()
    fake = { array_mt = {}, empty_array_mt = {} }
    for _, name in ipairs(names) do
      saved[name] = package.loaded[name]
      package.loaded[name] = nil
    end
  end)

  after_each(function()
    for _, name in ipairs(names) do
      package.loaded[name] = saved[name]
    end
  end)

  it("count when lua-cjson is loaded, under either name", function()
    for _, name in ipairs(names) do
      package.loaded[name] = fake
      local forced = setmetatable({}, fake.array_mt)
      local when_empty = setmetatable({}, fake.empty_array_mt)
      assert.equal("[]", encoded(forced))
      assert.equal("[]", encoded(when_empty))
      assert.is_true(core.json_is_array(forced))
      assert.is_true(core.json_is_array(when_empty))
      assert.equal("[1]", encoded(setmetatable({ 1 }, fake.array_mt)))
      assert.equal("[1]", encoded(setmetatable({ 1 }, fake.empty_array_mt)))
      assert.equal('{"a":1}',
        encoded(setmetatable({ a = 1 }, fake.empty_array_mt)))
      assert.is_false(core.json_is_array(
        setmetatable({ a = 1 }, fake.empty_array_mt)))
      refused(": an array with string keys cannot be sent as JSON",
        setmetatable({ a = 1 }, fake.array_mt))
      package.loaded[name] = nil
      assert.equal("{}", encoded(forced))
      assert.is_false(core.json_is_array(forced))
    end
  end)

  it("may be replaced by freddy's own", function()
    package.loaded.cjson = fake
    local t = core.json_array(setmetatable({}, fake.array_mt))
    assert.equal(fake.array_mt, getmetatable(t))
    t = core.json_array(setmetatable({}, fake.empty_array_mt))
    assert.equal("freddy.array", getmetatable(t).__name)
  end)

  it("do no harm where the module is not what it seems", function()
    local function raise()
      error("called")
    end
    for _, module in ipairs {
      true, "x", { array_mt = 1, empty_array_mt = "x", empty_array = {} },
      setmetatable({}, { __index = raise }),
    } do
      package.loaded.cjson = module
      assert.equal("[1]", encoded { 1 })
      assert.equal("{}", encoded {})
      assert.equal("[]", encoded(core.json_array()))
    end
  end)

  it("do not make cjson load", function()
    encoded { 1 }
    assert.is_nil(package.loaded.cjson)
    assert.is_nil(package.loaded["cjson.safe"])
  end)
end)
