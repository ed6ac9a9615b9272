-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- Answers with nothing wrong in them.

local answers = require "lib.answers"
local digest = require "openssl.digest"
local http = require "lib.http"
local text = require "lib.text"

local right = {}

right["ok"] = {
  about = "a right JSON answer that names its connection and request",
  run = function(conn)
    conn:answer(http.answer(text.json {
      ok = true, connection = conn.entry.id, request = conn.served,
    }))
    return "keep"
  end,
}

right["answer"] = {
  about = "one of the named answers (`GET /control/answers`), whole",
  args = "of=length",
  run = function(conn, _, args)
    conn:answer(answers[args.of or "length"] or answers["error-400"])
    return "keep"
  end,
}

right["status"] = {
  about = "any status, body, content type and one more header line",
  args = "code=200 body= type=application/json line=",
  run = function(conn, _, args)
    local lines = args.line and { args.line } or {}
    conn:answer(http.answer(args.body or '{"ok":true}', {
      status = tonumber(args.code), type = args.type, lines = lines,
    }))
    return "keep"
  end,
}

right["until-close"] = {
  about = "a right answer whose length is told by the close alone",
  run = function(conn)
    conn:answer(http.head(200, { "Content-Type: application/json" })
      .. '{"ok":true}')
    return "fin"
  end,
}

right["raw"] = {
  about = "exactly the bytes of the argument `text` or `base64`, or else "
    .. "of the request's body",
  args = "text= | base64=",
  run = function(conn, request, args)
    local bytes = args.base64 and text.unbase64(args.base64)
    conn:send(bytes or args.text or request.body)
    return "fin"
  end,
}

right["echo"] = {
  about = "what was received, as JSON: `method`, `target`, `head` (raw), "
    .. "`headers` (pairs), `body`, `body_base64`, `body_size`, "
    .. "`body_sha256`; or the bare body with `as=body`",
  args = "as=json|body",
  run = function(conn, request, args)
    if args.as == "body" then
      conn:answer(http.answer(request.body,
        { type = "application/octet-stream" }))
      return "keep"
    end
    local hash = digest.new("sha256"):final(request.body)
    local small = #request.body <= 1 << 20
    conn:answer(http.answer(text.json {
      method = request.method, target = request.target,
      version = request.version, head = request.raw,
      headers = text.array(request.fields), body_size = request.body_size,
      body = small and request.body or nil,
      body_base64 = small and text.base64(request.body) or nil,
      body_sha256 = hash:gsub(".", function(char)
        return ("%02x"):format(char:byte())
      end),
    }))
    return "keep"
  end,
}

return right
