-- SPDX-License-Identifier: MIT
local PARAMS = {
  { name = "inputs", type = "array", required = true,
    doc = "the messages: { role = \"user\", content = \"...\" }; a function's "
      .. "result has role = \"tool\" and tool_call_id" },
  { name = "model", type = "string",
    doc = "the `key` of a model (client.models:list)" },
  { name = "organization_id", type = "string",
    doc = "needed by those who belong to several" },
  { name = "assistant_id", type = "string",
    doc = "whose instructions, rules and tools apply" },
  { name = "thread_id", type = "string",
    doc = "the thread to go on with; without one a new one is made" },
  { name = "instructions", type = "string", doc = "for the whole answer" },
  { name = "temperature", type = "number", doc = "0 to 1" },
  { name = "top_p", type = "number", doc = "up to 1" },
  { name = "max_output_synapses", type = "integer",
    doc = "how long the answer may be" },
  { name = "output_mode", type = "string",
    doc = "text (the default), plain, blocks, json" },
  { name = "tools", type = "array",
    doc = "functions to call, { type = \"function\", name =, description =, "
      .. "parameters = }, and MCP servers" },
  { name = "system_tools", type = "object",
    doc = "{ web_search = { mode = \"auto\" }, ... }" },
  { name = "disable_rules", type = "boolean", doc = "for API keys only" },
  { name = "store", type = "boolean",
    doc = "false hides the thread from the vendor's own interface" },
  { name = "previous_message_id", type = "string",
    doc = "the message to go on from; needs thread_id" },
  { name = "previous_response_id", type = "string",
    doc = "the response to go on from" },
  { name = "edit_message_id", type = "string",
    doc = "the message to replace; needs thread_id" },
  { name = "background", type = "boolean",
    doc = "answer at once with an id, for client.responses:get" },
  { name = "metadata", type = "object", doc = "up to 16 pairs" },
}

return {
  name = "responses",
  doc = "Answers of a model, in one piece or as they come.",
  methods = {
    {
      name = "create",
      method = "POST",
      path = "/v1/model/response",
      answers = "json",
      doc = "Have a model answer, and wait for the whole answer.",
      returns = "the body, with the fields of a freddy.Answer added where it "
        .. "has none of that name: text, thread_id, usage, tool_calls, ...",
      params = PARAMS,
    },
    {
      name = "stream",
      method = "POST",
      path = "/v1/model/response",
      answers = "stream",
      doc = "Have a model answer, and read it as it comes.",
      returns = "a freddy.AnswerStream",
      params = PARAMS,
    },
    {
      name = "cancel",
      method = "POST",
      path = "/v1/model/response/{thread_id}/cancel",
      doc = "Tell the server to stop the stream of a thread. Within some five "
        .. "seconds of its start it deletes question and answer; later it "
        .. "keeps what there is.",
      returns = "{ success, cancel_mode, elapsed_seconds, "
        .. "user_message_deleted, ... }",
    },
    {
      name = "get",
      method = "GET",
      path = "/v1/model/response/{response_id}",
      doc = "How a response in the background stands.",
      returns = "{ id, status, output, error, usage, ... }; status is queued, "
        .. "in_progress (or processing), completed, failed or cancelled",
      params = {
        { name = "organizationId", type = "string",
          doc = "as older servers want it" },
      },
    },
    {
      name = "output_modes",
      method = "GET",
      path = "/v1/model/response/output-modes",
      doc = "The forms that an answer may have.",
      returns = "{ success, output_modes = { { mode, description, is_default "
        .. "} } }",
    },
    {
      name = "reasoning_levels",
      method = "GET",
      path = "/v1/model/response/reasoning-levels",
      doc = "How much a model may think.",
      returns = "{ success, reasoning_levels = { { level, is_default } } }",
    },
  },
}
