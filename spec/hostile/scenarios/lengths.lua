-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- Lies about where a body ends.

local build = require "lib.build"
local http = require "lib.http"

local endless, fixed = build.endless, build.fixed
local lengths = {}

local body = '{"ok":true}'

local function with_lines(...)
  return http.head(200, { "Content-Type: application/json", ... })
end

local chunked = with_lines("Transfer-Encoding: chunked")

lengths["body-short"] = fixed("declares 9 bytes more than it sends", "fin",
  with_lines("Content-Length: 20"), body)

lengths["body-long"] = fixed("sends 11 bytes more than declared", "fin",
  with_lines("Content-Length: 11"), body, "and further")

lengths["length-two"] = fixed("two Content-Lengths that differ", "hold",
  with_lines("Content-Length: 11", "Content-Length: 10"), body)

lengths["length-two-list"] = fixed("one Content-Length with two values",
  "hold", with_lines("Content-Length: 11, 10"), body)

lengths["length-equal"] = fixed("two Content-Lengths that agree", "keep",
  with_lines("Content-Length: 11", "Content-Length: 11"), body)

lengths["length-bad"] = fixed("Content-Length: 5x", "hold",
  with_lines("Content-Length: 5x"), body)

lengths["length-negative"] = fixed("Content-Length: -1", "hold",
  with_lines("Content-Length: -1"), body)

lengths["length-plus"] = fixed("Content-Length: +11", "hold",
  with_lines("Content-Length: +11"), body)

lengths["length-blank"] = fixed("a Content-Length without a value", "hold",
  with_lines("Content-Length:"), body)

lengths["length-hex"] = fixed("Content-Length: 0xb", "hold",
  with_lines("Content-Length: 0xb"), body)

lengths["length-overflow"] = fixed("a Content-Length of 2^64 + 11", "hold",
  with_lines("Content-Length: 18446744073709551627"), body)

lengths["length-huge"] = fixed("declares 1 GB, sends 10 bytes, stays open",
  "hold", with_lines("Content-Length: 1073741824"), "0123456789")

lengths["te-and-cl"] = fixed("chunked, with a Content-Length that lies",
  "keep", with_lines("Content-Length: 3", "Transfer-Encoding: chunked"),
  http.chunk(body), "0\r\n\r\n")

lengths["te-unknown"] = fixed("a Transfer-Encoding that nobody knows",
  "fin", with_lines("Transfer-Encoding: cheese"), body)

lengths["chunk-bad"] = fixed("a chunk size that is no number", "hold",
  chunked, "zz\r\n", body, "\r\n0\r\n\r\n")

lengths["chunk-negative"] = fixed("a chunk size of -1", "hold",
  chunked, "-1\r\n", body, "\r\n0\r\n\r\n")

lengths["chunk-size-overflow"] = fixed("a chunk size of 2^64 + 11", "hold",
  chunked, "1000000000000000b\r\n", body, "\r\n0\r\n\r\n")

lengths["chunk-size-huge"] = fixed("a chunk of 1 GB, of which 10 bytes come",
  "hold", chunked, "40000000\r\n", "0123456789")

lengths["chunk-no-end"] = fixed("chunk data without its line end", "hold",
  chunked, "b\r\n", body, "0\r\n\r\n")

lengths["chunk-short"] = fixed("a close within a chunk", "fin",
  chunked, "ff\r\n", body)

lengths["chunk-no-last"] = fixed("a close where the last chunk should be",
  "fin", chunked, http.chunk(body))

lengths["chunk-extension-endless"] = endless(
  "a chunk extension that does not end", chunked .. "b;x=", "y")

lengths["trailers-endless"] = endless("trailers that do not end",
  chunked .. http.chunk(body) .. "0\r\n", "X-Trailer: value\r\n")

lengths["body-endless"] = endless("chunks that do not end",
  chunked, http.chunk((" "):rep(4096)))

lengths["body-endless-plain"] = endless("a body without length or end",
  with_lines(), (" "):rep(4096))

return lengths
