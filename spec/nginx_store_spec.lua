-- SPDX-License-Identifier: MIT
--- A session that the workers of an nginx share.

local freddy = require "freddy"
local helper = require "spec.helper"
local nginx_util = require "spec.nginx_util"
local redis_util = require "spec.redis_util"

if not nginx_util.can_run(it, pending) then
  return
end

local INIT = [[
  lua_shared_dict freddy 1m;
  lua_shared_dict seen 1m;
  init_by_lua_block {
    freddy = require "freddy"
    client = assert(freddy.new {
      base_url = "@BASE@", ca_file = "@CA@", REFRESH
    })
  }
]]

local LOCATIONS = [[
  location = /models {
    content_by_lua_block {
      ngx.shared.seen:incr("worker " .. ngx.worker.id(), 1, 0)
      local models, err = client.models:list()
      ngx.say(models and "listed" or err.reason or err.kind)
    }
  }
  location = /error {
    content_by_lua_block {
      local models, err = client.models:list()
      ngx.say(models and "listed" or tostring(err))
    }
  }
  location = /logout {
    content_by_lua_block {
      local ok, err = client.auth:logout()
      ngx.say(ok and "logged out" or tostring(err))
    }
  }
  location = /workers {
    content_by_lua_block {
      ngx.say(#ngx.shared.seen:get_keys())
    }
  }
  location = /claims {
    content_by_lua_block {
      local dict = freddy.store.shared_dict("freddy", "claims")
      local said = {}
      for i, ttl in ipairs { 30, 30, 0.9, 30 } do
        local answer, mark = dict:claim(ttl)
        said[i] = answer
        if answer == "go" then
          dict:release "another's 99999999999"
          dict:release(mark)
        end
      end
      ngx.say(table.concat(said, " "))
    }
  }
  location = /claimed {
    content_by_lua_block { -- by one that died
      assert(freddy.store.shared_dict("freddy"):claim(2) == "go")
      ngx.say "claimed"
    }
  }
]]

local function start(refresh)
  return nginx_util.start {
    workers = 4, http = INIT:gsub("REFRESH", function() return refresh end),
    server = LOCATIONS,
  }
end

local function with_dict()
  local session = helper.session()
  return start(("refresh_token = %q, store = freddy.store.shared_dict %q")
    :format(session.refresh_token, "freddy"))
end

-- Bodies of so many requests at once, by how often each came.
local function burst(server, count)
  local paths, seen = {}, {}
  for i = 1, count do
    paths[i] = "/models"
  end
  for _, body in ipairs(server:get_all(paths)) do
    seen[body] = (seen[body] or 0) + 1
  end
  return seen
end

-- How many workers have had a request.
local function workers_used(server)
  return tonumber((server:get "/workers"))
end

before_each(function()
  helper.reset()
end)

describe("a session of four workers", function()
  it("without a store is refused at its first use", function()
    local server = start(("refresh_token = %q"):format(
      helper.session().refresh_token))
    finally(function()
      server:stop()
    end)
    local body = server:get "/error"
    assert.truthy(body:find("every worker would renew", 1, true), body)
    assert.truthy(body:find("freddy.store.shared_dict", 1, true), body)
    assert.equal(0, helper.counters().auth.refresh.calls)
  end)

  it("is renewed once for a thousand requests", function()
    local server = with_dict()
    finally(function()
      server:stop()
    end)
    assert.same({ ["listed\n"] = 1000 }, burst(server, 1000))
    assert.equal(4, workers_used(server))
    assert.equal(1, helper.counters().auth.refresh.calls)
    server:reload() -- what the dict has outlives the workers
    assert.same({ ["listed\n"] = 50 }, burst(server, 50))
    assert.equal(1, helper.counters().auth.refresh.calls)
  end)

  it("ends for all of them when one logs out", function()
    local server = with_dict()
    finally(function()
      server:stop()
    end)
    helper.eventually(function()
      burst(server, 50)
      return workers_used(server) == 4
    end)
    assert.equal("logged out\n", (server:get "/logout"))
    assert.same({ ["missing_credentials\n"] = 100 }, burst(server, 100))
    server:reload()
    assert.same({ ["missing_credentials\n"] = 50 }, burst(server, 50))
    assert.equal(1, helper.counters().auth.refresh.calls)
    assert.equal(1, helper.counters().auth.logout.calls)
  end)

  it("lets a claim go; one that is about to run out may do so", function()
    local server = with_dict()
    finally(function()
      server:stop()
    end)
    assert.equal("go go go wait\n", (server:get "/claims"))
  end)

  it("waits for a claim of one that died no longer than it lives", function()
    local server = with_dict()
    finally(function()
      server:stop()
    end)
    server:get "/claimed"
    assert.same({ ["listed\n"] = 20 }, burst(server, 20))
    assert.equal(1, helper.counters().auth.refresh.calls)
  end)
end)

describe("two instances of nginx over one Redis", function()
  it("renew once; without it each goes on alone, and says so", function()
    local port, pid = redis_util.start()
    if not port then
      return pending "redis or lua-resty-redis is not installed"
    end
    local session = helper.session { expires_in = 600 }
    local given = ("refresh_token = %q, store = freddy.store.redis { "
      .. "port = %d }"):format(session.refresh_token, port)
    local one, other = start(given), start(given)
    finally(function()
      redis_util.stop(pid, port)
      one:stop()
      other:stop()
    end)
    assert.same({ ["listed\n"] = 100 }, burst(one, 100))
    assert.same({ ["listed\n"] = 100 }, burst(other, 100))
    assert.equal(1, helper.counters().auth.refresh.calls)
    helper.eventually(function() -- a worker without a token needs Redis
      burst(one, 20)
      return workers_used(one) == 4
    end)
    redis_util.stop(pid, port)
    assert.same({ ["listed\n"] = 50 }, burst(one, 50))
    local alone = nginx_util.start {
      http = INIT:gsub("REFRESH", function()
        return ("refresh_token = %q, store = freddy.store.redis { port = %d }")
          :format(helper.session().refresh_token, port)
      end), server = LOCATIONS,
    }
    assert.same({ ["listed\n"] = 20 }, burst(alone, 20))
    local log = alone:stop()
    local _, count = log:gsub("this process goes on alone", "")
    assert.equal(1, count, log)
  end)
end)

describe("freddy.store.shared_dict", function()
  it("is for nginx", function()
    assert.has_error(function()
      freddy.store.shared_dict "freddy"
    end)
  end)
end)
