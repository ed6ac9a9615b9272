-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- Small right answers by name, for the scenarios that cut or delay them.
--- Each can be told whole from cut short, wherever the cut is.

local gzip = require "lib.gzip"
local http = require "lib.http"

local json = '{"ok":true,"text":"gr\xc3\xbc\xc3\x9f dich","list":[1,2,3]}'
local long = '{"list":[' .. ("12345,"):rep(400) .. "0]}"

local function plain(status, body)
  return http.answer(body, { status = status })
end

local function many_headers()
  local lines = {}
  for i = 1, 30 do
    lines[i] = ("X-Line-%d: %s"):format(i, ("v"):rep(i))
  end
  return http.answer(json, { lines = lines })
end

local gzipped = { "Content-Encoding: gzip" }
local pieces = { json:sub(1, 7), json:sub(8, 9), json:sub(10) }

local answers = {
  ["length"] = http.answer(json),
  ["length-empty"] = http.answer("", { type = "text/plain" }),
  ["length-long"] = http.answer(long),
  ["length-text"] = http.answer("12345\r\n\r\n", { type = "text/plain" }),
  ["length-many-headers"] = many_headers(),
  ["length-lower-case"] = "HTTP/1.1 200 ok\r\ncontent-type:application/json"
    .. "\r\ncontent-length:" .. #json .. "\r\n\r\n" .. json,
  ["length-http10"] = "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n"
    .. "Content-Length: " .. #json .. "\r\n\r\n" .. json,
  ["length-no-reason"] = "HTTP/1.1 200 \r\nContent-Type: application/json"
    .. "\r\nContent-Length: " .. #json .. "\r\n\r\n" .. json,
  ["chunked"] = http.chunked(pieces),
  ["chunked-one"] = http.chunked { json },
  ["chunked-empty"] = http.chunked {},
  ["chunked-extension"] = http.chunked(pieces,
    { extension = ';name="a;b"' }),
  ["chunked-trailers"] = http.chunked(pieces,
    { trailers = { "X-Sum: 17", "X-Late: yes" } }),
  ["gzip"] = http.answer(gzip.compress(json), { lines = gzipped }),
  ["gzip-long"] = http.answer(gzip.compress(long), { lines = gzipped }),
  ["gzip-named"] = http.answer(gzip.compress_named(json),
    { lines = gzipped }),
  ["gzip-chunked"] = http.chunked(
    { gzip.compress(json):sub(1, 11), gzip.compress(json):sub(12) },
    { lines = gzipped }),
  ["no-content"] = http.head(204, { "X-Empty: yes" }),
  ["not-modified"] = http.head(304, { 'ETag: "a"' }),
  ["created"] = plain(201, json),
  ["error-400"] = plain(400, '{"error":{"message":"no","code":"bad"}}'),
  ["error-401"] = plain(401, '{"success":false,"error":{"code":'
    .. '"INVALID_API_KEY","message":"no","system_message":"no",'
    .. '"type":"authentication_error","status":401,"details":{},'
    .. '"trace_id":"trace_1","timestamp":"2025-01-01T00:00:00Z"}}'),
  ["error-422-chunked"] = http.chunked({ '{"detail":"bad input",',
    '"status_code":422,"error_type":"ValidationError"}' },
    { status = 422 }),
  ["error-500-gzip"] = http.answer(gzip.compress '{"message":"oops"}',
    { status = 500, lines = gzipped }),
  ["error-503-text"] = http.answer("come back later",
    { status = 503, type = "text/plain", lines = { "Retry-After: 1" } }),
  ["after-continue"] = "HTTP/1.1 100 Continue\r\n\r\n" .. http.answer(json),
  ["after-hints"] = "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload"
    .. "\r\n\r\n" .. http.chunked(pieces),
}

return answers
