-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- Checks the hostile server from outside: every scenario once, byte by
--- byte. Run by `check`, which starts the server and exports its ports:
--- lua5.4 check.lua README.md.

local here = arg[0]:match("^(.*)/[^/]*$") or "."
package.path = here .. "/?.lua;" .. package.path

local check = require "checks.client"

require "checks.answers"
require "checks.bodies"
require "checks.h2"
require "checks.proxy"
require "checks.streams"
require "checks.server"
os.exit(check.finish())
