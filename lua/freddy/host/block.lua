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
---            what to do instead: raised at the caller's line, nothing sent
---   wait     function(entry, pump): return when entry.done is true. The
---            pump has two functions: step() handles one event, and returns
---            false when there is none; idle() waits up to 50 ms for one
---   wake     optional function(entry): entry.done has become true
---   report   optional function(text): where errors go that nobody handles;
---            without it standard error
---
---@class freddy.Host
---@field name string
---@field blocked? string
---@field wait fun(entry: table, pump: freddy.Pump)
---@field wake? fun(entry: table)
---@field report? fun(text: string)

---@class freddy.Pump
---@field step fun(): boolean
---@field idle fun()

---@type freddy.Host
local block = { name = "block" }

function block.wait(entry, pump)
  local step, idle = pump.step, pump.idle
  while not entry.done do
    if not step() then
      idle()
    end
  end
end

return block
