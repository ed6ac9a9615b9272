-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- Answers that repeat the credentials of their request.

local http = require "lib.http"
local text = require "lib.text"

local secrets = {}

local header_names = {
  "authorization", "api-key", "x-api-key", "proxy-authorization",
}
local body_names = {
  "password", "verification_code", "refresh_token", "refreshToken",
  "api_key", "token", "access_token", "key",
}

-- Every credential of a request, and the argument `header`'s value.
local function found(request, args)
  local list = {}
  for _, name in ipairs(header_names) do
    local value = request.headers[name]
    if value then
      list[#list + 1] = value:match("^%a+ +(.+)$") or value
    end
  end
  local named = request.headers[(args.header or ""):lower()]
  if named then
    list[#list + 1] = named
  end
  for _, name in ipairs(body_names) do
    local value = request.body:match('"' .. name .. '"%s*:%s*"([^"]*)"')
    if value then
      list[#list + 1] = value
    end
  end
  return list
end

local function unicode(s)
  return (s:gsub(".", function(char)
    return ("\\u%04x"):format(char:byte())
  end))
end

-- How a secret may be written: name, and the function that writes it so
-- within a JSON string.
local forms = {
  { "plain", function(s)
    return text.quote(s):sub(2, -2)
  end },
  { "percent", function(s)
    return text.percent(s)
  end },
  { "percent-all", function(s)
    return text.percent(s, true)
  end },
  { "percent-lower", function(s)
    return text.percent(s, true):lower()
  end },
  { "json", unicode },
  { "json-upper", function(s)
    return (unicode(s):gsub("%x%x%x%x", string.upper))
  end },
  { "json-slash", function(s)
    return (text.quote(s):sub(2, -2):gsub("/", "\\/"))
  end },
}

local function written(list, wanted)
  local words = {}
  for _, secret in ipairs(list) do
    for _, form in ipairs(forms) do
      if wanted == "all" or wanted == form[1] then
        words[#words + 1] = form[2](secret)
      end
    end
  end
  return table.concat(words, " ")
end

local shapes = {
  E1 = '{"detail":"key @ is wrong","status_code":401,'
    .. '"error_type":"AuthenticationError","meta":{"request_id":"req_@"},'
    .. '"errors":[{"field":"@","message":"@","code":"@"}]}',
  E2 = '{"success":false,"error":{"code":"INVALID_API_KEY",'
    .. '"message":"key @ is wrong","system_message":"got @",'
    .. '"type":"authentication_error","status":401,'
    .. '"details":{"field":"api-key","value":"@","@":1,"deep":[["@"]]},'
    .. '"trace_id":"@","timestamp":"2025-01-01T00:00:00Z"}}',
  E3 = '{"error":{"message":"key @ is wrong","type":"validation_error",'
    .. '"code":"@"}}',
  E4 = '{"message":"key @ is wrong"}',
  ["E4-string"] = '{"error":"key @ is wrong"}',
  E5 = '{"title":"Unauthorized","message":"API key @ is invalid"}',
  list = '[{"message":"@"},"@"]',
  string = '"@"',
  text = "key @ is wrong",
}
local shape_names = "E1|E2|E3|E4|E4-string|E5|list|string|text"

local function fill(template, words)
  return (template:gsub("@", (words:gsub("%%", "%%%%"))))
end

-- Header lines that repeat what can stand in a header.
local function leaking_lines(list)
  local lines = {}
  for _, secret in ipairs(list) do
    lines[#lines + 1] = "X-Echo: " .. secret
    lines[#lines + 1] = "X-Request-Id: req-" .. secret
    lines[#lines + 1] = 'WWW-Authenticate: Bearer error="' .. secret .. '"'
    lines[#lines + 1] = "X-Percent: " .. text.percent(secret)
    lines[#lines + 1] = "X-Percent-All: " .. text.percent(secret, true)
    lines[#lines + 1] = "Set-Cookie: key=" .. text.percent(secret)
    lines[#lines + 1] = "X-" .. secret:gsub("[^%w-]", "-") .. ": name"
  end
  return lines
end

local ways = {}

function ways.answer(conn, message)
  conn:answer(message)
  return "keep"
end

ways["cut"] = function(conn, message)
  conn:send(message:sub(1, -2))
  return "fin"
end

ways["head-cut"] = function(conn, message)
  conn:send(message:match("^.-\r\n\r\n"):sub(1, -2))
  return "fin"
end

ways["chunk-bad"] = function(conn, message)
  conn:send(message:gsub("Content%-Length: %d+",
    "Transfer-Encoding: chunked"))
  return "fin"
end

ways["garbage"] = function(conn, _, list)
  conn:send(table.concat(list, "\r\n") .. "\r\n\r\n")
  return "fin"
end

ways["status-line"] = function(conn, message, list)
  conn:send((message:gsub("^(%S+ %d+)[^\r]*", function(start)
    return start .. " " .. table.concat(list, " ")
  end)))
  return "keep"
end

ways["length-bad"] = function(conn, message, list)
  conn:send((message:gsub("Content%-Length: %d+", function()
    return "Content-Length: " .. (list[1] or "x")
  end)))
  return "fin"
end

ways["location"] = function(conn, _, list, args)
  local to = (args.to or "{other}"):gsub("{(%w+)}", conn.bases)
  conn:answer(http.answer("", {
    status = tonumber(args.status) or 302,
    lines = { "Location: " .. to .. "/s/ok?key="
      .. text.percent(list[1] or "") },
  }))
  return "keep"
end

secrets["leak"] = {
  about = "an error whose body and headers repeat every credential of the "
    .. "request (and the values of `header` and of known JSON names), in "
    .. "each `form`; `as` says how the answer goes wrong besides",
  args = "shape=" .. shape_names .. " status=401 where=both|body|headers "
    .. "form=all|plain|percent|percent-all|percent-lower|json|json-upper|"
    .. "json-slash as=answer|cut|head-cut|chunk-bad|garbage|status-line|"
    .. "length-bad|location header= to=",
  run = function(conn, request, args)
    local list = found(request, args)
    local where = args.where or "both"
    local words = where ~= "headers" and written(list, args.form or "all")
      or "you sent"
    local body = fill(shapes[args.shape] or shapes.E2, words)
    local message = http.answer(body, {
      status = tonumber(args.status) or 401,
      type = args.shape == "text" and "text/plain" or nil,
      lines = where ~= "body" and leaking_lines(list) or nil,
    })
    local way = ways[args.as] or ways.answer
    return way(conn, message, list, args)
  end,
}

secrets["leak-bad-json"] = {
  about = "a 200 whose JSON repeats the credentials and does not parse",
  run = function(conn, request, args)
    local words = table.concat(found(request, args), " ")
    conn:answer(http.answer('{"key":"' .. words .. '", oops'))
    return "keep"
  end,
}

return secrets
