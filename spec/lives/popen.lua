-- SPDX-License-Identifier: MIT
-- A child that io.popen starts while requests are in flight, over plain
-- connections, TLS and a name that is looked up: it holds no descriptor that
-- was not there before freddy was. Files of certificates do not count: OpenSSL
-- opens them without CLOEXEC, has each open for a moment only, and a child
-- that is started in it keeps no connection alive by that.

-- The descriptors above 2 of a child, or of this process as `whose`.
local function descriptors(whose)
  local pipe = assert(io.popen("ls -l /proc/" .. whose .. "/fd"))
  local found = {}
  for line in pipe:lines() do
    local fd, target = line:match("(%d+) %-> (.*)$")
    if fd and tonumber(fd) > 2 and not target:find("^/proc/") then
      found[#found + 1] = fd .. " -> " .. target
    end
  end
  pipe:close()
  return found
end

local function count(list, what)
  local n = 0
  for i = 1, #list do
    if list[i]:find(what, 1, true) then
      n = n + 1
    end
  end
  return n
end

local known = {}
for _, line in ipairs(descriptors("self")) do
  known[line] = true
end

local freddy = require "freddy"
local env = os.getenv

local port = env("FY_TEST_HOSTILE"):match("%d+$")
local bases = {
  env("FY_TEST_HOSTILE"), env("FY_TEST_HOSTILE_TLS_OK"),
  "http://localhost:" .. port, "https://" .. env("FY_TEST_HOSTILE_SILENT"),
  "http://" .. env("FY_TEST_HOSTILE_FULL"),
}
local clients = {}
for i, base in ipairs(bases) do
  clients[i] = freddy.assert(freddy.new {
    base_url = base, api_key = "a-key-of-no-one", http_version = "1.1",
    ca_file = env("FY_TEST_HOSTILE_CA_FILE"),
  })
end
assert(freddy.fd())

local function is_ours(line)
  return not known[line]
    and line:match("%-> (.*)$") ~= env("FY_TEST_HOSTILE_CA_FILE")
end

-- Children are started at every stage of the connections.
local foreign, most, events = {}, 0, 0
for round = 1, 10 do
  for _, client in ipairs(clients) do
    client:send({ path = "/s/never" }, function() end)
  end
  freddy.sleep((round - 1) / 500)
  for _, line in ipairs(descriptors("self")) do
    if is_ours(line) then
      foreign[#foreign + 1] = "round " .. round .. ": " .. line
    end
  end
  local own = descriptors("$PPID")
  most = math.max(most, count(own, "socket:"))
  events = math.max(events, count(own, "anon_inode:"))
end

-- As many as that, or this proves nothing.
assert(most >= 20, "only " .. most .. " sockets were open")
assert(events >= 3, "only " .. events .. " of eventfds and epolls were open")
assert(#foreign == 0, "held by a child:\n  " .. table.concat(foreign, "\n  "))
os.exit(0)
