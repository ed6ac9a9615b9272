-- SPDX-License-Identifier: MIT
-- GET /v1/health/, GET /v1/health/details

local reply = require "reply"

local health = {}

local COMPONENTS = { "database", "redis", "limit_enforcement", "qdrant" }

function health.status()
  reply.json(200, { status = "ok" })
end

function health.details()
  local components = {}
  for i, name in ipairs(COMPONENTS) do
    components[i] = { name = name, status = "healthy",
      details = { latency_ms = i } }
  end
  reply.json(200, { status = "healthy", components = components })
end

return health
