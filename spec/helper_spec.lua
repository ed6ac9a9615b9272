-- SPDX-License-Identifier: MIT
local helper = require("spec.helper")
local snippets = dofile("tools/snippets.lua")

describe("raises_here", function()
  it("gives the message of an error at the caller's line", function()
    assert.equal("boo", helper.raises_here(function()
      error("boo")
    end, "^boo$"))
  end)

  local function fails(fn, pattern)
    local ok, message = pcall(helper.raises_here, fn, pattern)
    assert.is_false(ok)
    return message
  end

  it("fails for a function that does not raise", function()
    assert.truthy(fails(function() end):find("did not raise"))
  end)

  it("fails when the position is elsewhere", function()
    local function library()
      error("boo")
    end
    assert.truthy(fails(function() library() end):find("elsewhere"))
  end)

  it("fails when there is no position", function()
    assert.truthy(fails(function() error("boo", 0) end):find("elsewhere"))
  end)

  it("fails when the message is another", function()
    assert.truthy(fails(function() error("boo") end, "bah"):find("bah"))
  end)
end)

describe("script", function()
  it("gives the output and the status of a process", function()
    local output, status = helper.script(
      "io.stderr:write(os.getenv('A')) os.exit(3)",
      { A = "it's" })
    assert.equal("it's", output)
    assert.equal(3, status)
  end)

  it("tells of a script that raises", function()
    local output, status = helper.script("error('boo')")
    assert.truthy(output:find("boo"))
    assert.equal(1, status)
  end)
end)

describe("the emulator", function()
  before_each(helper.reset)
  after_each(helper.reset)

  it("gives sessions out and forgets them", function()
    local session = helper.session({ expires_in = 60 })
    local client = helper.client({ token = session.token })
    assert.equal(200, client:get("/v1/echo").status)
    assert.equal(session.token:sub(-8), helper.counters().last.tail)
    local body = '{"refresh_token":"' .. session.refresh_token .. '"}'
    local url = helper.http .. "/v1/auth/refresh"
    assert.equal(200, (helper.http_request("POST", url, body)))
    assert.equal(1, helper.counters().auth.refresh.grants)
    helper.reset()
    assert.equal(0, helper.counters().auth.refresh.calls)
    assert.equal("TOKEN_INVALID", select(2, client:get("/v1/echo")).code)
  end)

  it("turns its switches and forgets them", function()
    helper.control({ delay = { path = "/v1/models", ms = 1 } })
    assert.equal(1, helper.counters().switches.delay[1].ms)
    helper.reset()
    assert.same({}, helper.counters().switches.delay)
  end)

  it("refuses a switch that it does not know", function()
    assert.has_error(function()
      helper.control({ no_such_switch = true })
    end)
  end)
end)

describe("snippets", function()
  local function read(text)
    local file = os.tmpname()
    local handle = assert(io.open(file, "w"))
    handle:write(text)
    handle:close()
    local ok, list = pcall(snippets.read, file)
    os.remove(file)
    return ok, list
  end

  it("are the Lua ones, with their line and mark", function()
    local _, list = read("a\n```lua\nx = 1\n```\n```sh\nls\n```\n"
      .. "```lua norun\ny = 2\n```\n")
    assert.same({
      { line = 2, language = "lua", run = true, text = "x = 1\n" },
      { line = 8, language = "lua", run = false, text = "y = 2\n" },
    }, list)
  end)

  it("must end, and have a mark that is known", function()
    assert.is_false((read("```lua\nx = 1\n")))
    assert.is_false((read("```lua nrun\nx = 1\n```\n")))
  end)
end)
