-- SPDX-License-Identifier: MIT
-- List the models, with an API key and then with a token, and see what an
-- error looks like. `make demo` runs this against the local emulator.

local freddy = require("freddy")

local base_url = os.getenv("FREDDY_BASE_URL")
local ca_file = os.getenv("FREDDY_CA_FILE")

local function client(credential)
  credential.base_url = base_url
  credential.ca_file = ca_file
  return freddy.assert(freddy.new(credential))
end

local function list(title, credential)
  local c = client(credential)
  local data, res = freddy.assert(c.models:list())
  print(title .. ", " .. res.url .. ":")
  for _, model in ipairs(data.models) do
    print("  " .. model.id)
  end
  c:close()
end

list("models, with an API key", { api_key = os.getenv("FREDDY_API_KEY") })
list("models, with a token", { token = os.getenv("FREDDY_JWT_TOKEN") })

local c = client({ api_key = "not-the-right-key" })
local data, err = c.models:list()
assert(not data, "the wrong key was taken for a right one")
print("models, with a wrong key:")
print("  " .. tostring(err))
if err.hint and not tostring(err):find(err.hint, 1, true) then
  print("  hint: " .. err.hint)
end
c:close()
