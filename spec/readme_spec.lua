-- SPDX-License-Identifier: MIT
local helper = require("spec.helper")
local snippets = dofile("tools/snippets.lua")

local compile = rawget(_G, "loadstring") or load

local function read(file)
  local handle = assert(io.open(file))
  local text = handle:read("*a")
  handle:close()
  return text
end

local function environment()
  return {
    FREDDY_BASE_URL = helper.base_url,
    FREDDY_CA_FILE = helper.ca_file,
    FREDDY_API_KEY = helper.api_key,
    FREDDY_JWT_TOKEN = helper.token,
    FREDDY_EMULATOR_EMAIL = helper.email,
    FREDDY_EMULATOR_PASSWORD = helper.password,
  }
end

-- spec/hosts.sh runs them on the Luas that have what they need.
local elsewhere = { luv = true, copas = true, cqueues = true, script = true }

-- No page is forgotten: whatever shows Lua is in here.
local function pages()
  local list = {}
  local pipe = assert(io.popen(
    "grep -l '^```lua' README.md docs/*.md docs/hosts/*.md"))
  for file in pipe:lines() do
    if not elsewhere[file:match "^docs/hosts/(.*)%.md$" or ""] then
      list[#list + 1] = file
    end
  end
  pipe:close()
  return list
end

for _, file in ipairs(pages()) do
  describe(file, function()
    local list = snippets.read(file)

    it("has snippets", function()
      assert.is_true(#list > 0)
    end)

    for _, snippet in ipairs(list) do
      local place = file .. ":" .. snippet.line
      it("compiles at line " .. snippet.line, function()
        assert(compile(snippet.text, "@" .. place))
      end)
      if snippet.run then
        it("runs at line " .. snippet.line, function()
          local output, status = helper.script(snippet.text, environment())
          assert.equal(0, status, place .. ":\n" .. output)
        end)
      end
    end
  end)
end

it("what docs/ holds of the program's tables is as they are", function()
  local old = helper.script('arg = { "--check" } dofile "tools/reference.lua"')
  assert.equal("", old, "run `make docs`")
end)

describe("the reference in README.md", function()
  local text = read("README.md")

  it("names every public function of the module", function()
    local missing = {}
    for name, value in pairs(require("freddy")) do
      if type(value) == "function"
          and not text:find("freddy." .. name, 1, true) then
        missing[#missing + 1] = name
      end
    end
    table.sort(missing)
    assert.same({}, missing)
  end)

  it("names every method of a client", function()
    local client = helper.client()
    local methods = getmetatable(client).__index
    if type(methods) ~= "table" then
      methods = require("freddy.client").methods
    end
    local missing = {}
    for name, value in pairs(methods) do
      if type(value) == "function" and not name:find("^_")
          and not text:find(":" .. name, 1, true) then
        missing[#missing + 1] = name
      end
    end
    client:close()
    table.sort(missing)
    assert.same({}, missing)
  end)

  it("names every option that there is", function()
    local options = require "freddy.options"
    local all = text .. read "docs/requests.md"
    local missing = {}
    for _, rules in ipairs { options.client, options.request } do
      for name, rule in pairs(rules) do
        if rule and not all:find("`" .. name .. "`", 1, true) then
          missing[#missing + 1] = name
        end
      end
    end
    table.sort(missing)
    assert.same({}, missing)
  end)

  it("names every method of client.auth", function()
    local client = helper.client()
    local missing = {}
    for name in pairs(getmetatable(client.auth).__index) do
      if not text:find("client.auth:" .. name, 1, true) then
        missing[#missing + 1] = name
      end
    end
    client:close()
    assert.same({}, missing)
  end)

  it("says on the first screen that Windows is not supported", function()
    local screen = {}
    for line in io.lines("README.md") do
      if #screen < 24 then
        screen[#screen + 1] = line
      end
    end
    assert.truthy(table.concat(screen, "\n"):find("Windows"))
  end)
end)
