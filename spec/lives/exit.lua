-- SPDX-License-Identifier: MIT
-- exit.lua WHAT HOW TICKS: leave the process in the way HOW while 50 requests
-- of the kind WHAT are in flight, after so many ticks of a few milliseconds.
-- Code 99 when a request had ended, so that nothing would be proven.
local freddy = require "freddy"
local what, how, ticks = ...
local env = os.getenv
local N = 50

local function client(base, ca)
  return freddy.assert(freddy.new {
    base_url = base, ca_file = ca, http_version = "1.1",
    api_key = env("FY_TEST_API_KEY"), timeout = { connect = 60, total = 60 },
  })
end

local starts = {}

-- Waiting for a head, within a body, within a large one.
function starts.transfers(send)
  local plain = client(env("FY_TEST_EMULATOR_HTTP"))
  for i = 1, N do
    send(plain, ({ "/v1/delay/30000", "/v1/drip?chunks=9000&ms=5",
      "/v1/drip?chunks=3000&ms=5&length=1&size=20000" })[i % 3 + 1])
  end
end

-- Within bodies that are being saved.
function starts.saves(send)
  local plain = client(env("FY_TEST_EMULATOR_HTTP"))
  for i = 1, N do
    send(plain, "/v1/drip?chunks=9000&ms=5&size=2000",
      env("FY_SAVES") .. "/" .. i)
  end
end

-- A server that reads the ClientHello and says nothing.
function starts.silent(send)
  local silent = client("https://" .. env("FY_TEST_HOSTILE_SILENT"),
    env("FY_TEST_HOSTILE_CA_FILE"))
  for _ = 1, N do
    send(silent, "/")
  end
end

-- Handshakes that go on, one connection for each.
function starts.tls(send)
  local hostile = client(env("FY_TEST_HOSTILE_TLS_OK"),
    env("FY_TEST_HOSTILE_CA_FILE"))
  local nginx = client(env("FY_TEST_BASE_URL"), env("FY_TEST_CA_FILE"))
  for i = 1, N do
    if i % 2 == 0 then
      send(hostile, "/s/never")
    else
      send(nginx, "/v1/delay/30000")
    end
  end
end

local ended
local function send(from, path, save_to)
  from:send({ path = path, save_to = save_to }, function(res, err)
    ended = ("%s ended: %s"):format(path, tostring(res and res.status or err))
  end)
end

local function check()
  freddy.poll()
  if ended then
    io.stderr:write(ended, "\n")
    os.exit(99)
  end
end

local leave = {}

function leave.exit()
  os.exit(3)
end

function leave.close()
  os.exit(3, true)
end

function leave.error()
  error("on purpose", 0)
end

leave["end"] = function() end

function leave.callback()
  local here = client(env("FY_TEST_EMULATOR_HTTP"))
  here:send({ path = "/v1/health" }, function()
    os.exit(3)
  end)
  freddy.sleep(60)
  os.exit(98)
end

function leave.task()
  freddy.run(function()
    freddy.sleep(0.001)
    os.exit(3)
  end)
  os.exit(98)
end

-- Killed by whoever reads this line.
function leave.signal()
  print("ready")
  io.stdout:flush()
  freddy.sleep(60)
  os.exit(98)
end

starts[what](send)
if ticks ~= "0" then
  freddy.sleep(tonumber(ticks) * 0.003)
end
check()
leave[how]()
