-- SPDX-License-Identifier: MIT
--- The host for scripts: a call outside a task blocks until it is done, and
--- the events of all other calls are served meanwhile.
---
--- The interface of a host, which every file of this folder returns and which
--- freddy.use takes as well. A task waits by itself in every host, by yielding
--- to whoever calls freddy.poll; a host decides about all other waits.
---
---   name     string, for messages
---   blocked  nil, or why nothing can wait outside a task's own coroutine and
---            what to do instead: raised at the caller's line, nothing sent.
---            Or a function that returns one of the two
---   yields   true: `wait` gives the coroutine that calls it to a loop of the
---            host's, and is not called in a task, nor inside one
---   wait     function(entry, pump): return when entry.done is true. The
---            pump has functions: step() handles one event, and returns
---            false when there is none; idle() waits up to 50 ms for one
---   wake     optional function(entry): entry.done has become true
---   is_waiting optional function(entry): whether the coroutine that waits
---            for it is there still; where the host may end one unasked
---   give_way optional function(pump): somebody outside of tasks takes one
---            event after the other without having to wait. Let others go on
---   watch    optional function(fd, busy, pump): a loop of the host's own
---            serves the events: while `fd` is readable it is to call
---            pump.serve(seconds), which does as freddy.poll, or returns false
---            when it is called inside that. `busy`: tasks or callbacks are
---            left, and the loop must not end before. Called at the first
---            need and whenever either changes; with nil when another host
---            takes over
---   engage   optional function(pump, who): events are to come that nobody
---            waits for, as `who` wants. Must not wait; true, or nil and why
---            they cannot be handled
---   start    optional function(fn, ...): run fn(...) in a coroutine of the
---            host's own, in which tasks then wait by `wait`, until its first
---            wait. False where there can be none: it is called again, in a
---            step. On Lua 5.1 only LuaJIT can do so
---   report   optional function(text): where errors go that nobody handles;
---            without it standard error
---
---@class freddy.Host
---@field name string
---@field blocked? string|fun(): string?
---@field yields? boolean
---@field wait fun(entry: table, pump: freddy.Pump)
---@field wake? fun(entry: table)
---@field is_waiting? fun(entry: table): boolean
---@field give_way? fun(pump: freddy.Pump)
---@field watch? fun(fd: integer?, busy: boolean, pump: freddy.Pump?)
---@field engage? fun(pump: freddy.Pump, who: string): boolean?, string?
---@field start? fun(fn: function, ...): boolean?
---@field cancel_on_abort? fun(who: string, entry: table)
---@field is_one_of_many? fun(): boolean other processes run the same program
---@field drains? boolean a program may end as soon as a call has returned
---@field report? fun(text: string)

---@class freddy.Pump
---@field step fun(): boolean
---@field idle fun()
---@field serve fun(budget: number?): boolean
---@field inbox fun(): freddy.core.Inbox?, freddy.Error?
---@field timer fun(entry: table, seconds: number): boolean?, freddy.Error?
---@field flush fun() report failures that nobody has asked for
---@field busy fun(): boolean whether calls are open, or tasks
---@field kept fun(): boolean whether events may come all the same

---@type freddy.Host
local block = { name = "block", drains = true }

function block.wait(entry, pump)
  local step, idle = pump.step, pump.idle
  while not entry.done do
    if not step() then
      idle()
    end
  end
end

local MAX_STEPS = 32

function block.give_way(pump)
  for _ = 1, MAX_STEPS do
    if not pump.step() then
      break
    end
  end
end

return block
