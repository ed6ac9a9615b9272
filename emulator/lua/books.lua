-- SPDX-License-Identifier: MIT
-- What is counted of each auth endpoint, beyond what all routes have.

local json = require "json"
local request = require "request"
local state = require "state"

local books = {}

local dict = ngx.shared.auth
local ENTRIES = 512  -- calls that the control endpoint remembers
local TAIL = 8

books.NAMES = { "token", "login", "verify", "resend-code", "refresh",
  "logout", "validate", "dev-login" }

local function key(generation, ...)
  return "book:" .. generation .. ":" .. table.concat({ ... }, ":")
end

--- The last characters of a secret: enough to tell it from others.
---@param secret string?
---@return string?
function books.tail(secret)
  return secret and secret:sub(-TAIL)
end

--- A call of an auth endpoint begins.
---@param name string
function books.open(name)
  local generation = ngx.var.generation
  ngx.ctx.book = { name = name, generation = generation }
  dict:incr(key(generation, name, "calls"), 1, 0)
  local now = dict:incr(key(generation, name, "concurrent"), 1, 0)
  -- It goes up by ones: the highest level that was marked is the maximum.
  dict:add(key(generation, name, "level", now), true)
end

--- The call's body has come: note which refresh token it is about.
function books.read_body()
  local body = ngx.ctx.book and request.json()
  local token = body and body.refresh_token
  if type(token) == "string" then
    ngx.ctx.book.tail = books.tail(token)
  end
end

--- The call has done what it was asked for, whether or not that is heard of.
function books.granted()
  local book = ngx.ctx.book
  if book and not book.granted then
    book.granted = true
    dict:incr(key(book.generation, book.name, "grants"), 1, 0)
  end
end

local function result_of(book)
  if ngx.status == 499 then
    return "aborted"
  end
  return ngx.ctx.fault or book.granted and "granted" or ngx.ctx.code
    or "status " .. ngx.status
end

--- The call ends: before its answer leaves, else when nginx gives it up.
function books.close()
  local book = ngx.ctx.book
  if not book or book.closed then
    return
  end
  book.closed = true
  local generation, name = book.generation, book.name
  dict:incr(key(generation, name, "concurrent"), -1)
  local result = result_of(book)
  if not book.granted and result ~= "aborted" then
    dict:incr(key(generation, name, "refusals"), 1, 0)
  end
  local number = dict:incr(key(generation, "entries"), 1, 0)
  dict:set(key(generation, "entry", number), json.encode {
    name = name, at = ngx.req.start_time(), tail = book.tail,
    result = result,
  })
  dict:delete(key(generation, "entry", number - ENTRIES))
end

local function log_of(generation, name)
  local log = {}
  local last = dict:get(key(generation, "entries")) or 0
  for number = math.max(1, last - ENTRIES + 1), last do
    local entry = json.decode(dict:get(key(generation, "entry", number)))
    if entry and entry.name == name then
      entry.name = nil
      log[#log + 1] = entry
    end
  end
  return json.array(log)
end

local function most(generation, name)
  local level = 0
  while dict:get(key(generation, name, "level", level + 1)) do
    level = level + 1
  end
  return level
end

--- All of it, by endpoint.
---@return table
function books.read()
  local generation, all = state.generation(), {}
  for _, name in ipairs(books.NAMES) do
    local book = { log = log_of(generation, name),
      concurrent_max = most(generation, name) }
    for _, what in ipairs { "calls", "grants", "refusals", "concurrent" } do
      book[what] = dict:get(key(generation, name, what)) or 0
    end
    all[name] = book
  end
  return all
end

return books
