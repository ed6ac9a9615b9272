-- SPDX-License-Identifier: MIT
--- Requests that nobody waits for: client:send and client:fire.
local misuse = require "freddy.misuse"
local request = require "freddy.request"
local task = require "freddy.task"

local send = {}

--- A request that was sent with a callback.
---@class freddy.Call
local Call = { __name = "freddy.call" }
local call_methods = {}
Call.__index = call_methods

--- End the call: its callback gets nil, err (kind `cancelled`). Never waits;
--- may be repeated, and does nothing once the call has ended.
function call_methods:cancel()
  misuse.check_self(self, Call, "call:cancel")
  if self.call and not self.done then
    self.call:cancel()
  end
end

function Call.__tostring(self)
  return ("freddy.call: %s (%s)"):format(self.method,
    self.done and "done" or "waiting")
end

local function build(client, who, method, path, more)
  local entry = request.build(client, who, method, path, more)
  if entry.pull then
    misuse.raise("%s: stream is for those who wait: use client:request in a "
      .. "task (freddy.spawn)", who)
  elseif entry.cancel_on_abort then
    misuse.raise("%s: cancel_on_abort is for requests that one waits for", who)
  end
  entry.client = client
  return entry
end

local function deliver(entry)
  return entry.callback(entry.finish(entry.client, entry))
end

local function on_done(entry)
  task.call(deliver, entry)
end

local function forget(entry)
  if entry.observed then -- on_event is told of the end, and of nothing less
    entry.finish(entry.client, entry)
  else
    entry.call:free()
  end
end

--- Add the methods to those of clients.
---@param methods table
---@param check function who, method and path of a request: see client.lua
---@param start function
---@param finish function
function send.install(methods, check, start, finish)
  --- Send a request without waiting, in any host. The callback gets what
  --- client:request returns; it runs later, in a task of its own, and may
  --- wait.
  ---@param given freddy.Request
  ---@param callback fun(response: freddy.Response?, err: freddy.Error?)
  ---@return freddy.Call call
  function methods:send(given, callback)
    local method, path, more = check(self, "client:send", given)
    if type(callback) ~= "function" then
      misuse.raise("client:send: the callback must be a function (got %s)",
        misuse.type_of(callback))
    end
    local entry = build(self, "client:send", method, path, more)
    entry.callback, entry.finish, entry.on_done = callback, finish, on_done
    local ok, err = start(self, "client:send", entry, true)
    if not ok then
      entry.done = true
      task.later(function()
        callback(nil, err)
      end)
    end
    return setmetatable(entry, Call)
  end

  --- Send a request whose answer nobody wants: it is dropped, whatever it is.
  --- Never waits, and works where nothing can wait, as in every phase of an
  --- nginx worker.
  ---@param given freddy.Request
  ---@return true? ok it is on its way; a failure later is nobody's
  ---@return freddy.Error? err why it cannot be sent
  function methods:fire(given)
    local method, path, more = check(self, "client:fire", given)
    local entry = build(self, "client:fire", method, path, more)
    entry.finish, entry.on_done = finish, forget
    local ok, err = start(self, "client:fire", entry, true)
    return ok and true, err
  end
end

return send
