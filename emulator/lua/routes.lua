-- SPDX-License-Identifier: MIT
-- Every route of the API. A resource is a file in resources/; its handlers
-- get the path's parameters and answer by themselves.
--
--   path     `{name}` is one part of the path, `{name*}` all the rest
--   methods  handler by method; HEAD falls back to GET, `*` takes any
--   public   true: no credential is looked at before the handler
--   auth     the name that the books of the auth endpoints have for it

local auth = require "resources.auth"
local blob = require "resources.blob"
local echo = require "resources.echo"
local events = require "resources.events"
local faults = require "resources.faults"
local health = require "resources.health"
local models = require "resources.models"
local responses = require "resources.responses"
local slow = require "resources.slow"
local threads = require "resources.threads"

-- An auth endpoint looks at credentials itself, if it does.
local function endpoint(name, method, handler)
  return { path = "/v1/auth/" .. name, methods = { [method] = handler },
    public = true, auth = name }
end

return {
  { path = "/v1/models", methods = { GET = models.list } },

  { path = "/v1/health", methods = { GET = health.status }, public = true },
  { path = "/v1/health/", methods = { GET = health.status }, public = true },
  { path = "/v1/health/details", methods = { GET = health.details },
    public = true },

  { path = "/v1/threads",
    methods = { GET = threads.list, POST = threads.create } },
  { path = "/v1/threads/{id}",
    methods = { GET = threads.get, PATCH = threads.update,
      POST = threads.update, DELETE = threads.delete } },
  { path = "/v1/threads/{id}/messages", methods = { GET = threads.messages } },

  -- Who asks is looked at by the handler: it may say so in an event.
  { path = "/v1/model/response", methods = { POST = responses.create },
    public = true },
  { path = "/v1/model/response/output-modes",
    methods = { GET = responses.output_modes } },
  { path = "/v1/model/response/reasoning-levels",
    methods = { GET = responses.reasoning_levels } },
  { path = "/v1/model/response/{id}",
    methods = { GET = responses.get, DELETE = responses.delete } },
  { path = "/v1/model/response/{id}/stream",
    methods = { GET = responses.resume } },
  { path = "/v1/model/response/{id}/cancel",
    methods = { POST = responses.cancel } },

  endpoint("token", "POST", auth.token),
  endpoint("login", "POST", auth.login),
  endpoint("verify", "POST", auth.verify),
  endpoint("resend-code", "POST", auth.resend_code),
  endpoint("refresh", "POST", auth.refresh),
  endpoint("logout", "POST", auth.logout),
  endpoint("validate", "GET", auth.validate),
  endpoint("dev-login", "POST", auth.dev_login),

  -- From here on: no part of the API, tools for tests.
  { path = "/v1/echo", methods = { ["*"] = echo.answer } },
  { path = "/v1/echo/{rest*}", methods = { ["*"] = echo.answer } },
  { path = "/v1/open", methods = { ["*"] = echo.answer }, public = true },
  { path = "/v1/open/{rest*}", methods = { ["*"] = echo.answer },
    public = true },
  { path = "/v1/blob", methods = { GET = blob.get }, public = true },
  { path = "/v1/status/{status}", methods = { ["*"] = faults.status },
    public = true },
  { path = "/v1/delay/{ms}", methods = { ["*"] = slow.delay },
    public = true },
  { path = "/v1/drip", methods = { GET = slow.drip }, public = true },
  { path = "/v1/events", methods = { ["*"] = events.list }, public = true },
  { path = "/v1/bytes", methods = { ["*"] = events.bytes }, public = true },
  { path = "/v1/headers", methods = { GET = faults.headers }, public = true },
  { path = "/v1/redirect", methods = { ["*"] = faults.redirect },
    public = true },
  { path = "/v1/leak", methods = { ["*"] = faults.leak }, public = true },
}
