-- SPDX-License-Identifier: MIT
--- Tasks and hooks in coroutines of the host's own (nginx: light threads),
--- where what waits inside of them is the host's business.
local hosted = {
  --- Coroutine -> its task, and -> the name of the function that runs in it
  --- and must not wait. The host may end a coroutine without a word: nothing
  --- here keeps one.
  tasks = setmetatable({}, { __mode = "kv" }),
  hooks = setmetatable({}, { __mode = "k" }),
}

local unpack = rawget(table, "unpack") or rawget(_G, "unpack")
local co_running = coroutine.running

local tasks, hooks = hosted.tasks, hosted.hooks

local function with_trace(cause)
  return { cause = cause, trace = debug.traceback("", 2) }
end

-- xpcall, with arguments on every Lua.
local function call(fn, ...)
  local args, count = { ... }, select("#", ...)
  return xpcall(function()
    return fn(unpack(args, 1, count))
  end, with_trace)
end

--- A function without arguments that calls `fn` with these.
---@param fn function
---@return function
function hosted.bind(fn, ...)
  local args, count = { ... }, select("#", ...)
  return count == 0 and fn or function()
    return fn(unpack(args, 1, count))
  end
end

local function finish(task, ok, ...)
  tasks[task.co] = nil
  if ok then
    task:finish(true, ...)
  else
    task.trace = (...).trace
    task:finish(false, (...).cause)
  end
end

--- Run `task`: what the host starts in a coroutine.
---@param task table with finish
---@param fn function
function hosted.run(task, fn, ...)
  task.co = co_running()
  tasks[task.co] = task
  finish(task, call(fn, ...))
end

--- Run `fn`, which must not wait, in the coroutine that runs. Others may run
--- meanwhile: only what it calls itself is kept from waiting.
---@param name string what it is, for the message
---@param fn function
---@return boolean ok
---@return any ... its results; or what it raised, nil, and the traceback
function hosted.call_hook(name, fn, ...)
  local co = co_running()
  local before = hooks[co]
  hooks[co] = name
  local function leave(ok, ...)
    hooks[co] = before
    if not ok then
      return false, (...).cause, nil, (...).trace
    end
    return ok, ...
  end
  return leave(call(fn, ...))
end

return hosted
