-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- Redirects, right and wrong.

local gzip = require "lib.gzip"
local http = require "lib.http"
local text = require "lib.text"

local redirects = {}

-- The header line, with the servers' addresses put in.
local function location(conn, to)
  return "Location: " .. to:gsub("{([%w_]+)}", conn.bases)
end

local function status_of(args)
  return tonumber(args.status) or 302
end

redirects["redirect"] = {
  about = "a redirect; in `to`, `{self}`, `{other}`, `{tls}` and the "
    .. "listeners' names stand for the servers; without `to` there is no "
    .. "Location; with `hops` the redirect leads to itself that many times "
    .. "first; `line` is one more header line",
  args = "to= status=302 hops=0 line=",
  run = function(conn, _, args)
    local to, hops = args.to, tonumber(args.hops) or 0
    if hops > 0 then
      to = ("/s/redirect?hops=%d&status=%d&to=%s"):format(hops - 1,
        status_of(args), text.percent(to or "/s/ok"))
    end
    local lines = { to and location(conn, to) }
    lines[#lines + 1] = args.line
    conn:answer(http.answer('{"moved":true}', {
      status = status_of(args), lines = lines,
    }))
    return "keep"
  end,
}

redirects["redirect-loop"] = {
  about = "a redirect to itself, for ever",
  args = "status=302",
  run = function(conn, request, args)
    conn:answer(http.answer("", {
      status = status_of(args), type = "text/plain",
      lines = { "Location: " .. request.target },
    }))
    return "keep"
  end,
}

local bodies = {}

function bodies.empty(conn, head)
  conn:send(head .. "Content-Length: 0\r\n\r\n")
  return "keep"
end

-- Not small, but worth reading.
function bodies.some(conn, head)
  conn:send(head .. "Content-Length: 20000\r\n\r\n" .. (" "):rep(20000))
  return "keep"
end

function bodies.chunked(conn, head)
  conn:send(head .. "Transfer-Encoding: chunked\r\n\r\n5\r\nmoved\r\n0\r\n"
    .. "\r\n")
  return "keep"
end

function bodies.close(conn, head)
  conn:send(head .. "Connection: close\r\n\r\nmoved")
  return "fin"
end

function bodies.declared(conn, head)
  conn:send(head .. "Content-Length: 1000000000\r\n\r\nmoved")
  return "hold"
end

function bodies.endless(conn, head)
  conn:send(head .. "\r\n")
  local many = ("m"):rep(1 << 15)
  for _ = 1, 1 << 15 do -- 1 GiB bounds it
    conn:send(many)
  end
  return "fin"
end

function bodies.hold(conn, head)
  conn:send(head .. "Content-Length: 9\r\n\r\nmoved")
  return "hold"
end

function bodies.cut(conn, head)
  conn:send(head .. "Content-Length: 9\r\n\r\nmoved")
  return "fin"
end

function bodies.reset(conn, head)
  conn:send(head .. "Content-Length: 9\r\n\r\nmoved")
  return "reset"
end

bodies["chunk-bad"] = function(conn, head)
  conn:send(head .. "Transfer-Encoding: chunked\r\n\r\nzz\r\nmoved")
  return "hold"
end

function bodies.gzip(conn, head)
  local body = gzip.compress "moved"
  conn:send(head .. "Content-Encoding: gzip\r\nContent-Length: " .. #body
    .. "\r\n\r\n" .. body)
  return "keep"
end

bodies["gzip-bad"] = function(conn, head)
  conn:send(head .. "Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nmoved")
  return "keep"
end

bodies["gzip-bomb"] = function(conn, head)
  local body = gzip.bomb(10 << 20)
  conn:send(head .. "Content-Encoding: gzip\r\nContent-Length: " .. #body
    .. "\r\n\r\n" .. body)
  return "keep"
end

function bodies.coded(conn, head)
  conn:send(head .. "Content-Encoding: br\r\nContent-Length: 5\r\n\r\nmoved")
  return "keep"
end

redirects["redirect-body"] = {
  about = "a redirect (as `redirect`) whose body is of a `kind`",
  args = "to=/s/ok status=302 kind=empty|some|chunked|close|declared|endless|"
    .. "hold|cut|reset|chunk-bad|gzip|gzip-bad|gzip-bomb|coded",
  run = function(conn, _, args)
    local send = bodies[args.kind or "empty"] or bodies.empty
    return send(conn, http.status_line(status_of(args))
      .. location(conn, args.to or "/s/ok") .. "\r\n")
  end,
}

redirects["redirect-early"] = {
  about = "a redirect (as `redirect`) sent before the body is read; then "
    .. "reads it, or with `then=close` closes, or with `then=ignore` does "
    .. "neither",
  args = "to=/s/ok status=307 then=read|close|ignore",
  body = false,
  run = function(conn, request, args)
    conn:send(http.answer('{"moved":true}', {
      status = tonumber(args.status) or 307,
      lines = { location(conn, args.to or "/s/ok") },
    }))
    if args["then"] == "close" then
      return "fin"
    elseif args["then"] == "ignore" then
      return "ignore"
    end
    conn:read_body(request)
    return "keep"
  end,
}

return redirects
