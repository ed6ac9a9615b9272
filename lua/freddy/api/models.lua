-- SPDX-License-Identifier: MIT
return {
  name = "models",
  doc = "The models that the caller may use.",
  methods = {
    {
      name = "list",
      method = "GET",
      path = "/v1/models",
      doc = "List the models. There is no paging: the answer holds all.",
      returns = "{ models = { { id, key, name, provider, ... }, ... }, "
        .. "total_count }; `key` is what other calls take as `model`",
      params = {
        { name = "ui_models_only", type = "boolean",
          doc = "only models that the vendor's own interface shows" },
        { name = "include_capabilities", type = "boolean",
          doc = "what each model can do (the server's default: true)" },
        { name = "include_pricing", type = "boolean",
          doc = "the price of each model" },
        { name = "include_details", type = "boolean",
          doc = "more fields, the context window among them" },
        { name = "include_deprecated", type = "boolean",
          doc = "models that are to be withdrawn, too" },
        { name = "include_recent_usage", type = "boolean",
          doc = "recent use of each model; for API keys only, not cached" },
      },
    },
  },
}
