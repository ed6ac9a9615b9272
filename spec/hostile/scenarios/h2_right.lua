-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- HTTP/2: right answers, and right ones that take their time.

local answers = require "lib.answers_h2"
local log = require "lib.log"
local text = require "lib.text"

local right = {}

local function bytes(stream, args)
  local make = answers[args.of or "length"] or answers["error-404"]
  return make(stream.id)
end

right["ok"] = {
  about = "a right JSON answer that names its connection and stream",
  run = function(stream)
    stream:answer(text.json {
      ok = true, connection = stream.session.conn.entry.id,
      stream = stream.id,
    })
  end,
}

right["answer"] = {
  about = "one of the named answers (`GET /control/answers?protocol=h2`), "
    .. "whole",
  args = "of=length",
  run = function(stream, _, args)
    stream:send((bytes(stream, args)))
  end,
}

right["echo"] = {
  about = "what was received, as JSON: `method`, `target`, `headers` "
    .. "(pairs), `body`",
  run = function(stream, request)
    stream:answer(text.json {
      method = request.method, target = request.target, body = request.body,
      headers = text.array(request.fields),
    })
  end,
}

right["status"] = {
  about = "any status, with a JSON body",
  args = "code=200",
  run = function(stream, _, args)
    stream:answer('{"ok":true}', { status = args.code or 200 })
  end,
}

right["drip"] = {
  about = "a named answer byte by byte",
  args = "of=length",
  run = function(stream, _, args)
    local all = bytes(stream, args)
    for at = 1, #all do
      stream:send(all:sub(at, at))
    end
  end,
}

right["gate"] = {
  about = "a right answer that waits for `POST /control/release?gate=G`, "
    .. "`at` its head or its body's middle",
  args = "gate=G at=head|body",
  run = function(stream, _, args)
    local function wait()
      stream:wait(function()
        return log.released(args.gate or "")
      end)
    end
    if args.at == "body" then
      stream:head(200, { { "content-type", "application/json" } })
      stream:data '{"ok":'
      wait()
      stream:data("true}", true)
    else
      wait()
      stream:answer '{"ok":true}'
    end
  end,
}

return right
