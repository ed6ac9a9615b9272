-- SPDX-License-Identifier: MIT
-- GET /v1/models

local errors = require "errors"
local json = require "json"
local reply = require "reply"
local request = require "request"

local models = {}

local CATALOGUE = {
  { id = "mdl_1f2e3d4c5b6a", key = "gpt-4o", name = "GPT-4o",
    provider = "openai", description = "General model", context = 128000,
    price = 2.5,
    capabilities = { "text_generation", "conversation", "streaming",
      "tool_calling", "vision" } },
  { id = "mdl_6a5b4c3d2e1f", key = "ftg-3.0", name = "FTG 3.0",
    provider = "aitronos", description = "The house's own model",
    context = 64000, price = 1.5,
    capabilities = { "text_generation", "conversation", "streaming",
      "tool_calling" } },
  { id = "mdl_0a1b2c3d4e5f", key = "o4-mini", name = "o4 mini",
    provider = "openai", description = "Reasoning model", context = 200000,
    price = 1.1,
    capabilities = { "text_generation", "conversation", "streaming",
      "reasoning" } },
  { id = "mdl_5f4e3d2c1b0a", key = "claude-sonnet-4", price = 3,
    name = "Claude Sonnet 4", provider = "anthropic", context = 200000,
    description = "Long documents, très précis",
    capabilities = { "text_generation", "conversation", "streaming",
      "tool_calling", "vision", "reasoning" } },
  { id = "mdl_9e8d7c6b5a49", key = "whisper-1", name = "Whisper",
    provider = "openai", context = 0, price = 0.006, hidden = true,
    description = "Transcription", capabilities = { "audio" } },
  { id = "mdl_112233445566", key = "ftg-2.0", name = "FTG 2.0",
    provider = "aitronos", description = "Superseded by FTG 3.0",
    context = 16000, price = 2, deprecated = true,
    capabilities = { "text_generation", "conversation" } },
}

-- Parameters that are booleans, and what they are when left out.
local PARAMETERS = {
  ui_models_only = false, include_capabilities = true,
  include_pricing = false, include_details = false,
  include_deprecated = false, include_recent_usage = false,
}

local function describe(entry, wanted)
  local model = {
    id = entry.id, key = entry.key, name = entry.name,
    provider = entry.provider, description = entry.description,
    is_visible_in_ui = not entry.hidden,
    is_deprecated = entry.deprecated or false,
    availability_status = entry.deprecated and "deprecated"
      or "general_availability",
  }
  if wanted.include_capabilities then
    model.capabilities = entry.capabilities
  end
  if wanted.include_details then
    model.context_window = entry.context
  end
  if wanted.include_pricing then
    model.pricing = { currency = "USD", input_per_million = entry.price,
      output_per_million = entry.price * 4 }
  end
  if wanted.include_recent_usage then
    model.recent_usage = { requests = 0 }
  end
  return model
end

function models.list()
  local query, wanted = request.query(), {}
  for name, default in pairs(PARAMETERS) do
    wanted[name] = request.boolean(query[name], default)
    if wanted[name] == nil then
      return errors.invalid(name, "Not a boolean.", query[name])
    end
  end
  local list = {}
  for _, entry in ipairs(CATALOGUE) do
    if (wanted.include_deprecated or not entry.deprecated)
      and (not wanted.ui_models_only or not entry.hidden) then
      list[#list + 1] = describe(entry, wanted)
    end
  end
  ngx.header["Cache-Control"] = "private, max-age=900"
  ngx.header["Vary"] = "Authorization"
  reply.json(200, { models = json.array(list), total_count = #list })
end

return models
