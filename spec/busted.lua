-- SPDX-License-Identifier: MIT
-- Runs busted inside the Lua that runs this file: no second interpreter, so
-- that valgrind and the sanitizers see the one that matters.
require("busted.runner")({ standalone = false })
