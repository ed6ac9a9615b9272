-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- Building blocks of HTTP/1.1 messages, and of what only looks so.

local text = require "lib.text"

local http = {}

http.reasons = {
  [200] = "OK", [201] = "Created", [202] = "Accepted",
  [204] = "No Content", [301] = "Moved Permanently", [302] = "Found",
  [303] = "See Other", [304] = "Not Modified",
  [307] = "Temporary Redirect", [308] = "Permanent Redirect",
  [400] = "Bad Request", [401] = "Unauthorized",
  [403] = "Forbidden", [404] = "Not Found", [409] = "Conflict",
  [413] = "Content Too Large", [422] = "Unprocessable Content",
  [429] = "Too Many Requests", [500] = "Internal Server Error",
  [502] = "Bad Gateway", [503] = "Service Unavailable",
  [504] = "Gateway Timeout",
}

--- A status line.
function http.status_line(status)
  return ("HTTP/1.1 %d %s\r\n"):format(status,
    http.reasons[status] or "Unnamed")
end

--- A header section: status line, lines, blank line.
function http.head(status, lines)
  local out = http.status_line(status)
  for _, line in ipairs(lines) do
    out = out .. line .. "\r\n"
  end
  return out .. "\r\n"
end

--- A right answer with its length. Optional: `status` (200), `type`
--- (JSON), `lines` (more header lines).
function http.answer(body, options)
  options = options or {}
  local lines = { "Content-Type: " .. (options.type or "application/json") }
  table.move(options.lines or {}, 1, #(options.lines or {}), 2, lines)
  lines[#lines + 1] = "Content-Length: " .. #body
  return http.head(options.status or 200, lines) .. body
end

--- One chunk, with an extension if given.
function http.chunk(data, extension)
  return ("%x%s\r\n%s\r\n"):format(#data, extension or "", data)
end

--- A right chunked answer. `pieces` is an array of strings. Optional:
--- `status`, `lines`, `extension`, `trailers` (array of lines).
function http.chunked(pieces, options)
  options = options or {}
  local lines = { "Content-Type: application/json" }
  table.move(options.lines or {}, 1, #(options.lines or {}), 2, lines)
  lines[#lines + 1] = "Transfer-Encoding: chunked"
  local out = { http.head(options.status or 200, lines) }
  for _, piece in ipairs(pieces) do
    out[#out + 1] = http.chunk(piece, options.extension)
  end
  out[#out + 1] = "0\r\n"
  for _, line in ipairs(options.trailers or {}) do
    out[#out + 1] = line .. "\r\n"
  end
  return table.concat(out) .. "\r\n"
end

--- The length of a message's header section, blank line included; of the
--- final one, where 1xx answers come before.
function http.head_size(message)
  local at = 1
  while true do
    local _, last = message:find("\r\n\r\n", at, true)
    if not last then
      return #message
    end
    if message:sub(at, at + 9) ~= "HTTP/1.1 1" then
      return last
    end
    at = last + 1
  end
end

--- Take a target of the form /s/NAME;a=b;c=d/anything?e=f apart: the name
--- and a map of arguments. Those within the path serve who can only choose a
--- base URL.
function http.parse_target(target)
  target = target:gsub("^https?://[^/]*", "")
  local segment, query = target:match("^/s/([^/?]*)[^?]*%??(.*)$")
  if not segment then
    return nil, {}
  end
  local name, inner = segment:match("^([^;]*);?(.*)$")
  local args = text.query(query)
  for key, value in pairs(text.query((inner:gsub(";", "&")))) do
    args[key] = value
  end
  return text.unpercent(name), args
end

return http
