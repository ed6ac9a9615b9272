-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- The control paths: what specs ask of the server about itself.

local answers = require "lib.answers"
local http = require "lib.http"
local log = require "lib.log"
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
  log.drop(args.how == "reset" and "reset" or "fin")
  return { ok = true }
end

paths["GET /control/answers"] = function()
  local list = text.array {}
  for name, message in pairs(answers) do
    list[#list + 1] = {
      name = name, size = #message, head = http.head_size(message),
      message = message,
    }
  end
  table.sort(list, function(a, b)
    return a.name < b.name
  end)
  return list
end

paths["GET /control/scenarios"] = function(_, scenarios)
  local list = text.array {}
  for name, scenario in pairs(scenarios) do
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

--- The answer to a control request, as bytes.
function control.answer(request, scenarios)
  local run = paths[request.method .. " " .. request.path]
  if not run then
    return http.answer('{"error":"no such control path"}', { status = 404 })
  end
  local value, status = run(request.args, scenarios)
  return http.answer(text.json(value), { status = status })
end

return control
