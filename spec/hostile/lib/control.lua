-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- The control paths: what specs ask of the server about itself.

local answers = require "lib.answers"
local answers_h2 = require "lib.answers_h2"
local http = require "lib.http"
local log = require "lib.log"
local streams = require "lib.streams"
local text = require "lib.text"

local control = {}

local paths = {}

paths["GET /control/log"] = function(args)
  local list, holds = log.await(args)
  return list, holds and 200 or 504
end

paths["POST /control/reset"] = function()
  log.reset()
  return { ok = true }
end

paths["POST /control/release"] = function(args)
  log.release(args.gate or "")
  return { ok = true }
end

paths["POST /control/drop"] = function(args)
  local how = { reset = "reset", goaway = "goaway" }
  log.drop(how[args.how] or "fin")
  return { ok = true }
end

local function answer_entry(name, message)
  return { name = name, size = #message, head = http.head_size(message),
    message = message }
end

-- Of HTTP/2: `head` is the size up to the last HEADERS of the head.
local function answer_entry_h2(name, make)
  local message, head = make(1)
  return { name = name, size = #message, head = head, message = message }
end

paths["GET /control/answers"] = function(args)
  local list = text.array {}
  local h2 = args.protocol == "h2"
  for name, answer in pairs(h2 and answers_h2 or answers) do
    list[#list + 1] = (h2 and answer_entry_h2 or answer_entry)(name, answer)
  end
  table.sort(list, function(a, b)
    return a.name < b.name
  end)
  return list
end

paths["GET /control/streams"] = function()
  local list = {}
  for name, body in pairs(streams.whole) do
    list[name] = text.base64(body)
  end
  return list
end

paths["GET /control/scenarios"] = function(args, self)
  local list = text.array {}
  local all = args.protocol == "h2" and self.scenarios_h2 or self.scenarios
  for name, scenario in pairs(all) do
    list[#list + 1] = {
      name = name, about = scenario.about, args = scenario.args or "",
      file = scenario.file,
    }
  end
  table.sort(list, function(a, b)
    return a.name < b.name
  end)
  return list
end

--- The answer, as bytes, to a control request
--- on the connection `self`.
function control.answer(request, self)
  local run = paths[request.method .. " " .. request.path]
  if not run then
    return http.answer('{"error":"no such control path"}', { status = 404 })
  end
  local value, status = run(request.args, self)
  return http.answer(text.json(value), { status = status })
end

return control
