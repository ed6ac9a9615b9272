-- SPDX-License-Identifier: MIT
-- One round of function calling by hand: the model asks for functions of
-- ours, we run them and send back what they returned, and it answers.
--
-- FREDDY_API_KEY (and FREDDY_BASE_URL, FREDDY_CA_FILE) say where and as whom.

local freddy = require("freddy")

-- What the model may ask for, and what is run for it.
local tools = {
  {
    type = "function", name = "weather",
    description = "The weather in a city, now",
    parameters = {
      type = "object", required = { "city" },
      properties = { city = { type = "string" } },
    },
  },
}
local functions = {}

function functions.weather(arguments)
  return "21 degrees in " .. tostring(arguments.city)
end

-- A call is as the server gave it: its generations do not agree on names,
-- nor whether the arguments are an object or its text.
local function read(call)
  local named = call["function"] or call
  local arguments = named.arguments
  if type(arguments) == "string" then
    arguments = freddy.json.decode(arguments)
  end
  return named.tool_name or named.name, arguments or {}
end

-- What the model asks for comes from outside: nothing but `functions` is run.
local function run(call)
  local name, arguments = read(call)
  local fn = functions[name]
  if not fn then
    return "there is no function " .. tostring(name)
  end
  local ok, result = pcall(fn, arguments)
  return ok and result or "it failed: " .. tostring(result)
end

local function ask(client, parameters)
  local stream = freddy.assert(client.responses:stream(parameters))
  for text in stream:text() do
    io.write(text)
    io.flush()
  end
  return freddy.assert(stream:finish())
end

local client = freddy.assert(freddy.new())
local answer = ask(client, {
  inputs = { { role = "user", content = "How warm is it in Bern?" } },
  tools = tools,
})

local results = {}
for i, call in ipairs(answer.tool_calls) do
  results[i] = {
    role = "tool", tool_call_id = call.call_id or call.id,
    content = run(call),
  }
  print(("%s: %s"):format((read(call)), results[i].content))
end
if #results > 0 then
  ask(client, {
    thread_id = answer.thread_id, inputs = results, tools = tools,
  })
end
print()
client:close()
