-- SPDX-License-Identifier: MIT
-- Three free ports from the system, since nginx refuses port 0. Run by an
-- nginx that ends before it listens: no other language is needed for it.
-- Prints the ports of TLS, HTTP and control, then 1 when ::1 is there too.

local ffi = require "ffi"

ffi.cdef [[
struct emulator_in { uint16_t family, port; uint8_t addr[4], zero[8]; };
struct emulator_in6 {
  uint16_t family, port; uint32_t flow; uint8_t addr[16]; uint32_t scope;
};
int socket(int domain, int type, int protocol);
int bind(int fd, const void *address, unsigned int size);
int getsockname(int fd, void *address, unsigned int *size);
uint16_t htons(uint16_t value);
]]

local AF_INET, AF_INET6, SOCK_STREAM = 2, 10, 1
local EADDRINUSE = 98

-- The sockets are never closed: all are held until this process ends.
local function bind4(port)
  local fd = ffi.C.socket(AF_INET, SOCK_STREAM, 0)
  local address = ffi.new("struct emulator_in",
    { AF_INET, ffi.C.htons(port), { 127, 0, 0, 1 } })
  local size = ffi.new("unsigned int[1]", ffi.sizeof(address))
  if fd < 0 or ffi.C.bind(fd, address, size[0]) ~= 0
    or ffi.C.getsockname(fd, address, size) ~= 0 then
    error("no port: errno " .. ffi.errno())
  end
  return ffi.C.htons(address.port)
end

-- True, false when the port is taken, nil where there is no IPv6.
local function bind6(port)
  local fd = ffi.C.socket(AF_INET6, SOCK_STREAM, 0)
  local address = ffi.new("struct emulator_in6",
    { AF_INET6, ffi.C.htons(port) })
  address.addr[15] = 1
  if fd >= 0 and ffi.C.bind(fd, address, ffi.sizeof(address)) == 0 then
    return true
  end
  if fd >= 0 and ffi.errno() == EADDRINUSE then
    return false
  end
end

-- A port that is free on both loopback addresses, where there are two.
local function both()
  for _ = 1, 100 do
    local port = bind4(0)
    local v6 = bind6(port)
    if v6 ~= false then
      return port, v6
    end
  end
  error "no port is free on both loopback addresses"
end

local tls, v6 = both()
local http = both()
io.stdout:write(("%d %d %d %d\n"):format(tls, http, bind4(0), v6 and 1 or 0))
io.stdout:flush()
os.exit(0)
