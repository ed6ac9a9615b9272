-- SPDX-License-Identifier: MIT
--- Bodies with a good status that say there is no answer.

local core = require "freddy.core"
local util = require "spec.responses_util"

before_each(util.begin)
after_each(util.finish)

local FAILURES = {
  { "an array with an error event", [==[[{"event":"response.created"},
      {"event":"response.output_text.delta","delta":"half"},
      {"event":"response.failed","error":{"code":"RATE_LIMIT_EXCEEDED",
      "message":"No."}}]]==], "rate_limited", "half" },
  { "success = false", [[{"success":false,"error":{
      "code":"RATE_LIMIT_EXCEEDED","message":"No."}}]], "rate_limited", "" },
  { "status = \"failed\"", [[{"id":"r","status":"failed","output":[],
      "error":{"code":"x_not_found","message":"No."}}]], "not_found", "" },
  { "an array with a cancel", [==[[
      {"event":"response.output_text.delta","delta":"half"},
      {"event":"response.cancelled"}]]==], "cancelled", "half" },
}

for _, row in ipairs(FAILURES) do
  describe("a 200 with " .. row[1], function()
    for _, how in ipairs { "create", "stream" } do
      it("is an error of responses:" .. how, function()
        local client = util.hostile("status", {
          body = core.encode_uri(row[2]) })
        local responses = client.responses
        local got, err = responses[how](responses, { inputs = util.INPUTS })
        assert.is_nil(got)
        assert.equal(row[3], err.kind)
        assert.equal(200, err.status)
        assert.equal(row[4], err.partial.text)
      end)
    end
  end)
end
