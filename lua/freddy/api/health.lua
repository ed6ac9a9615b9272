-- SPDX-License-Identifier: MIT
return {
  name = "health",
  doc = "Whether the server is well. Public: no credential is sent.",
  methods = {
    {
      name = "check",
      method = "GET",
      path = "/v1/health/",
      public = true,
      doc = "Ask whether the server answers at all.",
      returns = '{ status = "ok" }',
    },
    {
      name = "details",
      method = "GET",
      path = "/v1/health/details",
      public = true,
      doc = "Ask how each part of the server is.",
      returns = "{ status = healthy, degraded or unhealthy, components = "
        .. "{ { name, status, details }, ... } }",
    },
  },
}
