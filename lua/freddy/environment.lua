-- SPDX-License-Identifier: MIT
--- What the environment says of proxies, for proxy = "environment". It is
--- read here and once, by freddy.new: the core reads none.
local core = require "freddy.core"

local environment = {}

-- The first of each pair wins, as it does for curl. http_proxy is not read:
-- plain http is for loopback addresses, and no proxy can lead back to those.
local PROXY = { "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY" }
local NO_PROXY = { "no_proxy", "NO_PROXY" }
local LOOPBACK = "localhost,127.0.0.0/8,::1"

local function first_set(names)
  for _, name in ipairs(names) do
    local value = os.getenv(name)
    if value and value ~= "" then
      return value, name
    end
  end
end

-- What nobody can understand is left out, as every program does with it.
local function usable(list)
  local out = {}
  for entry in list:gmatch "[^,%s]+" do
    if core.is_no_proxy(entry) then
      out[#out + 1] = entry
    end
  end
  out[#out + 1] = LOOPBACK
  return table.concat(out, ",")
end

--- The proxy that the environment names, and what goes without it.
---@param listed? string what the user listed instead of the environment
---@return string? proxy its URL; nil: there is none
---@return string? no_proxy as the core wants it; loopback is always in it
---@return string? name of the variable
function environment.proxy(listed)
  local proxy, name = first_set(PROXY)
  if not proxy then
    return nil
  end
  if not proxy:find "://" then
    proxy = "http://" .. proxy -- "proxy.example.com:3128" is usual
  end
  return proxy, usable(listed or first_set(NO_PROXY) or ""), name
end

return environment
